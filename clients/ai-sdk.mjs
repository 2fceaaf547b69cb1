// useChat of @ai-sdk/react, as it is, against a real server: by the name of a scenario, with what it needs in the environment.
//
//   BASE      the server
//   TOKEN     a user's token
//   GATE      when that is asked, the model goes on with its answer
//   VERSION   of the AI SDK
import { Window } from 'happy-dom';
import assert from 'node:assert/strict';

const { BASE, TOKEN, GATE, VERSION, SCENARIO } = process.env;
const native = globalThis.fetch;
const window = new Window({ url: BASE });
const browser = { window, document: window.document, navigator: window.navigator };
for (const [name, value] of Object.entries(browser)) Object.defineProperty(globalThis, name, { value, configurable: true });
const React = await import('react');
const { createRoot } = await import('react-dom/client');
const kit = await import(`ai-sdk-react-${VERSION}`);
const ai = await import(`ai-${VERSION}`);

/** A chat in a component, as an application has it. */
function mount(id, options = {}) {
  const seen = { current: null };
  const transport = new ai.DefaultChatTransport({
    api: `${BASE}/api/chat`,
    headers: { authorization: `Bearer ${TOKEN}` },
    body: { agent: 'assistant' },
    fetch: options.fetch ?? native,
  });
  // With a `Chat` of the application's own where a cut is to be survived: what useChat makes of a bare `transport` (@ai-sdk/react 3.0.328
  // and 4.0.177) has forgotten that a resumed stream is a replay, and shows its beginning twice.
  const own = options.own ? { chat: new kit.Chat({ id, transport }) } : { id, transport };
  function Chat() {
    seen.current = kit.useChat({ ...own, ...options.chat });
    return null;
  }
  const root = createRoot(document.createElement('div'));
  root.render(React.createElement(Chat));
  return {
    get chat() { return seen.current; },
    unmount() { root.unmount(); },
  };
}

async function until(what, look) {
  for (let n = 0; n < 600; n += 1) {
    const found = look();
    if (found) return found;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`waited in vain: ${what}`);
}

const text = (message) => message.parts.filter((part) => part.type === 'text').map((part) => part.text).join('');
const answer = (page) => page.chat.messages.findLast((message) => message.role === 'assistant');
const open = () => native(GATE);

const scenarios = {
  /** Said and answered, twice, in one thread. */
  async talk() {
    const page = mount('talk');
    await until('it is there', () => page.chat);
    await page.chat.sendMessage({ text: 'How are you?' });
    await until('it is ready', () => page.chat.status === 'ready' && answer(page));
    assert.equal(text(answer(page)), 'Well.');
    assert.match(answer(page).id, /^run_/);
    assert.equal(answer(page).metadata.usage.output_tokens, 5);
    await page.chat.sendMessage({ text: 'And now?' });
    await until('it is ready', () => page.chat.status === 'ready' && page.chat.messages.length === 4);
    assert.equal(text(answer(page)), 'Better.');
    page.unmount();
  },

  /** Opened anew: what was said is there, as the library takes it. */
  async reload() {
    const page = mount('reload', {
      chat: { sendAutomaticallyWhen: ai.lastAssistantMessageIsCompleteWithApprovalResponses },
    });
    await until('it is there', () => page.chat);
    await page.chat.sendMessage({ text: 'Pay.' });
    await until('it asks', () => page.chat.status === 'ready' && answer(page));
    page.unmount();
    const headers = { authorization: `Bearer ${TOKEN}` };
    const load = async () => {
      const { messages } = await (await native(`${BASE}/api/chat/reload`, { headers })).json();
      return await ai.validateUIMessages({ messages });
    };
    const messages = await load();
    assert.deepEqual(messages.map((message) => message.role), ['user', 'assistant']);
    const other = mount('reload', {
      chat: { messages, sendAutomaticallyWhen: ai.lastAssistantMessageIsCompleteWithApprovalResponses },
    });
    await until('it is there', () => other.chat);
    const part = answer(other).parts.find((part) => part.type === 'tool-pay');
    assert.equal(part.state, 'approval-requested', JSON.stringify(messages));
    await other.chat.addToolApprovalResponse({ id: part.approval.id, approved: true });
    await until('it goes on', () => other.chat.status === 'ready' && text(answer(other)).includes('Paid.'));
    const after = await load();
    assert.equal(text(after.at(-1)), 'Paid.');
    assert.equal(after.at(-1).parts.find((part) => part.type === 'tool-pay').state, 'output-available');
    other.unmount();
  },

  /** Left in the middle of an answer, and found again by another page, whole and once. */
  async resume() {
    const page = mount('resume');
    await until('it is there', () => page.chat);
    const sent = page.chat.sendMessage({ text: 'Count.' });
    await until('it has begun', () => answer(page) && text(answer(page)).includes('tok0'));
    await page.chat.stop();
    await sent;
    const half = answer(page);
    page.unmount();
    const other = mount('resume', { chat: { resume: true, messages: [page.chat.messages[0], half] } });
    await until('it reads on', () => other.chat?.status === 'streaming');
    await open();
    await until('it is ready', () => other.chat.status === 'ready');
    assert.equal(other.chat.messages.length, 2, JSON.stringify(other.chat.messages));
    assert.equal(text(answer(other)), ' tok0 tok1 tok2 tok3');
    assert.equal(answer(other).id, half.id);
    other.unmount();
  },

  /** The line is cut in the middle of an answer: the page says so, and reads it again. */
  async cut() {
    let cut = null;
    const page = mount('cut', {
      own: true,
      fetch: async (url, init) => {
        const response = await native(url, init);
        if (cut !== null || init.method !== 'POST') return response;
        const body = response.body.pipeThrough(new TransformStream({
          start(controller) { cut = () => controller.error(new TypeError('network error')); },
        }));
        return new Response(body, response);
      },
    });
    await until('it is there', () => page.chat);
    const sent = page.chat.sendMessage({ text: 'Count.' });
    await until('it has begun', () => answer(page) && text(answer(page)).includes('tok0'));
    cut();
    await sent;
    await until('it says so', () => page.chat.status === 'error');
    const again = page.chat.resumeStream();
    await until('it reads on', () => page.chat.status === 'streaming');
    await open();
    await again;
    await until('it is ready', () => page.chat.status === 'ready');
    assert.equal(page.chat.messages.length, 2, JSON.stringify(page.chat.messages));
    assert.equal(text(answer(page)), ' tok0 tok1 tok2 tok3', JSON.stringify(page.chat.messages));
    page.unmount();
  },

  /** The same by a proxy, which cuts every connection a little later than the one before, heads included. */
  async cut_again() {
    const page = mount('cut', { own: true });
    await until('it is there', () => page.chat);
    const begun = until('it has begun', () => answer(page) && text(answer(page)).includes('tok0')).then(open);
    await page.chat.sendMessage({ text: 'Count.' });
    let tries = 0;
    while (await until('it is over', () => ['error', 'ready'].find((status) => status === page.chat.status)) === 'error') {
      tries += 1;
      assert.ok(tries < 100, 'it comes to an end');
      await page.chat.resumeStream();
    }
    await begun;
    assert.ok(tries > 1, `it was cut, ${tries} times`);
    assert.equal(page.chat.messages.length, 2, JSON.stringify(page.chat.messages));
    assert.equal(text(answer(page)), ' tok0 tok1 tok2 tok3', JSON.stringify(page.chat.messages));
    page.unmount();
  },

  /** A person is asked, and answers; the same message goes on. */
  async approve() {
    const page = mount('approve', {
      chat: { sendAutomaticallyWhen: ai.lastAssistantMessageIsCompleteWithApprovalResponses },
    });
    await until('it is there', () => page.chat);
    await page.chat.sendMessage({ text: 'Pay.' });
    const part = await until('it asks', () =>
      answer(page)?.parts.find((part) => part.type === 'tool-pay' && part.state === 'approval-requested'));
    assert.deepEqual(part.input, { amount: 7 });
    await until('it rests', () => page.chat.status === 'ready');
    await page.chat.addToolApprovalResponse({ id: part.approval.id, approved: true });
    await until('it goes on', () => page.chat.status === 'ready' && text(answer(page)).includes('Paid.'));
    const paid = answer(page).parts.find((part) => part.type === 'tool-pay');
    assert.equal(paid.state, 'output-available', JSON.stringify(answer(page)));
    assert.equal(page.chat.messages.length, 2);
    page.unmount();
  },

  /** A tool of the page itself. */
  async client_tool() {
    const page = mount('client', {
      chat: {
        sendAutomaticallyWhen: ai.lastAssistantMessageIsCompleteWithToolCalls,
        onToolCall({ toolCall }) {
          assert.equal(toolCall.toolName, 'pick');
          page.chat.addToolOutput({ tool: 'pick', toolCallId: toolCall.toolCallId, output: { colour: 'red' } });
        },
      },
    });
    await until('it is there', () => page.chat);
    await page.chat.sendMessage({ text: 'Pick.' });
    await until('it goes on', () => page.chat.status === 'ready' && text(answer(page) ?? { parts: [] }).includes('Red it is.'));
    assert.equal(page.chat.messages.length, 2);
    page.unmount();
  },

  /** A tool of the page that a person has to permit: carried out then, and not before. */
  async asked_client_tool() {
    const called = [];
    let posts = 0;
    const page = mount('asked', {
      fetch: (url, init) => {
        posts += init.method === 'POST' ? 1 : 0;
        return native(url, init);
      },
      chat: {
        sendAutomaticallyWhen: (now) =>
          ai.lastAssistantMessageIsCompleteWithToolCalls(now) || ai.lastAssistantMessageIsCompleteWithApprovalResponses(now),
        onToolCall({ toolCall }) {
          called.push(toolCall.toolName);
          page.chat.addToolOutput({ tool: 'choose', toolCallId: toolCall.toolCallId, output: { colour: 'red' } });
        },
      },
    });
    await until('it is there', () => page.chat);
    await page.chat.sendMessage({ text: 'Choose.' });
    const part = await until('it asks', () =>
      page.chat.status === 'ready' && answer(page)?.parts.find((part) => part.state === 'approval-requested'));
    assert.deepEqual(called, []);
    await page.chat.addToolApprovalResponse({ id: part.approval.id, approved: true });
    await until('it goes on', () => page.chat.status === 'ready' && text(answer(page)).includes('Red it is.'));
    assert.deepEqual(called, ['choose']);
    await new Promise((done) => setTimeout(done, 300));
    assert.equal(posts, 3, 'what is said, what is permitted, what came of it');
    page.unmount();
  },

  /** Somebody else was faster: the page is told what has come of it, once. */
  async decided_elsewhere() {
    let posts = 0;
    const page = mount('elsewhere', {
      fetch: (url, init) => {
        posts += init.method === 'POST' ? 1 : 0;
        return native(url, init);
      },
      chat: { sendAutomaticallyWhen: ai.lastAssistantMessageIsCompleteWithApprovalResponses },
    });
    await until('it is there', () => page.chat);
    await page.chat.sendMessage({ text: 'Pay.' });
    const part = await until('it asks', () =>
      page.chat.status === 'ready' && answer(page)?.parts.find((part) => part.state === 'approval-requested'));
    const run = answer(page).id;
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
    const decision = { method: 'POST', headers, body: JSON.stringify({ decision: 'approved' }) };
    assert.equal((await native(`${BASE}/v1/runs/${run}/approvals/${part.approval.id}`, decision)).status, 200);
    await native(`${BASE}/v1/runs/${run}?wait_ms=20000`, { headers });
    await page.chat.addToolApprovalResponse({ id: part.approval.id, approved: false });
    await until('it is told', () => page.chat.status === 'ready' && text(answer(page)).includes('Paid.'));
    await new Promise((done) => setTimeout(done, 300));
    assert.equal(posts, 2);
    page.unmount();
  },

  /** What goes wrong is an error of the page. */
  async fail() {
    const page = mount('fail');
    await until('it is there', () => page.chat);
    await page.chat.sendMessage({ text: 'Fail.' });
    await until('it says so', () => page.chat.status === 'error');
    assert.ok(page.chat.error.message.length > 0);
    page.unmount();
  },
};

await scenarios[SCENARIO]();
process.exit(0);
