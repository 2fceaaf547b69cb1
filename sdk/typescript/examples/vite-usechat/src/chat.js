import { Chat } from "@ai-sdk/react";
import { DefaultChatTransport } from "ai";

const { url, agent } = __HEADWATER__;

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

const headers = async () => ({ authorization: `Bearer ${await userToken()}` });

/** A chat with what was said in it before. `id` is of the page's choice: it is the thread's `external_id`. */
export async function openChat(id) {
  const before = await fetch(`${url}/api/chat/${encodeURIComponent(id)}`, { headers: await headers() });
  const { messages } = before.ok ? await before.json() : { messages: [] };
  return new Chat({
    id,
    messages,
    transport: new DefaultChatTransport({ api: `${url}/api/chat`, headers, body: { agent } }),
  });
}
