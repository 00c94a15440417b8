//! What an owner sees of an incident and does about it, with the same commands.

use clap::Parser;
use connect::plan::{ApplyMode, Counts};
use model::Moment;
use serde::Serialize;
use service::{
    approval::{Approval, Quorum},
    signature::SigningKey,
    watching::WatchStore,
};
use watch::{ActionStatus, Incident};

use super::account::{Page, duration};
use crate::{
    arguments::{Arguments, Verb},
    commands::{
        apply::apply_bundle,
        rewind::actor::{PlannedBundle, plan},
        timeline::who_text,
    },
    context::Context,
    exit::Exit,
    failure::Failure,
    output::{count, counted, printable},
};

/// What the watch found and did, measured from an agent's first destructive call.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Alarm {
    pub(super) incident: u64,
    summary: String,
    /// Why.
    rules: Vec<String>,
    /// Who, and how that is known.
    who: Vec<String>,
    pub(super) raised_after_ms: u64,
    /// Until the first action was taken.
    pub(super) stopped_after_ms: Option<u64>,
    actions: Vec<String>,
    holds: usize,
    notices: usize,
}

impl Alarm {
    /// Reads what is known of an incident now.
    pub(super) fn of(incident: &Incident, begun: Moment) -> Self {
        let after = |at: Moment| u64::try_from(at.micros_since(begun) / 1000).unwrap_or(0);
        let taken = || incident.actions.iter().filter(|note| note.status == ActionStatus::Taken);
        Self {
            incident: incident.id,
            summary: incident.summary(),
            rules: incident.firings.iter().map(|firing| firing.explanation.clone()).collect(),
            who: incident
                .suspects
                .iter()
                .filter(|suspect| suspect.fired)
                .map(|suspect| {
                    let (actor, attribution) = suspect.who();
                    who_text(actor, attribution)
                })
                .collect(),
            raised_after_ms: after(incident.opened_at),
            stopped_after_ms: taken()
                .filter_map(|note| note.taken.as_ref())
                .map(|taken| after(taken.at))
                .min(),
            actions: taken().map(|note| note.action.title.clone()).collect(),
            holds: incident.holds.len(),
            notices: incident.notices.len(),
        }
    }

    /// Adds it to the account.
    pub(super) fn show(&self, page: &mut Page) {
        let shown = |ms: u64| duration(std::time::Duration::from_millis(ms));
        page.judged(
            "alarm",
            &format!("{} after the first destructive call", shown(self.raised_after_ms)),
            true,
        );
        for rule in &self.rules {
            page.fact("why", &printable(rule));
        }
        for who in &self.who {
            page.fact("who", &printable(who));
        }
        match self.stopped_after_ms {
            Some(ms) => page.judged("stopped", &format!("{} after it", shown(ms)), true),
            None => page.fact("stopped", "nobody: the policy names nobody here"),
        }
        for action in &self.actions {
            page.fact("", &printable(action));
        }
        page.fact(
            "held, told",
            &format!("{}, {}", counted(self.holds as u64, "source"), counted(self.notices as u64, "notice")),
        );
    }
}

/// Returns the incidents that the rehearsal's installation knows, but for those that became part of others.
pub(super) fn incidents(context: &Context) -> Result<Vec<Incident>, Failure> {
    let mut incidents = WatchStore::of(&context.home).incidents()?;
    incidents.retain(|incident| incident.merged_into.is_none());
    Ok(incidents)
}

/// What was undone.
#[derive(Debug, Clone, Serialize)]
pub(super) struct UndoneIncident {
    plan: String,
    parts: usize,
    pub(super) counts: Counts,
    conflicts: u64,
    notes: Vec<String>,
    pub(super) planned_ms: u64,
    pub(super) applied_ms: u64,
}

/// Undoes incidents as an owner does: `unwipe rewind incident:1`, a signature, `unwipe apply`.
pub(super) fn undo(
    context: &Context,
    rehearsal: &std::path::Path,
    id: u64,
    reaching: &[&str],
) -> Result<UndoneIncident, Failure> {
    let (clock, installation) = (context.clock(), context.installation()?);
    let begun = clock.elapsed();
    let typed = format!("incident:{id}");
    let folder = context.home.join("plans").join(format!("incident-{id}"));
    let folder = folder.to_string_lossy();
    let mut words = vec!["unwipe", "rewind", &typed, "--plan", &folder];
    // Production's credential is for planning a database alone; a domain is planned from the vault.
    words.extend(reaching.iter().filter(|_| reaching.first() != Some(&"--credential")));
    let Verb::Rewind(options) = parse(&words)? else { return Err(unparsed()) };
    let PlannedBundle { folder, bundle, hash } = plan(context, &installation, &options)?;
    let planned = clock.elapsed();

    let key = SigningKey::read_or_create(&rehearsal.join("owner.key"), &*context.ports.random)?;
    let approvers = std::collections::BTreeMap::from([("owner".to_owned(), key.public())]);
    Approval::sign(&key, hash, clock.now()).write(folder.path())?;
    service::approval::approvers_of(hash, folder.path(), &Quorum::one_of(&approvers))?;
    let path = folder.path().to_string_lossy();
    let mut words = vec!["unwipe", "apply", &path];
    words.extend(reaching);
    let Verb::Apply(options) = parse(&words)? else { return Err(unparsed()) };
    let parts = apply_bundle(context, &installation, &options, &folder, &bundle, ApplyMode::Lasting)?;
    if parts.iter().any(|part| part.verification.as_ref().is_none_or(|verified| !verified.is_good())) {
        return Err(Failure::new(Exit::Failed, "what was applied does not verify"));
    }
    let applied = clock.elapsed();
    Ok(UndoneIncident {
        plan: hash.to_string(),
        parts: parts.len(),
        conflicts: bundle.counts.conflicts,
        counts: parts.iter().fold(Counts::default(), |sum, part| sum.plus(part.applied.counts)),
        notes: bundle.notes.clone(),
        planned_ms: planned.saturating_sub(begun).as_millis() as u64,
        applied_ms: applied.saturating_sub(planned).as_millis() as u64,
    })
}

fn parse(words: &[&str]) -> Result<Verb, Failure> {
    let arguments = Arguments::try_parse_from(words);
    arguments.map(|arguments| arguments.verb).map_err(|error| Failure::new(Exit::Usage, error.to_string()))
}

fn unparsed() -> Failure {
    Failure::new(Exit::Failed, "the command is another one than was meant")
}

impl UndoneIncident {
    /// Adds it to the account.
    pub(super) fn show(&self, page: &mut Page) {
        page.fact(
            "plan",
            &format!("one, in {}, approved by the owner's key", counted(self.parts as u64, "part")),
        );
        page.fact("put back", &count(self.counts.inserted));
        page.fact("set back", &count(self.counts.reverted));
        page.fact("taken away, and kept aside", &count(self.counts.removed));
        page.fact("objects made", &count(self.counts.objects));
        page.fact("conflicts left alone", &count(self.conflicts + self.counts.conflicts));
        page.times(self.planned_ms, self.applied_ms);
        for note in &self.notes {
            page.line(&printable(note));
        }
    }
}
