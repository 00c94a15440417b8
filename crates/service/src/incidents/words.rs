use model::{Attribution, Moment, Verb};
use watch::{ActionStatus, ActorKind, Incident, IncidentState, Sums, SuspectNote};

use crate::{
    acts,
    words::{count, span},
};

/// So many kinds of deeds are named in one sentence.
const DEEDS_NAMED: usize = 3;
/// So many sources are named in one sentence.
const SOURCES_NAMED: usize = 3;

/// Says in a sentence or two who did what, where and when, and whether they were stopped.
pub fn headline(incident: &Incident) -> String {
    let first = acts::span(incident).map_or(incident.first_seen_at, |(first, _)| first);
    let last = acts::span(incident).map_or(incident.last_seen_at, |(_, last)| last);
    let mut done = Sums::default();
    let mut underway = Sums::default();
    for touched in incident.touched.values() {
        let told = if touched.effects.is_empty() { &touched.recorded } else { &touched.effects };
        for effect in told.iter() {
            done = plus(&done, effect);
        }
        for effect in touched.underway.iter() {
            underway = plus(&underway, effect);
        }
    }
    let things = if counts_rows(incident) { "row" } else { "item" };
    let when = match (clock(first), clock(last)) {
        (one, other) if one == other => format!("at {one}"),
        (one, other) => format!("between {one} and {other}"),
    };
    let (who, several) = who(incident);
    let place = place(incident);
    let what = match (deeds(&done, things), deeds(&underway, things)) {
        (Some(done), Some(underway)) => {
            format!("{who} {done} in {place} {when}, and more is not committed yet: {underway}.")
        }
        (Some(done), None) => format!("{who} {done} in {place} {when}."),
        (None, Some(_)) => {
            format!("{who} began to destroy data in {place} {when}; nothing of it counts yet.")
        }
        (None, None) => format!("{who} tried to destroy data in {place} {when}; nothing was lost."),
    };
    format!("{what} {}", stopped(incident, first, several))
}

fn stopped(incident: &Incident, first: Moment, several: bool) -> String {
    let (they, was) = if several { ("They", "were") } else { ("It", "was") };
    let taken = incident.actions.iter().filter(|note| note.taken.is_some());
    match taken.map(|note| note.taken.as_ref().map_or(note.at, |taken| taken.at)).min() {
        Some(at) => format!("{they} {was} stopped {} after the first act.", later(first, at)),
        None if incident.growing => "It is still going on.".to_owned(),
        None => "Nobody was stopped.".to_owned(),
    }
}

fn plus(sums: &Sums, effect: &model::Effect) -> Sums {
    let all: Vec<model::Effect> = sums.iter().chain([effect]).cloned().collect();
    Sums::of(&all)
}

/// Tables are named with their database, which is the scope; what other systems have are items.
fn counts_rows(incident: &Incident) -> bool {
    incident.touched.values().any(|touched| {
        let mut effects = touched.effects.iter().chain(touched.underway.iter());
        effects
            .any(|effect| touched.scopes.iter().any(|scope| effect.target.starts_with(&format!("{scope}."))))
    })
}

fn place(incident: &Incident) -> String {
    let names: Vec<&str> = incident.touched.keys().map(model::SourceName::as_str).collect();
    match names.len() {
        0 => "a source".to_owned(),
        1..=SOURCES_NAMED => names.join(", "),
        more => format!("{more} sources"),
    }
}

fn who(incident: &Incident) -> (String, bool) {
    let fired: Vec<&SuspectNote> = incident.suspects.iter().filter(|suspect| suspect.fired).collect();
    let kind = |suspect: &SuspectNote| suspect.identified.as_ref().map_or(suspect.kind, |found| found.kind);
    match fired.as_slice() {
        [] => ("Somebody".to_owned(), false),
        [one] => {
            let name = match kind(one) {
                ActorKind::Agent => "an agent",
                ActorKind::Machine => "a program",
                ActorKind::Person => "a person",
                ActorKind::Unknown => "somebody",
            };
            // A guess says so.
            let guess = one.who().1 == Attribution::Inferred;
            (if guess { format!("Probably {name}") } else { capital(name) }, false)
        }
        several => {
            let agents = several.iter().all(|suspect| kind(suspect) == ActorKind::Agent);
            (format!("{} {}", several.len(), if agents { "agents" } else { "actors" }), true)
        }
    }
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

fn deeds(sums: &Sums, things: &str) -> Option<String> {
    let verbs: Vec<Verb> = sums.verbs().collect();
    let named: Vec<String> = verbs.iter().filter_map(|verb| deed(*verb, sums.count(*verb), things)).collect();
    let mut named: Vec<String> = named.into_iter().take(DEEDS_NAMED).collect();
    let last = named.pop()?;
    Some(if named.is_empty() { last } else { format!("{} and {last}", named.join(", ")) })
}

fn deed(verb: Verb, number: u64, things: &str) -> Option<String> {
    let some = |noun: &str| {
        let plural = if number == 1 { "" } else { "s" };
        format!("{} {noun}{plural}", count(number))
    };
    Some(match verb {
        Verb::DropDatabase => format!("dropped {}", some("database")),
        Verb::Drop => format!("dropped {}", some("object")),
        Verb::Truncate => format!("emptied {}", some("table")),
        Verb::Delete => format!("deleted {}", some(things)),
        Verb::Trash => format!("put {} into the trash", some(things)),
        Verb::Update => format!("changed {}", some(things)),
        Verb::Encrypt => format!("encrypted {}", some(things)),
        Verb::Weaken => format!("weakened {}", some("protection")),
        Verb::Revoke => format!("revoked {}", some("grant")),
        Verb::Share => format!("shared {}", some(things)),
        Verb::Grant | Verb::Define | Verb::Rewrite | Verb::Insert | Verb::Untrash | Verb::Read => {
            return None;
        }
    })
}

fn clock(at: Moment) -> String {
    at.to_string().get(11..19).unwrap_or_default().to_owned()
}

/// Writes how long after something else something was: `1.2 s`, `3 minutes`, `at once`.
pub fn later(first: Moment, at: Moment) -> String {
    let micros = at.micros_since(first);
    match micros {
        ..1_000 => "0 s".to_owned(),
        1_000..60_000_000 => format!("{:.1} s", micros as f64 / 1e6),
        _ => span(micros.unsigned_abs() / 1_000_000),
    }
}

/// What kind of thing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// The incident itself.
    Act,
    /// The alarm was raised.
    Alarm,
    /// Somebody was stopped, or is to be.
    Containment,
    /// Nothing is released any more.
    Hold,
    /// What had not been captured was.
    Capture,
    /// Somebody was told.
    Notice,
    /// A plan was made or applied.
    Plan,
    /// It came into a state.
    State,
}

impl EntryKind {
    /// Returns a word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Act => "happened",
            Self::Alarm => "alarm",
            Self::Containment => "containment",
            Self::Hold => "hold",
            Self::Capture => "captured",
            Self::Notice => "told",
            Self::Plan => "plan",
            Self::State => "state",
        }
    }
}

/// One thing that happened, or was done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Moment,
    /// How long after the first act: `1.2 s`.
    pub after: String,
    /// What kind of thing.
    pub kind: EntryKind,
    /// What; names in it may be foreign text.
    pub text: String,
    /// The hash of the plan that it is about.
    pub plan: Option<String>,
}

/// Returns what happened and what was done about it, in order.
pub fn timeline(incident: &Incident) -> Vec<Entry> {
    let span = acts::span(incident);
    let first = span.map_or(incident.first_seen_at, |(first, _)| first);
    let mut entries: Vec<Entry> = Vec::new();
    let mut put = |at: Moment, kind: EntryKind, text: String, plan: Option<&str>| {
        let after = if at < first { "before".to_owned() } else { format!("+{}", later(first, at)) };
        entries.push(Entry { at, after, kind, text, plan: plan.map(str::to_owned) });
    };
    put(first, EntryKind::Act, "the first act".to_owned(), None);
    if let Some((_, last)) = span.filter(|(first, last)| first != last) {
        put(last, EntryKind::Act, "the last act".to_owned(), None);
    }
    let alarm = format!("alarm, {} ms after it was first seen", count(incident.delay_ms));
    put(incident.opened_at, EntryKind::Alarm, alarm, None);
    for note in &incident.actions {
        let word = match note.status {
            ActionStatus::Proposed => "proposed",
            ActionStatus::Taken => "done",
            ActionStatus::Refused => "not done",
            ActionStatus::TakenBack => "taken back",
        };
        let text = format!("{word}: {} ({})", note.action.title, note.why);
        put(note.at, EntryKind::Containment, text, None);
    }
    for hold in &incident.holds {
        let text = format!("nothing of {} is released any more", hold.source);
        put(hold.at, EntryKind::Hold, text, None);
    }
    for note in &incident.captured {
        put(note.at, EntryKind::Capture, note.text.clone(), None);
    }
    for note in &incident.notices {
        put(note.at, EntryKind::Notice, note.text.clone(), None);
    }
    for plan in &incident.plans {
        put(plan.made_at, EntryKind::Plan, "a plan that undoes it was made".to_owned(), Some(&plan.hash));
        if let Some(at) = plan.applied_at {
            put(at, EntryKind::Plan, "the plan was applied".to_owned(), Some(&plan.hash));
        }
    }
    for change in incident.history.iter().filter(|change| change.state != IncidentState::Open) {
        put(change.at, EntryKind::State, format!("{}: {}", change.state, change.why), None);
    }
    entries.sort_by_key(|entry| entry.at);
    entries
}
