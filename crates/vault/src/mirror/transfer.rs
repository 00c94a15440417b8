//! Copying packs with several threads; each must hash to its name before it is created.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use model::Moment;
use ports::{Blob, BlobError, BlobName};

use super::{MirrorError, MirrorProblem, pull::Pull};
use crate::{PackId, pack::PACK_BYTES_MAX};

/// A pack that some commit needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// Its size, where a commit says it.
    pub(super) size_bytes: Option<u64>,
    /// Its lock.
    pub(super) lock: Moment,
}

/// How one pack fared.
enum Fate {
    Copied { size_bytes: u64 },
    Present { size_bytes: u64 },
    NotRead(BlobError),
    Wrong { problem: MirrorProblem, detail: String },
    NotWritten(BlobError),
}

/// Packs on their way.
pub(super) struct Transfer<'a, 'b> {
    pull: &'a mut Pull<'b>,
}

impl<'a, 'b> Transfer<'a, 'b> {
    pub(super) fn new(pull: &'a mut Pull<'b>) -> Self {
        Self { pull }
    }

    /// Copies packs; those that cannot be had are among the differences afterwards.
    pub(super) fn run(self, packs: &[(PackId, BlobName, Wanted)]) -> Result<(), MirrorError> {
        let pull = self.pull;
        let (next, full) = (AtomicUsize::new(0), AtomicBool::new(false));
        let fates: Mutex<Vec<(usize, Fate)>> = Mutex::new(Vec::new());
        let threads = pull.options.threads.clamp(1, packs.len().max(1));
        let shared: &Pull<'_> = pull;
        let work = || {
            while !full.load(Ordering::SeqCst) && !shared.is_stopped() {
                let index = next.fetch_add(1, Ordering::SeqCst);
                let Some((id, name, wanted)) = packs.get(index) else { break };
                let fate = copy(shared, id, name, *wanted);
                full.fetch_or(matches!(fate, Fate::NotWritten(_)), Ordering::SeqCst);
                fates.lock().unwrap_or_else(PoisonError::into_inner).push((index, fate));
            }
        };
        if threads == 1 {
            work();
        } else {
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(work);
                }
            });
        }
        let mut fates = fates.into_inner().unwrap_or_else(PoisonError::into_inner);
        fates.sort_by_key(|(index, _)| *index);
        for (index, fate) in fates {
            let (_, name, wanted) = &packs[index];
            account(pull, name, *wanted, fate)?;
        }
        Ok(())
    }
}

fn copy(pull: &Pull<'_>, id: &PackId, name: &BlobName, wanted: Wanted) -> Fate {
    let Some(listed) = pull.there.get(name) else {
        let detail = "a commit names this pack, and it was never copied".to_owned();
        return Fate::Wrong { problem: MirrorProblem::Missing, detail };
    };
    if listed.size_bytes > PACK_BYTES_MAX || wanted.size_bytes.is_some_and(|size| size != listed.size_bytes) {
        let detail = format!("it has {} bytes", listed.size_bytes);
        return Fate::Wrong { problem: MirrorProblem::Altered, detail };
    }
    let bytes = match pull.pair.origin.read(name) {
        Ok(bytes) => bytes,
        Err(error) => return Fate::NotRead(error),
    };
    if blake3::hash(&bytes).as_bytes() != &id.0 {
        let detail = "its bytes do not hash to its name".to_owned();
        return Fate::Wrong { problem: MirrorProblem::Altered, detail };
    }
    let size_bytes = bytes.len() as u64;
    match pull.pair.mirror.create(name, &bytes, wanted.lock) {
        Ok(()) => Fate::Copied { size_bytes },
        // Another run of this mirror was faster; what it wrote must be the same.
        Err(BlobError::Exists { .. }) => match pull.pair.mirror.read(name) {
            Ok(theirs) if theirs == bytes => Fate::Present { size_bytes },
            Ok(_) => Fate::Wrong {
                problem: MirrorProblem::MirrorDamaged,
                detail: "its bytes do not hash to its name".to_owned(),
            },
            Err(error) => Fate::NotWritten(error),
        },
        Err(error) => Fate::NotWritten(error),
    }
}

fn account(pull: &mut Pull<'_>, name: &BlobName, wanted: Wanted, fate: Fate) -> Result<(), MirrorError> {
    let size_bytes = match fate {
        Fate::Copied { size_bytes } => {
            pull.report.copied_objects += 1;
            pull.report.copied_bytes += size_bytes;
            size_bytes
        }
        Fate::Present { size_bytes } => {
            pull.report.present_objects += 1;
            size_bytes
        }
        Fate::NotRead(error) => return pull.not_read(name, error),
        Fate::Wrong { problem, detail } => {
            pull.report.find(name.as_str(), problem, detail);
            return Ok(());
        }
        Fate::NotWritten(error) => return Err(MirrorError::Mirror(error)),
    };
    pull.report.verified_bytes += size_bytes;
    let blob = Blob { name: name.clone(), size_bytes, locked_until: Some(wanted.lock) };
    pull.here.insert(name.clone(), blob);
    pull.tell();
    Ok(())
}
