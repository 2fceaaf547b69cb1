//! `Idempotency-Key`, and the fingerprint that tells whether two requests are the same.
//!
//! Owns how the header is read and what the fingerprint covers. Never stores either.

use aws_lc_rs::digest;
use axum::extract::FromRequestParts;
use headwater_protocol::ErrorCode;
use headwater_store::create::RunIdempotency;
use headwater_store::pool::Idempotency;
use http::request::Parts;
use http::{HeaderMap, Method};

use crate::error::ApiError;
use crate::keys::hex;

/// The header.
pub const NAME: &str = "Idempotency-Key";

/// Extractor: the request's `Idempotency-Key`, without quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(pub Option<String>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        idempotency_key(&parts.headers).map(Self)
    }
}

/// The same, as whoever makes runs takes it.
pub fn of_run(once: &Idempotency) -> RunIdempotency {
    RunIdempotency { actor: once.actor, idempotency_key: once.key.clone(), fingerprint: hex(&once.fingerprint) }
}

/// The request's `Idempotency-Key`: 1 to 255 visible ASCII characters, in quotes or bare.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let fail = |detail: &str| ApiError::invalid_request(format!("header:{NAME}"), detail);
    let mut values = headers.get_all(NAME).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(fail("must be sent once"));
    }
    const MUST: &str = "must be 1 to 255 visible ASCII characters, in quotes or bare";
    let text = value.to_str().map_err(|_| fail(MUST))?.trim();
    let key = match text.strip_prefix('"') {
        None => text.to_owned(),
        Some(rest) => {
            let inner = rest.strip_suffix('"').ok_or_else(|| fail("the quote is not closed"))?;
            unescape(inner).ok_or_else(|| fail("a quote inside quotes is written \\\""))?
        }
    };
    if key.is_empty() || key.len() > 255 || !key.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(fail(MUST));
    }
    Ok(Some(key))
}

/// The text of a quoted string (RFC 9651), in which only `"` and `\` are escaped.
fn unescape(inner: &str) -> Option<String> {
    let mut text = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            '"' => return None,
            c => text.push(c),
        }
    }
    Some(text)
}

/// SHA-256 over what was asked for: two requests with one fingerprint ask for the same.
pub fn fingerprint(method: &Method, path: &str, canonical_body: &[u8]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [method.as_str().as_bytes(), path.as_bytes(), canonical_body] {
        // The length first: otherwise what ends one part could begin the next.
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// `idempotency_mismatch`, in one set of words.
pub fn mismatch() -> ApiError {
    ApiError::new(ErrorCode::IdempotencyMismatch, "this Idempotency-Key was used for another request")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(value: &str) -> Result<Option<String>, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(NAME, HeaderValue::from_bytes(value.as_bytes()).expect("a header"));
        idempotency_key(&headers)
    }

    #[test]
    fn keys() {
        assert_eq!(idempotency_key(&HeaderMap::new()).expect("none"), None);
        for (value, want) in
            [("a-b", "a-b"), ("\"a-b\"", "a-b"), ("\"a\\\"b\"", "a\"b"), (&"x".repeat(255), &"x".repeat(255))]
        {
            assert_eq!(read(value).expect("good").as_deref(), Some(want));
        }
        for bad in ["", "\"\"", "\"", "\"a", "a b", "\"a\"b\"", "ä", &"x".repeat(256)] {
            let error = read(bad).expect_err("bad");
            assert_eq!(error.code(), ErrorCode::InvalidRequest, "{bad}");
            assert_eq!(error.problem().errors[0].param, "header:Idempotency-Key");
        }
        let mut twice = HeaderMap::new();
        twice.append(NAME, HeaderValue::from_static("a"));
        twice.append(NAME, HeaderValue::from_static("a"));
        assert!(idempotency_key(&twice).is_err());
    }

    #[test]
    fn fingerprints_tell_requests_apart() {
        let one = fingerprint(&Method::POST, "/v1/runs", b"{}");
        assert_eq!(one, fingerprint(&Method::POST, "/v1/runs", b"{}"));
        assert_ne!(one, fingerprint(&Method::POST, "/v1/run", b"s{}"));
        assert_ne!(one, fingerprint(&Method::PUT, "/v1/runs", b"{}"));
    }
}
