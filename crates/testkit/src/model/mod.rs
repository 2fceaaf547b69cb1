//! A scripted model behind real HTTP, in the Chat Completions dialect of OpenAI.
//!
//! Owns: [`ModelServer`], the [`Script`] it follows and the [`Reply`]s a script is made of, faults included. Tests of
//! the provider client, of the run loop and of the server use it, and so does the load test.
//! Promises: answers are byte for byte what the script says; every request is checked against the rules of the dialect
//! and refused if it breaks one, which [`ModelServer::violations`] remembers; no test needs to sleep, for there is
//! something to await ([`Gate`], [`ModelServer::wait_for`]).
//! Never does: log, reach the network, or think.
//!
//! | file | |
//! |---|---|
//! | `serve` | sockets, routes, order of checks |
//! | `http` | HTTP/1.1 on a bare socket, and why no library |
//! | `request` | the request and its rules |
//! | `script`, `reply`, `gate` | what a test writes |
//! | `play`, `render` | a reply on the wire |
//! | `load` | pre-rendered answers for thousands of streams |
//! | `shared` | counters and records |
//!
//! ```no_run
//! # async fn example() {
//! use headwater_testkit::model::{ModelServer, Reply, Script};
//!
//! let (held, gate) = Reply::text("It is sunny.").gate();
//! let model = ModelServer::start(Script::sequence([Reply::empty().tool_call("weather", r#"{"city":"Oslo"}"#), held]));
//! // … point a provider at model.base_url() and start a run …
//! model.wait_for_requests(2).await;
//! gate.pass(1);
//! gate.reached(1).await;
//! gate.open();
//! assert_eq!(model.violations(), Vec::<String>::new());
//! # }
//! ```

mod gate;
mod http;
mod load;
mod play;
mod render;
mod reply;
mod request;
mod script;
mod serve;
mod shared;
#[cfg(test)]
mod tests;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{net::TcpSocket, sync::oneshot, task::JoinHandle};

pub use self::load::TOOL;
use self::shared::Shared;
pub use self::{
    gate::Gate,
    reply::Reply,
    request::{Outcome, RecordedRequest},
    script::Script,
    shared::Counters,
};

/// How many connections may wait to be accepted; a load test opens thousands at once.
const BACKLOG: u32 = 4096;

/// A running scripted model. Dropping it closes its listener and all its connections.
#[derive(Debug)]
pub struct ModelServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl ModelServer {
    /// Starts on a free port of 127.0.0.1, in the current tokio runtime.
    #[must_use]
    pub fn start(script: impl Into<Script>) -> Self {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::start_at(any_port, script).expect("a free port on 127.0.0.1 can be listened on")
    }

    /// Starts on a given address: for a model that comes back on the port where it went away.
    pub fn start_at(address: SocketAddr, script: impl Into<Script>) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(script.into()));
        let (stop, stopped) = oneshot::channel();
        let task = serve::spawn(listener, shared.clone(), stopped);
        Ok(Self { address, shared, stop, task })
    }

    /// What a client takes as its base URL; ends in `/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Calls that begin from now on follow `script`.
    pub fn set_script(&self, script: impl Into<Script>) {
        let script = script.into();
        self.shared.change(|settings| settings.script = script);
    }

    /// From now on only `Authorization: Bearer <key>` is let in; everyone else gets 401.
    pub fn require_key(&self, key: impl Into<String>) {
        let key = key.into();
        self.shared.change(|settings| settings.key = Some(key));
    }

    /// From now on answers so many calls at a time, and refuses others with this status: a provider that is asked too much.
    /// `None`: any number, as at the start.
    pub fn takes(&self, most: Option<(usize, u16)>) {
        self.shared.change(|settings| settings.takes = most);
    }

    /// Turns the keeping of requests on (as at the start) or off. Counters and rules stay on.
    pub fn record(&self, record: bool) {
        self.shared.change(|settings| settings.record = record);
    }

    /// The calls so far, in the order they were read, each with its outcome as of now.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.requests()
    }

    /// What was wrong with the requests so far, each as `call <number>: <what>`. Empty is what a test wants to see.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.shared.violations()
    }

    /// What it did so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.counters()
    }

    /// Waits until `n` calls were read since the start, and gives what is recorded.
    pub async fn wait_for_requests(&self, n: u64) -> Vec<RecordedRequest> {
        self.wait_for(|counters| counters.started >= n).await;
        self.requests()
    }

    /// Waits until `n` clients hung up on their answers.
    pub async fn wait_for_aborts(&self, n: u64) {
        self.wait_for(|counters| counters.aborted >= n).await;
    }

    /// Waits until every call that was read has ended. A client sees the end of its answer a moment before the server
    /// has counted it, so a test asks this before it looks at counters and outcomes.
    pub async fn wait_until_idle(&self) -> Counters {
        self.wait_for(|counters| counters.in_flight() == 0).await
    }

    /// Waits until the counters satisfy `condition`. It is looked at when a call begins or ends, not at every token.
    pub async fn wait_for(&self, condition: impl Fn(&Counters) -> bool) -> Counters {
        gate::until(
            &self.shared.changed,
            || Some(self.counters()).filter(|counters| condition(counters)),
            || format!("waited in vain for the scripted model: {:?}", self.counters()),
        )
        .await
    }

    /// Stops, and comes back when its port is free and its connections are closed.
    pub async fn stop(self) {
        drop(self.stop);
        let _ = self.task.await;
    }
}

/// How long a `load-<tokens>x<delay_ms>` call takes if nothing is ever late: the first token comes at once, the end
/// comes with the last.
#[must_use]
pub const fn ideal(tokens: usize, delay_ms: u64) -> Duration {
    Duration::from_millis((tokens as u64).saturating_sub(1).saturating_mul(delay_ms))
}
