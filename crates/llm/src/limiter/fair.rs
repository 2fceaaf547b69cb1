//! Whose turn it is: start-time fair queueing between tenants, and between the users of each.
//!
//! Owns [`FairQueue`]: who waits, in what order they go, and how many go before whom. Promises that whoever waits all the
//! time gets a share by weight of what is served, counted in what it costs and not in calls; that a newcomer need not make
//! up for what others had before; and that a tenant's background calls wait for its interactive ones but never for, nor
//! before, another tenant's. Knows no clock, no lock and no task.
//!
//! The tags are those of Goyal, Vin and Cheng, "Start-time Fair Queueing" (SIGCOMM 1996): a flow that is served begins where
//! it had got to, or where the flow served last began, whichever is later; and ends its cost divided by its weight later.
//! Who begins first goes first. What a call costs has to be known only once it goes, so one level can hold another.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;

use headwater_protocol::api::Priority;
use headwater_protocol::{TenantId, UserId};

/// What a cost is multiplied with before it is divided by a weight, so that little is lost.
const PRECISION: u128 = 1 << 20;

/// Below this many flows nobody is forgotten.
const KEPT_FLOWS: usize = 64;
/// Of so many flows of which nothing waits it is remembered how far they have got.
const KEPT_IDLE: usize = 1024;

/// In whose name something waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Payer {
    pub(super) tenant: TenantId,
    pub(super) user: UserId,
    pub(super) priority: Priority,
    /// The tenant's share beside others', at least 1.
    pub(super) weight: u32,
}

/// Everything that waits for the same thing.
#[derive(Debug)]
pub(super) struct FairQueue<T> {
    tenants: Level<TenantId, Users<T>>,
    len: usize,
    next_number: u64,
}

/// One tenant's users, twice: who talks to somebody now goes before what runs by itself.
#[derive(Debug)]
struct Users<T> {
    interactive: Level<UserId, VecDeque<Item<T>>>,
    background: Level<UserId, VecDeque<Item<T>>>,
}

#[derive(Debug)]
struct Item<T> {
    number: u64,
    cost: u64,
    value: T,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { tenants: Level::default(), len: 0, next_number: 0 }
    }
}

impl<T> Default for Users<T> {
    fn default() -> Self {
        Self { interactive: Level::default(), background: Level::default() }
    }
}

impl<T> Users<T> {
    fn of(&mut self, priority: Priority) -> &mut Level<UserId, VecDeque<Item<T>>> {
        match priority {
            Priority::Interactive => &mut self.interactive,
            Priority::Background => &mut self.background,
        }
    }

    fn waiting(&self) -> Waiting {
        self.interactive.waiting.and(self.background.waiting)
    }
}

impl<T> FairQueue<T> {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many tenants have something waiting.
    pub(super) fn tenants_waiting(&self) -> usize {
        self.tenants.ready.len()
    }

    /// Which tenants wait, with their weight and how much of each.
    pub(super) fn tenants(&self) -> impl Iterator<Item = (TenantId, u32, usize)> {
        let flows = self.tenants.flows.iter();
        flows.map(|(tenant, flow)| (*tenant, flow.weight, flow.queue.waiting().calls)).filter(|(.., calls)| *calls > 0)
    }

    /// How many of one tenant wait.
    pub(super) fn len_of(&self, tenant: TenantId) -> usize {
        self.tenants.flows.get(&tenant).map_or(0, |flow| flow.queue.waiting().calls)
    }

    /// Something is served without having waited: it counts like everything else.
    pub(super) fn charge(&mut self, payer: Payer, cost: u64) {
        self.tenants.charge(payer.tenant, payer.weight, cost);
        let level = self.tenants.flow(payer.tenant, payer.weight).queue.of(payer.priority);
        level.charge(payer.user, 1, cost);
        level.forget();
        self.tenants.forget();
    }

    /// What was served cost something else than was expected: whoever it was is served later, or sooner, for it.
    pub(super) fn correct(&mut self, payer: Payer, expected: u64, actual: u64) {
        self.tenants.correct(payer.tenant, expected, actual);
        if let Some(flow) = self.tenants.flows.get_mut(&payer.tenant) {
            flow.queue.of(payer.priority).correct(payer.user, expected, actual);
        }
    }

    /// Puts something at the end of its user's queue. The number names it.
    pub(super) fn push(&mut self, payer: Payer, cost: u64, value: T) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        let cost = cost.max(1);
        let users = &mut self.tenants.flow(payer.tenant, payer.weight).queue;
        let level = users.of(payer.priority);
        level.flow(payer.user, 1).queue.push_back(Item { number, cost, value });
        level.waits(payer.user, cost);
        self.tenants.waits(payer.tenant, cost);
        self.tenants.forget();
        self.len += 1;
        number
    }

    /// Takes whoever goes next.
    pub(super) fn pop(&mut self) -> Option<(Payer, u64, T)> {
        let tenant = self.tenants.first()?;
        let flow = self.tenants.flows.get_mut(&tenant)?;
        let weight = flow.weight;
        let priority =
            if flow.queue.interactive.waiting.calls > 0 { Priority::Interactive } else { Priority::Background };
        let level = flow.queue.of(priority);
        let user = level.first()?;
        let queue = &mut level.flows.get_mut(&user)?.queue;
        let item = queue.pop_front()?;
        let is_last = queue.is_empty();
        level.served(user, item.cost, is_last);
        level.forget();
        let is_last = flow.queue.waiting().calls == 0;
        self.tenants.served(tenant, item.cost, is_last);
        self.len -= 1;
        Some((Payer { tenant, user, priority, weight }, item.cost, item.value))
    }

    /// What waits under this number.
    pub(super) fn get_mut(&mut self, payer: Payer, number: u64) -> Option<&mut T> {
        let users = &mut self.tenants.flows.get_mut(&payer.tenant)?.queue;
        let queue = &mut users.of(payer.priority).flows.get_mut(&payer.user)?.queue;
        let at = queue.binary_search_by_key(&number, |item| item.number).ok()?;
        queue.get_mut(at).map(|item| &mut item.value)
    }

    /// Takes something out of the middle; `None` if it does not wait any more.
    pub(super) fn remove(&mut self, payer: Payer, number: u64) -> Option<T> {
        let users = &mut self.tenants.flows.get_mut(&payer.tenant)?.queue;
        let level = users.of(payer.priority);
        let queue = &mut level.flows.get_mut(&payer.user)?.queue;
        let at = queue.binary_search_by_key(&number, |item| item.number).ok()?;
        let item = queue.remove(at)?;
        let is_last = queue.is_empty();
        level.left(payer.user, item.cost, is_last);
        let is_last = users.waiting().calls == 0;
        self.tenants.left(payer.tenant, item.cost, is_last);
        self.len -= 1;
        Some(item.value)
    }

    /// Takes out whatever waits last in the longest queue of a tenant, of the user of it who has most waiting: background
    /// first. `None` when nobody has more waiting than `than`.
    pub(super) fn evict(&mut self, than: usize) -> Option<T> {
        let (&tenant, flow) = self.tenants.flows.iter_mut().max_by_key(|(_, flow)| flow.queue.waiting().calls)?;
        if flow.queue.waiting().calls <= than {
            return None;
        }
        let weight = flow.weight;
        let priority =
            if flow.queue.background.waiting.calls > 0 { Priority::Background } else { Priority::Interactive };
        let (&user, flow) = flow.queue.of(priority).flows.iter().max_by_key(|(_, flow)| flow.queue.len())?;
        let number = flow.queue.back()?.number;
        self.remove(Payer { tenant, user, priority, weight }, number)
    }

    /// Takes out everything, or everything of one tenant.
    pub(super) fn drain(&mut self, only: Option<TenantId>) -> Vec<T> {
        let mut taken = Vec::new();
        for (&tenant, flow) in &mut self.tenants.flows {
            if only.is_some_and(|only| only != tenant) || flow.queue.waiting().calls == 0 {
                continue;
            }
            let users = std::mem::take(&mut flow.queue);
            let flows = users.interactive.flows.into_values().chain(users.background.flows.into_values());
            taken.extend(flows.flat_map(|flow| flow.queue).map(|item| item.value));
            self.tenants.ready.remove(&(flow.start, flow.order));
            flow.waiting = Waiting::default();
        }
        self.len -= taken.len();
        self.tenants.waiting = Waiting::default();
        for flow in self.tenants.flows.values() {
            self.tenants.waiting = self.tenants.waiting.and(flow.waiting);
        }
        taken
    }

    /// How many go before this one, itself included, if nobody else comes and costs are as they are on average; `None` if
    /// it does not wait any more.
    pub(super) fn position(&self, payer: Payer, number: u64) -> Option<usize> {
        let users = &self.tenants.flows.get(&payer.tenant)?.queue;
        let (level, first) = match payer.priority {
            Priority::Interactive => (&users.interactive, Waiting::default()),
            Priority::Background => (&users.background, users.interactive.waiting),
        };
        let queue = &level.flows.get(&payer.user)?.queue;
        let at = queue.binary_search_by_key(&number, |item| item.number).ok()?;
        let mine = queue.iter().take(at).fold(Waiting::default(), |sum, item| sum.and(Waiting::one(item.cost)));
        let before = first.and(mine).and(level.ahead(payer.user, mine.cost));
        Some(before.calls + self.tenants.ahead(payer.tenant, before.cost).calls + 1)
    }

    /// Nothing waits and nothing is served: everybody is equal again.
    pub(super) fn reset(&mut self) {
        if self.len == 0 && !self.tenants.flows.is_empty() {
            self.tenants = Level::default();
        }
    }
}

/// How much waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Waiting {
    calls: usize,
    cost: u128,
}

impl Waiting {
    fn one(cost: u64) -> Self {
        Self { calls: 1, cost: cost.into() }
    }

    fn and(self, other: Self) -> Self {
        Self { calls: self.calls + other.calls, cost: self.cost + other.cost }
    }

    fn without(self, cost: u64) -> Self {
        Self { calls: self.calls.saturating_sub(1), cost: self.cost.saturating_sub(cost.into()) }
    }
}

/// Flows that share one thing by weight.
#[derive(Debug)]
struct Level<K, Q> {
    /// Where the flow that was served last began.
    now: u128,
    flows: HashMap<K, Flow<Q>>,
    /// Flows with something waiting, by where they begin; then by who came first.
    ready: BTreeMap<(u128, u64), K>,
    next_order: u64,
    waiting: Waiting,
    /// How many flows there were when somebody was last looked for who can be forgotten.
    looked_at: usize,
}

#[derive(Debug)]
struct Flow<Q> {
    weight: u32,
    /// Where it has got to.
    finish: u128,
    /// Its key in `ready` while something waits.
    start: u128,
    order: u64,
    waiting: Waiting,
    queue: Q,
}

impl<Q> Flow<Q> {
    fn length(&self, cost: u64) -> u128 {
        u128::from(cost.max(1)) * PRECISION / u128::from(self.weight)
    }
}

impl<K, Q> Default for Level<K, Q> {
    fn default() -> Self {
        Self {
            now: 0,
            flows: HashMap::new(),
            ready: BTreeMap::new(),
            next_order: 0,
            waiting: Waiting::default(),
            looked_at: KEPT_FLOWS,
        }
    }
}

impl<K: Copy + Eq + Hash, Q: Default> Level<K, Q> {
    fn flow(&mut self, key: K, weight: u32) -> &mut Flow<Q> {
        let flow = match self.flows.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Flow {
                weight,
                finish: 0,
                start: 0,
                order: 0,
                waiting: Waiting::default(),
                queue: Q::default(),
            }),
        };
        flow.weight = weight.max(1);
        flow
    }

    fn charge(&mut self, key: K, weight: u32, cost: u64) {
        let now = self.now;
        let flow = self.flow(key, weight);
        let start = now.max(flow.finish);
        flow.finish = start + flow.length(cost);
        self.now = start;
    }

    fn correct(&mut self, key: K, expected: u64, actual: u64) {
        let Some(flow) = self.flows.get_mut(&key) else { return };
        let (expected, actual) = (flow.length(expected), flow.length(actual));
        flow.finish = (flow.finish + actual).saturating_sub(expected);
        if flow.waiting.calls > 0 {
            // What waits begins where the flow has got to, but never in the past.
            self.ready.remove(&(flow.start, flow.order));
            flow.start = self.now.max(flow.finish);
            self.ready.insert((flow.start, flow.order), key);
        }
    }

    /// One more waits in a flow that exists.
    fn waits(&mut self, key: K, cost: u64) {
        let Some(flow) = self.flows.get_mut(&key) else { return };
        if flow.waiting.calls == 0 {
            flow.start = self.now.max(flow.finish);
            flow.order = self.next_order;
            self.next_order += 1;
            self.ready.insert((flow.start, flow.order), key);
        }
        flow.waiting = flow.waiting.and(Waiting::one(cost));
        self.waiting = self.waiting.and(Waiting::one(cost));
    }

    fn first(&self) -> Option<K> {
        self.ready.first_key_value().map(|(_, key)| *key)
    }

    /// One that waited is served.
    fn served(&mut self, key: K, cost: u64, is_last: bool) {
        let Some(flow) = self.flows.get_mut(&key) else { return };
        self.ready.remove(&(flow.start, flow.order));
        self.now = self.now.max(flow.start);
        flow.finish = flow.start + flow.length(cost);
        flow.waiting = flow.waiting.without(cost);
        self.waiting = self.waiting.without(cost);
        if !is_last {
            flow.start = flow.finish;
            flow.order = self.next_order;
            self.next_order += 1;
            self.ready.insert((flow.start, flow.order), key);
        }
    }

    /// One that waited does not wait any more.
    fn left(&mut self, key: K, cost: u64, is_last: bool) {
        let Some(flow) = self.flows.get_mut(&key) else { return };
        flow.waiting = flow.waiting.without(cost);
        self.waiting = self.waiting.without(cost);
        if is_last {
            self.ready.remove(&(flow.start, flow.order));
        }
    }

    /// What other flows are served before this one has been served so much of what waits in it.
    fn ahead(&self, key: K, cost: u128) -> Waiting {
        let Some(flow) = self.flows.get(&key) else { return Waiting::default() };
        let begins = flow.start + cost * PRECISION / u128::from(flow.weight);
        let mut ahead = Waiting::default();
        for (&(start, order), other) in self.ready.range(..=(begins, u64::MAX)) {
            if *other == key || (start == begins && order > flow.order) {
                continue;
            }
            let Some(other) = self.flows.get(other) else { continue };
            let average = (other.waiting.cost / (other.waiting.calls.max(1) as u128)).max(1);
            let each = (average * PRECISION / u128::from(other.weight)).max(1);
            let turns = usize::try_from((begins - start) / each + 1).unwrap_or(usize::MAX);
            let calls = turns.min(other.waiting.calls);
            ahead = ahead.and(Waiting { calls, cost: average * calls as u128 });
        }
        ahead
    }

    /// Forgets flows of which nothing waits and that have had no more than others, now and then; and of too many of them
    /// those that have had least.
    fn forget(&mut self) {
        if self.flows.len() >= self.looked_at * 2 {
            let now = self.now;
            self.flows.retain(|_, flow| flow.waiting.calls > 0 || flow.finish > now);
            let idle = self.flows.values().filter(|flow| flow.waiting.calls == 0);
            let mut got: Vec<_> = idle.map(|flow| flow.finish).collect();
            if got.len() > KEPT_IDLE {
                let at = got.len() - KEPT_IDLE;
                let least = *got.select_nth_unstable(at).1;
                let mut room = KEPT_IDLE;
                self.flows.retain(|_, flow| {
                    let stays = flow.waiting.calls > 0 || (flow.finish >= least && room > 0);
                    room -= usize::from(stays && flow.waiting.calls == 0);
                    stays
                });
            }
            self.looked_at = self.flows.len().max(KEPT_FLOWS);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payer(tenant: TenantId, weight: u32) -> Payer {
        Payer { tenant, user: UserId::new(), priority: Priority::Interactive, weight }
    }

    /// How often each is served among the first `turns`.
    fn served(queue: &mut FairQueue<usize>, turns: usize, of: usize) -> Vec<usize> {
        let mut counts = vec![0; of];
        for _ in 0..turns {
            counts[queue.pop().expect("somebody waits").2] += 1;
        }
        counts
    }

    #[test]
    fn shares_are_by_weight_and_by_what_calls_cost() {
        let mut queue = FairQueue::default();
        let (light, heavy, dear) = (payer(TenantId::new(), 1), payer(TenantId::new(), 3), payer(TenantId::new(), 1));
        for _ in 0..200 {
            queue.push(light, 10, 0);
            queue.push(heavy, 10, 1);
            queue.push(dear, 50, 2);
        }
        let counts = served(&mut queue, 210, 3);
        assert_eq!(counts, [50, 150, 10], "1 : 3 by weight, and a fifth of the calls at five times the cost");
    }

    #[test]
    fn a_newcomer_goes_next_and_owes_nothing_for_before() {
        let mut queue = FairQueue::default();
        let (loud, quiet) = (payer(TenantId::new(), 1), payer(TenantId::new(), 1));
        for _ in 0..1000 {
            queue.push(loud, 10, 0);
        }
        served(&mut queue, 500, 1);
        let number = queue.push(quiet, 10, 1);
        assert!(queue.position(quiet, number).expect("it waits") <= 2);
        assert_eq!(served(&mut queue, 2, 2)[1], 1);
        // And having been away earns nothing: two that come now share alike.
        for _ in 0..10 {
            queue.push(quiet, 10, 1);
        }
        let counts = served(&mut queue, 20, 2);
        assert_eq!(counts, [10, 10]);
    }

    #[test]
    fn within_a_tenant_users_share_and_background_waits() {
        let mut queue = FairQueue::default();
        let tenant = TenantId::new();
        let (one, two) = (payer(tenant, 1), payer(tenant, 1));
        let nightly = Payer { priority: Priority::Background, ..one };
        let other = payer(TenantId::new(), 1);
        let first_of_nightly = queue.push(nightly, 10, 2);
        for _ in 0..20 {
            queue.push(one, 10, 0);
        }
        for _ in 0..4 {
            queue.push(two, 10, 1);
        }
        queue.push(Payer { priority: Priority::Background, ..other }, 10, 3);
        assert_eq!(
            queue.position(nightly, first_of_nightly),
            Some(26),
            "behind all of its tenant's own, and one of others"
        );
        let counts = served(&mut queue, 9, 4);
        assert_eq!(counts, [4, 4, 0, 1], "another tenant's background is as good as this one's interactive");
        assert_eq!(served(&mut queue, 17, 4), [16, 0, 1, 0]);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn positions_are_what_happens() {
        let mut queue = FairQueue::default();
        let payers: Vec<_> = (0..5).map(|index| payer(TenantId::new(), index % 3 + 1)).collect();
        let mut tickets = Vec::new();
        for round in 0..12 {
            for payer in &payers[..=(round % 5)] {
                tickets.push((*payer, queue.push(*payer, 10, tickets.len())));
            }
        }
        for before in [0, 5, 20] {
            for _ in 0..before {
                queue.pop();
            }
            let told: Vec<_> = tickets.iter().map(|(payer, number)| queue.position(*payer, *number)).collect();
            let mut copy = FairQueue::<usize>::default();
            std::mem::swap(&mut copy, &mut queue);
            let mut place = 0;
            let mut happened = vec![None; tickets.len()];
            let mut again = Vec::new();
            while let Some((payer, cost, ticket)) = copy.pop() {
                place += 1;
                happened[ticket] = Some(place);
                again.push((payer, cost, ticket));
            }
            for (ticket, (told, happened)) in told.iter().zip(&happened).enumerate() {
                let off = told.map(|told| told.abs_diff(happened.unwrap_or(0)));
                assert_eq!(told.is_some(), happened.is_some());
                assert!(off.unwrap_or(0) <= 3, "ticket {ticket}: told {told:?}, was {happened:?}");
            }
            tickets.clear();
            for (payer, cost, _) in again {
                tickets.push((payer, queue.push(payer, cost, tickets.len())));
            }
        }
    }

    #[test]
    fn who_leaves_leaves_no_gap_and_no_memory() {
        let mut queue = FairQueue::default();
        let (one, two) = (payer(TenantId::new(), 1), payer(TenantId::new(), 1));
        let numbers: Vec<_> = (0..5).map(|index| queue.push(one, 10, index)).collect();
        let other = queue.push(two, 10, 9);
        assert_eq!(queue.remove(one, numbers[2]), Some(2));
        assert_eq!(queue.remove(one, numbers[2]), None);
        assert_eq!(queue.remove(two, other), Some(9));
        assert_eq!((queue.len(), queue.len_of(one.tenant), queue.len_of(two.tenant)), (4, 4, 0));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|(_, _, value)| value).collect();
        assert_eq!(order, [0, 1, 3, 4]);
        queue.reset();
        assert!(queue.tenants.flows.is_empty());
        for _ in 0..10_000 {
            queue.charge(payer(TenantId::new(), 1), 1);
        }
        assert!(queue.tenants.flows.len() <= 2 * KEPT_IDLE, "{}", queue.tenants.flows.len());
    }

    #[test]
    fn the_longest_queue_is_the_one_that_is_cut() {
        let mut queue = FairQueue::default();
        let (loud, quiet) = (payer(TenantId::new(), 1), payer(TenantId::new(), 1));
        for index in 0..10 {
            queue.push(loud, 10, index);
        }
        queue.push(quiet, 10, 100);
        queue.push(Payer { priority: Priority::Background, ..loud }, 10, 50);
        assert_eq!(queue.evict(1), Some(50), "background first");
        assert_eq!(queue.evict(1), Some(9), "then the last to come");
        assert_eq!(queue.evict(9), None, "nobody has more than that");
        let mut drained = queue.drain(Some(loud.tenant));
        drained.sort_unstable();
        assert_eq!(drained, (0..9).collect::<Vec<_>>());
        assert_eq!((queue.len(), queue.pop().map(|(_, _, value)| value)), (1, Some(100)));
        assert!(queue.pop().is_none());
    }

    #[test]
    fn calls_that_cost_more_than_expected_count_as_what_they_cost() {
        let mut queue = FairQueue::default();
        let (honest, cheat) = (payer(TenantId::new(), 1), payer(TenantId::new(), 1));
        for _ in 0..200 {
            queue.push(honest, 10, 0);
            queue.push(cheat, 10, 1);
        }
        let mut counts = [0, 0];
        for _ in 0..110 {
            let (payer, cost, who) = queue.pop().expect("somebody waits");
            counts[who] += 1;
            queue.correct(payer, cost, if who == 1 { 100 } else { 10 });
        }
        assert_eq!(counts, [100, 10]);
    }
}
