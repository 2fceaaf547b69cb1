/** Times and durations as people read them. */

/** `0 ms`, `840 ms`, `1.24 s`, `3 min 04 s`, `2 h 05 min`, `3 d 4 h`. */
export function formatDuration(ms: number): string {
  const value = Math.max(0, ms);
  if (value < 1000) return `${Math.round(value)} ms`;
  if (value < 10_000) return `${(value / 1000).toFixed(2)} s`;
  if (value < 60_000) return `${(value / 1000).toFixed(1)} s`;
  const seconds = Math.round(value / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${pad(seconds % 60)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`;
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** `12:03:04.123` in the reader's own time zone. */
export function formatClock(ms: number): string {
  const time = new Date(ms);
  return `${pad(time.getHours())}:${pad(time.getMinutes())}:${pad(time.getSeconds())}.${String(time.getMilliseconds()).padStart(3, "0")}`;
}

/** `just now`, `3 min ago`, `in 2 h`. */
export function formatRelative(then: number, now: number): string {
  const away = Math.abs(now - then);
  if (away < 10_000) return now >= then ? "just now" : "in a moment";
  const text = coarse(away);
  return now >= then ? `${text} ago` : `in ${text}`;
}

function coarse(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** The day of a time in UTC, `2026-11-21`, which is how the ledger counts. */
export function utcDay(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

/** `2026-11-21`, and the days after it, so many in all. */
export function daysFrom(first: string, count: number): string[] {
  const start = Date.parse(`${first}T00:00:00Z`);
  return Array.from({ length: count }, (_, at) => utcDay(start + at * 86_400_000));
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}
