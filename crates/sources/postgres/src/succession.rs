//! Which stored items of a cluster no moment needs once a newer base is whole.
//!
//! The keys of bases and of WAL never repeat, so nothing replaces them by key: a base and the WAL before the next one are
//! superseded by that next one, as soon as it can be restored.

use crate::layout::{Base, lsn_of_key};

/// Follows what is stored, newest commit first.
#[derive(Debug, Clone, Default)]
pub struct BaseSuccession {
    /// Where the newest base that can be restored begins.
    newest_start_lsn: Option<u64>,
    /// How far WAL is stored.
    wal_end_lsn: u64,
}

impl BaseSuccession {
    /// Returns whether an item is still needed; `complete` says whether its commit could read everything.
    pub fn is_needed(&mut self, stream: &str, key: &str, attributes: &str, complete: bool) -> bool {
        if stream.starts_with("wal/") {
            return self.is_wal_needed(key);
        }
        if stream == "base" {
            return self.is_base_needed(attributes, complete);
        }
        match stream.strip_prefix("base/").and_then(lsn_of_key) {
            Some(start) => self.newest_start_lsn.is_none_or(|newest| start >= newest),
            None => true,
        }
    }

    /// The key of a run of WAL is its start and its end.
    fn is_wal_needed(&mut self, key: &str) -> bool {
        let Some(end) = key.split_once('-').and_then(|(_, end)| lsn_of_key(end)) else { return true };
        self.wal_end_lsn = self.wal_end_lsn.max(end);
        self.newest_start_lsn.is_none_or(|newest| end > newest)
    }

    fn is_base_needed(&mut self, attributes: &str, complete: bool) -> bool {
        let Ok(base) = serde_json::from_str::<Base>(attributes) else { return true };
        if let Some(newest) = self.newest_start_lsn {
            return base.start_lsn >= newest;
        }
        // A base whose WAL is not all here, or of which files could not be read, takes nothing's place.
        if complete && self.wal_end_lsn >= base.end_lsn {
            self.newest_start_lsn = Some(base.start_lsn);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::Moment;

    use super::*;
    use crate::layout::{BaseKind, lsn_key};

    fn base(start_lsn: u64) -> String {
        let base = Base {
            kind: BaseKind::Production,
            system_identifier: 7,
            major: 15,
            timeline: 1,
            start_lsn,
            end_lsn: start_lsn + 10,
            wal_segment_bytes: 16 << 20,
            tablespaces: BTreeMap::new(),
            started_at: Moment::from_micros(1),
            finished_at: Moment::from_micros(2),
            files: 1,
            bytes: 1,
        };
        serde_json::to_string(&base).unwrap()
    }

    fn wal(start: u64, end: u64) -> String {
        format!("{}-{}", lsn_key(start), lsn_key(end))
    }

    /// Newest first: WAL up to 400, a base at 300, WAL, a base at 100.
    fn needed(succession: &mut BaseSuccession, wal_end: u64, complete: bool) -> Vec<bool> {
        let files = |start: u64| format!("base/{}", lsn_key(start));
        vec![
            succession.is_needed("wal/1", &wal(305, wal_end), "{}", true),
            succession.is_needed("base", &lsn_key(300), &base(300), complete),
            succession.is_needed(&files(300), "PG_VERSION", "{}", complete),
            succession.is_needed("wal/1", &wal(100, 305), "{}", true),
            succession.is_needed("wal/1", &wal(100, 300), "{}", true),
            succession.is_needed("base", &lsn_key(100), &base(100), true),
            succession.is_needed(&files(100), "PG_VERSION", "{}", true),
            succession.is_needed("history", "00000002.history", "{}", true),
        ]
    }

    #[test]
    fn a_newer_base_that_is_whole_takes_the_place_of_what_came_before_it() {
        let expected = [true, true, true, true, false, false, false, true];
        assert_eq!(needed(&mut BaseSuccession::default(), 400, true), expected);
    }

    #[test]
    fn a_base_that_cannot_be_restored_takes_nothing_s_place() {
        for (wal_end, complete) in [(309, true), (400, false)] {
            assert!(needed(&mut BaseSuccession::default(), wal_end, complete).iter().all(|needed| *needed));
        }
    }
}
