//! `/v1/limiter`, `/v1/quiet`, `/v1/doctor`: what one process tells its operator about itself.

use axum::Json;
use axum::extract::State;
use headwater_llm::BreakerNow;
use headwater_protocol::api::{
    BreakerState, BusyWith, Doctor, Limiter, LimiterKey, LimiterTenant, QuietState, QuietStatus,
};
use headwater_protocol::{Problem, Timestamp};

use crate::auth::Operator;
use crate::doctor::installation;
use crate::error::ApiError;
use crate::wiring::AppState;

/// As many as are worth looking at.
const MOST: usize = 100;

/// What goes on at the providers, as this process sees it: limits, who has a place and who waits for one.
#[utoipa::path(get, path = "/v1/limiter", tag = "operations",
    responses((status = 200, body = Limiter), (status = "default", body = Problem)))]
pub async fn limiter_get(State(state): State<AppState>, _: Operator) -> Json<Limiter> {
    let now = Timestamp::now();
    let mut keys: Vec<LimiterKey> = Vec::new();
    for (model, key_of, limiter) in state.llm.limiters() {
        let (seen, (breaker, waits)) = (limiter.state(), limiter.queue());
        let (breaker, open_until) = match breaker {
            BreakerNow::Closed => (BreakerState::Closed, None),
            BreakerNow::Probing => (BreakerState::Probing, None),
            BreakerNow::Open(left) => (BreakerState::Open, Some(now.plus_ms(left.as_millis() as i64))),
        };
        let mut tenants: Vec<LimiterTenant> = waits
            .into_iter()
            .map(|(tenant, weight, waiting)| LimiterTenant { tenant, weight, waiting: waiting as u64 })
            .collect();
        tenants.sort_by_key(|tenant| std::cmp::Reverse(tenant.waiting));
        tenants.truncate(MOST);
        keys.push(LimiterKey {
            model,
            key: key_of.map_or_else(|| "platform".into(), |tenant| tenant.to_string()),
            // "Any number" is a number within.
            limit: (seen.limit < u32::MAX as usize).then_some(seen.limit as u64),
            in_flight: seen.in_use as u64,
            waiting: seen.waiting as u64,
            paused_ms: seen.paused_ms,
            breaker,
            open_until,
            tenants,
        });
    }
    keys.sort_by(|a, b| (b.waiting, b.in_flight, &a.model, &a.key).cmp(&(a.waiting, a.in_flight, &b.model, &b.key)));
    keys.truncate(MOST);
    Json(Limiter { object: "limiter".into(), replica: state.replica(), keys })
}

/// Whether this process is quiet, and what keeps it awake.
#[utoipa::path(get, path = "/v1/quiet", tag = "operations",
    responses((status = 200, body = QuietStatus), (status = "default", body = Problem)))]
pub async fn quiet_get(State(state): State<AppState>, _: Operator) -> Json<QuietStatus> {
    let gate = state.store.gate();
    let with = |what: &str, count: usize| BusyWith { what: what.into(), count: count as u64 };
    let busy = [
        with("runs", state.runtime.live_runs()),
        with("streams", state.streams.open_streams()),
        with("database", gate.busy()),
    ];
    Json(QuietStatus {
        object: "quiet".into(),
        replica: state.replica(),
        enabled: state.quiet.enabled,
        state: if gate.is_awake() { QuietState::Awake } else { QuietState::Quiet },
        idle_ms: gate.idle_for().as_millis() as u64,
        quiet_after_ms: state.quiet.idle_after.as_millis() as u64,
        wakes: gate.wakes(),
        busy: busy.into_iter().filter(|busy| busy.count > 0).collect(),
    })
}

/// What the doctor has found, as far as a running server can look.
#[utoipa::path(get, path = "/v1/doctor", tag = "operations",
    responses((status = 200, body = Doctor), (status = "default", body = Problem)))]
pub async fn doctor_get(State(state): State<AppState>, _: Operator) -> Result<Json<Doctor>, ApiError> {
    let findings = installation(&state.store, &state.vault, &state.looks).await?;
    Ok(Json(Doctor { object: "doctor".into(), checked_at: Timestamp::now(), findings }))
}
