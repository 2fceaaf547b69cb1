-- Schedules: runs that begin by themselves, again and again. See docs/adr/0026-schedules.md.

CREATE TABLE headwater.schedules (
    tenant_id   uuid NOT NULL,
    schedule_id uuid NOT NULL,
    user_id     uuid NOT NULL,
    agent_id    uuid NOT NULL,
    -- The thread that its runs go into; NULL: a new one each time. It is not the thread's, as a run is.
    into_thread uuid,
    name        text NOT NULL,
    input       jsonb NOT NULL,
    cron        text NOT NULL,
    timezone    text NOT NULL,
    on_missed   text NOT NULL CHECK (on_missed IN ('run_once', 'skip', 'run_all')),
    enabled     boolean NOT NULL,
    -- NULL where it is not enabled, or never comes again. Whoever makes the run of this time moves it on.
    next_run_at timestamptz,
    last_run    uuid,
    last_error  jsonb,
    metadata    jsonb NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, schedule_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES headwater.users ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, into_thread) REFERENCES headwater.threads ON DELETE CASCADE
);
CREATE INDEX schedules_of_user ON headwater.schedules (tenant_id, user_id, schedule_id);
CREATE INDEX schedules_of_thread ON headwater.schedules (tenant_id, into_thread) WHERE into_thread IS NOT NULL;
CREATE INDEX schedules_due ON headwater.schedules (next_run_at, schedule_id) WHERE next_run_at IS NOT NULL;
SELECT headwater_sys.wall('headwater.schedules', 'user_id');
GRANT SELECT, INSERT, DELETE, UPDATE (agent_id, into_thread, name, input, cron, timezone, on_missed, enabled, next_run_at, last_run,
    last_error, metadata, updated_at) ON headwater.schedules TO @app@;
GRANT SELECT (tenant_id, schedule_id, user_id, next_run_at) ON headwater.schedules TO @dispatch@;
CREATE POLICY dispatch_finds ON headwater.schedules FOR SELECT TO @dispatch@ USING (true);

SET ROLE @dispatch@;

-- Schedules whose time has come, behind a place in the order in which they are due: whoever cannot have a run now holds up nobody. A
-- tenant that the operator has suspended has none.
CREATE FUNCTION headwater.schedules_due(p_limit int, p_after timestamptz, p_behind uuid)
RETURNS TABLE (tenant_id uuid, user_id uuid, schedule_id uuid, due_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT s.tenant_id, s.user_id, s.schedule_id, s.next_run_at
        FROM headwater.schedules s JOIN headwater.tenants t ON t.tenant_id = s.tenant_id AND t.status = 'active'
        WHERE s.next_run_at <= clock_timestamp() AND (p_after IS NULL OR (s.next_run_at, s.schedule_id) > (p_after, p_behind))
        ORDER BY s.next_run_at, s.schedule_id LIMIT p_limit;
END $$;

-- When the next time comes.
CREATE FUNCTION headwater.schedules_next() RETURNS timestamptz
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT s.next_run_at
            FROM headwater.schedules s JOIN headwater.tenants t ON t.tenant_id = s.tenant_id AND t.status = 'active'
            WHERE s.next_run_at IS NOT NULL ORDER BY s.next_run_at LIMIT 1);
END $$;

REVOKE ALL ON FUNCTION headwater.schedules_due, headwater.schedules_next FROM PUBLIC;
GRANT EXECUTE ON FUNCTION headwater.schedules_due, headwater.schedules_next TO @app@;
SET ROLE @owner@;
