//! `/v1/artifacts`: what tools answered that is too large for an event, or is no text; and what users upload to show it to a
//! model.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use headwater_protocol::api::{Artifact, MAX_UPLOAD_BYTES};
use headwater_protocol::message::{check_filename, check_media_type};
use headwater_protocol::{ArtifactId, ErrorCode, Problem, Scope};
use headwater_store::scoped::UserScopedStorage;
use headwater_store::{StoreError, pool};
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use std::time::Duration;

use super::body::Once;
use super::{attachments, created, id, missing};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::http::body::read_upload;
use crate::http::idempotency::mismatch;
use crate::http::{ApiQuery, BodyLimit};
use crate::wiring::AppState;

/// How much of it is in memory for each reader, however slow.
const PIECE: u64 = 128 << 10;

async fn find(storage: &UserScopedStorage, caller: &Caller, text: &str) -> Result<(ArtifactId, Artifact), ApiError> {
    let artifact: ArtifactId = id(text, "artifact")?;
    let found = storage.artifact_get(artifact).await?;
    let shown = found.filter(|(_, visibility)| visibility.tool_output || !caller.sees_as_user());
    shown.map(|(found, _)| (artifact, found)).ok_or_else(|| missing("artifact"))
}

/// How to call an upload.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct UploadQuery {
    /// At most 255 characters, without `/`.
    pub filename: Option<String>,
}

/// How long all of an upload may take.
const UPLOAD: Duration = Duration::from_secs(120);

/// Keeps what is sent, to be shown to a model in a message. It is forgotten after a day in which no message uses it.
#[utoipa::path(post, path = "/v1/artifacts", tag = "artifacts", params(UploadQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "At most 8 MiB, with its own Content-Type"),
    responses((status = 201, body = Artifact), (status = "default", body = Problem)))]
pub async fn artifacts_create(
    State(state): State<AppState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<UploadQuery>,
    request: Request,
) -> Result<Response, ApiError> {
    caller.require("threads:write")?;
    check_filename("query:filename", query.filename.as_deref()).map_err(|problem| {
        ApiError::invalid_request("query:filename", problem.detail.as_deref().unwrap_or_default())
    })?;
    let (parts, body) = request.into_parts();
    let media_type = media_type(&parts.headers)?;
    let caller = caller.into_user(&state).await?;
    let user = caller.user.known().ok_or_else(|| missing("user"))?;
    let of = attachments::For { tenant: caller.tenant, user, as_user: caller.sees_as_user() };
    let room = state.runtime.upload_room(caller.tenant);
    let reading = read_upload(&parts.headers, body, BodyLimit(MAX_UPLOAD_BYTES), &room);
    let late = |_| ApiError::new(ErrorCode::RequestTimeout, "the upload took too long");
    let (content, room) = tokio::time::timeout(UPLOAD, reading).await.map_err(late)??;
    if content.is_empty() {
        return Err(ApiError::invalid_request("body", "must not be empty"));
    }
    let asked = [media_type.as_bytes(), query.filename.as_deref().unwrap_or_default().as_bytes(), &content].map(digest);
    let once = Once::of(&state, &caller, &parts, &asked.concat())?;
    let stored = attachments::store(&state, of, query.filename.as_deref(), &media_type, &content, once.key()).await?;
    drop((content, room));
    let (artifact, replayed) = match stored {
        pool::Once::Done(artifact) => (artifact, false),
        pool::Once::Replay(object) => (id(&object, "artifact")?, true),
        pool::Once::Mismatch => return Err(mismatch()),
    };
    let storage = state.store.scoped(Scope { tenant: caller.tenant, user: Some(user) });
    let (found, _) = storage.artifact_get(artifact).await?.ok_or_else(|| missing("artifact"))?;
    Ok(created(&found, &format!("/v1/artifacts/{artifact}"), replayed))
}

fn digest(bytes: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref().to_vec()
}

fn media_type(headers: &HeaderMap) -> Result<String, ApiError> {
    let unsupported = |words: &str| ApiError::new(ErrorCode::UnsupportedMediaType, words);
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(unsupported("the body must not be compressed"));
    }
    let said = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let said = said.ok_or_else(|| unsupported("an upload needs its own Content-Type"))?;
    check_media_type("header:content-type", said).map_err(|_| unsupported("the Content-Type is no media type"))?;
    Ok(said.to_owned())
}

/// What an artifact is.
#[utoipa::path(get, path = "/v1/artifacts/{artifact}", tag = "artifacts", params(("artifact" = String, Path)),
    responses((status = 200, body = Artifact), (status = "default", body = Problem)))]
pub async fn artifacts_get(
    State(state): State<AppState>,
    caller: Caller,
    Path(artifact): Path<String>,
) -> Result<Json<Artifact>, ApiError> {
    caller.require("threads:read")?;
    let storage = state.store.scoped(caller.scope());
    Ok(Json(find(&storage, &caller, &artifact).await?.1))
}

/// What is in it: all, or the one range that is asked for.
#[utoipa::path(get, path = "/v1/artifacts/{artifact}/content", tag = "artifacts",
    params(("artifact" = String, Path), ("Range" = Option<String>, Header, description = "`bytes=0-99`, `bytes=100-` or `bytes=-100`")),
    responses((status = 200, description = "The content, to be saved", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, description = "A range of it"), (status = "default", body = Problem)))]
pub async fn artifacts_content(
    State(state): State<AppState>,
    caller: Caller,
    Path(artifact): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    caller.require("threads:read")?;
    let storage = state.store.scoped(caller.scope());
    let (id, found) = find(&storage, &caller, &artifact).await?;
    let size = u64::try_from(found.size_bytes).unwrap_or_default();
    let asked = match headers.get(RANGE).and_then(|value| value.to_str().ok()).map(|text| range(text, size)) {
        None | Some(Range::Whole) => None,
        Some(Range::Part(from, to)) => Some((from, to)),
        Some(Range::Beyond) => {
            let mut refused =
                ApiError::from(Problem::new(ErrorCode::RangeNotSatisfiable, format!("there are {size} bytes")))
                    .into_response();
            refused.headers_mut().insert(CONTENT_RANGE, text(&format!("bytes */{size}")));
            return Ok(refused);
        }
    };
    let (from, to) = asked.unwrap_or((0, size));
    let pieces = stream::try_unfold((storage, from), move |(storage, at)| async move {
        if at >= to {
            return Ok(None);
        }
        let (start, length) = (i32::try_from(at), i32::try_from(PIECE.min(to - at)));
        let gone = || StoreError::Corrupt("an artifact is gone while it is read".into());
        let (Ok(start), Ok(length)) = (start, length) else { return Err(gone()) };
        let piece = storage.artifact_content(id, start, length).await?.filter(|piece| !piece.is_empty());
        let piece = piece.ok_or_else(gone)?;
        let next = at + piece.len() as u64;
        Ok(Some((Bytes::from(piece), (storage, next))))
    });
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    // Written by whoever it may be: saved, and never shown as a page of this server.
    headers.insert(CONTENT_TYPE, HeaderValue::from_str(&found.media_type).unwrap_or(OCTETS));
    headers.insert(CONTENT_DISPOSITION, disposition(&id.to_string(), found.filename.as_deref()));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(ETAG, text(&format!("\"{}\"", found.sha256)));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(to - from));
    if asked.is_some() {
        headers.insert(CONTENT_RANGE, text(&format!("bytes {from}-{}/{size}", to - 1)));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// To be saved, under the name that it has. What is not ASCII is written as RFC 6266 (5.2) has it, beside a name that is.
fn disposition(id: &str, filename: Option<&str>) -> HeaderValue {
    let Some(name) = filename else { return text(&format!("attachment; filename=\"{id}\"")) };
    let plain = |c: char| if matches!(c, ' '..='~') && !matches!(c, '"' | '\\' | '%') { c } else { '_' };
    let ascii: String = name.chars().map(plain).collect();
    let mut encoded = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    text(&format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}"))
}

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

fn text(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// None that is understood: then all of it is the answer (RFC 9110, 14.2).
    Whole,
    /// From the first of these bytes to before the second.
    Part(u64, u64),
    Beyond,
}

/// One range. Of several all of it is the answer.
fn range(text: &str, size: u64) -> Range {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|text| text.split_once('-')) else {
        return Range::Whole;
    };
    let number = |text: &str| {
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().unwrap_or(u64::MAX))
    };
    let (from, to) = match (number(first.trim()), number(last.trim())) {
        (Some(from), Some(last)) if from <= last => (from, last.saturating_add(1).min(size)),
        (Some(from), None) if last.trim().is_empty() => (from, size),
        (None, Some(last)) if first.trim().is_empty() => (size - last.min(size), size),
        _ => return Range::Whole,
    };
    if from < to { Range::Part(from, to) } else { Range::Beyond }
}

#[cfg(test)]
mod tests {
    use super::{Range, range};

    #[test]
    fn one_range_of_bytes() {
        for (text, expected) in [
            ("bytes=0-9", Range::Part(0, 10)),
            ("bytes=90-", Range::Part(90, 100)),
            ("bytes=-10", Range::Part(90, 100)),
            ("bytes=-1000", Range::Part(0, 100)),
            ("bytes=99-18446744073709551615", Range::Part(99, 100)),
            ("bytes=99-99999999999999999999999", Range::Part(99, 100)),
            ("bytes=100-", Range::Beyond),
            ("bytes=100-200", Range::Beyond),
            ("bytes=-0", Range::Beyond),
            ("bytes=9-0", Range::Whole),
            ("bytes=0-1,5-6", Range::Whole),
            ("bytes=a-", Range::Whole),
            ("bytes=", Range::Whole),
            ("lines=0-9", Range::Whole),
        ] {
            assert_eq!(range(text, 100), expected, "{text}");
        }
        assert_eq!(range("bytes=0-", 0), Range::Beyond);
    }
}
