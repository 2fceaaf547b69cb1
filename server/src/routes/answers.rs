//! What clients give to a run that waits for them, in protocols in which that is a request like any other; see [`crate::faces::rests`].

use headwater_protocol::api::{Approval, ApprovalStatus, Decider, Decision, Thread, ToolOutput};
use headwater_protocol::event::{Event, EventBody, Pending, type_of};
use headwater_protocol::{ApprovalId, CallId, Problem, RunId, Scope};
use headwater_store::scoped::{CallAnswer, Snapshot};
use headwater_stream::Cursor;
use serde_json::Value;

use super::runs::page_of;
use super::{calls, talk};
use crate::auth::{Caller, UserRef};
use crate::error::ApiError;
use crate::wiring::AppState;

/// Segments of a log that are read at a time; a segment is 256 KiB at most.
const SEGMENTS: i64 = 32;

/// What a request gives, and where each of it stands.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// What calls of the client's own have come to.
    pub(super) outputs: Vec<(CallId, Value, String)>,
    /// What was decided.
    pub(super) decisions: Vec<(ApprovalId, Decision, String)>,
    /// Whether something is said behind them.
    pub(super) says_more: bool,
    /// Whether its protocol knows of no decisions: what is asked is others' to answer.
    pub(super) decides_nothing: bool,
}

/// A run that was given what it waits for.
#[derive(Debug)]
pub(super) struct GoesOn {
    pub(super) run: RunId,
    pub(super) scope: Scope,
    /// The event behind which it goes on.
    pub(super) behind: u64,
}

/// As whom this caller decides.
pub(super) fn decider(caller: &Caller) -> Decider {
    match (caller.is_key(), &caller.user) {
        (true, UserRef::None) => Decider::Tenant,
        _ => Decider::User,
    }
}

impl Answers {
    fn is_empty(&self) -> bool {
        self.outputs.is_empty() && self.decisions.is_empty()
    }

    /// Gives a run what it waits for, if that is what the request is for. All that is asked of its client has to be given at once. Who gives it
    /// once more is told what came of it. `named`: the run, where the request names it; `at`: where its words stand.
    ///
    /// # Errors
    /// `invalid_value`, where it is for that and cannot be.
    pub(super) async fn give(
        self,
        state: &AppState,
        caller: &Caller,
        named: Option<RunId>,
        at: &str,
    ) -> Result<Option<GoesOn>, ApiError> {
        if self.is_empty() {
            return Ok(None);
        }
        let nothing = || Problem::invalid(at, "answers nothing that is asked here");
        let Some((run, snapshot)) = self.run(state, caller, named).await? else {
            return if self.says_more { Ok(None) } else { Err(nothing().into()) };
        };
        let scope = Scope { tenant: caller.tenant, user: Some(snapshot.run.user) };
        let (mut decisions, mut answers, mut due) = (Vec::new(), Vec::new(), Vec::new());
        for pending in &snapshot.pending {
            match self.given(state, caller, scope, pending).await? {
                Given::Decision(decision) => decisions.push(decision),
                Given::Answer(answer) => answers.push(answer),
                Given::Nothing(due_here) => due.extend(due_here),
            }
        }
        if decisions.is_empty() && answers.is_empty() {
            if self.says_more {
                return Ok(None);
            }
            let behind = self.rest(state, caller, run, None).await?.ok_or_else(nothing)?;
            return Ok(Some(GoesOn { run, scope, behind }));
        }
        // Others may have decided since: what their decisions have come to belongs to what this client reads next.
        let behind = self.rest(state, caller, run, Some(&snapshot.pending)).await?.ok_or_else(nothing)?;
        if self.says_more {
            let words = "must say nothing behind what a run waits for: say it in a request of its own";
            return Err(Problem::invalid(at, words).into());
        }
        if !due.is_empty() {
            let words = format!("must answer all that is asked: {} is not", due.join(", "));
            return Err(Problem::invalid(at, words).into());
        }
        talk::give(state, caller, run, decisions, &answers).await?;
        Ok(Some(GoesOn { run, scope, behind }))
    }

    /// The run that is answered: the one that is named; else that of the last decision or output, whichever is waited for. The others may be
    /// what the client remembers of runs before.
    async fn run(
        &self,
        state: &AppState,
        caller: &Caller,
        named: Option<RunId>,
    ) -> Result<Option<(RunId, Snapshot)>, ApiError> {
        let storage = state.store.scoped(caller.scope());
        let mut runs = Vec::from_iter(named);
        if named.is_none() {
            if let Some((approval, ..)) = self.decisions.last() {
                runs.extend(storage.approval_get(*approval).await?.map(|(found, _)| found.run));
            }
            if let Some((call, ..)) = self.outputs.last() {
                runs.extend(storage.run_of_call(*call).await?);
            }
        }
        let mut found = None;
        for run in runs {
            let Some(snapshot) = storage.run_snapshot(run).await? else { continue };
            if snapshot.pending.iter().any(|pending| self.holds(pending)) {
                return Ok(Some((run, snapshot)));
            }
            found = found.or(Some((run, snapshot)));
        }
        Ok(found)
    }

    /// Whether it answers this.
    fn holds(&self, pending: &Pending) -> bool {
        match (pending.approval, pending.call) {
            (Some(approval), _) => self.decisions.iter().any(|(id, ..)| *id == approval),
            (None, Some(call)) => self.outputs.iter().any(|(id, ..)| *id == call),
            (None, None) => false,
        }
    }

    /// What of this a run waits for there.
    async fn given(
        &self,
        state: &AppState,
        caller: &Caller,
        scope: Scope,
        pending: &Pending,
    ) -> Result<Given, ApiError> {
        if let Some(approval) = pending.approval {
            if let Some((_, decision, _)) = self.decisions.iter().find(|(id, ..)| *id == approval) {
                return Ok(Given::Decision((approval, decision.clone())));
            }
            if self.decides_nothing {
                return Ok(Given::Nothing(None));
            }
            let found = state.store.scoped(scope).approval_get(approval).await?;
            let asks =
                |found: &Approval| found.status == ApprovalStatus::Pending && found.deciders.contains(&decider(caller));
            return Ok(Given::Nothing(found.filter(|(found, _)| asks(found)).map(|_| approval.to_string())));
        }
        let Some(call) = pending.call.filter(|_| pending.kind == "input") else { return Ok(Given::Nothing(None)) };
        match self.outputs.iter().find(|(id, ..)| *id == call) {
            Some((_, output, at)) => {
                let output = ToolOutput { call, output: Some(output.clone()), error: None };
                Ok(Given::Answer(calls::checked(output, at)?))
            }
            None => Ok(Given::Nothing(Some(call.to_string()))),
        }
    }

    /// The event at which a run has first waited for the last of this: there its client was left. `of`: only what is waited for now counts, and
    /// not what its client remembers beside that.
    async fn rest(
        &self,
        state: &AppState,
        caller: &Caller,
        run: RunId,
        of: Option<&[Pending]>,
    ) -> Result<Option<u64>, ApiError> {
        let counts = |pending: &&Pending| self.holds(pending) && of.is_none_or(|of| of.contains(pending));
        let (mut found, mut after, mut seen) = (None, 0, Vec::new());
        loop {
            let (page, ..) = page_of(state, caller, run, Cursor::After(after), SEGMENTS).await?;
            for line in page.lines.lines().filter(|line| type_of(line) == "run.suspended") {
                let event: Event = serde_json::from_str(line).map_err(ApiError::internal)?;
                let EventBody::RunSuspended { pending, .. } = event.body else { continue };
                for pending in pending.iter().filter(counts) {
                    if !seen.contains(pending) {
                        seen.push(pending.clone());
                        found = Some(event.seq);
                    }
                }
            }
            if page.last <= after || page.last >= page.tail {
                return Ok(found);
            }
            after = page.last;
        }
    }
}

/// What a request holds of one thing that is waited for.
enum Given {
    Decision((ApprovalId, Decision)),
    Answer(CallAnswer),
    /// Nothing; and what this client would have to give.
    Nothing(Option<String>),
}

/// Refuses to say something on a thread whose run waits for the very client that says it: it would be heard when that is answered, and not before.
///
/// # Errors
/// `invalid_value`, with what is waited for.
pub(super) async fn waits_for_nothing(
    state: &AppState,
    caller: &Caller,
    scope: Scope,
    thread: &Thread,
    at: &str,
) -> Result<(), ApiError> {
    let Some(run) = thread.active_run else { return Ok(()) };
    let pending = state.store.scoped(scope).run_snapshot(run).await?.map(|snapshot| snapshot.pending);
    let mut due = Vec::new();
    for pending in pending.iter().flatten() {
        if let Given::Nothing(Some(id)) = Answers::default().given(state, caller, scope, pending).await? {
            due.push(id);
        }
    }
    if due.is_empty() {
        return Ok(());
    }
    Err(Problem::invalid(at, format!("must answer what is asked first: {}", due.join(", "))).into())
}

/// Behind which event somebody reads on who joins a run that is under way: the last rest of which nothing is waited for any more.
pub(super) async fn joins(state: &AppState, caller: &Caller, run: RunId) -> Result<u64, ApiError> {
    let storage = state.store.scoped(caller.scope());
    let pending = storage.run_snapshot(run).await?.map(|snapshot| snapshot.pending).unwrap_or_default();
    let (mut behind, mut after) = (0, 0);
    loop {
        let (page, ..) = page_of(state, caller, run, Cursor::After(after), SEGMENTS).await?;
        for line in page.lines.lines().filter(|line| type_of(line) == "run.suspended") {
            let event: Event = serde_json::from_str(line).map_err(ApiError::internal)?;
            if let EventBody::RunSuspended { pending: waited, .. } = &event.body
                && !waited.iter().any(|waited| pending.contains(waited))
            {
                behind = event.seq;
            }
        }
        if page.last <= after || page.last >= page.tail {
            return Ok(behind);
        }
        after = page.last;
    }
}
