//! What is stored, open to be looked at; and how far the index of words is.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::http::StatusCode;
use connect::{Silent, Stop};
use model::{Moment, SourceName};
use service::browse::{Browse, BrowseError, Freshness, Shelf};
use tokio::sync::Semaphore;

use crate::{baskets::Baskets, problem::Problem, site::Site};

/// So many contents are sent at a time: each holds a thread for as long as its reader takes.
const DOWNLOADS_MAX: usize = 4;

/// What pages that show contents share.
pub(crate) struct Browsing {
    opened: Shelf,
    indexed: Mutex<BTreeMap<SourceName, Indexed>>,
    /// Where each catalog stood at the look before.
    stood: Mutex<BTreeMap<SourceName, u64>>,
    /// What people have put aside to be brought back.
    pub(crate) baskets: Baskets,
    /// Room for contents that are being sent.
    pub(crate) downloads: Arc<Semaphore>,
}

/// How far the index of a source is.
#[derive(Debug, Clone)]
pub(crate) struct Indexed {
    /// How far it is; nothing when it never came to be.
    pub(crate) freshness: Option<Freshness>,
    /// When that was found out.
    pub(crate) at: Moment,
    /// Why it went no further.
    pub(crate) error: Option<String>,
}

impl Browsing {
    pub(crate) fn new() -> Self {
        Self {
            opened: Shelf::default(),
            indexed: Mutex::new(BTreeMap::new()),
            stood: Mutex::new(BTreeMap::new()),
            baskets: Baskets::default(),
            downloads: Arc::new(Semaphore::new(DOWNLOADS_MAX)),
        }
    }

    /// Returns how far the index of each source is.
    pub(crate) fn indexed(&self) -> BTreeMap<SourceName, Indexed> {
        self.indexed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Brings the catalog and the index of a source up to date, and notes how far they are.
    pub(crate) fn refresh(&self, site: &Site, source: &SourceName, stop: &Stop) {
        let refreshed = browse(site)
            .map_err(|problem| problem.title)
            .and_then(|browse| browse.refresh(source, stop, &Silent).map_err(|error| chain(&error)));
        let mut indexed = self.indexed.lock().unwrap_or_else(PoisonError::into_inner);
        let before = indexed.get(source).and_then(|known| known.freshness);
        let (freshness, error) = match refreshed {
            Ok(freshness) => (Some(freshness), None),
            Err(error) => (before, Some(error)),
        };
        indexed.insert(source.clone(), Indexed { freshness, at: site.now(), error });
    }

    /// Returns whether a catalog is not being brought to a commit by somebody else.
    ///
    /// A capture writes what it commits into the catalog itself, and must not wait for us meanwhile. Only a catalog that
    /// stands where it stood at the look before is nobody's work.
    pub(crate) fn is_for_us(&self, site: &Site, source: &SourceName, newest: u64) -> bool {
        let known = site.installation().and_then(|installation| {
            let catalog = installation.catalog(source)?;
            Ok(catalog.last_sequence()?)
        });
        // Whatever is wrong with it is found out, and told, where it is read.
        let Ok(known) = known else { return true };
        let mut stood = self.stood.lock().unwrap_or_else(PoisonError::into_inner);
        let before = stood.insert(source.clone(), known);
        known >= newest || before == Some(known)
    }

    /// Returns whether the index knows all up to a commit.
    pub(crate) fn is_at(&self, source: &SourceName, commit: u64) -> bool {
        let indexed = self.indexed.lock().unwrap_or_else(PoisonError::into_inner);
        indexed.get(source).is_some_and(|known| {
            known.error.is_none()
                && known.freshness.is_some_and(|fresh| fresh.is_indexed && fresh.commit >= commit)
        })
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Opens what is stored, as the configuration is now.
pub(crate) fn browse(site: &Site) -> Result<Arc<Browse>, Problem> {
    let open = || Ok(Browse::of(site.installation()?, None, site.environment)?);
    site.browsing.opened.current(&site.home, open)
}

impl From<BrowseError> for Problem {
    fn from(error: BrowseError) -> Self {
        use BrowseError as E;
        let status = match &error {
            E::UnknownSource { .. }
            | E::NoCatalog { .. }
            | E::NothingYet { .. }
            | E::NotThere
            | E::NoContent => StatusCode::NOT_FOUND,
            E::NoMoment { .. } | E::Cursor => StatusCode::UNPROCESSABLE_ENTITY,
            E::NoRestoreKey => StatusCode::SERVICE_UNAVAILABLE,
            E::Catalog(_) | E::Vault(_) | E::Refresh(_) | E::Write(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let hint = error.hint();
        Self::of(status, &error).hint(hint)
    }
}
