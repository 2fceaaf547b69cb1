//! Whether a failed attempt is tried again, and when.
//!
//! Owns the hints of providers and the rule. Promises that nothing is repeated once a delta was forwarded, that a provider's
//! own hint is preferred to our guess, and that a hint too far away ends the waiting at once instead of in the end.
//! Never sleeps; it only says how long.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use http::HeaderMap;

use crate::failure::Failure;

const FIRST_DELAY: Duration = Duration::from_millis(500);
const LONGEST_DELAY: Duration = Duration::from_secs(8);

/// How often and how patiently failures are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetryPolicy {
    /// Attempts at each model, the first one included.
    pub(crate) max_attempts: u32,
    /// A provider that wants to be left alone for longer is left alone.
    pub(crate) max_hint: Duration,
}

/// What comes after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The same model, after a while.
    Again(Duration),
    /// The next of the request's models, if there is one.
    OtherModel,
    /// Nothing.
    GiveUp,
}

/// The attempts at one model.
#[derive(Debug)]
pub(crate) struct Attempts {
    policy: RetryPolicy,
    made: u32,
    backoff: ExponentialBackoff,
}

impl Attempts {
    pub(crate) fn new(policy: RetryPolicy) -> Self {
        let backoff = ExponentialBuilder::default()
            .with_min_delay(FIRST_DELAY)
            .with_factor(2.0)
            .with_max_delay(LONGEST_DELAY)
            .without_max_times()
            .with_jitter()
            .build();
        Self { policy, made: 0, backoff }
    }

    /// What to do after this failure. `forwarded`: a delta of the attempt was shown to the caller. `left`: what remains of
    /// the call's time.
    pub(crate) fn next(&mut self, failure: &Failure, forwarded: bool, left: Duration) -> Next {
        self.made += 1;
        if forwarded || left.is_zero() {
            return Next::GiveUp;
        }
        let elsewhere = if failure.fallback { Next::OtherModel } else { Next::GiveUp };
        if !failure.retry || self.made >= self.policy.max_attempts {
            return elsewhere;
        }
        let delay = match failure.retry_after {
            Some(hint) if hint > self.policy.max_hint => return elsewhere,
            Some(hint) => hint,
            None => self.backoff.next().unwrap_or(LONGEST_DELAY),
        };
        if delay >= left { elsewhere } else { Next::Again(delay) }
    }
}

/// When the provider wants to be asked again: `retry-after-ms`, else `retry-after` in seconds or as a date.
pub(crate) fn hint(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |text: &str| text.parse::<f64>().ok();
    if let Some(ms) = text("retry-after-ms").and_then(number) {
        return seconds(ms / 1000.0);
    }
    let value = text("retry-after")?;
    match number(value) {
        Some(number) => seconds(number),
        None => {
            let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
            let ms = at.as_millisecond().saturating_sub(jiff::Timestamp::now().as_millisecond());
            Some(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
        }
    }
}

/// For how long a provider that has just answered will take nothing more: it told that none of its requests or tokens are
/// left, and when there are some again (OpenAI: a duration such as `6m0s`; Anthropic: an instant).
pub(crate) fn exhausted(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: String| headers.get(name)?.to_str().ok().map(str::trim);
    let mut longest = None;
    for kind in ["requests", "tokens"] {
        if text(format!("x-ratelimit-remaining-{kind}")) == Some("0") {
            let reset = text(format!("x-ratelimit-reset-{kind}")).and_then(duration);
            longest = longest.max(reset);
        }
        if text(format!("anthropic-ratelimit-{kind}-remaining")) == Some("0") {
            let at: Option<jiff::Timestamp> =
                text(format!("anthropic-ratelimit-{kind}-reset")).and_then(|text| text.parse().ok());
            let wait = at.and_then(|at| Duration::try_from(at.duration_since(jiff::Timestamp::now())).ok());
            longest = longest.max(wait);
        }
    }
    longest
}

/// `1s`, `120ms`, `6m0s`.
fn duration(text: &str) -> Option<Duration> {
    text.parse::<jiff::SignedDuration>().ok().and_then(|read| Duration::try_from(read).ok())
}

/// Nonsense (negative, infinite, no number) is no hint.
fn seconds(value: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(value).ok()
}

#[cfg(test)]
mod tests {
    use headwater_protocol::ErrorCode;

    use super::*;

    const POLICY: RetryPolicy = RetryPolicy { max_attempts: 3, max_hint: Duration::from_secs(30) };
    const LONG: Duration = Duration::from_secs(600);

    fn failure(code: ErrorCode, hint_ms: Option<u64>) -> Failure {
        Failure { retry_after: hint_ms.map(Duration::from_millis), ..Failure::new(code, "") }
    }

    #[test]
    fn hints_are_followed_to_the_millisecond() {
        let mut attempts = Attempts::new(POLICY);
        let limited = failure(ErrorCode::ProviderRateLimited, Some(1234));
        assert_eq!(attempts.next(&limited, false, LONG), Next::Again(Duration::from_millis(1234)));
        let now = failure(ErrorCode::ProviderUnavailable, Some(0));
        assert_eq!(attempts.next(&now, false, LONG), Next::Again(Duration::ZERO));
        assert_eq!(attempts.next(&limited, false, LONG), Next::OtherModel, "three attempts were made");
    }

    #[test]
    fn hints_too_far_away_end_it_at_once() {
        let far = failure(ErrorCode::ProviderRateLimited, Some(30_001));
        assert_eq!(Attempts::new(POLICY).next(&far, false, LONG), Next::OtherModel);
        let near = failure(ErrorCode::ProviderRateLimited, Some(5_000));
        assert_eq!(Attempts::new(POLICY).next(&near, false, Duration::from_secs(5)), Next::OtherModel);
        assert_eq!(Attempts::new(POLICY).next(&near, false, Duration::ZERO), Next::GiveUp);
    }

    #[test]
    fn without_a_hint_the_delays_grow_and_vary() {
        let down = failure(ErrorCode::ProviderUnavailable, None);
        let mut attempts = Attempts::new(RetryPolicy { max_attempts: 100, ..POLICY });
        let mut delays = Vec::new();
        for _ in 0..8 {
            match attempts.next(&down, false, LONG) {
                Next::Again(delay) => delays.push(delay),
                other => panic!("{other:?}"),
            }
        }
        assert!(delays[0] >= FIRST_DELAY && delays[0] <= 2 * FIRST_DELAY, "{delays:?}");
        assert!(delays.iter().all(|delay| *delay <= 2 * LONGEST_DELAY), "{delays:?}");
        assert!(delays[6] > delays[0], "{delays:?}");
    }

    #[test]
    fn only_what_another_attempt_can_cure_is_repeated() {
        for code in ErrorCode::ALL {
            let next = Attempts::new(POLICY).next(&failure(*code, Some(1)), false, LONG);
            let curable = [
                ErrorCode::ProviderInvalidResponse,
                ErrorCode::ProviderRateLimited,
                ErrorCode::ProviderTimeout,
                ErrorCode::ProviderTruncated,
                ErrorCode::ProviderUnavailable,
            ];
            let expected = if curable.contains(code) { Next::Again(Duration::from_millis(1)) } else { Next::GiveUp };
            assert_eq!(next, expected, "{code:?}");
        }
        let down = failure(ErrorCode::ProviderUnavailable, Some(1));
        assert_eq!(Attempts::new(POLICY).next(&down, true, LONG), Next::GiveUp, "a delta was forwarded");
    }

    #[test]
    fn what_is_left_is_read_as_each_provider_tells_it() {
        let read = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().expect("a header value"));
            }
            exhausted(&headers)
        };
        let openai = |left: &str, reset: &str| {
            read(&[("x-ratelimit-remaining-requests", left), ("x-ratelimit-reset-requests", reset)])
        };
        assert_eq!(openai("1", "1s"), None);
        assert_eq!(openai("0", "120ms"), Some(Duration::from_millis(120)));
        assert_eq!(openai("0", "6m0s"), Some(Duration::from_secs(360)));
        assert_eq!(openai("0", "soon"), None);
        let both = [
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "1.5s"),
        ];
        assert_eq!(read(&both), Some(Duration::from_millis(1500)));
        let soon = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(20)).to_string();
        let anthropic =
            read(&[("anthropic-ratelimit-tokens-remaining", "0"), ("anthropic-ratelimit-tokens-reset", &soon)]);
        let wait = anthropic.expect("an instant");
        assert!(wait > Duration::from_secs(15) && wait <= Duration::from_secs(20), "{wait:?}");
        let past = [
            ("anthropic-ratelimit-tokens-remaining", "0"),
            ("anthropic-ratelimit-tokens-reset", "2020-01-01T00:00:00Z"),
        ];
        assert_eq!(read(&past), None);
    }

    #[test]
    fn hints_are_read_in_every_form() {
        let read = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().expect("a header value"));
            }
            hint(&headers)
        };
        let ms = Duration::from_millis;
        assert_eq!(read(&[("retry-after-ms", "250"), ("retry-after", "9")]), Some(ms(250)));
        assert_eq!(read(&[("retry-after-ms", "12.5")]), Some(Duration::from_micros(12_500)));
        assert_eq!(read(&[("retry-after", " 2 ")]), Some(ms(2000)));
        assert_eq!(read(&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")]), Some(ms(0)), "a date that has passed");
        let soon = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(20)).strftime("%a, %d %b %Y %T GMT");
        let soon = read(&[("retry-after", &soon.to_string())]).expect("a date");
        assert!(soon > ms(10_000) && soon <= ms(20_000), "{soon:?}");
        for nonsense in ["", "-1", "soon", "NaN", "inf", "1e300"] {
            assert_eq!(read(&[("retry-after", nonsense)]), None, "{nonsense}");
        }
    }
}
