//! `unwipe guard`

use model::SourceName;
use postgres_guard::{Policy, install};
use postgres_wire::{Connection, ConnectionSettings, Limits, Mode, WireError, password_verifier};
use serde::Serialize;
use service::Secrets;
use source_postgres::witness;

use crate::{
    arguments::{Guard, GuardAction, GuardInstall, GuardTarget},
    connectors::postgres::{self, PostgresConfig, connection},
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
};

/// What was installed in, or removed from, a database.
#[derive(Serialize)]
struct Changed {
    source: String,
    database: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    witness: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guard: Option<&'static str>,
    /// Tables whose trigger could not be made, with what the server said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left: Vec<(String, String)>,
}

#[derive(Serialize)]
struct Shown {
    source: String,
    database: String,
    witness: bool,
    #[serde(flatten)]
    guard: install::Status,
}

/// An administrator's way into a database of a source.
struct Administrator {
    source: SourceName,
    settings: ConnectionSettings,
}

pub(crate) fn run(context: &Context, options: Guard) -> Result<Exit, Failure> {
    match options.action {
        GuardAction::Install(options) => install(context, &options),
        GuardAction::Remove(target) => remove(context, &target),
        GuardAction::Status(target) => status(context, &target),
    }
}

fn install(context: &Context, options: &GuardInstall) -> Result<Exit, Failure> {
    let guards = !(options.refuse.is_empty() && options.contain.is_empty());
    if !guards && !options.witness {
        return Err(Failure::new(Exit::Usage, "say what is to be installed").hint(
            "unwipe guard install SOURCE --url URL --witness --refuse ROLE --contain ROLE --never ROLE",
        ));
    }
    let installation = context.installation()?;
    let (source, configuration) = installation.config().source(&options.target.source)?;
    let mut policy = Policy {
        contained: options.contain.clone(),
        refused: options.refuse.clone(),
        protected: options.never.clone(),
    };
    // Whoever reads for us is never stopped by us.
    if configuration.kind == postgres::KIND {
        policy.protected.extend(PostgresConfig::of(&source, configuration)?.roles()?);
    }
    policy.check().map_err(|error| Failure::because(Exit::Usage, "the policy cannot be installed", error))?;
    if options.target.print {
        let witness = if options.witness { witness::INSTALL } else { "" };
        let guard = if guards { policy.script() } else { String::new() };
        return print(context, &format!("{witness}{guard}"));
    }
    let administrator = Administrator::of(context, &options.target)?;
    let secrets = Secrets::new(installation.home(), &environment);
    let verifier = match &options.guard_password {
        None => None,
        Some(reference) => {
            let secret = secrets.resolve(reference).map_err(service::ServiceError::from)?;
            Some(password_verifier(secret.expose()))
        }
    };
    let left = administrator.run(context, "the guard was not installed", |connection| {
        if options.witness {
            connection.simple_query(witness::INSTALL)?;
        }
        if guards { install::install(connection, &policy, verifier.as_deref()) } else { Ok(Vec::new()) }
    })?;
    let done = |part: bool| part.then_some("installed");
    let result = Changed {
        source: administrator.source.to_string(),
        database: administrator.database(),
        witness: done(options.witness),
        guard: done(guards),
        left,
    };
    context.output.result(&result, || result.to_string())?;
    Ok(if result.left.is_empty() { Exit::Done } else { Exit::Failed })
}

fn remove(context: &Context, target: &GuardTarget) -> Result<Exit, Failure> {
    if target.print {
        return print(context, &install::removal_script());
    }
    let administrator = Administrator::of(context, target)?;
    administrator.run(context, "the guard was not removed", install::remove)?;
    let result = Changed {
        source: administrator.source.to_string(),
        database: administrator.database(),
        witness: Some("removed"),
        guard: Some("removed"),
        left: Vec::new(),
    };
    context.output.result(&result, || result.to_string())?;
    let what = format!("the guard was removed from {} in {}", result.database, result.source);
    super::weakened::note(context, &context.installation()?, &what);
    Ok(Exit::Done)
}

fn status(context: &Context, target: &GuardTarget) -> Result<Exit, Failure> {
    let administrator = Administrator::of(context, target)?;
    let (witness, guard) = administrator.run(context, "the guard cannot be asked", |connection| {
        let row = connection.query_one(witness::IS_INSTALLED)?;
        let witness = row.first().is_some_and(|value| value.as_deref() == Some("t"));
        Ok((witness, install::status(connection)?))
    })?;
    let shown = Shown {
        source: administrator.source.to_string(),
        database: administrator.database(),
        witness,
        guard,
    };
    context.output.result(&shown, || shown.to_string())?;
    Ok(Exit::Done)
}

fn print(context: &Context, sql: &str) -> Result<Exit, Failure> {
    context.output.result(&serde_json::json!({ "sql": sql }), || sql.to_owned())?;
    Ok(Exit::Done)
}

impl Administrator {
    fn of(context: &Context, target: &GuardTarget) -> Result<Self, Failure> {
        let installation = context.installation()?;
        let (source, _) = installation.config().source(&target.source)?;
        let secrets = Secrets::new(installation.home(), &environment);
        let settings = connection(&target.url, target.password.as_deref(), &secrets)?;
        Ok(Self { source: source.clone(), settings })
    }

    fn database(&self) -> String {
        self.settings.database.clone().unwrap_or_else(|| self.settings.user.clone())
    }

    fn run<T>(
        &self,
        context: &Context,
        what: &str,
        work: impl FnOnce(&mut Connection) -> Result<T, WireError>,
    ) -> Result<T, Failure> {
        let connect = Connection::connect(&self.settings, Mode::Sql, &Limits::default(), context.clock());
        connect.and_then(|mut connection| work(&mut connection)).map_err(|error| {
            let hint = error.hint();
            Failure::because(Exit::Failed, what, error).hint_opt(hint)
        })
    }
}

impl std::fmt::Display for Changed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (part, done) in [("witness", self.witness), ("guard", self.guard)] {
            if let Some(done) = done {
                writeln!(f, "the {part} is {done} in database {}", self.database)?;
            }
        }
        for (table, message) in &self.left {
            writeln!(f, "TRUNCATE of {table} is not refused yet: {message}; run the same command again")?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let guard = &self.guard;
        let said = |is: bool| if is { "installed" } else { "not installed" };
        let list = |roles: &[String]| if roles.is_empty() { "nobody".to_owned() } else { roles.join(", ") };
        writeln!(f, "database {}", self.database)?;
        writeln!(f, "witness              {}", said(self.witness))?;
        writeln!(f, "containment          {}", said(guard.containment))?;
        if guard.containment {
            writeln!(f, "  may be contained   {}", list(&guard.policy.contained))?;
            writeln!(f, "  never contained    {}", list(&guard.policy.protected))?;
            writeln!(f, "  barred now         {}", list(&guard.barred))?;
        }
        writeln!(f, "DROP and TRUNCATE    {}", if guard.refusal { "refused" } else { "not refused" })?;
        if guard.refusal {
            writeln!(f, "  refused to         {}", list(&guard.policy.refused))?;
            writeln!(f, "  tables guarded     {}", guard.tables_guarded)?;
        }
        for table in &guard.tables_unguarded {
            writeln!(f, "  not guarded        {table}; run guard install again")?;
        }
        Ok(())
    }
}
