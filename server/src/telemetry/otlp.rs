//! What is sent to a receiver of OpenTelemetry, over OTLP: traces of runs, and counters.
//!
//! Owns when it is sent. Promises that nothing waits for it: a receiver that is slow, or gone, costs what was to be sent to it, and
//! that is counted. It ticks only while the process is awake, keeps no connection, and has said all it has before the
//! process is quiet, or ends. Never decides what a span holds.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_agent::AgentRuntime;
use headwater_protocol::Scope;
use headwater_store::{Busy, Rested, Store, StoreError};
use http::{Request, Response};
use opentelemetry::Value;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{MetricExporter, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter as _;
use opentelemetry_sdk::metrics::reader::MetricReader as _;
use opentelemetry_sdk::metrics::{ManualReader, Temporality};
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use secrecy::ExposeSecret as _;
use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{DROPPED, spans};
use crate::config::TelemetrySettings;

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long spans wait for company.
const GATHER: Duration = Duration::from_millis(500);
/// Spans sent in one go.
const BATCH: usize = 512;
/// And about so many bytes of them.
const BATCH_BYTES: usize = 2 << 20;
/// What is still to be said before the process ends is said in this time.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// What is read of an answer.
const ANSWER_BYTES: usize = 64 * 1024;

/// See the [module](self).
pub(crate) struct Otlp {
    spans: SpanExporter,
    metrics: MetricExporter,
    reader: Arc<ManualReader>,
    runtime: AgentRuntime,
    capture_content: bool,
    metrics_every: Option<Duration>,
    work: Arc<Mutex<Work>>,
    /// Each step is a task: one that was begun comes to its end, whoever stops waiting for it.
    steps: TaskTracker,
}

/// What there is to do. Whoever holds it does it.
struct Work {
    heard: mpsc::Receiver<Rested>,
    /// What is to be sent, and what keeps the process awake until it was.
    spans: Vec<SpanData>,
    busy: Vec<Busy>,
    send_at: Option<Instant>,
    count_at: Option<Instant>,
}

/// One step of it.
enum Due {
    Heard(Rested),
    Spans,
    Counters,
}

impl Otlp {
    /// Sends to where these settings say; `None` where they name nobody.
    ///
    /// # Errors
    /// When what they say cannot be used.
    pub(crate) fn new(
        settings: &TelemetrySettings,
        reader: Arc<ManualReader>,
        store: &Store,
        runtime: AgentRuntime,
    ) -> anyhow::Result<Option<Self>> {
        let Some(endpoint) = &settings.otlp_endpoint else { return Ok(None) };
        let Some(heard) = store.hear_of_runs() else { return Ok(None) };
        let client = Arc::new(Client::new()?);
        let headers = settings.otlp_headers.as_ref().map(|headers| headers.expose_secret().to_owned());
        let headers = headers.unwrap_or_default();
        let headers: HashMap<String, String> = headers
            .split(',')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        let at = |signal: &str| format!("{}/v1/{signal}", endpoint.trim_end_matches('/'));
        let mut spans = SpanExporter::builder()
            .with_http()
            .with_shared_http_client(client.clone())
            .with_headers(headers.clone())
            .with_endpoint(at("traces"))
            .with_timeout(PATIENCE)
            // It would wait on a thread of the runtime.
            .with_retry_policy(RetryPolicy::disabled())
            .build()?;
        spans.set_resource(&super::resource());
        let metrics = MetricExporter::builder()
            .with_http()
            .with_shared_http_client(client)
            .with_headers(headers)
            .with_endpoint(at("metrics"))
            .with_timeout(PATIENCE)
            .with_retry_policy(RetryPolicy::disabled())
            .with_temporality(Temporality::Delta)
            .build()?;
        Ok(Some(Self {
            spans,
            metrics,
            reader,
            runtime,
            capture_content: settings.capture_content,
            metrics_every: Some(settings.metrics_interval_ms).filter(|ms| *ms > 0).map(Duration::from_millis),
            work: Arc::new(Mutex::new(Work {
                heard,
                spans: Vec::new(),
                busy: Vec::new(),
                send_at: None,
                count_at: None,
            })),
            steps: TaskTracker::new(),
        }))
    }

    /// For as long as it is polled, sends what there is.
    pub(crate) async fn keep(self: Arc<Self>, store: Store) {
        let until = |at: Option<Instant>| async move {
            match at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let mut work = self.work.clone().lock_owned().await;
        work.count_at = self.metrics_every.map(|every| Instant::now() + every);
        loop {
            let Work { heard, send_at, count_at, .. } = &mut *work;
            let due = tokio::select! {
                Some(rested) = heard.recv() => Due::Heard(rested),
                () = until(*send_at) => Due::Spans,
                () = until(*count_at) => Due::Counters,
            };
            let (otlp, store) = (self.clone(), store.clone());
            let step = self.steps.spawn(async move {
                otlp.step(&store, &mut work, due).await;
                work
            });
            work = match step.await {
                Ok(work) => work,
                Err(error) => {
                    DROPPED.add(1, &[]);
                    tracing::error!(%error, "something could not be told to the receiver of traces");
                    let mut work = self.work.clone().lock_owned().await;
                    work.send_at = Some(Instant::now() + GATHER);
                    work
                }
            };
        }
    }

    async fn step(&self, store: &Store, work: &mut Work, due: Due) {
        match due {
            Due::Heard(rested) => {
                self.take(store, work, rested).await;
                let now = Instant::now();
                work.send_at = if work.spans.len() >= BATCH { Some(now) } else { work.send_at.or(Some(now + GATHER)) };
            }
            Due::Spans => {
                work.send_at = None;
                self.send_spans(work).await;
                DROPPED.add(store.runs_not_heard_of(), &[]);
            }
            Due::Counters => {
                work.count_at = self.metrics_every.map(|every| Instant::now() + every);
                self.send_metrics().await;
            }
        }
    }

    /// Waits for what was begun: a process that is quiet sends nothing. Once [`keep`](Self::keep) is not polled any more.
    pub(crate) async fn settled(&self) {
        drop(self.work.lock().await);
    }

    /// Sends the counters: the process is about to be quiet. Spans that were not sent keep it from that.
    pub(crate) async fn counters(&self) {
        if self.metrics_every.is_some() {
            self.send_metrics().await;
        }
    }

    /// Sends all there is to say, in a moment: the process is about to end. Once [`keep`](Self::keep) is not polled any more.
    pub(crate) async fn last_words(&self, store: &Store) {
        let say = async {
            // What was begun comes to its end first.
            let mut work = self.work.lock().await;
            while let Ok(rested) = work.heard.try_recv() {
                self.take(store, &mut work, rested).await;
            }
            self.send_spans(&mut work).await;
            self.counters().await;
        };
        if tokio::time::timeout(LAST_WORDS, say).await.is_err() {
            // At least: what a step that still goes on holds is not known.
            let left = self.work.try_lock().map(|work| work.spans.len() + work.heard.len());
            let left = left.unwrap_or(1).max(1) as u64;
            DROPPED.add(left, &[]);
            tracing::warn!(at_least = left, "the receiver of traces was too slow for what was left to say");
        }
    }

    /// Makes the spans of a run that has come to rest.
    async fn take(&self, store: &Store, work: &mut Work, rested: Rested) {
        let before = work.spans.len();
        match self.spans_of(store, work, &rested).await {
            Ok(()) if work.spans.len() == before => {}
            Ok(()) => work.busy.push(rested.busy),
            Err(error) => {
                work.spans.truncate(before);
                DROPPED.add(1, &[]);
                tracing::debug!(%error, run.id = %rested.run, "a run has no trace");
            }
        }
    }

    async fn spans_of(&self, store: &Store, work: &mut Work, rested: &Rested) -> Result<(), StoreError> {
        let storage = store.scoped(Scope { tenant: rested.tenant, user: None });
        let before = work.spans.len();
        // Somebody else may tell of it at the same time, having heard of another wait.
        for _ in 0..3 {
            let Some(trace) = storage.run_trace(rested.run, self.capture_content).await? else { return Ok(()) };
            let context = self.runtime.trace_of(rested.run, trace.within);
            // Whoever hears of the end tells all that is left.
            if !context.sampled || (!rested.over && trace.run.finished_at.is_some()) {
                return Ok(());
            }
            let (spans, told) = spans::spans(rested.tenant, context, &trace, rested.over);
            // Kept before it is written down: should this be cut off in between, something is told twice and not never.
            work.spans.extend(spans);
            // Of one that goes on it is written down what was told: nobody else tells it again.
            if rested.over || told.is_empty() || storage.run_traced(rested.run, &told).await? {
                return Ok(());
            }
            work.spans.truncate(before);
        }
        Ok(())
    }

    async fn send_spans(&self, work: &mut Work) {
        while !work.spans.is_empty() {
            let mut bytes = 0;
            let fits = work.spans.iter().take(BATCH).take_while(|span| {
                bytes += about_bytes(span);
                bytes <= BATCH_BYTES
            });
            let count = fits.count().max(1);
            if let Err(error) = self.spans.export(work.spans[..count].to_vec()).await {
                DROPPED.add(count as u64, &[]);
                tracing::warn!(%error, spans = count, "traces were not taken by their receiver");
            }
            // Until here it is there for whoever counts what was not sent.
            work.spans.drain(..count);
        }
        work.busy.clear();
    }

    async fn send_metrics(&self) {
        let mut all = ResourceMetrics::default();
        if self.reader.collect(&mut all).is_err() || all.scope_metrics().next().is_none() {
            return;
        }
        if let Err(error) = self.metrics.export(&all).await {
            DROPPED.add(1, &[]);
            tracing::warn!(%error, "counters were not taken by their receiver");
        }
    }
}

/// About how large a span is when it is sent.
fn about_bytes(span: &SpanData) -> usize {
    let value = |value: &Value| if let Value::String(text) = value { text.as_str().len() } else { 16 };
    200 + span.attributes.iter().map(|pair| pair.key.as_str().len() + value(&pair.value)).sum::<usize>()
}

/// Sends, and keeps no connection: one that nobody uses would be a packet when it is closed.
struct Client(reqwest::Client);

impl Client {
    fn new() -> anyhow::Result<Self> {
        let builder = || {
            // What the headers hold is for this receiver alone.
            let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
            client.pool_max_idle_per_host(0).timeout(PATIENCE)
        };
        // A bare machine has no certificates: there, only what needs none can be called.
        Ok(Self(builder().build().or_else(|_| builder().tls_certs_only([]).build())?))
    }

    async fn send(client: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let mut response = client.execute(request.try_into()?).await?;
        let mut body = bytes::BytesMut::new();
        while let Some(piece) = response.chunk().await? {
            let room = ANSWER_BYTES - body.len();
            body.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.len() > room {
                break;
            }
        }
        let mut answer = Response::builder().status(response.status());
        if let Some(headers) = answer.headers_mut() {
            *headers = std::mem::take(response.headers_mut());
        }
        Ok(answer.body(body.freeze())?)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl HttpClient for Client {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(Self::send(self.0.clone(), request))
    }
}
