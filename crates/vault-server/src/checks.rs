//! Whether bytes are what their name says. Nothing is taken on trust, and nothing is decompressed.

use model::{Moment, SourceName};
use vault::{
    Commit, Manifest, PackId, VaultId,
    keys::KeyState,
    log::CommitError,
    object,
    pack::PackError,
    retention::{Record, RecordError},
    tree::HeadError,
};

use crate::policy::{AHEAD_MICROS, BEHIND_MICROS};

/// Why content is refused.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// It is not as long as was said.
    #[error("{found} bytes came, {announced} were announced")]
    Length {
        /// What was announced.
        announced: u64,
        /// What came.
        found: u64,
    },
    /// A pack's bytes do not hash to its name.
    #[error("the bytes do not hash to the pack's name")]
    Digest,
    /// It is no pack of this vault.
    #[error("the bytes are no pack of this vault")]
    Pack,
    /// It is no commit of this vault, or not the next one.
    #[error("the commit is refused: {0}")]
    Commit(#[from] CommitError),
    /// Its time is not near the server's.
    #[error("the commit's time is {found}, but it is {now}: set the clock of the capturing host")]
    Time {
        /// The commit's time.
        found: Moment,
        /// The server's.
        now: Moment,
    },
    /// It wants to be kept for longer than the server grants.
    #[error("the commit wants to be kept until {until}; this server grants locks up to {limit}")]
    Term {
        /// What it wants.
        until: Moment,
        /// What is granted.
        limit: Moment,
    },
    /// It would keep the source's commits for less long than before.
    #[error("the commit is kept for {found} days; this source's are kept for {least}")]
    Shrunken {
        /// The days it says.
        found: u32,
        /// The days in force.
        least: u32,
    },
    /// It names a pack that is not there, or has another size.
    #[error("the commit names pack {id}, which is not there in this size")]
    MissingPack {
        /// The pack.
        id: PackId,
    },
    /// It is no entry of the log of retention, or one that this client may not make.
    #[error("the entry is refused: {0}")]
    Retention(#[from] RecordError),
    /// It is no head that continues the last one.
    #[error("the head is refused: {0}")]
    Head(#[from] HeadError),
    /// It is not the next head.
    #[error("the next head is number {next}, not {found}")]
    HeadNumber {
        /// The number it has.
        found: u64,
        /// The number that is next.
        next: u64,
    },
    /// An object of this kind is never so large.
    #[error("an object of this kind has at most {limit} bytes")]
    Size {
        /// The limit.
        limit: u64,
    },
}

/// The largest head or proof: a head of 16,384 commits has less than 2 MiB.
pub(crate) const SMALL_BYTES_MAX: u64 = 2 << 20;

/// Checks that a pack is one of this vault and has its name by right.
pub(crate) fn pack(id: &PackId, content: &[u8], manifest: &Manifest) -> Result<(), ContentError> {
    object::check_pack(id, content, manifest.vault).map_err(|error| match error {
        PackError::Digest => ContentError::Digest,
        _ => ContentError::Pack,
    })
}

/// Checks that an entry of the log of retention is signed by somebody who may state it: a source that captures may hold
/// what is its own, the owner may state everything.
pub(crate) fn retention_entry(
    number: u64,
    content: &[u8],
    vault: VaultId,
    keys: &KeyState,
    own: Option<&SourceName>,
) -> Result<(), ContentError> {
    let (record, _) = Record::parse(content, vault, number)?;
    let allowed = match own {
        Some(own) => record.is_hold_of(own, keys),
        None => record.is_owners(keys),
    };
    if allowed { Ok(()) } else { Err(RecordError::Signer.into()) }
}

/// Checks what a commit says of time: it must be near the server's, and keep nothing for longer than is granted.
pub(crate) fn commit_time(commit: &Commit, now: Moment, limit: Moment) -> Result<(), ContentError> {
    let found = commit.envelope.vault_time;
    if found > now.plus_micros(AHEAD_MICROS) || found < now.plus_micros(-BEHIND_MICROS) {
        return Err(ContentError::Time { found, now });
    }
    let retained = vault::retention::retained_until(found, commit.envelope.retention_days);
    let until = commit.envelope.locked_until.max(retained);
    if until > limit { Err(ContentError::Term { until, limit }) } else { Ok(()) }
}

/// Checks that the retention of a source does not shrink: below the vault's, or below that of the commit before.
pub(crate) fn retention(
    commit: &Commit,
    previous: Option<&Commit>,
    manifest: &Manifest,
) -> Result<(), ContentError> {
    let before = previous.map_or(0, |previous| previous.envelope.retention_days);
    let (found, least) = (commit.envelope.retention_days, before.max(manifest.lock_days));
    if found < least { Err(ContentError::Shrunken { found, least }) } else { Ok(()) }
}
