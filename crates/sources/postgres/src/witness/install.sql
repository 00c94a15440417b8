CREATE SCHEMA IF NOT EXISTS unwipe_guard;
COMMENT ON SCHEMA unwipe_guard IS 'unwipe: names who changes definitions, inside the transaction itself';

CREATE OR REPLACE FUNCTION unwipe_guard.witness_ddl() RETURNS event_trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    objects json;
    total bigint;
BEGIN
    SELECT count(*), coalesce(json_agg(json_build_object('type', c.object_type, 'id', c.object_identity))
            FILTER (WHERE c.place <= 100), '[]')
        INTO total, objects
        FROM (SELECT object_type, object_identity, row_number() OVER () AS place
                FROM pg_event_trigger_ddl_commands()
                WHERE schema_name IS DISTINCT FROM 'pg_temp') AS c;
    IF total > 0 THEN
        PERFORM pg_logical_emit_message(true, 'unwipe', json_build_object(
            'op', tg_tag, 'user', session_user, 'role', current_user,
            'app', current_setting('application_name', true), 'addr', host(inet_client_addr()),
            'q', left(current_query(), 2000), 'count', total, 'objects', objects)::text);
    END IF;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'unwipe_guard could not witness %: %', tg_tag, sqlerrm;
END
$body$;

CREATE OR REPLACE FUNCTION unwipe_guard.witness_drop() RETURNS event_trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    objects json;
    total bigint;
BEGIN
    SELECT count(*), coalesce(json_agg(json_build_object('type', d.object_type, 'id', d.object_identity))
            FILTER (WHERE d.place <= 100), '[]')
        INTO total, objects
        FROM (SELECT object_type, object_identity, row_number() OVER () AS place
                FROM pg_event_trigger_dropped_objects()
                WHERE (original OR object_type IN ('schema', 'table', 'materialized view', 'table column'))
                    AND NOT is_temporary) AS d;
    IF total > 0 THEN
        PERFORM pg_logical_emit_message(true, 'unwipe', json_build_object(
            'op', tg_tag, 'user', session_user, 'role', current_user,
            'app', current_setting('application_name', true), 'addr', host(inet_client_addr()),
            'q', left(current_query(), 2000), 'count', total, 'objects', objects)::text);
    END IF;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'unwipe_guard could not witness %: %', tg_tag, sqlerrm;
END
$body$;

CREATE OR REPLACE FUNCTION unwipe_guard.witness_truncate() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM pg_logical_emit_message(true, 'unwipe', json_build_object(
        'op', tg_op, 'user', session_user, 'role', current_user,
        'app', current_setting('application_name', true), 'addr', host(inet_client_addr()),
        'q', left(current_query(), 2000), 'count', 1,
        'objects', json_build_array(json_build_object('type', 'table',
            'id', format('%I.%I', tg_table_schema, tg_table_name))))::text);
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RAISE WARNING 'unwipe_guard could not witness %: %', tg_op, sqlerrm;
    RETURN NULL;
END
$body$;

DROP EVENT TRIGGER IF EXISTS unwipe_guard_ddl;
DROP EVENT TRIGGER IF EXISTS unwipe_guard_drop;
CREATE EVENT TRIGGER unwipe_guard_ddl ON ddl_command_end EXECUTE FUNCTION unwipe_guard.witness_ddl();
CREATE EVENT TRIGGER unwipe_guard_drop ON sql_drop EXECUTE FUNCTION unwipe_guard.witness_drop();
-- Also under session_replication_role = replica, which would otherwise silence them.
ALTER EVENT TRIGGER unwipe_guard_ddl ENABLE ALWAYS;
ALTER EVENT TRIGGER unwipe_guard_drop ENABLE ALWAYS;
