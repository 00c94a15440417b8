//! One error for everything that ends a command: what happened, what can be done, which exit code.

use std::{error::Error, fmt};

use ports::span::Outcome;

use crate::exit::Exit;

/// Why a command ended without doing what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: Box<dyn Error + Send + Sync>,
    pub(crate) hint: Option<String>,
}

/// A sentence that is an error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Sentence(String);

/// A sentence with the error behind it.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}")]
struct Because {
    sentence: String,
    #[source]
    source: Box<dyn Error + Send + Sync>,
}

impl Failure {
    /// Makes a failure out of a sentence.
    pub(crate) fn new(exit: Exit, sentence: impl Into<String>) -> Self {
        Self { exit, error: Box::new(Sentence(sentence.into())), hint: None }
    }

    /// Makes a failure out of a sentence and the error behind it. Damage in the vault decides the exit code, wherever
    /// in the chain it was met.
    pub(crate) fn because(
        exit: Exit,
        sentence: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        let source = source.into();
        let exit = if shows_damage(&*source) { Exit::Tampering } else { exit };
        Self { exit, error: Box::new(Because { sentence: sentence.into(), source }), hint: None }
    }

    /// Adds what a person can do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what a person can do about it, when somebody knows.
    pub(crate) fn hint_opt(mut self, hint: Option<String>) -> Self {
        self.hint = self.hint.or(hint);
        self
    }

    /// Returns the whole chain, one line each: `error:`, `because:` …, `hint:`.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("error: {}", self.error)];
        let mut source = self.error.source();
        while let Some(error) = source {
            lines.push(format!("because: {error}"));
            source = error.source();
        }
        lines.extend(self.hint.iter().map(|hint| format!("hint: {hint}")));
        lines
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join(" "))
    }
}

/// Says what came of work, for a collector: of what was not done, what its exit code says.
pub(crate) fn outcome<T>(result: &Result<T, Failure>) -> Outcome {
    match result {
        Ok(_) => Outcome::Done,
        Err(failure) => Outcome::Failed(failure.exit.meaning()),
    }
}

/// Returns whether a damaged object is behind an error.
fn shows_damage(error: &(dyn Error + 'static)) -> bool {
    let mut error = Some(error);
    while let Some(current) = error {
        if matches!(current.downcast_ref(), Some(connect::StoredError::Damaged { .. })) {
            return true;
        }
        error = current.source();
    }
    false
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self { exit: Exit::Failed, error: Box::new(error), hint: None }
    }
}

impl From<service::ServiceError> for Failure {
    fn from(error: service::ServiceError) -> Self {
        Self { exit: exit_of(&error), hint: error.hint(), error: Box::new(error) }
    }
}

impl From<service::WatchError> for Failure {
    fn from(error: service::WatchError) -> Self {
        match error {
            service::WatchError::Service(error) => error.into(),
            error => {
                let missing = matches!(error, service::WatchError::NoIncident { .. });
                let exit = if missing { Exit::Nothing } else { Exit::Failed };
                Self { exit, hint: error.hint(), error: Box::new(error) }
            }
        }
    }
}

impl From<service::ConfigError> for Failure {
    fn from(error: service::ConfigError) -> Self {
        service::ServiceError::from(error).into()
    }
}

impl From<vault::VaultError> for Failure {
    fn from(error: vault::VaultError) -> Self {
        service::ServiceError::from(error).into()
    }
}

impl From<catalog::CatalogError> for Failure {
    fn from(error: catalog::CatalogError) -> Self {
        service::ServiceError::from(error).into()
    }
}

impl From<service::approval::ApprovalError> for Failure {
    fn from(error: service::approval::ApprovalError) -> Self {
        Self { exit: Exit::Authentication, hint: error.hint(), error: Box::new(error) }
    }
}

impl From<service::cases::CaseError> for Failure {
    fn from(error: service::cases::CaseError) -> Self {
        use service::cases::CaseError;

        let exit = match &error {
            CaseError::NoCase { .. } => Exit::Nothing,
            CaseError::Refused(_)
            | CaseError::Proof(_)
            | CaseError::Unsound { .. }
            | CaseError::Approval(_)
            | CaseError::Asked { .. } => Exit::Authentication,
            CaseError::Config(service::ConfigError::Missing { .. }) => Exit::NoVault,
            CaseError::NotBegun { .. } | CaseError::Config(_) => Exit::Usage,
            _ => Exit::Failed,
        };
        Self { exit, hint: error.hint(), error: Box::new(error) }
    }
}

impl From<service::signature::SigningKeyError> for Failure {
    fn from(error: service::signature::SigningKeyError) -> Self {
        Self { exit: Exit::Authentication, hint: error.hint(), error: Box::new(error) }
    }
}

impl From<service::certificate::CertificateError> for Failure {
    fn from(error: service::certificate::CertificateError) -> Self {
        let exit = if error.is_forged() { Exit::Tampering } else { Exit::Failed };
        Self { exit, hint: error.hint(), error: Box::new(error) }
    }
}

impl From<service::proof::ProofError> for Failure {
    fn from(error: service::proof::ProofError) -> Self {
        use service::proof::ProofError;

        match error {
            ProofError::Certificate(error) => error.into(),
            ProofError::Service(error) => error.into(),
            ProofError::Key(error) => error.into(),
            ProofError::File(error) => error.into(),
            error => {
                let nothing = matches!(error, ProofError::Nothing { .. });
                let exit = if nothing { Exit::Nothing } else { Exit::Failed };
                Self { exit, hint: None, error: Box::new(error) }
            }
        }
    }
}

impl From<witness::WitnessError> for Failure {
    fn from(error: witness::WitnessError) -> Self {
        let exit = match error {
            witness::WitnessError::LostState { .. } => Exit::Authentication,
            witness::WitnessError::Missing { .. } => Exit::Nothing,
            witness::WitnessError::NoLogKey => Exit::Usage,
            _ => Exit::Failed,
        };
        Self { exit, hint: error.hint(), error: Box::new(error) }
    }
}

impl From<connect::plan::PlanFolderError> for Failure {
    fn from(error: connect::plan::PlanFolderError) -> Self {
        Self { exit: Exit::Failed, hint: None, error: Box::new(error) }
    }
}

impl From<connect::plan::PlanError> for Failure {
    fn from(error: connect::plan::PlanError) -> Self {
        Self { exit: Exit::Failed, hint: None, error: Box::new(error) }
    }
}

impl From<connect::StoredError> for Failure {
    fn from(error: connect::StoredError) -> Self {
        let exit = match error {
            connect::StoredError::Damaged { .. } => Exit::Tampering,
            _ => Exit::Failed,
        };
        Self { exit, hint: None, error: Box::new(error) }
    }
}

impl From<service::retention::RetentionError> for Failure {
    fn from(error: service::retention::RetentionError) -> Self {
        use service::retention::RetentionError;
        use vault::{reap::ReaperMemoryError, retention::RetentionLogError};

        let exit = match &error {
            RetentionError::Service(error) => exit_of(error),
            RetentionError::Quorum { .. } | RetentionError::Log(RetentionLogError::NoPeople) => {
                Exit::Authentication
            }
            RetentionError::Nothing { .. } | RetentionError::Log(RetentionLogError::NoHold { .. }) => {
                Exit::Nothing
            }
            RetentionError::Memory(ReaperMemoryError::RolledBack { .. }) => Exit::Tampering,
            RetentionError::File(_) => Exit::Failed,
            _ => Exit::Retention,
        };
        Self { exit, hint: error.hint(), error: Box::new(error) }
    }
}

/// Chooses the exit code of what the engine answered.
fn exit_of(error: &service::ServiceError) -> Exit {
    use service::{ConfigError, ServiceError};
    use vault::{VaultError, WriteError, mirror::MirrorError};

    match error {
        ServiceError::Config(ConfigError::Missing { .. }) => Exit::NoVault,
        ServiceError::Config(_)
        | ServiceError::Secret(_)
        | ServiceError::OfflineNeedsFolder
        | ServiceError::WitnessKey { .. } => Exit::Usage,
        ServiceError::NoRestoreKey => Exit::Authentication,
        ServiceError::Key(_) => Exit::WrongKey,
        ServiceError::Vault(error) | ServiceError::Write(WriteError::Vault(error)) => match error {
            VaultError::NoVault => Exit::NoVault,
            VaultError::Key(_) => Exit::WrongKey,
            error if error.is_tampering() => Exit::Tampering,
            _ => Exit::Failed,
        },
        ServiceError::Mirror(error) if error.is_tampering() => Exit::Tampering,
        ServiceError::Mirror(MirrorError::NoVault) => Exit::NoVault,
        ServiceError::Write(WriteError::Fork { .. } | WriteError::HeadFork { .. }) => Exit::Tampering,
        _ => Exit::Failed,
    }
}

impl From<ports::files::FileError> for Failure {
    fn from(error: ports::files::FileError) -> Self {
        Self { exit: Exit::Failed, error: Box::new(error), hint: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_behind_an_error_decides_the_exit_code() {
        let damaged = connect::StoredError::Damaged {
            what: "wal/1".to_owned(),
            source: Box::new(std::io::Error::other("a flipped bit")),
        };
        let wrapped = Because { sentence: "cannot read".to_owned(), source: Box::new(damaged) };
        assert_eq!(Failure::because(Exit::Nothing, "no such moment", wrapped).exit, Exit::Tampering);
        let plain = std::io::Error::other("gone");
        assert_eq!(Failure::because(Exit::Nothing, "no such moment", plain).exit, Exit::Nothing);
    }

    #[test]
    fn the_chain_is_printed_once_and_the_hint_last() {
        let inner = std::io::Error::other("disk on fire");
        let failure = Failure::because(Exit::Failed, "cannot capture shop", inner).hint("buy a new disk");
        assert_eq!(
            failure.lines(),
            ["error: cannot capture shop", "because: disk on fire", "hint: buy a new disk"]
        );
    }
}
