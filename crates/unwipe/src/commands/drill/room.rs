//! Where drills take place: one at a time, and what a killed one left is removed first.

use std::{fs::File, path::Path, time::Duration};

use drill::Swept;
use ports::files::{self, SCRATCH_MARK};
use service::Installation;

use crate::{context::Context, exit::Exit, failure::Failure};

/// What scratch folders of drills are called.
pub(super) const PREFIX: &str = "drill";
const CLAIM: &str = "drills.claim";
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// What scratch folders are called where it is said that they were taken away.
const FOLDERS: &str = "scratch folders";

/// Makes sure that no other drill is held. The claim lasts as long as the value.
pub(super) fn alone(installation: &Installation) -> Result<File, Failure> {
    let folder = installation.scratch_folder();
    files::create_folder(&folder)?;
    files::claim(&folder.join(CLAIM))?.ok_or_else(|| {
        Failure::new(Exit::Failed, "another drill is being held")
            .hint("wait until it is over; unwipe drill list")
    })
}

/// Removes the scratch folders that drills made.
pub(super) fn sweep(context: &Context, installation: &Installation) -> Result<Swept, Failure> {
    let mut swept = Swept::new();
    let folder = installation.scratch_folder();
    if !folder.is_dir() {
        return Ok(swept);
    }
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(&format!("{PREFIX}-")) && path.join(SCRATCH_MARK).is_file() {
            remove(context, &path)?;
            *swept.entry(FOLDERS.to_owned()).or_default() += 1;
        }
    }
    Ok(swept)
}

/// Returns where drills have their room, wherever links lead: what is not there yet is made below its nearest ancestor.
pub(super) fn place(installation: &Installation) -> std::path::PathBuf {
    let scratch = installation.scratch_folder();
    scratch.ancestors().find_map(|folder| std::fs::canonicalize(folder).ok()).unwrap_or(scratch)
}

/// Says that drills have their room where production has its own.
pub(super) fn of_production(installation: &Installation, folder: &Path) -> Failure {
    let (scratch, folder) = (installation.scratch_folder(), folder.display());
    Failure::new(Exit::Usage, format!("{} belongs to production: {folder}", scratch.display()))
        .hint("set restore.scratch to a folder elsewhere: a drill must not write into what it proves")
}

/// Removes a scratch folder, with the server that may still work in it.
fn remove(context: &Context, path: &Path) -> Result<(), Failure> {
    postgres_server::server::stop_leftover(&path.join("data"), &*context.clock(), STOP_PATIENCE).map_err(
        |error| {
            Failure::because(Exit::Failed, "the server of a drill that did not end cannot be stopped", error)
        },
    )?;
    Ok(files::remove_scratch(path)?)
}

/// A scratch folder that is removed when it is dropped.
pub(super) struct ScratchFolder(pub(super) std::path::PathBuf);

impl ScratchFolder {
    /// Makes a new one.
    pub(super) fn create(context: &Context, installation: &Installation) -> Result<Self, Failure> {
        let path = installation.scratch_folder().join(format!("{PREFIX}-{}", context.random_text::<6>()));
        files::create_scratch(&path)?;
        Ok(Self(path))
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        // What stays behind carries its mark, and the next drill removes it.
        files::remove_scratch(&self.0).ok();
    }
}
