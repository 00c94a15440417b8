//! What the engine finds and what it leaves alone.

mod attribution;
mod benign;
mod containing;
mod incidents;
mod properties;
mod rules;
mod stages;

use model::{Actor, Attribution, Effect, Event, Moment, Severity, SourceName, Stage, Verb};

use super::Watcher;
use crate::{
    ActorKind, ActorKinds, ActorPattern, Expectation, Incident, News, Notice, Observation, Reach, Rules,
    SourceKind,
    memory::{DAY, HOUR, SECOND},
};

/// Every test begins here, in the middle of a day.
const START: i64 = 20_000 * DAY + 9 * HOUR;

/// How many items every scope has.
#[derive(Clone, Copy)]
struct Holds(Option<u64>);

impl Reach for Holds {
    fn items(&self, _: &SourceName, _: &str) -> Option<u64> {
        self.0
    }
}

fn name(source: &str) -> SourceName {
    SourceName::new(source).unwrap()
}

/// A watcher of a database `shop` and a domain `acme`, in which roles are known.
fn watcher() -> Watcher {
    going_on(Vec::new())
}

fn going_on(incidents: Vec<Incident>) -> Watcher {
    let pattern = |identity: &str, kind| ActorPattern {
        identity: Some(identity.to_owned()),
        application: None,
        client: None,
        kind,
    };
    let patterns = vec![
        pattern("batch", ActorKind::Machine),
        pattern("agent*", ActorKind::Agent),
        pattern("dba", ActorKind::Person),
    ];
    let mut watcher = Watcher::new(Rules::standard(), ActorKinds { patterns }, incidents);
    watcher.set_kind(name("shop"), SourceKind::Rows);
    watcher.set_kind(name("acme"), SourceKind::Items);
    watcher
}

/// An observation, to be put together.
#[derive(Debug, Clone)]
struct Seen(Observation);

/// Something at so many microseconds after the start.
fn seen(source: &str, at: i64, verb: Verb, target: &str, count: u64) -> Seen {
    let at = Moment::from_micros(START + at);
    Seen(Observation {
        source: name(source),
        stage: Stage::Told,
        event: Event {
            at,
            position: format!("{:016X}", at.as_micros()),
            transaction: at.as_micros().to_string(),
            scope: target.split('.').next().unwrap().to_owned(),
            effects: vec![Effect { verb, target: target.to_owned(), count }],
            severity: Severity::Notable,
            actor: None,
            attribution: Attribution::Unknown,
            statement: None,
        },
        seen_at: at,
    })
}

/// Rows of a table of the shop, as a glimpse.
fn rows(at: i64, verb: Verb, count: u64) -> Seen {
    seen("shop", at, verb, "shop.public.bookings", count).stage(Stage::Done)
}

/// Messages of Anna's mailbox, as a feed tells.
fn mail(at: i64, verb: Verb, count: u64) -> Seen {
    let mut mail = seen("acme", at, verb, "anna", count);
    mail.0.event.scope = "anna@acme.test".to_owned();
    mail.0.event.effects[0].target = "anna@acme.test".to_owned();
    mail
}

impl Seen {
    fn stage(mut self, stage: Stage) -> Self {
        self.0.stage = stage;
        self
    }

    fn by(mut self, identity: &str, attribution: Attribution) -> Self {
        self.0.event.actor = Some(Actor { identity: identity.to_owned(), ..Actor::default() });
        self.0.event.attribution = attribution;
        self
    }

    fn actor(mut self, change: impl FnOnce(&mut Actor)) -> Self {
        change(self.0.event.actor.as_mut().unwrap());
        self
    }

    fn named(mut self, transaction: &str) -> Self {
        self.0.event.transaction = transaction.to_owned();
        self
    }

    fn scope(mut self, scope: &str) -> Self {
        self.0.event.scope = scope.to_owned();
        self
    }

    fn target(mut self, target: &str) -> Self {
        self.0.event.effects[0].target = target.to_owned();
        self
    }

    fn statement(mut self, statement: &str) -> Self {
        self.0.event.statement = Some(statement.to_owned());
        self
    }

    fn severity(mut self, severity: Severity) -> Self {
        self.0.event.severity = severity;
        self
    }

    fn nothing(mut self) -> Self {
        self.0.event.effects.clear();
        self
    }

    /// Is seen so many microseconds after it happened.
    fn late(mut self, micros: i64) -> Self {
        self.0.seen_at = self.0.event.at.plus_micros(micros);
        self
    }
}

fn observe(watcher: &mut Watcher, seen: &Seen) -> Vec<News> {
    watcher.observe(&seen.0, &Holds(None), &[])
}

fn observe_all(watcher: &mut Watcher, all: &[Seen]) -> Vec<News> {
    all.iter().flat_map(|seen| observe(watcher, seen)).collect()
}

fn opened(news: &[News]) -> usize {
    news.iter().filter(|news| matches!(news, News::Opened { .. })).count()
}

fn contained(news: &[News]) -> Vec<&crate::containment::Suspect> {
    let asked = news.iter().filter_map(|news| match news {
        News::Contain { suspect, .. } => Some(suspect),
        _ => None,
    });
    asked.collect()
}

fn notices(news: &[News]) -> Vec<&Notice> {
    let noticed = news.iter().filter_map(|news| match news {
        News::Noticed { notice } => Some(notice),
        _ => None,
    });
    noticed.collect()
}

/// Returns the rules that fired on incidents.
fn fired(watcher: &Watcher) -> Vec<String> {
    watcher.incidents().flat_map(|incident| incident.firings.iter().map(|f| f.rule.clone())).collect()
}

fn expectation(actor: Option<&str>, verbs: &[Verb], items_max: Option<u64>) -> Expectation {
    Expectation {
        id: "change-7".to_owned(),
        source: name("shop"),
        from: Moment::from_micros(START),
        until: Moment::from_micros(START + 10 * HOUR),
        actor: actor.map(str::to_owned),
        verbs: verbs.to_vec(),
        scope: None,
        reason: "old bookings go".to_owned(),
        registered_by: "dba".to_owned(),
        registered_at: Moment::from_micros(START - HOUR),
        items_max,
    }
}
