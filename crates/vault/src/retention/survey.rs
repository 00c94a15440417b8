use std::collections::{BTreeMap, HashMap, HashSet};

use model::{Completeness, Item, SourceName};

use super::{PackUses, RetentionLog};
use crate::{Change, Content, Extent, PackId, PackRef, VaultError, VaultReader};

/// What a connector knows of its own streams: items that no later one replaced by key, and that are superseded all the
/// same, such as a base when a newer one is whole.
pub trait Succession {
    /// Returns whether a live item is still needed. Items come newest first; those of one commit in any order, after
    /// those of all later commits.
    fn is_needed(&mut self, source: &SourceName, item: &Item, completeness: Completeness) -> bool;
}

/// Items are superseded by key alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSuccession;

impl Succession for NoSuccession {
    fn is_needed(&mut self, _: &SourceName, _: &Item, _: Completeness) -> bool {
        true
    }
}

/// What live versions need, found out from the vault itself and from no cache.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    needed: HashSet<PackId>,
    /// The newest commit of each source that took the place of something in a pack.
    replaced_by: HashMap<PackId, BTreeMap<SourceName, u64>>,
    sources: BTreeMap<SourceName, SourceSurvey>,
}

/// What a survey saw of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSurvey {
    /// Its newest commit.
    pub sequence: u64,
    /// Items that are live.
    pub live_items: u64,
    /// Items that were live at the last accepted survey and were replaced or removed since.
    pub replaced_items: u64,
    /// Why nothing of this source is released.
    pub suspicion: Option<Suspicion>,
}

/// A reason to believe that a source was emptied or encrypted, rather than used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Suspicion {
    /// Too much of what was live was replaced or removed since the last accepted survey.
    #[error("{replaced} of {live} items were replaced or removed since the last look")]
    Replaced {
        /// Items replaced or removed.
        replaced: u64,
        /// Items that were live then.
        live: u64,
    },
    /// Nobody has looked at this source before, so nothing can be compared.
    #[error("this is the first look")]
    First,
}

/// More than this share of the items (one in …) at once is no daily work.
const SUSPICIOUS_SHARE: u64 = 2;
/// Below this many items a share says nothing; that none is left says something always.
const SUSPICIOUS_ITEMS_MIN: u64 = 10;

/// An item by the keyed hash of its stream and key: 16 bytes, so that ten million fit into memory.
type ItemHash = [u8; 16];

/// What is known of an item while the log is read backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    /// The commit with the change that was met last: what comes next was replaced by it.
    replaced_by: u32,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Its newest change is older than the last accepted survey.
    Before,
    /// Its newest change came after it; whether it was live then is not known yet.
    Since,
    /// It was live then, and was replaced or removed since.
    Counted,
}

impl Survey {
    /// Reads the whole log of the vault, newest commit first, and notes which packs live versions need.
    pub fn take(
        reader: &VaultReader,
        log: &RetentionLog,
        uses: &PackUses,
        succession: &mut dyn Succession,
        advance: &mut dyn FnMut(u64),
    ) -> Result<Self, VaultError> {
        let mut survey = Self::default();
        for (source, head) in uses.heads() {
            let known = log.surveyed(source);
            let baseline = known.map_or(0, |known| known.sequence).max(log.confirmed(source));
            let mut pass =
                Pass { reader, source, head: *head, baseline, seen: HashMap::new(), live: 0, replaced: 0 };
            for sequence in (1..=*head).rev() {
                pass.commit(sequence, succession, &mut survey.needed, &mut survey.replaced_by)?;
                advance(1);
            }
            let live_then = known.map_or(0, |known| known.live_items);
            let suspicion = if known.is_none() {
                Some(Suspicion::First)
            } else {
                let much = pass.replaced.saturating_mul(SUSPICIOUS_SHARE) > live_then;
                let emptied = pass.live == 0 && live_then > 0;
                (emptied || much && live_then >= SUSPICIOUS_ITEMS_MIN)
                    .then_some(Suspicion::Replaced { replaced: pass.replaced, live: live_then })
            };
            let seen = SourceSurvey {
                sequence: *head,
                live_items: pass.live,
                replaced_items: pass.replaced,
                suspicion,
            };
            survey.sources.insert(source.clone(), seen);
        }
        Ok(survey)
    }

    /// Returns whether a pack must stay: a live version needs it, reading the log does, or its source is suspicious.
    pub fn needs(&self, pack: &PackId, uses: &PackUses) -> bool {
        let suspicious =
            |source: &SourceName| self.sources.get(source).is_none_or(|survey| survey.suspicion.is_some());
        self.needed.contains(pack)
            || uses.is_body(pack)
            || uses.of(pack).any(|(source, _)| suspicious(source))
    }

    /// Returns the commits that took the place of what a pack holds: one for each source, the newest.
    pub fn replaced_by(&self, pack: &PackId) -> impl Iterator<Item = (&SourceName, u64)> {
        self.replaced_by.get(pack).into_iter().flatten().map(|(source, sequence)| (source, *sequence))
    }

    /// Returns what was seen of each source.
    pub const fn sources(&self) -> &BTreeMap<SourceName, SourceSurvey> {
        &self.sources
    }
}

struct Pass<'a> {
    reader: &'a VaultReader,
    source: &'a SourceName,
    head: u64,
    baseline: u64,
    seen: HashMap<ItemHash, Seen>,
    live: u64,
    replaced: u64,
}

impl Pass<'_> {
    fn commit(
        &mut self,
        sequence: u64,
        succession: &mut dyn Succession,
        needed: &mut HashSet<PackId>,
        replaced_by: &mut HashMap<PackId, BTreeMap<SourceName, u64>>,
    ) -> Result<(), VaultError> {
        let commit = self.reader.vault().commit(self.source, sequence)?;
        let completeness = commit.envelope.ledger.completeness();
        // Within a commit the last change of an item counts.
        let mut last: HashMap<ItemHash, Option<(bool, Vec<PackId>)>> = HashMap::new();
        self.reader.for_each_block(&commit, |block| {
            for change in block.changes {
                let (hash, version) = match change {
                    Change::Upsert { item, content } => {
                        let hash = self.hash(item.stream.as_str(), &item.key);
                        let live = !self.seen.contains_key(&hash);
                        let needed = live && succession.is_needed(self.source, &item, completeness);
                        (hash, Some((needed, packs_of(&content))))
                    }
                    Change::Removed { stream, key } => (self.hash(stream.as_str(), &key), None),
                    // What could not be read is still there as it was.
                    Change::Unreadable { .. } | Change::Event(_) => continue,
                };
                last.insert(hash, version);
            }
            Ok(())
        })?;
        let number = u32::try_from(sequence).unwrap_or(u32::MAX);
        for (hash, version) in last {
            let standing = if sequence > self.baseline { Standing::Since } else { Standing::Before };
            let newer = self.seen.get(&hash).copied();
            let mut seen = newer.unwrap_or(Seen { replaced_by: number, standing });
            if sequence <= self.baseline && seen.standing == Standing::Since {
                // This is how it stood at the last survey.
                self.replaced += u64::from(version.is_some());
                seen.standing = if version.is_some() { Standing::Counted } else { Standing::Before };
            }
            if let Some((is_needed, packs)) = version {
                self.live += u64::from(newer.is_none());
                if is_needed {
                    needed.extend(packs);
                } else {
                    // What a connector calls superseded was so by the newest commit at the latest.
                    let by = newer.map_or(self.head, |newer| u64::from(newer.replaced_by));
                    for pack in packs {
                        let known =
                            replaced_by.entry(pack).or_default().entry(self.source.clone()).or_insert(by);
                        *known = (*known).max(by);
                    }
                }
            }
            self.seen.insert(hash, Seen { replaced_by: number, ..seen });
        }
        Ok(())
    }

    fn hash(&self, stream: &str, key: &str) -> ItemHash {
        let text = [stream.as_bytes(), &[0], key.as_bytes()].concat();
        self.reader.hasher().leaf(&text).chunk_id().0
    }
}

fn packs_of(content: &Content) -> Vec<PackId> {
    let mut packs: Vec<PackId> =
        content.extents.iter().flat_map(Extent::packs).filter_map(PackRef::id).collect();
    packs.sort_unstable();
    packs.dedup();
    packs
}
