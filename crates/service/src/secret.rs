//! Secrets by reference: `file:PATH`, `env:NAME`, `exec:COMMAND`. Never inline, so that a configuration can be shown.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use model::Redacted;
use ports::files::{self, FileError};

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The text is no reference.
    #[error("{text:?} is no reference to a secret")]
    Form {
        /// The refused text, cut short in case it is the secret itself.
        text: String,
    },
    /// The file cannot be read.
    #[error("the file of the secret cannot be read")]
    File(#[from] FileError),
    /// The environment has no such variable.
    #[error("the environment variable {name} is not set")]
    Environment {
        /// Its name.
        name: String,
    },
    /// The command failed.
    #[error("the command `{command}` gave no secret: {detail}")]
    Command {
        /// The command.
        command: String,
        /// What it answered.
        detail: String,
    },
}

impl SecretError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Form { .. } => Some("write file:PATH, env:NAME or exec:COMMAND".to_owned()),
            Self::Environment { name } => Some(format!("export {name}=…")),
            _ => None,
        }
    }
}

/// Looks names up in the environment; only the binary has a real one.
pub type Environment<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// Resolves references; relative paths start at the home folder.
pub struct Secrets<'a> {
    home: PathBuf,
    environment: Environment<'a>,
}

impl<'a> Secrets<'a> {
    /// Makes a resolver.
    pub fn new(home: &Path, environment: Environment<'a>) -> Self {
        Self { home: home.to_owned(), environment }
    }

    /// Returns the secret's text without a trailing line end.
    pub fn resolve(&self, reference: &str) -> Result<Redacted<String>, SecretError> {
        let text = match reference.split_once(':') {
            Some(("file", path)) => files::read_text(&self.path(path))?,
            Some(("env", name)) => {
                (self.environment)(name).ok_or_else(|| SecretError::Environment { name: name.to_owned() })?
            }
            Some(("exec", command)) => run(command)?,
            _ => {
                return Err(SecretError::Form {
                    text: reference.chars().take(5).collect::<String>() + "…"
                });
            }
        };
        Ok(Redacted::new(text.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// Returns the path that a relative or absolute reference names.
    pub fn path(&self, path: &str) -> PathBuf {
        self.home.join(path)
    }
}

fn run(command: &str) -> Result<String, SecretError> {
    let failed = |detail: String| SecretError::Command { command: command.to_owned(), detail };
    let output =
        Command::new("/bin/sh").arg("-c").arg(command).output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(format!("{}, {}", output.status, String::from_utf8_lossy(&output.stderr).trim())));
    }
    String::from_utf8(output.stdout).map_err(|_| failed("the answer is not text".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_reference_resolves() {
        let home = tempfile::tempdir().unwrap();
        files::create_new(&home.path().join("k"), b"from file\n", 0o600).unwrap();
        let environment = |name: &str| (name == "K").then(|| "from environment".to_owned());
        let secrets = Secrets::new(home.path(), &environment);
        let resolve = |reference: &str| secrets.resolve(reference).map(|secret| secret.expose().clone());
        assert_eq!(resolve("file:k").unwrap(), "from file");
        assert_eq!(resolve("env:K").unwrap(), "from environment");
        assert_eq!(resolve("exec:echo from command").unwrap(), "from command");
        assert!(matches!(resolve("env:NONE"), Err(SecretError::Environment { .. })));
        assert!(matches!(resolve("exec:exit 3"), Err(SecretError::Command { .. })));
    }

    #[test]
    fn an_inline_secret_is_refused_and_not_repeated() {
        let home = tempfile::tempdir().unwrap();
        let error = Secrets::new(home.path(), &|_| None).resolve("hunter2-is-my-password").unwrap_err();
        assert!(!error.to_string().contains("password"), "{error}");
    }
}
