/**
 * What every end-to-end test begins with: a browser, a real server with the console in it, and the API to make things with.
 *
 * Promises that a request to another origin, a breach of the policy or an uncaught error in any page fails the test that opened it.
 */
import { existsSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chromium, type Browser, type BrowserContext, type Page } from "playwright-core";
import { Headwater } from "headwater";

/** A setting without which nothing can be tested. */
function needed(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === "") throw new Error(`${name} is not set: see README.md, "Test"`);
  return value;
}

export const SERVER = needed("HEADWATER_URL");
export const TENANT_KEY = needed("HEADWATER_API_KEY");
export const OPERATOR_KEY = needed("HEADWATER_OPERATOR_KEY");
/** The program of the server, for a test that ends and starts one; without it that test is left out, and says so. */
export const PROGRAM = process.env["HEADWATER_PROGRAM"] ?? "";

/** The API, as the demo tenant's user `alice`. */
export const api = new Headwater({ baseUrl: SERVER, apiKey: TENANT_KEY, user: "alice" });
/** The API, as the operator. */
export const operator = new Headwater({ baseUrl: SERVER, apiKey: OPERATOR_KEY });

const CHROMIUM = [
  process.env["CHROMIUM"] ?? "",
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];
/** Where pictures go: nowhere, unless they are asked for. */
const SHOTS =
  process.env["HEADWATER_PICTURES"] === undefined
    ? undefined
    : fileURLToPath(new URL("../../docs/screenshots/", import.meta.url));

/** A browser with the console. */
export class Stage {
  readonly #contexts: BrowserContext[] = [];
  /** What pages did that they must not. */
  readonly offences: string[] = [];

  private constructor(
    readonly browser: Browser,
    /** Of the server that serves the console. */
    readonly origin: string,
  ) {}

  /** Starts the browser. */
  static async open(server = SERVER): Promise<Stage> {
    const executablePath = CHROMIUM.find((path) => path !== "" && existsSync(path));
    if (executablePath === undefined)
      throw new Error("no Chromium here: apt-get install chromium, or set CHROMIUM");
    const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
    return new Stage(browser, new URL(server).origin);
  }

  /** A page of its own, logged in to nothing. */
  async page(options: Parameters<Browser["newContext"]>[0] = {}): Promise<Page> {
    const context = await this.browser.newContext({ viewport: { width: 1360, height: 860 }, ...options });
    this.#contexts.push(context);
    return this.tab(context);
  }

  /** One more tab of a context. */
  async tab(context: BrowserContext): Promise<Page> {
    const page = await context.newPage();
    page.on("request", (request) => {
      const { origin, protocol } = new URL(request.url());
      if (protocol !== "data:" && origin !== this.origin) this.offences.push(`request to ${origin}`);
    });
    page.on("pageerror", (error) => this.offences.push(`error: ${error.message}`));
    page.on("console", (message) => {
      if (/content security policy/i.test(message.text())) this.offences.push(message.text());
    });
    return page;
  }

  /** A page that has entered by a key, at a place of the console. */
  async enter(key: string, hash: string, options: Parameters<Browser["newContext"]>[0] = {}): Promise<Page> {
    const page = await this.page(options);
    await login(page, this.origin, key, hash);
    return page;
  }

  /** Ends it all; what pages did wrong is thrown. */
  async close(): Promise<void> {
    for (const context of this.#contexts) await context.close();
    await this.browser.close();
  }
}

/** Enters by a key. */
export async function login(page: Page, origin: string, key: string, hash: string): Promise<void> {
  await page.goto(`${origin}/console/${hash}`);
  await page.getByLabel("Key", { exact: true }).fill(key);
  await page.getByRole("button", { name: "Open", exact: true }).click();
  await page.locator("nav").waitFor({ state: "attached" });
}

/** Goes to a place of the console within the page. */
export async function goTo(page: Page, hash: string): Promise<void> {
  await page.evaluate((to) => {
    location.hash = to;
  }, hash);
}

/** Takes a picture, and keeps it for the documentation if HEADWATER_PICTURES is set. */
export async function shot(page: Page, name: string): Promise<void> {
  if (SHOTS !== undefined) mkdirSync(SHOTS, { recursive: true });
  // Notes of what was done just before would be in the way of what is shown.
  const toasts = (display: string) =>
    page.evaluate((value) => {
      const element = document.querySelector<HTMLElement>(".toasts");
      if (element !== null) element.style.display = value;
    }, display);
  await toasts("none");
  await page.screenshot(SHOTS === undefined ? {} : { path: `${SHOTS}${name}.png` });
  await toasts("");
}
