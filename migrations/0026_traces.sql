-- Traces: of a run that goes on, which of its calls and approvals were told. See docs/adr/0028-traces.md.
ALTER TABLE headwater.runs ADD COLUMN traced uuid[] NOT NULL DEFAULT '{}';
GRANT SELECT (traced), UPDATE (traced) ON headwater.runs TO @app@;
