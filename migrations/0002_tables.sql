-- Tenants' data. Every table has tenant_id first in its primary key, in every unique key and in every foreign key.

CREATE TABLE headwater.tenants (
    tenant_id       uuid PRIMARY KEY,
    name            text NOT NULL,
    status          text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
    plan            text NOT NULL DEFAULT 'default',
    allowed_origins text[] NOT NULL DEFAULT '{}',
    retention_ms    bigint NOT NULL DEFAULT 86400000,
    metadata        jsonb NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL
);
SELECT headwater_sys.wall('headwater.tenants');
GRANT SELECT, UPDATE (name, allowed_origins, retention_ms, metadata, updated_at) ON headwater.tenants TO @app@;

CREATE TABLE headwater.api_keys (
    tenant_id    uuid NOT NULL REFERENCES headwater.tenants ON DELETE CASCADE,
    key_id       uuid NOT NULL,
    name         text NOT NULL,
    -- HMAC-SHA256 of the secret under the server's pepper. The secret itself is nowhere.
    hash         bytea NOT NULL,
    hint         text NOT NULL,
    scopes       text[] NOT NULL,
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz,
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, key_id)
);
CREATE INDEX api_keys_hash ON headwater.api_keys (hash);
SELECT headwater_sys.wall('headwater.api_keys');
-- No grant: a tenant does not manage its own keys, the operator does.

CREATE TABLE headwater.users (
    tenant_id   uuid NOT NULL REFERENCES headwater.tenants ON DELETE CASCADE,
    user_id     uuid NOT NULL,
    external_id text,
    name        text,
    status      text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'blocked')),
    metadata    jsonb NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, user_id),
    UNIQUE (tenant_id, external_id)
);
SELECT headwater_sys.wall('headwater.users', 'user_id');
GRANT SELECT, INSERT, UPDATE (external_id, name, status, metadata, updated_at) ON headwater.users TO @app@;

CREATE TABLE headwater.agents (
    tenant_id      uuid NOT NULL REFERENCES headwater.tenants ON DELETE CASCADE,
    agent_id       uuid NOT NULL,
    name           text NOT NULL,
    version        int NOT NULL,
    active_version int NOT NULL,
    metadata       jsonb NOT NULL DEFAULT '{}',
    archived_at    timestamptz,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, agent_id)
);
-- An archived agent's name is free again.
CREATE UNIQUE INDEX agents_name ON headwater.agents (tenant_id, name) WHERE archived_at IS NULL;
SELECT headwater_sys.wall('headwater.agents');
GRANT SELECT, INSERT, UPDATE (name, version, active_version, metadata, archived_at, updated_at) ON headwater.agents TO @app@;

CREATE TABLE headwater.agent_versions (
    tenant_id  uuid NOT NULL,
    agent_id   uuid NOT NULL,
    version    int NOT NULL,
    config     jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, agent_id, version),
    FOREIGN KEY (tenant_id, agent_id) REFERENCES headwater.agents ON DELETE CASCADE
);
SELECT headwater_sys.wall('headwater.agent_versions');
GRANT SELECT, INSERT ON headwater.agent_versions TO @app@;

CREATE TABLE headwater.threads (
    tenant_id   uuid NOT NULL,
    thread_id   uuid NOT NULL,
    user_id     uuid NOT NULL,
    external_id text,
    title       text,
    metadata    jsonb NOT NULL DEFAULT '{}',
    -- The place of the newest run or imported message. Counted under this row's lock, so that the order of a thread
    -- does not hang on several machines' clocks.
    last_ord    bigint NOT NULL DEFAULT 0,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, thread_id),
    UNIQUE (tenant_id, user_id, external_id),
    FOREIGN KEY (tenant_id, user_id) REFERENCES headwater.users
) WITH (fillfactor = 80);
SELECT headwater_sys.wall('headwater.threads', 'user_id');
GRANT SELECT, INSERT, UPDATE (external_id, title, metadata, last_ord, updated_at) ON headwater.threads TO @app@;

CREATE TABLE headwater.runs (
    tenant_id      uuid NOT NULL,
    run_id         uuid NOT NULL,
    thread_id      uuid NOT NULL,
    user_id        uuid NOT NULL,
    agent_id       uuid NOT NULL,
    agent_version  int NOT NULL,
    ord            bigint NOT NULL,
    status         text NOT NULL CHECK (status IN ('queued', 'running', 'suspended', 'completed', 'failed', 'cancelled')),
    -- The last event of its log. Written by append_events alone.
    tail           bigint NOT NULL DEFAULT 0,
    -- The first event from which nothing is missing.
    log_earliest   bigint NOT NULL DEFAULT 1,
    owner          uuid,
    -- 128 random bits that every append must show. Nobody can read them back.
    lease_token    uuid,
    attempt        int NOT NULL DEFAULT 1,
    steps          int NOT NULL DEFAULT 0,
    model          text NOT NULL,
    priority       text NOT NULL,
    on_conflict    text NOT NULL,
    on_disconnect  text NOT NULL,
    visibility     jsonb NOT NULL,
    overrides      jsonb NOT NULL DEFAULT '{}',
    input_messages uuid[] NOT NULL,
    after_run      uuid,
    external_id    text,
    metadata       jsonb NOT NULL DEFAULT '{}',
    usage          bigint[] NOT NULL DEFAULT '{0,0,0,0,0}',
    -- NULL once a call had no price.
    cost_nano_usd  bigint DEFAULT 0,
    cost_estimated boolean NOT NULL DEFAULT false,
    result         jsonb,
    error          jsonb,
    cancel_requested_at timestamptz,
    created_at     timestamptz NOT NULL,
    started_at     timestamptz,
    suspended_at   timestamptz,
    finished_at    timestamptz,
    PRIMARY KEY (tenant_id, run_id),
    FOREIGN KEY (tenant_id, thread_id) REFERENCES headwater.threads
) WITH (fillfactor = 70);
-- The next two not by tenant first: the planner would take them for the primary key, and these ids are unique alone.
CREATE INDEX runs_of_thread ON headwater.runs (thread_id, ord);
CREATE INDEX runs_of_user ON headwater.runs (user_id, run_id);
CREATE UNIQUE INDEX runs_external_id ON headwater.runs (tenant_id, user_id, external_id) WHERE external_id IS NOT NULL;
-- What may still need an owner: small at all times.
CREATE INDEX runs_live ON headwater.runs (owner) WHERE status IN ('queued', 'running', 'suspended');
-- At most one run of a thread is under way; the others wait.
CREATE UNIQUE INDEX runs_one_active ON headwater.runs (tenant_id, thread_id) WHERE status IN ('running', 'suspended');
SELECT headwater_sys.wall('headwater.runs', 'user_id');
GRANT INSERT ON headwater.runs TO @app@;
GRANT SELECT (tenant_id, run_id, thread_id, user_id, agent_id, agent_version, ord, status, tail, log_earliest, owner, attempt, steps,
              model, priority, on_conflict, on_disconnect, visibility, overrides, input_messages, after_run, external_id,
              metadata, usage, cost_nano_usd, cost_estimated, result, error, cancel_requested_at, created_at, started_at,
              suspended_at, finished_at) ON headwater.runs TO @app@;
GRANT UPDATE (status, owner, lease_token, attempt, steps, usage, cost_nano_usd, cost_estimated, result, error,
              cancel_requested_at, started_at, suspended_at, finished_at) ON headwater.runs TO @app@;

-- A run ends once. This holds whatever the server's code does.
CREATE FUNCTION headwater.runs_end_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'run % has ended', OLD.run_id USING ERRCODE = 'HW001';
END $$;
CREATE TRIGGER runs_end_once BEFORE UPDATE OF status ON headwater.runs FOR EACH ROW
    WHEN (OLD.status IN ('completed', 'failed', 'cancelled') AND NEW.status IS DISTINCT FROM OLD.status)
    EXECUTE FUNCTION headwater.runs_end_once();

CREATE TABLE headwater.messages (
    tenant_id    uuid NOT NULL,
    message_id   uuid NOT NULL,
    thread_id    uuid NOT NULL,
    user_id      uuid NOT NULL,
    run_id       uuid,
    -- The run's place in the thread, or the message's own when it was imported.
    ord          bigint NOT NULL,
    role         text NOT NULL CHECK (role IN ('user', 'assistant', 'tool')),
    status       text NOT NULL CHECK (status IN ('in_progress', 'completed', 'incomplete')),
    agent_id     uuid,
    step         int,
    content      jsonb NOT NULL,
    metadata     jsonb NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL,
    completed_at timestamptz,
    -- No foreign key to the thread: whoever writes a message holds the lock of its run or thread, and erasing takes the
    -- same locks first. Two look-ups per answer saved.
    PRIMARY KEY (tenant_id, message_id)
) WITH (fillfactor = 80);
CREATE INDEX messages_of_thread ON headwater.messages (thread_id, ord, message_id);
SELECT headwater_sys.wall('headwater.messages', 'user_id');
GRANT SELECT, INSERT, UPDATE (status, content, completed_at) ON headwater.messages TO @app@;

-- The journal: what a run has done, step by step, so that no step is ever done twice.
CREATE TABLE headwater.run_steps (
    tenant_id     uuid NOT NULL,
    run_id        uuid NOT NULL,
    step          int NOT NULL,
    user_id       uuid NOT NULL,
    attempt       int NOT NULL,
    message_id    uuid NOT NULL,
    model_call    uuid NOT NULL,
    model         text NOT NULL,
    finish_reason text NOT NULL,
    -- The log's last event when the step was done.
    seq           bigint NOT NULL,
    finished_at   timestamptz NOT NULL,
    -- No foreign key to the run, as for messages.
    PRIMARY KEY (tenant_id, run_id, step)
);
SELECT headwater_sys.wall('headwater.run_steps', 'user_id');
GRANT SELECT, INSERT ON headwater.run_steps TO @app@;

-- The ledger: one row per model call that may have cost something. Append-only, and it outlives threads and users.
CREATE TABLE headwater.usage_calls (
    tenant_id           uuid NOT NULL,
    model_call          uuid NOT NULL,
    run_id              uuid NOT NULL,
    step                int NOT NULL,
    user_id             uuid NOT NULL,
    agent_id            uuid NOT NULL,
    model               text NOT NULL,
    -- input, cached input, cache write, output, reasoning
    usage               bigint[] NOT NULL,
    cost_nano_usd       bigint,
    expected_nano_usd   bigint,
    estimated           boolean NOT NULL,
    outcome             text NOT NULL,
    attempt             int NOT NULL,
    queued_ms           bigint NOT NULL,
    first_token_ms      bigint,
    duration_ms         bigint NOT NULL,
    settled_at          timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, model_call)
);
CREATE INDEX usage_calls_by_time ON headwater.usage_calls (tenant_id, settled_at);
SELECT headwater_sys.wall('headwater.usage_calls', 'user_id');
GRANT SELECT, INSERT ON headwater.usage_calls TO @app@;

-- What a repeated POST must find again. Written in the transaction of the effect, so that only what happened is kept.
CREATE TABLE headwater.idempotency (
    tenant_id   uuid NOT NULL REFERENCES headwater.tenants ON DELETE CASCADE,
    -- Who sent it: a user or a key.
    actor       uuid NOT NULL,
    key         text NOT NULL,
    fingerprint bytea NOT NULL,
    status      int NOT NULL,
    object      text NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, actor, key)
);
CREATE INDEX idempotency_by_age ON headwater.idempotency (created_at);
SELECT headwater_sys.wall('headwater.idempotency');
GRANT SELECT, INSERT, DELETE ON headwater.idempotency TO @app@;

-- Raises what an earlier request with this key made (HW003), or that it was another request (HW004); the whole
-- transaction then leaves nothing behind. Else remembers this one.
CREATE FUNCTION headwater.once(p_actor uuid, p_key text, p_fingerprint bytea, p_object text) RETURNS void
LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    k record;
BEGIN
    DELETE FROM headwater.idempotency WHERE tenant_id = headwater.tenant_id() AND actor = p_actor AND key = p_key
        AND created_at < clock_timestamp() - interval '24 hours';
    INSERT INTO headwater.idempotency (tenant_id, actor, key, fingerprint, status, object, created_at)
    VALUES (headwater.tenant_id(), p_actor, p_key, p_fingerprint, 201, p_object, clock_timestamp())
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        SELECT * INTO k FROM headwater.idempotency
        WHERE tenant_id = headwater.tenant_id() AND actor = p_actor AND key = p_key;
        IF k.fingerprint = p_fingerprint THEN
            RAISE EXCEPTION 'replay' USING ERRCODE = 'HW003', DETAIL = k.object;
        END IF;
        RAISE EXCEPTION 'mismatch' USING ERRCODE = 'HW004';
    END IF;
END $$;
GRANT EXECUTE ON FUNCTION headwater.once TO @app@;

-- A ticket is written down when it is first used; before that it is only a signature.
CREATE TABLE headwater.tickets (
    tenant_id     uuid NOT NULL,
    ticket_id     uuid NOT NULL,
    run_id        uuid NOT NULL,
    user_id       uuid NOT NULL,
    first_used_at timestamptz NOT NULL,
    revoked_at    timestamptz,
    PRIMARY KEY (tenant_id, ticket_id),
    FOREIGN KEY (tenant_id, run_id) REFERENCES headwater.runs ON DELETE CASCADE
);
CREATE INDEX tickets_of_run ON headwater.tickets (tenant_id, run_id);
SELECT headwater_sys.wall('headwater.tickets', 'user_id');
GRANT SELECT, INSERT, UPDATE (revoked_at) ON headwater.tickets TO @app@;

-- The log: segments of events, one line of JSON each, behind a first line that names tenant and run.
-- Partitioned by the run's creation day, which its UUIDv7 tells; so a run lives in one partition and reads prune.
CREATE TABLE headwater.run_events (
    tenant_id uuid NOT NULL,
    run_id    uuid NOT NULL,
    seq_from  bigint NOT NULL,
    seq_to    bigint NOT NULL CHECK (seq_to >= seq_from),
    events    text NOT NULL,
    PRIMARY KEY (tenant_id, run_id, seq_from)
) PARTITION BY RANGE (run_id);
SELECT headwater_sys.wall('headwater.run_events');
GRANT SELECT ON headwater.run_events TO @app@;
CREATE TABLE headwater.run_events_default PARTITION OF headwater.run_events DEFAULT;
SELECT headwater_sys.wall('headwater.run_events_default');

-- The service's own: one row per living process.
CREATE TABLE headwater_sys.replicas (
    replica_id uuid PRIMARY KEY,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL
);
SELECT headwater_sys.seal('headwater_sys.replicas');

-- What a repeated POST of the operator must find again.
CREATE TABLE headwater_sys.operator_idempotency (
    key         text PRIMARY KEY,
    fingerprint bytea NOT NULL,
    status      int NOT NULL,
    object      text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
SELECT headwater_sys.seal('headwater_sys.operator_idempotency');
