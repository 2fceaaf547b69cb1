//! What is counted of model calls.
//!
//! Owns the instruments, by the names of OpenTelemetry's GenAI conventions where there are some. Promises bounded labels: a
//! model is called by its entry in the price table, and one that has none by its provider alone, since tenants make names up;
//! no label names a tenant, a user or a run. Without a meter provider nothing is counted and nothing is paid.

use std::sync::LazyLock;

use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::{KeyValue, global};

use crate::event::{Outcome, Settlement};
use crate::failure::Failure;

/// Seconds that calls and their parts take.
const SECONDS: [f64; 14] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 180.0, 600.0];
/// Tokens, as the conventions have them.
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
/// By how much a cost was missed, as a part of what was expected: negative where it was less.
const MISSED: [f64; 13] = [-0.75, -0.5, -0.25, -0.1, -0.05, 0.0, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0];

struct Instruments {
    tokens: Histogram<u64>,
    duration: Histogram<f64>,
    first_token: Histogram<f64>,
    queued: Histogram<f64>,
    refused: Counter<u64>,
    cost: Counter<f64>,
    estimate_error: Histogram<f64>,
    overrun: Counter<f64>,
}

static INSTRUMENTS: LazyLock<Instruments> = LazyLock::new(|| {
    let meter = global::meter("headwater");
    let seconds = |name: &'static str, what: &'static str| {
        meter.f64_histogram(name).with_unit("s").with_description(what).with_boundaries(SECONDS.to_vec()).build()
    };
    Instruments {
        tokens: meter
            .u64_histogram("gen_ai.client.token.usage")
            .with_unit("{token}")
            .with_description("Tokens of model calls, input and output.")
            .with_boundaries(TOKENS.to_vec())
            .build(),
        duration: seconds(
            "gen_ai.client.operation.duration",
            "Model calls that were answered, from sending to their end.",
        ),
        first_token: seconds(
            "gen_ai.client.operation.time_to_first_chunk",
            "From sending a model call to the first of its answer.",
        ),
        queued: seconds("headwater.llm.queue.duration", "How long model calls waited for their turn."),
        refused: meter
            .u64_counter("headwater.llm.refused")
            .with_unit("{attempt}")
            .with_description("Attempts that a provider refused or never answered.")
            .build(),
        cost: meter
            .f64_counter("headwater.llm.cost.usd")
            .with_description("What settled model calls cost, in dollars.")
            .build(),
        estimate_error: meter
            .f64_histogram("headwater.llm.estimate.error")
            .with_unit("1")
            .with_description("By how much the cost of a call was missed, as a part of what was expected of it.")
            .with_boundaries(MISSED.to_vec())
            .build(),
        overrun: meter
            .f64_counter("headwater.llm.overrun.usd")
            .with_description("What calls cost beyond what was set aside for them, in dollars.")
            .build(),
    }
});

/// How a call's model is called.
pub(crate) struct Labels([KeyValue; 3]);

impl Labels {
    /// By its provider, and its entry in the price table.
    pub(crate) fn new(model: &str, entry: Option<&str>) -> Self {
        let provider = model.split('/').next().unwrap_or_default().to_owned();
        let model = entry.map_or_else(|| "other".to_owned(), str::to_owned);
        Self([
            KeyValue::new("gen_ai.operation.name", "chat"),
            KeyValue::new("gen_ai.provider.name", provider),
            KeyValue::new("gen_ai.request.model", model),
        ])
    }

    fn and(&self, more: KeyValue) -> [KeyValue; 4] {
        let [operation, provider, model] = self.0.clone();
        [operation, provider, model, more]
    }

    /// An attempt that was answered.
    pub(crate) fn settled(&self, settlement: &Settlement, is_reserved: bool) {
        let Instruments { tokens, duration, first_token, queued, cost, estimate_error, overrun, .. } = &*INSTRUMENTS;
        let seconds = |ms: u64| ms as f64 / 1e3;
        let kind = |kind: &'static str| self.and(KeyValue::new("gen_ai.token.type", kind));
        tokens.record(settlement.usage.input_tokens, &kind("input"));
        tokens.record(settlement.usage.output_tokens, &kind("output"));
        let outcome = KeyValue::new("headwater.outcome", settlement.outcome.as_str());
        duration.record(seconds(settlement.duration_ms), &self.and(outcome));
        if let Some(ms) = settlement.first_token_ms {
            first_token.record(seconds(ms), &self.0);
        }
        queued.record(seconds(settlement.queued_ms), &self.0);
        let Some(paid) = settlement.cost else { return };
        cost.add(paid.0.max(0) as f64 / 1e9, &self.0);
        if let Some(expected) = settlement.expected.filter(|expected| expected.0 > 0)
            && settlement.outcome == Outcome::Completed
            && !settlement.estimated
        {
            estimate_error.record((paid.0 - expected.0) as f64 / expected.0 as f64, &self.0);
        }
        if let Some(most) = settlement.reserve.filter(|most| is_reserved && paid.0 > most.0) {
            overrun.add((paid.0 - most.0) as f64 / 1e9, &self.0);
        }
    }

    /// An attempt that was not.
    pub(crate) fn refused(&self, failure: &Failure) {
        INSTRUMENTS.refused.add(1, &self.and(KeyValue::new("error.type", failure.problem.code.as_str())));
    }
}
