//! Asking a moment of a database: read-only, in a scratch copy that is gone afterwards.

use model::SourceName;
use postgres_wire::{Connection, WireError};
use service::workshop::{Question, Table};

use crate::{
    arguments::Reading, connectors::recovery::StoredCluster, context::Context, exit::Exit, failure::Failure,
};

/// How long the statement may run.
const STATEMENT_MAX: &str = "20s";
/// More than this of one value is not shown.
const VALUE_CHARS_MAX: usize = 4096;

/// Answers a question with at most as many rows as were asked for.
pub(super) fn ask(context: &Context, question: &Question) -> Result<Table, Failure> {
    let installation = context.installation()?;
    let (name, _) = installation.config().source(question.source.as_str())?;
    let stored = context.stored(&installation, &name, &Reading { key: None })?;
    let cluster = StoredCluster::open(context, &installation, &name, stored)?;
    let resolution = cluster.resolve(&question.moment)?;
    let progress = context.progress();
    let scratch = cluster.scratch(&resolution.route, &*progress)?;
    progress.phase("asking", None);
    let role = format!("unwipe_question_{}", context.random_text::<8>());
    let mut owner = cluster.connect_scratch(&scratch, &question.database)?;
    prepare(&mut owner, &role).map_err(|error| refused(&name, error))?;
    let mut reader = cluster.connect(&scratch.url(&role, &question.database))?;
    answer(&mut reader, question).map_err(|error| refused(&name, error))
}

/// Makes a role that can read every table and call nothing that the database brought along: a function that somebody
/// planted in production must not run here with its owner's rights.
fn prepare(owner: &mut Connection, role: &str) -> Result<(), WireError> {
    owner.execute(&format!(
        "CREATE ROLE {role} LOGIN NOSUPERUSER BYPASSRLS;
         DO $$ DECLARE schema text; BEGIN
           FOR schema IN SELECT nspname FROM pg_catalog.pg_namespace
                         WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
             EXECUTE format('REVOKE ALL ON ALL ROUTINES IN SCHEMA %I FROM PUBLIC', schema);
             EXECUTE format('GRANT USAGE ON SCHEMA %I TO {role}', schema);
             EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO {role}', schema);
           END LOOP;
         END $$"
    ))?;
    Ok(())
}

fn refused(name: &SourceName, error: WireError) -> Failure {
    let hint = error.hint();
    Failure::because(Exit::Usage, format!("the copy of {name} does not answer this"), error).hint_opt(hint)
}

/// Runs one statement in a transaction that cannot write, and takes the first rows.
fn answer(connection: &mut Connection, question: &Question) -> Result<Table, WireError> {
    connection.execute(&format!("SET statement_timeout = '{STATEMENT_MAX}'"))?;
    connection.execute("BEGIN TRANSACTION READ ONLY")?;
    // The extended protocol takes one statement: a second one behind a semicolon is refused by the server.
    let limited = format!(
        "SELECT * FROM ({}\n) AS question LIMIT {}",
        question.sql.trim_end_matches([';', ' ', '\n']),
        u64::from(question.rows_max) + 1
    );
    let result = connection.query_params(&limited, &[])?;
    let mut rows = result.rows;
    let truncated = rows.len() as u64 > u64::from(question.rows_max);
    rows.truncate(question.rows_max as usize);
    for value in rows.iter_mut().flatten().flatten() {
        if value.chars().count() > VALUE_CHARS_MAX {
            *value = value.chars().take(VALUE_CHARS_MAX).chain("…".chars()).collect();
        }
    }
    Ok(Table { columns: result.columns.into_iter().map(|column| column.name).collect(), rows, truncated })
}
