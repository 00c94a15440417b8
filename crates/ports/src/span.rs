//! What was done, how long it took and what came of it, for whoever collects that.
//!
//! A span goes to a machine of somebody else's. By its types it holds numbers, names out of the configuration, patterns of
//! paths, and words that stand in this program's own text: nothing that was read from a source fits in.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use model::{Moment, SourceName};

use crate::Clock;

/// The pattern of a path, such as `/sources/{name}`: never what stands in its places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route(String);

impl Route {
    /// Takes a pattern as the table of routes has it.
    pub fn pattern(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }

    /// Returns the pattern.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a span is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Work of this program.
    Work(&'static str),
    /// A request that was answered.
    Request {
        /// The verb.
        method: &'static str,
        /// What answered; nothing when there is no such page.
        route: Option<Route>,
    },
}

/// One thing that is known of what was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A count, a number, a size.
    Number(u64),
    /// Yes or no.
    Flag(bool),
    /// A word of this program.
    Word(&'static str),
    /// What the configuration calls a source or a mirror.
    Name(SourceName),
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was not, or not as it should be; why, in words of this program.
    Failed(&'static str),
}

/// A part of what was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// What was done in it.
    pub name: &'static str,
    /// When it began.
    pub began_at: Moment,
    /// How long it took.
    pub took: Duration,
}

/// A unit of work that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// What it is about.
    pub subject: Subject,
    /// When it began.
    pub began_at: Moment,
    /// How long it took.
    pub took: Duration,
    /// What came of it.
    pub outcome: Outcome,
    /// What is known of it.
    pub facts: Vec<(&'static str, Fact)>,
    /// Its parts, one after the other.
    pub phases: Vec<Phase>,
}

/// Takes spans. It is called by those who work and must not wait.
pub trait Spans: Send + Sync {
    /// Takes a span; one for which there is no room is dropped and counted.
    fn take(&self, span: Span);

    /// Returns how many spans never arrived.
    fn dropped(&self) -> u64;
}

/// Lets work be told of; without anybody who takes spans nothing is kept.
#[derive(Clone, Default)]
pub struct Tracing(Option<Arc<Parts>>);

struct Parts {
    clock: Arc<dyn Clock>,
    spans: Arc<dyn Spans>,
}

impl Tracing {
    /// Lets work be told of to somebody.
    pub fn new(clock: Arc<dyn Clock>, spans: Arc<dyn Spans>) -> Self {
        Self(Some(Arc::new(Parts { clock, spans })))
    }

    /// Begins a unit of work.
    pub fn begin(&self, name: &'static str) -> Work {
        self.open(|| Subject::Work(name))
    }

    /// Begins to answer a request; who asks for what is looked at only if somebody is told.
    pub fn request(&self, subject: impl FnOnce() -> (&'static str, Option<Route>)) -> Work {
        self.open(|| {
            let (method, route) = subject();
            Subject::Request { method, route }
        })
    }

    fn open(&self, subject: impl FnOnce() -> Subject) -> Work {
        Work(self.0.as_ref().map(|parts| {
            let span = Span {
                subject: subject(),
                began_at: parts.clock.now(),
                took: Duration::ZERO,
                outcome: Outcome::Done,
                facts: Vec::new(),
                phases: Vec::new(),
            };
            Open { parts: Arc::clone(parts), began: parts.clock.elapsed(), span, phase: None }
        }))
    }

    /// Returns how many spans never arrived.
    pub fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |parts| parts.spans.dropped())
    }
}

impl fmt::Debug for Tracing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Tracing(on)" } else { "Tracing(off)" })
    }
}

/// Work that goes on. Nobody is told of it before it has ended, nor of work that was let fall.
#[derive(Default)]
pub struct Work(Option<Open>);

struct Open {
    parts: Arc<Parts>,
    began: Duration,
    span: Span,
    /// The part that goes on, and when it began.
    phase: Option<(&'static str, Duration)>,
}

impl Work {
    /// Adds something that is known of it.
    pub fn fact(&mut self, key: &'static str, fact: Fact) {
        if let Some(open) = &mut self.0 {
            open.span.facts.push((key, fact));
        }
    }

    /// Adds a number.
    pub fn number(&mut self, key: &'static str, number: u64) {
        self.fact(key, Fact::Number(number));
    }

    /// Adds a name out of the configuration.
    pub fn name(&mut self, key: &'static str, name: &SourceName) {
        if self.0.is_some() {
            self.fact(key, Fact::Name(name.clone()));
        }
    }

    /// Begins its next part; the part before is over.
    pub fn phase(&mut self, name: &'static str) {
        if let Some(open) = &mut self.0 {
            let now = open.parts.clock.elapsed();
            open.end_phase(now);
            open.phase = Some((name, now));
        }
    }

    /// Moves its beginning back to when the matter itself began.
    pub fn since(&mut self, moment: Moment) {
        if let Some(open) = &mut self.0 {
            let micros = open.span.began_at.micros_since(moment);
            let earlier = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
            if !earlier.is_zero() {
                open.span.began_at = moment;
                open.span.took = earlier;
            }
        }
    }

    /// Ends it and tells of it.
    pub fn end(mut self, outcome: Outcome) {
        let Some(mut open) = self.0.take() else { return };
        let now = open.parts.clock.elapsed();
        open.end_phase(now);
        open.span.took += now.saturating_sub(open.began);
        open.span.outcome = outcome;
        open.parts.spans.take(open.span);
    }
}

impl Open {
    fn end_phase(&mut self, now: Duration) {
        if let Some((name, began)) = self.phase.take() {
            let after = self.span.took + began.saturating_sub(self.began);
            let began_at = later(self.span.began_at, after);
            self.span.phases.push(Phase { name, began_at, took: now.saturating_sub(began) });
        }
    }
}

fn later(moment: Moment, after: Duration) -> Moment {
    let micros = i64::try_from(after.as_micros()).unwrap_or(i64::MAX);
    Moment::from_micros(moment.as_micros().saturating_add(micros))
}

/// Keeps spans in memory, for tests and simulations.
#[derive(Debug, Default)]
pub struct KeptSpans(Mutex<Vec<Span>>);

impl KeptSpans {
    /// Returns what was told so far.
    pub fn all(&self) -> Vec<Span> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Spans for KeptSpans {
    fn take(&self, span: Span) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(span);
    }

    fn dropped(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ManualClock;

    fn at(seconds: i64) -> Moment {
        Moment::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn work_is_told_of_when_it_has_ended_with_its_parts() {
        let (clock, kept) = (Arc::new(ManualClock::new(at(100))), Arc::new(KeptSpans::default()));
        let tracing = Tracing::new(clock.clone(), kept.clone());
        let mut work = tracing.begin("commit");
        work.number("items", 3);
        work.phase("waiting");
        clock.advance_micros(2_000_000);
        work.phase("storing");
        // Somebody sets the clock back: no time has passed.
        clock.jump_micros(-50_000_000);
        clock.advance_micros(1_000_000);
        assert!(kept.all().is_empty());
        work.end(Outcome::Failed("the vault did not take it"));
        drop(tracing.begin("let fall"));
        let spans = kept.all();
        let [span] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!((span.began_at, span.took), (at(100), Duration::from_secs(3)));
        assert_eq!(span.outcome, Outcome::Failed("the vault did not take it"));
        assert_eq!(span.facts, [("items", Fact::Number(3))]);
        let phase = |name, began_at, seconds| Phase { name, began_at, took: Duration::from_secs(seconds) };
        assert_eq!(span.phases, [phase("waiting", at(100), 2), phase("storing", at(102), 1)]);
    }

    #[test]
    fn what_began_before_it_was_seen_began_then() {
        let (clock, kept) = (Arc::new(ManualClock::new(at(100))), Arc::new(KeptSpans::default()));
        let mut work = Tracing::new(clock.clone(), kept.clone()).begin("alarm");
        work.since(at(90));
        work.phase("telling");
        clock.advance_micros(1_000_000);
        work.end(Outcome::Done);
        let spans = kept.all();
        assert_eq!((spans[0].began_at, spans[0].took), (at(90), Duration::from_secs(11)));
        assert_eq!(spans[0].phases[0].began_at, at(100));
    }

    #[test]
    fn without_anybody_who_takes_spans_nothing_is_looked_at() {
        let tracing = Tracing::default();
        let mut work = tracing.request(|| panic!("looked at"));
        work.number("items", 3);
        work.end(Outcome::Done);
        assert_eq!(tracing.dropped(), 0);
    }
}
