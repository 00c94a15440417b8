//! A drive, file by file: what it holds, what it must hold in the end, and its owner's work in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use connect_http::http::Method as HttpVerb;
use google_tenant::{FileView, Grantee};
use serde_json::json;
use source_google::drive::{DrivePosition, drive_stream, drive_unit};

use super::{
    app::{Access, Refused},
    stage::Capturing,
    workspace::Workspace,
};
use crate::{exit::Exit, failure::Failure};

/// A file as it really is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Paper {
    pub(super) name: String,
    pub(super) folder: Option<Arc<str>>,
    pub(super) trashed: bool,
    /// Who may do what.
    pub(super) shared: BTreeSet<String>,
    pub(super) content: Option<Vec<u8>>,
}

/// Every file of a drive, by its id.
pub(super) type Papers = BTreeMap<String, Paper>;

pub(super) fn share(access: &Access<'_>, id: &str, permission: &serde_json::Value) -> Result<(), Refused> {
    access.post(&format!("{}/permissions?sendNotificationEmail=false", path(id)), permission).map(drop)
}

pub(super) fn path(id: &str) -> String {
    format!("drive/v3/files/{id}")
}

/// Waits until everything that happened in the drive is in the vault; nothing else may happen meanwhile.
pub(super) fn await_captured(
    workspace: &Workspace,
    capturing: &Capturing,
    witness: &Access<'_>,
    owner: &str,
    what: &str,
) -> Result<(), Failure> {
    let newest = witness.get("drive/v3/changes/startPageToken")?;
    workspace.wait(what, capturing, || {
        let known = known_change(workspace, owner)?;
        Ok(known.is_some() && known.as_deref() == newest["startPageToken"].as_str())
    })
}

/// Returns the token of the change before which the drive is in the vault.
fn known_change(workspace: &Workspace, owner: &str) -> Result<Option<String>, Failure> {
    let stream = drive_stream(owner).map_err(|error| Failure::because(Exit::Failed, "no stream", error))?;
    let positions = workspace.positions::<DrivePosition>(&drive_unit(""))?;
    let mut known =
        positions.into_iter().filter(|position| position.stream == stream.as_str() && position.listed);
    Ok(known.next().map(|position| position.changes))
}

/// The owner's own work after the intruder; all of it must stay. Returns how many files it concerns.
pub(super) fn work_on(access: &Access<'_>, papers: &Papers) -> Result<usize, Failure> {
    let of = |wanted: bool| {
        let files = papers.iter().filter(|(_, paper)| paper.content.is_some());
        files.filter(move |(_, paper)| paper.trashed == wanted).map(|(id, _)| id.as_str())
    };
    let (mut trashed, mut others) = (of(true), of(false));
    let mut files = 0;
    for id in trashed.by_ref().take(2) {
        access.change(HttpVerb::PATCH, &path(id), &json!({ "trashed": false }))?;
        files += 1;
    }
    for (number, id) in trashed.take(2).chain(others.by_ref().take(4)).enumerate() {
        access.change(HttpVerb::PATCH, &path(id), &json!({ "name": format!("Named later {number}") }))?;
        files += 1;
    }
    for id in others.by_ref().take(3) {
        share(
            access,
            id,
            &json!({ "type": "user", "role": "commenter", "emailAddress": "partner@example.org" }),
        )?;
        files += 1;
    }
    for id in others.take(3) {
        access.change(HttpVerb::PATCH, &path(id), &json!({ "trashed": true }))?;
        files += 1;
    }
    access.post("drive/v3/files", &json!({ "name": "Written later", "mimeType": "text/plain" }))?;
    Ok(files + 1)
}

/// Reads a whole drive behind the API's back.
pub(super) fn papers(workspace: &Workspace, owner: &str) -> Papers {
    workspace.running.with_tenant(|tenant| {
        let Some(id) =
            tenant.users().iter().find(|user| user.primary_email == owner).map(|user| user.id.clone())
        else {
            return Papers::new();
        };
        let own = |file: &FileView| file.drive.is_none() && *file.owner == *id;
        let files = tenant.drive_files().into_iter().filter(own);
        let paper = |file: FileView| {
            let text = || tenant.drive_text(&file.id).map(String::into_bytes);
            let paper = Paper {
                content: tenant.drive_bytes(&file.id).or_else(text),
                name: file.name,
                folder: file.parent,
                trashed: file.trashed,
                shared: file.permissions.iter().map(|(grantee, role)| shared(grantee, *role)).collect(),
            };
            (file.id.to_string(), paper)
        };
        files.map(paper).collect()
    })
}

fn shared(grantee: &Grantee, role: google_tenant::Role) -> String {
    match grantee {
        Grantee::User(address, _) | Grantee::Group(address) | Grantee::Domain(address) => {
            format!("{address} {role:?}")
        }
        Grantee::Anyone => format!("anyone {role:?}"),
    }
}

/// What the drive must hold in the end: what it held before the intruder, and what its owner did after.
pub(super) fn expected(before: &Papers, after_intruder: &Papers, after_owner: &Papers) -> Papers {
    let mut expected = after_owner.clone();
    for (id, was) in before {
        match (after_intruder.get(id), after_owner.get(id)) {
            (None, _) => drop(expected.insert(id.clone(), was.clone())),
            (Some(then), Some(now)) => {
                expected.insert(
                    id.clone(),
                    Paper {
                        name: kept(&was.name, &then.name, &now.name),
                        folder: kept(&was.folder, &then.folder, &now.folder),
                        trashed: kept(&was.trashed, &then.trashed, &now.trashed),
                        content: kept(&was.content, &then.content, &now.content),
                        shared: kept_shares(was, then, now),
                    },
                );
            }
            (Some(_), None) => {}
        }
    }
    expected
}

/// Returns what was before the intruder, unless it was changed again.
fn kept<T: Clone + PartialEq>(was: &T, then: &T, now: &T) -> T {
    if now == then { was.clone() } else { now.clone() }
}

fn kept_shares(was: &Paper, then: &Paper, now: &Paper) -> BTreeSet<String> {
    let all = was.shared.iter().chain(&then.shared).chain(&now.shared);
    let stays = |share: &&String| {
        let has = |paper: &Paper| paper.shared.contains(*share);
        kept(&has(was), &has(then), &has(now))
    };
    all.filter(stays).cloned().collect()
}

/// Compares two drives: by ids where these are the same, and by everything else where files were made anew.
pub(super) fn differences(expected: &Papers, found: &Papers) -> Vec<String> {
    let mut anew: Vec<&Paper> =
        found.iter().filter(|(id, _)| !expected.contains_key(*id)).map(|(_, paper)| paper).collect();
    let mut wrong = Vec::new();
    for (id, paper) in expected {
        match found.get(id) {
            Some(other) if other == paper => {}
            Some(other) => wrong.push(difference(id, paper, other)),
            None => match anew.iter().position(|other| *other == paper) {
                Some(index) => drop(anew.swap_remove(index)),
                None => wrong.push(format!("{id} {:?} is missing", paper.name)),
            },
        }
    }
    wrong.extend(anew.iter().map(|paper| format!("{:?} must not be there", paper.name)));
    wrong
}

fn difference(id: &str, expected: &Paper, found: &Paper) -> String {
    let shown = |paper: &Paper| {
        let bytes = paper.content.as_ref().map_or(0, Vec::len);
        format!(
            "{:?} in {:?}, trashed {}, {bytes} bytes, {:?}",
            paper.name, paper.folder, paper.trashed, paper.shared
        )
    };
    format!("{id} is {}, not {}", shown(found), shown(expected))
}
