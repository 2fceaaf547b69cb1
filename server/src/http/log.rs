//! One line per request.
//!
//! Promises that the line holds no query string (tickets travel there), no header and no body, and that a request whose
//! client went away leaves a line as well.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use headwater_protocol::trace::TraceContext;
use headwater_protocol::{RequestId, TenantId, UserId};
use http::Method;
use tracing::Instrument;

use super::request_id::client_request_id;
use crate::error::{Answered, Cause};
use crate::telemetry;

/// Response extension: who asked. Set by authentication.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoggedAs {
    /// The tenant.
    pub tenant: Option<TenantId>,
    /// The user acted for.
    pub user: Option<UserId>,
}

/// A request that has no line yet.
struct Open {
    started: Instant,
    id: Option<RequestId>,
    client_id: Option<String>,
    method: Method,
    route: Option<MatchedPath>,
    trace_id: Option<String>,
    told: bool,
}

impl Open {
    fn route(&self) -> &str {
        self.route.as_ref().map_or("", MatchedPath::as_str)
    }

    fn tell(mut self, response: &Response) {
        self.told = true;
        let extensions = response.extensions();
        let status = response.status().as_u16();
        telemetry::answered(&self.method, self.route(), status, self.started.elapsed());
        let who = extensions.get::<LoggedAs>().copied().unwrap_or_default();
        let code = extensions.get::<Answered>().map(|Answered(problem)| problem.code.as_str());
        let cause = extensions.get::<Cause>().map(|Cause(cause)| &**cause);
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    target: "headwater::access",
                    $level,
                    method = %self.method,
                    route = self.route(),
                    status,
                    duration_ms = self.started.elapsed().as_secs_f64() * 1e3,
                    request.id = self.id.map(tracing::field::display),
                    client.request_id = self.client_id,
                    trace_id = self.trace_id.as_deref(),
                    tenant.id = who.tenant.map(tracing::field::display),
                    user.id = who.user.map(tracing::field::display),
                    error.code = code,
                    error.cause = cause,
                    "request answered"
                )
            };
        }
        // 503 is a state and not a bug: whoever watches the state hears of it there.
        match status {
            503 => line!(tracing::Level::WARN),
            500.. => line!(tracing::Level::ERROR),
            200 if matches!(self.route(), "/healthz" | "/readyz" | "/metrics") => line!(tracing::Level::DEBUG),
            _ => line!(tracing::Level::INFO),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.told {
            tracing::info!(
                target: "headwater::access",
                method = %self.method,
                route = self.route(),
                duration_ms = self.started.elapsed().as_secs_f64() * 1e3,
                request.id = self.id.map(tracing::field::display),
                client.request_id = self.client_id,
                    trace_id = self.trace_id.as_deref(),
                "client left before the answer"
            );
        }
    }
}

pub(super) async fn access(request: Request, next: Next) -> Response {
    let open = Open {
        started: Instant::now(),
        id: request.extensions().get::<RequestId>().copied(),
        client_id: client_request_id(request.headers()).map(str::to_owned),
        method: request.method().clone(),
        route: request.extensions().get::<MatchedPath>().cloned(),
        trace_id: super::trace_context(request.headers()).map(TraceContext::trace_hex),
        told: false,
    };
    // Whatever is logged on the way carries the id.
    let trace_id = open.trace_id.as_deref();
    let span = tracing::info_span!("request", request.id = open.id.map(tracing::field::display), trace_id);
    let response = next.run(request).instrument(span).await;
    open.tell(&response);
    response
}
