DROP EVENT TRIGGER IF EXISTS unwipe_guard_ddl;
DROP EVENT TRIGGER IF EXISTS unwipe_guard_drop;
DROP SCHEMA IF EXISTS unwipe_guard CASCADE;
DO $body$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = 'unwipe_guard'
            AND pg_catalog.shobj_description(r.oid, 'pg_authid') LIKE 'unwipe:%') THEN
        DROP ROLE unwipe_guard;
    END IF;
EXCEPTION WHEN dependent_objects_still_exist THEN
    RAISE NOTICE 'role unwipe_guard stays: the guard is installed in another database';
END
$body$;
