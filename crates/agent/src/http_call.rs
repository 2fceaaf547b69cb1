//! One call of an HTTP endpoint.
//!
//! Owns filling in what is sent, and reading what comes. Promises that a secret goes to its host alone, over a URL that the
//! guarded client has looked at, and appears in nothing that is answered.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use headwater_guard::{Answer, Ask, Beyond, GuardError, Refused};
use headwater_protocol::api::{Effect, HttpTool, MAX_ARTIFACT_BYTES, Method};
use headwater_protocol::{ErrorCode, Problem};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::hiding::Hiding;
use crate::mcp_call::unrevealed;
use crate::perform::{Answered, Errand, Whole, excerpt};
use crate::schema;
use crate::template::{self, Filled, Values};

/// How much of an error's body the model is told, in characters.
const TOLD: usize = 1000;

/// What templates are filled in with.
struct Filling<'a> {
    args: &'a Value,
    secrets: BTreeMap<String, SecretString>,
    plain: BTreeMap<&'static str, Value>,
}

impl Values for Filling<'_> {
    fn value(&self, name: &str) -> Option<Value> {
        match name.split_once('.') {
            Some(("args", path)) => path.split('.').try_fold(self.args, |value, part| value.get(part)).cloned(),
            Some(("secret", name)) => self.secrets.get(name).map(|secret| secret.expose_secret().into()),
            _ if name == "args" => Some(self.args.clone()),
            _ => self.plain.get(name).cloned(),
        }
    }
}

/// Calls it.
pub(crate) async fn call(errand: &Errand, tool: &HttpTool) -> Result<Answered, Problem> {
    let parts = &errand.runtime.inner.parts;
    let bad = |words: String| Problem::new(ErrorCode::ToolInvalidArgs, words);
    let origin = template::check(&tool.request).map_err(|(_, words)| bad(words))?;
    let filling = fill(errand, tool, origin.host_str().unwrap_or_default()).await?;
    // In a block of its own: what counts along is not to be kept while the endpoint is waited for.
    let (url, mut headers, body) = {
        let filled = Filled::new(&filling);
        let url = template::url(&tool.request, &filled).map_err(bad)?;
        let headers = template::headers(&tool.request, &filled).map_err(bad)?;
        let body = match &tool.request.body {
            Some(body) => template::body(body, &filled).map_err(bad)?,
            None => None,
        };
        (url, headers, body)
    };
    if body.is_some() {
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    }
    let call = HeaderValue::from_str(&errand.call.to_string()).expect("an id is visible ASCII");
    if tool.effect == Effect::Idempotent {
        headers.insert("idempotency-key", call.clone());
    }
    headers.insert("headwater-call", call);
    // A tool that sets one itself knows why.
    if let Some(trace) = errand.traceparent() {
        headers.entry("traceparent").or_insert(trace);
    }
    let ask = Ask {
        method: match tool.request.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
            Method::Patch => http::Method::PATCH,
            Method::Delete => http::Method::DELETE,
        },
        url,
        headers,
        body: body.map(|body| Bytes::from(body.to_string())),
        timeout: errand.ability.timeout,
        max_bytes: errand.ability.max_result_bytes,
        beyond: Some(Beyond { max_bytes: MAX_ARTIFACT_BYTES, places: errand.runtime.inner.places.of(errand.tenant) }),
    };
    let answer = parts.guard.of(&errand.tenant).call(ask).await.map_err(|error| failed(error, tool.effect))?;
    let hiding = Hiding::of(filling.secrets.values());
    match read(answer, tool, &hiding, errand.ability.max_result_bytes) {
        Ok(Answered { output, whole }) => Ok(Answered { output: hiding.value(output), whole }),
        Err(problem) => Err(hiding.problem(problem)),
    }
}

async fn fill<'a>(errand: &'a Errand, tool: &HttpTool, host: &str) -> Result<Filling<'a>, Problem> {
    let parts = &errand.runtime.inner.parts;
    let (mut secrets, mut plain) = (BTreeMap::new(), BTreeMap::new());
    plain.insert("run.id", errand.run.to_string().into());
    plain.insert("thread.id", errand.thread.to_string().into());
    plain.insert("call.id", errand.call.to_string().into());
    let user = errand.storage.scope().user;
    plain.insert("user.id", user.map(|user| user.to_string()).into());
    let away = |error: &dyn std::fmt::Display| {
        tracing::warn!(%error, "what a tool needs could not be read");
        Problem::new(ErrorCode::ToolUnreachable, "what the tool needs cannot be read at the moment")
    };
    for name in template::named(&tool.request) {
        if let Some(name) = name.strip_prefix("secret.") {
            let secret = parts.vault.reveal(errand.tenant, name, host).await;
            let secret = secret.map_err(|error| unrevealed(name, &error))?;
            secrets.insert(name.to_owned(), secret);
        } else if name == "user.external_id" {
            let found = match user {
                Some(user) => errand.storage.user_get(user).await.map_err(|error| away(&error))?,
                None => None,
            };
            plain.insert("user.external_id", found.and_then(|user| user.external_id).into());
        }
    }
    Ok(Filling { args: &errand.args, secrets, plain })
}

fn failed(error: GuardError, effect: Effect) -> Problem {
    // What may have arrived may have had its effect, and the model should not take it for undone.
    let perhaps = if effect == Effect::SideEffect { "; it may have had its effect all the same" } else { "" };
    match error {
        GuardError::Refused(refused @ (Refused::Scheme | Refused::Userinfo | Refused::Host | Refused::Address)) => {
            Problem::new(ErrorCode::UrlNotAllowed, refused.to_string())
        }
        GuardError::TimedOut(after) => {
            let ms = Duration::as_millis(&after);
            Problem::new(ErrorCode::ToolTimeout, format!("the tool did not answer within {ms} ms{perhaps}"))
        }
        GuardError::Unreachable { words, sent } => {
            let perhaps = if sent { perhaps } else { "" };
            Problem::new(ErrorCode::ToolUnreachable, format!("{words}{perhaps}"))
        }
    }
}

/// What an answer comes to, of which the model sees so many bytes.
fn read(answer: Answer, tool: &HttpTool, hiding: &Hiding, most: usize) -> Result<Answered, Problem> {
    // Hidden before anything is cut: the beginning of one would not be found any more.
    let text = || {
        let text = String::from_utf8_lossy(&hiding.bytes(answer.body.clone())).into_owned();
        if answer.cut { hiding.end_of_cut(text) } else { text }
    };
    if !answer.status.is_success() {
        let told: String = text().chars().take(TOLD).collect();
        let words = format!("the tool answered {}: {told}", answer.status.as_u16());
        return Err(Problem::new(ErrorCode::ToolError, words.replace('\0', "\u{fffd}")));
    }
    let kind = kind(&answer.headers);
    let is_json = kind == "application/json" || kind.ends_with("+json");
    let large = answer.body.len() > most;
    let is_shown = is_json || is_text(&kind);
    let output = if is_shown && (answer.cut || large) {
        // Not parsed: a tree of it would be many times as large.
        excerpt(&text(), answer.body.len(), most)
    } else if answer.body.is_empty() {
        Value::Null
    } else if is_json {
        // What is no JSON, or nested too deeply to be read, is text like any other.
        serde_json::from_slice(&answer.body).unwrap_or_else(|_| Value::String(text()))
    } else if is_text(&kind) {
        Value::String(text())
    } else {
        json!({"media_type": kind, "size_bytes": answer.body.len(), "cut": answer.cut})
    };
    if let Some(schema) = &tool.output_schema
        && let Some(words) = schema::wrong_with(schema, &output, answer.body.len())
    {
        return Err(Problem::new(ErrorCode::ToolInvalidOutput, format!("the tool's answer: {words}")));
    }
    let to_keep = !answer.cut && !answer.body.is_empty() && (large || !is_shown);
    let whole = to_keep.then(|| {
        let content = hiding.bytes(answer.body);
        Whole { content, media_type: media_type(&answer.headers), place: answer.place }
    });
    Ok(Answered { output, whole })
}

/// What the answer says it is, as far as that can be said again.
fn media_type(headers: &HeaderMap) -> String {
    let said = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    said.filter(|text| text.len() <= 256).unwrap_or("application/octet-stream").to_owned()
}

fn kind(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("text/plain");
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn is_text(kind: &str) -> bool {
    kind.starts_with("text/") || matches!(kind, "application/xml" | "application/x-ndjson" | "application/yaml")
}
