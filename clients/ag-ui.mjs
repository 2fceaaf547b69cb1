// @ag-ui/client, as it is, against /ag-ui/{agent}: its own verifier looks at every event.
//
//   BASE      the server
//   TOKEN     a user's token
//   GATE      when that is asked, the model goes on with its answer
//   SCENARIO  see below
import { HttpAgent, verifyEvents } from '@ag-ui/client';
import assert from 'node:assert/strict';
import { lastValueFrom, toArray } from 'rxjs';

const { BASE, TOKEN, GATE, SCENARIO } = process.env;
const options = { url: `${BASE}/ag-ui/assistant`, headers: { authorization: `Bearer ${TOKEN}` } };
const agent = (threadId) => new HttpAgent({ ...options, threadId });
const say = (agent, content) => agent.addMessage({ id: crypto.randomUUID(), role: 'user', content });
const last = (agent) => agent.messages.at(-1);
const tool = { name: 'pick', description: 'Picks', parameters: { type: 'object', properties: {} } };

/** All events of one run of theirs, in the raw, as their verifier lets them pass. */
const told = (agent, input) => lastValueFrom(agent.run(input).pipe(verifyEvents(false), toArray()));

// A line that is cut is told by `runAgent`, and once more by a promise of the client's own that nobody can wait for (1.0.0).
process.on('unhandledRejection', (error) => {
  if (error?.message !== 'terminated') throw error;
});

const scenarios = {
  async talk() {
    const it = agent('t');
    say(it, 'How are you?');
    await it.runAgent();
    assert.deepEqual([last(it).role, last(it).content], ['assistant', 'Well.']);
    say(it, 'And now?');
    const { result } = await it.runAgent({ context: [{ description: 'The page', value: 'checkout' }] });
    assert.deepEqual([last(it).content, result.text], ['Better.', 'Better.']);
    // Another page that knows the names alone is told what was told.
    const other = agent('t');
    const input = { threadId: 't', runId: 'r', messages: [{ id: 'm', role: 'user', content: 'Once more.' }], tools: [], context: [], state: {}, forwardedProps: {} };
    const events = await told(other, input);
    assert.deepEqual([events[0].type, events[0].runId, events.at(-1).type], ['RUN_STARTED', 'r', 'RUN_FINISHED']);
    assert.deepEqual(await told(agent('t'), input), events);
  },

  // The line is cut, again and again: the same run is asked for again, and what it says is there once.
  async cut() {
    const it = agent('t');
    say(it, 'Count.');
    const said = [...it.messages];
    let opened = false;
    const subscriber = {
      onTextMessageContentEvent: () => {
        if (!opened) fetch(GATE);
        opened = true;
      },
    };
    let tries = 0;
    for (;;) {
      tries += 1;
      assert.ok(tries < 200, 'it comes to an end');
      it.setMessages(said);
      try {
        await it.runAgent({ runId: 'once' }, subscriber);
        break;
      } catch {
        // Cut.
      }
    }
    assert.ok(tries > 1, 'it was cut');
    assert.deepEqual(it.messages.map((message) => [message.role, message.content]), [
      ['user', 'Count.'],
      ['assistant', ' tok0 tok1 tok2 tok3'],
    ]);
  },

  async approve() {
    const it = agent('t');
    say(it, 'Pay.');
    await it.runAgent();
    const [asked, ...more] = it.pendingInterrupts;
    assert.deepEqual([more, asked.reason, asked.message], [[], 'tool_approval', 'May pay be called?']);
    const call = it.messages.flatMap((message) => message.toolCalls ?? []).find((call) => call.id === asked.toolCallId);
    assert.deepEqual([call.function.name, JSON.parse(call.function.arguments)], ['pay', { amount: 7 }]);
    await it.runAgent({ resume: [{ interruptId: asked.id, status: 'resolved', payload: { approved: true } }] });
    const result = it.messages.find((message) => message.role === 'tool');
    assert.deepEqual([result.toolCallId, JSON.parse(result.content)], [call.id, { paid: true }]);
    assert.equal(last(it).content, 'Paid.');
    assert.deepEqual(it.pendingInterrupts, []);
    // Dismissed, it is denied; and the thread goes on.
    say(it, 'Pay.');
    await it.runAgent();
    await it.runAgent({ resume: [{ interruptId: it.pendingInterrupts[0].id, status: 'cancelled' }] });
    assert.equal(last(it).content, 'Then not.');
  },

  // A tool of the page's own.
  async tools() {
    const it = agent('t');
    say(it, 'Which?');
    let due;
    await it.runAgent({ tools: [tool] }, { onRunFinishedEvent: ({ pendingToolCallIds }) => void (due = pendingToolCallIds) });
    assert.equal(due.length, 1);
    const call = it.messages.flatMap((message) => message.toolCalls ?? []).find((call) => call.id === due[0]);
    assert.deepEqual([call.function.name, call.function.arguments], ['pick', '{}']);
    it.addMessage({ id: crypto.randomUUID(), role: 'tool', toolCallId: call.id, content: '{"color":"red"}' });
    const answers = [...it.messages];
    await it.runAgent({ runId: 'second', tools: [tool] });
    assert.equal(last(it).content, 'Red it is.');
    // Sent again, it is the same answer.
    it.setMessages(answers);
    await it.runAgent({ runId: 'second', tools: [tool] });
    assert.equal(last(it).content, 'Red it is.');
    say(it, 'And now?');
    await it.runAgent({ tools: [tool] });
    assert.equal(last(it).content, 'Nothing.');
  },

  async fail() {
    const it = agent('t');
    say(it, 'x');
    let error;
    await it.runAgent({}, { onRunErrorEvent: ({ event }) => void (error = event) }).catch(() => {});
    assert.equal(error.code, 'provider_rejected');
    const stranger = new HttpAgent({ url: `${BASE}/ag-ui/nobody`, headers: options.headers, threadId: 't' });
    say(stranger, 'x');
    await assert.rejects(stranger.runAgent(), /no such agent/);
  },
};

await scenarios[SCENARIO]();
process.exit(0);
