//! Drives of the simulated domain: what is really in them, and somebody who changes things.

use std::collections::{BTreeMap, BTreeSet};

use connect::testing::MemorySink;
use google_tenant::{FileView, scopes};
use model::UnreadableReason;
use serde_json::Value;
use source_google::{Part, drive::FileAttributes};

use crate::domain::Domain;

/// The client id of the program that acts with files.
const HAND: &str = "523456789012-hand.apps.googleusercontent.com";

pub(crate) const FOLDER: &str = "application/vnd.google-apps.folder";
pub(crate) const DOCUMENT: &str = "application/vnd.google-apps.document";
const WORD: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
/// The best format of each kind of document.
const FORMATS: [(&str, &str); 5] = [
    ("document", WORD),
    ("spreadsheet", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("presentation", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("drawing", "image/svg+xml"),
    ("script", "application/vnd.google-apps.script+json"),
];

/// Somebody who acts in a user's name and may do everything with files.
pub(crate) struct Hand<'d> {
    domain: &'d Domain,
    token: String,
}

/// Starts a domain with little in its drives.
pub(crate) fn small(parts: &[Part]) -> Domain {
    Domain::with(parts, |settings| (settings.size.users, settings.size.files) = (4, 18))
}

impl Domain {
    pub(crate) fn hand(&self, user: &str) -> Hand<'_> {
        Hand { domain: self, token: self.let_in(user, (HAND, "Hand"), &[scopes::DRIVE]) }
    }

    pub(crate) fn administrator(&self) -> String {
        self.running.with_tenant(|tenant| tenant.administrator().unwrap().to_owned())
    }

    pub(crate) fn user_id(&self, user: &str) -> String {
        self.running.with_tenant(|tenant| tenant.user(user).unwrap().id.to_string())
    }

    /// Returns the addresses of those in whose name files can be read.
    pub(crate) fn people(&self) -> Vec<String> {
        self.running.with_tenant(|tenant| {
            let open = |user: &&google_tenant::User| !user.suspended && user.deleted.is_none();
            tenant.users().iter().filter(open).map(|user| user.primary_email.clone()).collect()
        })
    }

    /// Returns the files that a user owns.
    pub(crate) fn owned(&self, user: &str) -> Vec<FileView> {
        let id = self.user_id(user);
        let mut files = self.running.with_tenant(|tenant| tenant.drive_files());
        files.retain(|file| file.drive.is_none() && *file.owner == id);
        files
    }

    /// Returns what is in a shared drive, but for its top folder.
    pub(crate) fn inside(&self, drive: &str) -> Vec<FileView> {
        let mut files = self.running.with_tenant(|tenant| tenant.drive_files());
        files.retain(|file| file.drive.as_deref() == Some(drive) && *file.id != *drive);
        files
    }

    pub(crate) fn shared_drives(&self) -> Vec<String> {
        self.running
            .with_tenant(|tenant| tenant.shared_drives().iter().map(|(id, _)| id.to_string()).collect())
    }

    pub(crate) fn forget_calls(&self) {
        self.running.with_tenant(google_tenant::Tenant::clear_traffic);
    }

    /// Compares all drives with what a sink holds.
    #[track_caller]
    pub(crate) fn assert_drives_held(&self, sink: &MemorySink) {
        for user in self.people() {
            self.assert_files(sink, &format!("drive/{user}"), &self.owned(&user), &user);
        }
        let administrator = self.administrator();
        for drive in self.shared_drives() {
            self.assert_files(sink, &format!("shared-drive/{drive}"), &self.inside(&drive), &administrator);
        }
    }

    /// Compares some files with a stream: what there is, where it is, what it contains, and who may see it.
    #[track_caller]
    fn assert_files(&self, sink: &MemorySink, stream: &str, files: &[FileView], reader: &str) {
        let held = sink.stream(stream);
        let ids: BTreeSet<&str> = held.keys().filter_map(|key| key.strip_prefix("file/")).collect();
        let real: BTreeSet<&str> = files.iter().map(|file| &*file.id).collect();
        assert_eq!(ids, real, "the files of {stream}");
        let hand = self.hand(reader);
        for file in files {
            let item = held[format!("file/{}", file.id).as_str()];
            let told = match &item.content {
                Ok(content) => {
                    assert_eq!(Some(content), self.content(file, &hand).as_ref(), "{}", file.name);
                    &item.attributes
                }
                Err(reason) => {
                    assert_withheld(file, &hand, reason);
                    &held[format!("metadata/{}", file.id).as_str()].attributes
                }
            };
            assert!(item.content.is_err() || !held.contains_key(format!("metadata/{}", file.id).as_str()));
            let told = FileAttributes::of_text(told).unwrap();
            assert_eq!((&told.name, &told.mime_type), (&file.name, &file.media_type));
            let parent = file.parent.as_deref();
            if parent.is_some_and(|parent| real.contains(parent)) {
                assert_eq!(told.parents.first().map(String::as_str), parent, "the folder of {}", file.name);
            }
            assert_eq!(told.trashed, file.trashed, "the trash and {}", file.name);
            let target = told.shortcut_details.map(|target| target.target_id);
            assert_eq!(target.as_deref(), file.target.as_deref());
            let path = format!(
                "files/{}/permissions?supportsAllDrives=true&pageSize=100&fields=permissions(id,role)",
                file.id
            );
            let mine: BTreeMap<String, String> =
                told.permissions.into_iter().map(|own| (own.id, own.role)).collect();
            assert_eq!(
                mine,
                hand.get(&path).map(|list| roles(&list)).unwrap_or_default(),
                "who sees {}",
                file.name
            );
        }
    }

    /// Returns what a file contains.
    fn content(&self, file: &FileView, hand: &Hand<'_>) -> Option<Vec<u8>> {
        let kind = file.media_type.strip_prefix("application/vnd.google-apps.");
        match kind {
            None => self.running.with_tenant(|tenant| tenant.drive_bytes(&file.id)),
            Some("folder" | "shortcut") => Some(Vec::new()),
            Some(kind) => hand.export(&file.id, FORMATS.iter().find(|(own, _)| *own == kind)?.1),
        }
    }
}

#[track_caller]
fn assert_withheld(file: &FileView, hand: &Hand<'_>, reason: &UnreadableReason) {
    let exported = file.media_type.strip_prefix("application/vnd.google-apps.");
    let has_format = exported.is_none_or(|kind| FORMATS.iter().any(|(own, _)| *own == kind));
    match reason {
        UnreadableReason::Unsupported { detail } => {
            assert!(!has_format && detail.contains("exported"), "{}: {detail}", file.name);
        }
        UnreadableReason::Denied { detail } if detail.contains("Abusive") => {
            assert_eq!(file.name, "Flagged.zip");
        }
        UnreadableReason::Denied { .. } => {
            let path = format!("files/{}?supportsAllDrives=true&fields=capabilities", file.id);
            let may = &hand.get(&path).unwrap()["capabilities"]["canDownload"];
            assert_eq!(may, false, "{}", file.name);
        }
        other => panic!("{}: {other:?}", file.name),
    }
}

fn roles(list: &Value) -> BTreeMap<String, String> {
    let all = list["permissions"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    all.map(|one| (text(&one["id"]), text(&one["role"]))).collect()
}

impl Hand<'_> {
    fn url(&self, path: &str) -> String {
        format!("{}/drive/v3/{path}", self.domain.running.url())
    }

    fn authorization(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// Reads something; `None` when it is refused.
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        let request = ureq::get(self.url(path)).header("authorization", self.authorization());
        request.call().ok()?.body_mut().read_json().ok()
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Value {
        let request = ureq::post(self.url(path)).header("authorization", self.authorization());
        request.send_json(body).unwrap().body_mut().read_json().unwrap_or_default()
    }

    pub(crate) fn patch(&self, path: &str, body: &Value) -> Value {
        let request = ureq::patch(self.url(path)).header("authorization", self.authorization());
        request.send_json(body).unwrap().body_mut().read_json().unwrap_or_default()
    }

    pub(crate) fn delete(&self, path: &str) {
        ureq::delete(self.url(path)).header("authorization", self.authorization()).call().unwrap();
    }

    /// Deletes something, if that is allowed.
    #[allow(dead_code, reason = "restores are tested with it")]
    pub(crate) fn try_delete(&self, path: &str) {
        ureq::delete(self.url(path)).header("authorization", self.authorization()).call().ok();
    }

    /// Changes what is known of a file.
    pub(crate) fn change(&self, id: &str, body: &Value) {
        self.patch(&format!("files/{id}?supportsAllDrives=true"), body);
    }

    /// Makes a file without content; returns its id.
    pub(crate) fn make(&self, body: &Value) -> String {
        self.post("files?supportsAllDrives=true", body)["id"].as_str().unwrap().to_owned()
    }

    /// Writes new content of a file.
    pub(crate) fn write(&self, id: &str, media_type: &str, content: &[u8], query: &str) {
        let url = format!(
            "{}/upload/drive/v3/files/{id}?uploadType=media&supportsAllDrives=true{query}",
            self.domain.running.url()
        );
        let request =
            ureq::patch(url).header("authorization", self.authorization()).header("content-type", media_type);
        request.send(content).unwrap();
    }

    /// Returns an export, by the link that has no limit of its size.
    fn export(&self, id: &str, format: &str) -> Option<Vec<u8>> {
        let file = self.get(&format!("files/{id}?supportsAllDrives=true&fields=exportLinks"))?;
        let link = file["exportLinks"][format].as_str()?.to_owned();
        let mut answer = ureq::get(link).header("authorization", self.authorization()).call().ok()?;
        answer.body_mut().with_config().limit(256 << 20).read_to_vec().ok()
    }
}

/// Returns the files of a stream by their ids.
pub(crate) fn attributes(sink: &MemorySink, stream: &str) -> BTreeMap<String, FileAttributes> {
    let held = sink.stream(stream);
    let files = held.iter().filter_map(|(key, item)| {
        let attributes = FileAttributes::of_text(&item.attributes)?;
        Some((key.strip_prefix("file/")?.to_owned(), attributes))
    });
    files.collect()
}
