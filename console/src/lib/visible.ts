/**
 * Whether anybody is looking.
 *
 * Promises that nothing here runs while the page is hidden: a server goes quiet only if its clients let it.
 */
import { signal } from "@preact/signals";

/** Whether the page can be seen. */
export const visible = signal(typeof document === "undefined" || !document.hidden);

/** Begins to follow the page's visibility. */
export function startVisible(): void {
  document.addEventListener("visibilitychange", () => {
    visible.value = !document.hidden;
  });
}
