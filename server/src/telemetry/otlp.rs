//! What is sent to a receiver of OpenTelemetry, over OTLP: traces of runs, and counters.
//!
//! Owns when it is sent. Promises that nothing waits for it: a receiver that is slow, or gone, costs what was to be sent to it, and
//! that is counted. It ticks only while the process is awake, keeps no connection, and has said all it has before the
//! process is quiet, or ends. Never decides what a span holds.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use headwater_agent::AgentRuntime;
use headwater_protocol::Scope;
use headwater_store::{Busy, Rested, Store, StoreError};
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{MetricExporter, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter as _;
use opentelemetry_sdk::metrics::reader::MetricReader as _;
use opentelemetry_sdk::metrics::{ManualReader, Temporality};
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use secrecy::ExposeSecret as _;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{DROPPED, spans};
use crate::config::TelemetrySettings;

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long spans wait for company.
const GATHER: Duration = Duration::from_millis(500);
/// Spans sent in one go.
const BATCH: usize = 512;
/// What is still to be said before the process is quiet, or ends, is said in this time.
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
    heard: tokio::sync::Mutex<mpsc::Receiver<Rested>>,
    /// What is to be sent, and what keeps the process awake until it was.
    pending: Mutex<(Vec<SpanData>, Vec<Busy>)>,
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
            heard: tokio::sync::Mutex::new(heard),
            pending: Mutex::default(),
        }))
    }

    /// For as long as it is polled, sends what there is.
    pub(crate) async fn keep(&self, store: Store) {
        let mut heard = self.heard.lock().await;
        let mut send_at: Option<Instant> = None;
        let mut count_at = self.metrics_every.map(|every| Instant::now() + every);
        let until = |at: Option<Instant>| async move {
            match at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        loop {
            tokio::select! {
                Some(rested) = heard.recv() => {
                    self.take(&store, rested).await;
                    let waiting = self.pending.lock().expect("no panic while counting").0.len();
                    send_at = if waiting >= BATCH { Some(Instant::now()) } else { send_at.or(Some(Instant::now() + GATHER)) };
                }
                () = until(send_at) => {
                    send_at = None;
                    self.send_spans().await;
                }
                () = until(count_at) => {
                    count_at = self.metrics_every.map(|every| Instant::now() + every);
                    self.send_metrics().await;
                }
            }
        }
    }

    /// Sends all there is to say, in a moment: the process is about to be quiet, or to end. Once [`keep`](Self::keep) is not polled
    /// any more.
    pub(crate) async fn last_words(&self, store: &Store) {
        let say = async {
            let mut heard = self.heard.lock().await;
            while let Ok(rested) = heard.try_recv() {
                self.take(store, rested).await;
            }
            self.send_spans().await;
            if self.metrics_every.is_some() {
                self.send_metrics().await;
            }
        };
        let _ = tokio::time::timeout(LAST_WORDS, say).await;
    }

    /// Makes the spans of a run that has come to rest.
    async fn take(&self, store: &Store, rested: Rested) {
        match self.spans_of(store, &rested).await {
            Ok(spans) if spans.is_empty() => {}
            Ok(spans) => {
                let mut pending = self.pending.lock().expect("no panic while adding");
                pending.0.extend(spans);
                pending.1.push(rested.busy);
            }
            Err(error) => {
                DROPPED.add(1, &[]);
                tracing::debug!(%error, run.id = %rested.run, "a run has no trace");
            }
        }
    }

    async fn spans_of(&self, store: &Store, rested: &Rested) -> Result<Vec<SpanData>, StoreError> {
        let storage = store.scoped(Scope { tenant: rested.tenant, user: None });
        let Some(trace) = storage.run_trace(rested.run, self.capture_content).await? else { return Ok(Vec::new()) };
        let context = self.runtime.trace_of(rested.run, trace.within);
        if !context.sampled {
            return Ok(Vec::new());
        }
        let (spans, until) = spans::spans(rested.tenant, context, &trace, rested.over);
        // Of one that goes on it is written down what was told: nobody else tells it again.
        if let Some(until) = until.filter(|_| !rested.over)
            && !storage.run_traced(rested.run, until).await?
        {
            return Ok(Vec::new());
        }
        Ok(spans)
    }

    async fn send_spans(&self) {
        let (spans, _busy) = std::mem::take(&mut *self.pending.lock().expect("no panic while taking"));
        for batch in spans.chunks(BATCH) {
            let count = batch.len() as u64;
            if let Err(error) = self.spans.export(batch.to_vec()).await {
                DROPPED.add(count, &[]);
                tracing::warn!(%error, spans = count, "traces were not taken by their receiver");
            }
        }
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
