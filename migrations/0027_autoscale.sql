-- What somebody outside reads who sets how many processes there are. See docs/adr/0029-autoscale.md.

-- Since when fewer processes would do: whoever looks once in a while remembers nothing.
CREATE TABLE headwater_sys.autoscale (
    only_one  boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    low_since timestamptz
);
SELECT headwater_sys.seal('headwater_sys.autoscale');
GRANT SELECT, INSERT, UPDATE (low_since) ON headwater_sys.autoscale TO @dispatch@;
CREATE POLICY dispatch_all ON headwater_sys.autoscale FOR ALL TO @dispatch@ USING (true) WITH CHECK (true);

SET ROLE @dispatch@;

-- How much there is to do: numbers, and nobody's. `busy`: runs that a process works on; `waiting`: that could begin, or go on, if one had
-- room; not those that wait because their tenant's plan allows no more at a time, which they would with any number of processes.
CREATE FUNCTION headwater.autoscale_look(OUT busy bigint, OUT waiting bigint, OUT processes bigint, OUT low_since timestamptz, OUT seen_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    seen_at := clock_timestamp();
    SELECT coalesce(sum(o.busy), 0), coalesce(sum(CASE WHEN p.terms->>'max_active_runs' IS NULL THEN o.waiting
        ELSE least(o.waiting, greatest((p.terms->>'max_active_runs')::bigint - o.busy, 0)) END), 0)
    INTO busy, waiting
    FROM (SELECT r.tenant_id, count(*) FILTER (WHERE r.status = 'running') AS busy, count(*) FILTER (WHERE r.status <> 'running') AS waiting
          FROM headwater.runs r
          WHERE (r.status IN ('queued', 'running') OR r.status = 'suspended' AND r.woken)
            AND NOT EXISTS (SELECT 1 FROM headwater.runs b WHERE b.tenant_id = r.tenant_id AND b.thread_id = r.thread_id
                              AND b.status IN ('queued', 'running', 'suspended') AND b.ord < r.ord)
          GROUP BY r.tenant_id) o
    JOIN headwater.tenants t ON t.tenant_id = o.tenant_id LEFT JOIN headwater_sys.plans p ON p.name = t.plan;
    SELECT count(*) INTO processes FROM headwater_sys.replicas p WHERE p.expires_at > seen_at;
    SELECT a.low_since INTO low_since FROM headwater_sys.autoscale a;
END $$;

-- Remembers since when fewer would do; NULL: they would not.
CREATE FUNCTION headwater.autoscale_note(p_low_since timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO headwater_sys.autoscale (low_since) VALUES (p_low_since) ON CONFLICT (only_one) DO UPDATE SET low_since = excluded.low_since;
END $$;

REVOKE ALL ON FUNCTION headwater.autoscale_look, headwater.autoscale_note FROM PUBLIC;
GRANT EXECUTE ON FUNCTION headwater.autoscale_look, headwater.autoscale_note TO @wake@;
SET ROLE @owner@;
