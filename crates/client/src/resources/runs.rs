//! Runs, and the streams of their events.

use std::time::Duration;

use headwater_protocol::api::{
    Approval, CancelParams, Decision, EventPage, List, Run, RunExplanation, RunParams, RunSnapshot, Ticket, ToolOutputs,
};
use headwater_protocol::{ApprovalId, RunId, ThreadId};
use reqwest::Method;

use crate::call::Call;
use crate::{Client, Error, ListOptions, Options, RunStream, StreamOptions};

impl Client {
    /// Asks an agent something on a new thread. Answers as soon as the run is accepted.
    pub async fn runs_create(&self, params: &RunParams, options: Options) -> Result<Run, Error> {
        self.post(&["runs"], params, options).await
    }

    /// Asks an agent something on this thread.
    pub async fn runs_create_on(&self, thread: ThreadId, params: &RunParams, options: Options) -> Result<Run, Error> {
        self.post(&["threads", &thread.to_string(), "runs"], params, options).await
    }

    /// Asks an agent something on a new thread and streams what happens. Nothing is sent before the stream is polled.
    ///
    /// One `Idempotency-Key` for the whole stream: however often the connection breaks, there is one run.
    pub fn runs_create_stream(&self, params: &RunParams, options: Options) -> Result<RunStream, Error> {
        let call = Call::post(self.url(&["runs"])?, params, options)?;
        Ok(RunStream::create(self.clone(), call, StreamOptions::default()))
    }

    /// Asks an agent something on this thread and streams what happens.
    pub fn runs_create_stream_on(
        &self,
        thread: ThreadId,
        params: &RunParams,
        options: Options,
    ) -> Result<RunStream, Error> {
        let call = Call::post(self.url(&["threads", &thread.to_string(), "runs"])?, params, options)?;
        Ok(RunStream::create(self.clone(), call, StreamOptions::default()))
    }

    /// Streams a run's events from a cursor on, resuming as often as it takes. Nothing is sent before the stream is
    /// polled.
    ///
    /// ```no_run
    /// # use headwater_client::{Client, Cursor, Error, StreamOptions, protocol::RunId};
    /// # async fn example(client: Client, run: RunId) -> Result<(), Error> {
    /// let mut stream = client.runs_stream(run, StreamOptions::after(Cursor::After(17)));
    /// while let Some(item) = stream.next_item().await {
    ///     println!("{:?}", item?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn runs_stream(&self, run: RunId, options: StreamOptions) -> RunStream {
        RunStream::read(self.clone(), run, options)
    }

    /// A run with its messages and what it waits for.
    pub async fn runs_get(&self, run: RunId) -> Result<RunSnapshot, Error> {
        self.get(&["runs", &run.to_string()]).await
    }

    /// The same, answered at the run's end, at its suspension, or after so long (at most 25 s).
    pub async fn runs_wait(&self, run: RunId, wait: Duration) -> Result<RunSnapshot, Error> {
        let mut url = self.url(&["runs", &run.to_string()])?;
        url.query_pairs_mut().append_pair("wait_ms", &wait.as_millis().to_string());
        self.send(Call::new(Method::GET, url).extra_time(wait)).await
    }

    /// What a run waits for, and what it has cost.
    pub async fn runs_explain(&self, run: RunId) -> Result<RunExplanation, Error> {
        self.get(&["runs", &run.to_string(), "explain"]).await
    }

    /// Runs; filters `status`, `agent`, `thread`, `external_id`, `user`, `parent`, `created_after`, `created_before`.
    pub async fn runs_list(&self, page: ListOptions) -> Result<List<Run>, Error> {
        self.list(&["runs"], page.into_query()).await
    }

    /// Asks for a run's end. On a finished run nothing happens.
    pub async fn runs_cancel(&self, run: RunId, params: &CancelParams, options: Options) -> Result<Run, Error> {
        self.post(&["runs", &run.to_string(), "cancel"], params, options).await
    }

    /// Answers calls of the application's own tools: all of them, or none. The run goes on when it waits for no other. The
    /// same answer may be sent again.
    pub async fn runs_tool_outputs(&self, run: RunId, outputs: &ToolOutputs, options: Options) -> Result<Run, Error> {
        self.post(&["runs", &run.to_string(), "tool_outputs"], outputs, options).await
    }

    /// What people are asked, and were; filters `status`, `run`, `thread`, `user`.
    pub async fn approvals_list(&self, page: ListOptions) -> Result<List<Approval>, Error> {
        self.list(&["approvals"], page.into_query()).await
    }

    /// One question, and what was decided.
    pub async fn approvals_get(&self, approval: ApprovalId) -> Result<Approval, Error> {
        self.get(&["approvals", &approval.to_string()]).await
    }

    /// Decides. The same decision may be sent again; another one is refused with `already_decided`.
    pub async fn approvals_decide(
        &self,
        run: RunId,
        approval: ApprovalId,
        decision: &Decision,
        options: Options,
    ) -> Result<Approval, Error> {
        self.post(&["runs", &run.to_string(), "approvals", &approval.to_string()], decision, options).await
    }

    /// A ticket to one run's events, for a browser's `EventSource`.
    pub async fn runs_ticket(&self, run: RunId, options: Options) -> Result<Ticket, Error> {
        self.post(&["runs", &run.to_string(), "tickets"], &serde_json::json!({}), options).await
    }

    /// A page of a run's events after `after`: at most `limit` (1 to 1000).
    pub async fn runs_events_page(&self, run: RunId, after: u64, limit: u32) -> Result<EventPage, Error> {
        let query = vec![("after".to_owned(), after.to_string()), ("limit".to_owned(), limit.to_string())];
        self.list(&["runs", &run.to_string(), "events"], query).await
    }
}
