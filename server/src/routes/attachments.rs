//! Pictures and files in messages, as requests name them.
//!
//! Owns making an artifact of each: fetched once through the guarded client, decoded, or looked up. Promises that what is kept
//! is of a kind that a model can be shown, and that all of a message together is at most
//! [`MAX_UPLOAD_BYTES`](headwater_protocol::api::MAX_UPLOAD_BYTES). What is kept for a request that is then refused goes by
//! itself.

use std::time::Duration;

use aws_lc_rs::digest;
use base64::Engine as _;
use bytes::Bytes;
use headwater_agent::is_text;
use headwater_guard::{Ask, Beyond, GuardError};
use headwater_protocol::api::MAX_UPLOAD_BYTES;
use headwater_protocol::message::{InputPart, InputSource, Part, Source, check_media_type};
use headwater_protocol::{ArtifactId, ErrorCode, Problem, Scope, TenantId, UserId};
use headwater_store::pool::{Idempotency, Once};
use headwater_store::scoped::NewUpload;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::sync::OwnedSemaphorePermit;
use url::Url;

use crate::error::ApiError;
use crate::wiring::AppState;

/// How long a URL may take to give all of it.
const FETCH: Duration = Duration::from_secs(15);
/// How much of it is read without a place among those that are large.
const SMALL: usize = 256 << 10;

/// For whom something is kept.
#[derive(Debug, Clone, Copy)]
pub struct For {
    /// The tenant.
    pub tenant: TenantId,
    /// The user who shows it.
    pub user: UserId,
    /// Whether that user asks, and not the tenant.
    pub as_user: bool,
}

/// What is to be kept, of whatever it came from.
struct Found {
    media_type: String,
    content: Bytes,
    _place: Option<OwnedSemaphorePermit>,
}

/// What was made of the parts of a message.
#[derive(Debug, Default)]
pub struct Kept {
    /// The parts as they are stored.
    pub parts: Vec<Part>,
    /// What was kept for them now.
    fresh: Vec<ArtifactId>,
}

impl Kept {
    /// Forgets what was kept for a message that is not taken. What fails here goes by itself.
    pub async fn forget(&self, state: &AppState, of: For) {
        if self.fresh.is_empty() {
            return;
        }
        let storage = state.store.scoped(Scope { tenant: of.tenant, user: Some(of.user) });
        if let Err(error) = storage.uploads_forget(&self.fresh).await {
            tracing::debug!(%error, "what a message would have shown is forgotten later");
        }
    }
}

/// Keeps what the parts of a message show.
///
/// # Errors
/// What is wrong with one of them, and then nothing is kept; `url_not_allowed`.
pub async fn keep(state: &AppState, of: For, parts: Vec<(String, InputPart)>) -> Result<Kept, ApiError> {
    let mut kept = Kept::default();
    match keep_all(state, of, parts, &mut kept).await {
        Ok(()) => Ok(kept),
        Err(error) => {
            kept.forget(state, of).await;
            Err(error)
        }
    }
}

async fn keep_all(state: &AppState, of: For, parts: Vec<(String, InputPart)>, kept: &mut Kept) -> Result<(), ApiError> {
    let mut total = 0;
    for (at, part) in parts {
        let (source, is_picture, filename) = match &part {
            InputPart::Text { text } => {
                kept.parts.push(Part::Text { text: text.clone() });
                continue;
            }
            InputPart::Image { source, .. } => (source, true, None),
            InputPart::File { source, filename } => (source, false, filename.as_deref()),
        };
        let is_fresh = !matches!(source, InputSource::Artifact { .. });
        let (source, called) = match source {
            InputSource::Artifact { artifact } => known(state, of, *artifact, &at, is_picture).await?,
            InputSource::Url { url } => {
                let found = fetch(state, of.tenant, url, &format!("{at}/source/url")).await?;
                (put(state, of, found, filename, &format!("{at}/source/url"), is_picture).await?, None)
            }
            InputSource::Base64 { media_type, data } => {
                let param = format!("{at}/source/data");
                let content = base64::engine::general_purpose::STANDARD.decode(data);
                let content = content.map_err(|_| Problem::invalid(&param, "must be base64 with its padding"))?;
                let found = Found { media_type: media_type.clone(), content: content.into(), _place: None };
                (put(state, of, found, filename, &param, is_picture).await?, None)
            }
        };
        let Source::Artifact { artifact, size_bytes, .. } = &source;
        kept.fresh.extend(is_fresh.then_some(*artifact));
        total += size_bytes;
        if total > MAX_UPLOAD_BYTES as u64 {
            let words = format!("with what stands before it, it is more than {MAX_UPLOAD_BYTES} bytes");
            return Err(Problem::invalid(at, words).into());
        }
        kept.parts.push(match part {
            InputPart::Image { detail, .. } => Part::Image { source, detail },
            InputPart::File { filename, .. } => Part::File { source, filename: filename.or(called) },
            InputPart::Text { text } => Part::Text { text },
        });
    }
    Ok(())
}

/// Keeps an upload. `None`: the tenant has as much as may be.
///
/// # Errors
/// When the database is away.
pub async fn store(
    state: &AppState,
    of: For,
    filename: Option<&str>,
    media_type: &str,
    content: &[u8],
    once: Option<&Idempotency>,
) -> Result<Once<ArtifactId>, ApiError> {
    let sha256 = digest::digest(&digest::SHA256, content);
    let id = ArtifactId::new();
    let new = NewUpload { id, user: of.user, filename, media_type, sha256: sha256.as_ref(), content };
    // In the tenant's scope: what all of its users have counts together.
    let storage = state.store.scoped(Scope { tenant: of.tenant, user: None });
    let full = || {
        let words = "there is no room for it: the tenant's artifacts, or the user's uploads that no message shows, are as \
                     many as may be";
        Problem::new(ErrorCode::InvalidValue, words)
    };
    Ok(storage.upload_put(new, once).await?.ok_or_else(full)?)
}

async fn put(
    state: &AppState,
    of: For,
    found: Found,
    filename: Option<&str>,
    at: &str,
    is_picture: bool,
) -> Result<Source, ApiError> {
    check_kind(&found.media_type, Some(&found.content), at, is_picture)?;
    match store(state, of, filename, &found.media_type, &found.content, None).await? {
        Once::Done(artifact) => {
            let size_bytes = found.content.len() as u64;
            Ok(Source::Artifact { artifact, media_type: found.media_type, size_bytes })
        }
        Once::Replay(_) | Once::Mismatch => Err(ApiError::internal("an upload without a key was repeated")),
    }
}

/// One that is there, and what it is called.
async fn known(
    state: &AppState,
    of: For,
    artifact: ArtifactId,
    at: &str,
    is_picture: bool,
) -> Result<(Source, Option<String>), ApiError> {
    let at = format!("{at}/source/artifact");
    let storage = state.store.scoped(Scope { tenant: of.tenant, user: Some(of.user) });
    let found = storage.artifact_get(artifact).await?;
    let found = found.filter(|(_, visibility)| visibility.tool_output || !of.as_user);
    let (found, _) = found.ok_or_else(|| Problem::invalid(&at, "there is no such artifact"))?;
    check_kind(&found.media_type, None, &at, is_picture)?;
    let size_bytes = u64::try_from(found.size_bytes).unwrap_or_default();
    Ok((Source::Artifact { artifact, media_type: found.media_type, size_bytes }, found.filename))
}

async fn fetch(state: &AppState, tenant: TenantId, url: &str, at: &str) -> Result<Found, ApiError> {
    let url = Url::parse(url).map_err(|_| Problem::invalid(at, "must be a URL"))?;
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    let ask = Ask {
        method: http::Method::GET,
        url,
        headers,
        body: None,
        timeout: FETCH,
        max_bytes: SMALL,
        beyond: Some(Beyond { max_bytes: MAX_UPLOAD_BYTES, places: state.runtime.fetch_places(tenant) }),
    };
    let answer = state.message_guard.of(&tenant).call(ask).await.map_err(|error| match error {
        GuardError::Refused(refused) => {
            Problem::new(ErrorCode::UrlNotAllowed, refused.to_string()).with("param", at.to_owned())
        }
        other => Problem::invalid(at, format!("it cannot be fetched: {other}")),
    })?;
    if !answer.status.is_success() {
        let words =
            format!("it cannot be fetched: the answer is {}; redirects are not followed", answer.status.as_u16());
        return Err(Problem::invalid(at, words).into());
    }
    if answer.cut {
        return Err(Problem::invalid(at, format!("must be at most {MAX_UPLOAD_BYTES} bytes")).into());
    }
    let said = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    check_media_type(at, said).map_err(|_| Problem::invalid(at, "its Content-Type is no media type"))?;
    Ok(Found { media_type: said.to_owned(), content: answer.body, _place: answer.place })
}

/// Whether a model can be shown it, and it begins like what it is said to be.
fn check_kind(media_type: &str, content: Option<&[u8]>, at: &str, is_picture: bool) -> Result<(), Problem> {
    let kind = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let begins = |with: &[u8]| content.is_none_or(|content| content.starts_with(with));
    let as_said = match (is_picture, kind.as_str()) {
        (true, "image/png") => begins(b"\x89PNG\r\n\x1a\n"),
        (true, "image/jpeg") => begins(b"\xff\xd8\xff"),
        (true, "image/gif") => begins(b"GIF8"),
        (true, "image/webp") => begins(b"RIFF"),
        (true, _) => {
            return Err(Problem::invalid(at, "a picture must be image/png, image/jpeg, image/gif or image/webp"));
        }
        (false, "application/pdf") => begins(b"%PDF"),
        (false, kind) if is_text(kind) => content.is_none_or(|content| std::str::from_utf8(content).is_ok()),
        (false, _) => return Err(Problem::invalid(at, "a file must be text of some kind, or application/pdf")),
    };
    let words = || format!("is no {kind}{}", if is_text(&kind) { " in UTF-8" } else { "" });
    if as_said { Ok(()) } else { Err(Problem::invalid(at, words())) }
}
