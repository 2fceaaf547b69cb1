//! What is counted of runs.
//!
//! Owns the instruments. Promises bounded labels: statuses, codes and faults are closed lists, and no label names a tenant, a
//! user, an agent or a run.

use std::sync::LazyLock;

use headwater_protocol::{Fault, Problem, Timestamp};
use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::{KeyValue, global};

/// Seconds from a run's beginning to its end.
const SECONDS: [f64; 14] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 86_400.0];

struct Instruments {
    ended: Counter<u64>,
    duration: Histogram<f64>,
    resumed: Counter<u64>,
}

static INSTRUMENTS: LazyLock<Instruments> = LazyLock::new(|| {
    let meter = global::meter("headwater");
    Instruments {
        ended: meter
            .u64_counter("headwater.runs.ended")
            .with_unit("{run}")
            .with_description("Runs that ended, by how, and whose fault that was.")
            .build(),
        duration: meter
            .f64_histogram("headwater.run.duration")
            .with_unit("s")
            .with_description("From the beginning of a run to its end, waits for people included.")
            .with_boundaries(SECONDS.to_vec())
            .build(),
        resumed: meter
            .u64_counter("headwater.runs.resumed")
            .with_unit("{run}")
            .with_description("Runs that went on after a wait, or at another process.")
            .build(),
    }
});

/// A run has ended: completed or cancelled, or failed with this.
pub(crate) fn ended(status: &'static str, problem: Option<&Problem>, begun: Option<Timestamp>) {
    let code = problem.map_or("", |problem| problem.code.as_str());
    let fault = problem.map_or("", |problem| match problem.fault {
        Fault::Caller => "caller",
        Fault::Tenant => "tenant",
        Fault::Provider => "provider",
        Fault::Tool => "tool",
        Fault::Server => "server",
    });
    let labels = [
        KeyValue::new("headwater.status", status),
        KeyValue::new("error.type", code),
        KeyValue::new("headwater.fault", fault),
    ];
    INSTRUMENTS.ended.add(1, &labels);
    if let Some(begun) = begun {
        let ms = (Timestamp::now().ms() - begun.ms()).max(0);
        INSTRUMENTS.duration.record(ms as f64 / 1e3, &labels[..1]);
    }
}

/// A run went on, for this reason.
pub(crate) fn resumed(reason: &'static str) {
    INSTRUMENTS.resumed.add(1, &[KeyValue::new("headwater.reason", reason)]);
}
