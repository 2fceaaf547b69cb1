//! Tools of MCP servers, over Streamable HTTP.
//!
//! Owns one conversation: reach the server, agree on a revision of the protocol, list its tools or call one, and part. The
//! revision of 2026 without a handshake and those before with one are spoken; which a server speaks is remembered by whoever
//! asks. Promises that only the URL that was given is called, through the guarded client; that what a server sends is bounded
//! in bytes and time; and that a call which is given up is cancelled at the server too.
//! Never knows a tenant, a policy or a secret by its name. Asks the server for nothing but tools, and lets it ask for
//! nothing: no sampling, no elicitation, no roots.

mod transport;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use headwater_guard::{Guard, Refused};
use http::{HeaderName, HeaderValue};
use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResult, CancelledNotificationParam, ClientConfig, ClientRequest,
    ContentBlock, Implementation, PaginatedRequestParams, ProgressNotificationParam, ProtocolVersion,
    RequestMetaObject, ResourceContents, ServerResult,
};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, ClientServiceExt as _, NotificationContext, PeerRequestOptions,
    RoleClient, RunningService, ServiceError,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::{StreamableHttpClientTransportConfig, StreamableHttpError};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::transport::Bounded;

/// The largest answer of a server, and the largest event of its streams, in bytes.
const LARGEST: usize = 4 << 20;
/// The most of a server's own words that is passed on, in characters: what it says beyond that is cut off.
pub const MAX_WORDS: usize = 16 << 10;
/// Tools of one server that are taken note of.
pub const MAX_TOOLS: usize = 512;
/// What those come to at most, in bytes, and in how many pages they may come.
const MAX_LIST_BYTES: usize = 1 << 20;
const MAX_PAGES: usize = 64;
/// How long parting may take, and telling a server that a call was given up: it is a courtesy.
const FAREWELL: Duration = Duration::from_millis(400);

/// Which server, and how.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its endpoint.
    pub url: Url,
    /// Sent with each request: credentials.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The revision of the protocol that it spoke last.
    pub protocol: Option<String>,
}

/// A tool as its server describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedTool {
    /// What the server calls it.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    pub parameters: Value,
    /// What the server says of its effects: hints.
    pub annotations: Value,
    /// What they amount to: `read`, `idempotent` or `side_effect`.
    pub suggested_effect: &'static str,
}

/// What a server has.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Its tools.
    pub tools: Vec<ListedTool>,
    /// The revision of the protocol that was agreed on.
    pub protocol: String,
}

/// How far a call is, as its server tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// So far.
    pub progress: f64,
    /// Of so much, if that is known.
    pub total: Option<f64>,
    /// In words.
    pub message: Option<String>,
}

/// A call to make.
#[derive(Debug)]
pub struct Call {
    /// What the server calls the tool.
    pub tool: String,
    /// What it is called with.
    pub args: Map<String, Value>,
    /// The call's own id, the same each time it is made.
    pub id: String,
    /// Whether it may be made twice under that id.
    pub idempotent: bool,
    /// For all of it.
    pub timeout: Duration,
    /// Where its progress is told. What finds no room is left out.
    pub progress: mpsc::Sender<Progress>,
    /// Cancelled when nobody waits for it any more.
    pub cancel: CancellationToken,
}

/// What a tool answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Called {
    /// What it gave: structured if it is, else its text, else its parts.
    pub output: Value,
    /// Its first part that is no text, such as a picture. In `output` those are named, with their size.
    pub blob: Option<Blob>,
    /// Whether the tool says that it failed.
    pub is_error: bool,
}

/// A part of an answer that is no text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// What the server says it is, in whatever words; empty if it does not.
    pub media_type: String,
    /// Its bytes.
    pub content: Bytes,
}

/// What went wrong. Holds no credential.
#[derive(Debug, thiserror::Error)]
pub enum McpError {
    /// It may not be called.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The credentials are not good there.
    #[error("the MCP server refused the credentials")]
    Auth,
    /// It could not be reached.
    #[error("the MCP server could not be reached")]
    Unreachable,
    /// It took longer than it may.
    #[error("the MCP server did not answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// It refused the request, or did not keep to the protocol.
    #[error("the MCP server answered: {0}")]
    Protocol(String),
    /// It was given up.
    #[error("the call was cancelled")]
    Cancelled,
}

/// This end of a conversation.
#[derive(Clone)]
struct Client {
    progress: Option<mpsc::Sender<Progress>>,
}

impl rmcp::ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        let mut info = ClientConfig::default();
        // Of the handshake, which the newest revision has not.
        info.protocol_version = ProtocolVersion::LATEST_WITH_INITIALIZE;
        info.client_info = Implementation::new("headwater", env!("CARGO_PKG_VERSION"));
        info
    }

    async fn on_progress(&self, told: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        if let Some(progress) = &self.progress {
            let ProgressNotificationParam { progress: so_far, total, message, .. } = told;
            let message = message.map(words);
            let _ = progress.try_send(Progress { progress: so_far, total, message });
        }
    }
}

/// The tools of a server.
///
/// # Errors
/// As said at [`McpError`].
pub async fn list(guard: &Guard, target: &Target, timeout: Duration) -> Result<Listed, McpError> {
    let talk = async {
        let service = meet(guard, target, Client { progress: None }, until(timeout)).await?;
        let protocol = service.peer_info().map(|info| info.protocol_version.to_string()).unwrap_or_default();
        let tools = pages(&service).await;
        part(service).await;
        Ok(Listed { tools: tools?, protocol })
    };
    tokio::time::timeout(timeout, talk).await.unwrap_or(Err(McpError::TimedOut(timeout)))
}

/// The tools of all pages, as far as they are taken note of.
async fn pages(service: &Service) -> Result<Vec<ListedTool>, McpError> {
    let (mut tools, mut bytes, mut cursor) = (Vec::new(), 0, None);
    for _ in 0..MAX_PAGES {
        let params = PaginatedRequestParams::default().with_cursor(cursor);
        let page = service.list_tools(Some(params)).await.map_err(failed)?;
        for tool in page.tools {
            let tool = listed(tool);
            bytes += tool.size();
            if tools.len() == MAX_TOOLS || bytes > MAX_LIST_BYTES {
                return Ok(tools);
            }
            tools.push(tool);
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    Ok(tools)
}

impl ListedTool {
    /// What it takes, in bytes.
    fn size(&self) -> usize {
        let words = self.description.as_ref().map_or(0, String::len);
        self.name.len() + words + self.parameters.to_string().len() + self.annotations.to_string().len()
    }
}

/// Until when a conversation may go on that takes so long at most, its farewell included.
fn until(timeout: Duration) -> Instant {
    Instant::now() + timeout + FAREWELL
}

/// Calls a tool.
///
/// # Errors
/// As said at [`McpError`]. A tool that says itself that it failed is none.
pub async fn call(guard: &Guard, target: &Target, call: Call) -> Result<Called, McpError> {
    let Call { tool, args, id, idempotent, timeout, progress, cancel } = call;
    let begun = Instant::now();
    let talk = async {
        let service = meet(guard, target, Client { progress: Some(progress) }, until(timeout)).await?;
        let mut params = CallToolRequestParams::new(tool);
        params.arguments = Some(args);
        let mut meta = RequestMetaObject::default();
        meta.0.insert("headwater/call".to_owned(), json!(id));
        if idempotent {
            meta.0.insert("headwater/idempotency_key".to_owned(), json!(id));
        }
        params.meta = Some(meta);
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let handle =
            service.send_cancellable_request(request, PeerRequestOptions::no_options()).await.map_err(failed)?;
        let given_up =
            CancelledNotificationParam::new(Some(handle.id.clone()), Some("nobody waits any more".to_owned()));
        let answered = tokio::select! {
            answered = handle.await_response() => answered.map_err(failed),
            () = cancel.cancelled() => Err(McpError::Cancelled),
            () = tokio::time::sleep_until(begun + timeout) => Err(McpError::TimedOut(timeout)),
        };
        if let Err(McpError::Cancelled | McpError::TimedOut(_)) = &answered {
            let _ = tokio::time::timeout(FAREWELL, service.notify_cancelled(given_up)).await;
        }
        part(service).await;
        match answered? {
            ServerResult::CallToolResult(result) => Ok(called(result)),
            // It may ask for more first; there is nobody here to answer.
            ServerResult::InputRequiredResult(_) => Err(McpError::Protocol("it asks for input".to_owned())),
            _ => Err(McpError::Protocol("something that is no answer".to_owned())),
        }
    };
    // Time enough to tell the server that it took too long.
    tokio::time::timeout(timeout + FAREWELL, talk).await.unwrap_or(Err(McpError::TimedOut(timeout)))
}

type Service = RunningService<RoleClient, Client>;

async fn meet(guard: &Guard, target: &Target, client: Client, until: Instant) -> Result<Service, McpError> {
    guard.check(&target.url)?;
    let serve = async |lifecycle| {
        let mut config = StreamableHttpClientTransportConfig::with_uri(Arc::from(target.url.as_str()));
        config.custom_headers = target.headers.iter().cloned().collect();
        config.max_sse_event_size = LARGEST;
        config.max_json_response_size = LARGEST;
        config.allow_stateless = true;
        let transport = StreamableHttpClientTransport::with_client(Bounded::new(guard.client(), until), config);
        client.clone().serve_with_lifecycle(transport, lifecycle).await.map_err(unmet)
    };
    // Of a server that is known to want the handshake nothing else is tried first.
    let handshake = target.protocol.as_ref().is_some_and(|it| it.as_str() < ProtocolVersion::NO_INITIALIZE.as_str());
    if handshake {
        return serve(ClientLifecycleMode::Initialize).await;
    }
    let either = ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::LATEST, ProtocolVersion::LATEST_WITH_INITIALIZE],
        legacy_version: None,
    };
    match serve(either).await {
        // Some old servers say something to everything, and so cannot be told from new ones that err.
        Err(McpError::Protocol(_) | McpError::Unreachable) => serve(ClientLifecycleMode::Initialize).await,
        met => met,
    }
}

async fn part(service: Service) {
    let _ = tokio::time::timeout(FAREWELL, service.cancel()).await;
}

/// Words of a server, bounded. What is told of them is for the caller to cut, who knows what must not be told.
fn words(text: impl std::fmt::Display) -> String {
    text.to_string().chars().take(MAX_WORDS).collect()
}

fn unmet(error: ClientInitializeError) -> McpError {
    if error.is_authorization_required() {
        return McpError::Auth;
    }
    match error {
        // What came last is what the server meant.
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => unmet(*fallback),
        ClientInitializeError::JsonRpcError(data) => McpError::Protocol(words(data.message)),
        ClientInitializeError::TransportError { error, .. } => of_transport(&*error.error),
        other => {
            // What it says may be what the server said: that is not for the log.
            let kind = match other {
                ClientInitializeError::ConnectionClosed(_) => "the connection was closed",
                ClientInitializeError::NoCompatibleProtocolVersion { .. } => "no revision of the protocol in common",
                _ => "it did not keep to the protocol",
            };
            McpError::Protocol(kind.to_owned())
        }
    }
}

/// What stands behind an error of the transport.
fn of_transport(error: &(dyn std::error::Error + 'static)) -> McpError {
    let mut cause = Some(error);
    while let Some(source) = cause {
        if let Some(refused) = source.downcast_ref::<Refused>() {
            return McpError::Refused(*refused);
        }
        if let Some(StreamableHttpError::UnexpectedServerResponse(told)) =
            source.downcast_ref::<StreamableHttpError<reqwest::Error>>()
        {
            // A refusal without a challenge is told in words alone.
            let denied = ["HTTP 401", "HTTP 403"].iter().any(|status| told.starts_with(status));
            return if denied { McpError::Auth } else { McpError::Protocol(words(told)) };
        }
        cause = source.source();
    }
    McpError::Unreachable
}

fn failed(error: ServiceError) -> McpError {
    match error {
        ServiceError::McpError(data) => McpError::Protocol(words(data.message)),
        ServiceError::Timeout { timeout } => McpError::TimedOut(timeout),
        ServiceError::Cancelled { .. } => McpError::Cancelled,
        ServiceError::UnexpectedResponse => McpError::Protocol("something that is no answer".to_owned()),
        ServiceError::TransportSend(error) => of_transport(&*error.error),
        other => of_transport(&other),
    }
}

fn listed(tool: rmcp::model::Tool) -> ListedTool {
    let hints = tool.annotations.as_ref();
    let says = |hint: fn(&rmcp::model::ToolAnnotations) -> Option<bool>| hints.and_then(hint).unwrap_or(false);
    let suggested_effect = if says(|hints| hints.read_only_hint) {
        "read"
    } else if says(|hints| hints.idempotent_hint) {
        "idempotent"
    } else {
        "side_effect"
    };
    ListedTool {
        name: tool.name.into_owned(),
        description: tool.description.map(std::borrow::Cow::into_owned),
        parameters: Value::Object((*tool.input_schema).clone()),
        annotations: serde_json::to_value(tool.annotations).unwrap_or_default(),
        suggested_effect,
    }
}

fn called(result: CallToolResult) -> Called {
    let is_error = result.is_error == Some(true);
    let text_of = |block: &ContentBlock| match block {
        ContentBlock::Text(text) => Some(text.text.clone()),
        _ => None,
    };
    let blob = result.content.iter().find_map(blob);
    let output = match (result.structured_content, result.content.as_slice()) {
        (Some(structured), _) if !is_error => structured,
        (_, [one]) if text_of(one).is_some() => Value::String(text_of(one).unwrap_or_default()),
        (_, blocks) => blocks.iter().map(block).collect(),
    };
    Called { output, blob, is_error }
}

/// A part that is no text, if it is one and can be read.
fn blob(block: &ContentBlock) -> Option<Blob> {
    let (data, media_type) = match block {
        ContentBlock::Image(image) => (&image.data, Some(&image.mime_type)),
        ContentBlock::Audio(audio) => (&audio.data, Some(&audio.mime_type)),
        ContentBlock::Resource(embedded) => match &embedded.resource {
            ResourceContents::BlobResourceContents { blob, mime_type, .. } => (blob, mime_type.as_ref()),
            _ => return None,
        },
        _ => return None,
    };
    let content = BASE64_STANDARD.decode(data).ok()?.into();
    Some(Blob { media_type: media_type.cloned().unwrap_or_default(), content })
}

/// A part of an answer. What is no text is named, with its size.
fn block(block: &ContentBlock) -> Value {
    match block {
        ContentBlock::Text(text) => json!({"type": "text", "text": text.text}),
        ContentBlock::Image(image) => {
            json!({"type": "image", "media_type": image.mime_type, "size_bytes": image.data.len() / 4 * 3})
        }
        ContentBlock::Audio(audio) => {
            json!({"type": "audio", "media_type": audio.mime_type, "size_bytes": audio.data.len() / 4 * 3})
        }
        ContentBlock::Resource(embedded) => match &embedded.resource {
            ResourceContents::TextResourceContents { uri, text, .. } => {
                json!({"type": "resource", "uri": uri, "text": text})
            }
            ResourceContents::BlobResourceContents { uri, blob, .. } => {
                json!({"type": "resource", "uri": uri, "size_bytes": blob.len() / 4 * 3})
            }
            _ => json!({"type": "resource"}),
        },
        ContentBlock::ResourceLink(link) => json!({"type": "resource_link", "uri": link.uri, "name": link.name}),
        _ => json!({"type": "unknown"}),
    }
}
