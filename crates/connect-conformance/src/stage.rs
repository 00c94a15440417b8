//! A source, a sink and what stands between them, for one check.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use connect::{ReadEnd, ReadError, SourceReader, Stop, testing::MemorySink};
use connect_http::Transport;
use model::{StreamName, UnreadableReason};

use crate::{
    rule::{Start, Unmet},
    sink::{Told, Watched},
    subject::{Conditions, Fact, Furnishing, Place, State, Subject},
    tap::Tap,
};

/// The source of most checks: small, because many are swept call by call.
pub(crate) const SMALL: Furnishing = Furnishing { users: 2, items: 6, seed: 11, limited: false };

/// Streams that every reader of units has; they are compared with nothing.
const OF_UNITS: [&str; 2] = ["position", "blinded"];

/// So long that a commit is due after a few calls of the sink.
pub(crate) const STEP_MICROS: i64 = 1_500_000;
/// So long that everything is looked at again that is looked at in rounds.
const ROUND_MICROS: i64 = 4 * 3600 * 1_000_000;

pub(crate) type Checked = Result<(), Unmet>;

/// Says that a rule does not hold.
pub(crate) fn broken<T>(what: impl Into<String>) -> Result<T, Unmet> {
    Err(Unmet::Broken(what.into()))
}

/// Demands something.
pub(crate) fn demand(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { broken(what()) }
}

/// What one run did.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) told: Vec<Told>,
    pub(crate) sink_calls: u64,
    pub(crate) requests: u64,
    pub(crate) contents: Vec<String>,
    /// How many of the items that are compared were told to be removed.
    pub(crate) items_removed: usize,
    pub(crate) ended: Option<Result<ReadEnd, ReadError>>,
}

impl Run {
    /// Demands that the run came to a good end.
    pub(crate) fn good(self) -> Result<Self, Unmet> {
        match &self.ended {
            Some(Ok(ReadEnd::UpToDate)) => Ok(self),
            Some(Ok(end)) => broken(format!("the run ended with {end:?}, and nobody had asked it to end")),
            Some(Err(error)) => broken(format!("the run failed: {}", chain(error))),
            None => broken("there was no run"),
        }
    }

    /// Returns how many items were told to be removed, those that are compared with nothing among them.
    pub(crate) fn removed(&self) -> usize {
        self.told.iter().filter(|told| matches!(told, Told::Removed { .. })).count()
    }
}

pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Returns a key among those that were fetched whose content was held already, and is the same.
pub(crate) fn fetched_again<'k>(before: &State, real: &State, fetched: &'k [String]) -> Option<&'k String> {
    let is_held = |key: &&String| {
        real.iter().any(|(place, fact)| {
            place.key == **key && before.get(place).is_some_and(|old| old.content == fact.content)
        })
    };
    fetched.iter().find(is_held)
}

/// A source that is read into a sink.
pub(crate) struct Scene {
    pub(crate) subject: Arc<dyn Subject>,
    pub(crate) tap: Arc<Tap>,
    pub(crate) sink: MemorySink,
    pub(crate) threads: usize,
    pub(crate) paced: bool,
}

impl Scene {
    /// Starts a small source.
    pub(crate) fn new(start: &Start<'_>) -> Self {
        Self::with(start, &SMALL)
    }

    pub(crate) fn with(start: &Start<'_>, furnishing: &Furnishing) -> Self {
        let subject = start(furnishing);
        Self {
            tap: Tap::new(&subject),
            subject,
            sink: MemorySink::new(),
            threads: 2,
            paced: furnishing.limited,
        }
    }

    /// Starts a small source and captures it.
    pub(crate) fn captured(start: &Start<'_>) -> Result<Self, Unmet> {
        let mut scene = Self::new(start);
        scene.capture()?;
        Ok(scene)
    }

    /// Makes a reader, as a process has it that was started anew.
    pub(crate) fn reader(&self) -> Box<dyn SourceReader> {
        self.reader_through(Arc::clone(&self.tap) as _)
    }

    pub(crate) fn reader_through(&self, transport: Arc<dyn Transport>) -> Box<dyn SourceReader> {
        let conditions = Conditions { transport, threads: self.threads, paced: self.paced };
        self.subject.reader(&conditions)
    }

    /// Captures with a reader of its own; the end must be a good one.
    pub(crate) fn capture(&mut self) -> Result<Run, Unmet> {
        let mut reader = self.reader();
        self.run(&mut *reader).good()
    }

    /// Lets rounds come due and captures.
    pub(crate) fn capture_later(&mut self) -> Result<Run, Unmet> {
        self.subject.clock().advance_micros(ROUND_MICROS);
        self.capture()
    }

    /// Runs a reader once into the sink.
    pub(crate) fn run(&mut self, reader: &mut dyn SourceReader) -> Run {
        self.run_with(reader, |_| ())
    }

    /// Runs a reader once into the sink, after `change` had a hand in it.
    pub(crate) fn run_with(
        &mut self,
        reader: &mut dyn SourceReader,
        change: impl FnOnce(&mut Watched<'_>),
    ) -> Run {
        self.run_until(reader, &Stop::default(), change)
    }

    pub(crate) fn run_until(
        &mut self,
        reader: &mut dyn SourceReader,
        stop: &Stop,
        change: impl FnOnce(&mut Watched<'_>),
    ) -> Run {
        self.tap.forget();
        let cursor = self.sink.cursor();
        let mut sink = Watched::new(&mut self.sink, self.subject.clock());
        change(&mut sink);
        let ended = reader.changes(cursor.as_ref(), &mut sink, stop);
        let Watched { calls, told, .. } = sink;
        // A process that ended keeps nothing but what was committed.
        self.sink.kill();
        let is_item = |told: &&Told| match told {
            Told::Removed { stream, key } => self.covers(&Place::new(stream, key)),
            _ => false,
        };
        Run {
            items_removed: told.iter().filter(is_item).count(),
            told,
            sink_calls: calls,
            requests: self.tap.calls(),
            contents: self.tap.contents(),
            ended: Some(ended),
        }
    }

    /// Returns whether items of a stream with such keys are compared.
    pub(crate) fn covers(&self, place: &Place) -> bool {
        !OF_UNITS.contains(&place.stream.as_str()) && self.subject.covers(place)
    }

    /// Returns what is held, in the words of what is real: items with content, and the reasons of the others.
    pub(crate) fn held(&self) -> (State, BTreeMap<Place, UnreadableReason>) {
        let (mut state, mut missing) = (State::new(), BTreeMap::new());
        for ((stream, key), item) in &self.sink.held {
            let place = Place::new(stream.as_str(), key);
            if !self.covers(&place) {
                continue;
            }
            match &item.content {
                Ok(content) => {
                    let says = self.subject.says(&self.sink.held, &place, &item.attributes);
                    state.insert(place, Fact::new(content, says));
                }
                Err(reason) => drop(missing.insert(place, reason.clone())),
            }
        }
        (state, missing)
    }

    /// Demands that the sink holds exactly what is in the source.
    pub(crate) fn compare(&self) -> Checked {
        self.compare_with(&self.subject.real())
    }

    pub(crate) fn compare_with(&self, real: &State) -> Checked {
        let (held, missing) = self.held();
        for (place, fact) in real {
            match held.get(place) {
                Some(found) if found == fact => {}
                Some(found) => {
                    return broken(format!("{place} is held as {found:?} and is {fact:?}"));
                }
                None => {
                    let why =
                        missing.get(place).map_or("nothing was said".to_owned(), |why| format!("{why:?}"));
                    return broken(format!("{place} is in the source and not held ({why})"));
                }
            }
        }
        let gone = held.keys().chain(missing.keys()).find(|place| !real.contains_key(place));
        gone.map_or(Ok(()), |place| broken(format!("{place} is held and no longer in the source")))
    }

    /// Returns the streams of what is real, with the places in each.
    pub(crate) fn places(&self) -> BTreeMap<String, Vec<Place>> {
        let mut all: BTreeMap<String, Vec<Place>> = BTreeMap::new();
        for place in self.subject.real().into_keys() {
            all.entry(place.stream.clone()).or_default().push(place);
        }
        all
    }

    /// Returns the nth item of the first stream that has so many.
    pub(crate) fn place(&self, number: usize) -> Result<Place, Unmet> {
        let all = self.places();
        let place = all.values().find_map(|places| places.get(number)).cloned();
        place.ok_or_else(|| Unmet::Broken(format!("no stream of the small source has {} items", number + 1)))
    }

    pub(crate) fn first_stream(&self) -> Result<String, Unmet> {
        self.place(0).map(|place| place.stream)
    }

    /// Returns the keys of what is committed with its content.
    pub(crate) fn committed(&self) -> BTreeSet<String> {
        self.held().0.into_keys().map(|place| place.key).collect()
    }

    /// Returns how a place is held; `None` when it is not.
    pub(crate) fn look(&self, place: &Place) -> Option<Result<&[u8], &UnreadableReason>> {
        let stream = StreamName::new(place.stream.clone()).ok()?;
        let held = self.sink.held.get(&(stream, place.key.clone()))?;
        Some(held.content.as_deref())
    }

    /// Lists the positions that are held.
    pub(crate) fn positions(&self) -> Vec<(String, String)> {
        let held = self.sink.stream("position");
        held.into_iter().map(|(unit, item)| (unit.to_owned(), item.attributes.clone())).collect()
    }

    /// Writes other text into each position, as if an earlier run had left it.
    pub(crate) fn rewrite_positions(&mut self, change: impl Fn(&str) -> String) {
        let positions = self.sink.held.iter_mut().filter(|((stream, _), _)| stream.as_str() == "position");
        for (_, item) in positions {
            item.attributes = change(&item.attributes);
        }
    }
}
