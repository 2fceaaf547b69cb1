-- What a connection's start used to set for the statements that write many runs at once: a pooler in transaction mode
-- takes no such settings, and gives each transaction another connection. So the functions carry them.
-- At 4 MB `unnest` of a large flush spilled to disk. A flush waits for nobody's lock for long: it is split, and the row
-- that has to wait waits alone.
ALTER FUNCTION headwater.commit_batch(uuid, uuid[], uuid[], uuid[], uuid[], bigint[], bigint[], text[], jsonb[])
    SET work_mem = '64MB';
ALTER FUNCTION headwater.commit_batch(uuid, uuid[], uuid[], uuid[], uuid[], bigint[], bigint[], text[], jsonb[])
    SET lock_timeout = '250ms';
ALTER FUNCTION headwater.create_runs(uuid, uuid[], uuid[], jsonb[], text[], text[]) SET work_mem = '64MB';
ALTER FUNCTION headwater.create_runs(uuid, uuid[], uuid[], jsonb[], text[], text[]) SET lock_timeout = '250ms';
