/** The few pictures of the console: strokes on a 16-pixel grid. */
const PATHS = {
  play: "M5 3.5v9l7-4.5z",
  pause: "M5 3.5v9M11 3.5v9",
  runs: "M2 4h8M5 8h9M3 12h6",
  chat: "M2.5 3.5h11v7.5H8L5 13.5V11H2.5z",
  check: "M3 8.5 6.5 12 13 4.5",
  threads: "M3 3.5h10M3 8h10M3 12.5h6",
  agents: "M8 2.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5zM3 13.5c0-2.8 2.2-4 5-4s5 1.2 5 4",
  usage: "M2.5 13.5h11M4.5 11V8M8 11V4M11.5 11V6",
  budgets: "M8 2.5a5.5 5.5 0 1 0 5.5 5.5H8z",
  webhooks: "M5 11.5a2.5 2.5 0 1 1 1.5-4.5L8 4M11 11.5H6.5M8 4a2 2 0 1 1 3 1.7l1.5 3a2.4 2.4 0 1 1-2 3",
  limiter: "M3 12.5a6 6 0 1 1 10 0M8 9.5l2.5-3.5",
  tenants: "M2.5 13.5V5l5.5-2.5L13.5 5v8.5M6 13.5v-4h4v4",
  plans: "M8 2.5 13.5 5.5 8 8.5 2.5 5.5zM2.5 8.5 8 11.5l5.5-3M2.5 11 8 14l5.5-3",
  system: "M2.5 8h3l1.5-4.5 2.5 9L11 8h2.5",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M5.5 5.5h7v7h-7zM3.5 10.5v-7h7",
  sun: "M8 5.2a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6zM8 1.8v1M8 13.2v1M1.8 8h1M13.2 8h1M3.6 3.6l.7.7M11.7 11.7l.7.7M12.4 3.6l-.7.7M4.3 11.7l-.7.7",
  moon: "M12.8 9.8A5.3 5.3 0 0 1 6.2 3.2a5.3 5.3 0 1 0 6.6 6.6z",
  auto: "M8 2.5a5.5 5.5 0 1 1 0 11zM8 2.5a5.5 5.5 0 1 0 0 11",
  out: "M9.5 3.5h-6v9h6M7 8h6.5M11 5.5 13.5 8 11 10.5",
  first: "M4 4v8M12 4 7 8l5 4z",
  last: "M12 4v8M4 4l5 4-5 4z",
  plus: "M8 3v10M3 8h10",
} as const;

/** The name of a picture. */
export type IconName = keyof typeof PATHS;

/** A picture beside words that say the same, or within a button that has a name. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg
      viewBox="0 0 16 16"
      aria-hidden="true"
      fill="none"
      stroke="currentColor"
      stroke-width="1.4"
      stroke-linecap="round"
      stroke-linejoin="round"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

/** The mark of Headwater. */
export function Logo() {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="var(--accent)" />
      <path
        d="M6 11c4 0 4 4 8 4s4-4 8-4 2 1 4 2M6 19c4 0 4 4 8 4s4-4 8-4 2 1 4 2"
        fill="none"
        stroke="var(--on-accent)"
        stroke-width="2.6"
        stroke-linecap="round"
      />
    </svg>
  );
}
