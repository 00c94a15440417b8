//! What differs from incident to incident: who is let in, what they do, what of it destroys.

use std::{collections::BTreeMap, time::Duration};

use connect_http::http::Method as HttpVerb;
use google_tenant::{Size, scopes};
use model::Verb;
use serde_json::json;
use source_google::Part;
use tenants::agent::{
    Deeds, antigravity, hard_delete, low_and_slow,
    openclaw::MailCall,
    ransomware::{self, LockCall, RansomwareOptions, Victim},
    vercel::DriveCall,
};

use super::content::{Content, Place};
use crate::{
    arguments::Rehearse,
    rehearse::{
        app::{Access, Refused},
        letters, papers,
        workspace::Workspace,
    },
};

/// How many files ransomware gets to before it would be done.
const VICTIMS: usize = 60;
/// How many times as fast as this machine's the clock runs in which somebody takes their time.
const FAST: u32 = 600;

/// Longer than the audit log of the domain takes.
const LONG: Duration = Duration::from_mins(1);

/// A program's call on a drive is in the drive's log and in that of tokens.
const LOGS: u64 = 2;

/// One incident.
pub(super) struct Story {
    /// What its rehearsal is called.
    pub(super) name: &'static str,
    /// Who acts, in a few words.
    pub(super) who: &'static str,
    /// The program's name, and its id.
    pub(super) program: (&'static str, &'static str),
    /// What it may do.
    pub(super) scope: &'static str,
    pub(super) place: Place,
    /// How fast the domain's clock runs.
    pub(super) speed: u32,
    /// How long the owner considers whom to stop; long where the log names somebody, and policy stops them.
    pub(super) considers: Duration,
    /// Whether it was let in long ago: what is done at once after that is found by that.
    pub(super) known: bool,
    pub(super) size: fn(&Rehearse) -> Size,
    /// How many small texts the owner has uploaded beside that.
    pub(super) drafts: usize,
    /// Plays the script with what there is; the last argument is called before each call.
    pub(super) play: fn(&Workspace, &Access<'_>, &Content, &dyn Fn()) -> Deeds,
    /// The calls that destroy.
    pub(super) destroying: &'static [&'static str],
    /// What the audit log must have told in the end.
    pub(super) acts: fn(&Deeds) -> BTreeMap<Verb, u64>,
}

pub(super) const ANTIGRAVITY: Story = Story {
    name: "antigravity",
    who: "a sync client that follows an emptied folder",
    program: ("Folder Sync", "947318989803-foldersync.apps.googleusercontent.com"),
    scope: scopes::DRIVE,
    place: Place::Drive,
    speed: 1,
    considers: LONG,
    known: false,
    size: |options| drive(options.files.max(730)),
    drafts: 0,
    play: |workspace, access, content, look| {
        let clock = workspace.context.clock();
        antigravity::play(&*clock, antigravity::FILES_PER_SECOND, &content.ids(), |call| {
            look();
            on_drive(access, call)
        })
    },
    destroying: &["files.update, trashed"],
    acts: |deeds| BTreeMap::from([(Verb::Trash, deeds.count("files.update, trashed"))]),
};

pub(super) const HARD_DELETE: Story = Story {
    name: "hard-delete",
    who: "a program that deletes a mailbox past the trash",
    program: ("Mail Archiver", "523456789012-mailarchiver.apps.googleusercontent.com"),
    scope: scopes::MAIL,
    place: Place::Mailbox,
    speed: 1,
    considers: LONG,
    known: false,
    size: |options| Size { users: 4, messages: options.messages, files: 1, events: 1, contacts: 1 },
    drafts: 0,
    play: |workspace, access, content, look| {
        let clock = workspace.context.clock();
        hard_delete::play(&*clock, Duration::from_millis(50), &content.ids(), |call| {
            look();
            on_mail(access, call)
        })
    },
    destroying: &["messages.batchDelete"],
    // The log has a row for each call.
    acts: |deeds| BTreeMap::from([(Verb::Delete, deeds.deeds.len() as u64)]),
};

pub(super) const RANSOMWARE: Story = Story {
    name: "ransomware",
    who: "a program that reads, encrypts, writes back and renames",
    program: ("PDF Toolbox", "600700800900-pdftoolbox.apps.googleusercontent.com"),
    scope: scopes::DRIVE,
    place: Place::Drive,
    speed: 1,
    considers: Duration::from_secs(8),
    known: false,
    size: |options| drive(options.files.max(260)),
    drafts: 0,
    play: |workspace, access, content, look| {
        let clock = workspace.context.clock();
        let victims: Vec<Victim> = content
            .uploads(workspace)
            .into_iter()
            .take(VICTIMS)
            .map(|(id, name)| Victim { id, name })
            .collect();
        let options = RansomwareOptions::default();
        ransomware::play(&*clock, &*workspace.context.ports.random, &options, &victims, |call| {
            look();
            locking(access, call)
        })
    },
    destroying: &["files.update, its content"],
    acts: |deeds| {
        let writes = deeds.count("files.update, its content") + deeds.count("files.update, its name");
        BTreeMap::from([
            (Verb::Read, LOGS * deeds.count("files.get, its content")),
            (Verb::Update, LOGS * writes),
        ])
    },
};

pub(super) const LOW_AND_SLOW: Story = Story {
    name: "low-and-slow",
    who: "a program, let in long ago, that deletes a file every two minutes",
    program: ("Desk Assistant", "410000000004-desk.apps.googleusercontent.com"),
    scope: scopes::DRIVE,
    place: Place::Drive,
    speed: FAST,
    considers: LONG,
    known: true,
    size: |_| Size { users: 8, ..drive(20) },
    drafts: 400,
    play: |workspace, access, content, look| {
        let clock = workspace.context.clock();
        // Documents of the editors come back as what they were exported to; these come back bit by bit.
        let files: Vec<String> = content.uploads(workspace).into_iter().map(|(id, _)| id).collect();
        low_and_slow::play(&*clock, low_and_slow::PAUSE, &files, |call| {
            look();
            on_drive(access, call)
        })
    },
    destroying: &["files.delete"],
    acts: |deeds| BTreeMap::from([(Verb::Delete, LOGS * deeds.count("files.delete"))]),
};

/// Uploads so many small texts into somebody's drive.
pub(super) fn upload_drafts(workspace: &Workspace, owner: &str, drafts: usize) {
    workspace.running.with_tenant(|tenant| {
        for number in 0..drafts {
            let text = format!("Draft {number} of a project that is over.\n");
            tenant.add_drive_bytes(owner, &format!("Draft {number}.txt"), "text/plain", text.as_bytes());
        }
    });
}

impl Story {
    pub(super) fn parts(&self) -> [Part; 3] {
        let part = match self.place {
            Place::Drive => Part::Drive,
            Place::Mailbox => Part::Gmail,
        };
        [Part::Directory, part, Part::Audit]
    }
}

/// Returns a domain in which drives are what matters.
pub(super) fn drive(files: u32) -> Size {
    Size { users: 3, messages: 5, files, events: 1, contacts: 1 }
}

/// Carries out a call on a drive.
pub(super) fn on_drive(access: &Access<'_>, call: &DriveCall) -> Result<(), Refused> {
    match call {
        DriveCall::Trash(id) => {
            access.change(HttpVerb::PATCH, &papers::path(id), &json!({ "trashed": true })).map(drop)
        }
        DriveCall::Delete(id) => access.bytes(access.request(HttpVerb::DELETE, &papers::path(id))).map(drop),
        DriveCall::Read(id) | DriveCall::Link(id) | DriveCall::Invite(id) => {
            access.get(&papers::path(id)).map(drop)
        }
    }
}

fn on_mail(access: &Access<'_>, call: &MailCall) -> Result<(), Refused> {
    let (path, body) = match call {
        MailCall::Trash(id) => (format!("messages/{id}/trash"), json!({})),
        MailCall::Archive(ids) => {
            ("messages/batchModify".to_owned(), json!({ "ids": ids, "removeLabelIds": ["INBOX"] }))
        }
        MailCall::Delete(ids) => ("messages/batchDelete".to_owned(), json!({ "ids": ids })),
    };
    access.post(&letters::path(&path), &body).map(drop)
}

/// Carries out a call of ransomware.
fn locking(access: &Access<'_>, call: &LockCall) -> Result<Vec<u8>, Refused> {
    let upload = |verb, path: String, content: &[u8]| {
        let request = access.request(verb, &format!("upload/{path}?uploadType=media"));
        access.send(request.body("application/octet-stream", content.to_vec()))
    };
    let named = |id: &str, name: &str| {
        access.change(HttpVerb::PATCH, &papers::path(id), &json!({ "name": name })).map(|_| Vec::new())
    };
    match call {
        LockCall::Read(id) => {
            access.bytes(access.request(HttpVerb::GET, &format!("{}?alt=media", papers::path(id))))
        }
        LockCall::Overwrite(id, content) => {
            upload(HttpVerb::PATCH, papers::path(id), content).map(|_| Vec::new())
        }
        LockCall::Rename(id, name) => named(id, name),
        LockCall::Leave { name, content } => {
            let made = upload(HttpVerb::POST, "drive/v3/files".to_owned(), content)?;
            named(made["id"].as_str().unwrap_or_default(), name)
        }
        LockCall::EmptyTrash => access.bytes(access.request(HttpVerb::DELETE, "drive/v3/files/trash")),
    }
}
