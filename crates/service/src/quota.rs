//! What captures take of their sources' quotas, in a file beside each source's journal: it is shown although another
//! process captures, and after a restart.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use connect::{QuotaMeter, QuotaUse};
use model::{Moment, SourceName};
use ports::{Clock, files};
use serde::{Deserialize, Serialize};

use crate::{Installation, ServiceError};

/// A capture says no more often what it took.
const REST: Duration = Duration::from_secs(5);
/// After so many looks it says so again although nothing changed.
const LOOKS_MAX: u32 = 12;
const FILE: &str = "quota.json";

/// What a capture took of its source's quota.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaReport {
    /// When the capture said so.
    pub at: Moment,
    /// Since when it counts: what was before it began is not in the sums of hours.
    pub since: Moment,
    /// The pools that were used, in the order of their names; empty where the source has no quota.
    pub uses: Vec<QuotaUse>,
}

impl QuotaReport {
    /// Returns the pool of which the largest share is used.
    pub fn tightest(&self) -> Option<&QuotaUse> {
        self.uses.iter().max_by_key(|used| used.percent())
    }

    /// Returns how many calls of the last 24 hours were refused: those of the pool with most, as one call counts in
    /// several.
    pub fn refused(&self) -> u64 {
        self.uses.iter().filter_map(|used| used.of_late).map(|of_late| of_late.refused).max().unwrap_or(0)
    }
}

/// Returns what the newest capture of a source said; nothing where none has said anything yet.
pub fn report(installation: &Installation, source: &SourceName) -> Result<Option<QuotaReport>, ServiceError> {
    let path = file(installation, source);
    if !path.exists() {
        return Ok(None);
    }
    // A file of another version says nothing, and the next look replaces it.
    Ok(serde_json::from_slice(&files::read(&path)?).ok())
}

pub(crate) fn file(installation: &Installation, source: &SourceName) -> PathBuf {
    installation.state_folder(source).join(FILE)
}

/// Writes down what a capture takes, on a thread of its own, until it is dropped.
pub(crate) struct Reporter {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Reporter {
    /// Begins; a source without a meter has no quota, which is said once.
    pub(crate) fn start(
        path: PathBuf,
        meter: Option<Arc<dyn QuotaMeter>>,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let since = clock.now();
        let Some(meter) = meter else {
            write(&path, &QuotaReport { at: since, since, uses: Vec::new() });
            return Ok(Self { end: None, thread: None });
        };
        let (end, ended) = channel::<()>();
        let keep = move || {
            let mut last = Last { uses: Vec::new(), looks: 0 };
            loop {
                // By the thread's own wait and not by the clock: a simulated clock would be moved by it.
                let over = ended.recv_timeout(REST) != Err(RecvTimeoutError::Timeout);
                if let Some(uses) = last.news(meter.quota_use(), over) {
                    write(&path, &QuotaReport { at: clock.now(), since, uses });
                }
                if over {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("quota".to_owned()).spawn(keep)?;
        Ok(Self { end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic in it has been reported by the thread itself.
            drop(thread.join());
        }
    }
}

/// What was written last.
struct Last {
    uses: Vec<QuotaUse>,
    looks: u32,
}

impl Last {
    /// Returns what is to be written, if anything is.
    fn news(&mut self, uses: Vec<QuotaUse>, is_last: bool) -> Option<Vec<QuotaUse>> {
        self.looks += 1;
        let is_news = uses != self.uses || self.looks >= LOOKS_MAX || is_last;
        if uses.is_empty() || !is_news {
            return None;
        }
        (self.looks, self.uses) = (0, uses.clone());
        Some(uses)
    }
}

/// A capture must not end because of this. What cannot be written stays as it was, and pages say of when it is.
fn write(path: &Path, report: &QuotaReport) {
    if let Ok(text) = serde_json::to_vec(report) {
        files::replace(path, &text).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use connect::QuotaUnit;
    use ports::ManualClock;

    use super::*;

    fn used(used: u64) -> QuotaUse {
        QuotaUse {
            name: "mail/user".to_owned(),
            subject: None,
            unit: QuotaUnit::Units,
            used,
            limit: 100,
            per_s: Some(60),
            share_percent: Some(100),
            of_late: None,
        }
    }

    /// Was asked so often.
    #[derive(Default)]
    struct Meter(AtomicU64);

    impl QuotaMeter for Meter {
        fn quota_use(&self) -> Vec<QuotaUse> {
            vec![used(self.0.fetch_add(1, Ordering::SeqCst) + 7)]
        }
    }

    #[test]
    fn what_was_taken_is_in_the_file_once_the_capture_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let clock = Arc::new(ManualClock::new(Moment::from_micros(5)));
        let meter = Arc::new(Meter::default());
        let reporter = Reporter::start(path.clone(), Some(meter), Arc::clone(&clock) as _).unwrap();
        clock.advance_micros(10);
        drop(reporter);
        let report: QuotaReport = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!((report.since, report.at), (Moment::from_micros(5), Moment::from_micros(15)));
        assert!(report.tightest().unwrap().used >= 7);
    }

    #[test]
    fn a_source_without_quota_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        drop(
            Reporter::start(path.clone(), None, Arc::new(ManualClock::new(Moment::from_micros(5)))).unwrap(),
        );
        let report: QuotaReport = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert!(report.uses.is_empty() && report.tightest().is_none());
    }

    #[test]
    fn what_did_not_change_is_written_seldom_and_what_is_not_known_never() {
        let mut last = Last { uses: Vec::new(), looks: 0 };
        assert_eq!(last.news(Vec::new(), true), None);
        assert_eq!(last.news(vec![used(1)], false), Some(vec![used(1)]));
        let looks = (1..=LOOKS_MAX).map(|_| last.news(vec![used(1)], false).is_some());
        assert_eq!(looks.filter(|written| *written).count(), 1);
        assert!(last.news(vec![used(2)], false).is_some());
        assert!(last.news(vec![used(2)], true).is_some(), "the end has the newest time");
    }
}
