//! Wipes of a database by one statement, by many, and by those that take whole tables: stopped, and undone.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use model::Moment;
use postgres_guard::{Policy, install};
use postgres_wire::{Connection, WireError, password_verifier};
use serde::Serialize;
use tenants::agent::{
    deeds::Deeds,
    sql::{self as script, Table},
};
use watch::{ActionStatus, ActorKind, ActorPattern, Incident, policy::Mode};

use super::{
    account::Page,
    incident::{Alarm, UndoneIncident, incidents, undo},
    stage::{Capturing, Stage, refused, value},
};
use crate::{
    arguments::Rehearse,
    connectors::postgres::{GuardConfig, PostgresConfig},
    context::Context,
    exit::Exit,
    failure::Failure,
    output::{count, counted},
};

const DATABASE: &str = "shop";
/// What the agent works with.
const AGENT: &str = "agent";
/// Somebody whom no guard refuses anything.
const INTERN: &str = "intern";
const GUARD_ROLE: &str = "unwipe_guard";
/// The owner's way to restore; given for the restore only.
const RESTORE_ROLE: &str = "unwipe_restore";
/// Looks at the incidents so often.
const POLL: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_mins(2);
/// The watch is given so long to tell more of an incident than that there is one.
const SETTLE: Duration = Duration::from_secs(2);
/// What people did after the wipe, and what must stay.
const LATER_WORK: [&str; 2] = [
    "INSERT INTO public.bookings (booking_id, customer, days) \
     SELECT 900000000 + n, 'later ' || n, 3 FROM generate_series(1, 40) AS n",
    "UPDATE public.customers SET city = 'Trieste' WHERE customer_id % 50 = 0",
];

/// How the database is wiped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wipe {
    BulkDelete,
    RowByRow,
    TruncateDrop,
}

impl Wipe {
    const fn name(self) -> &'static str {
        match self {
            Self::BulkDelete => "bulk-delete",
            Self::RowByRow => "row-by-row",
            Self::TruncateDrop => "truncate-drop",
        }
    }
}

/// Every row of the two tables as text, by table and key.
type Content = BTreeMap<(&'static str, String), String>;

/// The result, as `--json` prints it.
#[derive(Serialize)]
struct Account {
    incident: &'static str,
    simulated: [&'static str; 1],
    server_major: u32,
    rows_before: usize,
    attempts: Vec<Attempt>,
    rows_lost_before_undo: usize,
    alarms: Vec<Alarm>,
    undone: Vec<UndoneIncident>,
    later_rows_kept: usize,
    rows_wrong: usize,
    first_wrong: Vec<String>,
}

/// One attempt at the database.
#[derive(Serialize)]
struct Attempt {
    role: &'static str,
    what: &'static str,
    calls: usize,
    /// What ended it.
    ended_by: Option<String>,
}

pub(super) fn run(outer: &Context, options: &Rehearse, wipe: Wipe) -> Result<Exit, Failure> {
    let stage = Stage::build(outer, options.keep, DATABASE)?;
    let mut admin = stage.superuser(DATABASE)?;
    admin.simple_query(&setup(options.rows())).map_err(refused)?;
    stage.protect()?;
    guard(&stage, &mut admin, wipe)?;
    outer.output.say("copying a base into the vault, then following the write-ahead log");
    let capturing = stage.start_capture()?;

    let before = content(&mut admin)?;
    outer.output.say("an agent takes the shop apart");
    let (attempts, begun) = attack(&stage, wipe, options.rows())?;
    let alarms = await_alarms(&stage, &capturing, wipe, begun)?;
    let after_wipe = content(&mut admin)?;
    outer.output.say("people go on working with what is left");
    later_work(&mut admin)?;
    let expected = expected(&before, &after_wipe, &content(&mut admin)?);
    stage.await_captured()?;
    capturing.end()?;

    let lost = before.keys().filter(|key| !after_wipe.contains_key(*key)).count();
    let mut undone = Vec::new();
    if lost > 0 {
        outer.output.say("planning the undo of the incident, approving and applying it");
        undone = undo_all(&stage, &alarms)?;
    }
    let now = content(&mut admin)?;
    let wrong = differences(&expected, &now);
    let account = Account {
        incident: wipe.name(),
        simulated: ["the agent"],
        server_major: stage.major,
        rows_before: before.len(),
        attempts,
        rows_lost_before_undo: lost,
        alarms,
        undone,
        later_rows_kept: now.iter().filter(|(key, text)| before.get(*key) != Some(*text)).count(),
        rows_wrong: wrong.len(),
        first_wrong: wrong.into_iter().take(10).collect(),
    };
    outer.output.result(&account, || text(outer, &account))?;
    Ok(if account.rows_wrong == 0 { Exit::Done } else { Exit::Failed })
}

/// A shop with customers and their bookings; whoever belongs to `owners` may do anything with them.
fn setup(rows: u64) -> String {
    format!(
        "CREATE ROLE owners;
         CREATE ROLE {AGENT} IN ROLE owners;
         CREATE ROLE {INTERN} IN ROLE owners;
         CREATE TABLE public.customers (customer_id bigint PRIMARY KEY, name text NOT NULL, city text);
         CREATE TABLE public.bookings (booking_id bigint PRIMARY KEY, customer text NOT NULL, days integer,
                                       note text DEFAULT 'none');
         CREATE INDEX bookings_by_customer ON public.bookings (customer);
         ALTER TABLE public.customers OWNER TO owners;
         ALTER TABLE public.bookings OWNER TO owners;
         GRANT CREATE, USAGE ON SCHEMA public TO owners;
         INSERT INTO public.customers SELECT n, 'customer ' || n, 'Udine' FROM generate_series(1, 500) AS n;
         INSERT INTO public.bookings
             SELECT n, 'customer ' || n % 500, n % 14, md5(n::text) FROM generate_series(1, {rows}) AS n;
         ANALYZE;"
    )
}

/// Installs the guard and lets the watch stop the agent by itself.
fn guard(stage: &Stage, admin: &mut Connection, wipe: Wipe) -> Result<(), Failure> {
    let password = stage.secret();
    let policy = Policy {
        contained: vec![AGENT.to_owned()],
        refused: if wipe == Wipe::TruncateDrop { vec![AGENT.to_owned()] } else { Vec::new() },
        protected: ["unwipe", "unwipe_monitor", "postgres"].map(str::to_owned).to_vec(),
    };
    admin.simple_query(source_postgres::witness::INSTALL).map_err(refused)?;
    install::install(admin, &policy, Some(&password_verifier(&password))).map_err(refused)?;
    let file = format!("{GUARD_ROLE}.password");
    ports::files::create_new(&stage.context.home.join(&file), password.as_bytes(), 0o600)?;
    let mut installation = stage.context.installation()?;
    let (name, source) = installation.config().source(stage.source.as_str())?;
    let mut config = PostgresConfig::of(&name, source)?;
    config.guard =
        Some(GuardConfig { url: stage.url(GUARD_ROLE, DATABASE), password: Some(format!("file:{file}")) });
    let source = config.to_source()?;
    installation.reconfigure(|all| {
        all.sources.insert(name, source);
        all.watch.containment.mode = Mode::Automatic;
        all.watch.containment.subjects = vec![AGENT.to_owned()];
        all.watch.containment.actions_per_hour_max = 20;
        all.watch.actors.patterns.push(ActorPattern {
            identity: Some(AGENT.to_owned()),
            application: None,
            client: None,
            kind: ActorKind::Agent,
        });
        Ok(())
    })?;
    Ok(())
}

/// Lets the agent loose, and where it is refused everything, an intern after it. Returns when the first of it began.
fn attack(stage: &Stage, wipe: Wipe, rows: u64) -> Result<(Vec<Attempt>, Moment), Failure> {
    let clock = stage.context.clock();
    let bookings = Table { name: "public.bookings".to_owned(), key: "booking_id".to_owned() };
    let mut agent = stage.session(AGENT, DATABASE, "agent-at-work")?;
    let begun = clock.now();
    let mut attempts = Vec::new();
    match wipe {
        Wipe::BulkDelete => {
            let deeds = script::bulk_delete(&*clock, &bookings, |sql| execute(&mut agent, sql));
            attempts.push(attempt(AGENT, "one DELETE of all bookings", &deeds));
        }
        Wipe::RowByRow => {
            let keys: Vec<i64> = (1..=rows as i64).collect();
            let deeds = script::autocommit_loop(&*clock, Duration::ZERO, &bookings, &keys, |sql| {
                execute(&mut agent, sql)
            });
            attempts.push(attempt(AGENT, "a DELETE for each booking, from outside", &deeds));
        }
        Wipe::TruncateDrop => {
            let deeds = script::truncate_drop(&*clock, &bookings, |sql| execute(&mut agent, sql));
            attempts.push(attempt(AGENT, "TRUNCATE, refused by the guard", &deeds));
            let customers = Table { name: "public.customers".to_owned(), key: "customer_id".to_owned() };
            let mut intern = stage.session(INTERN, DATABASE, "intern-at-work")?;
            // The guard refuses the agent alone: whoever else empties tables is found and undone.
            for table in [&bookings, &customers] {
                execute(&mut intern, &format!("TRUNCATE {}", table.name)).map_err(refused)?;
            }
            execute(&mut intern, "DROP TABLE public.customers").map_err(refused)?;
            attempts.push(Attempt {
                role: INTERN,
                what: "TRUNCATE of both tables, DROP of the customers",
                calls: 3,
                ended_by: None,
            });
        }
    }
    Ok((attempts, begun))
}

fn attempt(role: &'static str, what: &'static str, deeds: &Deeds) -> Attempt {
    Attempt { role, what, calls: deeds.deeds.len(), ended_by: deeds.ended_by.clone() }
}

fn execute(connection: &mut Connection, sql: &str) -> Result<u64, WireError> {
    connection.simple_query(sql).map(|_| 0)
}

/// Waits for the alarm, and where somebody can be stopped, until that was done.
fn await_alarms(
    stage: &Stage,
    capturing: &Capturing,
    wipe: Wipe,
    begun: Moment,
) -> Result<Vec<Alarm>, Failure> {
    let clock = stage.context.clock();
    let until = clock.elapsed() + PATIENCE;
    let is_stopped =
        |incident: &Incident| incident.actions.iter().any(|note| note.status == ActionStatus::Taken);
    loop {
        let found = incidents(&stage.context)?;
        let enough = match wipe {
            Wipe::TruncateDrop => !found.is_empty(),
            Wipe::BulkDelete | Wipe::RowByRow => found.iter().any(is_stopped),
        };
        if enough {
            break;
        }
        if capturing.has_ended() || clock.elapsed() > until {
            return Err(Failure::new(Exit::Failed, "waited in vain for the alarm"));
        }
        clock.sleep(POLL);
    }
    clock.sleep(SETTLE);
    Ok(incidents(&stage.context)?.iter().map(|incident| Alarm::of(incident, begun)).collect())
}

fn later_work(admin: &mut Connection) -> Result<(), Failure> {
    for sql in LATER_WORK {
        // A table that is gone cannot be worked with.
        let exists = "SELECT to_regclass('public.customers') IS NOT NULL";
        if sql.contains("customers SET") && value(admin, exists)?.as_deref() != Some("t") {
            continue;
        }
        admin.simple_query(sql).map_err(refused)?;
    }
    Ok(())
}

fn undo_all(stage: &Stage, alarms: &[Alarm]) -> Result<Vec<UndoneIncident>, Failure> {
    stage.create_role(RESTORE_ROLE, "SUPERUSER")?;
    let url = stage.url(RESTORE_ROLE, DATABASE);
    let password = format!("file:{RESTORE_ROLE}.password");
    let reaching = ["--url", url.as_str(), "--password", password.as_str()];
    let mut undone = Vec::new();
    for alarm in alarms {
        match undo(&stage.context, &stage.folder, alarm.incident, &reaching) {
            Ok(done) => undone.push(done),
            // What was refused or rolled back has left nothing to undo.
            Err(failure) if failure.exit == Exit::Nothing => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(undone)
}

/// What the tables must hold in the end: what they held before the wipe, and what people did after it.
fn expected(before: &Content, after_wipe: &Content, after_people: &Content) -> Content {
    let mut expected = before.clone();
    for (key, text) in after_people {
        if after_wipe.get(key) != Some(text) {
            expected.insert(key.clone(), text.clone());
        }
    }
    expected
}

fn content(connection: &mut Connection) -> Result<Content, Failure> {
    let mut content = Content::new();
    for (table, key) in [("customers", "customer_id"), ("bookings", "booking_id")] {
        let exists = format!("SELECT to_regclass('public.{table}') IS NOT NULL");
        if value(connection, &exists)?.as_deref() != Some("t") {
            continue;
        }
        let sql = format!("SELECT {key}::text, t::text FROM public.{table} AS t");
        for row in connection.query_rows(&sql).map_err(refused)? {
            let mut fields = row.into_iter();
            let key = fields.next().flatten().unwrap_or_default();
            content.insert((table, key), fields.next().flatten().unwrap_or_default());
        }
    }
    Ok(content)
}

fn differences(expected: &Content, found: &Content) -> Vec<String> {
    let keys: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let wrong = keys.into_iter().filter(|key| expected.get(*key) != found.get(*key));
    wrong
        .map(|key| {
            let (table, id) = key;
            format!("{table} {id}: expected {:?}, found {:?}", expected.get(key), found.get(key))
        })
        .collect()
}

fn text(context: &Context, account: &Account) -> String {
    let title = format!(
        "rehearsal: {} (a scripted agent, a real PostgreSQL {})",
        account.incident, account.server_major
    );
    let mut page = Page::new(context.output, &title);
    page.section("What was done");
    for attempt in &account.attempts {
        page.fact(
            &format!("role {}", attempt.role),
            &format!("{}, {}", attempt.what, counted(attempt.calls as u64, "call")),
        );
        if let Some(ended_by) = &attempt.ended_by {
            page.fact("ended by", &crate::output::printable(ended_by));
        }
    }
    page.section("What unwipe saw and did");
    for alarm in &account.alarms {
        alarm.show(&mut page);
    }
    let before = count(account.rows_before as u64);
    page.fact(
        "rows lost until then",
        &format!("{} of {before}", count(account.rows_lost_before_undo as u64)),
    );
    if !account.undone.is_empty() {
        page.section("What was undone");
        for undone in &account.undone {
            undone.show(&mut page);
        }
    }
    page.section("Compared row by row");
    page.fact("people's later work", &format!("{} rows kept", account.later_rows_kept));
    let wrong = account.rows_wrong;
    page.judged("rows that are not as they must be", &wrong.to_string(), wrong == 0);
    for line in &account.first_wrong {
        page.line(line);
    }
    page.into_text()
}
