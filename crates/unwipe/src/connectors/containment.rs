//! Who can stop somebody in which source, and what each source counts.

use connect::Stop;
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
            let guard = PostgresConfig::of(name, source)?.guard(&secrets, &context.clock())?;
            if let Some((container, pulse)) = guard {
                watched.containers.insert(name.clone(), Box::new(container));
                watched.company.push(Box::new(pulse));
            }
            continue;
        }
        watched.kinds.insert(name.clone(), SourceKind::Items);
        if let Some(google) = GoogleConfig::of(name, source)?
            && let Some(container) = google.container(context, &secrets, &Stop::default())?
        {
            watched.containers.insert(name.clone(), Box::new(container));
        }
    }
    Ok(watched)
}
