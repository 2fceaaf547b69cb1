import { Chat } from "./chat.js";

// The thread's name is in the URL, so that a reload shows the same chat and goes on reading its answer.
const id = location.hash.slice(1) || crypto.randomUUID();
history.replaceState(null, "", `#${id}`);

const [messages, questions, notice, form] = document.querySelector("main").children;
const [input, send] = form.children;
const chat = new Chat(id, draw);

form.addEventListener("submit", (event) => {
  event.preventDefault();
  chat.say(input.value);
  input.value = "";
  draw();
});
input.addEventListener("input", draw);
chat.open();

function draw() {
  const asked = chat.questions;
  // What was told before a cut stays until it is told again.
  if (chat.status !== "cut") messages.replaceChildren(...chat.messages.flatMap(message));
  questions.replaceChildren(...asked.map(question));
  const failed = chat.error ? `That failed: ${words(chat.error)}` : "";
  notice.textContent = chat.status === "cut" ? "The line is cut. Asking again…" : failed;
  form.dataset.status = asked.length > 0 ? "asked" : chat.status;
  send.disabled = input.value === "" || form.dataset.status !== "ready";
  form.scrollIntoView({ block: "nearest" });
}

/** What there is to see of a message. What a call has come to is shown with the call. */
function message({ role, content = "", toolCalls = [] }) {
  const isShown = role === "user" || (role === "assistant" && (content !== "" || toolCalls.length > 0));
  return isShown ? [element("article", { role }, content, ...toolCalls.map(call))] : [];
}

function call({ id, function: { name, arguments: args } }) {
  const result = chat.messages.find((message) => message.role === "tool" && message.toolCallId === id);
  return element("code", { call: name }, `${name}(${args})${result ? ` → ${result.content}` : ""}`);
}

function question(asked) {
  const button = (text, approved) => {
    const button = element("button", {}, text);
    button.addEventListener("click", () => chat.decide(asked, approved));
    return button;
  };
  const what = asked.call ? [call(asked.call)] : [];
  const buttons = element("p", {}, button("Approve", true), button("Deny", false));
  return element("section", { question: asked.id }, element("b", {}, asked.message), ...what, buttons);
}

/** What a refusal says is a problem document, which the client keeps as text. */
function words({ message, payload }) {
  try {
    const { title, detail } = JSON.parse(payload);
    return detail ?? title;
  } catch {
    return message;
  }
}

/** An element. What others have written becomes text in it, and never HTML. */
function element(name, data = {}, ...children) {
  const element = document.createElement(name);
  Object.assign(element.dataset, data);
  element.append(...children);
  return element;
}
