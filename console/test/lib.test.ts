/** Everything small: money, times, scales, differences, words, places. */
import { describe, expect, it } from "vitest";
import type { Agent } from "headwater";
import { diffLines, foldDiff } from "../src/lib/diff.ts";
import { axisMoney, formatMoney, formatNano, moneyOf, nanoOf, parseUsd } from "../src/lib/money.ts";
import { niceStep, ticks, timeStep } from "../src/lib/scale.ts";
import { compact, excerpt, shortId } from "../src/lib/text.ts";
import { daysFrom, formatDuration, formatRelative } from "../src/lib/time.ts";
import { comparable, configOf, patchOf } from "../src/pages/agent-config.ts";
import { ranked, seriesOf } from "../src/pages/usage.tsx";
import { href, parseRoute } from "../src/router.ts";
import { doorOf } from "../src/session.ts";
import { lastAtMost } from "../src/run/events.tsx";

describe("money", () => {
  it.each([
    [0, "$0"],
    [3_300, "$0.0000033"],
    [1, "$0.000000001"],
    [331_000, "$0.000331"],
    [12_345_678, "$0.0123"],
    [999_999_999, "$1"],
    [1_500_000_000, "$1.50"],
    [12_345_678_901, "$12.35"],
    [1_234_567_000_000_000, "$1,234,567"],
    [-40_000, "−$0.00004"],
  ])("%d nano-dollars are %s", (nano, text) => {
    expect(formatNano(nano)).toBe(text);
  });

  it("is unknown, not zero, where the server does not know", () => {
    expect(formatMoney(null)).toBe("unknown");
    expect(nanoOf(null)).toBe(0);
  });

  it("above 2⁵³ nano-dollars is read from the decimal", () => {
    expect(formatMoney({ nano_usd: null, usd: "12000000" })).toBe("$12,000,000");
  });

  it("goes there and back", () => {
    expect(moneyOf(3_300)).toEqual({ nano_usd: 3_300, usd: "0.0000033" });
    expect(nanoOf(moneyOf(1_234_567))).toBe(1_234_567);
  });

  it("is read from what people type", () => {
    expect(parseUsd(" $25 ")).toBe("25");
    expect(parseUsd("0.000000001")).toBe("0.000000001");
    for (const wrong of ["", "1e3", "-1", "1.", "1,000", "0.0000000001"]) expect(parseUsd(wrong)).toBeNull();
  });

  it("is short on an axis", () => {
    expect([0, 4_000_000, 2_500_000_000, 12_000_000_000_000].map(axisMoney)).toEqual([
      "$0",
      "$0.004",
      "$2.5",
      "$12k",
    ]);
  });
});

describe("times", () => {
  it.each([
    [0, "0 ms"],
    [999.4, "999 ms"],
    [1_240, "1.24 s"],
    [12_340, "12.3 s"],
    [64_000, "1 min 04 s"],
    [7_500_000, "2 h 05 min"],
    [90_000_000, "1 d 1 h"],
    [-5, "0 ms"],
  ])("%d ms are %s", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  it("are said from now", () => {
    expect(formatRelative(0, 5_000)).toBe("just now");
    expect(formatRelative(0, 180_000)).toBe("3 min ago");
    expect(formatRelative(7_200_000, 0)).toBe("in 2 h");
  });

  it("has days in UTC over the end of a month", () => {
    expect(daysFrom("2026-11-29", 4)).toEqual(["2026-11-29", "2026-11-30", "2026-12-01", "2026-12-02"]);
  });
});

describe("scales", () => {
  it("has round ticks that cover the most", () => {
    expect(ticks(7, 4)).toEqual([0, 2, 4, 6, 8]);
    expect(ticks(0, 4)).toEqual([0]);
    for (const most of [0.00034, 3, 97, 12_345]) expect(ticks(most, 4).at(-1)).toBeGreaterThanOrEqual(most);
  });

  it("has steps of 1, 2, 5, and those of clocks for time", () => {
    expect([0.3, 1, 1.2, 3, 7].map(niceStep)).toEqual([0.5, 1, 2, 5, 10]);
    expect([0.2, 3, 1100, 40_000, 100_000].map(timeStep)).toEqual([1, 5, 2000, 60_000, 120_000]);
  });
});

describe("differences", () => {
  const both = (before: string, after: string) => {
    const lines = diffLines(before, after);
    const join = (kind: string) =>
      lines
        .filter((line) => line.kind !== kind)
        .map((line) => line.text)
        .join("\n");
    return { lines, before: join("added"), after: join("removed") };
  };

  it("holds both texts", () => {
    const before = "a\nb\nc\nd\ne";
    const after = "a\nc\nX\nd\nf\ne";
    const made = both(before, after);
    expect(made.before).toBe(before);
    expect(made.after).toBe(after);
    expect(
      made.lines.filter((line) => line.kind !== "same").map((line) => `${line.kind} ${line.text}`),
    ).toEqual(["removed b", "added X", "added f"]);
  });

  it("numbers lines as each text has them", () => {
    const { lines } = both("a\nb", "a\nx\nb");
    expect(lines.map((line) => [line.before, line.after])).toEqual([
      [1, 1],
      [null, 2],
      [2, 3],
    ]);
  });

  it("leaves long unchanged stretches out, and counts them", () => {
    const before = Array.from({ length: 40 }, (_, at) => `line ${at}`);
    const after = before.map((line, at) => (at === 20 ? "changed" : line));
    const blocks = foldDiff(diffLines(before.join("\n"), after.join("\n")));
    expect(blocks.map((block) => (block.type === "skipped" ? block.count : block.lines.length))).toEqual([
      17, 8, 16,
    ]);
  });
});

describe("agents", () => {
  const agent = {
    id: "agt_1",
    object: "agent",
    name: "poet",
    version: 2,
    active_version: 2,
    model: "m",
    instructions: "One.\nTwo.\\n",
    stop: ["x"],
    created_at: "",
    updated_at: "",
    archived_at: null,
  } as unknown as Agent;

  it("are changed by what differs only, and a field that is gone is cleared", () => {
    const before = configOf(agent);
    expect(before).toEqual({ model: "m", instructions: "One.\nTwo.\\n", stop: ["x"] });
    expect(patchOf(before, { model: "m", instructions: "Three.", seed: 1 })).toEqual({
      instructions: "Three.",
      seed: 1,
      stop: null,
    });
    expect(patchOf(before, before)).toEqual({});
  });

  it("are compared line by line, in their instructions too", () => {
    expect(comparable(agent).split("\n")).toContain('    Two.\\\\n",');
  });
});

describe("usage", () => {
  it("has a part for each of the costliest, and one for all others", () => {
    const groups = Array.from({ length: 10 }, (_, at) => ({
      day: at === 0 ? "2026-11-02" : "2026-11-01",
      agent: `agt_${at}`,
      cost: moneyOf((10 - at) * 100),
    })) as unknown as Parameters<typeof seriesOf>[0];
    const series = seriesOf(
      groups,
      ["2026-11-01", "2026-11-02"],
      "agent",
      ranked(groups, "agent"),
      (group) => group.agent ?? "",
      (group) => nanoOf(group.cost),
    );
    expect(series.map((one) => one.name)).toEqual([
      "agt_0",
      "agt_1",
      "agt_2",
      "agt_3",
      "agt_4",
      "agt_5",
      "all others",
    ]);
    expect(series[0]?.values).toEqual([0, 1000]);
    expect(series.at(-1)?.values).toEqual([1000, 0]);
  });
});

describe("words", () => {
  it("are short", () => {
    expect(shortId("run_01a22264-1fae-71a7-83a9-143244bebb4e")).toBe("run_…44bebb4e");
    expect(compact(12_345)).toBe("12.3k");
    expect(excerpt("a  b\n\nc", 10)).toBe("a b c");
    expect(excerpt("abcdefghij", 5)).toBe("abcd…");
  });

  it("finds the row of an event in a filtered list", () => {
    expect(lastAtMost([2, 5, 9], 1)).toBe(-1);
    expect(lastAtMost([2, 5, 9], 5)).toBe(1);
    expect(lastAtMost([2, 5, 9], 100)).toBe(2);
  });
});

describe("places", () => {
  it("are hashes, with what they hold escaped", () => {
    const text = href(["runs", "a/b?"], { status: "x y", none: "" });
    expect(text).toBe("#/runs/a%2Fb%3F?status=x%20y");
    const route = parseRoute(text);
    expect(route.path).toEqual(["runs", "a/b?"]);
    expect(route.query.get("status")).toBe("x y");
  });

  it("survive a hash that is no place", () => {
    expect(parseRoute("#/%zz").path).toEqual(["%zz"]);
    expect(parseRoute("").path).toEqual([]);
  });
});

describe("doors", () => {
  it("are told apart by the key", () => {
    expect(doorOf("hw_op_test")).toBe("operator");
    expect(doorOf("hw_sk_test")).toBe("tenant");
    expect(doorOf("eyJh.eyJz.c2ln")).toBe("user");
    expect(doorOf("sk-test")).toBeNull();
  });
});
