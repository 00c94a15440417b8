use model::{Attribution, Effect, Moment, Verb};
use watch::{ActionStatus, ActorKind, Incident, IncidentState, Sums, SuspectNote};

use crate::{
    acts,
    words::{self, counted, span},
};

/// So many kinds of deeds are named in one sentence.
const DEEDS_NAMED: usize = 3;
/// So many sources are named in one sentence.
const SOURCES_NAMED: usize = 3;
/// So many people and programs are named in one sentence.
const ACTORS_NAMED: usize = 3;
/// Names are foreign text; of a longer one so much is in a sentence.
const NAME_CHARACTERS: usize = 80;
/// A name of more words is in quotes.
const WORDS_MAX: usize = 4;

/// Says in a sentence or two who did what, where and when, and whether they were stopped.
pub fn headline(incident: &Incident) -> String {
    let first = acts::span(incident).map_or(incident.first_seen_at, |(first, _)| first);
    format!("{}. {}", happened(incident), stopped(incident, first))
}

/// Says who did what, where and when, as a sentence without its full stop.
pub fn happened(incident: &Incident) -> String {
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
    let nouns = Nouns::of(incident);
    let when = match (clock(first), clock(last)) {
        (one, other) if one == other => format!("at {one}"),
        (one, other) => format!("between {one} and {other}"),
    };
    let who = who(incident).0;
    let place = place(incident);
    match (nouns.deeds(&done, &place), nouns.deeds(&underway, &place)) {
        (Some(done), Some(underway)) => {
            format!("{who} {done} {when}, and more is not committed yet: {underway}")
        }
        (Some(done), None) => format!("{who} {done} {when}"),
        (None, Some(_)) => {
            format!("{who} began to destroy data in {place} {when}; nothing of it counts yet")
        }
        (None, None) => format!("{who} tried to destroy data in {place} {when}; nothing was lost"),
    }
}

fn stopped(incident: &Incident, first: Moment) -> String {
    let (they, was) = if who(incident).1 { ("They", "were") } else { ("It", "was") };
    let taken = incident.actions.iter().filter(|note| note.taken.is_some());
    match taken.map(|note| note.taken.as_ref().map_or(note.at, |taken| taken.at)).min() {
        Some(at) if at.micros_since(first) < SECOND_MICROS => {
            format!("{they} {was} stopped within a second of the first act.")
        }
        Some(at) => format!("{they} {was} stopped {} after the first act.", later(first, at)),
        None if incident.growing => "It is still going on.".to_owned(),
        None => "Nobody was stopped.".to_owned(),
    }
}

fn plus(sums: &Sums, effect: &Effect) -> Sums {
    let all: Vec<Effect> = sums.iter().chain([effect]).cloned().collect();
    Sums::of(&all)
}

fn place(incident: &Incident) -> String {
    let names: Vec<&str> = incident.touched.keys().map(model::SourceName::as_str).collect();
    match names.len() {
        0 => "a source".to_owned(),
        1..=SOURCES_NAMED => names.join(", "),
        more => format!("{more} sources"),
    }
}

/// Says who it was, as surely as that is known, and whether they are several.
fn who(incident: &Incident) -> (String, bool) {
    let fired: Vec<&SuspectNote> = incident.suspects.iter().filter(|suspect| suspect.fired).collect();
    let mut names: Vec<String> = fired.iter().map(|suspect| called(suspect)).collect();
    names.dedup();
    match names.as_slice() {
        [] => ("Somebody".to_owned(), false),
        [one] => {
            // A guess says so.
            let guess = fired.iter().any(|suspect| suspect.who().1 == Attribution::Inferred);
            (if guess { format!("Probably {one}") } else { capital(one) }, fired.len() > 1)
        }
        several if several.len() <= ACTORS_NAMED && fired.iter().all(|suspect| is_sure(suspect)) => {
            (capital(&listed(several)), true)
        }
        several => {
            let agents = fired.iter().all(|suspect| kind(suspect) == ActorKind::Agent);
            (counted(several.len() as u64, if agents { "agent" } else { "actor" }), true)
        }
    }
}

fn kind(suspect: &SuspectNote) -> ActorKind {
    suspect.identified.as_ref().map_or(suspect.kind, |found| found.kind)
}

fn is_sure(suspect: &SuspectNote) -> bool {
    let (actor, attribution) = suspect.who();
    actor.is_some() && !matches!(attribution, Attribution::Inferred | Attribution::Unknown)
}

/// Names a suspect, or says what they are.
fn called(suspect: &SuspectNote) -> String {
    match suspect.who() {
        (Some(actor), attribution) if attribution != Attribution::Unknown => {
            short(&words::actor(Some(actor)))
        }
        _ => match kind(suspect) {
            ActorKind::Agent => "an agent",
            ActorKind::Machine => "a program",
            ActorKind::Person => "a person",
            ActorKind::Unknown => "somebody",
        }
        .to_owned(),
    }
}

/// Returns a name as it is told in a sentence. Whoever destroys data may choose their program's name: what could be taken
/// for words of ours is in quotes.
fn short(name: &str) -> String {
    let mut shown: String = name.chars().take(NAME_CHARACTERS).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    let is_plain = |c: char| c.is_alphanumeric() || "-_.@/+… ".contains(c);
    let plain = shown.chars().all(is_plain) && !shown.contains(". ") && shown.split(' ').count() <= WORDS_MAX;
    if plain { shown } else { format!("“{}”", shown.replace(['“', '”'], "\"")) }
}

/// Names of people and programs stay as they are; only our own words begin a sentence with a capital.
fn capital(text: &str) -> String {
    match text.split_once(' ') {
        Some(("an", rest)) => format!("An {rest}"),
        Some(("a", rest)) => format!("A {rest}"),
        None if text == "somebody" => "Somebody".to_owned(),
        _ => text.to_owned(),
    }
}

fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}

/// How what was touched is called: tables are named with their database, which is the scope; what other systems have are
/// items.
struct Nouns<'i> {
    incident: &'i Incident,
    things: &'static str,
}

impl<'i> Nouns<'i> {
    fn of(incident: &'i Incident) -> Self {
        let nouns = Self { incident, things: "item" };
        let mut effects = incident.touched.values().flat_map(|t| t.effects.iter().chain(t.underway.iter()));
        let rows = effects.any(|effect| nouns.table(&effect.target).is_some());
        Self { things: if rows { "row" } else { "item" }, ..nouns }
    }

    /// Returns the name of a table; with its database only where several were touched.
    fn table<'t>(&self, target: &'t str) -> Option<&'t str> {
        let scopes = || self.incident.touched.values().flat_map(|touched| &touched.scopes);
        let within = |scope: &String| target.strip_prefix(scope.as_str())?.strip_prefix('.');
        let name = scopes().find_map(within)?;
        Some(if scopes().count() == 1 { name } else { target })
    }

    /// Says what was done where: the one table by its name, more of them by their number.
    fn deeds(&self, sums: &Sums, place: &str) -> Option<String> {
        let told = |verb: Verb| {
            let mut targets = sums.iter().filter(|effect| effect.verb == verb);
            let one = targets.next().filter(|_| targets.next().is_none() && self.incident.touched.len() == 1);
            deed(verb, sums.count(verb), self.things, one.and_then(|effect| self.table(&effect.target)))
        };
        let mut told: Vec<(String, bool)> = sums.verbs().filter_map(told).take(DEEDS_NAMED).collect();
        let is_named = told.last().is_some_and(|(_, is_named)| *is_named);
        let last = told.pop()?.0;
        let before: Vec<String> = told.into_iter().map(|(text, _)| text).collect();
        let all = if before.is_empty() { last } else { format!("{} and {last}", before.join(", ")) };
        Some(format!("{all} {} {place}", if is_named { "of" } else { "in" }))
    }
}

/// Says what was done, and whether it names the one thing that it was done to.
fn deed(verb: Verb, number: u64, things: &str, table: Option<&str>) -> Option<(String, bool)> {
    let some = |noun: &str| counted(number, noun);
    let all = match verb {
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
    };
    let Some(table) = table.map(short) else { return Some((all, false)) };
    Some(match verb {
        Verb::Drop if number == 1 => (format!("dropped {table}"), true),
        Verb::Truncate if number == 1 => (format!("emptied the table {table}"), true),
        Verb::Delete | Verb::Update | Verb::Encrypt => (format!("{all} of the table {table}"), true),
        _ => (all, false),
    })
}

fn clock(at: Moment) -> String {
    at.to_string().get(11..19).unwrap_or_default().to_owned()
}

const SECOND_MICROS: i64 = 1_000_000;

/// Writes how long after something else something was: `less than a second`, `1.2 s`, `3 minutes`.
pub fn later(first: Moment, at: Moment) -> String {
    let micros = at.micros_since(first);
    match micros {
        ..SECOND_MICROS => "less than a second".to_owned(),
        SECOND_MICROS..10_000_000 => format!("{:.1} s", micros as f64 / 1e6),
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
    /// How long after the first act: nothing for itself, `at once`, `+1.2 s`.
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
        let after = match at.micros_since(first) {
            ..0 => "before".to_owned(),
            0 => String::new(),
            1..SECOND_MICROS => "at once".to_owned(),
            _ => format!("+{}", later(first, at)),
        };
        entries.push(Entry { at, after, kind, text, plan: plan.map(str::to_owned) });
    };
    put(first, EntryKind::Act, "the first act".to_owned(), None);
    if let Some((_, last)) = span.filter(|(first, last)| first != last) {
        put(last, EntryKind::Act, "the last act".to_owned(), None);
    }
    let alarm = match incident.delay_ms {
        ..1_000 => "an alarm was raised, within a second of the first sight of it".to_owned(),
        delay => format!("an alarm was raised, {:.1} s after it was first seen", delay as f64 / 1e3),
    };
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
        let plan = incident.plans.iter().find(|plan| change.why.contains(&plan.hash)).map(|plan| &plan.hash);
        // Its hash is behind the way to it.
        let why = plan.map_or_else(
            || change.why.clone(),
            |hash| change.why.replace(&format!("plan {hash}"), "the plan"),
        );
        put(change.at, EntryKind::State, format!("{}: {why}", change.state), plan.map(String::as_str));
    }
    entries.sort_by_key(|entry| entry.at);
    entries
}
