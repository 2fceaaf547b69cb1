use crate::support::*;
#[tokio::test]
async fn probe() {
    let world = World::new().await;
    world.run().await;
    let run = world.run().await;
    world.expire(world.replica).await;
    let s = register(&world.unscoped()).await;
    let other = world.database.app().await;
    begin(&other, world.acme.scope()).await;
    eprintln!(
        "{:?}",
        other.value(&format!("SELECT headwater.cancel_run('{}', '{}', '{}')", s.0, run.run.uuid(), s.0)).await
    );
    other.execute("ROLLBACK").await.unwrap();
    begin(&other, world.acme.scope()).await;
    eprintln!(
        "{:?}",
        other.value(&format!("SELECT run_id || ' ' || token FROM headwater.claim_runs('{}', 0, 10)", s.0)).await
    );
}
