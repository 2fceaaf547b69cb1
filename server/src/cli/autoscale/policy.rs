//! How many replicas there should be. Pure: what was seen in, a step out.

use std::time::Duration;

use headwater_protocol::Timestamp;

/// Within what, and how patiently.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// At least.
    pub(super) min: u32,
    /// At most.
    pub(super) max: u32,
    /// Runs that one replica is meant to work on at a time.
    pub(super) runs_per_replica: u32,
    /// How long fewer must have been enough before there is one fewer.
    pub(super) down_after: Duration,
}

/// What was seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// Runs that are worked on, or could be.
    pub(super) runs: u64,
    /// Replicas there are to be now.
    pub(super) replicas: u32,
    /// Since when fewer would have done.
    pub(super) low_since: Option<Timestamp>,
    /// By the database's clock.
    pub(super) at: Timestamp,
}

/// How many there should be, and since when fewer would do. Up at once, to what is needed; down one at a time, when for long
/// enough a fifth more than there was would have fitted into fewer: what comes back at once would cost a start.
pub(super) fn decide(bounds: Bounds, seen: Seen) -> (u32, Option<Timestamp>) {
    let Bounds { min, max, runs_per_replica, down_after } = bounds;
    let fits = |runs: u64| {
        let needed = runs.div_ceil(u64::from(runs_per_replica.max(1)));
        u32::try_from(needed).unwrap_or(u32::MAX).clamp(min, max.max(min))
    };
    let needed = fits(seen.runs);
    if needed > seen.replicas || seen.replicas > max {
        return (needed.max(seen.replicas.min(max)), None);
    }
    let with_room = seen.runs.saturating_add(seen.runs.div_ceil(5));
    if fits(with_room) >= seen.replicas {
        return (seen.replicas, None);
    }
    let since = seen.low_since.unwrap_or(seen.at);
    if seen.at.ms().saturating_sub(since.ms()) < down_after.as_millis() as i64 {
        return (seen.replicas, Some(since));
    }
    (seen.replicas - 1, Some(seen.at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { min: 1, max: 5, runs_per_replica: 10, down_after: Duration::from_secs(600) };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_ms(1_800_000_000_000 + seconds * 1000)
    }

    fn seen(runs: u64, replicas: u32, low_since: Option<i64>, now: i64) -> Seen {
        Seen { runs, replicas, low_since: low_since.map(at), at: at(now) }
    }

    #[test]
    fn up_at_once_within_bounds() {
        assert_eq!(decide(BOUNDS, seen(10, 1, None, 0)), (1, None));
        assert_eq!(decide(BOUNDS, seen(11, 1, Some(0), 60)), (2, None));
        assert_eq!(decide(BOUNDS, seen(34, 1, None, 0)), (4, None));
        assert_eq!(decide(BOUNDS, seen(1_000_000, 2, None, 0)), (5, None));
        assert_eq!(decide(BOUNDS, seen(0, 0, None, 0)), (1, None), "fewer than there may be");
        assert_eq!(decide(BOUNDS, seen(0, 9, None, 0)), (5, None), "more than there may be");
    }

    #[test]
    fn down_one_at_a_time_when_it_was_low_for_long() {
        assert_eq!(decide(BOUNDS, seen(3, 3, None, 0)), (3, Some(at(0))));
        assert_eq!(decide(BOUNDS, seen(3, 3, Some(0), 599)), (3, Some(at(0))));
        assert_eq!(decide(BOUNDS, seen(3, 3, Some(0), 600)), (2, Some(at(600))));
        assert_eq!(decide(BOUNDS, seen(3, 2, Some(600), 700)), (2, Some(at(600))));
        assert_eq!(decide(BOUNDS, seen(3, 2, Some(600), 1200)), (1, Some(at(1200))));
        assert_eq!(decide(BOUNDS, seen(0, 1, Some(1200), 9999)), (1, None), "not below the least");
        // What only just fits into fewer is no reason; and what was high in between begins anew.
        assert_eq!(decide(BOUNDS, seen(19, 3, Some(0), 600)), (3, None));
        assert_eq!(decide(BOUNDS, seen(16, 3, Some(0), 600)), (2, Some(at(600))));
    }

    #[test]
    fn a_load_that_goes_up_and_down_changes_nothing() {
        let (mut replicas, mut low, mut changes) = (1, None, 0);
        for minute in 0..120 {
            let runs = if minute % 5 == 0 { 25 } else { 5 };
            let (next, since) = decide(BOUNDS, Seen { runs, replicas, low_since: low, at: at(minute * 60) });
            changes += u32::from(next != replicas);
            (replicas, low) = (next, since);
        }
        assert_eq!((replicas, changes), (3, 1));
    }
}
