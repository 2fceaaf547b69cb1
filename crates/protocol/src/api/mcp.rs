//! MCP servers: where their tools are, and how they are called.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Effect, check_secret_name, present};
use crate::{McpServerId, Problem, Timestamp};

/// Servers of one tenant.
pub const MAX_MCP_SERVERS: i64 = 100;

words! {
    /// How a server answered last.
    McpStatus {
        /// It was never asked.
        Unchecked,
        /// It listed its tools.
        Ok,
        /// It could not be reached, or did not answer as it should.
        Unreachable,
        /// It refused the credentials.
        AuthFailed,
    }
}

/// How a server is called. `secret` names an entry of `/v1/secrets`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum McpAuth {
    /// Without credentials.
    // With braces: serde looks for unknown fields in variants that could have some.
    None {},
    /// `Authorization: Bearer …`.
    Bearer {
        /// The token.
        secret: String,
    },
    /// A header.
    Header {
        /// Its name.
        name: String,
        /// Its value.
        secret: String,
    },
    /// A token of an OAuth 2 server, for this client.
    OauthClientCredentials {
        /// Where tokens are given out.
        token_url: String,
        /// Who asks.
        client_id: String,
        /// The client's secret.
        secret: String,
        /// What for.
        #[serde(default)]
        scope: Option<String>,
    },
}

impl Default for McpAuth {
    fn default() -> Self {
        Self::None {}
    }
}

/// An MCP server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct McpServer {
    /// Its id.
    pub id: McpServerId,
    /// Always `mcp_server`.
    pub object: String,
    /// Unique in the tenant.
    pub name: String,
    /// Its endpoint.
    pub url: String,
    /// How it is called.
    pub auth: McpAuth,
    /// How it answered last.
    pub status: McpStatus,
    /// What went wrong then.
    pub error: Option<Problem>,
    /// The revision of the protocol that was agreed on.
    pub protocol_version: Option<String>,
    /// When its tools were last listed.
    pub tools_fetched_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A tool as its server describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct McpTool {
    /// What the server calls it.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    pub parameters: Value,
    /// What the server says of its effects: hints.
    pub annotations: Value,
    /// What they amount to. What counts is what the agent says.
    pub suggested_effect: Effect,
}

/// An MCP server to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct McpServerParams {
    /// `[a-z0-9][a-z0-9_-]{0,63}`, unique in the tenant.
    pub name: String,
    /// Its endpoint, over Streamable HTTP; at most 2048 bytes.
    pub url: String,
    /// How it is called; `null` = without credentials.
    #[serde(default, deserialize_with = "none_unless_said")]
    pub auth: McpAuth,
}

fn none_unless_said<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<McpAuth, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Headers that belong to the connection: nobody sets them for a tool.
pub const CONNECTION_HEADERS: [&str; 10] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "te",
    "trailer",
    "upgrade",
    "keep-alive",
    "expect",
    "proxy-authorization",
];
/// Headers that belong to the protocol.
const KEPT: [&str; 2] = ["accept", "content-type"];

/// What is to change.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct McpServerUpdate {
    /// As in [`McpServerParams`].
    pub name: Option<String>,
    /// As in [`McpServerParams`].
    pub url: Option<String>,
    /// As in [`McpServerParams`]; `null` = none.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<McpAuth>)]
    pub auth: Option<Option<McpAuth>>,
}

impl McpServerParams {
    /// Whether its parts are within their bounds. Where its URLs lead is for whoever calls them.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), Problem> {
        if super::check_agent_name(&self.name).is_err() || self.name.starts_with("mcp_") {
            let words = "must match [a-z0-9][a-z0-9_-]{0,63} and not begin with agt_ or mcp_";
            return Err(Problem::invalid("/name", words));
        }
        let url = |param: &str, url: &str| {
            let good = url.len() <= 2048 && !url.chars().any(|c| c.is_control() || c.is_whitespace());
            if good { Ok(()) } else { Err(Problem::invalid(param, "must be at most 2048 bytes, without spaces")) }
        };
        url("/url", &self.url)?;
        let secret = |name: &str| {
            check_secret_name(name).map_err(|_| Problem::invalid("/auth/secret", "must match [A-Z][A-Z0-9_]{0,63}"))
        };
        match &self.auth {
            McpAuth::None {} => Ok(()),
            McpAuth::Bearer { secret: name } => secret(name),
            McpAuth::Header { name, secret: value } => {
                let word = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
                let lower = name.to_ascii_lowercase();
                let kept = CONNECTION_HEADERS.contains(&lower.as_str()) || KEPT.contains(&lower.as_str());
                if name.is_empty() || name.len() > 128 || !name.bytes().all(word) || kept {
                    return Err(Problem::invalid("/auth/name", "must be the name of a header that can be set"));
                }
                secret(value)
            }
            McpAuth::OauthClientCredentials { token_url, client_id, secret: name, scope } => {
                url("/auth/token_url", token_url)?;
                let long = |text: &str| text.len() > 1024 || text.contains('\0');
                if client_id.is_empty() || long(client_id) || scope.as_deref().is_some_and(long) {
                    return Err(Problem::invalid("/auth/client_id", "must be 1 to 1024 bytes, as the scope"));
                }
                secret(name)
            }
        }
    }
}
