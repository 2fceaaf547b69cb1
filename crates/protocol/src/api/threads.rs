//! Threads and imported messages.

use serde::{Deserialize, Serialize};

use super::{check_external_id, check_metadata, check_name};
use crate::event::Role;
use crate::message::{Content, Metadata};
use crate::{Problem, RunId, ThreadId, Timestamp, UserId};

/// What happens on a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ThreadStatus {
    /// Nothing.
    Idle,
    /// A run is queued or running.
    Busy,
    /// Its run waits for a person.
    Suspended,
}

/// A line of messages between one user and agents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Thread {
    /// Its id.
    pub id: ThreadId,
    /// Always `thread`.
    pub object: String,
    /// Whose it is.
    pub user: UserId,
    /// The tenant's own id for it.
    pub external_id: Option<String>,
    /// Of a thread that a run of another agent writes to, the run that called it. It is read only, and goes with that run's
    /// own.
    pub parent_run: Option<RunId>,
    /// A title.
    pub title: Option<String>,
    /// What happens on it.
    pub status: ThreadStatus,
    /// The run that is not terminal and first in order.
    pub active_run: Option<RunId>,
    /// The tenant's own pairs.
    pub metadata: Metadata,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What may be set on a thread.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ThreadSettings {
    /// The tenant's own id for it, unique per user.
    pub external_id: Option<String>,
    /// 1 to 256 characters.
    pub title: Option<String>,
    /// Own pairs.
    pub metadata: Metadata,
}

impl ThreadSettings {
    /// Whether all values are within their bounds.
    pub fn check(&self) -> Result<(), Problem> {
        if let Some(id) = &self.external_id {
            check_external_id("/external_id", id)?;
        }
        if let Some(title) = &self.title {
            check_name("/title", title, 256)?;
        }
        check_metadata(&self.metadata)
    }
}

/// A message of the past, imported without a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageParams {
    /// `user`, or `assistant` with a tenant key.
    pub role: Role,
    /// A string or parts.
    pub content: Content,
    /// Own pairs.
    #[serde(default)]
    pub metadata: Metadata,
}
