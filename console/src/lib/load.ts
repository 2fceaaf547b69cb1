/**
 * Data of the page that is open: loaded, kept fresh while somebody looks, and forgotten with the page.
 *
 * Promises one request at a time per page, none while the page is hidden, and that an answer which comes late never replaces a newer one. Data
 * stays on the screen while it is loaded again.
 */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError, type List } from "headwater";
import { visible } from "./visible.ts";

/** Something that is loaded. */
export interface Loaded<T> {
  data: T | undefined;
  /** Why the last try failed; what was loaded before is still there. */
  error: unknown;
  /** Loads it again now. */
  reload: () => void;
}

/** Loads when `deps` change, and every `everyMs` (never if 0) while the page is visible. */
export function useLoad<T>(
  load: (signal: AbortSignal) => Promise<T>,
  deps: readonly unknown[],
  everyMs = 0,
): Loaded<T> {
  const key = JSON.stringify(deps);
  const [state, setState] = useState<{ key: string; data: T | undefined; error: unknown }>({
    key,
    data: undefined,
    error: undefined,
  });
  const [turn, setTurn] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  const shown = visible.value;
  useEffect(() => {
    if (!shown) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    // What is not there, or not for who asks, is not asked for again and again.
    let gone = false;
    const once = async () => {
      try {
        const data = await latest.current(stop.signal);
        if (!stop.signal.aborted) setState({ key, data, error: undefined });
      } catch (error) {
        gone = error instanceof ApiError && [401, 403, 404].includes(error.status);
        if (!stop.signal.aborted)
          setState((before) => ({ key, data: before.key === key ? before.data : undefined, error }));
      }
      if (!stop.signal.aborted && everyMs > 0 && !gone) timer = setTimeout(() => void once(), everyMs);
    };
    void once();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [key, everyMs, turn, shown]);
  const reload = useCallback(() => setTurn((before) => before + 1), []);
  // What was loaded for other `deps` is not shown for these.
  return state.key === key
    ? { data: state.data, error: state.error, reload }
    : { data: undefined, error: undefined, reload };
}

/** A list that grows by pages. */
export interface Listed<T> extends Loaded<T[]> {
  /** Whether there is more. */
  more: boolean;
  /** Loads the next page. */
  loadMore: () => void;
}

/** Anything that gives a page: the SDK's lists do. */
export interface Paged<T> {
  page: () => Promise<List<T>>;
}

/** The first page, kept fresh, and further ones when they are asked for. */
export function useList<T extends { id: string }>(
  list: (after: string | undefined, signal: AbortSignal) => Paged<T>,
  deps: readonly unknown[],
  everyMs = 0,
): Listed<T> {
  const first = useLoad((signal) => list(undefined, signal).page(), deps, everyMs);
  const [rest, setRest] = useState<{ key: string; pages: List<T>[]; error: unknown }>({
    key: "",
    pages: [],
    error: undefined,
  });
  const key = JSON.stringify(deps);
  const mine = rest.key === key ? rest : { key, pages: [], error: undefined };
  const last = mine.pages.at(-1) ?? first.data;
  const loadMore = () => {
    const after = last?.next_cursor;
    if (!after) return;
    list(after, new AbortController().signal)
      .page()
      .then((page) => setRest({ key, pages: [...mine.pages, page], error: undefined }))
      .catch((error: unknown) => setRest({ ...mine, error }));
  };
  let data: T[] | undefined;
  if (first.data !== undefined) {
    // New objects push older ones over the edge of the first page: an id is shown once.
    const firsts = new Set(first.data.data.map((item) => item.id));
    const older = mine.pages.flatMap((page) => page.data).filter((item) => !firsts.has(item.id));
    data = [...first.data.data, ...new Map(older.map((item) => [item.id, item])).values()];
  }
  return {
    data,
    error: first.error ?? mine.error,
    reload: first.reload,
    more: last?.has_more ?? false,
    loadMore,
  };
}
