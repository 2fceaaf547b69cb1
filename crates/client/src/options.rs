//! What calls take beside the API's own bodies.

use headwater_protocol::api::AgentConfig;
use headwater_protocol::message::Metadata;
use reqwest::header::HeaderValue;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Options of a POST.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    idempotency_key: Option<String>,
}

impl Options {
    /// The usual: a fresh `Idempotency-Key` for this call, kept over its retries.
    pub fn new() -> Self {
        Self::default()
    }

    /// A key of the caller's own (1–255 visible ASCII), so that the call can be repeated by another process too.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// The header's value.
    pub(crate) fn key(self) -> Result<HeaderValue, Error> {
        let key = self.idempotency_key.unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
        if key.is_empty() || key.len() > 255 || !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::Config("an idempotency key has 1 to 255 visible ASCII characters".into()));
        }
        HeaderValue::try_from(key).map_err(|_| Error::Config("the idempotency key fits no header".into()))
    }
}

/// The order of a list, by creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The oldest first.
    Asc,
    /// The newest first: the default.
    Desc,
}

/// Which page of a list, and of what.
///
/// ```
/// use headwater_client::{ListOptions, Order};
/// let active = ListOptions::new().filter("status", "running,suspended").order(Order::Asc).limit(100);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListOptions {
    query: Vec<(String, String)>,
}

impl ListOptions {
    /// The first page, as the server likes it.
    pub fn new() -> Self {
        Self::default()
    }

    /// At most so many objects: 1 to 100.
    #[must_use]
    pub fn limit(self, limit: u32) -> Self {
        self.filter("limit", limit.to_string())
    }

    /// What follows this `next_cursor`.
    #[must_use]
    pub fn after(self, next_cursor: impl Into<String>) -> Self {
        self.filter("after", next_cursor)
    }

    /// The order, by creation.
    #[must_use]
    pub fn order(self, order: Order) -> Self {
        self.filter("order", if order == Order::Asc { "asc" } else { "desc" })
    }

    /// A filter of this list; several values are comma-separated. Setting one again replaces it.
    #[must_use]
    pub fn filter(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        self.query.retain(|(other, _)| *other != name);
        self.query.push((name, value));
        self
    }

    pub(crate) fn into_query(self) -> Vec<(String, String)> {
        self.query
    }
}

/// Which usage, and in which lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageQuery {
    /// From this day or instant on.
    pub from: Option<String>,
    /// Until before this day or instant.
    pub to: Option<String>,
    /// Any of `day`, `user`, `agent`, `model`.
    pub group_by: Vec<String>,
    /// Which page.
    pub page: ListOptions,
}

impl UsageQuery {
    pub(crate) fn into_query(self) -> Vec<(String, String)> {
        let mut page = self.page;
        for (name, value) in [("from", self.from), ("to", self.to)] {
            if let Some(value) = value {
                page = page.filter(name, value);
            }
        }
        if !self.group_by.is_empty() {
            page = page.filter("group_by", self.group_by.join(","));
        }
        page.into_query()
    }
}

/// A new agent: its configuration is flat beside its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentParams {
    /// `[a-z0-9][a-z0-9_-]{0,63}`, unique in the tenant. Absent where the path names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is.
    #[serde(flatten)]
    pub config: AgentConfig,
    /// The tenant's own pairs.
    #[serde(default)]
    pub metadata: Metadata,
}

impl AgentParams {
    /// An agent of this name.
    pub fn new(name: impl Into<String>, config: AgentConfig) -> Self {
        Self { name: Some(name.into()), config, metadata: Metadata::new() }
    }
}
