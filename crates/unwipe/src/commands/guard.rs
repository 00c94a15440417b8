//! `unwipe guard`

use postgres_wire::{Connection, Limits, Mode};
use serde::Serialize;
use service::Secrets;
use source_postgres::witness;

use crate::{
    arguments::{Guard, GuardAction, GuardTarget},
    connectors::postgres::connection,
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
};

#[derive(Serialize)]
struct Changed {
    source: String,
    database: String,
    witness: &'static str,
}

pub(crate) fn run(context: &Context, options: Guard) -> Result<Exit, Failure> {
    match options.action {
        GuardAction::Install(target) if !target.witness => {
            Err(Failure::new(Exit::Usage, "say what is to be installed")
                .hint("unwipe guard install SOURCE --url URL --witness"))
        }
        GuardAction::Install(target) => change(context, &target, witness::INSTALL, "installed"),
        GuardAction::Remove(target) => change(context, &target, witness::REMOVE, "removed"),
    }
}

fn change(context: &Context, target: &GuardTarget, sql: &str, done: &'static str) -> Result<Exit, Failure> {
    if target.print {
        let printed = serde_json::json!({ "sql": sql });
        context.output.result(&printed, || sql.to_owned())?;
        return Ok(Exit::Done);
    }
    let installation = context.installation()?;
    let (source, _) = installation.config().source(&target.source)?;
    let secrets = Secrets::new(installation.home(), &environment);
    let settings = connection(&target.url, target.password.as_deref(), &secrets)?;
    let database = settings.database.clone().unwrap_or_else(|| settings.user.clone());
    let run = || {
        let mut connection = Connection::connect(&settings, Mode::Sql, &Limits::default(), context.clock())?;
        connection.simple_query(sql).map(drop)
    };
    run().map_err(|error| {
        let hint = error.hint();
        Failure::because(Exit::Failed, format!("the witness was not {done}"), error).hint_opt(hint)
    })?;
    let result = Changed { source: source.to_string(), database, witness: done };
    context.output.result(&result, || format!("the witness is {done} in database {}\n", result.database))?;
    Ok(Exit::Done)
}
