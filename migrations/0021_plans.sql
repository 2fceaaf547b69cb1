-- What a tenant gets, and what it pays: plans, which the operator names, and prices of its own. And how replicas part what a
-- provider takes.

CREATE TABLE headwater_sys.plans (
    name       text PRIMARY KEY,
    terms      jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
SELECT headwater_sys.seal('headwater_sys.plans');
GRANT SELECT, INSERT, UPDATE ON headwater_sys.plans TO @dispatch@;
CREATE POLICY dispatch_all ON headwater_sys.plans FOR ALL TO @dispatch@ USING (true) WITH CHECK (true);

-- Not a tenant's to see, nor to change: what the platform takes for a model is its own business.
CREATE TABLE headwater_sys.tenant_prices (
    tenant_id  uuid PRIMARY KEY REFERENCES headwater.tenants ON DELETE CASCADE,
    prices     jsonb NOT NULL,
    updated_at timestamptz NOT NULL
);
SELECT headwater_sys.seal('headwater_sys.tenant_prices');
GRANT SELECT, INSERT, UPDATE ON headwater_sys.tenant_prices TO @dispatch@;
CREATE POLICY dispatch_all ON headwater_sys.tenant_prices FOR ALL TO @dispatch@ USING (true) WITH CHECK (true);

-- Budgets that come with the plan: its tenants' and their operator's alike leave them as they are.
ALTER TABLE headwater.budgets ADD COLUMN of_plan boolean NOT NULL DEFAULT false CHECK (NOT of_plan OR owner = 'operator');
GRANT SELECT, INSERT, UPDATE (limit_nano_usd, warn_at_percent, revision, updated_at), DELETE ON headwater.budgets TO @dispatch@;
CREATE POLICY dispatch_plans ON headwater.budgets TO @dispatch@ USING (of_plan) WITH CHECK (of_plan);

-- What could be known of a call before it was made, and why it did not end well: for whoever asks what a run has cost.
ALTER TABLE headwater.usage_calls ADD COLUMN reserve_nano_usd bigint, ADD COLUMN error jsonb;
-- `apply_writes` of 0020 with two more columns of the ledger, and nothing else: three places of it are written anew.
DO $$
DECLARE
    v_source text := pg_get_functiondef('headwater.apply_writes(uuid, uuid, jsonb, boolean)'::regprocedure);
    v_before text;
    v_after  text;
BEGIN
    FOR v_before, v_after IN VALUES
        ('first_token_ms, duration_ms, settled_at)', 'first_token_ms, duration_ms, settled_at, reserve_nano_usd, error)'),
        ('x.duration_ms, x.settled_at', 'x.duration_ms, x.settled_at, x.reserve_nano_usd, x.error'),
        ('duration_ms bigint, settled_at timestamptz)', 'duration_ms bigint, settled_at timestamptz, reserve_nano_usd bigint, error jsonb)')
    LOOP
        IF (length(v_source) - length(replace(v_source, v_before, ''))) / length(v_before) <> 1 THEN
            RAISE EXCEPTION 'apply_writes is not that of 0020: % is not in it once', v_before;
        END IF;
        v_source := replace(v_source, v_before, v_after);
    END LOOP;
    EXECUTE v_source;
END $$;

GRANT SELECT (run_id, cost_nano_usd, usage, outcome, settled_at) ON headwater.usage_calls TO @dispatch@;
GRANT SELECT (cost_nano_usd, created_at, parent_run) ON headwater.runs TO @dispatch@;

SET ROLE @dispatch@;
INSERT INTO headwater_sys.plans VALUES ('default', '{}', now(), now());

-- Gives a plan's budgets to one tenant of it, or to all of them (NULL), and takes those away that are not in it. A budget of the
-- same kind (whose, how, per what) stays the same budget, with what was spent of it, whatever plan it comes with.
CREATE FUNCTION headwater.plan_apply(p_plan text, p_tenant uuid, p_at timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    WITH due AS (
        SELECT t.tenant_id, overlay(md5(concat_ws(' ', t.tenant_id, b->'scope'->>'type', b->>'mode', b->>'window', b->>'strict')) PLACING '8' FROM 13)::uuid AS budget_id,
               b->'scope'->>'type' AS scope, b->>'mode' AS mode, (b->>'strict')::boolean AS "strict", b->>'window' AS per,
               (b->'limit'->>'nano_usd')::bigint AS limit_nano_usd, (b->>'warn_at_percent')::int AS warn_at_percent
        FROM headwater.tenants t JOIN headwater_sys.plans p ON p.name = t.plan
            CROSS JOIN LATERAL jsonb_array_elements(coalesce(p.terms->'budgets', '[]')) b
        WHERE t.plan = p_plan AND (p_tenant IS NULL OR t.tenant_id = p_tenant)
    ), gone AS (
        DELETE FROM headwater.budgets b USING headwater.tenants t
        WHERE b.of_plan AND t.tenant_id = b.tenant_id AND t.plan = p_plan AND (p_tenant IS NULL OR t.tenant_id = p_tenant)
          AND NOT EXISTS (SELECT 1 FROM due d WHERE d.tenant_id = b.tenant_id AND d.budget_id = b.budget_id)
    )
    INSERT INTO headwater.budgets AS b (tenant_id, budget_id, owner, scope, mode, "strict", per, limit_nano_usd, warn_at_percent, of_plan, created_at, updated_at)
        SELECT d.tenant_id, d.budget_id, 'operator', d.scope, d.mode, d."strict", d.per, d.limit_nano_usd, d.warn_at_percent, true, p_at, p_at
        FROM due d
        ON CONFLICT (tenant_id, budget_id) DO UPDATE SET limit_nano_usd = excluded.limit_nano_usd,
            warn_at_percent = excluded.warn_at_percent, revision = b.revision + 1, updated_at = excluded.updated_at
        WHERE (b.limit_nano_usd, b.warn_at_percent) <> (excluded.limit_nano_usd, excluded.warn_at_percent);
END $$;

-- Sets a plan, and gives its tenants what is in it now.
CREATE FUNCTION headwater.plan_put(p_name text, p_terms jsonb, p_at timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO headwater_sys.plans AS p (name, terms, created_at, updated_at) VALUES (p_name, p_terms, p_at, p_at)
        ON CONFLICT (name) DO UPDATE SET terms = excluded.terms, updated_at = excluded.updated_at;
    PERFORM headwater.plan_apply(p_name, NULL, p_at);
END $$;

CREATE FUNCTION headwater.plan_list(p_name text) RETURNS SETOF headwater_sys.plans
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT * FROM headwater_sys.plans p WHERE p_name IS NULL OR p.name = p_name ORDER BY p.name;
END $$;

CREATE FUNCTION headwater.tenant_prices_put(p_tenant uuid, p_prices jsonb, p_at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO headwater_sys.tenant_prices (tenant_id, prices, updated_at)
        SELECT t.tenant_id, p_prices, p_at FROM headwater.tenants t WHERE t.tenant_id = p_tenant
        ON CONFLICT (tenant_id) DO UPDATE SET prices = excluded.prices, updated_at = excluded.updated_at;
    RETURN FOUND;
END $$;

-- What holds for a tenant: its plan's terms and its own prices. NULL: no such tenant.
CREATE FUNCTION headwater.tenant_terms(p_tenant uuid) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT jsonb_build_object('plan', t.plan, 'terms', coalesce(p.terms, '{}'), 'prices', coalesce(x.prices, '{}'))
            FROM headwater.tenants t LEFT JOIN headwater_sys.plans p ON p.name = t.plan
                LEFT JOIN headwater_sys.tenant_prices x ON x.tenant_id = t.tenant_id
            WHERE t.tenant_id = p_tenant);
END $$;

CREATE OR REPLACE FUNCTION headwater.tenant_create(p_tenant uuid, p_settings jsonb, p_at timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Whoever changes the plan waits, or has changed it before: else neither would see what the other does.
    PERFORM 1 FROM headwater_sys.plans WHERE name = p_settings->>'plan' FOR SHARE;
    INSERT INTO headwater.tenants (tenant_id, name, status, plan, allowed_origins, retention_ms, metadata, created_at, updated_at)
    VALUES (p_tenant, p_settings->>'name', p_settings->>'status', p_settings->>'plan',
            ARRAY(SELECT jsonb_array_elements_text(p_settings->'allowed_origins')), (p_settings->>'retention_ms')::bigint,
            p_settings->'metadata', p_at, p_at);
    PERFORM headwater.plan_apply(p_settings->>'plan', p_tenant, p_at);
END $$;

CREATE OR REPLACE FUNCTION headwater.tenant_update(p_tenant uuid, p_settings jsonb, p_at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_before text;
BEGIN
    PERFORM 1 FROM headwater_sys.plans WHERE name = p_settings->>'plan' FOR SHARE;
    SELECT plan INTO v_before FROM headwater.tenants WHERE tenant_id = p_tenant FOR UPDATE;
    UPDATE headwater.tenants SET name = p_settings->>'name', status = p_settings->>'status', plan = p_settings->>'plan',
        allowed_origins = ARRAY(SELECT jsonb_array_elements_text(p_settings->'allowed_origins')),
        retention_ms = (p_settings->>'retention_ms')::bigint, metadata = p_settings->'metadata', updated_at = p_at
    WHERE tenant_id = p_tenant;
    IF v_before <> p_settings->>'plan' THEN
        PERFORM headwater.plan_apply(p_settings->>'plan', p_tenant, p_at);
    END IF;
    RETURN v_before IS NOT NULL;
END $$;

-- Runs whose deltas are due to go: after what the tenant wants, or its plan allows.
CREATE OR REPLACE FUNCTION headwater.retention_due(p_limit int) RETURNS TABLE (tenant_id uuid, run_id uuid)
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT t.tenant_id, d.run_id
        FROM headwater.tenants t LEFT JOIN headwater_sys.plans p ON p.name = t.plan CROSS JOIN LATERAL (
            SELECT r.run_id FROM headwater.runs r
            WHERE r.tenant_id = t.tenant_id AND NOT r.compacted AND r.finished_at IS NOT NULL
              AND r.finished_at < clock_timestamp()
                  - least(t.retention_ms, (p.terms->>'retention_ms')::bigint) * interval '1 millisecond'
            ORDER BY r.finished_at LIMIT p_limit) d
        LIMIT p_limit;
END $$;

-- As in 0020, but for which counters are forgotten: a plan's budget that is gone may come back under the same id (whose version is
-- 8), with what was spent of it; and none that a reservation stands in.
CREATE OR REPLACE FUNCTION headwater.sweep_budgets(p_limit int) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
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
        WHERE o.run_id IS NULL AND o.reserved_nano_usd = 0
          AND NOT EXISTS (SELECT 1 FROM headwater.budget_reservations x
                          WHERE x.tenant_id = o.tenant_id AND x.budgets @> ARRAY[o.budget_id])
          AND (o.period <> 'epoch' AND o.period < CURRENT_DATE - 70
               OR substr(o.budget_id::text, 15, 1) <> '8'
                  AND NOT EXISTS (SELECT 1 FROM headwater.budgets b WHERE b.tenant_id = o.tenant_id AND b.budget_id = o.budget_id))
        ORDER BY 1, 2, 3, 4 LIMIT p_limit FOR UPDATE SKIP LOCKED);
    RETURN v_count;
END $$;

-- A replica's place among those that live, from 0, and how many live.
CREATE FUNCTION headwater.replica_place(p_replica uuid, OUT place bigint, OUT replicas bigint)
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT count(*) FILTER (WHERE r.replica_id < p_replica), count(*) INTO place, replicas
        FROM headwater_sys.replicas r WHERE r.expires_at > clock_timestamp();
END $$;

-- Where records of the same money differ: of runs that were made since then and are over, what the run says that it cost from the
-- lines of the ledger (runs that called others have these in their sum, and are left out; so are lines of calls of which
-- nobody knew until the run was over); and of counters, what they have set aside from the reservations that stand in them.
CREATE FUNCTION headwater.money_differs(p_since timestamptz, p_limit int)
RETURNS TABLE (tenant_id uuid, what text, object uuid, recorded bigint, told bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_tenant uuid;
BEGIN
    -- One after the other, each under its own scope.
    FOR v_tenant IN SELECT t.tenant_id FROM headwater.tenants t ORDER BY 1 LOOP
        PERFORM set_config('headwater.tenant_id', v_tenant::text, true);
        RETURN QUERY
            SELECT v_tenant, d.* FROM (
                SELECT 'run', r.run_id, coalesce(sum(u.cost_nano_usd) FILTER (
                           WHERE NOT (u.outcome = 'reset' AND u.usage = '{0,0,0,0,0}' AND u.settled_at > r.finished_at)), 0)::bigint,
                       r.cost_nano_usd
                FROM headwater.runs r LEFT JOIN headwater.usage_calls u
                    ON u.tenant_id = v_tenant AND u.run_id = r.run_id AND u.settled_at >= p_since
                WHERE r.tenant_id = v_tenant AND r.created_at >= p_since AND r.finished_at IS NOT NULL
                  AND r.cost_nano_usd IS NOT NULL
                  AND NOT EXISTS (SELECT 1 FROM headwater.runs c WHERE c.parent_run = r.run_id AND c.tenant_id = v_tenant)
                GROUP BY r.run_id, r.cost_nano_usd, r.finished_at
                UNION ALL
                SELECT 'counter', k.budget_id, coalesce((
                        SELECT sum(s.amount_nano_usd) FROM headwater.budget_reservations s
                        WHERE s.tenant_id = v_tenant AND s.budgets @> ARRAY[k.budget_id]
                          AND EXISTS (SELECT 1 FROM unnest(s.budgets, s.holders, s.periods) AS x (budget_id, holder, period)
                                      WHERE x.budget_id = k.budget_id AND x.holder = k.holder AND x.period = k.period)), 0)::bigint,
                       k.reserved_nano_usd
                FROM headwater.budget_counters k WHERE k.tenant_id = v_tenant) d (what, object, recorded, told)
            WHERE d.recorded <> d.told LIMIT p_limit;
    END LOOP;
    PERFORM set_config('headwater.tenant_id', '', true);
END $$;

REVOKE ALL ON FUNCTION headwater.money_differs, headwater.plan_apply, headwater.plan_put, headwater.plan_list, headwater.tenant_prices_put,
    headwater.tenant_terms, headwater.replica_place FROM PUBLIC;
GRANT EXECUTE ON FUNCTION headwater.money_differs, headwater.plan_put, headwater.plan_list, headwater.tenant_prices_put, headwater.tenant_terms,
    headwater.replica_place TO @app@;
SET ROLE @owner@;
