//! The incident of July 2025: during a code freeze an agent deletes rows and invents others, in a database that lives on.

use std::{collections::BTreeMap, time::Duration};

use catalog::EventFilter;
use connect::plan::{AppliedReport, Plan, PlanFolder};
use model::{Event, Severity, Verb};
use postgres_wire::{Connection, ConnectionSettings};
use serde::Serialize;
use serde_json::Value;
use tenants::{
    agent::{
        Step,
        replit::{self as script, ReplitOptions},
    },
    rental::saastr,
};

use super::{
    account::Page,
    restore::approve_and_apply,
    stage::{Stage, refused, value},
};
use crate::{
    arguments::{Reading, Rehearse},
    commands::rewind,
    connectors::recovery::StoredCluster,
    context::Context,
    exit::Exit,
    failure::Failure,
    output::count,
};

const DATABASE: &str = "saastr";
/// What an agent takes between two calls at the least.
const THINKING: Duration = Duration::from_millis(250);
const TABLES: [(&str, &str); 3] =
    [("companies", "company_id"), ("executives", "executive_id"), ("users", "user_id")];
/// What people did after the agent, and what must stay: new users, and better titles of executives who were spared.
const LATER_WORK: [&str; 2] = [
    "INSERT INTO public.users (full_name, email, is_verified) \
     SELECT 'Later ' || n, 'later-' || n || '@mail.example', true FROM generate_series(1, 25) AS n",
    "UPDATE public.executives SET title = 'Chair' WHERE executive_id % 40 = 0 AND executive_id <= 400",
];

/// Every row of the three tables, by table and key.
type Content = BTreeMap<(String, String), Value>;

/// The result, as `--json` prints it.
#[derive(Serialize)]
struct Account {
    incident: &'static str,
    simulated: [&'static str; 1],
    server_major: u32,
    agent: Vec<Step>,
    rows_before: usize,
    rows_after_agent: usize,
    found: Vec<Found>,
    plan: String,
    rows_put_back: u64,
    rows_set_back: u64,
    rows_removed: u64,
    rows_left_alone: u64,
    planned_ms: u64,
    applied_ms: u64,
    later_rows_kept: usize,
    rows_wrong: usize,
    first_wrong: Vec<String>,
}

#[derive(Serialize)]
struct Found {
    transaction: String,
    effects: String,
    actor: Option<String>,
    attribution: model::Attribution,
}

pub(crate) fn run(outer: &Context, options: &Rehearse) -> Result<Exit, Failure> {
    let stage = Stage::build(outer, options.keep, DATABASE)?;
    let mut admin = stage.superuser(DATABASE)?;
    admin.simple_query(&saastr::setup_sql(options.seed)).map_err(refused)?;
    admin.simple_query("ANALYZE").map_err(refused)?;
    stage.protect()?;
    admin.simple_query(source_postgres::witness::INSTALL).map_err(refused)?;
    outer.output.say("copying a base into the vault, then following the write-ahead log");
    let capturing = stage.start_capture()?;

    let before = content(&mut admin)?;
    outer.output.say("the code freeze is on; the agent works all the same");
    let spree = unleash(&stage, options)?;
    let after_agent = content(&mut admin)?;
    for sql in LATER_WORK {
        admin.simple_query(sql).map_err(refused)?;
    }
    let expected = expected(&before, &after_agent, &content(&mut admin)?);

    stage.await_captured()?;
    capturing.end()?;
    let events = suspicious(&stage)?;
    outer.output.say("planning the undo of its transactions as one");
    let clock = outer.clock();
    let begun = clock.elapsed();
    let (plan, folder) = make_plan(&stage, &events)?;
    let planned = clock.elapsed();
    let report = apply(&stage, &plan, &folder)?;
    let applied = clock.elapsed();

    let now = content(&mut admin)?;
    let wrong = differences(&expected, &now);
    let account = Account {
        incident: "replit",
        simulated: ["the coding agent"],
        server_major: stage.major,
        agent: spree,
        rows_before: before.len(),
        rows_after_agent: after_agent.len(),
        found: events.iter().map(found).collect(),
        plan: plan.hash()?.to_string(),
        rows_put_back: report.counts.inserted,
        rows_set_back: report.counts.reverted,
        rows_removed: report.counts.removed,
        rows_left_alone: report.counts.conflicts + plan.counts.conflicts,
        planned_ms: planned.saturating_sub(begun).as_millis() as u64,
        applied_ms: applied.saturating_sub(planned).as_millis() as u64,
        later_rows_kept: now.iter().filter(|(key, text)| before.get(*key) != Some(*text)).count(),
        rows_wrong: wrong.len(),
        first_wrong: wrong.into_iter().take(10).collect(),
    };
    outer.output.result(&account, || text(outer, &account))?;
    Ok(if account.rows_wrong == 0 { Exit::Done } else { Exit::Failed })
}

/// Lets the agent loose as the role that the platform gave it.
fn unleash(stage: &Stage, options: &Rehearse) -> Result<Vec<Step>, Failure> {
    let mut connection = stage.session("agent", DATABASE, "coding-agent")?;
    let clock = stage.context.clock();
    let options = ReplitOptions { seed: options.seed, ..ReplitOptions::default() };
    let spree = script::play(&*clock, options, |sql| {
        clock.sleep(THINKING);
        connection.simple_query(sql).map(drop)
    })
    .map_err(refused)?;
    clock.sleep(THINKING);
    Ok(spree.steps)
}

/// What the tables must hold in the end: what they held before the agent, and what people did after it.
fn expected(before: &Content, after_agent: &Content, after_people: &Content) -> Content {
    let mut expected = before.clone();
    for (key, row) in after_people {
        match (expected.get_mut(key), after_agent.get(key)) {
            (_, Some(left)) if left == row => {}
            // Where both changed a row, people's columns stay and the agent's go back.
            (Some(whole), Some(left)) => {
                let fields = row.as_object().into_iter().flatten();
                for (name, value) in fields.filter(|(name, value)| left.get(*name) != Some(*value)) {
                    whole[name] = value.clone();
                }
            }
            _ => drop(expected.insert(key.clone(), row.clone())),
        }
    }
    expected
}

fn content(connection: &mut Connection) -> Result<Content, Failure> {
    let mut content = Content::new();
    for (table, key) in TABLES {
        let sql = format!("SELECT {key}::text, to_jsonb(t)::text FROM public.{table} AS t");
        for row in connection.query_rows(&sql).map_err(refused)? {
            let mut fields = row.into_iter();
            let key = fields.next().flatten().unwrap_or_default();
            let row = fields.next().flatten().unwrap_or_default();
            let row = serde_json::from_str(&row)
                .map_err(|error| Failure::because(Exit::Failed, "a row is no JSON", error))?;
            content.insert((table.to_owned(), key), row);
        }
    }
    Ok(content)
}

fn differences(expected: &Content, found: &Content) -> Vec<String> {
    let name = |(table, key): &(String, String)| format!("{table} {key}");
    let mut wrong: Vec<String> = expected
        .iter()
        .filter(|(key, text)| found.get(*key) != Some(*text))
        .map(|(key, text)| format!("{}: expected {text}, found {:?}", name(key), found.get(key)))
        .collect();
    wrong.extend(
        found
            .keys()
            .filter(|key| !expected.contains_key(*key))
            .map(|key| format!("{}: must not be there", name(key))),
    );
    wrong
}

/// Finds what stands out since the freeze: destruction, and rows added in bulk. Newest first.
fn suspicious(stage: &Stage) -> Result<Vec<Event>, Failure> {
    let catalog = stage.context.installation()?.catalog(&stage.source)?;
    let filter = EventFilter { from: None, until: None, severity: Severity::Notable, limit: 1000 };
    let mut events = catalog.events(filter)?;
    events.retain(|event| {
        let rows =
            event.effects.iter().any(|e| matches!(e.verb, Verb::Delete | Verb::Insert | Verb::Truncate));
        event.scope == DATABASE && rows && event.transaction.parse::<u32>().is_ok()
    });
    events.sort_by(|a, b| b.position.cmp(&a.position));
    Ok(events)
}

/// One plan for all of them: a row that several transactions changed goes back to what it was before the first.
fn make_plan(stage: &Stage, events: &[Event]) -> Result<(Plan, PlanFolder), Failure> {
    let installation = stage.context.installation()?;
    let stored = stage.context.stored(&installation, &stage.source, &Reading { key: None })?;
    let cluster = StoredCluster::open(&stage.context, &installation, &stage.source, stored)?;
    let folder = stage.context.home.join("plans/replit");
    ports::files::create_folder(&folder)?;
    let folder = PlanFolder::new(folder);
    let transactions: Vec<String> = events.iter().map(|event| event.transaction.clone()).collect();
    let plan = rewind::plan_undo(&stage.context, &cluster, &transactions, restore_settings(stage)?, &folder)?;
    folder.write(&plan)?;
    Ok((plan, folder))
}

/// Has the plan approved and applied in one transaction.
fn apply(stage: &Stage, plan: &Plan, folder: &PlanFolder) -> Result<AppliedReport, Failure> {
    let mut settings = restore_settings(stage)?;
    settings.database = Some(DATABASE.to_owned());
    let mut connection = stage.connect(&settings)?;
    let mut writer = postgres_undo::ProductionWriter::new(&mut connection);
    approve_and_apply(&stage.context, &stage.folder, plan, folder, &mut writer)
}

/// The restore credential: another role than the capture's, given for the restore only.
fn restore_settings(stage: &Stage) -> Result<ConnectionSettings, Failure> {
    const ROLE: &str = "unwipe_restore";
    let mut admin = stage.superuser("postgres")?;
    let exists = format!("SELECT count(*) FROM pg_roles WHERE rolname = '{ROLE}'");
    if value(&mut admin, &exists)?.as_deref() == Some("0") {
        return stage.create_role(ROLE, "SUPERUSER");
    }
    let secrets = service::Secrets::new(&stage.context.home, &crate::context::environment);
    let reference = format!("file:{ROLE}.password");
    crate::connectors::postgres::connection(&stage.url(ROLE, "postgres"), Some(&reference), &secrets)
}

fn found(event: &Event) -> Found {
    let effects = event.effects.iter().map(|e| format!("{} {} {}", e.verb, count(e.count), e.target));
    Found {
        transaction: event.transaction.clone(),
        effects: effects.collect::<Vec<_>>().join(", "),
        actor: event.actor.as_ref().map(|actor| match &actor.application {
            Some(application) => format!("{} as {application}", actor.identity),
            None => actor.identity.clone(),
        }),
        attribution: event.attribution,
    }
}

fn text(context: &Context, account: &Account) -> String {
    let mut page = Page::new(
        context.output,
        &format!("rehearsal: replit (a scripted agent, a real PostgreSQL {})", account.server_major),
    );
    page.section("What the agent did");
    page.steps(&account.agent);
    page.section("What the write-ahead log says");
    for found in account.found.iter().rev() {
        let who = found.actor.as_deref().unwrap_or("an unknown actor");
        page.fact(&format!("transaction {}", found.transaction), &format!("{} by {who}", found.effects));
    }
    page.section("What was undone");
    page.fact("plan", "one, approved by the owner's key, applied in one transaction");
    page.fact("rows put back", &count(account.rows_put_back));
    page.fact("rows set back", &count(account.rows_set_back));
    page.fact("invented rows removed", &count(account.rows_removed));
    page.fact("conflicts left alone", &count(account.rows_left_alone));
    page.times(account.planned_ms, account.applied_ms);
    page.section("Compared row by row");
    page.fact("people's later work", &format!("{} rows kept", account.later_rows_kept));
    let wrong = account.rows_wrong;
    page.judged("rows that are not as they must be", &wrong.to_string(), wrong == 0);
    for line in &account.first_wrong {
        page.line(line);
    }
    page.into_text()
}
