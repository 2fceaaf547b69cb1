//! Directories: what may be in the way of a data directory or a socket, and whose they have to be.

use std::{
    fs,
    os::unix::fs::{MetadataExt, lchown, symlink},
};

use super::{Scratch, Session, quiet, sys, who};
use crate::embedded::{
    EmbeddedError, EmbeddedPostgres, default_data_dir,
    paths::{self, Layout, SocketDir},
};

#[test]
fn something_else_in_its_place_is_left_alone() {
    let scratch = Scratch::new();
    let file = scratch.dir("data/postgres").join("letter.txt");
    fs::write(&file, "dear").expect("it is writable");
    lchown(scratch.path("data/postgres"), Some(who().uid), None).expect("ours, or we are root");
    let error = EmbeddedPostgres::start(&scratch.options(), &quiet).expect_err("that is no data directory");
    assert!(matches!(error, EmbeddedError::NotADataDirectory { .. }), "{error}");
    assert_eq!(fs::read_to_string(&file).expect("it is still there"), "dear");
}

#[test]
fn a_data_directory_of_another_version_is_an_error_that_names_both() {
    let scratch = Scratch::new();
    fs::write(scratch.dir("data/postgres").join("PG_VERSION"), "12\n").expect("it is writable");
    let mut options = scratch.options();
    options.bin_dir = Some(scratch.fake_binaries("bin", "17.1"));
    let error = EmbeddedPostgres::start(&options, &quiet).expect_err("12 is not 17");
    assert!(matches!(error, EmbeddedError::VersionMismatch { data_major: 12, .. }), "{error}");
    let message = error.to_string();
    assert!(["PostgreSQL 12", "PostgreSQL 17.1", "--reset"].iter().all(|part| message.contains(part)), "{message}");
}

/// As root a closed place is refused by name; anybody else's own closed place is the usual case.
#[test]
fn a_closed_directory_on_the_way_matters_to_root_alone() {
    let scratch = Scratch::new();
    scratch.dir("closed");
    scratch.mode("closed", 0o700);
    let mut options = scratch.options();
    options.data_dir = scratch.path("closed/below/data");
    let result = EmbeddedPostgres::start(&options, &quiet);
    if !who().switch {
        let server = result.expect("postgres starts");
        assert_eq!(Session::open(server.socket_dir()).query("select 1"), ["1"]);
        return;
    }
    let error = result.expect_err("postgres cannot get there");
    assert!(
        matches!(&error, EmbeddedError::Unreachable { blocker, .. } if *blocker == scratch.path("closed")),
        "{error}"
    );
    assert!(error.to_string().contains("--data-dir /var/lib/headwater"), "{error}");
    assert!(!scratch.path("closed/below").exists(), "nothing was made there");
    // The same for the cache.
    let mut options = scratch.options();
    options.search_system = false;
    options.cache_dir = Some(scratch.path("closed/cache"));
    if let Err(error) = EmbeddedPostgres::start(&options, &quiet) {
        let refused = matches!(error, EmbeddedError::Unreachable { .. } | EmbeddedError::NotFound { .. });
        assert!(refused, "{error}");
    } else {
        panic!("a program that postgres cannot reach was run");
    }
}

#[test]
fn root_hands_over_what_another_servers_user_left_and_nothing_else() {
    let scratch = Scratch::new();
    let who = who();
    let options = scratch.options();
    EmbeddedPostgres::start(&options, &quiet).expect("postgres starts").stop().expect("it stops in order");
    if !who.switch {
        return assert_eq!(fs::metadata(scratch.path("data/postgres/base")).expect("it is there").uid(), who.uid);
    }
    // As after a change of user ids between two images of a container.
    let mut todo = vec![scratch.path("data/postgres"), scratch.path("data/run")];
    while let Some(path) = todo.pop() {
        lchown(&path, Some(4321), Some(4321)).expect("we are root");
        todo.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
    }
    let precious = scratch.path("precious");
    fs::write(&precious, "root's").expect("it is writable");
    fs::hard_link(&precious, scratch.path("data/postgres/link")).expect("same file system");
    EmbeddedPostgres::start(&options, &quiet).expect("postgres starts").stop().expect("it stops in order");
    assert_eq!(fs::metadata(scratch.path("data/postgres/base")).expect("it is there").uid(), who.uid);
    assert_eq!(fs::metadata(&precious).expect("it is there").uid(), 0);
    // In somebody else's data directory nothing is handed over.
    lchown(scratch.path("data"), Some(4321), None).expect("we are root");
    lchown(scratch.path("data/postgres"), Some(4321), None).expect("we are root");
    let error = EmbeddedPostgres::start(&options, &quiet).expect_err("it is not root's");
    assert!(matches!(error, EmbeddedError::Foreign { owner: 4321, .. }), "{error}");
}

#[test]
fn the_socket_goes_where_it_fits() {
    let scratch = Scratch::new();
    let who = who();
    let places = [scratch.path("missing"), scratch.dir("place")];
    let make = |below: &str| {
        let layout = Layout::make(&scratch.path(below)).expect("it can be made");
        SocketDir::make_in(&layout, &who, &places).map(|dir| dir.path.clone())
    };
    // The last that fits, and the first that does not.
    let rest = paths::MAX_SOCKET_PATH - scratch.path("").as_os_str().len() - "//run/".len() - paths::SOCKET.len();
    assert_eq!(make(&"x".repeat(rest)).expect("it fits"), scratch.path(&"x".repeat(rest)).join("run"));
    let short = make(&"x".repeat(rest + 1)).expect("there is a short place");
    assert!(short.starts_with(&places[1]), "{short:?}");
    assert_eq!(make(&"x".repeat(rest + 1)).expect("again"), short, "the name depends on the path alone");
    assert_ne!(make(&"x".repeat(rest + 2)).expect("another"), short);
    // A comma would be the start of another host.
    assert!(make("a,b").expect("there is a short place").starts_with(&places[1]));
    let layout = Layout::make(&scratch.path("c,d")).expect("it can be made");
    let error = SocketDir::make_in(&layout, &who, &places[..1]).expect_err("there is no place");
    assert!(matches!(error, EmbeddedError::NoSocketDirectory { .. }), "{error}");
}

#[test]
fn a_socket_directory_of_somebody_else_is_refused() {
    let scratch = Scratch::new();
    let who = who();
    let place = scratch.dir("place");
    let layout = Layout::make(&scratch.path("a,b")).expect("it can be made");
    let make = || SocketDir::make_in(&layout, &who, std::slice::from_ref(&place));
    let path = make().expect("nothing is in the way").path.clone();
    assert!(!path.exists(), "dropped, it is gone");
    // A link, which anybody can put into a shared directory.
    symlink(scratch.dir("elsewhere"), &path).expect("the place is writable");
    assert!(matches!(make(), Err(EmbeddedError::Foreign { .. })));
    fs::remove_file(&path).expect("it is ours");
    if sys::is_root() {
        fs::create_dir(&path).expect("the place is writable");
        lchown(&path, Some(4321), Some(4321)).expect("we are root");
        let error = make().expect_err("it is not ours");
        assert!(matches!(error, EmbeddedError::Foreign { owner: 4321, .. }), "{error}");
    }
}

#[test]
fn the_default_data_directory_is_where_it_can_be_written() {
    let dir = default_data_dir();
    if sys::is_root() {
        assert_eq!(dir, std::path::Path::new("/var/lib/headwater"));
    } else {
        let there = dir.ancestors().find(|dir| dir.exists()).unwrap_or(std::path::Path::new("."));
        assert!(sys::writable(there), "{dir:?}");
    }
}
