//! `/v1/artifacts`: what tools answered that is too large for an event, or is no text.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use headwater_protocol::api::Artifact;
use headwater_protocol::{ArtifactId, ErrorCode, Problem};
use headwater_store::StoreError;
use headwater_store::scoped::UserScopedStorage;
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    RANGE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::{id, missing};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::wiring::AppState;

/// How much of it is in memory for each reader, however slow.
const PIECE: u64 = 128 << 10;

async fn find(storage: &UserScopedStorage, caller: &Caller, text: &str) -> Result<(ArtifactId, Artifact), ApiError> {
    let artifact: ArtifactId = id(text, "artifact")?;
    let found = storage.artifact_get(artifact).await?;
    let shown = found.filter(|(_, visibility)| visibility.tool_output || !caller.sees_as_user());
    shown.map(|(found, _)| (artifact, found)).ok_or_else(|| missing("artifact"))
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
    headers.insert(CONTENT_DISPOSITION, text(&format!("attachment; filename=\"{id}\"")));
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
