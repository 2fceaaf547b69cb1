import { useChat } from "@ai-sdk/react";
import { useState } from "react";

export function Page({ chat }) {
  // Give `useChat` the `Chat`: with `resume`, an answer that is being written is read again from its beginning, and shown once.
  const { messages, sendMessage, status, error } = useChat({ chat, resume: true });
  const [words, setWords] = useState("");
  const send = (event) => {
    event.preventDefault();
    sendMessage({ text: words });
    setWords("");
  };
  return (
    <>
      {messages.map((message) => (
        <article key={message.id} data-role={message.role}>
          <b>{message.role}</b>{" "}
          {message.parts.map((part, at) => part.type === "text" && <span key={at}>{part.text}</span>)}
        </article>
      ))}
      {error && <p role="alert">{error.message}</p>}
      <form onSubmit={send} data-status={status}>
        <input aria-label="Say something" value={words} onChange={(event) => setWords(event.target.value)} />
        <button disabled={words === "" || status !== "ready"}>Send</button>
      </form>
    </>
  );
}
