//! Where drills take place: one at a time, and what a killed one left is removed first.

use std::{fs::File, path::Path, time::Duration};

use ports::files::{self, SCRATCH_MARK};
use service::Installation;

use crate::{context::Context, exit::Exit, failure::Failure};

/// What scratch folders of drills are called.
pub(super) const PREFIX: &str = "drill";
const CLAIM: &str = "drills.claim";
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// Makes sure that no other drill is held, and removes what a killed one left. The claim lasts as long as the value.
pub(super) fn alone(context: &Context, installation: &Installation) -> Result<File, Failure> {
    let folder = installation.scratch_folder();
    files::create_folder(&folder)?;
    let claim = files::claim(&folder.join(CLAIM))?.ok_or_else(|| {
        Failure::new(Exit::Failed, "another drill is being held")
            .hint("wait until it is over; unwipe drill list")
    })?;
    let entries = std::fs::read_dir(&folder)?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(&format!("{PREFIX}-")) && path.join(SCRATCH_MARK).is_file() {
            remove(context, &path)?;
            context.output.say(format!("removed what a drill left that did not end: {name}"));
        }
    }
    Ok(claim)
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
