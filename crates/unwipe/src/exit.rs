//! What the process says when it ends.

use std::process::ExitCode;

/// The exit codes; part of the public interface, documented in `docs/reference/exit-codes.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// Failed.
    Failed,
    /// The command line or the configuration is wrong.
    Usage,
    /// Done, but something could not be read: the result is partial.
    Incomplete,
    /// A credential or an approval is missing or wrong.
    Authentication,
    /// Nothing matched.
    Nothing,
    /// There is no vault.
    NoVault,
    /// The key does not open this vault.
    WrongKey,
    /// The vault was tampered with or is damaged.
    Tampering,
    /// Retention refuses.
    Retention,
    /// Interrupted by the user.
    Interrupted,
}

impl Exit {
    /// Every code, for the reference page.
    pub(crate) const ALL: [Self; 11] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Incomplete,
        Self::Authentication,
        Self::Nothing,
        Self::NoVault,
        Self::WrongKey,
        Self::Tampering,
        Self::Retention,
        Self::Interrupted,
    ];

    /// Returns the number that the shell sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Incomplete => 3,
            Self::Authentication => 4,
            Self::Nothing => 5,
            Self::NoVault => 10,
            Self::WrongKey => 12,
            Self::Tampering => 20,
            Self::Retention => 21,
            Self::Interrupted => 130,
        }
    }

    /// Returns the line of the reference page.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "the command line or the configuration is wrong",
            Self::Incomplete => {
                "completed, but incomplete: something could not be read, or a conflict was left alone"
            }
            Self::Authentication => "a credential or an approval is missing or wrong",
            Self::Nothing => "nothing matched",
            Self::NoVault => "there is no vault",
            Self::WrongKey => "the key does not open this vault",
            Self::Tampering => "tampering or damage was found in the vault",
            Self::Retention => "retention refuses",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
