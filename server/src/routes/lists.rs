//! Pages of lists: `limit`, `after`, `order`, and cursors that are positions only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use headwater_protocol::api::List;
use headwater_protocol::{ErrorCode, Problem};
use headwater_store::scoped::Page;
use serde::Deserialize;
use uuid::Uuid;

use crate::error::ApiError;

/// The query parameters that every list takes.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListQuery {
    /// 1 to 100; 20 unless given.
    pub limit: Option<i64>,
    /// The page before's `next_cursor`.
    pub after: Option<String>,
    /// `desc` (newest first) or `asc`.
    pub order: Option<String>,
}

impl ListQuery {
    /// How many to show.
    pub fn limit(&self) -> Result<i64, ApiError> {
        match self.limit.unwrap_or(20) {
            limit @ 1..=100 => Ok(limit),
            _ => Err(ApiError::invalid_request("query:limit", "must be 1 to 100")),
        }
    }

    /// Whether the oldest come first.
    pub fn ascending(&self) -> Result<bool, ApiError> {
        match self.order.as_deref() {
            None | Some("desc") => Ok(false),
            Some("asc") => Ok(true),
            Some(_) => Err(ApiError::invalid_request("query:order", "must be asc or desc")),
        }
    }

    /// The page to read: one row more than is shown tells whether there are more.
    pub fn page(&self) -> Result<Page, ApiError> {
        let after = self.after.as_deref().map(decode).transpose()?;
        Ok(Page { after, ascending: self.ascending()?, limit: self.limit()? + 1 })
    }
}

/// A list of what was read, without the row too many.
pub fn list<T>(mut rows: Vec<T>, page: Page, id: impl Fn(&T) -> Uuid) -> List<T> {
    let shown = (page.limit - 1) as usize;
    let more = rows.len() > shown;
    rows.truncate(shown);
    let cursor = rows.last().filter(|_| more).map(|last| encode(id(last)));
    List::page(rows, cursor)
}

fn encode(id: Uuid) -> String {
    URL_SAFE_NO_PAD.encode(id.as_bytes())
}

fn decode(cursor: &str) -> Result<Uuid, ApiError> {
    let bad = || Problem::new(ErrorCode::InvalidCursor, "after must be a next_cursor of this list");
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| bad())?;
    Ok(Uuid::from_slice(&bytes).map_err(|_| bad())?)
}

/// Splits a filter of several values, each of which must be one of `allowed`.
pub fn words(name: &str, value: Option<&str>, allowed: &[&str]) -> Result<Option<Vec<String>>, ApiError> {
    let Some(value) = value else { return Ok(None) };
    let words: Vec<String> = value.split(',').map(str::to_owned).collect();
    if let Some(unknown) = words.iter().find(|word| !allowed.contains(&word.as_str())) {
        let detail = format!("{unknown} is none of {}", allowed.join(", "));
        return Err(ApiError::invalid_request(format!("query:{name}"), detail));
    }
    Ok(Some(words))
}
