//! What a database login is and may do, asked and harmlessly tried.

use std::{sync::Arc, time::Duration};

use isolation::trial::{Answer, RoleSeen, Trial};
use ports::Clock;
use postgres_wire::{Connection, ConnectionSettings, Limits, Mode, WireError};

/// More databases than these are counted and not looked at.
const DATABASES_MAX: usize = 32;
/// How long one question may take in production.
const STATEMENT_TIMEOUT: &str = "30s";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Relations of users, the roles that this one can become, and whether any of these may change one.
const TABLES: &str = "\
WITH reachable AS (SELECT oid FROM pg_catalog.pg_roles WHERE pg_catalog.pg_has_role(session_user, oid, 'MEMBER')), \
tables AS (SELECT c.oid, c.relowner, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS name, \
  c.relkind FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
  AND n.nspname !~ '^pg_(toast|temp_)'), \
judged AS (SELECT *, EXISTS (SELECT FROM reachable r WHERE r.oid = relowner \
  OR pg_catalog.has_table_privilege(r.oid, tables.oid, 'INSERT, UPDATE, DELETE, TRUNCATE') \
  OR pg_catalog.has_any_column_privilege(r.oid, tables.oid, 'INSERT, UPDATE')) AS writes FROM tables) \
SELECT count(*), count(*) FILTER (WHERE writes), min(name) FILTER (WHERE writes), \
  min(name) FILTER (WHERE relkind IN ('r', 'p')) FROM judged";

const SCHEMAS: &str = "\
SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' \
AND pg_catalog.has_schema_privilege(session_user, oid, 'CREATE') ORDER BY 1 LIMIT 20";

/// Functions that run as somebody else and that the role may call itself.
const BORROWED: &str = "\
SELECT n.nspname || '.' || p.proname FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
AND p.prorettype NOT IN ('pg_catalog.trigger'::regtype, 'pg_catalog.event_trigger'::regtype) \
AND NOT pg_catalog.pg_has_role(session_user, p.proowner, 'MEMBER') \
AND pg_catalog.has_schema_privilege(session_user, n.oid, 'USAGE') \
AND pg_catalog.has_function_privilege(session_user, p.oid, 'EXECUTE') ORDER BY 1 LIMIT 20";

/// Asks who a login is and what it may change; with `every_database`, in each one that it may enter.
pub(super) fn ask(
    settings: &ConnectionSettings,
    every_database: bool,
    clock: &Arc<dyn Clock>,
) -> Result<RoleSeen, String> {
    let mut settings = settings.clone();
    // A login that only replicates has no database of its own name.
    settings.database.get_or_insert_with(|| "postgres".to_owned());
    let mut connection = connect(&settings, clock).map_err(|error| text_of(&error))?;
    let mut seen = who(&mut connection).map_err(|error| text_of(&error))?;
    let own = settings.database_name().to_owned();
    let others = if every_database { databases(&mut connection, &own, &mut seen) } else { Vec::new() };
    look(&mut connection, &own, &mut seen);
    drop(connection);
    for database in others {
        settings.database = Some(database.clone());
        match connect(&settings, clock) {
            Ok(mut connection) => look(&mut connection, &database, &mut seen),
            Err(error) => seen.unseen.push(format!("{database}: {}", text_of(&error))),
        }
    }
    Ok(seen)
}

/// Asks where the server keeps its files; few roles may know.
pub(super) fn data_folder(settings: &ConnectionSettings, clock: &Arc<dyn Clock>) -> Result<String, String> {
    let mut settings = settings.clone();
    settings.database.get_or_insert_with(|| "postgres".to_owned());
    let asked = connect(&settings, clock).and_then(|mut connection| {
        connection.query_one("SELECT pg_catalog.current_setting('data_directory')")
    });
    let row = asked.map_err(|error| text_of(&error))?;
    row.into_iter().next().flatten().ok_or_else(|| "the server does not tell".to_owned())
}

fn connect(settings: &ConnectionSettings, clock: &Arc<dyn Clock>) -> Result<Connection, WireError> {
    let limits = Limits {
        connect_timeout: CONNECT_TIMEOUT,
        read_timeout: Some(Duration::from_mins(1)),
        ..Limits::default()
    };
    let mut connection = Connection::connect(settings, Mode::Sql, &limits, Arc::clone(clock))?;
    connection.execute(&format!(
        "SET statement_timeout = '{STATEMENT_TIMEOUT}'; SET lock_timeout = '2s'; SET search_path = pg_catalog"
    ))?;
    Ok(connection)
}

fn who(connection: &mut Connection) -> Result<RoleSeen, WireError> {
    const ATTRIBUTES: [&str; 5] = ["SUPERUSER", "CREATEROLE", "CREATEDB", "BYPASSRLS", "REPLICATION"];
    let row = connection.query_one(
        "SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication \
         FROM pg_catalog.pg_roles WHERE rolname = session_user",
    )?;
    let yes = |column: usize| row.get(column).and_then(Option::as_deref) == Some("t");
    let attributes = ATTRIBUTES.iter().enumerate().filter(|(index, _)| yes(index + 1));
    let mut seen = RoleSeen {
        name: row.first().cloned().flatten().unwrap_or_default(),
        attributes: attributes.map(|(_, name)| (*name).to_owned()).collect(),
        ..RoleSeen::default()
    };
    // A superuser is a member of everything, which says nothing more.
    if !yes(1) {
        seen.memberships = first_column(connection.query_rows(
            "SELECT rolname FROM pg_catalog.pg_roles \
             WHERE rolname <> session_user AND pg_catalog.pg_has_role(session_user, oid, 'MEMBER') ORDER BY 1",
        )?);
    }
    Ok(seen)
}

/// Returns the other databases that the role may enter.
fn databases(connection: &mut Connection, own: &str, seen: &mut RoleSeen) -> Vec<String> {
    let asked = connection.query_rows(
        "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate \
         AND pg_catalog.has_database_privilege(session_user, oid, 'CONNECT') ORDER BY 1",
    );
    let mut others = match asked {
        Ok(rows) => first_column(rows),
        Err(error) => {
            seen.unseen.push(format!("the other databases: {}", text_of(&error)));
            return Vec::new();
        }
    };
    others.retain(|name| name != own);
    if others.len() > DATABASES_MAX {
        seen.unseen.push(format!("{} databases more", others.len() - DATABASES_MAX));
        others.truncate(DATABASES_MAX);
    }
    others
}

/// Looks at one database: what could be changed there, and what becomes of trying.
fn look(connection: &mut Connection, database: &str, seen: &mut RoleSeen) {
    let table = match rights(connection, database, seen) {
        Ok(table) => table,
        Err(error) => return seen.unseen.push(format!("{database}: {}", text_of(&error))),
    };
    seen.databases.push(database.to_owned());
    if let Some(table) = table {
        // Explaining checks the rights and runs nothing: no row is looked at, no trigger fires.
        let what = format!("delete from {database}.{table} (explained, not run)");
        seen.trials.push(attempt(connection, &what, &format!("EXPLAIN DELETE FROM {table}")));
    }
    if !seen.trials.iter().any(|trial| trial.what.starts_with("create a role")) {
        let create = "CREATE ROLE unwipe_doctor_probe NOLOGIN";
        seen.trials.push(attempt(connection, "create a role (rolled back)", create));
    }
}

fn rights(
    connection: &mut Connection,
    database: &str,
    seen: &mut RoleSeen,
) -> Result<Option<String>, WireError> {
    let row = connection.query_one(TABLES)?;
    let number = |column: usize| row.get(column).and_then(|v| v.as_deref()?.parse::<u64>().ok()).unwrap_or(0);
    seen.tables += number(0);
    seen.writable += number(1);
    let writable = row.get(2).cloned().flatten();
    if seen.example.is_none() {
        seen.example = writable.map(|name| format!("{database}.{name}"));
    }
    let named = |name: String| format!("{database}.{name}");
    seen.schemas.extend(first_column(connection.query_rows(SCHEMAS)?).into_iter().map(named));
    seen.borrowed.extend(first_column(connection.query_rows(BORROWED)?).into_iter().map(named));
    Ok(row.get(3).cloned().flatten())
}

/// Tries a statement in a transaction that says of itself that it writes, and rolls it back whatever comes of it: that
/// transactions are read-only by default protects nothing.
fn attempt(connection: &mut Connection, what: &str, sql: &str) -> Trial {
    let answer = match connection.simple_query("BEGIN READ WRITE") {
        Ok(_) => match connection.simple_query(sql) {
            Ok(_) => Answer::Done("the server did it".to_owned()),
            Err(error @ WireError::MissingPrivilege { .. }) => Answer::Refused(text_of(&error)),
            Err(error) => Answer::Unknown(text_of(&error)),
        },
        Err(error) => Answer::Unknown(text_of(&error)),
    };
    // Where this fails the session is broken, and with it the transaction is gone as well.
    drop(connection.simple_query("ROLLBACK"));
    Trial::new(what, answer)
}

fn first_column(rows: Vec<Vec<Option<String>>>) -> Vec<String> {
    rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect()
}

/// Writes an error with what is behind it.
pub(super) fn text_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Reads an address as production's programs write it. Parameters of other programs are left out.
pub(super) fn settings_of(url: &str) -> Result<ConnectionSettings, String> {
    const KNOWN: [&str; 5] = ["sslmode", "sslrootcert", "host", "port", "user"];
    let whole = ConnectionSettings::from_url(url);
    if whole.is_ok() {
        return whole.map_err(|error| error.to_string());
    }
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let known: Vec<&str> = query
        .split('&')
        .filter(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            KNOWN.contains(&name) && !value.is_empty()
        })
        .collect();
    let mark = if known.is_empty() { "" } else { "?" };
    ConnectionSettings::from_url(&format!("{place}{mark}{}", known.join("&")))
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_other_programs_are_understood() {
        let settings = settings_of("postgres://app:pw@db/shop?schema=public&pgbouncer=true&sslmode=require");
        assert_eq!(settings.unwrap().user, "app");
        assert!(settings_of("postgres://app:pw@db/shop?sslmode=whatever").is_err());
    }
}
