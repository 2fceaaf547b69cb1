/** Runs again and again. */
import type { PostOptions, RequestOptions } from "../http/call.js";
import type { ListParams, Pages } from "../http/pages.js";
import type { Run, Schedule, Schema } from "../types.js";
import { Resource } from "./resource.js";

/** Schedules: runs at each time of a cron expression. */
export class Schedules extends Resource {
  /** Lists schedules. */
  list(query?: ListParams, options?: RequestOptions): Pages<Schedule> {
    return this.api.list(["schedules"], query, options);
  }

  /** Makes a schedule. */
  create(params: Schema<"ScheduleParams">, options?: PostOptions): Promise<Schedule> {
    return this.api.post(["schedules"], params, options);
  }

  /** A schedule. */
  get(schedule: string, options?: RequestOptions): Promise<Schedule> {
    return this.api.get(["schedules", schedule], options);
  }

  /** Changes a schedule. Its next time is counted anew where its times change. */
  update(schedule: string, params: Schema<"ScheduleUpdate">, options?: RequestOptions): Promise<Schedule> {
    return this.api.patch(["schedules", schedule], params, options);
  }

  /** Makes a run of a schedule now, beside those of its times. */
  trigger(schedule: string, options?: PostOptions): Promise<Run> {
    return this.api.post(["schedules", schedule, "trigger"], undefined, options);
  }

  /** Removes a schedule. Runs that it has made stay. */
  delete(schedule: string, options?: RequestOptions): Promise<void> {
    return this.api.delete(["schedules", schedule], options);
  }
}
