/** Makes and changes a budget: the tenant's own, or the operator's for a tenant. */
import { useState } from "preact/hooks";
import type { Agent, Budget, BudgetParams, BudgetUpdate, User } from "headwater";
import { parseUsd } from "../lib/money.ts";
import { FormDialog } from "../ui/dialog.tsx";
import { Field } from "../ui/kit.tsx";

type ScopeType = BudgetParams["scope"]["type"];

/** The dialog for a new budget, or with `budget` for a change of it. */
export function BudgetForm(props: {
  budget?: Budget | undefined;
  agents: readonly Agent[];
  users: readonly User[];
  onClose: () => void;
  onCreate: (params: BudgetParams) => Promise<unknown>;
  onUpdate: (params: BudgetUpdate) => Promise<unknown>;
}) {
  const { budget } = props;
  const [scope, setScope] = useState<ScopeType>(budget?.scope.type ?? "tenant");
  const [target, setTarget] = useState(budget?.scope.id ?? "");
  const [limit, setLimit] = useState(budget?.limit.usd ?? "");
  const [mode, setMode] = useState<"hard" | "soft">(budget?.mode ?? "hard");
  const [window, setWindow] = useState<"day" | "month" | "total">(budget?.window ?? "month");
  const [warn, setWarn] = useState(String(budget?.warn_at_percent ?? 80));
  const usd = parseUsd(limit);
  const percent = Number(warn);
  const needsTarget = budget === undefined && (scope === "user" || scope === "agent");
  const ready =
    usd !== null &&
    Number.isInteger(percent) &&
    percent >= 1 &&
    percent <= 100 &&
    (!needsTarget || target !== "");
  const submit = () =>
    budget === undefined
      ? props.onCreate({
          scope: { type: scope, ...(needsTarget ? { id: target } : {}) },
          limit: { usd: usd as string },
          mode,
          window,
          warn_at_percent: percent,
        })
      : props.onUpdate({ limit: { usd: usd as string }, mode, warn_at_percent: percent });
  return (
    <FormDialog
      title={budget === undefined ? "New budget" : "Change the budget"}
      action={budget === undefined ? "Make it" : "Save"}
      ready={ready}
      onClose={props.onClose}
      onSubmit={submit}
    >
      {budget === undefined && (
        <div class="form-row">
          <Field label="Of">
            {(id) => (
              <select
                id={id}
                value={scope}
                onChange={(event) => (setScope(event.currentTarget.value as ScopeType), setTarget(""))}
              >
                <option value="tenant">the tenant</option>
                <option value="user">one user</option>
                <option value="each_user">every user, each</option>
                <option value="agent">one agent</option>
              </select>
            )}
          </Field>
          {needsTarget && (
            <Field label={scope === "agent" ? "Agent" : "User"}>
              {(id) => (
                <select id={id} value={target} onChange={(event) => setTarget(event.currentTarget.value)}>
                  <option value="">Choose</option>
                  {scope === "agent"
                    ? props.agents.map((agent) => (
                        <option key={agent.id} value={agent.id}>
                          {agent.name}
                        </option>
                      ))
                    : props.users.map((user) => (
                        <option key={user.id} value={user.id}>
                          {user.external_id ?? user.id}
                        </option>
                      ))}
                </select>
              )}
            </Field>
          )}
          <Field label="Per">
            {(id) => (
              <select
                id={id}
                value={window}
                onChange={(event) => setWindow(event.currentTarget.value as typeof window)}
              >
                <option value="day">day (UTC)</option>
                <option value="month">month (UTC)</option>
                <option value="total">all time</option>
              </select>
            )}
          </Field>
        </div>
      )}
      <div class="form-row">
        <Field
          label="Limit in USD"
          wrong={limit !== "" && usd === null ? "An amount such as 25 or 0.5" : null}
        >
          {(id) => (
            <input
              id={id}
              inputMode="decimal"
              value={limit}
              onInput={(event) => setLimit(event.currentTarget.value)}
            />
          )}
        </Field>
        <Field label="Warn at percent">
          {(id) => (
            <input
              id={id}
              inputMode="numeric"
              value={warn}
              onInput={(event) => setWarn(event.currentTarget.value)}
            />
          )}
        </Field>
      </div>
      <Field
        label="When it is used up"
        hint={
          mode === "hard"
            ? "Money is set aside before each call, so it is not overrun by calls at the same time."
            : "It only tells, with a budget.warning."
        }
      >
        {(id) => (
          <select
            id={id}
            value={mode}
            onChange={(event) => setMode(event.currentTarget.value as typeof mode)}
          >
            <option value="hard">runs wait (hard)</option>
            <option value="soft">only warn (soft)</option>
          </select>
        )}
      </Field>
    </FormDialog>
  );
}
