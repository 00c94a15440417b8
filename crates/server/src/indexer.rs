//! Keeps catalogs and the index of words up to date, behind everything else.

use std::{sync::Arc, time::Duration};

use connect::Stop;

use crate::{background::Background, browsing, site::Site};

/// How long it rests between looks.
const REST: Duration = Duration::from_secs(5);

/// Begins to read what is new, so that searches find it.
pub(crate) fn start(site: Arc<Site>) -> std::io::Result<Background> {
    Background::start("index", site, REST, |site, stop| {
        // Before the first look at the installation nobody knows what is new.
        if site.overview().is_some() {
            look(site, stop);
        }
    })
}

/// Reads what is new of every source. A source whose newest commit is in the index already costs nothing.
pub(crate) fn look(site: &Site, stop: &Stop) {
    // Where the sources cannot be known, the pages say why.
    let Ok(browse) = browsing::browse(site) else { return };
    let overview = site.overview();
    for source in browse.sources() {
        let newest = overview.as_ref().and_then(|overview| {
            overview.sources.iter().find(|known| known.name == source).map(|known| known.commits)
        });
        let is_new = newest.is_none_or(|newest| {
            !site.browsing.is_at(&source, newest) && site.browsing.is_for_us(site, &source, newest)
        });
        if is_new && !stop.is_requested() {
            site.browsing.refresh(site, &source, stop);
        }
    }
}
