/**
 * Draws the timeline on a canvas.
 *
 * Costs what is seen: spans outside the viewport are passed over, and events are counted into columns of pixels, so that ten thousand of them are
 * as cheap as a hundred.
 */
import { timeStep } from "../lib/scale.ts";
import { formatDuration } from "../lib/time.ts";
import { formatNano } from "../lib/money.ts";
import { pixelOf, rectOf, RULER, type Frame, type LaneBox } from "./layout.ts";
import type { RunLog } from "./log.ts";
import type { Span } from "./spans.ts";

/** The colours that a picture needs, by the names of the style sheet. */
export const COLOURS = [
  "bg-raised",
  "bg-sunken",
  "line",
  "line-strong",
  "text",
  "text-2",
  "text-3",
  "accent",
  "f-wait",
  "f-model",
  "f-reasoning",
  "f-text",
  "f-tool",
  "f-approval",
  "f-bad",
  "f-lost",
  "f-cost",
  "on-span",
] as const;

/** What a picture shows. */
export interface Scene {
  frame: Frame;
  log: RunLog;
  boxes: readonly LaneBox[];
  height: number;
  width: number;
  /** Where those spans end that are under way, in ms. */
  now: number;
  /** The place of the scrubber on the axis; `null` to draw none. */
  playhead: number | null;
  /** The event as of which the run is shown: what is behind it is pale. */
  cursor: number;
  selected: Span | null;
  colours: Record<string, string>;
}

/** Draws it all. */
export function draw(context: CanvasRenderingContext2D, scene: Scene): void {
  const { width, height, colours } = scene;
  context.clearRect(0, 0, width, height);
  context.font = '11px system-ui, -apple-system, "Segoe UI", sans-serif';
  context.textBaseline = "middle";
  drawLanes(context, scene);
  context.save();
  context.beginPath();
  context.rect(scene.frame.left, 0, scene.frame.right - scene.frame.left, height);
  context.clip();
  drawRuler(context, scene);
  drawGaps(context, scene);
  drawMarks(context, scene);
  drawSpans(context, scene);
  drawCost(context, scene);
  drawDensity(context, scene);
  context.restore();
  if (scene.playhead !== null) {
    const x = Math.round(pixelOf(scene.frame, scene.playhead)) + 0.5;
    if (x >= scene.frame.left - 1 && x <= scene.frame.right + 1) {
      context.strokeStyle = colour(colours, "accent");
      context.fillStyle = colour(colours, "accent");
      context.lineWidth = 1.5;
      line(context, x, 8, x, height);
      context.beginPath();
      context.moveTo(x - 5, 2);
      context.lineTo(x + 5, 2);
      context.lineTo(x, 10);
      context.fill();
    }
  }
}

function colour(colours: Record<string, string>, name: (typeof COLOURS)[number]): string {
  return colours[name] ?? "gray";
}

function line(context: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

function drawLanes(context: CanvasRenderingContext2D, { boxes, width, frame, colours }: Scene): void {
  context.lineWidth = 1;
  context.strokeStyle = colour(colours, "line");
  for (const box of boxes) {
    line(context, 0, box.y + 0.5, width, box.y + 0.5);
    context.fillStyle = colour(colours, "text-3");
    context.textAlign = "left";
    const wide = frame.left > 80;
    context.fillText(wide ? box.label : box.short, wide ? 12 : 6, box.y + Math.min(box.height / 2, 14));
  }
  line(context, frame.left - 0.5, RULER, frame.left - 0.5, boxes.at(-1)?.y ?? 0);
}

function drawRuler(context: CanvasRenderingContext2D, { frame, height, colours }: Scene): void {
  const perPixel = (frame.view.to - frame.view.from) / Math.max(1, frame.right - frame.left);
  const step = timeStep(perPixel * 90);
  context.strokeStyle = colour(colours, "line");
  context.fillStyle = colour(colours, "text-3");
  context.textAlign = "left";
  for (let at = Math.ceil(frame.view.from / step) * step; at <= frame.view.to; at += step) {
    // Inside of what is compressed there is nothing to read off.
    if (frame.axis.gaps.some((gap) => at > gap.at && at < gap.at + gap.width)) continue;
    const x = Math.round(pixelOf(frame, at)) + 0.5;
    line(context, x, RULER - 5, x, height);
    context.fillText(`+${formatDuration(frame.axis.time(at) - frame.axis.start)}`, x + 4, RULER / 2);
  }
}

function drawGaps(context: CanvasRenderingContext2D, { frame, height, colours }: Scene): void {
  for (const gap of frame.axis.gaps) {
    const from = pixelOf(frame, gap.at);
    const to = pixelOf(frame, gap.at + gap.width);
    if (to < frame.left || from > frame.right) continue;
    context.fillStyle = colour(colours, "bg-sunken");
    context.fillRect(from, 0, to - from, height);
    context.save();
    context.beginPath();
    context.rect(from, RULER, to - from, height - RULER);
    context.clip();
    context.strokeStyle = colour(colours, "line-strong");
    context.lineWidth = 1;
    for (let x = from - height; x < to; x += 9) line(context, x, height, x + height, 0);
    context.restore();
    const words = formatDuration(gap.to - gap.from);
    context.fillStyle = colour(colours, "text-2");
    context.textAlign = "center";
    if (context.measureText(words).width < to - from + 30)
      context.fillText(words, (from + to) / 2, RULER / 2);
  }
}

function drawMarks(context: CanvasRenderingContext2D, { frame, log, height, colours }: Scene): void {
  for (const mark of log.spans.marks) {
    const x = Math.round(pixelOf(frame, frame.axis.place(mark.time))) + 0.5;
    if (x < frame.left || x > frame.right) continue;
    const loud = mark.kind === "reset" || mark.kind === "resumed" || mark.kind === "budget";
    context.strokeStyle = colour(colours, loud ? "f-bad" : "line-strong");
    context.setLineDash(loud ? [] : [2, 3]);
    line(context, x, RULER, x, height);
    context.setLineDash([]);
  }
}

function drawSpans(context: CanvasRenderingContext2D, scene: Scene): void {
  const { frame, log, boxes, now, colours, cursor, selected } = scene;
  const boxOf = new Map(boxes.map((box) => [box.lane, box]));
  for (const span of log.spans.all) {
    const box = boxOf.get(span.lane);
    if (box === undefined) continue;
    const rect = rectOf(frame, span, box, now);
    if (rect.x > frame.right || rect.x + rect.width < frame.left) continue;
    const shade = span.first > cursor ? 0.28 : 1;
    context.fillStyle = colour(
      colours,
      span.tone === "bad" ? "f-bad" : span.tone === "lost" ? "f-lost" : `f-${span.tone}`,
    );
    // Until the work itself begins a span is pale.
    const begun =
      span.busy === null
        ? rect.x
        : span.busy === Infinity
          ? Infinity
          : pixelOf(frame, frame.axis.place(span.busy));
    const busy = Math.max(rect.x, begun);
    const waits = busy - rect.x > 1;
    context.globalAlpha = waits ? shade * 0.4 : shade;
    context.beginPath();
    context.roundRect(rect.x, rect.y, rect.width, rect.height, Math.min(3, rect.width / 2));
    context.fill();
    context.globalAlpha = shade;
    if (waits) {
      if (busy !== Infinity) {
        const width = Math.max(2, rect.x + rect.width - busy);
        context.beginPath();
        context.roundRect(rect.x + rect.width - width, rect.y, width, rect.height, Math.min(3, width / 2));
        context.fill();
      }
      context.beginPath();
      context.roundRect(rect.x, rect.y, rect.width, rect.height, Math.min(3, rect.width / 2));
    }
    if (span === selected) {
      context.strokeStyle = colour(colours, "text");
      context.lineWidth = 1.5;
      context.stroke();
    }
    const from = Math.max(rect.x, frame.left);
    const room = Math.min(rect.x + rect.width, frame.right) - from - 10;
    if (room > 24) {
      context.fillStyle =
        span.tone === "lost" || waits ? colour(colours, "text") : colour(colours, "on-span");
      context.textAlign = "left";
      context.fillText(fit(context, span.label, room), from + 5, rect.y + rect.height / 2 + 0.5);
    }
  }
  context.globalAlpha = 1;
}

/** As much of a text as fits. */
function fit(context: CanvasRenderingContext2D, text: string, room: number): string {
  if (context.measureText(text).width <= room) return text;
  let most = Math.min(text.length, Math.floor(room / 4));
  while (most > 1 && context.measureText(`${text.slice(0, most)}…`).width > room) most -= 1 + (most >> 4);
  return `${text.slice(0, most)}…`;
}

function drawCost(context: CanvasRenderingContext2D, { frame, log, boxes, colours, now }: Scene): void {
  const box = boxes.find((one) => one.lane === "cost");
  const points = log.spans.cost;
  const last = points.at(-1);
  if (box === undefined || last === undefined || last.nano === 0) return;
  const most = Math.max(...points.map((point) => point.nano));
  const floor = box.y + box.height - 4;
  const y = (nano: number) => floor - (nano / most) * (box.height - 18);
  const start = pixelOf(frame, 0);
  const end = pixelOf(frame, frame.axis.place(Math.max(now, frame.axis.end)));
  context.beginPath();
  context.moveTo(start, floor);
  let height = floor;
  for (const point of points) {
    const x = pixelOf(frame, frame.axis.place(point.time));
    context.lineTo(x, height);
    height = y(point.nano);
    context.lineTo(x, height);
  }
  context.lineTo(end, height);
  context.strokeStyle = colour(colours, "f-cost");
  context.lineWidth = 1.5;
  context.stroke();
  context.lineTo(end, floor);
  context.closePath();
  context.globalAlpha = 0.16;
  context.fillStyle = colour(colours, "f-cost");
  context.fill();
  context.globalAlpha = 1;
  context.fillStyle = colour(colours, "text-2");
  context.textAlign = "right";
  context.fillText(formatNano(last.nano), Math.min(end, frame.right) - 4, y(last.nano) - 7);
}

function drawDensity(context: CanvasRenderingContext2D, { frame, log, boxes, colours, cursor }: Scene): void {
  const box = boxes.find((one) => one.lane === "events");
  if (box === undefined || log.length === 0) return;
  const columns = Math.max(1, Math.ceil((frame.right - frame.left) / 3));
  const counts = new Uint32Array(columns);
  const first = Math.max(0, log.indexAt(frame.axis.time(frame.view.from) - 1));
  const last = Math.min(log.length - 1, log.indexAt(frame.axis.time(frame.view.to)));
  let most = 1;
  for (let at = first; at <= last; at++) {
    const x = pixelOf(frame, frame.axis.place(log.times[at] as number)) - frame.left;
    const column = Math.min(columns - 1, Math.floor(x / 3));
    if (column < 0) continue;
    const count = (counts[column] = (counts[column] as number) + 1);
    if (count > most) most = count;
  }
  const edge =
    cursor >= 0 ? pixelOf(frame, frame.axis.place(log.times[Math.min(cursor, log.length - 1)] as number)) : 0;
  context.fillStyle = colour(colours, "text-3");
  for (let column = 0; column < columns; column++) {
    const count = counts[column] as number;
    if (count === 0) continue;
    const x = frame.left + column * 3;
    context.globalAlpha = x > edge ? 0.3 : 0.85;
    const height = 3 + (Math.log1p(count) / Math.log1p(most)) * (box.height - 8);
    context.fillRect(x, box.y + box.height - 2 - height, 2, height);
  }
  context.globalAlpha = 1;
}
