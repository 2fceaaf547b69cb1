//! When to try again, and after how long.
//!
//! Promises never to come back earlier than the server asked, and never to repeat what was plainly refused.

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use headwater_protocol::{ErrorCode, Problem};
use reqwest::header::HeaderMap;

/// How calls are repeated. Streams take `base` from here and have a bound of their own
/// ([`StreamOptions::attempts`](crate::StreamOptions)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all, the first one included: 5 unless set. 1 is no retry.
    pub attempts: u32,
    /// The first pause where the server names none: 250 ms unless set; it doubles each time.
    pub base: Duration,
    /// The longest pause of one's own: 8 s unless set.
    pub cap: Duration,
    /// A call whose answer asks for a longer pause than this ends with that answer: 60 s unless set.
    pub patience: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 5,
            base: Duration::from_millis(250),
            cap: Duration::from_secs(8),
            patience: Duration::from_secs(60),
        }
    }
}

impl RetryPolicy {
    /// Every call is tried once.
    pub fn never() -> Self {
        Self { attempts: 1, ..Self::default() }
    }

    /// The pause after so many failed tries (from 1), or none when it is time to stop.
    pub(crate) fn pause(&self, failed: u32, asked: Option<Duration>) -> Option<Duration> {
        if failed >= self.attempts || asked.is_some_and(|asked| asked > self.patience) {
            return None;
        }
        Some(jittered(asked.unwrap_or_else(|| doubled(self.base, failed - 1, self.cap)), random()))
    }
}

/// What an answer (or none) means for the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Repeating changes nothing.
    Final,
    /// Worth another try, not before this.
    Retry(Option<Duration>),
    /// Worth another try with another token.
    Renew,
}

/// What an answer that is no success means. `problem` is there when the answer is ours.
pub(crate) fn verdict(status: u16, problem: Option<&Problem>, headers: &HeaderMap) -> Verdict {
    let retry = Verdict::Retry(retry_after(headers));
    match (problem, status) {
        // An edge: a cold start, a deploy, a replica that has just gone.
        (None, 404 | 502 | 503 | 504) => retry,
        (None, _) => Verdict::Final,
        (Some(_), 429 | 503) => retry,
        (Some(problem), 409) if problem.retryable => retry,
        (Some(problem), 401) if problem.code == ErrorCode::TokenExpired => Verdict::Renew,
        (Some(_), _) => Verdict::Final,
    }
}

/// What a call without a whole answer means. Every call may be repeated: reads and deletes by nature, the rest
/// because they carry an `Idempotency-Key` or set what they name.
pub(crate) fn verdict_of_transport(error: &reqwest::Error) -> Verdict {
    let spent = error.is_timeout() && !error.is_connect();
    if spent || error.is_builder() || error.is_redirect() { Verdict::Final } else { Verdict::Retry(None) }
}

/// `Retry-After-Ms`, then `Retry-After` in seconds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
    number("retry-after-ms").map(Duration::from_millis).or_else(|| number("retry-after").map(Duration::from_secs))
}

/// `base` doubled so many times, at most `cap`.
pub(crate) fn doubled(base: Duration, times: u32, cap: Duration) -> Duration {
    base.saturating_mul(1u32.checked_shl(times).unwrap_or(u32::MAX)).min(cap)
}

/// Between once and one and a half times `wait`: later than asked, never earlier. `unit` is in 0..1.
pub(crate) fn jittered(wait: Duration, unit: f64) -> Duration {
    wait.saturating_add(wait.mul_f64(unit / 2.0))
}

/// A number in 0..1, for spreading clients out and nothing else: std seeds its hash maps with it.
pub(crate) fn random() -> f64 {
    let bits = std::collections::hash_map::RandomState::new().build_hasher().finish();
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (n.parse().expect("a name"), v.parse().expect("a value"))).collect()
    }

    #[test]
    fn milliseconds_win_over_seconds() {
        let both = headers(&[("retry-after", "2"), ("retry-after-ms", "1250")]);
        assert_eq!(retry_after(&both), Some(Duration::from_millis(1250)));
        assert_eq!(retry_after(&headers(&[("retry-after", "2")])), Some(Duration::from_secs(2)));
        assert_eq!(retry_after(&headers(&[("retry-after", "Fri, 21 Nov 2026 02:30:00 GMT")])), None);
    }

    #[test]
    fn what_is_repeated() {
        let none = headers(&[]);
        let problem = |code| Problem::new(code, "");
        for status in [404, 502, 503, 504] {
            assert_eq!(verdict(status, None, &none), Verdict::Retry(None), "edge {status}");
        }
        for status in [301, 400, 403, 500] {
            assert_eq!(verdict(status, None, &none), Verdict::Final, "edge {status}");
        }
        for code in
            [ErrorCode::RateLimited, ErrorCode::Draining, ErrorCode::ThreadBusy, ErrorCode::IdempotencyInProgress]
        {
            assert_eq!(verdict(code.status(), Some(&problem(code)), &none), Verdict::Retry(None), "{code:?}");
        }
        for code in
            [ErrorCode::NotFound, ErrorCode::Internal, ErrorCode::IdempotencyMismatch, ErrorCode::Unauthenticated]
        {
            assert_eq!(verdict(code.status(), Some(&problem(code)), &none), Verdict::Final, "{code:?}");
        }
        assert_eq!(verdict(401, Some(&problem(ErrorCode::TokenExpired)), &none), Verdict::Renew);
    }

    #[test]
    fn pauses_are_bounded_and_never_shorter_than_asked() {
        let policy = RetryPolicy::default();
        for failed in 1..5 {
            let own = policy.pause(failed, None).expect("tries are left");
            assert!(own >= policy.base && own <= policy.cap.mul_f64(1.5), "{own:?}");
            let asked = Duration::from_secs(3);
            assert!(
                policy.pause(failed, Some(asked)).is_some_and(|pause| pause >= asked && pause <= asked.mul_f64(1.5))
            );
        }
        assert_eq!(policy.pause(5, None), None);
        assert_eq!(policy.pause(1, Some(Duration::from_secs(61))), None);
        assert_eq!(jittered(Duration::from_secs(2), 0.5), Duration::from_millis(2500));
        assert!((0..1000).all(|_| (0.0..1.0).contains(&random())));
    }
}
