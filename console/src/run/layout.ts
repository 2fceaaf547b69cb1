/** Where the timeline's lanes are in its picture. Pure numbers, so that drawing and hit-testing agree. */
import type { Axis, Viewport } from "./axis.ts";
import { LANES, type Lane, type Span, type Spans } from "./spans.ts";

/** Sizes in CSS pixels. */
export const RULER = 22;
const ROW = 17;
const PAD = 5;
const COST = 40;
const DENSITY = 22;
/** More rows than this share the last one: a lane of a hundred parallel calls does not push the others out of sight. */
const MOST_ROWS = 8;

/** A lane in the picture. */
export interface LaneBox {
  lane: Lane | "cost" | "events";
  label: string;
  /** The same where there is little room. */
  short: string;
  y: number;
  height: number;
}

const LABELS: Record<Lane, [label: string, short: string]> = {
  wait: ["Queue, waits", "Waits"],
  model: ["Model calls", "Model"],
  text: ["Text, reasoning", "Text"],
  tools: ["Tools", "Tools"],
  approvals: ["Approvals", "Asks"],
};

/** All lanes, from top to bottom, and the height of the whole. */
export function lanesOf(spans: Spans): { boxes: LaneBox[]; height: number } {
  const boxes: LaneBox[] = [];
  let y = RULER;
  for (const lane of LANES) {
    const height = Math.min(spans.rows[lane], MOST_ROWS) * ROW + PAD * 2;
    const [label, short] = LABELS[lane];
    boxes.push({ lane, label, short, y, height });
    y += height;
  }
  boxes.push({ lane: "cost", label: "Cost", short: "Cost", y, height: COST });
  y += COST;
  boxes.push({ lane: "events", label: "Events", short: "Events", y, height: DENSITY });
  return { boxes, height: y + DENSITY };
}

/** Maps the axis to pixels. */
export interface Frame {
  axis: Axis;
  view: Viewport;
  /** Where the picture's time begins and ends, in pixels. */
  left: number;
  right: number;
}

/** The pixel of a place on the axis. */
export function pixelOf(frame: Frame, place: number): number {
  const { view, left, right } = frame;
  return left + ((place - view.from) / Math.max(1e-9, view.to - view.from)) * (right - left);
}

/** The place on the axis at a pixel. */
export function placeAt(frame: Frame, x: number): number {
  const { view, left, right } = frame;
  return view.from + ((x - left) / Math.max(1, right - left)) * (view.to - view.from);
}

/** A span's rectangle; its width is at least two pixels. `now` is where those under way end. */
export function rectOf(frame: Frame, span: Span, box: LaneBox, now: number) {
  const x = pixelOf(frame, frame.axis.place(span.start));
  const end = pixelOf(frame, frame.axis.place(span.end ?? Math.max(now, span.start)));
  const row = Math.min(span.row, MOST_ROWS - 1);
  return { x, y: box.y + PAD + row * ROW, width: Math.max(2, end - x), height: ROW - 3 };
}

/** The span under a point, the shortest if there are several. */
export function spanAt(
  frame: Frame,
  spans: Spans,
  boxes: readonly LaneBox[],
  now: number,
  x: number,
  y: number,
): Span | null {
  const box = boxes.find((one) => y >= one.y && y < one.y + one.height);
  if (box === undefined) return null;
  let best: { span: Span; width: number } | null = null;
  for (const span of spans.all) {
    if (span.lane !== box.lane) continue;
    const rect = rectOf(frame, span, box, now);
    const near =
      x >= rect.x - 2 && x <= rect.x + rect.width + 2 && y >= rect.y - 1 && y <= rect.y + rect.height + 2;
    if (near && (best === null || rect.width < best.width)) best = { span, width: rect.width };
  }
  return best?.span ?? null;
}
