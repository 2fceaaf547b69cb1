-- A message for a thread that is busy: whoever is under way gives way, goes back, or listens.

-- See 0003_log.sql. New: messages of a step that is done again are withdrawn; what was said to a run joins its step, or
-- keeps it from ending (HW006), or becomes the thread's next run; who leaves takes no next run.
CREATE OR REPLACE FUNCTION headwater.apply_writes(p_replica uuid, p_run uuid, p_writes jsonb, p_again boolean) RETURNS uuid
LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_tenant uuid := headwater.tenant_id();
    v_thread uuid;
    v_next   uuid;
    v_withdraw boolean;
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
        IF p_writes ? 'withdraw' THEN
            UPDATE headwater.messages SET withdrawn = 'reset', status = 'incomplete'
            WHERE tenant_id = v_tenant AND message_id IN (SELECT jsonb_array_elements_text(p_writes->'withdraw')::uuid);
        END IF;
        IF p_writes ? 'joined' THEN
            DELETE FROM headwater.run_inputs
            WHERE tenant_id = v_tenant AND run_id = p_run
              AND input_id IN (SELECT jsonb_array_elements_text(p_writes->'joined')::uuid);
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
            v_thread := (w->>'thread_id')::uuid;
            PERFORM 1 FROM headwater.threads WHERE tenant_id = v_tenant AND thread_id = v_thread FOR NO KEY UPDATE;
            -- Under that lock nothing more can be said to this run. What was said is answered before it is over.
            IF NOT p_again AND w ? 'unless_input'
               AND EXISTS (SELECT 1 FROM headwater.run_inputs WHERE tenant_id = v_tenant AND run_id = p_run) THEN
                RAISE EXCEPTION 'something was said to run %', p_run USING ERRCODE = 'HW006';
            END IF;
        END IF;
        IF NOT p_again THEN
            UPDATE headwater.runs r SET
                status         = coalesce(w->>'status', r.status),
                steps          = coalesce((w->>'steps')::int, r.steps),
                input_messages = CASE WHEN w ? 'input_messages' THEN r.input_messages
                                     || ARRAY(SELECT jsonb_array_elements_text(w->'input_messages')::uuid) ELSE r.input_messages END,
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
            DELETE FROM headwater.run_cancels WHERE tenant_id = v_tenant AND run_id = p_run RETURNING withdraw INTO v_withdraw;
            IF v_withdraw THEN
                UPDATE headwater.messages SET withdrawn = 'rollback'
                WHERE tenant_id = v_tenant AND thread_id = v_thread AND run_id = p_run AND withdrawn IS NULL;
            END IF;
            -- Of a run that ends only when nothing is unread there is nothing left: it was looked for above.
            IF NOT p_again AND NOT w ? 'unless_input' THEN
                PERFORM headwater.requeue_inputs(p_replica, p_run);
            END IF;
            SELECT r.run_id INTO v_next FROM headwater.runs r
            WHERE r.tenant_id = v_tenant AND r.thread_id = v_thread AND r.status NOT IN ('completed', 'failed', 'cancelled')
            ORDER BY r.ord LIMIT 1;
            -- A replica that is about to leave takes nothing more: the next run is there for the others.
            IF NOT FOUND OR w ? 'leave_next' THEN
                v_next := NULL;
            ELSE
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

-- See 0003_log.sql. p_first: the log's first segment, kept with what is said to a run that is under way. New: `steered`
-- answers where it went; `gives_way` which runs were asked to end, in the order in which to end them.
DROP FUNCTION headwater.create_run(uuid, jsonb);
CREATE FUNCTION headwater.create_run(p_replica uuid, p jsonb, p_first text) RETURNS jsonb
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

        v_starts := v_after IS NULL AND (p->>'start')::boolean;
        INSERT INTO headwater.messages (tenant_id, message_id, thread_id, user_id, run_id, ord, role, status, content, created_at, completed_at)
        VALUES (v_tenant, (p->>'message_id')::uuid, v_thread, v_user, v_run, v_ord, 'user', 'completed', p->'content', v_at, v_at);
        INSERT INTO headwater.runs (tenant_id, run_id, thread_id, user_id, agent_id, agent_version, ord, status, owner, lease_token,
            tail, model, priority, on_conflict, on_disconnect, disconnect_grace_ms, visibility, overrides, input_messages, after_run, external_id,
            metadata, created_at, started_at)
        VALUES (v_tenant, v_run, v_thread, v_user, (p->>'agent_id')::uuid, (p->>'agent_version')::int, v_ord,
            CASE WHEN v_starts THEN 'running' ELSE 'queued' END,
            p_replica, (p->>'token')::uuid,
            CASE WHEN v_starts THEN (p->>'started_to')::bigint ELSE 1 END,
            p->>'model', p->>'priority', p->>'on_conflict', p->>'on_disconnect',
            coalesce((p->>'disconnect_grace_ms')::bigint, 30000), p->'visibility', p->'overrides',
            ARRAY[(p->>'message_id')::uuid], v_after, p->>'external_id', p->'metadata',
            v_at, CASE WHEN v_starts THEN v_at END);
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

CREATE OR REPLACE FUNCTION headwater.create_runs(
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
        r := headwater.create_run(p_replica, p_params[i], p_first[i]);
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

-- What was said to a run that is over before a step took it: the thread's next runs, in the transaction of the end.
CREATE FUNCTION headwater.requeue_inputs(p_replica uuid, p_run uuid) RETURNS void
LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_tenant uuid := headwater.tenant_id();
    i        record;
    r        jsonb;
BEGIN
    FOR i IN SELECT * FROM headwater.run_inputs WHERE tenant_id = v_tenant AND run_id = p_run ORDER BY input_id LOOP
        DELETE FROM headwater.run_inputs WHERE tenant_id = v_tenant AND input_id = i.input_id;
        r := headwater.create_run(p_replica, i.params || '{"requeued":true,"start":false}', i.segment);
        -- Nobody waits for an answer: of a user who was blocked meanwhile nothing is begun.
        CONTINUE WHEN NOT r ? 'created';
        PERFORM headwater.append_first(p_replica, ARRAY[v_tenant], ARRAY[i.input_id], ARRAY[(i.params->>'token')::uuid],
            ARRAY[1::bigint], ARRAY[CASE WHEN r->>'after_run' IS NULL THEN i.segment
                ELSE replace(i.segment, '"after_run":null}', '"after_run":"run_' || (r->>'after_run') || '"}') END]);
        UPDATE headwater.runs SET owner = NULL, lease_token = NULL WHERE tenant_id = v_tenant AND run_id = i.input_id;
    END LOOP;
END $$;

GRANT EXECUTE ON FUNCTION headwater.create_run, headwater.requeue_inputs TO @app@;
