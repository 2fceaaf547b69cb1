//! Telemetry: where what the crates count is gathered, shown and sent.
//!
//! Owns the meter provider, the instruments that look at the process itself, how all are written for Prometheus, and what is sent to a
//! receiver of OpenTelemetry. Promises that whoever asks (`GET /metrics`) neither wakes a process nor keeps it awake, and that no
//! label of a counter names a tenant, a user or a run. Never records anything of a request's content, unless that was asked for.
//!
//! | module | holds |
//! |---|---|
//! | `otlp` | when what is sent |
//! | `spans` | the trace of a run |

mod otlp;
mod spans;

use std::sync::{Arc, LazyLock, OnceLock, Weak};
use std::time::Duration;

use headwater_agent::AgentRuntime;
use headwater_llm::GatewayLlmService;
use headwater_store::Store;
use headwater_stream::MessageStreamManager;
use http::Method;
use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Temporality};
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use prometheus::{Registry, TextEncoder};

pub(crate) use self::otlp::Otlp;
use crate::config::TelemetrySettings;

/// Seconds that requests take until their answer begins.
const SECONDS: [f64; 14] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0];

/// The process' own registry, made when somebody first counts or asks.
static REGISTRY: OnceLock<Registry> = OnceLock::new();

/// The same counters for whoever is sent them: what has changed since it was last asked.
static READER: LazyLock<Arc<ManualReader>> =
    LazyLock::new(|| Arc::new(ManualReader::builder().with_temporality(Temporality::Delta).build()));

/// What no receiver has got.
static DROPPED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    global::meter("headwater")
        .u64_counter("headwater.telemetry.dropped")
        .with_description(
            "Spans and sets of counters that their receiver did not take, and runs whose spans could not be made.",
        )
        .build()
});

static REQUESTS: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    global::meter("headwater")
        .f64_histogram("http.server.request.duration")
        .with_unit("s")
        .with_description("From a request's head to the beginning of its answer.")
        .with_boundaries(SECONDS.to_vec())
        .build()
});

/// A reader that somebody else reads too.
#[derive(Debug)]
struct SharedReader(Arc<ManualReader>);

impl MetricReader for SharedReader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, all: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(all)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

/// The attributes of this process, with those of `OTEL_RESOURCE_ATTRIBUTES`.
fn resource() -> Resource {
    static INSTANCE: LazyLock<String> = LazyLock::new(|| uuid::Uuid::new_v4().to_string());
    let named = std::env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty());
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_detector(Box::new(EnvResourceDetector::new()))
        .with_attribute(KeyValue::new("service.name", named.unwrap_or_else(|| "headwater".into())))
        .with_attribute(KeyValue::new("service.version", crate::http::VERSION))
        .with_attribute(KeyValue::new("service.instance.id", INSTANCE.clone()))
        .build()
}

/// Has everything counted from here on. To be called before anything is; more than once is once. `sends`: also for a receiver.
pub(crate) fn start(sends: bool) {
    REGISTRY.get_or_init(|| {
        let registry = Registry::new();
        let exporter =
            opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(false).build();
        match exporter {
            Ok(exporter) => {
                let provider = SdkMeterProvider::builder().with_reader(exporter).with_resource(resource());
                let provider = if sends { provider.with_reader(SharedReader(READER.clone())) } else { provider };
                let provider = provider.build();
                global::set_meter_provider(provider);
            }
            Err(error) => tracing::error!(%error, "nothing is counted"),
        }
        registry
    });
}

/// What sends to where the settings say, if they name somebody.
///
/// # Errors
/// When what they say cannot be used.
pub(crate) fn otlp(
    settings: &TelemetrySettings,
    store: &Store,
    runtime: &AgentRuntime,
) -> anyhow::Result<Option<Arc<Otlp>>> {
    Ok(Otlp::new(settings, READER.clone(), store, runtime.clone())?.map(Arc::new))
}

/// Looks at these parts whenever somebody asks.
pub(crate) fn watch(store: &Store, runtime: &AgentRuntime, streams: &MessageStreamManager, llm: &GatewayLlmService) {
    let meter = global::meter("headwater");
    let gauge = |name: &'static str, what: &'static str| meter.u64_observable_gauge(name).with_description(what);
    let (gate, runtime, streams, llm) = (store.gate().clone(), runtime.clone(), streams.clone(), llm.clone());
    let awake = gate.clone();
    gauge("headwater.awake", "1 while the process reaches the database, 0 while it is quiet.")
        .with_callback(move |seen| seen.observe(u64::from(awake.is_awake()), &[]))
        .build();
    meter
        .u64_observable_counter("headwater.wakes")
        .with_description("How often the process woke, its start included.")
        .with_callback(move |seen| seen.observe(gate.wakes(), &[]))
        .build();
    gauge("headwater.runs.live", "Runs that the process works on or keeps waiting for a place.")
        .with_callback(move |seen| seen.observe(runtime.live_runs() as u64, &[]))
        .build();
    gauge("headwater.streams.open", "Streams of events that are read.")
        .with_callback(move |seen| seen.observe(streams.open_streams() as u64, &[]))
        .build();
    let calls = llm.clone();
    gauge("headwater.llm.calls.active", "Model calls that have their place at a provider.")
        .with_callback(move |seen| {
            for (provider, traffic) in calls.traffic() {
                seen.observe(traffic.in_use as u64, &[KeyValue::new("gen_ai.provider.name", provider)]);
            }
        })
        .build();
    gauge("headwater.llm.calls.waiting", "Model calls that wait for their turn.")
        .with_callback(move |seen| {
            for (provider, traffic) in llm.traffic() {
                seen.observe(traffic.waiting as u64, &[KeyValue::new("gen_ai.provider.name", provider)]);
            }
        })
        .build();
}

/// A request was answered. `route`: as it is written in the router, so that there are as many as it has.
pub(crate) fn answered(method: &Method, route: &str, status: u16, after: Duration) {
    // Anybody can make methods up.
    let method = match *method {
        Method::GET | Method::POST | Method::PUT | Method::PATCH | Method::DELETE | Method::HEAD | Method::OPTIONS => {
            method.as_str().to_owned()
        }
        _ => "_OTHER".to_owned(),
    };
    let labels = [
        KeyValue::new("http.request.method", method),
        KeyValue::new("http.route", route.to_owned()),
        KeyValue::new("http.response.status_code", i64::from(status)),
    ];
    REQUESTS.record(after.as_secs_f64(), &labels);
}

/// All of it, as Prometheus reads it.
pub(crate) fn text() -> Result<String, prometheus::Error> {
    let families = REGISTRY.get().map(Registry::gather).unwrap_or_default();
    TextEncoder::new().encode_to_string(&families)
}
