/** The entry: styles, what is followed for the whole life of the page, and the first render. */
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/forms.css";
import "./styles/plots.css";
import "./styles/kit.css";
import "./styles/run.css";
import "./styles/pages.css";
import { render } from "preact";
import { App } from "./app.tsx";
import { startKeys } from "./keys.ts";
import { startVisible } from "./lib/visible.ts";
import { startRouter } from "./router.ts";
import { restore } from "./session.ts";
import { startTheme } from "./theme.ts";

startTheme();
startVisible();
startRouter();
startKeys();
restore();
render(<App />, document.getElementById("app") as HTMLElement);
