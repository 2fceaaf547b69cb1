//! Plays a reply on a connection.
//!
//! Owns: the order of things in an answer: delays, gate, deltas, the fault, the end.
//! Promises: whatever was due before a wait has been written before the wait begins. Between waits, writes are joined.
//! Never does: decide which reply it is.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::{
    gate::Gate,
    http::{self, Conn, Gone},
    render::{self, Events, Usage},
    reply::{Delta, ErrorBody, FaultKind, Reply, Shape},
    request::{ChatRequest, Outcome},
    shared::Shared,
};

/// How an answer ended, and whether the connection may serve another request.
pub(super) struct Played {
    pub(super) outcome: Outcome,
    pub(super) reusable: bool,
}

const DONE: Played = Played { outcome: Outcome::Answered, reusable: true };
const REFUSED: Played = Played { outcome: Outcome::Refused, reusable: true };
const BROKEN: Played = Played { outcome: Outcome::Broken, reusable: true };
const CUT: Played = Played { outcome: Outcome::Broken, reusable: false };

const JSON: &str = "application/json";
const SSE: &str = "text/event-stream; charset=utf-8";
const PAGE: &[u8] = b"<!doctype html><html><head><title>Welcome</title></head><body>It works!</body></html>\n";
/// Written at once if a reply without waits grows past this.
const FLUSH: usize = 64 * 1024;

/// One call being answered.
pub(super) struct Call<'a> {
    pub(super) number: u64,
    pub(super) request: &'a ChatRequest,
    pub(super) shared: &'a Shared,
}

impl Call<'_> {
    /// Answers with `reply`.
    pub(super) async fn play(&self, conn: &mut Conn, reply: &Reply) -> Result<Played, Gone> {
        pause(conn, reply.pace.headers).await?;
        match &reply.shape {
            Shape::Completion if self.request.streams() => self.stream(conn, reply).await,
            Shape::Completion => self.whole(conn, reply).await,
            Shape::Refusal { status, error } => {
                pause(conn, reply.pace.first).await?;
                step(conn, reply).await?;
                refuse(conn, *status, error, &reply.headers).await
            }
            Shape::Garbage => {
                send_body(conn, 200, "text/html; charset=utf-8", PAGE, &reply.headers).await?;
                Ok(BROKEN)
            }
            Shape::Silence => Err(hold(conn).await),
        }
    }

    async fn stream(&self, conn: &mut Conn, reply: &Reply) -> Result<Played, Gone> {
        let events = Events::new(self.number, self.model(), self.request.wants_usage(), reply.crlf);
        let mut out = Out::new(reply, self.shared);
        let mut event = Vec::with_capacity(512);
        http::push_head(&mut out.wire, 200, SSE, None, &reply.headers);
        events.role(&mut event);
        out.push(&event);
        let fault_at = reply.fault.as_ref().map(|fault| fault.after.min(reply.deltas.len()));
        let mut due = Instant::now() + reply.pace.first;
        let waits = !reply.pace.first.is_zero() || !reply.pace.each.is_zero();
        for position in 0..=reply.deltas.len() {
            if let (Some(fault), true) = (&reply.fault, fault_at == Some(position)) {
                let next = reply.deltas.get(position);
                if let Some(played) = self.fail(conn, &mut out, &events, reply, &fault.kind, next).await? {
                    return Ok(played);
                }
            }
            let Some(delta) = reply.deltas.get(position) else { break };
            if waits && due > Instant::now() {
                out.flush(conn).await?;
                conn.wait(sleep_until(due)).await?;
            }
            due += reply.pace.each;
            out.step(conn, reply).await?;
            event.clear();
            events.delta(&mut event, delta);
            out.push(&event);
            out.deltas += 1;
            if let Some(gate) = &reply.gate {
                out.flush(conn).await?;
                gate.mark_sent();
            } else if out.wire.len() > FLUSH {
                out.flush(conn).await?;
            }
        }
        out.step(conn, reply).await?;
        event.clear();
        events.finish(&mut event, reply.finish_reason());
        out.push(&event);
        if self.request.wants_usage() && !reply.usage.withheld {
            event.clear();
            events.usage(&mut event, &self.usage(reply));
            out.push(&event);
        }
        event.clear();
        events.done(&mut event);
        out.push(&event);
        out.end(conn).await?;
        Ok(DONE)
    }

    /// Lets the fault happen. None if the stream goes on after it.
    async fn fail(
        &self,
        conn: &mut Conn,
        out: &mut Out<'_>,
        events: &Events,
        reply: &Reply,
        kind: &FaultKind,
        next: Option<&Delta>,
    ) -> Result<Option<Played>, Gone> {
        out.step(conn, reply).await?;
        let mut event = Vec::new();
        match kind {
            FaultKind::Cut | FaultKind::Reset => {
                out.flush(conn).await?;
                // Half of what would have come next, in a chunk that promises all of it.
                match next {
                    Some(delta) => events.delta(&mut event, delta),
                    None => events.finish(&mut event, reply.finish_reason()),
                }
                http::push_chunk_size(&mut out.wire, event.len());
                out.wire.extend_from_slice(&event[..event.len() / 2]);
                conn.send(&out.wire).await?;
                if matches!(kind, FaultKind::Reset) {
                    conn.reset_on_close();
                }
                Ok(Some(CUT))
            }
            FaultKind::EndWithoutDone => {
                out.end(conn).await?;
                Ok(Some(BROKEN))
            }
            FaultKind::Stall => {
                out.flush(conn).await?;
                Err(hold(conn).await)
            }
            FaultKind::ErrorEvent(error) => {
                events.raw(&mut event, &error.to_json());
                out.push(&event);
                out.end(conn).await?;
                Ok(Some(BROKEN))
            }
            FaultKind::Malformed => {
                events.raw(&mut event, b"{not json");
                out.push(&event);
                Ok(None)
            }
        }
    }

    /// The same answer to a request that did not ask for a stream, at the same pace.
    async fn whole(&self, conn: &mut Conn, reply: &Reply) -> Result<Played, Gone> {
        pause(conn, reply.pace.first).await?;
        pause(conn, reply.pace.each.saturating_mul(reply.deltas.len().saturating_sub(1) as u32)).await?;
        for _ in 0..=reply.deltas.len() {
            step(conn, reply).await?;
        }
        let usage = (!reply.usage.withheld).then(|| self.usage(reply));
        let body = |finish| render::whole(self.number, self.model(), reply, usage, finish);
        let Some(fault) = &reply.fault else {
            send_body(conn, 200, JSON, &body(Some(reply.finish_reason())), &reply.headers).await?;
            self.shared.count_tokens(reply.deltas.len());
            return Ok(DONE);
        };
        match &fault.kind {
            FaultKind::Cut | FaultKind::Reset | FaultKind::Stall => {
                let body = body(Some(reply.finish_reason()));
                let mut wire = Vec::new();
                http::push_head(&mut wire, 200, JSON, Some(body.len()), &reply.headers);
                wire.extend_from_slice(&body[..body.len() / 2]);
                conn.send(&wire).await?;
                if matches!(fault.kind, FaultKind::Stall) {
                    return Err(hold(conn).await);
                }
                if matches!(fault.kind, FaultKind::Reset) {
                    conn.reset_on_close();
                }
                return Ok(CUT);
            }
            FaultKind::EndWithoutDone => send_body(conn, 200, JSON, &body(None), &reply.headers).await?,
            FaultKind::ErrorEvent(error) => send_body(conn, 200, JSON, &error.to_json(), &reply.headers).await?,
            FaultKind::Malformed => send_body(conn, 200, JSON, b"{not json", &reply.headers).await?,
        }
        Ok(BROKEN)
    }

    fn model(&self) -> &str {
        self.request.model.as_deref().unwrap_or_default()
    }

    fn usage(&self, reply: &Reply) -> Usage {
        let thoughts = || reply.deltas.iter().filter(|delta| matches!(delta, Delta::Reasoning { .. })).count() as u64;
        let (input, output) =
            reply.usage.counts.unwrap_or_else(|| (self.request.input_tokens(), reply.deltas.len() as u64));
        let reasoning = reply.usage.reasoning.unwrap_or_else(thoughts);
        Usage { input, output, cached: reply.usage.cached, reasoning }
    }
}

/// The body of a stream on its way out.
struct Out<'a> {
    /// Framed and ready to be written.
    wire: Vec<u8>,
    /// Not framed yet, because pieces are cut at the next flush.
    unsplit: Vec<u8>,
    split: Option<usize>,
    /// Deltas in `wire` and `unsplit`, counted as produced once they are written.
    deltas: usize,
    shared: &'a Shared,
}

impl<'a> Out<'a> {
    fn new(reply: &Reply, shared: &'a Shared) -> Self {
        Self { wire: Vec::with_capacity(1024), unsplit: Vec::new(), split: reply.split, deltas: 0, shared }
    }

    fn push(&mut self, event: &[u8]) {
        if self.split.is_some() {
            self.unsplit.extend_from_slice(event);
        } else {
            http::push_chunk(&mut self.wire, event);
        }
    }

    async fn flush(&mut self, conn: &mut Conn) -> Result<(), Gone> {
        if !self.wire.is_empty() {
            conn.send(&self.wire).await?;
            self.wire.clear();
        }
        if let Some(size) = self.split {
            for piece in self.unsplit.chunks(size) {
                http::push_chunk(&mut self.wire, piece);
                conn.send(&self.wire).await?;
                self.wire.clear();
            }
            self.unsplit.clear();
        }
        self.shared.count_tokens(std::mem::take(&mut self.deltas));
        Ok(())
    }

    /// Ends the body.
    async fn end(&mut self, conn: &mut Conn) -> Result<(), Gone> {
        if self.split.is_some() {
            self.flush(conn).await?;
        }
        self.wire.extend_from_slice(http::LAST_CHUNK);
        self.flush(conn).await
    }

    /// Waits for the gate, if there is one, with everything before it written.
    async fn step(&mut self, conn: &mut Conn, reply: &Reply) -> Result<(), Gone> {
        if reply.gate.is_some() {
            self.flush(conn).await?;
        }
        step(conn, reply).await
    }
}

async fn step(conn: &mut Conn, reply: &Reply) -> Result<(), Gone> {
    match &reply.gate {
        Some(gate) => conn.wait(Gate::take(gate)).await,
        None => Ok(()),
    }
}

async fn pause(conn: &mut Conn, time: Duration) -> Result<(), Gone> {
    if time.is_zero() {
        return Ok(());
    }
    conn.wait(sleep(time)).await
}

/// Keeps the socket until the client gives up.
async fn hold(conn: &mut Conn) -> Gone {
    conn.gone().await;
    Gone
}

async fn send_body(
    conn: &mut Conn,
    status: u16,
    content_type: &str,
    body: &[u8],
    headers: &[(String, String)],
) -> Result<(), Gone> {
    let mut head = Vec::with_capacity(256);
    http::push_head(&mut head, status, content_type, Some(body.len()), headers);
    conn.send_pair(&head, body).await
}

/// Answers with an error of the dialect.
pub(super) async fn refuse(
    conn: &mut Conn,
    status: u16,
    error: &ErrorBody,
    headers: &[(String, String)],
) -> Result<Played, Gone> {
    send_body(conn, status, JSON, &error.to_json(), headers).await?;
    Ok(REFUSED)
}

/// Answers `GET /v1/models`.
pub(super) async fn list_models(conn: &mut Conn) -> Result<Played, Gone> {
    send_body(conn, 200, JSON, &render::models(), &[]).await?;
    Ok(DONE)
}
