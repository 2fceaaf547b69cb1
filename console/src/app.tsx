/** Which page is shown. */
import type { ComponentChildren } from "preact";
import { useEffect, useErrorBoundary } from "preact/hooks";
import { route } from "./router.ts";
import { actingAs, session } from "./session.ts";
import { home, Shell } from "./shell.tsx";
import { Login } from "./pages/login.tsx";
import { AgentPage } from "./pages/agent.tsx";
import { AgentsPage } from "./pages/agents.tsx";
import { ApprovalsPage } from "./pages/approvals.tsx";
import { BudgetsPage } from "./pages/budgets.tsx";
import { LimiterPage } from "./pages/limiter.tsx";
import { PlansPage } from "./pages/plans.tsx";
import { PlaygroundPage } from "./pages/playground.tsx";
import { SystemPage } from "./pages/system.tsx";
import { TenantPage } from "./pages/tenant.tsx";
import { TenantsPage } from "./pages/tenants.tsx";
import { ThreadPage, ThreadsPage } from "./pages/threads.tsx";
import { UsagePage } from "./pages/usage.tsx";
import { WebhookPage, WebhooksPage } from "./pages/webhooks.tsx";
import { RunPage } from "./pages/run.tsx";
import { RunsPage } from "./pages/runs.tsx";
import { Page } from "./ui/page.tsx";
import { Empty, Problem } from "./ui/kit.tsx";
import { Toasts } from "./ui/toast.tsx";

/** The console. */
export function App() {
  return (
    <>
      {session.value === null ? (
        <Login />
      ) : (
        <Shell>
          <Guarded>
            <Here />
          </Guarded>
        </Shell>
      )}
      <Toasts />
    </>
  );
}

/** A page that fails is told of in its place, and everything else goes on: another address is another try. */
function Guarded({ children }: { children: ComponentChildren }) {
  const [error, reset] = useErrorBoundary();
  const at = route.value;
  useEffect(reset, [at]);
  if (error === undefined) return <>{children}</>;
  return (
    <Page title="This page has failed">
      <Problem error={error} retry={reset} />
    </Page>
  );
}

function Here() {
  const door = session.value?.door ?? "tenant";
  const [first = "", second] = route.value.path.length === 0 ? home(door) : route.value.path;
  const page = door === "operator" ? platformPage(first, second) : tenantPage(first, second);
  return (
    page ?? (
      <Page title="Not here">
        <Empty title="There is no such page behind this door">
          The operator's key opens tenants, plans, the limiter and the doctor; a tenant's key everything else.
        </Empty>
      </Page>
    )
  );
}

function platformPage(first: string, second: string | undefined) {
  switch (first) {
    case "tenants":
      return second === undefined ? <TenantsPage /> : <TenantPage key={second} id={second} />;
    case "plans":
      return <PlansPage />;
    case "limiter":
      return <LimiterPage />;
    case "system":
      return <SystemPage />;
    default:
      return null;
  }
}

function tenantPage(first: string, second: string | undefined) {
  switch (first) {
    case "playground":
      return <PlaygroundPage />;
    case "runs":
      return second === undefined ? (
        <RunsPage />
      ) : (
        <RunPage key={`${second} ${actingAs.value}`} id={second} />
      );
    case "approvals":
      return <ApprovalsPage />;
    case "threads":
      return second === undefined ? <ThreadsPage /> : <ThreadPage key={second} id={second} />;
    case "agents":
      // A user is told an agent's name, and changes nothing.
      return second === undefined || session.value?.door === "user" ? (
        <AgentsPage />
      ) : (
        <AgentPage key={second} id={second} />
      );
    case "usage":
      return <UsagePage />;
    case "budgets":
      return <BudgetsPage />;
    case "webhooks":
      return second === undefined ? <WebhooksPage /> : <WebhookPage key={second} id={second} />;
    default:
      return null;
  }
}
