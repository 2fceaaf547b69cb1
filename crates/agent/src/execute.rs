//! The loop of one run.
//!
//! Per step: context from the thread, a model call written to the log as it comes, the tools it calls, then the next step.
//! A step without tool calls is the last one.

use headwater_llm::{BudgetWarning, CallContext, Keys, ModelRequest, ModelTool, Place};
use headwater_protocol::api::{AgentConfig, OnBudget, RunStatus, Tool};
use headwater_protocol::event::{EventBody, FinishReason, MessageStatus, Pending, Role, RunResult, Visibility};
use headwater_protocol::message::Part;
use headwater_protocol::trace::TraceContext;
use headwater_protocol::{BudgetId, ErrorCode, MessageId, Money, Problem, RunId, Scope, Timestamp, Usage};
use headwater_store::commit::{LeaseToken, MessageWrite, RunWrite, Writes};
use headwater_store::scoped::{Author, Closest, HistoryMessage, StoredMcpServer};
use headwater_store::{StoreError, TenantTerms, UserScopedStorage};
use headwater_stream::{RunIdentity, RunWriter, WriteError};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::accept::effective;
use crate::carry::After;
use crate::context;
use crate::ending::Ending;
use crate::mcp_call;
use crate::metrics;
use crate::money::{Purse, RunLedger};
use crate::resume::{Ahead, Resumed};
use crate::runtime::{AgentRuntime, Begin, Fresh, Job};
use crate::step::{self, StepEnd, counts};
use crate::structured;
use crate::toolbox::{Ability, Toolbox, servers_named};

/// How long what an MCP server has said of its tools is believed.
const STALE: Duration = Duration::from_secs(3600);
/// How long one that was asked in vain is not asked again.
const AGAIN: Duration = Duration::from_secs(60);
/// How long a run waits for servers to say what they have.
const LOOKS: Duration = Duration::from_secs(10);
/// Segments of a log beyond which it is packed at its end.
const SCATTERED: usize = 8;

/// How the loop came to its end.
pub(crate) enum Outcome {
    /// The terminal event is committed. `next`: the thread's next run, ours now.
    Ended {
        /// The run and the token it was taken with.
        next: Option<(RunId, LeaseToken)>,
        /// The run of which it carried out a call.
        parent: Option<RunId>,
        /// Whether the log lies in so many pieces that it should be packed.
        scattered: bool,
    },
    /// The run waits for somebody, and is nobody's.
    Suspended,
    /// Somebody else owns the run.
    Lost,
    /// The log refused what the loop had to write: the run must be ended from what the log holds.
    Abandoned(Problem),
}

/// A run under way.
pub(crate) struct RunState<'a> {
    pub(crate) runtime: &'a AgentRuntime,
    pub(crate) writer: RunWriter,
    pub(crate) run: headwater_protocol::api::Run,
    pub(crate) ord: i64,
    /// How many runs are above it.
    pub(crate) depth: i32,
    /// What its users see of it.
    pub(crate) visibility: Visibility,
    /// Its trace, where somebody keeps it.
    pub(crate) trace: Option<TraceContext>,
    pub(crate) config: AgentConfig,
    pub(crate) cancel: &'a CancellationToken,
    /// Cancelled when this process lets go of the run.
    pub(crate) hold: CancellationToken,
    pub(crate) usage: Usage,
    /// `None` once a call had no price.
    pub(crate) cost: Option<Money>,
    pub(crate) estimated: bool,
    /// Steps that are finished.
    pub(crate) steps: i32,
    /// Tools that were called.
    pub(crate) tool_calls: u32,
    /// What it can call.
    pub(crate) tools: Toolbox,
    /// Tools that somebody has permitted for the rest of the thread.
    pub(crate) remembered: Vec<String>,
    /// What is remembered of its money.
    pub(crate) purse: Arc<Purse>,
    /// Budgets that its readers were told of, and when.
    pub(crate) warned: Vec<(BudgetId, Timestamp)>,
    /// What was wrong with an answer that is asked for once more.
    pub(crate) repair: Option<String>,
    pub(crate) deadline: Instant,
}

/// Runs a job to its end.
pub(crate) async fn execute(
    runtime: &AgentRuntime,
    job: Box<Job>,
    cancel: &CancellationToken,
    hold: CancellationToken,
) -> Outcome {
    let (mut state, start) = match Box::pin(begin(runtime, job, cancel, hold)).await {
        Ok(begun) => begun,
        Err(outcome) => return outcome,
    };
    match state.work(start).await {
        Ok(Done::Ended(next)) => {
            let (parent, scattered) = (state.run.source.parent(), state.writer.segments() > SCATTERED);
            Outcome::Ended { next, parent, scattered }
        }
        Ok(Done::Suspended) => Outcome::Suspended,
        Err(WriteError::Fenced) => Outcome::Lost,
        Err(WriteError::Unread) => {
            tracing::error!("a run was told to listen that does not complete");
            Outcome::Abandoned(Problem::new(ErrorCode::Internal, "the run could not be ended"))
        }
        Err(WriteError::Refused(reason)) => {
            tracing::error!(%reason, "the log refused a run's events");
            Outcome::Abandoned(Problem::new(ErrorCode::Internal, "the run's events could not be stored"))
        }
    }
}

/// How the loop left the run.
enum Done {
    Ended(Next),
    Suspended,
}

/// Where the loop begins.
enum Start {
    /// With the first step. The input, when the thread holds nothing else; whether the log has the step's beginning.
    First { only_input: Option<Vec<Part>>, started: bool },
    /// With what the log of an earlier owner says.
    Resumed(Box<Resumed>),
}

async fn begin<'a>(
    runtime: &'a AgentRuntime,
    job: Box<Job>,
    cancel: &'a CancellationToken,
    hold: CancellationToken,
) -> Result<(RunState<'a>, Start), Outcome> {
    let Job { identity, writer, begin } = *job;
    if writer.is_fenced() {
        // Cancelled while it waited for its turn: no model is asked.
        return Err(Outcome::Lost);
    }
    let waited = match &begin {
        Begin::Resumed(resumed) => resumed.waited(),
        Begin::Fresh { .. } | Begin::Waited => Duration::ZERO,
    };
    let mut is_new = false;
    let (fresh, start) = match begin {
        Begin::Fresh { mut fresh, started } => {
            let only_input = fresh.only_input.take();
            is_new = only_input.is_some();
            (*fresh, Start::First { only_input, started })
        }
        Begin::Waited => (read(runtime, identity, &hold).await?, Start::First { only_input: None, started: false }),
        Begin::Resumed(resumed) => (read(runtime, identity, &hold).await?, Start::Resumed(resumed)),
    };
    let limit = Duration::from_millis(fresh.config.limits.max_duration_ms.max(1) as u64);
    // It counts from the run's own beginning, whoever owned it then.
    let begun = fresh.run.started_at.unwrap_or_else(Timestamp::now);
    let spent = Duration::from_millis((Timestamp::now().ms() - begun.ms()).max(0) as u64).saturating_sub(waited);
    let storage = runtime.inner.parts.store.scoped(Scope { tenant: identity.tenant, user: Some(identity.user) });
    let remembered = if !is_new && fresh.config.tools.iter().any(Tool::may_ask) {
        let asked = patiently(&hold, || storage.tools_remembered(fresh.run.thread, fresh.run.agent)).await;
        asked.ok_or(Outcome::Lost)?.map_err(|error| Outcome::Abandoned(unreadable(&error)))?
    } else {
        Vec::new()
    };
    let tools = tools(runtime, &storage, &fresh, &hold, cancel).await?;
    let trace = runtime.trace_of(identity.run, fresh.within);
    tracing::Span::current().record("trace_id", trace.trace_hex());
    let state = RunState {
        runtime,
        tools,
        writer,
        run: fresh.run,
        ord: fresh.ord,
        depth: fresh.depth,
        visibility: fresh.visibility,
        trace: trace.told(fresh.within),
        config: fresh.config,
        cancel,
        hold,
        usage: Usage::default(),
        cost: Some(Money::ZERO),
        estimated: false,
        steps: 0,
        tool_calls: 0,
        remembered,
        purse: Arc::default(),
        warned: Vec::new(),
        repair: None,
        deadline: Instant::now() + limit.saturating_sub(spent),
    };
    Ok((state, start))
}

/// What the run can call. Servers that were never asked what they have, or not for long, are asked now.
async fn tools(
    runtime: &AgentRuntime,
    storage: &UserScopedStorage,
    fresh: &Fresh,
    hold: &CancellationToken,
    cancel: &CancellationToken,
) -> Result<Toolbox, Outcome> {
    let named = servers_named(&fresh.config);
    if named.is_empty() {
        return Ok(Toolbox::of(&fresh.config, fresh.depth, &[]));
    }
    let asked = patiently(hold, || storage.mcp_named(&named)).await;
    let mut servers = asked.ok_or(Outcome::Lost)?.map_err(|error| Outcome::Abandoned(unreadable(&error)))?;
    let parts = &runtime.inner.parts;
    let ago = |at: Option<Timestamp>| at.map_or(i64::MAX, |at| Timestamp::now().ms() - at.ms());
    // Not again and again what has just been asked, by this run or by another one.
    let stale = |server: &&mut StoredMcpServer| {
        ago(server.server.tools_fetched_at) > STALE.as_millis() as i64
            && ago(server.looked_at) > AGAIN.as_millis() as i64
    };
    let looks = servers.iter_mut().filter(stale).map(|server| async {
        match mcp_call::look(&parts.guard, &parts.vault, storage, &server.server).await {
            Ok(Some(now)) => *server = now,
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "what an MCP server has could not be kept"),
        }
    });
    // At the same time, and no longer than is good: of one that does not answer what it said last is believed.
    tokio::select! {
        _ = tokio::time::timeout(LOOKS, futures_util::future::join_all(looks)) => {}
        () = hold.cancelled() => return Err(Outcome::Lost),
        () = cancel.cancelled() => {}
    }
    Ok(Toolbox::of(&fresh.config, fresh.depth, &servers))
}

/// Asks until the database answers, however long it is away. `None`: this process lets go of the run.
async fn patiently<T, F>(hold: &CancellationToken, mut ask: impl FnMut() -> F) -> Option<Result<T, StoreError>>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut pause = Duration::from_millis(50);
    loop {
        match ask().await {
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "a run waits for the database");
            }
            answered => return Some(answered),
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(1)),
            () = hold.cancelled() => return None,
        }
    }
}

/// What is known of a run that was not made here just now.
async fn read(runtime: &AgentRuntime, identity: RunIdentity, hold: &CancellationToken) -> Result<Fresh, Outcome> {
    let scope = Scope { tenant: identity.tenant, user: Some(identity.user) };
    let storage = runtime.inner.parts.store.scoped(scope);
    let Some(read) = patiently(hold, || storage.run_for_loop(identity.run)).await else { return Err(Outcome::Lost) };
    match read {
        Ok(Some(read)) => {
            let config = effective(read.config, &read.overrides);
            let (ord, depth, visibility, within) = (read.ord, read.depth, read.visibility, read.within);
            Ok(Fresh { run: read.run, config, ord, depth, visibility, within, only_input: None })
        }
        Ok(None) => Err(Outcome::Lost),
        Err(error) => Err(Outcome::Abandoned(unreadable(&error))),
    }
}

fn unreadable(error: &StoreError) -> Problem {
    tracing::error!(%error, "a run's data could not be read");
    Problem::new(ErrorCode::Internal, "the run's data could not be read")
}

/// The thread's next run, ours now.
pub(crate) type Next = Option<(RunId, LeaseToken)>;

impl RunState<'_> {
    /// Who writes the run's messages.
    pub(crate) fn author(&self) -> Author {
        Author { thread: self.run.thread, user: self.run.user, agent: self.run.agent, ord: self.ord }
    }

    /// What the run's user may see and change.
    pub(crate) fn storage(&self) -> UserScopedStorage {
        let identity = self.writer.identity();
        let scope = Scope { tenant: identity.tenant, user: Some(identity.user) };
        self.runtime.inner.parts.store.scoped(scope)
    }

    /// The tenant's own keys at providers.
    pub(crate) async fn provider_keys(&self) -> Result<Keys, WriteError> {
        let (parts, tenant) = (&self.runtime.inner.parts, self.writer.identity().tenant);
        self.through_outage(|| parts.vault.provider_keys(tenant, |provider| parts.llm.provider_host(provider))).await
    }

    /// What the tenant's plan grants it, and what it pays.
    pub(crate) async fn terms(&self) -> Result<Arc<TenantTerms>, WriteError> {
        let tenant = self.writer.identity().tenant;
        self.through_outage(|| self.runtime.inner.parts.terms.of(tenant)).await
    }

    /// For whom a step's model is asked. A cancel, and the run's own time limit, both end the call.
    pub(crate) fn call_context(&self, step: i32, keys: Keys, terms: &TenantTerms) -> CallContext {
        let identity = self.writer.identity();
        CallContext {
            tenant: identity.tenant,
            user: identity.user,
            agent: self.run.agent,
            run: identity.run,
            step,
            priority: self.run.priority,
            weight: terms.grants.weight,
            prices: Arc::new(terms.prices.clone()),
            cancel: self.cancel.child_token(),
            keys,
            ledger: Arc::new(self.ledger(step)),
        }
    }

    /// What the model is offered in a step: the last one that may be done has to end in words.
    pub(crate) fn offered(&self, step: i32) -> impl Iterator<Item = &Ability> {
        self.tools.offered().filter(move |_| step < self.config.limits.max_steps)
    }

    /// Who grants money to a step's calls.
    pub(crate) fn ledger(&self, step: i32) -> RunLedger {
        let identity = self.writer.identity();
        RunLedger {
            runtime: self.runtime.clone(),
            storage: self.storage(),
            purse: Arc::clone(&self.purse),
            tenant: identity.tenant,
            user: identity.user,
            agent: self.run.agent,
            run: identity.run,
            token: identity.token,
            step,
            run_limit: self.config.run_budget.map(|budget| budget.limit),
            is_called: self.depth > 0,
        }
    }

    /// Tells of a budget that is about to be used up, once in each of its windows.
    pub(crate) fn warn(&mut self, warning: BudgetWarning, events: &mut Vec<EventBody>) {
        let now = Timestamp::now();
        let day = |at: Timestamp| at.0.to_zoned(jiff::tz::TimeZone::UTC).date();
        if self.warned.iter().any(|(budget, at)| *budget == warning.budget && day(*at) >= warning.since) {
            return;
        }
        self.warned.push((warning.budget, now));
        let BudgetWarning { budget, scope, mode, limit, spent, since: _ } = warning;
        let remaining = Money(limit.0.saturating_sub(spent.0));
        events.push(EventBody::BudgetWarning { budget, scope, mode, limit, spent, remaining });
    }

    /// Waits for somebody to give it more money, or another model: the run is nobody's until then.
    /// [`WriteError::Unread`]: there is money now.
    async fn wait_for_money(
        &mut self,
        mut events: Vec<EventBody>,
        mut writes: Writes,
        closest: &Closest,
    ) -> Result<(), WriteError> {
        let mut write = self.totals();
        write.status = Some(RunStatus::Suspended.as_str());
        write.suspended_at = Some(Timestamp::now().0);
        write.waits_budget = Some(closest.waits());
        writes.run = Some(write);
        let pending = vec![Pending::of_budget(closest.budget(), closest.run())];
        events.push(EventBody::RunSuspended { reason: "budget".into(), pending });
        self.writer.commit(events, writes).await.map(drop)
    }

    /// Asks [`patiently`] for what the run cannot go on without.
    pub(crate) async fn through_outage<T, F>(&self, ask: impl FnMut() -> F) -> Result<T, WriteError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let answered = patiently(&self.hold, ask).await.ok_or(WriteError::Fenced)?;
        answered.map_err(|error| WriteError::Refused(error.to_string()))
    }

    async fn work(&mut self, start: Start) -> Result<Done, WriteError> {
        let mut kept = None;
        let (mut step, mut only_input) = match start {
            Start::First { only_input, started } => {
                if !started {
                    if self.cancel.is_cancelled() {
                        let ending = self.cancelled();
                        return Box::pin(self.end(Vec::new(), Writes::default(), ending)).await.map(Done::Ended);
                    }
                    Box::pin(self.start()).await?;
                }
                (1, only_input)
            }
            Start::Resumed(resumed) => match Box::pin(self.resume(*resumed)).await? {
                Ahead::Step(step) => (step, None),
                Ahead::Answer(answer) => {
                    let step = answer.step;
                    kept = Some(answer);
                    (step, None)
                }
                Ahead::Calls(called) => match Box::pin(self.carry_out(*called)).await? {
                    After::Step(step) => (step, None),
                    After::Suspended => return Ok(Done::Suspended),
                    After::Ended(next) => return Ok(Done::Ended(next)),
                },
                Ahead::Ended(next) => return Ok(Done::Ended(next)),
            },
        };
        loop {
            let end = match kept.take() {
                Some(kept) => Box::pin(step::go_on(self, *kept)).await?,
                None => match Box::pin(self.next_request(step, only_input.take())).await? {
                    Ok(request) => step::run_step(self, step, request).await?,
                    Err(problem) => return Box::pin(self.fail(problem)).await.map(Done::Ended),
                },
            };
            match end {
                StepEnd::Calls { events, writes, called } => {
                    self.writer.commit(events, writes).await?;
                    match Box::pin(self.carry_out(called)).await? {
                        After::Step(next) => step = next,
                        After::Suspended => return Ok(Done::Suspended),
                        After::Ended(next) => return Ok(Done::Ended(next)),
                    }
                }
                StepEnd::Done { events, writes, message, text, finish_reason } => {
                    let json = match structured::parsed(&self.config.response_format, &text) {
                        Ok(json) => json,
                        Err(words) if self.may_repair(step, finish_reason) => {
                            self.repair = Some(words);
                            step = Box::pin(self.next_step(step + 1, events, writes)).await?;
                            continue;
                        }
                        Err(words) => {
                            let words = format!("the answer does not fit the response_format: {words}");
                            let ending = Ending::Failed(Problem::new(ErrorCode::InvalidOutput, words));
                            return Box::pin(self.end(events, writes, ending)).await.map(Done::Ended);
                        }
                    };
                    match Box::pin(self.complete(events, writes, message, text, json, finish_reason)).await {
                        Err(WriteError::Unread) => step = Box::pin(self.listen(step)).await?,
                        ended => return ended.map(Done::Ended),
                    }
                }
                StepEnd::Failed { events, writes, problem }
                    if problem.code == ErrorCode::BudgetExhausted
                        && self.config.on_budget == OnBudget::Suspend
                        && let Some(closest) = self.purse.take_refusal() =>
                {
                    match Box::pin(self.wait_for_money(events, writes, &closest)).await {
                        Ok(()) => return Ok(Done::Suspended),
                        // In this very moment somebody has: the same step, once more.
                        Err(WriteError::Unread) => Box::pin(self.go_on_with_step()).await?,
                        Err(error) => return Err(error),
                    }
                }
                StepEnd::Failed { events, writes, problem } => {
                    return Box::pin(self.end(events, writes, Ending::Failed(problem))).await.map(Done::Ended);
                }
                StepEnd::Detached { events, writes, ending } => {
                    if let Some(next) = Box::pin(self.detach(events, writes, ending)).await? {
                        return Ok(Done::Ended(next));
                    }
                }
                StepEnd::Cancelled { events, writes } => {
                    let ending = self.cancelled();
                    return Box::pin(self.end(events, writes, ending)).await.map(Done::Ended);
                }
            }
        }
    }

    /// What the model is asked next: the thread as it is now, as far as it fits.
    async fn next_request(
        &self,
        step: i32,
        only_input: Option<Vec<Part>>,
    ) -> Result<Result<ModelRequest, Problem>, WriteError> {
        let llm = &self.runtime.inner.parts.llm;
        let history = match only_input {
            Some(content) => vec![HistoryMessage { ord: self.ord, role: Role::User, content }],
            None => {
                let storage = self.storage();
                let worth = context::worth_reading(llm, &self.config);
                let asked = patiently(&self.hold, || storage.history(self.run.thread, self.ord, worth)).await;
                match asked.ok_or(WriteError::Fenced)? {
                    Ok(history) => history,
                    Err(error) => return Ok(Err(unreadable(&error))),
                }
            }
        };
        let history = Box::pin(self.read_files(history)).await?;
        let mut messages = match context::context(llm, &self.config, &self.tools.for_model(), history).await {
            Ok(messages) => messages,
            Err(problem) => return Ok(Err(problem)),
        };
        let place = Box::pin(self.show(&mut messages)).await?;
        messages.extend(self.repair.as_deref().map(structured::again));
        Ok(Ok(ModelRequest { place, ..self.request(step, messages) }))
    }

    /// Whether the model is asked once more for an answer that fits.
    fn may_repair(&self, step: i32, finish_reason: FinishReason) -> bool {
        finish_reason == FinishReason::Stop && self.repair.is_none() && step < self.config.limits.max_steps
    }

    /// The run was to end, and something was said to it: the step ends, and the next one begins with that.
    async fn listen(&mut self, step: i32) -> Result<i32, WriteError> {
        let (mut events, writes) = self.writer.take_unread().unwrap_or_default();
        // All but the end of the run: that is last.
        events.pop();
        self.next_step(step + 1, events, writes).await
    }

    /// The run was to wait, and need not: what it had to tell beside that is told.
    async fn go_on_with_step(&mut self) -> Result<(), WriteError> {
        let (mut events, mut writes) = self.writer.take_unread().unwrap_or_default();
        events.pop();
        writes.run = None;
        if events.is_empty() {
            return Ok(());
        }
        self.writer.commit(events, writes).await.map(drop)
    }

    /// Ends a step with these events, and begins another with what was said to the run meanwhile.
    pub(crate) async fn next_step(
        &mut self,
        step: i32,
        mut events: Vec<EventBody>,
        mut writes: Writes,
    ) -> Result<i32, WriteError> {
        let storage = self.storage();
        let said = self.through_outage(|| storage.run_inputs(self.run.id)).await?;
        let now = Timestamp::now();
        let mut input_messages = Vec::new();
        for (input, content) in said {
            let message = MessageId::new();
            input_messages.push(message);
            writes.joined.push(input);
            writes.messages.push(MessageWrite {
                message_id: message.uuid(),
                thread_id: self.run.thread.uuid(),
                user_id: self.run.user.uuid(),
                ord: self.ord,
                role: Role::User.as_str(),
                status: MessageStatus::Completed.as_str(),
                agent_id: None,
                step: Some(step),
                content,
                created_at: now.0,
                completed_at: Some(now.0),
            });
        }
        let mut write = self.totals();
        write.input_messages = input_messages.iter().map(|message| message.uuid()).collect();
        writes.run = Some(write);
        events.push(EventBody::StepStarted { step, model: self.config.model.clone(), input_messages });
        self.writer.commit(events, writes).await?;
        Ok(step)
    }

    /// The loop's first events, for a run that had to wait.
    async fn start(&mut self) -> Result<(), WriteError> {
        let now = Timestamp::now();
        let mut write = RunWrite::new(self.run.thread);
        write.status = Some(RunStatus::Running.as_str());
        write.started_at = Some(now.0);
        let events = vec![
            EventBody::RunStarted {
                attempt: self.run.attempt,
                agent: self.run.agent,
                agent_version: self.run.agent_version,
                model: self.config.model.clone(),
            },
            EventBody::StepStarted { step: 1, model: self.config.model.clone(), input_messages: Vec::new() },
        ];
        self.writer.commit(events, Writes { run: Some(write), ..Writes::default() }).await?;
        Ok(())
    }

    fn request(&self, step: i32, messages: Vec<headwater_llm::ModelMessage>) -> ModelRequest {
        let config = &self.config;
        ModelRequest {
            model: config.model.clone(),
            fallbacks: config.fallbacks.clone(),
            instructions: context::instructions(config),
            messages,
            temperature: config.temperature,
            top_p: config.top_p,
            max_output_tokens: config.max_output_tokens,
            stop: config.stop.clone(),
            seed: config.seed,
            reasoning_effort: config.reasoning_effort,
            response_format: config.response_format.clone(),
            tools: self.offered(step).map(ModelTool::from).collect(),
            tool_choice: config.tool_choice,
            parallel_tool_calls: config.parallel_tool_calls,
            prompt_caching: config.prompt_caching,
            timeouts: config.timeouts,
            max_queue_ms: config.limits.max_queue_ms.max(0) as u64,
            place: Place::default(),
        }
    }

    /// What becomes of a run that has taken too long.
    pub(crate) fn timed_out(&self) -> Problem {
        let limit = self.config.limits.max_duration_ms;
        Problem::new(ErrorCode::RunTimeout, format!("the run took longer than its {limit} ms"))
    }

    pub(crate) fn cancelled(&self) -> Ending {
        Ending::Cancelled(self.runtime.canceller(self.run.id))
    }

    async fn fail(&mut self, problem: Problem) -> Result<Next, WriteError> {
        self.end(Vec::new(), Writes::default(), Ending::Failed(problem)).await
    }

    async fn complete(
        &mut self,
        mut events: Vec<EventBody>,
        mut writes: Writes,
        message: headwater_protocol::MessageId,
        text: String,
        json: Option<serde_json::Value>,
        mut finish_reason: FinishReason,
    ) -> Result<Next, WriteError> {
        let may_call = self.tools.offered().next().is_some();
        if finish_reason == FinishReason::Stop && may_call && self.steps >= self.config.limits.max_steps {
            finish_reason = FinishReason::MaxSteps;
        }
        let result = RunResult { message, text, json, finish_reason };
        let mut write = self.totals();
        write.status = Some(RunStatus::Completed.as_str());
        write.finished_at = Some(Timestamp::now().0);
        write.result = serde_json::to_value(&result).ok();
        // While it may do another step it hears what was said to it meanwhile; else that is the thread's next run.
        write.unless_input = self.steps < self.config.limits.max_steps;
        writes.reserved |= self.purse.is_touched();
        events.push(EventBody::RunCompleted { result, usage: self.usage, cost: self.cost });
        let token = LeaseToken(write.next_token);
        writes.run = Some(write);
        let next = self.writer.commit(events, writes).await?;
        metrics::ended(RunStatus::Completed.as_str(), None, self.run.started_at);
        Ok(next.map(|next| (next, token)))
    }

    pub(crate) async fn end(
        &mut self,
        mut events: Vec<EventBody>,
        mut writes: Writes,
        ending: Ending,
    ) -> Result<Next, WriteError> {
        let mut write = self.totals();
        ending.write(&mut write, Timestamp::now());
        writes.reserved |= self.purse.is_touched();
        events.push(ending.event(self.usage, self.cost));
        let token = LeaseToken(write.next_token);
        writes.run = Some(write);
        let next = self.writer.commit(events, writes).await?;
        ending.count(self.run.started_at);
        Ok(next.map(|next| (next, token)))
    }

    pub(crate) fn totals(&self) -> RunWrite {
        let mut write = RunWrite::new(self.run.thread);
        write.leave_next = self.runtime.is_draining();
        write.steps = Some(self.steps);
        write.usage = Some(counts(self.usage));
        write.cost_nano_usd = Some(self.cost.map(|cost| cost.0));
        write.cost_estimated = Some(self.estimated);
        write
    }
}
