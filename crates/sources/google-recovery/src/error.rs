use connect::{StoredError, plan::PlanFolderError};
use connect_http::QuotaError;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanningError {
    /// The vault or the catalog cannot be read.
    #[error("what is stored cannot be read")]
    Stored(#[from] StoredError),
    /// The plan's folder cannot be written.
    #[error("the plan cannot be written")]
    Folder(#[from] PlanFolderError),
    /// A row cannot be written into the plan's folder.
    #[error("the plan cannot be written")]
    Write(#[from] std::io::Error),
    /// The mailbox was never captured.
    #[error("the mailbox {mailbox} was never captured")]
    UnknownMailbox {
        /// Whose it is.
        mailbox: String,
    },
    /// Nobody is known who may write everything into a shared drive.
    #[error("the shared drive {drive} has no organizer in whose name it could be written")]
    NoOrganizer {
        /// Its id.
        drive: String,
    },
    /// The configured quota allows nothing.
    #[error("the restore could never end")]
    Quota(#[from] QuotaError),
}

impl PlanningError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownMailbox { .. } => Some("unwipe find SOURCE lists what is stored".to_owned()),
            Self::NoOrganizer { .. } => Some(
                "make somebody in the domain its manager, then capture; or bring it to a user with --to-user"
                    .to_owned(),
            ),
            Self::Quota(_) => Some("set the quota of this source in unwipe.toml".to_owned()),
            Self::Stored(_) | Self::Folder(_) | Self::Write(_) => None,
        }
    }
}
