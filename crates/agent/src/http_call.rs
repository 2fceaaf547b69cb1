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

use crate::mcp_call::unrevealed;
use crate::perform::{Answered, Errand, Whole, excerpt};
use crate::schema;
use crate::template::{self, Filled, Values};

/// How much of an error's body the model is told, in characters.
const TOLD: usize = 1000;

/// What stands in the place of a secret that was said back, and how long one is at least to be looked for.
const HIDDEN: &str = "[secret]";
const SHORTEST: usize = 6;

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
    let secrets: Vec<&str> = filling.secrets.values().map(SecretString::expose_secret).collect();
    let (read, whole) = match read(answer, tool, &secrets, errand.ability.max_result_bytes) {
        Ok(Answered { output, whole }) => (Ok(output), whole),
        Err(problem) => (Err(problem), None),
    };
    hide(read, filling.secrets.values()).map(|output| Answered { output, whole })
}

/// The ways to write a secret, looked for where an answer is not taken apart: as it is, and as JSON writes it, with what
/// encoders escape though they need not.
fn spellings(secret: &str) -> Vec<String> {
    if secret.len() < SHORTEST {
        // Of a few letters there would be nothing left to read.
        return Vec::new();
    }
    let quoted = Value::from(secret).to_string();
    let plain = &quoted[1..quoted.len() - 1];
    let ascii = |digits: fn(u16) -> String| -> String {
        let one = |c: char| match c {
            ' '..='~' => c.to_string(),
            c => c.encode_utf16(&mut [0; 2]).iter().map(|unit| digits(*unit)).collect(),
        };
        plain.chars().map(one).collect()
    };
    let ways = [plain.to_owned(), ascii(|unit| format!("\\u{unit:04x}")), ascii(|unit| format!("\\u{unit:04X}"))];
    let slashed = ways.clone().map(|text| text.replace('/', "\\/"));
    let mut all: Vec<String> = std::iter::once(secret.to_owned()).chain(ways).chain(slashed).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Bytes without the secrets that were sent.
fn hide_bytes(content: Bytes, secrets: &[&str]) -> Bytes {
    let mut content = content;
    for secret in secrets.iter().flat_map(|secret| spellings(secret)) {
        let found: Vec<usize> = memchr::memmem::find_iter(&content, secret.as_bytes()).collect();
        if found.is_empty() {
            continue;
        }
        let (mut hidden, mut from) = (Vec::with_capacity(content.len()), 0);
        for at in found {
            hidden.extend_from_slice(&content[from..at]);
            hidden.extend_from_slice(HIDDEN.as_bytes());
            from = at + secret.len();
        }
        hidden.extend_from_slice(&content[from..]);
        content = hidden.into();
    }
    content
}

/// An answer without the secrets that were sent: some endpoints say back what they were told.
pub(crate) fn hide<'a>(
    answered: Result<Value, Problem>,
    secrets: impl Iterator<Item = &'a SecretString> + Clone,
) -> Result<Value, Problem> {
    fn without(text: &str, secrets: impl Iterator<Item = impl AsRef<str>>) -> Option<String> {
        let mut hidden: Option<String> = None;
        for secret in secrets {
            let text = hidden.as_deref().unwrap_or(text);
            // Of a few letters there would be nothing left to read.
            if secret.as_ref().len() >= SHORTEST && text.contains(secret.as_ref()) {
                hidden = Some(text.replace(secret.as_ref(), HIDDEN));
            }
        }
        hidden
    }
    fn walk(value: &mut Value, secrets: &[&str]) {
        match value {
            Value::String(text) => {
                if let Some(hidden) = without(text, secrets.iter()) {
                    *text = hidden;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| walk(item, secrets)),
            Value::Object(members) => {
                if members.keys().any(|name| without(name, secrets.iter()).is_some()) {
                    let named = |name: String| without(&name, secrets.iter()).unwrap_or(name);
                    *members = std::mem::take(members).into_iter().map(|(name, value)| (named(name), value)).collect();
                }
                members.values_mut().for_each(|member| walk(member, secrets));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let secrets: Vec<&str> = secrets.map(SecretString::expose_secret).collect();
    match answered {
        Ok(mut output) => {
            walk(&mut output, &secrets);
            Ok(output)
        }
        Err(mut problem) => {
            problem.detail = problem.detail.map(|words| without(&words, secrets.iter()).unwrap_or(words));
            Err(problem)
        }
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
fn read(answer: Answer, tool: &HttpTool, secrets: &[&str], most: usize) -> Result<Answered, Problem> {
    // Hidden before anything is cut: the beginning of one would not be found any more.
    let text = || {
        let mut text = String::from_utf8_lossy(&hide_bytes(answer.body.clone(), secrets)).into_owned();
        for secret in secrets.iter().flat_map(|secret| spellings(secret)) {
            let begun = (1..secret.len()).rev().filter(|at| secret.is_char_boundary(*at));
            if let Some(at) = begun.into_iter().find(|at| answer.cut && text.ends_with(&secret[..*at])) {
                text.truncate(text.len() - at);
            }
        }
        text
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
        let content = hide_bytes(answer.body, secrets);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_however_json_writes_it() {
        let secret = "pa\"ss/wörd";
        for said in
            ["pa\"ss/wörd", r#"pa\"ss/wörd"#, r#"pa\"ss\/w\u00f6rd"#, r#"pa\"ss\/w\u00F6rd"#, r#"pa\"ss/w\u00f6rd"#]
        {
            let hidden = hide_bytes(format!("<{said}> and <{said}>").into(), &[secret]);
            assert_eq!(hidden, "<[secret]> and <[secret]>", "{said}");
        }
        assert_eq!(hide_bytes("short".into(), &["short"]), "short", "of a few letters there would be nothing left");
    }
}
