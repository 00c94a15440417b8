//! Who may do what with a file.

use std::sync::Arc;

use model::Moment;

use super::file::Id;
use crate::text;

/// What somebody may do; each role may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Reader,
    /// Reads and comments.
    Commenter,
    /// Changes content; in My Drive also shares, unless the owner does not want it.
    Writer,
    /// In shared drives: moves and trashes.
    FileOrganizer,
    /// In shared drives: everything, members included.
    Organizer,
    /// In My Drive: everything.
    Owner,
}

impl Role {
    /// Reads the name that requests use.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let all =
            [Self::Reader, Self::Commenter, Self::Writer, Self::FileOrganizer, Self::Organizer, Self::Owner];
        all.into_iter().find(|role| role.name() == name)
    }

    /// Returns that name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Commenter => "commenter",
            Self::Writer => "writer",
            Self::FileOrganizer => "fileOrganizer",
            Self::Organizer => "organizer",
            Self::Owner => "owner",
        }
    }
}

/// To whom something is permitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grantee {
    /// A user: the address, and the id if it is one of the domain's.
    User(String, Option<Arc<str>>),
    /// The members of a group, by its address.
    Group(String),
    /// Everybody in a domain.
    Domain(String),
    /// Whoever has the link.
    Anyone,
}

impl Grantee {
    /// Returns the type that requests use.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::User(..) => "user",
            Self::Group(_) => "group",
            Self::Domain(_) => "domain",
            Self::Anyone => "anyone",
        }
    }

    /// Returns the id of a permission of this grantee: the same for every file.
    pub(crate) fn permission_id(&self, discoverable: bool) -> String {
        match self {
            Self::User(_, Some(id)) => user_permission_id(id),
            Self::User(address, None) | Self::Group(address) => user_permission_id(&address.to_lowercase()),
            Self::Domain(domain) if discoverable => format!("{}k", user_permission_id(domain)),
            Self::Domain(domain) => format!("{}l", user_permission_id(domain)),
            Self::Anyone if discoverable => "anyone".to_owned(),
            Self::Anyone => "anyoneWithLink".to_owned(),
        }
    }
}

/// Returns the permission id of a user of the domain, by the user's id.
pub(crate) fn user_permission_id(id: &str) -> String {
    format!("{:020}", u128::from(text::drawn(id.as_bytes())) + 1_000_000_000_000_000_000)
}

/// One permission.
#[derive(Debug, Clone)]
pub(crate) struct Permission {
    pub(crate) id: String,
    pub(crate) grantee: Grantee,
    pub(crate) role: Role,
    pub(crate) expires: Option<Moment>,
    /// Whether whoever may see it also finds it by searching.
    pub(crate) discoverable: bool,
    pub(crate) created: Moment,
    pub(crate) by: Id,
}

impl Permission {
    /// Makes a permission that does not expire.
    pub(crate) fn new(grantee: Grantee, role: Role, by: &Id, at: Moment) -> Self {
        Self {
            id: grantee.permission_id(false),
            grantee,
            role,
            expires: None,
            discoverable: false,
            created: at,
            by: Arc::clone(by),
        }
    }

    /// Tells whether it holds at a time.
    pub(crate) fn holds(&self, now: Moment) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// A permission as it is in force for a file: its own, or one of a folder above.
#[derive(Debug, Clone)]
pub(crate) struct Effective {
    pub(crate) permission: Permission,
    /// The folder or shared drive from which it comes; none for the file's own.
    pub(crate) inherited_from: Option<Id>,
}
