mod follow;

use std::{
    collections::BTreeMap,
    io::{self, Read},
    sync::{Mutex, atomic::AtomicU64},
};

use model::{Moment, UnreadableReason};
use ports::ManualClock;

use super::*;
use crate::{ChangeSink, Silent, Stop, testing::MemorySink};
use model::{Item, Layout};

/// A unit that holds numbered items and whose position is the last of them.
struct Numbers {
    name: String,
    last: u64,
    ending: Mutex<Option<UnitError>>,
    fetched: AtomicU64,
}

impl Numbers {
    fn new(name: &str, last: u64) -> Self {
        Self { name: name.to_owned(), last, ending: Mutex::new(None), fetched: AtomicU64::new(0) }
    }

    fn ending(name: &str, last: u64, error: UnitError) -> Self {
        Self { ending: Mutex::new(Some(error)), ..Self::new(name, last) }
    }

    fn stream(&self) -> StreamName {
        StreamName::new(self.name.clone()).unwrap()
    }
}

fn item(stream: StreamName, key: String) -> Item {
    Item { stream, key, attributes: "{}".to_owned() }
}

impl Unit for Numbers {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, position: Option<&str>, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        let from = position.map_or(0, |text| text.parse::<u64>().unwrap());
        let keys: Vec<String> = (from..self.last).map(|number| format!("{number:06}")).collect();
        sink.listed(keys.len() as u64)?;
        let known = sink.known(&self.stream(), keys.clone())?;
        for (key, known) in keys.into_iter().zip(known) {
            if known.is_some() {
                sink.unchanged(1)?;
                continue;
            }
            self.fetched.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let body = Body::Bytes(key.clone().into_bytes());
            sink.upsert(item(self.stream(), key), Layout::Small, body)?;
        }
        if let Some(error) = self.ending.lock().unwrap().take() {
            return Err(error);
        }
        sink.advance(self.last.to_string())
    }
}

fn settings() -> UnitSettings {
    UnitSettings::new(Arc::new(ManualClock::new(Moment::from_micros(0))))
}

fn read(units: &[Box<dyn Unit>], sink: &mut MemorySink) -> Result<UnitsReport, ReadError> {
    Units::new(settings()).read(units, sink, &Stop::default(), &Silent)
}

fn numbers(count: u64, last: u64) -> Vec<Box<dyn Unit>> {
    (0..count)
        .map(|number| Box::new(Numbers::new(&format!("unit/{number}"), last)) as Box<dyn Unit>)
        .collect()
}

#[test]
fn all_units_are_read_and_go_on_where_they_were() {
    let mut sink = MemorySink::new();
    let report = read(&numbers(20, 50), &mut sink).unwrap();
    assert_eq!(report, UnitsReport { read: 20, ..UnitsReport::default() });
    assert_eq!(sink.held.len(), 20 * 50 + 20);
    assert_eq!(sink.stream("position")["unit/7"].attributes, "50");
    assert_eq!(sink.bodies, 20 * 50 + 20);

    let commits = sink.commits.len();
    read(&numbers(20, 50), &mut sink).unwrap();
    assert_eq!(sink.commits.len(), commits, "where nothing happened, nothing is committed");
    read(&numbers(20, 51), &mut sink).unwrap();
    assert_eq!(sink.bodies, 2 * (20 * 50 + 20) - 20 * 49);
}

#[test]
fn a_killed_run_fetches_nothing_twice_that_was_committed() {
    let mut sink = MemorySink::new().failing_after(150);
    let few = UnitSettings { commit_changes: 10, threads: 3, ..settings() };
    let units = numbers(5, 60);
    Units::new(few.clone()).read(&units, &mut sink, &Stop::default(), &Silent).unwrap_err();
    sink.kill();
    let committed = sink.held.keys().filter(|(stream, _)| stream.as_str().starts_with("unit/")).count();
    assert!((100..150).contains(&committed), "{committed}");

    let units: Vec<Numbers> = (0..5).map(|number| Numbers::new(&format!("unit/{number}"), 60)).collect();
    let units: Vec<Arc<Numbers>> = units.into_iter().map(Arc::new).collect();
    let boxed: Vec<Box<dyn Unit>> =
        units.iter().map(|unit| Box::new(Shared(Arc::clone(unit))) as Box<dyn Unit>).collect();
    Units::new(few.clone()).read(&boxed, &mut sink, &Stop::default(), &Silent).unwrap();
    let fetched: u64 = units.iter().map(|unit| unit.fetched.load(std::sync::atomic::Ordering::SeqCst)).sum();
    assert_eq!(fetched as usize, 5 * 60 - committed);
}

struct Shared(Arc<Numbers>);

impl Unit for Shared {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn read(&self, position: Option<&str>, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        self.0.read(position, sink)
    }
}

#[test]
fn one_unit_s_trouble_is_its_own_and_is_told() {
    let blinded = || UnitError::Blinded {
        detail: "the user is suspended".to_owned(),
        hint: Some("restore the user".to_owned()),
    };
    let failed = || UnitError::Failed { detail: "the service is down".to_owned() };
    let units: Vec<Box<dyn Unit>> = vec![
        Box::new(Numbers::ending("a", 3, blinded())),
        Box::new(Numbers::ending("b", 3, failed())),
        Box::new(Numbers::new("c", 3)),
    ];
    let mut sink = MemorySink::new();
    let report = read(&units, &mut sink).unwrap();
    assert_eq!(report.read, 1);
    assert_eq!(report.blinded, [("a".to_owned(), "the user is suspended: restore the user".to_owned())]);
    assert_eq!(report.failed, [("b".to_owned(), "the service is down".to_owned())]);
    let told = &sink.stream("blinded")["a"].content;
    assert!(matches!(told, Err(UnreadableReason::Blinded { .. })));
    assert_eq!(sink.stream("position").into_keys().collect::<Vec<_>>(), ["c"]);
    assert_eq!(sink.stream("a").len(), 3, "what it said before stands");
    assert!(matches!(sink.stream("blinded")["b"].content, Err(UnreadableReason::Failed { .. })));
    assert_eq!(sink.commits[0].ledger.unreadable, 2);

    // Once it can be seen again, it is no longer blinded.
    read(&[Box::new(Numbers::new("a", 3))], &mut sink).unwrap();
    assert_eq!(sink.stream("blinded").into_keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(sink.stream("position")["a"].attributes, "3");
}

#[test]
fn what_concerns_all_units_ends_the_read() {
    let broken = ReadError::Source {
        message: "the key was revoked".to_owned(),
        hint: None,
        transient: false,
        source: None,
    };
    let mut units = numbers(8, 2000);
    units.insert(0, Box::new(Numbers::ending("a", 1, UnitError::Source(broken))));
    let mut sink = MemorySink::new();
    let error = read(&units, &mut sink).unwrap_err();
    assert_eq!(error.to_string(), "the key was revoked");
}

struct Losing;

impl Unit for Losing {
    fn name(&self) -> &'static str {
        "losing"
    }

    fn read(&self, _position: Option<&str>, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        sink.listed(2)?;
        let stream = StreamName::new("losing").unwrap();
        sink.upsert(item(stream, "1".to_owned()), Layout::Small, Body::Bytes(Vec::new()))?;
        sink.advance("2".to_owned())
    }
}

#[test]
fn a_unit_that_loses_an_item_is_found() {
    let mut sink = MemorySink::new();
    let error = read(&[Box::new(Losing)], &mut sink).unwrap_err();
    assert!(error.to_string().contains("listed 2 items and accounted for 1"), "{error}");
    assert!(sink.commits.is_empty());
}

struct Breaking;

impl Read for Breaking {
    fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the download broke off"))
    }
}

struct Streaming;

impl Unit for Streaming {
    fn name(&self) -> &'static str {
        "streaming"
    }

    fn read(&self, _position: Option<&str>, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        let stream = StreamName::new("streaming").unwrap();
        let good = Body::Stream(Box::new(io::repeat(7).take(300_000)));
        sink.upsert(item(stream.clone(), "good".to_owned()), Layout::Blocks, good)?;
        let bad = Body::Stream(Box::new(Breaking));
        sink.upsert(item(stream.clone(), "bad".to_owned()), Layout::Blocks, bad)?;
        assert_eq!(sink.failed_keys(&stream, 10)?, Vec::<String>::new());
        sink.advance("1".to_owned())
    }
}

#[test]
fn a_body_that_breaks_off_is_recorded_and_can_be_tried_again() {
    let mut sink = MemorySink::new();
    read(&[Box::new(Streaming)], &mut sink).unwrap();
    let held = sink.stream("streaming");
    assert_eq!(held["good"].content.as_ref().unwrap().len(), 300_000);
    let detail = "the download broke off".to_owned();
    assert_eq!(held["bad"].content, Err(UnreadableReason::Failed { detail }));
    assert_eq!(sink.failed_keys(&StreamName::new("streaming").unwrap(), 10).unwrap(), ["bad"]);
}

#[test]
fn a_request_to_end_is_heard_and_what_was_said_is_kept() {
    let stop = Stop::default();
    stop.request();
    let mut sink = MemorySink::new();
    let report = Units::new(settings()).read(&numbers(3, 10), &mut sink, &stop, &Silent).unwrap();
    assert_eq!(report, UnitsReport { stopped: true, ..UnitsReport::default() });
}

#[test]
fn bodies_larger_than_the_budget_pass_one_at_a_time() {
    let small = UnitSettings { waiting_bytes: 4, ..settings() };
    let mut sink = MemorySink::new();
    let report =
        Units::new(small.clone()).read(&numbers(4, 30), &mut sink, &Stop::default(), &Silent).unwrap();
    assert_eq!(report.read, 4);
    let mut by_stream: BTreeMap<&str, u64> = BTreeMap::new();
    for (stream, _) in sink.held.keys() {
        *by_stream.entry(stream.as_str()).or_default() += 1;
    }
    assert_eq!(by_stream.values().copied().collect::<Vec<_>>(), [4, 30, 30, 30, 30]);
}

#[test]
fn a_read_that_goes_on_tells_each_trouble_once() {
    let units = || -> Vec<Box<dyn Unit>> {
        let error = UnitError::Blinded { detail: "suspended".to_owned(), hint: None };
        vec![Box::new(Numbers::ending("a", 0, error))]
    };
    let mut sink = MemorySink::new();
    let mut reading = Units::new(settings());
    for _ in 0..3 {
        let report = reading.read(&units(), &mut sink, &Stop::default(), &Silent).unwrap();
        assert_eq!(report.blinded.len(), 1, "each report says it");
    }
    assert_eq!(sink.commits.len(), 1);
    read(&units(), &mut sink).unwrap();
    assert_eq!(sink.commits.len(), 2, "another run says it again");
}
