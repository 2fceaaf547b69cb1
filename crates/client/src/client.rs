//! The client itself, and the few verbs that all resources are made of.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::auth::Auth;
use crate::call::Call;
use crate::{ClientBuilder, Error, Options, RetryPolicy};

/// Headwater's API for one credential. Clones share a connection pool and cost two reference counts.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
    pub(crate) user: Option<Arc<str>>,
}

pub(crate) struct Inner {
    pub(crate) http: reqwest::Client,
    pub(crate) base: Url,
    pub(crate) auth: Auth,
    pub(crate) retry: RetryPolicy,
    pub(crate) timeout: Duration,
}

impl Client {
    /// Begins a client of the service at `base_url` (`https://HOST`, with or without `/v1`).
    ///
    /// ```
    /// # use headwater_client::{Client, Error};
    /// let client = Client::builder("https://headwater.example").api_key("hw_sk_x").as_user("alice").build()?;
    /// let bobs = client.as_user("bob");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn builder(base_url: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(base_url)
    }

    /// The same client acting as another user of the tenant (`external_id` or `usr_…`).
    #[must_use]
    pub fn as_user(&self, user: impl Into<String>) -> Self {
        Self { inner: self.inner.clone(), user: Some(user.into().into()) }
    }

    /// The same client acting as the tenant itself.
    #[must_use]
    pub fn as_tenant(&self) -> Self {
        Self { inner: self.inner.clone(), user: None }
    }

    /// The URL of a path below `/v1`.
    pub(crate) fn url(&self, path: &[&str]) -> Result<Url, Error> {
        // `url` drops dot segments without a word: the call would go to another resource.
        if path.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
            return Err(Error::Config("an empty name or a dot is no path segment".into()));
        }
        let mut url = self.inner.base.clone();
        url.path_segments_mut().expect("checked to be http").pop_if_empty().push("v1").extend(path);
        Ok(url)
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, Error> {
        self.send(Call::new(Method::GET, self.url(path)?)).await
    }

    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: Vec<(String, String)>,
    ) -> Result<T, Error> {
        let mut url = self.url(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(Call::new(Method::GET, url)).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
        options: Options,
    ) -> Result<T, Error> {
        self.send(Call::post(self.url(path)?, body, options)?).await
    }

    pub(crate) async fn put<T: DeserializeOwned>(&self, path: &[&str], body: &impl Serialize) -> Result<T, Error> {
        self.send(Call::new(Method::PUT, self.url(path)?).body(body)?).await
    }

    pub(crate) async fn patch<T: DeserializeOwned>(&self, path: &[&str], body: &impl Serialize) -> Result<T, Error> {
        self.send(Call::new(Method::PATCH, self.url(path)?).body(body)?).await
    }

    /// Deletes. What is not there (any more) is deleted: a repeated delete is a success.
    pub(crate) async fn delete(&self, path: &[&str]) -> Result<(), Error> {
        match self.send_raw(&Call::new(Method::DELETE, self.url(path)?)).await {
            Ok(_) | Err(Error::Api { status: 404, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.inner.base.as_str())
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
