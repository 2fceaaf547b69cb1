-- Money: budgets, what was spent of them, and what is set aside for calls that are under way.

-- `per`: what a limit is for, in UTC. A user's or an agent's budget goes with it.
CREATE TABLE headwater.budgets (
    tenant_id       uuid NOT NULL REFERENCES headwater.tenants ON DELETE CASCADE,
    budget_id       uuid NOT NULL,
    owner           text NOT NULL CHECK (owner IN ('operator', 'tenant')),
    scope           text NOT NULL CHECK (scope IN ('tenant', 'user', 'each_user', 'agent')),
    user_id         uuid CHECK ((user_id IS NULL) = (scope <> 'user')),
    agent_id        uuid CHECK ((agent_id IS NULL) = (scope <> 'agent')),
    mode            text NOT NULL CHECK (mode IN ('hard', 'soft')),
    strict          boolean NOT NULL,
    per             text NOT NULL CHECK (per IN ('day', 'month', 'total')),
    limit_nano_usd  bigint NOT NULL CHECK (limit_nano_usd >= 0),
    warn_at_percent int NOT NULL,
    revision        int NOT NULL DEFAULT 1,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, budget_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES headwater.users ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, agent_id) REFERENCES headwater.agents ON DELETE CASCADE
);
SELECT headwater_sys.wall('headwater.budgets');
GRANT SELECT, INSERT, UPDATE (limit_nano_usd, mode, strict, warn_at_percent, revision, updated_at), DELETE ON headwater.budgets TO @app@;
GRANT SELECT ON headwater.budgets TO @dispatch@;
CREATE POLICY dispatch_finds ON headwater.budgets FOR SELECT TO @dispatch@ USING (true);

-- What was spent and is set aside, of each budget in each period; `holder`: the user whose counter it is where every user
-- has one, else nobody (zeros). A run with a budget of its own has its counter here too, under its own id and with its limit.
CREATE TABLE headwater.budget_counters (
    tenant_id         uuid NOT NULL REFERENCES headwater.tenants ON DELETE CASCADE,
    budget_id         uuid NOT NULL,
    holder            uuid NOT NULL,
    period            date NOT NULL,
    run_id            uuid,
    limit_nano_usd    bigint CHECK ((limit_nano_usd IS NULL) = (run_id IS NULL)),
    spent_nano_usd    bigint NOT NULL DEFAULT 0,
    reserved_nano_usd bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, budget_id, holder, period),
    FOREIGN KEY (tenant_id, run_id) REFERENCES headwater.runs ON DELETE CASCADE
) WITH (fillfactor = 50);
CREATE INDEX budget_counters_of_runs ON headwater.budget_counters (tenant_id, run_id) WHERE run_id IS NOT NULL;
SELECT headwater_sys.wall('headwater.budget_counters');
GRANT SELECT ON headwater.budget_counters TO @app@;
GRANT SELECT, INSERT, UPDATE (limit_nano_usd, spent_nano_usd, reserved_nano_usd), DELETE ON headwater.budget_counters TO @dispatch@;
CREATE POLICY dispatch_counts ON headwater.budget_counters TO @dispatch@ USING (true) WITH CHECK (true);

-- One row for each call that money is set aside for, with exactly the counters that it stands in. The commit that tells what a
-- call did cost writes it here and touches no counter: a counter that many wait for holds up nobody else's commit. Who and what it is for is
-- kept too: if everybody who knew of the call is gone, this is what the ledger says of it.
CREATE TABLE headwater.budget_reservations (
    tenant_id       uuid NOT NULL REFERENCES headwater.tenants ON DELETE CASCADE,
    model_call      uuid NOT NULL,
    run_id          uuid NOT NULL,
    user_id         uuid NOT NULL,
    agent_id        uuid NOT NULL,
    step            int NOT NULL,
    model           text NOT NULL,
    amount_nano_usd bigint NOT NULL,
    budgets         uuid[] NOT NULL,
    holders         uuid[] NOT NULL,
    periods         date[] NOT NULL,
    created_at      timestamptz NOT NULL,
    -- What the call did cost, once that is known: from then on the row waits for its counters to be brought up to date.
    cost_nano_usd   bigint,
    PRIMARY KEY (tenant_id, model_call)
);
CREATE INDEX budget_reservations_settled ON headwater.budget_reservations (tenant_id) WHERE cost_nano_usd IS NOT NULL;
CREATE INDEX budget_reservations_of_run ON headwater.budget_reservations (tenant_id, run_id);
SELECT headwater_sys.wall('headwater.budget_reservations', 'user_id');
GRANT SELECT ON headwater.budget_reservations TO @app@;
GRANT SELECT, INSERT, UPDATE (cost_nano_usd), DELETE ON headwater.budget_reservations TO @dispatch@;
CREATE POLICY dispatch_counts ON headwater.budget_reservations TO @dispatch@ USING (true) WITH CHECK (true);

-- What a suspended run waits for: {"budget":…,"holder":…,"per":…,"needs":…}.
ALTER TABLE headwater.runs ADD COLUMN waits_budget jsonb;
CREATE INDEX runs_that_wait_for_money ON headwater.runs (tenant_id, (waits_budget->>'budget')) WHERE waits_budget IS NOT NULL;
GRANT SELECT (waits_budget), UPDATE (waits_budget) ON headwater.runs TO @app@;
GRANT SELECT (waits_budget, suspended_at, overrides, model), UPDATE (overrides, model) ON headwater.runs TO @dispatch@;

-- The period that is now, by what a limit is for. Of all time: the epoch.
CREATE FUNCTION headwater.budget_period(p_per text) RETURNS date LANGUAGE plpgsql SECURITY INVOKER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE p_per WHEN 'day' THEN (clock_timestamp() AT TIME ZONE 'UTC')::date
                      WHEN 'month' THEN date_trunc('month', clock_timestamp() AT TIME ZONE 'UTC')::date
                      ELSE 'epoch'::date END;
END $$;

-- Raises HW006 unless the budget that a run is about to wait for still forbids it. Whoever changes a budget takes the same
-- lock, and then wakes those that wait for money: so either this sees the change, or that sees the run.
CREATE FUNCTION headwater.budget_must_forbid(p_run uuid, p_waits jsonb) RETURNS void
LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM 1 FROM headwater.budgets b
        WHERE b.tenant_id = headwater.tenant_id() AND b.budget_id = (p_waits->>'budget')::uuid FOR SHARE;
    IF NOT headwater.budget_forbids(headwater.tenant_id(), p_waits) THEN
        RAISE EXCEPTION 'no budget forbids run % to go on', p_run USING ERRCODE = 'HW006';
    END IF;
END $$;

SET ROLE @dispatch@;

-- Of a tenant's calls which are settled, and not counted in this counter yet: what they did cost, and what was set aside for them.
CREATE FUNCTION headwater.budget_unfolded(p_tenant uuid, p_budget uuid, p_holder uuid, p_period date, OUT cost bigint, OUT amount bigint)
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT coalesce(sum(s.cost_nano_usd), 0), coalesce(sum(s.amount_nano_usd), 0) INTO cost, amount
    FROM headwater.budget_reservations s
    WHERE s.tenant_id = p_tenant AND s.cost_nano_usd IS NOT NULL AND s.budgets @> ARRAY[p_budget]
      AND EXISTS (SELECT 1 FROM unnest(s.budgets, s.holders, s.periods) AS x (budget_id, holder, period)
                  WHERE x.budget_id = p_budget AND x.holder = p_holder AND x.period = p_period);
END $$;

-- Whether what a run waits for ({"budget":…,"holder":…,"per":…,"needs":…}) still forbids it to go on.
CREATE FUNCTION headwater.budget_forbids(p_tenant uuid, p_waits jsonb) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_budget uuid := (p_waits->>'budget')::uuid;
    v_holder uuid := (p_waits->>'holder')::uuid;
    v_period date := headwater.budget_period(p_waits->>'per');
    v_limit  bigint;
    v_spent  bigint;
BEGIN
    SELECT b.limit_nano_usd INTO v_limit FROM headwater.budgets b
        WHERE b.tenant_id = p_tenant AND b.budget_id = v_budget AND b.mode = 'hard';
    SELECT coalesce(v_limit, c.limit_nano_usd), c.spent_nano_usd + u.cost INTO v_limit, v_spent
        FROM headwater.budget_counters c
        CROSS JOIN LATERAL headwater.budget_unfolded(p_tenant, v_budget, v_holder, v_period) u
        WHERE c.tenant_id = p_tenant AND c.budget_id = v_budget AND c.holder = v_holder AND c.period = v_period;
    RETURN coalesce(v_limit - v_spent < (p_waits->>'needs')::bigint, false);
END $$;

-- Sets aside what a call of a run of the scope that is set can cost at most, in every budget that it falls under: in all or in
-- none. p: run_id, token, user_id, agent_id, model_call, model, step, own_key, run_limit (of the run's own budget), and in
-- nano-dollars expected, and of the call as it is and as strict budgets count it amount, least, strict_amount, strict_least.
-- `least`: with less the call is not worth making; between that and `amount` what there is is granted. NULL amounts: nobody
-- knows the price.
-- Answers {"granted":…,"warnings":[…]}, {"open":true} where there is no budget, or {"refused":…}: `fenced` (the run is
-- somebody else's), `price_unknown`, `exhausted` (what was spent leaves too little), `busy` (what others have set aside does).
CREATE FUNCTION headwater.reserve_call(p jsonb) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c_nobody   constant uuid := '00000000-0000-0000-0000-000000000000';
    v_tenant   uuid := headwater.tenant_id();
    v_run      uuid := (p->>'run_id')::uuid;
    v_user     uuid := (p->>'user_id')::uuid;
    v_agent    uuid := (p->>'agent_id')::uuid;
    v_expected bigint := coalesce((p->>'expected')::bigint, 0);
    v_amount   bigint := (p->>'amount')::bigint;
    v_least    bigint := (p->>'least')::bigint;
    v_parent   uuid;
    v_budgets  uuid[];
    v_holders  uuid[];
    v_periods  date[];
    v_strict   boolean := false;
    v_free     bigint;
    v_warnings jsonb := '[]';
    v_closest  jsonb;
    v_left     bigint;
    c          record;
BEGIN
    SELECT r.parent_run INTO v_parent FROM headwater.runs r
        WHERE r.tenant_id = v_tenant AND r.run_id = v_run AND r.lease_token = (p->>'token')::uuid
          AND r.status IN ('queued', 'running', 'suspended');
    IF NOT FOUND THEN
        RETURN '{"refused": "fenced"}';
    END IF;
    -- The answer to an earlier attempt of this very call was lost on the way.
    SELECT s.amount_nano_usd INTO v_left FROM headwater.budget_reservations s
        WHERE s.tenant_id = v_tenant AND s.model_call = (p->>'model_call')::uuid AND s.cost_nano_usd IS NULL;
    IF FOUND THEN
        RETURN jsonb_build_object('granted', v_left, 'warnings', v_warnings);
    END IF;
    IF p->>'run_limit' IS NOT NULL THEN
        INSERT INTO headwater.budget_counters AS k (tenant_id, budget_id, holder, period, run_id, limit_nano_usd)
        VALUES (v_tenant, v_run, c_nobody, 'epoch', v_run, (p->>'run_limit')::bigint) ON CONFLICT DO NOTHING;
    END IF;

    WITH RECURSIVE above (run_id, parent_run) AS (
        SELECT v_run, v_parent
        UNION ALL
        SELECT r.run_id, r.parent_run FROM above a JOIN headwater.runs r ON r.tenant_id = v_tenant AND r.run_id = a.parent_run
    ), covers (budget_id, holder, period) AS (
        SELECT b.budget_id, CASE b.scope WHEN 'each_user' THEN v_user ELSE c_nobody END, headwater.budget_period(b.per)
        FROM headwater.budgets b
        WHERE b.tenant_id = v_tenant
          AND CASE b.scope WHEN 'user' THEN b.user_id = v_user WHEN 'agent' THEN b.agent_id = v_agent ELSE true END
          -- A tenant that pays its provider itself spends nothing of the operator's.
          AND NOT (b.owner = 'operator' AND (p->>'own_key')::boolean)
        UNION ALL
        SELECT k.budget_id, k.holder, k.period FROM above a
        JOIN headwater.budget_counters k ON k.tenant_id = v_tenant AND k.run_id = a.run_id
    )
    SELECT array_agg(x.budget_id), array_agg(x.holder), array_agg(x.period) INTO v_budgets, v_holders, v_periods
    FROM (SELECT * FROM covers ORDER BY budget_id, holder, period) x;
    IF v_budgets IS NULL THEN
        RETURN '{"open": true}';
    END IF;
    INSERT INTO headwater.budget_counters (tenant_id, budget_id, holder, period)
    SELECT v_tenant, x.budget_id, x.holder, x.period FROM unnest(v_budgets, v_holders, v_periods) AS x (budget_id, holder, period)
    WHERE NOT EXISTS (SELECT 1 FROM headwater.budget_counters k WHERE k.tenant_id = v_tenant AND k.budget_id = x.budget_id
                        AND k.holder = x.holder AND k.period = x.period)
    ORDER BY x.budget_id, x.holder, x.period ON CONFLICT DO NOTHING;

    -- Lock all, in one order for everybody; then look; then change.
    FOR c IN
        SELECT k.budget_id, k.holder, k.period, k.run_id, k.spent_nano_usd AS spent, k.reserved_nano_usd AS reserved,
               k.limit_nano_usd AS run_limit
        FROM headwater.budget_counters k
        WHERE k.tenant_id = v_tenant AND (k.budget_id, k.holder, k.period) IN (
            SELECT x.budget_id, x.holder, x.period FROM unnest(v_budgets, v_holders, v_periods) AS x (budget_id, holder, period))
        ORDER BY k.budget_id, k.holder, k.period FOR UPDATE
    LOOP
        DECLARE
            b       headwater.budgets;
            v_limit bigint;
            v_spent bigint;
            v_taken bigint;
        BEGIN
            -- What is settled and not counted yet. Whoever counts it needs the lock that is held here.
            SELECT c.spent + u.cost, c.spent + u.cost + c.reserved - u.amount INTO v_spent, v_taken
                FROM headwater.budget_unfolded(v_tenant, c.budget_id, c.holder, c.period) u;
            SELECT * INTO b FROM headwater.budgets x WHERE x.tenant_id = v_tenant AND x.budget_id = c.budget_id;
            v_limit := coalesce(c.run_limit, b.limit_nano_usd);
            CONTINUE WHEN v_limit IS NULL;
            IF b.warn_at_percent IS NOT NULL
               AND (v_spent::numeric + v_expected) * 100 >= v_limit::numeric * b.warn_at_percent THEN
                v_warnings := v_warnings || jsonb_build_object('budget', c.budget_id, 'scope', b.scope,
                    'scope_id', coalesce(b.user_id, b.agent_id), 'mode', b.mode, 'limit', v_limit, 'spent', v_spent,
                    'period', c.period);
            END IF;
            IF c.run_id IS NOT NULL OR b.mode = 'hard' THEN
                v_strict := v_strict OR coalesce(b."strict", false);
                v_free := least(v_free, v_limit - v_taken);
                IF v_left IS NULL OR v_limit - v_spent < v_left THEN
                    v_left := v_limit - v_spent;
                    v_closest := jsonb_build_object('budget', c.budget_id, 'holder', c.holder, 'run', c.run_id IS NOT NULL,
                        'per', CASE WHEN c.run_id IS NOT NULL THEN 'total' ELSE b.per END, 'remaining', v_left);
                END IF;
            END IF;
        END;
    END LOOP;
    IF v_free IS NOT NULL THEN
        IF v_amount IS NULL THEN
            RETURN v_closest || '{"refused": "price_unknown"}';
        END IF;
        IF v_strict THEN
            v_amount := (p->>'strict_amount')::bigint;
            v_least := (p->>'strict_least')::bigint;
        END IF;
        IF v_free < v_least THEN
            RETURN v_closest || jsonb_build_object('needs', v_least,
                'refused', CASE WHEN v_left < v_least THEN 'exhausted' ELSE 'busy' END);
        END IF;
        v_amount := least(v_amount, v_free);
    END IF;
    v_amount := coalesce(v_amount, 0);
    -- Once more, now that it was waited for.
    PERFORM 1 FROM headwater.runs r
        WHERE r.tenant_id = v_tenant AND r.run_id = v_run AND r.lease_token = (p->>'token')::uuid
          AND r.status IN ('queued', 'running', 'suspended');
    IF NOT FOUND THEN
        RETURN '{"refused": "fenced"}';
    END IF;
    UPDATE headwater.budget_counters k SET reserved_nano_usd = k.reserved_nano_usd + v_amount
    FROM unnest(v_budgets, v_holders, v_periods) AS x (budget_id, holder, period)
    WHERE k.tenant_id = v_tenant AND k.budget_id = x.budget_id AND k.holder = x.holder AND k.period = x.period;
    INSERT INTO headwater.budget_reservations (tenant_id, model_call, run_id, user_id, agent_id, step, model, amount_nano_usd,
                                               budgets, holders, periods, created_at)
    VALUES (v_tenant, (p->>'model_call')::uuid, v_run, v_user, v_agent, (p->>'step')::int, p->>'model', v_amount,
            v_budgets, v_holders, v_periods, clock_timestamp());
    RETURN jsonb_build_object('granted', v_amount, 'strict', v_strict, 'warnings', v_warnings);
END $$;

-- Writes down what these calls did cost: NULL as nothing. Never refuses: a debt is kept. What has no reservation (any more), or
-- was written down before, is passed over, so that nothing counts twice. Touches no counter.
CREATE FUNCTION headwater.settle_calls(p_tenants uuid[], p_calls uuid[], p_costs bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE headwater.budget_reservations s SET cost_nano_usd = coalesce(g.cost, 0)
    FROM unnest(p_tenants, p_calls, p_costs) AS g (tenant_id, model_call, cost)
    WHERE s.tenant_id = g.tenant_id AND s.model_call = g.model_call AND s.cost_nano_usd IS NULL;
END $$;

-- Brings a tenant's counters up to date with its settled calls. Returns how many there were.
CREATE FUNCTION headwater.fold_calls(p_tenant uuid) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_budgets uuid[];
    v_holders uuid[];
    v_periods date[];
    v_amounts bigint[];
    v_costs   bigint[];
    v_calls   uuid[];
BEGIN
    SELECT array_agg(x.model_call) INTO v_calls FROM (
        SELECT s.model_call FROM headwater.budget_reservations s
        WHERE s.tenant_id = p_tenant AND s.cost_nano_usd IS NOT NULL LIMIT 1000) x;
    IF v_calls IS NULL THEN
        RETURN 0;
    END IF;
    -- The counters first, in the order in which everybody takes them; then the rows, if nobody was faster.
    PERFORM 1 FROM headwater.budget_counters k
        WHERE k.tenant_id = p_tenant AND (k.budget_id, k.holder, k.period) IN (
            SELECT x.budget_id, x.holder, x.period FROM headwater.budget_reservations s
            CROSS JOIN LATERAL unnest(s.budgets, s.holders, s.periods) AS x (budget_id, holder, period)
            WHERE s.tenant_id = p_tenant AND s.model_call = ANY (v_calls))
        ORDER BY k.budget_id, k.holder, k.period FOR UPDATE;
    WITH folded AS (
        DELETE FROM headwater.budget_reservations s
        WHERE s.tenant_id = p_tenant AND s.model_call = ANY (v_calls) AND s.cost_nano_usd IS NOT NULL
        RETURNING s.budgets, s.holders, s.periods, s.amount_nano_usd AS amount, s.cost_nano_usd AS cost
    ), counted AS (
        SELECT x.budget_id, x.holder, x.period, sum(f.amount)::bigint AS amount, sum(f.cost)::bigint AS cost
        FROM folded f CROSS JOIN LATERAL unnest(f.budgets, f.holders, f.periods) AS x (budget_id, holder, period)
        GROUP BY 1, 2, 3
    )
    SELECT array_agg(c.budget_id), array_agg(c.holder), array_agg(c.period), array_agg(c.amount), array_agg(c.cost)
    INTO v_budgets, v_holders, v_periods, v_amounts, v_costs FROM counted c;
    UPDATE headwater.budget_counters k
        SET reserved_nano_usd = k.reserved_nano_usd - x.amount, spent_nano_usd = k.spent_nano_usd + x.cost
    FROM unnest(v_budgets, v_holders, v_periods, v_amounts, v_costs) AS x (budget_id, holder, period, amount, cost)
    WHERE k.tenant_id = p_tenant AND k.budget_id = x.budget_id AND k.holder = x.holder AND k.period = x.period;
    RETURN array_length(v_calls, 1);
END $$;

-- Lets a run of the scope that is set try again that waits for money, perhaps with another model, or more for itself.
-- Returns whether it waits for money.
CREATE FUNCTION headwater.resume_run(p_run uuid, p_model text, p_run_limit bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_tenant uuid := headwater.tenant_id();
    v_user   uuid := headwater.user_id();
    v_waits  jsonb;
BEGIN
    SELECT r.waits_budget INTO v_waits FROM headwater.runs r
        WHERE r.tenant_id = v_tenant AND r.run_id = p_run AND r.status = 'suspended' AND r.waits_budget IS NOT NULL
          AND (v_user IS NULL OR r.user_id = v_user) FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF p_run_limit IS NOT NULL THEN
        -- Of the run's own budget, or of the one above it that forbids it to go on: upwards only. Who else waits for it is woken.
        PERFORM 1 FROM headwater.budget_counters k
            WHERE k.tenant_id = v_tenant AND k.run_id IN (p_run, (v_waits->>'budget')::uuid)
            ORDER BY k.budget_id, k.holder, k.period FOR UPDATE;
        UPDATE headwater.budget_counters k SET limit_nano_usd = greatest(k.limit_nano_usd, p_run_limit)
        WHERE k.tenant_id = v_tenant AND k.run_id IN (p_run, (v_waits->>'budget')::uuid);
        -- What is locked is being looked at by somebody else, or found by the sweep.
        UPDATE headwater.runs r SET woken = true
        WHERE r.tenant_id = v_tenant AND r.run_id IN (
            SELECT o.run_id FROM headwater.runs o
            WHERE o.tenant_id = v_tenant AND o.waits_budget IS NOT NULL AND o.status = 'suspended' AND NOT o.woken
              AND o.waits_budget->>'budget' IN (p_run::text, v_waits->>'budget') AND o.run_id <> p_run
            FOR NO KEY UPDATE SKIP LOCKED);
    END IF;
    UPDATE headwater.runs r SET woken = true,
        model = coalesce(p_model, r.model),
        overrides = CASE WHEN p_model IS NULL THEN r.overrides ELSE r.overrides || jsonb_build_object('model', p_model) END
    WHERE r.tenant_id = v_tenant AND r.run_id = p_run;
    RETURN true;
END $$;

-- Wakes runs that wait for money and need not any more: their budget's next window has begun, or whoever changed it died before
-- it had woken them. Returns how many.
CREATE FUNCTION headwater.wake_budgets() RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_count bigint;
BEGIN
    UPDATE headwater.runs r SET woken = true
    WHERE r.waits_budget IS NOT NULL AND r.status = 'suspended' AND NOT r.woken
      AND NOT headwater.budget_forbids(r.tenant_id, r.waits_budget);
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_count;
END $$;

-- Settles what was set aside for calls of runs that are over or erased, which nobody will ever settle: in full, because what
-- was used of it nobody knows; and the ledger says so. Forgets counters of periods that are long over.
CREATE FUNCTION headwater.sweep_budgets(p_limit int) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_count bigint := 0;
    s       record;
BEGIN
    FOR s IN
        SELECT b.* FROM headwater.budget_reservations b
        LEFT JOIN headwater.runs r ON r.tenant_id = b.tenant_id AND r.run_id = b.run_id
        WHERE coalesce(r.status, 'gone') NOT IN ('queued', 'running', 'suspended') AND b.cost_nano_usd IS NULL
          AND b.created_at < clock_timestamp() - interval '1 minute'
        ORDER BY b.tenant_id, b.model_call LIMIT p_limit
    LOOP
        INSERT INTO headwater.usage_calls (tenant_id, model_call, run_id, step, user_id, agent_id, model, usage,
            cost_nano_usd, expected_nano_usd, estimated, outcome, attempt, queued_ms, first_token_ms, duration_ms, settled_at)
        VALUES (s.tenant_id, s.model_call, s.run_id, s.step, s.user_id, s.agent_id, s.model, '{0,0,0,0,0}',
            s.amount_nano_usd, NULL, true, 'reset', 1, 0, NULL, 0, clock_timestamp()) ON CONFLICT DO NOTHING;
        PERFORM headwater.settle_calls(ARRAY[s.tenant_id], ARRAY[s.model_call], ARRAY[s.amount_nano_usd]);
        v_count := v_count + 1;
    END LOOP;
    DELETE FROM headwater.budget_counters k WHERE (k.tenant_id, k.budget_id, k.holder, k.period) IN (
        SELECT o.tenant_id, o.budget_id, o.holder, o.period FROM headwater.budget_counters o
        WHERE o.run_id IS NULL
          AND (o.period <> 'epoch' AND o.period < CURRENT_DATE - 70 AND o.reserved_nano_usd = 0
               OR NOT EXISTS (SELECT 1 FROM headwater.budgets b WHERE b.tenant_id = o.tenant_id AND b.budget_id = o.budget_id))
        ORDER BY 1, 2, 3, 4 LIMIT p_limit FOR UPDATE SKIP LOCKED);
    RETURN v_count;
END $$;

-- Tenants whose counters are behind what is settled.
CREATE FUNCTION headwater.tenants_behind(p_limit int) RETURNS SETOF uuid LANGUAGE plpgsql SECURITY DEFINER STABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT DISTINCT b.tenant_id FROM headwater.budget_reservations b WHERE b.cost_nano_usd IS NOT NULL LIMIT p_limit;
END $$;

REVOKE ALL ON FUNCTION headwater.budget_unfolded, headwater.reserve_call, headwater.settle_calls, headwater.fold_calls, headwater.resume_run, headwater.wake_budgets,
    headwater.sweep_budgets, headwater.tenants_behind, headwater.budget_forbids FROM PUBLIC;
GRANT EXECUTE ON FUNCTION headwater.budget_unfolded, headwater.reserve_call, headwater.settle_calls, headwater.fold_calls, headwater.resume_run, headwater.wake_budgets,
    headwater.sweep_budgets, headwater.tenants_behind, headwater.budget_forbids TO @app@;
SET ROLE @owner@;
GRANT INSERT ON headwater.usage_calls TO @dispatch@;
CREATE POLICY dispatch_settles ON headwater.usage_calls FOR INSERT TO @dispatch@ WITH CHECK (true);
GRANT EXECUTE ON FUNCTION headwater.budget_period TO @app@, @dispatch@;
GRANT EXECUTE ON FUNCTION headwater.budget_must_forbid TO @app@;

-- See 0011_approvals.sql. New: a run may wait for money.
CREATE OR REPLACE FUNCTION headwater.apply_writes(p_replica uuid, p_run uuid, p_writes jsonb, p_again boolean) RETURNS uuid
LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_tenant uuid := headwater.tenant_id();
    v_thread uuid;
    v_next   uuid;
    v_withdraw boolean;
    w        jsonb;
BEGIN
    IF NOT p_again THEN
        IF p_writes ? 'messages' THEN
            INSERT INTO headwater.messages AS m (tenant_id, message_id, thread_id, user_id, run_id, ord, role, status, agent_id,
                                            step, content, created_at, completed_at)
            SELECT v_tenant, x.message_id, x.thread_id, x.user_id, p_run, x.ord, x.role, x.status, x.agent_id,
                   x.step, x.content, x.created_at, x.completed_at
            FROM jsonb_to_recordset(p_writes->'messages') AS x (message_id uuid, thread_id uuid, user_id uuid, ord bigint,
                 role text, status text, agent_id uuid, step int, content jsonb, created_at timestamptz, completed_at timestamptz)
            ON CONFLICT (tenant_id, message_id) DO UPDATE
                SET status = excluded.status, content = excluded.content, completed_at = excluded.completed_at;
        END IF;
        IF p_writes ? 'usage' THEN
            INSERT INTO headwater.usage_calls (tenant_id, model_call, run_id, step, user_id, agent_id, model, usage,
                cost_nano_usd, expected_nano_usd, estimated, outcome, attempt, queued_ms, first_token_ms, duration_ms, settled_at)
            SELECT v_tenant, x.model_call, p_run, x.step, x.user_id, x.agent_id, x.model, x.usage,
                   x.cost_nano_usd, x.expected_nano_usd, x.estimated, x.outcome, x.attempt, x.queued_ms, x.first_token_ms,
                   x.duration_ms, x.settled_at
            FROM jsonb_to_recordset(p_writes->'usage') AS x (model_call uuid, step int, user_id uuid, agent_id uuid, model text,
                 usage bigint[], cost_nano_usd bigint, expected_nano_usd bigint, estimated boolean, outcome text, attempt int,
                 queued_ms bigint, first_token_ms bigint, duration_ms bigint, settled_at timestamptz)
            ON CONFLICT (tenant_id, model_call) DO NOTHING;
        END IF;
        IF p_writes ? 'withdraw' THEN
            UPDATE headwater.messages SET withdrawn = 'reset', status = 'incomplete'
            WHERE tenant_id = v_tenant AND message_id IN (SELECT jsonb_array_elements_text(p_writes->'withdraw')::uuid);
        END IF;
        IF p_writes ? 'joined' THEN
            DELETE FROM headwater.run_inputs
            WHERE tenant_id = v_tenant AND run_id = p_run
              AND input_id IN (SELECT jsonb_array_elements_text(p_writes->'joined')::uuid);
        END IF;
        IF p_writes ? 'calls' THEN
            INSERT INTO headwater.tool_calls (tenant_id, call_id, run_id, user_id, step, position, name, kind, effect, args,
                                              status, output, error, ttl_ms, approval_id, expires_at, created_at, answered_at)
            SELECT v_tenant, x.call_id, p_run, x.user_id, x.step, x.position, x.name, x.kind, x.effect, x.args,
                   x.status, x.output, x.error, x.ttl_ms, x.approval_id, x.expires_at, x.created_at, x.answered_at
            FROM jsonb_to_recordset(p_writes->'calls') AS x (call_id uuid, user_id uuid, step int, position int, name text,
                 kind text, effect text, args jsonb, status text, output jsonb, error jsonb, ttl_ms bigint, approval_id uuid,
                 expires_at timestamptz, created_at timestamptz, answered_at timestamptz);
        END IF;
        IF p_writes ? 'call_changes' THEN
            UPDATE headwater.tool_calls c SET status = x.status, output = x.output, error = x.error,
                started_at = CASE WHEN x.started THEN clock_timestamp() ELSE c.started_at END, answered_at = x.answered_at,
                approval_id = coalesce(x.approval_id, c.approval_id), expires_at = x.expires_at, artifact_id = x.artifact_id
            FROM jsonb_to_recordset(p_writes->'call_changes') AS x (call_id uuid, status text, output jsonb, error jsonb,
                 started boolean, answered_at timestamptz, approval_id uuid, expires_at timestamptz, artifact_id uuid)
            WHERE c.tenant_id = v_tenant AND c.run_id = p_run AND c.call_id = x.call_id;
        END IF;
        IF p_writes ? 'approvals' THEN
            INSERT INTO headwater.approvals (tenant_id, approval_id, run_id, thread_id, user_id, agent_id, call_id, kind, name,
                args, args_hash, message, schema, deciders, status, expires_at, created_at)
            SELECT v_tenant, x.approval_id, p_run, x.thread_id, x.user_id, x.agent_id, x.call_id, x.kind, x.name,
                x.args, x.args_hash, x.message, x.schema, x.deciders, 'pending', x.expires_at, x.created_at
            FROM jsonb_to_recordset(p_writes->'approvals') AS x (approval_id uuid, thread_id uuid, user_id uuid, agent_id uuid,
                 call_id uuid, kind text, name text, args jsonb, args_hash text, message text, schema jsonb, deciders text[],
                 expires_at timestamptz, created_at timestamptz);
        END IF;
        IF p_writes ? 'expired' THEN
            UPDATE headwater.approvals SET status = 'expired', decided_at = clock_timestamp(),
                decided_by = '{"type": "system", "id": null, "reason": "expired"}'
            WHERE tenant_id = v_tenant AND run_id = p_run AND status = 'pending'
              AND approval_id IN (SELECT jsonb_array_elements_text(p_writes->'expired')::uuid);
        END IF;
        w := p_writes->'step';
        IF w IS NOT NULL THEN
            INSERT INTO headwater.run_steps (tenant_id, run_id, step, user_id, attempt, message_id, model_call, model,
                                             finish_reason, seq, finished_at)
            SELECT v_tenant, p_run, x.step, x.user_id, x.attempt, x.message_id, x.model_call, x.model, x.finish_reason, x.seq, x.finished_at
            FROM jsonb_to_record(w) AS x (step int, user_id uuid, attempt int, message_id uuid, model_call uuid, model text,
                 finish_reason text, seq bigint, finished_at timestamptz);
        END IF;
    END IF;
    w := p_writes->'run';
    IF w IS NOT NULL THEN
        -- The run's row is locked by its log's new end. Whoever answers or decides takes that lock too, and so either comes
        -- before and is seen here, or after and finds a run that waits.
        -- A process of the release before says only that it waits.
        IF NOT p_again AND w ? 'waits_budget' THEN
            PERFORM headwater.budget_must_forbid(p_run, w->'waits_budget');
        ELSIF NOT p_again AND w->>'status' = 'suspended'
           AND (CASE WHEN w ? 'waits_for' THEN w->'waits_for' IS DISTINCT FROM (
                   SELECT coalesce(jsonb_object_agg(call_id, status), '{}') FROM headwater.tool_calls
                   WHERE tenant_id = v_tenant AND run_id = p_run AND status IN ('asked', 'pending'))
               ELSE NOT EXISTS (SELECT 1 FROM headwater.tool_calls
                                WHERE tenant_id = v_tenant AND run_id = p_run AND status = 'pending') END) THEN
            RAISE EXCEPTION 'run % waits for something else', p_run USING ERRCODE = 'HW006';
        END IF;
        IF w ? 'finished_at' THEN
            -- The thread's row first: a run that is just being queued behind this one waits, and then sees its end.
            v_thread := (w->>'thread_id')::uuid;
            PERFORM 1 FROM headwater.threads WHERE tenant_id = v_tenant AND thread_id = v_thread FOR NO KEY UPDATE;
            -- Under that lock nothing more can be said to this run. What was said is answered before it is over.
            IF NOT p_again AND w ? 'unless_input'
               AND EXISTS (SELECT 1 FROM headwater.run_inputs WHERE tenant_id = v_tenant AND run_id = p_run) THEN
                RAISE EXCEPTION 'something was said to run %', p_run USING ERRCODE = 'HW006';
            END IF;
        END IF;
        IF NOT p_again THEN
            UPDATE headwater.runs r SET
                status         = coalesce(w->>'status', r.status),
                steps          = coalesce((w->>'steps')::int, r.steps),
                input_messages = CASE WHEN w ? 'input_messages' THEN r.input_messages
                                     || ARRAY(SELECT jsonb_array_elements_text(w->'input_messages')::uuid) ELSE r.input_messages END,
                usage          = CASE WHEN w ? 'usage' THEN ARRAY(SELECT jsonb_array_elements_text(w->'usage')::bigint) ELSE r.usage END,
                cost_nano_usd  = CASE WHEN w ? 'cost_nano_usd' THEN (w->>'cost_nano_usd')::bigint ELSE r.cost_nano_usd END,
                cost_estimated = coalesce((w->>'cost_estimated')::boolean, r.cost_estimated),
                result         = coalesce(nullif(w->'result', 'null'), r.result),
                error          = coalesce(nullif(w->'error', 'null'), r.error),
                cancel_requested_at = coalesce((w->>'cancel_requested_at')::timestamptz, r.cancel_requested_at),
                suspended_at   = CASE WHEN w ? 'status' THEN (w->>'suspended_at')::timestamptz ELSE r.suspended_at END,
                woken          = CASE WHEN w ? 'status' THEN false ELSE r.woken END,
                waits_budget   = CASE WHEN w ? 'status' THEN w->'waits_budget' ELSE r.waits_budget END,
                started_at     = coalesce((w->>'started_at')::timestamptz, r.started_at),
                finished_at    = coalesce((w->>'finished_at')::timestamptz, r.finished_at)
            WHERE r.tenant_id = v_tenant AND r.run_id = p_run;
            IF w->>'status' = 'suspended' THEN
                -- What waits for somebody is nobody's. In a statement of its own: nobody may read the token.
                UPDATE headwater.runs SET owner = NULL, lease_token = NULL WHERE tenant_id = v_tenant AND run_id = p_run;
            END IF;
        END IF;
        IF w ? 'finished_at' THEN
            UPDATE headwater.tool_calls SET status = 'failed', error = p_writes->'unanswered', answered_at = clock_timestamp()
            WHERE tenant_id = v_tenant AND run_id = p_run AND status IN ('asked', 'pending', 'ready', 'started');
            UPDATE headwater.approvals SET status = 'cancelled', decided_at = clock_timestamp()
            WHERE tenant_id = v_tenant AND run_id = p_run AND status = 'pending';
            DELETE FROM headwater.run_cancels WHERE tenant_id = v_tenant AND run_id = p_run RETURNING withdraw INTO v_withdraw;
            IF v_withdraw THEN
                UPDATE headwater.messages SET withdrawn = 'rollback'
                WHERE tenant_id = v_tenant AND thread_id = v_thread AND run_id = p_run AND withdrawn IS NULL;
            END IF;
            -- Of a run that ends only when nothing is unread there is nothing left: it was looked for above.
            IF NOT p_again AND NOT w ? 'unless_input' THEN
                PERFORM headwater.requeue_inputs(p_replica, p_run);
            END IF;
            SELECT r.run_id INTO v_next FROM headwater.runs r
            WHERE r.tenant_id = v_tenant AND r.thread_id = v_thread AND r.status NOT IN ('completed', 'failed', 'cancelled')
            ORDER BY r.ord LIMIT 1;
            -- A replica that is about to leave takes nothing more: the next run is there for the others.
            IF NOT FOUND OR w ? 'leave_next' THEN
                v_next := NULL;
            ELSE
                UPDATE headwater.runs r SET owner = p_replica, lease_token = (w->>'next_token')::uuid
                WHERE r.tenant_id = v_tenant AND r.run_id = v_next AND r.status = 'queued'
                  AND (r.owner IS NULL OR p_again AND r.owner = p_replica);
                IF NOT FOUND THEN
                    v_next := NULL;
                END IF;
            END IF;
        END IF;
    END IF;
    RETURN v_next;
END $$;

-- See 0003_log.sql. New: what was set aside for calls is settled at the end, for all runs of the batch at once. What a run leaves behind that ends was given up before it was sent.
CREATE OR REPLACE FUNCTION headwater.commit_batch(
    p_replica uuid, p_tenants uuid[], p_users uuid[], p_runs uuid[], p_tokens uuid[], p_from bigint[], p_to bigint[],
    p_segments text[], p_writes jsonb[], OUT verdicts text[], OUT next_runs uuid[]
) LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_tenants uuid[] := '{}';
    v_calls   uuid[] := '{}';
    v_costs   bigint[] := '{}';
    c         record;
    i         int;
BEGIN
    verdicts := headwater.append_events(p_replica, p_tenants, p_runs, p_tokens, p_from, p_to, p_segments);
    next_runs := array_fill(NULL::uuid, ARRAY[array_length(p_runs, 1)]);
    FOR i IN 1 .. array_length(p_runs, 1) LOOP
        IF p_writes[i] IS NOT NULL AND verdicts[i] IN ('ok', 'done') THEN
            PERFORM set_config('headwater.tenant_id', p_tenants[i]::text, true),
                    set_config('headwater.user_id', p_users[i]::text, true);
            next_runs[i] := headwater.apply_writes(p_replica, p_runs[i], p_writes[i], verdicts[i] = 'done');
            IF p_writes[i] ? 'reserved' THEN
                FOR c IN
                    SELECT x.model_call, x.cost_nano_usd
                    FROM jsonb_to_recordset(coalesce(p_writes[i]->'usage', '[]')) AS x (model_call uuid, cost_nano_usd bigint)
                    UNION ALL
                    SELECT s.model_call, 0 FROM headwater.budget_reservations s
                    WHERE p_writes[i]->'run' ? 'finished_at' AND s.tenant_id = p_tenants[i] AND s.run_id = p_runs[i]
                      AND s.cost_nano_usd IS NULL AND NOT EXISTS (SELECT 1 FROM headwater.usage_calls u
                                      WHERE u.tenant_id = s.tenant_id AND u.model_call = s.model_call)
                LOOP
                    v_tenants := v_tenants || p_tenants[i];
                    v_calls := v_calls || c.model_call;
                    v_costs := v_costs || c.cost_nano_usd;
                END LOOP;
            END IF;
        END IF;
    END LOOP;
    IF array_length(v_calls, 1) > 0 THEN
        PERFORM headwater.settle_calls(v_tenants, v_calls, v_costs);
    END IF;
END $$;
