//! The tenancy matrix: every table × who asks × every command, as the application role on a raw connection.
//!
//! The tables come from the catalogue, so a new one fails this test until a line is written for it.

use std::collections::BTreeSet;

use headwater_store::StoreError;
use headwater_store::admin::Admin;
use headwater_testkit::Database;

/// What each actor can do with the row of tenant A's first user. Columns: SELECT, INSERT, UPDATE, DELETE.
/// `1` the row was seen or written · `0` there is no such row · `!` refused by the wall · `-` no permission at all.
/// A user makes no other users. Agents and remembered requests are the tenant's; so is the log, whose reader looks its
/// run up under the user's own scope in the same statement.
const EXPECTED: &str = "
table                              | own user | tenant   | other user | other tenant | nobody
headwater.agent_versions           | 1 1 - -  | 1 1 - -  | 1 1 - -    | 0 ! - -      | 0 ! - -
headwater.agents                   | 1 1 1 -  | 1 1 1 -  | 1 1 1 -    | 0 ! 0 -      | 0 ! 0 -
headwater.api_keys                 | - - - -  | - - - -  | - - - -    | - - - -      | - - - -
headwater.approvals                | 1 1 1 -  | 1 1 1 -  | 0 ! 0 -    | 0 ! 0 -      | 0 ! 0 -
headwater.artifact_uses            | 1 0 - -  | 1 0 - -  | 0 ! - -    | 0 ! - -      | 0 ! - -
headwater.artifacts                | 1 1 1 1  | 1 1 1 1  | 0 ! 0 0    | 0 ! 0 0      | 0 ! 0 0
headwater.budget_counters          | 1 - - -  | 1 - - -  | 1 - - -    | 0 - - -      | 0 - - -
headwater.budget_reservations      | 1 - - -  | 1 - - -  | 0 - - -    | 0 - - -      | 0 - - -
headwater.budgets                  | 1 1 1 1  | 1 1 1 1  | 1 1 1 1    | 0 ! 0 0      | 0 ! 0 0
headwater.idempotency              | 1 1 - 1  | 1 1 - 1  | 1 1 - 1    | 0 ! - 0      | 0 ! - 0
headwater.issuers                  | 1 1 1 1  | 1 1 1 1  | 1 1 1 1    | 0 ! 0 0      | 0 ! 0 0
headwater.mcp_servers              | 1 1 1 1  | 1 1 1 1  | 1 1 1 1    | 0 ! 0 0      | 0 ! 0 0
headwater.memory                   | 1 1 1 1  | 1 1 1 1  | 0 ! 0 0    | 0 ! 0 0      | 0 ! 0 0
headwater.messages                 | 1 1 1 -  | 1 1 1 -  | 0 ! 0 -    | 0 ! 0 -      | 0 ! 0 -
headwater.provider_keys            | 1 1 1 1  | 1 1 1 1  | 1 1 1 1    | 0 ! 0 0      | 0 ! 0 0
headwater.run_cancels              | 1 1 1 1  | 1 1 1 1  | 0 ! 0 0    | 0 ! 0 0      | 0 ! 0 0
headwater.run_events               | 1 - - -  | 1 - - -  | 1 - - -    | 0 - - -      | 0 - - -
headwater.run_events_DAY           | - - - -  | - - - -  | - - - -    | - - - -      | - - - -
headwater.run_events_default       | - - - -  | - - - -  | - - - -    | - - - -      | - - - -
headwater.run_events_kept          | 1 - - -  | 1 - - -  | 1 - - -    | 0 - - -      | 0 - - -
headwater.run_inputs               | 1 1 - 1  | 1 1 - 1  | 0 ! - 0    | 0 ! - 0      | 0 ! - 0
headwater.run_readers              | - - - -  | - - - -  | - - - -    | - - - -      | - - - -
headwater.run_steps                | 1 1 - -  | 1 1 - -  | 0 ! - -    | 0 ! - -      | 0 ! - -
headwater.runs                     | 1 1 1 -  | 1 1 1 -  | 0 ! 0 -    | 0 ! 0 -      | 0 ! 0 -
headwater.schedules                | 1 1 1 1  | 1 1 1 1  | 0 ! 0 0    | 0 ! 0 0      | 0 ! 0 0
headwater.secrets                  | 1 1 1 1  | 1 1 1 1  | 1 1 1 1    | 0 ! 0 0      | 0 ! 0 0
headwater.tenant_keys              | 1 0 - -  | 1 0 - -  | 1 0 - -    | 0 ! - -      | 0 ! - -
headwater.tenants                  | 1 - 1 -  | 1 - 1 -  | 1 - 1 -    | 0 - 0 -      | 0 - 0 -
headwater.threads                  | 1 1 1 -  | 1 1 1 -  | 0 ! 0 -    | 0 ! 0 -      | 0 ! 0 -
headwater.tickets                  | 1 1 1 -  | 1 1 1 -  | 0 ! 0 -    | 0 ! 0 -      | 0 ! 0 -
headwater.tool_calls               | 1 1 1 -  | 1 1 1 -  | 0 ! 0 -    | 0 ! 0 -      | 0 ! 0 -
headwater.usage_calls              | 1 1 - -  | 1 1 - -  | 0 ! - -    | 0 ! - -      | 0 ! - -
headwater.users                    | 1 ! 1 -  | 1 1 1 -  | 0 ! 0 -    | 0 ! 0 -      | 0 ! 0 -
headwater.webhook_deliveries       | 1 1 1 1  | 1 1 1 1  | 1 1 1 1    | 0 ! 0 0      | 0 ! 0 0
headwater.webhook_endpoints        | 1 1 1 1  | 1 1 1 1  | 1 1 1 1    | 0 ! 0 0      | 0 ! 0 0
headwater_sys._sqlx_migrations     | - - - -  | - - - -  | - - - -    | - - - -      | - - - -
headwater_sys.autoscale            | - - - -  | - - - -  | - - - -    | - - - -      | - - - -
headwater_sys.operator_idempotency | - - - -  | - - - -  | - - - -    | - - - -      | - - - -
headwater_sys.plans                | - - - -  | - - - -  | - - - -    | - - - -      | - - - -
headwater_sys.replicas             | - - - -  | - - - -  | - - - -    | - - - -      | - - - -
headwater_sys.tenant_prices        | - - - -  | - - - -  | - - - -    | - - - -      | - - - -
headwater_sys.waker                | - - - -  | - - - -  | - - - -    | - - - -      | - - - -
";

/// Tables of tenants' data, in the order in which their rows can be made.
const DATA: &[&str] = &[
    "tenants",
    "api_keys",
    "users",
    "agents",
    "agent_versions",
    "threads",
    "runs",
    "messages",
    "run_steps",
    "usage_calls",
    "budgets",
    "budget_counters",
    "budget_reservations",
    "idempotency",
    "tickets",
    "run_cancels",
    "run_inputs",
    "run_readers",
    "tool_calls",
    "approvals",
    "artifacts",
    "artifact_uses",
    "memory",
    "tenant_keys",
    "secrets",
    "provider_keys",
    "mcp_servers",
    "issuers",
    "schedules",
    "webhook_endpoints",
    "webhook_deliveries",
    "run_events",
    "run_events_kept",
];

/// A user of a tenant, and where its rows are.
#[derive(Clone, Copy)]
struct Person {
    tenant: u8,
    user: u8,
}

const OWN: Person = Person { tenant: 0xa, user: 1 };
const OTHER: Person = Person { tenant: 0xa, user: 2 };
const STRANGER: Person = Person { tenant: 0xb, user: 3 };

fn id(kind: &str, number: u8) -> String {
    // A kind in a UUID: enough to tell a thread's from a run's.
    let kind: u32 = kind.bytes().fold(7, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
    format!("{kind:08x}-0000-7000-8000-0000000000{number:02x}")
}

impl Person {
    fn tenant_id(self) -> String {
        id("tenant", self.tenant)
    }

    /// The statement that makes row `n` of this person in a table; row 0 is the one that everybody reaches for.
    fn insert(self, table: &str, n: u8) -> String {
        let (tenant, user, agent) = (self.tenant_id(), id("user", self.user), id("agent", self.tenant));
        let (thread, run) = (id("thread", self.user), id("run", self.user));
        let own = |kind: &str| id(kind, self.user + 16 * n);
        let of_tenant = |kind: &str| id(kind, self.tenant + 16 * n);
        let (columns, values) = match table {
            "tenants" => ("tenant_id, name, created_at, updated_at", format!("'{}', 't', now(), now()", of_tenant("tenant"))),
            "api_keys" => (
                "tenant_id, key_id, name, hash, hint, scopes, created_at",
                format!("'{tenant}', '{}', 'k', '\\x00', 'h', '{{}}', now()", of_tenant("key")),
            ),
            "users" => ("tenant_id, user_id, created_at, updated_at", format!("'{tenant}', '{}', now(), now()", if n == 0 { user } else { own("user") })),
            "agents" => (
                "tenant_id, agent_id, name, version, active_version, created_at, updated_at",
                format!("'{tenant}', '{}', 'agent {n}', 1, 1, now(), now()", of_tenant("agent")),
            ),
            "agent_versions" => ("tenant_id, agent_id, version, config, created_at", format!("'{tenant}', '{agent}', {}, '{{}}', now()", n + 1)),
            "threads" => ("tenant_id, thread_id, user_id, created_at, updated_at", format!("'{tenant}', '{}', '{user}', now(), now()", own("thread"))),
            "runs" => (
                "tenant_id, run_id, thread_id, user_id, agent_id, agent_version, ord, status, model, priority, on_conflict,
                 on_disconnect, visibility, input_messages, created_at",
                format!("'{tenant}', '{}', '{thread}', '{user}', '{agent}', 1, 1, 'completed', 'm', 'p', 'c', 'd', '{{}}', '{{}}', now()", own("run")),
            ),
            "messages" => (
                "tenant_id, message_id, thread_id, user_id, run_id, ord, role, status, content, created_at",
                format!("'{tenant}', '{}', '{thread}', '{user}', '{run}', 1, 'user', 'completed', '[]', now()", own("message")),
            ),
            "run_steps" => (
                "tenant_id, run_id, step, user_id, attempt, message_id, model_call, model, finish_reason, seq, finished_at",
                format!("'{tenant}', '{run}', {n}, '{user}', 1, '{user}', '{user}', 'm', 'stop', 1, now()"),
            ),
            "usage_calls" => (
                "tenant_id, model_call, run_id, step, user_id, agent_id, model, usage, estimated, outcome, attempt, queued_ms,
                 duration_ms, settled_at",
                format!("'{tenant}', '{}', '{run}', 1, '{user}', '{agent}', 'm', '{{0}}', false, 'ok', 1, 0, 0, now()", own("call")),
            ),
            "budgets" => (
                "tenant_id, budget_id, owner, scope, mode, strict, per, limit_nano_usd, warn_at_percent, created_at, updated_at",
                format!("'{tenant}', '{}', 'tenant', 'tenant', 'soft', false, 'total', 5, 80, now(), now()", of_tenant("budget")),
            ),
            "budget_counters" => (
                "tenant_id, budget_id, holder, period",
                format!("'{tenant}', '{}', '{}', 'epoch'", of_tenant("budget"), of_tenant("budget")),
            ),
            "budget_reservations" => (
                "tenant_id, model_call, run_id, user_id, agent_id, step, model, amount_nano_usd, budgets, holders, periods, created_at",
                format!(
                    "'{tenant}', '{}', '{run}', '{user}', '{agent}', 1, 'm', 0, '{{}}', '{{}}', '{{}}', now()",
                    own("call")
                ),
            ),
            "idempotency" => ("tenant_id, actor, key, fingerprint, status, object, created_at", format!("'{tenant}', '{user}', 'key {n}', '\\x00', 201, 'o', now()")),
            "tickets" => ("tenant_id, ticket_id, run_id, user_id, first_used_at", format!("'{tenant}', '{}', '{run}', '{user}', now()", own("ticket"))),
            "run_cancels" => ("tenant_id, run_id, user_id, actor", format!("'{tenant}', '{}', '{user}', '{{}}'", own("run"))),
            "run_readers" => ("tenant_id, run_id, reader_id, replica_id, user_id", format!("'{tenant}', '{}', '{user}', '{user}', '{user}'", own("run"))),
            "tool_calls" => (
                "tenant_id, call_id, run_id, user_id, step, position, name, status, created_at",
                format!("'{tenant}', '{}', '{run}', '{user}', 1, {n}, 't', 'pending', now()", own("call")),
            ),
            "approvals" => (
                "tenant_id, approval_id, run_id, thread_id, user_id, agent_id, call_id, kind, name, args, args_hash, message, \
                 schema, deciders, status, expires_at, created_at",
                format!(
                    "'{tenant}', '{}', '{run}', '{thread}', '{user}', '{}', '{}', 'tool', 't', '{{}}', 'h', 'm', '{{}}', \
                     '{{user}}', 'pending', now(), now()",
                    own("approval"), own("agent"), own("call")
                ),
            ),
            "artifacts" => (
                "tenant_id, artifact_id, user_id, run_id, media_type, size_bytes, sha256, content, created_at",
                format!("'{tenant}', '{}', '{user}', '{run}', 'm', 1, '\\x00', '\\x00', now()", own("artifact")),
            ),
            "artifact_uses" => (
                "tenant_id, artifact_id, thread_id, user_id",
                format!("'{tenant}', '{}', '{thread}', '{user}'", id("artifact", self.user)),
            ),
            "memory" => ("tenant_id, user_id, key, value, updated_at", format!("'{tenant}', '{user}', 'key {n}', '1', now()")),
            "tenant_keys" => ("tenant_id, wrapped, created_at", format!("'{tenant}', '\\x00', now()")),
            "mcp_servers" => (
                "tenant_id, mcp_id, name, url, auth, status, created_at, updated_at",
                format!("'{tenant}', '{}', 'mcp {n}', 'u', '{{}}', 'ok', now(), now()", of_tenant("mcp")),
            ),
            "issuers" => (
                "tenant_id, issuer_id, issuer, audience, algorithms, user_claim, scopes, created_at, updated_at",
                format!("'{tenant}', '{}', 'issuer {n}', 'a', '{{}}', 'sub', '{{}}', now(), now()", of_tenant("issuer")),
            ),
            "schedules" => (
                "tenant_id, schedule_id, user_id, agent_id, name, input, cron, timezone, on_missed, enabled, metadata, created_at, \
                 updated_at",
                format!(
                    "'{tenant}', '{}', '{user}', '{agent}', 'n', '{{}}', 'c', 'z', 'skip', true, '{{}}', now(), now()",
                    own("schedule")
                ),
            ),
            "webhook_endpoints" => (
                "tenant_id, endpoint_id, url, events, status, secret, metadata, created_at, updated_at",
                format!("'{tenant}', '{}', 'u', '{{}}', 'enabled', '\\x00', '{{}}', now(), now()", of_tenant("endpoint")),
            ),
            "webhook_deliveries" => (
                "tenant_id, delivery_id, endpoint_id, event_id, type, next_attempt_at, happened_at, created_at",
                format!("'{tenant}', '{0}', '{0}', '{0}', 't', now(), now(), now()", of_tenant("delivery")),
            ),
            "secrets" => ("tenant_id, name, sealed, updated_at", format!("'{tenant}', 'S{n}', '\\x00', now()")),
            "provider_keys" => ("tenant_id, provider, sealed, host, updated_at", format!("'{tenant}', 'p{n}', '\\x00', 'h', now()")),
            "run_inputs" => (
                "tenant_id, input_id, run_id, thread_id, user_id, params, segment, created_at",
                format!("'{tenant}', '{}', '{run}', '{thread}', '{user}', '{{}}', 's', now()", own("input")),
            ),
            "run_events" | "run_events_kept" => ("tenant_id, run_id, seq_from, seq_to, events", format!("'{tenant}', '{run}', {0}, {0}, 'e'", n + 1)),
            other => panic!("no row is written for headwater.{other}: add it here and to the table above"),
        };
        // There is one for each tenant, and a second is no error.
        let else_nothing =
            if matches!(table, "tenant_keys" | "artifact_uses") { " ON CONFLICT DO NOTHING" } else { "" };
        format!("INSERT INTO headwater.{table} ({columns}) VALUES ({values}){else_nothing}")
    }

    /// What finds row 0 of this person.
    fn target(self, table: &str) -> String {
        let tenant = self.tenant_id();
        let own = |column: &str, kind: &str| format!("tenant_id = '{tenant}' AND {column} = '{}'", id(kind, self.user));
        match table {
            "tenants" | "api_keys" | "tenant_keys" | "secrets" | "provider_keys" | "mcp_servers" | "issuers"
            | "budgets" | "budget_counters" | "webhook_endpoints" | "webhook_deliveries" => {
                format!("tenant_id = '{tenant}'")
            }
            "agents" | "agent_versions" => {
                format!("tenant_id = '{tenant}' AND agent_id = '{}'", id("agent", self.tenant))
            }
            "users" | "usage_calls" | "memory" => own("user_id", "user"),
            "idempotency" => own("actor", "user"),
            "threads" | "artifact_uses" => own("thread_id", "thread"),
            "messages" => own("message_id", "message"),
            "tickets" => own("ticket_id", "ticket"),
            "schedules" => own("schedule_id", "schedule"),
            _ => own("run_id", "run"),
        }
    }
}

/// A column that the application may write, where there is one.
fn updated(table: &str) -> &'static str {
    match table {
        "tenants" | "agents" | "users" | "threads" => "metadata = '{\"stolen\": \"yes\"}'",
        "runs" => "steps = 99",
        "messages" => "content = '[\"stolen\"]'",
        "tickets" => "revoked_at = now()",
        "run_cancels" => "withdraw = true",
        "tool_calls" => "output = '1'",
        "artifacts" => "used = true",
        "approvals" => "comment = 'c'",
        "memory" => "value = '2'",
        "secrets" | "provider_keys" | "mcp_servers" | "issuers" | "budgets" | "schedules" | "webhook_endpoints" => {
            "updated_at = now()"
        }
        "webhook_deliveries" => "attempts = 9",
        _ => "tenant_id = tenant_id",
    }
}

async fn seed(database: &Database) -> Admin {
    let admin = database.admin().await;
    for table in DATA {
        for person in [OWN, OTHER, STRANGER] {
            // What belongs to the tenant is there once.
            let of_tenant = matches!(
                *table,
                "tenants"
                    | "api_keys"
                    | "agents"
                    | "agent_versions"
                    | "tenant_keys"
                    | "secrets"
                    | "provider_keys"
                    | "mcp_servers"
                    | "issuers"
                    | "budgets"
                    | "budget_counters"
                    | "webhook_endpoints"
                    | "webhook_deliveries"
            );
            if !(of_tenant && person.user == OTHER.user) {
                admin.execute(&person.insert(table, 0)).await.expect("the superuser makes a row");
            }
        }
    }
    admin
}

async fn tables(admin: &Admin) -> Vec<String> {
    let sql = "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname IN ('headwater', 'headwater_sys') AND c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY 1";
    admin.rows(sql).await.expect("the catalogue").into_iter().map(|mut row| row.remove(0).expect("a name")).collect()
}

/// `SET` statements of each actor; the row that is reached for is always that of [`OWN`].
fn actors() -> [Option<(Person, bool)>; 5] {
    [Some((OWN, true)), Some((OWN, false)), Some((OTHER, true)), Some((STRANGER, true)), None]
}

fn set_scope(actor: Option<(Person, bool)>) -> String {
    let Some((person, as_user)) = actor else { return String::new() };
    let user = if as_user { id("user", person.user) } else { String::new() };
    format!(
        "SELECT set_config('headwater.tenant_id', '{}', true), set_config('headwater.user_id', '{user}', true);",
        person.tenant_id()
    )
}

/// Runs one statement in a transaction that leaves nothing behind.
async fn attempt(app: &Admin, scope: &str, statement: &str) -> char {
    app.execute(&format!("BEGIN; {scope}")).await.expect("begins");
    let outcome = app.value(statement).await;
    app.execute("ROLLBACK").await.expect("rolls back");
    match outcome {
        Ok(Some(count)) if count == "0" => '0',
        Ok(Some(count)) if count == "1" => '1',
        Err(StoreError::Database(text)) if text.contains("violates row-level security") => '!',
        Err(StoreError::Database(text)) if text.contains("permission denied for table") => '-',
        other => panic!("{statement} came to {other:?}"),
    }
}

async fn line(app: &Admin, qualified: &str) -> String {
    let name = qualified.strip_prefix("headwater.").filter(|name| DATA.contains(name));
    let statements = match name {
        Some(table) => {
            let target = OWN.target(table);
            [
                format!("SELECT count(*) FROM headwater.{table} WHERE {target}"),
                format!("WITH x AS ({} RETURNING 1) SELECT count(*) FROM x", OWN.insert(table, 1)),
                format!(
                    "WITH x AS (UPDATE headwater.{table} SET {} WHERE {target} RETURNING 1) SELECT count(*) FROM x",
                    updated(table)
                ),
                format!("WITH x AS (DELETE FROM headwater.{table} WHERE {target} RETURNING 1) SELECT count(*) FROM x"),
            ]
        }
        // Not of tenants, or a partition: nobody has business there.
        None => [
            format!("SELECT count(*) FROM {qualified}"),
            format!("WITH x AS (INSERT INTO {qualified} DEFAULT VALUES RETURNING 1) SELECT count(*) FROM x"),
            format!("WITH x AS (UPDATE {qualified} SET {} RETURNING 1) SELECT count(*) FROM x", any_column(qualified)),
            format!("WITH x AS (DELETE FROM {qualified} RETURNING 1) SELECT count(*) FROM x"),
        ],
    };
    let mut cells = Vec::new();
    for actor in actors() {
        let mut cell = Vec::new();
        for statement in &statements {
            cell.push(attempt(app, &set_scope(actor), statement).await.to_string());
        }
        cells.push(cell.join(" "));
    }
    format!(
        "{:<34} | {:<8} | {:<8} | {:<10} | {:<12} | {}",
        shown(qualified),
        cells[0],
        cells[1],
        cells[2],
        cells[3],
        cells[4]
    )
}

fn any_column(qualified: &str) -> &'static str {
    match qualified {
        "headwater_sys.replicas" => "expires_at = now()",
        "headwater_sys._sqlx_migrations" => "success = true",
        "headwater_sys.operator_idempotency" => "status = 1",
        "headwater_sys.plans" => "terms = '{}'",
        "headwater_sys.tenant_prices" => "prices = '{}'",
        "headwater_sys.autoscale" => "low_since = now()",
        "headwater_sys.waker" => "seen_at = now()",
        partition if partition.starts_with("headwater.run_events_") => "events = ''",
        other => panic!("{other} is in no line of the matrix: write one, with what each actor may do"),
    }
}

/// The name as the table above has it: one line for all days.
fn shown(qualified: &str) -> String {
    match qualified.strip_prefix("headwater.run_events_") {
        Some(day) if day.bytes().all(|byte| byte.is_ascii_digit()) => "headwater.run_events_DAY".into(),
        _ => qualified.to_owned(),
    }
}

#[tokio::test]
async fn every_table_lets_each_actor_do_exactly_this() {
    let database = Database::fresh().await;
    database.store().unscoped("a test makes partitions").ensure_partitions().await.expect("makes partitions");
    let admin = seed(&database).await;
    let app = database.app().await;
    // Several partitions come to one line, if they are all alike.
    let mut lines = BTreeSet::new();
    for table in tables(&admin).await {
        lines.insert(line(&app, &table).await);
    }
    let mut actual = String::from(
        "\ntable                              | own user | tenant   | other user | other tenant | nobody\n",
    );
    for line in &lines {
        actual.push_str(line);
        actual.push('\n');
    }
    assert!(actual == EXPECTED, "the matrix is\n{actual}\nand should be\n{EXPECTED}");
}

#[tokio::test]
async fn whoever_asks_sees_rows_of_one_tenant_only() {
    let database = Database::fresh().await;
    seed(&database).await;
    let app = database.app().await;
    for table in DATA.iter().filter(|table| !["api_keys", "run_readers"].contains(*table)) {
        for actor in actors() {
            app.execute(&format!("BEGIN; {}", set_scope(actor))).await.expect("begins");
            let seen = app.rows(&format!("SELECT DISTINCT tenant_id FROM headwater.{table}")).await.expect("asks");
            app.execute("ROLLBACK").await.expect("rolls back");
            let expected: Vec<_> = actor.iter().map(|(person, _)| vec![Some(person.tenant_id())]).collect();
            assert_eq!(seen, expected, "headwater.{table}");
        }
    }
}

#[tokio::test]
async fn no_row_can_be_moved_to_another_tenant_or_user() {
    let database = Database::fresh().await;
    let admin = database.admin().await;
    let movable = "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
         WHERE c.relnamespace = 'headwater'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0
           AND (a.attname IN ('tenant_id', 'user_id') OR a.attname IN ('thread_id', 'run_id', 'tail'))
           AND has_column_privilege('headwater_app', c.oid, a.attname, 'UPDATE')";
    assert_eq!(admin.rows(movable).await.expect("asks"), Vec::<Vec<Option<String>>>::new());
}

#[tokio::test]
async fn a_scope_that_is_no_id_is_an_error_and_an_empty_one_is_nobody() {
    let database = Database::fresh().await;
    seed(&database).await;
    let app = database.app().await;
    app.execute("BEGIN; SELECT set_config('headwater.tenant_id', 'garbage', true)").await.expect("begins");
    let error = app.value("SELECT count(*) FROM headwater.threads").await.expect_err("garbage is no tenant");
    assert!(error.to_string().contains("22P02"), "{error}");
    app.execute("ROLLBACK; BEGIN; SELECT set_config('headwater.tenant_id', '', true)").await.expect("begins");
    assert_eq!(app.value("SELECT count(*) FROM headwater.threads").await.expect("asks"), Some("0".into()));
}
