//! What only the operating system knows: cores, CPU time, memory, open files. Linux alone.
//!
//! Owns every `unsafe` of this crate and every look into `/proc`.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, bail};

/// The two cores of a measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cores {
    /// The server under test, ours or the relay, alone.
    pub(crate) server: usize,
    /// Model, load generator and Postgres.
    pub(crate) load: usize,
}

impl Cores {
    /// The first two that this process may use, unless named.
    pub(crate) fn choose(server: Option<usize>, load: Option<usize>) -> anyhow::Result<Self> {
        let allowed = allowed_cores()?;
        let known = |core: usize| if allowed.contains(&core) { Ok(core) } else { bail!("there is no core {core}") };
        let server = server.or(allowed.first().copied()).context("no core is allowed")?;
        let load = match load.or_else(|| allowed.iter().copied().find(|core| *core != server)) {
            Some(load) if load != server => load,
            _ => bail!("two cores are needed: one for the server, one for everything else"),
        };
        Ok(Self { server: known(server)?, load: known(load)? })
    }
}

fn allowed_cores() -> io::Result<Vec<usize>> {
    // SAFETY: an all-zero cpu_set_t is a valid empty one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is writable and as large as said.
    if unsafe { libc::sched_getaffinity(0, size_of_val(&set), &mut set) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: every index is below CPU_SETSIZE.
    Ok((0..libc::CPU_SETSIZE as usize).filter(|core| unsafe { libc::CPU_ISSET(*core, &set) }).collect())
}

/// Keeps the calling thread, and every thread and process it starts, on one core. Allocates nothing, so that it may be
/// called between fork and exec.
pub(crate) fn pin_to(core: usize) -> io::Result<()> {
    // SAFETY: an all-zero cpu_set_t is a valid empty one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `Cores` only names cores that sched_getaffinity named.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: `set` is readable and as large as said.
    match unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Lets the command's process run on one core only, and end when this thread ends.
pub(crate) fn pin_child(command: &mut Command, core: usize) {
    let prepare = move || {
        // SAFETY: a plain system call.
        if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0 {
            return Err(io::Error::last_os_error());
        }
        pin_to(core)
    };
    // SAFETY: only system calls, which are safe between fork and exec.
    unsafe { command.pre_exec(prepare) };
}

/// What a process of ours may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// To come to an end in order.
    End,
    /// To stand still.
    Pause,
    /// To go on.
    GoOn,
}

/// Sends a process of ours a signal.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let signal = match signal {
        Signal::End => libc::SIGTERM,
        Signal::Pause => libc::SIGSTOP,
        Signal::GoOn => libc::SIGCONT,
    };
    // SAFETY: a plain system call; the caller has not waited for the child, so the pid is still its own.
    unsafe { libc::kill(pid as libc::pid_t, signal) };
}

/// Raises the limit of open files as far as allowed. Returns it.
pub(crate) fn raise_open_files() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is writable.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max.min(1 << 20);
    // SAFETY: `limit` is readable.
    match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } {
        0 => Ok(limit.rlim_cur),
        _ => Err(io::Error::last_os_error()),
    }
}

fn ticks_per_second() -> f64 {
    // SAFETY: a plain library call.
    unsafe { libc::sysconf(libc::_SC_CLK_TCK) as f64 }
}

/// CPU seconds of one process: its own, and those of children it has waited for.
#[derive(Debug, Clone, Copy)]
struct Stat {
    parent: u32,
    own: f64,
    waited_for: f64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let fields: Vec<&str> = text[text.rfind(')')? + 2..].split(' ').collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    let seconds = |first: usize| Some((number(first)? + number(first + 1)?) / ticks_per_second());
    Some(Stat { parent: number(4)? as u32, own: seconds(14)?, waited_for: seconds(16)? })
}

/// CPU seconds of a process so far.
pub(crate) fn cpu_of(pid: u32) -> f64 {
    stat(pid).map_or(0.0, |stat| stat.own)
}

/// CPU seconds so far of a process, its children, and those of them that have ended.
pub(crate) fn cpu_of_tree(root: u32) -> f64 {
    let Some(own) = stat(root) else { return 0.0 };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    own.own + own.waited_for + pids.filter_map(stat).filter(|child| child.parent == root).map(|c| c.own).sum::<f64>()
}

/// Seconds for which a core was busy so far, whoever it worked for, other machines on the same hardware included.
pub(crate) fn core_busy(core: usize) -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let name = format!("cpu{core}");
    let line = text.lines().find(|line| line.split(' ').next() == Some(&name)).unwrap_or_default();
    let fields: Vec<f64> = line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guest time is in user.
    let busy = fields.iter().take(8).sum::<f64>() - fields.get(3).unwrap_or(&0.0) - fields.get(4).unwrap_or(&0.0);
    busy / ticks_per_second()
}

/// Resident memory of a process, in KiB.
pub(crate) fn rss_kib(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
}

/// How many connections to this port of 127.0.0.1 have more than so many bytes at the port's own end that the other end
/// has not taken.
pub(crate) fn held_up(port: u16, bytes: u64) -> usize {
    let text = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    // sl local_address rem_address st tx_queue:rx_queue …
    let is_held_up = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().take(5).collect();
        let ours = fields.get(1).and_then(|local| hex(local.split_once(':')?.1)) == Some(u64::from(port));
        ours && fields.get(4).and_then(|queues| hex(queues.split_once(':')?.0)).is_some_and(|unsent| unsent > bytes)
    };
    text.lines().skip(1).filter(is_held_up).count()
}

/// The load averages, as the kernel prints them.
pub(crate) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// The name of the processor.
pub(crate) fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split(": ").nth(1));
    name.unwrap_or("unknown processor").to_owned()
}

/// Random bytes.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    use io::Read as _;
    let mut bytes = [0; N];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
