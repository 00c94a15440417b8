//! Where production's credentials are looked for, and looking.

use std::path::{Path, PathBuf};

use connect::Progress;
use isolation::{
    own::Owned,
    recognise,
    scan::{Limits, Looked, Scanner},
};

use crate::{
    arguments::Doctor,
    context::{environment, whole_environment},
    exit::Exit,
    failure::Failure,
};

/// A place where credentials are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Where {
    Environment,
    Process(u32),
    File(PathBuf),
    Folder(PathBuf),
    Address(String),
}

/// What programs keep below a person's home folder.
const KEPT: [&str; 7] = [
    ".pgpass",
    ".pg_service.conf",
    ".aws/credentials",
    ".aws/config",
    ".config/gcloud/application_default_credentials.json",
    ".kube/config",
    ".env",
];

/// Reads what was given with `--credentials`. What is not understood is not repeated: it may be a secret.
pub(super) fn wanted(texts: &[String]) -> Result<Vec<Where>, Failure> {
    let mut wanted = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        let path = |rest: &str| std::path::absolute(rest);
        wanted.push(match text.split_once(':') {
            _ if text == "env" => Where::Environment,
            Some(("process", process)) => Where::Process(process.parse().map_err(|_| misunderstood(number))?),
            Some(("file", rest)) => Where::File(path(rest)?),
            Some(("folder", rest)) => Where::Folder(path(rest)?),
            Some(("postgres" | "postgresql", _)) => Where::Address(text.clone()),
            _ if Path::new(text).is_dir() => Where::Folder(path(text)?),
            _ if Path::new(text).exists() => Where::File(path(text)?),
            _ => return Err(misunderstood(number)),
        });
    }
    for (number, place) in wanted.iter().enumerate() {
        if let Where::File(path) | Where::Folder(path) = place
            && !path.exists()
        {
            return Err(Failure::new(Exit::Usage, format!("{} is not there", path.display()))
                .hint(format!("mend --credentials number {}", number + 1)));
        }
    }
    Ok(wanted)
}

fn misunderstood(number: usize) -> Failure {
    Failure::new(Exit::Usage, format!("--credentials number {} is not understood", number + 1))
        .hint("env, process:PID, file:PATH, folder:PATH, or postgresql://ROLE:PASSWORD@HOST/DATABASE")
}

/// What looking takes.
pub(super) struct Looking<'a> {
    pub(super) owned: &'a Owned,
    pub(super) own_folders: &'a [PathBuf],
    /// Variables in which unwipe itself is given secrets: the environment by default is its own, not production's.
    pub(super) own_variables: &'a std::collections::BTreeSet<String>,
    pub(super) progress: &'a dyn Progress,
}

/// Looks where it was asked to, and by default where programs keep credentials.
pub(super) fn look(looking: &Looking<'_>, options: &Doctor, wanted: &[Where]) -> Looked {
    let mut scanner = Scanner::new(looking.owned, looking.own_folders, Limits::default(), looking.progress);
    for place in wanted {
        match place {
            Where::Environment => look_at_environment(&mut scanner, |_| true),
            Where::Process(process) => scanner.process(*process),
            Where::File(path) => scanner.file(path),
            Where::Folder(path) => scanner.folder(path),
            Where::Address(url) => {
                let recognised = recognise("", url.as_bytes(), "the command line", None);
                scanner.given(recognised, "the command line");
            }
        }
    }
    if !options.no_defaults {
        if !wanted.contains(&Where::Environment) {
            look_at_environment(&mut scanner, |name| !looking.own_variables.contains(name));
        }
        if let Some(home) = environment("HOME") {
            for name in KEPT {
                scanner.file_if_any(&Path::new(&home).join(name));
            }
        }
        scanner.file_if_any(&std::path::absolute(".env").unwrap_or_else(|_| ".env".into()));
    }
    scanner.finish()
}

fn look_at_environment(scanner: &mut Scanner<'_>, wanted: impl Fn(&str) -> bool) {
    let variables = whole_environment();
    let variables = variables.iter().filter(|(name, _)| wanted(name));
    let variables = variables.map(|(name, value)| (name.as_str(), value.as_str()));
    scanner.environment(variables, "the environment", None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_and_what_is_not_understood_is_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let text = |s: &str| s.to_owned();
        let given = [text("env"), text("process:12"), folder.path().to_str().unwrap().to_owned()];
        let read = wanted(&given).unwrap();
        assert_eq!(read, [Where::Environment, Where::Process(12), Where::Folder(folder.path().to_owned())]);
        let address = text("postgresql://app:s3cret-of-production@db/x");
        assert_eq!(wanted(std::slice::from_ref(&address)).unwrap(), [Where::Address(address)]);
        for wrong in ["hunter2-is-a-password", "process:x", "mysql://app:hunter2@db/x"] {
            let lines = wanted(&[text(wrong)]).unwrap_err().lines().join("\n");
            assert!(lines.contains("number 1") && !lines.contains("hunter2"), "{lines}");
        }
        assert!(wanted(&[text("file:/nowhere/at/all")]).is_err());
    }
}
