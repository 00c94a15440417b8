CREATE SCHEMA IF NOT EXISTS unwipe_guard;
DO $body$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'unwipe_guard') THEN
        CREATE ROLE unwipe_guard LOGIN NOINHERIT CONNECTION LIMIT 8;
        COMMENT ON ROLE unwipe_guard IS 'unwipe: ends sessions and bars logins of the roles that unwipe_guard.policy names';
    END IF;
END
$body$;

CREATE TABLE IF NOT EXISTS unwipe_guard.policy (
    pattern text NOT NULL,
    rule text NOT NULL CHECK (rule IN ('contained', 'protected', 'refused')),
    -- The pattern as LIKE reads it.
    likened text NOT NULL GENERATED ALWAYS AS
        (replace(replace(replace(replace(pattern, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%')) STORED,
    PRIMARY KEY (pattern, rule)
);
CREATE TABLE IF NOT EXISTS unwipe_guard.barred (
    role name PRIMARY KEY,
    could_log_in boolean NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp()
);
REVOKE ALL ON unwipe_guard.policy, unwipe_guard.barred FROM PUBLIC, unwipe_guard;

-- Answers whether a role may be contained; what it may not, it says with UW001.
CREATE OR REPLACE FUNCTION unwipe_guard.require_containable(who name) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    known record;
    reason text;
BEGIN
    SELECT r.oid, r.rolname, r.rolsuper, r.rolreplication INTO known FROM pg_roles r WHERE r.rolname = who;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'UW002', MESSAGE = format('there is no role %s', who);
    END IF;
    reason := CASE
        WHEN known.oid = 10 THEN 'it is the superuser that the cluster was made with'
        WHEN who = current_user OR who = session_user THEN 'it is the guard itself, or whoever installed it'
        WHEN who ~ '^(unwipe|pg_)' THEN 'it is a role of unwipe or of the server itself'
        WHEN known.rolreplication THEN 'it may replicate: it may be a backup or a standby'
        WHEN EXISTS (SELECT FROM unwipe_guard.policy p WHERE p.rule = 'protected' AND who LIKE p.likened)
            THEN 'the installed policy protects it'
        WHEN known.rolsuper AND NOT EXISTS
            (SELECT FROM unwipe_guard.policy p WHERE p.rule = 'contained' AND who = p.pattern)
            THEN 'it is a superuser that the installed policy does not name in full'
        WHEN NOT EXISTS (SELECT FROM unwipe_guard.policy p WHERE p.rule = 'contained' AND who LIKE p.likened)
            THEN 'the installed policy does not name it'
    END;
    IF reason IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'UW001', MESSAGE = reason,
            HINT = format('guard install ... --contain %s', who);
    END IF;
END
$body$;

-- Who writes now: sessions with a transaction number, and those whose last statement has just ended.
CREATE OR REPLACE FUNCTION unwipe_guard.writers(numbers bigint[], tables text[])
RETURNS TABLE (pid integer, began bigint, role name, application text, address text, number bigint,
    by_number boolean, by_lock boolean, statement text, started bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    RETURN QUERY
    WITH named AS MATERIALIZED (
        SELECT to_regclass(t)::oid AS relation FROM unnest(tables) AS t
    ), held AS MATERIALIZED (
        SELECT l.pid, l.locktype, l.relation, l.transactionid
            FROM pg_locks l
            WHERE l.granted AND (l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock'
                OR l.locktype = 'relation' AND l.mode IN ('RowExclusiveLock', 'AccessExclusiveLock')
                    AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
                    AND l.relation IN (SELECT n.relation FROM named n))
    )
    SELECT a.pid, (extract(epoch FROM a.backend_start) * 1000000)::bigint, a.usename, a.application_name,
            host(a.client_addr), a.backend_xid::text::bigint,
            coalesce(a.backend_xid::text::bigint = ANY (numbers), false) OR EXISTS (SELECT FROM held h
                WHERE h.pid = a.pid AND h.locktype = 'transactionid' AND h.transactionid::text::bigint = ANY (numbers)),
            EXISTS (SELECT FROM held h WHERE h.pid = a.pid AND h.locktype = 'relation'),
            left(a.query, 2000), (extract(epoch FROM a.query_start) * 1000000)::bigint
        FROM pg_stat_activity a
        WHERE a.backend_type = 'client backend' AND a.pid <> pg_backend_pid() AND a.usename IS NOT NULL
            AND (a.backend_xid IS NOT NULL OR a.state_change > clock_timestamp() - interval '1 second');
END
$body$;

-- Looks again and again for a while, and returns each statement that it saw run in a transaction with a number, or that
-- destroys, once; no longer than it takes to see four.
CREATE OR REPLACE FUNCTION unwipe_guard.sample(milliseconds integer)
RETURNS TABLE (pid integer, began bigint, role name, application text, address text, number bigint,
    statement text, started bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    until timestamptz := clock_timestamp() + least(milliseconds, 200) * interval '1 millisecond';
    seen text[] := '{}';
    this text;
BEGIN
    LOOP
        FOR pid, began, role, application, address, number, statement, started IN
            SELECT a.pid, (extract(epoch FROM a.backend_start) * 1000000)::bigint, a.usename, a.application_name,
                    host(a.client_addr), a.backend_xid::text::bigint, left(a.query, 2000),
                    (extract(epoch FROM a.query_start) * 1000000)::bigint
                FROM pg_stat_activity a
                WHERE a.backend_type = 'client backend' AND a.usename IS NOT NULL AND a.pid <> pg_backend_pid()
                    AND (a.backend_xid IS NOT NULL OR a.state_change > clock_timestamp() - interval '1 second'
                        AND a.query ~* '\m(delete|update|truncate|drop|merge)\M')
        LOOP
            this := format('%s %s %s', pid, started, number);
            IF this <> ALL (seen) THEN
                seen := seen || this;
                RETURN NEXT;
            END IF;
        END LOOP;
        EXIT WHEN clock_timestamp() >= until OR cardinality(seen) >= 4;
        PERFORM pg_stat_clear_snapshot();
    END LOOP;
END
$body$;

-- Ends one session; false when it is no longer there.
CREATE OR REPLACE FUNCTION unwipe_guard.end_session(process integer, began bigint) RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    who name;
BEGIN
    SELECT a.usename INTO who FROM pg_stat_activity a
        WHERE a.pid = process AND (extract(epoch FROM a.backend_start) * 1000000)::bigint = began
            AND a.backend_type = 'client backend' AND a.usename IS NOT NULL;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM unwipe_guard.require_containable(who);
    RETURN pg_terminate_backend(process);
END
$body$;

-- Ends every session of a role; returns how many there were.
CREATE OR REPLACE FUNCTION unwipe_guard.end_sessions(who name) RETURNS integer LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    PERFORM unwipe_guard.require_containable(who);
    RETURN (SELECT count(*) FILTER (WHERE pg_terminate_backend(a.pid)) FROM pg_stat_activity a
        WHERE a.usename = who AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid());
END
$body$;

-- Keeps a role from logging in; returns whether it could. What it was is kept until it is put back.
CREATE OR REPLACE FUNCTION unwipe_guard.bar_login(who name) RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    could boolean;
BEGIN
    PERFORM unwipe_guard.require_containable(who);
    INSERT INTO unwipe_guard.barred (role, could_log_in)
        SELECT r.rolname, r.rolcanlogin FROM pg_roles r WHERE r.rolname = who
        ON CONFLICT (role) DO NOTHING;
    SELECT b.could_log_in INTO could FROM unwipe_guard.barred b WHERE b.role = who;
    EXECUTE format('ALTER ROLE %I NOLOGIN', who);
    RETURN could;
END
$body$;

-- Lets a role log in again if it could before it was barred here; false when nothing was barred.
CREATE OR REPLACE FUNCTION unwipe_guard.restore_login(who name) RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
DECLARE
    could boolean;
BEGIN
    DELETE FROM unwipe_guard.barred b WHERE b.role = who RETURNING b.could_log_in INTO could;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    IF could AND EXISTS (SELECT FROM pg_roles r WHERE r.rolname = who) THEN
        EXECUTE format('ALTER ROLE %I LOGIN', who);
    END IF;
    RETURN true;
END
$body$;

REVOKE ALL ON FUNCTION unwipe_guard.require_containable(name), unwipe_guard.writers(bigint[], text[]),
    unwipe_guard.sample(integer), unwipe_guard.end_session(integer, bigint), unwipe_guard.end_sessions(name),
    unwipe_guard.bar_login(name), unwipe_guard.restore_login(name) FROM PUBLIC;
GRANT USAGE ON SCHEMA unwipe_guard TO unwipe_guard;
GRANT EXECUTE ON FUNCTION unwipe_guard.writers(bigint[], text[]), unwipe_guard.sample(integer),
    unwipe_guard.end_session(integer, bigint), unwipe_guard.end_sessions(name), unwipe_guard.bar_login(name), unwipe_guard.restore_login(name) TO unwipe_guard;
