-- Who is kept out now could not be let in again afterwards.
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
