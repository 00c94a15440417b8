use std::{borrow::Cow, fmt};

use model::{Moment, StreamName};

use crate::Sandbox;

/// What a plan calls that which tells where things of another user came from, in place of an id: a label, a folder, a
/// calendar, a group.
pub(crate) const ORIGIN: &str = "unwipe:origin";

/// What a plan is called and what it was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// The plan's name.
    pub id: String,
    /// The protected source.
    pub source: String,
    /// When the plan is made.
    pub made_at: Moment,
}

/// The commits between which something happened that is undone, and the one that knows what is there now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The commit before it, with its time.
    pub before: (u64, Moment),
    /// The commit at its end, with its time.
    pub after: (u64, Moment),
    /// The newest commit.
    pub now: u64,
}

/// Where things go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// To where they were: what happened within the window is undone, and everything else stays.
    InPlace,
    /// To another account: everything that was there before the window is put beside what is there.
    OtherUser {
        /// The address.
        email: String,
    },
    /// Into a sandbox tenant: everything that was there before the window is put into places that carry a drill's name, and
    /// nobody's address goes with it.
    Sandbox(Sandbox),
}

/// Which items of a stream are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Their keys; empty for all.
    pub keys: Vec<String>,
    /// Whether these are the items that one actor touched. Then only they themselves are meant, and not what is in them;
    /// and files that came within the window go into the trash, as it was the actor who made them.
    pub deeds: bool,
}

impl Selection {
    /// Tells whether an item is meant.
    pub fn has(&self, key: &str) -> bool {
        self.keys.is_empty() || self.keys.iter().any(|chosen| chosen == key)
    }
}

/// One account's things of one kind that are to be brought back.
#[derive(Debug, Clone)]
pub struct Request {
    /// Whose they are: an address, or the id of a shared drive.
    pub account: String,
    /// The stream that holds them.
    pub stream: StreamName,
    /// What is undone.
    pub window: Window,
    /// Where they go.
    pub destination: Destination,
    /// Which of them.
    pub selection: Selection,
}

impl Request {
    /// Returns the account into which is written.
    pub fn receiver(&self) -> &str {
        match &self.destination {
            Destination::InPlace => &self.account,
            Destination::OtherUser { email } => email,
            Destination::Sandbox(sandbox) => &sandbox.email,
        }
    }

    /// Returns the sandbox into which it goes.
    pub(crate) fn sandbox(&self) -> Option<&Sandbox> {
        match &self.destination {
            Destination::Sandbox(sandbox) => Some(sandbox),
            Destination::InPlace | Destination::OtherUser { .. } => None,
        }
    }

    /// Tells whether everything that was there goes to where it was not.
    pub(crate) fn is_elsewhere(&self) -> bool {
        !matches!(self.destination, Destination::InPlace)
    }

    /// Returns what the place is called that tells whose things were: `what` is an address, or the name of a drive.
    pub(crate) fn origin_name(&self, what: &str) -> String {
        self.sandbox().map_or_else(|| format!("From {what}"), |sandbox| sandbox.mark.place(what))
    }

    /// Returns what tells copies of this account's things from all others: the address, and the drill that makes them.
    pub(crate) fn copies_of(&self) -> Cow<'_, str> {
        match self.sandbox() {
            Some(sandbox) => sandbox.mark.copies_of(&self.account).into(),
            None => self.account.as_str().into(),
        }
    }

    /// Returns one line for people; `what` is such as `the mailbox`.
    pub(crate) fn title(&self, what: &str) -> String {
        let Self { account, window, .. } = self;
        match &self.destination {
            Destination::InPlace => {
                format!("what happened to {what} {account} from {} to {}", window.before.1, window.after.1)
            }
            Destination::OtherUser { email } | Destination::Sandbox(Sandbox { email, .. }) => {
                format!("{what} {account} as of {}, for {email}", window.before.1)
            }
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "commit {} of {}", self.before.0, self.before.1)
    }
}
