//! Real servers, real processes, real downloads. Nothing waits by sleeping: ends are awaited through pipes, exit
//! statuses and (for a process that is nobody's child any more) Linux' pidfd.

mod fetched;
mod lookup;
mod places;
mod server;
mod trouble;

use std::{
    cell::RefCell,
    env, fs,
    io::Write,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::id,
    sync::atomic::{AtomicU32, Ordering},
};

use super::{EmbeddedOptions, Step, identity::Identity, paths::SOCKET, sys, wire};

/// A directory of the test's own that everybody can pass through, gone at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = env::temp_dir().join(format!("hw-{}-{number}", id()));
        fs::create_dir(&dir).expect("the temporary directory is writable");
        let scratch = Self(dir.canonicalize().expect("it was just made"));
        scratch.mode("", 0o755);
        scratch
    }

    fn path(&self, below: &str) -> PathBuf {
        if below.is_empty() { self.0.clone() } else { self.0.join(below) }
    }

    fn mode(&self, below: &str, mode: u32) {
        fs::set_permissions(self.path(below), fs::Permissions::from_mode(mode)).expect("it is ours");
    }

    fn dir(&self, below: &str) -> PathBuf {
        let dir = self.path(below);
        fs::create_dir_all(&dir).expect("the scratch directory is writable");
        dir
    }

    /// A shell script.
    fn script(&self, below: &str, text: &str) -> PathBuf {
        let file = self.path(below);
        self.dir(Path::new(below).parent().and_then(Path::to_str).expect("the path is text"));
        fs::write(&file, format!("#!/bin/sh\n{text}\n")).expect("the scratch directory is writable");
        self.mode(below, 0o755);
        file
    }

    /// A directory with the two programs, which know nothing but their version.
    fn fake_binaries(&self, below: &str, version: &str) -> PathBuf {
        for name in ["postgres", "initdb"] {
            self.script(&format!("{below}/{name}"), &format!("echo '{name} (PostgreSQL) {version} (fake)'"));
        }
        self.path(below)
    }

    fn options(&self) -> EmbeddedOptions {
        EmbeddedOptions { fsync: false, ..EmbeddedOptions::new(self.path("data")) }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn who() -> Identity {
    Identity::of_this_process().expect("there is somebody to run postgres as")
}

fn quiet(_: Step) {}

/// Remembers the steps.
#[derive(Default)]
struct Steps(RefCell<Vec<Step>>);

impl Steps {
    fn note(&self) -> impl Fn(Step) {
        |step| self.0.borrow_mut().push(step)
    }

    /// Without the download, which depends on the machine.
    fn seen(&self) -> Vec<Step> {
        self.0.borrow().iter().filter(|step| !matches!(step, Step::Fetching { .. })).cloned().collect()
    }
}

/// A superuser's session.
struct Session(UnixStream);

impl Session {
    fn open(socket_dir: &Path) -> Self {
        let mut stream = UnixStream::connect(socket_dir.join(SOCKET)).expect("the server listens");
        stream.write_all(&wire::startup("postgres", "postgres")).expect("the server reads");
        let mut session = Self(stream);
        session.rows();
        session
    }

    fn send(&mut self, sql: &str) {
        let length = u32::try_from(sql.len() + 5).expect("statements are short").to_be_bytes();
        let message = [&b"Q"[..], &length, sql.as_bytes(), &[0]].concat();
        self.0.write_all(&message).expect("the server reads");
    }

    /// Everything up to "ready", each row's columns joined by `|`.
    fn rows(&mut self) -> Vec<String> {
        let mut rows = Vec::new();
        loop {
            let (kind, body) = wire::read_message(&mut self.0).expect("the server answers");
            match kind {
                b'Z' => return rows,
                b'E' => panic!("the server said {:?}", wire::error_field(&body, b'M')),
                b'D' => rows.push(columns(&body).join("|")),
                _ => {}
            }
        }
    }

    fn query(&mut self, sql: &str) -> Vec<String> {
        self.send(sql);
        self.rows()
    }
}

fn columns(row: &[u8]) -> Vec<String> {
    let (mut rest, mut columns) = (&row[2..], Vec::new());
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
        columns.push(String::from_utf8_lossy(&tail[..length]).into_owned());
        rest = &tail[length..];
    }
    columns
}

/// A process that need not be our child.
struct Watched {
    pid: u32,
    #[cfg(target_os = "linux")]
    handle: std::os::fd::OwnedFd,
}

impl Watched {
    #[cfg(target_os = "linux")]
    fn of(pid: u32) -> Self {
        use std::os::fd::{FromRawFd, OwnedFd};
        // SAFETY: takes integers, answers with a descriptor that is ours alone or -1.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        assert!(fd >= 0, "process {pid} is there");
        // SAFETY: it was just opened, and nobody else has it.
        let handle = unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).expect("descriptors are small")) };
        Self { pid, handle }
    }

    #[cfg(target_os = "linux")]
    fn wait(self) {
        use std::os::fd::AsRawFd;
        let mut poll = libc::pollfd { fd: self.handle.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry, which outlives the call.
        let ready = unsafe { libc::poll(&raw mut poll, 1, 20_000) };
        assert_eq!(ready, 1, "process {} ended", self.pid);
    }

    #[cfg(not(target_os = "linux"))]
    fn of(pid: u32) -> Self {
        assert!(Self::exists(pid), "process {pid} is there");
        Self { pid }
    }

    /// There is nothing to wait on, so this asks until the answer is no.
    #[cfg(not(target_os = "linux"))]
    fn wait(self) {
        let start = std::time::Instant::now();
        while Self::exists(self.pid) {
            assert!(start.elapsed().as_secs() < 20, "process {} ended", self.pid);
            std::thread::yield_now();
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn exists(pid: u32) -> bool {
        let ps = std::process::Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output();
        let state = String::from_utf8(ps.expect("ps runs").stdout).expect("letters");
        !state.is_empty() && !state.starts_with('Z')
    }
}
