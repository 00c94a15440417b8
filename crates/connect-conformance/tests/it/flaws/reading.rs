//! Readers with a flaw, made of the good one by meddling with what it says, sends and hears.

use std::{
    collections::BTreeMap,
    io::Read,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use connect::{
    ChangeSink, Cursor, KnownItem, LogTail, ReadEnd, ReadError, SinkError, SourceReader, Stop,
    testing::HeldItems,
};
use connect_conformance::{
    Act, Conditions, Furnishing, Never, Outcome, Place, Spending, State, Subject, find,
};
use connect_http::{
    Request, Response, Transport, TransportError,
    http::{HeaderMap, StatusCode},
};
use model::{Event, Item, Layout, StreamName, UnreadableReason};
use ports::ManualClock;

use crate::notes::{KEY, NotesSubject};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    DropsAnItem,
    MiscountsItsListing,
    DependsOnChance,
    FetchesEverything,
    StoresTheFeedDifferently,
    FetchesChangesTwice,
    HidesRemovals,
    TakesThePlaceAfterTheListing,
    TakesALostFeedForCurrent,
    GoesOnFromTheNewestPlace,
    DeletesAfterALostFeed,
    TakesBlindForGone,
    EmptiesWhatVanished,
    TellsAgain,
    CallsFailedUnsupported,
    TellsFailuresInEachRound,
    StoresAfterThePosition,
    HearsNoStop,
    TakesFaultsForEmptyLists,
    NeverTriesAgain,
    WritesPositionsInItsOwnWay,
    SkipsWhatItDoesNotUnderstand,
    TellsItsKey,
    WaitsForNoQuota,
    WaitsTooLong,
    TrustsEveryBit,
    DependsOnItsThreads,
}

use Flaw::*;

/// Each flaw with the rules that must find it; others may as well.
const FOUND: &[(Flaw, &[&str])] = &[
    (DropsAnItem, &["R-01"]),
    (MiscountsItsListing, &["R-02"]),
    (DependsOnItsThreads, &["R-03"]),
    (DependsOnChance, &["R-04"]),
    (FetchesEverything, &["R-05", "R-07", "R-11"]),
    (StoresTheFeedDifferently, &["R-06"]),
    (FetchesChangesTwice, &["R-08"]),
    (HidesRemovals, &["R-09"]),
    (TakesThePlaceAfterTheListing, &["R-10"]),
    (DeletesAfterALostFeed, &["R-11"]),
    (TakesALostFeedForCurrent, &["R-12"]),
    (TakesBlindForGone, &["R-13", "R-14"]),
    (EmptiesWhatVanished, &["R-15"]),
    (TellsAgain, &["R-16", "R-17"]),
    (CallsFailedUnsupported, &["R-18"]),
    (TellsFailuresInEachRound, &["R-19"]),
    (StoresAfterThePosition, &["R-20", "R-21"]),
    (HearsNoStop, &["R-22"]),
    (TakesFaultsForEmptyLists, &["R-23", "R-24", "R-25", "R-26", "R-27", "R-28", "R-29", "R-30"]),
    (TrustsEveryBit, &["R-31"]),
    (NeverTriesAgain, &["R-32"]),
    (WritesPositionsInItsOwnWay, &["R-33"]),
    (GoesOnFromTheNewestPlace, &["R-34"]),
    (SkipsWhatItDoesNotUnderstand, &["R-35"]),
    (TellsItsKey, &["R-36"]),
    (WaitsForNoQuota, &["R-37"]),
    (WaitsTooLong, &["R-37"]),
];

#[test]
fn every_flaw_of_a_reader_is_found() {
    for (flaw, ids) in FOUND {
        for id in *ids {
            let start = |furnishing: &Furnishing| -> Arc<dyn Subject> {
                Arc::new(Flawed {
                    inner: NotesSubject::start(furnishing),
                    flaw: *flaw,
                    newest: Arc::default(),
                })
            };
            let outcome = find(id).unwrap().of_reader(&start);
            assert!(matches!(outcome, Outcome::Broken(_)), "{flaw:?} is not found by {id}: it {outcome}");
        }
    }
}

#[test]
fn every_rule_for_readers_has_a_flaw_that_it_finds() {
    for rule in connect_conformance::READING {
        assert!(FOUND.iter().any(|(_, ids)| ids.contains(&rule.id)), "{rule:?}");
    }
}

struct Flawed {
    inner: NotesSubject,
    flaw: Flaw,
    /// The newest place in a feed that anybody went on from.
    newest: Arc<AtomicU64>,
}

impl Subject for Flawed {
    fn clock(&self) -> Arc<ManualClock> {
        self.inner.clock()
    }

    fn transport(&self) -> Arc<dyn Transport> {
        self.inner.transport()
    }

    fn reader(&self, conditions: &Conditions) -> Box<dyn SourceReader> {
        let line = Line {
            inner: Arc::clone(&conditions.transport),
            flaw: self.flaw,
            texts: Mutex::default(),
            newest: Arc::clone(&self.newest),
        };
        let line = Arc::new(line);
        let mut own = Conditions { transport: line, ..conditions.clone() };
        own.paced &= self.flaw != WaitsForNoQuota;
        let keys = self.inner.real().into_keys().collect();
        let (clock, transport) = (self.clock(), Arc::clone(&conditions.transport));
        let inner = self.inner.reader(&own);
        let (flaw, threads) = (self.flaw, conditions.threads);
        Box::new(FlawedReader { inner, flaw, threads, keys, clock, transport, said: Vec::new() })
    }

    fn real(&self) -> State {
        self.inner.real()
    }

    fn says(&self, held: &HeldItems, place: &Place, attributes: &str) -> String {
        self.inner.says(held, place, attributes)
    }

    fn act(&self, act: Act<'_>) -> Result<(), Never> {
        self.inner.act(act)
    }

    fn contents(&self, request: &Request) -> Vec<String> {
        self.inner.contents(request)
    }

    fn digests(&self) -> Result<(), Never> {
        self.inner.digests()
    }

    fn spending(&self) -> Result<Spending, Never> {
        self.inner.spending()
    }

    fn secrets(&self) -> Vec<String> {
        self.inner.secrets()
    }
}

/// What is sent and heard.
struct Line {
    inner: Arc<dyn Transport>,
    flaw: Flaw,
    /// Texts by their addresses.
    texts: Mutex<BTreeMap<String, Vec<u8>>>,
    newest: Arc<AtomicU64>,
}

fn good(body: impl Into<Vec<u8>>) -> Response {
    Response::new(StatusCode::OK, HeaderMap::new(), body.into())
}

impl Line {
    /// Asks for something else in the place of a request.
    fn ask(&self, request: &Request, url: String) -> Result<serde_json::Value, TransportError> {
        self.inner.send(&Request { url, ..request.clone() })?.body.json(1 << 20)
    }

    fn latest(&self, request: &Request) -> Result<u64, TransportError> {
        let url = request.url.split("/changes").next().unwrap_or_default();
        Ok(self.ask(request, format!("{url}/latest"))?["position"].as_u64().unwrap_or(0))
    }
}

impl Line {
    /// Makes the digests of a listing those of whatever texts come, so that every text is the right one.
    fn trust(&self, request: &Request) -> Result<Response, TransportError> {
        let mut list: serde_json::Value = self.inner.send(request)?.body.json(1 << 20)?;
        let base = request.url.rsplit_once('/').unwrap().0.to_owned();
        let entries = |list: &mut serde_json::Value, name: &str| {
            list[name].as_array_mut().map(std::mem::take).unwrap_or_default()
        };
        let changed: Vec<_> = entries(&mut list, "changes").into_iter().collect();
        let listed = entries(&mut list, "notes").into_iter().map(|note| serde_json::json!({ "note": note }));
        let is_feed = request.url.contains("/changes");
        let mut all: Vec<serde_json::Value> = listed.chain(changed).collect();
        for note in all.iter_mut().filter_map(|change| change.get_mut("note")) {
            let url = format!("{base}/notes/{}/text", note["id"].as_str().unwrap());
            let text =
                self.inner.send(&Request { url: url.clone(), ..request.clone() })?.body.bytes(1 << 20)?;
            note["digest"] = blake3::hash(&text).to_hex().to_string().into();
            self.texts.lock().unwrap().insert(url, text);
        }
        if is_feed {
            list["changes"] = all.into();
        } else {
            list["notes"] = all.into_iter().map(|mut change| change["note"].take()).collect();
        }
        Ok(good(list.to_string()))
    }
}

impl Transport for Line {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let is = |part: &str| request.url.contains(part);
        match self.flaw {
            TakesFaultsForEmptyLists if !is("/token") => {
                let answer = self.inner.send(request).and_then(|answer| answer.whole(1 << 20));
                let answer = match answer {
                    Ok(answer) if answer.status == StatusCode::OK => answer.body.bytes(1 << 20)?,
                    _ => b"<".to_vec(),
                };
                let json = serde_json::from_slice::<serde_json::Value>(&answer).is_ok();
                let empty = r#"{"users":[],"notes":[],"next":null,"changes":[],"position":7,"more":false}"#;
                Ok(good(if json || is("/text") { answer } else { empty.as_bytes().to_vec() }))
            }
            NeverTriesAgain => {
                let answer = self.inner.send(request).and_then(|answer| answer.whole(1 << 20));
                Ok(answer.unwrap_or_else(|_| {
                    Response::new(StatusCode::BAD_REQUEST, HeaderMap::new(), b"{}".to_vec())
                }))
            }
            TakesALostFeedForCurrent if is("/changes") => {
                let answer = self.inner.send(request)?;
                if answer.status != StatusCode::GONE {
                    return Ok(answer);
                }
                let latest = self.latest(request)?;
                Ok(good(format!(r#"{{"changes":[],"position":{latest},"more":false}}"#)))
            }
            GoesOnFromTheNewestPlace if is("/changes?since=") => {
                let (path, since) = request.url.rsplit_once('=').unwrap();
                let since = since.parse::<u64>().unwrap();
                let newest = since.max(self.newest.fetch_max(since, Ordering::SeqCst));
                self.inner.send(&Request { url: format!("{path}={newest}"), ..request.clone() })
            }
            TakesThePlaceAfterTheListing if is("/latest") => Ok(good(r#"{"position":0}"#)),
            TakesThePlaceAfterTheListing if is("/changes?since=0") => {
                let url = request.url.replace("since=0", &format!("since={}", self.latest(request)?));
                self.inner.send(&Request { url, ..request.clone() })
            }
            TrustsEveryBit if is("/notes?") || is("/changes?") => self.trust(request),
            TrustsEveryBit if is("/text") => Ok(good(self.texts.lock().unwrap()[&request.url].clone())),
            FetchesChangesTwice if is("/text") => {
                self.inner.send(request)?;
                self.inner.send(request)
            }
            _ => self.inner.send(request),
        }
    }
}

type Said = (StreamName, String, UnreadableReason);

struct FlawedReader {
    inner: Box<dyn SourceReader>,
    flaw: Flaw,
    threads: usize,
    keys: Vec<Place>,
    clock: Arc<ManualClock>,
    transport: Arc<dyn Transport>,
    said: Vec<Said>,
}

impl SourceReader for FlawedReader {
    fn changes(
        &mut self,
        cursor: Option<&Cursor>,
        sink: &mut dyn ChangeSink,
        stop: &Stop,
    ) -> Result<ReadEnd, ReadError> {
        if self.flaw == FetchesEverything {
            for place in &self.keys {
                let url = format!("https://notes.test/users/{}/{}/text", place.stream, place.key);
                self.transport.send(&Request::get(url)).ok();
            }
        }
        let said = std::mem::take(&mut self.said);
        let mut meddling = Meddling {
            inner: sink,
            flaw: self.flaw,
            threads: self.threads,
            clock: &self.clock,
            said: Vec::new(),
            held_back: Vec::new(),
            upserts: 0,
        };
        if self.flaw == TellsAgain && !said.is_empty() {
            for (stream, key, reason) in said.clone() {
                meddling.unreadable(stream, key, reason)?;
            }
            meddling.checkpoint(&Cursor("units 1".to_owned()))?;
        }
        let never = Stop::default();
        let ended =
            self.inner.changes(cursor, &mut meddling, if self.flaw == HearsNoStop { &never } else { stop });
        if ended.is_ok() && !meddling.held_back.is_empty() {
            meddling.give_back()?;
            meddling.inner.checkpoint(&Cursor("units 1".to_owned()))?;
        }
        self.said = meddling.said;
        self.said.extend(said);
        ended
    }
}

/// What is said to the sink, and what it is heard to know.
struct Meddling<'a> {
    inner: &'a mut dyn ChangeSink,
    flaw: Flaw,
    threads: usize,
    clock: &'a ManualClock,
    said: Vec<Said>,
    held_back: Vec<(Item, Layout, Vec<u8>)>,
    upserts: u64,
}

static CHANCE: AtomicU64 = AtomicU64::new(0);

fn with_member(attributes: &str, name: &str, value: impl Into<serde_json::Value>) -> String {
    let mut json: serde_json::Value = serde_json::from_str(attributes).unwrap();
    json[name] = value.into();
    json.to_string()
}

impl Meddling<'_> {
    fn give_back(&mut self) -> Result<(), SinkError> {
        for (item, layout, bytes) in std::mem::take(&mut self.held_back) {
            self.inner.upsert_bytes(item, layout, &bytes)?;
        }
        Ok(())
    }

    fn meddle(&mut self, mut item: Item) -> Item {
        let is_position = item.stream.as_str() == "position";
        let attributes = &item.attributes;
        item.attributes = match self.flaw {
            WritesPositionsInItsOwnWay if is_position => attributes.replace(':', "="),
            DependsOnChance if !is_position => {
                with_member(attributes, "chance", CHANCE.fetch_add(1, Ordering::SeqCst))
            }
            DependsOnItsThreads if !is_position => with_member(attributes, "threads", self.threads),
            TellsItsKey if !is_position => with_member(attributes, "key", KEY),
            _ => return item,
        };
        item
    }
}

impl ChangeSink for Meddling<'_> {
    fn tail(&mut self, stream: &StreamName) -> Result<Option<LogTail>, SinkError> {
        self.inner.tail(stream)
    }

    fn upsert(&mut self, item: Item, layout: Layout, body: &mut dyn Read) -> Result<(), SinkError> {
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes).map_err(|source| SinkError::Body { key: item.key.clone(), source })?;
        let is_position = item.stream.as_str() == "position";
        let item = self.meddle(item);
        self.upserts += u64::from(!is_position);
        if self.flaw == WaitsTooLong {
            self.clock.advance_micros(150_000);
        }
        match self.flaw {
            DropsAnItem if !is_position && self.upserts == 2 => self.inner.unchanged(1),
            StoresAfterThePosition if !is_position => {
                self.held_back.push((item, layout, bytes));
                Ok(())
            }
            _ => self.inner.upsert_bytes(item, layout, &bytes),
        }
    }

    fn known(&mut self, stream: &StreamName, key: &str) -> Result<Option<KnownItem>, SinkError> {
        let mut known = self.inner.known(stream, key)?;
        if let Some(known) = &mut known
            && stream.as_str() == "position"
        {
            match self.flaw {
                WritesPositionsInItsOwnWay => known.attributes = known.attributes.replace('=', ":"),
                SkipsWhatItDoesNotUnderstand if known.attributes.contains("made-by") => {
                    // Everything of the small source and of its upheaval, and nothing later.
                    r#"{"seen":12,"listed":true}"#.clone_into(&mut known.attributes);
                }
                _ => {}
            }
        }
        Ok(known)
    }

    fn known_keys(
        &mut self,
        stream: &StreamName,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, SinkError> {
        let keys = self.inner.known_keys(stream, after, limit)?;
        if self.flaw == DeletesAfterALostFeed
            && let Some(key) = keys.first()
        {
            self.inner.removed(stream.clone(), key.clone())?;
        }
        Ok(keys)
    }

    fn failed_keys(&mut self, stream: &StreamName, limit: u32) -> Result<Vec<String>, SinkError> {
        let keys = self.inner.failed_keys(stream, limit)?;
        if self.flaw == TellsFailuresInEachRound {
            for key in &keys {
                let reason = UnreadableReason::Failed { detail: "again".to_owned() };
                self.inner.enumerated(1)?;
                self.inner.unreadable(stream.clone(), key.clone(), reason)?;
            }
        }
        Ok(keys)
    }

    fn upsert_attributes(&mut self, item: Item) -> Result<bool, SinkError> {
        let mut item = self.meddle(item);
        if self.flaw == StoresTheFeedDifferently {
            item.attributes = with_member(&item.attributes, "by", "feed");
        }
        self.inner.upsert_attributes(item)
    }

    fn unchanged(&mut self, count: u64) -> Result<(), SinkError> {
        self.inner.unchanged(count)
    }

    fn enumerated(&mut self, count: u64) -> Result<(), SinkError> {
        match self.flaw {
            StoresAfterThePosition => Ok(()),
            MiscountsItsListing => self.inner.enumerated(count + 1),
            _ => self.inner.enumerated(count),
        }
    }

    fn removed(&mut self, stream: StreamName, key: String) -> Result<(), SinkError> {
        if self.flaw == HidesRemovals { Ok(()) } else { self.inner.removed(stream, key) }
    }

    fn unreadable(
        &mut self,
        stream: StreamName,
        key: String,
        reason: UnreadableReason,
    ) -> Result<(), SinkError> {
        self.said.push((stream.clone(), key.clone(), reason.clone()));
        match (self.flaw, reason) {
            (EmptiesWhatVanished, UnreadableReason::Vanished) => {
                let attributes =
                    r#"{"folder":"","tags":[],"trashed":false,"version":0,"digest":""}"#.to_owned();
                self.inner.upsert_bytes(Item { stream, key, attributes }, Layout::Small, &[])
            }
            (CallsFailedUnsupported, UnreadableReason::Failed { detail }) => {
                self.inner.unreadable(stream, key, UnreadableReason::Unsupported { detail })
            }
            (TakesBlindForGone, reason) if stream.as_str() == "blinded" => {
                let of = StreamName::new(key.clone()).unwrap();
                for known in self.inner.known_keys(&of, None, 100)? {
                    self.inner.removed(of.clone(), known)?;
                }
                self.inner.unreadable(stream, key, reason)
            }
            (_, reason) => self.inner.unreadable(stream, key, reason),
        }
    }

    fn event(&mut self, event: Event) -> Result<(), SinkError> {
        self.inner.event(event)
    }

    fn append(&mut self, stream: &StreamName, offset: u64, bytes: &[u8]) -> Result<(), SinkError> {
        self.inner.append(stream, offset, bytes)
    }

    fn sync(&mut self) -> Result<(), SinkError> {
        self.inner.sync()
    }

    fn checkpoint(&mut self, cursor: &Cursor) -> Result<(), SinkError> {
        self.inner.checkpoint(cursor)?;
        self.give_back()
    }
}
