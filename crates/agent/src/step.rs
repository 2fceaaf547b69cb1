//! One model call, written to the log as it comes.
//!
//! The message's beginning commits with its first words; what follows rides the group flush; the end commits with the
//! journal and the ledger. An answer that is there all at once is one commit.

use futures_util::{Stream, StreamExt as _};
use headwater_llm::{Attach, Estimate, LlmEvent, ModelRequest, Settlement};
use headwater_protocol::api::holds_nul;
use headwater_protocol::event::{EventBody, FinishReason, MAX_EVENT_BYTES, MessageStatus, Role};
use headwater_protocol::fold::{Fold, LostCall, OpenCall, OpenMessage};
use headwater_protocol::{ApprovalId, CallId, ErrorCode, MessageId, ModelCallId, Money, Problem, Timestamp, Usage};
use headwater_store::commit::{MessageWrite, StepWrite, UsageWrite, Writes};
use headwater_store::scoped::{Author, Left};
use headwater_stream::WriteError;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::calls;
use crate::ending::Ending;
use crate::execute::RunState;

/// How a step ended. What is in it has not been committed yet: it goes with what comes next.
pub(crate) enum StepEnd {
    /// With calls of tools, which are in the message that has ended.
    Calls { events: Vec<EventBody>, writes: Writes, called: Called },
    /// With a whole answer.
    Done { events: Vec<EventBody>, writes: Writes, message: MessageId, text: String, finish_reason: FinishReason },
    /// With an error.
    Failed { events: Vec<EventBody>, writes: Writes, problem: Problem },
    /// Because somebody asked for it.
    Cancelled { events: Vec<EventBody>, writes: Writes },
    /// An answer that was to be read on cannot be, and its call may not be settled. `ending`: the run ends for another reason.
    Detached { events: Vec<EventBody>, writes: Writes, ending: Option<Ending> },
}

/// An answer of which another owner of the run has read some, and that its provider keeps.
#[derive(Debug)]
pub(crate) struct KeptAnswer {
    pub(crate) step: i32,
    /// The call as the log has it.
    pub(crate) call: LostCall,
    /// The provider's id of it.
    pub(crate) response: String,
    /// What is in the log of it.
    pub(crate) open: Option<OpenMessage>,
    /// What the step has used and cost before.
    pub(crate) usage: Usage,
    pub(crate) cost: Option<Money>,
    /// What is set aside for it.
    pub(crate) set_aside: Option<Money>,
}

impl KeptAnswer {
    /// The answer that the log has open, if it can be read on.
    pub(crate) fn of(fold: &Fold, left: &Left) -> Option<Self> {
        let ([call], Some(step)) = (&fold.unsettled[..], fold.open_step) else { return None };
        // A message of the step that is whole would be told once more.
        let is_last = fold.messages.len() == usize::from(fold.open.is_some());
        let reserved = left.calls.iter().find(|left| left.model_call == call.model_call);
        Some(Self {
            step,
            response: call.response.clone().filter(|_| is_last)?,
            call: call.clone(),
            open: fold.open.clone(),
            usage: fold.step_usage,
            cost: fold.step_cost(),
            set_aside: reserved.map(|reserved| reserved.amount),
        })
    }
}

/// How much of an answer that is told from its beginning is in the log already, in characters.
#[derive(Debug, Default)]
struct Logged {
    reasoning: usize,
    text: usize,
    /// Of the arguments of each call that has begun.
    args: Vec<usize>,
}

impl Logged {
    fn of(open: Option<&OpenMessage>) -> Self {
        let Some(open) = open else { return Self::default() };
        let count = |text: &str| text.chars().count();
        Self {
            reasoning: open.reasoning.as_deref().map_or(0, count),
            text: count(&open.text),
            args: open.calls.iter().map(|call| count(&call.text)).collect(),
        }
    }

    /// What of an event is new. Characters are counted, for a NUL in the log is another one, and as long.
    fn behind(&mut self, event: LlmEvent) -> Option<LlmEvent> {
        let new = |logged: &mut usize, delta: String| {
            let skipped = delta.chars().take(*logged).map(|c| (1, c.len_utf8()));
            let (chars, bytes) = skipped.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
            *logged -= chars;
            (bytes < delta.len()).then(|| delta[bytes..].to_owned())
        };
        match event {
            LlmEvent::Reasoning(delta) => new(&mut self.reasoning, delta).map(LlmEvent::Reasoning),
            LlmEvent::Text(delta) => new(&mut self.text, delta).map(LlmEvent::Text),
            LlmEvent::ToolCall { index, .. } if index < self.args.len() => None,
            LlmEvent::ToolArgs { index, delta } => match self.args.get_mut(index) {
                Some(logged) => new(logged, delta).map(|delta| LlmEvent::ToolArgs { index, delta }),
                None => Some(LlmEvent::ToolArgs { index, delta }),
            },
            other => Some(other),
        }
    }
}

/// What a step that calls tools is remembered by until it is finished: its message, and what it cost.
pub(crate) struct Called {
    pub(crate) step: StepWrite,
    pub(crate) usage: Usage,
    pub(crate) cost: Option<Money>,
    /// Calls whose end is in the log.
    pub(crate) told: Vec<CallId>,
    /// Questions whose answer is not.
    pub(crate) unresolved: Vec<ApprovalId>,
}

/// A usage as five counts.
pub(crate) fn counts(usage: Usage) -> [u64; 5] {
    [
        usage.input_tokens,
        usage.cached_input_tokens,
        usage.cache_write_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
    ]
}

/// The row of an assistant's message.
pub(crate) fn message_write(
    author: Author,
    open: &OpenMessage,
    status: MessageStatus,
    created_at: Timestamp,
    completed_at: Option<Timestamp>,
) -> MessageWrite {
    // While it is being written its text is in the log alone.
    let content = if status == MessageStatus::InProgress { Vec::new() } else { open.parts(status) };
    MessageWrite {
        message_id: open.message.uuid(),
        thread_id: author.thread.uuid(),
        user_id: author.user.uuid(),
        ord: author.ord,
        role: Role::Assistant.as_str(),
        status: status.as_str(),
        agent_id: Some(author.agent.uuid()),
        step: Some(open.step),
        content: serde_json::to_value(content).expect("parts serialise"),
        created_at: created_at.0,
        completed_at: completed_at.map(|at| at.0),
    }
}

/// What a step has gathered and not yet handed to the log.
struct Gathered {
    step: i32,
    events: Vec<EventBody>,
    writes: Writes,
    /// The message that is being written, and once it has ended, what it came to.
    open: Option<OpenMessage>,
    closed: Option<OpenMessage>,
    begun_at: Timestamp,
    usage: Usage,
    cost: Option<Money>,
    last_call: Option<(ModelCallId, String)>,
    text_room: Room,
    reasoning_room: Room,
    args_room: Room,
    /// Calls of whose arguments something was left out.
    cut: Vec<CallId>,
    /// Until when an estimate alone may wait for the first words, to share their commit.
    hold: Option<Instant>,
    /// Turns given to what may be on its way.
    turns: u32,
}

/// What still fits into one text part, counted as JSON writes it, so that no event outgrows its bound.
struct Room {
    left: usize,
    full: bool,
}

impl Default for Room {
    fn default() -> Self {
        // The envelope and the other fields of an event take less than 4 KiB.
        Self { left: MAX_EVENT_BYTES - 4096, full: false }
    }
}

impl Room {
    /// Room beside what is there already.
    fn beside<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut room = Self::default();
        for text in texts {
            room.take(text);
        }
        room
    }

    /// The part of a delta that fits. Postgres stores no NUL in JSON; a model that says one gets the mark for what
    /// cannot be shown.
    fn take(&mut self, delta: &str) -> Option<String> {
        let mut taken = String::with_capacity(delta.len());
        for c in delta.chars() {
            let c = if c == '\0' { char::REPLACEMENT_CHARACTER } else { c };
            let bytes = match c {
                '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
                c if c < ' ' => 6,
                c => c.len_utf8(),
            };
            if bytes > self.left {
                self.left = 0;
                self.full = true;
                break;
            }
            self.left -= bytes;
            taken.push(c);
        }
        (!taken.is_empty()).then_some(taken)
    }
}

/// How long an estimate waits for the first words. Models that answer sooner save a commit; of the others it is known
/// before they cost much.
const HOLD: Duration = Duration::from_millis(50);

/// How often other tasks run before events are written.
const TURNS: u32 = 3;

impl Gathered {
    fn new(step: i32) -> Self {
        Self {
            step,
            events: Vec::new(),
            writes: Writes::default(),
            open: None,
            closed: None,
            begun_at: Timestamp::now(),
            usage: Usage::default(),
            cost: Some(Money::ZERO),
            last_call: None,
            text_room: Room::default(),
            reasoning_room: Room::default(),
            args_room: Room::default(),
            cut: Vec::new(),
            hold: None,
            turns: 0,
        }
    }

    /// Goes on where the log ends.
    fn going_on(kept: &mut KeptAnswer) -> Self {
        let open = kept.open.take();
        let of = |open: Option<&OpenMessage>| {
            let calls = open.into_iter().flat_map(|open| open.calls.iter().map(|call| call.text.as_str()));
            (
                Room::beside(open.map(|open| open.text.as_str())),
                Room::beside(open.and_then(|open| open.reasoning.as_deref())),
                Room::beside(calls),
            )
        };
        let (text_room, reasoning_room, args_room) = of(open.as_ref());
        let (usage, cost) = (kept.usage, kept.cost);
        Self { open, usage, cost, text_room, reasoning_room, args_room, ..Self::new(kept.step) }
    }

    fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// A message that began in this very commit is one row, not two.
    fn put_message(&mut self, row: MessageWrite) {
        self.writes.messages.retain(|earlier| earlier.message_id != row.message_id);
        self.writes.messages.push(row);
    }

    /// When this is to be written. What the model has sent already gets a few turns to arrive, without a timer: an
    /// answer that is there all at once is then one commit.
    async fn due(&mut self) {
        let only_estimate = self.events.iter().all(|event| matches!(event, EventBody::CostEstimated { .. }));
        if only_estimate && !self.is_empty() {
            tokio::time::sleep_until(*self.hold.get_or_insert_with(|| Instant::now() + HOLD)).await;
        }
        while self.turns < TURNS {
            self.turns += 1;
            tokio::task::yield_now().await;
        }
    }
}

/// A model that the tenant's plan does not have.
pub fn not_in_plan(model: &str, plan: &str) -> Problem {
    Problem::new(ErrorCode::ModelNotFound, format!("the plan {plan} of this tenant does not have the model {model}"))
}

/// Runs one step. `step.started` is in the log already.
pub(crate) async fn run_step(
    state: &mut RunState<'_>,
    step: i32,
    mut request: ModelRequest,
) -> Result<StepEnd, WriteError> {
    let keys = Box::pin(state.provider_keys()).await?;
    let terms = Box::pin(state.terms()).await?;
    request.fallbacks.retain(|fallback| terms.grants.allows(&fallback.model));
    if !terms.grants.allows(&request.model) {
        let problem = not_in_plan(&request.model, &terms.plan);
        return Ok(StepEnd::Failed { events: Vec::new(), writes: Writes::default(), problem });
    }
    let context = state.call_context(step, keys, &terms);
    let stop = context.cancel.clone();
    let answer = Box::pin(state.runtime.inner.parts.llm.stream(context, request));
    let mut gathered = Gathered::new(step);
    let ended = write_down(state, &mut gathered, &stop, answer).await?;
    Ok(finish(state, gathered, ended))
}

/// Goes on with a step whose answer another owner has begun to read: the message goes on where the log ends.
pub(crate) async fn go_on(state: &mut RunState<'_>, mut kept: KeptAnswer) -> Result<StepEnd, WriteError> {
    let keys = Box::pin(state.provider_keys()).await?;
    let terms = Box::pin(state.terms()).await?;
    let context = state.call_context(kept.step, keys, &terms);
    let stop = context.cancel.clone();
    let estimate = Estimate {
        model_call: kept.call.model_call,
        model: kept.call.model.clone(),
        attempt: 1,
        input_tokens: kept.call.input_tokens,
        expected: kept.call.expected,
        reserve: kept.call.reserve,
    };
    let attach = Attach {
        estimate,
        response: kept.response.clone(),
        set_aside: kept.set_aside,
        offers_tools: state.offered(kept.step).next().is_some(),
        timeouts: state.config.timeouts,
    };
    let mut logged = Logged::of(kept.open.as_ref());
    let answer = state.runtime.inner.parts.llm.attach(context, attach);
    let answer =
        Box::pin(answer.filter_map(move |told| std::future::ready(told.map(|event| logged.behind(event)).transpose())));
    let mut gathered = Gathered::going_on(&mut kept);
    let ended = write_down(state, &mut gathered, &stop, answer).await?;
    let is_settled = gathered.last_call.is_some();
    let ending = match &ended {
        Ended::Whole(_) => return Ok(finish(state, gathered, ended)),
        Ended::Failed(problem) if !is_settled || problem.retryable => None,
        Ended::Stopped { timed_out: true } if !is_settled => Some(Ending::Failed(state.timed_out())),
        Ended::Stopped { timed_out: false } if !is_settled => Some(state.cancelled()),
        Ended::Failed(_) | Ended::Stopped { .. } => return Ok(finish(state, gathered, ended)),
    };
    let Gathered { events, writes, .. } = gathered;
    Ok(StepEnd::Detached { events, writes, ending })
}

/// How the stream of an answer ended.
enum Ended {
    Whole(FinishReason),
    Failed(Problem),
    /// By our side, without a word.
    Stopped {
        /// Because the run has taken too long.
        timed_out: bool,
    },
}

/// Writes an answer to the log as it comes.
async fn write_down(
    state: &mut RunState<'_>,
    gathered: &mut Gathered,
    stop: &CancellationToken,
    mut answer: std::pin::Pin<Box<impl Stream<Item = Result<LlmEvent, Problem>>>>,
) -> Result<Ended, WriteError> {
    let deadline = tokio::time::sleep_until(state.deadline);
    tokio::pin!(deadline);
    let mut timed_out = false;
    let ended = loop {
        if gathered.text_room.full && !stop.is_cancelled() {
            // More than a message can hold: the call ends here, and what it cost is settled as for any that is stopped.
            stop.cancel();
        }
        // What has been gathered goes out as soon as the log is free and nothing more is there at once.
        let waiting = !gathered.is_empty();
        tokio::select! {
            biased;
            event = answer.next(), if state.writer.has_room() => match event {
                Some(Ok(LlmEvent::Finished { finish_reason })) => break Ended::Whole(finish_reason),
                Some(Ok(event)) => take(state, gathered, event),
                Some(Err(problem)) => break Ended::Failed(problem),
                // The stream of a call that was stopped ends without a word.
                None => break Ended::Stopped { timed_out },
            },
            result = state.writer.progress(), if state.writer.is_committing() || (state.writer.is_busy() && !waiting) => {
                result?;
            }
            () = gathered.due(), if waiting && !state.writer.is_committing() => {
                gathered.hold = None;
                gathered.turns = 0;
                let (events, writes) = (std::mem::take(&mut gathered.events), std::mem::take(&mut gathered.writes));
                state.writer.begin(events, writes);
            }
            // Another owner goes on from what is committed. The call is dropped, and settled there.
            () = state.hold.cancelled() => return Err(WriteError::Fenced),
            () = &mut deadline, if !timed_out => {
                timed_out = true;
                stop.cancel();
            }
        }
    };
    drop(answer);
    // One commit at a time: what is under way is seen through before the end is written.
    state.writer.settle().await?;
    Ok(ended)
}

/// Notes one event of the model.
fn take(state: &mut RunState<'_>, gathered: &mut Gathered, event: LlmEvent) {
    match event {
        LlmEvent::Estimated(estimate) => gathered.events.push(EventBody::CostEstimated {
            step: gathered.step,
            model_call: estimate.model_call,
            model: estimate.model,
            input_tokens: estimate.input_tokens,
            expected: estimate.expected,
            reserve: estimate.reserve,
        }),
        LlmEvent::Kept { model_call, model, response } => {
            gathered.events.push(EventBody::ModelStarted { step: gathered.step, model_call, model, response });
        }
        LlmEvent::BudgetWarning(warning) => state.warn(warning, &mut gathered.events),
        LlmEvent::Throttled { wait_ms, queue_pos, reason } => {
            gathered.events.push(EventBody::Throttled { wait_ms, queue_pos, reason: reason.to_owned() });
        }
        LlmEvent::Reasoning(delta) => {
            // Reasoning comes before the text. What some models think in between is paid for and not shown: the part is
            // closed, and readers have its whole.
            if gathered.open.as_ref().is_some_and(|open| !open.text.is_empty()) {
                return;
            }
            let Some(delta) = gathered.reasoning_room.take(&delta) else { return };
            open(state, gathered);
            let open = gathered.open.as_mut().expect("just opened");
            if open.reasoning.is_none() {
                open.reasoning_open = true;
                open.reasoning = Some(String::new());
                gathered.events.push(EventBody::ReasoningStarted { step: gathered.step, message: open.message });
                state.writer.hurry();
            }
            open.reasoning.get_or_insert_default().push_str(&delta);
            let message = open.message;
            push_delta(state, gathered, EventBody::ReasoningDelta { message, delta });
        }
        LlmEvent::Text(delta) => {
            let Some(delta) = gathered.text_room.take(&delta) else { return };
            open(state, gathered);
            end_reasoning(gathered);
            let open = gathered.open.as_mut().expect("just opened");
            if open.text.is_empty() {
                state.writer.hurry();
            }
            open.text.push_str(&delta);
            let message = open.message;
            push_delta(state, gathered, EventBody::MessageDelta { message, delta });
        }
        LlmEvent::ToolCall { name, .. } => {
            open(state, gathered);
            end_reasoning(gathered);
            let tool = state.tools.find(&name);
            let (kind, effect) = (tool.map(|tool| tool.kind().to_owned()), tool.map(|tool| word(tool.effect)));
            let open = gathered.open.as_mut().expect("just opened");
            let call = CallId::new();
            // Postgres stores no NUL in JSON.
            let name = name.replace('\0', "\u{fffd}");
            open.calls.push(OpenCall { call, name: name.clone(), text: String::new(), args: None });
            let (step, message) = (gathered.step, open.message);
            gathered.events.push(EventBody::ToolStarted { step, message, call, name, kind, effect });
        }
        LlmEvent::ToolArgs { index, delta } => {
            let open = gathered.open.as_mut().and_then(|open| open.calls.get_mut(index));
            let Some(open) = open else { return };
            let call = open.call;
            let taken = gathered.args_room.take(&delta);
            if taken.as_ref().is_none_or(|taken| taken.chars().count() < delta.chars().count()) {
                gathered.cut.push(call);
            }
            let Some(delta) = taken else { return };
            open.text.push_str(&delta);
            push_delta(state, gathered, EventBody::ToolArgsDelta { call, delta });
        }
        LlmEvent::Settled(settlement) => settle(state, gathered, settlement),
        LlmEvent::Finished { .. } => {}
    }
}

/// A delta goes with the events before it, if those have not gone out yet; else with the group flush.
fn push_delta(state: &mut RunState<'_>, gathered: &mut Gathered, body: EventBody) {
    if gathered.is_empty() {
        state.writer.delta(body);
        return;
    }
    if let EventBody::MessageDelta { delta, .. }
    | EventBody::ReasoningDelta { delta, .. }
    | EventBody::ToolArgsDelta { delta, .. } = &body
    {
        state.writer.hold(delta.len());
    }
    match (gathered.events.last_mut(), &body) {
        (Some(EventBody::MessageDelta { delta: text, .. }), EventBody::MessageDelta { delta, .. })
        | (Some(EventBody::ReasoningDelta { delta: text, .. }), EventBody::ReasoningDelta { delta, .. })
            if text.len() + delta.len() <= 16 * 1024 =>
        {
            text.push_str(delta);
        }
        _ => gathered.events.push(body),
    }
}

/// As JSON writes it.
pub(crate) fn word(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// What comes next is no reasoning any more.
fn end_reasoning(gathered: &mut Gathered) {
    let Some(open) = gathered.open.as_mut() else { return };
    if std::mem::take(&mut open.reasoning_open) {
        let text = open.reasoning.clone().unwrap_or_default();
        gathered.events.push(EventBody::ReasoningCompleted { message: open.message, text });
    }
}

/// Begins the message with its first word.
fn open(state: &mut RunState<'_>, gathered: &mut Gathered) {
    if gathered.open.is_some() {
        return;
    }
    // An attempt that failed after its first words is not tried again, so a step has one message.
    debug_assert!(gathered.closed.is_none(), "one message in a step");
    let open = OpenMessage::new(MessageId::new(), gathered.step);
    gathered.begun_at = Timestamp::now();
    gathered.events.push(EventBody::MessageStarted {
        step: gathered.step,
        message: open.message,
        role: Role::Assistant,
    });
    let row = message_write(state.author(), &open, MessageStatus::InProgress, gathered.begun_at, None);
    gathered.writes.messages.push(row);
    gathered.open = Some(open);
}

fn settle(state: &mut RunState<'_>, gathered: &mut Gathered, settlement: Settlement) {
    // The message ends before its call is settled.
    let failed = settlement.outcome != headwater_llm::Outcome::Completed && !gathered.text_room.full;
    if !failed && gathered.open.is_none() {
        // A model may answer with nothing at all; the run still has its message.
        open(state, gathered);
    }
    close(state, gathered, if failed { MessageStatus::Incomplete } else { MessageStatus::Completed });
    state.usage = state.usage.plus(settlement.usage);
    state.cost = state.cost.zip(settlement.cost).map(|(sum, more)| sum.plus(more));
    state.estimated |= settlement.estimated;
    gathered.usage = gathered.usage.plus(settlement.usage);
    gathered.cost = gathered.cost.zip(settlement.cost).map(|(sum, more)| sum.plus(more));
    gathered.last_call = Some((settlement.model_call, settlement.model.clone()));
    gathered.writes.reserved |= state.purse.is_touched();
    gathered.writes.usage.push(UsageWrite {
        model_call: settlement.model_call.uuid(),
        step: gathered.step,
        user_id: state.run.user.uuid(),
        agent_id: state.run.agent.uuid(),
        model: settlement.model.clone(),
        usage: counts(settlement.usage),
        cost_nano_usd: settlement.cost.map(|cost| cost.0),
        expected_nano_usd: settlement.expected.map(|cost| cost.0),
        estimated: settlement.estimated,
        outcome: settlement.outcome.as_str(),
        attempt: settlement.attempt,
        queued_ms: settlement.queued_ms,
        first_token_ms: settlement.first_token_ms,
        duration_ms: settlement.duration_ms,
        settled_at: Timestamp::now().0,
        reserve_nano_usd: settlement.reserve.map(|money| money.0),
        error: settlement.error.as_ref().and_then(|error| serde_json::to_value(error).ok()),
    });
    gathered.events.push(EventBody::CostSettled {
        step: gathered.step,
        model_call: settlement.model_call,
        model: settlement.model,
        usage: settlement.usage,
        cost: settlement.cost,
        estimated: settlement.estimated,
        run_cost: state.cost,
    });
}

/// Ends the message that is open, if one is.
fn close(state: &RunState<'_>, gathered: &mut Gathered, status: MessageStatus) {
    let Some(mut open) = gathered.open.take() else { return };
    if status == MessageStatus::Completed {
        for call in &mut open.calls {
            // No arguments at all are none.
            let text = if call.text.trim().is_empty() { "{}" } else { &call.text };
            let args = serde_json::from_str::<serde_json::Value>(text).ok();
            let whole = !gathered.cut.contains(&call.call);
            call.args = args.filter(|args| whole && args.is_object() && !holds_nul(args));
            gathered.events.push(EventBody::ToolArgs { call: call.call, args: call.args.clone() });
        }
    }
    gathered.events.extend(open.close(status));
    let row = message_write(state.author(), &open, status, gathered.begun_at, Some(Timestamp::now()));
    gathered.put_message(row);
    gathered.closed = Some(open);
}

fn finish(state: &mut RunState<'_>, mut gathered: Gathered, ended: Ended) -> StepEnd {
    let problem = match ended {
        Ended::Whole(finish_reason) => return done(state, gathered, finish_reason),
        Ended::Stopped { .. } if gathered.text_room.full => return done(state, gathered, FinishReason::Length),
        Ended::Stopped { timed_out: true } => Some(state.timed_out()),
        Ended::Stopped { timed_out: false } => None,
        Ended::Failed(problem) => Some(problem),
    };
    close(state, &mut gathered, MessageStatus::Incomplete);
    let Gathered { events, writes, .. } = gathered;
    match problem {
        Some(problem) => StepEnd::Failed { events, writes, problem },
        None => StepEnd::Cancelled { events, writes },
    }
}

fn done(state: &mut RunState<'_>, mut gathered: Gathered, finish_reason: FinishReason) -> StepEnd {
    if gathered.closed.is_none() {
        open(state, &mut gathered);
        close(state, &mut gathered, MessageStatus::Completed);
    }
    let mut open = gathered.closed.take().expect("closed above");
    if let Some((model_call, model)) = gathered.last_call.take() {
        let step = StepWrite {
            step: gathered.step,
            user_id: state.run.user.uuid(),
            attempt: state.run.attempt,
            message_id: open.message.uuid(),
            model_call: model_call.uuid(),
            model,
            finish_reason: word(finish_reason),
            seq: 0,
            finished_at: Timestamp::now().0,
        };
        if finish_reason == FinishReason::ToolCalls && !open.calls.is_empty() {
            let (usage, cost) = (gathered.usage, gathered.cost);
            let Gathered { mut events, mut writes, .. } = gathered;
            calls::begin(state, step.step, &open.calls, &mut events, &mut writes);
            let ended = writes.calls.iter().filter(|call| call.answered_at.is_some());
            let told = ended.map(|call| CallId::from_uuid(call.call_id)).collect();
            let unresolved = writes.approvals.iter().map(|it| ApprovalId::from_uuid(it.approval_id)).collect();
            let called = Called { step, usage, cost, told, unresolved };
            return StepEnd::Calls { events, writes, called };
        }
        gathered.writes.step = Some(step);
    }
    if !open.calls.is_empty() {
        // The model was stopped among them: they were not meant to be carried out like this.
        let error = Problem::new(ErrorCode::ToolError, "the model was stopped before its calls were whole");
        for call in std::mem::take(&mut open.calls) {
            gathered.events.push(EventBody::ToolFailed { call: call.call, error: error.clone(), duration_ms: 0 });
        }
        let status = MessageStatus::Completed;
        let row = message_write(state.author(), &open, status, gathered.begun_at, Some(Timestamp::now()));
        gathered.put_message(row);
    }
    gathered.events.push(EventBody::StepFinished {
        step: gathered.step,
        finish_reason,
        usage: gathered.usage,
        cost: gathered.cost,
    });
    state.steps = gathered.step;
    let Gathered { events, writes, .. } = gathered;
    StepEnd::Done { events, writes, message: open.message, text: open.text, finish_reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_never_outgrows_an_event() {
        let mut room = Room::default();
        let mut text = String::new();
        while let Some(more) = room.take(&"line \"quoted\"\n".repeat(1000)) {
            text.push_str(&more);
        }
        assert!(room.full);
        let json = serde_json::to_string(&text).expect("serialises");
        assert!(json.len() <= MAX_EVENT_BYTES - 4096 + 2, "{}", json.len());
        assert!(json.len() > MAX_EVENT_BYTES - 8192, "and nothing is given away");
    }

    #[test]
    fn what_postgres_cannot_hold_is_replaced() {
        assert_eq!(Room::default().take("a\0b").as_deref(), Some("a\u{fffd}b"));
        assert_eq!(Room::default().take(""), None);
    }
}
