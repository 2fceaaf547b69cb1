//! The second door: the definer functions of the schema, and nothing else.
//!
//! What reaches across tenants goes through here: authentication (before any scope exists), the operator's work,
//! leases and claims. Whoever opens it says why. Never runs a statement of its own making: each method calls one
//! function that is on the checked-in list of the lint.

use headwater_protocol::api::{ApiKey, Plan, PlanTerms, RunStatus, Tenant, TenantPrices, TenantSettings};
use headwater_protocol::event::Actor;
use headwater_protocol::{KeyId, ReplicaId, RunId, ScheduleId, TenantId, Timestamp, UserId, WebhookEndpointId};
use serde::Deserialize;
use tokio_postgres::Row;
use tokio_postgres::types::{Json, ToSql};
use uuid::Uuid;

use crate::commit::LeaseToken;
use crate::pool::Once;
use crate::terms::TenantTerms;
use crate::{Store, StoreError};

/// Access to the definer functions.
#[derive(Debug, Clone)]
pub struct Unscoped {
    store: Store,
    reason: &'static str,
}

/// What a key is good for.
#[derive(Debug, Clone, Deserialize)]
pub struct KeyGrant {
    /// Its tenant, without prefix.
    pub tenant: Uuid,
    /// Its id, without prefix.
    pub key: Uuid,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it stops working.
    pub expires_at: Option<jiff::Timestamp>,
    /// Whether the tenant may act.
    pub active: bool,
    /// The tenant's origins.
    pub origins: Vec<String>,
}

/// A run taken over.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// Whose it is.
    pub tenant: TenantId,
    /// Whose it is.
    pub user: UserId,
    /// The run.
    pub run: RunId,
    /// The right to append to it.
    pub token: LeaseToken,
    /// Where it stands; `None` when this build does not know the word.
    pub status: Option<RunStatus>,
    /// How often it has been taken up, this time included.
    pub attempt: i32,
    /// Owners that died with it in their hands, the last one included.
    pub deaths: i32,
    /// Whether its last owner was still named, and so has died or was passed over: it was not handed over.
    pub died: bool,
    /// Who has asked for its end, if somebody has.
    pub cancel: Option<Actor>,
}

/// A schedule whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueSchedule {
    /// Whose it is.
    pub tenant: TenantId,
    /// Whose runs it makes.
    pub user: UserId,
    /// The schedule.
    pub schedule: ScheduleId,
    /// Since when.
    due_at: jiff::Timestamp,
}

/// What there is to do, at any process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkAhead {
    /// Something is under way, or due.
    pub under_way: bool,
    /// When something is to be done next that nobody will ask for.
    pub must_at: Option<Timestamp>,
    /// When somebody last asked who wakes processes from outside.
    pub waker_seen_at: Option<Timestamp>,
}

/// Where a run stands that another replica writes.
#[derive(Debug, Clone, Copy)]
pub struct RunTail {
    /// The run.
    pub run: RunId,
    /// Its last event.
    pub tail: u64,
    /// Who writes it.
    pub owner: Option<ReplicaId>,
}

/// What a repeated request of the operator must find again.
#[derive(Debug, Clone)]
pub struct OperatorOnce {
    /// The request's key.
    pub key: String,
    /// Hash of the request.
    pub fingerprint: Vec<u8>,
}

/// What an earlier request of the operator made.
#[derive(Debug, Clone, Deserialize)]
struct OperatorReplay {
    /// Whether it was the same request.
    same: bool,
    /// Id of what it made.
    object: String,
}

/// Where a page of a list begins and how long it is.
#[derive(Debug, Clone, Copy)]
pub struct PageOf {
    /// The last id of the page before.
    pub after: Option<Uuid>,
    /// Oldest first.
    pub ascending: bool,
    /// Rows.
    pub limit: i64,
}

impl Unscoped {
    pub(crate) fn new(store: Store, reason: &'static str) -> Self {
        Self { store, reason }
    }

    async fn call(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, StoreError> {
        tracing::trace!(reason = self.reason, "unscoped call");
        self.store.client().await?.query(sql, params).await
    }

    async fn one<T: for<'a> tokio_postgres::types::FromSql<'a>>(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<T, StoreError> {
        let rows = self.call(sql, params).await?;
        rows.first()
            .ok_or_else(|| StoreError::Corrupt("a function answered no row".into()))?
            .try_get(0)
            .map_err(Into::into)
    }

    /// A key by the hash of its secret.
    pub async fn auth_key(&self, hash: &[u8]) -> Result<Option<KeyGrant>, StoreError> {
        let grant: Option<Json<KeyGrant>> = self.one("SELECT headwater.auth_key($1)", &[&hash]).await?;
        Ok(grant.map(|Json(grant)| grant))
    }

    /// Whether some tenant lists this origin.
    pub async fn tenant_origin_known(&self, origin: &str) -> Result<bool, StoreError> {
        self.one("SELECT headwater.tenant_origin_known($1)", &[&origin]).await
    }

    /// One call, and in the same transaction what a repeated request of the operator must find again.
    async fn once(
        &self,
        asked: Option<&OperatorOnce>,
        object: &str,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Once<Vec<Row>>, StoreError> {
        let Some(asked) = asked else { return self.call(sql, params).await.map(Once::Done) };
        let mut client = self.store.client().await?;
        let transaction = client.transaction().await?;
        let kept: Option<Json<OperatorReplay>> = transaction
            .query_one("SELECT headwater.tenant_idempotency($1,$2,$3)", &[&asked.key, &asked.fingerprint, &object])
            .await?
            .try_get(0)?;
        match kept {
            Some(Json(kept)) if kept.same => return Ok(Once::Replay(kept.object)),
            Some(_) => return Ok(Once::Mismatch),
            None => {}
        }
        let rows = transaction.query(sql, params).await?;
        transaction.commit().await?;
        Ok(Once::Done(rows))
    }

    /// A new tenant.
    pub async fn tenant_create(
        &self,
        id: TenantId,
        settings: &TenantSettings,
        at: Timestamp,
        asked: Option<&OperatorOnce>,
    ) -> Result<Once<()>, StoreError> {
        let sql = "SELECT headwater.tenant_create($1,$2,$3)";
        let made = self.once(asked, &id.to_string(), sql, &[&id.uuid(), &Json(settings), &at.0]).await?;
        Ok(made.map(drop))
    }

    /// Changes a tenant; `false` when there is none.
    pub async fn tenant_update(
        &self,
        id: TenantId,
        settings: &TenantSettings,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.one("SELECT headwater.tenant_update($1,$2,$3)", &[&id.uuid(), &Json(settings), &at.0]).await
    }

    /// Erases a tenant with all that is its own; `false` when there is none.
    pub async fn tenant_delete(&self, id: TenantId) -> Result<bool, StoreError> {
        let rows = self.store.query_long(None, "SELECT headwater.tenant_delete($1)", &[&id.uuid()]).await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    /// One tenant.
    pub async fn tenant_get(&self, id: TenantId) -> Result<Option<Tenant>, StoreError> {
        let page = PageOf { after: None, ascending: true, limit: 1 };
        Ok(self.tenants(Some(id.uuid()), page).await?.pop())
    }

    /// A page of tenants.
    pub async fn tenant_list(&self, page: PageOf) -> Result<Vec<Tenant>, StoreError> {
        self.tenants(None, page).await
    }

    async fn tenants(&self, id: Option<Uuid>, page: PageOf) -> Result<Vec<Tenant>, StoreError> {
        let limit = page.limit as i32;
        let rows = self
            .call("SELECT * FROM headwater.tenant_list($1,$2,$3,$4)", &[&id, &page.after, &page.ascending, &limit])
            .await?;
        rows.iter().map(crate::scoped::tenant_from_row).collect()
    }

    /// Where records of the same money differ, of runs made since then: `tenant`, what, its id, what the records add up to and
    /// what is told. At most so many of each tenant.
    pub async fn money_differs(
        &self,
        since: Timestamp,
        at_most: i32,
    ) -> Result<Vec<(TenantId, String, Uuid, i64, i64)>, StoreError> {
        let sql = "SELECT * FROM headwater.money_differs($1,$2)";
        let rows = self.store.query_long(None, sql, &[&since.0, &at_most]).await?;
        let differs = |row: &Row| {
            let tenant = TenantId::from_uuid(row.try_get("tenant_id")?);
            Ok((tenant, row.try_get("what")?, row.try_get("object")?, row.try_get("recorded")?, row.try_get("told")?))
        };
        rows.iter().map(differs).collect()
    }

    /// Sets a plan, and gives its tenants what is in it now.
    pub async fn plan_put(&self, name: &str, terms: &PlanTerms, at: Timestamp) -> Result<(), StoreError> {
        let sql = "SELECT headwater.plan_put($1,$2,$3)";
        self.store.query_long(None, sql, &[&name, &Json(terms), &at.0]).await.map(drop)
    }

    /// A plan; `None` when there is none of that name.
    pub async fn plan_get(&self, name: &str) -> Result<Option<Plan>, StoreError> {
        Ok(self.plans(Some(name)).await?.pop())
    }

    /// All plans, by name.
    pub async fn plan_list(&self) -> Result<Vec<Plan>, StoreError> {
        self.plans(None).await
    }

    async fn plans(&self, name: Option<&str>) -> Result<Vec<Plan>, StoreError> {
        let rows = self.call("SELECT * FROM headwater.plan_list($1)", &[&name]).await?;
        let plan = |row: &Row| {
            let Json(terms) = row.try_get("terms")?;
            let (created_at, updated_at) = (row.try_get("created_at")?, row.try_get("updated_at")?);
            Ok(Plan {
                name: row.try_get("name")?,
                object: "plan".to_owned(),
                terms,
                created_at: Timestamp(created_at),
                updated_at: Timestamp(updated_at),
            })
        };
        rows.iter().map(plan).collect()
    }

    /// Sets a tenant's prices; `false` when there is no such tenant.
    pub async fn tenant_prices_put(
        &self,
        tenant: TenantId,
        prices: &TenantPrices,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.one("SELECT headwater.tenant_prices_put($1,$2,$3)", &[&tenant.uuid(), &Json(prices), &at.0]).await
    }

    /// A tenant's plan and prices; `None` when there is no such tenant.
    pub async fn tenant_terms(&self, tenant: TenantId) -> Result<Option<TenantTerms>, StoreError> {
        let terms: Option<Json<TenantTerms>> = self.one("SELECT headwater.tenant_terms($1)", &[&tenant.uuid()]).await?;
        Ok(terms.map(|Json(terms)| terms))
    }

    /// A new key; `Done(false)` when there is no such tenant. `hash` is that of its secret.
    pub async fn tenant_key_create(
        &self,
        key: &ApiKey,
        hash: &[u8],
        asked: Option<&OperatorOnce>,
    ) -> Result<Once<bool>, StoreError> {
        let made = self
            .once(
                asked,
                &key.id.to_string(),
                "SELECT headwater.tenant_key_create($1,$2,$3,$4,$5,$6,$7,$8)",
                &[
                    &key.tenant.uuid(),
                    &key.id.uuid(),
                    &key.name,
                    &hash,
                    &key.hint,
                    &key.scopes,
                    &key.expires_at.map(|at| at.0),
                    &key.created_at.0,
                ],
            )
            .await?;
        Ok(made.map(|rows| rows.first().is_some_and(|row| row.get(0))))
    }

    /// A page of a tenant's keys, or one of them.
    pub async fn tenant_key_list(
        &self,
        tenant: TenantId,
        key: Option<KeyId>,
        page: PageOf,
    ) -> Result<Vec<ApiKey>, StoreError> {
        let limit = page.limit as i32;
        let rows = self
            .call(
                "SELECT * FROM headwater.tenant_key_list($1,$2,$3,$4,$5)",
                &[&tenant.uuid(), &key.map(KeyId::uuid), &page.after, &page.ascending, &limit],
            )
            .await?;
        let time = |row: &Row, column: &str| row.get::<_, Option<jiff::Timestamp>>(column).map(Timestamp);
        Ok(rows
            .iter()
            .map(|row| ApiKey {
                id: KeyId::from_uuid(row.get("key_id")),
                object: "api_key".into(),
                tenant,
                name: row.get("name"),
                secret: None,
                hint: row.get("hint"),
                scopes: row.get("scopes"),
                expires_at: time(row, "expires_at"),
                last_used_at: time(row, "last_used_at"),
                revoked_at: time(row, "revoked_at"),
                created_at: Timestamp(row.get("created_at")),
            })
            .collect())
    }

    /// Revokes a key; `false` when there is none, or no longer.
    pub async fn tenant_key_revoke(&self, tenant: TenantId, key: KeyId) -> Result<bool, StoreError> {
        self.one("SELECT headwater.tenant_key_revoke($1,$2)", &[&tenant.uuid(), &key.uuid()]).await
    }

    /// Announces this process.
    pub async fn replica_register(&self, replica: ReplicaId, lease_ms: i64) -> Result<(), StoreError> {
        self.call("SELECT headwater.replica_register($1,$2)", &[&replica.0, &lease_ms]).await?;
        Ok(())
    }

    /// Renews this process' lease; `false` when somebody has taken its runs.
    pub async fn replica_renew(&self, replica: ReplicaId, lease_ms: i64) -> Result<bool, StoreError> {
        self.one("SELECT headwater.replica_renew($1,$2)", &[&replica.0, &lease_ms]).await
    }

    /// Takes leave: whatever this process still owned has no owner then and can be claimed at once. Returns how many.
    pub async fn replica_retire(&self, replica: ReplicaId) -> Result<i64, StoreError> {
        self.one("SELECT headwater.replica_retire($1)", &[&replica.0]).await
    }

    /// The runs that a replica owns and that are not over.
    pub async fn replica_runs(&self, replica: ReplicaId) -> Result<Vec<RunId>, StoreError> {
        let rows = self.call("SELECT * FROM headwater.replica_runs($1)", &[&replica.0]).await?;
        Ok(rows.iter().map(|row| RunId::from_uuid(row.get(0))).collect())
    }

    /// A replica's place among those that live, from 0, and how many live.
    pub async fn replica_place(&self, replica: ReplicaId) -> Result<(i64, i64), StoreError> {
        let rows = self.call("SELECT * FROM headwater.replica_place($1)", &[&replica.0]).await?;
        let row = rows.first().ok_or_else(|| StoreError::Corrupt("a function answered no row".into()))?;
        Ok((row.try_get("place")?, row.try_get("replicas")?))
    }

    /// Gives runs that were to begin later, and are due, their places in their threads, so many at a time. How many that were,
    /// and when the next one is due.
    pub async fn release_delayed(&self, at_most: i32) -> Result<(i64, Option<Timestamp>), StoreError> {
        let sql = "SELECT headwater.release_delayed(array_agg(d.tenant_id), array_agg(d.run_id))
                   FROM headwater.delayed_due($1) d";
        let released: Option<i64> = self.one(sql, &[&at_most]).await?;
        let next: Option<jiff::Timestamp> = self.one("SELECT headwater.delayed_next()", &[]).await?;
        Ok((released.unwrap_or(0), next.map(Timestamp)))
    }

    /// Schedules whose time has come, so many at most, in the order in which they are due; behind one of them, or from the first.
    pub async fn schedules_due(
        &self,
        behind: Option<&DueSchedule>,
        at_most: i32,
    ) -> Result<Vec<DueSchedule>, StoreError> {
        let sql = "SELECT tenant_id, user_id, schedule_id, due_at FROM headwater.schedules_due($1, $2, $3)";
        let (after, schedule) = (behind.map(|one| one.due_at), behind.map(|one| one.schedule.uuid()));
        let due = |row: &Row| {
            Ok(DueSchedule {
                tenant: TenantId::from_uuid(row.try_get(0)?),
                user: UserId::from_uuid(row.try_get(1)?),
                schedule: ScheduleId::from_uuid(row.try_get(2)?),
                due_at: row.try_get(3)?,
            })
        };
        self.call(sql, &[&at_most, &after, &schedule]).await?.iter().map(due).collect()
    }

    /// When the time of the next one comes.
    pub async fn schedules_next(&self) -> Result<Option<Timestamp>, StoreError> {
        let next: Option<jiff::Timestamp> = self.one("SELECT headwater.schedules_next()", &[]).await?;
        Ok(next.map(Timestamp))
    }

    /// Endpoints of webhooks that something is to be sent to now, so many at most: in the order of their tenants' ids, from the tenant
    /// behind this one on and around.
    pub async fn webhooks_due(
        &self,
        behind: Option<TenantId>,
        at_most: i32,
    ) -> Result<Vec<(TenantId, WebhookEndpointId)>, StoreError> {
        let sql = "SELECT tenant_id, endpoint_id FROM headwater.webhooks_due($1, $2)";
        let due = |row: &Row| Ok((TenantId::from_uuid(row.try_get(0)?), WebhookEndpointId::from_uuid(row.try_get(1)?)));
        self.call(sql, &[&at_most, &behind.map(TenantId::uuid)]).await?.iter().map(due).collect()
    }

    /// In how long something is to be sent to one of them next, by the database's clock; below zero: it is late.
    pub async fn webhooks_next_ms(&self) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT ceil(extract(epoch FROM headwater.webhooks_next() - clock_timestamp()) * 1000)::bigint";
        self.one(sql, &[]).await
    }

    /// Forgets what was sent to them, or given up, a month ago; returns how many.
    pub async fn sweep_webhooks(&self) -> Result<i64, StoreError> {
        const BITE: i32 = 1000;
        let mut total = 0;
        loop {
            let count: i64 = self.one("SELECT headwater.sweep_webhooks($1)", &[&BITE]).await?;
            total += count;
            if count < i64::from(BITE) {
                return Ok(total);
            }
        }
    }

    /// What there is to do for the service as a whole.
    pub async fn work_ahead(&self) -> Result<WorkAhead, StoreError> {
        let sql = "SELECT under_way, must_at, waker_seen_at FROM headwater.work_ahead()";
        let rows = self.call(sql, &[]).await?;
        let row = rows.first().ok_or_else(|| StoreError::Corrupt("a function answered no row".into()))?;
        let at = |name: &str| row.try_get::<_, Option<jiff::Timestamp>>(name).map(|at| at.map(Timestamp));
        let (must_at, waker_seen_at) = (at("must_at")?, at("waker_seen_at")?);
        Ok(WorkAhead { under_way: row.try_get("under_way")?, must_at, waker_seen_at })
    }

    /// Where these runs stand. Those that are gone are left out. Whether the caller may know was asked when each of
    /// their readers opened.
    pub async fn run_tails(&self, runs: &[(TenantId, RunId)]) -> Result<Vec<RunTail>, StoreError> {
        let tenants: Vec<Uuid> = runs.iter().map(|(tenant, _)| tenant.uuid()).collect();
        let ids: Vec<Uuid> = runs.iter().map(|(_, run)| run.uuid()).collect();
        let rows = self.call("SELECT run_id, tail, owner FROM headwater.run_tails($1,$2)", &[&tenants, &ids]).await?;
        let tail = |row: &Row| RunTail {
            run: RunId::from_uuid(row.get("run_id")),
            tail: row.get::<_, i64>("tail") as u64,
            owner: row.get::<_, Option<Uuid>>("owner").map(ReplicaId),
        };
        Ok(rows.iter().map(tail).collect())
    }

    /// Takes runs that nobody living owns, and those whose end was asked for a lease ago. `patient`: no lease is taken for
    /// lapsed, because this process has just come back itself and others may be about to.
    pub async fn claim_runs(
        &self,
        replica: ReplicaId,
        lease_ms: i64,
        limit: i32,
        patient: bool,
    ) -> Result<Vec<Claimed>, StoreError> {
        let sql = "SELECT * FROM headwater.claim_runs($1,$2,$3,$4)";
        let rows = self.call(sql, &[&replica.0, &lease_ms, &limit, &patient]).await?;
        Ok(rows
            .iter()
            .map(|row| Claimed {
                tenant: TenantId::from_uuid(row.get("tenant_id")),
                user: UserId::from_uuid(row.get("user_id")),
                run: RunId::from_uuid(row.get("run_id")),
                token: LeaseToken(row.get("token")),
                status: RunStatus::parse(row.get("status")),
                attempt: row.get("attempt"),
                deaths: row.get("deaths"),
                died: row.get("died"),
                cancel: row.get::<_, Option<Json<Actor>>>("actor").map(|Json(actor)| actor),
            })
            .collect())
    }

    /// How many runs are not over and have no living owner.
    pub async fn sweep(&self) -> Result<i64, StoreError> {
        self.one("SELECT headwater.sweep()", &[]).await
    }

    /// Forgets requests of more than a day ago.
    pub async fn sweep_requests(&self) -> Result<(), StoreError> {
        const BITE: i32 = 5000;
        loop {
            let gone: i64 = self.one("SELECT headwater.sweep_requests($1)", &[&BITE]).await?;
            if gone < i64::from(BITE) {
                return Ok(());
            }
        }
    }

    /// Wrapped keys of tenants, after this one.
    pub async fn tenant_keys(
        &self,
        after: Option<TenantId>,
        limit: i32,
    ) -> Result<Vec<(TenantId, Vec<u8>)>, StoreError> {
        let sql = "SELECT tenant_id, wrapped FROM headwater.tenant_keys_after($1, $2)";
        let rows = self.call(sql, &[&after.map(TenantId::uuid), &limit]).await?;
        rows.iter().map(|row| Ok((TenantId::from_uuid(row.try_get(0)?), row.try_get(1)?))).collect()
    }

    /// Puts a wrapped key in the place of another; `false`: it was not that one any more.
    pub async fn tenant_key_rewrap(&self, tenant: TenantId, old: &[u8], new: &[u8]) -> Result<bool, StoreError> {
        self.one("SELECT headwater.tenant_key_rewrap($1, $2, $3)", &[&tenant.uuid(), &old, &new]).await
    }

    /// Wakes runs of which a call may be answered no longer; returns how many.
    pub async fn wake_expired(&self) -> Result<i64, StoreError> {
        self.one("SELECT headwater.wake_expired()", &[]).await
    }

    /// Wakes runs that wait for a budget whose next window has begun; returns how many.
    pub async fn wake_budgets(&self) -> Result<i64, StoreError> {
        self.one("SELECT headwater.wake_budgets()", &[]).await
    }

    /// Brings the counters of a tenant's budgets up to date with its settled calls; returns how many there were.
    pub async fn fold_calls(&self, tenant: TenantId) -> Result<i64, StoreError> {
        let folded = self.one("SELECT headwater.fold_calls($1)", &[&tenant.uuid()]).await?;
        if folded > 0 {
            self.store.ring();
        }
        Ok(folded)
    }

    /// Settles what was set aside for calls of runs that are over, and forgets counters that are long over or of no budget any
    /// more; then brings counters up to date, one tenant after the other. Returns how many calls nobody had settled.
    pub async fn sweep_budgets(&self) -> Result<i64, StoreError> {
        const BITE: i32 = 100;
        let left = self.one("SELECT headwater.sweep_budgets($1)", &[&BITE]).await?;
        for row in self.call("SELECT * FROM headwater.tenants_behind($1)", &[&BITE]).await? {
            // One tenant's counters that are busy keep no other's from being brought up to date.
            if let Err(error) = self.fold_calls(TenantId::from_uuid(row.try_get(0)?)).await {
                tracing::debug!(%error, "a tenant's counters stay behind until the next sweep");
            }
        }
        Ok(left)
    }

    /// Wakes runs that wait for one that has ended, and asks for the end of those that nobody waits for; returns how many were
    /// woken.
    pub async fn sweep_sub_runs(&self) -> Result<i64, StoreError> {
        self.one("SELECT headwater.sweep_sub_runs()", &[]).await
    }

    /// Forgets uploads that no message has used in time; returns how many.
    pub async fn sweep_uploads(&self) -> Result<i64, StoreError> {
        const BITE: i32 = 100;
        let mut total = 0;
        loop {
            let count: i64 = self.one("SELECT headwater.sweep_uploads($1)", &[&BITE]).await?;
            total += count;
            if count < i64::from(BITE) {
                return Ok(total);
            }
        }
    }

    /// Forgets readers at replicas that are gone.
    pub async fn sweep_readers(&self) -> Result<(), StoreError> {
        self.call("SELECT headwater.sweep_readers()", &[]).await?;
        Ok(())
    }

    /// Gives a run back; `false` when it is not this replica's.
    pub async fn release_run(&self, replica: ReplicaId, tenant: TenantId, run: RunId) -> Result<bool, StoreError> {
        self.one("SELECT headwater.release_run($1,$2,$3)", &[&replica.0, &tenant.uuid(), &run.uuid()]).await
    }

    /// Drops the log's partitions of past days in which nothing is left; returns how many.
    pub async fn drop_partitions(&self) -> Result<i32, StoreError> {
        self.one("SELECT headwater.drop_partitions()", &[]).await
    }

    /// Makes the log's partitions of yesterday, today and the next two days, in UTC.
    pub async fn ensure_partitions(&self) -> Result<i32, StoreError> {
        let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        // Yesterday too: a run may be a few milliseconds older than midnight.
        let from = today.yesterday().unwrap_or(today);
        self.one("SELECT headwater.ensure_partitions($1,4)", &[&from]).await
    }

    /// The newest migration that has run.
    pub async fn schema_version(&self) -> Result<i64, StoreError> {
        self.one("SELECT headwater.schema_version()", &[]).await
    }

    /// The oldest build that the schema still serves, by the version that it knows.
    pub async fn schema_serves(&self) -> Result<i64, StoreError> {
        self.one("SELECT headwater.schema_serves()", &[]).await
    }
}
