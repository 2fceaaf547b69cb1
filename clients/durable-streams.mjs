// @durable-streams/client, as it is, against a run: follows it live to its end, and reads on from each offset that it was given.
//
//   STREAM    the run's stream
//   TOKEN     a user's token
//   GATE      when that is asked, the model goes on with its answer
//   SCENARIO  true, long-poll or sse: how it follows
import { stream } from '@durable-streams/client';
import assert from 'node:assert/strict';

const { STREAM, TOKEN, GATE, SCENARIO } = process.env;
const live = SCENARIO === 'true' ? true : SCENARIO;
const read = (offset, live) =>
  stream({ url: STREAM, headers: { authorization: `Bearer ${TOKEN}` }, offset, live, warnOnHttp: false });

const seen = [];
const offsets = [['-1', 0]];
// The library says when a line is cut; whoever follows reads on from the last offset that it was given.
async function follow() {
  for (let tries = 0; tries < 200; tries += 1) {
    let over = false;
    try {
      const following = await read(offsets.at(-1)[0], live);
      following.subscribeJson(async ({ items, offset }) => {
        // What is still on its way when the line is cut is read again.
        if (over) return;
        seen.push(...items);
        offsets.push([offset, seen.length]);
      });
      await following.closed;
      if (following.streamClosed) return;
    } catch (error) {
      over = true;
      if (!(error instanceof TypeError)) throw error;
    }
  }
  throw new Error('it comes to no end');
}
const again = async (ask) => {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
  }
};
const until = async (what, look) => {
  for (let n = 0; !look(); n += 1) {
    if (n > 600) throw new Error(`waited in vain: ${what}, with ${JSON.stringify(seen)}`);
    await new Promise((done) => setTimeout(done, 50));
  }
};
const followed = follow();
await until('it has begun', () => seen.some((event) => event.type === 'message.delta'));
await fetch(GATE);
await followed;
// It is closed a moment before its last batch is handed over.
await until('the end is told', () => seen.at(-1).type === 'run.completed');
assert.deepEqual(seen.map((event) => event.seq), seen.map((_, n) => n + 1), 'each once, in order');
// Whoever comes back later reads the rest.
for (const [offset, count] of offsets) {
  const rest = await again(async () => (await read(offset, false)).json());
  assert.deepEqual(rest.map((event) => event.seq), seen.slice(count).map((event) => event.seq));
}
process.exit(0);
