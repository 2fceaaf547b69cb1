-- Servers of tools that a tenant's agents call, and what they last said they have.
CREATE TABLE headwater.mcp_servers (
    tenant_id        uuid NOT NULL,
    mcp_id           uuid NOT NULL,
    name             text NOT NULL,
    url              text NOT NULL,
    -- How it is called: names of secrets, never their values.
    auth             jsonb NOT NULL,
    status           text NOT NULL CHECK (status IN ('unchecked', 'ok', 'unreachable', 'auth_failed')),
    error            jsonb,
    protocol_version text,
    tools            jsonb NOT NULL DEFAULT '[]',
    tools_fetched_at timestamptz,
    -- When it was last asked, however that went.
    looked_at        timestamptz,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, mcp_id),
    UNIQUE (tenant_id, name),
    FOREIGN KEY (tenant_id) REFERENCES headwater.tenants ON DELETE CASCADE
);
SELECT headwater_sys.wall('headwater.mcp_servers');
GRANT SELECT, INSERT, UPDATE (name, url, auth, status, error, protocol_version, tools, tools_fetched_at, looked_at, updated_at), DELETE
    ON headwater.mcp_servers TO @app@;
