-- Runs that carry out a call of another run: an agent calls an agent.

-- `parent_call`: the call that it carries out, of the run `parent_run`. `depth`: how many runs are above it; `root_run`: the
-- one at the top of them.
ALTER TABLE headwater.runs ADD COLUMN parent_run uuid, ADD COLUMN parent_call uuid, ADD COLUMN root_run uuid,
    ADD COLUMN depth int NOT NULL DEFAULT 0;
-- A call is carried out once, whoever believes to own the run.
CREATE UNIQUE INDEX runs_of_call ON headwater.runs (tenant_id, parent_call) WHERE parent_call IS NOT NULL;
CREATE INDEX runs_of_root ON headwater.runs (root_run) WHERE root_run IS NOT NULL;
CREATE INDEX runs_of_parent ON headwater.runs (parent_run) WHERE parent_run IS NOT NULL;
GRANT SELECT (parent_run, parent_call, root_run, depth) ON headwater.runs TO @app@, @dispatch@;
-- What such a run writes to. Not among the threads that a user has begun, and erased with that of the run above it.
ALTER TABLE headwater.threads ADD COLUMN parent_run uuid;
CREATE INDEX threads_of_parent ON headwater.threads (parent_run) WHERE parent_run IS NOT NULL;
GRANT SELECT (parent_run) ON headwater.threads TO @app@, @dispatch@;
CREATE INDEX tool_calls_of_agents ON headwater.tool_calls (tenant_id, call_id) WHERE kind = 'agent' AND status = 'pending';
GRANT SELECT (call_id, kind) ON headwater.tool_calls TO @dispatch@;

-- See 0007_busy_threads.sql. New: a run may carry out a call: `called_before` when another one does, `nobody_waits` when
-- the call is over. What is said may show artifacts: `artifact_gone` when one of them is not there.
CREATE OR REPLACE FUNCTION headwater.create_run(p_replica uuid, p jsonb, p_first text) RETURNS jsonb
LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_tenant uuid := headwater.tenant_id();
    v_user   uuid := headwater.user_id();
    v_thread uuid := (p->>'thread_id')::uuid;
    v_run    uuid := (p->>'run_id')::uuid;
    v_at     timestamptz := (p->>'created_at')::timestamptz;
    v_kept   record;
    v_ord    bigint;
    v_after  uuid;
    v_active uuid;
    v_live   int;
    v_starts boolean;
    v_gives_way uuid[];
    v_root   uuid;
    v_status text;
    r        jsonb;
BEGIN
    -- The answer to an earlier attempt of this very call was lost on the way.
    SELECT ord, after_run, status INTO v_kept FROM headwater.runs WHERE tenant_id = v_tenant AND run_id = v_run;
    IF FOUND THEN
        RETURN jsonb_build_object('created', true, 'ord', v_kept.ord, 'after_run', v_kept.after_run, 'again', true,
                                  'status', v_kept.status);
    END IF;

    -- What was said to another run and is now one of its own (requeue_inputs) was asked all of this before.
    IF p ? 'idempotency_key' AND NOT p ? 'requeued' THEN
        DELETE FROM headwater.idempotency WHERE tenant_id = v_tenant AND actor = (p->>'actor')::uuid
            AND key = p->>'idempotency_key' AND created_at < clock_timestamp() - interval '24 hours';
        INSERT INTO headwater.idempotency (tenant_id, actor, key, fingerprint, status, object, created_at)
        VALUES (v_tenant, (p->>'actor')::uuid, p->>'idempotency_key', decode(p->>'fingerprint', 'hex'), 201, v_run::text, v_at)
        ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            SELECT i.fingerprint, i.object, i.status INTO v_kept FROM headwater.idempotency i
            WHERE i.tenant_id = v_tenant AND i.actor = (p->>'actor')::uuid AND i.key = p->>'idempotency_key';
            IF v_kept.fingerprint = decode(p->>'fingerprint', 'hex') THEN
                RETURN jsonb_build_object('replay', v_kept.object, 'steered', v_kept.status = 200);
            END IF;
            RETURN jsonb_build_object('refused', 'idempotency_mismatch');
        END IF;
    END IF;

    <<checks>> BEGIN
        IF p ? 'parent_call' THEN
            -- First the user, then runs, then threads: as whoever erases them.
            PERFORM 1 FROM headwater.users WHERE tenant_id = v_tenant AND user_id = v_user FOR KEY SHARE;
            -- Not for a run that is over. It may end all the same before this is committed, and then the sweep ends this;
            -- erased it is not.
            PERFORM 1 FROM headwater.runs k WHERE k.tenant_id = v_tenant AND k.parent_call = (p->>'parent_call')::uuid;
            IF FOUND THEN
                r := jsonb_build_object('refused', 'called_before');
                EXIT checks;
            END IF;
            SELECT coalesce(b.root_run, b.run_id) INTO v_root FROM headwater.tool_calls c JOIN headwater.runs b ON b.tenant_id = c.tenant_id AND b.run_id = c.run_id
            WHERE c.tenant_id = v_tenant AND c.call_id = (p->>'parent_call')::uuid AND c.kind = 'agent' AND c.status = 'ready'
              AND b.run_id = (p->>'parent_run')::uuid AND b.user_id = v_user AND b.status = 'running'
            FOR KEY SHARE OF b;
            IF NOT FOUND THEN
                r := jsonb_build_object('refused', 'nobody_waits');
                EXIT checks;
            END IF;
            IF (SELECT count(*) FROM headwater.runs k WHERE k.root_run = v_root) >= (p->>'max_below')::int THEN
                r := jsonb_build_object('refused', 'too_many_below');
                EXIT checks;
            END IF;
        END IF;
        SELECT status INTO v_status FROM headwater.users WHERE tenant_id = v_tenant AND user_id = v_user;
        IF NOT FOUND OR v_status <> 'active' THEN
            r := jsonb_build_object('refused', CASE WHEN v_status IS NULL THEN 'not_found' ELSE 'user_blocked' END);
            EXIT checks;
        END IF;
        PERFORM 1 FROM headwater.agents
        WHERE tenant_id = v_tenant AND agent_id = (p->>'agent_id')::uuid AND archived_at IS NULL
          AND active_version = (p->>'active_version')::int AND name = p->>'agent_name';
        IF NOT FOUND AND NOT p ? 'requeued' THEN
            r := jsonb_build_object('refused', 'agent_changed');
            EXIT checks;
        END IF;
        IF p ? 'external_id' THEN
            SELECT run_id INTO v_active FROM headwater.runs
            WHERE tenant_id = v_tenant AND user_id = v_user AND external_id = p->>'external_id';
            IF FOUND THEN
                r := jsonb_build_object('refused', 'already_exists', 'existing', 'run_' || v_active, 'param', '/external_id');
                EXIT checks;
            END IF;
        END IF;
        IF p ? 'artifacts' AND NOT p ? 'requeued'
           AND headwater.artifacts_usable(p->'artifacts') <> jsonb_array_length(p->'artifacts') THEN
            r := jsonb_build_object('refused', 'artifact_gone');
            EXIT checks;
        END IF;
        IF (p->>'new_thread')::boolean THEN
            v_ord := 1;
            INSERT INTO headwater.threads (tenant_id, thread_id, user_id, external_id, metadata, last_ord, parent_run, created_at, updated_at)
            VALUES (v_tenant, v_thread, v_user, p->>'thread_external_id', p->'thread_metadata', 1, (p->>'parent_run')::uuid, v_at, v_at)
            ON CONFLICT (tenant_id, user_id, external_id) DO NOTHING;
            IF NOT FOUND THEN
                SELECT thread_id INTO v_active FROM headwater.threads
                WHERE tenant_id = v_tenant AND user_id = v_user AND external_id = p->>'thread_external_id';
                r := jsonb_build_object('refused', 'already_exists', 'existing', 'thr_' || v_active, 'param', '/thread/external_id');
                EXIT checks;
            END IF;
        ELSE
            -- Locked in one statement, read in the next, so that what the previous holder of the lock did is seen.
            PERFORM 1 FROM headwater.threads WHERE tenant_id = v_tenant AND thread_id = v_thread FOR NO KEY UPDATE;
            IF NOT FOUND THEN
                r := jsonb_build_object('refused', 'not_found');
                EXIT checks;
            END IF;
            SELECT count(*), (array_agg(run_id ORDER BY ord DESC))[1], (array_agg(run_id ORDER BY ord))[1],
                   (array_agg(status ORDER BY ord))[1]
            INTO v_live, v_after, v_active, v_status
            FROM headwater.runs
            WHERE tenant_id = v_tenant AND thread_id = v_thread AND status NOT IN ('completed', 'failed', 'cancelled');
            IF v_live > 0 AND p->>'on_conflict' = 'reject' THEN
                r := jsonb_build_object('refused', 'thread_busy', 'active_run', 'run_' || v_active);
                EXIT checks;
            END IF;
            IF p->>'on_conflict' = 'steer' AND v_status IN ('running', 'suspended') AND NOT p ? 'requeued' THEN
                SELECT count(*) INTO v_live FROM headwater.run_inputs WHERE tenant_id = v_tenant AND run_id = v_active;
                IF v_live >= (p->>'max_queued')::int THEN
                    r := jsonb_build_object('refused', 'too_many_runs', 'limit', (p->>'max_queued')::int);
                    EXIT checks;
                END IF;
                IF p ? 'artifacts' THEN
                    PERFORM headwater.use_artifacts(p->'artifacts', v_thread);
                END IF;
                INSERT INTO headwater.run_inputs (tenant_id, input_id, run_id, thread_id, user_id, params, segment, created_at)
                VALUES (v_tenant, v_run, v_active, v_thread, v_user, p, p_first, v_at);
                IF p ? 'idempotency_key' THEN
                    -- What a repeated request is to find is the run that it went to.
                    DELETE FROM headwater.idempotency
                    WHERE tenant_id = v_tenant AND actor = (p->>'actor')::uuid AND key = p->>'idempotency_key';
                    INSERT INTO headwater.idempotency (tenant_id, actor, key, fingerprint, status, object, created_at)
                    VALUES (v_tenant, (p->>'actor')::uuid, p->>'idempotency_key', decode(p->>'fingerprint', 'hex'), 200,
                            v_active::text, v_at);
                END IF;
                RETURN jsonb_build_object('steered', v_active);
            END IF;
            IF v_live > 0 AND p->>'on_conflict' IN ('interrupt', 'rollback') AND NOT p ? 'requeued' THEN
                -- All that is not over gives way, newest first: what waits must not begin when what it waits for ends.
                -- Only asked here: taking the runs' locks under the thread's would be the order of commits reversed.
                INSERT INTO headwater.run_cancels AS c (tenant_id, run_id, user_id, actor, withdraw)
                SELECT v_tenant, g.run_id, g.user_id, '{"type":"system","id":null,"reason":"on_conflict"}',
                       p->>'on_conflict' = 'rollback'
                FROM headwater.runs g
                WHERE g.tenant_id = v_tenant AND g.thread_id = v_thread AND g.status NOT IN ('completed', 'failed', 'cancelled')
                ON CONFLICT (tenant_id, run_id) DO UPDATE SET withdraw = c.withdraw OR excluded.withdraw,
                    -- One that waited for a reader to come back waits no longer.
                    actor = CASE WHEN c.requested_at > excluded.requested_at THEN excluded.actor ELSE c.actor END,
                    requested_at = least(c.requested_at, excluded.requested_at);
                SELECT array_agg(g.run_id ORDER BY g.ord DESC) INTO v_gives_way FROM headwater.runs g
                WHERE g.tenant_id = v_tenant AND g.thread_id = v_thread AND g.status NOT IN ('completed', 'failed', 'cancelled');
            -- One is under way, the others wait.
            ELSIF v_live > (p->>'max_queued')::int AND NOT p ? 'requeued' THEN
                r := jsonb_build_object('refused', 'too_many_runs', 'limit', (p->>'max_queued')::int);
                EXIT checks;
            END IF;
            UPDATE headwater.threads SET last_ord = last_ord + 1, updated_at = v_at
            WHERE tenant_id = v_tenant AND thread_id = v_thread RETURNING last_ord INTO v_ord;
        END IF;

        IF p ? 'artifacts' THEN
            PERFORM headwater.use_artifacts(p->'artifacts', v_thread);
        END IF;
        v_starts := v_after IS NULL AND (p->>'start')::boolean;
        INSERT INTO headwater.messages (tenant_id, message_id, thread_id, user_id, run_id, ord, role, status, content, created_at, completed_at)
        VALUES (v_tenant, (p->>'message_id')::uuid, v_thread, v_user, v_run, v_ord, 'user', 'completed', p->'content', v_at, v_at);
        INSERT INTO headwater.runs (tenant_id, run_id, thread_id, user_id, agent_id, agent_version, ord, status, owner, lease_token,
            tail, model, priority, on_conflict, on_disconnect, disconnect_grace_ms, visibility, overrides, input_messages, after_run, external_id,
            metadata, parent_run, parent_call, root_run, depth, created_at, started_at)
        VALUES (v_tenant, v_run, v_thread, v_user, (p->>'agent_id')::uuid, (p->>'agent_version')::int, v_ord,
            CASE WHEN v_starts THEN 'running' ELSE 'queued' END,
            p_replica, (p->>'token')::uuid,
            CASE WHEN v_starts THEN (p->>'started_to')::bigint ELSE 1 END,
            p->>'model', p->>'priority', p->>'on_conflict', p->>'on_disconnect',
            coalesce((p->>'disconnect_grace_ms')::bigint, 30000), p->'visibility', p->'overrides',
            ARRAY[(p->>'message_id')::uuid], v_after, p->>'external_id', p->'metadata',
            (p->>'parent_run')::uuid, (p->>'parent_call')::uuid, v_root, coalesce((p->>'depth')::int, 0), v_at, CASE WHEN v_starts THEN v_at END);
        RETURN jsonb_build_object('created', true, 'ord', v_ord, 'after_run', v_after,
                                  'status', CASE WHEN v_starts THEN 'running' ELSE 'queued' END, 'gives_way', v_gives_way);
    END;

    -- Refused: nothing may remain that would be remembered.
    IF p ? 'idempotency_key' THEN
        DELETE FROM headwater.idempotency
        WHERE tenant_id = v_tenant AND actor = (p->>'actor')::uuid AND key = p->>'idempotency_key';
    END IF;
    RETURN r;
END $$;

-- Wakes a run of the scope that is set if one that carries out a call of it has ended. Returns whether it did.
CREATE FUNCTION headwater.wake_parent(p_run uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_tenant uuid := headwater.tenant_id();
BEGIN
    -- The same lock as of a commit of the run's owner: what is read below is what that has left.
    PERFORM 1 FROM headwater.runs WHERE tenant_id = v_tenant AND run_id = p_run FOR NO KEY UPDATE;
    UPDATE headwater.runs SET woken = true
    WHERE tenant_id = v_tenant AND run_id = p_run AND status = 'suspended' AND NOT woken
      AND EXISTS (SELECT 1 FROM headwater.tool_calls c
                  JOIN headwater.runs k ON k.tenant_id = c.tenant_id AND k.parent_call = c.call_id
                  WHERE c.tenant_id = v_tenant AND c.run_id = p_run AND c.kind = 'agent' AND c.status = 'pending'
                    AND k.status IN ('completed', 'failed', 'cancelled'));
    RETURN FOUND;
END $$;
REVOKE ALL ON FUNCTION headwater.wake_parent FROM PUBLIC;
GRANT EXECUTE ON FUNCTION headwater.wake_parent TO @app@;

SET ROLE @dispatch@;

-- What processes have left undone that died at the wrong moment: runs that wait for one that has ended, or that was erased,
-- are woken, and runs that carry out a call of one that has ended are to end. Returns how many were woken.
CREATE FUNCTION headwater.sweep_sub_runs() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_count  bigint;
    v_tenant uuid;
BEGIN
    UPDATE headwater.runs r SET woken = true
    FROM headwater.tool_calls c
    LEFT JOIN headwater.runs k ON k.tenant_id = c.tenant_id AND k.parent_call = c.call_id
    WHERE c.kind = 'agent' AND c.status = 'pending' AND coalesce(k.status, 'gone') NOT IN ('queued', 'running', 'suspended')
      AND r.tenant_id = c.tenant_id AND r.run_id = c.run_id AND r.status = 'suspended' AND NOT r.woken;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    FOR v_tenant IN
        SELECT DISTINCT k.tenant_id FROM headwater.runs k JOIN headwater.runs p ON p.tenant_id = k.tenant_id AND p.run_id = k.parent_run
        WHERE k.parent_run IS NOT NULL AND k.status IN ('queued', 'running', 'suspended')
          AND p.status IN ('completed', 'failed', 'cancelled')
    LOOP
        PERFORM set_config('headwater.tenant_id', v_tenant::text, true);
        INSERT INTO headwater.run_cancels (tenant_id, run_id, user_id, actor)
        SELECT k.tenant_id, k.run_id, k.user_id, '{"type":"system","id":null,"reason":"parent_ended"}'
        FROM headwater.runs k JOIN headwater.runs p ON p.tenant_id = k.tenant_id AND p.run_id = k.parent_run
        WHERE k.tenant_id = v_tenant AND k.parent_run IS NOT NULL AND k.status IN ('queued', 'running', 'suspended')
          AND p.status IN ('completed', 'failed', 'cancelled')
        ON CONFLICT DO NOTHING;
    END LOOP;
    RETURN v_count;
END $$;
REVOKE ALL ON FUNCTION headwater.sweep_sub_runs FROM PUBLIC;
GRANT EXECUTE ON FUNCTION headwater.sweep_sub_runs TO @app@;

-- See 0006_takeover.sql. New: what was said on behalf of a run of these threads goes with them, and so do uploads that no
-- other thread shows.
CREATE OR REPLACE FUNCTION headwater.purge_threads(p_threads uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_tenant uuid := headwater.tenant_id();
    v_runs   uuid[];
    v_threads uuid[] := '{}';
    v_all    uuid[];
BEGIN
    -- Looked at again under the locks: something may have been queued, or called, before they were had.
    LOOP
        WITH RECURSIVE reached AS (
            SELECT unnest(p_threads) AS thread_id
            UNION
            SELECT t.thread_id FROM reached h
            JOIN headwater.runs r ON r.tenant_id = v_tenant AND r.thread_id = h.thread_id
            JOIN headwater.threads t ON t.tenant_id = v_tenant AND t.parent_run = r.run_id
        ) SELECT coalesce(array_agg(thread_id ORDER BY thread_id), '{}') INTO v_all FROM reached;
        EXIT WHEN v_all = v_threads;
        v_threads := v_all;
        PERFORM 1 FROM headwater.runs WHERE tenant_id = v_tenant AND thread_id = ANY (v_threads) ORDER BY run_id FOR UPDATE;
        PERFORM 1 FROM headwater.threads WHERE tenant_id = v_tenant AND thread_id = ANY (v_threads) ORDER BY thread_id FOR UPDATE;
        PERFORM 1 FROM headwater.runs WHERE tenant_id = v_tenant AND thread_id = ANY (v_threads) ORDER BY run_id FOR UPDATE;
    END LOOP;
    SELECT coalesce(array_agg(run_id), '{}') INTO v_runs FROM headwater.runs
    WHERE tenant_id = v_tenant AND thread_id = ANY (v_threads);
    DELETE FROM headwater.run_events WHERE tenant_id = v_tenant AND run_id = ANY (v_runs);
    DELETE FROM headwater.idempotency WHERE tenant_id = v_tenant
        AND object IN (SELECT unnest(v_runs)::text UNION ALL SELECT 'thr_' || unnest(v_threads)::text);
    DELETE FROM headwater.run_steps WHERE tenant_id = v_tenant AND run_id = ANY (v_runs);
    DELETE FROM headwater.run_cancels WHERE tenant_id = v_tenant AND run_id = ANY (v_runs);
    DELETE FROM headwater.run_inputs WHERE tenant_id = v_tenant AND run_id = ANY (v_runs);
    DELETE FROM headwater.run_readers WHERE tenant_id = v_tenant AND run_id = ANY (v_runs);
    DELETE FROM headwater.messages WHERE tenant_id = v_tenant AND thread_id = ANY (v_threads);
    -- Locked in one statement and looked at in the next: a thread that is about to show one is waited for, and then seen.
    PERFORM 1 FROM headwater.artifacts a WHERE a.tenant_id = v_tenant AND a.run_id IS NULL
        AND a.artifact_id IN (SELECT u.artifact_id FROM headwater.artifact_uses u WHERE u.tenant_id = v_tenant AND u.thread_id = ANY (v_threads))
    ORDER BY a.artifact_id FOR UPDATE;
    WITH gone AS (
        DELETE FROM headwater.artifacts a WHERE a.tenant_id = v_tenant AND a.run_id IS NULL
            AND a.artifact_id IN (SELECT u.artifact_id FROM headwater.artifact_uses u WHERE u.tenant_id = v_tenant AND u.thread_id = ANY (v_threads))
            AND NOT EXISTS (SELECT 1 FROM headwater.artifact_uses o
                            WHERE o.tenant_id = v_tenant AND o.artifact_id = a.artifact_id AND NOT o.thread_id = ANY (v_threads))
        RETURNING a.artifact_id
    ) DELETE FROM headwater.idempotency WHERE tenant_id = v_tenant AND object IN (SELECT 'art_' || artifact_id FROM gone);
    DELETE FROM headwater.runs WHERE tenant_id = v_tenant AND thread_id = ANY (v_threads);
    DELETE FROM headwater.threads WHERE tenant_id = v_tenant AND thread_id = ANY (v_threads);
END $$;
SET ROLE @owner@;
