//! A server process on a port: the real binary, with its own environment, that can be killed.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A running `headwater` process. Killed when dropped.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    /// Where it listens, `http://127.0.0.1:PORT`.
    pub url: String,
    log: Arc<Mutex<Vec<String>>>,
}

impl ServerProcess {
    /// Starts `binary` with these arguments and environment (and nothing of this process' own `HEADWATER_*`), and waits
    /// until it says where it listens. Panics with what it printed when it ends before that.
    pub fn start(binary: &Path, arguments: &[&str], environment: &BTreeMap<String, String>) -> Self {
        let mut command = Command::new(binary);
        for (name, _) in std::env::vars().filter(|(name, _)| {
            name.starts_with("HEADWATER_")
                || name.starts_with("DATABASE_")
                || name.starts_with("OPENAI_")
                || name == "PORT"
        }) {
            command.env_remove(name);
        }
        let mut child = command
            .args(arguments)
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server's binary runs");
        let log = Arc::new(Mutex::new(Vec::new()));
        let (found, listening) = mpsc::channel();
        let streams: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("piped")), Box::new(child.stderr.take().expect("piped"))];
        for stream in streams {
            let (log, found) = (log.clone(), found.clone());
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if let Some(url) = listening_url(&line) {
                        let _ = found.send(url);
                    }
                    log.lock().expect("the log's lock").push(line);
                }
            });
        }
        drop(found);
        match listening.recv_timeout(Duration::from_secs(120)) {
            Ok(url) => Self { child, url, log },
            Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                panic!("the server did not come up:\n{}", log.lock().expect("the log's lock").join("\n"));
            }
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("the log's lock").join("\n")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: a plain system call; the child has not been waited for, so the pid is still its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, signal) };
    }

    /// Kills it at once, as a crash would, and waits until it is gone.
    pub fn kill9(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to stop and waits for its end. Returns its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        self.signal(libc::SIGTERM);
        self.wait()
    }

    /// Waits for its end. Returns its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        self.child.wait().ok().and_then(|status| status.code())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// Finds `http://…` in the line with which a server says that it listens.
fn listening_url(line: &str) -> Option<String> {
    let at = line.find("listening on ")? + "listening on ".len();
    let url: String = line[at..].chars().take_while(|c| !c.is_whitespace() && *c != '"').collect();
    url.starts_with("http://").then_some(url)
}
