//! Who can stop somebody in which source, and what each source counts.

use service::{Installation, Secrets, watching::Watched};
use watch::SourceKind;

use crate::{
    connectors::{
        google::GoogleConfig,
        postgres::{self, PostgresConfig},
    },
    context::{Context, environment},
    failure::Failure,
};

/// Gathers what the watch needs to know of every configured source.
pub(crate) fn watched(context: &Context, installation: &Installation) -> Result<Watched, Failure> {
    let mut watched = Watched::default();
    let secrets = Secrets::new(installation.home(), &environment);
    for (name, source) in &installation.config().sources {
        if source.kind == postgres::KIND {
            watched.kinds.insert(name.clone(), SourceKind::Rows);
            if let Some(container) =
                PostgresConfig::of(name, source)?.container(name, &secrets, context.clock())?
            {
                watched.containers.insert(name.clone(), Box::new(container));
            }
        } else {
            watched.kinds.insert(name.clone(), SourceKind::Items);
        }
    }
    Ok(watched)
}
