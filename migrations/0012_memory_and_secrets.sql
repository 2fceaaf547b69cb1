-- What an agent remembers of a user, across threads; and what a tenant's tools need to know and nobody may read.

CREATE TABLE headwater.memory (
    tenant_id  uuid NOT NULL,
    user_id    uuid NOT NULL,
    -- Compared byte by byte, so that a prefix is a range of the index.
    key        text COLLATE "C" NOT NULL,
    value      jsonb NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, user_id, key),
    FOREIGN KEY (tenant_id, user_id) REFERENCES headwater.users ON DELETE CASCADE
);
SELECT headwater_sys.wall('headwater.memory', 'user_id');
GRANT SELECT, INSERT, UPDATE (value, updated_at), DELETE ON headwater.memory TO @app@;

-- One key for each tenant, wrapped by one that is derived from the installation's master key. Useless without it.
CREATE TABLE headwater.tenant_keys (
    tenant_id  uuid NOT NULL,
    wrapped    bytea NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id),
    FOREIGN KEY (tenant_id) REFERENCES headwater.tenants ON DELETE CASCADE
);
SELECT headwater_sys.wall('headwater.tenant_keys');
GRANT SELECT, INSERT ON headwater.tenant_keys TO @app@;
GRANT SELECT, UPDATE (wrapped) ON headwater.tenant_keys TO @dispatch@;
CREATE POLICY dispatch_rewraps ON headwater.tenant_keys TO @dispatch@ USING (true);

-- Sealed with the tenant's key and bound to their name and hosts: a row that is moved or changed does not open.
CREATE TABLE headwater.secrets (
    tenant_id  uuid NOT NULL,
    name       text NOT NULL,
    sealed     bytea NOT NULL,
    -- The only hosts that it is sent to; NULL: those of the tools that name it.
    hosts      text[],
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, name),
    FOREIGN KEY (tenant_id) REFERENCES headwater.tenants ON DELETE CASCADE
);
SELECT headwater_sys.wall('headwater.secrets');
GRANT SELECT, INSERT, UPDATE (sealed, hosts, updated_at), DELETE ON headwater.secrets TO @app@;

SET ROLE @dispatch@;

-- For `headwater secrets rotate`: the keys of all tenants, and each of them wrapped anew if it is still as it was.
CREATE FUNCTION headwater.tenant_keys_after(p_after uuid, p_limit int) RETURNS TABLE (tenant_id uuid, wrapped bytea)
LANGUAGE plpgsql SECURITY DEFINER STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT k.tenant_id, k.wrapped FROM headwater.tenant_keys k
        WHERE p_after IS NULL OR k.tenant_id > p_after ORDER BY k.tenant_id LIMIT p_limit;
END $$;
CREATE FUNCTION headwater.tenant_key_rewrap(p_tenant uuid, p_old bytea, p_new bytea) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE headwater.tenant_keys SET wrapped = p_new WHERE tenant_id = p_tenant AND wrapped = p_old;
    RETURN FOUND;
END $$;
REVOKE ALL ON FUNCTION headwater.tenant_keys_after, headwater.tenant_key_rewrap FROM PUBLIC;
GRANT EXECUTE ON FUNCTION headwater.tenant_keys_after, headwater.tenant_key_rewrap TO @app@;
SET ROLE @owner@;
