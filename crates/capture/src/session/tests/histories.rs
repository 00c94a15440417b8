//! Random histories of one log: whatever happens, what was synced is in the vault in the end, and no gap is hidden.

use blobs::{Fault, FaultCall, FaultStore, MemoryStore};
use proptest::prelude::*;

use super::*;

const GAP: u64 = 5_000;

#[derive(Debug, Clone)]
enum Step {
    Append(u16),
    Sync,
    Checkpoint,
    /// The source lost a part of the log: a new base explains it.
    Gap,
    Kill,
    /// From the nth `create` on the store is full, until the session has ended.
    Full(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (1..3000_u16).prop_map(Step::Append),
        4 => Just(Step::Sync),
        3 => Just(Step::Checkpoint),
        1 => Just(Step::Gap),
        2 => Just(Step::Kill),
        1 => (1..6_u8).prop_map(Step::Full),
    ]
}

/// A reader like the one of PostgreSQL, and what it was promised.
struct Follower {
    world: World,
    store: Arc<FaultStore>,
    session: Option<Session>,
    position: u64,
    /// Where the log goes on after each gap; their number is part of the cursor.
    after_gaps: Vec<u64>,
    /// The spans whose bytes were acknowledged.
    synced: Vec<(u64, u64)>,
    unsynced_from: u64,
}

impl Follower {
    fn new() -> Self {
        let store = Arc::new(FaultStore::new(Arc::new(MemoryStore::new())));
        let mut world = World::in_store(Arc::clone(&store) as Arc<dyn ports::BlobStore>);
        // So small that files are retired all the time.
        world.journal_options = JournalOptions { file_bytes: 16 << 10, spare_files: 1 };
        let session = Some(world.session());
        Self { world, store, session, position: 0, after_gaps: vec![], synced: vec![], unsynced_from: 0 }
    }

    fn act(&mut self, step: &Step) {
        let done = match step {
            Step::Append(length) => {
                let bytes = pattern(self.position, usize::from(*length));
                let position = self.position;
                let done = self.session().append(&wal(), position, &bytes);
                // What failed half-way may be in the journal all the same.
                self.position += u64::from(*length);
                done
            }
            Step::Sync => self.session().sync().map(|()| self.acknowledge()),
            Step::Checkpoint => self.checkpoint(),
            Step::Gap => self.gap(),
            Step::Kill => return self.resume(),
            Step::Full(nth) => {
                return self.store.fail_from(u64::from(*nth), Some(FaultCall::Create), Fault::Full);
            }
        };
        if done.is_err() {
            self.resume();
        }
    }

    fn gap(&mut self) -> Result<(), SinkError> {
        self.checkpoint()?;
        self.position += GAP;
        self.unsynced_from = self.position;
        self.after_gaps.push(self.position);
        let key = self.position.to_string();
        self.session().upsert(item("base", &key), Layout::Small, &mut &b"base"[..])?;
        self.checkpoint()
    }

    fn checkpoint(&mut self) -> Result<(), SinkError> {
        let cursor = cursor(&format!("{} {}", self.after_gaps.len(), self.position));
        self.session().checkpoint(&cursor)?;
        self.acknowledge();
        Ok(())
    }

    fn session(&mut self) -> &mut Session {
        self.session.as_mut().unwrap()
    }

    fn acknowledge(&mut self) {
        if self.unsynced_from < self.position {
            self.synced.push((self.unsynced_from, self.position));
            self.unsynced_from = self.position;
        }
    }

    /// Ends the session and goes on in a new one, from its cursor and tail.
    fn resume(&mut self) {
        self.session = None;
        self.store.heal();
        let mut session = self.world.session();
        let (gaps, committed) = session.cursor().unwrap().map_or((0, 0), |cursor| {
            let (gaps, position) = cursor.0.split_once(' ').unwrap();
            (gaps.parse().unwrap(), position.parse().unwrap())
        });
        let tail = session.tail(&wal()).unwrap();
        let tail_end = tail.map_or(0, |tail| {
            assert_eq!(tail.bytes, pattern(tail.offset, tail.bytes.len()));
            assert!(tail.offset <= committed, "the tail begins at {} beyond {committed}", tail.offset);
            tail.offset + tail.bytes.len() as u64
        });
        let resumed = tail_end.max(committed);
        let synced = self.synced.last().map_or(0, |(_, end)| *end);
        assert!((synced..=self.position).contains(&resumed), "{resumed}: {synced}..={}", self.position);
        // Beyond a gap there must be the commit that explains it: otherwise nobody would ever know.
        self.after_gaps.retain(|after| *after <= resumed);
        assert_eq!(self.after_gaps.len(), gaps, "resumed at {resumed}, committed is {committed}");
        (self.position, self.unsynced_from) = (resumed, resumed);
        self.session = Some(session);
    }

    fn finish(mut self) {
        self.resume();
        self.checkpoint().unwrap();
        end(self.session.take().unwrap());
        let log = self.world.rebuilt_log();
        for (start, bytes) in &log {
            assert_eq!(*bytes, pattern(*start, bytes.len()), "wrong bytes at {start}");
        }
        for (start, end) in &self.synced {
            let reach = |covered: u64, (run, bytes): &(u64, Vec<u8>)| {
                if *run <= covered { covered.max(run + bytes.len() as u64) } else { covered }
            };
            let covered = log.iter().fold(*start, reach);
            assert!(covered >= *end, "{start}..{end} is covered up to {covered}");
        }
        assert_eq!(self.world.journal(), []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_history_loses_or_hides_anything(steps in prop::collection::vec(step(), 1..40)) {
        let mut follower = Follower::new();
        for step in &steps {
            follower.act(step);
        }
        follower.finish();
    }
}
