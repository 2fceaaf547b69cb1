//! Buckets, by a clock of our own.

use governor::clock::FakeRelativeClock;
use headwater_protocol::{ErrorCode, KeyId, TenantId, UserId};
use http::HeaderMap;

use super::*;
use crate::config::LimitSettings;

fn limits(key: u32, user: u32, tenant: u32) -> LimitSettings {
    LimitSettings {
        requests_per_minute_per_key: key,
        requests_per_minute_per_user: user,
        requests_per_minute_per_tenant: tenant,
    }
}

fn subject() -> RateSubject {
    RateSubject { key: Some(KeyId::new()), user: Some(UserId::new()), tenant: Some(TenantId::new()), plan: None }
}

fn texts(headers: &HeaderMap) -> (&str, &str) {
    let text = |name: &str| headers[name].to_str().expect("text");
    (text("ratelimit-policy"), text("ratelimit"))
}

fn applied(headers: &RateHeaders) -> HeaderMap {
    let mut map = HeaderMap::new();
    headers.apply(&mut map);
    map
}

#[test]
fn headers_tell_the_tightest() {
    let clock = FakeRelativeClock::default();
    let rates = RateLimits::with_clock(&limits(600, 120, 0), &clock);
    let who = subject();
    let mut last = RateHeaders::default();
    for _ in 0..3 {
        last = rates.check(who).expect("passes");
    }
    let headers = applied(&last);
    assert_eq!(texts(&headers), ("\"key\";q=600;w=60, \"user\";q=120;w=60", "\"user\";r=117;t=2"));
    let unlimited = RateLimits::with_clock(&limits(0, 0, 0), &clock);
    assert!(applied(&unlimited.check(who).expect("passes")).is_empty());
}

#[test]
fn a_full_minute_at_once_then_its_pace() {
    let clock = FakeRelativeClock::default();
    let rates = RateLimits::with_clock(&limits(100, 60, 0), &clock);
    let who = subject();
    for n in 0..60 {
        assert!(rates.check(who).is_ok(), "{n}");
    }
    let error = rates.check(who).expect_err("refused");
    assert_eq!((error.code(), &error.problem().extra["policy"]), (ErrorCode::RateLimited, &"user".into()));
    let answer = axum::response::IntoResponse::into_response(error);
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (429, &"1".parse().expect("a header")));
    assert_eq!(answer.headers()["retry-after-ms"], "1000");
    assert_eq!(texts(answer.headers()).1, "\"user\";r=0;t=60");

    // Another user of the same key has what the first one was refused.
    let other = RateSubject { user: Some(UserId::new()), ..who };
    for n in 0..40 {
        assert!(rates.check(other).is_ok(), "{n}");
    }
    assert_eq!(rates.check(other).expect_err("refused").problem().extra["policy"], "key");
    clock.advance(ms(1000));
    assert!(rates.check(who).is_ok(), "one place a second");
    assert!(rates.check(who).is_err());
}

#[test]
fn buckets_are_forgotten_when_they_are_full_again() {
    let clock = FakeRelativeClock::default();
    let rates = RateLimits::with_clock(&limits(600, 0, 0), &clock);
    for _ in 0..20_000 {
        let who = RateSubject { key: Some(KeyId::new()), ..RateSubject::default() };
        rates.check(who).expect("passes");
        clock.advance(ms(10));
    }
    assert!(rates.remembered() < 2500, "{} buckets are kept", rates.remembered());
}

#[test]
fn replicas_share_a_quota() {
    let share = headwater_store::Share::default();
    share.tell(0, 3, false);
    let rates = RateLimits::new(&limits(0, 60, 0), share.clone());
    let who = subject();
    let passed = std::iter::repeat_with(|| rates.check(who)).take_while(Result::is_ok).count();
    assert_eq!(passed, 20, "a third of it");
    share.tell(0, 100, false);
    let other = subject();
    assert!(rates.check(other).is_ok(), "and one at least, however many there are");
}
