//! How many runs of a tenant are under way on this process, within its share of the cap; the others wait their turn.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;

use dashmap::DashMap;
use headwater_protocol::{RunId, TenantId};
use headwater_store::{Share, TermsBook};

use crate::runtime::Job;

#[derive(Debug, Default)]
struct Tenant {
    active: usize,
    waiting: VecDeque<Job>,
}

/// Places per tenant.
#[derive(Debug)]
pub(crate) struct Slots {
    tenants: DashMap<TenantId, Arc<Mutex<Tenant>>>,
    max_active: usize,
    max_waiting: usize,
    share: Share,
    terms: TermsBook,
}

/// A place. Given back by [`Slots::leave`].
#[derive(Debug)]
#[must_use = "a place that is not given back is lost"]
pub(crate) struct Slot(pub(crate) TenantId);

impl Slots {
    /// So many for each tenant whose plan does not say.
    pub(crate) fn new(max_active: usize, max_waiting: usize, share: Share, terms: TermsBook) -> Self {
        Self { tenants: DashMap::new(), max_active, max_waiting, share, terms }
    }

    fn max_active(&self, tenant: TenantId) -> usize {
        let plan = self.terms.last_known(tenant).grants.max_active_runs;
        self.share.of(plan.map_or(self.max_active, |runs| runs as usize))
    }

    fn tenant(&self, tenant: TenantId) -> Arc<Mutex<Tenant>> {
        self.tenants.entry(tenant).or_default().clone()
    }

    /// A place at once, if there is one and nobody waits for it.
    pub(crate) fn try_enter(&self, tenant: TenantId) -> Option<Slot> {
        let state = self.tenant(tenant);
        let mut state = state.lock().expect("no panic while counting");
        if state.active >= self.max_active(tenant) || !state.waiting.is_empty() {
            return None;
        }
        state.active += 1;
        Some(Slot(tenant))
    }

    /// Whether one more may wait.
    pub(crate) fn may_wait(&self, tenant: TenantId) -> Result<(), usize> {
        let plan = self.terms.last_known(tenant).grants.max_queued_runs;
        let most = plan.map_or(self.max_waiting, |runs| runs as usize);
        let waiting = self.tenant(tenant).lock().expect("no panic while counting").waiting.len();
        if waiting >= self.share.of(most) { Err(most) } else { Ok(()) }
    }

    /// The job with a place, or nothing: then it waits here.
    pub(crate) fn enter_or_wait(&self, tenant: TenantId, job: Job) -> Option<(Slot, Job)> {
        let state = self.tenant(tenant);
        let mut state = state.lock().expect("no panic while counting");
        if state.active < self.max_active(tenant) && state.waiting.is_empty() {
            state.active += 1;
            return Some((Slot(tenant), job));
        }
        state.waiting.push_back(job);
        None
    }

    /// Takes a run out of the queue.
    pub(crate) fn remove(&self, tenant: TenantId, run: RunId) -> Option<Job> {
        let state = self.tenant(tenant);
        let mut state = state.lock().expect("no panic while counting");
        let at = state.waiting.iter().position(|job| job.identity.run == run)?;
        state.waiting.remove(at)
    }

    /// Takes all that wait out of their queues.
    pub(crate) fn clear(&self) -> Vec<Job> {
        let tenants: Vec<_> = self.tenants.iter().map(|tenant| tenant.value().clone()).collect();
        let clear =
            |state: &Arc<Mutex<Tenant>>| std::mem::take(&mut state.lock().expect("no panic while counting").waiting);
        tenants.iter().flat_map(clear).collect()
    }

    /// Places that are taken, of all tenants.
    pub(crate) fn active(&self) -> usize {
        let tenants: Vec<_> = self.tenants.iter().map(|tenant| tenant.value().clone()).collect();
        tenants.iter().map(|state| state.lock().expect("no panic while counting").active).sum()
    }

    /// Gives a place back. Those that wait and have places now: the next one as a rule, none when the tenant may have fewer
    /// than it has, several when it may have more than before.
    pub(crate) fn leave(&self, slot: Slot) -> Vec<(Slot, Job)> {
        let state = self.tenant(slot.0);
        let most = self.max_active(slot.0);
        let mut next = Vec::new();
        {
            let mut state = state.lock().expect("no panic while counting");
            state.active -= 1;
            while state.active < most
                && let Some(job) = state.waiting.pop_front()
            {
                state.active += 1;
                next.push((Slot(slot.0), job));
            }
        }
        drop(state);
        self.tenants.remove_if(&slot.0, |_, state| {
            Arc::strong_count(state) == 1 && state.lock().is_ok_and(|s| s.active == 0 && s.waiting.is_empty())
        });
        next
    }
}
