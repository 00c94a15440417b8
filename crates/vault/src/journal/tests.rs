use std::{fs::OpenOptions, os::unix::fs::FileExt};

use blobs::MemoryStore;
use ports::{Clock, SeededRandom, SystemClock};
use proptest::prelude::*;

use super::*;
use crate::{InitOptions, NewVault, init};

const SMALL: JournalOptions = JournalOptions { file_bytes: 64 << 10, spare_files: 2 };

struct Setting {
    folder: tempfile::TempDir,
    store: Arc<MemoryStore>,
    keys: NewVault,
    random: Arc<SeededRandom>,
}

impl Setting {
    fn new() -> Self {
        let (store, random) = (Arc::new(MemoryStore::new()), Arc::new(SeededRandom::new(5)));
        let keys = init(&*store, InitOptions { lock_days: 1 }, &SystemClock::new(), &*random).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), store, keys, random }
    }

    fn open(&self, options: JournalOptions) -> Result<Journal, JournalError> {
        Journal::open(self.folder.path(), &self.keys.capture_key, self.random.clone(), options)
    }

    fn files(&self) -> Vec<PathBuf> {
        list(self.folder.path(), FILE_PREFIX).unwrap().into_iter().map(|(_, path)| path).collect()
    }
}

fn wal() -> StreamName {
    StreamName::new("wal/1").unwrap()
}

fn replayed(journal: &Journal) -> Vec<u8> {
    let mut bytes = Vec::new();
    journal
        .replay(|stream, offset, piece| {
            assert_eq!((stream, offset), (&wal(), bytes.len() as u64));
            bytes.extend_from_slice(piece);
        })
        .unwrap();
    bytes
}

#[test]
fn what_was_synced_is_replayed_after_reopening_again_and_again() {
    let setting = Setting::new();
    let mut expected = Vec::new();
    for round in 0..5_u8 {
        let mut journal = setting.open(SMALL).unwrap();
        assert_eq!(replayed(&journal), expected);
        for length in [1, 100, 8192, 50_000] {
            let bytes = vec![round; length];
            journal.append(&wal(), expected.len() as u64, &bytes).unwrap();
            expected.extend_from_slice(&bytes);
        }
        journal.sync().unwrap();
    }
    assert_eq!(replayed(&setting.open(SMALL).unwrap()), expected);
}

#[test]
fn the_restore_key_alone_reads_the_tail() {
    let setting = Setting::new();
    let mut journal = setting.open(SMALL).unwrap();
    journal.append(&wal(), 7, b"precious").unwrap();
    journal.sync().unwrap();
    let reader = VaultReader::open(setting.store.clone(), &setting.keys.restore_key).unwrap();
    let mut found = Vec::new();
    recover(setting.folder.path(), &reader, |_, offset, bytes| found.push((offset, bytes.to_vec()))).unwrap();
    assert_eq!(found, [(7, b"precious".to_vec())]);
    let content = std::fs::read(&setting.files()[0]).unwrap();
    assert!(!content.windows(8).any(|window| window == b"precious"), "the journal is not encrypted");
}

#[test]
fn two_at_once_are_refused() {
    let setting = Setting::new();
    let _first = setting.open(SMALL).unwrap();
    assert!(matches!(setting.open(SMALL), Err(JournalError::InUse { .. })));
}

#[test]
fn retired_files_are_used_again_and_their_old_records_do_not_come_back() {
    let setting = Setting::new();
    let mut journal = setting.open(SMALL).unwrap();
    let mut end = 0;
    for _ in 0..100 {
        journal.append(&wal(), end, &[1; 10_000]).unwrap();
        journal.sync().unwrap();
        end += 10_000;
        journal.retire(&wal(), end).unwrap();
    }
    assert!(journal.held_bytes() <= 2 * SMALL.file_bytes);
    assert!(std::fs::read_dir(setting.folder.path()).unwrap().count() <= 6);
    journal.append(&wal(), end, b"tail").unwrap();
    journal.sync().unwrap();
    drop(journal);
    let mut last = (0, Vec::new());
    setting.open(SMALL).unwrap().replay(|_, offset, bytes| last = (offset, bytes.to_vec())).unwrap();
    assert_eq!(last, (end, b"tail".to_vec()));
}

#[test]
fn nothing_unretired_is_ever_dropped() {
    let setting = Setting::new();
    let mut journal = setting.open(SMALL).unwrap();
    let other = StreamName::new("wal/2").unwrap();
    journal.append(&other, 0, b"still needed").unwrap();
    for number in 0..50_u64 {
        journal.append(&wal(), number * 10_000, &[1; 10_000]).unwrap();
    }
    journal.retire(&wal(), u64::MAX).unwrap();
    journal.sync().unwrap();
    drop(journal);
    let mut found = false;
    setting.open(SMALL).unwrap().replay(|stream, _, _| found |= *stream == other).unwrap();
    assert!(found);
}

#[test]
fn damage_in_the_middle_is_named_and_what_follows_is_still_read() {
    let setting = Setting::new();
    let mut journal = setting.open(SMALL).unwrap();
    for number in 0..20_u64 {
        journal.append(&wal(), number * 10_000, &[1; 10_000]).unwrap();
    }
    journal.sync().unwrap();
    drop(journal);
    let files = setting.files();
    assert!(files.len() > 2);
    let file = OpenOptions::new().write(true).open(&files[1]).unwrap();
    file.write_all_at(&[7], 20_000).unwrap();
    let journal = setting.open(SMALL).unwrap();
    assert_eq!(journal.damaged(), [files[1].clone()]);
    let mut last = 0;
    journal.replay(|_, offset, _| last = offset).unwrap();
    assert_eq!(last, 190_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A crash leaves the synced records, and of the unsynced ones any bytes at all.
    #[test]
    fn a_torn_tail_is_dropped_and_all_before_it_stays(
        synced in 1..12_usize, torn in 1..8_usize, cut: prop::sample::Index, noise: u8,
    ) {
        let setting = Setting::new();
        let options = JournalOptions { file_bytes: 256 << 10, spare_files: 0 };
        let mut journal = setting.open(options).unwrap();
        let mut expected = Vec::new();
        for number in 0..synced {
            let bytes = vec![number as u8; 500 + number];
            journal.append(&wal(), expected.len() as u64, &bytes).unwrap();
            expected.extend(bytes);
        }
        journal.sync().unwrap();
        let border = journal.open.as_ref().unwrap().file_position();
        for number in 0..torn {
            journal.append(&wal(), (expected.len() + number * 700) as u64, &vec![9; 700]).unwrap();
        }
        let end = journal.open.as_ref().unwrap().file_position();
        drop(journal);
        let at = border + cut.index((end - border) as usize) as u64;
        let file = OpenOptions::new().write(true).open(&setting.files()[0]).unwrap();
        file.write_all_at(&vec![noise; (end - at) as usize], at).unwrap();

        let journal = setting.open(options).unwrap();
        let mut found = Vec::new();
        journal.replay(|_, _, bytes| found.extend_from_slice(bytes)).unwrap();
        prop_assert!(found.starts_with(&expected));
        prop_assert!(found[expected.len()..].iter().all(|byte| *byte == 9));
        prop_assert!(found.len() <= expected.len() + torn * 700);
    }
}

impl OpenFile {
    fn file_position(&self) -> u64 {
        self.file.position()
    }
}

/// Compares a sync of the journal with that of a plain file that is preallocated; run it by name.
#[test]
#[ignore = "a measurement"]
fn sync_latency() {
    let setting = Setting::new();
    let clock = SystemClock::new();
    let mut journal = setting.open(JournalOptions::default()).unwrap();
    let plain = std::fs::File::create(setting.folder.path().join("plain")).unwrap();
    plain.write_all_at(&vec![0; 32 << 20], 0).unwrap();
    plain.sync_all().unwrap();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in 0..1500_u64 {
        let bytes = [number as u8; 8192];
        let start = clock.elapsed();
        journal.append(&wal(), number * 8192, &bytes).unwrap();
        journal.sync().unwrap();
        ours.push(clock.elapsed().saturating_sub(start));
        let start = clock.elapsed();
        plain.write_all_at(&bytes, number * 8192).unwrap();
        plain.sync_data().unwrap();
        theirs.push(clock.elapsed().saturating_sub(start));
    }
    for (name, times) in [("journal", &mut ours), ("plain file", &mut theirs)] {
        times.sort();
        println!("{name}: p50 {:?} p99 {:?}", times[times.len() / 2], times[times.len() * 99 / 100]);
    }
}
