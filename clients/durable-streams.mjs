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
const offsets = [];
const following = await read('-1', live);
following.subscribeJson(async (batch) => {
  seen.push(...batch.items);
  offsets.push([batch.offset, seen.length]);
});
const until = async (what, look) => {
  for (let n = 0; !look(); n += 1) {
    if (n > 600) throw new Error(`waited in vain: ${what}, with ${JSON.stringify(seen)}`);
    await new Promise((done) => setTimeout(done, 50));
  }
};
await until('it has begun', () => seen.some((event) => event.type === 'message.delta'));
await fetch(GATE);
await until('it is closed', () => following.streamClosed && seen.at(-1).type === 'run.completed');
assert.deepEqual(seen.map((event) => event.seq), seen.map((_, n) => n + 1), 'each once, in order');
// Whoever comes back later reads the rest.
for (const [offset, count] of offsets) {
  const rest = await (await read(offset, false)).json();
  assert.deepEqual(rest.map((event) => event.seq), seen.slice(count).map((event) => event.seq));
}
process.exit(0);
