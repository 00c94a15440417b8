//! The log of retention in a mirror, and the mirror's own locks.

use std::{collections::BTreeMap, sync::Arc};

use ports::{Blob, BlobError, BlobName};

use super::{MirrorError, MirrorProblem, PROMISE_DAYS_MAX, RENEWAL_MICROS, pull::Pull};
use crate::{
    Vault, VaultError, names,
    retention::{Record, RenewalOptions, RetentionLog, renew},
};

impl Pull<'_> {
    /// Copies the signed entries of the log of retention, in their order, and learns what was reaped by its rules.
    pub(super) fn retention(&mut self, listed: &BTreeMap<BlobName, Blob>) -> Result<(), MirrorError> {
        let number = |name: &BlobName| names::parse_retention(name);
        let mut expected = 1;
        for (name, blob) in listed {
            let Some(found) = number(name) else { continue };
            while expected < found && self.here.contains_key(&names::retention(expected)?) {
                expected += 1;
            }
            if expected < found {
                let detail = "a later entry is there";
                self.report.find(names::retention(expected)?.as_str(), MirrorProblem::Missing, detail);
                break;
            }
            expected = found + 1;
            if self.here.contains_key(name) {
                self.report.present_objects += 1;
                if self.options.thorough
                    || self.here.get(name).map(|mine| mine.size_bytes) != Some(blob.size_bytes)
                {
                    self.compare(name)?;
                }
                continue;
            }
            let Some(bytes) = self.fetch(name, blob.size_bytes)? else { break };
            if let Err(error) = Record::parse(&bytes, self.manifest.vault, found) {
                self.report.find(name.as_str(), MirrorProblem::Foreign, error.to_string());
                continue;
            }
            self.create(name, &bytes, self.lock.own())?;
        }
        match self.own_vault() {
            Ok(vault) => {
                let log = RetentionLog::read(&vault).map_err(of_mirror)?;
                self.reaped.clone_from(log.reaped());
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn own_vault(&self) -> Result<Vault, MirrorError> {
        Vault::open(Arc::clone(&self.pair.mirror)).map_err(of_mirror)
    }

    /// Renews the mirror's locks as a vault's are renewed, and where the origin's are longer, as those.
    pub(super) fn renew(&mut self) -> Result<(), MirrorError> {
        self.follow_origin()?;
        let vault = self.own_vault()?;
        let log = RetentionLog::read(&vault).map_err(of_mirror)?;
        let mut days = vault.manifest().lock_days;
        for source in vault.sources().map_err(of_mirror)? {
            // A damaged head is a finding of its own; the term of the others counts.
            if let Ok(Some(head)) = vault.head(&source) {
                days = days.max(head.envelope.retention_days);
            }
        }
        if days > PROMISE_DAYS_MAX.max(self.options.lock_days) {
            let detail =
                format!("commits ask for {days} days; the mirror's locks are not renewed for so long");
            self.report.find(names::LOG, MirrorProblem::LockTooLong, detail);
            return Ok(());
        }
        let options = RenewalOptions { threads: self.options.threads, look_only: false };
        let report = renew(&vault, &log, self.lock.now, options, &|_, _| {}).map_err(of_mirror)?;
        self.report.renewed_locks += report.renewed;
        self.report.floors = report.floors;
        for failure in report.failures {
            self.report.find(failure.object, MirrorProblem::NotRenewed, failure.reason);
        }
        Ok(())
    }

    fn follow_origin(&mut self) -> Result<(), MirrorError> {
        let mut wanted = Vec::new();
        for (name, mine) in &self.here {
            let Some(theirs) = self.there.get(name).and_then(|blob| blob.locked_until) else { continue };
            let lock = theirs.min(self.lock.latest());
            if mine.locked_until.is_some_and(|known| lock.micros_since(known) > RENEWAL_MICROS) {
                wanted.push((name.clone(), lock));
            }
        }
        for (name, lock) in wanted {
            self.extend(&name, lock)?;
        }
        Ok(())
    }
}

pub(super) fn of_mirror(error: VaultError) -> MirrorError {
    match error {
        VaultError::Store(error) => MirrorError::Mirror(error),
        VaultError::Manifest(error) => MirrorError::Manifest(error),
        other => MirrorError::Mirror(BlobError::Unavailable {
            operation: "read",
            name: other.object().unwrap_or_default(),
            source: std::io::Error::other(other),
        }),
    }
}
