//! Calls that this process carries out itself.
//!
//! Owns what a resume repeats. A call that may be made twice is made, and its answer written; whoever takes the run over
//! makes it again. Before one that may not, the owner writes down that it begins, and looks once more whether the run is
//! still its own; if nobody then wrote down how it ended, nobody knows, and a person is asked.
//! The window that remains: a process that stands still between its last look and the first byte it sends, for longer than
//! its lease and the tool's timeout together, and then goes on.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use headwater_mcp::Progress;
use headwater_protocol::api::{ApprovalStatus, Effect, MAX_ARTIFACT_BYTES, Policy, decide, stored_len};
use headwater_protocol::event::EventBody;
use headwater_protocol::trace::TraceContext;
use headwater_protocol::{ArtifactId, CallId, ErrorCode, Problem, RunId, Scope, TenantId, ThreadId, Timestamp};
use headwater_store::UserScopedStorage;
use headwater_store::commit::{CallChange, LeaseToken, Writes};
use headwater_store::scoped::{NewArtifact, StoredCall};
use headwater_stream::WriteError;
use http::HeaderValue;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::calls::{Question, args_hash, ask};
use crate::carry::{Turn, unknown};
use crate::execute::RunState;
use crate::runtime::AgentRuntime;
use crate::step::Called;
use crate::toolbox::{Ability, Means};
use crate::{http_call, mcp_call, memory, sub_runs};

/// The largest answer that an event holds, in bytes of its JSON.
pub(crate) const LARGEST: usize = headwater_protocol::event::MAX_EVENT_BYTES - 8192;
/// What a call may take beside its own timeout: it ends by that, in its own words, or by this.
const GRACE: Duration = Duration::from_millis(500);
/// How long a server is told that a call was given up.
const FAREWELL: Duration = Duration::from_secs(2);
/// How often a lease is looked at that is not fresh.
const LOOK: Duration = Duration::from_millis(50);

/// A call to be made, with all it takes.
pub(crate) struct Errand {
    pub(crate) runtime: AgentRuntime,
    pub(crate) storage: UserScopedStorage,
    pub(crate) tenant: TenantId,
    pub(crate) run: RunId,
    /// What the run is held with.
    pub(crate) token: LeaseToken,
    pub(crate) thread: ThreadId,
    pub(crate) call: CallId,
    pub(crate) ability: Arc<Ability>,
    /// Defaults included.
    pub(crate) args: Value,
    /// Where its progress is told. What finds no room is left out.
    pub(crate) progress: mpsc::Sender<(CallId, Progress)>,
    /// Cancelled when the run is to end.
    pub(crate) cancel: CancellationToken,
    /// Its span, for whoever is called.
    pub(crate) trace: Option<TraceContext>,
}

/// What came of it.
pub(crate) struct Done {
    pub(crate) call: CallId,
    pub(crate) outcome: Result<Answered, Problem>,
    pub(crate) took: Duration,
}

/// What a tool answered.
#[derive(Debug)]
pub(crate) struct Answered {
    /// What the model sees.
    pub(crate) output: Value,
    /// What is to be kept of it beside that.
    pub(crate) whole: Option<Whole>,
}

/// An answer that is too large to be shown, or is no text.
#[derive(Debug)]
pub(crate) struct Whole {
    /// All of it.
    pub(crate) content: Bytes,
    /// What it is.
    pub(crate) media_type: String,
    /// Its place among those that are in memory.
    pub(crate) place: Option<OwnedSemaphorePermit>,
}

impl From<Value> for Answered {
    fn from(output: Value) -> Self {
        Self { output, whole: None }
    }
}

impl Errand {
    /// For whoever is called.
    pub(crate) fn traceparent(&self) -> Option<HeaderValue> {
        self.trace.and_then(|trace| HeaderValue::from_str(&trace.to_string()).ok())
    }

    async fn run(self) -> Done {
        let (call, begun, most) = (self.call, Instant::now(), self.ability.max_result_bytes.min(LARGEST));
        // For all of it, with what has to be read and asked for first: nothing of it goes on for longer.
        let limit = self.ability.timeout;
        let talk = async {
            let late = |_| {
                Problem::new(ErrorCode::ToolTimeout, format!("the tool did not answer within {} ms", limit.as_millis()))
            };
            tokio::time::timeout(limit + GRACE, self.talk()).await.map_err(late).flatten()
        };
        let outcome = tokio::select! {
            outcome = talk => outcome,
            () = self.given_up() => Err(Problem::new(ErrorCode::ToolError, "the call was given up")),
        };
        Done { call, outcome: outcome.map(|answered| bounded(answered, most)), took: begun.elapsed() }
    }

    /// When nobody waits any more. A server that is to be told so has a moment for it.
    async fn given_up(&self) {
        self.cancel.cancelled().await;
        if let Means::Mcp { .. } = self.ability.means {
            tokio::time::sleep(FAREWELL).await;
        }
    }

    async fn talk(&self) -> Result<Answered, Problem> {
        match &self.ability.means {
            Means::Http(tool) => http_call::call(self, tool).await,
            Means::Mcp { server, tool } => mcp_call::call(self, server, tool).await,
            Means::Memory(what) => {
                let of = (self.run, self.token);
                memory::act(&self.storage, of, *what, &self.args).await.map(Answered::from)
            }
            Means::Time => now(&self.args).map(Answered::from),
            Means::Client { .. } => Err(Problem::new(ErrorCode::Internal, "the application's own tools are its own")),
            Means::Agent { .. } => Err(Problem::new(ErrorCode::Internal, "an agent is called by a run of its own")),
        }
    }
}

/// An answer that fits: what is larger is shown as far as it does, and the whole is kept beside that. NUL characters, which
/// Postgres stores none of, are replaced.
pub(crate) fn bounded(Answered { mut output, whole }: Answered, most: usize) -> Answered {
    fn clean(value: &mut Value) {
        let plain = |text: &str| text.replace('\0', "\u{fffd}");
        match value {
            Value::String(text) if text.contains('\0') => *text = plain(text),
            Value::Array(items) => items.iter_mut().for_each(clean),
            Value::Object(members) => {
                if members.keys().any(|name| name.contains('\0')) {
                    *members = std::mem::take(members).into_iter().map(|(name, value)| (plain(&name), value)).collect();
                }
                members.values_mut().for_each(clean);
            }
            _ => {}
        }
    }
    clean(&mut output);
    if stored_len(&output) <= most {
        return Answered { output, whole };
    }
    let (text, media_type) = match output {
        Value::String(words) => (words, "text/plain; charset=utf-8"),
        other => (other.to_string(), "application/json"),
    };
    let output = excerpt(&text, text.len(), most);
    let kept = (text.len() <= MAX_ARTIFACT_BYTES).then(|| Whole {
        content: Bytes::from(text),
        media_type: media_type.to_owned(),
        place: None,
    });
    Answered { output, whole: whole.or(kept) }
}

/// The beginning of a text, as much of it as fits.
pub(crate) fn excerpt(whole: &str, size: usize, most: usize) -> Value {
    // As JSON writes it a character may take six bytes.
    let (mut excerpt, mut left) = (String::new(), most.saturating_sub(64));
    for c in whole.chars() {
        let bytes = match c {
            '"' | '\\' => 2,
            c if c < ' ' => 6,
            c => c.len_utf8(),
        };
        if bytes > left {
            break;
        }
        left -= bytes;
        excerpt.push(c);
    }
    serde_json::json!({"excerpt": excerpt, "cut": true, "size_bytes": size})
}

fn now(args: &Value) -> Result<Value, Problem> {
    let now = jiff::Timestamp::now();
    let utc = Timestamp(now);
    let Some(zone) = args["timezone"].as_str() else { return Ok(serde_json::json!({ "utc": utc })) };
    let local = now.in_tz(zone).map_err(|_| {
        let zone: String = zone.chars().take(64).collect();
        Problem::new(ErrorCode::ToolInvalidArgs, format!("there is no time zone {zone}"))
    })?;
    let weekday = local.strftime("%A").to_string();
    Ok(serde_json::json!({"utc": utc, "local": local.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(), "weekday": weekday}))
}

/// How a call goes on.
pub(crate) fn change(call: CallId, status: &'static str) -> CallChange {
    CallChange {
        call_id: call.uuid(),
        status,
        output: None,
        error: None,
        started: false,
        approval_id: None,
        expires_at: None,
        answered_at: None,
        artifact_id: None,
    }
}

impl RunState<'_> {
    /// Makes the calls that are to be made, and writes down how each ended, as it ends. Returns early when the run is to end.
    pub(crate) async fn perform(
        &mut self,
        rows: &[StoredCall],
        called: &mut Called,
        turn: Turn,
    ) -> Result<(), WriteError> {
        let Turn { mut events, mut writes } = turn;
        let (mut errands, mut done, mut risky) = (Vec::new(), Vec::new(), HashSet::new());
        let (progress, mut told) = mpsc::channel(64);
        // No more than go out at once: what is written down as begun has begun.
        let at_once = self.at_once();
        for row in rows.iter().filter(|row| row.status == "ready" && !sub_runs::is_one(row)).take(at_once) {
            let errand = match self.errand(row, &progress) {
                Ok(errand) => errand,
                Err(problem) => {
                    done.push(Done { call: row.call, outcome: Err(problem), took: Duration::ZERO });
                    continue;
                }
            };
            if errand.ability.effect == Effect::SideEffect {
                risky.insert(row.call);
                writes.call_changes.push(CallChange { started: true, ..change(row.call, "started") });
                events.push(EventBody::ToolProgress { call: row.call, progress: 0.0, total: None, message: None });
            }
            errands.push(errand);
        }
        if !events.is_empty() {
            self.writer.commit(events, writes).await?;
        }
        for done in done {
            self.report(Turn::default(), done, called).await?;
        }
        if !risky.is_empty() {
            self.until_fresh().await?;
        }
        let mut running = futures_util::stream::iter(errands).map(Errand::run).buffer_unordered(at_once);
        loop {
            let next = tokio::select! {
                biased;
                next = running.next() => next,
                Some((call, told)) = told.recv() => {
                    let Progress { progress, total, message } = told;
                    let message = message.map(|message| message.replace('\0', "\u{fffd}"));
                    let event = EventBody::ToolProgress { call, progress, total, message };
                    self.writer.commit(vec![event], Writes::default()).await?;
                    continue;
                }
                () = tokio::time::sleep_until(self.deadline) => return Ok(()),
                // What can be done again is done again by the next owner; what cannot is seen through.
                () = self.hold.cancelled(), if risky.is_empty() => return Err(WriteError::Fenced),
            };
            let Some(done) = next else { return Ok(()) };
            if self.cancel.is_cancelled() && done.outcome.is_err() {
                // What was given up is closed with the run.
                continue;
            }
            risky.remove(&done.call);
            self.report(Turn::default(), done, called).await?;
        }
    }

    /// How many calls may be under way.
    pub(crate) fn at_once(&self) -> usize {
        usize::try_from(self.config.limits.max_parallel_tool_calls).unwrap_or(1).max(1)
    }

    /// What is called, and with what. The arguments are those that were decided on, or the call is not made.
    pub(crate) fn permitted(&self, row: &StoredCall) -> Result<(Arc<Ability>, Value), Problem> {
        let lost = |words: &str| Problem::new(ErrorCode::Internal, words);
        let ability = self.tools.find(&row.name).ok_or_else(|| lost("the tool is gone"))?.clone();
        let args = row.final_args().ok_or_else(|| lost("the arguments are gone"))?;
        let approval = row.approval.as_ref().filter(|approval| approval.status == ApprovalStatus::Approved);
        if approval.is_some_and(|approval| approval.args_hash != args_hash(args)) {
            tracing::error!(call.id = %row.call, "the arguments of a call are not those that were approved");
            return Err(lost("the arguments are not those that were approved"));
        }
        // Whoever approved has not made the rules, and may have edited the arguments.
        if decide(ability.policy, &ability.rules, &ability.with_defaults(args), true) == Policy::Deny {
            return Err(Problem::new(ErrorCode::ToolError, "the agent's rules forbid a call with these arguments"));
        }
        let args = ability.with_defaults(args);
        Ok((ability, args))
    }

    /// All that a call takes.
    fn errand(&self, row: &StoredCall, progress: &mpsc::Sender<(CallId, Progress)>) -> Result<Errand, Problem> {
        let (ability, args) = self.permitted(row)?;
        let identity = self.writer.identity();
        Ok(Errand {
            runtime: self.runtime.clone(),
            storage: self.storage(),
            tenant: identity.tenant,
            run: identity.run,
            token: identity.token,
            thread: self.run.thread,
            call: row.call,
            args,
            ability,
            progress: progress.clone(),
            cancel: self.cancel.clone(),
            trace: self.trace.map(|trace| trace.below(row.call.uuid())),
        })
    }

    /// Until this process is sure that its lease has not run out: by a clock that goes on while the machine sleeps.
    async fn until_fresh(&self) -> Result<(), WriteError> {
        while !self.runtime.inner.parts.replica.is_fresh() {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = self.hold.cancelled() => return Err(WriteError::Fenced),
            }
        }
        Ok(())
    }

    /// Writes down how a call ended, behind what the turn has to tell.
    pub(crate) async fn report(&mut self, turn: Turn, done: Done, called: &mut Called) -> Result<(), WriteError> {
        let Turn { mut events, mut writes } = turn;
        let Done { call, outcome, took } = done;
        let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let answered_at = Some(Timestamp::now().0);
        let change = match outcome {
            Ok(Answered { output, whole }) => {
                let kept = match whole {
                    Some(whole) => self.keep(call, whole).await,
                    None => None,
                };
                let artifact = kept.as_ref().map(|(id, _)| *id);
                events.extend(kept.map(|(_, event)| event));
                events.push(EventBody::ToolCompleted { call, output: Some(output.clone()), artifact, duration_ms });
                let artifact_id = artifact.map(ArtifactId::uuid);
                CallChange { output: Some(output), answered_at, artifact_id, ..change(call, "completed") }
            }
            Err(error) => {
                events.push(EventBody::ToolFailed { call, error: error.clone(), duration_ms });
                CallChange { error: serde_json::to_value(error).ok(), answered_at, ..change(call, "failed") }
            }
        };
        writes.call_changes.push(change);
        self.writer.commit(events, writes).await?;
        called.told.push(call);
        Ok(())
    }

    /// Keeps what is too large to be shown. Where that fails there is the excerpt alone.
    async fn keep(&self, call: CallId, whole: Whole) -> Option<(ArtifactId, EventBody)> {
        let Whole { content, media_type, place } = whole;
        let id = ArtifactId::new();
        let sha256 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &content);
        let new = NewArtifact {
            id,
            run: self.writer.identity().run,
            call,
            media_type: &media_type,
            sha256: sha256.as_ref(),
            content: &content,
        };
        // As the tenant, whose artifacts are counted together; whose this one is its run says.
        let scope = Scope { tenant: self.writer.identity().tenant, user: None };
        let kept = self.runtime.inner.parts.store.scoped(scope).artifact_put(new).await;
        drop(place);
        match kept {
            Ok(true) => {
                let size_bytes = content.len() as u64;
                let (call, message, filename) = (Some(call), None, None);
                Some((id, EventBody::Artifact { artifact: id, call, message, filename, media_type, size_bytes }))
            }
            Ok(false) => {
                tracing::info!(call.id = %call, "an answer is not kept whole: its tenant has as much as may be");
                None
            }
            Err(error) => {
                tracing::warn!(call.id = %call, %error, "an answer is not kept whole");
                None
            }
        }
    }

    /// What is done about calls that somebody has begun, and of which nobody knows how they ended: once the one who began
    /// them can be doing it no more, a person is asked. Where nobody may decide, that it is unknown is the answer.
    pub(crate) async fn ask_about_unknown(
        &mut self,
        rows: &[StoredCall],
        called: &mut Called,
        turn: Turn,
    ) -> Result<(), WriteError> {
        let started = || rows.iter().filter(|row| row.status == "started");
        let lease = self.runtime.inner.options.lease;
        let wait = |row: &StoredCall| {
            let timeout = self.tools.find(&row.name).map_or(Duration::ZERO, |ability| ability.timeout);
            let ago = row.started.map_or(i64::MAX, |(_, ago)| ago).max(0).unsigned_abs();
            (lease + timeout + GRACE).saturating_sub(Duration::from_millis(ago))
        };
        let left = started().map(wait).max().unwrap_or_default();
        let Turn { mut events, mut writes } = turn;
        if !left.is_zero() {
            if !events.is_empty() {
                self.writer.commit(events, writes).await?;
            }
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                () = self.cancel.cancelled() => {}
                () = self.hold.cancelled() => return Err(WriteError::Fenced),
            }
            return Ok(());
        }
        let now = Timestamp::now();
        for row in started() {
            let ability = self.tools.find(&row.name).cloned();
            let (Some(ability), Some(args), false) =
                (ability, row.final_args(), self.config.approvals.deciders.is_empty())
            else {
                let error = unknown();
                events.push(EventBody::ToolFailed { call: row.call, error: error.clone(), duration_ms: 0 });
                called.told.push(row.call);
                writes.call_changes.push(CallChange {
                    error: serde_json::to_value(error).ok(),
                    answered_at: Some(now.0),
                    ..change(row.call, "failed")
                });
                continue;
            };
            let question = Question {
                kind: "unknown_outcome",
                call: row.call,
                name: &row.name,
                args,
                schema: &ability.parameters,
            };
            let (event, approval) = ask(self, &question, now);
            called.unresolved.push(headwater_protocol::ApprovalId::from_uuid(approval.approval_id));
            events.push(event);
            writes.call_changes.push(CallChange {
                approval_id: Some(approval.approval_id),
                expires_at: Some(approval.expires_at),
                ..change(row.call, "asked")
            });
            writes.approvals.push(approval);
        }
        self.writer.commit(events, writes).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_fits_and_can_be_stored() {
        let shown = |output: Value| bounded(output.into(), 1024).output;
        assert_eq!(shown(json!({"a": 1})), json!({"a": 1}));
        assert_eq!(shown(json!({"a\0": ["b\0"]})), json!({"a\u{fffd}": ["b\u{fffd}"]}));
        for output in [json!("\u{1}\"ü€".repeat(1000)), json!(vec!["x\n"; 2000]), json!({"k".repeat(3000): 1})] {
            let Answered { output: cut, whole } = bounded(output.into(), 1024);
            assert_eq!(whole.map(|whole| whole.content.len() as u64), cut["size_bytes"].as_u64());
            assert!(cut.to_string().len() <= 1024, "{}", cut.to_string().len());
            assert_eq!(cut["cut"], true);
            assert!(cut["size_bytes"].as_u64().is_some_and(|size| size > 1024));
        }
    }

    #[test]
    fn the_time_is_told_where_it_is_asked_for() {
        let told = now(&json!({"timezone": "Europe/Berlin"})).expect("a zone");
        assert!(
            told["local"].as_str().is_some_and(|local| local.ends_with("+01:00") || local.ends_with("+02:00")),
            "{told}"
        );
        assert!(now(&json!({})).expect("no zone")["utc"].is_string());
        assert_eq!(now(&json!({"timezone": "Mars/Base"})).expect_err("none").code, ErrorCode::ToolInvalidArgs);
    }
}
