//! Where the vault and its mirrors lie.

use isolation::hosts::{Machine, host_of};
use service::{Installation, Place};

use super::hosts;

/// A place of the vault's.
pub(super) struct VaultPlace<'a> {
    /// `the vault`, `mirror second`.
    pub(super) label: String,
    pub(super) place: &'a Place,
}

/// Returns the vault's place, and those of its mirrors that are not kept unplugged.
pub(super) fn places(installation: &Installation) -> Vec<VaultPlace<'_>> {
    let config = installation.config();
    let vault = VaultPlace { label: "the vault".to_owned(), place: &config.vault.place };
    let mirrors = config.mirrors.iter().filter(|(_, mirror)| !mirror.offline);
    let mirrors =
        mirrors.map(|(name, mirror)| VaultPlace { label: format!("mirror {name}"), place: &mirror.place });
    std::iter::once(vault).chain(mirrors).collect()
}

impl VaultPlace<'_> {
    /// Returns the machine that it is on.
    pub(super) fn machine(&self) -> Machine {
        match self.place {
            Place::Folder { .. } | Place::SealedFolder { .. } => Machine::here(&self.label),
            Place::Server { url, .. } => hosts::machine(&self.label, host_of(url).as_deref()),
            Place::S3(bucket) => hosts::machine(&self.label, host_of(&bucket.endpoint).as_deref()),
        }
    }

    /// Tells whether the place is meant to be on another machine.
    pub(super) const fn is_elsewhere(&self) -> bool {
        matches!(self.place, Place::Server { .. } | Place::S3(_))
    }
}
