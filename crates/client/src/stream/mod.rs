//! A stream of a run's events that resumes by itself.
//!
//! | module | holds |
//! |---|---|
//! | `sse` | the decoder of frames |
//! | `tracker` | the rules: order, gaps, what an end means |
//! | `connect` | one connection |
//! | here | the state machine that drives them |
//!
//! Holds one connection or one timer at a time, and no queue: a caller that does not poll slows only itself.

mod connect;
mod item;
mod options;
mod sse;
mod tracker;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use headwater_protocol::RunId;
use tokio::time::{Instant, Sleep};

use self::connect::{Chunks, Opened, Target, connect};
use self::sse::Decoder;
use self::tracker::{Leave, Step, Tracker};
use crate::auth::Token;
use crate::call::{Call, Failure};
use crate::retry::{Verdict, random};
use crate::{Client, Error};

pub use self::item::{EventLine, StreamItem, StreamReset};
pub use self::options::{Cursor, StreamOptions, StreamStats};

/// A run's events, each exactly once and in order, over as many connections as it takes.
///
/// Ends after the run's terminal event, or with one error. Made by [`Client::runs_stream`] and
/// [`Client::runs_create_stream`]. Dropping it closes its connection; the run goes on.
#[must_use = "nothing is sent before the stream is polled"]
pub struct RunStream {
    client: Client,
    create: Option<Box<Call>>,
    tracker: Tracker,
    decoder: Decoder,
    /// Whether the token was renewed since the last connection stood.
    renewed: bool,
    state: State,
}

enum State {
    Begin,
    Connecting(Pin<Box<dyn Future<Output = Result<Opened, Failure>> + Send>>),
    Reading(Reading),
    /// After the terminal event: what has come already is read, so that the connection can be used again.
    Draining(Chunks),
    Over,
}

struct Reading {
    bytes: Chunks,
    token: Option<Token>,
    since: Instant,
    heard: Instant,
    silence: Pin<Box<Sleep>>,
}

impl RunStream {
    pub(crate) fn read(client: Client, run: RunId, options: StreamOptions) -> Self {
        Self::new(client, Some(run), None, options)
    }

    pub(crate) fn create(client: Client, call: Call, options: StreamOptions) -> Self {
        Self::new(client, None, Some(Box::new(call.stream(None))), options)
    }

    fn new(client: Client, run: Option<RunId>, create: Option<Box<Call>>, options: StreamOptions) -> Self {
        let tracker = Tracker::new(run, options, client.inner.retry.base);
        Self { client, create, tracker, decoder: Decoder::default(), renewed: false, state: State::Begin }
    }

    /// The same stream with other options. To be used before it is first polled: it begins anew.
    pub fn with_options(self, options: StreamOptions) -> Self {
        let options = match self.create {
            Some(_) => StreamOptions { after: Cursor::Start, ..options },
            None => options,
        };
        Self::new(self.client, self.tracker.run, self.create, options)
    }

    /// The next item, or nothing once the stream has ended. Cancel-safe.
    pub async fn next_item(&mut self) -> Option<Result<StreamItem, Error>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// The run, as soon as it is known.
    pub fn run(&self) -> Option<RunId> {
        self.tracker.run
    }

    /// After which event the stream stands: give it to [`Client::runs_stream`] to go on elsewhere.
    pub fn cursor(&self) -> Cursor {
        self.tracker.cursor
    }

    /// What the stream has been through.
    pub fn stats(&self) -> StreamStats {
        self.tracker.stats
    }

    /// Begins to connect, after a pause.
    fn connect(&mut self, wait: Duration, renew: Option<Token>) {
        let target = match (self.tracker.run, &self.create) {
            (Some(run), _) => Target::Events(run, self.tracker.cursor),
            (None, Some(call)) => Target::Create(call.clone()),
            (None, None) => unreachable!("a stream without a call to make its run is made with one"),
        };
        self.state = State::Connecting(Box::pin(connect(self.client.clone(), target, wait, renew)));
    }

    /// This connection is over: plans the next one.
    fn leave(&mut self, leave: Leave) -> Result<(), Error> {
        let lived = match &self.state {
            State::Reading(reading) => reading.heard - reading.since,
            State::Begin | State::Connecting(_) | State::Draining(_) | State::Over => Duration::ZERO,
        };
        let renew = match (&leave, &mut self.state) {
            (Leave::Auth, State::Reading(reading)) => {
                Some(self.client.inner.auth.renewable(reading.token.take()).ok_or(Error::CredentialEnded)?)
            }
            _ => None,
        };
        let wait = self.tracker.on_leave(leave, lived, random())?;
        self.connect(wait, renew);
        Ok(())
    }

    /// A try to connect failed: plans the next one.
    fn refused(&mut self, failure: Failure) -> Result<(), Error> {
        match failure.verdict {
            Verdict::Retry(pause) => self.leave(Leave::Broken(failure.error, pause)),
            Verdict::Renew if !self.renewed => {
                let stale = self.client.inner.auth.renewable(failure.token).ok_or(failure.error)?;
                self.renewed = true;
                self.connect(Duration::ZERO, Some(stale));
                Ok(())
            }
            Verdict::Renew | Verdict::Final => Err(failure.error),
        }
    }

    fn opened(&mut self, opened: Opened) {
        self.state = match opened {
            Opened::Over => State::Over,
            Opened::Body(body) => {
                self.renewed = false;
                self.decoder = Decoder::default();
                self.tracker.connected(body.run, body.compacted);
                let now = Instant::now();
                let silence = Box::pin(tokio::time::sleep_until(now + self.tracker.idle()));
                State::Reading(Reading { bytes: body.bytes, token: body.token, since: now, heard: now, silence })
            }
        };
    }

    /// Reads on within a connection until there is something to do.
    fn poll_reading(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let State::Reading(reading) = &mut self.state else { unreachable!("called while reading") };
        loop {
            match self.decoder.next_frame() {
                Ok(Some(frame)) => match self.tracker.on_frame(frame) {
                    Step::Skip => continue,
                    step => return Poll::Ready(step),
                },
                Ok(None) => {}
                Err(error) => return Poll::Ready(Step::Fail(Error::decode("the stream", error))),
            }
            match reading.bytes.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(chunk))) => {
                    reading.heard = Instant::now();
                    self.tracker.stats.bytes += chunk.len() as u64;
                    self.decoder.push(chunk);
                }
                Poll::Ready(end) => {
                    if let Some(ms) = self.decoder.finish() {
                        self.tracker.on_retry(ms, false);
                    }
                    return Poll::Ready(Step::Leave(match end {
                        Some(Err(error)) => Leave::Broken(Error::transport(error), None),
                        Some(Ok(_)) | None => Leave::Eof,
                    }));
                }
                Poll::Pending => {
                    // One timer per connection, moved only when it rings.
                    ready!(reading.silence.as_mut().poll(cx));
                    let deadline = reading.heard + self.tracker.idle();
                    if deadline <= Instant::now() {
                        return Poll::Ready(Step::Leave(Leave::Broken(
                            Error::Timeout("an event or a heartbeat"),
                            None,
                        )));
                    }
                    reading.silence.as_mut().reset(deadline);
                }
            }
        }
    }

    /// The run is over; the connection may still hold a few bytes.
    fn drain(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Over) {
            State::Reading(reading) => State::Draining(reading.bytes),
            _ => State::Over,
        };
    }

    fn fail(&mut self, error: Error) -> Poll<Option<Result<StreamItem, Error>>> {
        self.state = State::Over;
        Poll::Ready(Some(Err(error)))
    }
}

impl Stream for RunStream {
    type Item = Result<StreamItem, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let going_on = match &mut this.state {
                State::Begin => {
                    this.connect(Duration::ZERO, None);
                    Ok(())
                }
                State::Connecting(connecting) => match ready!(connecting.as_mut().poll(cx)) {
                    Ok(opened) => {
                        this.opened(opened);
                        Ok(())
                    }
                    Err(failure) => this.refused(failure),
                },
                State::Reading(_) => match ready!(this.poll_reading(cx)) {
                    Step::Skip => Ok(()),
                    Step::Yield(item) => return Poll::Ready(Some(Ok(item))),
                    Step::Last(item) => {
                        this.drain();
                        return Poll::Ready(Some(Ok(item)));
                    }
                    Step::Leave(leave) => this.leave(leave),
                    Step::End => {
                        this.drain();
                        Ok(())
                    }
                    Step::Fail(error) => Err(error),
                },
                State::Draining(bytes) => {
                    if !matches!(bytes.as_mut().poll_next(cx), Poll::Ready(Some(Ok(_)))) {
                        this.state = State::Over;
                    }
                    Ok(())
                }
                State::Over => return Poll::Ready(None),
            };
            if let Err(error) = going_on {
                return this.fail(error);
            }
        }
    }
}

impl std::fmt::Debug for RunStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunStream").field("run", &self.run()).field("cursor", &self.cursor()).finish_non_exhaustive()
    }
}
