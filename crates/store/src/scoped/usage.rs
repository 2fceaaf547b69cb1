//! The ledger, summed up.

use headwater_protocol::api::{UsageCall, UsageGroup};
use headwater_protocol::{AgentId, ModelCallId, Money, RunId, ScheduleId, Timestamp, UserId};
use uuid::Uuid;

use super::{UserScopedStorage, runs, time};
use crate::StoreError;

/// What to group by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageGroupBy {
    /// By day in UTC.
    pub day: bool,
    /// By user.
    pub user: bool,
    /// By agent.
    pub agent: bool,
    /// By model.
    pub model: bool,
}

/// Which calls to sum up.
#[derive(Debug, Clone, Copy)]
pub struct UsageFilter {
    /// Inclusive.
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
}

impl UserScopedStorage {
    /// Sums of settled calls. At most 10 000 groups.
    pub async fn usage_groups(&self, filter: UsageFilter, by: UsageGroupBy) -> Result<Vec<UsageGroup>, StoreError> {
        let rows = self
            .query(
                "SELECT CASE WHEN $3 THEN to_char(settled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') END AS day,
                        CASE WHEN $4 THEN user_id END AS user_id, CASE WHEN $5 THEN agent_id END AS agent_id,
                        CASE WHEN $6 THEN model END AS model,
                        count(DISTINCT run_id) AS runs, count(*) AS calls,
                        ARRAY[sum(usage[1]), sum(usage[2]), sum(usage[3]), sum(usage[4]), sum(usage[5])]::bigint[] AS usage,
                        CASE WHEN count(*) = count(cost_nano_usd) THEN sum(cost_nano_usd)::bigint END AS cost,
                        CASE WHEN count(*) = count(expected_nano_usd) THEN sum(expected_nano_usd)::bigint END AS expected
                 FROM headwater.usage_calls WHERE settled_at >= $1 AND settled_at < $2
                 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4 LIMIT 10000",
                &[&filter.from.0, &filter.to.0, &by.day, &by.user, &by.agent, &by.model],
            )
            .await?;
        let group = |row: &tokio_postgres::Row| {
            let counts: Vec<i64> = row.try_get("usage")?;
            let cost: Option<i64> = row.try_get("cost")?;
            let expected: Option<i64> = row.try_get("expected")?;
            let error = match (cost, expected) {
                (Some(cost), Some(expected)) if cost > 0 => {
                    Some(((expected - cost) as f64 / cost as f64 * 1000.0).round() / 10.0)
                }
                _ => None,
            };
            Ok(UsageGroup {
                day: row.try_get("day")?,
                user: row.try_get::<_, Option<Uuid>>("user_id")?.map(UserId::from_uuid),
                agent: row.try_get::<_, Option<Uuid>>("agent_id")?.map(AgentId::from_uuid),
                model: row.try_get("model")?,
                runs: row.try_get("runs")?,
                calls: row.try_get("calls")?,
                usage: runs::usage(&counts),
                cost: cost.map(Money),
                estimated_cost: expected.map(Money),
                estimate_error_percent: error,
            })
        };
        rows.iter().map(group).collect()
    }

    /// Ledger lines in the order of their ids; `after` is the last call of the page before.
    pub async fn usage_calls(
        &self,
        filter: UsageFilter,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<UsageCall>, StoreError> {
        let rows = self
            .query(
                "SELECT c.*, (SELECT r.schedule_id FROM headwater.runs r WHERE r.tenant_id = c.tenant_id AND r.run_id = c.run_id) AS schedule_id
                 FROM headwater.usage_calls c WHERE settled_at >= $1 AND settled_at < $2
                 AND ($3::uuid IS NULL OR model_call > $3) ORDER BY model_call LIMIT $4",
                &[&filter.from.0, &filter.to.0, &after, &limit],
            )
            .await?;
        let call = |row: &tokio_postgres::Row| {
            let counts: Vec<i64> = row.try_get("usage")?;
            Ok(UsageCall {
                object: "usage.call".into(),
                model_call: ModelCallId::from_uuid(row.try_get("model_call")?),
                run: RunId::from_uuid(row.try_get("run_id")?),
                step: row.try_get("step")?,
                user: UserId::from_uuid(row.try_get("user_id")?),
                agent: AgentId::from_uuid(row.try_get("agent_id")?),
                schedule: row.try_get::<_, Option<Uuid>>("schedule_id")?.map(ScheduleId::from_uuid),
                model: row.try_get("model")?,
                usage: runs::usage(&counts),
                cost: row.try_get::<_, Option<i64>>("cost_nano_usd")?.map(Money),
                estimated: row.try_get("estimated")?,
                settled_at: time(row, "settled_at")?,
            })
        };
        rows.iter().map(call).collect()
    }
}
