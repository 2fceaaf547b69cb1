//! [`Alone`]: a network that one process has for itself, and roads that lead out of it.
//!
//! Owns a network namespace, the pair of cables between it and this one, and what passes over them. Promises that whatever a
//! process in there sends to anybody is seen in its counters. Takes root and iproute2: without them there is none.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinSet;

/// A network namespace with one way out.
#[derive(Debug)]
pub struct Alone {
    name: String,
    number: u32,
}

/// What a network namespace has seen, as one of its processes sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// IP packets that went out, of both versions.
    pub packets_out: u64,
    /// TCP sockets that are connected, or on their way to be or not to be.
    pub connected: usize,
    /// TCP sockets that listen.
    pub listening: usize,
}

impl Alone {
    /// Makes one. `None`: this user may not, or there is no `ip`.
    pub fn new() -> Option<Self> {
        let number = std::process::id();
        let alone = Self { name: format!("hw-alone-{number}"), number };
        let (outer, inner) = (format!("hwo{number}"), format!("hwi{number}"));
        let (here, there) = (format!("{}/30", alone.here()), format!("{}/30", alone.there()));
        let inside = format!("/proc/sys/net/ipv6/conf/{inner}/disable_ipv6");
        let steps: [&[&str]; 8] = [
            &["netns", "add", &alone.name],
            &["link", "add", &outer, "type", "veth", "peer", "name", &inner],
            &["link", "set", &inner, "netns", &alone.name],
            // What the kernel says by itself over IPv6 is nobody's sending.
            &["netns", "exec", &alone.name, "sh", "-c", &format!("echo 1 > {inside}")],
            &["addr", "add", &here, "dev", &outer],
            &["link", "set", &outer, "up"],
            &["-n", &alone.name, "addr", "add", &there, "dev", &inner],
            &["-n", &alone.name, "link", "set", &inner, "up"],
        ];
        let done = |arguments: &[&str]| {
            let made = Command::new("ip").args(arguments).output();
            made.is_ok_and(|made| made.status.success())
        };
        // Dropped half-made, it is removed.
        steps.iter().all(|step| done(step)).then_some(alone)
    }

    /// Our end of the cable.
    pub fn here(&self) -> Ipv4Addr {
        // One of the networks for testing, cut into pieces of four addresses.
        let base = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + (self.number % 32_000) * 4;
        Ipv4Addr::from(base + 1)
    }

    /// The other end.
    pub fn there(&self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.here()) + 1)
    }

    /// What begins a command in there: to be put before program and arguments of `ip`.
    pub fn inside(&self) -> [&str; 3] {
        ["netns", "exec", &self.name]
    }

    /// What was seen there until now, as this process in there sees it.
    ///
    /// # Panics
    /// When the process has ended.
    pub fn seen_by(pid: u32) -> Seen {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/net/{name}"));
        // Sockets first: whose last packet goes out between the two looks is counted, or is still there.
        let (mut connected, mut listening) = (0, 0);
        for table in ["tcp", "tcp6"] {
            let table = read(table).unwrap_or_default();
            for state in table.lines().skip(1).filter_map(|line| line.split_whitespace().nth(3)) {
                match state {
                    "0A" => listening += 1,
                    // TIME_WAIT and CLOSE: over, and silent.
                    "06" | "07" => {}
                    _ => connected += 1,
                }
            }
        }
        let snmp = read("snmp").expect("the process lives");
        let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Ip: "));
        let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        let out = names.split(' ').zip(values.split(' ')).find(|(name, _)| *name == "OutRequests");
        let v4: u64 = out.and_then(|(_, value)| value.parse().ok()).expect("the kernel counts what goes out");
        let snmp6 = read("snmp6").unwrap_or_default();
        let v6 = snmp6.lines().find_map(|line| line.strip_prefix("Ip6OutRequests")?.trim().parse::<u64>().ok());
        Seen { packets_out: v4 + v6.unwrap_or(0), connected, listening }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        // The cable goes with it.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

/// Where a road leads.
#[derive(Debug, Clone)]
pub enum Target {
    /// To a port.
    Port(SocketAddr),
    /// To a socket in the file system.
    File(PathBuf),
}

/// A port that leads somewhere else, until it is dropped.
#[derive(Debug)]
pub struct Road {
    /// Where it begins.
    pub at: SocketAddr,
    _links: JoinSet<()>,
}

impl Road {
    /// From a free port of this address.
    ///
    /// # Errors
    /// When there is none.
    pub async fn from(address: Ipv4Addr, target: Target) -> io::Result<Self> {
        let listener = TcpListener::bind((IpAddr::V4(address), 0)).await?;
        let at = listener.local_addr()?;
        let mut links = JoinSet::new();
        links.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((mut from, _)) = listener.accept().await {
                let target = target.clone();
                open.spawn(async move {
                    // However it ends, both are closed.
                    let _ = match target {
                        Target::Port(port) => match TcpStream::connect(port).await {
                            Ok(mut to) => tokio::io::copy_bidirectional(&mut from, &mut to).await,
                            Err(error) => Err(error),
                        },
                        Target::File(path) => match UnixStream::connect(path).await {
                            Ok(mut to) => tokio::io::copy_bidirectional(&mut from, &mut to).await,
                            Err(error) => Err(error),
                        },
                    };
                });
            }
        });
        Ok(Self { at, _links: links })
    }
}
