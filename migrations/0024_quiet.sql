-- When a process that is quiet has to be woken, and what keeps one from being quiet. See docs/adr/0024-quiet.md.

-- When somebody last asked who wakes the service from outside.
CREATE TABLE headwater_sys.waker (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    seen_at  timestamptz NOT NULL
);
SELECT headwater_sys.seal('headwater_sys.waker');
GRANT SELECT, INSERT, UPDATE (seen_at) ON headwater_sys.waker TO @dispatch@;
CREATE POLICY dispatch_all ON headwater_sys.waker FOR ALL TO @dispatch@ USING (true) WITH CHECK (true);
GRANT USAGE ON SCHEMA headwater TO @wake@;

SET ROLE @dispatch@;

-- What there is to do for the service as a whole: whether something is under way, or due, at any process; when something is due
-- that nobody will ask for; and when a waker was last seen.
CREATE FUNCTION headwater.work_ahead(OUT under_way boolean, OUT must_at timestamptz, OUT waker_seen_at timestamptz)
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
    must_at := least(must_at, headwater.delayed_next(), headwater.schedules_next());
END $$;

-- When the service has to be woken next, for whoever does that from outside; notes that there is somebody. All that its role may do.
CREATE FUNCTION headwater.next_wake_at() RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_now   timestamptz := clock_timestamp();
    v_ahead record;
BEGIN
    INSERT INTO headwater_sys.waker (seen_at) VALUES (v_now) ON CONFLICT (only_one) DO UPDATE SET seen_at = excluded.seen_at;
    SELECT * INTO v_ahead FROM headwater.work_ahead();
    -- Of a process that has died in the middle of something nobody else may know.
    IF v_ahead.under_way THEN
        RETURN v_now;
    END IF;
    RETURN least(
        v_ahead.must_at,
        -- And what can be done late, and is looked after whenever the service is awake.
        (SELECT min(c.requested_at) FROM headwater.run_cancels c JOIN headwater.runs r ON r.tenant_id = c.tenant_id AND r.run_id = c.run_id
         WHERE c.requested_at > v_now AND r.status IN ('queued', 'running', 'suspended')),
        (SELECT min(c.expires_at) FROM headwater.tool_calls c JOIN headwater.runs r ON r.tenant_id = c.tenant_id AND r.run_id = c.run_id
         WHERE c.status IN ('asked', 'pending') AND r.status = 'suspended' AND NOT r.woken),
        -- Once a day is enough for what is kept no longer.
        (SELECT min(d.finished_at + least(t.retention_ms, (p.terms->>'retention_ms')::bigint) * interval '1 millisecond') + interval '1 day'
         FROM headwater.tenants t LEFT JOIN headwater_sys.plans p ON p.name = t.plan CROSS JOIN LATERAL (
             SELECT r.finished_at FROM headwater.runs r
             WHERE r.tenant_id = t.tenant_id AND NOT r.compacted AND r.finished_at IS NOT NULL ORDER BY r.finished_at LIMIT 1) d));
END $$;

-- Somebody reads a run of the scope that is set no more, and that is no reason for it to end.
CREATE FUNCTION headwater.reader_forget(p_run uuid, p_reader uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM headwater.run_readers WHERE tenant_id = headwater.tenant_id() AND run_id = p_run AND reader_id = p_reader;
END $$;

REVOKE ALL ON FUNCTION headwater.work_ahead, headwater.next_wake_at, headwater.reader_forget FROM PUBLIC;
GRANT EXECUTE ON FUNCTION headwater.work_ahead, headwater.reader_forget TO @app@;
GRANT EXECUTE ON FUNCTION headwater.next_wake_at TO @wake@;
SET ROLE @owner@;
