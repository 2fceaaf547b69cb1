-- Webhooks: what a tenant's own server is told of. See docs/adr/0027-webhooks.md.

CREATE TABLE headwater.webhook_endpoints (
    tenant_id        uuid NOT NULL REFERENCES headwater.tenants ON DELETE CASCADE,
    endpoint_id      uuid NOT NULL,
    url              text NOT NULL,
    events           text[] NOT NULL,
    status           text NOT NULL CHECK (status IN ('enabled', 'disabled')),
    description      text,
    secret           bytea NOT NULL,
    -- The ones before, which sign along until then.
    old_secrets      bytea[] NOT NULL DEFAULT '{}',
    old_secrets_until timestamptz[] NOT NULL DEFAULT '{}',
    -- Since when nothing has arrived there, while something was sent; and until when it is left alone for that.
    failing_since    timestamptz,
    not_before       timestamptz,
    metadata         jsonb NOT NULL,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, endpoint_id)
);
SELECT headwater_sys.wall('headwater.webhook_endpoints');
GRANT SELECT, INSERT, DELETE, UPDATE (url, events, status, description, secret, old_secrets, old_secrets_until, failing_since,
    not_before, metadata, updated_at) ON headwater.webhook_endpoints TO @app@;
GRANT SELECT (tenant_id, endpoint_id, events, status, not_before) ON headwater.webhook_endpoints TO @dispatch@;
CREATE POLICY dispatch_finds ON headwater.webhook_endpoints FOR SELECT TO @dispatch@ USING (true);

-- One row for each endpoint that an event is for, written with what it tells of. It holds ids: what is sent is read when it is sent, so
-- that nothing of a run outlives the run. Without a foreign key to its endpoint: who removes one that much was sent to would hold up
-- the commits of others, which write here. `holder`: whose counter of a budget, where every user has one.
CREATE TABLE headwater.webhook_deliveries (
    tenant_id       uuid NOT NULL REFERENCES headwater.tenants ON DELETE CASCADE,
    delivery_id     uuid NOT NULL,
    endpoint_id     uuid NOT NULL,
    event_id        uuid NOT NULL,
    type            text NOT NULL,
    run_id          uuid,
    approval_id     uuid,
    budget_id       uuid,
    holder          uuid,
    status          text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'failed')),
    attempts        int NOT NULL DEFAULT 0,
    response_status int,
    error           text,
    next_attempt_at timestamptz CHECK ((next_attempt_at IS NULL) = (status <> 'pending')),
    happened_at     timestamptz NOT NULL,
    created_at      timestamptz NOT NULL,
    ended_at        timestamptz,
    PRIMARY KEY (tenant_id, delivery_id),
    FOREIGN KEY (tenant_id, run_id) REFERENCES headwater.runs ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, budget_id) REFERENCES headwater.budgets ON DELETE CASCADE
);
CREATE INDEX webhook_deliveries_of_endpoint ON headwater.webhook_deliveries (tenant_id, endpoint_id, delivery_id);
CREATE INDEX webhook_deliveries_of_run ON headwater.webhook_deliveries (tenant_id, run_id) WHERE run_id IS NOT NULL;
CREATE INDEX webhook_deliveries_of_budget ON headwater.webhook_deliveries (tenant_id, budget_id) WHERE budget_id IS NOT NULL;
CREATE INDEX webhook_deliveries_not_taken ON headwater.webhook_deliveries (tenant_id, endpoint_id, delivery_id) WHERE status <> 'delivered';
CREATE INDEX webhook_deliveries_by_lane ON headwater.webhook_deliveries (tenant_id, endpoint_id, next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX webhook_deliveries_ended ON headwater.webhook_deliveries (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX webhook_deliveries_tests ON headwater.webhook_deliveries (tenant_id, endpoint_id, next_attempt_at)
    WHERE type = 'webhook.test' AND next_attempt_at IS NOT NULL;
SELECT headwater_sys.wall('headwater.webhook_deliveries');
GRANT SELECT, INSERT, UPDATE (status, attempts, response_status, error, next_attempt_at, ended_at), DELETE ON headwater.webhook_deliveries TO @app@;
-- UPDATE for the lock with which what is old is stepped over that somebody holds.
GRANT SELECT (tenant_id, delivery_id, endpoint_id, next_attempt_at, ended_at), INSERT, DELETE, UPDATE (ended_at) ON headwater.webhook_deliveries
    TO @dispatch@;
CREATE POLICY dispatch_tells ON headwater.webhook_deliveries TO @dispatch@ USING (true) WITH CHECK (true);

-- For which limit a counter has told that it is used up, for which that a call was refused, and for which amount that it warns: once
-- for each.
ALTER TABLE headwater.budget_counters ADD COLUMN told_nano_usd bigint, ADD COLUMN refused_nano_usd bigint, ADD COLUMN warned_nano_usd bigint;
GRANT UPDATE (told_nano_usd, refused_nano_usd) ON headwater.budget_counters TO @dispatch@;

-- An id that is ordered by its time of creation, as RFC 9562 has it.
CREATE FUNCTION headwater.uuid_v7() RETURNS uuid LANGUAGE plpgsql SECURITY INVOKER VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
        PLACING substring(int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid;
END $$;
GRANT EXECUTE ON FUNCTION headwater.uuid_v7 TO @app@, @dispatch@;

SET ROLE @dispatch@;

-- Writes down what each endpoint of a tenant is to be told that wants to know of this.
CREATE FUNCTION headwater.webhook_tell(p_tenant uuid, p_type text, p_run uuid, p_approval uuid, p_budget uuid, p_holder uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_event uuid;
    v_now   timestamptz := clock_timestamp();
    e       record;
BEGIN
    FOR e IN SELECT w.endpoint_id FROM headwater.webhook_endpoints w
             WHERE w.tenant_id = p_tenant AND w.status = 'enabled' AND p_type = ANY (w.events) ORDER BY 1
    LOOP
        v_event := coalesce(v_event, headwater.uuid_v7());
        INSERT INTO headwater.webhook_deliveries (tenant_id, delivery_id, endpoint_id, event_id, type, run_id, approval_id, budget_id, holder,
            next_attempt_at, happened_at, created_at)
        VALUES (p_tenant, headwater.uuid_v7(), e.endpoint_id, v_event, p_type, p_run, p_approval, p_budget, p_holder, v_now, v_now, v_now);
    END LOOP;
END $$;

CREATE FUNCTION headwater.webhook_of_run() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM headwater.webhook_tell(NEW.tenant_id, 'run.' || NEW.status, NEW.run_id, NULL, NULL, NULL);
    RETURN NULL;
END $$;

CREATE FUNCTION headwater.webhook_of_approval() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM headwater.webhook_tell(NEW.tenant_id, CASE WHEN TG_OP = 'INSERT' THEN 'approval.requested' ELSE 'approval.resolved' END,
        NEW.run_id, NEW.approval_id, NULL, NULL);
    RETURN NULL;
END $$;

-- From where on a budget warns.
CREATE FUNCTION headwater.budget_warns_at(p_limit bigint, p_percent int) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN ceil(p_limit::numeric * p_percent / 100)::bigint;

-- A counter passes where its budget warns, or its end.
CREATE FUNCTION headwater.webhook_of_budget() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c_nobody constant uuid := '00000000-0000-0000-0000-000000000000';
    v_limit  bigint;
    v_warn   bigint;
BEGIN
    SELECT b.limit_nano_usd, headwater.budget_warns_at(b.limit_nano_usd, b.warn_at_percent) INTO v_limit, v_warn FROM headwater.budgets b
        WHERE b.tenant_id = NEW.tenant_id AND b.budget_id = NEW.budget_id;
    IF NOT FOUND THEN
        RETURN NEW;
    END IF;
    IF NEW.spent_nano_usd >= v_limit AND NEW.told_nano_usd IS DISTINCT FROM v_limit THEN
        NEW.told_nano_usd := v_limit;
        PERFORM headwater.webhook_tell(NEW.tenant_id, 'budget.exhausted', NULL, NULL, NEW.budget_id, nullif(NEW.holder, c_nobody));
    ELSIF NEW.spent_nano_usd < v_limit AND NEW.spent_nano_usd >= v_warn AND NEW.warned_nano_usd IS DISTINCT FROM v_warn THEN
        NEW.warned_nano_usd := v_warn;
        PERFORM headwater.webhook_tell(NEW.tenant_id, 'budget.warning', NULL, NULL, NEW.budget_id, nullif(NEW.holder, c_nobody));
    END IF;
    RETURN NEW;
END $$;

-- A hard budget of the scope's tenant has refused a call, because too little of it is left: for its tenant it is used up, although
-- something is. Told once for each counter and limit. Who is refused where the budget warns is told no second time when the last of it is
-- spent; who is refused long before, because one call wants much, is.
CREATE FUNCTION headwater.budget_refused(p_budget uuid, p_holder uuid, p_per text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c_nobody constant uuid := '00000000-0000-0000-0000-000000000000';
    v_tenant uuid := headwater.tenant_id();
    v_period date := headwater.budget_period(p_per);
    v_limit  bigint;
    v_warn   bigint;
BEGIN
    SELECT b.limit_nano_usd, headwater.budget_warns_at(b.limit_nano_usd, b.warn_at_percent) INTO v_limit, v_warn FROM headwater.budgets b
        WHERE b.tenant_id = v_tenant AND b.budget_id = p_budget;
    -- Whoever is refused again and again takes no lock.
    IF NOT FOUND OR EXISTS (SELECT 1 FROM headwater.budget_counters k WHERE k.tenant_id = v_tenant AND k.budget_id = p_budget
                              AND k.holder = p_holder AND k.period = v_period AND v_limit IN (k.told_nano_usd, k.refused_nano_usd)) THEN
        RETURN;
    END IF;
    -- What calls have cost that were settled before counts, and may itself be what there is to tell.
    PERFORM headwater.fold_calls(v_tenant);
    INSERT INTO headwater.budget_counters AS k (tenant_id, budget_id, holder, period, refused_nano_usd)
    VALUES (v_tenant, p_budget, p_holder, v_period, v_limit)
    ON CONFLICT (tenant_id, budget_id, holder, period) DO UPDATE SET refused_nano_usd = v_limit,
            told_nano_usd = CASE WHEN k.spent_nano_usd >= v_warn THEN v_limit ELSE k.told_nano_usd END
        WHERE k.told_nano_usd IS DISTINCT FROM v_limit AND k.refused_nano_usd IS DISTINCT FROM v_limit;
    IF FOUND THEN
        PERFORM headwater.webhook_tell(v_tenant, 'budget.exhausted', NULL, NULL, p_budget, nullif(p_holder, c_nobody));
    END IF;
END $$;

-- The endpoint behind a place in their order that something waits for, of a tenant that may act, and when the first of that is due: no
-- sooner than the endpoint is to be tried again. However much waits, it looks at one row of each.
CREATE FUNCTION headwater.webhook_lane(p_tenant uuid, p_endpoint uuid, OUT tenant_id uuid, OUT endpoint_id uuid, OUT due_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c_last constant uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
BEGIN
    LOOP
        SELECT d.tenant_id, d.endpoint_id, d.next_attempt_at INTO tenant_id, endpoint_id, due_at FROM headwater.webhook_deliveries d
        WHERE d.next_attempt_at IS NOT NULL AND (d.tenant_id, d.endpoint_id) > (p_tenant, p_endpoint)
        ORDER BY d.tenant_id, d.endpoint_id, d.next_attempt_at LIMIT 1;
        EXIT WHEN NOT FOUND OR EXISTS (SELECT 1 FROM headwater.tenants t WHERE t.tenant_id = webhook_lane.tenant_id AND t.status = 'active');
        p_tenant := tenant_id;
        p_endpoint := c_last;
    END LOOP;
    due_at := greatest(due_at, (SELECT w.not_before FROM headwater.webhook_endpoints w
                                WHERE w.tenant_id = webhook_lane.tenant_id AND w.endpoint_id = webhook_lane.endpoint_id AND w.status = 'enabled'));
END $$;

-- Endpoints that something is to be sent to now, so many at most: of the tenants behind this one in their order, and then of the others.
CREATE FUNCTION headwater.webhooks_due(p_limit int, p_behind uuid) RETURNS TABLE (tenant_id uuid, endpoint_id uuid)
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c_first constant uuid := '00000000-0000-0000-0000-000000000000';
    c_last  constant uuid := 'ffffffff-ffff-ffff-ffff-ffffffffffff';
    v_now   timestamptz := clock_timestamp();
    v_again boolean := p_behind IS NULL;
    v_found int := 0;
    place   record;
BEGIN
    SELECT coalesce(p_behind, c_first) AS tenant_id, CASE WHEN v_again THEN c_first ELSE c_last END AS endpoint_id INTO place;
    WHILE v_found < p_limit LOOP
        SELECT l.tenant_id, l.endpoint_id, l.due_at INTO place FROM headwater.webhook_lane(place.tenant_id, place.endpoint_id) l;
        IF place.tenant_id IS NULL AND NOT v_again THEN
            v_again := true;
            SELECT c_first AS tenant_id, c_first AS endpoint_id INTO place;
            CONTINUE;
        END IF;
        EXIT WHEN place.tenant_id IS NULL OR v_again AND place.tenant_id > p_behind;
        IF place.due_at <= v_now THEN
            tenant_id := place.tenant_id;
            endpoint_id := place.endpoint_id;
            v_found := v_found + 1;
            RETURN NEXT;
        END IF;
    END LOOP;
END $$;

-- When something is to be sent next.
CREATE FUNCTION headwater.webhooks_next() RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c_first constant uuid := '00000000-0000-0000-0000-000000000000';
    v_next  timestamptz;
    place   record;
BEGIN
    SELECT c_first AS tenant_id, c_first AS endpoint_id INTO place;
    LOOP
        SELECT l.tenant_id, l.endpoint_id, l.due_at INTO place FROM headwater.webhook_lane(place.tenant_id, place.endpoint_id) l;
        EXIT WHEN place.tenant_id IS NULL;
        v_next := least(v_next, place.due_at);
    END LOOP;
    RETURN v_next;
END $$;

-- Forgets what was sent, or given up, a month ago. Returns how many.
CREATE FUNCTION headwater.sweep_webhooks(p_limit int) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_count bigint;
    -- Asked once: a condition that changes within a statement is none of an index.
    v_until timestamptz := clock_timestamp() - interval '30 days';
BEGIN
    WITH old AS MATERIALIZED (
        SELECT o.tenant_id, o.delivery_id FROM headwater.webhook_deliveries o
        WHERE o.ended_at < v_until ORDER BY o.ended_at LIMIT p_limit FOR UPDATE SKIP LOCKED)
    DELETE FROM headwater.webhook_deliveries d USING old WHERE d.tenant_id = old.tenant_id AND d.delivery_id = old.delivery_id;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_count;
END $$;

-- See 0024_quiet.sql. New: what is to be sent to webhooks.
CREATE OR REPLACE FUNCTION headwater.work_ahead(OUT under_way boolean, OUT must_at timestamptz, OUT waker_seen_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
BEGIN
    SELECT w.seen_at INTO waker_seen_at FROM headwater_sys.waker w;
    under_way := EXISTS (
        SELECT 1 FROM headwater.runs r
        WHERE (r.status IN ('queued', 'running') OR r.status = 'suspended' AND r.woken)
          -- What waits behind another run of its thread is due when that is over.
          AND NOT EXISTS (SELECT 1 FROM headwater.runs b WHERE b.tenant_id = r.tenant_id AND b.thread_id = r.thread_id
                            AND b.status IN ('queued', 'running', 'suspended') AND b.ord < r.ord));
    IF NOT under_way THEN
        -- What was asked of a run that has ended meanwhile is nothing to do.
        under_way := EXISTS (SELECT 1 FROM headwater.run_cancels c JOIN headwater.runs r ON r.tenant_id = c.tenant_id AND r.run_id = c.run_id
                             WHERE c.requested_at <= v_now AND r.status IN ('queued', 'running', 'suspended'));
    END IF;
    IF NOT under_way THEN
        -- A run that carries out a call has ended, and nobody has told the one that waits for it.
        under_way := EXISTS (SELECT 1 FROM headwater.tool_calls c JOIN headwater.runs k ON k.tenant_id = c.tenant_id AND k.parent_call = c.call_id
                             WHERE c.kind = 'agent' AND c.status = 'pending' AND k.status IN ('completed', 'failed', 'cancelled'));
    END IF;
    -- A budget begins anew at midnight, or with the month, by UTC.
    SELECT min(CASE WHEN NOT headwater.budget_forbids(r.tenant_id, r.waits_budget) THEN v_now
                    WHEN r.waits_budget->>'per' = 'day' THEN (date_trunc('day', v_now AT TIME ZONE 'UTC') + interval '1 day') AT TIME ZONE 'UTC'
                    WHEN r.waits_budget->>'per' = 'month' THEN (date_trunc('month', v_now AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC'
               END) INTO must_at
    FROM headwater.runs r WHERE r.waits_budget IS NOT NULL AND r.status = 'suspended' AND NOT r.woken;
    must_at := least(must_at, headwater.delayed_next(), headwater.schedules_next(), headwater.webhooks_next());
END $$;

-- As in 0021, but for the lock: what is written of a tenant meanwhile, deliveries among it, refers to its row and need not wait.
CREATE OR REPLACE FUNCTION headwater.tenant_update(p_tenant uuid, p_settings jsonb, p_at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_before text;
BEGIN
    PERFORM 1 FROM headwater_sys.plans WHERE name = p_settings->>'plan' FOR SHARE;
    SELECT plan INTO v_before FROM headwater.tenants WHERE tenant_id = p_tenant FOR NO KEY UPDATE;
    UPDATE headwater.tenants SET name = p_settings->>'name', status = p_settings->>'status', plan = p_settings->>'plan',
        allowed_origins = ARRAY(SELECT jsonb_array_elements_text(p_settings->'allowed_origins')),
        retention_ms = (p_settings->>'retention_ms')::bigint, metadata = p_settings->'metadata', updated_at = p_at
    WHERE tenant_id = p_tenant;
    IF v_before <> p_settings->>'plan' THEN
        PERFORM headwater.plan_apply(p_settings->>'plan', p_tenant, p_at);
    END IF;
    RETURN v_before IS NOT NULL;
END $$;

REVOKE ALL ON FUNCTION headwater.webhook_tell, headwater.webhook_of_run, headwater.webhook_of_approval, headwater.webhook_of_budget,
    headwater.budget_refused, headwater.budget_warns_at, headwater.webhook_lane, headwater.webhooks_due, headwater.webhooks_next,
    headwater.sweep_webhooks FROM PUBLIC;
GRANT EXECUTE ON FUNCTION headwater.budget_refused, headwater.webhooks_due, headwater.webhooks_next, headwater.sweep_webhooks TO @app@;
GRANT EXECUTE ON FUNCTION headwater.webhook_of_run, headwater.webhook_of_approval, headwater.webhook_of_budget TO @owner@;
SET ROLE @owner@;

CREATE TRIGGER webhook_of_run AFTER UPDATE OF status ON headwater.runs FOR EACH ROW
    WHEN (NEW.status IN ('completed', 'failed', 'cancelled', 'suspended') AND NEW.status IS DISTINCT FROM OLD.status)
    EXECUTE FUNCTION headwater.webhook_of_run();
CREATE TRIGGER webhook_of_approval_asked AFTER INSERT ON headwater.approvals FOR EACH ROW
    WHEN (NEW.status = 'pending') EXECUTE FUNCTION headwater.webhook_of_approval();
CREATE TRIGGER webhook_of_approval_resolved AFTER UPDATE OF status ON headwater.approvals FOR EACH ROW
    WHEN (OLD.status = 'pending' AND NEW.status <> 'pending') EXECUTE FUNCTION headwater.webhook_of_approval();
CREATE TRIGGER webhook_of_budget BEFORE UPDATE OF spent_nano_usd ON headwater.budget_counters FOR EACH ROW
    WHEN (NEW.run_id IS NULL AND NEW.spent_nano_usd > OLD.spent_nano_usd) EXECUTE FUNCTION headwater.webhook_of_budget();

-- The oldest build that this schema still serves, by the schema version that it knows: a release that is being rolled out, and the one
-- before it, work on one database. A migration that ends that says so by writing this function again.
CREATE FUNCTION headwater.schema_serves() RETURNS bigint LANGUAGE sql IMMUTABLE RETURN 25;
REVOKE ALL ON FUNCTION headwater.schema_serves FROM PUBLIC;
GRANT EXECUTE ON FUNCTION headwater.schema_serves TO @app@;
