-- Traces: of a run that goes on, until when what has ended was told. See docs/adr/0028-traces.md.
ALTER TABLE headwater.runs ADD COLUMN traced_until timestamptz;
GRANT SELECT (traced_until), UPDATE (traced_until) ON headwater.runs TO @app@;
