//! Looking at what unwipe knows while an agent works: when something stood out, and later who it was.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use catalog::EventFilter;
use connect::Stop;
use model::{Attribution, Event, Severity, Verb};
use serde::Serialize;

use super::{
    account::{Page, duration},
    stage::Capturing,
    workspace::Workspace,
};
use crate::{commands::timeline::actor_text, exit::Exit, failure::Failure, output::count};

const POLL: Duration = Duration::from_millis(100);
/// More events than a rehearsal has.
const EVENTS_MAX: u32 = 100_000;

/// When an agent's work first stood out.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Found {
    effects: String,
    after_items: usize,
    after_ms: u64,
}

/// Looks at what unwipe knows while the agent works.
pub(crate) struct Watch {
    stop: Stop,
    thread: JoinHandle<Result<Option<Found>, Failure>>,
}

impl Watch {
    /// Begins to look; `done` counts the items that the agent has touched. An event of this severity is meant.
    pub(crate) fn begin(
        workspace: &Workspace,
        done: Arc<AtomicUsize>,
        severity: Severity,
    ) -> Result<Self, Failure> {
        let stop = Stop::default();
        let context = workspace.context.elsewhere(workspace.context.home.clone());
        let (source, its_stop) = (workspace.source.clone(), stop.clone());
        let known = events(workspace, severity)?.len();
        let thread = std::thread::Builder::new().name("watch".to_owned()).spawn(move || {
            let clock = context.clock();
            let installation = context.installation()?;
            let mut begun = None;
            loop {
                let items = done.load(Ordering::SeqCst);
                if items > 0 && begun.is_none() {
                    begun = Some(clock.elapsed());
                }
                let filter = EventFilter { from: None, until: None, severity, limit: EVENTS_MAX };
                let events = installation.catalog(&source)?.events(filter)?;
                // The oldest come first.
                if let (Some(event), Some(begun)) = (events.get(known), begun) {
                    let after_ms = clock.elapsed().saturating_sub(begun).as_millis() as u64;
                    return Ok(Some(Found { effects: effects(event), after_items: items, after_ms }));
                }
                if its_stop.is_requested() {
                    return Ok(None);
                }
                clock.sleep(POLL);
            }
        })?;
        Ok(Self { stop, thread })
    }

    /// Waits for what it found; a wipe that ended before the next look is found by that.
    pub(crate) fn end(self, workspace: &Workspace, capturing: &Capturing) -> Result<Option<Found>, Failure> {
        let waited = workspace.wait("the agent to stand out", capturing, || Ok(self.thread.is_finished()));
        self.stop.request();
        let found =
            self.thread.join().map_err(|_| Failure::new(Exit::Failed, "the watching thread died"))??;
        waited.map(|()| found)
    }
}

fn effects(event: &Event) -> String {
    let effects = event.effects.iter().map(|e| format!("{} {} in {}", e.verb, count(e.count), e.target));
    effects.collect::<Vec<_>>().join(", ")
}

fn events(workspace: &Workspace, severity: Severity) -> Result<Vec<Event>, Failure> {
    let filter = EventFilter { from: None, until: None, severity, limit: EVENTS_MAX };
    Ok(workspace.context.installation()?.catalog(&workspace.source)?.events(filter)?)
}

/// How many rows of the audit log say that something was done.
type Rows = BTreeMap<Verb, u64>;

/// What the audit log says that a program did.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Attributed {
    /// Who it was: the account, the program with its id.
    actor: String,
    /// How many of the log's rows name it, by what was done.
    rows: Rows,
    /// How long after the agent's last call the log had told of it.
    after_ms: u64,
}

impl Attributed {
    /// Waits until the audit log has told of so many acts of a program.
    pub(crate) fn wait(
        workspace: &Workspace,
        capturing: &Capturing,
        client_id: &str,
        acts: &Rows,
    ) -> Result<Self, Failure> {
        let clock = workspace.context.clock();
        let begun = clock.elapsed();
        let mut found = None;
        workspace.wait("the audit log to name the program", capturing, || {
            found = of_client(workspace, client_id)?;
            let rows = found.as_ref().map(|(_, rows)| rows);
            let rows_of = |verb: &Verb| rows.and_then(|rows| rows.get(verb)).copied().unwrap_or(0);
            let told = |(verb, count): (&Verb, &u64)| rows_of(verb) >= *count;
            Ok(acts.iter().all(told))
        })?;
        let (actor, rows) =
            found.ok_or_else(|| Failure::new(Exit::Failed, "the audit log names no such program"))?;
        Ok(Self { actor, rows, after_ms: clock.elapsed().saturating_sub(begun).as_millis() as u64 })
    }

    /// Adds it to the account.
    pub(crate) fn show(&self, page: &mut Page) {
        page.judged("who it was", &self.actor, true);
        let rows = self.rows.iter().map(|(verb, rows)| format!("{verb} {}", count(*rows)));
        page.fact("rows of the log by this program", &rows.collect::<Vec<_>>().join(", "));
        let after = duration(Duration::from_millis(self.after_ms));
        page.fact("told", &format!("{after} after its last call; Google's own log takes minutes to hours"));
    }
}

fn of_client(workspace: &Workspace, client_id: &str) -> Result<Option<(String, Rows)>, Failure> {
    // Whoever lets a program in is a person: there the program is the target.
    let target = format!("client/{client_id} ");
    let is_meant = |event: &&Event| {
        let client = event.actor.as_ref().and_then(|actor| actor.client.as_deref());
        let names = client == Some(client_id) || event.effects.iter().any(|e| e.target.starts_with(&target));
        event.attribution == Attribution::Recorded && names
    };
    let events = events(workspace, Severity::Routine)?;
    let acted = |event: &&Event| event.actor.as_ref().is_some_and(|actor| actor.client.is_some());
    let meant = || events.iter().filter(is_meant);
    let Some(first) = meant().find(acted).or_else(|| meant().next()) else { return Ok(None) };
    let mut rows = Rows::new();
    for effect in meant().flat_map(|event| &event.effects) {
        *rows.entry(effect.verb).or_default() += effect.count;
    }
    Ok(Some((actor_text(first), rows)))
}

/// Adds to the account when the agent's work stood out.
pub(crate) fn show_found(found: Option<&Found>, page: &mut Page) {
    match found {
        Some(found) => {
            let after = duration(Duration::from_millis(found.after_ms));
            let Found { after_items, effects, .. } = found;
            page.judged(
                "found",
                &format!("{after} after its first call, {after_items} items in: {effects}"),
                true,
            );
        }
        None => page.judged("found", "no", false),
    }
}
