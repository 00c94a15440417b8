//! Why something about people, sessions or tokens was not done.

use std::path::PathBuf;

use model::Moment;
use ports::files::FileError;

use crate::{
    AssertionError, CredentialId, PartyError, PersonName, RegistrationError, ServiceName, Weakening,
};

/// Why something about people, sessions or tokens was not done. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A file cannot be read or written.
    #[error("the accounts cannot be read or written")]
    File(#[from] FileError),
    /// A file is not what was written there.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// Another process is changing accounts and does not come to an end.
    #[error("another process holds {} and does not let go", path.display())]
    Busy {
        /// The lock.
        path: PathBuf,
    },
    /// The origin cannot have passkeys.
    #[error("no passkeys can be made")]
    Party(#[from] PartyError),
    /// The invitation is not one, was used, lapsed, or the person changed since.
    #[error(
        "this invitation is not in force: it was used, or is older than a day, or the account was changed since"
    )]
    NoInvitation,
    /// The ceremony was never begun, has ended, or took too long.
    #[error("this ceremony is over: it was used already, or took more than five minutes")]
    NoCeremony,
    /// Too many ceremonies are open.
    #[error("too many ceremonies are open at once")]
    TooManyCeremonies,
    /// A new passkey was not taken.
    #[error("the new passkey is not taken")]
    Registration(#[from] RegistrationError),
    /// The passkey is already somebody's.
    #[error("this passkey is registered already")]
    PasskeyTaken,
    /// A passkey did not prove who somebody is.
    #[error("the passkey does not prove who this is")]
    Assertion(#[from] AssertionError),
    /// Nobody active has this passkey.
    #[error("nobody active has this passkey")]
    UnknownPasskey,
    /// A passkey's counter went back: there may be a copy of it.
    #[error(
        "the counter of passkey {credential} of {person} went back from {stored} to {seen}: there may be a copy"
    )]
    CounterRegressed {
        /// Whose it is.
        person: PersonName,
        /// The passkey.
        credential: CredentialId,
        /// The count of the last use.
        stored: u32,
        /// The count of this use.
        seen: u32,
    },
    /// There is no such person, or they are not active.
    #[error("there is no active person {person}")]
    NoPerson {
        /// The name.
        person: PersonName,
    },
    /// There is such a person.
    #[error("there is a person {person} already")]
    Exists {
        /// The name.
        person: PersonName,
    },
    /// The person has no such passkey.
    #[error("{person} has no passkey {credential}")]
    NoPasskey {
        /// The person.
        person: PersonName,
        /// The passkey.
        credential: CredentialId,
    },
    /// Without it the person could not sign in.
    #[error("this is the only passkey of {person}")]
    LastPasskey {
        /// The person.
        person: PersonName,
    },
    /// Nobody could manage people any more.
    #[error("{person} is the only active owner")]
    LastOwner {
        /// The person.
        person: PersonName,
    },
    /// A person has at least one role.
    #[error("a person has at least one role")]
    NoRoles,
    /// A text for people is empty, too long or has control characters.
    #[error("a displayed name has 1 to 100 characters, none of which is a control character")]
    Display,
    /// The state has changed since the change was planned, or it was done already.
    #[error("the account of {person} is no longer what it was when this was planned")]
    Stale {
        /// The person.
        person: PersonName,
    },
    /// Others have to approve.
    #[error("this weakens protection ({weakening}), so others have to approve it")]
    NeedsApproval {
        /// What becomes less.
        weakening: Box<Weakening>,
    },
    /// The approval is of something else.
    #[error("what was approved is another change")]
    OtherChange,
    /// Only the kit shows that somebody may.
    #[error("on the host, a person gets another passkey only after the recovery kit has opened the vault")]
    NeedsKit,
    /// Whoever asks may not.
    #[error("{by} may not do this")]
    NotAllowed {
        /// Whoever asked.
        by: String,
    },
    /// A token has at least one scope.
    #[error("a token has at least one scope")]
    NoScopes,
    /// A token lives at most 90 days, and at least a minute.
    #[error("a token lives at least one minute and at most 90 days")]
    Lifetime,
    /// There is a live token of this name.
    #[error("{service} has a token that is in force until {until}")]
    TokenExists {
        /// The name.
        service: ServiceName,
        /// When it lapses.
        until: Moment,
    },
    /// There is no live token of this name.
    #[error("{service} has no token in force")]
    NoToken {
        /// The name.
        service: ServiceName,
    },
}

impl AccessError {
    /// Returns whether somebody was refused; everything else is trouble with the files of this host, whose names are
    /// nothing for strangers.
    pub const fn is_refusal(&self) -> bool {
        !matches!(self, Self::File(_) | Self::Damaged { .. } | Self::Busy { .. } | Self::Party(_))
    }

    /// Returns what a person can do about it, as a command or a sentence.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Damaged { path, .. } => Some(format!(
                "nothing was lost or changed; put {} back from a backup of this host, or move it away: whoever it was about is then unknown",
                path.display()
            )),
            Self::Busy { .. } => Some("see what else runs: unwipe serve, unwipe person".to_owned()),
            Self::NoInvitation => Some("ask for another one: unwipe person invite NAME".to_owned()),
            Self::NoCeremony => Some("begin again".to_owned()),
            Self::CounterRegressed { person, .. } => {
                Some(format!("remove the passkey: unwipe person remove-passkey {person} PASSKEY"))
            }
            Self::LastPasskey { person } => Some(format!("unwipe person deactivate {person}")),
            Self::LastOwner { .. } => {
                Some("make another owner first: unwipe person invite NAME --role owner".to_owned())
            }
            Self::NeedsKit => Some(
                "one more: unwipe person invite NAME --key file:KIT; all were lost: unwipe person recover NAME --key file:KIT"
                    .to_owned(),
            ),
            Self::TokenExists { service, .. } => Some(format!("unwipe token revoke {service}")),
            Self::Exists { person } => Some(format!("unwipe person roles {person} --role ROLE")),
            _ => None,
        }
    }
}
