//! Folder trees: settings from the configuration, the reader, and what is stored at a moment.

use std::{path::PathBuf, time::Duration};

use connect::{Finding, ReadError, StoredError};
use model::{SourceName, StreamName};
use serde::{Deserialize, Serialize};
use service::{Installation, StoredSource, config::SourceConfig};
use source_files::{CHECKPOINT_CHANGES, FilesReader, FilesSettings, Pattern};

use crate::{
    arguments::Reading,
    connectors::selector::{Selector, commit_of},
    context::Context,
    exit::Exit,
    failure::Failure,
    output::counted,
};

/// The kind of source that this connector protects, as the configuration names it.
pub(crate) const KIND: &str = "files";

/// What the configuration says about one folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilesConfig {
    /// The folder.
    pub(crate) path: PathBuf,
    /// Patterns of what is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) exclude: Vec<String>,
    /// The pause between two walks of a capture that goes on.
    #[serde(default = "default_every_s")]
    pub(crate) every_s: u64,
}

const fn default_every_s() -> u64 {
    300
}

impl FilesConfig {
    /// Reads the settings of a source; `None` when it is of another kind.
    pub(crate) fn of(name: &SourceName, source: &SourceConfig) -> Result<Option<Self>, Failure> {
        if source.kind != KIND {
            return Ok(None);
        }
        source.settings.clone().try_into().map(Some).map_err(|error: toml::de::Error| {
            Failure::because(Exit::Usage, format!("the settings of source {name} are not valid"), error)
        })
    }

    /// Returns the source's configuration.
    pub(crate) fn to_source(&self) -> Result<SourceConfig, Failure> {
        let settings = toml::Table::try_from(self)
            .map_err(|error| Failure::because(Exit::Failed, "the settings cannot be written", error))?;
        Ok(SourceConfig { kind: KIND.to_owned(), settings })
    }

    /// Finds out whether the folder can be read.
    pub(crate) fn check(&self) -> Finding {
        let subject = "the folder can be read";
        match FilesReader::check(&self.path) {
            Ok(entries) => Finding::good(
                subject,
                format!("{}: {} at its top", self.path.display(), counted(entries, "entry")),
            ),
            Err(error) => Finding::bad(subject, error.to_string(), format!("ls -ld {}", self.path.display())),
        }
    }

    /// Makes the reader; one that is not to end after one walk goes on until it is stopped.
    pub(crate) fn reader(
        &self,
        context: &Context,
        installation: &Installation,
        name: &SourceName,
        once: bool,
    ) -> Result<FilesReader, Failure> {
        let mut own_folders = vec![installation.home().to_owned()];
        own_folders.extend(installation.config().vault.place.folder(installation.home()));
        let settings = FilesSettings {
            root: self.path.clone(),
            excludes: self.exclude.iter().map(|text| Pattern::new(text)).collect(),
            own_folders,
            state_folder: installation.state_folder(name).join("listings"),
            checkpoint_changes: CHECKPOINT_CHANGES,
            clock: context.clock(),
            random: std::sync::Arc::clone(&context.ports.random),
        };
        let stream = stream()?;
        let catalog = installation.catalog(name)?;
        let known = move |after: Option<&str>, limit: u32| {
            let page = catalog.listed_at(&stream, u64::MAX, after, limit);
            page.map(|page| page.into_iter().map(|(item, _)| item.key).collect()).map_err(|error| {
                ReadError::Source {
                    message: "the catalog cannot tell what was stored".to_owned(),
                    hint: error.hint(),
                    transient: false,
                    source: Some(Box::new(error)),
                }
            })
        };
        let reader = FilesReader::new(settings).with_known_keys(Box::new(known));
        Ok(if once { reader } else { reader.every(Duration::from_secs(self.every_s)) })
    }
}

/// Returns the stream of a tree's entries.
pub(crate) fn stream() -> Result<StreamName, Failure> {
    source_files::stream().map_err(|error| Failure::because(Exit::Failed, "no such stream", error))
}

/// A tree as it was at a moment.
pub(crate) struct StoredTree {
    pub(crate) name: SourceName,
    pub(crate) stream: StreamName,
    pub(crate) stored: StoredSource,
    /// The commit that the moment means.
    pub(crate) at: u64,
}

/// Opens what a person named, if it is a folder's.
pub(crate) fn open(
    context: &Context,
    installation: &Installation,
    what: &str,
    reading: &Reading,
) -> Result<Option<StoredTree>, Failure> {
    let Selector { source, moment, .. } = Selector::of(what);
    let (name, config) = installation.config().source(source)?;
    if config.kind != KIND {
        return Ok(None);
    }
    let stored = context.stored(installation, &name, reading)?;
    let at = commit_of(&stored, name.as_str(), moment)?;
    Ok(Some(StoredTree { name, stream: stream()?, stored, at }))
}

pub(crate) fn failed(error: StoredError, what: &str) -> Failure {
    let exit = if matches!(error, StoredError::Damaged { .. }) { Exit::Tampering } else { Exit::Failed };
    Failure::because(exit, what.to_owned(), error)
}
