//! Where the console lies that is built into the binary: `console/dist` if `cargo xtask console` has made it, else a page that says how.

use std::path::{Path, PathBuf};

/// What stands in for a console that nobody has built.
const PAGE: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>Headwater console</title>
<h1>The console is not in this binary</h1>
<p>It takes Node 20 to build it: <code>cargo xtask console</code>, then build Headwater again.
<p>The API is at <a href=\"/docs\">/docs</a>.
";

fn main() -> std::io::Result<()> {
    let built = Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("cargo says so")).join("../console/dist");
    println!("cargo::rerun-if-changed={}", built.display());
    let dir = if built.join("index.html").exists() {
        built.canonicalize()?
    } else {
        let dir = PathBuf::from(std::env::var("OUT_DIR").expect("cargo says so")).join("console");
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join("index.html"), PAGE)?;
        dir
    };
    println!("cargo::rustc-env=HEADWATER_CONSOLE={}", dir.display());
    Ok(())
}
