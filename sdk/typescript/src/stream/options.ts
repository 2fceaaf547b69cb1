/** How a stream begins, and how long it keeps trying. */

/** A position in a run's log: strictly after which event to read (0 = from the start), or only what happens from `now` on. */
export type Cursor = number | "now";

/** How a stream goes on when its connection ends. */
export interface StreamTuning {
  /** Reconnects in a row that may bring nothing new: 10 unless set. */
  attempts?: number | undefined;
  /** The pause in ms before a reconnect until the server names one: 2 000 unless set. */
  retryMs?: number | undefined;
  /** How long in ms a connection may be silent before it counts as broken: 45 000 unless set, which is three heartbeats. */
  idleMs?: number | undefined;
  /** Ends the stream: iterating it rejects with the signal's reason. The run goes on. */
  signal?: AbortSignal | undefined;
}

/** Options of a stream of a run that is there. */
export interface StreamOptions extends StreamTuning {
  /** Where to begin: from the first event on unless set. */
  after?: Cursor | undefined;
}

/** What a stream has been through; for load tests and the curious. */
export interface StreamStats {
  /** Connections that were answered with a stream. */
  connections: number;
  /** Events that came again and were dropped. */
  duplicates: number;
  /** Gaps that a reconnect had to fill. */
  gaps: number;
  /** Bytes of all bodies (characters, where the runtime decodes by itself). */
  bytes: number;
}

/** What the tracker goes by. */
export interface StreamSettings {
  attempts: number;
  retryMs: number;
  idleMs: number;
}

/** The settings that options come to. */
export function settingsOf(tuning: StreamTuning): StreamSettings {
  return {
    attempts: tuning.attempts ?? 10,
    retryMs: tuning.retryMs ?? 2_000,
    idleMs: tuning.idleMs ?? 45_000,
  };
}
