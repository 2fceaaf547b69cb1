//! Artifacts: what is too large for an event, or is no text.

use serde::{Deserialize, Serialize};

use crate::{ArtifactId, CallId, RunId, Timestamp, UserId};

/// The largest answer of a tool that is kept whole, in bytes.
pub const MAX_ARTIFACT_BYTES: usize = 4 << 20;
/// What the artifacts of one tenant come to at most, in bytes. Beyond, a tool's answer is its excerpt alone.
pub const MAX_ARTIFACTS_BYTES: i64 = 1 << 30;

/// The largest picture or file in a message, in bytes, and all of them in one together.
pub const MAX_UPLOAD_BYTES: usize = 8 << 20;
/// What a user may have uploaded that no message shows, in bytes.
pub const MAX_UNUSED_BYTES: i64 = 64 << 20;
/// How many pictures and files a message shows.
pub const MAX_ATTACHMENTS: usize = 16;

/// Something that a tool answered, or that a user has uploaded to show it to a model. What is in it is at `/v1/artifacts/{artifact}/content`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Artifact {
    /// Its id.
    pub id: ArtifactId,
    /// Always `artifact`.
    pub object: String,
    /// The user it belongs to.
    pub user: UserId,
    /// The run that made it; `null` for an upload.
    pub run: Option<RunId>,
    /// The call that made it.
    pub call: Option<CallId>,
    /// What to call it.
    pub filename: Option<String>,
    /// What it is, as its maker says.
    pub media_type: String,
    /// How large it is.
    pub size_bytes: i64,
    /// SHA-256 of the content, in hexadecimal digits.
    pub sha256: String,
    /// When it was made.
    pub created_at: Timestamp,
}
