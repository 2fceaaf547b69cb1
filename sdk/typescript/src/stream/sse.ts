/**
 * Decodes `text/event-stream` from pieces of text that may be split anywhere.
 *
 * Promises that the frames do not depend on how the text was cut, and bounded memory: a frame of more than `maxFrame` characters is an error.
 * LF and CRLF end a line; a CR alone does not (no face of Headwater writes it).
 */
import { DecodeError } from "../errors.js";

/** The longest frame that is read, in characters: four times what Headwater's own may have in bytes. */
export const maxFrame = 1024 * 1024;

/** One block between blank lines. */
export interface Frame {
  /** The `id:`, a sequence number. */
  id: number | null;
  /** The `event:`; empty if there is none. */
  event: string;
  /** The `data:` lines, joined by LF; `null` where the block dispatches nothing. */
  data: string | null;
  /** The `retry:`, in milliseconds. */
  retry: number | null;
}

/** The state between pieces of one connection. */
export class Decoder {
  /** The beginning of a block whose end was not in its piece. */
  #carry = "";
  #piece = "";
  /** How much of `#piece` was searched for the end of a block. */
  #searched = 0;
  /** The last, unfinished line as far as it matters: how long it is, not counting a CR at its beginning. */
  #line = 0;
  #cr = false;
  #begun = false;
  readonly #utf8: TextDecoder | undefined =
    typeof TextDecoder === "undefined"
      ? undefined
      : new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

  /** Takes the next piece. The one before must have been read to its end. */
  push(piece: Uint8Array | string): void {
    if (typeof piece === "string") {
      this.#piece = piece;
    } else {
      try {
        if (this.#utf8 === undefined) throw new TypeError("this runtime has no TextDecoder");
        this.#piece = this.#utf8.decode(piece, { stream: true });
      } catch (cause) {
        throw new DecodeError("the stream is not UTF-8", { cause });
      }
    }
    this.#searched = 0;
  }

  /** The next whole block, or `null` until there is more. */
  next(): Frame | null {
    for (;;) {
      const at = this.#piece.indexOf("\n", this.#searched);
      if (at < 0) break;
      const blank = this.#isBlank(this.#piece.slice(this.#searched, Math.min(at, this.#searched + 2)));
      this.#searched = at + 1;
      this.#line = 0;
      this.#cr = false;
      if (blank) {
        const block = this.#carry + this.#piece.slice(0, this.#searched);
        this.#piece = this.#piece.slice(this.#searched);
        this.#carry = "";
        this.#searched = 0;
        return parse(this.#whole(block));
      }
    }
    // No end in sight: keep what there is, and how far its last line has come.
    const tail = this.#piece.length - this.#searched;
    if (tail > 0) {
      if (this.#line === 0 && !this.#cr) {
        this.#cr = this.#piece[this.#searched] === "\r";
        this.#line = tail - (this.#cr ? 1 : 0);
      } else {
        this.#line += tail;
      }
    }
    this.#carry += this.#piece;
    this.#piece = "";
    this.#searched = 0;
    if (this.#carry.length > maxFrame) throw tooLarge();
    return null;
  }

  /** The end of the connection: a block without its end is void, but a `retry:` counts as soon as its line is over. */
  finish(): number | null {
    const lines = this.#carry.split("\n");
    lines.pop();
    this.#carry = "";
    let last: number | null = null;
    for (const line of lines) {
      const [name, value] = field(line);
      if (name === "retry") last = number(value) ?? last;
    }
    return last;
  }

  /** Whether the line that ends with this has nothing in it. */
  #isBlank(end: string): boolean {
    return this.#line === 0 && (end === "" || (end === "\r" && !this.#cr));
  }

  #whole(block: string): string {
    if (block.length > maxFrame) throw tooLarge();
    const first = !this.#begun;
    this.#begun = true;
    return first && block.startsWith("\ufeff") ? block.slice(1) : block;
  }
}

function tooLarge(): DecodeError {
  return new DecodeError(`the stream cannot be read: an event is larger than ${maxFrame} characters`);
}

/** A line's name and value; no name for comments. */
function field(line: string): [string, string] {
  const text = line.endsWith("\r") ? line.slice(0, -1) : line;
  const at = text.indexOf(":");
  if (at < 0) return [text, ""];
  const from = text[at + 1] === " " ? at + 2 : at + 1;
  return [text.slice(0, at), text.slice(from)];
}

/** Digits only, as the standard has it. */
function number(value: string): number | null {
  const found = /^\d+$/.test(value) ? Number(value) : NaN;
  return Number.isSafeInteger(found) ? found : null;
}

function parse(block: string): Frame {
  const frame: Frame = { id: null, event: "", data: null, retry: null };
  for (const line of block.split("\n")) {
    const [name, value] = field(line);
    switch (name) {
      case "data":
        frame.data = frame.data === null ? value : `${frame.data}\n${value}`;
        break;
      case "event":
        frame.event = value;
        break;
      case "id":
        frame.id = number(value);
        if (frame.id === null)
          throw new DecodeError("the stream cannot be read: an event's id is no sequence number");
        break;
      case "retry":
        frame.retry = number(value) ?? frame.retry;
        break;
      default:
      // Comments, and fields of later releases.
    }
  }
  return frame;
}
