-- The ground: schemas, the context that policies read, and the helper that puts a table behind the wall.
--
-- Role names are written @owner@, @app@, @append@, @dispatch@, @wake@ and filled in by `headwater migrate`, which has
-- made the roles and runs all of this as @owner@. See docs/adr/0002-the-wall.md.

GRANT USAGE ON SCHEMA headwater TO @app@, @append@, @dispatch@;
GRANT USAGE ON SCHEMA headwater_sys TO @app@, @append@, @dispatch@, @wake@;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- Who is asking. STABLE, never IMMUTABLE: a cached plan would serve one tenant's rows to another.
CREATE FUNCTION headwater.tenant_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT nullif(current_setting('headwater.tenant_id', true), '')::uuid $$;

-- The user asked for, or NULL for the tenant itself, who sees all of its users.
CREATE FUNCTION headwater.user_id() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT nullif(current_setting('headwater.user_id', true), '')::uuid $$;

GRANT EXECUTE ON FUNCTION headwater.tenant_id(), headwater.user_id() TO @app@, @append@, @dispatch@;

-- Puts a table behind the wall: nobody passes without a tenant, and where rows have a user, a user sees only its own.
-- Partitions get the same, although nobody has a grant on them.
CREATE FUNCTION headwater_sys.wall(p_table regclass, p_user_column text DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', p_table);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', p_table);
    EXECUTE format(
        'CREATE POLICY tenant_wall ON %s AS RESTRICTIVE FOR ALL TO @app@
             USING (tenant_id = (SELECT headwater.tenant_id()))
             WITH CHECK (tenant_id = (SELECT headwater.tenant_id()))', p_table);
    IF p_user_column IS NULL THEN
        EXECUTE format('CREATE POLICY of_tenant ON %s FOR ALL TO @app@ USING (true) WITH CHECK (true)', p_table);
    ELSE
        EXECUTE format(
            'CREATE POLICY of_user ON %1$s FOR ALL TO @app@
                 USING ((SELECT headwater.user_id()) IS NULL OR %2$I = (SELECT headwater.user_id()))
                 WITH CHECK ((SELECT headwater.user_id()) IS NULL OR %2$I = (SELECT headwater.user_id()))',
            p_table, p_user_column);
    END IF;
END $$;

-- The same for the service's own tables: row security on, and no policy for @app@, which therefore sees nothing.
CREATE FUNCTION headwater_sys.seal(p_table regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', p_table);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', p_table);
END $$;

-- The record of migrations is a table like any other; @owner@ alone reads and writes it, @app@ may read the version.
SELECT headwater_sys.seal('headwater_sys._sqlx_migrations');
CREATE POLICY migrations_owner ON headwater_sys._sqlx_migrations FOR ALL TO @owner@ USING (true) WITH CHECK (true);
CREATE POLICY migrations_version ON headwater_sys._sqlx_migrations FOR SELECT TO @dispatch@ USING (true);
GRANT SELECT (version, success) ON headwater_sys._sqlx_migrations TO @dispatch@;
