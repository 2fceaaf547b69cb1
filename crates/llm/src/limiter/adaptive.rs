//! How many calls a provider takes at a time, found out by asking it.
//!
//! Owns [`Adaptive`]: a limit between 1 and what is configured. Promises that it falls when the provider says that it is
//! asked too much (429, 503, 529) or takes much longer than it used to until its first token, at most once for what was sent
//! before it fell; that it comes back, faster the longer nothing is refused; and that nothing is asked before the provider's
//! own hint has passed. Never looks at how long whole answers take: that follows their length. Has no timer: it is told
//! what happens, and what time it is.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

/// It does not fall below this: so few calls at a time are refused for their rate and not for their number, and one that is slow
/// must not hold up everybody.
const LEAST: f64 = 4.0;

/// After it fell, the limit stays for so many rounds (as many first tokens as the limit is) before it is tried higher.
const HELD_ROUNDS: f64 = 2.0;
/// A round is over after this time too, when nothing was refused: calls that take long must not keep the limit low.
const ROUND: Duration = Duration::from_secs(1);

/// Without a hint of its own, a provider that takes nothing at all is left alone for so long at first, then for twice as
/// long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// A limit that fell so long ago, and that nobody needed since, is forgotten.
const REMEMBERED: Duration = Duration::from_secs(600);

/// A first token is late that comes this many times later than usual …
const LATE: f64 = 4.0;
/// … and by more than this, in milliseconds: below, lateness is noise.
const NOISE_MS: f64 = 1000.0;

/// A limit that follows what a provider takes.
#[derive(Debug)]
pub(super) struct Adaptive {
    /// Never above this.
    most: f64,
    limit: f64,
    /// How much the limit grows after the next round.
    step: f64,
    /// First tokens seen in this round; below 0 while the limit is held.
    round: f64,
    /// When it fell last. What was sent before says nothing new.
    fell_at: Option<Instant>,
    /// When the round began that counts first tokens.
    round_at: Option<Instant>,
    /// The pauses while nothing at all is taken.
    pauses: Option<ExponentialBackoff>,
    paused_until: Option<Instant>,
    first_token: FirstToken,
}

/// How long first tokens take, and whether most of the last ones were late. One that asks what takes long to read does not
/// make the others late.
#[derive(Debug, Default)]
struct FirstToken {
    /// About the median, in milliseconds; 0 = not known yet.
    usually: f64,
    /// Which part of the last ones was late.
    late: f64,
    seen: u32,
}

/// What is going on while something is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Permits that are out, the one that tells included.
    pub(super) in_use: usize,
    /// Of these, how many are being answered.
    pub(super) answering: usize,
    /// Whether the limit is what holds others up.
    pub(super) is_full: bool,
}

impl Adaptive {
    /// At most `most`; 0 = any number. Begins there.
    pub(super) fn new(most: usize) -> Self {
        let most = ceiling(most);
        Self {
            most,
            limit: most,
            step: 1.0,
            round: 0.0,
            fell_at: None,
            round_at: None,
            pauses: None,
            paused_until: None,
            first_token: FirstToken::default(),
        }
    }

    /// Calls at a time. At least 1, unless this process has no share of what is configured.
    pub(super) fn limit(&self) -> usize {
        self.limit.min(self.most) as usize
    }

    /// Somebody waits because the limit is reached: it is tried higher when nothing was refused for a while.
    pub(super) fn waited_for(&mut self, now: Instant) {
        let held = if self.round < 0.0 { ROUND.mul_f64(HELD_ROUNDS) } else { ROUND };
        if self.limit < self.most && self.round_at.is_none_or(|began| now.duration_since(began) >= held) {
            self.grow(now);
        }
    }

    /// Whether the limit is as high as it may be, and nothing is remembered that somebody would miss.
    pub(super) fn is_untouched(&self, now: Instant) -> bool {
        let is_old = self.fell_at.is_none_or(|fell_at| now.duration_since(fell_at) > REMEMBERED);
        (self.limit >= self.most || is_old) && self.paused(now).is_none()
    }

    /// How long nothing may be asked yet.
    pub(super) fn paused(&self, now: Instant) -> Option<Duration> {
        self.paused_until.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// Whether there was a pause at this time or after it.
    pub(super) fn was_paused(&self, since: Instant) -> bool {
        self.paused_until.is_some_and(|until| until > since)
    }

    /// Other processes took some of what is configured, or gave some back.
    pub(super) fn set_most(&mut self, most: usize) {
        let most = most as f64;
        if self.limit >= self.most {
            self.limit = most;
        }
        self.most = most;
    }

    /// A first token came, so long after the request was sent.
    pub(super) fn accepted(&mut self, after: Duration, sent: Instant, now: Instant, load: Load) {
        self.pauses = None;
        if self.first_token.is_late(after) && load.is_full && self.is_news(sent) {
            self.fall(self.limit.min(load.in_use as f64) * 0.9, now);
            return;
        }
        if !load.is_full || self.limit >= self.most {
            return;
        }
        self.round += 1.0;
        if self.round >= self.limit {
            self.grow(now);
        }
    }

    fn grow(&mut self, now: Instant) {
        self.limit = (self.limit + self.step).min(self.most);
        self.step *= 2.0;
        self.round = 0.0;
        self.round_at = Some(now);
    }

    /// The provider refused a call because it is asked too much. `hint`: for how long it wants to be left alone, as far as
    /// that is believed.
    pub(super) fn refused(&mut self, hint: Option<Duration>, sent: Instant, now: Instant, load: Load) {
        let base = self.limit.min(load.in_use as f64);
        let can_fall = base > LEAST.min(self.most);
        // Where the limit falls, it alone holds others back until one of those that are answered has ended. Else the hint is
        // believed once; one that is followed by another refusal was too short.
        let is_first = self.pauses.is_none();
        let own = (load.answering == 0 || !can_fall).then(|| self.pauses.get_or_insert_with(pauses).next()).flatten();
        let pause = if is_first && hint.is_some() { hint } else { hint.max(own) };
        if let Some(pause) = pause {
            self.paused_until = self.paused_until.max(Some(now + pause));
        }
        if can_fall && self.is_news(sent) {
            // What is being answered is what the provider takes; but one look is not trusted with more than a half, and when
            // the last one was not enough, at least three tenths go.
            let most = if self.round < 0.0 { base * 0.7 } else { (base - 1.0).max(base * 0.5) };
            self.fall((load.answering as f64).clamp(base * 0.5, most), now);
        }
    }

    /// The provider told that it takes nothing for a while, although it took this.
    pub(super) fn pause(&mut self, wait: Duration, now: Instant) {
        self.paused_until = self.paused_until.max(Some(now + wait));
    }

    fn is_news(&self, sent: Instant) -> bool {
        self.fell_at.is_none_or(|fell_at| sent >= fell_at)
    }

    fn fall(&mut self, to: f64, now: Instant) {
        self.limit = to.max(LEAST).min(self.most);
        self.step = 1.0;
        self.round = -HELD_ROUNDS * self.limit;
        self.fell_at = Some(now);
        self.round_at = Some(now);
    }
}

fn ceiling(most: usize) -> f64 {
    if most == 0 { f64::from(u32::MAX) } else { most as f64 }
}

fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_factor(2.0)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter()
        .build()
}

impl FirstToken {
    /// Takes note of one; says whether they come much later than they used to.
    fn is_late(&mut self, after: Duration) -> bool {
        let ms = (after.as_secs_f64() * 1000.0).max(1.0);
        if self.usually == 0.0 {
            self.usually = ms;
        }
        let late = ms > self.usually * LATE && ms > self.usually + NOISE_MS;
        // By one in a hundred, and further at first, when what is known is little more than the first one.
        self.seen = self.seen.saturating_add(1);
        let by = (2.0 / f64::from(self.seen)).clamp(0.01, 0.5);
        self.usually *= if ms > self.usually { 1.0 + by } else { 1.0 - by };
        self.late += (f64::from(u8::from(late)) - self.late) / 16.0;
        self.late > 0.5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A provider that takes `takes` calls at a time, asked by somebody who always has more to ask. Each answer takes `SERVICE`.
    struct World {
        adaptive: Adaptive,
        takes: usize,
        now: Instant,
        /// When each answer that is under way ends.
        open: Vec<Instant>,
        refused: usize,
    }

    const SERVICE: Duration = Duration::from_secs(1);
    const FIRST_TOKEN: Duration = Duration::from_millis(200);
    const TICK: Duration = Duration::from_millis(20);

    impl World {
        fn run(&mut self, time: Duration) {
            let end = self.now + time;
            while self.now < end {
                self.now += TICK;
                let now = self.now;
                self.open.retain(|ends| *ends > now);
                while self.open.len() < self.adaptive.limit() && self.adaptive.paused(now).is_none() {
                    let load =
                        Load { in_use: self.open.len() + 1, answering: self.open.len().min(self.takes), is_full: true };
                    if self.open.len() >= self.takes {
                        self.refused += 1;
                        self.adaptive.refused(None, now, now, load);
                        break;
                    }
                    self.open.push(now + SERVICE);
                    self.adaptive.accepted(FIRST_TOKEN, now, now, Load { answering: self.open.len(), ..load });
                }
            }
        }
    }

    fn world(most: usize) -> World {
        World { adaptive: Adaptive::new(most), takes: most, now: Instant::now(), open: Vec::new(), refused: 0 }
    }

    #[test]
    fn it_follows_what_the_provider_takes_down_and_up_again() {
        let mut world = world(16);
        world.run(SERVICE * 5);
        assert_eq!((world.adaptive.limit(), world.refused), (16, 0));
        world.takes = 4;
        world.run(SERVICE * 3);
        assert!((3..=6).contains(&world.adaptive.limit()), "{:?}", world.adaptive);
        let refused = world.refused;
        world.run(SERVICE * 20);
        assert!((3..=6).contains(&world.adaptive.limit()), "{:?}", world.adaptive);
        assert!(world.refused - refused <= 20, "at most one call in a round is refused: {}", world.refused - refused);
        world.takes = 16;
        world.run(SERVICE * 6);
        assert_eq!(world.adaptive.limit(), 16);
    }

    #[test]
    fn a_provider_that_takes_nothing_is_asked_less_and_less_and_found_again() {
        let mut world = world(16);
        world.takes = 0;
        world.run(Duration::from_secs(60));
        assert!((5..=20).contains(&world.refused), "{}", world.refused);
        world.takes = 16;
        world.run(LONGEST_PAUSE * 2 + SERVICE * 8);
        assert_eq!(world.adaptive.limit(), 16);
    }

    #[test]
    fn its_own_hint_is_kept_and_what_was_sent_before_says_nothing_new() {
        let now = Instant::now();
        let load = Load { in_use: 10, answering: 9, is_full: true };
        let mut adaptive = Adaptive::new(10);
        adaptive.refused(Some(Duration::from_secs(3)), now, now, load);
        let limit = adaptive.limit();
        assert_eq!((limit, adaptive.paused(now)), (9, Some(Duration::from_secs(3))));
        let sent = now - Duration::from_millis(1);
        adaptive.refused(Some(Duration::from_secs(1)), sent, now, load);
        assert_eq!((adaptive.limit(), adaptive.paused(now)), (limit, Some(Duration::from_secs(3))));
        assert_eq!(adaptive.paused(now + Duration::from_secs(3)), None);
    }

    #[test]
    fn a_few_calls_are_paused_and_not_made_fewer_and_slow_ones_keep_nobody_out() {
        let mut now = Instant::now();
        let mut adaptive = Adaptive::new(16);
        adaptive.refused(None, now, now, Load { in_use: 2, answering: 1, is_full: false });
        assert_eq!(adaptive.limit(), 16, "it was not their number");
        assert!(adaptive.paused(now).is_some(), "but it is not asked again at once");
        now += LONGEST_PAUSE * 2;
        adaptive.refused(None, now, now, Load { in_use: 16, answering: 1, is_full: true });
        assert_eq!(adaptive.limit(), 8);
        // No first token comes any more.
        for _ in 0..6 {
            adaptive.waited_for(now);
            now += ROUND;
        }
        assert_eq!(adaptive.limit(), 16);
    }

    #[test]
    fn late_first_tokens_lower_it_unless_they_are_one_askers_own() {
        let now = Instant::now();
        let load = Load { in_use: 10, answering: 10, is_full: true };
        let usual = Duration::from_millis(300);
        let late = Duration::from_secs(10);
        let mut adaptive = Adaptive::new(10);
        for index in 0..200 {
            adaptive.accepted(if index % 5 == 0 { late } else { usual }, now, now, load);
        }
        assert_eq!(adaptive.limit(), 10, "one of five asks long questions");
        for index in 0..30 {
            let now = now + Duration::from_secs(index);
            adaptive.accepted(late, now, now, load);
        }
        assert!(adaptive.limit() < 10, "all are late");
    }

    #[test]
    fn a_share_moves_the_ceiling_and_nothing_else() {
        let mut adaptive = Adaptive::new(10);
        adaptive.set_most(4);
        assert_eq!(adaptive.limit(), 4);
        adaptive.set_most(0);
        assert_eq!(adaptive.limit(), 0, "no share");
        adaptive.set_most(8);
        assert_eq!(adaptive.limit(), 8);
    }
}
