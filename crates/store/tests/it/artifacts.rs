//! Artifacts: whose they are, how they are read, and how much of them there may be.

use headwater_protocol::api::MAX_ARTIFACTS_BYTES;
use headwater_protocol::{ArtifactId, CallId, Scope, ThreadId};
use headwater_store::UserScopedStorage;
use headwater_store::create::Created;
use headwater_store::scoped::{NewArtifact, NewUpload};

use crate::support::{Owned, World, new_run, tenant};

/// What the smallest one counts for.
const SMALLEST: i64 = 64 << 10;

async fn put(storage: &UserScopedStorage, run: &Owned, content: &[u8]) -> (ArtifactId, bool) {
    let id = ArtifactId::new();
    let new =
        NewArtifact { id, run: run.run, call: CallId::new(), media_type: "text/plain", sha256: &[7; 32], content };
    (id, storage.artifact_put(new).await.expect("the database answers"))
}

#[tokio::test]
async fn a_tenant_keeps_so_much_and_no_more() {
    let world = World::new().await;
    let globex = tenant(&world.store, "globex").await;
    let (run, theirs) = (world.run().await, world.run_of(&globex).await);
    let (ours, other) = (
        world.store.scoped(Scope { tenant: world.acme.id, user: None }),
        world.store.scoped(Scope { tenant: globex.id, user: None }),
    );
    let (id, kept) = put(&ours, &run, b"0123456789").await;
    assert!(kept);
    assert!(!put(&ours, &theirs, b"x").await.1, "the run is another tenant's");
    let (found, _) = world.storage().artifact_get(id).await.expect("reads").expect("it is its user's");
    assert_eq!((found.user, found.size_bytes, found.sha256), (world.acme.user, 10, "07".repeat(32)));
    for (from, bytes, expected) in [(0, 100, "0123456789"), (3, 4, "3456"), (9, 5, "9"), (10, 5, "")] {
        let piece = world.storage().artifact_content(id, from, bytes).await.expect("reads").expect("it is there");
        assert_eq!(piece, expected.as_bytes());
    }
    let neighbour = world.store.scoped(Scope { tenant: world.acme.id, user: Some(world.acme.other) });
    for stranger in [&neighbour, &other] {
        assert!(stranger.artifact_get(id).await.expect("reads").is_none());
        assert!(stranger.artifact_content(id, 0, 100).await.expect("reads").is_none());
    }
    let full = format!(
        "UPDATE headwater.artifacts SET size_bytes = {} WHERE artifact_id = '{}'",
        MAX_ARTIFACTS_BYTES - 2 * SMALLEST - 2,
        id.uuid()
    );
    world.database.admin().await.execute(&full).await.expect("the superuser fills it");
    assert!(put(&ours, &run, b"x").await.1);
    assert!(put(&ours, &run, b"x").await.1, "each counts for 64 KiB");
    assert!(!put(&ours, &run, b"xxx").await.1, "there is room for two bytes");
    assert!(put(&ours, &run, b"xx").await.1);
    assert!(put(&other, &theirs, b"xxx").await.1, "another tenant has its own room");
}

#[tokio::test]
async fn an_upload_that_nobody_uses_is_forgotten() {
    let world = World::new().await;
    let ours = world.store.scoped(Scope { tenant: world.acme.id, user: None });
    let upload = async |content: &'static [u8]| {
        let id = ArtifactId::new();
        let (filename, media_type) = (Some("a.txt"), "text/plain");
        let new = NewUpload { id, user: world.acme.user, filename, media_type, sha256: &[7; 32], content };
        assert!(ours.upload_put(new, None).await.expect("the database answers").is_some());
        id
    };
    let (unused, used, fresh) = (upload(b"unused").await, upload(b"used").await, upload(b"fresh").await);
    let show = |artifacts: Vec<ArtifactId>| {
        let mut new = new_run(&world.acme, None);
        new.params.artifacts = artifacts.into_iter().map(ArtifactId::uuid).collect();
        let thread = ThreadId::from_uuid(new.params.thread_id);
        let created = world.creator.create(new);
        async move { (thread, created.await.expect("the worker answers")) }
    };
    let (thread, created) = show(vec![used]).await;
    assert!(matches!(created, Created::Yes { .. }), "{created:?}");
    let age = |hours: u32| {
        format!(
            "UPDATE headwater.artifacts SET created_at = created_at - interval '{hours} hours' WHERE filename = 'a.txt' AND content <> 'fresh'"
        )
    };
    let admin = world.database.admin().await;
    admin.execute(&age(24)).await.expect("a day passes");
    assert_eq!(world.unscoped().sweep_uploads().await.expect("sweeps"), 0, "not at the very moment");
    let (_, created) = show(vec![used, unused]).await;
    assert!(matches!(&created, Created::Refused { reason, .. } if reason == "artifact_gone"), "{created:?}");
    let (_, created) = show(vec![used, fresh]).await;
    assert!(matches!(created, Created::Yes { .. }), "{created:?}");
    admin.execute(&age(2)).await.expect("two hours pass");
    assert_eq!(world.unscoped().sweep_uploads().await.expect("sweeps"), 1);
    let there = async |id| world.storage().artifact_get(id).await.expect("reads").is_some();
    assert_eq!((there(unused).await, there(used).await, there(fresh).await), (false, true, true));
    // Two threads show it; it stays until neither is there.
    assert!(world.storage().thread_delete(thread).await.expect("erases"));
    assert!(there(used).await);
    // So much may lie there unused, for each user.
    let put = async |user| {
        let (id, filename, media_type) = (ArtifactId::new(), None, "text/plain");
        let new = NewUpload { id, user, filename, media_type, sha256: &[7; 32], content: b"more" };
        ours.upload_put(new, None).await.expect("the database answers").is_some().then_some(id)
    };
    let large = put(world.acme.user).await.expect("there is room");
    let grow =
        format!("UPDATE headwater.artifacts SET size_bytes = {} WHERE artifact_id = '{}'", 64 << 20, large.uuid());
    admin.execute(&grow).await.expect("the superuser fills it");
    assert!(put(world.acme.user).await.is_none());
    assert!(put(world.acme.other).await.is_some(), "another user has room of its own");
    world.storage().uploads_forget(&[large, used]).await.expect("forgets");
    assert_eq!((there(large).await, there(used).await), (false, true), "what is shown stays");
    assert!(put(world.acme.user).await.is_some());
    // And no other user's message may show it.
    let mut new = new_run(&world.acme, None);
    new.user = world.acme.other;
    new.params.artifacts = vec![used.uuid()];
    let created = world.creator.create(new).await.expect("the worker answers");
    assert!(matches!(&created, Created::Refused { reason, .. } if reason == "artifact_gone"), "{created:?}");
}
