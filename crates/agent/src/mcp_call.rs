//! MCP servers: looking at what they have, and calling their tools.

use std::time::Duration;

use bytes::Bytes;
use headwater_guard::{Ask, Guard, GuardError, Refused};
use headwater_mcp::{Call, McpError, Target};
use headwater_protocol::api::{Effect, MAX_ARTIFACT_BYTES, McpAuth, McpServer, McpStatus, McpTool};
use headwater_protocol::message::check_media_type;
use headwater_protocol::{ErrorCode, Problem, TenantId, Timestamp};
use headwater_store::scoped::{McpLook, StoredMcpServer};
use headwater_store::{StoreError, UserScopedStorage};
use headwater_vault::{Vault, VaultError};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;
use url::Url;

use crate::hiding::Hiding;
use crate::perform::{Answered, Errand, Whole};
use crate::schema;

/// How long a server may take to list its tools.
const LIST: Duration = Duration::from_secs(10);
/// How long one may take to give out a token.
const TOKEN: Duration = Duration::from_secs(5);
/// Between two notes of a call's progress.
const PACE: Duration = Duration::from_secs(1);
/// How much of a server's own words is told, in characters: of what a tool says has failed or is under way, and else.
const TOLD: usize = 1000;
const TOLD_OF_TROUBLE: usize = 500;

/// Asks a server what it has, and writes down what it says. `None`: it is gone.
///
/// # Errors
/// When the database is away.
pub async fn look(
    guard: &Guard,
    vault: &Vault,
    storage: &UserScopedStorage,
    server: &McpServer,
) -> Result<Option<StoredMcpServer>, StoreError> {
    let tenant = storage.scope().tenant;
    let guard = guard.of(&tenant);
    let listed = match target(&guard, vault, tenant, server).await {
        Ok((target, hiding)) => match headwater_mcp::list(&guard, &target, LIST).await {
            Ok(mut listed) => {
                for tool in &mut listed.tools {
                    tool.name = hiding.text(std::mem::take(&mut tool.name));
                    tool.description = tool.description.take().map(|words| hiding.text(words));
                    for part in [&mut tool.parameters, &mut tool.annotations] {
                        *part = hiding.value(part.take());
                    }
                }
                Ok(listed)
            }
            Err(error) => Err(problem(&error, &hiding)),
        },
        Err(problem) => Err(problem),
    };
    let look = match listed {
        Ok(listed) => {
            // A schema that cannot be used is no tool's. To find out takes a while, and others are not to wait for it.
            let usable = |tool: &headwater_mcp::ListedTool| schema::check(&tool.parameters).is_ok();
            let all = listed.tools;
            let usable = tokio::task::spawn_blocking(move || all.into_iter().filter(usable).collect::<Vec<_>>()).await;
            let tools = usable.unwrap_or_default().into_iter().map(|tool| McpTool {
                name: plain(tool.name),
                description: tool.description.map(|words| plain(words.chars().take(4096).collect())),
                parameters: tool.parameters,
                annotations: tool.annotations,
                suggested_effect: match tool.suggested_effect {
                    "read" => Effect::Read,
                    "idempotent" => Effect::Idempotent,
                    _ => Effect::SideEffect,
                },
            });
            // Postgres stores no NUL in JSON.
            let storable = |tool: &McpTool| {
                !headwater_protocol::api::holds_nul(&tool.parameters)
                    && !headwater_protocol::api::holds_nul(&tool.annotations)
                    && tool.parameters.to_string().len() <= headwater_protocol::api::MAX_SCHEMA_BYTES
            };
            let tools: Vec<McpTool> = tools.filter(storable).collect();
            McpLook { status: McpStatus::Ok, error: None, listed: Some((plain(listed.protocol), tools)) }
        }
        Err(error) => {
            let denied = error.extra.get("denied").is_some();
            let status = if denied { McpStatus::AuthFailed } else { McpStatus::Unreachable };
            McpLook { status, error: Some(error), listed: None }
        }
    };
    storage.mcp_looked(server, &look, Timestamp::now()).await
}

/// As much of a server's words as is told. Secrets are hidden first: of one that is cut the beginning would be left.
fn told(words: String, hiding: &Hiding, most: usize) -> String {
    let was_cut = words.chars().nth(headwater_mcp::MAX_WORDS - 1).is_some();
    let words = hiding.text(words);
    let words = if was_cut { hiding.end_of_cut(words) } else { words };
    plain(words).chars().take(most).collect()
}

fn plain(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

/// Where a server's URLs lead.
///
/// # Errors
/// `url_not_allowed`, or what is wrong with which.
pub fn check_server(guard: &Guard, url: &str, auth: &McpAuth) -> Result<(), Problem> {
    let look = |param: &str, url: &str| {
        let url = Url::parse(url).map_err(|error| Problem::invalid(param, error.to_string()))?;
        guard
            .check(&url)
            .map_err(|refused| Problem::new(ErrorCode::UrlNotAllowed, refused.to_string()).with("param", param))
    };
    look("/url", url)?;
    match auth {
        McpAuth::OauthClientCredentials { token_url, .. } => look("/auth/token_url", token_url),
        McpAuth::None {} | McpAuth::Bearer { .. } | McpAuth::Header { .. } => Ok(()),
    }
}

/// How a server is called: with its credentials, which go to its host alone. And those, so that they can be hidden in what it
/// says.
async fn target(
    guard: &Guard,
    vault: &Vault,
    tenant: TenantId,
    server: &McpServer,
) -> Result<(Target, Hiding), Problem> {
    let lost = |words: &str| Problem::new(ErrorCode::ToolError, words);
    let url = Url::parse(&server.url).map_err(|_| lost("the server's URL is none"))?;
    let host = |url: &Url| url.host_str().unwrap_or_default().to_owned();
    let mut secrets = Vec::new();
    let mut reveal = async |name: &str, host: String| {
        let secret = vault.reveal(tenant, name, &host).await.map_err(|error| unrevealed(name, &error))?;
        let text = secret.expose_secret().to_owned();
        secrets.push(secret);
        Ok::<String, Problem>(text)
    };
    let header = |name: HeaderName, value: String| {
        let mut value = HeaderValue::from_str(&value).map_err(|_| lost("the secret cannot be in a header"))?;
        value.set_sensitive(true);
        Ok::<_, Problem>(vec![(name, value)])
    };
    let headers = match &server.auth {
        McpAuth::None {} => Vec::new(),
        McpAuth::Bearer { secret } => header(AUTHORIZATION, format!("Bearer {}", reveal(secret, host(&url)).await?))?,
        McpAuth::Header { name, secret } => {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| lost("the header has no name"))?;
            header(name, reveal(secret, host(&url)).await?)?
        }
        McpAuth::OauthClientCredentials { token_url, client_id, secret, scope } => {
            let token_url = Url::parse(token_url).map_err(|_| lost("the token's URL is none"))?;
            let secret = reveal(secret, host(&token_url)).await?;
            let token = token(guard, token_url, client_id, &secret, scope.as_deref()).await?;
            let headers = header(AUTHORIZATION, format!("Bearer {token}"))?;
            secrets.push(SecretString::from(token));
            headers
        }
    };
    Ok((Target { url, headers, protocol: server.protocol_version.clone() }, Hiding::of(&secrets)))
}

pub(crate) fn unrevealed(name: &str, error: &VaultError) -> Problem {
    let words = match error {
        VaultError::NotFound => format!("there is no secret {name}"),
        VaultError::OtherHost => format!("the secret {name} is not for this host"),
        other => {
            tracing::warn!(error = %other, "what a tool needs could not be read");
            return Problem::new(ErrorCode::ToolUnreachable, "what the tool needs cannot be read at the moment");
        }
    };
    Problem::new(ErrorCode::ToolError, words)
}

/// A token for a client by its own credentials (RFC 6749, 4.4).
async fn token(guard: &Guard, url: Url, client: &str, secret: &str, scope: Option<&str>) -> Result<String, Problem> {
    let body = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("client_id", client)
        .append_pair("client_secret", secret)
        .extend_pairs(scope.map(|scope| ("scope", scope)))
        .finish();
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert(http::header::ACCEPT, HeaderValue::from_static("application/json"));
    let ask = Ask {
        method: http::Method::POST,
        url,
        headers,
        body: Some(Bytes::from(body)),
        timeout: TOKEN,
        max_bytes: 64 << 10,
        beyond: None,
    };
    let denied = |words: String| Problem::new(ErrorCode::ToolError, words).with("denied", true);
    let answer = guard.call(ask).await.map_err(|error| match error {
        GuardError::Refused(refused) => Problem::new(ErrorCode::UrlNotAllowed, refused.to_string()),
        other => Problem::new(ErrorCode::ToolUnreachable, format!("the token server: {other}")),
    })?;
    if !answer.status.is_success() {
        return Err(denied(format!("the token server answered {}", answer.status.as_u16())));
    }
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let token = body["access_token"].as_str();
    token.map(str::to_owned).ok_or_else(|| denied("the token server gave no token".to_owned()))
}

/// What went wrong, in words that hold no secret.
fn problem(error: &McpError, hiding: &Hiding) -> Problem {
    let words = told(error.to_string(), hiding, TOLD_OF_TROUBLE);
    match error {
        McpError::Refused(Refused::Scheme | Refused::Userinfo | Refused::Host | Refused::Address) => {
            Problem::new(ErrorCode::UrlNotAllowed, words)
        }
        McpError::Auth => Problem::new(ErrorCode::ToolError, words).with("denied", true),
        McpError::Unreachable => Problem::new(ErrorCode::ToolUnreachable, words),
        McpError::TimedOut(_) => Problem::new(ErrorCode::ToolTimeout, words),
        McpError::Protocol(_) | McpError::Cancelled => Problem::new(ErrorCode::ToolError, words),
    }
}

/// Calls a tool of a server.
pub(crate) async fn call(errand: &Errand, server: &McpServer, tool: &str) -> Result<Answered, Problem> {
    let parts = &errand.runtime.inner.parts;
    let guard = parts.guard.of(&errand.tenant);
    let (mut target, hiding) = target(&guard, &parts.vault, errand.tenant, server).await?;
    target.headers.extend(errand.traceparent().map(|trace| (HeaderName::from_static("traceparent"), trace)));
    let (progress, mut noted) = mpsc::channel(8);
    let call = Call {
        tool: tool.to_owned(),
        args: errand.args.as_object().cloned().unwrap_or_default(),
        id: errand.call.to_string(),
        idempotent: errand.ability.effect == Effect::Idempotent,
        timeout: errand.ability.timeout,
        progress,
        cancel: errand.cancel.clone(),
    };
    let mut talk = Box::pin(headwater_mcp::call(&guard, &target, call));
    let mut last: Option<Instant> = None;
    let answered = loop {
        tokio::select! {
            biased;
            answered = &mut talk => break answered,
            Some(progress) = noted.recv() => {
                // At most one a second: a server may say so much that nothing else would be written.
                if last.is_none_or(|at| at.elapsed() >= PACE) {
                    last = Some(Instant::now());
                    let message = progress.message.map(|words| told(words, &hiding, TOLD));
                    let _ = errand.progress.try_send((errand.call, headwater_mcp::Progress { message, ..progress }));
                }
            }
        }
    };
    let perhaps =
        if errand.ability.effect == Effect::SideEffect { "; it may have had its effect all the same" } else { "" };
    match answered {
        Ok(called) if !called.is_error => {
            let whole = called.blob.filter(|blob| !blob.content.is_empty() && blob.content.len() <= MAX_ARTIFACT_BYTES);
            let whole = whole.map(|blob| {
                // It will be a header.
                let is_one = check_media_type("/mimeType", &blob.media_type).is_ok();
                let media_type = if is_one { blob.media_type } else { "application/octet-stream".to_owned() };
                Whole { content: hiding.bytes(blob.content), media_type, place: None }
            });
            Ok(Answered { output: hiding.value(called.output), whole })
        }
        Ok(called) => {
            let words = called.output.as_str().map_or_else(|| called.output.to_string(), str::to_owned);
            Err(Problem::new(ErrorCode::ToolError, told(words, &hiding, TOLD)))
        }
        Err(error @ (McpError::TimedOut(_) | McpError::Unreachable)) => {
            let mut problem = problem(&error, &hiding);
            problem.detail = problem.detail.map(|words| words + perhaps);
            Err(problem)
        }
        Err(error) => {
            let mut problem = problem(&error, &hiding);
            problem.extra.remove("denied");
            Err(problem)
        }
    }
}
