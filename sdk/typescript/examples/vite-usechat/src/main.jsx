import { createRoot } from "react-dom/client";
import { openChat } from "./chat.js";
import { Page } from "./page.jsx";

// The chat's id is in the URL, so that a reload shows the same chat and goes on reading its answer.
const id = location.hash.slice(1) || crypto.randomUUID();
history.replaceState(null, "", `#${id}`);

const chat = await openChat(id);
createRoot(document.getElementById("root")).render(<Page chat={chat} />);
