//! Looks every second whether an incident has changed, tells pages that are open, and sees that what was being applied
//! when a process ended is gone on with.

use std::{sync::Arc, time::Duration};

use crate::{
    background::Background,
    resume,
    site::{Happening, Site},
};

/// How long it rests between looks.
const REST: Duration = Duration::from_secs(1);

/// Begins to look.
pub(crate) fn start(site: Arc<Site>) -> std::io::Result<Background> {
    Background::start("incidents", site, REST, |site, _| {
        look(site);
        resume::go_on(site);
    })
}

/// Looks once. What cannot be read now is looked for again; the pages themselves say what is wrong with it.
pub(crate) fn look(site: &Site) {
    for id in site.incidents.look().unwrap_or_default() {
        site.happenings.send(Happening::Incident(id)).ok();
    }
}
