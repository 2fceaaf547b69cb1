//! `test-postgres`: a Postgres for the time of one command.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

const URL: &str = "HEADWATER_TEST_ADMIN_URL";

fn test_postgres(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_test-postgres"));
    command.args(arguments).env_remove(URL).stdin(Stdio::null());
    command
}

/// The directory of the server's socket, as a file system sees it.
fn socket_dir(url: &str) -> String {
    let (_, host) = url.split_once("host=").expect("the address names a socket");
    host.split('&').next().expect("there is a first part").replace("%2F", "/")
}

#[test]
fn the_command_has_a_postgres_and_afterwards_there_is_none() {
    // The socket's directory out of the address, and whether the socket is there while the command runs.
    let script = format!(
        r#"echo "${URL}"; dir=$(echo "${URL}" | sed 's/.*host=//; s/&.*//; s/%2F/\//g'); test -S "$dir/.s.PGSQL.5432" && exit 7"#
    );
    let output = test_postgres(&["sh", "-c", &script]).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(7), "the socket was there: {output:?}");
    let url = String::from_utf8(output.stdout).expect("text");
    let dir = socket_dir(url.trim());
    assert!(!Path::new(&dir).join(".s.PGSQL.5432").exists(), "and is gone: {url}");
    assert!(!Path::new(&dir).parent().expect("the data directory").exists(), "with all its files: {url}");
}

#[test]
fn a_given_server_is_used() {
    let output = test_postgres(&["sh", "-c", &format!("echo \"${URL}\"")])
        .env(URL, "postgres://given")
        .output()
        .expect("it runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "postgres://given\n");
}

#[test]
fn a_signal_ends_the_command_and_the_server() {
    let mut child = test_postgres(&["sh", "-c", &format!("echo \"${URL}\"; exec sleep 600")])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut url = String::new();
    BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut url).expect("text");
    // SAFETY: a plain system call; the child has not been waited for, so the pid is still its own.
    unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGTERM) };
    assert_eq!(child.wait().expect("it ends").code(), Some(128 + libc::SIGTERM));
    assert!(!Path::new(&socket_dir(url.trim())).join(".s.PGSQL.5432").exists(), "the server is gone: {url}");
}

#[test]
fn wrong_use_and_a_missing_command_are_told() {
    assert_eq!(test_postgres(&[]).output().expect("it runs").status.code(), Some(2));
    let output = test_postgres(&["/nowhere/at/all"]).env(URL, "given").output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/at/all"));
}
