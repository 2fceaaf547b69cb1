//! Artifacts: whose they are, how they are read, and how much of them there may be.

use headwater_protocol::api::MAX_ARTIFACTS_BYTES;
use headwater_protocol::{ArtifactId, CallId, Scope};
use headwater_store::UserScopedStorage;
use headwater_store::scoped::NewArtifact;

use crate::support::{Owned, World, tenant};

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
        MAX_ARTIFACTS_BYTES - 2,
        id.uuid()
    );
    world.database.admin().await.execute(&full).await.expect("the superuser fills it");
    assert!(!put(&ours, &run, b"xxx").await.1, "there is room for two bytes");
    assert!(put(&ours, &run, b"xx").await.1);
    assert!(put(&other, &theirs, b"xxx").await.1, "another tenant has its own room");
}
