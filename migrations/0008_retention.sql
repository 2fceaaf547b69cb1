-- Retention: when a run has been over for as long as its tenant keeps logs, its deltas go and what they amount to stays,
-- under the old numbers.

-- Kept lines of logs whose deltas are gone: beside the log's partitions, which are dropped by day.
CREATE TABLE headwater.run_events_kept (
    tenant_id uuid NOT NULL,
    run_id    uuid NOT NULL,
    seq_from  bigint NOT NULL,
    seq_to    bigint NOT NULL CHECK (seq_to >= seq_from),
    events    text NOT NULL,
    PRIMARY KEY (tenant_id, run_id, seq_from)
);
SELECT headwater_sys.wall('headwater.run_events_kept');
GRANT SELECT ON headwater.run_events_kept TO @app@;

ALTER TABLE headwater.runs ADD COLUMN compacted boolean NOT NULL DEFAULT false;
GRANT SELECT (compacted) ON headwater.runs TO @app@;
-- What may be due, by tenant: each has a time of its own.
CREATE INDEX runs_uncompacted ON headwater.runs (tenant_id, finished_at) WHERE NOT compacted AND finished_at IS NOT NULL;

GRANT SELECT (finished_at, log_earliest, compacted), UPDATE (log_earliest, compacted) ON headwater.runs TO @append@;
GRANT SELECT, INSERT ON headwater.run_events_kept TO @append@;
CREATE POLICY append_keeps ON headwater.run_events_kept FOR INSERT TO @append@ WITH CHECK (tenant_id = (SELECT headwater.tenant_id()));
CREATE POLICY append_compares ON headwater.run_events_kept FOR SELECT TO @append@ USING (tenant_id = (SELECT headwater.tenant_id()));
GRANT SELECT (finished_at, compacted) ON headwater.runs TO @dispatch@;
GRANT SELECT (tenant_id, run_id), DELETE ON headwater.run_events_kept TO @dispatch@;
CREATE POLICY dispatch_finds ON headwater.run_events_kept FOR SELECT TO @dispatch@ USING (tenant_id = (SELECT headwater.tenant_id()));
CREATE POLICY dispatch_erases ON headwater.run_events_kept FOR DELETE TO @dispatch@ USING (tenant_id = (SELECT headwater.tenant_id()));

-- A tenant's own deletes and a run's cascade alike: whatever erases a run's log erases what was kept of it.
SET ROLE @dispatch@;
CREATE FUNCTION headwater.erase_kept() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM headwater.run_events_kept WHERE tenant_id = OLD.tenant_id AND run_id = OLD.run_id;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION headwater.erase_kept FROM PUBLIC;
GRANT EXECUTE ON FUNCTION headwater.erase_kept TO @owner@;

-- Runs whose deltas are due to go. Ids only; what is in them is worked on under each tenant's own scope.
CREATE FUNCTION headwater.retention_due(p_limit int) RETURNS TABLE (tenant_id uuid, run_id uuid)
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT t.tenant_id, d.run_id
        FROM headwater.tenants t CROSS JOIN LATERAL (
            SELECT r.run_id FROM headwater.runs r
            WHERE r.tenant_id = t.tenant_id AND NOT r.compacted AND r.finished_at IS NOT NULL
              AND r.finished_at < clock_timestamp() - t.retention_ms * interval '1 millisecond'
            ORDER BY r.finished_at LIMIT p_limit) d
        LIMIT p_limit;
END $$;
REVOKE ALL ON FUNCTION headwater.retention_due FROM PUBLIC;
GRANT EXECUTE ON FUNCTION headwater.retention_due TO @app@;
SET ROLE @owner@;

CREATE TRIGGER erase_kept AFTER DELETE ON headwater.runs FOR EACH ROW WHEN (OLD.compacted) EXECUTE FUNCTION headwater.erase_kept();

SET ROLE @append@;

-- Drops the deltas of a finished run of the scope that is set, and moves what is kept out of the log's partitions.
-- Nothing that is kept changes its number or a byte. `log_earliest` becomes the first event from which nothing is missing.
CREATE FUNCTION headwater.compact_run(p_run uuid) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_tenant   uuid := headwater.tenant_id();
    v_header   text;
    v_earliest bigint;
BEGIN
    -- Locked, so that whoever erases or packs the run waits, and then finds what was written here.
    PERFORM 1 FROM headwater.runs WHERE tenant_id = v_tenant AND run_id = p_run AND NOT compacted
        AND status IN ('completed', 'failed', 'cancelled') FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    v_header := v_tenant::text || ' ' || p_run::text || E'\n';
    WITH old AS (
        DELETE FROM headwater.run_events WHERE tenant_id = v_tenant AND run_id = p_run RETURNING events
    ), lines AS (
        SELECT l.line, substring(l.line FROM '^\{"v":1,"seq":(\d+),')::bigint AS seq,
               substring(l.line FROM '^\{"v":1,"seq":\d+,"ts":"[^"]*","run":"[^"]*","type":"([^"]*)"') AS type
        FROM old, string_to_table(substr(old.events, length(v_header) + 1), E'\n') AS l (line)
        WHERE l.line <> ''
    ), marked AS (
        SELECT line, seq, coalesce(type, '') IN ('message.delta', 'reasoning.delta', 'tool.args.delta', 'tool.progress', 'throttled') AS goes
        FROM lines
    ), sized AS (
        -- At most 256 KiB together, so that a page of the log stays a page.
        SELECT m.*, sum(octet_length(line) + 1) OVER (ORDER BY seq) / 262144 AS part FROM marked m WHERE NOT goes
    ), kept AS (
        INSERT INTO headwater.run_events_kept (tenant_id, run_id, seq_from, seq_to, events)
        SELECT v_tenant, p_run, min(seq), max(seq), v_header || string_agg(line || E'\n', '' ORDER BY seq)
        FROM sized GROUP BY part RETURNING 1
    )
    SELECT coalesce(max(seq) FILTER (WHERE goes), 0) + 1 INTO v_earliest FROM marked;
    UPDATE headwater.runs SET compacted = true, log_earliest = coalesce(v_earliest, 1)
    WHERE tenant_id = v_tenant AND run_id = p_run;
END $$;

-- Whether the log still has rows of runs of that day.
CREATE FUNCTION headwater.partition_in_use(p_day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_low  text := lpad(to_hex((extract(epoch FROM p_day::timestamp AT TIME ZONE 'UTC') * 1000)::bigint), 12, '0');
    v_high text := lpad(to_hex((extract(epoch FROM (p_day + 1)::timestamp AT TIME ZONE 'UTC') * 1000)::bigint), 12, '0');
BEGIN
    RETURN EXISTS (SELECT 1 FROM headwater.run_events
                   WHERE run_id >= rpad(v_low, 32, '0')::uuid AND run_id < rpad(v_high, 32, '0')::uuid);
END $$;
REVOKE ALL ON FUNCTION headwater.compact_run, headwater.partition_in_use FROM PUBLIC;
GRANT EXECUTE ON FUNCTION headwater.compact_run TO @app@;
GRANT EXECUTE ON FUNCTION headwater.partition_in_use TO @owner@;
SET ROLE @owner@;

-- Compacts runs of several tenants: one transaction for all, each under its own scope.
CREATE FUNCTION headwater.compact_batch(p_tenants uuid[], p_runs uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    i int;
BEGIN
    FOR i IN 1 .. coalesce(array_length(p_runs, 1), 0) LOOP
        PERFORM set_config('headwater.tenant_id', p_tenants[i]::text, true);
        PERFORM headwater.compact_run(p_runs[i]);
    END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION headwater.compact_batch TO @app@;

-- Drops the log's partitions of days before yesterday in which nothing is left: every run of that day is over, past its
-- retention and compacted, or erased. Returns how many. Of @owner@, whose tables they are; whether they are empty is
-- asked of @append@, since row security shows the owner nothing.
CREATE FUNCTION headwater.drop_partitions() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_name    text;
    v_dropped int := 0;
BEGIN
    -- Whoever writes waits for this lock: it is had at once, or another time.
    SET LOCAL lock_timeout = '100ms';
    FOR v_name IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'headwater.run_events'::regclass AND c.relname ~ '^run_events_\d{8}$'
          AND to_date(right(c.relname, 8), 'YYYYMMDD') < (now() AT TIME ZONE 'UTC')::date - 1
        ORDER BY 1 LIMIT 30
    LOOP
        CONTINUE WHEN headwater.partition_in_use(to_date(right(v_name, 8), 'YYYYMMDD'));
        BEGIN
            EXECUTE format('DROP TABLE headwater.%I', v_name);
            v_dropped := v_dropped + 1;
        EXCEPTION WHEN lock_not_available THEN
            EXIT;
        END;
    END LOOP;
    RETURN v_dropped;
END $$;
GRANT EXECUTE ON FUNCTION headwater.drop_partitions TO @app@;
