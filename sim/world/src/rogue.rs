use std::sync::Arc;

use blobs::Deed;
use model::SourceName;
use ports::{BlobError, BlobStore, Clock, Random};

use crate::{
    Violation, World,
    action::{Commit, Plant, Rogue},
    clock::{ClockEvent, DAY, HOUR, HostClock},
    reference::Change,
};

impl World {
    /// Somebody does harm with every credential that production has.
    pub(crate) fn rogue(&mut self, rogue: &Rogue) -> Result<(), Violation> {
        self.count("rogue");
        match rogue {
            Rogue::Everywhere(deed) => self.everywhere(*deed),
            Rogue::Plant(plant) => self.plant(plant),
            Rogue::Shrink { source } => {
                let live = self.reference.live(source);
                let changes = live
                    .into_keys()
                    .map(|(stream, key)| Ok(Change::Removed { stream: stream.parse()?, key }))
                    .collect::<Result<Vec<_>, model::NameError>>()
                    .map_err(|e| Violation::new("names are names", e))?;
                self.forge(source, changes, 0)
            }
            Rogue::Release { days } => self.release_all_back_dated(*days),
            Rogue::Misdate { source, micros } => self.forge(source, Vec::new(), *micros),
        }
    }

    fn everywhere(&mut self, deed: Deed) -> Result<(), Violation> {
        let objects = self.store.list("").map_err(|e| Violation::new("the store lists", e))?;
        let mut done = 0;
        for blob in objects {
            if !self.store.attempt(deed, &blob.name) {
                continue;
            }
            done += 1;
            match deed {
                Deed::Delete => {
                    self.check_destroyed(blob.name.as_str())?;
                    self.planted.remove(blob.name.as_str());
                    self.destroyed.insert(blob.name.to_string());
                    self.reference.destroyed();
                }
                Deed::Hide | Deed::Overwrite => drop(self.planted.insert(blob.name.to_string())),
                Deed::Shorten => {}
            }
        }
        self.trace.note(format_args!("     {deed} was done to {done} objects"));
        Ok(())
    }

    /// What every moment needs has a lock that never ends, with one exception that is known: commits of a host whose
    /// clock was behind, until the next renewal. A log that loses one is beyond repair.
    fn check_destroyed(&mut self, name: &str) -> Result<(), Violation> {
        let is_planted = self.planted.contains(name);
        if let Some((source, sequence)) = name.strip_prefix("log/").and_then(|rest| rest.split_once('/')) {
            let source: SourceName = source.parse().map_err(|e| Violation::new("names are names", e))?;
            let sequence = sequence.parse::<usize>().unwrap_or(0);
            match sequence.checked_sub(1).and_then(|at| self.reference.log(&source).get(at)) {
                Some(committed) if committed.weak => drop(self.lost_logs.insert(source)),
                Some(_) => return Err(Violation::new("a commit cannot be deleted", name)),
                None => {}
            }
        } else if !name.starts_with("data/") && !is_planted {
            return Err(Violation::new("what every moment needs cannot be deleted", name));
        }
        Ok(())
    }

    fn plant(&mut self, plant: &Plant) -> Result<(), Violation> {
        let mut bytes = vec![0; 300];
        self.random.fill(&mut bytes);
        let name = match plant {
            Plant::NextCommit(source) => {
                let next = self.reference.log(source).len() + 1;
                self.blocked.insert(source.clone());
                format!("log/{source}/{next:010}")
            }
            Plant::Pack => {
                let id = blake3::hash(&bytes).to_hex();
                format!("data/{}/{id}", &id[..2])
            }
            Plant::Keys => format!("keys/{}", self.random.below(50) + 1),
            Plant::Source => "log/nobody/0000000001".to_owned(),
            Plant::Retention => format!("retention/{:010}", self.retention_log()?.1.last_number() + 1),
        };
        let until = self.truth.now().plus_micros(5 * DAY);
        match self.store.create(&Self::object(&name)?, &bytes, until) {
            Ok(()) => {
                self.trace.note(format_args!("     planted {name}"));
                self.planted.insert(name);
                Ok(())
            }
            Err(BlobError::Exists { .. }) => Ok(()),
            Err(error) => Err(Violation::new("the store creates", error)),
        }
    }

    /// A commit by whoever stole the capture key, from a machine of their own.
    fn forge(&mut self, source: &SourceName, changes: Vec<Change>, off_micros: i64) -> Result<(), Violation> {
        if self.lost_logs.contains(source) {
            return Ok(());
        }
        let clock = Arc::new(HostClock::new(Arc::clone(&self.truth)));
        clock.suffer(ClockEvent::Jump(off_micros));
        let commit = Commit { host: 1, source: source.clone(), changes, look_up: false, trouble: None };
        let cursor = self.next_cursor();
        let clock: Arc<dyn Clock> = clock;
        let outcome = self
            .open_writer(clock, self.store.clone())
            .and_then(|writer| self.fill(&writer, &commit)?.finish(&cursor));
        let before = self.reference.log(source).len();
        self.settle(&commit, &cursor, outcome)?;
        if off_micros < -HOUR && self.reference.log(source).len() > before {
            self.reference.weaken_last(source);
        }
        Ok(())
    }
}
