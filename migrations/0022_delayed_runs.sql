-- Runs that begin later (`run_at`). See docs/adr/0025-delayed-runs.md.

-- `delayed`: to everybody outside it is `queued`. It has no owner, and no place in its thread yet: it gets both when it is due, so
-- nothing waits behind it, and what its model sees is the thread as it is then.
ALTER TABLE headwater.runs DROP CONSTRAINT runs_status_check;
ALTER TABLE headwater.runs ADD CONSTRAINT runs_status_check
    CHECK (status IN ('delayed', 'queued', 'running', 'suspended', 'completed', 'failed', 'cancelled'));
ALTER TABLE headwater.runs ADD COLUMN run_at timestamptz;
ALTER TABLE headwater.runs ADD CONSTRAINT runs_delayed_until CHECK (status <> 'delayed' OR run_at IS NOT NULL);
-- The schedule that made it (0023).
ALTER TABLE headwater.runs ADD COLUMN schedule_id uuid;
GRANT SELECT (run_at, schedule_id), UPDATE (ord, after_run) ON headwater.runs TO @app@;
GRANT SELECT (run_at) ON headwater.runs TO @dispatch@;
GRANT UPDATE (ord) ON headwater.messages TO @app@;
CREATE INDEX runs_of_schedule ON headwater.runs (schedule_id, run_id) WHERE schedule_id IS NOT NULL;
CREATE INDEX runs_delayed ON headwater.runs (run_at) WHERE status = 'delayed';

-- As in 0016, but for runs that begin later: they are asked nothing about their thread but whether it is there, and come behind all
-- that may ever be said in it. Nothing gives way to them or waits for them.
DO $$
DECLARE
    v_sql text := pg_get_functiondef('headwater.create_run'::regproc);
    v_old text;
    e     text[];
BEGIN
    FOREACH e SLICE 1 IN ARRAY ARRAY[
        ['NOT IN (''completed'', ''failed'', ''cancelled'')', 'NOT IN (''completed'', ''failed'', ''cancelled'', ''delayed'')'],
        ['v_ord := 1;', 'v_ord := CASE WHEN p ? ''run_at'' THEN 4611686018427387904 ELSE 1 END;'],
        ['p->''thread_metadata'', 1, ', 'p->''thread_metadata'', CASE WHEN p ? ''run_at'' THEN 0 ELSE 1 END, '],
        ['            IF v_live > 0 AND p->>''on_conflict'' = ''reject'' THEN',
         '            IF p ? ''run_at'' THEN
                v_live := 0; v_after := NULL; v_active := NULL; v_status := NULL;
            END IF;
            IF v_live > 0 AND p->>''on_conflict'' = ''reject'' THEN'],
        ['            UPDATE headwater.threads SET last_ord = last_ord + 1, updated_at = v_at
            WHERE tenant_id = v_tenant AND thread_id = v_thread RETURNING last_ord INTO v_ord;',
         '            IF p ? ''run_at'' THEN
                v_ord := 4611686018427387904;
            ELSE
                UPDATE headwater.threads SET last_ord = last_ord + 1, updated_at = v_at
                WHERE tenant_id = v_tenant AND thread_id = v_thread RETURNING last_ord INTO v_ord;
            END IF;'],
        ['depth, created_at, started_at)', 'depth, created_at, run_at, schedule_id, started_at)'],
        ['            CASE WHEN v_starts THEN ''running'' ELSE ''queued'' END,
            p_replica,', '            CASE WHEN v_starts THEN ''running'' WHEN p ? ''run_at'' THEN ''delayed'' ELSE ''queued'' END,
            p_replica,'],
        ['v_at, CASE WHEN v_starts THEN v_at END);', 'v_at, (p->>''run_at'')::timestamptz, (p->>''schedule_id'')::uuid, CASE WHEN v_starts THEN v_at END);']
    ] LOOP
        v_old := v_sql;
        v_sql := replace(v_sql, e[1], e[2]);
        IF v_sql = v_old THEN
            RAISE EXCEPTION 'create_run is not what this migration knows: %', e[1];
        END IF;
    END LOOP;
    EXECUTE v_sql;
    v_sql := pg_get_functiondef('headwater.create_runs'::regproc);
    v_old := v_sql;
    v_sql := replace(v_sql, 'AND v_answers[i]->>''after_run'' IS NOT NULL THEN',
                     'AND (v_answers[i]->>''after_run'' IS NOT NULL OR p_params[i] ? ''run_at'') THEN');
    IF v_sql = v_old THEN
        RAISE EXCEPTION 'create_runs is not what this migration knows';
    END IF;
    EXECUTE v_sql;
END $$;

-- Gives these runs their places in their threads, each under its own tenant's scope: what they are from then on is any queued run
-- that nobody owns. Returns how many there were.
CREATE FUNCTION headwater.release_delayed(p_tenants uuid[], p_runs uuid[]) RETURNS bigint
LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_count  bigint := 0;
    v_thread uuid;
    v_ord    bigint;
    v_after  uuid;
    i        int;
BEGIN
    FOR i IN 1 .. coalesce(array_length(p_runs, 1), 0) LOOP
        PERFORM set_config('headwater.tenant_id', p_tenants[i]::text, true), set_config('headwater.user_id', '', true);
        -- Locked in the order of commits: the run, then its thread.
        SELECT thread_id INTO v_thread FROM headwater.runs
        WHERE tenant_id = p_tenants[i] AND run_id = p_runs[i] AND status = 'delayed' FOR NO KEY UPDATE;
        CONTINUE WHEN NOT FOUND;
        UPDATE headwater.threads SET last_ord = last_ord + 1, updated_at = clock_timestamp()
        WHERE tenant_id = p_tenants[i] AND thread_id = v_thread RETURNING last_ord INTO v_ord;
        SELECT r.run_id INTO v_after FROM headwater.runs r
        WHERE r.tenant_id = p_tenants[i] AND r.thread_id = v_thread AND r.status IN ('queued', 'running', 'suspended')
        ORDER BY r.ord DESC LIMIT 1;
        UPDATE headwater.runs SET status = 'queued', ord = v_ord, after_run = v_after
        WHERE tenant_id = p_tenants[i] AND run_id = p_runs[i];
        UPDATE headwater.messages SET ord = v_ord WHERE tenant_id = p_tenants[i] AND run_id = p_runs[i] AND role = 'user';
        v_count := v_count + 1;
    END LOOP;
    RETURN v_count;
END $$;
GRANT EXECUTE ON FUNCTION headwater.release_delayed TO @app@;

SET ROLE @dispatch@;

-- Runs that are due, and when the next one is.
CREATE FUNCTION headwater.delayed_due(p_limit int) RETURNS TABLE (tenant_id uuid, run_id uuid)
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT r.tenant_id, r.run_id FROM headwater.runs r
        WHERE r.status = 'delayed' AND r.run_at <= clock_timestamp() ORDER BY r.run_at LIMIT p_limit;
END $$;
CREATE FUNCTION headwater.delayed_next() RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT min(r.run_at) FROM headwater.runs r WHERE r.status = 'delayed');
END $$;

REVOKE ALL ON FUNCTION headwater.delayed_due, headwater.delayed_next FROM PUBLIC;
GRANT EXECUTE ON FUNCTION headwater.delayed_due, headwater.delayed_next TO @app@;
SET ROLE @owner@;
