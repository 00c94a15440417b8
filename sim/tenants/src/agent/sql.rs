//! Wipes of a database as statements, and two kinds of work that look like them and are none.
//!
//! Each takes a function that runs one statement in a session of its own, answers how many rows it concerned, and returns
//! once it is committed.

use std::{fmt::Display, time::Duration};

use ports::Clock;

use super::deeds::{Deeds, Pace};

/// The table that a script works on, and its key of whole numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its name with its schema: `public.payments`.
    pub name: String,
    /// The name of its key.
    pub key: String,
}

/// Deletes all rows with one statement.
pub fn bulk_delete<E: Display>(
    clock: &dyn Clock,
    table: &Table,
    execute: impl FnMut(&str) -> Result<u64, E>,
) -> Deeds {
    statements(clock, &[format!("DELETE FROM {}", table.name)], execute)
}

/// Deletes row by row from outside, each in a transaction of its own: whoever looks at transactions alone sees nothing.
pub fn autocommit_loop<E: Display>(
    clock: &dyn Clock,
    pause: Duration,
    table: &Table,
    keys: &[i64],
    mut execute: impl FnMut(&str) -> Result<u64, E>,
) -> Deeds {
    let mut pace = Pace::new(clock, pause);
    let name = format!("DELETE FROM {} by {}", table.name, table.key);
    for key in keys {
        pace.wait();
        let sql = format!("DELETE FROM {} WHERE {} = {key}", table.name, table.key);
        if pace.call(&name, &[key.to_string()], || execute(&sql), |rows| *rows).is_none() {
            break;
        }
    }
    pace.end()
}

/// Deletes row by row within the server: one statement, and a transaction for each row. The answer counts no rows.
pub fn autocommit_block<E: Display>(
    clock: &dyn Clock,
    table: &Table,
    execute: impl FnMut(&str) -> Result<u64, E>,
) -> Deeds {
    let Table { name, key } = table;
    let block = format!(
        "DO $$ DECLARE victim record; BEGIN FOR victim IN SELECT {key} AS id FROM {name} LOOP \
         DELETE FROM {name} WHERE {key} = victim.id; COMMIT; END LOOP; END $$"
    );
    statements(clock, &[block], execute)
}

/// Empties a table at one stroke, then drops it with what depends on it.
pub fn truncate_drop<E: Display>(
    clock: &dyn Clock,
    table: &Table,
    execute: impl FnMut(&str) -> Result<u64, E>,
) -> Deeds {
    let name = &table.name;
    statements(clock, &[format!("TRUNCATE {name} CASCADE"), format!("DROP TABLE {name} CASCADE")], execute)
}

/// What a nightly batch deletes, by a role that does it every night.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nightly {
    /// From which table.
    pub table: Table,
    /// What holds for rows that have expired: `created_at < now() - interval '90 days'`.
    pub expired: String,
    /// How many rows go with one statement.
    pub rows_per_statement: u32,
}

/// Deletes expired rows, some with each statement, until none are left.
pub fn nightly<E: Display>(
    clock: &dyn Clock,
    job: &Nightly,
    mut execute: impl FnMut(&str) -> Result<u64, E>,
) -> Deeds {
    let Table { name, key } = &job.table;
    let sql = format!(
        "DELETE FROM {name} WHERE {key} IN (SELECT {key} FROM {name} WHERE {} LIMIT {})",
        job.expired, job.rows_per_statement
    );
    let mut pace = Pace::new(clock, Duration::ZERO);
    let call = format!("DELETE FROM {name}, expired");
    loop {
        match pace.call(&call, &[], || execute(&sql), |rows| *rows) {
            Some(rows) if rows > 0 => {}
            _ => return pace.end(),
        }
    }
}

/// Rewrites a table as a registered migration does: each row is changed, then the table is written anew.
pub fn migration<E: Display>(
    clock: &dyn Clock,
    table: &Table,
    execute: impl FnMut(&str) -> Result<u64, E>,
) -> Deeds {
    let Table { name, key } = table;
    let plan = [
        format!("ALTER TABLE {name} ADD COLUMN migrated_from bigint"),
        format!("UPDATE {name} SET migrated_from = {key}"),
        format!("ALTER TABLE {name} ALTER COLUMN migrated_from TYPE text USING migrated_from::text"),
    ];
    statements(clock, &plan, execute)
}

/// Runs statements one after the other; the first that is refused ends it.
fn statements<E: Display>(
    clock: &dyn Clock,
    statements: &[String],
    mut execute: impl FnMut(&str) -> Result<u64, E>,
) -> Deeds {
    let mut pace = Pace::new(clock, Duration::ZERO);
    for sql in statements {
        if pace.call(sql, &[], || execute(sql), |rows| *rows).is_none() {
            break;
        }
    }
    pace.end()
}
