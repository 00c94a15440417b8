//! What is stored, to look at: streams, folders, items, versions, what differs, words, what was removed.
//!
//! Everything here answers from the catalogs as they are. Bringing them up to date takes long at times; that is
//! [`Browse::refresh`], which a thread in the background calls.

mod cursor;
mod fresh;
mod items;
mod pages;
mod past;
mod pool;
mod shelf;
mod types;
mod words;

use std::{path::PathBuf, sync::Arc};

use catalog::{Catalog, CatalogError};
use model::{Moment, SourceName, StreamName};
use vault::{VaultError, VaultReader};

use self::pool::{Opened, Pool};
pub use self::shelf::Shelf;
pub use self::types::{
    At, Compared, Crumb, Deleted, DeletedItem, Entry, Freshness, Hit, ItemView, Listing, PageWish, Past,
    SearchWish, Searched, Stand, StreamEntry, Streams, Versions,
};
use crate::{Installation, ServiceError, secret::Environment};

/// Why something cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum BrowseError {
    /// No such source is configured.
    #[error("there is no source {name}")]
    UnknownSource {
        /// The name asked for.
        name: SourceName,
    },
    /// Nothing was captured of the source yet, or its catalog is being made anew.
    #[error("nothing of source {name} can be shown yet")]
    NoCatalog {
        /// The source.
        name: SourceName,
    },
    /// The text is no moment.
    #[error(
        "{text:?} is no moment: give `latest`, a commit's number, or a time such as 2026-04-25T14:00:09Z"
    )]
    NoMoment {
        /// The text.
        text: String,
    },
    /// Nothing was stored yet at that moment, or the commit does not exist.
    #[error("source {source_name} has nothing stored at that moment")]
    NothingYet {
        /// The source.
        source_name: SourceName,
        /// The first moment of which something is stored.
        first: Option<Moment>,
    },
    /// There was no such item at that moment.
    #[error("there was no such item at that moment")]
    NotThere,
    /// The item was there, and its content could not be read from the source.
    #[error("the item was there, but the source did not let its content be read")]
    NoContent,
    /// A page's place in the list is not one that was handed out.
    #[error("this page does not exist")]
    Cursor,
    /// Showing contents takes the restore key, and none is configured here.
    #[error("showing what is in an item needs the restore key")]
    NoRestoreKey,
    /// The catalog failed.
    #[error("the catalog failed")]
    Catalog(#[from] CatalogError),
    /// The vault cannot be read.
    #[error("the vault cannot be read")]
    Vault(#[from] VaultError),
    /// The catalog cannot be brought up to date.
    #[error("the catalog cannot be brought up to date")]
    Refresh(#[source] Box<ServiceError>),
    /// Where the content was to go failed.
    #[error("the content cannot be handed on")]
    Write(#[source] std::io::Error),
}

impl BrowseError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownSource { .. } => Some("unwipe sources".to_owned()),
            Self::NoCatalog { name } => Some(format!("unwipe capture {name} --once")),
            Self::NoRestoreKey => Some("set restore.key in unwipe.toml".to_owned()),
            Self::NothingYet { first: Some(first), .. } => Some(format!("choose a moment from {first} on")),
            Self::Catalog(error) => error.hint(),
            Self::Vault(error) => error.hint(),
            Self::Refresh(error) => error.hint(),
            _ => None,
        }
    }
}

/// Looks into what is stored. Cheap to share: all of its methods may be called by many threads at once.
pub struct Browse {
    installation: Installation,
    reader: Option<Arc<VaultReader>>,
    pool: Pool,
}

impl Browse {
    /// Makes one for an installation. Without a reader of the vault, which takes the restore key, lists and searches
    /// work, and contents cannot be shown.
    pub fn new(installation: Installation, reader: Option<Arc<VaultReader>>) -> Self {
        Self { installation, reader, pool: Pool::default() }
    }

    /// Opens what an installation holds, with its own restore key or another one by reference. Where there is none, lists
    /// and searches work all the same.
    pub fn of(
        installation: Installation,
        reference: Option<&str>,
        environment: Environment<'_>,
    ) -> Result<Self, ServiceError> {
        let reader = match installation.reader(reference, environment) {
            Ok(reader) => Some(Arc::new(reader)),
            Err(ServiceError::NoRestoreKey) => None,
            Err(error) => return Err(error),
        };
        Ok(Self::new(installation, reader))
    }

    /// Returns the kind of a source's connector.
    pub fn kind(&self, source: &SourceName) -> Result<&str, BrowseError> {
        let known = self.installation.config().sources.get(source);
        known
            .map(|config| config.kind.as_str())
            .ok_or_else(|| BrowseError::UnknownSource { name: source.clone() })
    }

    /// Returns the names of all sources.
    pub fn sources(&self) -> Vec<SourceName> {
        self.installation.config().sources.keys().cloned().collect()
    }

    fn vault_reader(&self) -> Result<&VaultReader, BrowseError> {
        self.reader.as_deref().ok_or(BrowseError::NoRestoreKey)
    }

    fn catalog_path(&self, source: &SourceName) -> PathBuf {
        self.installation.catalog_path(source)
    }

    /// Asks a source's catalog and index.
    fn ask<T>(
        &self,
        source: &SourceName,
        question: impl FnOnce(&Opened, &str) -> Result<T, BrowseError>,
    ) -> Result<T, BrowseError> {
        let kind = self.kind(source)?;
        self.pool.ask(source, &self.catalog_path(source), |opened| question(opened, kind))
    }
}

/// Finds the commit that a moment means.
fn stand(catalog: &Catalog, source: &SourceName, at: At) -> Result<Stand, BrowseError> {
    let newest = catalog.last_sequence()?;
    let nothing = || {
        let first = catalog.time_of(1).ok().flatten();
        BrowseError::NothingYet { source_name: source.clone(), first }
    };
    let commit = match at {
        At::Latest => newest,
        At::Commit(commit) if commit <= newest => commit,
        At::Commit(_) => return Err(nothing()),
        At::Moment(moment) => catalog.commit_at(moment)?.ok_or_else(nothing)?,
    };
    Ok(Stand { commit, at: catalog.time_of(commit)? })
}

/// What is indexed and shown of an item, by the kind of its source.
fn describe(kind: &str, stream: &str, key: &str, attributes: &str) -> Option<catalog::search::Described> {
    let summary = render::summary(kind, stream, key, attributes);
    (summary.kind != render::Kind::Internal).then_some(catalog::search::Described {
        title: summary.title,
        people: summary.people,
        folder: summary.folder,
    })
}

/// Returns whether the folders of a stream are told by attributes, and not by keys.
fn has_folders_by_id(stream: &StreamName) -> bool {
    stream.as_str().starts_with("drive/") || stream.as_str().starts_with("shared-drive/")
}

#[cfg(test)]
mod tests;
