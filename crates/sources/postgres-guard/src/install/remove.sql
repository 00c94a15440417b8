DO $body$
DECLARE
    who name;
BEGIN
    IF pg_catalog.to_regclass('unwipe_guard.barred') IS NOT NULL THEN
        SELECT b.role INTO who FROM unwipe_guard.barred b LIMIT 1;
        IF who IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'UW003', MESSAGE = pg_catalog.format('role %s is barred from logging in', who),
                HINT = pg_catalog.format('let it log in again first: SELECT unwipe_guard.restore_login(%L)', who);
        END IF;
    END IF;
END
$body$;
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
