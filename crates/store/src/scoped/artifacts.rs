//! Artifacts.

use headwater_protocol::api::{Artifact, MAX_ARTIFACTS_BYTES, MAX_UNUSED_BYTES};
use headwater_protocol::event::Visibility;
use headwater_protocol::{ArtifactId, CallId, RunId, Timestamp, UserId};
use tokio_postgres::types::Json;
use uuid::Uuid;

use super::{UserScopedStorage, time};
use crate::StoreError;
use crate::pool::{Idempotency, Once};

/// What the smallest one counts for, in bytes: so there are never more than can be counted each time.
const LEAST: i64 = 64 << 10;

/// An artifact that a call has made.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the columns of the table of the same names")]
pub struct NewArtifact<'a> {
    pub id: ArtifactId,
    pub run: RunId,
    pub call: CallId,
    pub media_type: &'a str,
    pub sha256: &'a [u8],
    pub content: &'a [u8],
}

/// An artifact that a user shows to a model.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the columns of the table of the same names")]
pub struct NewUpload<'a> {
    pub id: ArtifactId,
    pub user: UserId,
    pub filename: Option<&'a str>,
    pub media_type: &'a str,
    pub sha256: &'a [u8],
    pub content: &'a [u8],
}

impl UserScopedStorage {
    /// Keeps an upload, for a day unless a message uses it. Asked in the scope of a tenant, what all its users have counts.
    /// `None`: that is as much as may be, or what the user has uploaded and no message uses is.
    pub async fn upload_put(
        &self,
        new: NewUpload<'_>,
        idempotency: Option<&Idempotency>,
    ) -> Result<Option<Once<ArtifactId>>, StoreError> {
        let sql = "INSERT INTO headwater.artifacts (tenant_id, artifact_id, user_id, filename, media_type, size_bytes, sha256,
                                                    content, created_at)
                   SELECT headwater.tenant_id(), $1, $2, $3, $4, $5::bigint, $6, $7, $8
                   WHERE (SELECT coalesce(sum(greatest(size_bytes, $10::bigint)), 0) FROM headwater.artifacts) + $5::bigint <= $9::bigint
                     AND (SELECT coalesce(sum(greatest(size_bytes, $10::bigint)), 0) FROM headwater.artifacts
                          WHERE user_id = $2 AND run_id IS NULL AND NOT used) + $5::bigint <= $11::bigint
                   RETURNING artifact_id";
        let size = i64::try_from(new.content.len()).unwrap_or(i64::MAX);
        let (id, user, now) = (new.id.uuid(), new.user.uuid(), Timestamp::now().0);
        let made = self
            .store
            .query_once(
                self.scope,
                idempotency,
                &new.id.to_string(),
                sql,
                &[
                    &id,
                    &user,
                    &new.filename,
                    &new.media_type,
                    &size,
                    &new.sha256,
                    &new.content,
                    &now,
                    &MAX_ARTIFACTS_BYTES,
                    &LEAST,
                    &MAX_UNUSED_BYTES,
                ],
            )
            .await?;
        Ok(match made {
            Once::Done(rows) if rows.is_empty() => None,
            other => Some(other.map(|_| new.id)),
        })
    }

    /// Keeps one, for the user of its run. Asked in the scope of a tenant, what all its users have counts. `false`: that is as
    /// much as may be, or the run is gone.
    pub async fn artifact_put(&self, new: NewArtifact<'_>) -> Result<bool, StoreError> {
        let sql =
            "INSERT INTO headwater.artifacts (tenant_id, artifact_id, user_id, run_id, call_id, media_type, size_bytes,
                                                    sha256, content, created_at)
                   SELECT r.tenant_id, $1, r.user_id, r.run_id, $3, $4, $5::bigint, $6, $7, $8 FROM headwater.runs r
                   WHERE r.run_id = $2
                     AND (SELECT coalesce(sum(greatest(size_bytes, $10::bigint)), 0) FROM headwater.artifacts) + $5::bigint <= $9::bigint
                   RETURNING artifact_id";
        let size = i64::try_from(new.content.len()).unwrap_or(i64::MAX);
        let (id, run, call) = (new.id.uuid(), new.run.uuid(), new.call.uuid());
        let now = Timestamp::now().0;
        let rows = self
            .query(
                sql,
                &[
                    &id,
                    &run,
                    &call,
                    &new.media_type,
                    &size,
                    &new.sha256,
                    &new.content,
                    &now,
                    &MAX_ARTIFACTS_BYTES,
                    &LEAST,
                ],
            )
            .await?;
        Ok(!rows.is_empty())
    }

    /// Forgets uploads that no message uses.
    pub async fn uploads_forget(&self, uploads: &[ArtifactId]) -> Result<(), StoreError> {
        let uploads: Vec<Uuid> = uploads.iter().map(|upload| upload.uuid()).collect();
        let sql = "DELETE FROM headwater.artifacts WHERE artifact_id = ANY ($1) AND run_id IS NULL AND NOT used
                   RETURNING artifact_id";
        self.query(sql, &[&uploads]).await?;
        Ok(())
    }

    /// One, without its content, and what users see of its run.
    pub async fn artifact_get(&self, id: ArtifactId) -> Result<Option<(Artifact, Visibility)>, StoreError> {
        let sql = "SELECT a.user_id, a.run_id, a.call_id, a.filename, a.media_type, a.size_bytes,
                          encode(a.sha256, 'hex') AS sha256, a.created_at, r.visibility
                   FROM headwater.artifacts a LEFT JOIN headwater.runs r ON r.tenant_id = a.tenant_id AND r.run_id = a.run_id
                   WHERE a.artifact_id = $1";
        let rows = self.query(sql, &[&id.uuid()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        // What a user has uploaded the user may see.
        let visibility: Option<Json<Visibility>> = row.try_get("visibility")?;
        let visibility = visibility.map_or_else(Visibility::default, |Json(visibility)| visibility);
        let artifact = Artifact {
            id,
            object: "artifact".into(),
            user: UserId::from_uuid(row.try_get("user_id")?),
            run: row.try_get::<_, Option<Uuid>>("run_id")?.map(RunId::from_uuid),
            call: row.try_get::<_, Option<Uuid>>("call_id")?.map(CallId::from_uuid),
            filename: row.try_get("filename")?,
            media_type: row.try_get("media_type")?,
            size_bytes: row.try_get("size_bytes")?,
            sha256: row.try_get("sha256")?,
            created_at: time(row, "created_at")?,
        };
        Ok(Some((artifact, visibility)))
    }

    /// A piece of its content: so many bytes from there on, as far as it has them.
    pub async fn artifact_content(&self, id: ArtifactId, from: i32, bytes: i32) -> Result<Option<Vec<u8>>, StoreError> {
        // Counted from 1.
        let sql = "SELECT substring(content FROM $2 + 1 FOR $3) FROM headwater.artifacts WHERE artifact_id = $1";
        let rows = self.query(sql, &[&id.uuid(), &from, &bytes]).await?;
        rows.first().map(|row| row.try_get(0).map_err(StoreError::from)).transpose()
    }
}
