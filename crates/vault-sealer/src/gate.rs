//! The gate through which only what retention has let go passes.

use std::{path::PathBuf, sync::Arc};

use blobs::{LocalStore, Protection};
use model::Moment;
use ports::{BlobName, BlobStore};
use vault::{Vault, retention::RetentionLog};

use crate::floor::{ReapGate, Refusal};

/// Agrees once the owner has signed, in the vault's log of retention, that a pack was released and is about to go.
///
/// The sealer holds no key and cannot see what live versions need; that is the reaper's part. Whoever took over the vault's
/// user can therefore have nothing removed without the restore key, and even with it nothing before its lock has lapsed.
pub struct RetentionGate {
    vault: PathBuf,
}

impl RetentionGate {
    /// Reads the log of retention in this folder, anew each time.
    pub const fn new(vault: PathBuf) -> Self {
        Self { vault }
    }

    fn log(&self) -> Result<RetentionLog, Refusal> {
        let refusal = |reason: String| Refusal { reason };
        let store = LocalStore::open(&self.vault, Protection::Plain).map_err(|e| refusal(e.to_string()))?;
        let store: Arc<dyn BlobStore> = Arc::new(store);
        let vault = Vault::open(store).map_err(|e| refusal(e.to_string()))?;
        RetentionLog::read(&vault).map_err(|e| refusal(e.to_string()))
    }
}

impl ReapGate for RetentionGate {
    fn may_reap(&self, name: &BlobName, _: Moment) -> Result<(), Refusal> {
        let refuse = |reason: &str| Err(Refusal { reason: reason.to_owned() });
        let pack = name.as_str().rsplit_once('/').and_then(|(_, id)| id.parse().ok());
        let Some(pack) = pack.filter(|_| name.as_str().starts_with("data/")) else {
            return refuse("only packs are ever removed");
        };
        let log = self.log()?;
        if log.is_broken() {
            return refuse("entries of the log of retention are missing");
        }
        if log.released().contains_key(&pack) && log.reaped().contains(&pack) {
            Ok(())
        } else {
            refuse("the owner has not signed that it may go")
        }
    }
}
