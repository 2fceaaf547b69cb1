//! Schedules: runs that begin by themselves, again and again.

use serde::{Deserialize, Serialize};

use super::{check_metadata, check_name, present};
use crate::message::{Content, InputPart, Metadata};
use crate::{AgentId, Problem, RunId, ScheduleId, ThreadId, Timestamp, UserId};

/// Schedules of one user.
pub const MAX_SCHEDULES: i64 = 100;
/// The most runs that are made up for at once, of times at which nobody was awake.
pub const MAX_MISSED: usize = 100;
/// The longest expression.
const MAX_CRON_CHARS: usize = 128;
/// The longest name of a time zone.
const MAX_ZONE_CHARS: usize = 64;

words! {
    /// What becomes of times at which nobody was awake.
    OnMissed {
        /// One run for all of them.
        RunOnce,
        /// None. What is past for less than fifteen minutes was not missed: whoever wakes a sleeping server may need them.
        Skip,
        /// One for each, the latest hundred at most.
        RunAll,
    }
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Schedule {
    /// Its id.
    pub id: ScheduleId,
    /// Always `schedule`.
    pub object: String,
    /// For people.
    pub name: String,
    /// Whose runs it makes.
    pub user: UserId,
    /// Which agent runs, in the version that is active then.
    pub agent: AgentId,
    /// In which thread; `null` = a new one each time.
    pub thread: Option<ThreadId>,
    /// What is said.
    pub input: Content,
    /// When: minute, hour, day of the month, month, day of the week.
    pub cron: String,
    /// In which time zone, by its IANA name.
    pub timezone: String,
    /// What becomes of times at which nobody was awake.
    pub on_missed: OnMissed,
    /// Whether it makes runs.
    pub enabled: bool,
    /// When it makes the next one; `null` when it makes none.
    pub next_run_at: Option<Timestamp>,
    /// The last run that it made.
    pub last_run: Option<RunId>,
    /// Why it could not make the last one.
    pub last_error: Option<Problem>,
    /// Own pairs, which its runs get too.
    pub metadata: Metadata,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed by somebody.
    pub updated_at: Timestamp,
}

/// A schedule to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleParams {
    /// For people: 1 to 128 characters.
    pub name: String,
    /// The agent, by id or name.
    pub agent: String,
    /// What is said: text, or parts that are text.
    pub input: Content,
    /// Five fields: minute, hour, day of the month, month, day of the week.
    pub cron: String,
    /// An IANA name such as `Europe/Berlin`; `UTC` unless given. Where its clocks change, a time that is left out comes as late as
    /// it would have been, and one that comes twice is met once, or twice if the hour is `*`.
    #[serde(default)]
    pub timezone: Option<String>,
    /// A thread of the user; `null` = a new one each time.
    #[serde(default)]
    pub thread: Option<ThreadId>,
    /// `run_once` unless given.
    #[serde(default)]
    pub on_missed: Option<OnMissed>,
    /// `true` unless given.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// At most 16 pairs.
    #[serde(default)]
    pub metadata: Option<Metadata>,
}

/// A change of a schedule: what is absent stays.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleUpdate {
    /// For people: 1 to 128 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The agent, by id or name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// What is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Content>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// In which time zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// In which thread; `null` = a new one each time.
    #[serde(deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub thread: Option<Option<ThreadId>>,
    /// What becomes of times at which nobody was awake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_missed: Option<OnMissed>,
    /// Whether it makes runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// All of the pairs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

impl ScheduleParams {
    /// Whether the values are within their bounds. Whether the expression and the zone mean something is the server's to say.
    pub fn check(&self) -> Result<(), Problem> {
        check_name("/name", &self.name, 128)?;
        let parts = self.input.clone().into_parts("/input")?;
        if let Some((at, _)) = parts.iter().find(|(_, part)| !matches!(part, InputPart::Text { .. })) {
            return Err(Problem::invalid(at.clone(), "a schedule says words only"));
        }
        let zone = self.timezone.as_deref().unwrap_or("UTC");
        for (param, text, most) in [("/cron", &*self.cron, MAX_CRON_CHARS), ("/timezone", zone, MAX_ZONE_CHARS)] {
            if text.is_empty() || text.len() > most || !text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
                return Err(Problem::invalid(param, format!("must have 1 to {most} visible ASCII characters")));
            }
        }
        if let Some(metadata) = &self.metadata {
            check_metadata(metadata)?;
        }
        Ok(())
    }
}
