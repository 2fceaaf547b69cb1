/**
 * The timeline: a canvas that can be zoomed, moved and scrubbed, with mouse, fingers and keys.
 *
 * The slider under it (transport.tsx) is the same scrubber for those who do not see a canvas.
 */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { formatClock, formatDuration } from "../lib/time.ts";
import { colours, palette } from "../theme.ts";
import { useWidth } from "../ui/plot.tsx";
import { pan, zoom, type Viewport } from "./axis.ts";
import { COLOURS, draw } from "./draw.ts";
import { lanesOf, pixelOf, placeAt, RULER, spanAt, type Frame } from "./layout.ts";
import type { RunLog } from "./log.ts";
import type { Span } from "./spans.ts";

/** The timeline of a log. */
export function Chart(props: {
  log: RunLog;
  revision: number;
  /** Until when the axis goes for a run that goes on; 0 for one that is over. */
  now: number;
  /** What is seen; `null` is all of it. */
  view: Viewport | null;
  onView: (view: Viewport | null) => void;
  /** The event as of which the run is shown. */
  cursor: number;
  /** The scrubber between events while it plays; `null` to stand at the cursor. */
  playhead: number | null;
  onScrub: (index: number) => void;
  selected: Span | null;
  onSelect: (span: Span | null) => void;
}) {
  const { log, now } = props;
  const [box, width] = useWidth<HTMLDivElement>();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [hover, setHover] = useState<{ x: number; y: number } | null>(null);
  const axis = log.axis(now);
  const { boxes, height } = lanesOf(log.spans);
  const left = width < 560 ? 50 : 104;
  const view = props.view ?? { from: 0, to: axis.length };
  // A little room at both ends, so that what happens at the very end can be seen.
  const frame: Frame = { axis, view, left: left + 6, right: width - 10 };
  const paint = useMemo(() => colours(COLOURS), [palette.value]);
  const place = props.playhead ?? axis.place(log.times[Math.max(0, props.cursor)] ?? axis.start);

  useLayoutEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context) return;
    const ratio = devicePixelRatio || 1;
    const pixels = [Math.round(width * ratio), Math.round(height * ratio)] as const;
    if (element.width !== pixels[0] || element.height !== pixels[1]) [element.width, element.height] = pixels;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    draw(context, {
      frame,
      log,
      boxes,
      height,
      width,
      now: now || axis.end,
      playhead: log.length === 0 ? null : place,
      cursor: props.cursor,
      selected: props.selected,
      colours: paint,
    });
  });

  const latest = useRef({ frame, boxes, props, view });
  latest.current = { frame, boxes, props, view };
  useEffect(() => (canvas.current === null ? undefined : listen(canvas.current, latest, setHover)), []);

  const hovered = hover === null ? null : spanAt(frame, log.spans, boxes, now || axis.end, hover.x, hover.y);
  return (
    <div ref={box} class="chart">
      <canvas
        ref={canvas}
        role="img"
        aria-label={`Timeline of ${log.length} events over ${formatDuration(axis.end - axis.start)}`}
        style={{ width: `${width}px`, height: `${height}px` }}
      />
      {hover !== null && log.length > 0 && hover.x >= left && (
        <div
          class="chart-tip"
          style={{
            top: `${hover.y + 16}px`,
            ...(hover.x > width - 240
              ? { right: `${width - hover.x + 8}px` }
              : { left: `${hover.x + 12}px` }),
          }}
        >
          {hovered !== null && (
            <>
              <strong>{hovered.label}</strong>
              <span>
                {formatDuration((hovered.end ?? (now || axis.end)) - hovered.start)}
                {hovered.end === null ? " so far" : ""}
              </span>
            </>
          )}
          <span class="faint">{formatClock(axis.time(placeAt(frame, hover.x)))}</span>
        </div>
      )}
    </div>
  );
}

interface Latest {
  frame: Frame;
  boxes: ReturnType<typeof lanesOf>["boxes"];
  props: Parameters<typeof Chart>[0];
  view: Viewport;
}

/** Mouse, wheel and fingers. Wheel with Ctrl or a pinch zooms, sideways moves; plain wheel scrolls the page as everywhere. */
function listen(
  canvas: HTMLCanvasElement,
  latest: { current: Latest },
  setHover: (at: { x: number; y: number } | null) => void,
): () => void {
  const fingers = new Map<number, number>();
  let drag: { x: number; y: number; moved: boolean; scrub: boolean } | null = null;
  const spot = (event: PointerEvent | WheelEvent) => {
    const rect = canvas.getBoundingClientRect();
    return { x: event.clientX - rect.left, y: event.clientY - rect.top };
  };
  const scrub = (x: number) => {
    const { frame, props } = latest.current;
    const time = frame.axis.time(placeAt(frame, x));
    props.onScrub(Math.max(0, props.log.indexAt(time)));
  };
  const move = (pixels: number) => {
    const { frame, props, view } = latest.current;
    const by = (-pixels * (view.to - view.from)) / Math.max(1, frame.right - frame.left);
    if (props.view !== null) props.onView(pan(view, by, frame.axis.length));
  };
  const zoomBy = (x: number, factor: number) => {
    const { frame, props, view } = latest.current;
    const next = zoom(view, placeAt(frame, x), factor, frame.axis.length);
    props.onView(next.to - next.from >= frame.axis.length ? null : next);
  };
  const down = (event: PointerEvent) => {
    canvas.setPointerCapture(event.pointerId);
    const at = spot(event);
    fingers.set(event.pointerId, at.x);
    drag = { ...at, moved: false, scrub: at.y < RULER || near(at.x) };
    if (drag.scrub) scrub(at.x);
  };
  const near = (x: number) => {
    const { frame, props } = latest.current;
    const at = frame.axis.place(props.log.times[Math.max(0, props.cursor)] ?? 0);
    return Math.abs(pixelOf(frame, at) - x) < 6;
  };
  const moved = (event: PointerEvent) => {
    const at = spot(event);
    if (event.pointerType === "mouse") setHover(at);
    const before = fingers.get(event.pointerId);
    if (drag === null || before === undefined) return;
    if (fingers.size === 2) {
      const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1] ?? 0;
      const apart = Math.abs(before - other);
      if (apart > 8) zoomBy((at.x + other) / 2, apart / Math.max(8, Math.abs(at.x - other)));
      drag.moved = true;
    } else if (drag.scrub) scrub(at.x);
    else if (drag.moved || Math.abs(at.x - drag.x) > 4) {
      move(at.x - before);
      drag.moved = true;
    }
    fingers.set(event.pointerId, at.x);
  };
  const up = (event: PointerEvent) => {
    fingers.delete(event.pointerId);
    if (drag !== null && !drag.moved && !drag.scrub && event.type === "pointerup") {
      const { frame, boxes, props } = latest.current;
      const span = spanAt(frame, props.log.spans, boxes, props.now || frame.axis.end, drag.x, drag.y);
      props.onSelect(span);
      if (span === null) scrub(drag.x);
      else props.onScrub(span.first);
    }
    if (fingers.size === 0) drag = null;
  };
  const wheel = (event: WheelEvent) => {
    const at = spot(event);
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      zoomBy(at.x, Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.01));
    } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      move(-(event.deltaX || event.deltaY));
    }
  };
  const out = () => setHover(null);
  canvas.addEventListener("pointerdown", down);
  canvas.addEventListener("pointermove", moved);
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", out);
  canvas.addEventListener("wheel", wheel, { passive: false });
  return () => {
    canvas.removeEventListener("pointerdown", down);
    canvas.removeEventListener("pointermove", moved);
    canvas.removeEventListener("pointerup", up);
    canvas.removeEventListener("pointercancel", up);
    canvas.removeEventListener("pointerleave", out);
    canvas.removeEventListener("wheel", wheel);
  };
}
