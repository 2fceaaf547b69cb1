//! A server comes up, is private, answers, and goes.

use std::{fs, os::unix::fs::PermissionsExt, process::id};

use super::{Scratch, Session, Steps, Watched, quiet};
use crate::embedded::{EmbeddedError, EmbeddedPostgres, Step, paths, reset};

#[test]
fn it_starts_answers_stops_and_starts_again() {
    let scratch = Scratch::new();
    let mut options = scratch.options();
    options.settings =
        vec![("work_mem".to_owned(), "64MB".to_owned()), ("max_connections".to_owned(), "50".to_owned())];
    let steps = Steps::default();
    let server = EmbeddedPostgres::start(&options, &steps.note()).expect("postgres starts");
    assert_eq!(steps.seen(), [Step::Looking, Step::InitDb, Step::Starting, Step::Ready]);
    assert!(server.is_running());

    let mut session = Session::open(server.socket_dir());
    let facts = session.query(
        "select current_user, rolsuper, current_setting('listen_addresses'), current_setting('fsync'), \
         current_setting('work_mem'), current_setting('max_connections'), current_setting('TimeZone'), \
         current_setting('jit'), current_setting('server_encoding') from pg_roles where rolname = current_user",
    );
    assert_eq!(facts, ["postgres|t||off|64MB|50|UTC|off|UTF8"], "the caller's settings come last");
    session.query("create table kept (n int); insert into kept values (42)");
    // The superuser's only session is this one: the readiness probe has closed its own.
    let others =
        "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()";
    assert_eq!(session.query(others), ["0"]);

    let socket_dir = fs::metadata(server.socket_dir()).expect("it is there");
    assert_eq!(socket_dir.permissions().mode() & 0o777, 0o700);
    let url = server.admin_url("some db");
    assert!(url.starts_with("postgresql:///some%20db?host=%2F") && url.ends_with("%2Frun&user=postgres"), "{url}");

    server.stop().expect("it stops in order");
    assert!(!scratch.path("data/postgres/postmaster.pid").exists());

    let steps = Steps::default();
    let server = EmbeddedPostgres::start(&options, &steps.note()).expect("postgres starts again");
    assert_eq!(steps.seen(), [Step::Looking, Step::Starting, Step::Ready]);
    assert_eq!(Session::open(server.socket_dir()).query("select n from kept"), ["42"]);
}

#[cfg(target_os = "linux")]
#[test]
fn it_has_no_roots_rights_and_none_of_our_environment() {
    let scratch = Scratch::new();
    let server = EmbeddedPostgres::start(&scratch.options(), &quiet).expect("postgres starts");
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("it runs");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel tells");
        line.split_whitespace().map(|id| id.parse().expect("a number")).collect::<Vec<u32>>()
    };
    let who = super::who();
    assert_ne!(who.uid, 0);
    assert_eq!(field("Uid:"), [who.uid; 4]);
    if who.switch {
        assert_eq!(field("Gid:"), [who.gid; 4]);
        assert_eq!(field("Groups:"), Vec::<u32>::new(), "root's groups are gone");
    }
    let environment = fs::read(format!("/proc/{}/environ", server.pid())).expect("it is readable for its user");
    let environment = String::from_utf8_lossy(&environment).into_owned();
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some() && !environment.contains("CARGO_MANIFEST_DIR"));
}

#[test]
fn a_second_start_is_refused_and_told_why() {
    let scratch = Scratch::new();
    let server = EmbeddedPostgres::start(&scratch.options(), &quiet).expect("postgres starts");
    let error = EmbeddedPostgres::start(&scratch.options(), &quiet).expect_err("the directory is in use");
    assert!(matches!(error, EmbeddedError::AlreadyRunning { pid, .. } if pid == id()), "{error}");
    let message = error.to_string();
    assert!(message.contains(&format!("pid {}", id())) && message.contains("--data-dir"), "{message}");
    assert!(matches!(reset(&scratch.path("data")), Err(EmbeddedError::AlreadyRunning { .. })));
    assert!(Session::open(server.socket_dir()).query("select 1") == ["1"], "the first one is not disturbed");

    drop(server);
    reset(&scratch.path("data")).expect("nobody uses it now");
    assert!(!scratch.path("data/postgres").exists());
    let steps = Steps::default();
    EmbeddedPostgres::start(&scratch.options(), &steps.note()).expect("postgres starts");
    assert!(steps.seen().contains(&Step::InitDb), "the data is new");
}

#[test]
fn an_odd_path_works() {
    let scratch = Scratch::new();
    let mut options = scratch.options();
    options.data_dir = scratch.path("a \"b\" 'c' 100% \\ ü");
    let server = EmbeddedPostgres::start(&options, &quiet).expect("postgres starts");
    assert!(server.socket_dir().starts_with(&options.data_dir));
    assert_eq!(Session::open(server.socket_dir()).query("select 1"), ["1"]);
    let host = "%2Fa%20%22b%22%20%27c%27%20100%25%20%5C%20%C3%BC%2Frun";
    assert!(server.admin_url("x").contains(host), "{}", server.admin_url("x"));
}

#[test]
fn a_path_too_long_for_a_socket_gets_a_short_one() {
    let scratch = Scratch::new();
    let mut options = scratch.options();
    options.data_dir = scratch.path(&"long/".repeat(30));
    let server = EmbeddedPostgres::start(&options, &quiet).expect("postgres starts");
    let socket_dir = server.socket_dir().to_path_buf();
    assert!(!socket_dir.starts_with(scratch.path("")));
    assert!(socket_dir.join(paths::SOCKET).as_os_str().len() <= paths::MAX_SOCKET_PATH);
    let mode = fs::metadata(&socket_dir).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(Session::open(&socket_dir).query("select 1"), ["1"]);
    server.stop().expect("it stops in order");
    assert!(!socket_dir.exists(), "it is not left lying about");
}

#[test]
fn it_stops_however_busy_its_clients_are() {
    let scratch = Scratch::new();
    let server = EmbeddedPostgres::start(&scratch.options(), &quiet).expect("postgres starts");
    let mut busy = Session::open(server.socket_dir());
    busy.query("begin");
    busy.send("select pg_sleep(1000)");
    let process = Watched::of(server.pid());
    server.stop().expect("it stops in order");
    process.wait();
}
