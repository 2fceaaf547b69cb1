//! [`ApiJson`]: a request's JSON body, read strictly.
//!
//! Owns which bodies are taken and how each way of being wrong is told: the media type (415), the size (413), JSON
//! itself (400 with line and column), and its meaning (422 with a pointer to each field).
//! Promises that a key given twice and text that no database can hold are refused, that `null` means the default where
//! the API says so, and that what it calls canonical is the same for every spelling of the same JSON.

use std::fmt;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use headwater_protocol::error::FieldError;
use headwater_protocol::{ErrorCode, Problem};
use http::{HeaderMap, Method};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_path_to_error::Segment;

use super::body::{BodyLimit, read_body};
use crate::error::ApiError;

/// A request's body as canonical JSON: keys sorted, no white space. For [`fingerprint`](super::fingerprint).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canonical(pub Bytes);

/// Extractor: the JSON body as a `T`, and its canonical bytes. An empty body is `{}`.
#[derive(Debug, Clone)]
pub struct ApiJson<T>(pub T, pub Canonical);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for ApiJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request<Body>, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let limit = parts.extensions.get::<BodyLimit>().copied().unwrap_or_default();
        let typed = media_type(&parts.headers)?;
        let bytes = read_body(&parts.headers, body, limit).await?;
        if !typed && !bytes.is_empty() {
            return Err(unsupported("a body needs the header Content-Type: application/json"));
        }
        let (value, canonical) = parse(&parts.method, &bytes)?;
        // serde would take a list for an object, by position. Canonical JSON begins without white space.
        if !canonical.0.starts_with(b"{") {
            return Err(invalid(String::new(), "must be an object"));
        }
        Ok(Self(value, canonical))
    }
}

fn unsupported(detail: &str) -> ApiError {
    ApiError::new(ErrorCode::UnsupportedMediaType, detail)
}

/// Whether the body says that it is JSON. Saying something else is an error.
fn media_type(headers: &HeaderMap) -> Result<bool, ApiError> {
    const MUST: &str = "the body must be application/json in UTF-8";
    if headers.get(http::header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(unsupported("the body must not be compressed"));
    }
    let Some(value) = headers.get(http::header::CONTENT_TYPE) else { return Ok(false) };
    let value = value.to_str().map_err(|_| unsupported(MUST))?.to_ascii_lowercase();
    let mut parts = value.split(';').map(str::trim);
    // RFC 7396 has a name of its own for what a PATCH sends.
    let json = matches!(parts.next(), Some("application/json" | "application/merge-patch+json"));
    let utf8 =
        parts.filter_map(|part| part.strip_prefix("charset=")).all(|charset| charset.trim_matches('"') == "utf-8");
    if json && utf8 { Ok(true) } else { Err(unsupported(MUST)) }
}

/// Reads a body.
pub fn parse<T: DeserializeOwned>(method: &Method, bytes: &[u8]) -> Result<(T, Canonical), ApiError> {
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|b| **b != b'\n').count() + 1;
        invalid_json("the body is not UTF-8", line, column)
    })?;
    let value = strict(text)
        .map_err(|error| invalid_json(&without_position(&error.to_string()), error.line(), error.column()))?;
    // An escaped NUL is valid JSON, and the only text that Postgres cannot hold.
    if text.contains("\\u0000")
        && let Some(pointer) = find_nul(&value, String::new())
    {
        return Err(Problem::invalid(pointer, "must not contain NUL characters").into());
    }
    let canonical = Canonical(serde_json::to_vec(&value).map_err(ApiError::internal)?.into());
    let nulls_are_defaults = *method != Method::PATCH;
    typed(text, value, nulls_are_defaults).map(|value| (value, canonical))
}

fn invalid_json(detail: &str, line: usize, column: usize) -> ApiError {
    ApiError::new(ErrorCode::InvalidJson, format!("line {line}, column {column}: {detail}"))
        .with("line", line)
        .with("column", column)
}

/// Reads the meaning. From text rather than from the value: a `RawValue` inside keeps its spelling.
fn typed<T: DeserializeOwned>(text: &str, mut value: Value, nulls_are_defaults: bool) -> Result<T, ApiError> {
    let mut respelled: Option<String> = None;
    // Each round drops one null that the type refuses; a body with more than that is no mistake of a client's library.
    for _ in 0..64 {
        let mut deserializer = serde_json::Deserializer::from_str(respelled.as_deref().unwrap_or(text));
        let error = match serde_path_to_error::deserialize(&mut deserializer) {
            Ok(typed) => return Ok(typed),
            Err(error) => error,
        };
        let pointer = pointer(error.path());
        if nulls_are_defaults && drop_null(&mut value, &pointer) {
            respelled = Some(value.to_string());
            continue;
        }
        return Err(invalid(pointer, &error.into_inner().to_string()));
    }
    Err(Problem::new(ErrorCode::InvalidValue, "the body has too many nulls").into())
}

/// Takes out the member at the pointer if it is `null`: absent and `null` are both the default.
fn drop_null(value: &mut Value, pointer: &str) -> bool {
    let Some((parent, name)) = pointer.rsplit_once('/') else { return false };
    let Some(Value::Object(members)) = value.pointer_mut(parent) else { return false };
    let name = name.replace("~1", "/").replace("~0", "~");
    members.get(&name).is_some_and(Value::is_null) && members.remove(&name).is_some()
}

fn invalid(mut pointer: String, message: &str) -> ApiError {
    let message = without_position(message);
    let (code, detail) = if let Some(rest) = message.strip_prefix("missing field `") {
        pointer = format!("{pointer}/{}", escape(rest.trim_end_matches('`')));
        (ErrorCode::InvalidValue, "is required".to_owned())
    } else if message.starts_with("unknown field") {
        (ErrorCode::UnknownField, reword(&message))
    } else {
        (ErrorCode::InvalidValue, reword(&message))
    };
    let at = if pointer.is_empty() { "the body" } else { &pointer };
    let mut problem = Problem::new(code, format!("{at}: {detail}"));
    problem.errors.push(FieldError { param: pointer, code, detail });
    problem.into()
}

/// serde's words without the names of Rust's types, and not longer than an error should be.
pub(super) fn reword(message: &str) -> String {
    let told = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    let message = match told.and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((found, wanted)) => {
            let wanted = match wanted {
                "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not negative",
                "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
                "f32" | "f64" => "a number",
                "unit" => "null",
                "a boolean" | "a string" => wanted,
                "a sequence" => "a list",
                _ if wanted.starts_with("struct ") || wanted == "a map" => "an object",
                _ => wanted,
            };
            format!("must be {wanted}, not {}", shorten(found, 80))
        }
        None => match message.strip_prefix("unknown variant ").and_then(|rest| rest.rsplit_once(", expected ")) {
            Some((found, wanted)) => format!("must be {wanted}, not {}", shorten(found, 80)),
            None => message.to_owned(),
        },
    };
    shorten(&message, 400)
}

fn shorten(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// serde_json ends its messages with a position that we tell apart, or that is of no use.
fn without_position(message: &str) -> String {
    match message.rfind(" at line ") {
        Some(end) => message[..end].to_owned(),
        None => message.to_owned(),
    }
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", escape(key))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

fn find_nul(value: &Value, pointer: String) -> Option<String> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
        Value::String(text) => text.contains('\0').then_some(pointer),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| find_nul(item, format!("{pointer}/{index}")))
        }
        Value::Object(members) => members.iter().find_map(|(name, member)| {
            if name.contains('\0') {
                return Some(pointer.clone());
            }
            find_nul(member, format!("{pointer}/{}", escape(name)))
        }),
    }
}

/// Any JSON, except that no object has a key twice: two readers of such a body may see two different requests.
fn strict(text: &str) -> serde_json::Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Strict)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if map.contains_key(&name) {
                return Err(A::Error::custom(format!("the key {:?} appears twice", shorten(&name, 80))));
            }
            let value = members.next_value_seed(Strict)?;
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}
