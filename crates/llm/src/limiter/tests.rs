use futures_util::FutureExt;
use headwater_protocol::api::Priority;
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
        priority: Priority::Interactive,
        weight: 1,
        cancel: CancellationToken::new(),
        prices: Default::default(),
        keys: Default::default(),
        ledger: std::sync::Arc::new(crate::OpenLedger),
    }
}

/// As long as it takes.
const EVER: Duration = Duration::from_secs(3600);

fn limiter(limit: usize, per_tenant: usize, in_all: usize) -> ConcurrencyLimiter {
    ConcurrencyLimiter::new(limit, QueueBounds { per_tenant, in_all })
}

fn permit(limiter: &ConcurrencyLimiter, ctx: &CallContext) -> Permit {
    match limiter.enter(ctx, 10, EVER).expect("there is room") {
        Entry::Granted(permit) => permit,
        Entry::Waiting(_) => panic!("a place is free"),
    }
}

fn waiting(limiter: &ConcurrencyLimiter, ctx: &CallContext) -> Ticket {
    match limiter.enter(ctx, 10, EVER).expect("there is room in the queue") {
        Entry::Granted(_) => panic!("all places are taken"),
        Entry::Waiting(ticket) => ticket,
    }
}

fn now_granted(ticket: &mut Ticket) -> Option<Permit> {
    ticket.now_or_never().map(|granted| granted.expect("nobody is turned away"))
}

#[test]
fn a_tenant_that_floods_gets_every_other_turn() {
    let limiter = limiter(1, 100, 100);
    let (loud, quiet) = (of(TenantId::new()), of(TenantId::new()));
    let mut held = Some(permit(&limiter, &loud));
    let mut tickets: Vec<(&str, Ticket)> = (0..10).map(|_| ("loud", waiting(&limiter, &loud))).collect();
    tickets.extend((0..2).map(|_| ("quiet", waiting(&limiter, &quiet))));
    assert_eq!(tickets[9].1.standing().expect("it waits").position, 12, "both calls of the quiet tenant go first");
    assert_eq!(tickets[10].1.standing().expect("it waits").position, 1, "the loud one has just been served");

    let mut order = Vec::new();
    while limiter.waiting() > 0 {
        drop(held.take());
        let at = tickets.iter_mut().position(|(_, ticket)| match now_granted(ticket) {
            Some(next) => held.replace(next).is_none(),
            None => false,
        });
        order.push(tickets.remove(at.expect("a permit that came back went to somebody")).0);
    }
    assert_eq!(order[..5], ["quiet", "loud", "quiet", "loud", "loud"]);
    assert_eq!(order.len(), 12);
    drop(held);
    assert_eq!((limiter.in_use(), limiter.waiting()), (0, 0));
}

#[test]
fn places_come_back_wherever_a_caller_goes_away() {
    let limiter = limiter(1, 100, 100);
    let ctx = of(TenantId::new());
    let held = permit(&limiter, &ctx);
    let leaves_early = waiting(&limiter, &ctx);
    let leaves_granted = waiting(&limiter, &ctx);
    let mut stays = waiting(&limiter, &ctx);
    drop(leaves_early);
    assert_eq!(limiter.waiting(), 2);
    drop(held);
    // The permit was sent to it, and it never looked.
    drop(leaves_granted);
    let held = now_granted(&mut stays).expect("the permit went on");
    assert_eq!((limiter.in_use(), limiter.waiting()), (1, 0));
    drop(held);
    assert_eq!(limiter.in_use(), 0);
}

#[test]
fn the_queue_is_bounded_for_each_tenant_and_in_all() {
    let limiter = limiter(1, 2, 3);
    let (one, other) = (of(TenantId::new()), of(TenantId::new()));
    let _held = permit(&limiter, &one);
    let mut first = waiting(&limiter, &one);
    let mut second = waiting(&limiter, &one);
    let refused = limiter.enter(&one, 10, EVER).expect_err("its queue is full");
    assert_eq!(refused.problem(5).code, ErrorCode::CapacityExceeded);
    assert!(refused.problem(5).extra.contains_key("wait_ms"));
    let _third = waiting(&limiter, &other);
    let _fourth = waiting(&limiter, &of(TenantId::new()));
    let evicted = (&mut second).now_or_never().expect("the last of the longest queue makes room");
    assert!(matches!(evicted, Err(Turned::Full(_))));
    assert!((&mut first).now_or_never().is_none());
    assert!(matches!(limiter.enter(&one, 10, EVER), Err(Turned::Full(_))), "nobody has more than one waiting");
    assert_eq!(limiter.waiting(), 3);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_stay_puts_nobody_out() {
    let limiter = limiter(1, 10, 2);
    let (loud, hasty) = (of(TenantId::new()), of(TenantId::new()));
    let mut held = permit(&limiter, &loud);
    held.answered(None);
    tokio::time::advance(Duration::from_secs(10)).await;
    drop(held);
    let _held = permit(&limiter, &loud);
    let mut waits: Vec<_> = (0..2).map(|_| waiting(&limiter, &loud)).collect();
    let turned = limiter.enter(&hasty, 10, Duration::from_millis(1)).expect_err("it would not wait so long");
    assert!(matches!(turned, Turned::TooLate(_)));
    assert!(waits.iter_mut().all(|ticket| ticket.now_or_never().is_none()), "both still wait");
    let _stays = waiting(&limiter, &hasty);
    assert!((&mut waits[1]).now_or_never().is_some(), "now the last one makes room");
}

#[test]
fn what_came_to_nothing_costs_no_turn() {
    let limiter = limiter(1, 10, 10);
    let (busy, other) = (of(TenantId::new()), of(TenantId::new()));
    for _ in 0..100 {
        drop(permit(&limiter, &busy));
    }
    let _held = permit(&limiter, &other);
    let first = waiting(&limiter, &busy);
    let second = waiting(&limiter, &other);
    assert_eq!((first.standing().expect("it waits").position, second.standing().expect("it waits").position), (1, 2));
}

#[test]
fn without_a_limit_nothing_waits() {
    let limiter = limiter(0, 0, 0);
    let ctx = of(TenantId::new());
    let permits: Vec<_> = (0..1000).map(|_| permit(&limiter, &ctx)).collect();
    assert_eq!((permits.len(), limiter.in_use()), (1000, 1000));
    drop(permits);
    assert_eq!(limiter.in_use(), 0);
}

#[tokio::test(start_paused = true)]
async fn waits_are_predicted_and_who_would_wait_too_long_is_told_at_once() {
    let limiter = limiter(2, 100, 100);
    let ctx = of(TenantId::new());
    for _ in 0..2 {
        let mut held = permit(&limiter, &ctx);
        held.answered(None);
        tokio::time::advance(Duration::from_millis(800)).await;
        drop(held);
    }
    let _held: Vec<_> = (0..2).map(|_| permit(&limiter, &ctx)).collect();
    let tickets: Vec<_> = (0..3).map(|_| waiting(&limiter, &ctx)).collect();
    let told: Vec<_> = tickets.iter().filter_map(Ticket::standing).map(|told| (told.position, told.wait_ms)).collect();
    assert_eq!(told, [(1, 400), (2, 800), (3, 1200)]);
    let late = limiter.enter(&ctx, 10, Duration::from_millis(1599)).expect_err("it would begin after 1600 ms");
    assert_eq!(late, Turned::TooLate(Duration::from_millis(1600)));
    assert_eq!(limiter.waiting(), 3);
    assert_eq!(limiter.predicted(ctx.tenant), Duration::from_millis(1600));
    assert_eq!(limiter.predicted(TenantId::new()), Duration::from_millis(400), "another tenant's turn comes first");
}

/// Others may come later and go first: what waits turn out to be is learnt.
#[tokio::test(start_paused = true)]
async fn predictions_follow_what_waits_turn_out_to_be() {
    let limiter = limiter(1, 1000, 1000);
    let (loud, quiet) = (of(TenantId::new()), of(TenantId::new()));
    let mut held = permit(&limiter, &loud);
    let mut tickets = std::collections::VecDeque::new();
    let mut quiets = std::collections::VecDeque::new();
    for round in 0..400 {
        // Every second turn goes to somebody who has just come, and was not there when others looked.
        while tickets.len() < 8 {
            tickets.push_back(waiting(&limiter, &loud));
        }
        held.answered(None);
        tokio::time::advance(Duration::from_secs(1)).await;
        if round % 2 == 0 {
            quiets.push_back(waiting(&limiter, &quiet));
        }
        drop(held);
        held = match quiets.front_mut().and_then(now_granted) {
            Some(granted) => {
                quiets.pop_front();
                granted
            }
            None => {
                let granted =
                    tickets.front_mut().and_then(now_granted).unwrap_or_else(|| panic!("{round}: nobody is next"));
                tickets.pop_front();
                granted
            }
        };
    }
    let last = tickets.back().expect("eight wait").standing().expect("it waits");
    assert!((11_000..=20_000).contains(&last.wait_ms), "eight of theirs, and others in between: {last:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_holds_everybody_back_until_the_hint_has_passed() {
    let limiter = limiter(4, 100, 100);
    let ctx = of(TenantId::new());
    permit(&limiter, &ctx).refused(Some(Duration::from_secs(2)));
    let mut ticket = waiting(&limiter, &ctx);
    let standing = ticket.standing().expect("it waits");
    assert_eq!((standing.position, standing.paused), (1, Some(Duration::from_secs(2))));
    let until = ticket.paused_until().expect("it is paused");
    limiter.nudge();
    assert!(now_granted(&mut ticket).is_none());
    tokio::time::sleep_until(until).await;
    assert_eq!(ticket.paused_until(), None);
    limiter.nudge();
    assert!(now_granted(&mut ticket).is_some());
}

#[test]
fn for_a_provider_that_is_down_nobody_waits() {
    let failures = breaker::FAILURES as usize;
    let limiter = limiter(failures, 100, 100);
    let ctxs: Vec<_> = (0..failures).map(|_| of(TenantId::new())).collect();
    let held: Vec<_> = ctxs.iter().map(|ctx| permit(&limiter, ctx)).collect();
    held.into_iter().skip(1).for_each(Permit::failed);
    let mut held: Vec<_> = ctxs.iter().map(|ctx| permit(&limiter, ctx)).collect();
    let mut waits = waiting(&limiter, &ctxs[0]);
    held.pop().expect("several").failed();
    let turned = (&mut waits).now_or_never().expect("it does not wait for what is down");
    assert!(matches!(turned, Err(Turned::Down(_))));
    let turned = limiter.enter(&of(TenantId::new()), 10, EVER).expect_err("it is left alone");
    assert_eq!(turned.problem(0).code, ErrorCode::ProviderUnavailable);
    drop(held);
    assert_eq!((limiter.in_use(), limiter.waiting()), (0, 0));
}

/// Whoever is sent to find out and is told that it is too much has found out that the provider is there.
#[tokio::test(start_paused = true)]
async fn one_that_is_sent_to_find_out_and_refused_opens_the_door_and_waits_like_all_others() {
    let limiter = limiter(8, 100, 100);
    let ctxs: Vec<_> = (0..breaker::FAILURES).map(|_| of(TenantId::new())).collect();
    ctxs.iter().for_each(|ctx| permit(&limiter, ctx).failed());
    assert!(matches!(limiter.enter(&ctxs[0], 10, EVER), Err(Turned::Down(_))));
    tokio::time::advance(Duration::from_secs(2)).await;
    let probe = permit(&limiter, &ctxs[0]);
    assert!(matches!(limiter.enter(&ctxs[1], 10, EVER), Err(Turned::Down(_))), "one is enough to find out");
    probe.refused(Some(Duration::from_secs(3)));
    for ctx in &ctxs {
        assert_eq!(waiting(&limiter, ctx).standing().expect("it waits").paused, Some(Duration::from_secs(3)));
    }
    tokio::time::advance(Duration::from_secs(3)).await;
    let _held: Vec<_> = ctxs.iter().map(|ctx| permit(&limiter, ctx)).collect();
}

#[test]
fn what_is_in_flight_and_what_waits_come_out_even_whatever_happens() {
    use std::collections::VecDeque;
    let mut rng = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: u64| {
        rng ^= rng << 13;
        rng ^= rng >> 7;
        rng ^= rng << 17;
        rng % below
    };
    let limiter = limiter(4, 10, 20);
    let ctxs: Vec<_> = (0..5).map(|_| of(TenantId::new())).collect();
    let (mut held, mut tickets) = (VecDeque::new(), VecDeque::new());
    for _ in 0..20_000 {
        match random(8) {
            0..=2 => match limiter.enter(&ctxs[random(5) as usize], random(50), EVER) {
                Ok(Entry::Granted(permit)) => held.push_back(permit),
                Ok(Entry::Waiting(ticket)) => tickets.push_back(ticket),
                Err(Turned::Full(_) | Turned::TooLate(_)) => {}
                Err(Turned::Down(_)) => {}
            },
            3 => drop(held.pop_front()),
            4 => {
                if let Some(mut permit) = held.pop_back() {
                    permit.answered(None);
                    permit.first_token(Duration::from_millis(random(100)));
                    permit.spent(random(100), random(2) == 0);
                    held.push_front(permit);
                }
            }
            5 => drop(tickets.pop_back()),
            6 => {
                if let Some(permit) = held.pop_front() {
                    if random(2) == 0 { permit.refused(Some(Duration::ZERO)) } else { permit.failed() }
                }
            }
            _ => {
                let mut still = VecDeque::new();
                for mut ticket in tickets.drain(..) {
                    match (&mut ticket).now_or_never() {
                        Some(Ok(permit)) => held.push_back(permit),
                        Some(Err(_)) => {}
                        None => still.push_back(ticket),
                    }
                }
                tickets = still;
            }
        }
        assert!(limiter.in_use() <= 4 && limiter.waiting() <= 20);
    }
    drop(tickets);
    drop(held);
    let state = limiter.state();
    assert_eq!((state.in_use, state.waiting), (0, 0));
    assert_eq!(limiter.0.lock().answering, 0);
    limiter.nudge();
    assert_eq!(limiter.0.lock().queue.tenants_waiting(), 0);
}
