//! What the origin lost or changed since it was copied.

use ports::BlobName;

use super::{MirrorError, MirrorProblem, bytes_max, pull::Pull};
use crate::names;

impl Pull<'_> {
    /// Compares the origin's listing with what the mirror has.
    pub(super) fn check_origin(&mut self) -> Result<(), MirrorError> {
        let mine: Vec<BlobName> = self.here.keys().cloned().collect();
        for name in mine {
            if self.is_stopped() {
                return Ok(());
            }
            self.check_object(&name)?;
        }
        for name in self.there.keys().filter(|name| bytes_max(name).is_none()) {
            let detail = "no vault writes an object of this name; it is not copied";
            self.report.find(name.as_str(), MirrorProblem::Foreign, detail);
        }
        for foreign in self.pair.origin.foreign("").map_err(MirrorError::Origin)? {
            let detail = format!("{}: {}", foreign.what, foreign.detail);
            self.report.find(foreign.name, MirrorProblem::Foreign, detail);
        }
        Ok(())
    }

    fn check_object(&mut self, name: &BlobName) -> Result<(), MirrorError> {
        let Some(mine) = self.here.get(name).cloned() else { return Ok(()) };
        let Some(theirs) = self.there.get(name).cloned() else {
            // What the origin may have reaped by its rules is over by the mirror's own as well.
            let reaped = names::parse_pack(name).is_some_and(|id| self.reaped.contains(&id));
            if reaped || mine.locked_until.is_some_and(|lock| lock <= self.lock.now) {
                self.report.lapsed_objects += 1;
            } else if name.as_str() != names::MANIFEST {
                self.report.find(name.as_str(), MirrorProblem::Missing, "the mirror has it");
            }
            return Ok(());
        };
        let Some(id) = names::parse_pack(name) else { return Ok(()) };
        if mine.size_bytes != theirs.size_bytes {
            let detail = format!("{} bytes, and {} in the mirror", theirs.size_bytes, mine.size_bytes);
            self.report.find(name.as_str(), MirrorProblem::Altered, detail);
        } else if self.options.thorough
            && let Some(bytes) = self.fetch(name, theirs.size_bytes)?
            && blake3::hash(&bytes).as_bytes() != &id.0
        {
            self.report.find(name.as_str(), MirrorProblem::Altered, "its bytes do not hash to its name");
        }
        Ok(())
    }
}
