DO $body$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT c.oid::pg_catalog.regclass AS target
            FROM pg_catalog.pg_class c
            JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
                AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'unwipe_guard')
                AND NOT EXISTS (SELECT FROM pg_catalog.pg_trigger t
                    WHERE t.tgrelid = c.oid AND t.tgname = 'unwipe_guard_truncate')
    LOOP
        EXECUTE pg_catalog.format('CREATE TRIGGER unwipe_guard_truncate AFTER TRUNCATE ON %s '
            'FOR EACH STATEMENT EXECUTE FUNCTION unwipe_guard.witness_truncate()', found.target);
        EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ALWAYS TRIGGER unwipe_guard_truncate', found.target);
    END LOOP;
END
$body$;
