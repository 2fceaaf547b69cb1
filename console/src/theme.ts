/**
 * Light or dark: as the system has it, unless the person says otherwise.
 *
 * The choice is the one thing the console keeps in local storage.
 */
import { effect, signal } from "@preact/signals";

/** What the person chose. */
export type Theme = "system" | "light" | "dark";

const STORED = "headwater.theme";

/** What is chosen now. */
export const theme = signal<Theme>("system");

/** Bumped when colours change, so that canvases draw anew. */
export const palette = signal(0);

/** Takes up the choice and follows the system. */
export function startTheme(): void {
  const stored = localStorage.getItem(STORED);
  if (stored === "light" || stored === "dark") theme.value = stored;
  effect(() => {
    const chosen = theme.value;
    if (chosen === "system") {
      delete document.documentElement.dataset["theme"];
      localStorage.removeItem(STORED);
    } else {
      document.documentElement.dataset["theme"] = chosen;
      localStorage.setItem(STORED, chosen);
    }
    palette.value = palette.peek() + 1;
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    palette.value = palette.peek() + 1;
  });
}

/** The next choice of the switch. */
export function nextTheme(): void {
  theme.value = theme.value === "system" ? "light" : theme.value === "light" ? "dark" : "system";
}

/** Colours of the style sheet as canvases take them: custom properties do not resolve `light-dark()` by themselves. */
export function colours(names: readonly string[]): Record<string, string> {
  const probe = document.createElement("i");
  document.body.append(probe);
  const found: Record<string, string> = {};
  for (const name of names) {
    probe.style.color = `var(--${name})`;
    found[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return found;
}
