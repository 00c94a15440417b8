use std::{collections::BTreeMap, sync::Arc};

use blobs::MemoryStore;
use model::{Attribution, Effect, Event, SourceName, UnreadableReason, Verb};
use ports::{BlobStore, ManualClock, SeededRandom};
use proptest::prelude::*;
use vault::{Cursor, InitOptions, Layout, VaultReader, VaultWriter, WriterOptions};

use super::*;
use crate::{EventFilter, Version};

pub(crate) fn applied(sequence: u64) -> Applied {
    Applied {
        sequence,
        hash: CommitHash([sequence as u8; 32]),
        vault_time: Moment::from_micros(sequence as i64),
        cursor: b"here".to_vec(),
        ledger: Ledger { enumerated: 1, stored: 1, ..Ledger::default() },
    }
}

pub(crate) fn upsert(stream: &str, key: &str, length: u64) -> Change {
    upsert_with(stream, key, length, "{}")
}

pub(crate) fn removed(stream: &str, key: &str) -> Change {
    Change::Removed { stream: name(stream), key: key.to_owned() }
}

pub(crate) fn upsert_with(stream: &str, key: &str, length: u64, attributes: &str) -> Change {
    let extents = if length == 0 { Vec::new() } else { vec![vault::Extent::Zero { length }] };
    let content = Content { length, leaf_bytes: 8192, digest: vault::LeafHash([1; 32]), extents };
    Change::Upsert { item: item(stream, key, attributes), content }
}

fn item(stream: &str, key: &str, attributes: &str) -> Item {
    Item { stream: name(stream), key: key.to_owned(), attributes: attributes.to_owned() }
}

fn name(stream: &str) -> StreamName {
    StreamName::new(stream).unwrap()
}

fn run(start: u64, end: u64) -> Change {
    let attributes = format!(r#"{{"start":{start},"end":{end}}}"#);
    upsert_with("wal/1", &format!("{start:016X}-{end:016X}"), end - start, &attributes)
}

fn event(at: i64, position: &str, severity: Severity) -> Event {
    Event {
        at: Moment::from_micros(at),
        position: position.to_owned(),
        transaction: "7".to_owned(),
        scope: "shop".to_owned(),
        effects: vec![Effect { verb: Verb::Delete, target: "shop.public.t".to_owned(), count: 3 }],
        severity,
        actor: None,
        attribution: Attribution::Unknown,
        statement: None,
    }
}

fn keys(versions: &[Version]) -> Vec<(&str, u64)> {
    versions.iter().map(|version| (version.item.key.as_str(), version.sequence)).collect()
}

#[test]
fn commits_are_applied_in_order_and_a_known_one_changes_nothing() {
    let mut catalog = Catalog::in_memory().unwrap();
    let gap = catalog.apply(&applied(2), []);
    assert!(matches!(gap, Err(CatalogError::Order { last: 0, found: 2 })));
    catalog.apply(&applied(1), [upsert("files", "a", 1)]).unwrap();
    catalog.apply(&applied(1), [upsert("files", "b", 1)]).unwrap();
    assert_eq!(keys(&catalog.live(&name("files")).unwrap()), [("a", 1)]);

    let other = Applied { hash: CommitHash([9; 32]), ..applied(1) };
    assert!(matches!(catalog.apply(&other, []), Err(CatalogError::Order { last: 1, found: 1 })));
    assert_eq!(catalog.commit_hash(1).unwrap(), Some(CommitHash([1; 32])));
    assert_eq!(catalog.commit_hash(2).unwrap(), None);
}

#[test]
fn the_newest_version_is_live_until_it_is_removed() {
    let mut catalog = Catalog::in_memory().unwrap();
    let files = name("files");
    catalog.apply(&applied(1), [upsert("files", "a", 1), upsert("files", "b", 2)]).unwrap();
    catalog.apply(&applied(2), [upsert("files", "a", 3), upsert("mail", "b", 9)]).unwrap();
    assert_eq!(keys(&catalog.live(&files).unwrap()), [("a", 2), ("b", 1)]);
    assert_eq!(catalog.live_item(&files, "a").unwrap().unwrap().size_bytes, 3);

    let removed = Change::Removed { stream: files.clone(), key: "b".to_owned() };
    catalog.apply(&applied(3), [removed]).unwrap();
    assert_eq!(keys(&catalog.live(&files).unwrap()), [("a", 2)]);
    assert_eq!(catalog.live_item(&files, "b").unwrap(), None);
    assert_eq!(catalog.streams().unwrap(), ["files", "mail"]);
    let newest = catalog.commits(2).unwrap();
    assert_eq!(newest.iter().map(|commit| commit.sequence).collect::<Vec<_>>(), [3, 2]);
}

#[test]
fn an_unreadable_item_is_live_without_content() {
    let mut catalog = Catalog::in_memory().unwrap();
    catalog.apply(&applied(1), [upsert("files", "a", 1)]).unwrap();
    let reason = UnreadableReason::Denied { detail: "no".to_owned() };
    let unreadable = Change::Unreadable { item: item("files", "a", "{}"), reason: reason.clone() };
    catalog.apply(&applied(2), [unreadable]).unwrap();
    let version = catalog.live_item(&name("files"), "a").unwrap().unwrap();
    assert_eq!((version.sequence, version.content, version.size_bytes), (2, None, 0));
    assert_eq!(serde_json::from_str::<UnreadableReason>(&version.reason.unwrap()).unwrap(), reason);
}

#[test]
fn runs_that_touch_a_span_are_found_with_all_their_overlaps() {
    let mut catalog = Catalog::in_memory().unwrap();
    catalog.apply(&applied(1), [run(0, 100), run(100, 180)]).unwrap();
    catalog.apply(&applied(2), [run(100, 300), run(300, 400), run(700, 800)]).unwrap();
    let found = |start, end| {
        let versions = catalog.live_runs(&name("wal/1"), start, end).unwrap();
        versions
            .iter()
            .map(|version| {
                let attributes: serde_json::Value = serde_json::from_str(&version.item.attributes).unwrap();
                (attributes["start"].as_u64().unwrap(), attributes["end"].as_u64().unwrap())
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(found(150, 350), [(100, 180), (100, 300), (300, 400)]);
    assert_eq!(found(180, 300), [(100, 300)]);
    assert_eq!(found(400, 700), []);
    assert_eq!(found(0, u64::MAX).len(), 5);
}

#[test]
fn events_are_filtered_and_the_newest_are_kept_oldest_first() {
    let mut catalog = Catalog::in_memory().unwrap();
    let events = [
        event(30, "0/3", Severity::Destructive),
        event(10, "0/1", Severity::Routine),
        event(20, "0/2B", Severity::Notable),
        event(20, "0/2A", Severity::Notable),
    ];
    catalog.apply(&applied(1), events.map(Change::Event)).unwrap();
    let filter = EventFilter { from: None, until: None, severity: Severity::Routine, limit: 10 };
    let positions = |filter| {
        let events = catalog.events(filter).unwrap();
        events.into_iter().map(|event| event.position).collect::<Vec<_>>()
    };
    assert_eq!(positions(filter), ["0/1", "0/2A", "0/2B", "0/3"]);
    assert_eq!(positions(EventFilter { limit: 2, ..filter }), ["0/2B", "0/3"]);
    assert_eq!(positions(EventFilter { severity: Severity::Destructive, ..filter }), ["0/3"]);
    let at = |micros| Some(Moment::from_micros(micros));
    assert_eq!(positions(EventFilter { from: at(20), until: at(20), ..filter }), ["0/2A", "0/2B"]);
}

/// One step of a random history.
#[derive(Debug, Clone)]
enum Step {
    Upsert { stream: u8, key: u8, length: u16 },
    Removed { stream: u8, key: u8 },
    Unreadable { stream: u8, key: u8 },
    Event { at: i64, severity: u8 },
    Commit,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..3_u8, 0..5_u8, 0..2000_u16)
            .prop_map(|(stream, key, length)| Step::Upsert { stream, key, length }),
        2 => (0..3_u8, 0..5_u8).prop_map(|(stream, key)| Step::Removed { stream, key }),
        1 => (0..3_u8, 0..5_u8).prop_map(|(stream, key)| Step::Unreadable { stream, key }),
        2 => (0..50_i64, 0..3_u8).prop_map(|(at, severity)| Step::Event { at, severity }),
        3 => Just(Step::Commit),
    ]
}

/// Puts the steps into a vault and, as capture does, into a catalog.
fn act(steps: &[Step], writer: &VaultWriter, source: &SourceName, catalog: &mut Catalog) {
    let severities = [Severity::Routine, Severity::Notable, Severity::Destructive];
    let mut commit = writer.begin(source);
    let mut changes = Vec::new();
    for step in steps.iter().chain([&Step::Commit]) {
        match step {
            Step::Upsert { stream, key, length } => {
                let bytes = vec![*key + 1; usize::from(*length)];
                let content = commit.store_bytes(Layout::Small, &bytes).unwrap();
                let item = item(&format!("s/{stream}"), &format!("k{key}"), "{}");
                commit.upsert(item.clone(), content.clone()).unwrap();
                changes.push(Change::Upsert { item, content });
            }
            Step::Removed { stream, key } => {
                let (stream, key) = (name(&format!("s/{stream}")), format!("k{key}"));
                commit.remove(stream.clone(), key.clone()).unwrap();
                changes.push(Change::Removed { stream, key });
            }
            Step::Unreadable { stream, key } => {
                let item = item(&format!("s/{stream}"), &format!("k{key}"), "{}");
                commit.unreadable(item.clone(), UnreadableReason::Vanished).unwrap();
                changes.push(Change::Unreadable { item, reason: UnreadableReason::Vanished });
            }
            Step::Event { at, severity } => {
                let event = event(*at, &format!("0/{at}"), severities[usize::from(*severity)]);
                commit.event(event.clone()).unwrap();
                changes.push(Change::Event(event));
            }
            Step::Commit => {
                let finished = std::mem::replace(&mut commit, writer.begin(source));
                let receipt = finished.finish(&Cursor(b"c".to_vec())).unwrap();
                let applied = Applied {
                    sequence: receipt.sequence,
                    hash: receipt.hash,
                    vault_time: receipt.vault_time,
                    cursor: b"c".to_vec(),
                    ledger: receipt.ledger,
                };
                catalog.apply(&applied, std::mem::take(&mut changes)).unwrap();
            }
        }
    }
}

/// All that a catalog can be asked.
fn answers(catalog: &Catalog) -> impl PartialEq + std::fmt::Debug + use<> {
    let streams = catalog.streams().unwrap();
    let live: BTreeMap<_, _> =
        streams.iter().map(|stream| (stream.clone(), catalog.live(&name(stream)).unwrap())).collect();
    let filter = EventFilter { from: None, until: None, severity: Severity::Routine, limit: 1000 };
    let severe = EventFilter { severity: Severity::Notable, limit: 3, ..filter };
    (live, catalog.events(filter).unwrap(), catalog.events(severe).unwrap(), catalog.commits(1000).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_rebuilt_catalog_answers_like_the_one_that_was_fed_live(steps in prop::collection::vec(step(), 0..60)) {
        let store: Arc<dyn BlobStore> = Arc::new(MemoryStore::new());
        let clock = Arc::new(ManualClock::new(Moment::from_micros(1_000_000)));
        let random = Arc::new(SeededRandom::new(1));
        let keys = vault::init(&*store, InitOptions { lock_days: 1 }, &*clock, &*random).unwrap();
        let options = WriterOptions { threads: 0, ..WriterOptions::default() };
        let writer =
            VaultWriter::open(Arc::clone(&store), &keys.capture_key, clock, random, options).unwrap();
        let source = SourceName::new("shop").unwrap();
        let mut live = Catalog::in_memory().unwrap();
        act(&steps, &writer, &source, &mut live);

        let reader = VaultReader::open(store, &keys.restore_key).unwrap();
        let mut rebuilt = Catalog::in_memory().unwrap();
        for sequence in 1..=reader.vault().last_sequence(&source).unwrap() {
            let (commit, body) = reader.commit(&source, sequence).unwrap();
            rebuilt.apply(&Applied::from(&commit), body.changes).unwrap();
        }
        prop_assert_eq!(answers(&live), answers(&rebuilt));
    }
}
