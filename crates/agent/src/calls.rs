//! What a step does with the calls its model has made.
//!
//! Owns which of them are carried out and which are refused at once, waiting for those that others answer, and the end of
//! a step with calls. A call is a row before readers can see it whole, and so it can be answered from then on. The run
//! suspends only if one is unanswered still, looked at under the same lock that an answer takes.

use headwater_protocol::api::{Policy, RunStatus, Tool};
use headwater_protocol::event::{EventBody, FinishReason, MessageStatus, Pending, Role};
use headwater_protocol::fold::{Fold, OpenCall};
use headwater_protocol::message::Part;
use headwater_protocol::{CallId, ErrorCode, MessageId, Problem, Timestamp};
use headwater_store::commit::{CallWrite, MessageWrite, StepWrite, Writes};
use headwater_store::scoped::StoredCall;
use headwater_stream::WriteError;

use crate::ending::Ending;
use crate::execute::{Next, RunState};
use crate::schema;
use crate::step::{Called, word};

/// How a step with calls goes on.
pub(crate) enum After {
    /// With this step.
    Step(i32),
    /// When somebody has answered: the run is nobody's until then.
    Suspended,
    /// The run is over.
    Ended(Next),
}

/// Notes the calls of a message that is whole, and refuses those that cannot be carried out.
pub(crate) fn begin(
    state: &mut RunState<'_>,
    step: i32,
    calls: &[OpenCall],
    events: &mut Vec<EventBody>,
    writes: &mut Writes,
) {
    let now = Timestamp::now();
    for (position, call) in calls.iter().enumerate() {
        state.tool_calls += 1;
        let tool = state.config.tool(&call.name);
        let mut row = CallWrite {
            call_id: call.call.uuid(),
            user_id: state.run.user.uuid(),
            step,
            position: position as i32,
            name: call.name.clone(),
            kind: tool.map(Tool::kind),
            effect: tool.map(|tool| word(tool.effect())),
            args: call.args.clone(),
            status: "pending",
            output: None,
            error: None,
            expires_at: None,
            created_at: now.0,
            answered_at: None,
        };
        match permitted(tool, call, state.tool_calls, state.config.limits.max_tool_calls) {
            Ok(Tool::Client(tool)) => row.expires_at = Some(now.plus_ms(tool.ttl_ms).0),
            Err(Refusal::Denied) => {
                row.status = "denied";
                events.push(EventBody::ToolDenied { call: call.call, by: None, comment: None });
            }
            Err(Refusal::Failed(error)) => {
                row.status = "failed";
                row.error = serde_json::to_value(&error).ok();
                events.push(EventBody::ToolFailed { call: call.call, error, duration_ms: 0 });
            }
        }
        row.answered_at = (row.status != "pending").then_some(now.0);
        writes.calls.push(row);
    }
}

/// Why a call is not carried out.
enum Refusal {
    /// The agent's policy.
    Denied,
    /// This.
    Failed(Problem),
}

/// The one place that decides whether a call is carried out.
fn permitted<'a>(tool: Option<&'a Tool>, call: &OpenCall, count: u32, most: i32) -> Result<&'a Tool, Refusal> {
    let failed = |code, words: String| Err(Refusal::Failed(Problem::new(code, words)));
    let Some(tool) = tool else {
        return failed(ErrorCode::ToolNotFound, format!("there is no tool named {}", call.name));
    };
    if tool.policy() == Policy::Deny {
        return Err(Refusal::Denied);
    }
    if i64::from(count) > i64::from(most) {
        return failed(ErrorCode::ToolLimit, format!("the run may call {most} tools, and has"));
    }
    let Some(args) = &call.args else {
        return failed(ErrorCode::ToolInvalidArgs, "the arguments are not a JSON object".to_owned());
    };
    match schema::wrong_with(tool.parameters(), args, call.text.len()) {
        None => Ok(tool),
        Some(words) => failed(ErrorCode::ToolInvalidArgs, words),
    }
}

/// Whether the schemas of these tools can be used.
///
/// # Errors
/// `invalid_schema`, and what is wrong with which.
pub fn check_schemas(tools: &[Tool]) -> Result<(), Problem> {
    for (i, tool) in tools.iter().enumerate() {
        if let Err(words) = schema::check(tool.parameters()) {
            return Err(Problem::new(ErrorCode::InvalidSchema, format!("the parameters of {}: {words}", tool.name()))
                .with("param", format!("/tools/{i}/parameters")));
        }
    }
    Ok(())
}

/// What is made of calls whose end is not in the log when the run ends: their events, and what the rows say of those that
/// nobody has answered.
pub(crate) fn abandon(
    open: impl Iterator<Item = CallId>,
    rows: &[StoredCall],
) -> (Vec<EventBody>, Option<serde_json::Value>) {
    let error = Problem::new(ErrorCode::ToolError, "the run ended before it was answered");
    let events = open.map(|call| {
        let answered = rows.iter().find(|row| row.call == call && row.status != "pending");
        answered.map_or_else(|| EventBody::ToolFailed { call, error: error.clone(), duration_ms: 0 }, ended)
    });
    (events.collect(), serde_json::to_value(&error).ok())
}

/// The calls of a fold whose end is not in the log.
pub(crate) fn open_calls(fold: &Fold) -> impl Iterator<Item = CallId> + '_ {
    fold.calls.iter().filter(|call| !call.ended).map(|call| call.call)
}

/// How a call that was answered ended, as the log tells it.
fn ended(row: &StoredCall) -> EventBody {
    let took = row.answered_at.unwrap_or(row.created_at).ms() - row.created_at.ms();
    let (call, duration_ms) = (row.call, u64::try_from(took).unwrap_or_default());
    match problem(row) {
        Some(error) => EventBody::ToolFailed { call, error, duration_ms },
        None => EventBody::ToolCompleted { call, output: row.output.clone(), artifact: None, duration_ms },
    }
}

fn problem(row: &StoredCall) -> Option<Problem> {
    row.error.clone().and_then(|error| serde_json::from_value(error).ok())
}

/// How a step with calls is remembered by whoever goes on with it.
pub(crate) fn recall(state: &RunState<'_>, fold: &Fold) -> Called {
    let told = fold.calls.iter().filter(|call| call.ended).map(|call| call.call).collect();
    let (model_call, model) = fold.step_call.clone().unwrap_or_default();
    Called {
        step: StepWrite {
            step: fold.open_step.unwrap_or(1),
            user_id: state.run.user.uuid(),
            attempt: state.run.attempt,
            message_id: fold.messages.last().map(|message| message.uuid()).unwrap_or_default(),
            model_call,
            model,
            finish_reason: "tool_calls".into(),
            seq: 0,
            finished_at: Timestamp::now().0,
        },
        usage: fold.step_usage,
        cost: fold.step_cost(),
        told,
    }
}

impl RunState<'_> {
    /// Sees the calls of a step through: to the next step, or to waiting for an answer.
    pub(crate) async fn carry_out(&mut self, called: Called) -> Result<After, WriteError> {
        let step = called.step.step;
        loop {
            let rows = self.calls_of(step).await?;
            if self.cancel.is_cancelled() {
                return self.abandon(&called, &rows, self.cancelled()).await;
            }
            let open: Vec<&StoredCall> = rows.iter().filter(|row| row.status == "pending").collect();
            if open.is_empty() {
                return self.finish_calls(called, &rows).await.map(After::Step);
            }
            if let Some(late) = open.iter().find(|row| row.late) {
                let words = format!("nobody has answered the call of {} in time", late.name);
                let problem = Problem::new(ErrorCode::InputExpired, words);
                return self.abandon(&called, &rows, Ending::Failed(problem)).await;
            }
            let waits = |row: &&StoredCall| Pending {
                kind: "input".into(),
                approval: None,
                call: Some(row.call),
                budget: None,
            };
            let pending = open.iter().map(waits).collect();
            let mut write = self.totals();
            write.status = Some(RunStatus::Suspended.as_str());
            write.suspended_at = Some(Timestamp::now().0);
            let event = EventBody::RunSuspended { reason: "input".into(), pending };
            match self.writer.commit(vec![event], Writes { run: Some(write), ..Writes::default() }).await {
                Ok(_) => return Ok(After::Suspended),
                // Answered in this very moment.
                Err(WriteError::Unread) => drop(self.writer.take_unread()),
                Err(error) => return Err(error),
            }
        }
    }

    /// The rows of a step's calls, through an outage.
    pub(crate) async fn calls_of(&self, step: i32) -> Result<Vec<StoredCall>, WriteError> {
        let storage = self.storage();
        self.through_outage(|| storage.calls(self.run.id, Some(step))).await
    }

    async fn abandon(&mut self, called: &Called, rows: &[StoredCall], ending: Ending) -> Result<After, WriteError> {
        let open = rows.iter().filter(|row| !called.told.contains(&row.call)).map(|row| row.call);
        let (events, unanswered) = abandon(open, rows);
        let next = self.end(events, Writes { unanswered, ..Writes::default() }, ending).await?;
        Ok(After::Ended(next))
    }

    /// All are answered: the answers are a message of their own, and the next step begins with them.
    async fn finish_calls(&mut self, called: Called, rows: &[StoredCall]) -> Result<i32, WriteError> {
        let Called { step, usage, cost, told } = called;
        let now = Timestamp::now();
        let (mut events, mut content) = (Vec::new(), Vec::new());
        for row in rows {
            if !told.contains(&row.call) {
                events.push(ended(row));
            }
            content.push(Part::ToolResult {
                call: row.call,
                name: row.name.clone(),
                status: row.status.clone(),
                output: row.output.clone(),
                error: problem(row),
                artifact: None,
            });
        }
        let number = step.step;
        events.push(EventBody::StepFinished { step: number, finish_reason: FinishReason::ToolCalls, usage, cost });
        let results = MessageWrite {
            message_id: MessageId::new().uuid(),
            thread_id: self.run.thread.uuid(),
            user_id: self.run.user.uuid(),
            ord: self.ord,
            role: Role::Tool.as_str(),
            status: MessageStatus::Completed.as_str(),
            agent_id: Some(self.run.agent.uuid()),
            step: Some(number),
            content: serde_json::to_value(content).expect("parts serialise"),
            created_at: now.0,
            completed_at: Some(now.0),
        };
        self.steps = number;
        let writes = Writes { messages: vec![results], step: Some(step), ..Writes::default() };
        self.next_step(number + 1, events, writes).await
    }
}
