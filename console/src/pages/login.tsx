/** The door: a key, or on a server in dev mode the demo user's token. */
import { useState } from "preact/hooks";
import { go, route } from "../router.ts";
import { devSession, devToken, doorOf, enter, lapsed, sessionOf, type Session } from "../session.ts";
import { home, leads } from "../shell.tsx";
import { Logo } from "../ui/icons.tsx";
import { Field, Problem } from "../ui/kit.tsx";

/** The login page. */
export function Login() {
  const [key, setKey] = useState("");
  const [keep, setKeep] = useState(false);
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const [error, setError] = useState<unknown>(undefined);

  const open = async (next: Session, check: () => Promise<unknown>, stay: boolean) => {
    setBusy(true);
    setError(undefined);
    try {
      await check();
      enter(next, stay);
      if (!leads(next.door, route.value.path[0])) go(home(next.door));
    } catch (caught) {
      setError(caught);
    } finally {
      setBusy(false);
    }
  };
  const submit = (event: Event) => {
    event.preventDefault();
    const text = key.trim();
    const door = doorOf(text);
    if (door === null) {
      setWrong("A key begins with hw_sk_ or hw_op_");
      return;
    }
    const next = sessionOf(text, door);
    // The operator is no principal of a tenant: its door is tried by what only it may do.
    const check = () =>
      door === "operator" ? next.client.tenants.list({ limit: 1 }).page() : next.client.me();
    void open(next, check, keep);
  };
  const dev = () => {
    const next = devSession();
    void open(next, async () => (await devToken(), next.client.me()), false);
  };
  return (
    <div class="login">
      <main class="login-card" id="main">
        <h1 class="brand">
          <Logo />
          Headwater
        </h1>
        <form class="form" onSubmit={submit}>
          <Field label="Key" wrong={wrong}>
            {(id) => (
              <input
                id={id}
                type="password"
                value={key}
                autofocus
                autocomplete="off"
                spellcheck={false}
                placeholder="hw_sk_… or hw_op_…"
                onInput={(event) => {
                  setKey(event.currentTarget.value);
                  setWrong(null);
                }}
              />
            )}
          </Field>
          <label class="check">
            <input
              type="checkbox"
              checked={keep}
              onChange={(event) => setKeep(event.currentTarget.checked)}
            />
            <span>
              Stay until this tab is closed
              <span class="faint"> – otherwise a reload forgets the key</span>
            </span>
          </label>
          {error !== undefined ? (
            <Problem error={error} />
          ) : (
            lapsed.value && (
              <p class="notice" role="alert">
                The key that was used here is no longer good: it was revoked, or it has expired.
              </p>
            )
          )}
          <button type="submit" class="btn primary" disabled={busy || key.trim() === ""}>
            Open
          </button>
        </form>
        <dl class="doors">
          <div>
            <dt>hw_sk_…</dt>
            <dd>the tenant's door: agents, runs, approvals, usage, for any of its users</dd>
          </div>
          <div>
            <dt>hw_op_…</dt>
            <dd>the operator's door: tenants and keys, plans, the limiter, quiet and doctor</dd>
          </div>
        </dl>
        <button type="button" class="btn" disabled={busy} onClick={dev}>
          Enter as the demo user (dev mode)
        </button>
        <p class="faint">
          A demo user's token sees that user's own runs and threads, and no settings. The key of the demo
          tenant is in <code>dev.env</code>.
        </p>
      </main>
    </div>
  );
}
