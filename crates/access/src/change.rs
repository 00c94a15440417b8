//! Changes of accounts: what is planned, what it weakens, what allows it.

use std::collections::BTreeSet;

use model::Moment;
use serde::{Deserialize, Serialize};

use crate::{
    AccessError, CredentialId, Invitation, Person, PersonName, Principal, Role, client_data::sha256,
    person::StoredPerson, secret,
};

/// What may be changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "snake_case", deny_unknown_fields)]
pub enum Edit {
    /// Invite somebody to have an account: new, or a deactivated one again.
    Invite {
        /// The account.
        name: PersonName,
        /// What people read; the name when there is nothing.
        display: Option<String>,
        /// What they will be for.
        roles: BTreeSet<Role>,
    },
    /// Invite a person to register one more passkey.
    AddPasskey {
        /// Who.
        name: PersonName,
    },
    /// Remove one passkey of several.
    RemovePasskey {
        /// Whose.
        name: PersonName,
        /// Which.
        credential: CredentialId,
    },
    /// Give and take roles.
    SetRoles {
        /// Who.
        name: PersonName,
        /// The roles afterwards.
        roles: BTreeSet<Role>,
    },
    /// Let a person sign in no more.
    Deactivate {
        /// Who.
        name: PersonName,
    },
    /// Invite a person again who lost their passkeys, and remove those. Only with the recovery kit.
    Recover {
        /// Who.
        name: PersonName,
    },
}

impl Edit {
    /// Returns whose account it is.
    pub const fn person(&self) -> &PersonName {
        match self {
            Self::Invite { name, .. }
            | Self::AddPasskey { name }
            | Self::RemovePasskey { name, .. }
            | Self::SetRoles { name, .. }
            | Self::Deactivate { name }
            | Self::Recover { name } => name,
        }
    }
}

/// How a change makes protection less, for people who approve it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "weakening", rename_all = "snake_case")]
pub enum Weakening {
    /// One more person has power.
    NewPerson {
        /// Who.
        person: PersonName,
        /// All of their roles.
        roles: BTreeSet<Role>,
    },
    /// A person has more power.
    MoreRoles {
        /// Who.
        person: PersonName,
        /// The roles that are new.
        added: BTreeSet<Role>,
    },
    /// Fewer people can approve or manage.
    FewerRoles {
        /// Who.
        person: PersonName,
        /// The roles that are taken.
        taken: BTreeSet<Role>,
    },
    /// One more device can act as a person.
    PasskeyAdded {
        /// Who.
        person: PersonName,
    },
    /// A person has one way less of coming in.
    PasskeyRemoved {
        /// Who.
        person: PersonName,
        /// Which.
        credential: CredentialId,
    },
    /// A person can approve no more.
    Deactivated {
        /// Who.
        person: PersonName,
    },
    /// Whoever holds the invitation becomes a person who was there before.
    Recovered {
        /// Who.
        person: PersonName,
    },
}

impl Weakening {
    /// Returns whom it is about.
    pub const fn person(&self) -> &PersonName {
        match self {
            Self::NewPerson { person, .. }
            | Self::MoreRoles { person, .. }
            | Self::FewerRoles { person, .. }
            | Self::PasskeyAdded { person }
            | Self::PasskeyRemoved { person, .. }
            | Self::Deactivated { person }
            | Self::Recovered { person } => person,
        }
    }
}

impl std::fmt::Display for Weakening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NewPerson { person, roles } => write!(f, "{person} comes in as {}", words(roles)),
            Self::MoreRoles { person, added } => write!(f, "{person} becomes {} too", words(added)),
            Self::FewerRoles { person, taken } => write!(f, "{person} is no longer {}", words(taken)),
            Self::PasskeyAdded { person } => write!(f, "{person} gets one more passkey"),
            Self::PasskeyRemoved { person, credential } => {
                write!(f, "{person} loses the passkey {credential}")
            }
            Self::Deactivated { person } => write!(f, "{person} can sign in no more"),
            Self::Recovered { person } => write!(f, "{person} comes in again with a new passkey"),
        }
    }
}

fn words(roles: &BTreeSet<Role>) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" and ")
}

/// The hash of a change: what people approve is what is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChangeHash(pub [u8; 32]);

impl std::fmt::Display for ChangeHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&secret::hex(&self.0))
    }
}

impl From<ChangeHash> for String {
    fn from(hash: ChangeHash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for ChangeHash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digits =
            |at: usize| text.get(at * 2..at * 2 + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let bytes: Option<Vec<u8>> = (0..32).map(digits).collect();
        let hash: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
        hash.map(Self).filter(|hash| hash.to_string() == text).ok_or("a hash has 64 hexadecimal digits")
    }
}

/// A change that is planned and not done. It can be stored while people make up their minds; it holds for the state of
/// the account that it was planned on, and once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// What is to be changed.
    pub edit: Edit,
    /// Who wants it.
    pub by: Principal,
    /// When it was planned.
    pub planned_at: Moment,
    /// What becomes less; nothing when it needs no approval.
    pub weakening: Option<Weakening>,
    /// The edition of the account on which it was planned; none when there was no account.
    pub edition: Option<String>,
}

impl Change {
    /// Returns the hash of everything in it.
    pub fn hash(&self) -> ChangeHash {
        // A structure of names and sets always has a text; without one there is a hash that nothing else has.
        let text = serde_json::to_vec(self).unwrap_or_default();
        ChangeHash(sha256(&[b"unwipe/v1/access-change\0", &text]))
    }
}

/// A case that people have approved. Whoever keeps cases implements this for a value that only its verification makes.
pub trait ApprovedCase {
    /// Names the case.
    fn case(&self) -> String;
    /// Returns the hash of the change that was approved.
    fn approved(&self) -> ChangeHash;
}

/// That the recovery kit opened the vault: made by whoever opened it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultOpened {
    /// The public half of the identity that opened it.
    pub recipient: String,
    /// How many commits were read back with it.
    pub commits: u64,
}

/// What allows a change. It cannot be copied, stored or read from anywhere: it comes from an approved case, or from
/// whoever runs the command line on the host.
#[derive(Debug)]
pub struct Authorised(pub(crate) Source);

#[derive(Debug)]
pub(crate) enum Source {
    Nothing,
    Host { note: String },
    Kit { note: String, recipient: String },
    Case { case: String, approved: ChangeHash },
}

impl Authorised {
    /// Allows only what weakens nothing.
    pub const fn nothing() -> Self {
        Self(Source::Nothing)
    }

    /// Allows the change that people approved, and no other.
    pub fn of_case(case: &impl ApprovedCase) -> Self {
        Self(Source::Case { case: case.case(), approved: case.approved() })
    }

    /// For the command line on the host, whose user holds the files anyway; `note` says who that is.
    pub fn of_host(note: impl Into<String>) -> Self {
        Self(Source::Host { note: note.into() })
    }

    /// For the command line on the host, after the recovery kit opened the vault there.
    pub fn of_host_with_kit(note: impl Into<String>, opened: &VaultOpened) -> Self {
        Self(Source::Kit { note: note.into(), recipient: opened.recipient.clone() })
    }

    /// Says what it is, for records.
    pub(crate) fn describe(&self) -> Option<String> {
        match &self.0 {
            Source::Nothing => None,
            Source::Host { note } => Some(format!("host: {note}")),
            Source::Kit { note, recipient } => Some(format!("recovery kit {recipient}, host: {note}")),
            Source::Case { case, .. } => Some(format!("case {case}")),
        }
    }

    /// Checks that it allows a change.
    pub(crate) fn allow(&self, change: &Change) -> Result<(), AccessError> {
        if let Source::Case { approved, .. } = &self.0
            && *approved != change.hash()
        {
            return Err(AccessError::OtherChange);
        }
        match (&change.edit, &change.weakening, &self.0) {
            (Edit::Recover { .. }, _, Source::Kit { .. }) => Ok(()),
            // Otherwise whoever is on the host would be anybody.
            (Edit::Recover { .. }, ..) | (Edit::AddPasskey { .. }, _, Source::Host { .. }) => {
                Err(AccessError::NeedsKit)
            }
            (_, Some(weakening), Source::Nothing) => {
                Err(AccessError::NeedsApproval { weakening: Box::new(weakening.clone()) })
            }
            _ => Ok(()),
        }
    }
}

/// What came of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Somebody has to open an invitation.
    Invited(Invitation),
    /// It is done.
    Done(Person),
}

/// Says what an edit weakens in this state; an error when it cannot be done at all. `people` are all accounts.
pub(crate) fn weakening(
    edit: &Edit,
    by: &Principal,
    people: &[StoredPerson],
) -> Result<Option<Weakening>, AccessError> {
    let person = edit.person().clone();
    let account = people.iter().find(|known| known.name == person);
    let active = account.filter(|known| known.active).ok_or(AccessError::NoPerson { person: person.clone() });
    let owners = people.iter().filter(|known| known.is_owner()).count();
    let last_owner = |known: &StoredPerson| known.is_owner() && owners == 1;
    Ok(match edit {
        Edit::Invite { roles, .. } => {
            if active.is_ok() {
                return Err(AccessError::Exists { person });
            }
            some_roles(roles)?;
            // While nobody could approve, whoever set up the host brings the first owner in.
            let first = owners == 0 && matches!(by, Principal::Host(_));
            let power = roles.iter().any(|role| role.is_power());
            (power && !first).then(|| Weakening::NewPerson { person, roles: roles.clone() })
        }
        Edit::AddPasskey { .. } => {
            if active?.passkeys.is_empty() {
                return Err(AccessError::NeedsKit);
            }
            Some(Weakening::PasskeyAdded { person })
        }
        Edit::RemovePasskey { credential, .. } => {
            let known = active?;
            if known.passkey(credential).is_none() {
                return Err(AccessError::NoPasskey { person, credential: credential.clone() });
            }
            if known.passkeys.len() == 1 {
                return Err(AccessError::LastPasskey { person });
            }
            Some(Weakening::PasskeyRemoved { person, credential: credential.clone() })
        }
        Edit::SetRoles { roles, .. } => {
            let known = active?;
            some_roles(roles)?;
            if last_owner(known) && !roles.contains(&Role::Owner) {
                return Err(AccessError::LastOwner { person });
            }
            let added: BTreeSet<Role> =
                roles.difference(&known.roles).copied().filter(|role| role.is_power()).collect();
            let decides = |role: &Role| matches!(role, Role::Approver | Role::Owner);
            let taken: BTreeSet<Role> = known.roles.difference(roles).copied().filter(decides).collect();
            if added.is_empty() {
                (!taken.is_empty()).then_some(Weakening::FewerRoles { person, taken })
            } else {
                Some(Weakening::MoreRoles { person, added })
            }
        }
        Edit::Deactivate { .. } => {
            if last_owner(active?) {
                return Err(AccessError::LastOwner { person });
            }
            Some(Weakening::Deactivated { person })
        }
        Edit::Recover { .. } => {
            active?;
            Some(Weakening::Recovered { person })
        }
    })
}

fn some_roles(roles: &BTreeSet<Role>) -> Result<(), AccessError> {
    if roles.is_empty() { Err(AccessError::NoRoles) } else { Ok(()) }
}
