use connect_http::{CallError, Refusal, RefusalKind, TokenError};

/// Why the service account can do nothing for a user, or at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// An administrator has not granted a scope to the service account.
    Delegation {
        /// The scope.
        scope: String,
        /// The number under which it is granted.
        client_id: String,
    },
    /// The user is suspended, deleted or no user of the domain.
    Subject {
        /// The user.
        subject: String,
        /// Google's words.
        detail: String,
    },
    /// This machine's clock is wrong.
    Clock {
        /// Google's words.
        detail: String,
    },
    /// The key was revoked, or is another account's.
    Key {
        /// Google's words.
        detail: String,
    },
}

impl Obstacle {
    /// Tells whether no user's data can be had.
    pub const fn concerns_all(&self) -> bool {
        matches!(self, Self::Clock { .. } | Self::Key { .. })
    }

    /// Returns what a person can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Delegation { scope, client_id } => format!(
                "in the Admin console, Security, Access and data control, API controls, Domain-wide delegation: give the \
                 client {client_id} the scope {scope}"
            ),
            Self::Subject { .. } => {
                "its data cannot be read while the account is suspended or deleted; what was captured before stays".to_owned()
            }
            Self::Clock { .. } => "set this machine's clock: timedatectl set-ntp true".to_owned(),
            Self::Key { .. } => {
                "make a new key for the service account, and give it with: unwipe protect SOURCE google --key FILE".to_owned()
            }
        }
    }
}

impl std::fmt::Display for Obstacle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Delegation { scope, .. } => {
                write!(f, "the service account was not granted the scope {scope} over the domain")
            }
            Self::Subject { subject, detail } => write!(f, "no access in the name of {subject}: {detail}"),
            Self::Clock { detail } => write!(f, "Google finds this machine's clock wrong: {detail}"),
            Self::Key { detail } => write!(f, "the service account's key is refused: {detail}"),
        }
    }
}

/// Why a call to Google has no good answer.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// There is no such thing, or none that this user may see.
    #[error("{0}")]
    NotFound(Refusal),
    /// What was asked to go on from is no longer known: a lost feed, which says nothing about any item.
    #[error("{0}")]
    Expired(Refusal),
    /// It is not given, and asking again changes nothing.
    #[error("{0}")]
    Refused(Refusal),
    /// Nothing can be asked.
    #[error("{0}")]
    Obstacle(Obstacle),
    /// It failed although it was tried again; it may work later.
    #[error("{0}")]
    Passing(#[source] CallError),
    /// It was sent and may have been done; it must not be made twice. Look before trying again.
    #[error("{0}")]
    Unknown(#[source] CallError),
    /// The answer is not understood, or is too large.
    #[error("the answer of {method} is not understood")]
    Answer {
        /// What was called.
        method: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The run was asked to end.
    #[error("the call was stopped")]
    Stopped,
}

impl ApiError {
    pub(crate) fn of(error: CallError, method: &'static str, client_id: &str, scope: &str) -> Self {
        match error {
            CallError::Stopped => Self::Stopped,
            CallError::Refused(refusal) => match refusal.kind {
                RefusalKind::NotFound => Self::NotFound(refusal),
                RefusalKind::Expired => Self::Expired(refusal),
                _ => Self::Refused(refusal),
            },
            CallError::Token(TokenError::Refused { subject, reason, message }) => {
                Self::Obstacle(obstacle(subject, &reason, message, client_id, scope))
            }
            CallError::Token(TokenError::Credential { detail }) => Self::Obstacle(Obstacle::Key { detail }),
            CallError::Unknown { .. } => Self::Unknown(error),
            CallError::Body(source) => Self::Answer { method, source: Box::new(source) },
            other => Self::Passing(other),
        }
    }
}

/// Reads Google's two words for everything that is wrong with a token: the texts behind them are all there is to tell
/// by, and an unknown one is taken for the user's, never for everybody's.
fn obstacle(subject: String, reason: &str, message: String, client_id: &str, scope: &str) -> Obstacle {
    let detail = if message.is_empty() { reason.to_owned() } else { message };
    let told = detail.to_ascii_lowercase();
    match reason {
        "unauthorized_client" | "access_denied" | "invalid_scope" => {
            Obstacle::Delegation { scope: scope.to_owned(), client_id: client_id.to_owned() }
        }
        _ if told.contains("signature") || reason == "invalid_client" => Obstacle::Key { detail },
        _ if told.contains("timeframe") || told.contains("iat") || told.contains("short-lived") => {
            Obstacle::Clock { detail }
        }
        _ => Obstacle::Subject { subject, detail },
    }
}
