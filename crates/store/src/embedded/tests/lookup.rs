//! The order of the search, and what does not count.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::{Scratch, quiet, sys, who};
use crate::embedded::{
    BinarySource, EmbeddedError, EmbeddedOptions,
    binaries::{Search, install_advice_for, probe, version_in, versions_in},
};

fn nothing(scratch: &Scratch) -> Search {
    Search {
        given: None,
        path: Vec::new(),
        installed: Vec::new(),
        cache: scratch.path("cache"),
        npm: None,
        pin: None,
        pgdata: scratch.path("data/postgres"),
    }
}

/// Two files that can be executed and are no scripts; on `PATH` no more is looked at before they are run.
fn mute_binaries(scratch: &Scratch, below: &str) -> PathBuf {
    let dir = scratch.fake_binaries(below, "1");
    for name in ["postgres", "initdb"] {
        fs::write(dir.join(name), "mute").expect("it is writable");
    }
    dir
}

#[test]
fn the_order_is_path_then_installed_highest_first_then_cache() {
    let scratch = Scratch::new();
    for version in ["9.6", "15", "17", "18-old", "notes"] {
        scratch.fake_binaries(&format!("lib/{version}/bin"), "1");
    }
    scratch.fake_binaries("cache/postgres/17.9.0-beta.1-x/bin", "1");
    scratch.fake_binaries("cache/postgres/17.10.0-beta.1-x/bin", "1");
    scratch.fake_binaries("cache/postgres/unfinished-1/bin", "1");
    let mut search = nothing(&scratch);
    search.path = vec![scratch.dir("empty"), mute_binaries(&scratch, "path")];
    search.installed = versions_in(&scratch.path("lib"), "").into_iter().map(|dir| dir.join("bin")).collect();
    let expected = [
        (BinarySource::Path, "path"),
        (BinarySource::Installed, "lib/18-old/bin"),
        (BinarySource::Installed, "lib/17/bin"),
        (BinarySource::Installed, "lib/15/bin"),
        (BinarySource::Installed, "lib/9.6/bin"),
        (BinarySource::Cache, "cache/postgres/17.10.0-beta.1-x/bin"),
        (BinarySource::Cache, "cache/postgres/17.9.0-beta.1-x/bin"),
    ];
    let expected: Vec<_> = expected.iter().map(|(source, dir)| (*source, scratch.path(dir))).collect();
    assert_eq!(search.candidates().collect::<Vec<_>>(), expected);
}

#[test]
fn on_path_both_programs_count_where_they_really_are_and_scripts_do_not() {
    let scratch = Scratch::new();
    let real = mute_binaries(&scratch, "real");
    let linked = scratch.dir("linked");
    for name in ["postgres", "initdb"] {
        symlink(real.join(name), linked.join(name)).expect("it is writable");
    }
    let only_initdb = scratch.dir("only-initdb");
    symlink(real.join("initdb"), only_initdb.join("initdb")).expect("it is writable");
    let mut search = nothing(&scratch);
    search.path = vec![only_initdb, scratch.fake_binaries("shims", "17.1"), linked];
    assert_eq!(search.candidates().collect::<Vec<_>>(), [(BinarySource::Path, real)]);
}

#[test]
fn what_is_too_old_or_does_not_run_is_passed_over() {
    let scratch = Scratch::new();
    let mut search = nothing(&scratch);
    let broken = scratch.fake_binaries("broken", "17.1");
    scratch.script("broken/postgres", "echo 'no such library' >&2; exit 127");
    let torn = scratch.fake_binaries("torn", "17.1");
    scratch.script("torn/initdb", "echo 'initdb (PostgreSQL) 16.4'");
    let old = scratch.fake_binaries("old", "14.3");
    search.installed = vec![broken.clone(), torn, old];
    let error = search.run(&who(), &quiet).expect_err("none of them will do").to_string();
    assert!(error.contains("PostgreSQL 14.3") && error.contains("DATABASE_URL"), "{error}");

    search.installed.push(scratch.fake_binaries("good", "15.1"));
    search.installed.push(scratch.fake_binaries("better", "18.1"));
    let found = search.run(&who(), &quiet).expect("one will do");
    assert_eq!((found.version.as_str(), found.major, found.source), ("15.1", 15, BinarySource::Installed));
    let why = probe(&broken, BinarySource::Installed, &who()).expect_err("it does not run");
    assert!(why.contains("no such library"), "{why}");
}

#[test]
fn data_that_is_there_gets_its_own_major() {
    let scratch = Scratch::new();
    fs::write(scratch.dir("data/postgres").join("PG_VERSION"), "16\n").expect("it is writable");
    let mut search = nothing(&scratch);
    search.installed = vec![scratch.fake_binaries("a", "17.2"), scratch.fake_binaries("b", "15.1")];
    let error = search.run(&who(), &quiet).expect_err("there is no 16").to_string();
    let parts = ["PostgreSQL 16", "PostgreSQL 17.2", "PostgreSQL 15.1", "--reset"];
    assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    search.installed.push(scratch.fake_binaries("c", "16.9"));
    assert_eq!(search.run(&who(), &quiet).expect("there is one").version, "16.9");
}

#[test]
fn the_directory_that_was_named_is_the_one_or_an_error() {
    let scratch = Scratch::new();
    let mut search = nothing(&scratch);
    search.installed = vec![scratch.fake_binaries("good", "17.1")];
    search.given = Some(scratch.dir("empty"));
    let error = search.run(&who(), &quiet).expect_err("there is nothing in it");
    assert!(matches!(error, EmbeddedError::BadBinDir { .. }), "{error}");
    search.given = Some(scratch.fake_binaries("old", "13.1"));
    let error = search.run(&who(), &quiet).expect_err("it is too old").to_string();
    assert!(error.contains("13.1") && error.contains("15 or newer"), "{error}");
    search.given = Some(scratch.fake_binaries("given", "18beta2"));
    let found = search.run(&who(), &quiet).expect("it will do");
    assert_eq!((found.major, found.source), (18, BinarySource::Given));
}

#[test]
fn without_the_system_only_cache_and_npm_are_left() {
    let mut options = EmbeddedOptions::new("data");
    options.search_system = false;
    options.cache_dir = Some(PathBuf::from("cache"));
    let search = Search::of_this_process(&options);
    assert!(search.given.is_none() && search.path.is_empty() && search.installed.is_empty());
    assert!(search.cache.is_absolute(), "what is in it is run from another directory");
    options.bin_dir = Some(PathBuf::from("/given"));
    assert_eq!(Search::of_this_process(&options).given.as_deref(), Some(Path::new("/given")));
}

#[test]
fn the_advice_fits_the_system() {
    let advice = |os: &str, release: &str, root: bool| install_advice_for(os, release, None, root);
    let table = [
        ("linux", "ID=debian\nVERSION_ID=\"12\"", true, "run `apt-get install -y postgresql`"),
        ("linux", "ID=debian\nVERSION_ID=\"11\"", true, "run `apt-get install -y npm`"),
        ("linux", "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"24.04\"", false, "run `sudo apt-get install -y postgresql`"),
        ("linux", "ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"22.04\"", true, "run `apt-get install -y npm`"),
        (
            "linux",
            "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\nVERSION_ID=\"22\"",
            true,
            "run `apt-get install -y postgresql`",
        ),
        ("linux", "ID=fedora\nVERSION_ID=43", true, "run `dnf install -y postgresql-server`"),
        (
            "linux",
            "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"",
            true,
            "run `dnf module install -y postgresql:16/server`",
        ),
        ("linux", "ID=alpine\nVERSION_ID=3.22", true, "run `apk add postgresql`"),
        ("linux", "", true, "install PostgreSQL 17 with your package manager"),
        ("macos", "", false, "run `brew install postgresql@17`"),
    ];
    for (os, release, root, expected) in table {
        assert_eq!(advice(os, release, root), expected, "{release}");
    }
    assert_eq!(install_advice_for("macos", "", Some(18), sys::is_root()), "run `brew install postgresql@18`");
    for (release, wanted, expected) in [
        ("ID=debian\nVERSION_ID=\"12\"", 15, "run `apt-get install -y postgresql-15`"),
        ("ID=debian\nVERSION_ID=\"12\"", 17, "run `apt-get install -y npm`"),
        ("ID=ubuntu\nID_LIKE=debian\nVERSION_ID=\"24.04\"", 15, "install PostgreSQL 15 with your package manager"),
        ("ID=fedora\nVERSION_ID=43", 15, "install PostgreSQL 15 with your package manager"),
    ] {
        assert_eq!(install_advice_for("linux", release, Some(wanted), true), expected, "{release}");
    }
}

#[test]
fn a_version_is_read_from_what_the_programs_say() {
    assert_eq!(version_in("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some("15.18"));
    assert_eq!(version_in("initdb (PostgreSQL) 18beta1\n"), Some("18beta1"));
    assert_eq!(version_in("command not found"), None);
}
