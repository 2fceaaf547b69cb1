//! The page at `/` in dev mode: the reference web client, as static files in the binary.
//!
//! Plain HTML, CSS and JavaScript modules: no build step, no request to anybody else, nothing inline, so that a strict
//! Content-Security-Policy holds. `client.js` is the client (tokens, streams, resuming) and knows no document;
//! `app.js` is what one sees.

/// A file of the page.
#[derive(Debug)]
pub struct File {
    /// Where it is served.
    pub path: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// Its text.
    pub body: &'static str,
}

/// Every file of the page.
pub const FILES: &[File] = &[
    File { path: "/", content_type: "text/html; charset=utf-8", body: include_str!("page/index.html") },
    File { path: "/dev/style.css", content_type: "text/css; charset=utf-8", body: include_str!("page/style.css") },
    File { path: "/dev/client.js", content_type: JAVASCRIPT, body: include_str!("page/client.js") },
    File { path: "/dev/app.js", content_type: JAVASCRIPT, body: include_str!("page/app.js") },
    File { path: "/dev/icon.svg", content_type: "image/svg+xml", body: include_str!("page/icon.svg") },
];

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_nothing_but_itself() {
        let file = |path: &str| FILES.iter().find(|file| file.path == path).expect("is there").body;
        let html = file("/");
        for File { path, body, .. } in FILES {
            // A namespace is a name, not an address.
            let text = body.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("http://") && !text.contains("https://"), "{path} names another host");
            assert!(*path == "/" || html.contains(path) || *path == "/dev/client.js", "{path} is used");
        }
        assert!(file("/dev/app.js").contains("\"./client.js\""), "served beside it");
        for inline in ["<style", " style=", " onclick=", "javascript:", "<script>"] {
            assert!(!html.contains(inline), "{inline} is not allowed by the policy");
        }
    }

    /// The client's own tests, where there is a node to run them.
    #[test]
    fn the_client_keeps_its_promises() {
        let dir = std::env::temp_dir().join(format!("headwater-page-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let test = include_str!("page/client.test.mjs");
        let files = [
            ("client.js", include_str!("page/client.js")),
            ("client.test.mjs", test),
            ("package.json", "{\"type\":\"module\"}"),
        ];
        for (name, text) in files {
            std::fs::write(dir.join(name), text).expect("a file");
        }
        let ran = std::process::Command::new("node").arg("client.test.mjs").current_dir(&dir).output();
        let _ = std::fs::remove_dir_all(&dir);
        match ran {
            Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout)),
            Err(error) => eprintln!("not run: there is no node ({error})"),
        }
    }
}
