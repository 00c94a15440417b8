//! Which stored items of each connector are superseded although no key repeats.

use std::collections::BTreeMap;

use model::{Completeness, Item, SourceName};
use service::Config;
use source_postgres::succession::BaseSuccession;
use vault::retention::Succession;

use super::postgres;

/// Asks the connector of each source; items of a source that is not configured any more are all needed.
pub(crate) struct StreamSuccession {
    clusters: BTreeMap<SourceName, BaseSuccession>,
}

impl StreamSuccession {
    /// Begins for the sources of a configuration.
    pub(crate) fn of(config: &Config) -> Self {
        let clusters = config.sources.iter().filter(|(_, source)| source.kind == postgres::KIND);
        Self { clusters: clusters.map(|(name, _)| (name.clone(), BaseSuccession::default())).collect() }
    }
}

impl Succession for StreamSuccession {
    fn is_needed(&mut self, source: &SourceName, item: &Item, completeness: Completeness) -> bool {
        let complete = completeness == Completeness::Complete;
        self.clusters.get_mut(source).is_none_or(|cluster| {
            cluster.is_needed(item.stream.as_str(), &item.key, &item.attributes, complete)
        })
    }
}
