//! The client.

use std::error::Error;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode};
use reqwest::redirect;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::{Host, Url};

use crate::address::{Networks, may_reach};
use crate::resolve::{Guarded, Lookup, SystemLookup};

/// Name, TCP and TLS together.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a connection is kept for a next request: short, so that a quiet process has none.
const IDLE: Duration = Duration::from_secs(20);

/// Why a URL is not called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Neither `http` nor `https`.
    #[error("only http and https URLs are called")]
    Scheme,
    /// A name or password in the URL.
    #[error("a URL that is called holds no user name and no password")]
    Userinfo,
    /// No host.
    #[error("the URL names no host")]
    Host,
    /// An address that is not public.
    #[error("the URL leads to an address that is not public")]
    Address,
}

/// What went wrong with a call. Never holds the URL, a header or an address: those may hold secrets, or tell of a network.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// It may not be called.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It took longer than it may.
    #[error("the answer took longer than {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// It could not be reached. `sent`: something may have arrived there.
    #[error("{words}")]
    Unreachable {
        /// In words.
        words: &'static str,
        /// Whether the request may have been heard.
        sent: bool,
    },
}

/// A request.
#[derive(Debug)]
pub struct Ask {
    /// How.
    pub method: Method,
    /// Where.
    pub url: Url,
    /// With what.
    pub headers: HeaderMap,
    /// What is sent.
    pub body: Option<Bytes>,
    /// For all of it, to the answer's last byte.
    pub timeout: Duration,
    /// How much of the answer is read.
    pub max_bytes: usize,
    /// How much more, if there is more and it went well.
    pub beyond: Option<Beyond>,
}

/// What is read of a large answer. Who reads that much waits for a place, so that large answers are bounded together.
#[derive(Debug, Clone)]
pub struct Beyond {
    /// How much at most.
    pub max_bytes: usize,
    /// The places.
    pub places: Arc<Semaphore>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// How it went.
    pub status: StatusCode,
    /// With what.
    pub headers: HeaderMap,
    /// At most as much as was asked for.
    pub body: Bytes,
    /// Whether there was more.
    pub cut: bool,
    /// Of a large answer: its place, until the answer is let go of.
    pub place: Option<OwnedSemaphorePermit>,
}

/// How many shares there are of what callers could take from each other: turns to look names up, and connections. A share is
/// made when somebody has it.
const SHARES: usize = 8;

/// The guarded client. Cheap to clone.
#[derive(Clone)]
pub struct Guard {
    shares: Arc<Shares>,
    at: usize,
}

struct Shares {
    /// The first is there from the start, and always.
    clients: [RwLock<Option<reqwest::Client>>; SHARES],
    allowed: Networks,
    lookup: Box<dyn Fn() -> Arc<dyn Lookup> + Send + Sync>,
    hasher: RandomState,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Shares {
    fn get(&self, at: usize) -> Option<reqwest::Client> {
        self.clients[at].read().expect("no panic while copying").clone()
    }

    fn put(&self, at: usize, client: reqwest::Client) -> reqwest::Client {
        self.clients[at].write().expect("no panic while replacing").insert(client).clone()
    }

    fn build(&self) -> Result<reqwest::Client, reqwest::Error> {
        let lookup = (self.lookup)();
        let builder = || {
            reqwest::Client::builder()
                .redirect(redirect::Policy::none())
                .no_proxy()
                .referer(false)
                .connect_timeout(CONNECT)
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(8)
                .dns_resolver(Guarded { lookup: lookup.clone(), allowed: self.allowed.clone() })
        };
        // A bare machine has no certificates: there, only what needs none can be called.
        builder().build().or_else(|_| builder().tls_certs_only([]).build())
    }
}

impl Guard {
    /// A client that reaches public addresses and these.
    ///
    /// # Errors
    /// When the system's certificates cannot be read.
    pub fn new(allowed: Networks) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Self::with_shares(allowed, Box::new(|| Arc::new(SystemLookup::default())))
    }

    /// The same, with another way to look names up.
    ///
    /// # Errors
    /// As [`Guard::new`].
    pub fn with_lookup(allowed: Networks, lookup: Arc<dyn Lookup>) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Self::with_shares(allowed, Box::new(move || lookup.clone()))
    }

    fn with_shares(
        allowed: Networks,
        lookup: Box<dyn Fn() -> Arc<dyn Lookup> + Send + Sync>,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let clients = std::array::from_fn(|_| RwLock::new(None));
        let shares = Shares { clients, allowed, lookup, hasher: RandomState::new() };
        // That one can be made is found out now.
        let first = shares.build()?;
        shares.put(0, first);
        Ok(Self { shares: Arc::new(shares), at: 0 })
    }

    /// The same with the share of this caller: who makes many slow calls keeps those few others waiting that have the same
    /// one. Which it is differs from process to process.
    #[must_use]
    pub fn of(&self, caller: &impl Hash) -> Self {
        let at = self.shares.hasher.hash_one(caller) as usize % SHARES;
        Self { shares: self.shares.clone(), at }
    }

    /// Whether a URL may be called, as far as can be said without looking its name up.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, url: &Url) -> Result<(), Refused> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::Userinfo);
        }
        // An address in a URL is connected to as it is, in whatever notation it came, and no name is looked up for it.
        let reach = |address| if may_reach(address, &self.shares.allowed) { Ok(()) } else { Err(Refused::Address) };
        match url.host() {
            None => Err(Refused::Host),
            Some(Host::Domain("")) => Err(Refused::Host),
            Some(Host::Domain(_)) => Ok(()),
            Some(Host::Ipv4(address)) => reach(address.into()),
            Some(Host::Ipv6(address)) => reach(address.into()),
        }
    }

    /// Calls a URL and reads the answer, no further than its bounds.
    ///
    /// # Errors
    /// What went wrong. An answer of any status is none.
    pub async fn call(&self, ask: Ask) -> Result<Answer, GuardError> {
        self.check(&ask.url)?;
        let Ask { method, url, headers, body, timeout, mut max_bytes, beyond } = ask;
        let request = self.request(method, url, headers, body);
        let talk = async {
            let mut response = request.send().await.map_err(unreachable)?;
            let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
            let beyond = beyond.filter(|_| status.is_success());
            let (mut body, mut cut, mut place) = (BytesMut::new(), false, None);
            while let Some(piece) = response.chunk().await.map_err(unreachable)? {
                if let Some(beyond) =
                    beyond.as_ref().filter(|_| body.len() + piece.len() > max_bytes && place.is_none())
                {
                    place = beyond.places.clone().acquire_owned().await.ok();
                    max_bytes = beyond.max_bytes.max(max_bytes);
                }
                let room = max_bytes - body.len();
                body.extend_from_slice(&piece[..piece.len().min(room)]);
                if piece.len() > room {
                    // What is not read is not waited for: the connection ends here.
                    cut = true;
                    break;
                }
            }
            Ok(Answer { status, headers, body: body.freeze(), cut, place })
        };
        tokio::time::timeout(timeout, talk).await.unwrap_or(Err(GuardError::TimedOut(timeout)))
    }

    fn request(&self, method: Method, url: Url, headers: HeaderMap, body: Option<Bytes>) -> reqwest::RequestBuilder {
        let request = self.client().request(method, url).headers(headers);
        match body {
            Some(body) => request.body(body),
            None => request,
        }
    }

    /// Calls a URL for the sake of calling it: how it went is said by the answer's head, which has `timeout` to come. What follows is let
    /// go by for a moment, so that the connection can be used again; however long it is, and however it ends, changes nothing.
    ///
    /// # Errors
    /// What went wrong until then. An answer of any status is none.
    pub async fn status(&self, ask: Ask) -> Result<StatusCode, GuardError> {
        const MOMENT: Duration = Duration::from_millis(500);
        self.check(&ask.url)?;
        let Ask { method, url, headers, body, timeout, max_bytes, beyond: _ } = ask;
        let head = tokio::time::timeout(timeout, self.request(method, url, headers, body).send()).await;
        let mut response = head.map_err(|_| GuardError::TimedOut(timeout))?.map_err(unreachable)?;
        let status = response.status();
        let rest = async {
            let mut left = max_bytes;
            while let Ok(Some(piece)) = response.chunk().await {
                left = left.saturating_sub(piece.len());
                if left == 0 {
                    break;
                }
            }
        };
        // Whether it came to its end does not matter.
        tokio::time::timeout(MOMENT, rest).await.ok();
        Ok(status)
    }

    /// The client itself, for libraries that make their own requests. Whoever hands it a URL has to [`Guard::check`] it first:
    /// an address in a URL is not looked up, and so not looked at.
    pub fn client(&self) -> reqwest::Client {
        if let Some(client) = self.shares.get(self.at) {
            return client;
        }
        match self.shares.build() {
            Ok(client) => self.shares.put(self.at, client),
            // As the first one was made, only memory can be short: that one then has to do.
            Err(_) => self.shares.get(0).expect("the first one is there from the start"),
        }
    }

    /// Lets go of connections that nobody uses. There is no other way to than new clients.
    pub fn shed_connections(&self) {
        // Without a new one the first stays, and its connections for as long as they are kept anyway.
        let Ok(first) = self.shares.build() else { return };
        for client in &self.shares.clients[1..] {
            *client.write().expect("no panic while replacing") = None;
        }
        self.shares.put(0, first);
    }
}

fn unreachable(error: reqwest::Error) -> GuardError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(source) = cause {
        if let Some(refused) = source.downcast_ref::<Refused>() {
            return GuardError::Refused(*refused);
        }
        cause = source.source();
    }
    let sent = !error.is_connect() && !error.is_builder();
    let words = if error.is_connect() {
        "it could not be connected to"
    } else if error.is_body() || error.is_decode() {
        "its answer ended early"
    } else {
        "it did not answer in a way that can be understood"
    };
    GuardError::Unreachable { words, sent }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn callers_have_shares_of_their_own() {
        let guard = Guard::new(Networks::default()).expect("a client");
        let shares: HashSet<usize> = (0..1000).map(|caller| guard.of(&caller).at).collect();
        assert_eq!(shares.len(), SHARES);
        assert_eq!(guard.of(&7).at, guard.of(&7).at);
        let made = || guard.shares.clients.iter().filter(|client| client.read().expect("no panic").is_some()).count();
        assert_eq!(made(), 1);
        (0..1000).for_each(|caller| drop(guard.of(&caller).client()));
        assert_eq!(made(), SHARES, "each when somebody has it");
    }
}
