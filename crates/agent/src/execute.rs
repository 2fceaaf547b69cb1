//! The loop of one run.
//!
//! Per step: context from the thread, a model call written to the log as it comes, then the next step or the end. Text
//! only in this release: a step without tool calls is the last one.

use headwater_llm::ModelRequest;
use headwater_protocol::api::{AgentConfig, RunStatus};
use headwater_protocol::event::{EventBody, FinishReason, RunResult};
use headwater_protocol::{ErrorCode, Money, Problem, RunId, Scope, Timestamp, Usage};
use headwater_store::StoreError;
use headwater_store::commit::{LeaseToken, RunWrite, Writes};
use headwater_store::scoped::{Author, HistoryMessage};
use headwater_stream::{RunWriter, WriteError};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::accept::effective;
use crate::context;
use crate::ending::Ending;
use crate::runtime::{AgentRuntime, Fresh, Job};
use crate::step::{self, StepEnd, counts};

/// Segments of a log beyond which it is packed at its end.
const SCATTERED: usize = 8;

/// How the loop came to its end.
pub(crate) enum Outcome {
    /// The terminal event is committed. `next`: the thread's next run, ours now.
    Ended {
        /// The run and the token it was taken with.
        next: Option<(RunId, LeaseToken)>,
        /// Whether the log lies in so many pieces that it should be packed.
        scattered: bool,
    },
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
    pub(crate) config: AgentConfig,
    pub(crate) cancel: &'a CancellationToken,
    pub(crate) usage: Usage,
    /// `None` once a call had no price.
    pub(crate) cost: Option<Money>,
    pub(crate) estimated: bool,
    /// Steps that are finished.
    pub(crate) steps: i32,
    pub(crate) deadline: Instant,
}

/// Runs a job to its end.
pub(crate) async fn execute(runtime: &AgentRuntime, job: Box<Job>, cancel: &CancellationToken) -> Outcome {
    let (mut state, only_input, started) = match Box::pin(begin(runtime, job, cancel)).await {
        Ok(begun) => begun,
        Err(outcome) => return outcome,
    };
    match state.work(only_input, started).await {
        Ok(next) => Outcome::Ended { next, scattered: state.writer.segments() > SCATTERED },
        Err(WriteError::Fenced) => Outcome::Lost,
        Err(WriteError::Refused(reason)) => {
            tracing::error!(%reason, "the log refused a run's events");
            Outcome::Abandoned(Problem::new(ErrorCode::Internal, "the run's events could not be stored"))
        }
    }
}

async fn begin<'a>(
    runtime: &'a AgentRuntime,
    job: Box<Job>,
    cancel: &'a CancellationToken,
) -> Result<(RunState<'a>, Option<Vec<headwater_protocol::message::Part>>, bool), Outcome> {
    let Job { identity, writer, fresh, started } = *job;
    if writer.is_fenced() {
        // Cancelled while it waited for its turn: no model is asked.
        return Err(Outcome::Lost);
    }
    let fresh = match fresh {
        Some(fresh) => fresh,
        None => {
            let storage =
                runtime.inner.parts.store.scoped(Scope { tenant: identity.tenant, user: Some(identity.user) });
            match storage.run_for_loop(identity.run).await {
                Ok(Some(read)) => {
                    let config = effective(read.config, &read.overrides);
                    Fresh { run: read.run, config, ord: read.ord, only_input: None }
                }
                Ok(None) => return Err(Outcome::Lost),
                Err(error) => return Err(Outcome::Abandoned(unreadable(&error))),
            }
        }
    };
    let deadline = Instant::now() + std::time::Duration::from_millis(fresh.config.limits.max_duration_ms.max(1) as u64);
    let state = RunState {
        runtime,
        writer,
        run: fresh.run,
        ord: fresh.ord,
        config: fresh.config,
        cancel,
        usage: Usage::default(),
        cost: Some(Money::ZERO),
        estimated: false,
        steps: 0,
        deadline,
    };
    Ok((state, fresh.only_input, started))
}

fn unreadable(error: &StoreError) -> Problem {
    tracing::error!(%error, "a run's data could not be read");
    Problem::new(ErrorCode::Internal, "the run's data could not be read")
}

type Next = Option<(RunId, LeaseToken)>;

impl RunState<'_> {
    /// Who writes the run's messages.
    pub(crate) fn author(&self) -> Author {
        Author { thread: self.run.thread, user: self.run.user, agent: self.run.agent, ord: self.ord }
    }

    async fn work(
        &mut self,
        only_input: Option<Vec<headwater_protocol::message::Part>>,
        started: bool,
    ) -> Result<Next, WriteError> {
        if !started {
            if self.cancel.is_cancelled() {
                return Box::pin(self.end(Vec::new(), Writes::default(), self.cancelled())).await;
            }
            Box::pin(self.start()).await?;
        }
        let history = match only_input {
            Some(content) => {
                Ok(vec![HistoryMessage { ord: self.ord, role: headwater_protocol::event::Role::User, content }])
            }
            None => {
                let identity = self.writer.identity();
                let scope = Scope { tenant: identity.tenant, user: Some(identity.user) };
                let storage = self.runtime.inner.parts.store.scoped(scope);
                let worth = context::worth_reading(&self.runtime.inner.parts.llm, &self.config);
                Box::pin(storage.history(self.run.thread, self.ord, worth)).await
            }
        };
        let history = match history {
            Ok(history) => history,
            Err(error) => return Box::pin(self.fail(unreadable(&error))).await,
        };
        let context = context::context(&self.runtime.inner.parts.llm, &self.config, history);
        let messages = match Box::pin(context).await {
            Ok(messages) => messages,
            Err(problem) => return Box::pin(self.fail(problem)).await,
        };
        let request = self.request(messages);
        match step::run_step(self, 1, request).await? {
            StepEnd::Done { events, writes, message, text, finish_reason } => {
                Box::pin(self.complete(events, writes, message, text, finish_reason)).await
            }
            StepEnd::Failed { events, writes, problem } => {
                Box::pin(self.end(events, writes, Ending::Failed(problem))).await
            }
            StepEnd::Cancelled { events, writes } => Box::pin(self.end(events, writes, self.cancelled())).await,
        }
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

    fn request(&self, messages: Vec<headwater_llm::ModelMessage>) -> ModelRequest {
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
            timeouts: config.timeouts,
            max_queue_ms: config.limits.max_queue_ms.max(0) as u64,
        }
    }

    fn cancelled(&self) -> Ending {
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
        finish_reason: FinishReason,
    ) -> Result<Next, WriteError> {
        let result = RunResult { message, text, json: None, finish_reason };
        let mut write = self.totals();
        write.status = Some(RunStatus::Completed.as_str());
        write.finished_at = Some(Timestamp::now().0);
        write.result = serde_json::to_value(&result).ok();
        events.push(EventBody::RunCompleted { result, usage: self.usage, cost: self.cost });
        let token = LeaseToken(write.next_token);
        writes.run = Some(write);
        Ok(self.writer.commit(events, writes).await?.map(|next| (next, token)))
    }

    async fn end(
        &mut self,
        mut events: Vec<EventBody>,
        mut writes: Writes,
        ending: Ending,
    ) -> Result<Next, WriteError> {
        let mut write = self.totals();
        ending.write(&mut write, Timestamp::now());
        events.push(ending.event(self.usage, self.cost));
        let token = LeaseToken(write.next_token);
        writes.run = Some(write);
        Ok(self.writer.commit(events, writes).await?.map(|next| (next, token)))
    }

    fn totals(&self) -> RunWrite {
        let mut write = RunWrite::new(self.run.thread);
        write.steps = Some(self.steps);
        write.usage = Some(counts(self.usage));
        write.cost_nano_usd = Some(self.cost.map(|cost| cost.0));
        write.cost_estimated = Some(self.estimated);
        write
    }
}
