// eventsource, as it is, with a ticket in the URL: reads on by itself over every cut, and ends where the run does.
//
//   BASE   the server
//   TOKEN  a user's token
//   RUN    the run
//   GATE   when that is asked, the model goes on with its answer
import { EventSource } from 'eventsource';
import assert from 'node:assert/strict';

const { BASE, TOKEN, RUN, GATE } = process.env;
let ticket;
while (ticket === undefined) {
  const asked = fetch(`${BASE}/v1/runs/${RUN}/tickets`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    body: '{}',
  });
  // That may be cut too.
  ticket = await asked.then((answer) => answer.json()).catch(() => undefined);
}
const source = new EventSource(`${BASE}${ticket.events_url}`);
const seen = [];
let cuts = 0;
source.onerror = (error) => {
  cuts += 1;
  // One that has given up says nothing more.
  if (source.readyState === EventSource.CLOSED) throw new Error(`it gave up: ${error.code} ${error.message}, ${JSON.stringify(seen.at(-1))}`);
};
const over = new Promise((done) => {
  const take = (event) => {
    seen.push(JSON.parse(event.data));
    if (event.type === 'message.delta') fetch(GATE);
    if (event.type === 'run.completed') done();
  };
  for (const type of ['run.queued', 'run.started', 'step.started', 'step.finished', 'message.started', 'message.delta',
    'message.completed', 'hidden', 'run.completed']) {
    source.addEventListener(type, take);
  }
});
await over;
assert.deepEqual(seen.map((event) => event.seq), seen.map((_, n) => n + 1), 'each once, in order');
assert.ok(cuts > 0, 'it was cut');
process.exit(0);
