//! Controls of the wall: each takes one stone out and must see what it should not. A test that cannot fail shows nothing.

use headwater_protocol::{Scope, TenantId};
use headwater_store::StoreError;
use headwater_store::admin::Admin;
use headwater_testkit::Database;
use tokio_postgres::NoTls;

use crate::support::{Tenant, World, begin, tenant};

/// Two tenants with one thread each, whose titles are their names.
struct Two {
    world: World,
    other: Tenant,
    admin: Admin,
    app: Admin,
}

impl Two {
    async fn new() -> Self {
        let world = World::new().await;
        let other = tenant(&world.store, "other").await;
        let admin = world.database.admin().await;
        world.run().await;
        world.run_of(&other).await;
        let sql = "UPDATE headwater.threads t SET title = n.name, external_id = n.name FROM headwater.tenants n
                   WHERE n.tenant_id = t.tenant_id";
        admin.execute(sql).await.expect("names the threads");
        let app = world.database.app().await;
        Self { world, other, admin, app }
    }
}

const TITLES: &str = "SELECT string_agg(title, ',' ORDER BY title) FROM headwater.threads";

fn whole(tenant: TenantId) -> Scope {
    Scope { tenant, user: None }
}

/// What a statement answers under a scope.
async fn under(app: &Admin, scope: Scope, sql: &str) -> Option<String> {
    begin(app, scope).await;
    let value = app.value(sql).await.expect("asks");
    app.execute("COMMIT").await.expect("commits");
    value
}

#[tokio::test]
async fn a_superuser_sees_everything() {
    let two = Two::new().await;
    assert_eq!(
        under(&two.admin, whole(two.other.id), TITLES).await.as_deref(),
        Some("acme,other"),
        "which is the hole"
    );
    assert_eq!(under(&two.app, whole(two.other.id), TITLES).await.as_deref(), Some("other"));
}

#[tokio::test]
async fn without_force_the_owner_sees_everything() {
    let two = Two::new().await;
    let as_owner = "SET ROLE headwater_owner";
    two.admin.execute(as_owner).await.expect("becomes the owner");
    assert_eq!(two.admin.value(TITLES).await.expect("asks"), None, "the owner has no policy");
    let hole = "RESET ROLE; ALTER TABLE headwater.threads NO FORCE ROW LEVEL SECURITY";
    two.admin.execute(hole).await.expect("makes the hole");
    two.admin.execute(as_owner).await.expect("becomes the owner");
    assert_eq!(two.admin.value(TITLES).await.expect("asks").as_deref(), Some("acme,other"), "which is the hole");
}

#[tokio::test]
async fn an_immutable_context_serves_one_tenant_to_another() {
    let two = Two::new().await;
    two.app.execute(&format!("PREPARE titles AS {TITLES}")).await.expect("prepares");
    let seen = async || {
        let mine = under(&two.app, whole(two.world.acme.id), "EXECUTE titles").await;
        let theirs = under(&two.app, whole(two.other.id), "EXECUTE titles").await;
        (mine.unwrap_or_default(), theirs.unwrap_or_default())
    };
    assert_eq!(seen().await, ("acme".into(), "other".into()));
    two.admin.execute("ALTER FUNCTION headwater.tenant_id() IMMUTABLE").await.expect("makes the hole");
    assert_eq!(seen().await, ("acme".into(), "acme".into()), "which is the hole: the cached plan remembers a tenant");
}

#[tokio::test]
async fn a_view_sees_with_its_owners_eyes() {
    let two = Two::new().await;
    // Of the superuser, as careless hands would make it.
    let hole = "CREATE VIEW headwater.peek AS SELECT * FROM headwater.threads; GRANT SELECT ON headwater.peek TO headwater_app";
    two.admin.execute(hole).await.expect("makes the hole");
    let titles = TITLES.replace("headwater.threads", "headwater.peek");
    assert_eq!(under(&two.app, whole(two.other.id), &titles).await.as_deref(), Some("acme,other"), "which is the hole");
    two.admin.execute("ALTER VIEW headwater.peek SET (security_invoker = true)").await.expect("mends it");
    assert_eq!(under(&two.app, whole(two.other.id), &titles).await.as_deref(), Some("other"));
}

#[tokio::test]
async fn a_cursor_with_hold_outlives_its_scope() {
    let two = Two::new().await;
    let titles = "SELECT title FROM headwater.threads ORDER BY 1";
    for (hold, leaks) in [("WITHOUT HOLD", false), ("WITH HOLD", true)] {
        begin(&two.app, whole(two.world.acme.id)).await;
        two.app.execute(&format!("DECLARE kept CURSOR {hold} FOR {titles}; COMMIT")).await.expect("declares a cursor");
        begin(&two.app, whole(two.other.id)).await;
        let fetched = two.app.value("FETCH kept").await;
        two.app.execute("ROLLBACK").await.expect("rolls back");
        match fetched {
            Ok(title) => assert!(leaks && title.as_deref() == Some("acme"), "which is the hole"),
            Err(error) => assert!(!leaks && error.to_string().contains("does not exist"), "{error}"),
        }
    }
}

#[tokio::test]
async fn a_setting_of_the_session_stays_on_a_pooled_connection() {
    let two = Two::new().await;
    for (local, expected) in [("false", Some("acme")), ("true", None)] {
        let pool = pool_of_one(&two.world.database);
        let first = pool.get().await.expect("connects");
        let set = format!("SELECT set_config('headwater.tenant_id', '{}', {local})", two.world.acme.id.uuid());
        first.batch_execute(&set).await.expect("sets");
        drop(first);
        let next = pool.get().await.expect("connects");
        let seen: Option<String> = next.query_one(TITLES, &[]).await.expect("asks").get(0);
        assert_eq!(seen.as_deref(), expected, "with is_local = {local}");
    }
}

#[tokio::test]
async fn a_raw_begin_across_an_await_stays_on_a_pooled_connection() {
    let two = Two::new().await;
    let pool = pool_of_one(&two.world.database);
    let first = pool.get().await.expect("connects");
    first.batch_execute("BEGIN").await.expect("begins");
    let set = format!("SELECT set_config('headwater.tenant_id', '{}', true)", two.world.acme.id.uuid());
    first.batch_execute(&set).await.expect("sets");
    // The request is dropped here.
    drop(first);
    let next = pool.get().await.expect("connects");
    let seen: Option<String> = next.query_one(TITLES, &[]).await.expect("asks").get(0);
    assert_eq!(seen.as_deref(), Some("acme"), "which is the hole that the pipelined form has not");
}

/// One connection as the application role, recycled as the store's own are.
fn pool_of_one(database: &Database) -> deadpool_postgres::Pool {
    let options = database.direct_options();
    let mut config: tokio_postgres::Config = options.url.parse().expect("the URL parses");
    let (user, password) = options.login.expect("tests log in as the application role");
    config.user(user).password(password);
    let recycling = deadpool_postgres::ManagerConfig { recycling_method: deadpool_postgres::RecyclingMethod::Fast };
    let manager = deadpool_postgres::Manager::from_config(config, NoTls, recycling);
    deadpool_postgres::Pool::builder(manager).max_size(1).build().expect("a pool")
}

#[tokio::test]
async fn a_global_unique_key_tells_what_another_tenant_has() {
    let two = Two::new().await;
    let insert = format!(
        "INSERT INTO headwater.threads (tenant_id, thread_id, user_id, external_id, created_at, updated_at)
         VALUES ('{0}', gen_random_uuid(), '{1}', 'acme', now(), now()) RETURNING external_id",
        two.other.id.uuid(),
        two.other.user.uuid()
    );
    begin(&two.app, whole(two.other.id)).await;
    assert_eq!(two.app.value(&insert).await.expect("the name is free in this tenant").as_deref(), Some("acme"));
    two.app.execute("ROLLBACK").await.expect("rolls back");
    let hole = "CREATE UNIQUE INDEX threads_global ON headwater.threads (external_id)";
    two.admin.execute(hole).await.expect("makes the hole");
    begin(&two.app, whole(two.other.id)).await;
    let error = two.app.value(&insert).await.expect_err("it is taken, says somebody else's row: which is the hole");
    assert!(matches!(&error, StoreError::Taken { constraint } if constraint == "threads_global"), "{error}");
}

#[tokio::test]
async fn a_foreign_key_of_one_column_reaches_into_another_tenant() {
    let two = Two::new().await;
    let thread =
        two.world.value("SELECT thread_id FROM headwater.threads WHERE title = 'acme'").await.expect("a thread");
    let insert = |column: &str| {
        format!(
            "INSERT INTO headwater.notes (tenant_id, {column}) VALUES ('{}', '{thread}') RETURNING 'written'",
            two.other.id.uuid()
        )
    };
    let notes = "CREATE UNIQUE INDEX threads_by_id ON headwater.threads (thread_id);
         CREATE TABLE headwater.notes (tenant_id uuid NOT NULL, far uuid REFERENCES headwater.threads (thread_id), near uuid,
             FOREIGN KEY (tenant_id, near) REFERENCES headwater.threads);
         SELECT headwater_sys.wall('headwater.notes'); GRANT SELECT, INSERT ON headwater.notes TO headwater_app";
    two.admin.execute(notes).await.expect("makes the hole");
    let far = under(&two.app, whole(two.other.id), &insert("far")).await;
    assert_eq!(far.as_deref(), Some("written"), "which is the hole: keys are checked past the wall");
    begin(&two.app, whole(two.other.id)).await;
    let error = two.app.value(&insert("near")).await.expect_err("with the tenant in the key there is no such thread");
    assert!(matches!(error, StoreError::Reference(_)), "{error}");
}
