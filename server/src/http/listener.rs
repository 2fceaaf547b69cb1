//! The accept loop: HTTP/1.1 and HTTP/2 (prior knowledge) on one port.
//!
//! Owns sockets from accept to close. Promises that no client holds one without using it (see [`conn`](super::conn)),
//! that connections without a request can be ended at any time ([`HangUp`]), that a shortage of file descriptors or connections ends neither the process nor what is open, and that a stop is
//! orderly: *soft* takes no more connections and lets what is in flight end, *hard* drops what is left.
//! Never decides what a request means, and spawns nothing outside of the tracker.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use headwater_protocol::ErrorCode;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::body::{InFlight, Outlet, TimedBody, TrackedBody};
use super::canned;
use super::conn::{Conn, Shared, Timeouts, Version};
use super::socket::limit_unsent;
use crate::config::ServerSettings;

/// The unsent bytes of one connection that the kernel may hold.
const UNSENT_BYTES: u32 = 128 << 10;
/// The least that hyper accepts as a cap on its buffers. The cap is also the largest head.
const MIN_BUFFER: usize = 8 << 10;
/// How long nothing is accepted after a failure that the next attempt would meet as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often such a failure is told.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// Connections beyond the cap that are told so at a time; further ones are just closed.
const MAX_REFUSALS: usize = 128;
/// How long telling them may take.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// The limits of the listener.
#[derive(Debug, Clone)]
pub struct ListenOptions {
    /// From accepting to the first byte.
    pub first_byte_timeout: Duration,
    /// From the first byte of a head to its last.
    pub head_timeout: Duration,
    /// Between two reads of a body.
    pub body_timeout: Duration,
    /// For a connection without a request in flight.
    pub keep_alive: Duration,
    /// For a write without progress.
    pub write_stall: Duration,
    /// The largest head.
    pub max_header_bytes: usize,
    /// Open connections.
    pub max_connections: usize,
    /// Ends those that are idle.
    pub hang_up: HangUp,
}

/// Ends connections without a request in flight, whenever that is wanted. Cheap to clone; clones are one.
#[derive(Debug, Clone)]
pub struct HangUp(Arc<watch::Sender<()>>);

impl Default for HangUp {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(())))
    }
}

impl HangUp {
    /// Ends them now; those with a request in flight when it is answered. New ones are not meant.
    pub fn now(&self) {
        self.0.send_replace(());
    }

    /// For one connection: resolves when it is meant.
    fn meant(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut now = self.0.subscribe();
        let sender = Arc::clone(&self.0);
        async move {
            // The sender is kept here, so it is there.
            let _ = now.changed().await;
            drop(sender);
        }
    }
}

impl From<&ServerSettings> for ListenOptions {
    fn from(settings: &ServerSettings) -> Self {
        Self {
            first_byte_timeout: Duration::from_millis(settings.first_byte_timeout_ms),
            head_timeout: Duration::from_millis(settings.request_header_timeout_ms),
            body_timeout: Duration::from_millis(settings.request_header_timeout_ms),
            keep_alive: Duration::from_millis(settings.keep_alive_ms),
            write_stall: Duration::from_millis(settings.write_stall_ms),
            max_header_bytes: settings.max_header_bytes,
            max_connections: settings.max_connections,
            hang_up: HangUp::default(),
        }
    }
}

/// Accepts and serves until `soft`, then waits for what is in flight; returns when every connection is closed, which
/// `hard` brings about at once. `router` has its [`layers`](super::layers).
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: ListenOptions,
    tracker: TaskTracker,
    soft: CancellationToken,
    hard: CancellationToken,
) {
    let all = u32::try_from(options.max_connections.clamp(1, Semaphore::MAX_PERMITS >> 4)).unwrap_or(u32::MAX >> 4);
    let places = Arc::new(Semaphore::new(all as usize));
    let refusals = Arc::new(Semaphore::new(MAX_REFUSALS));
    let builders = Arc::new(Builders::new(&options, &tracker));
    let options = Arc::new(options);
    let mut told: Option<Instant> = None;
    loop {
        let accepted = tokio::select! {
            biased;
            () = soft.cancelled() => break,
            () = hard.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) if is_of_one_connection(&error) => continue,
            Err(error) => {
                if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
                    told = Some(Instant::now());
                    tracing::warn!(error = %error, "cannot accept connections, trying again");
                }
                tokio::select! {
                    () = soft.cancelled() => break,
                    () = tokio::time::sleep(ACCEPT_PAUSE) => continue,
                }
            }
        };
        // Events are small and each is wanted at once.
        let prepared = stream.set_nodelay(true).and_then(|()| limit_unsent(&stream, UNSENT_BYTES));
        if let Err(error) = prepared {
            tracing::debug!(error = %error, "a connection was gone before it was accepted");
            continue;
        }
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            if let Ok(refusal) = Arc::clone(&refusals).try_acquire_owned() {
                tracker.spawn(refuse(stream, refusal));
            }
            continue;
        };
        let shared = Arc::new(Shared::default());
        let service =
            Service { router: router.clone(), shared: Arc::clone(&shared), body_timeout: options.body_timeout };
        let timeouts = Timeouts {
            first_byte: options.first_byte_timeout,
            head: options.head_timeout,
            keep_alive: options.keep_alive,
            write_stall: options.write_stall,
        };
        let conn = Conn::new(stream, shared, timeouts);
        let ends = Ends { soft: soft.clone(), hard: hard.clone(), hang_up: options.hang_up.clone() };
        tracker.spawn(connection(Arc::clone(&builders), conn, service, place, ends));
    }
    drop(listener);
    // Every connection holds a place until it is closed.
    drop(places.acquire_many(all).await);
}

/// Errors of a connection that ended while it waited in the backlog: the next one may be fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// One for each version: what they have in common is set on both.
struct Builders {
    http1: http1::Builder,
    http2: http2::Builder<Tracked>,
}

impl Builders {
    fn new(options: &ListenOptions, tracker: &TaskTracker) -> Self {
        let buffer = options.max_header_bytes.max(MIN_BUFFER);
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            // Ours: hyper's own would count the time between two requests as well.
            .header_read_timeout(None)
            .max_buf_size(buffer);
        let mut http2 = http2::Builder::new(Tracked(tracker.clone()));
        http2
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(options.max_header_bytes).unwrap_or(u32::MAX))
            .max_send_buf_size(buffer);
        Self { http1, http2 }
    }
}

async fn connection(
    builders: Arc<Builders>,
    mut conn: Conn,
    service: Service,
    _place: OwnedSemaphorePermit,
    ends: Ends,
) {
    let version = tokio::select! {
        biased;
        () = ends.hard.cancelled() => return,
        version = conn.version() => version,
        // Not when idle ones are: its request may be on its way, and its first byte is not waited for for long.
        () = ends.soft.cancelled() => return,
    };
    // Boxed: only one of the two is alive, and the other's place would be kept for as long.
    let ended = match version {
        None => return,
        Some(Version::Http1) => {
            let conn = builders.http1.serve_connection(TokioIo::new(conn), service);
            Box::pin(serve_one(conn, http1::Connection::graceful_shutdown, ends)).await
        }
        Some(Version::Http2) => {
            let conn = builders.http2.serve_connection(TokioIo::new(conn), service);
            Box::pin(serve_one(conn, http2::Connection::graceful_shutdown, ends)).await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %error, "a connection ended early");
    }
}

/// What ends a connection beside itself.
struct Ends {
    soft: CancellationToken,
    hard: CancellationToken,
    hang_up: HangUp,
}

impl Ends {
    /// With its request in flight, or at once if there is none.
    async fn gently(&self) {
        tokio::select! {
            () = self.soft.cancelled() => {}
            () = self.hang_up.meant() => {}
        }
    }
}

/// Serves a connection to its end: its own, or another one.
async fn serve_one<C>(conn: C, graceful_shutdown: impl FnOnce(Pin<&mut C>), ends: Ends) -> hyper::Result<()>
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut conn = pin!(conn);
    tokio::select! {
        biased;
        () = ends.hard.cancelled() => return Ok(()),
        ended = conn.as_mut() => return ended,
        () = ends.gently() => graceful_shutdown(conn.as_mut()),
    }
    tokio::select! {
        biased;
        () = ends.hard.cancelled() => Ok(()),
        ended = conn => ended,
    }
}

/// Tells a client beyond the cap to come back, and lets it read that.
async fn refuse(mut stream: TcpStream, _refusal: OwnedSemaphorePermit) {
    let answer = canned::close_with(ErrorCode::Overloaded, "too many connections at the moment; try again", &[]);
    let telling = async {
        stream.write_all(&answer).await?;
        stream.shutdown().await?;
        let mut scratch = [0; 1024];
        while stream.read(&mut scratch).await? > 0 {}
        io::Result::Ok(())
    };
    // Whether it heard us changes nothing.
    drop(tokio::time::timeout(REFUSAL_TIME, telling).await);
}

/// What hyper needs to run HTTP/2's requests, within our tracker.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

/// The router, as one connection calls it.
struct Service {
    router: Router,
    shared: Arc<Shared>,
    body_timeout: Duration,
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response<TrackedBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let in_flight = InFlight::begin(&self.shared);
        let shared = Arc::clone(&self.shared);
        let http1 = request.version() < http::Version::HTTP_2;
        let mut request = request.map(|body| TimedBody::wrap(body, self.body_timeout, &self.shared));
        request.extensions_mut().insert(Outlet::of(&self.shared));
        request.extensions_mut().insert(in_flight.keeps_awake());
        let answer = self.router.clone().oneshot(request);
        Box::pin(async move {
            let mut response = answer.await?;
            // Said, so that a client does not send its next request into a connection that ends.
            if http1 && shared.closes() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response.map(|inner| TrackedBody::new(inner, in_flight)))
        })
    }
}
