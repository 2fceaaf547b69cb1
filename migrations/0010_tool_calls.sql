-- Calls of tools, and runs that wait for somebody to answer one.

-- A call that a model made, from when readers can see it. Its answer is here before it is in the log, because whoever
-- answers owns no run.
CREATE TABLE headwater.tool_calls (
    tenant_id   uuid NOT NULL,
    call_id     uuid NOT NULL,
    run_id      uuid NOT NULL,
    user_id     uuid NOT NULL,
    step        int NOT NULL,
    -- Its place among the calls of its step.
    position    int NOT NULL,
    name        text NOT NULL,
    -- NULL: the model has named a tool that there is not.
    kind        text,
    effect      text,
    -- NULL: what the model gave was no JSON.
    args        jsonb,
    status      text NOT NULL CHECK (status IN ('pending', 'completed', 'failed', 'denied')),
    output      jsonb,
    error       jsonb,
    -- Until when it may be answered.
    expires_at  timestamptz,
    created_at  timestamptz NOT NULL,
    answered_at timestamptz,
    PRIMARY KEY (tenant_id, call_id),
    FOREIGN KEY (tenant_id, run_id) REFERENCES headwater.runs ON DELETE CASCADE
);
CREATE INDEX tool_calls_of_run ON headwater.tool_calls (run_id, step, position);
CREATE INDEX tool_calls_expiring ON headwater.tool_calls (expires_at) WHERE status = 'pending';
SELECT headwater_sys.wall('headwater.tool_calls', 'user_id');
GRANT SELECT, INSERT, UPDATE (status, output, error, answered_at) ON headwater.tool_calls TO @app@;
GRANT SELECT (tenant_id, run_id, status, expires_at) ON headwater.tool_calls TO @dispatch@;
CREATE POLICY dispatch_wakes ON headwater.tool_calls FOR SELECT TO @dispatch@ USING (status = 'pending');

-- Of a suspended run: what it waited for is there, and it is for somebody to go on with it.
ALTER TABLE headwater.runs ADD COLUMN woken boolean NOT NULL DEFAULT false;
GRANT SELECT (woken), UPDATE (woken) ON headwater.runs TO @app@;
GRANT SELECT (woken), UPDATE (woken) ON headwater.runs TO @dispatch@;

-- See 0007_busy_threads.sql. New: calls; a run that suspends, unless it has nothing to wait for any more (HW006).
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
        IF p_writes ? 'calls' THEN
            INSERT INTO headwater.tool_calls (tenant_id, call_id, run_id, user_id, step, position, name, kind, effect, args,
                                              status, output, error, expires_at, created_at, answered_at)
            SELECT v_tenant, x.call_id, p_run, x.user_id, x.step, x.position, x.name, x.kind, x.effect, x.args,
                   x.status, x.output, x.error, x.expires_at, x.created_at, x.answered_at
            FROM jsonb_to_recordset(p_writes->'calls') AS x (call_id uuid, user_id uuid, step int, position int, name text,
                 kind text, effect text, args jsonb, status text, output jsonb, error jsonb, expires_at timestamptz,
                 created_at timestamptz, answered_at timestamptz);
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
        -- The run's row is locked by its log's new end. Whoever answers a call takes that lock too, and so either comes
        -- before and is seen here, or after and finds a run that waits.
        IF NOT p_again AND w->>'status' = 'suspended'
           AND NOT EXISTS (SELECT 1 FROM headwater.tool_calls
                           WHERE tenant_id = v_tenant AND run_id = p_run AND status = 'pending') THEN
            RAISE EXCEPTION 'run % has nothing to wait for', p_run USING ERRCODE = 'HW006';
        END IF;
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
                suspended_at   = CASE WHEN w ? 'status' THEN (w->>'suspended_at')::timestamptz ELSE r.suspended_at END,
                woken          = CASE WHEN w ? 'status' THEN false ELSE r.woken END,
                started_at     = coalesce((w->>'started_at')::timestamptz, r.started_at),
                finished_at    = coalesce((w->>'finished_at')::timestamptz, r.finished_at)
            WHERE r.tenant_id = v_tenant AND r.run_id = p_run;
            IF w->>'status' = 'suspended' THEN
                -- What waits for somebody is nobody's. In a statement of its own: nobody may read the token.
                UPDATE headwater.runs SET owner = NULL, lease_token = NULL WHERE tenant_id = v_tenant AND run_id = p_run;
            END IF;
        END IF;
        IF w ? 'finished_at' THEN
            UPDATE headwater.tool_calls SET status = 'failed', error = p_writes->'unanswered', answered_at = clock_timestamp()
            WHERE tenant_id = v_tenant AND run_id = p_run AND status = 'pending';
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

-- Answers calls of a run of the scope that is set: all of them or none. `refused` says why: `not_found`, `call` with the
-- one concerned. The same answer again is no other answer. `woken`: nothing is waited for any more.
CREATE FUNCTION headwater.answer_calls(p_run uuid, p_answers jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_tenant uuid := headwater.tenant_id();
    v_status text;
    v_call   record;
    a        jsonb;
BEGIN
    -- The same lock as of a commit of the run's owner: see apply_writes.
    SELECT status INTO v_status FROM headwater.runs WHERE tenant_id = v_tenant AND run_id = p_run FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('refused', 'not_found');
    END IF;
    FOR a IN SELECT jsonb_array_elements(p_answers) LOOP
        SELECT c.status, c.kind, c.output, c.error, c.expires_at INTO v_call FROM headwater.tool_calls c
        WHERE c.tenant_id = v_tenant AND c.run_id = p_run AND c.call_id = (a->>'call_id')::uuid;
        IF NOT FOUND OR v_call.kind IS DISTINCT FROM 'client' THEN
            RETURN jsonb_build_object('refused', 'no_call', 'call', a->>'call_id');
        END IF;
        IF v_call.status <> 'pending' THEN
            CONTINUE WHEN v_call.status = a->>'status' AND coalesce(v_call.output, 'null') = coalesce(a->'output', 'null')
                      AND coalesce(v_call.error, 'null') = coalesce(a->'error', 'null');
            RETURN jsonb_build_object('refused', 'answered', 'call', a->>'call_id');
        END IF;
        IF v_call.expires_at <= clock_timestamp() THEN
            RETURN jsonb_build_object('refused', 'expired', 'call', a->>'call_id');
        END IF;
    END LOOP;
    UPDATE headwater.tool_calls c SET status = x.status, output = x.output, error = x.error, answered_at = clock_timestamp()
    FROM jsonb_to_recordset(p_answers) AS x (call_id uuid, status text, output jsonb, error jsonb)
    WHERE c.tenant_id = v_tenant AND c.run_id = p_run AND c.call_id = x.call_id AND c.status = 'pending';
    IF v_status = 'suspended' AND NOT EXISTS (SELECT 1 FROM headwater.tool_calls
                                              WHERE tenant_id = v_tenant AND run_id = p_run AND status = 'pending') THEN
        UPDATE headwater.runs SET woken = true WHERE tenant_id = v_tenant AND run_id = p_run;
        RETURN jsonb_build_object('woken', true);
    END IF;
    RETURN jsonb_build_object('woken', false);
END $$;
REVOKE ALL ON FUNCTION headwater.answer_calls FROM PUBLIC;
GRANT EXECUTE ON FUNCTION headwater.answer_calls TO @app@;

SET ROLE @dispatch@;

-- See 0006_takeover.sql. New: a run that waited for somebody and waits no more is there for everybody.
CREATE OR REPLACE FUNCTION headwater.claim_runs(p_replica uuid, p_lease_ms bigint, p_limit int, p_patient boolean DEFAULT false)
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
               OR ((r.status <> 'suspended' OR r.woken)
                   AND CASE WHEN r.owner IS NULL THEN true
                            ELSE v_lapsed AND NOT EXISTS (SELECT 1 FROM headwater_sys.replicas p WHERE p.replica_id = r.owner) END
                   -- A run that waits behind a living one belongs to whoever ends that.
                   AND NOT EXISTS (SELECT 1 FROM headwater.runs b WHERE b.tenant_id = r.tenant_id AND b.thread_id = r.thread_id
                                     AND b.status IN ('queued', 'running', 'suspended') AND b.ord < r.ord)))
    ), picked AS (
        SELECT r.tenant_id, r.run_id, r.owner IS NOT NULL AND r.status <> 'queued' AS died
        FROM headwater.runs r JOIN orphans o USING (tenant_id, run_id)
        -- Looked at again under the lock: somebody may have been faster.
        WHERE r.status IN ('queued', 'running', 'suspended') AND r.owner IS NOT DISTINCT FROM o.owner
        ORDER BY o.turn, r.run_id LIMIT p_limit FOR UPDATE OF r SKIP LOCKED
    ), taken AS (
        UPDATE headwater.runs r SET owner = p_replica, lease_token = gen_random_uuid(),
            attempt = r.attempt + (r.status <> 'queued')::int,
            -- An owner that lives and was passed over did not die.
            deaths = r.deaths + (p.died AND NOT EXISTS (SELECT 1 FROM headwater_sys.replicas l WHERE l.replica_id = r.owner))::int
        FROM picked p WHERE r.tenant_id = p.tenant_id AND r.run_id = p.run_id
        RETURNING r.tenant_id, r.run_id, r.user_id, r.lease_token, r.status, r.attempt, r.deaths, p.died
    )
    SELECT t.tenant_id, t.run_id, t.user_id, t.lease_token, t.status, t.attempt, t.deaths, t.died, c.actor
    FROM taken t LEFT JOIN headwater.run_cancels c
        ON c.tenant_id = t.tenant_id AND c.run_id = t.run_id AND c.requested_at <= clock_timestamp();
END $$;

-- See 0004_service.sql. New: one that was woken is given back, and counted, like any other.
CREATE OR REPLACE FUNCTION headwater.release_run(p_replica uuid, p_tenant uuid, p_run uuid) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE headwater.runs SET owner = NULL, lease_token = NULL
    WHERE tenant_id = p_tenant AND run_id = p_run AND owner = p_replica AND status IN ('queued', 'running', 'suspended');
    RETURN FOUND;
END $$;

CREATE OR REPLACE FUNCTION headwater.sweep() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (SELECT count(*) FROM headwater.runs r
            WHERE (r.status IN ('queued', 'running') OR r.status = 'suspended' AND r.woken)
              AND NOT EXISTS (SELECT 1 FROM headwater_sys.replicas p WHERE p.replica_id = r.owner AND p.expires_at > clock_timestamp())
              AND NOT EXISTS (SELECT 1 FROM headwater.runs b WHERE b.tenant_id = r.tenant_id AND b.thread_id = r.thread_id
                                AND b.status IN ('queued', 'running', 'suspended') AND b.ord < r.ord));
END $$;

-- Wakes runs of which a call may be answered no longer: whoever goes on with them says so. Returns how many.
CREATE FUNCTION headwater.wake_expired() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_count bigint;
BEGIN
    UPDATE headwater.runs r SET woken = true
    FROM headwater.tool_calls c
    WHERE c.status = 'pending' AND c.expires_at <= clock_timestamp() AND r.tenant_id = c.tenant_id AND r.run_id = c.run_id
      AND r.status = 'suspended' AND NOT r.woken;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_count;
END $$;
REVOKE ALL ON FUNCTION headwater.wake_expired FROM PUBLIC;
GRANT EXECUTE ON FUNCTION headwater.wake_expired TO @app@;
SET ROLE @owner@;
