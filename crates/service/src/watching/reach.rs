//! How many items there are, as the catalogs know it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use model::SourceName;
use watch::Reach;

use crate::{Installation, ServiceError};

/// Live items by source and scope. Clones share what was counted; whoever has time counts again.
#[derive(Debug, Clone, Default)]
pub(super) struct Counted(Arc<Mutex<BTreeMap<(SourceName, String), u64>>>);

impl Counted {
    /// Counts again. It reads whole catalogs, so it is never done where somebody waits.
    pub(super) fn count(&self, installation: &Installation) -> Result<(), ServiceError> {
        let mut counts = BTreeMap::new();
        for source in installation.config().sources.keys() {
            let catalog = installation.catalog(source)?;
            let newest = catalog.last_sequence()?;
            for (stream, items) in catalog.counts_at(newest)? {
                // Streams are named after what they hold and whose it is: `gmail/anna@acme.org`.
                let Some((_, scope)) = stream.split_once('/') else { continue };
                *counts.entry((source.clone(), scope.to_owned())).or_default() += items;
            }
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = counts;
        Ok(())
    }
}

impl Reach for Counted {
    fn items(&self, source: &SourceName, scope: &str) -> Option<u64> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(&(source.clone(), scope.to_owned())).copied()
    }
}
