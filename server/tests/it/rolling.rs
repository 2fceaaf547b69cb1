//! A release that is being rolled out: its migration has run, and servers of the one before it start and go on.

use headwater_testkit::model::Reply;

use crate::support::{Lane, Site, serve};

#[tokio::test]
async fn a_newer_schema_says_whom_it_serves() {
    let site = Site::start(&[]).await;
    let admin = site.database.admin().await;
    // As the next release would: one with three migrations, and a function that this build has never heard of.
    admin
        .execute(
            "INSERT INTO headwater_sys._sqlx_migrations SELECT version + 3, description, installed_on, success, checksum, execution_time
                 FROM headwater_sys._sqlx_migrations ORDER BY version DESC LIMIT 1;
             CREATE FUNCTION headwater.of_tomorrow() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
                 RETURN 1",
        )
        .await
        .expect("it migrates");
    let beside = serve(&site.database, &[]);
    let tenant = site.tenant().await;
    tenant.agent(&Lane::always(Reply::text("Here."))).await;
    let alice = tenant.at(&beside.url).user("alice").await;
    let run = alice.key.run("Go.").await;
    assert_eq!(alice.key.ended(run["id"].as_str().expect("an id")).await["status"], "completed");

    admin
        .execute(
            "CREATE OR REPLACE FUNCTION headwater.schema_serves() RETURNS bigint LANGUAGE sql IMMUTABLE RETURN 10000",
        )
        .await
        .expect("it serves only newer ones");
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_headwater"));
    command.arg("serve").env_clear().envs(site.environment(&[]));
    let refused = command.output().await.expect("it starts");
    let words = [refused.stdout, refused.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(!refused.status.success() && words.contains("deploy a newer one"), "{words}");
}
