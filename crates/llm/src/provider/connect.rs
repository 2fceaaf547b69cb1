//! HTTP clients, one per provider, and a connect timeout that is the call's own.
//!
//! Owns how a client is set up: no redirects, no proxy from the environment, a pool that all calls share. Promises that
//! connecting (name, TCP and TLS) ends after the calling agent's `connect_ms`, although reqwest knows only one such timeout
//! per client. Never follows a URL that is not the configuration's.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tower::{Layer, Service};

type BoxError = Box<dyn Error + Send + Sync>;

// A connector is called from inside the poll of the request that needs it, and it is told nothing about that request
// (hyper's `capture_connection` does not get through reqwest). A task-local around the request is the one way in. It carries
// nothing but this duration, from `within` to `ConnectDeadline::call`.
tokio::task_local! {
    static CONNECT_WITHIN: Duration;
}

/// Runs a request, giving connections that it has to open so much time.
pub(super) fn within<F: Future>(limit: Duration, request: F) -> impl Future<Output = F::Output> {
    CONNECT_WITHIN.scope(limit, request)
}

/// Whether a request failed because its connection did not stand in time.
pub(super) fn timed_out(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<ConnectTimedOut>() {
            return true;
        }
        next = error.source();
    }
    false
}

/// A client for one provider.
pub(super) fn client(is_https: bool) -> Result<reqwest::Client, reqwest::Error> {
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(60))
        .pool_idle_timeout(Duration::from_secs(60))
        .connector_layer(ConnectDeadlineLayer);
    // Without TLS there is no need for certificates, which a bare machine does not have.
    let builder = if is_https { builder.https_only(true) } else { builder.tls_certs_only([]) };
    builder.build()
}

#[derive(Debug, thiserror::Error)]
#[error("the connection did not stand in time")]
struct ConnectTimedOut;

#[derive(Clone, Copy)]
struct ConnectDeadlineLayer;

#[derive(Clone)]
struct ConnectDeadline<S>(S);

impl<S> Layer<S> for ConnectDeadlineLayer {
    type Service = ConnectDeadline<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ConnectDeadline(inner)
    }
}

impl<S, R> Service<R> for ConnectDeadline<S>
where
    S: Service<R, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let connecting = self.0.call(request);
        let limit = CONNECT_WITHIN.try_with(|limit| *limit).ok();
        Box::pin(async move {
            match limit {
                Some(limit) => {
                    tokio::time::timeout(limit, connecting).await.unwrap_or_else(|_| Err(Box::new(ConnectTimedOut)))
                }
                None => connecting.await,
            }
        })
    }
}
