//! Puts a [`Client`] together.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::{Auth, BoxError};
use crate::client::{Client, Inner};
use crate::{Error, RetryPolicy};

/// Settings of a [`Client`]. See [`Client::builder`].
#[must_use]
pub struct ClientBuilder {
    base: String,
    secret: Option<String>,
    provider: Option<Auth>,
    user: Option<Arc<str>>,
    http: Option<reqwest::Client>,
    retry: RetryPolicy,
    timeout: Duration,
}

impl ClientBuilder {
    pub(crate) fn new(base: impl Into<String>) -> Self {
        Self {
            base: base.into(),
            secret: None,
            provider: None,
            user: None,
            http: None,
            retry: RetryPolicy::default(),
            timeout: Duration::from_secs(30),
        }
    }

    /// A tenant's secret key (`hw_sk_…`) or the operator's (`hw_op_…`).
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        (self.secret, self.provider) = (Some(key.into()), None);
        self
    }

    /// A user token (JWT) that nobody renews. See [`ClientBuilder::user_token_provider`] for those that expire sooner
    /// than the client is done.
    pub fn user_token(self, token: impl Into<String>) -> Self {
        self.api_key(token)
    }

    /// Where user tokens come from: asked at the first call, and again whenever the server says that one has expired.
    /// However many calls and streams find out at once, it is asked once.
    ///
    /// ```no_run
    /// # use headwater_client::{Client, Error};
    /// # async fn ask_my_backend() -> Result<String, std::io::Error> { unreachable!() }
    /// let client = Client::builder("https://headwater.example").user_token_provider(ask_my_backend).build()?;
    /// # Ok::<(), Error>(())
    /// ```
    pub fn user_token_provider<F, Fut, E>(mut self, ask: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        (self.secret, self.provider) = (None, Some(Auth::provider(ask)));
        self
    }

    /// Acts as this user of the tenant (`external_id` or `usr_…`), by `Headwater-User`.
    pub fn as_user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into().into());
        self
    }

    /// A connection pool of one's own. It must not follow redirects, and must have no total timeout, which would cut
    /// streams; the default has neither.
    pub fn http(mut self, http: reqwest::Client) -> Self {
        self.http = Some(http);
        self
    }

    /// How calls are repeated.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// How long one try of a call may take, and a stream until its head is there: 30 s unless set.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Checks the settings. Connects to nothing.
    pub fn build(self) -> Result<Client, Error> {
        let base = base_url(&self.base)?;
        let auth = match (self.provider, self.secret) {
            (Some(provider), _) => provider,
            (None, Some(secret)) => Auth::fixed(&secret)?,
            (None, None) => Auth::None,
        };
        let http = match self.http {
            Some(http) => http,
            None => reqwest::Client::builder()
                .connect_timeout(Duration::from_secs(10))
                .redirect(reqwest::redirect::Policy::none())
                .user_agent(concat!("headwater-rust/", env!("CARGO_PKG_VERSION")))
                .build()
                .map_err(Error::transport)?,
        };
        let inner = Inner { http, base, auth, retry: self.retry, timeout: self.timeout };
        Ok(Client { inner: Arc::new(inner), user: self.user })
    }
}

/// The host's URL, with or without a trailing slash or `/v1`.
fn base_url(text: &str) -> Result<reqwest::Url, Error> {
    let bad = || Error::Config("the base URL must be http(s)://HOST, without query or fragment".into());
    let mut url = reqwest::Url::parse(text).map_err(|_| bad())?;
    if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
        return Err(bad());
    }
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/v1").unwrap_or(path).to_owned();
    url.set_path(&path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls() {
        for (text, path) in [("http://h", "/"), ("http://h/", "/"), ("https://h/v1/", "/"), ("https://h/x/v1", "/x")] {
            assert_eq!(base_url(text).expect("a base URL").path(), path, "{text}");
        }
        for bad in ["", "h", "ftp://h", "http://h?x=1", "http://h#f"] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }
}
