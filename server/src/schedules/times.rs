//! The times of a cron expression in a time zone.
//!
//! Owns what becomes of times that clocks leave out or strike twice. Promises times that only go forward, in bounded work for any
//! expression and any zone: the expression is walked over by the calendar alone, where every hour has its place, and what is found
//! there is looked up in the zone. Never asks what time it is.

use std::collections::VecDeque;

use cronexpr::{Crontab, MakeTimestamp};
use headwater_protocol::{Problem, Timestamp};
use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

/// Times of the calendar that are looked at for one that the zone has behind an instant: more than a zone ever turns back, in minutes.
const MOST_STEPS: usize = 48 * 60;

/// An expression and a zone, read.
#[derive(Debug)]
pub struct Times {
    calendar: Crontab,
    zone: TimeZone,
    /// It comes every so many hours, and not at some of the day: an hour that comes twice is two of its.
    by_the_hour: bool,
}

impl Times {
    /// Reads both.
    ///
    /// # Errors
    /// When the expression or the zone means nothing, by its field.
    pub fn parse(cron: &str, timezone: &str) -> Result<Self, Problem> {
        let Ok(zone) = TimeZone::get(timezone) else {
            let words = "there is no such time zone; give an IANA name such as Europe/Berlin";
            return Err(Problem::invalid("/timezone", words));
        };
        let fields: Vec<&str> = cron.split_whitespace().collect();
        let &[_, hour, day, _, weekday] = &*fields else {
            let words = "must have five fields: minute, hour, day of month, month, day of week";
            return Err(Problem::invalid("/cron", words));
        };
        // The library takes December to have no last day.
        if day.contains(['l', 'L', 'w', 'W']) || weekday.contains(['l', 'L']) {
            return Err(Problem::invalid(
                "/cron",
                "the last day of a month, or the nearest to one, cannot be asked for",
            ));
        }
        let calendar = cronexpr::parse_crontab(&format!("{cron} UTC"))
            .map_err(|error| Problem::invalid("/cron", format!("cannot be read: {error}")))?;
        Ok(Self { calendar, zone, by_the_hour: hour.starts_with('*') })
    }

    /// The first time after an instant; `None` when there is none within four years.
    #[must_use]
    pub fn after(&self, instant: Timestamp) -> Option<Timestamp> {
        let found = self.by_the_calendar(self.zone.to_datetime(instant.0), instant);
        // The hour that comes twice begins anew at this one's end, before what the calendar has next.
        let anew = self.zone.following(instant.0).next().filter(|_| self.by_the_hour).and_then(|turn| {
            let again = turn.offset().to_datetime(turn.timestamp());
            let before = again.checked_sub(SignedDuration::from_secs(1)).ok()?;
            self.by_the_calendar(before, Timestamp(turn.timestamp().checked_sub(SignedDuration::from_secs(1)).ok()?))
        });
        found.into_iter().chain(anew).min()
    }

    /// The first time of the calendar behind one of it, that comes after an instant.
    fn by_the_calendar(&self, mut behind: DateTime, instant: Timestamp) -> Option<Timestamp> {
        for _ in 0..MOST_STEPS {
            let from = TimeZone::UTC.to_timestamp(behind).ok()?;
            behind = TimeZone::UTC.to_datetime(self.calendar.find_next(MakeTimestamp(from)).ok()?.timestamp());
            let offsets = match self.zone.to_ambiguous_timestamp(behind).offset() {
                AmbiguousOffset::Unambiguous { offset } => [Some(offset), None],
                // Left out: as late as it would have been.
                AmbiguousOffset::Gap { before, .. } => [Some(before), None],
                AmbiguousOffset::Fold { before, after } => [Some(before), self.by_the_hour.then_some(after)],
            };
            let instants = offsets.into_iter().flatten().filter_map(|offset| offset.to_timestamp(behind).ok());
            if let Some(found) = instants.map(Timestamp).find(|found| *found > instant) {
                return Some(found);
            }
        }
        None
    }

    /// The latest times from one that was due until now, so many at most, oldest first. That one counts as one.
    #[must_use]
    pub fn latest(&self, due: Timestamp, now: Timestamp, most: usize) -> Vec<Timestamp> {
        let mut back_ms: i64 = 60_000 * most as i64;
        loop {
            let from = now.plus_ms(-back_ms).max(due);
            let mut found: VecDeque<Timestamp> = (from == due).then_some(due).into_iter().collect();
            let mut at = from;
            while let Some(next) = self.after(at).filter(|next| *next <= now) {
                found.push_back(next);
                if found.len() > most {
                    found.pop_front();
                }
                at = next;
            }
            if found.len() >= most || from == due {
                return found.into();
            }
            back_ms = back_ms.saturating_mul(2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("an instant")
    }

    /// The times that follow one another, from an instant on.
    fn times(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let times = Times::parse(cron, zone).expect("it reads");
        let follow = std::iter::successors(times.after(at(after)), |last| times.after(*last));
        follow.take(count).map(|time| time.to_string().replace(":00.000Z", "Z")).collect()
    }

    #[test]
    fn times_follow_the_zone_through_its_changes() {
        assert_eq!(times("0 7 * * 1-5", "UTC", "2026-11-27T07:00:00Z", 2), ["2026-11-30T07:00Z", "2026-12-01T07:00Z"]);
        assert_eq!(times("0 7 * * *", "Europe/Berlin", "2026-11-27T07:00:00Z", 1), ["2026-11-28T06:00Z"]);
        // The hour that is not there, in March: as late as it would have been.
        let spring = |cron: &str, count| times(cron, "Europe/Berlin", "2027-03-28T00:15:00Z", count);
        assert_eq!(spring("30 2 * * *", 2), ["2027-03-28T01:30Z", "2027-03-29T00:30Z"]);
        assert_eq!(spring("30 * * * *", 3), ["2027-03-28T00:30Z", "2027-03-28T01:30Z", "2027-03-28T02:30Z"]);
        // The hour that comes twice, in October: once for what comes at an hour, twice for what comes with each.
        let autumn = |cron: &str, count| times(cron, "Europe/Berlin", "2026-10-24T23:45:00Z", count);
        assert_eq!(autumn("30 2 * * *", 2), ["2026-10-25T00:30Z", "2026-10-26T01:30Z"]);
        assert_eq!(
            autumn("30 * * * *", 4),
            ["2026-10-25T00:30Z", "2026-10-25T01:30Z", "2026-10-25T02:30Z", "2026-10-25T03:30Z"]
        );
        assert_eq!(
            times("*/20 * * * *", "Europe/Berlin", "2026-10-25T00:50:00Z", 3),
            ["2026-10-25T01:00Z", "2026-10-25T01:20Z", "2026-10-25T01:40Z"]
        );
        // Half an hour, where the library itself would turn in circles.
        let lord_howe = times("0 7 * 4 0", "Australia/Lord_Howe", "2026-11-27T00:00:00Z", 1);
        assert_eq!(lord_howe, ["2027-04-03T20:30Z"]);
        assert_eq!(times("0 0 29 2 *", "UTC", "2026-11-27T07:00:00Z", 1), ["2028-02-29T00:00Z"]);
        assert_eq!(
            times("0 0 30 2 *", "UTC", "2026-11-27T07:00:00Z", 1),
            Vec::<String>::new(),
            "a day that never comes"
        );
        for (cron, zone, param) in [
            ("0 7 * *", "UTC", "/cron"),
            ("0 7 * * * UTC", "UTC", "/cron"),
            ("61 7 * * *", "UTC", "/cron"),
            ("x", "UTC", "/cron"),
            ("0 9 L * *", "UTC", "/cron"),
            ("0 9 * * 5L", "UTC", "/cron"),
            ("0 7 * * *", "Europe/Nowhere", "/timezone"),
        ] {
            assert_eq!(Times::parse(cron, zone).expect_err(cron).errors[0].param, param, "{cron} {zone}");
        }
        assert!(Times::parse("0 9 * JUL WED", "UTC").is_ok());
    }

    /// In every zone there is, through every change of a year: forward only, and no hour or day is lost.
    #[test]
    fn times_go_forward_in_every_zone() {
        let (from, until) = (at("2026-06-01T00:00:00Z"), at("2027-06-01T00:00:00Z"));
        for name in jiff::tz::db().available() {
            let zone = TimeZone::get(name.as_str()).expect("it is there");
            let turns = zone.following(from.0).map(|turn| Timestamp(turn.timestamp()));
            for turn in turns.take_while(|turn| *turn < until) {
                let (begin, end) = (turn.plus_ms(-4 * 3_600_000), turn.plus_ms(4 * 3_600_000));
                for (cron, most_apart) in [("30 * * * *", 2), ("15 2 * * *", 26)] {
                    let times = Times::parse(cron, name.as_str()).expect("it reads");
                    let mut last = begin;
                    while last < end {
                        let next = times.after(last).expect("it comes");
                        let apart = next.ms() - last.ms();
                        assert!(apart > 0 && apart <= most_apart * 3_600_000, "{name}: {next} follows {last}");
                        last = next;
                    }
                }
            }
        }
    }
}
