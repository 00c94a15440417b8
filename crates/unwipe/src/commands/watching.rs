//! Watching while something captures.

use std::{collections::BTreeMap, sync::Arc};

use connect::Urge;
use model::SourceName;
use service::{Installation, WatchError, watching::Watch};

use crate::{
    connectors::containment::watched,
    context::{Context, environment},
    failure::Failure,
};

/// How each capture is asked to make haste.
pub(crate) type Urges = BTreeMap<SourceName, Urge>;

/// Does something with an installation whose captures are watched. Where another process watches already, it is done
/// without, and said so.
pub(crate) fn while_watched<T>(
    context: &Context,
    installation: Installation,
    body: impl FnOnce(&Installation, &Urges) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut watched = watched(context, &installation)?;
    let urges: Urges =
        installation.config().sources.keys().map(|source| (source.clone(), Urge::default())).collect();
    watched.urges = urges.clone();
    let output = context.output;
    let tell = Arc::new(move |line: String| output.say(format!("watch: {line}")));
    match Watch::start(&installation, &environment, watched, tell) {
        Ok(watch) => {
            let installation = installation.observed_by(watch.observer());
            let result = body(&installation, &urges);
            // The session, which holds the observer, is gone; the watch ends with what it was told.
            drop(installation);
            drop(watch);
            result
        }
        Err(WatchError::Busy) => {
            output.say("another process watches this installation; what this one captures is not watched (unwipe serve captures and watches all sources)");
            body(&installation, &urges)
        }
        Err(error) => Err(error.into()),
    }
}
