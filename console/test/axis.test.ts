/** The time axis: gaps, order, zoom. */
import { describe, expect, it } from "vitest";
import { Axis, pan, SHORTEST_GAP_MS, zoom } from "../src/run/axis.ts";

describe("the axis", () => {
  it("is real time where nothing is silent for long", () => {
    const axis = Axis.of([1000, 1200, 4000, 8000]);
    expect(axis.gaps).toEqual([]);
    expect(axis.length).toBe(7000);
    expect(axis.place(4000)).toBe(3000);
    expect(axis.time(3000)).toBe(4000);
  });

  it("compresses a long silence and says which", () => {
    const day = 86_400_000;
    const axis = Axis.of([0, 1000, 2000, 2000 + day, 3000 + day]);
    expect(axis.gaps).toEqual([{ from: 2000, to: 2000 + day, at: 2000, width: 450 }]);
    expect(axis.length).toBe(3450);
    // Outside of the gap a millisecond is a millisecond.
    expect(axis.place(1500)).toBe(1500);
    expect(axis.place(2500 + day)).toBe(2950);
    expect(axis.place(2000 + day / 2)).toBe(2225);
  });

  it("does not compress what is short beside the rest of the run", () => {
    const busy = Array.from({ length: 600 }, (_, at) => at * 1000);
    const axis = Axis.of([...busy, 599_000 + 20_000]);
    expect(20_000).toBeGreaterThan(SHORTEST_GAP_MS);
    expect(axis.gaps).toEqual([]);
  });

  it("keeps the order of times and is undone by `time`", () => {
    const times = [0, 10, 10, 700, 90_000, 90_100, 500_000, 500_001];
    const axis = Axis.of(times);
    expect(axis.gaps).toHaveLength(2);
    let before = -1;
    for (const time of times) {
      const place = axis.place(time);
      expect(place).toBeGreaterThanOrEqual(before);
      expect(axis.time(place)).toBeCloseTo(time, 3);
      before = place;
    }
    expect(axis.place(500_001)).toBeCloseTo(axis.length, 6);
  });

  it("leaves most of the room to the work, however often it was silent", () => {
    const times = Array.from({ length: 50 }, (_, at) => at * 3_600_000 + (at % 2) * 500).sort(
      (a, b) => a - b,
    );
    const work = [0, 1000, 2000, 3000];
    const axis = Axis.of([...work, ...times.map((time) => time + 100_000)]);
    const silent = axis.gaps.reduce((sum, gap) => sum + gap.width, 0);
    expect(axis.gaps.length).toBeGreaterThan(40);
    expect(silent).toBeLessThanOrEqual(Math.max(3000 * 0.6, axis.gaps.length * 20) + 1);
  });

  it("takes times that go back as standing still", () => {
    expect(Axis.of([100, 50, 200]).length).toBe(100);
  });

  it("has a length even without events", () => {
    expect(Axis.of([]).length).toBe(1);
    expect(Axis.of([5]).length).toBe(1);
  });
});

describe("the viewport", () => {
  it("zooms around a place, which stays where it is", () => {
    const view = zoom({ from: 0, to: 1000 }, 250, 0.5, 1000);
    expect(view).toEqual({ from: 125, to: 625 });
    expect((250 - view.from) / (view.to - view.from)).toBe(0.25);
  });

  it("never leaves the axis", () => {
    expect(zoom({ from: 100, to: 200 }, 150, 100, 1000)).toEqual({ from: 0, to: 1000 });
    expect(pan({ from: 100, to: 200 }, -500, 1000)).toEqual({ from: 0, to: 100 });
    expect(pan({ from: 100, to: 200 }, 5000, 1000)).toEqual({ from: 900, to: 1000 });
  });

  it("does not go closer than two milliseconds", () => {
    const view = zoom({ from: 0, to: 10 }, 5, 1e-9, 1000);
    expect(view.to - view.from).toBeCloseTo(2);
  });
});
