//! Stores that are full, fail, or take their time.

use std::{
    error::Error,
    sync::{Condvar, PoisonError},
};

use blobs::{Fault, FaultCall, FaultStore, MemoryStore};
use model::Moment;
use ports::{Blob, BlobError, BlobName, BlobStore};

use super::*;

/// A store whose `create` waits while the gate is closed.
struct GatedStore {
    inner: MemoryStore,
    closed: Mutex<bool>,
    opened: Condvar,
}

impl GatedStore {
    fn new() -> Self {
        Self { inner: MemoryStore::new(), closed: Mutex::new(false), opened: Condvar::new() }
    }

    fn close(&self, closed: bool) {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = closed;
        self.opened.notify_all();
    }
}

impl BlobStore for GatedStore {
    fn create(&self, name: &BlobName, content: &[u8], locked_until: Moment) -> Result<(), BlobError> {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        while *closed {
            closed = self.opened.wait(closed).unwrap_or_else(PoisonError::into_inner);
        }
        drop(closed);
        self.inner.create(name, content, locked_until)
    }

    fn read(&self, name: &BlobName) -> Result<Vec<u8>, BlobError> {
        self.inner.read(name)
    }

    fn read_range(&self, name: &BlobName, offset: u64, length: u64) -> Result<Vec<u8>, BlobError> {
        self.inner.read_range(name, offset, length)
    }

    fn head(&self, name: &BlobName) -> Result<Blob, BlobError> {
        self.inner.head(name)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Blob>, BlobError> {
        self.inner.list(prefix)
    }

    fn extend_lock(&self, name: &BlobName, locked_until: Moment) -> Result<(), BlobError> {
        self.inner.extend_lock(name, locked_until)
    }
}

fn faulty() -> (Arc<FaultStore>, World) {
    let store = Arc::new(FaultStore::new(Arc::new(MemoryStore::new())));
    (Arc::clone(&store), World::in_store(store))
}

/// Two commits of a log, one after the other.
fn two_commits(session: &mut Session) -> Result<(), CaptureError> {
    let mut steps = || -> Result<(), SinkError> {
        session.append(&wal(), 0, &pattern(0, 400))?;
        session.checkpoint(&cursor("400"))?;
        session.append(&wal(), 400, &pattern(400, 600))?;
        session.sync()?;
        session.checkpoint(&cursor("1000"))
    };
    steps().map_err(ReadError::from)?;
    Ok(session.drain(true)?)
}

#[test]
fn whichever_call_finds_the_store_full_the_next_session_goes_on() {
    for nth in 1.. {
        let (store, world) = faulty();
        let mut session = world.session();
        store.fail_from(nth, Some(FaultCall::Create), Fault::Full);
        let ended = two_commits(&mut session);
        drop(session);
        store.heal();
        let Err(error) = ended else {
            assert!(nth > 4, "each of the two commits has a pack");
            return;
        };
        assert!(error.is_transient(), "{nth}: {error:?}");
        assert!(error.hint().unwrap().contains("room"));
        let synced = world.journal_bytes();
        assert!(synced == 1000 || synced == 400, "{synced}: nothing is retired");

        let mut next = world.session();
        let tail = next.tail(&wal()).unwrap().unwrap();
        assert_eq!((tail.offset, tail.bytes.len()), (0, synced));
        next.checkpoint(&cursor("end")).unwrap();
        end(next);
        assert!(world.rebuilt_log().contains(&(0, pattern(0, synced))));
        assert_eq!(world.journal_bytes(), 0);
    }
}

#[test]
fn a_failed_commit_surfaces_at_the_next_calls_and_nothing_follows_it() {
    let (store, world) = faulty();
    let mut session = world.session();
    store.fail_at(1, Some(FaultCall::Create), Fault::Fail);
    session.append(&wal(), 0, &pattern(0, 10)).unwrap();
    // The commit is made in another thread: its failure may be known as soon as the checkpoint returns, or later.
    let mut told = session.checkpoint(&cursor("10"));
    let error = loop {
        if let Err(error) = told {
            break error;
        }
        std::thread::yield_now();
        told = session.sync();
    };
    assert!(error.source().unwrap().to_string().contains("cannot write to the vault"), "{error:?}");

    // A reader that overlooks it gets no further, and nothing hangs.
    session.append(&wal(), 10, &pattern(10, 10)).unwrap();
    while session.checkpoint(&cursor("20")).is_ok() {
        std::thread::yield_now();
    }
    drop(session);
    assert_eq!(world.vault().last_sequence(&world.source).unwrap(), 0);
    assert_eq!(world.session().tail(&wal()).unwrap().unwrap().bytes, pattern(0, 20));
}

#[test]
fn waiting_after_a_failure_ends_although_a_batch_is_queued_behind_it() {
    let gated = Arc::new(GatedStore::new());
    let store = Arc::new(FaultStore::new(Arc::clone(&gated) as Arc<dyn BlobStore>));
    let world = World::in_store(Arc::clone(&store) as Arc<dyn BlobStore>);
    let mut session = world.session();
    store.fail_at(2, Some(FaultCall::Create), Fault::Fail);
    gated.close(true);
    for end in [10_u64, 20] {
        session.append(&wal(), end - 10, &pattern(end - 10, 10)).unwrap();
        session.checkpoint(&cursor(&end.to_string())).unwrap();
    }
    gated.close(false);
    assert!(matches!(session.drain(true), Err(WriteError::Store(_))));
    // The batch behind it was given up with the thread.
    assert!(matches!(session.drain(true), Err(WriteError::Thread)));
    assert!(session.report.commits.is_empty());
}

#[test]
fn a_commit_that_took_effect_although_the_store_failed_is_gone_on_from() {
    let (store, world) = faulty();
    let mut session = world.session();
    // The pack, then the commit itself.
    store.fail_at(2, Some(FaultCall::Create), Fault::FailAfter);
    session.append(&wal(), 0, &pattern(0, 10)).unwrap();
    let told = session.checkpoint(&cursor("10"));
    assert!(told.is_err() || session.drain(true).is_err());
    drop(session);
    store.heal();

    let mut next = world.session();
    assert_eq!(next.cursor().unwrap(), Some(cursor("10")));
    next.append(&wal(), 10, &pattern(10, 10)).unwrap();
    next.checkpoint(&cursor("20")).unwrap();
    let report = end(next);
    assert_eq!(report.commits[0].sequence, 2);
    assert!(report.catalog_stale.is_some(), "the catalog has never seen commit 1");
    assert_eq!(world.rebuilt_log(), [(0, pattern(0, 10)), (0, pattern(0, 20))]);
}

#[test]
fn the_journal_forgets_only_what_is_in_the_vault_with_two_batches_under_way() {
    const PIECE: usize = 1 << 20;
    // A bit more than a file of the journal.
    const PIECES: usize = 33;

    let store = Arc::new(GatedStore::new());
    let world = World::in_store(Arc::clone(&store) as Arc<dyn BlobStore>);
    let mut session = world.session();
    store.close(true);
    let piece = vec![5; PIECE];
    for number in 0..PIECES {
        session.append(&wal(), (number * PIECE) as u64, &piece).unwrap();
        if number == 10 || number == 20 {
            session.checkpoint(&cursor("early")).unwrap();
        }
    }
    session.sync().unwrap();
    assert_eq!(world.journal_bytes(), PIECES * PIECE);
    assert_eq!(world.vault().last_sequence(&world.source).unwrap(), 0);

    store.close(false);
    session.drain(true).unwrap();
    assert_eq!(world.vault().last_sequence(&world.source).unwrap(), 2);
    assert_eq!(world.journal_bytes(), PIECES * PIECE, "no file is wholly committed yet");
    session.checkpoint(&cursor("all")).unwrap();
    session.drain(true).unwrap();
    assert!(world.journal_bytes() <= 2 * PIECE, "the first file is released");
}

#[test]
fn damage_in_the_journal_sends_the_reader_back_before_it() {
    const LENGTH: u64 = 34 << 20;

    let world = World::new();
    let mut killed = world.session();
    let piece = vec![5; 1 << 20];
    for number in 0..34_u64 {
        killed.append(&wal(), number << 20, &piece).unwrap();
    }
    killed.sync().unwrap();
    drop(killed);
    let first = world.folder.path().join("journal/journal-0000000000");
    let mut bytes = ports::files::read(&first).unwrap();
    bytes[20 << 20] ^= 1;
    ports::files::replace(&first, &bytes).unwrap();

    let mut next = world.session();
    let tail = next.tail(&wal()).unwrap().unwrap();
    let resumed = tail.bytes.len() as u64;
    assert!(tail.offset == 0 && (1..20 << 20).contains(&resumed), "{resumed}");
    // The server still has what was lost here.
    next.append(&wal(), resumed, &vec![5; (LENGTH - resumed) as usize]).unwrap();
    next.checkpoint(&cursor("end")).unwrap();
    assert_eq!(end(next).damaged_journal, [first]);
    assert_eq!(world.journal_bytes(), 0);
    let mut covered = 0;
    for (start, bytes) in world.log() {
        assert!(start <= covered, "a gap at {covered}");
        covered = covered.max(start + bytes.len() as u64);
    }
    assert_eq!(covered, LENGTH);
}
