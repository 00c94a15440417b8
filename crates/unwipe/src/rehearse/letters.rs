//! A mailbox, message by message: what it holds, what it must hold in the end, and its owner's work in it.

use std::collections::{BTreeMap, BTreeSet};

use google_tenant::scopes;
use serde_json::json;
use source_google::gmail::{MailboxPosition, TRASH, mailbox_unit};

use super::{app::Access, stage::Capturing, workspace::Workspace};
use crate::failure::Failure;

/// A message as it really is: the names of its labels, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) labels: BTreeSet<String>,
    pub(super) text: Vec<u8>,
}

/// Every message of a mailbox, by its id.
pub(super) type Letters = BTreeMap<String, Letter>;

pub(super) fn path(of_mailbox: &str) -> String {
    format!("gmail/v1/users/me/{of_mailbox}")
}

/// Waits until everything that happened in the mailbox is in the vault; nothing else may happen meanwhile.
pub(super) fn await_captured(
    workspace: &Workspace,
    capturing: &Capturing,
    witness: &Access<'_>,
    mailbox: &str,
    what: &str,
) -> Result<(), Failure> {
    let profile = witness.get(&path("profile"))?;
    workspace.wait(what, capturing, || {
        let known = known_history(workspace, mailbox)?;
        Ok(known.is_some() && known.as_deref() == profile["historyId"].as_str())
    })
}

/// Returns the id in the mailbox's history up to which it is in the vault.
fn known_history(workspace: &Workspace, email: &str) -> Result<Option<String>, Failure> {
    let positions = workspace.positions::<MailboxPosition>(&mailbox_unit(""))?;
    let mut known = positions.into_iter().filter(|position| position.mailbox == email && position.listed);
    Ok(known.next().map(|position| position.history))
}

/// The owner's own work after the agent; all of it must stay. Returns how many messages it concerns.
pub(super) fn work_on(workspace: &Workspace, mailbox: &str) -> Result<usize, Failure> {
    let access = Access::grant(workspace, mailbox, "Owner", &[scopes::MAIL])?;
    let (mut trash, mut others) = (Vec::new(), Vec::new());
    workspace.running.with_tenant(|tenant| {
        for number in 0..5 {
            let text = format!("From: partner@example.org\r\nSubject: Later {number}\r\n\r\nLater work.\r\n");
            tenant.deliver(mailbox, text.as_bytes());
        }
        tenant.each_letter(mailbox, |letter| {
            let in_trash = letter.labels.iter().any(|label| &**label == TRASH);
            if in_trash { trash.push(letter.id) } else { others.push(letter.id) }
        });
    });
    // Some of what the agent trashed is put back by hand, some is starred where it lies; a few others go for good.
    let (by_hand, starred) = (trash.len().min(3), trash.len().min(7));
    for id in &trash[..by_hand] {
        access.post(&path(&format!("messages/{id}/untrash")), &json!({}))?;
    }
    let ids = &trash[by_hand..starred];
    if !ids.is_empty() {
        access.post(&path("messages/batchModify"), &json!({ "ids": ids, "addLabelIds": ["STARRED"] }))?;
    }
    let purged = &others[others.len().saturating_sub(2)..];
    access.post(&path("messages/batchDelete"), &json!({ "ids": purged }))?;
    Ok(5 + starred + purged.len())
}

/// Reads a whole mailbox behind the API's back.
pub(super) fn letters(workspace: &Workspace, mailbox: &str) -> Letters {
    let mut letters = Letters::new();
    workspace.running.with_tenant(|tenant| {
        tenant.each_letter(mailbox, |letter| {
            let labels = letter.labels.into_iter().collect();
            letters.insert(letter.id, Letter { labels, text: letter.raw.to_vec() });
        });
    });
    letters
}

/// What the mailbox must hold in the end: what it held before the agent, and what its owner did after it.
pub(super) fn expected(before: &Letters, after_agent: &Letters, after_owner: &Letters) -> Letters {
    let mut expected = after_owner.clone();
    for (id, was) in before {
        match (after_agent.get(id), after_owner.get(id)) {
            (None, _) => drop(expected.insert(id.clone(), was.clone())),
            (Some(agent), Some(owner)) => {
                let all = was.labels.iter().chain(&agent.labels).chain(&owner.labels);
                let has = |letter: &Letter, label: &String| letter.labels.contains(label);
                let stays = |label: &&String| {
                    let (agents, owners) = (has(agent, label), has(owner, label));
                    if owners == agents { has(was, label) } else { owners }
                };
                let labels = all.filter(stays).cloned().collect();
                expected.insert(id.clone(), Letter { labels, text: was.text.clone() });
            }
            (Some(_), None) => {}
        }
    }
    expected
}

/// Compares two mailboxes: by ids where these are the same, and by texts where messages were put in again.
pub(super) fn differences(expected: &Letters, found: &Letters) -> Vec<String> {
    let mut anew: BTreeMap<&[u8], Vec<&Letter>> = BTreeMap::new();
    for letter in found.iter().filter(|(id, _)| !expected.contains_key(*id)).map(|(_, letter)| letter) {
        anew.entry(&letter.text).or_default().push(letter);
    }
    let mut wrong = Vec::new();
    for (id, letter) in expected {
        let other = match found.get(id) {
            Some(found) => Some(found),
            None => anew.get_mut(&letter.text[..]).and_then(Vec::pop),
        };
        match other {
            None => wrong.push(format!("{id} is missing")),
            Some(other) if other != letter => {
                wrong.push(format!("{id} has the labels {:?}, not {:?}", other.labels, letter.labels));
            }
            Some(_) => {}
        }
    }
    let more: usize = anew.values().map(Vec::len).sum();
    if more > 0 {
        wrong.push(format!("{more} messages must not be there"));
    }
    wrong
}
