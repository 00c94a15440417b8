//! A drill of the vault itself: every pack is read, every content opened where there is a key.

use std::sync::Arc;

use drill::{Against, Check, Extent, Findings, Tally};
use model::Moment;
use ports::{Blob, BlobError, BlobName, BlobStore, ForeignObject};
use postgres_recovery::drill::Limits;
use service::Secrets;
use vault::{Vault, VaultReader, verify::Depth};

use super::Drilling;
use crate::{context::environment, failure::Failure, output::counted};

const OPENS: &str = "every content is what its digest says";
const HEADS: &str = "the tree heads hold, and cover the commits";

/// Reads everything.
pub(super) fn hold(drilling: &Drilling<'_>) -> Result<Findings, Failure> {
    let Drilling { installation, asked, progress, .. } = drilling;
    let reference = asked.reading.key.as_deref().or(installation.config().restore.key.as_deref());
    let store: Arc<dyn BlobStore> =
        Arc::new(WhileTime { store: installation.store(&environment)?, limits: drilling.limits.clone() });
    let secrets = Secrets::new(installation.home(), &environment);
    let reader = match reference {
        Some(reference) => {
            let (key, _) = service::keys::resolve(reference, &secrets)?;
            Some(VaultReader::open(Arc::clone(&store), &key)?)
        }
        None => None,
    };
    let vault = Vault::open(store)?;
    let mut done = 0;
    let report = vault::verify::verify(&vault, reader.as_ref(), Depth::ReadData, &mut |step| {
        if done == 0 {
            progress.counted_phase("reading every object", Some(step.total));
        }
        progress.advance(step.done - done);
        done = step.done;
    });
    // What was broken off because the time is over says nothing of the vault.
    drilling.check_time()?;
    let report = report?;
    let mut tally = Tally::default();
    let bad: std::collections::BTreeSet<&str> = report.findings.iter().map(|f| f.object.as_str()).collect();
    tally.equal(report.objects.saturating_sub(bad.len() as u64));
    for finding in &report.findings {
        let items = finding
            .affected_items
            .map_or_else(String::new, |n| format!(" ({} affected)", counted(n, "item")));
        tally.differs(&finding.object, &format!("{}: {}{items}", finding.problem, finding.detail));
    }
    let opens = if reader.is_some() {
        let (contents, packs) = (counted(report.contents, "content"), counted(report.packs, "pack"));
        Check::passed(OPENS, format!("{contents} of {packs}, {} read", counted(report.read_bytes, "byte")))
    } else {
        Check::not_checked(OPENS, "there is no restore key here: packs were read, contents stayed closed")
    };
    let heads = Check::passed(
        HEADS,
        format!(
            "{}; {} in none yet",
            counted(report.heads, "head"),
            counted(report.uncovered_commits, "commit")
        ),
    );
    let restored_commit = vault.last_sequence(&asked.source)?;
    Ok(Findings {
        kind: "vault",
        simulated: false,
        restored_commit,
        moment: None,
        position: counted(report.commits, "commit"),
        extent: Extent::Whole,
        against: Against::Stored,
        tally,
        // What is bad about them is among the differences.
        checks: if report.is_sound() { vec![opens, heads] } else { Vec::new() },
        probes: Vec::new(),
        serving_ms: None,
        space_bytes: 0,
        tables: std::collections::BTreeMap::new(),
    })
}

/// A store that is read as long as there is time.
struct WhileTime {
    store: Arc<dyn BlobStore>,
    limits: Limits,
}

impl WhileTime {
    fn check(&self, name: &BlobName) -> Result<(), BlobError> {
        self.limits.left().map(|_| ()).map_err(|over| BlobError::Unavailable {
            operation: "a read",
            name: name.to_string(),
            source: std::io::Error::new(std::io::ErrorKind::TimedOut, over),
        })
    }
}

impl BlobStore for WhileTime {
    fn create(&self, name: &BlobName, content: &[u8], locked_until: Moment) -> Result<(), BlobError> {
        self.store.create(name, content, locked_until)
    }

    fn read(&self, name: &BlobName) -> Result<Vec<u8>, BlobError> {
        self.check(name)?;
        self.store.read(name)
    }

    fn read_range(&self, name: &BlobName, offset: u64, length: u64) -> Result<Vec<u8>, BlobError> {
        self.check(name)?;
        self.store.read_range(name, offset, length)
    }

    fn head(&self, name: &BlobName) -> Result<Blob, BlobError> {
        self.store.head(name)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Blob>, BlobError> {
        self.store.list(prefix)
    }

    fn foreign(&self, prefix: &str) -> Result<Vec<ForeignObject>, BlobError> {
        self.store.foreign(prefix)
    }

    fn extend_lock(&self, name: &BlobName, locked_until: Moment) -> Result<(), BlobError> {
        self.store.extend_lock(name, locked_until)
    }
}

#[cfg(test)]
mod tests {
    use blobs::MemoryStore;
    use drill::Budget;
    use ports::{Clock, ManualClock};

    use super::*;

    #[test]
    fn a_store_is_read_until_the_time_is_over() {
        let clock = Arc::new(ManualClock::new(Moment::from_micros(0)));
        let limits = Limits {
            budget: Budget { time_s: Some(60), space_bytes: None },
            began: clock.elapsed(),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
        };
        let store = WhileTime { store: Arc::new(MemoryStore::new()), limits };
        let name = BlobName::new("vault.json").unwrap();
        store.create(&name, b"x", Moment::from_micros(1)).unwrap();
        assert_eq!(store.read(&name).unwrap(), b"x");
        clock.advance_micros(60_000_000);
        assert!(matches!(store.read(&name), Err(BlobError::Unavailable { .. })));
        assert!(matches!(store.read_range(&name, 0, 1), Err(BlobError::Unavailable { .. })));
    }
}
