/** The controls under the timeline: play, step, scrub, speed, zoom, live. */
import { formatClock, formatDuration } from "../lib/time.ts";
import { Icon } from "../ui/icons.tsx";
import type { FollowState } from "./follow.ts";
import type { RunLog } from "./log.ts";
import { SPEEDS, type Player } from "./player.ts";

/** The controls. */
export function Transport(props: {
  log: RunLog;
  state: FollowState;
  player: Player;
  onZoom: (factor: number) => void;
  onFit: () => void;
}) {
  const { log, player, state } = props;
  const time = log.times[Math.max(0, player.cursor)];
  const start = log.times[0];
  const where =
    time === undefined || start === undefined
      ? "no events yet"
      : `event ${player.cursor + 1} of ${log.length}, +${formatDuration(time - start)}, ${formatClock(time)}`;
  return (
    <div class="transport">
      <div class="row">
        <button
          type="button"
          class="btn plain"
          aria-label="To the first event"
          onClick={() => player.seek(0)}
        >
          <Icon name="first" />
        </button>
        <button
          type="button"
          class="btn"
          aria-label={player.playing ? "Pause" : "Play"}
          disabled={log.length < 2}
          onClick={player.toggle}
        >
          <Icon name={player.playing ? "pause" : "play"} />
        </button>
        <button
          type="button"
          class="btn plain"
          aria-label="To the last event"
          onClick={() => player.seek(log.length - 1)}
        >
          <Icon name="last" />
        </button>
        <select
          aria-label="Speed"
          value={String(player.speed)}
          onChange={(event) => player.setSpeed(Number(event.currentTarget.value))}
        >
          {SPEEDS.map((speed) => (
            <option key={speed} value={String(speed)}>
              {speed}×
            </option>
          ))}
        </select>
      </div>
      <input
        type="range"
        class="scrubber"
        aria-label="Event"
        aria-valuetext={where}
        min={0}
        max={Math.max(0, log.length - 1)}
        value={Math.max(0, player.cursor)}
        disabled={log.length === 0}
        onInput={(event) => player.seek(Number(event.currentTarget.value))}
      />
      <output class="num muted transport-where">{where}</output>
      <div class="row">
        <button type="button" class="btn plain" aria-label="Further" onClick={() => props.onZoom(1.6)}>
          −
        </button>
        <button type="button" class="btn plain small" onClick={props.onFit}>
          All
        </button>
        <button type="button" class="btn plain" aria-label="Closer" onClick={() => props.onZoom(1 / 1.6)}>
          +
        </button>
        {state !== "over" && (
          <button
            type="button"
            class={player.following ? "btn on" : "btn"}
            aria-pressed={player.following}
            onClick={player.follow}
          >
            {state === "live" || state === "loading" ? "Live" : state === "paused" ? "Paused" : "Offline"}
          </button>
        )}
      </div>
    </div>
  );
}
