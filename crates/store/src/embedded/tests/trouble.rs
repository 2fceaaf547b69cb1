//! Something is killed, half-made, in the way, or not what it should be.

use std::{
    env,
    ffi::CString,
    fs::{self, File},
    io::{BufRead, BufReader, Read},
    os::unix::{ffi::OsStrExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio, id},
};

use super::{Scratch, Session, Watched, quiet, sys};
use crate::embedded::{
    EmbeddedError, EmbeddedOptions, EmbeddedPostgres,
    end::Watcher,
    leftovers,
    paths::{Layout, SOCKET},
};

const DATA_DIR: &str = "HW_TEST_HELPER_DATA_DIR";
const BIN_DIR: &str = "HW_TEST_HELPER_BIN_DIR";

/// Not a test: what the helper process below runs. Without its variable it does nothing.
#[test]
fn helper_process() {
    let Some(data_dir) = env::var_os(DATA_DIR) else { return };
    let mut options = EmbeddedOptions::new(data_dir);
    options.fsync = false;
    options.bin_dir = env::var_os(BIN_DIR).map(PathBuf::from);
    // From a thread that ends, as a caller's may: the server must not end with it.
    let started = std::thread::spawn(move || EmbeddedPostgres::start(&options, &quiet));
    let server = started.join().expect("no panic").expect("postgres starts");
    println!("\nhelper: {}", server.pid());
    // Until the pipe closes, which it does not before the kill.
    let _ = std::io::stdin().read(&mut [0]);
}

/// Another process that starts a server.
fn helper(data_dir: &Path, bin_dir: Option<&Path>) -> Child {
    let name = format!("{}::helper_process", module_path!().split_once("::").expect("a module of a crate").1);
    let mut command = Command::new(env::current_exe().expect("this program has a path"));
    command.args(["--exact", &name, "--nocapture"]).env(DATA_DIR, data_dir);
    if let Some(dir) = bin_dir {
        command.env(BIN_DIR, dir);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the test binary runs")
}

/// Waits until it has a server, whose process id it tells.
fn server_of(helper: &mut Child) -> u32 {
    let lines = BufReader::new(helper.stdout.take().expect("it is a pipe")).lines();
    let line = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("helper: ").map(str::to_owned));
    line.expect("the helper starts a server").parse().expect("a process id")
}

#[test]
fn killing_the_parent_leaves_no_postgres() {
    let scratch = Scratch::new();
    let mut parent = helper(&scratch.path("data"), None);
    let postmaster = server_of(&mut parent);
    // Another process is refused, and told this one's id.
    let error = EmbeddedPostgres::start(&scratch.options(), &quiet).expect_err("the directory is in use");
    assert!(matches!(error, EmbeddedError::AlreadyRunning { pid, .. } if pid == parent.id()), "{error}");

    let layout = Layout::make(&scratch.path("data")).expect("it is there");
    assert!(leftovers::servers_of(&layout).contains(&postmaster), "it can be seen");
    let mut session = Session::open(&scratch.path("data/run"));
    session.query("create table kept (n int); insert into kept values (42)");
    session.query("begin; insert into kept values (43)");
    session.send("select pg_sleep(1000)");
    let postmaster = Watched::of(postmaster);
    parent.kill().expect("it is our child");
    parent.wait().expect("it is our child");
    postmaster.wait();
    assert_eq!(leftovers::servers_of(&layout), Vec::<u32>::new());

    let server = EmbeddedPostgres::start(&scratch.options(), &quiet).expect("postgres starts again");
    assert_eq!(Session::open(server.socket_dir()).query("select n from kept"), ["42"]);
}

#[test]
fn a_start_right_after_the_kill_waits_for_the_old_server() {
    let scratch = Scratch::new();
    let mut parent = helper(&scratch.path("data"), None);
    let old = server_of(&mut parent);
    let mut busy = Session::open(&scratch.path("data/run"));
    busy.send("do $$ begin loop end loop; end $$");
    parent.kill().expect("it is our child");
    parent.wait().expect("it is our child");
    let server = EmbeddedPostgres::start(&scratch.options(), &quiet).expect("postgres starts again");
    assert_ne!(server.pid(), old);
    assert_eq!(Session::open(server.socket_dir()).query("select 1"), ["1"]);
}

#[test]
fn a_killed_server_can_be_restarted_under_the_same_address() {
    let scratch = Scratch::new();
    let mut server = EmbeddedPostgres::start(&scratch.options(), &quiet).expect("postgres starts");
    let (url, first) = (server.admin_url("postgres"), server.pid());
    // This one does not notice by itself that its postmaster is gone, and would block the next start.
    let mut busy = Session::open(server.socket_dir());
    busy.send("do $$ begin loop end loop; end $$");
    server.kill9();
    assert!(!server.is_running() && server.socket_dir().join(SOCKET).exists(), "nothing was cleaned up");
    server.restart().expect("postgres starts again");
    assert!(server.is_running() && server.pid() != first && server.admin_url("postgres") == url);
    server.restart().expect("a running one is restarted too");
    assert_eq!(Session::open(server.socket_dir()).query("select 1"), ["1"]);
}

#[test]
fn a_pid_file_of_somebody_else_is_no_hindrance() {
    let scratch = Scratch::new();
    let options = scratch.options();
    EmbeddedPostgres::start(&options, &quiet).expect("postgres starts").stop().expect("it stops in order");
    // As after a crash, with the number given away since: to this test.
    for file in ["data/postgres/postmaster.pid", "data/run/.s.PGSQL.5432.lock"] {
        let text = format!("{}\n{}\n", id(), scratch.path("data/postgres").display());
        fs::write(scratch.path(file), text).expect("it is writable");
    }
    EmbeddedPostgres::start(&options, &quiet).expect("postgres starts");
}

#[test]
fn an_interrupted_init_leaves_nothing() {
    let scratch = Scratch::new();
    let fifo = scratch.path("fifo");
    let name = CString::new(fifo.as_os_str().as_bytes()).expect("no zero in it");
    // SAFETY: a string that ends in zero and outlives the call.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o666) }, 0);
    scratch.mode("fifo", 0o666);
    // An initdb that gets half-way, says so, and is stuck there.
    let bin = scratch.fake_binaries("bin", "17.1");
    let stuck = format!(
        "case $1 in --version) echo 'initdb (PostgreSQL) 17.1'; exit;; esac\n\
         for last; do :; done\necho 17 > \"$last/PG_VERSION\"\nexec 9> '{}'\necho half >&9\nkill -STOP $$",
        fifo.display()
    );
    scratch.script("bin/initdb", &stuck);
    let mut parent = helper(&scratch.path("data"), Some(&bin));
    let mut half = BufReader::new(File::open(&fifo).expect("initdb opens it too"));
    let mut line = String::new();
    half.read_line(&mut line).expect("initdb writes");
    assert_eq!(line, "half\n");
    assert!(!scratch.path("data/postgres").exists());
    parent.kill().expect("it is our child");
    parent.wait().expect("it is our child");
    // End of file: initdb is gone, too.
    assert_eq!(half.read_to_string(&mut line).expect("a pipe can be read to its end"), 0);
    assert!(!scratch.path("data/postgres").exists());

    let server = EmbeddedPostgres::start(&scratch.options(), &quiet).expect("postgres starts");
    assert_eq!(Session::open(server.socket_dir()).query("select 1"), ["1"]);
    let names = fs::read_dir(scratch.path("data")).expect("it is there").flatten().map(|entry| entry.file_name());
    let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    assert_eq!(names, ["lock", "postgres", "postgres.log", "run"]);
}

#[test]
fn a_failing_init_says_why_and_leaves_nothing() {
    let scratch = Scratch::new();
    let mut options = scratch.options();
    options.bin_dir = Some(scratch.fake_binaries("bin", "17.1"));
    let fails = "case $1 in --version) echo 'initdb (PostgreSQL) 17.1'; exit;; esac\necho no room >&2; exit 3";
    scratch.script("bin/initdb", fails);
    let error = EmbeddedPostgres::start(&options, &quiet).expect_err("initdb fails").to_string();
    assert!(error.contains("exit status: 3") && error.contains("no room"), "{error}");
    assert!(!scratch.path("data/postgres").exists());
}

#[test]
fn a_server_that_ends_at_start_is_noticed_with_its_last_words() {
    let scratch = Scratch::new();
    let mut options = scratch.options();
    options.settings = vec![("shared_buffers".to_owned(), "many".to_owned())];
    let error = EmbeddedPostgres::start(&options, &quiet).expect_err("postgres refuses that");
    let EmbeddedError::Ended { tail, log, .. } = &error else { panic!("{error}") };
    assert!(tail.contains("shared_buffers") && !tail.contains("initialized with locale"), "{tail}");
    assert_eq!(*log, scratch.path("data/postgres.log"));
    // The lock is free again.
    EmbeddedPostgres::start(&scratch.options(), &quiet).expect("postgres starts");
}

#[test]
fn a_long_log_starts_anew() {
    let scratch = Scratch::new();
    let long = File::create(scratch.dir("data").join("postgres.log")).expect("it is writable");
    long.set_len((8 << 20) + 1).expect("a file can have a hole");
    let options = scratch.options();
    let mut server = EmbeddedPostgres::start(&options, &quiet).expect("postgres starts");
    let before = fs::metadata(server.log_path()).expect("it is there").len();
    assert!(before < 1 << 20 && scratch.path("data/postgres.log.1").exists());
    server.restart().expect("postgres starts again");
    assert!(fs::metadata(server.log_path()).expect("it is there").len() > before, "a short one is added to");
}

#[test]
fn a_watcher_ends_the_child_when_its_pipe_closes_and_not_otherwise() {
    let mut child = Command::new("sleep").arg("1000").spawn().expect("sleep runs");
    Watcher::start(child.id(), sys::SIGQUIT).expect("a shell runs").dismiss();
    assert_eq!(child.try_wait().expect("it is our child"), None);
    drop(Watcher::start(child.id(), sys::SIGKILL).expect("a shell runs"));
    assert_eq!(child.wait().expect("it is our child").signal(), Some(sys::SIGKILL));
}
