mod faults;
mod histories;
mod sketches;
mod support;

use connect::ChangeSink as _;
use model::{Completeness, UnreadableReason};
use ports::span::{Fact, KeptSpans, Outcome};

use self::support::{World, cursor, end, event, item, pattern, script, wal};
use super::*;

const MIB: usize = 1 << 20;

#[test]
fn items_runs_and_events_land_in_one_commit_and_in_the_catalog() {
    let world = World::new();
    let mut reader = script(|found, sink| {
        assert_eq!(found, None);
        sink.upsert(item("base", "1"), Layout::Pages { page_bytes: 8192 }, &mut &pattern(0, 20_000)[..])?;
        sink.upsert(item("base", "2"), Layout::Blocks, &mut &b"small"[..])?;
        sink.removed(wal(), "gone".to_owned())?;
        sink.unreadable(item("base", "3").stream, "3".to_owned(), UnreadableReason::Vanished)?;
        sink.append(&wal(), 100, &pattern(100, 50))?;
        sink.append(&wal(), 150, &pattern(150, 50))?;
        sink.sync()?;
        sink.event(event("0/1"))?;
        sink.checkpoint(&cursor("200"))?;
        Ok(ReadEnd::UpToDate)
    });
    let (end, report) = world.session().run(&mut reader, &Stop::default()).unwrap();
    assert_eq!((end, report.commits.len(), report.unreadable), (ReadEnd::UpToDate, 1, 1));
    assert_eq!(report.commits[0].completeness, Completeness::Partial);
    assert!(report.catalog_stale.is_none() && report.new_bytes > 0);

    assert_eq!(world.events(), [event("0/1")]);
    let versions = world.catalog().live(&item("base", "1").stream).unwrap();
    assert_eq!(versions.len(), 3);
    assert_eq!(world.read(&versions[0]), pattern(0, 20_000));
    assert_eq!(world.log(), [(100, pattern(100, 100))]);
    assert_eq!(world.rebuilt_log(), world.log());
    assert_eq!(world.journal(), []);
}

#[test]
fn a_commit_is_told_of_by_numbers_and_the_name_of_its_source() {
    let world = World::new();
    let kept = Arc::new(KeptSpans::default());
    let tracing = Tracing::new(Arc::new(ports::SystemClock::new()), kept.clone());
    let mut reader = script(|_, sink| {
        sink.upsert(item("base", "canary"), Layout::Blocks, &mut &b"canary"[..])?;
        sink.unreadable(item("base", "3").stream, "canary 3".to_owned(), UnreadableReason::Vanished)?;
        sink.checkpoint(&cursor("canary"))?;
        Ok(ReadEnd::UpToDate)
    });
    world.session().traced_by(tracing).run(&mut reader, &Stop::default()).unwrap();
    let spans = kept.all();
    let [span] = &spans[..] else { panic!("{spans:?}") };
    let phases: Vec<&str> = span.phases.iter().map(|phase| phase.name).collect();
    assert_eq!(phases, ["waiting", "storing", "catalog", "tree head"]);
    for known in [
        ("unwipe.commit.number", Fact::Number(1)),
        ("unwipe.commit.items", Fact::Number(2)),
        ("unwipe.commit.unreadable", Fact::Number(1)),
        ("unwipe.commit.completeness", Fact::Word("partial")),
    ] {
        assert!(span.facts.contains(&known), "{known:?} is not in {span:?}");
    }
    assert!(span.outcome == Outcome::Done && !format!("{span:?}").contains("canary"), "{span:?}");
}

#[test]
fn what_commits_hold_is_known_and_is_stored_again_by_its_attributes_alone() {
    let world = World::new();
    let stream = item("mail", "1").stream;
    let labelled = |key: &str, labels: &str| Item { attributes: labels.to_owned(), ..item("mail", key) };
    let mut reader = script(|_, sink| {
        sink.upsert_bytes(labelled("1", "[inbox]"), Layout::Small, b"a letter")?;
        let failed = UnreadableReason::Failed { detail: "down".to_owned() };
        sink.unreadable(stream.clone(), "2".to_owned(), failed)?;
        sink.unreadable(stream.clone(), "3".to_owned(), UnreadableReason::Vanished)?;
        assert_eq!(sink.known(&stream, "1")?, None, "it is in no commit yet");
        sink.checkpoint(&cursor("1"))?;
        let known = sink.known(&stream, "1")?.unwrap();
        assert_eq!((known.attributes.as_str(), known.has_content), ("[inbox]", true));
        assert!(!sink.known(&stream, "2")?.unwrap().has_content);
        assert_eq!(sink.failed_keys(&stream, 10)?, ["2"]);
        assert_eq!(sink.known_keys(&stream, None, 2)?, ["1", "2"]);
        assert_eq!(sink.known_keys(&stream, Some("2"), 2)?, ["3"]);
        assert!(sink.upsert_attributes(labelled("1", "[trash]"))?);
        assert!(!sink.upsert_attributes(labelled("2", "[trash]"))?, "there is no content to keep");
        sink.checkpoint(&cursor("2"))?;
        Ok(ReadEnd::UpToDate)
    });
    let (_, report) = world.session().run(&mut reader, &Stop::default()).unwrap();
    assert_eq!(report.commits.len(), 2);
    assert!(report.commits[1].packs.is_empty(), "the content was not stored again");
    let live = world.catalog().live(&stream).unwrap();
    assert_eq!(live[0].item.attributes, "[trash]");
    assert_eq!(world.read(&live[0]), b"a letter");
    assert_eq!(world.catalog().item_at(&stream, "1", 1).unwrap().unwrap().item.attributes, "[inbox]");
}

#[test]
fn a_reader_goes_on_from_the_newest_commit_that_has_a_cursor() {
    let world = World::new();
    let mut first = script(|_, sink| {
        sink.checkpoint(&cursor("here"))?;
        Ok(ReadEnd::Stopped)
    });
    world.session().run(&mut first, &Stop::default()).unwrap();
    // A rolled base, for instance, is no reading of the source.
    world.writer().begin(&world.source).finish(&Cursor(Vec::new())).unwrap();
    let mut second = script(|found, _| {
        assert_eq!(found, Some(&cursor("here")));
        Ok(ReadEnd::Stopped)
    });
    world.session().run(&mut second, &Stop::default()).unwrap();
}

#[test]
fn what_a_killed_session_synced_is_its_tail_and_is_committed_once() {
    let world = World::new();
    let mut killed = world.session();
    killed.append(&wal(), 0, &pattern(0, 700)).unwrap();
    killed.append(&wal(), 700, &pattern(700, 300)).unwrap();
    killed.sync().unwrap();
    drop(killed);

    let mut next = world.session();
    let tail = next.tail(&wal()).unwrap().unwrap();
    assert_eq!((tail.offset, tail.bytes), (0, pattern(0, 1000)));
    assert_eq!(next.tail(&wal()).unwrap(), None, "it is handed over once");
    assert_eq!(next.tail(&item("base", "1").stream).unwrap(), None);
    next.checkpoint(&cursor("1000")).unwrap();
    next.checkpoint(&cursor("1000, again")).unwrap();
    let report = end(next);
    assert_eq!(report.commits.len(), 2);
    assert_eq!(world.log(), [(0, pattern(0, 1000))]);
    assert_eq!(world.journal(), [], "a clean end leaves nothing to replay");
    assert_eq!(world.session().tail(&wal()).unwrap(), None);
}

#[test]
fn the_tail_of_another_stream_outlives_a_checkpoint() {
    let world = World::new();
    let second = StreamName::new("wal/2").unwrap();
    let mut killed = world.session();
    killed.append(&wal(), 0, &pattern(0, 10)).unwrap();
    killed.append(&second, 10, &pattern(10, 10)).unwrap();
    killed.sync().unwrap();
    drop(killed);
    let mut next = world.session();
    assert_eq!(next.tail(&wal()).unwrap().unwrap().offset, 0);
    next.checkpoint(&cursor("on timeline 2")).unwrap();
    let tail = next.tail(&second).unwrap().unwrap();
    assert_eq!((tail.offset, tail.bytes), (10, pattern(10, 10)));
}

#[test]
fn a_kill_between_commit_and_retirement_replays_the_same_bytes_harmlessly() {
    let world = World::new();
    let mut killed = world.session();
    killed.append(&wal(), 0, &pattern(0, 500)).unwrap();
    killed.checkpoint(&cursor("500")).unwrap();
    // Ending the committing thread commits; nobody is left to retire.
    drop(killed);
    assert_eq!(world.log(), [(0, pattern(0, 500))]);

    let mut next = world.session();
    assert_eq!(next.tail(&wal()).unwrap().unwrap().bytes, pattern(0, 500));
    next.append(&wal(), 500, &pattern(500, 20)).unwrap();
    next.checkpoint(&cursor("520")).unwrap();
    drop(next);
    assert_eq!(world.log(), [(0, pattern(0, 500)), (0, pattern(0, 520))]);
}

#[test]
fn bytes_beyond_a_gap_wait_for_the_commit_that_explains_it() {
    let world = World::new();
    let mut session = world.session();
    session.append(&wal(), 0, &pattern(0, 10)).unwrap();
    session.checkpoint(&cursor("10")).unwrap();
    session.upsert(item("base", "1"), Layout::Small, &mut &b"new base"[..]).unwrap();
    session.checkpoint(&cursor("new base at 90")).unwrap();
    session.append(&wal(), 90, &pattern(90, 10)).unwrap();
    // Nothing ended the committing thread: the append itself waited.
    assert_eq!(world.vault().last_sequence(&world.source).unwrap(), 2);
    session.sync().unwrap();
    drop(session);
    let mut next = world.session();
    assert_eq!(next.cursor().unwrap(), Some(cursor("new base at 90")));
    assert_eq!(next.tail(&wal()).unwrap().unwrap().offset, 90);
}

#[test]
fn a_reader_that_proposes_no_commit_does_not_fill_the_memory() {
    let world = World::new();
    let mut session = world.session();
    let piece = vec![7; MIB];
    for number in 0..70 {
        session.append(&wal(), (number * MIB) as u64, &piece).unwrap();
        assert!(session.current.log_bytes <= LOG_BYTES_MAX);
    }
    session.sync().unwrap();
    assert_eq!(world.vault().last_sequence(&world.source).unwrap(), 0);
    assert_eq!(world.journal_bytes(), 70 * MIB, "the journal keeps them until the commit");
    session.checkpoint(&cursor("end")).unwrap();
    end(session);
    let starts: Vec<_> = world.log().iter().map(|(start, bytes)| (*start, bytes.len())).collect();
    assert_eq!(starts, [(0, 33 * MIB), (33 << 20, 33 * MIB), (66 << 20, 4 * MIB)]);
    assert_eq!(world.journal_bytes(), 0);
}

#[test]
fn a_further_base_of_the_same_content_adds_almost_nothing() {
    let world = World::new();
    let table = pattern(0, 3 * MIB);
    let read = |content: Vec<u8>| {
        let mut base = script(move |_, sink| {
            sink.upsert(item("base", "table"), Layout::Pages { page_bytes: 8192 }, &mut &content[..])?;
            sink.checkpoint(&cursor("base"))?;
            Ok(ReadEnd::UpToDate)
        });
        world.session().run(&mut base, &Stop::default()).unwrap().1.new_bytes
    };
    let first = read(table.clone());
    let second = read(table.clone());
    assert!(second * 50 < first, "{second} of {first}");
    let mut changed = table.clone();
    changed[8192 * 7..8192 * 8].fill(9);
    assert!(read(changed.clone()) * 50 < first);
    let versions = world.catalog().live(&item("base", "table").stream).unwrap();
    assert_eq!(world.read(&versions[0]), changed);

    // It is a cache.
    std::fs::remove_file(world.folder.path().join("chunks.sqlite")).unwrap();
    assert!(read(table) * 2 > first);
}
