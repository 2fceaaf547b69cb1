//! What is remembered of a user, and what a tenant keeps sealed.

use headwater_protocol::api::{MAX_MEMORY_ENTRIES, MAX_SECRETS, MemoryEntry, ProviderKey, Secret};
use headwater_protocol::{RunId, Timestamp, UserId};
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};

use super::{UserScopedStorage, time};
use crate::StoreError;
use crate::commit::LeaseToken;

/// The run that writes: what it says counts only while it is held with this token, so that a late statement of an owner
/// that has lost it changes nothing. `None`: somebody who asks for it directly.
pub type ForRun = Option<(RunId, LeaseToken)>;

/// A secret as it is stored.
#[derive(Debug, Clone)]
pub struct SealedSecret {
    /// The tenant's key, wrapped.
    pub wrapped: Vec<u8>,
    /// The secret, sealed with it.
    pub sealed: Vec<u8>,
    /// The only hosts that it is sent to.
    pub hosts: Option<Vec<String>>,
}

fn entry(row: &Row) -> Result<MemoryEntry, StoreError> {
    let Json(value) = row.try_get("value")?;
    Ok(MemoryEntry { object: "memory".into(), key: row.try_get("key")?, value, updated_at: time(row, "updated_at")? })
}

fn sealed(row: &Row) -> Result<SealedSecret, StoreError> {
    Ok(SealedSecret { wrapped: row.try_get("wrapped")?, sealed: row.try_get("sealed")?, hosts: row.try_get("hosts")? })
}

fn provider_key(row: &Row) -> Result<ProviderKey, StoreError> {
    Ok(ProviderKey {
        object: "provider_key".into(),
        provider: row.try_get("provider")?,
        updated_at: time(row, "updated_at")?,
    })
}

fn secret(row: &Row) -> Result<Secret, StoreError> {
    Ok(Secret {
        object: "secret".into(),
        name: row.try_get("name")?,
        hosts: row.try_get("hosts")?,
        updated_at: time(row, "updated_at")?,
    })
}

impl UserScopedStorage {
    /// What is remembered under a key.
    pub async fn memory_get(&self, user: UserId, key: &str) -> Result<Option<MemoryEntry>, StoreError> {
        let sql = "SELECT key, value, updated_at FROM headwater.memory WHERE user_id = $1 AND key = $2";
        self.query(sql, &[&user.uuid(), &key]).await?.first().map(entry).transpose()
    }

    /// Remembers something. `None`: this user has as many entries as may be, or the run is no longer its writer's.
    pub async fn memory_put(
        &self,
        user: UserId,
        key: &str,
        value: &serde_json::Value,
        at: Timestamp,
        of: ForRun,
    ) -> Result<Option<MemoryEntry>, StoreError> {
        let sql = "INSERT INTO headwater.memory (tenant_id, user_id, key, value, updated_at)
                   SELECT headwater.tenant_id(), $1, $2, $3, $4
                   WHERE ($6::uuid IS NULL OR headwater.run_held($6, $7))
                     AND ((SELECT count(*) FROM headwater.memory WHERE user_id = $1) < $5
                          OR EXISTS (SELECT 1 FROM headwater.memory WHERE user_id = $1 AND key = $2))
                   ON CONFLICT (tenant_id, user_id, key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
                   RETURNING key, value, updated_at";
        let (run, token) = of.map(|(run, token)| (run.uuid(), token.0)).unzip();
        let params: &[&(dyn ToSql + Sync)] =
            &[&user.uuid(), &key, &Json(value), &at.0, &MAX_MEMORY_ENTRIES, &run, &token];
        let rows = self.query(sql, params).await?;
        rows.first().map(entry).transpose()
    }

    /// Entries whose keys begin so, after a key, in the order of their keys.
    pub async fn memory_list(
        &self,
        user: UserId,
        prefix: &str,
        after: Option<&str>,
        limit: i64,
    ) -> Result<Vec<MemoryEntry>, StoreError> {
        let sql = "SELECT key, value, updated_at FROM headwater.memory
                   WHERE user_id = $1 AND starts_with(key, $2) AND ($3::text IS NULL OR key > $3) ORDER BY key LIMIT $4";
        self.query(sql, &[&user.uuid(), &prefix, &after, &limit]).await?.iter().map(entry).collect()
    }

    /// Forgets what is remembered under a key. Whether there was something, and the run is still its writer's.
    pub async fn memory_delete(&self, user: UserId, key: &str, of: ForRun) -> Result<bool, StoreError> {
        let sql = "DELETE FROM headwater.memory WHERE user_id = $1 AND key = $2
                   AND ($3::uuid IS NULL OR headwater.run_held($3, $4)) RETURNING key";
        let (run, token) = of.map(|(run, token)| (run.uuid(), token.0)).unzip();
        Ok(!self.query(sql, &[&user.uuid(), &key, &run, &token]).await?.is_empty())
    }

    /// The tenant's wrapped key; this one, if it has none yet.
    pub async fn tenant_key(&self, new: &[u8], at: Timestamp) -> Result<Vec<u8>, StoreError> {
        let make = "INSERT INTO headwater.tenant_keys (tenant_id, wrapped, created_at)
                    VALUES (headwater.tenant_id(), $1, $2) ON CONFLICT DO NOTHING";
        self.query(make, &[&new, &at.0]).await?;
        let rows = self.query("SELECT wrapped FROM headwater.tenant_keys", &[]).await?;
        let row = rows.first().ok_or_else(|| StoreError::Corrupt("a tenant's key is gone".into()))?;
        Ok(row.try_get(0)?)
    }

    /// Keeps a secret. `None`: the tenant has as many as may be.
    pub async fn secret_put(
        &self,
        name: &str,
        sealed: &[u8],
        hosts: Option<&[String]>,
        at: Timestamp,
    ) -> Result<Option<Secret>, StoreError> {
        let sql = "INSERT INTO headwater.secrets (tenant_id, name, sealed, hosts, updated_at)
                   SELECT headwater.tenant_id(), $1, $2, $3, $4
                   WHERE (SELECT count(*) FROM headwater.secrets) < $5
                      OR EXISTS (SELECT 1 FROM headwater.secrets WHERE name = $1)
                   ON CONFLICT (tenant_id, name) DO UPDATE
                       SET sealed = excluded.sealed, hosts = excluded.hosts, updated_at = excluded.updated_at
                   RETURNING name, hosts, updated_at";
        let rows = self.query(sql, &[&name, &sealed, &hosts, &at.0, &MAX_SECRETS]).await?;
        rows.first().map(secret).transpose()
    }

    /// The names of all secrets, in their order.
    pub async fn secret_list(&self) -> Result<Vec<Secret>, StoreError> {
        let rows = self.query("SELECT name, hosts, updated_at FROM headwater.secrets ORDER BY name", &[]).await?;
        rows.iter().map(secret).collect()
    }

    /// Forgets a secret. Whether there was one.
    pub async fn secret_delete(&self, name: &str) -> Result<bool, StoreError> {
        let sql = "DELETE FROM headwater.secrets WHERE name = $1 RETURNING name";
        Ok(!self.query(sql, &[&name]).await?.is_empty())
    }

    /// Keeps the tenant's own key at a provider.
    pub async fn provider_key_put(
        &self,
        provider: &str,
        sealed: &[u8],
        host: &str,
        at: Timestamp,
    ) -> Result<ProviderKey, StoreError> {
        let sql = "INSERT INTO headwater.provider_keys (tenant_id, provider, sealed, host, updated_at)
                   VALUES (headwater.tenant_id(), $1, $2, $3, $4)
                   ON CONFLICT (tenant_id, provider) DO UPDATE
                       SET sealed = excluded.sealed, host = excluded.host, updated_at = excluded.updated_at
                   RETURNING provider, updated_at";
        let rows = self.query(sql, &[&provider, &sealed, &host, &at.0]).await?;
        rows.first().map(provider_key).transpose()?.ok_or_else(|| StoreError::Corrupt("a key is gone".into()))
    }

    /// The providers at which the tenant has a key of its own, in their order.
    pub async fn provider_key_list(&self) -> Result<Vec<ProviderKey>, StoreError> {
        let sql = "SELECT provider, updated_at FROM headwater.provider_keys ORDER BY provider";
        self.query(sql, &[]).await?.iter().map(provider_key).collect()
    }

    /// Forgets a key. Whether there was one.
    pub async fn provider_key_delete(&self, provider: &str) -> Result<bool, StoreError> {
        let sql = "DELETE FROM headwater.provider_keys WHERE provider = $1 RETURNING provider";
        Ok(!self.query(sql, &[&provider]).await?.is_empty())
    }

    /// All of them as they are stored: the provider, and a secret for the one host.
    pub async fn provider_keys_sealed(&self) -> Result<Vec<(String, SealedSecret)>, StoreError> {
        let sql = "SELECT p.provider, k.wrapped, p.sealed, ARRAY[p.host] AS hosts FROM headwater.provider_keys p
                   JOIN headwater.tenant_keys k ON k.tenant_id = p.tenant_id";
        self.query(sql, &[]).await?.iter().map(|row| Ok((row.try_get("provider")?, sealed(row)?))).collect()
    }

    /// A secret as it is stored.
    pub async fn secret_sealed(&self, name: &str) -> Result<Option<SealedSecret>, StoreError> {
        let sql = "SELECT k.wrapped, s.sealed, s.hosts FROM headwater.secrets s
                   JOIN headwater.tenant_keys k ON k.tenant_id = s.tenant_id WHERE s.name = $1";
        let rows = self.query(sql, &[&name]).await?;
        rows.first().map(sealed).transpose()
    }
}
