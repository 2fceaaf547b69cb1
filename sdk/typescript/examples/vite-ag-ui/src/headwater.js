const { url, agent } = __HEADWATER__;

/** Where AG-UI clients ask the agent. */
export const agentUrl = `${url}/ag-ui/${agent}`;

/** A token of the user who is logged in. It is good for minutes: it is asked for again a minute before it ends. */
let held;
async function userToken() {
  if (held === undefined || held.until < Date.now()) {
    const answer = await fetch("/headwater-token", { method: "POST" });
    if (!answer.ok) throw new Error(`no token: ${answer.status}`);
    const { token } = await answer.json();
    const { exp } = JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
    held = { token, until: exp * 1000 - 60_000 };
  }
  return held.token;
}

/** `fetch` in the user's name. */
export async function asUser(address, init) {
  const headers = { ...init?.headers, authorization: `Bearer ${await userToken()}` };
  return fetch(address, { ...init, headers });
}

async function get(path) {
  const answer = await asUser(`${url}/v1/${path}`);
  if (!answer.ok) throw new Error(`${answer.status} for ${path}`);
  return answer.json();
}

/**
 * What was said on a thread, as messages of AG-UI, and whether an answer is under way there, which is not among it: it is yet to be read.
 *
 * AG-UI has no request for this, so Headwater's own API is asked, with the same token. `threadId` is the thread's `external_id` there.
 */
export async function historyOf(threadId) {
  const { data: threads } = await get(`threads?external_id=${encodeURIComponent(threadId)}`);
  if (threads.length === 0) return { messages: [], underWay: false };
  const [{ id, active_run: run }] = threads;
  // The last hundred; they come newest first.
  const { data } = await get(`threads/${id}/messages?limit=100`);
  const told = data.filter((message) => message.role === "user" || message.run !== run);
  return { messages: told.reverse().flatMap(messagesOf), underWay: run !== null };
}

function messagesOf({ id, role, content }) {
  const parts = (type) => content.filter((part) => part.type === type);
  if (role === "tool") {
    return parts("tool_result").map(({ call, output, error, comment, status }) => {
      const result = comment ?? error?.title ?? output ?? status;
      const content = typeof result === "string" ? result : JSON.stringify(result);
      return { id: `${id}-${call}`, role, toolCallId: call, content };
    });
  }
  const toolCalls = parts("tool_call").map(({ call, name, args }) => ({
    id: call,
    type: "function",
    function: { name, arguments: JSON.stringify(args ?? {}) },
  }));
  const words = parts("text").map((part) => part.text);
  return [{ id, role, content: words.join(""), ...(toolCalls.length > 0 && { toolCalls }) }];
}
