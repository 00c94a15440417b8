use std::io::Read;

use model::{Completeness, UnreadableReason};
use vault::{Change, Layout, MemoryChunks, WriterOptions};

use crate::support::{World, cursor, item, put, rows, shop, upserts};

const PAGES: Layout = Layout::Pages { page_bytes: 8192 };

#[test]
fn what_is_stored_comes_back() {
    for options in [crate::support::small_options(), WriterOptions::default()] {
        let world = World::in_memory(1);
        let contents = [
            ("table", PAGES, rows(20_000, 1)),
            ("noise", PAGES, world.bytes(300_001)),
            ("zeros", PAGES, vec![0; 100_000]),
            ("wal", Layout::Stream, rows(9_000, 2)),
            ("mail", Layout::Small, b"hello".to_vec()),
            ("empty", Layout::Small, Vec::new()),
            ("file", Layout::Blocks { block_bytes: 128 << 10 }, world.bytes(400_000)),
        ];
        let writer = world.writer_with(options);
        let mut commit = writer.begin(&shop());
        for (key, layout, bytes) in &contents {
            put(&mut commit, key, *layout, bytes);
        }
        let receipt = commit.finish(&cursor("0/1000")).unwrap();
        assert_eq!(receipt.sequence, 1);
        assert_eq!(receipt.ledger.stored, 7);
        assert_eq!(receipt.completeness, Completeness::Complete);
        assert_eq!(writer.cursor(&shop()).unwrap(), Some(cursor("0/1000")));

        let reader = world.reader();
        let commit = reader.vault().commit(&shop(), 1).unwrap();
        assert_eq!(commit.hash, receipt.hash);
        let stored = upserts(&reader, &commit);
        assert_eq!(stored.len(), contents.len());
        for ((key, _, bytes), (item, content)) in contents.iter().zip(&stored) {
            assert_eq!(item.key, *key);
            assert_eq!(reader.read_all(content).unwrap(), *bytes, "{key}");
            let mut streamed = Vec::new();
            reader.read_content(content).read_to_end(&mut streamed).unwrap();
            assert_eq!(streamed, *bytes, "{key}");
        }
    }
}

#[test]
fn a_page_that_is_there_already_costs_nothing_and_a_changed_one_little() {
    let world = World::in_memory(2);
    let writer = world.writer();
    let known = MemoryChunks::new(1_000_000);
    let mut base = rows(40_000, 3);
    base.truncate(base.len() / 8192 * 8192);

    let mut first = writer.begin_with(&shop(), Box::new(known.clone()));
    let first_content = first.store_bytes(PAGES, &base).unwrap();
    first.upsert(item("base", "table"), first_content.clone()).unwrap();
    let first = first.finish(&cursor("1")).unwrap();

    let mut changed = base.clone();
    changed[8192 * 5 + 100] ^= 1;
    let mut second = writer.begin_with(&shop(), Box::new(known.clone()));
    let mut content = second.content(PAGES).unwrap();
    for (number, page) in changed.chunks(8192).enumerate() {
        let offset = number as u64 * 8192;
        if number == 5 {
            let at = first_content.range(offset, 8192);
            content.page_delta(page, &base[offset as usize..][..8192], &at[0]).unwrap();
        } else {
            content.write(page).unwrap();
        }
    }
    let content = content.finish().unwrap();
    second.upsert(item("base", "table"), content).unwrap();
    let second = second.finish(&cursor("2")).unwrap();
    assert!(second.new_bytes < 3000, "{} new bytes after {}", second.new_bytes, first.new_bytes);
    assert_eq!(second.previous, first.hash);

    let reader = world.reader();
    let commit = reader.vault().commit(&shop(), 2).unwrap();
    assert_eq!(commit.envelope.earlier_packs.len(), first.packs.len());
    let (_, content) = upserts(&reader, &commit).remove(0);
    assert_eq!(reader.read_all(&content).unwrap(), changed);
}

#[test]
fn an_unreadable_item_makes_the_commit_partial_and_stays_in_it() {
    let world = World::in_memory(3);
    let mut commit = world.writer().begin(&shop());
    put(&mut commit, "a", Layout::Small, b"a");
    let reason = UnreadableReason::Denied { detail: "403".to_owned() };
    commit.unreadable(item("base", "b"), reason.clone()).unwrap();
    commit.unchanged(3);
    commit.enumerated(5);
    let receipt = commit.finish(&cursor("")).unwrap();
    assert_eq!(receipt.completeness, Completeness::Partial);
    let (_, body) = world.reader().commit(&shop(), 1).unwrap();
    assert_eq!(body.changes[1], Change::Unreadable { item: item("base", "b"), reason });
}

#[test]
fn counts_that_do_not_add_up_are_not_committed() {
    let world = World::in_memory(4);
    let writer = world.writer();
    let mut commit = writer.begin(&shop());
    put(&mut commit, "a", Layout::Small, b"a");
    commit.enumerated(2);
    let error = commit.finish(&cursor("")).unwrap_err();
    assert!(matches!(error, vault::WriteError::Ledger { enumerated: 2, accounted: 1 }));
    assert!(writer.vault().head(&shop()).unwrap().is_none());
}

#[test]
fn a_body_of_many_items_goes_into_packs_and_comes_back_in_order() {
    let world = World::in_memory(5);
    let mut commit = world.writer_with(WriterOptions::default()).begin(&shop());
    let content = commit.store_bytes(Layout::Small, b"same").unwrap();
    let count = 80_000;
    for number in 0..count {
        commit.upsert(item("mail", &format!("message-{number:09}")), content.clone()).unwrap();
    }
    let receipt = commit.finish(&cursor("")).unwrap();
    assert_eq!(receipt.ledger.stored, count);
    let reader = world.reader();
    let commit = reader.vault().commit(&shop(), 1).unwrap();
    assert!(!commit.envelope.body_packs.is_empty());
    let stored = upserts(&reader, &commit);
    assert_eq!(stored.len() as u64, count);
    for (number, (item, _)) in stored.iter().enumerate() {
        assert_eq!(item.key, format!("message-{number:09}"));
    }
    assert_eq!(reader.read_all(&stored[77].1).unwrap(), b"same");
}
