-- What is too large for an event, or is no text.

CREATE TABLE headwater.artifacts (
    tenant_id   uuid NOT NULL,
    artifact_id uuid NOT NULL,
    user_id     uuid NOT NULL,
    run_id      uuid NOT NULL,
    call_id     uuid,
    filename    text,
    media_type  text NOT NULL,
    size_bytes  bigint NOT NULL,
    sha256      bytea NOT NULL,
    content     bytea NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, artifact_id),
    FOREIGN KEY (tenant_id, run_id) REFERENCES headwater.runs ON DELETE CASCADE
);
-- Read in pieces: of what is compressed, a piece costs the whole.
ALTER TABLE headwater.artifacts ALTER COLUMN content SET STORAGE EXTERNAL;
CREATE INDEX artifacts_of_run ON headwater.artifacts (run_id);
CREATE INDEX artifacts_sizes ON headwater.artifacts (tenant_id) INCLUDE (size_bytes);
SELECT headwater_sys.wall('headwater.artifacts', 'user_id');
GRANT SELECT, INSERT ON headwater.artifacts TO @app@;
