/** Small words: ids, counts, JSON. */

/** An id short enough for a table: its prefix and its last eight characters, which are the random ones. */
export function shortId(id: string): string {
  const at = id.indexOf("_");
  return at < 0 || id.length < 20 ? id : `${id.slice(0, at)}_…${id.slice(-8)}`;
}

/** `1 run`, `2 runs`. */
export function count(value: number, noun: string): string {
  return `${value.toLocaleString("en-US")} ${noun}${value === 1 ? "" : "s"}`;
}

/** `812`, `12.3k`, `4.56M`. */
export function compact(value: number): string {
  if (Math.abs(value) < 10_000) return value.toLocaleString("en-US");
  if (Math.abs(value) < 1_000_000) return `${(value / 1000).toFixed(1)}k`;
  return `${(value / 1_000_000).toFixed(2)}M`;
}

/** `812 B`, `12 KiB`, `3.4 MiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${Math.round(bytes / 1024)} KiB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

/** JSON with two spaces; what is no JSON at all as it is. */
export function pretty(value: unknown): string {
  return JSON.stringify(value, null, 2) ?? "null";
}

/** The value that a text of JSON holds, or why it holds none. */
export function parseJson(text: string): { value: unknown } | { problem: string } {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : "not JSON" };
  }
}

/** One line of at most so many characters. */
export function excerpt(text: string, most: number): string {
  const line = text
    .slice(0, most * 2)
    .replace(/\s+/g, " ")
    .trim();
  return line.length <= most ? line : `${line.slice(0, most - 1)}…`;
}
