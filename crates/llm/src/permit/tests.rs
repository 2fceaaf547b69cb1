use futures_util::FutureExt;
use headwater_protocol::{AgentId, RunId, UserId};
use tokio_util::sync::CancellationToken;

use super::*;

pub(crate) fn of(tenant: TenantId) -> CallContext {
    CallContext {
        tenant,
        user: UserId::new(),
        agent: AgentId::new(),
        run: RunId::new(),
        step: 1,
        cancel: CancellationToken::new(),
        keys: Default::default(),
        ledger: std::sync::Arc::new(crate::OpenLedger),
    }
}

fn granted(entry: Entry) -> Permit {
    match entry {
        Entry::Granted(permit) => permit,
        Entry::Waiting(_) => panic!("a place is free"),
    }
}

fn waiting(limiter: &ConcurrencyLimiter, ctx: &CallContext) -> Ticket {
    match limiter.enter(ctx, None).expect("there is room in the queue") {
        Entry::Granted(_) => panic!("all places are taken"),
        Entry::Waiting(ticket) => ticket,
    }
}

#[test]
fn a_tenant_that_floods_gets_every_other_turn() {
    let limiter = ConcurrencyLimiter::new(1, 100);
    let (loud, quiet) = (of(TenantId::new()), of(TenantId::new()));
    let mut permit = Some(granted(limiter.enter(&loud, None).expect("room")));
    let mut tickets: Vec<(&str, Ticket)> = (0..10).map(|_| ("loud", waiting(&limiter, &loud))).collect();
    tickets.extend((0..2).map(|_| ("quiet", waiting(&limiter, &quiet))));
    assert_eq!(tickets[9].1.place().0, 12, "both calls of the quiet tenant go first");
    assert_eq!(tickets[10].1.place().0, 2);
    assert_eq!(tickets[11].1.place().0, 4);

    let mut order = Vec::new();
    while limiter.waiting() > 0 {
        drop(permit.take());
        let at = tickets.iter_mut().position(|(_, ticket)| match ticket.now_or_never() {
            Some(next) => permit.replace(next).is_none(),
            None => false,
        });
        order.push(tickets.remove(at.expect("a permit that came back went to somebody")).0);
    }
    assert_eq!(order[..5], ["loud", "quiet", "loud", "quiet", "loud"]);
    assert_eq!(order.len(), 12);
    drop(permit);
    assert_eq!((limiter.in_use(), limiter.waiting()), (0, 0));
}

#[test]
fn a_tenants_own_calls_keep_their_order() {
    let limiter = ConcurrencyLimiter::new(1, 100);
    let ctx = of(TenantId::new());
    let first = granted(limiter.enter(&ctx, None).expect("room"));
    let mut second = waiting(&limiter, &ctx);
    let mut third = waiting(&limiter, &ctx);
    drop(first);
    assert!((&mut third).now_or_never().is_none());
    let second = (&mut second).now_or_never().expect("it was next");
    drop(second);
    assert!((&mut third).now_or_never().is_some());
}

#[test]
fn places_come_back_wherever_a_caller_goes_away() {
    let limiter = ConcurrencyLimiter::new(1, 100);
    let ctx = of(TenantId::new());
    let permit = granted(limiter.enter(&ctx, None).expect("room"));
    let leaves_early = waiting(&limiter, &ctx);
    let leaves_granted = waiting(&limiter, &ctx);
    let mut stays = waiting(&limiter, &ctx);
    drop(leaves_early);
    assert_eq!(limiter.waiting(), 2);
    drop(permit);
    // The permit was sent to it, and it never looked.
    drop(leaves_granted);
    let permit = (&mut stays).now_or_never().expect("the permit went on");
    assert_eq!((limiter.in_use(), limiter.waiting()), (1, 0));
    drop(permit);
    assert_eq!(limiter.in_use(), 0);
}

#[test]
fn the_queue_of_each_tenant_is_bounded() {
    let limiter = ConcurrencyLimiter::new(1, 1);
    let (one, other) = (of(TenantId::new()), of(TenantId::new()));
    let _permit = granted(limiter.enter(&one, None).expect("room"));
    let _waits = waiting(&limiter, &one);
    let refused = limiter.enter(&one, None).expect_err("its queue is full");
    assert_eq!(refused.code, ErrorCode::CapacityExceeded);
    assert!(refused.extra.contains_key("wait_ms"));
    let _also_waits = waiting(&limiter, &other);
}

#[test]
fn without_a_limit_nothing_waits() {
    let limiter = ConcurrencyLimiter::new(0, 0);
    let ctx = of(TenantId::new());
    let permits: Vec<_> = (0..1000).map(|_| granted(limiter.enter(&ctx, None).expect("no limit"))).collect();
    assert_eq!((permits.len(), limiter.in_use()), (1000, 0));
}

#[tokio::test(start_paused = true)]
async fn waits_are_predicted_from_how_long_permits_are_held() {
    let limiter = ConcurrencyLimiter::new(2, 100);
    let ctx = of(TenantId::new());
    for _ in 0..2 {
        let permit = granted(limiter.enter(&ctx, None).expect("room"));
        tokio::time::advance(Duration::from_millis(800)).await;
        drop(permit);
    }
    let _permits: Vec<_> = (0..2).map(|_| granted(limiter.enter(&ctx, None).expect("room"))).collect();
    let tickets: Vec<_> = (0..3).map(|_| waiting(&limiter, &ctx)).collect();
    assert_eq!(tickets.iter().map(Ticket::place).collect::<Vec<_>>(), [(1, 400), (2, 800), (3, 1200)]);
}

#[tokio::test]
async fn acquire_waits_for_its_turn() {
    let limiter = ConcurrencyLimiter::new(1, 100);
    let ctx = of(TenantId::new());
    let permit = limiter.acquire(&ctx, Some(Money(1))).await.expect("room");
    let mut next = std::pin::pin!(limiter.acquire(&ctx, None));
    assert!(next.as_mut().now_or_never().is_none());
    drop(permit);
    let permit = next.await.expect("its turn");
    assert_eq!(limiter.in_use(), 1);
    drop(permit);
}
