//! Writes the seeds of every fuzz target into `FOLDER/<target>/`: `parsers FOLDER`.

use std::{env, path::PathBuf, process::ExitCode};

use ports::files::{self, FileError};

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else { return ExitCode::from(2) };
    match write(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn write(folder: &std::path::Path) -> Result<(), FileError> {
    for target in parsers::TARGETS {
        let folder = folder.join(target.name);
        files::create_folder(&folder)?;
        for (number, seed) in (target.seeds)().into_iter().enumerate() {
            files::replace(&folder.join(format!("seed-{number:03}")), &seed)?;
        }
    }
    Ok(())
}
