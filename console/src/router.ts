/**
 * Which page is shown: the part of the URL behind `#`.
 *
 * Static files are all the server has, so pages are hashes. Never holds a credential.
 */
import { computed, signal } from "@preact/signals";

/** A place in the console. */
export interface Route {
  /** `#/runs/run_1` is `["runs", "run_1"]`. */
  path: string[];
  query: URLSearchParams;
}

/** The place that a hash names. */
export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#?\/?/, "").split("?", 2);
  return {
    path: path
      .split("/")
      .filter((part) => part !== "")
      .map(decodePart),
    query: new URLSearchParams(query),
  };
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The hash of a place. */
export function href(path: readonly string[], query: Record<string, string | undefined> = {}): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    value === undefined || value === "" ? [] : [`${name}=${encodeURIComponent(value)}`],
  );
  const text = path.map(encodeURIComponent).join("/");
  return `#/${text}${pairs.length === 0 ? "" : `?${pairs.join("&")}`}`;
}

const hash = signal(typeof location === "undefined" ? "" : location.hash);

/** Where we are. */
export const route = computed(() => parseRoute(hash.value));

/** Begins to follow the address bar. */
export function startRouter(): void {
  addEventListener("hashchange", () => {
    hash.value = location.hash;
  });
}

/** What the query says of this, if that is one of these. Anybody can write an address. */
export function chosen<T extends string>(name: string, options: readonly T[], otherwise: T): T {
  const said = route.value.query.get(name);
  return options.find((option) => option === said) ?? otherwise;
}

/** Goes to a place, with an entry in the history. */
export function go(path: readonly string[], query: Record<string, string | undefined> = {}): void {
  location.hash = href(path, query);
}

/** Changes the query of the place we are at, without an entry in the history. */
export function setQuery(changes: Record<string, string | undefined>): void {
  const query: Record<string, string | undefined> = Object.fromEntries(route.value.query);
  history.replaceState(null, "", href(route.value.path, { ...query, ...changes }));
  hash.value = location.hash;
}
