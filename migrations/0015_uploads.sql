-- Pictures and files that users put into messages.

-- An upload is no run's. It belongs to its user, and goes with the threads of which a message uses it. `used`: one has.
ALTER TABLE headwater.artifacts ALTER COLUMN run_id DROP NOT NULL;
ALTER TABLE headwater.artifacts ADD COLUMN used boolean NOT NULL DEFAULT false;
GRANT UPDATE (used), DELETE ON headwater.artifacts TO @app@;
ALTER TABLE headwater.artifacts ADD FOREIGN KEY (tenant_id, user_id) REFERENCES headwater.users ON DELETE CASCADE;
CREATE INDEX artifacts_of_user ON headwater.artifacts (user_id);
-- What is to be looked at for uploads that nobody has used.
CREATE INDEX artifacts_uploaded ON headwater.artifacts (created_at) WHERE run_id IS NULL AND NOT used;

CREATE TABLE headwater.artifact_uses (
    tenant_id   uuid NOT NULL,
    artifact_id uuid NOT NULL,
    thread_id   uuid NOT NULL,
    user_id     uuid NOT NULL,
    PRIMARY KEY (tenant_id, artifact_id, thread_id),
    FOREIGN KEY (tenant_id, artifact_id) REFERENCES headwater.artifacts ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, thread_id) REFERENCES headwater.threads ON DELETE CASCADE
);
CREATE INDEX artifact_uses_of_thread ON headwater.artifact_uses (thread_id);
SELECT headwater_sys.wall('headwater.artifact_uses', 'user_id');
GRANT SELECT, INSERT ON headwater.artifact_uses TO @app@;

-- An upload that no message has used for a day is forgotten, an hour later than it can be used last.
GRANT SELECT (tenant_id, artifact_id, run_id, used, created_at), UPDATE (used), DELETE ON headwater.artifacts TO @dispatch@;
GRANT SELECT (tenant_id, artifact_id, thread_id) ON headwater.artifact_uses TO @dispatch@;
CREATE POLICY dispatch_finds ON headwater.artifacts FOR SELECT TO @dispatch@ USING (tenant_id = (SELECT headwater.tenant_id()));
CREATE POLICY dispatch_locks ON headwater.artifacts FOR UPDATE TO @dispatch@ USING (tenant_id = (SELECT headwater.tenant_id()));
CREATE POLICY dispatch_erases ON headwater.artifacts FOR DELETE TO @dispatch@ USING (tenant_id = (SELECT headwater.tenant_id()));
CREATE POLICY dispatch_sees_old ON headwater.artifacts FOR SELECT TO @dispatch@
    USING (run_id IS NULL AND NOT used AND created_at < clock_timestamp() - interval '25 hours');
CREATE POLICY dispatch_forgets ON headwater.artifacts FOR DELETE TO @dispatch@
    USING (run_id IS NULL AND NOT used AND created_at < clock_timestamp() - interval '25 hours');
CREATE POLICY dispatch_finds ON headwater.artifact_uses FOR SELECT TO @dispatch@ USING (tenant_id = (SELECT headwater.tenant_id()));

-- How many of these artifacts a message of the scope that is set may show. Those of a user that is not the scope's are not
-- there, and uploads of the last moments of their time are not either.
CREATE FUNCTION headwater.artifacts_usable(p_artifacts jsonb) RETURNS bigint
LANGUAGE sql STABLE SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
    SELECT count(*) FROM headwater.artifacts a
    WHERE a.artifact_id IN (SELECT jsonb_array_elements_text(p_artifacts)::uuid) AND a.user_id = (SELECT headwater.user_id())
      AND (a.run_id IS NOT NULL OR a.used OR a.created_at > clock_timestamp() - interval '24 hours')
$$;
-- Notes that messages of a thread show them.
CREATE FUNCTION headwater.use_artifacts(p_artifacts jsonb, p_thread uuid) RETURNS void
LANGUAGE sql SECURITY INVOKER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE headwater.artifacts SET used = true
    WHERE artifact_id IN (SELECT jsonb_array_elements_text(p_artifacts)::uuid) AND user_id = (SELECT headwater.user_id()) AND NOT used;
    INSERT INTO headwater.artifact_uses (tenant_id, artifact_id, thread_id, user_id)
    SELECT a.tenant_id, a.artifact_id, p_thread, a.user_id FROM headwater.artifacts a
    WHERE a.artifact_id IN (SELECT jsonb_array_elements_text(p_artifacts)::uuid) AND a.user_id = (SELECT headwater.user_id())
    ON CONFLICT DO NOTHING
$$;
REVOKE ALL ON FUNCTION headwater.artifacts_usable, headwater.use_artifacts FROM PUBLIC;
GRANT EXECUTE ON FUNCTION headwater.artifacts_usable, headwater.use_artifacts TO @app@;

SET ROLE @dispatch@;

-- Forgets uploads that nobody has used in time, a bite at a time. Returns how many.
CREATE FUNCTION headwater.sweep_uploads(p_limit int) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_count bigint;
BEGIN
    DELETE FROM headwater.artifacts a WHERE (a.tenant_id, a.artifact_id) IN (
        SELECT o.tenant_id, o.artifact_id FROM headwater.artifacts o
        WHERE o.run_id IS NULL AND NOT o.used AND o.created_at < clock_timestamp() - interval '25 hours'
        LIMIT p_limit);
    GET DIAGNOSTICS v_count = ROW_COUNT;
    RETURN v_count;
END $$;
REVOKE ALL ON FUNCTION headwater.sweep_uploads FROM PUBLIC;
GRANT EXECUTE ON FUNCTION headwater.sweep_uploads TO @app@;
SET ROLE @owner@;
