/** Whether the process sleeps and what keeps it awake, and what the doctor finds. */
import { isAbsent, operator, type Doctor, type Quiet } from "../api.ts";
import { useLoad, type Loaded } from "../lib/load.ts";
import { count } from "../lib/text.ts";
import { formatDuration } from "../lib/time.ts";
import { Empty, Meter, Show, Status, When } from "../ui/kit.tsx";
import { Page } from "../ui/page.tsx";

/** The page. */
export function SystemPage() {
  // Asked every now and then only: each question is a reason to stay awake.
  const quiet = useLoad((signal) => operator.quiet(signal), [], 5000);
  const doctor = useLoad((signal) => operator.doctor(signal), []);
  return (
    <Page title="Quiet and doctor">
      <section class="card" aria-label="Quiet">
        <div class="card-head">
          <h2>Quiet</h2>
          {quiet.data !== undefined && (
            <div class="actions">
              <Status value={quiet.data.state} />
            </div>
          )}
        </div>
        <div class="card-body">
          <Told of={quiet}>{(data) => <QuietState quiet={data} />}</Told>
        </div>
      </section>
      <section class="card" aria-label="Doctor">
        <div class="card-head">
          <h2>Doctor</h2>
          {doctor.data !== undefined && (
            <div class="actions">
              <span class="faint">
                looked <When at={doctor.data.checked_at} />
              </span>
              <button type="button" class="btn small" onClick={doctor.reload}>
                Look again
              </button>
            </div>
          )}
        </div>
        <div class="card-body">
          <Told of={doctor}>{(data) => <Findings doctor={data} />}</Told>
        </div>
      </section>
    </Page>
  );
}

/** What a server tells; an older one does not. */
function Told<T>(props: { of: Loaded<T>; children: (data: T) => preact.ComponentChildren }) {
  return isAbsent(props.of.error) ? (
    <Empty title="This server does not tell">It is older than this page.</Empty>
  ) : (
    <Show of={props.of}>{props.children}</Show>
  );
}

function QuietState({ quiet }: { quiet: Quiet }) {
  return (
    <div class="stack">
      {!quiet.enabled && (
        <p class="muted">
          It is switched off: this process stays awake. <code>HEADWATER__QUIET__ENABLED=true</code> lets it
          sleep.
        </p>
      )}
      <dl class="facts">
        <dt>Nothing to do for</dt>
        <dd class="row">
          <span class="num">
            {formatDuration(quiet.idle_ms)} of {formatDuration(quiet.quiet_after_ms)}
          </span>
          <div class="grow">
            <Meter
              label="Until it goes quiet"
              share={quiet.idle_ms / Math.max(1, quiet.quiet_after_ms) / 1.3}
            />
          </div>
        </dd>
        <dt>Kept awake by</dt>
        <dd>
          {quiet.busy.filter((one) => one.count > 0).length === 0
            ? "nothing (but this page asks it every few seconds)"
            : quiet.busy
                .filter((one) => one.count > 0)
                .map((one) => `${one.count} ${one.what}`)
                .join(", ")}
        </dd>
        <dt>Woken</dt>
        <dd class="num">{quiet.wakes} times</dd>
      </dl>
    </div>
  );
}

const ORDER = ["error", "note", "ok"] as const;

function Findings({ doctor }: { doctor: Doctor }) {
  const bad = doctor.findings.filter((one) => one.level === "error").length;
  const sorted = [...doctor.findings].sort(
    (one, other) => ORDER.indexOf(one.level) - ORDER.indexOf(other.level),
  );
  return (
    <div class="stack">
      <p>{bad === 0 ? "Nothing is wrong." : `${count(bad, "finding")} to look at.`}</p>
      <ul class="findings">
        {sorted.map((one) => (
          <li key={one.what}>
            <Status value={one.level} />
            <div>
              <div>
                {one.what}: {one.words}
              </div>
              {one.advice && <div class="muted">{one.advice}</div>}
            </div>
          </li>
        ))}
      </ul>
    </div>
  );
}
