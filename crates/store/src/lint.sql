-- The lint of the wall: one row for everything that breaks a rule of docs/adr/0002-the-wall.md. No rows is good.
-- Reads only catalogues that everybody may read, so the server runs it as @app@ at start.
WITH ours AS (
    SELECT c.oid, c.relname, c.relkind, c.relispartition, c.relrowsecurity, c.relforcerowsecurity, c.relowner, c.reloptions,
           c.relacl, n.nspname, n.nspname || '.' || c.relname AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('headwater', 'headwater_sys')
), tables AS (
    SELECT * FROM ours WHERE relkind IN ('r', 'p')
), policies AS (
    SELECT t.name AS table_name, t.relispartition, p.polname, p.polpermissive, p.polcmd,
           ARRAY(SELECT r.rolname FROM pg_roles r WHERE r.oid = ANY (p.polroles) ORDER BY 1) AS roles,
           0 = ANY (p.polroles) AS for_public,
           pg_get_expr(p.polqual, p.polrelid) AS using_, pg_get_expr(p.polwithcheck, p.polrelid) AS check_
    FROM pg_policy p JOIN tables t ON t.oid = p.polrelid
), definers (name, owner) AS (VALUES
    -- The checked-in list. A function that runs with its owner's rights and is not named here is a hole.
    ('append_events', @append_text@), ('append_first', @append_text@), ('pack_run', @append_text@), ('ensure_partitions', @owner_text@),
    ('auth_key', @dispatch_text@), ('tenant_origin_known', @dispatch_text@), ('tenant_idempotency', @dispatch_text@),
    ('tenant_create', @dispatch_text@), ('tenant_update', @dispatch_text@), ('tenant_list', @dispatch_text@),
    ('tenant_delete', @dispatch_text@), ('tenant_key_create', @dispatch_text@), ('tenant_key_list', @dispatch_text@),
    ('tenant_key_revoke', @dispatch_text@), ('replica_register', @dispatch_text@), ('replica_renew', @dispatch_text@),
    ('replica_retire', @dispatch_text@), ('claim_runs', @dispatch_text@), ('sweep', @dispatch_text@), ('sweep_requests', @dispatch_text@),
    ('cancel_run', @dispatch_text@), ('release_run', @dispatch_text@), ('purge_threads', @dispatch_text@),
    ('purge_thread', @dispatch_text@), ('purge_user', @dispatch_text@), ('schema_version', @dispatch_text@),
    ('replica_count', @dispatch_text@), ('replica_runs', @dispatch_text@), ('run_tails', @dispatch_text@), ('reader_here', @dispatch_text@), ('reader_gone', @dispatch_text@), ('sweep_readers', @dispatch_text@), ('wake_expired', @dispatch_text@), ('sweep_sub_runs', @dispatch_text@), ('sweep_uploads', @dispatch_text@),
    ('reserve_call', @dispatch_text@), ('settle_calls', @dispatch_text@), ('fold_calls', @dispatch_text@), ('budget_unfolded', @dispatch_text@), ('resume_run', @dispatch_text@), ('wake_budgets', @dispatch_text@),
    ('sweep_budgets', @dispatch_text@), ('tenants_behind', @dispatch_text@), ('budget_forbids', @dispatch_text@), ('tenant_keys_after', @dispatch_text@), ('tenant_key_rewrap', @dispatch_text@),
    ('retention_due', @dispatch_text@), ('erase_kept', @dispatch_text@), ('compact_run', @append_text@), ('run_held', @append_text@), ('partition_in_use', @append_text@),
    ('drop_partitions', @owner_text@), ('plan_apply', @dispatch_text@), ('money_differs', @dispatch_text@), ('plan_put', @dispatch_text@), ('plan_list', @dispatch_text@), ('tenant_prices_put', @dispatch_text@),
    ('tenant_terms', @dispatch_text@), ('replica_place', @dispatch_text@), ('work_ahead', @dispatch_text@), ('next_wake_at', @dispatch_text@), ('reader_forget', @dispatch_text@), ('delayed_due', @dispatch_text@), ('delayed_next', @dispatch_text@), ('schedules_due', @dispatch_text@), ('schedules_next', @dispatch_text@),
    ('webhook_tell', @dispatch_text@), ('webhook_of_run', @dispatch_text@), ('webhook_of_approval', @dispatch_text@), ('webhook_of_budget', @dispatch_text@), ('budget_refused', @dispatch_text@),
    ('webhook_lane', @dispatch_text@), ('webhooks_due', @dispatch_text@), ('webhooks_next', @dispatch_text@), ('sweep_webhooks', @dispatch_text@),
    ('autoscale_look', @dispatch_text@), ('autoscale_note', @dispatch_text@)
), functions AS (
    SELECT p.oid, p.proname, p.prosecdef, p.provolatile, p.proconfig, p.proacl, p.proowner, r.rolname AS owner,
           n.nspname || '.' || p.proname AS name
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles r ON r.oid = p.proowner
    WHERE n.nspname IN ('headwater', 'headwater_sys')
), expected_policies (table_name, polname, role) AS (
    SELECT 'headwater.' || t, p, @app_text@ FROM (VALUES
        ('tenants', 'tenant_wall'), ('tenants', 'of_tenant'), ('api_keys', 'tenant_wall'), ('api_keys', 'of_tenant'),
        ('users', 'tenant_wall'), ('users', 'of_user'), ('agents', 'tenant_wall'), ('agents', 'of_tenant'),
        ('agent_versions', 'tenant_wall'), ('agent_versions', 'of_tenant'), ('threads', 'tenant_wall'), ('threads', 'of_user'),
        ('runs', 'tenant_wall'), ('runs', 'of_user'), ('messages', 'tenant_wall'), ('messages', 'of_user'),
        ('run_steps', 'tenant_wall'), ('run_steps', 'of_user'), ('usage_calls', 'tenant_wall'), ('usage_calls', 'of_user'),
        ('idempotency', 'tenant_wall'), ('idempotency', 'of_tenant'), ('tickets', 'tenant_wall'), ('tickets', 'of_user'),
        ('run_cancels', 'tenant_wall'), ('run_cancels', 'of_user'), ('run_inputs', 'tenant_wall'), ('run_inputs', 'of_user'),
        ('run_readers', 'tenant_wall'), ('run_readers', 'of_user'), ('tool_calls', 'tenant_wall'), ('tool_calls', 'of_user'),
        ('budgets', 'tenant_wall'), ('budgets', 'of_tenant'), ('budget_counters', 'tenant_wall'), ('budget_counters', 'of_tenant'),
        ('budget_reservations', 'tenant_wall'), ('budget_reservations', 'of_user'), ('approvals', 'tenant_wall'), ('approvals', 'of_user'), ('memory', 'tenant_wall'), ('memory', 'of_user'),
        ('artifacts', 'tenant_wall'), ('artifacts', 'of_user'), ('artifact_uses', 'tenant_wall'), ('artifact_uses', 'of_user'),
        ('tenant_keys', 'tenant_wall'), ('tenant_keys', 'of_tenant'), ('secrets', 'tenant_wall'), ('secrets', 'of_tenant'), ('provider_keys', 'tenant_wall'), ('provider_keys', 'of_tenant'), ('mcp_servers', 'tenant_wall'), ('mcp_servers', 'of_tenant'), ('issuers', 'tenant_wall'), ('issuers', 'of_tenant'),
        ('run_events_kept', 'tenant_wall'), ('run_events_kept', 'of_tenant'), ('schedules', 'tenant_wall'), ('schedules', 'of_user'),
        ('webhook_endpoints', 'tenant_wall'), ('webhook_endpoints', 'of_tenant'), ('webhook_deliveries', 'tenant_wall'), ('webhook_deliveries', 'of_tenant'),
        ('run_events', 'tenant_wall'), ('run_events', 'of_tenant')) AS wall (t, p)
    UNION ALL SELECT 'headwater.' || t, p, @append_text@ FROM (VALUES
        ('runs', 'append_finds'), ('runs', 'append_moves'), ('run_events', 'append_writes'), ('run_events', 'append_compares'),
        ('run_events', 'append_packs'), ('run_events_kept', 'append_keeps'), ('run_events_kept', 'append_compares')) AS log (t, p)
    UNION ALL SELECT 'headwater.' || t, p, @dispatch_text@ FROM (VALUES
        ('tenants', 'dispatch_all'), ('api_keys', 'dispatch_all'), ('runs', 'dispatch_finds'), ('runs', 'dispatch_claims'),
        ('runs', 'dispatch_erases'), ('threads', 'dispatch_locks'), ('users', 'dispatch_locks'), ('idempotency', 'dispatch_forgets'),
        ('idempotency', 'dispatch_sees_old'), ('run_cancels', 'dispatch_asks'), ('run_readers', 'dispatch_asks'),
        ('run_readers', 'dispatch_forgets'), ('run_readers', 'dispatch_sees_old'), ('tool_calls', 'dispatch_wakes'),
        ('budgets', 'dispatch_finds'), ('budgets', 'dispatch_plans'), ('budget_counters', 'dispatch_counts'), ('budget_reservations', 'dispatch_counts'), ('usage_calls', 'dispatch_settles'),
        ('tenant_keys', 'dispatch_rewraps'), ('artifacts', 'dispatch_sees_old'), ('artifacts', 'dispatch_forgets'),
        ('artifacts', 'dispatch_finds'), ('artifacts', 'dispatch_locks'), ('artifacts', 'dispatch_erases'), ('artifact_uses', 'dispatch_finds'), ('schedules', 'dispatch_finds'),
        ('webhook_endpoints', 'dispatch_finds'), ('webhook_deliveries', 'dispatch_tells')) AS service (t, p)
    UNION ALL SELECT 'headwater.' || t, p, @dispatch_text@ FROM
        unnest(ARRAY['threads', 'messages', 'run_steps', 'tickets', 'run_events', 'users', 'agents', 'agent_versions',
                     'idempotency', 'usage_calls', 'run_cancels', 'run_inputs', 'run_readers', 'run_events_kept']) AS t, unnest(ARRAY['dispatch_erases', 'dispatch_finds']) AS p
    UNION ALL SELECT 'headwater_sys.' || t, p, r FROM (VALUES
        ('replicas', 'append_finds', @append_text@), ('replicas', 'append_locks', @append_text@),
        ('replicas', 'dispatch_all', @dispatch_text@), ('operator_idempotency', 'dispatch_all', @dispatch_text@),
        ('plans', 'dispatch_all', @dispatch_text@), ('tenant_prices', 'dispatch_all', @dispatch_text@),
        ('waker', 'dispatch_all', @dispatch_text@), ('autoscale', 'dispatch_all', @dispatch_text@),
        ('_sqlx_migrations', 'migrations_owner', @owner_text@), ('_sqlx_migrations', 'migrations_version', @dispatch_text@)
    ) AS sys (t, p, r)
)
SELECT 'row security is not enabled and forced' AS rule, name AS object FROM tables
    WHERE NOT (relrowsecurity AND relforcerowsecurity)
UNION ALL
SELECT 'is not owned by the owner role', t.name FROM ours t JOIN pg_roles r ON r.oid = t.relowner
    WHERE t.relkind IN ('r', 'p', 'v', 'm', 'S') AND r.rolname <> @owner_text@
UNION ALL
SELECT 'has no tenant wall', t.name FROM tables t WHERE t.nspname = 'headwater' AND NOT EXISTS (
    SELECT 1 FROM policies p WHERE p.table_name = t.name AND p.polname = 'tenant_wall' AND NOT p.polpermissive
      AND p.polcmd = '*' AND p.roles = ARRAY[@app_text@]::name[]
      AND p.using_ = '(tenant_id = ( SELECT headwater.tenant_id() AS tenant_id))' AND p.check_ = p.using_)
UNION ALL
SELECT 'a policy for everybody', table_name || '.' || polname FROM policies WHERE for_public
UNION ALL
SELECT 'a policy that is not on the list', p.table_name || '.' || p.polname FROM policies p
    WHERE NOT p.relispartition AND NOT EXISTS (SELECT 1 FROM expected_policies e
        WHERE e.table_name = p.table_name AND e.polname = p.polname AND p.roles = ARRAY[e.role]::name[])
UNION ALL
SELECT 'a policy on a partition beyond the wall', p.table_name || '.' || p.polname FROM policies p
    WHERE p.relispartition AND p.polname NOT IN ('tenant_wall', 'of_tenant')
UNION ALL
SELECT 'a policy of the list is missing', e.table_name || '.' || e.polname FROM expected_policies e
    WHERE NOT EXISTS (SELECT 1 FROM policies p WHERE p.table_name = e.table_name AND p.polname = e.polname)
UNION ALL
SELECT 'a unique key does not begin with tenant_id', i.indexrelid::regclass::text
    FROM pg_index i JOIN tables t ON t.oid = i.indrelid
    LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE t.nspname = 'headwater' AND i.indisunique AND a.attname IS DISTINCT FROM 'tenant_id'
UNION ALL
SELECT 'a foreign key does not begin with tenant_id', t.name || '.' || c.conname
    FROM pg_constraint c JOIN tables t ON t.oid = c.conrelid
    LEFT JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
    LEFT JOIN pg_attribute f ON f.attrelid = c.confrelid AND f.attnum = c.confkey[1]
    WHERE t.nspname = 'headwater' AND c.contype = 'f'
      AND (a.attname IS DISTINCT FROM 'tenant_id' OR f.attname IS DISTINCT FROM 'tenant_id')
UNION ALL
SELECT 'a materialised view', name FROM ours WHERE relkind = 'm'
UNION ALL
SELECT 'a view without security_invoker', name FROM ours
    WHERE relkind = 'v' AND NOT coalesce('security_invoker=true' = ANY (reloptions), false)
UNION ALL
SELECT 'a grant on a partition', t.name FROM tables t, aclexplode(t.relacl) g
    WHERE t.relispartition AND g.grantee <> t.relowner
UNION ALL
SELECT 'the server may write the log directly', t.name FROM tables t, aclexplode(t.relacl) g JOIN pg_roles r ON r.oid = g.grantee
    WHERE t.name IN ('headwater.run_events', 'headwater.run_events_kept') AND r.rolname = @app_text@ AND g.privilege_type <> 'SELECT'
UNION ALL
SELECT 'a grant on a table of the service', t.name FROM tables t, aclexplode(t.relacl) g JOIN pg_roles r ON r.oid = g.grantee
    WHERE t.nspname = 'headwater_sys' AND r.rolname = @app_text@
UNION ALL
-- Of whole tables or single columns: r(ead), a(dd), w(rite), d(elete), as psql shows them.
SELECT 'the server''s grants are not those of the list', t.name FROM tables t LEFT JOIN (VALUES
        ('tenants', 'rw'), ('users', 'raw'), ('agents', 'raw'), ('agent_versions', 'ra'), ('threads', 'raw'), ('runs', 'raw'),
        ('messages', 'raw'), ('run_steps', 'ra'), ('usage_calls', 'ra'), ('idempotency', 'rad'), ('tickets', 'raw'),
        ('run_cancels', 'rawd'), ('run_inputs', 'rad'), ('tool_calls', 'raw'), ('approvals', 'raw'), ('artifacts', 'rawd'), ('artifact_uses', 'ra'), ('memory', 'rawd'), ('tenant_keys', 'ra'), ('budgets', 'rawd'), ('budget_counters', 'r'), ('budget_reservations', 'r'),
        ('secrets', 'rawd'), ('provider_keys', 'rawd'), ('mcp_servers', 'rawd'), ('issuers', 'rawd'), ('schedules', 'rawd'), ('webhook_endpoints', 'rawd'), ('webhook_deliveries', 'rawd'), ('run_events', 'r'), ('run_events_kept', 'r')) AS may (name, what) ON t.name = 'headwater.' || may.name
    WHERE coalesce(may.what, '') <> concat(
        CASE WHEN has_any_column_privilege(@app_text@, t.oid, 'SELECT') THEN 'r' END,
        CASE WHEN has_any_column_privilege(@app_text@, t.oid, 'INSERT') THEN 'a' END,
        CASE WHEN has_any_column_privilege(@app_text@, t.oid, 'UPDATE') THEN 'w' END,
        CASE WHEN has_table_privilege(@app_text@, t.oid, 'DELETE, TRUNCATE, TRIGGER') THEN 'd' END)
UNION ALL
SELECT 'rows can be moved to another tenant or user', t.name FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid
    WHERE a.attname IN ('tenant_id', 'user_id') AND has_column_privilege(@app_text@, t.oid, a.attnum, 'UPDATE')
UNION ALL
SELECT 'the user rule is not as written', table_name FROM policies WHERE polname = 'of_user' AND (polcmd <> '*' OR check_ <> using_
    OR using_ <> '((( SELECT headwater.user_id() AS user_id) IS NULL) OR (user_id = ( SELECT headwater.user_id() AS user_id)))')
UNION ALL
SELECT 'a grant to everybody', t.name FROM ours t, aclexplode(t.relacl) g WHERE g.grantee = 0
UNION ALL
-- Of whole tables, views and sequences, of single columns, and of functions.
SELECT 'a grant to a role that is not ours', g.name FROM (
        SELECT o.name, a.grantee FROM ours o, aclexplode(o.relacl) a WHERE a.grantee NOT IN (0, o.relowner)
        UNION SELECT o.name || '.' || c.attname, a.grantee
            FROM ours o JOIN pg_attribute c ON c.attrelid = o.oid, aclexplode(c.attacl) a WHERE a.grantee <> o.relowner
        UNION SELECT f.name, a.grantee FROM functions f, aclexplode(f.proacl) a WHERE a.grantee NOT IN (0, f.proowner)
    ) g LEFT JOIN pg_roles r ON r.oid = g.grantee
    WHERE coalesce(r.rolname NOT IN (@owner_text@, @app_text@, @append_text@, @dispatch_text@, @wake_text@), true)
UNION ALL
SELECT 'lease tokens can be read', 'headwater.runs'
    WHERE has_column_privilege(@app_text@, 'headwater.runs', 'lease_token', 'SELECT')
UNION ALL
SELECT 'a definer function that is not on the list', f.name FROM functions f
    WHERE f.prosecdef AND NOT EXISTS (SELECT 1 FROM definers d WHERE 'headwater.' || d.name = f.name)
UNION ALL
SELECT 'a definer function of another owner than on the list', f.name FROM functions f JOIN definers d ON 'headwater.' || d.name = f.name
    WHERE f.prosecdef AND f.owner <> d.owner
UNION ALL
SELECT 'a definer function of the list is missing', 'headwater.' || d.name FROM definers d
    WHERE NOT EXISTS (SELECT 1 FROM functions f WHERE f.name = 'headwater.' || d.name AND f.prosecdef)
UNION ALL
SELECT 'a definer function without a pinned search_path', name FROM functions
    WHERE prosecdef AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)
UNION ALL
SELECT 'a function that everybody may call', f.name FROM functions f
    WHERE f.proacl IS NULL OR EXISTS (SELECT 1 FROM aclexplode(f.proacl) g WHERE g.grantee = 0)
UNION ALL
SELECT 'the context is not STABLE', name FROM functions WHERE name IN ('headwater.tenant_id', 'headwater.user_id') AND provolatile <> 's'
UNION ALL
SELECT 'a role of ours is superuser, bypasses row security, or may make roles or databases', rolname FROM pg_roles
    WHERE rolname IN (@owner_text@, @app_text@, @append_text@, @dispatch_text@, @wake_text@)
      AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication)
UNION ALL
SELECT 'the server''s role is a member of another one', r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
    WHERE m.member = (SELECT oid FROM pg_roles WHERE rolname = @app_text@)
ORDER BY 1, 2
