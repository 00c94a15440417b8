DROP EVENT TRIGGER IF EXISTS unwipe_guard_ddl;
DROP EVENT TRIGGER IF EXISTS unwipe_guard_drop;
DO $body$
DECLARE
    found record;
BEGIN
    -- A trigger that a partition inherited goes with its parent's.
    FOR found IN
        SELECT t.tgname, t.tgrelid::pg_catalog.regclass AS target
            FROM pg_catalog.pg_trigger t
            JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
            JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
            WHERE n.nspname = 'unwipe_guard' AND NOT t.tgisinternal
    LOOP
        EXECUTE pg_catalog.format('DROP TRIGGER IF EXISTS %I ON %s', found.tgname, found.target);
    END LOOP;
END
$body$;
DROP SCHEMA IF EXISTS unwipe_guard CASCADE;
