//! The keys of an installation's vault: drills, and when they were.

use std::path::Path;

use model::{Moment, SourceName};
use ports::Random;
use serde::{Deserialize, Serialize};
use vault::{Change, RestoreKey, VaultError, VaultReader, keys::Share};

use crate::{Secrets, ServiceError};

/// The result of a key drill, as the operation log keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyDrill {
    /// When it was.
    pub at: Moment,
    /// The public half of the identity that opened the vault.
    pub recipient: String,
    /// How many shares it was put together from, if any.
    pub shares: Option<usize>,
    /// How many commits were opened.
    pub commits: u64,
    /// How many contents were read back whole, digest checked.
    pub contents: u64,
    /// How many bytes those were.
    pub bytes: u64,
}

const SHARES: &str = "shares:";

/// Resolves a reference to a key that opens the vault; `shares:FILE,FILE` puts it together from pages.
pub fn resolve(reference: &str, secrets: &Secrets<'_>) -> Result<(RestoreKey, Option<usize>), ServiceError> {
    let Some(files) = reference.strip_prefix(SHARES) else {
        return Ok((RestoreKey::parse(secrets.resolve(reference)?.expose())?, None));
    };
    let mut shares = Vec::new();
    for file in files.split(',') {
        let path = Path::new(file);
        let share = Share::parse(secrets.resolve(&format!("file:{file}"))?.expose())
            .map_err(|source| ServiceError::ShareFile { path: path.to_owned(), source })?;
        shares.push(share);
    }
    Ok((Share::combine(&shares)?, Some(shares.len())))
}

/// Reads samples of every source's history back, the first and the newest commit among them.
pub fn prove(
    reader: &VaultReader,
    samples: u64,
    at: Moment,
    random: &dyn Random,
) -> Result<KeyDrill, ServiceError> {
    let mut drill =
        KeyDrill { at, recipient: String::new(), shares: None, commits: 0, contents: 0, bytes: 0 };
    for source in reader.vault().sources()? {
        let last = reader.vault().last_sequence(&source)?;
        let mut sequences: Vec<u64> =
            (0..samples.saturating_sub(2)).map(|_| 1 + below(random, last)).collect();
        sequences.extend([1, last]);
        sequences.sort_unstable();
        sequences.dedup();
        for sequence in sequences.into_iter().filter(|sequence| (1..=last).contains(sequence)) {
            prove_commit(reader, &source, sequence, &mut drill, random)?;
        }
    }
    Ok(drill)
}

/// Contents of a commit that are read back whole.
const CONTENTS_MAX: usize = 16;
/// A larger content is proven by its beginning and its end: every frame is authenticated by itself.
const WHOLE_BYTES_MAX: u64 = 64 << 20;

fn prove_commit(
    reader: &VaultReader,
    source: &SourceName,
    sequence: u64,
    drill: &mut KeyDrill,
    random: &dyn Random,
) -> Result<(), VaultError> {
    let commit = reader.vault().commit(source, sequence)?;
    // One in the reservoir for each of the few places: every content is equally likely to be read.
    let (mut chosen, mut seen) = (Vec::new(), 0_u64);
    reader.for_each_block(&commit, |block| {
        for change in block.changes {
            let Change::Upsert { content, .. } = change else { continue };
            seen += 1;
            if chosen.len() < CONTENTS_MAX {
                chosen.push(content);
            } else if let Some(place) = chosen.get_mut(below(random, seen) as usize) {
                *place = content;
            }
        }
        Ok(())
    })?;
    drill.commits += 1;
    for content in chosen {
        if content.length <= WHOLE_BYTES_MAX {
            drill.bytes += reader.read_all(&content)?.len() as u64;
            drill.contents += 1;
        } else {
            let part = 1 << 20;
            drill.bytes += reader.read_range(&content, 0, part)?.len() as u64;
            drill.bytes += reader.read_range(&content, content.length - part, part)?.len() as u64;
        }
    }
    Ok(())
}

fn below(random: &dyn Random, limit: u64) -> u64 {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    u64::from_le_bytes(bytes) % limit.max(1)
}
