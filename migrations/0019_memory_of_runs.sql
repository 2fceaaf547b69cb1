-- What a run remembers counts only while the run is its writer's: an owner that stood still for longer than its lease, and
-- whose statement arrives after all, overwrites nothing.

SET ROLE @append@;
-- Whether the caller's run is held with this token. It stays so until the caller's transaction is over.
CREATE FUNCTION headwater.run_held(p_run uuid, p_token uuid) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM 1 FROM headwater.runs r
        WHERE r.tenant_id = headwater.tenant_id() AND r.run_id = p_run AND r.lease_token = p_token FOR SHARE;
    RETURN FOUND;
END $$;
REVOKE ALL ON FUNCTION headwater.run_held FROM PUBLIC;
GRANT EXECUTE ON FUNCTION headwater.run_held TO @app@;
SET ROLE @owner@;
