-- Approvals: a person decides whether a call is carried out. And calls that this server carries out itself.

-- `asked`: somebody is to decide. `pending`: the tenant's application is to answer. `ready`: the run's owner is to carry it
-- out. `started`: it has begun to, and whether it came to an end only it knows.
ALTER TABLE headwater.tool_calls DROP CONSTRAINT tool_calls_status_check;
ALTER TABLE headwater.tool_calls ADD CONSTRAINT tool_calls_status_check
    CHECK (status IN ('asked', 'pending', 'ready', 'started', 'completed', 'failed', 'denied'));
-- `ttl_ms`: how long an answer of the tenant's application is waited for, from when it may be given.
-- `approval_id`: the last one that was asked for. `started_at`: when its owner began to carry it out.
-- `artifact_id`: the whole of an answer of which `output` is an excerpt.
ALTER TABLE headwater.tool_calls ADD COLUMN ttl_ms bigint, ADD COLUMN approval_id uuid, ADD COLUMN started_at timestamptz,
    ADD COLUMN artifact_id uuid;
GRANT UPDATE (approval_id, started_at, expires_at, artifact_id) ON headwater.tool_calls TO @app@;
DROP INDEX headwater.tool_calls_expiring;
CREATE INDEX tool_calls_expiring ON headwater.tool_calls (expires_at) WHERE status IN ('asked', 'pending');
ALTER POLICY dispatch_wakes ON headwater.tool_calls USING (status IN ('asked', 'pending'));

CREATE TABLE headwater.approvals (
    tenant_id   uuid NOT NULL,
    approval_id uuid NOT NULL,
    run_id      uuid NOT NULL,
    thread_id   uuid NOT NULL,
    user_id     uuid NOT NULL,
    agent_id    uuid NOT NULL,
    call_id     uuid NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('tool', 'unknown_outcome')),
    name        text NOT NULL,
    args        jsonb NOT NULL,
    -- Of `args`, or once they were edited of those: what is carried out is what was decided.
    args_hash   text NOT NULL,
    message     text NOT NULL,
    schema      jsonb NOT NULL,
    deciders    text[] NOT NULL,
    status      text NOT NULL CHECK (status IN ('pending', 'approved', 'denied', 'cancelled', 'expired')),
    edited_args jsonb,
    comment     text,
    remember    text CHECK (remember IN ('call', 'thread')),
    -- Of an unknown outcome: what is known to have happened.
    output      jsonb,
    decided_by  jsonb,
    expires_at  timestamptz NOT NULL,
    created_at  timestamptz NOT NULL,
    decided_at  timestamptz,
    PRIMARY KEY (tenant_id, approval_id),
    FOREIGN KEY (tenant_id, run_id) REFERENCES headwater.runs ON DELETE CASCADE
);
CREATE INDEX approvals_of_run ON headwater.approvals (run_id);
CREATE INDEX approvals_of_user ON headwater.approvals (tenant_id, user_id, approval_id);
CREATE INDEX approvals_pending ON headwater.approvals (tenant_id, approval_id) WHERE status = 'pending';
CREATE INDEX approvals_remembered ON headwater.approvals (thread_id) WHERE remember = 'thread';
SELECT headwater_sys.wall('headwater.approvals', 'user_id');
GRANT SELECT, INSERT, UPDATE (status, args_hash, edited_args, comment, remember, output, decided_by, decided_at)
    ON headwater.approvals TO @app@;

-- See 0010_tool_calls.sql. New: approvals; calls that are carried out here; a run suspends only if it waits for exactly
-- what its owner believes it waits for (HW006).
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
                                              status, output, error, ttl_ms, approval_id, expires_at, created_at, answered_at)
            SELECT v_tenant, x.call_id, p_run, x.user_id, x.step, x.position, x.name, x.kind, x.effect, x.args,
                   x.status, x.output, x.error, x.ttl_ms, x.approval_id, x.expires_at, x.created_at, x.answered_at
            FROM jsonb_to_recordset(p_writes->'calls') AS x (call_id uuid, user_id uuid, step int, position int, name text,
                 kind text, effect text, args jsonb, status text, output jsonb, error jsonb, ttl_ms bigint, approval_id uuid,
                 expires_at timestamptz, created_at timestamptz, answered_at timestamptz);
        END IF;
        IF p_writes ? 'call_changes' THEN
            UPDATE headwater.tool_calls c SET status = x.status, output = x.output, error = x.error,
                started_at = CASE WHEN x.started THEN clock_timestamp() ELSE c.started_at END, answered_at = x.answered_at,
                approval_id = coalesce(x.approval_id, c.approval_id), expires_at = x.expires_at, artifact_id = x.artifact_id
            FROM jsonb_to_recordset(p_writes->'call_changes') AS x (call_id uuid, status text, output jsonb, error jsonb,
                 started boolean, answered_at timestamptz, approval_id uuid, expires_at timestamptz, artifact_id uuid)
            WHERE c.tenant_id = v_tenant AND c.run_id = p_run AND c.call_id = x.call_id;
        END IF;
        IF p_writes ? 'approvals' THEN
            INSERT INTO headwater.approvals (tenant_id, approval_id, run_id, thread_id, user_id, agent_id, call_id, kind, name,
                args, args_hash, message, schema, deciders, status, expires_at, created_at)
            SELECT v_tenant, x.approval_id, p_run, x.thread_id, x.user_id, x.agent_id, x.call_id, x.kind, x.name,
                x.args, x.args_hash, x.message, x.schema, x.deciders, 'pending', x.expires_at, x.created_at
            FROM jsonb_to_recordset(p_writes->'approvals') AS x (approval_id uuid, thread_id uuid, user_id uuid, agent_id uuid,
                 call_id uuid, kind text, name text, args jsonb, args_hash text, message text, schema jsonb, deciders text[],
                 expires_at timestamptz, created_at timestamptz);
        END IF;
        IF p_writes ? 'expired' THEN
            UPDATE headwater.approvals SET status = 'expired', decided_at = clock_timestamp(),
                decided_by = '{"type": "system", "id": null, "reason": "expired"}'
            WHERE tenant_id = v_tenant AND run_id = p_run AND status = 'pending'
              AND approval_id IN (SELECT jsonb_array_elements_text(p_writes->'expired')::uuid);
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
        -- The run's row is locked by its log's new end. Whoever answers or decides takes that lock too, and so either comes
        -- before and is seen here, or after and finds a run that waits.
        -- A process of the release before says only that it waits.
        IF NOT p_again AND w->>'status' = 'suspended'
           AND (CASE WHEN w ? 'waits_for' THEN w->'waits_for' IS DISTINCT FROM (
                   SELECT coalesce(jsonb_object_agg(call_id, status), '{}') FROM headwater.tool_calls
                   WHERE tenant_id = v_tenant AND run_id = p_run AND status IN ('asked', 'pending'))
               ELSE NOT EXISTS (SELECT 1 FROM headwater.tool_calls
                                WHERE tenant_id = v_tenant AND run_id = p_run AND status = 'pending') END) THEN
            RAISE EXCEPTION 'run % waits for something else', p_run USING ERRCODE = 'HW006';
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
            WHERE tenant_id = v_tenant AND run_id = p_run AND status IN ('asked', 'pending', 'ready', 'started');
            UPDATE headwater.approvals SET status = 'cancelled', decided_at = clock_timestamp()
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

-- See 0010_tool_calls.sql. New: a run may wait for decisions too.
-- Answers calls of a run of the scope that is set: all of them or none. `refused` says why: `not_found`, `call` with the
-- one concerned. The same answer again is no other answer. `woken`: nothing is waited for any more.
CREATE OR REPLACE FUNCTION headwater.answer_calls(p_run uuid, p_answers jsonb) RETURNS jsonb
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
        IF v_call.status = 'asked' THEN
            -- Not permitted yet.
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
                                              WHERE tenant_id = v_tenant AND run_id = p_run AND status IN ('asked', 'pending')) THEN
        UPDATE headwater.runs SET woken = true WHERE tenant_id = v_tenant AND run_id = p_run;
        RETURN jsonb_build_object('woken', true);
    END IF;
    RETURN jsonb_build_object('woken', false);
END $$;
-- Decides an approval of a run of the scope that is set. `p_as`: whether a user decides or the tenant. `refused` says why:
-- `not_found`, `not_decider`, `finished`, `expired`, `decided`. The same decision again is no other decision.
CREATE FUNCTION headwater.decide(p_run uuid, p_approval uuid, p_as text, p_actor jsonb, p_decision jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_tenant uuid := headwater.tenant_id();
    v_status text;
    a        record;
    v_known  boolean := coalesce(p_decision->'output', 'null') <> 'null';
BEGIN
    -- The same lock as of a commit of the run's owner: see apply_writes.
    SELECT status INTO v_status FROM headwater.runs WHERE tenant_id = v_tenant AND run_id = p_run FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('refused', 'not_found');
    END IF;
    SELECT * INTO a FROM headwater.approvals WHERE tenant_id = v_tenant AND run_id = p_run AND approval_id = p_approval;
    IF NOT FOUND THEN
        RETURN jsonb_build_object('refused', 'not_found');
    END IF;
    IF NOT p_as = ANY (a.deciders) THEN
        RETURN jsonb_build_object('refused', 'not_decider');
    END IF;
    IF a.status = 'expired' THEN
        RETURN jsonb_build_object('refused', 'expired');
    END IF;
    IF a.status <> 'pending' THEN
        IF a.decided_by IS NOT NULL AND a.status = p_decision->>'decision'
           AND coalesce(a.edited_args, 'null') = coalesce(p_decision->'edited_args', 'null')
           AND a.comment IS NOT DISTINCT FROM p_decision->>'comment' AND a.remember = p_decision->>'remember'
           AND coalesce(a.output, 'null') = coalesce(p_decision->'output', 'null') THEN
            RETURN jsonb_build_object('woken', false);
        END IF;
        RETURN jsonb_build_object('refused', CASE WHEN a.decided_by IS NULL THEN 'finished' ELSE 'decided' END);
    END IF;
    IF v_status IN ('completed', 'failed', 'cancelled') THEN
        RETURN jsonb_build_object('refused', 'finished');
    END IF;
    IF a.expires_at <= clock_timestamp() THEN
        RETURN jsonb_build_object('refused', 'expired');
    END IF;
    UPDATE headwater.approvals SET status = p_decision->>'decision', edited_args = nullif(p_decision->'edited_args', 'null'),
        args_hash = coalesce(p_decision->>'args_hash', args_hash), comment = p_decision->>'comment',
        remember = p_decision->>'remember', output = nullif(p_decision->'output', 'null'), decided_by = p_actor,
        decided_at = clock_timestamp()
    WHERE tenant_id = v_tenant AND approval_id = p_approval;
    UPDATE headwater.tool_calls c SET
        status = CASE WHEN p_decision->>'decision' = 'approved' AND c.kind = 'client' THEN 'pending'
                      WHEN p_decision->>'decision' = 'approved' THEN 'ready'
                      WHEN a.kind = 'unknown_outcome' AND v_known THEN 'completed'
                      WHEN a.kind = 'unknown_outcome' THEN 'failed'
                      ELSE 'denied' END,
        output = CASE WHEN a.kind = 'unknown_outcome' AND p_decision->>'decision' <> 'approved'
                      THEN nullif(p_decision->'output', 'null') END,
        error = CASE WHEN a.kind = 'unknown_outcome' AND p_decision->>'decision' <> 'approved' AND NOT v_known
                     THEN p_decision->'unknown' END,
        expires_at = CASE WHEN p_decision->>'decision' = 'approved' AND c.kind = 'client'
                          THEN clock_timestamp() + c.ttl_ms * interval '1 millisecond' END,
        answered_at = CASE WHEN p_decision->>'decision' <> 'approved' THEN clock_timestamp() END
    WHERE c.tenant_id = v_tenant AND c.run_id = p_run AND c.call_id = a.call_id AND c.status = 'asked';
    IF p_decision->>'decision' = 'cancelled' THEN
        INSERT INTO headwater.run_cancels (tenant_id, run_id, user_id, actor)
        VALUES (v_tenant, p_run, a.user_id, p_actor) ON CONFLICT DO NOTHING;
    END IF;
    -- Every decision is told in the log, by whoever goes on with the run.
    IF v_status = 'suspended' THEN
        UPDATE headwater.runs SET woken = true WHERE tenant_id = v_tenant AND run_id = p_run;
    END IF;
    RETURN jsonb_build_object('woken', v_status = 'suspended');
END $$;
REVOKE ALL ON FUNCTION headwater.decide FROM PUBLIC;
GRANT EXECUTE ON FUNCTION headwater.decide TO @app@;

SET ROLE @dispatch@;

-- See 0010_tool_calls.sql. New: decisions come too late too.
-- Wakes runs of which a call may be answered or decided no longer: whoever goes on with them says so. Returns how many.
CREATE OR REPLACE FUNCTION headwater.wake_expired() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_count bigint;
BEGIN
    UPDATE headwater.runs r SET woken = true
    FROM headwater.tool_calls c
    WHERE c.status IN ('asked', 'pending') AND c.expires_at <= clock_timestamp() AND r.tenant_id = c.tenant_id AND r.run_id = c.run_id
      AND r.status = 'suspended' AND NOT r.woken;
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_count;
END $$;
SET ROLE @owner@;
