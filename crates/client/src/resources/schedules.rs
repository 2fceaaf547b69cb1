//! Schedules: runs that begin by themselves, again and again.

use headwater_protocol::ScheduleId;
use headwater_protocol::api::{List, Run, Schedule, ScheduleParams, ScheduleUpdate};

use crate::{Client, Error, ListOptions, Options};

impl Client {
    /// Makes a schedule of a user.
    pub async fn schedules_create(&self, params: &ScheduleParams, options: Options) -> Result<Schedule, Error> {
        self.post(&["schedules"], params, options).await
    }

    /// One schedule.
    pub async fn schedules_get(&self, schedule: ScheduleId) -> Result<Schedule, Error> {
        self.get(&["schedules", &schedule.to_string()]).await
    }

    /// Schedules: all of the tenant's, or those of the user acted for.
    pub async fn schedules_list(&self, page: ListOptions) -> Result<List<Schedule>, Error> {
        self.list(&["schedules"], page.into_query()).await
    }

    /// Changes a schedule.
    pub async fn schedules_update(&self, schedule: ScheduleId, change: &ScheduleUpdate) -> Result<Schedule, Error> {
        self.patch(&["schedules", &schedule.to_string()], change).await
    }

    /// Removes a schedule. Runs that it has made stay.
    pub async fn schedules_delete(&self, schedule: ScheduleId) -> Result<(), Error> {
        self.delete(&["schedules", &schedule.to_string()]).await
    }

    /// Makes a run of a schedule now, beside those of its times.
    pub async fn schedules_trigger(&self, schedule: ScheduleId, options: Options) -> Result<Run, Error> {
        self.post(&["schedules", &schedule.to_string(), "trigger"], &serde_json::json!({}), options).await
    }
}
