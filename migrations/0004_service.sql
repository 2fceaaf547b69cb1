-- What has to reach across tenants: authentication, the operator's work, leases and claims. Definer functions of
-- @dispatch@, which has policies for exactly the tables and commands used here. The list of them is checked (lint.sql).

-- ── Policies of @dispatch@ ───────────────────────────────────────────────────────────────────────────────────────
GRANT SELECT, INSERT, UPDATE, DELETE ON headwater.tenants TO @dispatch@;
CREATE POLICY dispatch_all ON headwater.tenants FOR ALL TO @dispatch@ USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE (last_used_at, revoked_at), DELETE ON headwater.api_keys TO @dispatch@;
CREATE POLICY dispatch_all ON headwater.api_keys FOR ALL TO @dispatch@ USING (true) WITH CHECK (true);
GRANT SELECT (tenant_id, run_id, thread_id, user_id, owner, status, ord, cancel_requested_at, created_at, external_id),
      UPDATE (owner, lease_token, cancel_requested_at), DELETE ON headwater.runs TO @dispatch@;
CREATE POLICY dispatch_finds ON headwater.runs FOR SELECT TO @dispatch@ USING (true);
CREATE POLICY dispatch_claims ON headwater.runs FOR UPDATE TO @dispatch@ USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON headwater_sys.replicas TO @dispatch@;
CREATE POLICY dispatch_all ON headwater_sys.replicas FOR ALL TO @dispatch@ USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, DELETE ON headwater_sys.operator_idempotency TO @dispatch@;
CREATE POLICY dispatch_all ON headwater_sys.operator_idempotency FOR ALL TO @dispatch@ USING (true) WITH CHECK (true);

-- Erasing stays within the tenant that is set, even for a function that forgot to ask.
CREATE POLICY dispatch_erases ON headwater.runs FOR DELETE TO @dispatch@ USING (tenant_id = (SELECT headwater.tenant_id()));
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['threads', 'messages', 'run_steps', 'tickets', 'run_events', 'users', 'agents', 'agent_versions',
                             'idempotency', 'usage_calls'] LOOP
        EXECUTE format('GRANT DELETE ON headwater.%I TO @dispatch@', t);
        EXECUTE format('CREATE POLICY dispatch_erases ON headwater.%I FOR DELETE TO @dispatch@ USING (tenant_id = (SELECT headwater.tenant_id()))', t);
        EXECUTE format('CREATE POLICY dispatch_finds ON headwater.%I FOR SELECT TO @dispatch@ USING (tenant_id = (SELECT headwater.tenant_id()))', t);
    END LOOP;
END $$;
GRANT SELECT (tenant_id, thread_id, user_id) ON headwater.threads TO @dispatch@;
GRANT UPDATE (updated_at) ON headwater.threads TO @dispatch@;
CREATE POLICY dispatch_locks ON headwater.threads FOR UPDATE TO @dispatch@ USING (tenant_id = (SELECT headwater.tenant_id()));
GRANT SELECT (tenant_id, thread_id, user_id) ON headwater.messages TO @dispatch@;
GRANT SELECT (tenant_id, run_id) ON headwater.run_steps, headwater.tickets, headwater.run_events TO @dispatch@;
GRANT SELECT (tenant_id, user_id), UPDATE (updated_at) ON headwater.users TO @dispatch@;
CREATE POLICY dispatch_locks ON headwater.users FOR UPDATE TO @dispatch@ USING (tenant_id = (SELECT headwater.tenant_id()));
GRANT SELECT (tenant_id, agent_id) ON headwater.agents, headwater.agent_versions TO @dispatch@;
GRANT SELECT (tenant_id, actor, object) ON headwater.idempotency TO @dispatch@;
GRANT SELECT (tenant_id) ON headwater.usage_calls TO @dispatch@;

-- ── Who is calling ───────────────────────────────────────────────────────────────────────────────────────────────

-- A key's hash → whose it is. Before any scope exists, so it cannot be asked under one.
CREATE FUNCTION headwater.auth_key(p_hash bytea) RETURNS jsonb LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    k record;
BEGIN
    SELECT a.tenant_id, a.key_id, a.scopes, a.expires_at, a.last_used_at, t.status, t.allowed_origins INTO k
    FROM headwater.api_keys a JOIN headwater.tenants t USING (tenant_id)
    WHERE a.hash = p_hash AND a.revoked_at IS NULL;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    -- Right to the hour: a write per call would cost more than it tells.
    IF k.last_used_at IS NULL OR k.last_used_at < clock_timestamp() - interval '1 hour' THEN
        UPDATE headwater.api_keys SET last_used_at = clock_timestamp() WHERE tenant_id = k.tenant_id AND key_id = k.key_id;
    END IF;
    RETURN jsonb_build_object('tenant', k.tenant_id, 'key', k.key_id, 'scopes', k.scopes, 'expires_at', k.expires_at,
                              'active', k.status = 'active', 'origins', k.allowed_origins);
END $$;

-- Whether some tenant lists this origin: what a preflight may be told, which carries no credential.
CREATE FUNCTION headwater.tenant_origin_known(p_origin text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER STABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM headwater.tenants WHERE p_origin = ANY (allowed_origins) AND status = 'active');
END $$;

-- ── The operator's work ──────────────────────────────────────────────────────────────────────────────────────────

-- What an earlier request with this key made: NULL (nothing, and now it is kept), else its row.
CREATE FUNCTION headwater.tenant_idempotency(p_key text, p_fingerprint bytea, p_object text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    k record;
BEGIN
    DELETE FROM headwater_sys.operator_idempotency WHERE created_at < clock_timestamp() - interval '24 hours';
    INSERT INTO headwater_sys.operator_idempotency (key, fingerprint, status, object) VALUES (p_key, p_fingerprint, 201, p_object)
    ON CONFLICT DO NOTHING;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    SELECT * INTO k FROM headwater_sys.operator_idempotency WHERE key = p_key;
    RETURN jsonb_build_object('same', k.fingerprint = p_fingerprint, 'object', k.object);
END $$;

CREATE FUNCTION headwater.tenant_create(p_tenant uuid, p_settings jsonb, p_at timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO headwater.tenants (tenant_id, name, status, plan, allowed_origins, retention_ms, metadata, created_at, updated_at)
    VALUES (p_tenant, p_settings->>'name', p_settings->>'status', p_settings->>'plan',
            ARRAY(SELECT jsonb_array_elements_text(p_settings->'allowed_origins')), (p_settings->>'retention_ms')::bigint,
            p_settings->'metadata', p_at, p_at);
END $$;

CREATE FUNCTION headwater.tenant_update(p_tenant uuid, p_settings jsonb, p_at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE headwater.tenants SET name = p_settings->>'name', status = p_settings->>'status', plan = p_settings->>'plan',
        allowed_origins = ARRAY(SELECT jsonb_array_elements_text(p_settings->'allowed_origins')),
        retention_ms = (p_settings->>'retention_ms')::bigint, metadata = p_settings->'metadata', updated_at = p_at
    WHERE tenant_id = p_tenant;
    RETURN FOUND;
END $$;

CREATE FUNCTION headwater.tenant_list(p_tenant uuid, p_after uuid, p_ascending boolean, p_limit int)
RETURNS SETOF headwater.tenants LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_ascending THEN
        RETURN QUERY SELECT * FROM headwater.tenants t WHERE (p_tenant IS NULL OR t.tenant_id = p_tenant)
            AND (p_after IS NULL OR t.tenant_id > p_after) ORDER BY t.tenant_id LIMIT p_limit;
    ELSE
        RETURN QUERY SELECT * FROM headwater.tenants t WHERE (p_tenant IS NULL OR t.tenant_id = p_tenant)
            AND (p_after IS NULL OR t.tenant_id < p_after) ORDER BY t.tenant_id DESC LIMIT p_limit;
    END IF;
END $$;

-- Erases a tenant and all that is its own. Its runs are locked first, in the order in which every writer takes its
-- locks (run, then thread): a commit in flight is waited for, the next one finds nothing.
CREATE FUNCTION headwater.tenant_delete(p_tenant uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM 1 FROM headwater.runs WHERE tenant_id = p_tenant ORDER BY run_id FOR UPDATE;
    PERFORM set_config('headwater.tenant_id', p_tenant::text, true);
    DELETE FROM headwater.run_events WHERE tenant_id = p_tenant;
    DELETE FROM headwater.tickets WHERE tenant_id = p_tenant;
    DELETE FROM headwater.run_steps WHERE tenant_id = p_tenant;
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

CREATE FUNCTION headwater.tenant_key_create(p_tenant uuid, p_key uuid, p_name text, p_hash bytea, p_hint text, p_scopes text[],
                                            p_expires_at timestamptz, p_at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM 1 FROM headwater.tenants WHERE tenant_id = p_tenant;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO headwater.api_keys (tenant_id, key_id, name, hash, hint, scopes, expires_at, created_at)
    VALUES (p_tenant, p_key, p_name, p_hash, p_hint, p_scopes, p_expires_at, p_at);
    RETURN true;
END $$;

CREATE FUNCTION headwater.tenant_key_list(p_tenant uuid, p_key uuid, p_after uuid, p_ascending boolean, p_limit int)
RETURNS TABLE (key_id uuid, name text, hint text, scopes text[], expires_at timestamptz, last_used_at timestamptz,
               revoked_at timestamptz, created_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT k.key_id, k.name, k.hint, k.scopes, k.expires_at, k.last_used_at, k.revoked_at, k.created_at
        FROM headwater.api_keys k
        WHERE k.tenant_id = p_tenant AND (p_key IS NULL OR k.key_id = p_key)
          AND (p_after IS NULL OR CASE WHEN p_ascending THEN k.key_id > p_after ELSE k.key_id < p_after END)
        ORDER BY CASE WHEN p_ascending THEN k.key_id END, CASE WHEN NOT p_ascending THEN k.key_id END DESC
        LIMIT p_limit;
END $$;

CREATE FUNCTION headwater.tenant_key_revoke(p_tenant uuid, p_key uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE headwater.api_keys SET revoked_at = clock_timestamp()
    WHERE tenant_id = p_tenant AND key_id = p_key AND revoked_at IS NULL;
    RETURN FOUND;
END $$;

-- ── Replicas, leases, claims. Times are compared by Postgres' clock alone ────────────────────────────────────────

CREATE FUNCTION headwater.replica_register(p_replica uuid, p_lease_ms bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- A plain INSERT: an id that is in use is refused. Ids are random, and what a removed one owned has new tokens.
    INSERT INTO headwater_sys.replicas (replica_id, expires_at)
    VALUES (p_replica, clock_timestamp() + p_lease_ms * interval '1 millisecond');
END $$;

-- Whether the lease still stands. One that has lapsed and that nobody claimed may be renewed.
CREATE FUNCTION headwater.replica_renew(p_replica uuid, p_lease_ms bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE headwater_sys.replicas SET expires_at = clock_timestamp() + p_lease_ms * interval '1 millisecond'
    WHERE replica_id = p_replica;
    RETURN FOUND;
END $$;

CREATE FUNCTION headwater.replica_retire(p_replica uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM headwater_sys.replicas WHERE replica_id = p_replica;
END $$;

-- Takes runs that nobody owns any more: fair between tenants, oldest first within one. Ids and tokens only; what is in
-- them is read under each tenant's own scope. Removing a replica's row fences it: the row lock waits for its flush in
-- flight, and without the row its next append is stale. Nothing is claimed within a lease of Postgres' own start, else
-- an outage would hand every run to whoever comes back first.
CREATE FUNCTION headwater.claim_runs(p_replica uuid, p_lease_ms bigint, p_limit int)
RETURNS TABLE (tenant_id uuid, run_id uuid, user_id uuid, token uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF pg_postmaster_start_time() + p_lease_ms * interval '1 millisecond' > clock_timestamp() THEN
        RETURN;
    END IF;
    DELETE FROM headwater_sys.replicas p WHERE p.replica_id IN (
        SELECT d.replica_id FROM headwater_sys.replicas d
        WHERE d.expires_at < clock_timestamp() AND d.replica_id <> p_replica FOR UPDATE SKIP LOCKED);
    RETURN QUERY
    WITH orphans AS (
        SELECT r.tenant_id, r.run_id, row_number() OVER (PARTITION BY r.tenant_id ORDER BY r.run_id) AS turn
        FROM headwater.runs r
        WHERE r.status IN ('queued', 'running')
          AND NOT EXISTS (SELECT 1 FROM headwater_sys.replicas p WHERE p.replica_id = r.owner)
          -- A run that waits behind a living one belongs to whoever ends that.
          AND NOT EXISTS (SELECT 1 FROM headwater.runs b WHERE b.tenant_id = r.tenant_id AND b.thread_id = r.thread_id
                            AND b.status IN ('queued', 'running', 'suspended') AND b.ord < r.ord)
    ), picked AS (
        SELECT r.tenant_id, r.run_id FROM headwater.runs r JOIN orphans o USING (tenant_id, run_id)
        WHERE r.status IN ('queued', 'running')
          AND NOT EXISTS (SELECT 1 FROM headwater_sys.replicas p WHERE p.replica_id = r.owner)
        ORDER BY o.turn, r.run_id LIMIT p_limit FOR UPDATE OF r SKIP LOCKED
    )
    UPDATE headwater.runs r SET owner = p_replica, lease_token = gen_random_uuid()
    FROM picked p WHERE r.tenant_id = p.tenant_id AND r.run_id = p.run_id
    RETURNING r.tenant_id, r.run_id, r.user_id, r.lease_token;
END $$;
-- RETURNING reads the token that was just made.
GRANT SELECT (lease_token) ON headwater.runs TO @dispatch@;

-- Runs that are not over and that nobody living owns: what the next claim would find. 0 when all is well.
CREATE FUNCTION headwater.sweep() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT count(*) FROM headwater.runs r
            WHERE r.status IN ('queued', 'running')
              AND NOT EXISTS (SELECT 1 FROM headwater_sys.replicas p WHERE p.replica_id = r.owner AND p.expires_at > clock_timestamp())
              AND NOT EXISTS (SELECT 1 FROM headwater.runs b WHERE b.tenant_id = r.tenant_id AND b.thread_id = r.thread_id
                                AND b.status IN ('queued', 'running', 'suspended') AND b.ord < r.ord));
END $$;

-- Takes a run of the scope that is set away from whoever owns it, in order to end it. NULL when there is no such run,
-- else its status: when that is terminal nothing was taken.
CREATE FUNCTION headwater.cancel_run(p_replica uuid, p_run uuid, p_token uuid) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_tenant uuid := headwater.tenant_id();
    v_user   uuid := headwater.user_id();
    r        record;
BEGIN
    SELECT owner, status INTO r FROM headwater.runs
    WHERE tenant_id = v_tenant AND run_id = p_run AND (v_user IS NULL OR user_id = v_user);
    IF NOT FOUND OR r.status IN ('completed', 'failed', 'cancelled') THEN
        RETURN r.status;
    END IF;
    -- The row lock is the fence: it waits for the owner's commit in flight, and the owner's next append compares the
    -- token on this new version of the row. The replica's own row stays out of it: under load its many sharers would
    -- let a cancel wait for ever.
    UPDATE headwater.runs SET owner = p_replica, lease_token = p_token,
                              cancel_requested_at = coalesce(cancel_requested_at, clock_timestamp())
    WHERE tenant_id = v_tenant AND run_id = p_run AND status IN ('queued', 'running', 'suspended')
      AND owner IS NOT DISTINCT FROM r.owner;
    IF FOUND THEN
        RETURN r.status;
    END IF;
    -- It changed hands or ended in between: the caller asks again.
    RETURN 'moved';
END $$;

-- Gives a run back that will not be worked on here.
CREATE FUNCTION headwater.release_run(p_replica uuid, p_tenant uuid, p_run uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE headwater.runs SET owner = NULL, lease_token = NULL
    WHERE tenant_id = p_tenant AND run_id = p_run AND owner = p_replica AND status IN ('queued', 'running');
    RETURN FOUND;
END $$;

-- ── Erasing, within the scope that is set ────────────────────────────────────────────────────────────────────────

-- Erases threads with all that hangs on them. The ledger stays. Their runs are locked first, and then the threads: that
-- is the order of a commit, which may be under way. It is waited for; the next one finds nothing and is told so.
-- No replica's row is locked: that would hold up everybody's flush.
CREATE FUNCTION headwater.purge_threads(p_threads uuid[]) RETURNS void
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
    DELETE FROM headwater.messages WHERE tenant_id = v_tenant AND thread_id = ANY (p_threads);
    DELETE FROM headwater.runs WHERE tenant_id = v_tenant AND thread_id = ANY (p_threads);
    DELETE FROM headwater.threads WHERE tenant_id = v_tenant AND thread_id = ANY (p_threads);
END $$;

CREATE FUNCTION headwater.purge_thread(p_thread uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM 1 FROM headwater.threads WHERE tenant_id = headwater.tenant_id() AND thread_id = p_thread
        AND (headwater.user_id() IS NULL OR user_id = headwater.user_id());
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM headwater.purge_threads(ARRAY[p_thread]);
    RETURN true;
END $$;

CREATE FUNCTION headwater.purge_user(p_user uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_threads uuid[];
BEGIN
    -- Locked, so that no thread of the user is made meanwhile.
    PERFORM 1 FROM headwater.users WHERE tenant_id = headwater.tenant_id() AND user_id = p_user FOR UPDATE;
    IF NOT FOUND OR (headwater.user_id() IS NOT NULL) THEN
        RETURN false;
    END IF;
    SELECT coalesce(array_agg(thread_id), '{}') INTO v_threads FROM headwater.threads
    WHERE tenant_id = headwater.tenant_id() AND user_id = p_user;
    PERFORM headwater.purge_threads(v_threads);
    DELETE FROM headwater.idempotency WHERE tenant_id = headwater.tenant_id() AND actor = p_user;
    DELETE FROM headwater.users WHERE tenant_id = headwater.tenant_id() AND user_id = p_user;
    RETURN true;
END $$;

-- Forgets requests that were made more than a day ago, a bite at a time. Returns how many.
CREATE FUNCTION headwater.sweep_requests(p_limit int) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_count bigint;
BEGIN
    DELETE FROM headwater.idempotency i USING (
        SELECT tenant_id, actor, key FROM headwater.idempotency
        WHERE created_at < clock_timestamp() - interval '24 hours' LIMIT p_limit) old
    WHERE i.tenant_id = old.tenant_id AND i.actor = old.actor AND i.key = old.key;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    DELETE FROM headwater_sys.operator_idempotency WHERE created_at < clock_timestamp() - interval '24 hours';
    RETURN v_count;
END $$;
GRANT SELECT (key, created_at) ON headwater.idempotency TO @dispatch@;
CREATE POLICY dispatch_forgets ON headwater.idempotency FOR DELETE TO @dispatch@
    USING (created_at < clock_timestamp() - interval '24 hours');
CREATE POLICY dispatch_sees_old ON headwater.idempotency FOR SELECT TO @dispatch@
    USING (created_at < clock_timestamp() - interval '24 hours');

-- ── Partitions ───────────────────────────────────────────────────────────────────────────────────────────────────

-- Makes the log's partitions of the days from p_from on that are missing. Of @owner@, whose tables it extends.
CREATE FUNCTION headwater.ensure_partitions(p_from date, p_days int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_day  date;
    v_name text;
    v_low  text;
    v_high text;
    v_made int := 0;
BEGIN
    IF p_days NOT BETWEEN 1 AND 7 OR p_from NOT BETWEEN (now() - interval '7 days')::date AND (now() + interval '7 days')::date THEN
        RAISE EXCEPTION 'partitions are made for days near today';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('headwater.ensure_partitions'));
    FOR i IN 0 .. p_days - 1 LOOP
        v_day := p_from + i;
        v_name := 'run_events_' || to_char(v_day, 'YYYYMMDD');
        IF to_regclass('headwater.' || v_name) IS NULL THEN
            -- The first six bytes of a UUIDv7 are milliseconds since 1970.
            v_low := lpad(to_hex((extract(epoch FROM v_day::timestamp AT TIME ZONE 'UTC') * 1000)::bigint), 12, '0');
            v_high := lpad(to_hex((extract(epoch FROM (v_day + 1)::timestamp AT TIME ZONE 'UTC') * 1000)::bigint), 12, '0');
            BEGIN
                EXECUTE format('CREATE TABLE headwater.%I PARTITION OF headwater.run_events FOR VALUES FROM (%L) TO (%L)',
                               v_name, rpad(v_low, 32, '0')::uuid, rpad(v_high, 32, '0')::uuid);
                PERFORM headwater_sys.wall(('headwater.' || v_name)::regclass);
                v_made := v_made + 1;
            EXCEPTION WHEN check_violation THEN
                -- The DEFAULT partition has rows of that day already, and keeps it.
                NULL;
            END;
        END IF;
    END LOOP;
    RETURN v_made;
END $$;

-- The newest migration that has run: what `serve` compares with what it knows.
CREATE FUNCTION headwater.schema_version() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT max(version) FROM headwater_sys._sqlx_migrations WHERE success);
END $$;

-- ── Who owns and who may call ────────────────────────────────────────────────────────────────────────────────────
GRANT EXECUTE ON FUNCTION headwater.append_events, headwater.append_first, headwater.pack_run, headwater.apply_writes, headwater.commit_batch, headwater.create_run,
    headwater.create_runs, headwater.auth_key, headwater.tenant_origin_known, headwater.tenant_idempotency,
    headwater.tenant_create, headwater.tenant_update, headwater.tenant_list, headwater.tenant_delete,
    headwater.tenant_key_create, headwater.tenant_key_list, headwater.tenant_key_revoke, headwater.replica_register,
    headwater.replica_renew, headwater.replica_retire, headwater.claim_runs, headwater.sweep, headwater.cancel_run,
    headwater.release_run, headwater.sweep_requests, headwater.purge_thread, headwater.purge_user, headwater.ensure_partitions,
    headwater.schema_version TO @app@;
GRANT EXECUTE ON FUNCTION headwater.purge_threads TO @dispatch@;
ALTER FUNCTION headwater.append_events OWNER TO @append@;
ALTER FUNCTION headwater.append_first OWNER TO @append@;
ALTER FUNCTION headwater.pack_run OWNER TO @append@;
DO $$
DECLARE f regprocedure;
BEGIN
    FOR f IN SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
             WHERE n.nspname = 'headwater' AND p.prosecdef
               AND p.proname NOT IN ('append_events', 'append_first', 'pack_run', 'ensure_partitions') LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO @dispatch@', f);
    END LOOP;
END $$;
