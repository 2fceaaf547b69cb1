//! One type per kind of id, so that a run can never be looked up with a thread's id.
//!
//! An id is a UUIDv7 (RFC 9562) written `prefix_` + hyphenated lowercase text. Parsing checks the prefix and the
//! form; the database stores the UUID alone.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// Text that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form {prefix}_<uuid>")]
pub struct ParseIdError {
    /// The prefix that was expected, without its underscore.
    pub prefix: &'static str,
}

fn parse(prefix: &'static str, text: &str) -> Result<Uuid, ParseIdError> {
    let error = ParseIdError { prefix };
    let rest = text.strip_prefix(prefix).and_then(|t| t.strip_prefix('_')).ok_or(error.clone())?;
    // Only the hyphenated lowercase form: two spellings of one id would defeat caches and comparisons.
    if rest.len() != 36 || rest.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(error);
    }
    Uuid::try_parse(rest).map_err(|_| error)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            pub struct $name(Uuid);

            impl $name {
                /// The text before the underscore.
                pub const PREFIX: &'static str = $prefix;

                /// A new id, ordered by its time of creation.
                #[expect(clippy::new_without_default, reason = "a random value is no default")]
                pub fn new() -> Self {
                    Self(Uuid::now_v7())
                }

                /// Wraps a UUID that is known to be of this kind, as read from the database.
                pub const fn from_uuid(uuid: Uuid) -> Self {
                    Self(uuid)
                }

                /// The bare UUID, as the database stores it.
                pub const fn uuid(self) -> Uuid {
                    self.0
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    let mut buffer = [0u8; 36];
                    f.write_str(concat!($prefix, "_"))?;
                    f.write_str(self.0.hyphenated().encode_lower(&mut buffer))
                }
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    fmt::Display::fmt(self, f)
                }
            }

            impl FromStr for $name {
                type Err = ParseIdError;
                fn from_str(text: &str) -> Result<Self, ParseIdError> {
                    parse($prefix, text).map(Self)
                }
            }

            impl Serialize for $name {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.collect_str(self)
                }
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                    text.parse().map_err(serde::de::Error::custom)
                }
            }

            impl utoipa::PartialSchema for $name {
                fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                    utoipa::openapi::ObjectBuilder::new()
                        .schema_type(utoipa::openapi::schema::Type::String)
                        .pattern(Some(concat!("^", $prefix, "_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")))
                        .build()
                        .into()
                }
            }

            impl utoipa::ToSchema for $name {}
        )*

        /// Every prefix of ours, underscore included: an `external_id` may begin with none of them.
        pub const PREFIXES: &[&str] = &[$(concat!($prefix, "_"),)* "hw_", "mod_"];
    };
}

ids! {
    /// A tenant: a team that uses this service.
    TenantId = "ten";
    /// An API key of a tenant.
    KeyId = "key";
    /// A tenant's end user.
    UserId = "usr";
    /// A configured actor.
    AgentId = "agt";
    /// A line of messages between one user and agents.
    ThreadId = "thr";
    /// One execution of an agent on a thread.
    RunId = "run";
    /// A message of a thread.
    MessageId = "msg";
    /// A call of a tool.
    CallId = "call";
    /// A question to a person: may this call be carried out?
    ApprovalId = "apr";
    /// An MCP server of a tenant.
    McpServerId = "mcp";
    /// Something that is too large for an event, or is no text.
    ArtifactId = "art";
    /// A limit on money.
    BudgetId = "bud";
    /// What makes runs by itself, again and again.
    ScheduleId = "sch";
    /// Where a tenant's own server is told of what happens.
    WebhookEndpointId = "whk";
    /// Something that happened, as endpoints are told of it.
    EventId = "evt";
    /// That one endpoint is told of one event.
    DeliveryId = "dlv";
    /// Who else says who a tenant's users are.
    IssuerId = "iss";
    /// One call of a model, the unit of the ledger.
    ModelCallId = "llm";
    /// One request to the HTTP API.
    RequestId = "req";
}

impl RunId {
    /// When the run was created, in milliseconds since 1970, as its UUIDv7 tells. Names the partition of its log.
    pub fn created_ms(self) -> u64 {
        let bytes = self.uuid().into_bytes();
        bytes[..6].iter().fold(0, |ms, byte| (ms << 8) | u64::from(*byte))
    }
}

/// One server process. Its id is new at every start; a dead replica's id never comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReplicaId(pub Uuid);

/// Who is acting on tenants' data: the first argument of everything that touches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The tenant. Nothing outside of it is visible.
    pub tenant: TenantId,
    /// The tenant's user, or `None` for the tenant itself, who sees all of its users.
    pub user: Option<UserId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_the_prefix_counts() {
        let run = RunId::new();
        let text = run.to_string();
        assert!(text.starts_with("run_"));
        assert_eq!(text.parse::<RunId>(), Ok(run));
        assert!(text.parse::<ThreadId>().is_err());
        assert!(text.to_uppercase().parse::<RunId>().is_err());
        assert!(text.replace('-', "").parse::<RunId>().is_err());
        assert!("run_".parse::<RunId>().is_err());
    }

    #[test]
    fn a_run_knows_when_it_was_created() {
        let before = jiff::Timestamp::now().as_millisecond() as u64;
        let ms = RunId::new().created_ms();
        assert!(ms >= before && ms < before + 60_000, "{ms} is now");
    }
}
