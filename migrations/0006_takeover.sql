-- A run outlives its owner: claims that go on with a run, hand-over, and what is asked of runs that somebody else owns.

-- Owners that died with the run in their hands. A hand-over is none.
ALTER TABLE headwater.runs ADD COLUMN deaths int NOT NULL DEFAULT 0;
GRANT SELECT (deaths) ON headwater.runs TO @app@;

-- How long a run whose last reader has gone waits for one to come back, where it is to end then.
ALTER TABLE headwater.runs ADD COLUMN disconnect_grace_ms bigint NOT NULL DEFAULT 30000;
GRANT SELECT (disconnect_grace_ms) ON headwater.runs TO @app@;

-- A message that was taken back: by a step that is done again, or with its run. It is in no thread any more.
ALTER TABLE headwater.messages ADD COLUMN withdrawn text CHECK (withdrawn IN ('reset', 'rollback'));
GRANT UPDATE (withdrawn) ON headwater.messages TO @app@;

-- Runs whose end was asked for, by whom, and whether their messages leave the thread with them. A row of its own, so that
-- asking locks no run: whoever holds a thread may ask, and whoever ends a run looks here under the thread's lock.
CREATE TABLE headwater.run_cancels (
    tenant_id    uuid NOT NULL,
    run_id       uuid NOT NULL,
    user_id      uuid NOT NULL,
    actor        jsonb NOT NULL,
    withdraw     boolean NOT NULL DEFAULT false,
    -- In the future: it ends then, if nobody comes back before.
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, run_id)
);
SELECT headwater_sys.wall('headwater.run_cancels', 'user_id');
GRANT SELECT, INSERT, UPDATE (withdraw, actor, requested_at), DELETE ON headwater.run_cancels TO @app@;

-- What was said to a run while it was under way, and waits for its next step. Whole, as of a run of its own: what no step
-- takes becomes the thread's next run.
CREATE TABLE headwater.run_inputs (
    tenant_id  uuid NOT NULL,
    input_id   uuid NOT NULL,
    run_id     uuid NOT NULL,
    thread_id  uuid NOT NULL,
    user_id    uuid NOT NULL,
    params     jsonb NOT NULL,
    -- The first segment of the log it would have.
    segment    text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, input_id)
);
CREATE INDEX run_inputs_of_run ON headwater.run_inputs (tenant_id, run_id);
SELECT headwater_sys.wall('headwater.run_inputs', 'user_id');
GRANT SELECT, INSERT, DELETE ON headwater.run_inputs TO @app@;
GRANT UPDATE (input_messages) ON headwater.runs TO @app@;
GRANT SELECT (tenant_id, run_id), DELETE ON headwater.run_inputs TO @dispatch@;
CREATE POLICY dispatch_finds ON headwater.run_inputs FOR SELECT TO @dispatch@ USING (tenant_id = (SELECT headwater.tenant_id()));
CREATE POLICY dispatch_erases ON headwater.run_inputs FOR DELETE TO @dispatch@ USING (tenant_id = (SELECT headwater.tenant_id()));

-- Who reads a run that is to end when its last reader has gone, and where.
CREATE TABLE headwater.run_readers (
    tenant_id  uuid NOT NULL,
    run_id     uuid NOT NULL,
    reader_id  uuid NOT NULL,
    replica_id uuid NOT NULL,
    user_id    uuid NOT NULL,
    PRIMARY KEY (tenant_id, run_id, reader_id)
);
SELECT headwater_sys.wall('headwater.run_readers', 'user_id');
GRANT SELECT (tenant_id, run_id, reader_id, replica_id), INSERT, DELETE ON headwater.run_readers TO @dispatch@;
CREATE POLICY dispatch_finds ON headwater.run_readers FOR SELECT TO @dispatch@ USING (tenant_id = (SELECT headwater.tenant_id()));
CREATE POLICY dispatch_asks ON headwater.run_readers FOR INSERT TO @dispatch@ WITH CHECK (tenant_id = (SELECT headwater.tenant_id()));
CREATE POLICY dispatch_erases ON headwater.run_readers FOR DELETE TO @dispatch@ USING (tenant_id = (SELECT headwater.tenant_id()));
CREATE POLICY dispatch_forgets ON headwater.run_readers FOR DELETE TO @dispatch@
    USING (NOT EXISTS (SELECT 1 FROM headwater_sys.replicas p WHERE p.replica_id = run_readers.replica_id));
CREATE POLICY dispatch_sees_old ON headwater.run_readers FOR SELECT TO @dispatch@
    USING (NOT EXISTS (SELECT 1 FROM headwater_sys.replicas p WHERE p.replica_id = run_readers.replica_id));

GRANT SELECT (attempt, deaths, tail), UPDATE (attempt, deaths) ON headwater.runs TO @dispatch@;
GRANT SELECT, INSERT, DELETE ON headwater.run_cancels TO @dispatch@;
CREATE POLICY dispatch_finds ON headwater.run_cancels FOR SELECT TO @dispatch@ USING (true);
CREATE POLICY dispatch_asks ON headwater.run_cancels FOR INSERT TO @dispatch@ WITH CHECK (tenant_id = (SELECT headwater.tenant_id()));
CREATE POLICY dispatch_erases ON headwater.run_cancels FOR DELETE TO @dispatch@ USING (tenant_id = (SELECT headwater.tenant_id()));

SET ROLE @dispatch@;

-- Takes runs that nobody owns any more, and runs whose end was asked for a lease ago and has not come: fair between
-- tenants, oldest first within one. Ids and tokens only; what is in them is read under each tenant's own scope. Removing
-- a replica's row fences it: the row lock waits for its flush in flight, and without the row its next append is stale.
-- No lease is taken for lapsed within a lease of Postgres' own start, or while the caller says that it has just come
-- back itself (p_patient): else an outage would hand every run to whoever comes back first. Runs that were handed over
-- have no owner, and are there for everybody at once.
DROP FUNCTION headwater.claim_runs(uuid, bigint, int);
CREATE FUNCTION headwater.claim_runs(p_replica uuid, p_lease_ms bigint, p_limit int, p_patient boolean DEFAULT false)
RETURNS TABLE (tenant_id uuid, run_id uuid, user_id uuid, token uuid, status text, attempt int, deaths int, died boolean, actor jsonb)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_lease   interval := p_lease_ms * interval '1 millisecond';
    v_lapsed  boolean := NOT p_patient AND pg_postmaster_start_time() + v_lease <= clock_timestamp();
BEGIN
    -- Who has no row may own nothing.
    PERFORM 1 FROM headwater_sys.replicas p WHERE p.replica_id = p_replica FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF v_lapsed THEN
        DELETE FROM headwater_sys.replicas p WHERE p.replica_id IN (
            SELECT d.replica_id FROM headwater_sys.replicas d
            WHERE d.expires_at < clock_timestamp() AND d.replica_id <> p_replica FOR UPDATE SKIP LOCKED);
    END IF;
    RETURN QUERY
    WITH orphans AS (
        SELECT r.tenant_id, r.run_id, r.owner, row_number() OVER (PARTITION BY r.tenant_id ORDER BY r.run_id) AS turn
        FROM headwater.runs r
        LEFT JOIN headwater.run_cancels c ON c.tenant_id = r.tenant_id AND c.run_id = r.run_id
        WHERE r.status IN ('queued', 'running', 'suspended')
          AND (c.requested_at < clock_timestamp() - v_lease
               OR (r.status <> 'suspended'
                   AND CASE WHEN r.owner IS NULL THEN true
                            ELSE v_lapsed AND NOT EXISTS (SELECT 1 FROM headwater_sys.replicas p WHERE p.replica_id = r.owner) END
                   -- A run that waits behind a living one belongs to whoever ends that.
                   AND NOT EXISTS (SELECT 1 FROM headwater.runs b WHERE b.tenant_id = r.tenant_id AND b.thread_id = r.thread_id
                                     AND b.status IN ('queued', 'running', 'suspended') AND b.ord < r.ord)))
    ), picked AS (
        SELECT r.tenant_id, r.run_id, r.owner IS NOT NULL AND r.status = 'running' AS died
        FROM headwater.runs r JOIN orphans o USING (tenant_id, run_id)
        -- Looked at again under the lock: somebody may have been faster.
        WHERE r.status IN ('queued', 'running', 'suspended') AND r.owner IS NOT DISTINCT FROM o.owner
        ORDER BY o.turn, r.run_id LIMIT p_limit FOR UPDATE OF r SKIP LOCKED
    ), taken AS (
        UPDATE headwater.runs r SET owner = p_replica, lease_token = gen_random_uuid(),
            attempt = r.attempt + (r.status = 'running')::int,
            -- An owner that lives and was passed over did not die.
            deaths = r.deaths + (p.died AND NOT EXISTS (SELECT 1 FROM headwater_sys.replicas l WHERE l.replica_id = r.owner))::int
        FROM picked p WHERE r.tenant_id = p.tenant_id AND r.run_id = p.run_id
        RETURNING r.tenant_id, r.run_id, r.user_id, r.lease_token, r.status, r.attempt, r.deaths, p.died
    )
    SELECT t.tenant_id, t.run_id, t.user_id, t.lease_token, t.status, t.attempt, t.deaths, t.died, c.actor
    FROM taken t LEFT JOIN headwater.run_cancels c
        ON c.tenant_id = t.tenant_id AND c.run_id = t.run_id AND c.requested_at <= clock_timestamp();
END $$;

-- Takes leave: the row goes, which fences what is still on its way, and all its runs are there for others at once.
-- Returns how many.
DROP FUNCTION headwater.replica_retire(uuid);
CREATE FUNCTION headwater.replica_retire(p_replica uuid) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_count bigint;
BEGIN
    DELETE FROM headwater_sys.replicas WHERE replica_id = p_replica;
    UPDATE headwater.runs SET owner = NULL, lease_token = NULL
    WHERE owner = p_replica AND status IN ('queued', 'running', 'suspended');
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_count;
END $$;

-- What a replica owns: all else that it works on was taken from it.
CREATE FUNCTION headwater.replica_runs(p_replica uuid) RETURNS SETOF uuid
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT r.run_id FROM headwater.runs r
        WHERE r.owner = p_replica AND r.status IN ('queued', 'running', 'suspended');
END $$;

-- Replicas that live, by Postgres' clock.
CREATE FUNCTION headwater.replica_count() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT count(*) FROM headwater_sys.replicas WHERE expires_at > clock_timestamp());
END $$;

-- Takes a run of the scope that is set away from whoever owns it, in order to end it. NULL when there is no such run,
-- else its status: when that is terminal nothing was taken. Who asked is kept, for whoever ends the run if the caller
-- cannot; with nobody to name, whoever claims it goes on with it.
DROP FUNCTION headwater.cancel_run(uuid, uuid, uuid);
CREATE FUNCTION headwater.cancel_run(p_replica uuid, p_run uuid, p_token uuid, p_actor jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_tenant uuid := headwater.tenant_id();
    v_user   uuid := headwater.user_id();
    r        record;
BEGIN
    SELECT owner, status, user_id INTO r FROM headwater.runs
    WHERE tenant_id = v_tenant AND run_id = p_run AND (v_user IS NULL OR user_id = v_user);
    IF NOT FOUND OR r.status IN ('completed', 'failed', 'cancelled') THEN
        RETURN r.status;
    END IF;
    -- Who has no row may own nothing: its runs would be nobody's.
    PERFORM 1 FROM headwater_sys.replicas WHERE replica_id = p_replica;
    IF NOT FOUND THEN
        RETURN 'moved';
    END IF;
    -- The row lock is the fence: it waits for the owner's commit in flight, and the owner's next append compares the
    -- token on this new version of the row. The replica's own row stays out of it: under load its many sharers would
    -- let a cancel wait for ever.
    UPDATE headwater.runs SET owner = p_replica, lease_token = p_token,
                              cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp())
    WHERE tenant_id = v_tenant AND run_id = p_run AND status IN ('queued', 'running', 'suspended')
      AND owner IS NOT DISTINCT FROM r.owner;
    IF FOUND THEN
        IF p_actor IS NOT NULL THEN
            INSERT INTO headwater.run_cancels (tenant_id, run_id, user_id, actor) VALUES (v_tenant, p_run, r.user_id, p_actor)
            ON CONFLICT DO NOTHING;
        END IF;
        RETURN r.status;
    END IF;
    -- It changed hands or ended in between: the caller asks again.
    RETURN 'moved';
END $$;

-- Where these runs stand, for readers that follow them from another replica: who they are was asked when they opened.
CREATE FUNCTION headwater.run_tails(p_tenants uuid[], p_runs uuid[]) RETURNS TABLE (run_id uuid, tail bigint, owner uuid)
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT r.run_id, r.tail, r.owner
        FROM unnest(p_tenants, p_runs) AS g (tenant, run)
        JOIN headwater.runs r ON r.tenant_id = g.tenant AND r.run_id = g.run;
END $$;

-- Somebody reads a run of the scope that is set: it does not end for want of readers.
CREATE FUNCTION headwater.reader_here(p_replica uuid, p_run uuid, p_reader uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_tenant uuid := headwater.tenant_id();
BEGIN
    -- Who comes and who goes wait for each other: two last readers that leave at once must not each count on the other.
    PERFORM pg_advisory_xact_lock(hashtextextended(p_run::text, 0));
    INSERT INTO headwater.run_readers (tenant_id, run_id, reader_id, replica_id, user_id)
    SELECT v_tenant, p_run, p_reader, p_replica, r.user_id FROM headwater.runs r
    WHERE r.tenant_id = v_tenant AND r.run_id = p_run AND r.status IN ('queued', 'running', 'suspended')
    ON CONFLICT DO NOTHING;
    DELETE FROM headwater.run_cancels WHERE tenant_id = v_tenant AND run_id = p_run
        AND actor->>'reason' = 'on_disconnect' AND requested_at > clock_timestamp();
END $$;

-- Somebody reads it no more. Whether that was the last one: then the run's end is asked for, so long from now. Readers at
-- replicas that are gone do not count.
CREATE FUNCTION headwater.reader_gone(p_run uuid, p_reader uuid, p_grace_ms bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_tenant uuid := headwater.tenant_id();
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(p_run::text, 0));
    DELETE FROM headwater.run_readers WHERE tenant_id = v_tenant AND run_id = p_run AND reader_id = p_reader;
    IF EXISTS (SELECT 1 FROM headwater.run_readers g JOIN headwater_sys.replicas p ON p.replica_id = g.replica_id
               WHERE g.tenant_id = v_tenant AND g.run_id = p_run AND p.expires_at > clock_timestamp()) THEN
        RETURN false;
    END IF;
    INSERT INTO headwater.run_cancels (tenant_id, run_id, user_id, actor, requested_at)
    SELECT v_tenant, p_run, r.user_id, '{"type":"system","id":null,"reason":"on_disconnect"}',
           clock_timestamp() + p_grace_ms * interval '1 millisecond'
    FROM headwater.runs r
    WHERE r.tenant_id = v_tenant AND r.run_id = p_run AND r.status IN ('queued', 'running', 'suspended')
    ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;

-- Forgets readers at replicas that are gone.
CREATE FUNCTION headwater.sweep_readers() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM headwater.run_readers g
    WHERE NOT EXISTS (SELECT 1 FROM headwater_sys.replicas p WHERE p.replica_id = g.replica_id);
END $$;

REVOKE ALL ON FUNCTION headwater.reader_here, headwater.reader_gone, headwater.sweep_readers FROM PUBLIC;
GRANT EXECUTE ON FUNCTION headwater.reader_here, headwater.reader_gone, headwater.sweep_readers TO @app@;
REVOKE ALL ON FUNCTION headwater.claim_runs, headwater.replica_retire, headwater.replica_runs, headwater.replica_count, headwater.cancel_run,
    headwater.run_tails FROM PUBLIC;
GRANT EXECUTE ON FUNCTION headwater.claim_runs, headwater.replica_retire, headwater.replica_runs, headwater.replica_count, headwater.cancel_run,
    headwater.run_tails TO @app@;

-- Erasing a thread or a tenant erases what was asked of its runs.
CREATE OR REPLACE FUNCTION headwater.purge_threads(p_threads uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_tenant uuid := headwater.tenant_id();
    v_runs   uuid[];
BEGIN
    PERFORM 1 FROM headwater.runs WHERE tenant_id = v_tenant AND thread_id = ANY (p_threads) ORDER BY run_id FOR UPDATE;
    PERFORM 1 FROM headwater.threads WHERE tenant_id = v_tenant AND thread_id = ANY (p_threads) ORDER BY thread_id FOR UPDATE;
    -- What was queued before the thread's lock was had.
    PERFORM 1 FROM headwater.runs WHERE tenant_id = v_tenant AND thread_id = ANY (p_threads) ORDER BY run_id FOR UPDATE;
    SELECT coalesce(array_agg(run_id), '{}') INTO v_runs FROM headwater.runs
    WHERE tenant_id = v_tenant AND thread_id = ANY (p_threads);
    DELETE FROM headwater.run_events WHERE tenant_id = v_tenant AND run_id = ANY (v_runs);
    DELETE FROM headwater.idempotency WHERE tenant_id = v_tenant
        AND object IN (SELECT unnest(v_runs)::text UNION ALL SELECT 'thr_' || unnest(p_threads)::text);
    DELETE FROM headwater.run_steps WHERE tenant_id = v_tenant AND run_id = ANY (v_runs);
    DELETE FROM headwater.run_cancels WHERE tenant_id = v_tenant AND run_id = ANY (v_runs);
    DELETE FROM headwater.run_inputs WHERE tenant_id = v_tenant AND run_id = ANY (v_runs);
    DELETE FROM headwater.run_readers WHERE tenant_id = v_tenant AND run_id = ANY (v_runs);
    DELETE FROM headwater.messages WHERE tenant_id = v_tenant AND thread_id = ANY (p_threads);
    DELETE FROM headwater.runs WHERE tenant_id = v_tenant AND thread_id = ANY (p_threads);
    DELETE FROM headwater.threads WHERE tenant_id = v_tenant AND thread_id = ANY (p_threads);
END $$;

CREATE OR REPLACE FUNCTION headwater.tenant_delete(p_tenant uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM 1 FROM headwater.runs WHERE tenant_id = p_tenant ORDER BY run_id FOR UPDATE;
    PERFORM set_config('headwater.tenant_id', p_tenant::text, true);
    DELETE FROM headwater.run_events WHERE tenant_id = p_tenant;
    DELETE FROM headwater.tickets WHERE tenant_id = p_tenant;
    DELETE FROM headwater.run_steps WHERE tenant_id = p_tenant;
    DELETE FROM headwater.run_cancels WHERE tenant_id = p_tenant;
    DELETE FROM headwater.run_inputs WHERE tenant_id = p_tenant;
    DELETE FROM headwater.run_readers WHERE tenant_id = p_tenant;
    DELETE FROM headwater.runs WHERE tenant_id = p_tenant;
    DELETE FROM headwater.messages WHERE tenant_id = p_tenant;
    DELETE FROM headwater.threads WHERE tenant_id = p_tenant;
    DELETE FROM headwater.agent_versions WHERE tenant_id = p_tenant;
    DELETE FROM headwater.agents WHERE tenant_id = p_tenant;
    DELETE FROM headwater.users WHERE tenant_id = p_tenant;
    DELETE FROM headwater.idempotency WHERE tenant_id = p_tenant;
    DELETE FROM headwater.usage_calls WHERE tenant_id = p_tenant;
    DELETE FROM headwater.api_keys WHERE tenant_id = p_tenant;
    DELETE FROM headwater.tenants WHERE tenant_id = p_tenant;
    RETURN FOUND;
END $$;

SET ROLE @owner@;
