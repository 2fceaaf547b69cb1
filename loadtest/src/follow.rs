//! A reader that comes back, each time to another server.
//!
//! Promises that a server which is away, paused or closing is just another cut, that each event counts once it is whole,
//! and that anything a client could not go on from is an error: an event twice or missing, a 404, a 204 before the end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::fleet::Fleet;
use crate::log::Log;
use crate::who::Who;
use crate::wire::Wire;
use headwater_testkit::Random;

/// The longest piece between two cuts.
const LONGEST: u64 = 8192;
/// A connection that is not made, or an answer that does not begin.
const CONNECT: Duration = Duration::from_secs(3);
/// The longest that a reader waits for the next byte. Some give up earlier: a paused server has both kinds.
const SILENCE_MS: u64 = 8000;

/// What one reader saw.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// The events.
    pub(crate) log: Log,
    /// Over how many connections.
    pub(crate) connections: u64,
    /// Why connections ended, beside being cut.
    pub(crate) ends: BTreeMap<String, u64>,
}

/// How one connection came to its end.
enum Piece {
    /// With the run.
    Over,
    /// Earlier; the reader comes back.
    Cut(Option<String>),
}

/// Reads a run to its end, over as many connections as it takes. `cuts`: cut them at random bytes.
pub(crate) async fn follow(
    fleet: &Fleet,
    who: &Who,
    run: &str,
    mut random: Random,
    cuts: bool,
    until: Instant,
) -> Result<Reading, String> {
    let mut reading = Reading { log: Log::of_any_end(), ..Reading::default() };
    loop {
        reading.connections += 1;
        let budget = cuts.then(|| random.up_to(LONGEST));
        let silence = Duration::from_millis(1000 + random.up_to(SILENCE_MS));
        let address = fleet.any(&mut random);
        match piece(address, who, run, &mut reading.log, budget, silence).await? {
            Piece::Over => return Ok(reading),
            Piece::Cut(None) => {}
            Piece::Cut(Some(why)) => *reading.ends.entry(why).or_default() += 1,
        }
        if Instant::now() > until {
            let ends = &reading.ends;
            return Err(format!(
                "the end had not come when time was up, after event {} ({ends:?})",
                reading.log.last()
            ));
        }
        tokio::time::sleep(Duration::from_millis(random.up_to(60))).await;
    }
}

/// The whole log as one server has it.
pub(crate) async fn whole(address: SocketAddr, who: &Who, run: &str) -> Result<Log, String> {
    let mut log = Log::of_any_end();
    for _ in 0..3 {
        match piece(address, who, run, &mut log, None, Duration::from_secs(20)).await? {
            Piece::Over => return Ok(log),
            Piece::Cut(_) => {}
        }
    }
    Err(format!("the whole log has no end, only {} events", log.last()))
}

async fn piece(
    address: SocketAddr,
    who: &Who,
    run: &str,
    log: &mut Log,
    budget: Option<u64>,
    silence: Duration,
) -> Result<Piece, String> {
    let cut = |why: &str| Ok(Piece::Cut(Some(why.to_owned())));
    let mut wire = match tokio::time::timeout(CONNECT, Wire::connect(address)).await {
        Ok(Ok(wire)) => wire,
        Ok(Err(_)) => return cut("no connection"),
        Err(_) => return cut("no connection in time"),
    };
    if let Some(bytes) = budget {
        wire.cut_after(bytes as usize);
    }
    log.reconnect();
    let after = log.last();
    match tokio::time::timeout(silence, wire.request(&who.events(address, run, after))).await {
        Ok(Ok(head)) if head.status == 200 => {}
        Ok(Ok(head)) if head.status >= 500 => return cut(&format!("status {}", head.status)),
        Ok(Ok(head)) => {
            let body = wire.text().await.unwrap_or_default();
            return Err(format!("status {} after event {after}: {body}", head.status));
        }
        Ok(Err(error)) => return Ok(Piece::Cut(died_of(&error))),
        Err(_) => return cut("no answer in time"),
    }
    loop {
        let mut wrong = None;
        let more = wire.body(|bytes| {
            if let Err(error) = log.feed(bytes) {
                wrong.get_or_insert(error);
            }
        });
        let more = tokio::time::timeout(silence, more).await;
        if let Some(wrong) = wrong {
            return Err(format!("from {address}, asked for what is after {after}: {wrong}"));
        }
        if log.is_over() {
            return Ok(Piece::Over);
        }
        match more {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return cut(&format!("closed in order ({})", log.closing())),
            Ok(Err(error)) => return Ok(Piece::Cut(died_of(&error))),
            Err(_) => return cut("silent for too long"),
        }
    }
}

/// `None`: it was our own doing.
fn died_of(error: &std::io::Error) -> Option<String> {
    (error.kind() != std::io::ErrorKind::ConnectionAborted || error.to_string() != "cut")
        .then(|| error.kind().to_string())
}
