/**
 * The difference of two texts, line by line.
 *
 * Owns a shortest edit by the longest common subsequence. Promises that dropping the added lines gives the first text, and dropping the removed
 * ones the second.
 */

/** A line of a difference, with its number in the old and the new text (from 1; `null` where it is not in it). */
export interface DiffLine {
  kind: "same" | "added" | "removed";
  text: string;
  before: number | null;
  after: number | null;
}

/** Above so many differing lines the table would be large: they are shown as removed and added. */
const MOST = 4_000_000;

/** All lines of both texts. */
export function diffLines(before: string, after: string): DiffLine[] {
  const old = before.split("\n");
  const fresh = after.split("\n");
  let head = 0;
  while (head < old.length && head < fresh.length && old[head] === fresh[head]) head++;
  let tail = 0;
  while (
    tail < old.length - head &&
    tail < fresh.length - head &&
    old[old.length - 1 - tail] === fresh[fresh.length - 1 - tail]
  ) {
    tail++;
  }
  const lines: DiffLine[] = [];
  for (let at = 0; at < head; at++) lines.push(same(old[at] ?? "", at, at));
  lines.push(...middle(old, fresh, head, tail));
  for (let at = tail; at > 0; at--) {
    lines.push(same(old[old.length - at] ?? "", old.length - at, fresh.length - at));
  }
  return lines;
}

function same(text: string, before: number, after: number): DiffLine {
  return { kind: "same", text, before: before + 1, after: after + 1 };
}

function middle(old: string[], fresh: string[], head: number, tail: number): DiffLine[] {
  const rows = old.length - head - tail;
  const columns = fresh.length - head - tail;
  const removed = (at: number): DiffLine => ({
    kind: "removed",
    text: old[at] ?? "",
    before: at + 1,
    after: null,
  });
  const added = (at: number): DiffLine => ({
    kind: "added",
    text: fresh[at] ?? "",
    before: null,
    after: at + 1,
  });
  const lines: DiffLine[] = [];
  let i = 0;
  let j = 0;
  if (rows * columns <= MOST) {
    // lengths[i][j]: the longest common subsequence of what is left from i and j on.
    const width = columns + 1;
    const lengths = new Uint32Array((rows + 1) * width);
    for (let row = rows - 1; row >= 0; row--) {
      for (let column = columns - 1; column >= 0; column--) {
        const down = lengths[(row + 1) * width + column] ?? 0;
        const right = lengths[row * width + column + 1] ?? 0;
        const both = lengths[(row + 1) * width + column + 1] ?? 0;
        lengths[row * width + column] =
          old[head + row] === fresh[head + column] ? both + 1 : Math.max(down, right);
      }
    }
    while (i < rows && j < columns) {
      if (old[head + i] === fresh[head + j]) {
        lines.push(same(old[head + i] ?? "", head + i, head + j));
        i++;
        j++;
      } else if ((lengths[(i + 1) * width + j] ?? 0) >= (lengths[i * width + j + 1] ?? 0)) {
        lines.push(removed(head + i++));
      } else {
        lines.push(added(head + j++));
      }
    }
  }
  while (i < rows) lines.push(removed(head + i++));
  while (j < columns) lines.push(added(head + j++));
  return lines;
}

/** A stretch of a difference: changes with a few lines around them, or how many unchanged lines are left out. */
export type DiffBlock = { type: "lines"; lines: DiffLine[] } | { type: "skipped"; count: number };

/** The difference with long unchanged stretches left out. */
export function foldDiff(lines: readonly DiffLine[], around = 3): DiffBlock[] {
  const near = new Uint8Array(lines.length);
  lines.forEach((line, at) => {
    if (line.kind === "same") return;
    for (let i = Math.max(0, at - around); i <= Math.min(lines.length - 1, at + around); i++) near[i] = 1;
  });
  const blocks: DiffBlock[] = [];
  lines.forEach((line, at) => {
    const last = blocks.at(-1);
    if (near[at] === 1) {
      if (last?.type === "lines") last.lines.push(line);
      else blocks.push({ type: "lines", lines: [line] });
    } else if (last?.type === "skipped") last.count++;
    else blocks.push({ type: "skipped", count: 1 });
  });
  return blocks;
}
