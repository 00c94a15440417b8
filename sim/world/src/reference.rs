//! What must be restorable, kept in the plainest way: a list of commits with their changes.

use std::collections::BTreeMap;

use model::{Moment, SourceName, StreamName};
use vault::CommitHash;

/// A change as the reference keeps it: contents by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An item has this content from now on.
    Upsert {
        /// Its stream.
        stream: StreamName,
        /// Its key.
        key: String,
        /// The number of its content.
        content: u64,
    },
    /// An item is gone.
    Removed {
        /// Its stream.
        stream: StreamName,
        /// Its key.
        key: String,
    },
    /// An item could not be read: what was stored of it before stays restorable.
    Unreadable {
        /// Its stream.
        stream: StreamName,
        /// Its key.
        key: String,
    },
}

/// A commit that the vault acknowledged, or that was found in it after a crash.
#[derive(Debug, Clone)]
pub struct Committed {
    /// Its hash.
    pub hash: CommitHash,
    /// True time when it was made.
    pub at: Moment,
    /// The vault's time of it.
    pub vault_time: Moment,
    /// Until when the vault promised to keep all that it names.
    pub locked_until: Moment,
    /// Its changes.
    pub changes: Vec<Change>,
    /// The clock of the host that made it was behind, so its locks may end too early until they are renewed.
    pub weak: bool,
    /// Something was destroyed while it was weak.
    pub forfeit: bool,
}

/// One stored version of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its source.
    pub source: SourceName,
    /// The commit that brought it.
    pub sequence: u64,
    /// Its stream.
    pub stream: StreamName,
    /// Its key.
    pub key: String,
    /// The number of its content.
    pub content: u64,
    /// Until when the vault promised to keep it, by its own time.
    pub locked_until: Moment,
    /// It was lost while its lock was too short for a reason that is known.
    pub forfeit: bool,
    /// True time when it was replaced or removed; `None` while it is live.
    pub until: Option<Moment>,
}

/// All that was committed.
#[derive(Debug, Clone, Default)]
pub struct Reference {
    logs: BTreeMap<SourceName, Vec<Committed>>,
}

impl Reference {
    /// Takes note of the next commit of a source.
    pub fn commit(&mut self, source: &SourceName, committed: Committed) {
        self.logs.entry(source.clone()).or_default().push(committed);
    }

    /// Returns a source's commits, in order.
    pub fn log(&self, source: &SourceName) -> &[Committed] {
        self.logs.get(source).map_or(&[], Vec::as_slice)
    }

    /// Returns the sources that have commits.
    pub fn sources(&self) -> impl Iterator<Item = &SourceName> {
        self.logs.keys()
    }

    /// Returns every version ever stored.
    pub fn versions(&self) -> Vec<Version> {
        let mut versions = Vec::new();
        for (source, log) in &self.logs {
            let mut live: BTreeMap<(StreamName, String), usize> = BTreeMap::new();
            for (sequence, committed) in (1..).zip(log) {
                // Of several changes of an item in one commit only the last was ever live. What could not be read once is
                // no reason to let go of what was read before.
                let readable = committed.changes.iter().filter(|c| !matches!(c, Change::Unreadable { .. }));
                let last: BTreeMap<_, _> = readable.map(|change| (change.item(), change)).collect();
                for change in last.into_values() {
                    let (stream, key) = change.item();
                    let ended = live.remove(&(stream.clone(), key.to_owned()));
                    if let Some(ended) = ended.and_then(|at| versions.get_mut(at)) {
                        let version: &mut Version = ended;
                        version.until = Some(committed.at);
                    }
                    if let Change::Upsert { content, .. } = change {
                        live.insert((stream.clone(), key.to_owned()), versions.len());
                        versions.push(Version {
                            source: source.clone(),
                            sequence,
                            stream: stream.clone(),
                            key: key.to_owned(),
                            content: *content,
                            locked_until: committed.locked_until,
                            forfeit: committed.forfeit,
                            until: None,
                        });
                    }
                }
            }
        }
        versions
    }

    /// Returns the versions that the promise is about: those that were live at any time since `since`.
    pub fn promised(&self, since: Moment) -> Vec<Version> {
        let mut versions = self.versions();
        versions.retain(|version| !version.forfeit && version.until.is_none_or(|until| until >= since));
        versions
    }

    /// Takes note that locks were renewed by a clock that is right.
    pub fn renewed(&mut self) {
        self.logs.values_mut().flatten().for_each(|committed| committed.weak = false);
    }

    /// Notes that a source's newest commit was locked by a clock that was behind.
    pub(crate) fn weaken_last(&mut self, source: &SourceName) {
        if let Some(committed) = self.logs.get_mut(source).and_then(|log| log.last_mut()) {
            committed.weak = true;
        }
    }

    /// Takes note that something was destroyed whose lock had ended.
    pub fn destroyed(&mut self) {
        for committed in self.logs.values_mut().flatten() {
            committed.forfeit |= committed.weak;
        }
    }

    /// Returns the live contents of a source by stream and key; `None` where the item was unreadable.
    pub fn live(&self, source: &SourceName) -> BTreeMap<(String, String), Option<u64>> {
        let mut live = BTreeMap::new();
        for change in self.log(source).iter().flat_map(|committed| &committed.changes) {
            let (stream, key) = change.item();
            let item = (stream.to_string(), key.to_owned());
            match change {
                Change::Upsert { content, .. } => drop(live.insert(item, Some(*content))),
                Change::Unreadable { .. } => drop(live.insert(item, None)),
                Change::Removed { .. } => drop(live.remove(&item)),
            }
        }
        live
    }
}

impl Change {
    fn item(&self) -> (&StreamName, &str) {
        match self {
            Self::Upsert { stream, key, .. }
            | Self::Removed { stream, key }
            | Self::Unreadable { stream, key } => (stream, key),
        }
    }
}
