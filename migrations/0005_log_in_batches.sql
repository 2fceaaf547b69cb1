-- The log's two functions again, for batches: same promises, less work per row.

-- See 0003_log.sql for what it promises. What moved is inserted as it comes out of the UPDATE, and nothing is joined by
-- position: with the hash joins off that cost the square of the batch.
SET ROLE @append@;
CREATE OR REPLACE FUNCTION headwater.append_events(
    p_replica uuid, p_tenants uuid[], p_runs uuid[], p_tokens uuid[], p_from bigint[], p_to bigint[], p_segments text[]
) RETURNS text[] LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off
AS $$
DECLARE
    v_count    int := coalesce(array_length(p_runs, 1), 0);
    v_written  uuid[];
    v_verdicts text[];
BEGIN
    PERFORM 1 FROM headwater_sys.replicas WHERE replica_id = p_replica FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN array_fill('stale'::text, ARRAY[v_count]);
    END IF;

    WITH moved AS (
        UPDATE headwater.runs r SET tail = g.seq_to
        FROM unnest(p_tenants, p_runs, p_tokens, p_from, p_to, p_segments)
                 AS g (tenant_id, run_id, token, seq_from, seq_to, events)
        WHERE r.tenant_id = g.tenant_id AND r.run_id = g.run_id
          AND r.owner = p_replica AND r.lease_token = g.token
          -- Said this way, and not as the live ones, so that the index of the live ones is not taken for the key: with it
          -- every row of a flush looked at every live run of the replica.
          AND r.status NOT IN ('completed', 'failed', 'cancelled')
          AND r.tail = g.seq_from - 1
          -- A misaligned array can never print one tenant's words in another's stream.
          AND starts_with(g.events, g.tenant_id::text || ' ' || g.run_id::text || E'\n')
        RETURNING r.tenant_id, r.run_id, g.seq_from, g.seq_to, g.events
    ), written AS (
        INSERT INTO headwater.run_events (tenant_id, run_id, seq_from, seq_to, events) SELECT * FROM moved RETURNING run_id
    )
    SELECT array_agg(run_id) INTO v_written FROM written;
    IF array_length(v_written, 1) = v_count THEN
        RETURN array_fill('ok'::text, ARRAY[v_count]);
    END IF;

    -- Nearly always all is well; only what is not is looked at again. A run has one commit under way, so its id tells
    -- which segment of it was written just now.
    SELECT array_agg(CASE
               WHEN g.run_id = ANY (v_written) THEN 'ok'
               WHEN r.run_id IS NULL THEN 'gone'
               WHEN r.owner = p_replica AND r.lease_token = g.token AND r.tail = g.seq_to AND e.events = g.events THEN 'done'
               WHEN r.status IN ('completed', 'failed', 'cancelled') THEN 'ended'
               ELSE 'stale' END ORDER BY g.i)
    INTO v_verdicts
    FROM unnest(p_tenants, p_runs, p_tokens, p_from, p_to, p_segments)
             WITH ORDINALITY AS g (tenant_id, run_id, token, seq_from, seq_to, events, i)
    LEFT JOIN headwater.runs r ON r.tenant_id = g.tenant_id AND r.run_id = g.run_id
    LEFT JOIN headwater.run_events e
           ON e.tenant_id = g.tenant_id AND e.run_id = g.run_id AND e.seq_from = g.seq_from;
    RETURN v_verdicts;
END $$;
SET ROLE @owner@;

-- Packs the logs of finished runs of several tenants: one transaction for all, each under its own scope.
CREATE FUNCTION headwater.pack_batch(p_tenants uuid[], p_runs uuid[]) RETURNS void
LANGUAGE plpgsql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    i int;
BEGIN
    FOR i IN 1 .. coalesce(array_length(p_runs, 1), 0) LOOP
        PERFORM set_config('headwater.tenant_id', p_tenants[i]::text, true);
        PERFORM headwater.pack_run(p_runs[i]);
    END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION headwater.pack_batch TO @app@;
