//! A panic in a handler is that request's 500 and nobody else's trouble.
//!
//! Also [`quiet_hook`], which keeps what panics say in the log's own format. Panics while a body streams are not caught
//! here: they end their connection's task, which the runtime contains.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;

use crate::error::ApiError;

pub(super) async fn catch(request: Request, next: Next) -> Response {
    // Unwind safe as far as we care: what the handler was working on is dropped, and shared state has locks that poison.
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => ApiError::internal(format!("panic: {}", words(&*panic))).into_response(),
    }
}

/// What a panic said.
pub fn words(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(text), _) => text,
        (None, Some(text)) => text,
        (None, None) => "(no words)",
    }
}

/// Sends what panics say to the log, with the place. For `main`, once.
pub fn quiet_hook() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(panic.place = place, panic.words = words(info.payload()), "panic");
    }));
}
