/** The decoder: frames do not depend on how the bytes were cut. */
import { describe, expect, test } from "vitest";
import { Decoder, maxFrame, type Frame } from "../src/stream/sse.js";

const text = [
  '\ufeffretry: 2000\nid: 0000000000000001\nevent: run.queued\ndata: {"a":"ü\u{1f30a}"}\n\n',
  ": hb\n\n",
  "id: 2\r\nevent: x\r\ndata: one\r\ndata:two\r\ndata\r\n\r\n",
  "other: y\nid\u003a 3\ndata:  indented\n\n",
  "retry: 30000\n",
].join("");

const expected: Frame[] = [
  { id: 1, event: "run.queued", data: '{"a":"ü\u{1f30a}"}', retry: 2000 },
  { id: null, event: "", data: null, retry: null },
  { id: 2, event: "x", data: "one\ntwo\n", retry: null },
  { id: 3, event: "", data: " indented", retry: null },
];

function decode(pieces: (Uint8Array | string)[]): [Frame[], number | null] {
  const decoder = new Decoder();
  const frames: Frame[] = [];
  for (const piece of pieces) {
    decoder.push(piece);
    for (let frame = decoder.next(); frame !== null; frame = decoder.next()) frames.push(frame);
  }
  return [frames, decoder.finish()];
}

const bytes = (text: string) => new TextEncoder().encode(text);

test("wherever bytes or text are cut", () => {
  for (const whole of [text, text.replaceAll("\r", "").replaceAll("\n", "\r\n")]) {
    const all = bytes(whole);
    for (let first = 0; first <= all.length; first++) {
      for (let second = first; second <= all.length; second += 3) {
        const pieces = [all.slice(0, first), all.slice(first, second), all.slice(second)];
        expect(decode(pieces)).toEqual([expected, 30_000]);
      }
    }
    expect(decode(Array.from(all, (byte) => Uint8Array.of(byte)))).toEqual([expected, 30_000]);
    for (let at = 0; at <= whole.length; at++) {
      expect(decode([whole.slice(0, at), whole.slice(at)])).toEqual([expected, 30_000]);
    }
  }
});

test("a half block is void, and a half retry, too", () => {
  expect(decode(["id: 1\ndata: x\n"])).toEqual([[], null]);
  expect(decode(["retry: 30"])).toEqual([[], null]);
  expect(decode(["retry: 30\n"])).toEqual([[], 30]);
  expect(decode([bytes("data: ü").slice(0, -1)])).toEqual([[], null]);
});

describe("what no server of ours sends is refused", () => {
  const large = "x".repeat(maxFrame);
  test.each([
    ["a block without an end", ["data: ", large]],
    ["a block that is too large", [`data: ${large}\n\n`]],
    ["an id that is no number", ["id: seven\n\n"]],
    ["an empty id", ["id\ndata: x\n\n"]],
    ["an id beyond all numbers", ["id: 99999999999999999999\n\n"]],
    ["bytes that are no UTF-8", [bytes("data: x"), Uint8Array.of(0xff), "\n\n"]],
  ])("%s", (_, pieces) => {
    expect(() => decode(pieces)).toThrow(expect.objectContaining({ kind: "decode" }));
  });
});
