//! Users of the tenant.

use headwater_protocol::api::{User, UserSettings, UserStatus};
use headwater_protocol::{Timestamp, UserId};
use tokio_postgres::Row;
use tokio_postgres::types::Json;

use super::{Page, UserScopedStorage, metadata, time};
use crate::StoreError;
use crate::pool::{Idempotency, Once};

/// What decides whether a user's token is good.
#[derive(Debug, Clone)]
pub struct UserAccess {
    /// Whether the tenant may act.
    pub tenant_active: bool,
    /// The tenant's origins.
    pub origins: Vec<String>,
    /// Whether the user may act; `None` when there is no such user.
    pub user_active: Option<bool>,
}

const COLUMNS: &str = "user_id, external_id, name, status, metadata, created_at, updated_at";

fn user(row: &Row) -> Result<User, StoreError> {
    let status: &str = row.try_get("status")?;
    Ok(User {
        id: UserId::from_uuid(row.try_get("user_id")?),
        object: "user".into(),
        external_id: row.try_get("external_id")?,
        name: row.try_get("name")?,
        status: if status == "active" { UserStatus::Active } else { UserStatus::Blocked },
        metadata: metadata(row)?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

fn status(status: UserStatus) -> &'static str {
    match status {
        UserStatus::Active => "active",
        UserStatus::Blocked => "blocked",
    }
}

impl UserScopedStorage {
    /// Makes a user.
    pub async fn user_create(
        &self,
        settings: &UserSettings,
        at: Timestamp,
        idempotency: Option<&Idempotency>,
    ) -> Result<Once<User>, StoreError> {
        let id = UserId::new();
        let sql = format!(
            "INSERT INTO headwater.users (tenant_id, user_id, external_id, name, status, metadata, created_at, updated_at)
             VALUES (headwater.tenant_id(), $1, $2, $3, $4, $5, $6, $6) RETURNING {COLUMNS}"
        );
        let made = self
            .store
            .query_once(
                self.scope,
                idempotency,
                &id.to_string(),
                &sql,
                &[
                    &id.uuid(),
                    &settings.external_id,
                    &settings.name,
                    &status(settings.status),
                    &Json(&settings.metadata),
                    &at.0,
                ],
            )
            .await?;
        made.map(|rows| user(&rows[0])).transpose()
    }

    /// The user with this external id, made if there is none.
    pub async fn user_ensure(&self, external_id: &str, at: Timestamp) -> Result<UserId, StoreError> {
        if let Some(user) = self.user_by_external_id(external_id).await? {
            return Ok(user.id);
        }
        self.query(
            "INSERT INTO headwater.users (tenant_id, user_id, external_id, created_at, updated_at)
             VALUES (headwater.tenant_id(), $1, $2, $3, $3) ON CONFLICT DO NOTHING",
            &[&UserId::new().uuid(), &external_id, &at.0],
        )
        .await?;
        // Somebody else may have been first; either way it is there now.
        let user = self.user_by_external_id(external_id).await?;
        user.map(|user| user.id).ok_or_else(|| StoreError::Corrupt("a user that was just made is not there".into()))
    }

    /// One user.
    pub async fn user_get(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM headwater.users WHERE user_id = $1");
        self.query(&sql, &[&id.uuid()]).await?.first().map(user).transpose()
    }

    /// One user, by the tenant's own id.
    pub async fn user_by_external_id(&self, external_id: &str) -> Result<Option<User>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM headwater.users WHERE external_id = $1");
        self.query(&sql, &[&external_id]).await?.first().map(user).transpose()
    }

    /// A page of users.
    pub async fn user_list(
        &self,
        external_id: Option<&str>,
        status: Option<&[String]>,
        page: Page,
    ) -> Result<Vec<User>, StoreError> {
        let (after, order) = page.order("user_id");
        let sql = format!(
            "SELECT {COLUMNS} FROM headwater.users
             WHERE ($1::text IS NULL OR external_id = $1) AND ($2::text[] IS NULL OR status = ANY ($2))
               AND ($3::uuid IS NULL OR {after} $3) ORDER BY {order} LIMIT $4"
        );
        let rows = self.query(&sql, &[&external_id, &status, &page.after, &page.limit]).await?;
        rows.iter().map(user).collect()
    }

    /// Changes a user; `None` when there is none.
    pub async fn user_update(
        &self,
        id: UserId,
        settings: &UserSettings,
        at: Timestamp,
    ) -> Result<Option<User>, StoreError> {
        let sql = format!(
            "UPDATE headwater.users SET external_id = $2, name = $3, status = $4, metadata = $5, updated_at = $6
             WHERE user_id = $1 RETURNING {COLUMNS}"
        );
        let rows = self
            .query(
                &sql,
                &[
                    &id.uuid(),
                    &settings.external_id,
                    &settings.name,
                    &status(settings.status),
                    &Json(&settings.metadata),
                    &at.0,
                ],
            )
            .await?;
        rows.first().map(user).transpose()
    }

    /// Fences what the user's runs still do and erases all that is the user's; the ledger keeps its id as a pseudonym.
    /// `false` when there is none.
    pub async fn user_delete(&self, id: UserId) -> Result<bool, StoreError> {
        let rows = self.store.query_long(Some(self.scope), "SELECT headwater.purge_user($1)", &[&id.uuid()]).await?;
        Ok(rows[0].try_get(0)?)
    }

    /// Whether this scope's user may act.
    pub async fn user_access(&self) -> Result<Option<UserAccess>, StoreError> {
        let rows = self
            .query(
                "SELECT t.status = 'active' AS tenant_active, t.allowed_origins,
                        (SELECT u.status = 'active' FROM headwater.users u WHERE u.user_id = headwater.user_id()) AS user_active
                 FROM headwater.tenants t",
                &[],
            )
            .await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(UserAccess {
            tenant_active: row.try_get("tenant_active")?,
            origins: row.try_get("allowed_origins")?,
            user_active: row.try_get("user_active")?,
        }))
    }
}
