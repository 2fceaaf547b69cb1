-- Who else says who a tenant's users are: its own identity providers.
CREATE TABLE headwater.issuers (
    tenant_id  uuid NOT NULL,
    issuer_id  uuid NOT NULL,
    issuer     text NOT NULL,
    audience   text NOT NULL,
    -- Where its keys are; NULL: as OpenID Connect Discovery says.
    jwks_uri   text,
    algorithms text[] NOT NULL,
    user_claim text NOT NULL,
    scopes     text[] NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, issuer_id),
    UNIQUE (tenant_id, issuer, audience),
    FOREIGN KEY (tenant_id) REFERENCES headwater.tenants ON DELETE CASCADE
);
SELECT headwater_sys.wall('headwater.issuers');
GRANT SELECT, INSERT, UPDATE (issuer, audience, jwks_uri, algorithms, user_claim, scopes, updated_at), DELETE ON headwater.issuers TO @app@;
