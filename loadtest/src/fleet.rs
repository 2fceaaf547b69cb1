//! Several servers on one database, that are killed, paused, replaced and come back.
//!
//! Owns the processes and the list of what was done to them and when. Promises that every act is in that list with a time
//! taken before it, and that a server which ended unasked is told of. Never decides what is done next: scenarios do.

use std::net::SocketAddr;
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use headwater_client::protocol::Timestamp;

use crate::child::Process;
use crate::ground::Launcher;
use crate::sys::Signal;
use crate::wire::Wire;
use headwater_testkit::Random;

/// How long a server may take until it says that it is ready.
const READY: Duration = Duration::from_secs(30);

/// What was done to a server, or to Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// kill -9.
    Kill,
    /// SIGSTOP for longer than its lease.
    Pause,
    /// SIGTERM.
    End,
    /// Postgres was killed and started again.
    Postgres,
}

/// One act.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Act {
    /// What.
    pub(crate) kind: Kind,
    /// When, in milliseconds since 1970, as in the events.
    pub(crate) at: i64,
    /// To which server.
    pub(crate) place: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It serves, as far as we know.
    Up,
    /// It stands still.
    Paused,
    /// It is gone or on its way out.
    Away,
}

#[derive(Debug)]
struct Place {
    process: Option<Process>,
    /// Of the last process here, which may be gone: clients do not know that either.
    address: SocketAddr,
    state: State,
}

/// The servers.
#[derive(Debug)]
pub(crate) struct Fleet {
    launcher: Launcher,
    environment: Vec<(String, String)>,
    places: Mutex<Vec<Place>>,
    acts: Mutex<Vec<Act>>,
    wrong: Mutex<Vec<String>>,
}

impl Fleet {
    /// Starts so many.
    pub(crate) async fn start(
        launcher: Launcher,
        servers: usize,
        environment: Vec<(String, String)>,
    ) -> anyhow::Result<Self> {
        let mut places = Vec::new();
        for _ in 0..servers {
            let process = launcher.start(&environment).await?;
            places.push(Place { address: process.address, process: Some(process), state: State::Up });
        }
        let (places, acts, wrong) = (Mutex::new(places), Mutex::default(), Mutex::default());
        let fleet = Self { launcher, environment, places, acts, wrong };
        for address in fleet.addresses() {
            ready(address).await?;
        }
        Ok(fleet)
    }

    fn places(&self) -> MutexGuard<'_, Vec<Place>> {
        self.places.lock().expect("nobody panics with the places")
    }

    /// How many places there are.
    pub(crate) fn len(&self) -> usize {
        self.places().len()
    }

    /// Where they all are, those too that are away.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.places().iter().map(|place| place.address).collect()
    }

    /// One of all.
    pub(crate) fn any(&self, random: &mut Random) -> SocketAddr {
        random.one_of(&self.addresses()).expect("a fleet has servers")
    }

    /// Places whose server is up.
    pub(crate) fn up(&self) -> Vec<usize> {
        self.places().iter().enumerate().filter(|(_, place)| place.state == State::Up).map(|(at, _)| at).collect()
    }

    /// What was done so far.
    pub(crate) fn acts(&self) -> Vec<Act> {
        self.acts.lock().expect("nobody panics with the acts").clone()
    }

    /// The same in words, since that moment.
    pub(crate) fn acts_told(&self, since: i64) -> String {
        let told = |act: &Act| {
            let what = match act.kind {
                Kind::Kill => "kill -9",
                Kind::Pause => "SIGSTOP",
                Kind::End => "SIGTERM",
                Kind::Postgres => "kill -9 of Postgres",
            };
            let whom = act.place.map(|place| format!(" {place}")).unwrap_or_default();
            format!("+{:.1} {what}{whom}", (act.at - since) as f64 / 1000.0)
        };
        self.acts().iter().map(told).collect::<Vec<_>>().join(", ")
    }

    /// What servers did that they should not have.
    pub(crate) fn wrong(&self) -> Vec<String> {
        self.wrong.lock().expect("nobody panics with it").clone()
    }

    fn blame(&self, words: String) {
        self.wrong.lock().expect("nobody panics with it").push(words);
    }

    /// Writes down that something is done now.
    pub(crate) fn note(&self, kind: Kind, place: Option<usize>) {
        let act = Act { kind, at: Timestamp::now().ms(), place };
        self.acts.lock().expect("nobody panics with the acts").push(act);
    }

    /// Notices servers that ended unasked, and starts them again.
    pub(crate) async fn look(&self) -> anyhow::Result<()> {
        for place in self.up() {
            let gone = match &mut self.places()[place].process {
                Some(process) => process.check().err().map(|error| (error, process.log().display().to_string())),
                None => None,
            };
            if let Some((error, log)) = gone {
                self.blame(format!("a server ended unasked ({log}): {error}"));
                self.launch(place).await?;
            }
        }
        Ok(())
    }

    /// A fresh server for a place. Whatever was there is killed.
    pub(crate) async fn launch(&self, place: usize) -> anyhow::Result<()> {
        // One that does not come up while Postgres is away is started again, as whoever runs servers would.
        let began = Instant::now();
        let process = loop {
            match self.launcher.start(&self.environment).await {
                Ok(process) => break process,
                Err(error) if began.elapsed() > READY => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(300)).await,
            }
        };
        ready(process.address).await?;
        let fresh = Place { address: process.address, process: Some(process), state: State::Up };
        self.places()[place] = fresh;
        Ok(())
    }

    /// kill -9.
    pub(crate) fn kill(&self, place: usize) {
        self.note(Kind::Kill, Some(place));
        let mut places = self.places();
        places[place].state = State::Away;
        // Dropping kills and reaps.
        places[place].process = None;
    }

    /// SIGSTOP.
    pub(crate) fn pause(&self, place: usize) {
        self.note(Kind::Pause, Some(place));
        self.tell(place, Signal::Pause, State::Paused);
    }

    /// SIGCONT.
    pub(crate) fn go_on(&self, place: usize) {
        self.tell(place, Signal::GoOn, State::Up);
    }

    fn tell(&self, place: usize, signal: Signal, state: State) {
        let place = &mut self.places()[place];
        place.state = state;
        if let Some(process) = &place.process {
            process.signal(signal);
        }
    }

    /// SIGTERM, and waits for its end, which must be one of success.
    pub(crate) async fn end(&self, place: usize) -> anyhow::Result<()> {
        let process = {
            let mut places = self.places();
            places[place].state = State::Away;
            places[place].process.take()
        };
        let process = process.context("no server to end")?;
        self.note(Kind::End, Some(place));
        self.ends(process).await
    }

    async fn ends(&self, process: Process) -> anyhow::Result<()> {
        let (pid, log) = (process.pid(), process.log().display().to_string());
        match process.end().await? {
            Some(status) if status.success() => {}
            Some(status) => self.blame(status_words(pid, &log, status)),
            None => self.blame(format!("server {pid} ({log}) did not end after SIGTERM")),
        }
        Ok(())
    }

    /// A deploy of one place: the new server is ready before the old one is asked to end.
    pub(crate) async fn replace(&self, place: usize) -> anyhow::Result<()> {
        let old = self.places()[place].process.take().context("no server to replace")?;
        let launched = self.launch(place).await;
        self.note(Kind::End, Some(place));
        self.ends(old).await?;
        launched
    }

    /// Stops them all.
    pub(crate) async fn stop(&self) -> anyhow::Result<()> {
        for place in 0..self.len() {
            let process = self.places()[place].process.take();
            if let Some(process) = process {
                self.ends(process).await?;
            }
        }
        Ok(())
    }
}

fn status_words(pid: u32, log: &str, status: ExitStatus) -> String {
    format!("server {pid} ({log}) ended after SIGTERM with {status}")
}

/// Waits until a server says that it can work.
async fn ready(address: SocketAddr) -> anyhow::Result<()> {
    let began = Instant::now();
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    loop {
        let answer = async { Wire::connect(address).await?.request(request.as_bytes()).await };
        if tokio::time::timeout(Duration::from_secs(5), answer)
            .await
            .is_ok_and(|head| head.is_ok_and(|h| h.status == 200))
        {
            return Ok(());
        }
        if began.elapsed() > READY {
            bail!("a server at {address} did not become ready");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
