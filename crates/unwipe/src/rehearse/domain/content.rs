//! What an account holds: a drive or a mailbox, read behind the API's back.

use google_tenant::scopes;

use crate::{
    failure::Failure,
    rehearse::{
        app::Access,
        letters::{self, Letters, letters},
        papers::{self, Papers, papers},
        stage::Capturing,
        workspace::Workspace,
    },
};

/// What is destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Drive,
    Mailbox,
}

/// Everything that is there, item by item.
pub(super) enum Content {
    Drive(Papers),
    Mailbox(Letters),
}

impl Place {
    /// Reads everything.
    pub(super) fn read(self, workspace: &Workspace, account: &str) -> Content {
        match self {
            Self::Drive => Content::Drive(papers(workspace, account)),
            Self::Mailbox => Content::Mailbox(letters(workspace, account)),
        }
    }

    /// What a program needs that only looks.
    pub(super) const fn reading(self) -> &'static str {
        match self {
            Self::Drive => scopes::DRIVE_READONLY,
            Self::Mailbox => scopes::GMAIL_READONLY,
        }
    }

    /// A call that changes nothing.
    pub(super) const fn look(self) -> &'static str {
        match self {
            Self::Drive => "drive/v3/changes/startPageToken",
            Self::Mailbox => "gmail/v1/users/me/profile",
        }
    }

    /// What one of the things is called.
    pub(super) const fn things(self) -> &'static str {
        match self {
            Self::Drive => "files",
            Self::Mailbox => "messages",
        }
    }

    /// Waits until everything that happened is in the vault.
    pub(super) fn await_captured(
        self,
        workspace: &Workspace,
        capturing: &Capturing,
        witness: &Access<'_>,
        account: &str,
        what: &str,
    ) -> Result<(), Failure> {
        match self {
            Self::Drive => papers::await_captured(workspace, capturing, witness, account, what),
            Self::Mailbox => letters::await_captured(workspace, capturing, witness, account, what),
        }
    }

    /// Lets the owner go on working; all of it must stay. Returns how many things it concerns.
    pub(super) fn work_on(self, workspace: &Workspace, account: &str) -> Result<usize, Failure> {
        match self {
            Self::Drive => {
                let owner = Access::grant(workspace, account, "Owner", &[scopes::DRIVE])?;
                papers::work_on(&owner, &papers(workspace, account))
            }
            Self::Mailbox => letters::work_on(workspace, account),
        }
    }
}

impl Content {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Drive(papers) => papers.len(),
            Self::Mailbox(letters) => letters.len(),
        }
    }

    /// Returns what a wipe takes: every message, or every file that is not in the trash.
    pub(super) fn ids(&self) -> Vec<String> {
        match self {
            Self::Drive(papers) => {
                let there = papers.iter().filter(|(_, paper)| !paper.trashed && paper.content.is_some());
                there.map(|(id, _)| id.clone()).collect()
            }
            Self::Mailbox(letters) => letters.keys().cloned().collect(),
        }
    }

    /// Returns the files that somebody uploaded, with their names.
    pub(super) fn uploads(&self, workspace: &Workspace) -> Vec<(String, String)> {
        let Self::Drive(papers) = self else { return Vec::new() };
        workspace.running.with_tenant(|tenant| {
            let some = |id: &String| tenant.drive_bytes(id).is_some_and(|bytes| !bytes.is_empty());
            let there = papers.iter().filter(|(id, paper)| !paper.trashed && some(id));
            there.map(|(id, paper)| (id.clone(), paper.name.clone())).collect()
        })
    }

    /// What must be there in the end: what was there before the program, and what others did after it.
    pub(super) fn expected(before: &Self, after: &Self, later: &Self) -> Self {
        match (before, after, later) {
            (Self::Drive(before), Self::Drive(after), Self::Drive(later)) => {
                Self::Drive(papers::expected(before, after, later))
            }
            (Self::Mailbox(before), Self::Mailbox(after), Self::Mailbox(later)) => {
                Self::Mailbox(letters::expected(before, after, later))
            }
            // What is read of one account is always of one kind.
            _ => Self::Drive(Papers::new()),
        }
    }

    /// Says item by item what is not as it must be.
    pub(super) fn differences(expected: &Self, found: &Self) -> Vec<String> {
        match (expected, found) {
            (Self::Drive(expected), Self::Drive(found)) => papers::differences(expected, found),
            (Self::Mailbox(expected), Self::Mailbox(found)) => letters::differences(expected, found),
            _ => vec!["what was read cannot be compared".to_owned()],
        }
    }

    /// Takes out what the program itself left: whether a letter with demands stays is the owner's to decide.
    pub(super) fn without(&mut self, name: &str) -> usize {
        let Self::Drive(papers) = self else { return 0 };
        let all = papers.len();
        papers.retain(|_, paper| paper.name != name);
        all - papers.len()
    }
}
