-- The roles are part of the functions, which run with the rights of whoever caused them and can read no table of ours.
CREATE OR REPLACE FUNCTION unwipe_guard.refuse_truncate() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF session_user LIKE ANY (@refused@::text[]) OR current_user LIKE ANY (@refused@::text[]) THEN
        RAISE EXCEPTION USING ERRCODE = '42501',
            MESSAGE = format('unwipe guard: role %s may not empty %I.%I', session_user, tg_table_schema, tg_table_name),
            HINT = 'if it is meant to happen, an administrator does it, or installs the guard anew without this role';
    END IF;
    -- Whoever is let through is named inside the transaction: emptying takes too little time to be seen from outside.
    BEGIN
        PERFORM pg_logical_emit_message(true, 'unwipe', json_build_object(
            'op', tg_op, 'user', session_user, 'role', current_user,
            'app', current_setting('application_name', true), 'addr', host(inet_client_addr()),
            'q', left(current_query(), 2000), 'count', 1,
            'objects', json_build_array(json_build_object('type', 'table',
                'id', format('%I.%I', tg_table_schema, tg_table_name))))::text);
    EXCEPTION WHEN OTHERS THEN
        RAISE WARNING 'unwipe_guard could not witness %: %', tg_op, sqlerrm;
    END;
    RETURN NULL;
END
$body$;

CREATE OR REPLACE FUNCTION unwipe_guard.refuse_drop() RETURNS event_trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    dropped text;
BEGIN
    IF NOT (session_user LIKE ANY (@refused@::text[]) OR current_user LIKE ANY (@refused@::text[]))
        OR tg_tag = 'ALTER EXTENSION' THEN
        RETURN;
    END IF;
    SELECT format('%s %s', d.object_type, d.object_identity) INTO dropped
        FROM pg_event_trigger_dropped_objects() AS d
        WHERE NOT d.is_temporary AND (d.schema_name IS NULL OR d.schema_name !~ '^pg_(toast_)?temp')
            AND (d.object_type IN ('table', 'table column', 'materialized view', 'sequence')
                    AND d.schema_name IS DISTINCT FROM 'pg_toast'
                OR d.object_type = 'schema'
                OR d.object_type = 'trigger' AND d.object_identity LIKE 'unwipe\_guard%')
        LIMIT 1;
    IF dropped IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42501',
            MESSAGE = format('unwipe guard: role %s may not drop %s', session_user, dropped),
            HINT = 'if it is meant to happen, an administrator does it, or installs the guard anew without this role';
    END IF;
END
$body$;

-- A new table gets its trigger from us, with the rights of whoever installed the guard; that must never fail.
CREATE OR REPLACE FUNCTION unwipe_guard.arm() RETURNS event_trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    made record;
BEGIN
    FOR made IN
        SELECT c.objid FROM pg_event_trigger_ddl_commands() AS c JOIN pg_class t ON t.oid = c.objid
            WHERE c.classid = 'pg_class'::regclass AND t.relkind IN ('r', 'p') AND t.relpersistence <> 't'
                AND c.schema_name NOT IN ('pg_catalog', 'information_schema', 'unwipe_guard')
                AND NOT EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = t.oid AND g.tgname = 'unwipe_guard_refuse')
    LOOP
        EXECUTE format('CREATE TRIGGER unwipe_guard_refuse BEFORE TRUNCATE ON %s '
            'FOR EACH STATEMENT EXECUTE FUNCTION unwipe_guard.refuse_truncate()', made.objid::regclass);
        EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER unwipe_guard_refuse', made.objid::regclass);
    END LOOP;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'unwipe_guard could not guard what % made: %', tg_tag, sqlerrm;
END
$body$;

-- Whoever is refused may not take the trigger's teeth out either.
CREATE OR REPLACE FUNCTION unwipe_guard.refuse_disarm() RETURNS event_trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    disarmed regclass;
BEGIN
    IF NOT (session_user LIKE ANY (@refused@::text[]) OR current_user LIKE ANY (@refused@::text[])) THEN
        RETURN;
    END IF;
    SELECT g.tgrelid::regclass INTO disarmed
        FROM pg_event_trigger_ddl_commands() AS c
        JOIN pg_trigger g ON g.tgrelid = c.objid OR g.oid = c.objid
        JOIN pg_proc p ON p.oid = g.tgfoid
        JOIN pg_namespace n ON n.oid = p.pronamespace
        -- A trigger that was just made is not armed yet; making one of ours takes a right that nobody has.
        WHERE NOT g.tgisinternal AND (n.nspname = 'unwipe_guard' AND g.tgenabled <> 'A' AND tg_tag <> 'CREATE TRIGGER'
            OR g.tgname = 'unwipe_guard_refuse' AND n.nspname <> 'unwipe_guard')
        LIMIT 1;
    IF disarmed IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42501',
            MESSAGE = format('unwipe guard: role %s may not disarm the guard of %s', session_user, disarmed),
            HINT = 'if it is meant to happen, an administrator does it, or installs the guard anew without this role';
    END IF;
END
$body$;

REVOKE ALL ON FUNCTION unwipe_guard.refuse_truncate(), unwipe_guard.refuse_drop(), unwipe_guard.arm(),
    unwipe_guard.refuse_disarm() FROM PUBLIC;

DROP EVENT TRIGGER IF EXISTS unwipe_guard_arm;
DROP EVENT TRIGGER IF EXISTS unwipe_guard_refuse_drop;
DROP EVENT TRIGGER IF EXISTS unwipe_guard_refuse_disarm;
CREATE EVENT TRIGGER unwipe_guard_arm ON ddl_command_end
    WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE SCHEMA')
    EXECUTE FUNCTION unwipe_guard.arm();
CREATE EVENT TRIGGER unwipe_guard_refuse_drop ON sql_drop EXECUTE FUNCTION unwipe_guard.refuse_drop();
CREATE EVENT TRIGGER unwipe_guard_refuse_disarm ON ddl_command_end
    WHEN TAG IN ('ALTER TABLE', 'ALTER TRIGGER', 'CREATE TRIGGER')
    EXECUTE FUNCTION unwipe_guard.refuse_disarm();
-- Also under session_replication_role = replica, which would otherwise silence them.
ALTER EVENT TRIGGER unwipe_guard_arm ENABLE ALWAYS;
ALTER EVENT TRIGGER unwipe_guard_refuse_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER unwipe_guard_refuse_disarm ENABLE ALWAYS;
