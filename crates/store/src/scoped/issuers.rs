//! Who else says who a tenant's users are.

use headwater_protocol::api::{Issuer, IssuerAlgorithm, IssuerParams, MAX_ISSUERS};
use headwater_protocol::{IssuerId, Timestamp};
use tokio_postgres::Row;

use super::{Page, UserScopedStorage, time};
use crate::StoreError;
use crate::connection::Params;
use crate::pool::{Idempotency, Once};

const COLUMNS: &str = "issuer_id, issuer, audience, jwks_uri, algorithms, user_claim, scopes, created_at, updated_at";

/// What came of keeping an issuer.
#[derive(Debug, Clone)]
pub enum IssuerKept {
    /// It is kept.
    Yes(Box<Issuer>),
    /// There is one for this issuer and audience.
    Taken(IssuerId),
    /// The tenant has as many as may be.
    TooMany,
}

fn issuer(row: &Row) -> Result<Issuer, StoreError> {
    let algorithms: Vec<String> = row.try_get("algorithms")?;
    Ok(Issuer {
        id: IssuerId::from_uuid(row.try_get("issuer_id")?),
        object: "issuer".into(),
        issuer: row.try_get("issuer")?,
        audience: row.try_get("audience")?,
        jwks_uri: row.try_get("jwks_uri")?,
        // What a later release may add is not understood here, and so not let through.
        algorithms: algorithms.iter().filter_map(|text| IssuerAlgorithm::parse(text)).collect(),
        user_claim: row.try_get("user_claim")?,
        scopes: row.try_get("scopes")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

fn words(params: &IssuerParams) -> Vec<&'static str> {
    params.algorithms().into_iter().map(IssuerAlgorithm::as_str).collect()
}

impl UserScopedStorage {
    async fn issuer_taken(&self, params: &IssuerParams) -> Result<IssuerKept, StoreError> {
        let sql = "SELECT issuer_id FROM headwater.issuers WHERE issuer = $1 AND audience = $2";
        let rows = self.query(sql, &[&params.issuer, &params.audience]).await?;
        Ok(match rows.first() {
            Some(row) => IssuerKept::Taken(IssuerId::from_uuid(row.try_get(0)?)),
            None => IssuerKept::TooMany,
        })
    }

    /// Keeps a new issuer.
    pub async fn issuer_create(
        &self,
        params: &IssuerParams,
        at: Timestamp,
        idempotency: Option<&Idempotency>,
    ) -> Result<Once<IssuerKept>, StoreError> {
        let id = IssuerId::new();
        let sql = format!(
            "INSERT INTO headwater.issuers (tenant_id, issuer_id, issuer, audience, jwks_uri, algorithms, user_claim, scopes, created_at, updated_at)
             SELECT headwater.tenant_id(), $1, $2, $3, $4, $5, $6, $7, $8, $8 WHERE (SELECT count(*) FROM headwater.issuers) < $9
             ON CONFLICT (tenant_id, issuer, audience) DO NOTHING RETURNING {COLUMNS}"
        );
        let (algorithms, claim, scopes) = (words(params), params.user_claim(), params.scopes());
        let values: Params<'_> = &[
            &id.uuid(),
            &params.issuer,
            &params.audience,
            &params.jwks_uri,
            &algorithms,
            &claim,
            &scopes,
            &at.0,
            &MAX_ISSUERS,
        ];
        Ok(match self.store.query_once(self.scope, idempotency, &id.to_string(), &sql, values).await? {
            Once::Done(rows) => Once::Done(match rows.first() {
                Some(row) => IssuerKept::Yes(Box::new(issuer(row)?)),
                None => self.issuer_taken(params).await?,
            }),
            Once::Replay(object) => Once::Replay(object),
            Once::Mismatch => Once::Mismatch,
        })
    }

    /// Changes an issuer. `None`: there is no such issuer.
    pub async fn issuer_update(
        &self,
        id: IssuerId,
        params: &IssuerParams,
        at: Timestamp,
    ) -> Result<Option<IssuerKept>, StoreError> {
        let sql = format!(
            "UPDATE headwater.issuers SET issuer = $2, audience = $3, jwks_uri = $4, algorithms = $5, user_claim = $6, scopes = $7, updated_at = $8
             WHERE issuer_id = $1 AND NOT EXISTS
                 (SELECT 1 FROM headwater.issuers o WHERE o.issuer = $2 AND o.audience = $3 AND o.issuer_id <> $1)
             RETURNING {COLUMNS}"
        );
        let (algorithms, claim, scopes) = (words(params), params.user_claim(), params.scopes());
        let values: Params<'_> =
            &[&id.uuid(), &params.issuer, &params.audience, &params.jwks_uri, &algorithms, &claim, &scopes, &at.0];
        match self.query(&sql, values).await?.first() {
            Some(row) => Ok(Some(IssuerKept::Yes(Box::new(issuer(row)?)))),
            None if self.issuer_get(id).await?.is_none() => Ok(None),
            None => self.issuer_taken(params).await.map(Some),
        }
    }

    /// One issuer.
    pub async fn issuer_get(&self, id: IssuerId) -> Result<Option<Issuer>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM headwater.issuers WHERE issuer_id = $1");
        self.query(&sql, &[&id.uuid()]).await?.first().map(issuer).transpose()
    }

    /// A page of issuers.
    pub async fn issuer_list(&self, page: Page) -> Result<Vec<Issuer>, StoreError> {
        let (after, order) = page.order("issuer_id");
        let sql = format!(
            "SELECT {COLUMNS} FROM headwater.issuers WHERE ($1::uuid IS NULL OR {after} $1) ORDER BY {order} LIMIT $2"
        );
        self.query(&sql, &[&page.after, &page.limit]).await?.iter().map(issuer).collect()
    }

    /// Forgets an issuer. Whether there was one.
    pub async fn issuer_delete(&self, id: IssuerId) -> Result<bool, StoreError> {
        let sql = "DELETE FROM headwater.issuers WHERE issuer_id = $1 RETURNING issuer_id";
        Ok(!self.query(sql, &[&id.uuid()]).await?.is_empty())
    }
}
