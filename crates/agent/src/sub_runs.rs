//! Calls of other agents: each is carried out by a run of its own.
//!
//! Owns beginning such runs, and what they come to for the run that waits for them. Promises one run per call, however often
//! the process dies that begins it: the database holds that. The one that waits is suspended, so that a deep tree of runs
//! takes no place that its leaves need. What a run spends is in its own ledger rows, and counts into its parent's totals in
//! the commit that tells of its end.

use std::time::Duration;

use headwater_protocol::api::{Agent, Effect, OnConflict, OnDisconnect, Overrides, RunStatus};
use headwater_protocol::event::{Actor, EventBody, problem_for_user};
use headwater_protocol::message::{Metadata, Part};
use headwater_protocol::{AgentId, CallId, ErrorCode, Problem, RunId, Scope, TenantId, Timestamp, UserId};
use headwater_store::scoped::{StoredCall, SubRun};
use headwater_stream::{RunIdentity, WriteError};
use serde_json::Value;

use crate::accept::{Accepted, NewRunRequest, OfCall, ThreadTarget};
use crate::carry::Turn;
use crate::execute::RunState;
use crate::perform::{Answered, Done, LARGEST, bounded, change};
use crate::runtime::AgentRuntime;
use crate::step::Called;
use crate::toolbox::{AGENT, Means};

/// How often an agent is read anew that is changed at the same time.
const READS: usize = 3;

/// Whether a call is one of an agent.
pub(crate) fn is_one(row: &StoredCall) -> bool {
    row.kind.as_deref() == Some(AGENT)
}

/// The calls about which something is to be done: whose run has ended or is gone, and whose run is to begin, as long as no
/// more than so many are under way.
pub(crate) fn due(rows: &[StoredCall], at_once: usize) -> impl Iterator<Item = &StoredCall> {
    let is_over = |row: &&StoredCall| row.sub_run.as_ref().is_none_or(|sub| sub.status.is_terminal());
    let pending = || rows.iter().filter(|row| is_one(row) && row.status == "pending");
    let room = at_once.saturating_sub(pending().filter(|row| !is_over(row)).count());
    let begin = rows.iter().filter(|row| is_one(row) && row.status == "ready").take(room);
    pending().filter(is_over).chain(begin)
}

/// What the log of a run that ends has to tell of a call's run that it has not told: nothing of one that goes on.
pub(crate) fn told(row: &StoredCall) -> Vec<EventBody> {
    let Some(sub) = row.sub_run.as_ref().filter(|sub| sub.status.is_terminal()) else { return Vec::new() };
    match row.status.as_str() {
        "pending" => vec![finished(row.call, sub)],
        // Made by an owner that died before it could say so.
        "ready" => vec![started(row.call, sub.run, sub.agent), finished(row.call, sub)],
        _ => Vec::new(),
    }
}

fn started(call: CallId, run: RunId, (agent, agent_version): (AgentId, i32)) -> EventBody {
    EventBody::SubRunStarted { call, sub_run: run, agent, agent_version }
}

/// The end of a run that carried out a call, as its parent's log tells it.
fn finished(call: CallId, sub: &SubRun) -> EventBody {
    let SubRun { run, status, usage, cost, cost_estimated: estimated, .. } = *sub;
    EventBody::SubRunFinished { call, sub_run: run, status, usage, cost, estimated }
}

/// What a run that has ended comes to, as the answer of a tool.
fn answer(sub: Option<&SubRun>) -> Result<Answered, Problem> {
    let failed = |words: String| Err(Problem::new(ErrorCode::ToolError, words));
    let Some(sub) = sub else { return failed("the agent's run was erased".into()) };
    match (sub.status, &sub.result) {
        (RunStatus::Completed, Some(result)) => {
            let output = result.json.clone().unwrap_or_else(|| Value::from(result.text.as_str()));
            Ok(Answered::from(output))
        }
        (RunStatus::Cancelled, _) => failed("the agent's run was cancelled".into()),
        _ => {
            // What a provider said is for the tenant, who reads it in that run.
            let error = sub.error.clone().map(problem_for_user);
            let code = error.as_ref().map_or("internal", |error| error.code.as_str());
            let detail = error.as_ref().and_then(|error| error.detail.as_deref());
            failed(match detail {
                Some(detail) => format!("the agent's run failed ({code}): {detail}"),
                None => format!("the agent's run failed ({code})"),
            })
        }
    }
}

impl AgentRuntime {
    /// Wakes a run, if there is one, that waits for one that has just ended. In a task of its own: what fails is found by the
    /// next sweep.
    pub(crate) fn wake_parent(&self, tenant: TenantId, user: UserId, parent: Option<RunId>) {
        let Some(parent) = parent else { return };
        let runtime = self.clone();
        self.spawn("wake", async move {
            let storage = runtime.inner.parts.store.scoped(Scope { tenant, user: Some(user) });
            match storage.run_wake_parent(parent).await {
                Ok(true) => runtime.go_on(),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, run.id = %parent, "a run is not woken yet; the next sweep does it")
                }
            }
        });
    }

    /// Ends the runs that carry out calls of one that is over.
    pub(crate) fn end_sub_runs(&self, parent: RunIdentity, rows: &[StoredCall]) {
        let live = rows.iter().filter_map(|row| row.sub_run.as_ref()).filter(|sub| !sub.status.is_terminal());
        let scope = Scope { tenant: parent.tenant, user: Some(parent.user) };
        self.end_all(scope, live.map(|sub| sub.run).collect(), || Actor::system("parent_ended"));
    }
}

/// What came of asking for a run.
enum Begun {
    /// It is there.
    Yes(RunId, (AgentId, i32)),
    /// Another one carries out the call.
    Before,
    /// It cannot be.
    Not(Problem),
}

impl RunState<'_> {
    /// Counts what a run has spent that carried out a call.
    pub(crate) fn count_sub_run(&mut self, event: &EventBody) {
        if let EventBody::SubRunFinished { usage, cost, estimated, .. } = event {
            self.estimated |= estimated;
            self.usage = self.usage.plus(*usage);
            self.cost = self.cost.zip(*cost).map(|(mine, its)| mine.plus(its));
        }
    }

    /// Begins runs for the calls that are to be made, and takes what those came to that have ended.
    pub(crate) async fn see_to_sub_runs(
        &mut self,
        rows: &[StoredCall],
        called: &mut Called,
        mut turn: Turn,
    ) -> Result<(), WriteError> {
        let mut refused = Vec::new();
        for row in due(rows, self.at_once()).filter(|row| row.status == "ready") {
            let begun = match &row.sub_run {
                // Begun before, by an owner that died before it could say so.
                Some(sub) => Begun::Yes(sub.run, sub.agent),
                None => self.begin_sub_run(row).await?,
            };
            match begun {
                Begun::Yes(run, agent) => {
                    turn.events.push(started(row.call, run, agent));
                    turn.writes.call_changes.push(change(row.call, "pending"));
                }
                Begun::Before => {}
                Begun::Not(problem) => refused.push((row.call, problem)),
            }
        }
        if !turn.events.is_empty() {
            self.writer.commit(turn.events, turn.writes).await?;
        }
        for (call, problem) in refused {
            let done = Done { call, outcome: Err(problem), took: Duration::ZERO };
            self.report(Turn::default(), done, called).await?;
        }
        for row in due(rows, self.at_once()).filter(|row| row.status == "pending") {
            let most = self.tools.find(&row.name).map_or(LARGEST, |ability| ability.max_result_bytes.min(LARGEST));
            let outcome = answer(row.sub_run.as_ref()).map(|answered| bounded(answered, most));
            let took = u64::try_from(Timestamp::now().ms() - row.created_at.ms()).unwrap_or_default();
            let done = Done { call: row.call, outcome, took: Duration::from_millis(took) };
            let mut turn = Turn::default();
            if let Some(sub) = &row.sub_run {
                let event = finished(row.call, sub);
                self.count_sub_run(&event);
                called.usage = called.usage.plus(sub.usage);
                called.cost = called.cost.zip(sub.cost).map(|(mine, its)| mine.plus(its));
                turn.events.push(event);
                turn.writes.run = Some(self.totals());
            }
            self.report(turn, done, called).await?;
        }
        Ok(())
    }

    async fn begin_sub_run(&self, row: &StoredCall) -> Result<Begun, WriteError> {
        let (ability, args) = match self.permitted(row) {
            Ok(permitted) => permitted,
            Err(problem) => return Ok(Begun::Not(problem)),
        };
        let (Means::Agent { agent: named }, Some(input)) = (&ability.means, args["input"].as_str()) else {
            return Ok(Begun::Not(Problem::new(ErrorCode::Internal, "the call is none of an agent")));
        };
        debug_assert_eq!(ability.effect, Effect::Idempotent, "one call is one run");
        for _ in 0..READS {
            let Some(agent) = self.agent_named(named).await? else { break };
            match self.ask_for(row, agent, input).await? {
                Err(problem) if problem.extra.contains_key("agent_changed") => {}
                Err(problem) => return Ok(Begun::Not(problem)),
                Ok(begun) => return Ok(begun),
            }
        }
        Ok(Begun::Not(Problem::new(ErrorCode::ToolError, format!("there is no agent {named}"))))
    }

    async fn agent_named(&self, named: &str) -> Result<Option<Agent>, WriteError> {
        let storage = self.storage();
        let id: Option<AgentId> = named.parse().ok();
        let agent = self.through_outage(|| async {
            match id {
                Some(id) => storage.agent_get(id).await,
                None => storage.agent_by_name(named).await,
            }
        });
        Ok(agent.await?.filter(|agent| agent.archived_at.is_none()))
    }

    /// Asks for the run, until the database is there.
    async fn ask_for(&self, row: &StoredCall, agent: Agent, input: &str) -> Result<Result<Begun, Problem>, WriteError> {
        let identity = self.writer.identity();
        let (id, version) = (agent.id, agent.version);
        loop {
            let of_call =
                OfCall { parent: identity.run, call: row.call, depth: self.depth + 1, visibility: self.visibility };
            let asked = self.runtime.create(NewRunRequest {
                of_schedule: None,
                run_at: None,
                tenant: identity.tenant,
                user: identity.user,
                agent: agent.clone(),
                overrides: Overrides::default(),
                thread: ThreadTarget::New { external_id: None, metadata: Metadata::new() },
                content: vec![Part::Text { text: input.to_owned() }],
                on_conflict: OnConflict::Enqueue,
                on_disconnect: OnDisconnect::Continue,
                disconnect_grace_ms: 0,
                external_id: None,
                metadata: Metadata::new(),
                of_call: Some(of_call),
                within: self.trace.map(|trace| trace.below(row.call.uuid())),
                idempotency: None,
            });
            let problem = match asked.await {
                Ok(Accepted::New { run, .. }) => return Ok(Ok(Begun::Yes(run.id, (id, version)))),
                Ok(Accepted::Replay { .. } | Accepted::Steered(_)) => return Ok(Ok(Begun::Before)),
                Err(problem) => problem,
            };
            match problem.code {
                ErrorCode::AlreadyExists => return Ok(Ok(Begun::Before)),
                ErrorCode::AgentNotFound => return Ok(Err(problem)),
                // This process begins nothing more: another one goes on with the run from here.
                ErrorCode::Draining => {
                    let parts = &self.runtime.inner.parts;
                    let unscoped = parts.store.unscoped("gives back what it cannot go on with");
                    match unscoped.release_run(parts.replica.id(), identity.tenant, identity.run).await {
                        Ok(_) => parts.bus.claim_now().await,
                        Err(error) => tracing::warn!(%error, "a run is not handed over before its process ends"),
                    }
                    return Err(WriteError::Fenced);
                }
                ErrorCode::Unavailable => tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(250)) => {}
                    () = self.hold.cancelled() => return Err(WriteError::Fenced),
                },
                ErrorCode::TooManyRuns => {
                    let why = problem.detail.unwrap_or_default();
                    let words = format!("the agent cannot be called now: {why}");
                    return Ok(Ok(Begun::Not(Problem::new(ErrorCode::ToolLimit, words))));
                }
                code => {
                    let detail = problem.detail.unwrap_or_default();
                    let words = format!("the agent could not be called ({}): {detail}", code.as_str());
                    return Ok(Ok(Begun::Not(Problem::new(ErrorCode::ToolError, words))));
                }
            }
        }
    }
}
