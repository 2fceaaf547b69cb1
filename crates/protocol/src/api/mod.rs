//! Request and response bodies of the HTTP API v1.
//!
//! Every name here is the API's own; a response holds every field of its schema (no value is `null`, an empty list
//! is `[]`), and a request refuses fields that it does not know, because a mistyped name must not mean its default.

/// Enums that are words in JSON.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant),* }
    )*};
}

mod agents;
mod approvals;
mod artifacts;
mod budgets;
mod explain;
mod issuers;
mod mcp;
mod memory;
mod operations;
mod plans;
mod policy;
mod runs;
mod schedules;
mod tenants;
mod threads;
mod tools;
mod usage;
mod webhooks;

pub use agents::*;
pub use approvals::*;
pub use artifacts::*;
pub use budgets::*;
pub use explain::*;
pub use issuers::*;
pub use mcp::*;
pub use memory::*;
pub use operations::*;
pub use plans::*;
pub use policy::*;
pub use runs::*;
pub use schedules::*;
pub use tenants::*;
pub use threads::*;
pub use tools::*;
pub use usage::*;
pub use webhooks::*;

use serde::{Deserialize, Serialize};

use crate::Problem;
use crate::message::Metadata;

/// The schema of an enum that is one of these words in JSON; for enums that a macro makes, of which utoipa sees the names alone.
pub(crate) fn words_schema(
    words: impl Iterator<Item = &'static str>,
    what: &str,
) -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
    utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .enum_values(Some(words))
        .description(Some(what))
        .build()
        .into()
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct List<T> {
    /// Always `list`.
    pub object: String,
    /// The objects of this page.
    pub data: Vec<T>,
    /// Whether there are more.
    pub has_more: bool,
    /// Give it as `after` to get the next page; `null` at the end.
    pub next_cursor: Option<String>,
}

impl<T> List<T> {
    /// A page with what follows it.
    pub fn page(data: Vec<T>, next_cursor: Option<String>) -> Self {
        Self { object: "list".into(), data, has_more: next_cursor.is_some(), next_cursor }
    }

    /// The same page of something else.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> List<U> {
        List {
            object: self.object,
            data: self.data.into_iter().map(f).collect(),
            has_more: self.has_more,
            next_cursor: self.next_cursor,
        }
    }
}

/// Checks the tenant's own pairs: at most 16, keys of at most 64 characters, values of at most 512.
pub fn check_metadata(metadata: &Metadata) -> Result<(), Problem> {
    if metadata.len() > 16 {
        return Err(Problem::invalid("/metadata", "must have at most 16 keys"));
    }
    for (key, value) in metadata {
        let param = format!("/metadata/{}", key.replace('~', "~0").replace('/', "~1"));
        if key.is_empty() || key.chars().count() > 64 {
            return Err(Problem::invalid(param, "the key must have 1 to 64 characters"));
        }
        if value.chars().count() > 512 {
            return Err(Problem::invalid(param, "must have at most 512 characters"));
        }
        if key.contains('\0') || value.contains('\0') {
            return Err(Problem::invalid(param, "must not contain NUL characters"));
        }
    }
    Ok(())
}

/// Checks a tenant's own id: `[A-Za-z0-9._:@+|-]{1,128}`, never beginning with a prefix of ours.
pub fn check_external_id(param: &str, id: &str) -> Result<(), Problem> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._:@+|-".contains(&b);
    if id.is_empty() || id.len() > 128 || !id.bytes().all(allowed) {
        return Err(Problem::invalid(param, "must be 1 to 128 characters out of A-Z a-z 0-9 . _ : @ + | -"));
    }
    if crate::PREFIXES.iter().any(|prefix| id.starts_with(prefix)) {
        return Err(Problem::invalid(param, "must not begin with a prefix of Headwater's own ids"));
    }
    Ok(())
}

/// Checks a display name: 1 to `max` characters, none of them a control character.
pub fn check_name(param: &str, name: &str, max: usize) -> Result<(), Problem> {
    let length = name.chars().count();
    if length == 0 || length > max {
        return Err(Problem::invalid(param, format!("must have 1 to {max} characters")));
    }
    if name.chars().any(char::is_control) {
        return Err(Problem::invalid(param, "must not contain control characters"));
    }
    Ok(())
}

/// Reads a present field as `Some`, so that `null` and absent can be told apart.
pub(crate) fn present<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_ids() {
        for good in ["alice", "a.b:c@d+e|f-g_h", "7"] {
            assert!(check_external_id("/external_id", good).is_ok(), "{good}");
        }
        for bad in ["", "usr_1", "run_x", "hw_sk_1", "a b", "ä", &"x".repeat(129)] {
            assert!(check_external_id("/external_id", bad).is_err(), "{bad}");
        }
    }
}
