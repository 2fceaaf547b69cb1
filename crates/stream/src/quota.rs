//! Caps on open streams and replayed bytes: this process' share of them. Over a cap: a clear answer, never growth.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use headwater_protocol::{TenantId, UserId};
use headwater_store::{Share, TermsBook};

/// The caps. 0 = none.
#[derive(Debug, Clone)]
pub struct Caps {
    /// Open streams of one user.
    pub per_user: usize,
    /// Open streams of one tenant.
    pub per_tenant: usize,
    /// Bytes read from the table for one user in a minute.
    pub replay_bytes_per_minute: u64,
    /// This process' part of them.
    pub share: Share,
    /// Where a tenant's plan may say otherwise.
    pub terms: Option<TermsBook>,
}

#[derive(Debug)]
struct Replay {
    since: Instant,
    bytes: u64,
}

/// Counts what is open and what was read.
#[derive(Debug)]
pub struct Quota {
    caps: Caps,
    tenants: DashMap<TenantId, usize>,
    users: DashMap<(TenantId, UserId), usize>,
    replays: DashMap<(TenantId, UserId), Replay>,
    open: AtomicUsize,
}

/// One open stream; closing it is dropping this.
#[derive(Debug)]
pub struct OpenStream {
    quota: Arc<Quota>,
    tenant: TenantId,
    user: UserId,
}

impl Quota {
    /// Nothing is open yet.
    pub fn new(caps: Caps) -> Arc<Self> {
        Arc::new(Self {
            caps,
            tenants: DashMap::new(),
            users: DashMap::new(),
            replays: DashMap::new(),
            open: AtomicUsize::new(0),
        })
    }

    /// Streams that are open on this process.
    pub fn open_streams(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Opens a stream of a run of this user, or says which cap is reached.
    pub fn open(self: &Arc<Self>, tenant: TenantId, user: UserId) -> Result<OpenStream, usize> {
        let Caps { per_user, per_tenant, share, terms, .. } = &self.caps;
        let plan = terms.as_ref().and_then(|terms| terms.last_known(tenant).grants.max_open_streams);
        count_up(&self.tenants, tenant, share.of(plan.map_or(*per_tenant, |streams| streams as usize)))?;
        if let Err(cap) = count_up(&self.users, (tenant, user), share.of(*per_user)) {
            count_down(&self.tenants, &tenant);
            return Err(cap);
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(OpenStream { quota: self.clone(), tenant, user })
    }

    /// Counts bytes that were read from the table for this user; `false` when the minute's share is used up.
    pub fn replayed(&self, tenant: TenantId, user: UserId, bytes: usize) -> bool {
        if self.caps.replay_bytes_per_minute == 0 {
            return true;
        }
        let now = Instant::now();
        if self.replays.len() > 10_000 {
            self.replays.retain(|_, replay| now.duration_since(replay.since) < Duration::from_secs(60));
        }
        let mut replay = self.replays.entry((tenant, user)).or_insert(Replay { since: now, bytes: 0 });
        if now.duration_since(replay.since) >= Duration::from_secs(60) {
            *replay = Replay { since: now, bytes: 0 };
        }
        replay.bytes = replay.bytes.saturating_add(bytes as u64);
        replay.bytes <= self.caps.replay_bytes_per_minute.div_ceil(self.caps.share.replicas() as u64)
    }
}

fn count_up<K: Eq + std::hash::Hash + Clone>(counts: &DashMap<K, usize>, key: K, cap: usize) -> Result<(), usize> {
    let mut count = counts.entry(key).or_insert(0);
    if cap != 0 && *count >= cap {
        return Err(cap);
    }
    *count += 1;
    Ok(())
}

fn count_down<K: Eq + std::hash::Hash + Clone>(counts: &DashMap<K, usize>, key: &K) {
    if let Some(mut count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
    }
    counts.remove_if(key, |_, count| *count == 0);
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        count_down(&self.quota.tenants, &self.tenant);
        count_down(&self.quota.users, &(self.tenant, self.user));
        self.quota.open.fetch_sub(1, Ordering::Relaxed);
    }
}
