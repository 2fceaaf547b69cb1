//! The fence: a paused owner and its successor never both write, and nobody takes a run away from under a flush in flight.
//!
//! Two things hold the fence up: the lock on the owner's replica row, and the comparison of owner and token under the
//! lock of the run's own row. Each contest is fought with the function as it is and with one or both of them cut out, so
//! that it is known what each of them is for, and that the contest can be lost.

use headwater_protocol::ReplicaId;
use headwater_store::admin::Admin;
use headwater_store::commit::LeaseToken;

use crate::support::{NO_LEASE_MS, Owned, World, begin, register, until_waiting};

/// What is left of `append_events`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fence {
    Whole,
    /// Without the lock on the owner's replica row.
    NoReplicaLock,
    /// Owner and token are compared before the write, and not again in it: an epoch check.
    NoRowCheck,
    Neither,
    /// An epoch check without any lock, though the log's end is still compared in the write.
    EpochAlone,
}

/// Who takes the run away.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rival {
    Claim,
    Cancel,
    Purge,
}

/// Where the owner pauses.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pause {
    /// Between its look at the run and its write.
    BeforeWriting,
    /// Between its write and the end of its transaction.
    BeforeTheEnd,
}

/// How the owner's transaction ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ends {
    Commits,
    RollsBack,
}

/// What happened.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// The rival was done while the owner's transaction was still open.
    overtook: bool,
    /// What the owner was told of its event.
    owner: String,
    /// What the rival was told of its own, at the same place in the log.
    rival: Option<String>,
    /// What the owner was told when it tried once more after all this.
    zombie: String,
    /// Who wrote what into the log, after the two events of the run's beginning.
    log: Vec<String>,
}

impl Outcome {
    fn new(overtook: bool, owner: &str, rival: Option<&str>, zombie: &str, log: &[&str]) -> Self {
        Self {
            overtook,
            owner: owner.into(),
            rival: rival.map(str::to_owned),
            zombie: zombie.into(),
            log: log.iter().map(|text| (*text).to_owned()).collect(),
        }
    }
}

/// The advisory lock that the test holds to make the owner pause.
const PAUSE: &str = "724601";

/// The function's source, less what is to be cut out, with statements added between its look and its write, and between
/// its write and its end.
pub(crate) async fn source_of(admin: &Admin, fence: Fence, before_writing: &str, before_the_end: &str) -> String {
    let source = admin.value("SELECT pg_get_functiondef('headwater.append_events'::regproc)").await;
    let mut source = source.expect("asks").expect("the function's source");
    let mut cut = |from: &str, to: &str| {
        assert_eq!(source.matches(from).count(), 1, "the function has changed: {from}");
        source = source.replace(from, to);
    };
    if matches!(fence, Fence::NoReplicaLock | Fence::Neither | Fence::EpochAlone) {
        cut(" FOR KEY SHARE;", ";");
    }
    let mut look = "";
    if fence == Fence::EpochAlone {
        cut("AND r.owner = p_replica AND r.lease_token = g.token", "AND v_fits");
        cut("v_verdicts text[];", "v_verdicts text[]; v_fits boolean;");
        look = "SELECT r.owner = p_replica AND r.lease_token = p_tokens[1] INTO v_fits
                FROM headwater.runs r WHERE r.tenant_id = p_tenants[1] AND r.run_id = p_runs[1];";
    }
    if matches!(fence, Fence::NoRowCheck | Fence::Neither) {
        cut("AND r.owner = p_replica AND r.lease_token = g.token", "AND v_fits");
        cut("AND r.tail = g.seq_from - 1", "");
        cut("v_verdicts text[];", "v_verdicts text[]; v_fits boolean;");
        look = "SELECT r.owner = p_replica AND r.lease_token = p_tokens[1] AND r.tail = p_from[1] - 1 INTO v_fits
                FROM headwater.runs r WHERE r.tenant_id = p_tenants[1] AND r.run_id = p_runs[1];";
    }
    cut("WITH moved AS (", &format!("{look} {before_writing} WITH moved AS ("));
    let written = "IF array_length(v_written, 1) = v_count THEN";
    cut(written, &format!("{before_the_end} {written}"));
    source
}

/// Replaces the function by one that pauses, less what is to be cut out.
async fn install(admin: &Admin, fence: Fence, pause: Pause) {
    let wait = format!("PERFORM pg_advisory_xact_lock_shared({PAUSE});");
    let source = match pause {
        Pause::BeforeWriting => source_of(admin, fence, &wait, "").await,
        Pause::BeforeTheEnd => source_of(admin, fence, "", &wait).await,
    };
    admin.execute(&source).await.expect("replaces the function");
}

pub(crate) fn append(replica: ReplicaId, owned: &Owned, token: LeaseToken, seq: u64, text: &str) -> String {
    format!(
        "SELECT (headwater.append_events('{}', ARRAY['{}'::uuid], ARRAY['{}'::uuid], ARRAY['{}'::uuid], ARRAY[{seq}::bigint],
             ARRAY[{seq}::bigint], ARRAY['{}']))[1]",
        replica.0,
        owned.tenant.uuid(),
        owned.run.uuid(),
        token.0,
        owned.segment(seq, seq, text),
    )
}

async fn contest(fence: Fence, pause: Pause, rival: Rival, ends: Ends) -> Outcome {
    let world = World::new().await;
    let (run, replica, scope) = (world.run().await, world.replica, world.acme.scope());
    let (admin, holder) = (world.database.admin().await, world.database.admin().await);
    let (owner, other) = (world.database.app().await, world.database.app().await);
    install(&admin, fence, pause).await;
    let successor = register(&world.unscoped()).await;
    // The owner has been away for so long that its lease is over.
    world.expire(replica).await;

    holder.execute(&format!("SELECT pg_advisory_lock({PAUSE})")).await.expect("holds the owner up");
    begin(&owner, scope).await;
    let sql = append(replica, &run, run.token, 3, "owner");
    let appending = async {
        let verdict = owner.value(&sql).await.expect("the function never raises").expect("a verdict");
        let end = if ends == Ends::Commits { "COMMIT" } else { "ROLLBACK" };
        owner.execute(end).await.expect("ends");
        verdict
    };
    let token = LeaseToken::new();
    let take = match rival {
        Rival::Claim => {
            format!("SELECT run_id || ' ' || token FROM headwater.claim_runs('{}', {NO_LEASE_MS}, 10)", successor.0)
        }
        Rival::Cancel => {
            format!("SELECT headwater.cancel_run('{}', '{}', '{}', NULL)", successor.0, run.run.uuid(), token.0)
        }
        Rival::Purge => format!("SELECT headwater.purge_thread('{}')", run.thread.uuid()),
    };
    let take = async || {
        begin(&other, scope).await;
        let answer = other.value(&take).await.expect("takes");
        other.execute("COMMIT").await.expect("commits");
        answer
    };
    // While the owner is held up, the rival either gets through, finds nothing to take, or waits as well.
    let going_on = async {
        until_waiting(&admin, 1).await;
        let mut taking = std::pin::pin!(take());
        let early = tokio::select! {
            answer = &mut taking => Some(answer),
            () = until_waiting(&admin, 2) => None,
        };
        holder.execute(&format!("SELECT pg_advisory_unlock({PAUSE})")).await.expect("lets the owner go on");
        match early {
            Some(answer) => (answer.is_some(), answer),
            None => (false, taking.await),
        }
    };
    let (verdict, (overtook, mut taken)) = tokio::join!(appending, going_on);
    if taken.is_none() {
        taken = take().await;
    }

    let token = match (rival, taken.as_deref().and_then(|taken| taken.split_once(' '))) {
        (Rival::Claim, Some((_, token))) => LeaseToken(token.parse().expect("a token")),
        _ => token,
    };
    // The successor goes on after what it finds in the log, as every new owner does.
    let tail = world.value(&format!("SELECT tail FROM headwater.runs WHERE run_id = '{}'", run.run.uuid())).await;
    let (mut answer, mut next) = (None, 4);
    if let Some(tail) = tail {
        // Had it taken over before the owner's write, it would have found the log as it was.
        let seq = if overtook { 3 } else { tail.parse::<u64>().expect("a number") + 1 };
        answer = other.value(&append(successor, &run, token, seq, "rival")).await.expect("appends");
        next = seq + 1;
    }
    let zombie =
        owner.value(&append(replica, &run, run.token, next, "zombie")).await.expect("asks").expect("a verdict");
    let rows = format!("SELECT events FROM headwater.run_events WHERE run_id = '{}' ORDER BY seq_from", run.run.uuid());
    let log = admin.rows(&rows).await.expect("reads the log");
    let texts = log.iter().filter_map(|row| row[0].as_deref()?.split("\"text\":\"").nth(1)?.split('"').next());
    Outcome { overtook, owner: verdict, rival: answer, zombie, log: texts.map(str::to_owned).collect() }
}

const PAUSES: [Pause; 2] = [Pause::BeforeWriting, Pause::BeforeTheEnd];
const RIVALS: [Rival; 2] = [Rival::Claim, Rival::Cancel];

#[tokio::test]
async fn whoever_takes_a_run_over_waits_for_the_flush_in_flight() {
    for (pause, rival) in PAUSES.into_iter().flat_map(|pause| RIVALS.map(|rival| (pause, rival))) {
        let committed = contest(Fence::Whole, pause, rival, Ends::Commits).await;
        let rolled_back = contest(Fence::Whole, pause, rival, Ends::RollsBack).await;
        let (expected, expected_back) = if (pause, rival) == (Pause::BeforeWriting, Rival::Cancel) {
            // A cancel takes the row of the run alone: it need not wait for an owner that has written nothing yet, and
            // that owner then finds the run taken.
            let overtaken = || Outcome::new(true, "stale", Some("ok"), "stale", &["rival"]);
            (overtaken(), overtaken())
        } else {
            let waited = |log: &[&str]| Outcome::new(false, "ok", Some("ok"), "stale", log);
            (waited(&["owner", "rival"]), waited(&["rival"]))
        };
        assert_eq!(committed, expected, "{pause:?} {rival:?}");
        assert_eq!(rolled_back, expected_back, "{pause:?} {rival:?}");
    }
}

#[tokio::test]
async fn without_the_lock_on_the_replica_nobody_waits() {
    for rival in RIVALS {
        let outcome = contest(Fence::NoReplicaLock, Pause::BeforeWriting, rival, Ends::Commits).await;
        // The lock of the run's row still keeps the two apart.
        assert_eq!(outcome, Outcome::new(true, "stale", Some("ok"), "stale", &["rival"]), "{rival:?}");
    }
}

#[tokio::test]
async fn the_lock_on_the_replica_fences_alone() {
    // Against a claim; a cancel leaves that row alone and relies on the run's own.
    for pause in PAUSES {
        let outcome = contest(Fence::NoRowCheck, pause, Rival::Claim, Ends::Commits).await;
        assert_eq!(outcome, Outcome::new(false, "ok", Some("ok"), "stale", &["owner", "rival"]), "{pause:?}");
    }
}

#[tokio::test]
async fn without_both_a_run_has_two_appenders() {
    for rival in RIVALS {
        let outcome = contest(Fence::Neither, Pause::BeforeWriting, rival, Ends::Commits).await;
        assert!(
            outcome.overtook && outcome.owner == "ok",
            "the old owner wrote after it had been replaced: {outcome:?}"
        );
        assert_eq!(outcome.rival.as_deref(), Some("stale"), "and so the new one cannot: {outcome:?}");
    }
}

#[tokio::test]
async fn a_purge_leaves_nothing_of_a_flush_in_flight() {
    let overtaken = contest(Fence::Whole, Pause::BeforeWriting, Rival::Purge, Ends::Commits).await;
    assert_eq!(overtaken, Outcome::new(true, "gone", None, "gone", &[]));
    let waited_for = contest(Fence::Whole, Pause::BeforeTheEnd, Rival::Purge, Ends::Commits).await;
    assert_eq!(waited_for, Outcome::new(false, "ok", None, "gone", &[]));
}
