use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use ports::{BlobError, BlobName, Clock, LapsedBlobs, LapsedProof, files};

use super::{answer, claim, lock_date, record_path};
use crate::protection;

/// Removes lapsed objects from a folder. It belongs into a process of its own, with rights that nothing else has.
pub struct LocalReaper {
    root: PathBuf,
    clock: Arc<dyn Clock>,
}

impl LocalReaper {
    /// Makes a reaper of a vault's folder; a lock that has not lapsed by this clock is never touched.
    pub fn new(root: &Path, clock: Arc<dyn Clock>) -> Self {
        Self { root: root.to_owned(), clock }
    }

    fn remove(&self, name: &BlobName) -> Result<(), BlobError> {
        let failed = |error| answer("reap", name, error);
        let path = self.root.join(name.as_str());
        // From here on no lock can be extended: who extends first wins, who comes later finds the object gone.
        let _alone = claim(&path).map_err(failed)?;
        if lock_date(&path).is_none_or(|lock| lock > self.clock.now()) {
            let source = io::Error::new(io::ErrorKind::PermissionDenied, "the object is locked");
            return Err(BlobError::Refused { name: name.clone(), source });
        }
        if protection::is_immutable(&path) {
            protection::set_immutable(&path, false)
                .map_err(|error| BlobError::Refused { name: name.clone(), source: error.source })?;
        }
        fs::remove_file(&path).map_err(failed)?;
        let record = record_path(&path);
        if record.exists() {
            fs::remove_file(&record).map_err(failed)?;
        }
        path.parent().map_or(Ok(()), files::sync_folder).map_err(|error| failed(error.source))
    }
}

impl<P: LapsedProof> LapsedBlobs<P> for LocalReaper {
    fn reap(&self, proof: P) -> Result<(), BlobError> {
        self.remove(proof.name())
    }
}
