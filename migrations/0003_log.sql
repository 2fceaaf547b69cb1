-- The two ways into the log, and no third: deltas by the group flush, everything else with the state it tells of.

-- Appends segments to runs that this replica owns; answers one verdict per segment, in order:
--   ok     appended
--   done   this very segment stands there already (an answer was lost on the way, and the caller asked again)
--   stale  another owner, another token, or not the next in order
--   ended  the run is over
--   gone   there is no such run
-- It never raises for a row. The fence: the own replica row is locked first, and owner and token are compared in a
-- second statement, which sees what was committed before the lock was had; whoever takes a run over locks that row
-- FOR UPDATE, and so waits for the flush in flight.
CREATE FUNCTION headwater.append_events(
    p_replica uuid, p_tenants uuid[], p_runs uuid[], p_tokens uuid[], p_from bigint[], p_to bigint[], p_segments text[]
) RETURNS text[] LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
DECLARE
    v_verdicts text[];
BEGIN
    PERFORM 1 FROM headwater_sys.replicas WHERE replica_id = p_replica FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN array_fill('stale'::text, ARRAY[coalesce(array_length(p_runs, 1), 0)]);
    END IF;

    WITH given AS (
        SELECT * FROM unnest(p_tenants, p_runs, p_tokens, p_from, p_to, p_segments)
            WITH ORDINALITY AS g (tenant_id, run_id, token, seq_from, seq_to, events, i)
    ), moved AS (
        UPDATE headwater.runs r SET tail = g.seq_to
        FROM given g
        WHERE r.tenant_id = g.tenant_id AND r.run_id = g.run_id
          AND r.owner = p_replica AND r.lease_token = g.token
          -- Said this way, and not as the live ones, so that the index of the live ones is not taken for the key: with it
          -- every row of a flush looked at every live run of the replica.
          AND r.status NOT IN ('completed', 'failed', 'cancelled')
          AND r.tail = g.seq_from - 1
          -- A misaligned array can never print one tenant's words in another's stream.
          AND starts_with(g.events, g.tenant_id::text || ' ' || g.run_id::text || E'\n')
        RETURNING g.i
    ), written AS (
        INSERT INTO headwater.run_events (tenant_id, run_id, seq_from, seq_to, events)
        SELECT g.tenant_id, g.run_id, g.seq_from, g.seq_to, g.events FROM given g JOIN moved m USING (i)
    )
    SELECT array_agg(CASE WHEN m.i IS NOT NULL THEN 'ok' END ORDER BY g.i)
    INTO v_verdicts
    FROM given g LEFT JOIN moved m USING (i);

    -- Nearly always all is well; only what is not is looked at again.
    IF array_position(v_verdicts, NULL) IS NOT NULL THEN
        SELECT array_agg(coalesce(v_verdicts[g.i], CASE
                   WHEN r.run_id IS NULL THEN 'gone'
                   WHEN r.owner = p_replica AND r.lease_token = g.token AND r.tail = g.seq_to AND e.events = g.events THEN 'done'
                   WHEN r.status IN ('completed', 'failed', 'cancelled') THEN 'ended'
                   ELSE 'stale' END) ORDER BY g.i)
        INTO v_verdicts
        FROM unnest(p_tenants, p_runs, p_tokens, p_from, p_to, p_segments)
                 WITH ORDINALITY AS g (tenant_id, run_id, token, seq_from, seq_to, events, i)
        LEFT JOIN headwater.runs r ON r.tenant_id = g.tenant_id AND r.run_id = g.run_id
        LEFT JOIN headwater.run_events e
               ON e.tenant_id = g.tenant_id AND e.run_id = g.run_id AND e.seq_from = g.seq_from;
    END IF;
    RETURN v_verdicts;
END $$;

GRANT SELECT (tenant_id, run_id, owner, lease_token, status, tail), UPDATE (tail) ON headwater.runs TO @append@;
GRANT SELECT, INSERT ON headwater.run_events TO @append@;
GRANT SELECT (replica_id), UPDATE (started_at) ON headwater_sys.replicas TO @append@;
CREATE POLICY append_finds ON headwater.runs FOR SELECT TO @append@ USING (true);
CREATE POLICY append_moves ON headwater.runs FOR UPDATE TO @append@ USING (true) WITH CHECK (true);
CREATE POLICY append_writes ON headwater.run_events FOR INSERT TO @append@ WITH CHECK (true);
CREATE POLICY append_compares ON headwater.run_events FOR SELECT TO @append@ USING (true);
CREATE POLICY append_finds ON headwater_sys.replicas FOR SELECT TO @append@ USING (true);
CREATE POLICY append_locks ON headwater_sys.replicas FOR UPDATE TO @append@ USING (true) WITH CHECK (true);

-- The first segments of runs that the caller's own transaction has just made, with their tails set already. Nobody else
-- can know of them yet; the fence holds for them as for every append. Raises unless all of them were written.
CREATE FUNCTION headwater.append_first(
    p_replica uuid, p_tenants uuid[], p_runs uuid[], p_tokens uuid[], p_to bigint[], p_segments text[]
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
DECLARE
    v_written bigint;
BEGIN
    PERFORM 1 FROM headwater_sys.replicas WHERE replica_id = p_replica FOR KEY SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'this replica may not write any more' USING ERRCODE = 'HW002';
    END IF;
    INSERT INTO headwater.run_events (tenant_id, run_id, seq_from, seq_to, events)
    SELECT r.tenant_id, r.run_id, 1, r.tail, g.events
    FROM unnest(p_tenants, p_runs, p_tokens, p_to, p_segments) AS g (tenant_id, run_id, token, seq_to, events)
    JOIN headwater.runs r ON r.tenant_id = g.tenant_id AND r.run_id = g.run_id
    WHERE r.owner = p_replica AND r.lease_token = g.token AND r.tail = g.seq_to
      AND starts_with(g.events, g.tenant_id::text || ' ' || g.run_id::text || E'\n');
    GET DIAGNOSTICS v_written = ROW_COUNT;
    IF v_written <> array_length(p_runs, 1) THEN
        RAISE EXCEPTION 'a new run and its first events do not fit together' USING ERRCODE = 'HW005';
    END IF;
END $$;

-- Writes the state that a segment tells of. Runs as @app@ under the scope that the caller has set, so the wall holds
-- for every row of it. p_writes: {"messages":[…],"step":{…},"usage":[…],"run":{…}}, each optional. At the end of a run
-- it takes the next one that waits on the thread for this replica and answers its id.
CREATE FUNCTION headwater.apply_writes(p_replica uuid, p_run uuid, p_writes jsonb, p_again boolean) RETURNS uuid
LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_tenant uuid := headwater.tenant_id();
    v_thread uuid;
    v_next   uuid;
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
        IF w ? 'finished_at' THEN
            -- The thread's row first: a run that is just being queued behind this one waits, and then sees its end.
            PERFORM 1 FROM headwater.threads WHERE tenant_id = v_tenant AND thread_id = (w->>'thread_id')::uuid FOR NO KEY UPDATE;
        END IF;
        IF NOT p_again THEN
            UPDATE headwater.runs r SET
                status         = coalesce(w->>'status', r.status),
                steps          = coalesce((w->>'steps')::int, r.steps),
                usage          = CASE WHEN w ? 'usage' THEN ARRAY(SELECT jsonb_array_elements_text(w->'usage')::bigint) ELSE r.usage END,
                cost_nano_usd  = CASE WHEN w ? 'cost_nano_usd' THEN (w->>'cost_nano_usd')::bigint ELSE r.cost_nano_usd END,
                cost_estimated = coalesce((w->>'cost_estimated')::boolean, r.cost_estimated),
                result         = coalesce(nullif(w->'result', 'null'), r.result),
                error          = coalesce(nullif(w->'error', 'null'), r.error),
                cancel_requested_at = coalesce((w->>'cancel_requested_at')::timestamptz, r.cancel_requested_at),
                started_at     = coalesce((w->>'started_at')::timestamptz, r.started_at),
                finished_at    = coalesce((w->>'finished_at')::timestamptz, r.finished_at)
            WHERE r.tenant_id = v_tenant AND r.run_id = p_run;
        END IF;
        IF w ? 'finished_at' THEN
            v_thread := (w->>'thread_id')::uuid;
            SELECT r.run_id INTO v_next FROM headwater.runs r
            WHERE r.tenant_id = v_tenant AND r.thread_id = v_thread AND r.status NOT IN ('completed', 'failed', 'cancelled')
            ORDER BY r.ord LIMIT 1;
            IF FOUND THEN
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

-- One flush: segments of many runs and tenants, with the state that some of them tell of. Each row's scope is set in
-- turn, so the wall holds for every row. It is one statement, and so one transaction; if anything in it fails, nothing
-- of it happened, and the caller tries the rows one by one.
CREATE FUNCTION headwater.commit_batch(
    p_replica uuid, p_tenants uuid[], p_users uuid[], p_runs uuid[], p_tokens uuid[], p_from bigint[], p_to bigint[],
    p_segments text[], p_writes jsonb[], OUT verdicts text[], OUT next_runs uuid[]
) LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    i int;
BEGIN
    verdicts := headwater.append_events(p_replica, p_tenants, p_runs, p_tokens, p_from, p_to, p_segments);
    next_runs := array_fill(NULL::uuid, ARRAY[array_length(p_runs, 1)]);
    FOR i IN 1 .. array_length(p_runs, 1) LOOP
        IF p_writes[i] IS NOT NULL AND verdicts[i] IN ('ok', 'done') THEN
            PERFORM set_config('headwater.tenant_id', p_tenants[i]::text, true),
                    set_config('headwater.user_id', p_users[i]::text, true);
            next_runs[i] := headwater.apply_writes(p_replica, p_runs[i], p_writes[i], verdicts[i] = 'done');
        END IF;
    END LOOP;
END $$;

-- Accepts one run under the scope that is set: thread, message, run, and what a repeated request must find again.
-- Answers {"created":…} or {"refused":…}; a refusal leaves nothing behind. The log's first events are appended by
-- create_runs, for all of its runs at once.
CREATE FUNCTION headwater.create_run(p_replica uuid, p jsonb) RETURNS jsonb
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
    v_status text;
    r        jsonb;
BEGIN
    -- The answer to an earlier attempt of this very call was lost on the way.
    SELECT ord, after_run, status INTO v_kept FROM headwater.runs WHERE tenant_id = v_tenant AND run_id = v_run;
    IF FOUND THEN
        RETURN jsonb_build_object('created', true, 'ord', v_kept.ord, 'after_run', v_kept.after_run, 'again', true,
                                  'status', v_kept.status);
    END IF;

    IF p ? 'idempotency_key' THEN
        DELETE FROM headwater.idempotency WHERE tenant_id = v_tenant AND actor = (p->>'actor')::uuid
            AND key = p->>'idempotency_key' AND created_at < clock_timestamp() - interval '24 hours';
        INSERT INTO headwater.idempotency (tenant_id, actor, key, fingerprint, status, object, created_at)
        VALUES (v_tenant, (p->>'actor')::uuid, p->>'idempotency_key', decode(p->>'fingerprint', 'hex'), 201, v_run::text, v_at)
        ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            SELECT i.fingerprint, i.object INTO v_kept FROM headwater.idempotency i
            WHERE i.tenant_id = v_tenant AND i.actor = (p->>'actor')::uuid AND i.key = p->>'idempotency_key';
            IF v_kept.fingerprint = decode(p->>'fingerprint', 'hex') THEN
                RETURN jsonb_build_object('replay', v_kept.object);
            END IF;
            RETURN jsonb_build_object('refused', 'idempotency_mismatch');
        END IF;
    END IF;

    <<checks>> BEGIN
        SELECT status INTO v_status FROM headwater.users WHERE tenant_id = v_tenant AND user_id = v_user;
        IF NOT FOUND OR v_status <> 'active' THEN
            r := jsonb_build_object('refused', CASE WHEN v_status IS NULL THEN 'not_found' ELSE 'user_blocked' END);
            EXIT checks;
        END IF;
        PERFORM 1 FROM headwater.agents
        WHERE tenant_id = v_tenant AND agent_id = (p->>'agent_id')::uuid AND archived_at IS NULL
          AND active_version = (p->>'active_version')::int AND name = p->>'agent_name';
        IF NOT FOUND THEN
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
        IF (p->>'new_thread')::boolean THEN
            v_ord := 1;
            INSERT INTO headwater.threads (tenant_id, thread_id, user_id, external_id, metadata, last_ord, created_at, updated_at)
            VALUES (v_tenant, v_thread, v_user, p->>'thread_external_id', p->'thread_metadata', 1, v_at, v_at)
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
            SELECT count(*), (array_agg(run_id ORDER BY ord DESC))[1], (array_agg(run_id ORDER BY ord))[1]
            INTO v_live, v_after, v_active
            FROM headwater.runs
            WHERE tenant_id = v_tenant AND thread_id = v_thread AND status NOT IN ('completed', 'failed', 'cancelled');
            IF v_live > 0 AND p->>'on_conflict' = 'reject' THEN
                r := jsonb_build_object('refused', 'thread_busy', 'active_run', 'run_' || v_active);
                EXIT checks;
            END IF;
            -- One is under way, the others wait.
            IF v_live > (p->>'max_queued')::int THEN
                r := jsonb_build_object('refused', 'too_many_runs', 'limit', (p->>'max_queued')::int);
                EXIT checks;
            END IF;
            UPDATE headwater.threads SET last_ord = last_ord + 1, updated_at = v_at
            WHERE tenant_id = v_tenant AND thread_id = v_thread RETURNING last_ord INTO v_ord;
        END IF;

        v_starts := v_after IS NULL AND (p->>'start')::boolean;
        INSERT INTO headwater.messages (tenant_id, message_id, thread_id, user_id, run_id, ord, role, status, content, created_at, completed_at)
        VALUES (v_tenant, (p->>'message_id')::uuid, v_thread, v_user, v_run, v_ord, 'user', 'completed', p->'content', v_at, v_at);
        INSERT INTO headwater.runs (tenant_id, run_id, thread_id, user_id, agent_id, agent_version, ord, status, owner, lease_token,
            tail, model, priority, on_conflict, on_disconnect, visibility, overrides, input_messages, after_run, external_id,
            metadata, created_at, started_at)
        VALUES (v_tenant, v_run, v_thread, v_user, (p->>'agent_id')::uuid, (p->>'agent_version')::int, v_ord,
            CASE WHEN v_starts THEN 'running' ELSE 'queued' END,
            p_replica, (p->>'token')::uuid,
            CASE WHEN v_starts THEN (p->>'started_to')::bigint ELSE 1 END,
            p->>'model', p->>'priority', p->>'on_conflict', p->>'on_disconnect', p->'visibility', p->'overrides',
            ARRAY[(p->>'message_id')::uuid], v_after, p->>'external_id', p->'metadata',
            v_at, CASE WHEN v_starts THEN v_at END);
        RETURN jsonb_build_object('created', true, 'ord', v_ord, 'after_run', v_after,
                                  'status', CASE WHEN v_starts THEN 'running' ELSE 'queued' END);
    END;

    -- Refused: nothing may remain that would be remembered.
    IF p ? 'idempotency_key' THEN
        DELETE FROM headwater.idempotency
        WHERE tenant_id = v_tenant AND actor = (p->>'actor')::uuid AND key = p->>'idempotency_key';
    END IF;
    RETURN r;
END $$;

-- Accepts several runs of several tenants in one transaction. p_first: the segment that holds run.queued alone;
-- p_started: the one that also holds the events of the loop's beginning, up to p_to.
CREATE FUNCTION headwater.create_runs(
    p_replica uuid, p_tenants uuid[], p_users uuid[], p_params jsonb[], p_first text[], p_started text[]
) RETURNS jsonb[] LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_answers  jsonb[] := '{}';
    v_tenants  uuid[] := '{}';
    v_runs     uuid[] := '{}';
    v_tokens   uuid[] := '{}';
    v_to       bigint[] := '{}';
    v_segments text[] := '{}';
    v_segment  text;
    r          jsonb;
    i          int;
BEGIN
    FOR i IN 1 .. array_length(p_params, 1) LOOP
        PERFORM set_config('headwater.tenant_id', p_tenants[i]::text, true),
                set_config('headwater.user_id', p_users[i]::text, true);
        r := headwater.create_run(p_replica, p_params[i]);
        v_answers := v_answers || r;
        IF r ? 'created' AND NOT r ? 'again' THEN
            v_segment := CASE WHEN r->>'status' = 'running' THEN p_started[i] ELSE p_first[i] END;
            IF r->>'after_run' IS NOT NULL THEN
                -- Only here is it known behind which run it waits; `after_run` is the event's last field.
                v_segment := replace(v_segment, '"after_run":null}', '"after_run":"run_' || (r->>'after_run') || '"}');
            END IF;
            v_tenants := v_tenants || p_tenants[i];
            v_runs := v_runs || (p_params[i]->>'run_id')::uuid;
            v_tokens := v_tokens || (p_params[i]->>'token')::uuid;
            v_to := v_to || CASE WHEN r->>'status' = 'running' THEN (p_params[i]->>'started_to')::bigint ELSE 1 END;
            v_segments := v_segments || v_segment;
        END IF;
    END LOOP;
    IF array_length(v_runs, 1) > 0 THEN
        PERFORM headwater.append_first(p_replica, v_tenants, v_runs, v_tokens, v_to, v_segments);
    END IF;
    -- What waits behind another run has no owner: whoever ends that run takes it.
    FOR i IN 1 .. array_length(p_params, 1) LOOP
        IF v_answers[i] ? 'created' AND NOT v_answers[i] ? 'again' AND v_answers[i]->>'after_run' IS NOT NULL THEN
            PERFORM set_config('headwater.tenant_id', p_tenants[i]::text, true),
                    set_config('headwater.user_id', p_users[i]::text, true);
            UPDATE headwater.runs SET owner = NULL, lease_token = NULL
            WHERE tenant_id = p_tenants[i] AND run_id = (p_params[i]->>'run_id')::uuid;
        END IF;
    END LOOP;
    RETURN v_answers;
END $$;

-- Rewrites the log of a finished run of the scope that is set into few segments, byte for byte the same events.
-- Readers between two segments notice nothing: they ask for what comes after a sequence number.
CREATE FUNCTION headwater.pack_run(p_run uuid) RETURNS int LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_tenant uuid := headwater.tenant_id();
    v_header text;
    v_before int;
    v_after  int;
BEGIN
    -- Locked, so that whoever erases the run waits and then finds what was written here.
    PERFORM 1 FROM headwater.runs WHERE tenant_id = v_tenant AND run_id = p_run AND status IN ('completed', 'failed', 'cancelled')
    FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    v_header := v_tenant::text || ' ' || p_run::text || E'\n';
    WITH old AS (
        DELETE FROM headwater.run_events WHERE tenant_id = v_tenant AND run_id = p_run RETURNING seq_from, seq_to, events
    ), sized AS (
        -- At most 256 KiB together, so that a page of the log stays a page.
        SELECT o.*, sum(octet_length(events)) OVER (ORDER BY seq_from) / 262144 AS part FROM old o
    ), packed AS (
        INSERT INTO headwater.run_events (tenant_id, run_id, seq_from, seq_to, events)
        SELECT v_tenant, p_run, min(seq_from), max(seq_to), v_header || string_agg(substr(events, length(v_header) + 1), '' ORDER BY seq_from)
        FROM sized GROUP BY part RETURNING 1
    )
    SELECT (SELECT count(*) FROM old), (SELECT count(*) FROM packed) INTO v_before, v_after;
    RETURN v_before - v_after;
END $$;
GRANT DELETE ON headwater.run_events TO @append@;
CREATE POLICY append_packs ON headwater.run_events FOR DELETE TO @append@ USING (tenant_id = (SELECT headwater.tenant_id()));
