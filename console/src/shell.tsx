/** The frame around every page: navigation, who is acting, the theme, help. */
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { client } from "./api.ts";
import { goKeys, helpShown } from "./keys.ts";
import { useLoad } from "./lib/load.ts";
import { href, route } from "./router.ts";
import { actingAs, leave, session, type Door } from "./session.ts";
import { nextTheme, theme } from "./theme.ts";
import { Dialog } from "./ui/dialog.tsx";
import { Icon, Logo, type IconName } from "./ui/icons.tsx";

interface Place {
  key: string;
  path: string[];
  label: string;
  icon: IconName;
}

const WORK: Place[] = [
  { key: "p", path: ["playground"], label: "Playground", icon: "chat" },
  { key: "r", path: ["runs"], label: "Runs", icon: "runs" },
  { key: "a", path: ["approvals"], label: "Approvals", icon: "check" },
  { key: "t", path: ["threads"], label: "Threads", icon: "threads" },
];
const SETUP: Place[] = [
  { key: "e", path: ["agents"], label: "Agents", icon: "agents" },
  { key: "u", path: ["usage"], label: "Usage and cost", icon: "usage" },
  { key: "b", path: ["budgets"], label: "Budgets", icon: "budgets" },
  { key: "w", path: ["webhooks"], label: "Webhooks", icon: "webhooks" },
];
const PLATFORM: Place[] = [
  { key: "t", path: ["tenants"], label: "Tenants and keys", icon: "tenants" },
  { key: "p", path: ["plans"], label: "Plans", icon: "plans" },
  { key: "l", path: ["limiter"], label: "Limiter", icon: "limiter" },
  { key: "s", path: ["system"], label: "Quiet and doctor", icon: "system" },
];

/** What a door leads to. A user's token opens what that user may see. */
function groups(door: Door): { title: string; places: Place[] }[] {
  if (door === "operator") return [{ title: "Platform", places: PLATFORM }];
  const setup = door === "user" ? SETUP.filter((place) => place.path[0] !== "webhooks") : SETUP;
  return [
    { title: "Work", places: WORK },
    { title: "Tenant", places: setup },
  ];
}

/** Where a door leads first. */
export function home(door: Door): string[] {
  return door === "operator" ? ["tenants"] : ["runs"];
}

/** Whether a door leads to this page. */
export function leads(door: Door, first: string | undefined): boolean {
  return groups(door).some((group) => group.places.some((place) => place.path[0] === first));
}

/** The frame. */
export function Shell({ children }: { children: ComponentChildren }) {
  const door = session.value?.door ?? "tenant";
  const [open, setOpen] = useState(false);
  const here = route.value.path[0] ?? "";
  const all = groups(door);
  const pending = usePending(door);
  useEffect(() => {
    goKeys.value = Object.fromEntries(
      all.flatMap((group) =>
        group.places.map((place) => [place.key, { path: place.path, label: place.label }]),
      ),
    );
  }, [door]);
  useEffect(() => setOpen(false), [route.value]);
  return (
    <div class="shell">
      <a class="skip" href="#main" onClick={skip}>
        Skip to the page
      </a>
      <header class="topbar">
        <button
          type="button"
          class="btn plain"
          aria-label="Menu"
          aria-expanded={open}
          onClick={() => setOpen(!open)}
        >
          <Icon name="menu" />
        </button>
        <a class="brand" href={href(home(door))}>
          <Logo />
          Headwater
        </a>
        <Pill pending={pending} />
      </header>
      {open && (
        <button type="button" class="scrim" aria-label="Close the menu" onClick={() => setOpen(false)} />
      )}
      <div class={open ? "side open" : "side"}>
        <a class="brand" href={href(home(door))}>
          <Logo />
          Headwater
          <span class="badge plain door">{door}</span>
        </a>
        <nav class="nav" aria-label="Pages">
          {all.map((group) => (
            <div key={group.title}>
              <div class="nav-title">{group.title}</div>
              {group.places.map((place) => (
                <a
                  key={place.label}
                  href={href(place.path)}
                  aria-current={here === place.path[0] ? "page" : undefined}
                >
                  <Icon name={place.icon} />
                  {place.label}
                  {place.path[0] === "approvals" && <Pill pending={pending} />}
                </a>
              ))}
            </div>
          ))}
        </nav>
        <div class="side-foot">
          {door === "tenant" && <Acting />}
          {door === "user" && (
            <p class="faint">
              A user's token: what other users do, and the tenant's settings, are not shown.
            </p>
          )}
          <div class="row">
            <button
              type="button"
              class="btn plain small"
              onClick={nextTheme}
              title="Light, dark, or as the system"
            >
              <Icon name={theme.value === "light" ? "sun" : theme.value === "dark" ? "moon" : "auto"} />
              {theme.value === "system" ? "System" : theme.value === "light" ? "Light" : "Dark"}
            </button>
            <button
              type="button"
              class="btn plain small"
              aria-label="Keys"
              onClick={() => (helpShown.value = true)}
            >
              <span class="kbd">?</span>
            </button>
            <button type="button" class="btn plain small" onClick={leave}>
              <Icon name="out" />
              Leave
            </button>
          </div>
        </div>
      </div>
      {children}
      {helpShown.value && <Help />}
    </div>
  );
}

function skip(event: Event): void {
  // The address bar belongs to the router.
  event.preventDefault();
  document.getElementById("main")?.focus();
}

/** How many questions wait. Looked at when a page opens, so that it costs a quiet server nothing. */
function usePending(door: Door): string {
  const here = route.value.path.join("/");
  const pending = useLoad(
    async (signal) =>
      door === "operator"
        ? null
        : client.value.approvals.list({ status: "pending", limit: 100 }, { signal }).page(),
    [here, door, actingAs.value],
  );
  const count = pending.data?.data.length ?? 0;
  return count === 0 ? "" : `${count}${pending.data?.has_more === true ? "+" : ""}`;
}

function Pill({ pending }: { pending: string }) {
  return pending === "" ? null : (
    <span class="pill" title="waiting for a decision">
      {pending}
    </span>
  );
}

/** For which user the tenant's key acts. */
function Acting() {
  const held = session.value;
  const users = useLoad(
    (signal) => (held as NonNullable<typeof held>).client.users.list({ limit: 100 }, { signal }).page(),
    [held?.door],
  );
  const [text, setText] = useState(actingAs.value);
  // Other pages may choose a user, too.
  useEffect(() => setText(actingAs.value), [actingAs.value]);
  const settle = () => {
    actingAs.value = text.trim();
  };
  return (
    <div class="acting">
      <label for="acting">Acting as</label>
      <input
        id="acting"
        list="users"
        value={text}
        placeholder="the tenant (all users)"
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => {
          const value = event.currentTarget.value;
          setText(value);
          // One that was picked from the list, or cleared, counts at once.
          const known =
            users.data?.data.some((user) => user.external_id === value || user.id === value) ?? false;
          if (known || value === "") actingAs.value = value;
        }}
        onChange={settle}
      />
      <datalist id="users">
        {users.data?.data.map((user) => (
          <option key={user.id} value={user.external_id ?? user.id}>
            {user.name ?? user.id}
          </option>
        ))}
      </datalist>
    </div>
  );
}

/** The keys there are. */
function Help() {
  const rows: [string[], string][] = [
    ...Object.entries(goKeys.value).map(([key, place]): [string[], string] => [["g", key], place.label]),
    [["j"], "next row"],
    [["k"], "row before"],
    [["Enter"], "open"],
    [["/"], "filter"],
    [["Esc"], "close, or back"],
    [["Space"], "timeline: play, pause"],
    [["←", "→"], "timeline: event before, next event"],
    [["+", "−"], "timeline: closer, further"],
    [["0"], "timeline: all of it"],
    [["l"], "timeline: follow live"],
  ];
  return (
    <Dialog title="Keys" onClose={() => (helpShown.value = false)}>
      <dl class="facts">
        {rows.flatMap(([keys, what]) => [
          <dt key={`${what}k`}>
            {keys.map((key) => (
              <span key={key} class="kbd">
                {key}
              </span>
            ))}
          </dt>,
          <dd key={what}>{what}</dd>,
        ])}
      </dl>
    </Dialog>
  );
}
