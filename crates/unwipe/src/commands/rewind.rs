//! `unwipe rewind`

pub(crate) mod actor;
mod joint;

use std::path::{Path, PathBuf};

use connect::plan::{Plan, PlanFolder, PlanHash, Subject};
use postgres_recovery::{
    RecoveryRoute, RestoreOptions, Start,
    deed::{Deed, read_deed},
    restore_cluster,
};
use postgres_server::{Listen, Settings};
use postgres_undo::{
    DumpAddress, Heading, PgDump, RowSelection, Servers, TableName, plan_rows, plan_transaction,
};
use postgres_wire::{Connection, ConnectionSettings, Limits, Mode, quote_literal};
use serde::Serialize;
use service::undo::Numbers;

use crate::{
    arguments::Rewind,
    commands::show::plan_text,
    connectors::postgres::for_programs,
    connectors::recovery::{REPLAY_TIMEOUT, StoredCluster, source_and_moment},
    context::Context,
    exit::Exit,
    failure::Failure,
    output::{Style, bytes, counted},
};

pub(crate) fn run(context: &Context, options: &Rewind) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    if actor::is_meant(options) {
        return actor::run(context, &installation, options);
    }
    if let Some(tree) =
        crate::connectors::files::open(context, &installation, options.what(), &options.reading)?
    {
        return crate::commands::files::rewind(context, &tree, options);
    }
    if let Some(domain) =
        crate::connectors::google::open(context, &installation, options.what(), &options.reading)?
    {
        return crate::commands::google::rewind(context, &installation, &domain, options);
    }
    let (source, moment) = source_and_moment(options.what());
    let (name, _) = installation.config().source(source)?;
    let stored = context.stored(&installation, &name, &options.reading)?;
    let cluster = StoredCluster::open(context, &installation, &name, stored)?;
    if let Some(folder) = &options.to {
        return restore(context, &cluster, moment, folder, options);
    }
    let production = crate::context::production(&installation, &options.production, name.as_str())?;
    if !options.undo.is_empty() {
        return undo(context, &cluster, production, options);
    }
    if options.table.is_empty() {
        return Err(Failure::new(Exit::Usage, "say what is to be brought back")
            .hint("--to FOLDER for the whole cluster, --undo XID for a transaction, --table DATABASE.SCHEMA.TABLE for rows"));
    }
    rows(context, &cluster, moment, production, options)
}

#[derive(Serialize)]
struct Restored {
    source: String,
    folder: String,
    timeline: u32,
    end: String,
    files: u64,
    bytes: u64,
    wal_bytes: u64,
    running: Option<String>,
    start_command: String,
    timing: postgres_recovery::Timing,
    also_on_timelines: Vec<u32>,
    links_left_out: Vec<String>,
}

fn restore(
    context: &Context,
    cluster: &StoredCluster<'_>,
    moment: &str,
    folder: &Path,
    options: &Rewind,
) -> Result<Exit, Failure> {
    let folder = std::path::absolute(folder)?;
    let resolution = cluster.resolve(moment)?;
    let control_dir = control_dir(&folder);
    ports::files::create_folder(&control_dir)?;
    let start = match (options.no_start, options.port) {
        (true, _) => Start::No,
        (false, Some(port)) => Start::Restored(Listen::Address { addresses: "localhost".to_owned(), port }),
        (false, None) => Start::Restored(Listen::Loopback),
    };
    let restore_options = RestoreOptions {
        installation: cluster.programs(&resolution.route)?,
        account: cluster.account.clone(),
        control_dir,
        tablespaces: std::collections::BTreeMap::new(),
        start,
        settings: Settings::new(),
        durable: true,
        timeout: REPLAY_TIMEOUT,
        clock: context.clock(),
    };
    let progress = context.progress();
    let mut restored = restore_cluster(
        cluster.stored(),
        &cluster.history,
        &resolution.route,
        &folder,
        &restore_options,
        &*progress,
    )
    .map_err(|error| {
        let hint = error.hint();
        Failure::because(Exit::Failed, format!("{} was not restored", cluster.name), error).hint_opt(hint)
    })?;
    drop(progress);
    let running = restored.running.take();
    let address = running.as_ref().map(|server| {
        server.tcp_url("postgres", "postgres").unwrap_or_else(|| server.url("postgres", "postgres"))
    });
    // The restored server is the owner's from here on; it outlives this process.
    drop(running.map(postgres_server::RunningServer::let_go));
    let result = Restored {
        source: cluster.name.to_string(),
        folder: folder.display().to_string(),
        timeline: resolution.route.branch.timeline,
        end: postgres_server::lsn::to_text(restored.end_lsn),
        files: restored.files,
        bytes: restored.bytes,
        wal_bytes: restored.wal_bytes,
        running: address,
        start_command: restored.start_command,
        timing: restored.timing,
        also_on_timelines: resolution.also_on,
        links_left_out: restored.links_left_out,
    };
    let output = context.output;
    output.result(&result, || {
        let total_ms = result.timing.write_ms + result.timing.sync_ms + result.timing.replay_ms;
        let running = match &result.running {
            Some(url) => format!("serving   {}", output.paint(Style::Good, url)),
            None => format!("start it  {}", result.start_command),
        };
        format!(
            "restored  {} to {} on timeline {}\nfolder    {}\nsize      {} in {}, {} of WAL\ntime      {:.1} s (write {:.1}, sync {:.1}, replay {:.1})\n{running}\n",
            result.source,
            result.end,
            result.timeline,
            result.folder,
            bytes(result.bytes),
            counted(result.files, "file"),
            bytes(result.wal_bytes),
            total_ms as f64 / 1e3,
            result.timing.write_ms as f64 / 1e3,
            result.timing.sync_ms as f64 / 1e3,
            result.timing.replay_ms as f64 / 1e3,
        )
    })?;
    Ok(Exit::Done)
}

/// Our own files (log, socket) lie beside the data directory, never inside.
fn control_dir(folder: &Path) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(".unwipe");
    PathBuf::from(name)
}

fn undo(
    context: &Context,
    cluster: &StoredCluster<'_>,
    production: ConnectionSettings,
    options: &Rewind,
) -> Result<Exit, Failure> {
    let folder = plan_folder(context, options, &format!("undo-{}", options.undo[0]))?;
    let plan = plan_undo(context, cluster, &options.undo, production, &folder)?;
    finish(context, &plan, &folder, "--url URL")
}

/// Plans the undo of transactions of one database, as if they were one; the plan's rows go into the folder.
pub(crate) fn plan_undo(
    context: &Context,
    cluster: &StoredCluster<'_>,
    transactions: &[String],
    production: ConnectionSettings,
    folder: &PlanFolder,
) -> Result<Plan, Failure> {
    if let [transaction] = transactions {
        return plan_one(context, cluster, transaction, production, folder);
    }
    let numbers = Numbers::of(transactions.iter().map(String::as_str));
    if let Some(nameless) = numbers.nameless.first() {
        return Err(Failure::new(Exit::Usage, format!("{nameless:?} is no number of a transaction")));
    }
    let title = format!("transactions {}", transactions.join(", "));
    let joint = joint::JointUndo::read(context, cluster, &numbers.numbers, None)?;
    if let Some(missing) = joint.missing.first() {
        let sentence = format!("the commit of transaction {missing} is not stored");
        return Err(Failure::new(Exit::Nothing, sentence));
    }
    let database = joint.databases()?.into_iter().next();
    let database =
        database.ok_or_else(|| Failure::new(Exit::Nothing, "the transactions changed no database"))?;
    joint.plan(&database, production, folder, format!("undo-{}", transactions.join("-")), &title)
}

fn plan_one(
    context: &Context,
    cluster: &StoredCluster<'_>,
    transaction: &str,
    production: ConnectionSettings,
    folder: &PlanFolder,
) -> Result<Plan, Failure> {
    let resolution = cluster.resolve(&format!("before-transaction:{transaction}"))?;
    let commit = resolution.commit.ok_or_else(|| {
        Failure::new(Exit::Nothing, format!("the commit of transaction {transaction} is not stored"))
    })?;
    let progress = context.progress();
    let deed = read_deed(cluster.stored(), &cluster.history, &commit).map_err(|error| {
        let hint = error.hint();
        Failure::because(Exit::Failed, format!("transaction {transaction} cannot be undone"), error)
            .hint_opt(hint)
    })?;
    let scratch = cluster.scratch(&resolution.route, &*progress)?;
    let database = database_of(cluster, &scratch, &deed)?;
    let heading = heading(context, cluster, &resolution.route, format!("undo-{transaction}"));
    let mut sides = Sides::connect(context, cluster, &scratch, &resolution.route, production, &database)?;
    plan_transaction(sides.servers(folder, &*progress), &heading, &deed.summary, &deed.rows).map_err(no_plan)
}

fn no_plan(error: postgres_undo::PlanningError) -> Failure {
    let hint = error.hint();
    Failure::because(Exit::Failed, "no plan could be made", error).hint_opt(hint)
}

fn rows(
    context: &Context,
    cluster: &StoredCluster<'_>,
    moment: &str,
    production: ConnectionSettings,
    options: &Rewind,
) -> Result<Exit, Failure> {
    let mut database = None;
    let mut selections = Vec::new();
    for text in &options.table {
        let (its_database, table) = table_name(text)?;
        if database.get_or_insert_with(|| its_database.clone()) != &its_database {
            return Err(Failure::new(Exit::Usage, "one plan is for one database")
                .hint("make a plan for each database"));
        }
        let predicate = options.predicate.clone();
        selections.push(RowSelection { table, predicate, revert_changed: options.changed });
    }
    let database = database.unwrap_or_default();
    let resolution = cluster.resolve(moment)?;
    let progress = context.progress();
    let scratch = cluster.scratch(&resolution.route, &*progress)?;
    let folder = plan_folder(context, options, "rows")?;
    let heading =
        heading(context, cluster, &resolution.route, format!("rows-of-{}", selections[0].table.name));
    let subject = Subject {
        title: format!("{} as of {moment}", options.table.join(", ")),
        position: Some(postgres_server::lsn::to_text(resolution.route.stop.lsn())),
        at: resolution.commit.map(|commit| commit.at),
    };
    let mut sides = Sides::connect(context, cluster, &scratch, &resolution.route, production, &database)?;
    let plan =
        plan_rows(sides.servers(&folder, &*progress), &heading, subject, &selections).map_err(no_plan)?;
    finish(context, &plan, &folder, "--url URL")
}

/// The connections that a plan is made over.
struct Sides {
    scratch: Connection,
    production: Connection,
    definitions: Option<PgDump>,
}

impl Sides {
    fn connect(
        context: &Context,
        cluster: &StoredCluster<'_>,
        scratch: &postgres_recovery::scratch::Scratch,
        route: &RecoveryRoute,
        mut production: ConnectionSettings,
        database: &str,
    ) -> Result<Self, Failure> {
        production.database = Some(database.to_owned());
        let connect = || Connection::connect(&production, Mode::Sql, &Limits::default(), context.clock());
        let reached = connect().map_err(|error| {
            let hint = error.hint();
            Failure::because(Exit::Authentication, "production cannot be reached", error).hint_opt(hint)
        })?;
        let definitions = cluster.pg_dump(route).map(|program| PgDump {
            program,
            scratch: DumpAddress { url: cluster.scratch_url(scratch, database), password: None },
            production: DumpAddress { url: for_programs(&production), password: production.password.clone() },
        });
        Ok(Self { scratch: cluster.connect_scratch(scratch, database)?, production: reached, definitions })
    }

    fn servers<'s>(&'s mut self, folder: &'s PlanFolder, progress: &'s dyn connect::Progress) -> Servers<'s> {
        Servers {
            scratch: &mut self.scratch,
            production: &mut self.production,
            definitions: self.definitions.as_mut().map(|dump| dump as &mut dyn postgres_undo::Definitions),
            folder,
            progress,
        }
    }
}

/// Finds the database that a transaction touched; it is the scratch server that knows its name then.
fn database_of(
    cluster: &StoredCluster<'_>,
    scratch: &postgres_recovery::scratch::Scratch,
    deed: &Deed,
) -> Result<String, Failure> {
    let failed =
        |error| Failure::because(Exit::Failed, "the scratch server cannot name its databases", error);
    let mut connection = cluster.connect_scratch(scratch, "postgres")?;
    // Database 0 is what all databases share; a transaction works in one of the others.
    let Some(oid) = deed.summary.databases.iter().find(|oid| **oid != 0) else {
        return Err(Failure::new(Exit::Nothing, "the transaction changed no database"));
    };
    let sql =
        format!("SELECT datname FROM pg_catalog.pg_database WHERE oid = {}", quote_literal(&oid.to_string()));
    let rows = connection.query_rows(&sql).map_err(failed)?;
    rows.into_iter()
        .next()
        .and_then(|row| row.into_iter().next().flatten())
        .ok_or_else(|| Failure::new(Exit::Nothing, format!("database {oid} did not exist then")))
}

fn table_name(text: &str) -> Result<(String, TableName), Failure> {
    let parts: Vec<&str> = text.split('.').collect();
    match parts.as_slice() {
        [database, schema, name] if parts.iter().all(|part| !part.is_empty()) => {
            Ok(((*database).to_owned(), TableName { schema: (*schema).to_owned(), name: (*name).to_owned() }))
        }
        _ => {
            Err(Failure::new(Exit::Usage, format!("{text:?} names no table"))
                .hint("write DATABASE.SCHEMA.TABLE"))
        }
    }
}

pub(crate) fn plan_folder(context: &Context, options: &Rewind, name: &str) -> Result<PlanFolder, Failure> {
    let path = match &options.plan {
        Some(path) => path.clone(),
        None => {
            let stamp = context.clock().now().to_string().replace([':', '.'], "-");
            context.home.join("plans").join(format!("{name}-{stamp}"))
        }
    };
    ports::files::create_folder(&path)?;
    Ok(PlanFolder::new(path))
}

fn heading(context: &Context, cluster: &StoredCluster<'_>, route: &RecoveryRoute, id: String) -> Heading {
    let stop = postgres_server::lsn::to_text(route.stop.lsn());
    let base = postgres_server::lsn::to_text(route.base.base.start_lsn);
    Heading {
        id,
        source: cluster.name.to_string(),
        base: format!("the cluster just before {stop}, recovered from base {base}"),
        made_at: context.clock().now(),
    }
}

#[derive(Serialize)]
struct Planned<'p> {
    folder: String,
    hash: PlanHash,
    plan: &'p Plan,
}

pub(crate) fn finish(
    context: &Context,
    plan: &Plan,
    folder: &PlanFolder,
    with: &str,
) -> Result<Exit, Failure> {
    let hash = folder.write(plan)?;
    let output = context.output;
    let planned = Planned { folder: folder.path().display().to_string(), hash, plan };
    output
        .result(&planned, || format!("{}\nplan      {}\n", plan_text(output, plan, hash), planned.folder))?;
    if plan.is_empty() {
        output.say("there is nothing to bring back");
        return Ok(Exit::Nothing);
    }
    output.say(format!("next: unwipe approve {0} && unwipe apply {0} {with}", planned.folder));
    Ok(Exit::Done)
}
