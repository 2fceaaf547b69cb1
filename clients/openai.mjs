// The openai package, as it is, against /v1/responses and /v1/chat/completions.
//
//   BASE      the server
//   KEY       a tenant's key
//   GATE      when that is asked, the model goes on with its answer
//   SCENARIO  see below
import assert from 'node:assert/strict';
import OpenAI from 'openai';

const { BASE, KEY, GATE, SCENARIO } = process.env;
const client = new OpenAI({ baseURL: `${BASE}/v1`, apiKey: KEY });
const model = 'assistant';
const user = 'alice';
const pick = { type: 'function', name: 'pick', description: 'Picks', parameters: { type: 'object', properties: {} }, strict: false };

/** All events of a stream, up to `enough`. */
const told = async (stream, enough = () => false) => {
  const events = [];
  for await (const event of stream) {
    events.push(event);
    if (enough(event)) break;
  }
  return events;
};
const text = (events) => events.filter((event) => event.type === 'response.output_text.delta').map((event) => event.delta).join('');
const grows = (events) => events.every((event, n) => n === 0 || event.sequence_number > events[n - 1].sequence_number);

const scenarios = {
  // A conversation, in whole answers; and each of them read again.
  async talk() {
    const first = await client.responses.create({ model, user, input: 'How are you?', metadata: { shop: '7' } });
    assert.equal(first.status, 'completed');
    assert.equal(first.output_text, 'Well.');
    assert.deepEqual([first.model, first.metadata], ['assistant', { shop: '7' }]);
    assert.deepEqual([first.usage.input_tokens, first.usage.output_tokens, first.usage.total_tokens], [10, 5, 15]);
    const second = await client.responses.create({ model, user, input: 'And now?', previous_response_id: first.id });
    assert.equal(second.output_text, 'Better.');
    assert.equal(second.previous_response_id, first.id);
    assert.deepEqual(second.conversation, first.conversation);
    const again = await client.responses.retrieve(second.id);
    assert.deepEqual(JSON.parse(JSON.stringify(again)), JSON.parse(JSON.stringify(second)));
    // Threads do not fork.
    await assert.rejects(client.responses.create({ model, user, input: 'x', previous_response_id: first.id }), (error) => {
      assert.ok(error instanceof OpenAI.UnprocessableEntityError);
      assert.match(error.message, /do not fork/);
      assert.equal(error.param, 'previous_response_id');
      return true;
    });
  },

  // Told as it is made, with the package's own bookkeeping; then the same once more, and from the middle.
  async stream() {
    const stream = client.responses.stream({ model, user, input: 'Count.' });
    const deltas = [];
    stream.on('response.output_text.delta', (event) => {
      deltas.push(event.snapshot);
      if (deltas.length === 1) fetch(GATE);
    });
    const final = await stream.finalResponse();
    assert.equal(final.output_text, ' tok0 tok1 tok2 tok3');
    assert.equal(deltas.at(-1), final.output_text);
    const all = await told(await client.responses.retrieve(final.id, { stream: true }));
    assert.deepEqual([all[0].type, all.at(-1).type], ['response.created', 'response.completed']);
    assert.ok(grows(all));
    for (const [at, event] of all.entries()) {
      const rest = await told(await client.responses.retrieve(final.id, { stream: true, starting_after: event.sequence_number }));
      assert.deepEqual(rest, all.slice(at + 1), `behind ${event.sequence_number}`);
    }
  },

  // In the background: asked for now and then, and ended.
  async background() {
    let response = await client.responses.create({ model, user, input: 'Count.', background: true });
    assert.ok(['queued', 'in_progress'].includes(response.status), response.status);
    assert.equal(response.background, true);
    await fetch(GATE);
    while (['queued', 'in_progress'].includes(response.status)) {
      response = await client.responses.retrieve(response.id);
    }
    assert.deepEqual([response.status, response.output_text], ['completed', ' tok0 tok1 tok2 tok3']);
    const other = await client.responses.create({ model, user, input: 'Count.', background: true });
    const ended = await client.responses.cancel(other.id);
    assert.deepEqual([ended.id, ended.status], [other.id, 'cancelled']);
    assert.deepEqual((await client.responses.retrieve(other.id)).incomplete_details, { reason: 'cancelled' });
  },

  // A proxy cuts the line, again and again: read on behind what was seen.
  async cut() {
    const events = [];
    // Before anything was told it is asked for again, as the same request.
    const once = { headers: { 'Idempotency-Key': 'cut' } };
    const ask = () => client.responses.create({ model, user, input: 'Count.', stream: true }, once);
    const go_on = () =>
      client.responses.retrieve(events[0].response.id, { stream: true, starting_after: events.at(-1).sequence_number });
    let cuts = 0;
    while (events.at(-1)?.type !== 'response.completed') {
      try {
        for await (const event of await (events.length ? go_on() : ask())) {
          events.push(event);
          if (event.type === 'response.output_text.delta') await fetch(GATE);
        }
      } catch (error) {
        assert.ok(!(error instanceof OpenAI.APIError) || error instanceof OpenAI.APIConnectionError, error);
      }
      cuts += events.at(-1)?.type !== 'response.completed';
      assert.ok(cuts < 200, 'it comes to an end');
    }
    assert.ok(cuts > 0, 'it was cut');
    assert.ok(grows(events), 'nothing twice');
    assert.equal(text(events), ' tok0 tok1 tok2 tok3');
    assert.equal(events.at(-1).response.output_text ?? events.at(-1).response.output[0].content[0].text, text(events));
  },

  // The first answer is cut in its head: the library asks again by itself, without a word of it to whoever called it.
  async repeat() {
    const answer = await client.responses.create({ model, user, input: 'How are you?' });
    assert.equal(answer.output_text, 'Well.');
    const { data } = await client.get('/runs', { query: { limit: 10 } });
    assert.deepEqual(data.map((run) => run.status), ['completed'], 'there is one run');
  },

  // A function of the request's own: called, answered, gone on with; by the thread, and by what the client remembers itself.
  async tools() {
    const first = await client.responses.create({ model, user, input: 'Which?', tools: [pick] });
    const call = first.output.find((item) => item.type === 'function_call');
    assert.deepEqual([call.name, JSON.parse(call.arguments), first.status], ['pick', {}, 'completed']);
    const output = { type: 'function_call_output', call_id: call.call_id, output: '{"color":"red"}' };
    const second = await client.responses.create({ model, user, input: [output], previous_response_id: first.id, tools: [pick] });
    assert.equal(second.output_text, 'Red it is.');
    assert.notEqual(second.id, first.id);
    assert.equal(second.previous_response_id, first.id);
    assert.deepEqual((await client.responses.retrieve(first.id)).output, first.output);
    assert.equal((await client.responses.retrieve(second.id)).output_text, 'Red it is.');
    // Sent again, it is the same answer.
    const again = await client.responses.create({ model, user, input: [output], previous_response_id: first.id });
    assert.equal(again.id, second.id);

    const input = [{ role: 'user', content: 'Which?' }];
    const stateless = await client.responses.create({ model, user, input, tools: [pick] });
    input.push(...stateless.output);
    const asked = stateless.output.find((item) => item.type === 'function_call');
    input.push({ type: 'function_call_output', call_id: asked.call_id, output: 'blue' });
    const last = await client.responses.create({ model, user, input, tools: [pick], stream: true });
    assert.equal(text(await told(last)), 'Blue it is.');
  },

  // A tool of the agent's that a person has to permit.
  async approve() {
    const first = await client.responses.create({ model, user, input: 'Pay.' });
    const asked = first.output.find((item) => item.type === 'mcp_approval_request');
    assert.deepEqual([asked.name, JSON.parse(asked.arguments)], ['pay', { amount: 7 }]);
    assert.ok(!first.output.some((item) => item.type === 'mcp_call'), 'nothing was called');
    const yes = { type: 'mcp_approval_response', approval_request_id: asked.id, approve: true };
    const events = await told(await client.responses.create({ model, user, input: [yes], previous_response_id: first.id, stream: true }));
    assert.ok(grows(events));
    const { response } = events.at(-1);
    const called = response.output.find((item) => item.type === 'mcp_call');
    assert.deepEqual([called.name, called.status, JSON.parse(called.output), called.approval_request_id], ['pay', 'completed', { paid: true }, asked.id]);
    assert.equal(text(events), 'Paid.');
  },

  async fail() {
    const events = await told(await client.responses.create({ model, user, input: 'x', stream: true }));
    assert.deepEqual([events.at(-1).type, events.at(-1).response.status], ['response.failed', 'failed']);
    assert.equal(events.at(-1).response.error.code, 'provider_rejected');
    await assert.rejects(client.responses.create({ model: 'nobody', user, input: 'x' }), (error) => {
      assert.ok(error instanceof OpenAI.NotFoundError);
      assert.deepEqual([error.code, error.type], ['agent_not_found', 'invalid_request_error']);
      return true;
    });
    const stranger = new OpenAI({ baseURL: `${BASE}/v1`, apiKey: `hw_sk_${'x'.repeat(43)}` });
    await assert.rejects(stranger.responses.create({ model, input: 'x' }), OpenAI.AuthenticationError);
    await assert.rejects(client.responses.create({ model, input: 'x' }), /Headwater-User/);
  },

  async completions() {
    const messages = [{ role: 'user', content: 'How are you?' }];
    const first = await client.chat.completions.create({ model, user, messages });
    assert.deepEqual([first.choices[0].message.content, first.choices[0].finish_reason], ['Well.', 'stop']);
    assert.deepEqual([first.usage.prompt_tokens, first.usage.completion_tokens], [10, 5]);
    messages.push(first.choices[0].message, { role: 'user', content: 'Which?' });
    const tools = [{ type: 'function', function: { name: 'pick', parameters: { type: 'object', properties: {} } } }];
    const runner = client.chat.completions.runTools({
      model,
      user,
      messages,
      stream: true,
      tools: [{ ...tools[0], function: { ...tools[0].function, function: () => 'red', parse: JSON.parse } }],
    });
    assert.equal(await runner.finalContent(), 'Red it is.');
  },
};

await scenarios[SCENARIO]();
process.exit(0);
