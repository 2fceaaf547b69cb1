-- Tenants' own keys at model providers.

-- Sealed with the tenant's key and bound to the provider and to the host that it had when the key was given.
CREATE TABLE headwater.provider_keys (
    tenant_id  uuid NOT NULL,
    provider   text NOT NULL,
    sealed     bytea NOT NULL,
    host       text NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, provider),
    FOREIGN KEY (tenant_id) REFERENCES headwater.tenants ON DELETE CASCADE
);
SELECT headwater_sys.wall('headwater.provider_keys');
GRANT SELECT, INSERT, UPDATE (sealed, host, updated_at), DELETE ON headwater.provider_keys TO @app@;
