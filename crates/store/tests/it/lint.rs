//! Controls of the lint: each makes one hole in the wall of a database of its own and must be reported by name.

use headwater_store::migrate::{Finding, MigrateOptions, migrate};
use headwater_store::{Store, StoreOptions};
use headwater_testkit::Database;
use headwater_testkit::database::{APP_PASSWORD, PREFIX};
use uuid::Uuid;

/// What is done as superuser, the rule that it breaks, and the object that is reported.
const HOLES: &[(&str, &str, &str)] = &[
    (
        "ALTER TABLE headwater.threads NO FORCE ROW LEVEL SECURITY",
        "row security is not enabled and forced",
        "headwater.threads",
    ),
    (
        "ALTER TABLE headwater.threads DISABLE ROW LEVEL SECURITY",
        "row security is not enabled and forced",
        "headwater.threads",
    ),
    (
        "ALTER TABLE headwater.run_events_default NO FORCE ROW LEVEL SECURITY",
        "row security is not enabled and forced",
        "headwater.run_events_default",
    ),
    (
        "ALTER TABLE headwater_sys.replicas DISABLE ROW LEVEL SECURITY",
        "row security is not enabled and forced",
        "headwater_sys.replicas",
    ),
    ("ALTER TABLE headwater.threads OWNER TO CURRENT_USER", "is not owned by the owner role", "headwater.threads"),
    ("SET ROLE headwater_owner; CREATE TABLE headwater.notes (tenant_id uuid)", "has no tenant wall", "headwater.notes"),
    ("DROP POLICY tenant_wall ON headwater.messages", "has no tenant wall", "headwater.messages"),
    ("ALTER POLICY tenant_wall ON headwater.messages USING (true)", "has no tenant wall", "headwater.messages"),
    ("ALTER POLICY tenant_wall ON headwater.messages WITH CHECK (true)", "has no tenant wall", "headwater.messages"),
    (
        "DROP POLICY tenant_wall ON headwater.messages;
         CREATE POLICY tenant_wall ON headwater.messages TO headwater_app
             USING (tenant_id = (SELECT headwater.tenant_id())) WITH CHECK (tenant_id = (SELECT headwater.tenant_id()))",
        "has no tenant wall",
        "headwater.messages",
    ),
    ("DROP POLICY of_user ON headwater.runs", "a policy of the list is missing", "headwater.runs.of_user"),
    ("CREATE POLICY all_see ON headwater.runs USING (true)", "a policy for everybody", "headwater.runs.all_see"),
    (
        "CREATE POLICY app_sees ON headwater.runs TO headwater_app USING (true)",
        "a policy that is not on the list",
        "headwater.runs.app_sees",
    ),
    (
        "ALTER POLICY append_finds ON headwater.runs TO headwater_app",
        "a policy that is not on the list",
        "headwater.runs.append_finds",
    ),
    (
        "CREATE POLICY app_sees ON headwater.run_events_default TO headwater_app USING (true)",
        "a policy on a partition beyond the wall",
        "headwater.run_events_default.app_sees",
    ),
    (
        "CREATE UNIQUE INDEX threads_global ON headwater.threads (external_id)",
        "a unique key does not begin with tenant_id",
        "headwater.threads_global",
    ),
    (
        "ALTER TABLE headwater.users ADD UNIQUE (external_id, tenant_id)",
        "a unique key does not begin with tenant_id",
        "headwater.users_external_id_tenant_id_key",
    ),
    (
        "CREATE UNIQUE INDEX threads_by_id ON headwater.threads (thread_id);
         ALTER TABLE headwater.messages ADD CONSTRAINT of_thread FOREIGN KEY (thread_id) REFERENCES headwater.threads (thread_id)",
        "a foreign key does not begin with tenant_id",
        "headwater.messages.of_thread",
    ),
    (
        "SET ROLE headwater_owner; CREATE MATERIALIZED VIEW headwater.peek AS SELECT * FROM headwater.threads",
        "a materialised view",
        "headwater.peek",
    ),
    (
        "SET ROLE headwater_owner; CREATE VIEW headwater.peek AS SELECT * FROM headwater.threads",
        "a view without security_invoker",
        "headwater.peek",
    ),
    ("GRANT SELECT ON headwater.run_events_default TO headwater_app", "a grant on a partition", "headwater.run_events_default"),
    (
        "GRANT INSERT ON headwater.run_events TO headwater_app",
        "the server may write the log directly",
        "headwater.run_events",
    ),
    (
        "GRANT DELETE ON headwater.run_events TO headwater_app",
        "the server may write the log directly",
        "headwater.run_events",
    ),
    (
        "GRANT SELECT ON headwater_sys.replicas TO headwater_app",
        "a grant on a table of the service",
        "headwater_sys.replicas",
    ),
    // A single column is enough.
    (
        "GRANT INSERT (events) ON headwater.run_events TO headwater_app",
        "the server's grants are not those of the list",
        "headwater.run_events",
    ),
    (
        "GRANT SELECT (expires_at) ON headwater_sys.replicas TO headwater_app",
        "the server's grants are not those of the list",
        "headwater_sys.replicas",
    ),
    (
        "GRANT SELECT ON headwater.api_keys TO headwater_app",
        "the server's grants are not those of the list",
        "headwater.api_keys",
    ),
    (
        "GRANT TRUNCATE ON headwater.threads TO headwater_app",
        "the server's grants are not those of the list",
        "headwater.threads",
    ),
    (
        "REVOKE INSERT ON headwater.tickets FROM headwater_app",
        "the server's grants are not those of the list",
        "headwater.tickets",
    ),
    (
        "GRANT UPDATE (user_id) ON headwater.threads TO headwater_app",
        "rows can be moved to another tenant or user",
        "headwater.threads",
    ),
    (
        "ALTER POLICY of_user ON headwater.threads USING (true)",
        "the user rule is not as written",
        "headwater.threads",
    ),
    (
        "ALTER POLICY of_user ON headwater.threads WITH CHECK (true)",
        "the user rule is not as written",
        "headwater.threads",
    ),
    ("GRANT SELECT ON headwater.threads TO PUBLIC", "a grant to everybody", "headwater.threads"),
    ("GRANT SELECT ON headwater.threads TO pg_monitor", "a grant to a role that is not ours", "headwater.threads"),
    (
        "GRANT SELECT (external_id) ON headwater.runs TO pg_monitor",
        "a grant to a role that is not ours",
        "headwater.runs.external_id",
    ),
    ("GRANT SELECT (name) ON headwater.tenants TO PUBLIC", "a grant to a role that is not ours", "headwater.tenants.name"),
    (
        "GRANT EXECUTE ON FUNCTION headwater.auth_key TO pg_monitor",
        "a grant to a role that is not ours",
        "headwater.auth_key",
    ),
    ("GRANT SELECT (lease_token) ON headwater.runs TO headwater_app", "lease tokens can be read", "headwater.runs"),
    (
        "CREATE FUNCTION headwater.peek() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
             AS 'SELECT count(*) FROM headwater.threads';
         REVOKE ALL ON FUNCTION headwater.peek() FROM PUBLIC",
        "a definer function that is not on the list",
        "headwater.peek",
    ),
    (
        "ALTER FUNCTION headwater.once SECURITY DEFINER",
        "a definer function that is not on the list",
        "headwater.once",
    ),
    (
        "ALTER FUNCTION headwater.sweep() OWNER TO headwater_owner",
        "a definer function of another owner than on the list",
        "headwater.sweep",
    ),
    ("DROP FUNCTION headwater.sweep()", "a definer function of the list is missing", "headwater.sweep"),
    (
        "ALTER FUNCTION headwater.sweep() RESET search_path",
        "a definer function without a pinned search_path",
        "headwater.sweep",
    ),
    (
        "GRANT EXECUTE ON FUNCTION headwater.auth_key TO PUBLIC",
        "a function that everybody may call",
        "headwater.auth_key",
    ),
    (
        "SET ROLE headwater_owner; CREATE FUNCTION headwater.harmless() RETURNS int LANGUAGE sql AS 'SELECT 1';
         GRANT EXECUTE ON FUNCTION headwater.harmless() TO PUBLIC",
        "a function that everybody may call",
        "headwater.harmless",
    ),
    ("ALTER FUNCTION headwater.tenant_id() IMMUTABLE", "the context is not STABLE", "headwater.tenant_id"),
    ("ALTER FUNCTION headwater.user_id() VOLATILE", "the context is not STABLE", "headwater.user_id"),
];

/// Statements after which the roles themselves are wrong. `@` begins their names.
const ROLE_HOLES: &[(&str, &str, &str, &str)] = &[
    (
        "ALTER ROLE @app BYPASSRLS",
        "ALTER ROLE @app NOBYPASSRLS",
        "a role of ours is superuser, bypasses row security, or may make roles or databases",
        "@app",
    ),
    (
        "ALTER ROLE @dispatch BYPASSRLS",
        "ALTER ROLE @dispatch NOBYPASSRLS",
        "a role of ours is superuser, bypasses row security, or may make roles or databases",
        "@dispatch",
    ),
    (
        "ALTER ROLE @owner CREATEROLE",
        "ALTER ROLE @owner NOCREATEROLE",
        "a role of ours is superuser, bypasses row security, or may make roles or databases",
        "@owner",
    ),
    ("GRANT @owner TO @app", "REVOKE @owner FROM @app", "the server's role is a member of another one", "@owner"),
    (
        "GRANT @dispatch TO @app",
        "REVOKE @dispatch FROM @app",
        "the server's role is a member of another one",
        "@dispatch",
    ),
];

fn finding(rule: &str, object: &str) -> Finding {
    Finding { rule: rule.to_owned(), object: object.to_owned() }
}

#[tokio::test]
async fn every_hole_is_reported() {
    for (hole, rule, object) in HOLES {
        let database = Database::fresh().await;
        let admin = database.admin().await;
        admin.execute(hole).await.unwrap_or_else(|error| panic!("{hole}: {error}"));
        let store = database.store();
        let found = store.lint(PREFIX).await.expect("lints");
        assert!(
            found.contains(&finding(rule, object)),
            "{hole}\nshould break “{rule}” at {object}; the lint said {found:?}"
        );
        store.close();
    }
}

#[tokio::test]
async fn every_hole_in_the_roles_is_reported() {
    let database = Database::fresh().await;
    let id = Uuid::now_v7().simple().to_string();
    // Roles belong to the whole cluster: other tests' must stay as they are.
    let prefix = format!("hole_{}_", &id[20..]);
    let name = format!("test_{id}");
    database.admin().await.create_database(&name, None).await.expect("makes a database");
    let admin_url = headwater_store::admin::with_database(&database.admin_url, &name);
    let options = MigrateOptions {
        admin_url: admin_url.clone(),
        app_password: APP_PASSWORD.into(),
        wake_password: APP_PASSWORD.into(),
        prefix: prefix.clone(),
    };
    migrate(&options).await.expect("migrates");
    let mut options = StoreOptions::new(admin_url.clone());
    options.login = Some((format!("{prefix}app"), APP_PASSWORD.into()));
    let store = Store::new(&options).expect("the URL parses");
    let admin = headwater_store::admin::Admin::connect(&admin_url).await.expect("connects");
    assert_eq!(store.lint(&prefix).await.expect("lints"), vec![], "before the first hole");
    for (hole, mend, rule, object) in ROLE_HOLES {
        let fill = |text: &str| text.replace('@', &prefix);
        admin.execute(&fill(hole)).await.expect("makes a hole");
        let found = store.lint(&prefix).await.expect("lints");
        assert_eq!(found, vec![finding(rule, &fill(object))], "{hole}");
        admin.execute(&fill(mend)).await.expect("mends it");
    }
    assert_eq!(store.lint(&prefix).await.expect("lints"), vec![], "after the last one");
}

#[tokio::test]
async fn the_server_refuses_to_run_as_somebody_who_sees_past_the_wall() {
    let database = Database::fresh().await;
    let admin = database.admin().await;
    let role = format!("seer_{}", &Uuid::now_v7().simple().to_string()[20..]);
    let refusal = async |login: Option<(String, String)>| {
        let store = Store::new(&StoreOptions { login, ..database.direct_options() }).expect("the URL parses");
        let refused = store.check_role().await.expect("looks at its role");
        store.close();
        refused.expect_err("it must not run")
    };
    assert!(refusal(None).await.contains("is a superuser"));
    let login = Some((role.clone(), "x".to_owned()));
    admin.execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'x' BYPASSRLS")).await.expect("makes a role");
    assert!(refusal(login.clone()).await.contains("has BYPASSRLS"));
    admin
        .execute(&format!("ALTER ROLE {role} NOBYPASSRLS; GRANT headwater_owner TO {role}"))
        .await
        .expect("changes it");
    assert!(refusal(login.clone()).await.contains("owns the tables, or may become their owner"));
    // NOINHERIT is no excuse: SET ROLE would do.
    admin.execute(&format!("ALTER ROLE {role} NOINHERIT")).await.expect("changes it");
    assert!(refusal(login).await.contains("owns the tables, or may become their owner"));
    admin.execute(&format!("REVOKE headwater_owner FROM {role}; DROP ROLE {role}")).await.expect("removes it");
}
