//! What is to be done about one file: a pure comparison of three states.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use source_google::drive::{FileAttributes, FileKind};

use super::rows::{FieldChange, PlaceChange};

/// What is known of a file at one time.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) attributes: FileAttributes,
    /// Whether its content is stored.
    pub(super) has_content: bool,
    /// Bytes of what is stored.
    pub(super) bytes: u64,
}

/// What is to be done about a file that is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) fields: BTreeMap<String, FieldChange>,
    pub(super) place: Option<PlaceChange>,
    /// Whether it comes out of the trash.
    pub(super) untrash: bool,
    /// Whether it gets the content back that it had.
    pub(super) content: bool,
    /// What was changed in the window and again after it; it stays as it is.
    pub(super) kept: Vec<String>,
    /// What cannot be set back, and why.
    pub(super) lost: Vec<String>,
}

impl Change {
    fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.place.is_none() && !self.untrash && !self.content
    }
}

/// What is to be done about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing: it is as it was.
    Unchanged,
    /// It is gone, and is made anew.
    Make,
    /// It is there, and is set back.
    Change(Change),
    /// It is left alone.
    Conflict(String),
    /// It cannot come back.
    Loss(String),
}

/// What is known of a file at three times, and of what became of it after the window.
#[derive(Debug, Clone, Default)]
pub(super) struct FileStates {
    /// Before the window.
    pub(super) before: Option<Known>,
    /// At the window's end.
    pub(super) after: Option<Known>,
    /// What it became after the window, oldest first, the newest included.
    pub(super) later: Vec<FileAttributes>,
    /// Now.
    pub(super) now: Option<Known>,
}

/// Decides about a file that was there before the window; one that came within it stays.
pub(super) fn decide(states: &FileStates) -> Option<Decision> {
    let before = states.before.as_ref()?;
    Some(match (&states.after, &states.now) {
        (None, None) if !states.later.is_empty() => Decision::Conflict(
            "somebody brought it back after the window, and it went again since".to_owned(),
        ),
        (None, None) => match before.attributes.kind() {
            FileKind::Folder | FileKind::Shortcut => Decision::Make,
            FileKind::Binary | FileKind::Editor if before.has_content => Decision::Make,
            FileKind::Binary | FileKind::Editor => {
                Decision::Loss(format!("its content could not be read when it was captured{}", why(before)))
            }
        },
        (Some(after), None) if after.attributes.trashed => Decision::Conflict(
            "it went out of the trash for good after the window; a window that ends later brings it back"
                .to_owned(),
        ),
        (Some(_), None) => Decision::Conflict("it was deleted after the window".to_owned()),
        (_, Some(now)) if now.attributes.unseen.is_some() => {
            Decision::Conflict("it cannot be seen now".to_owned())
        }
        (after, Some(now)) => change(before, after.as_ref().unwrap_or(now), &states.later, now),
    })
}

fn why(known: &Known) -> String {
    known.attributes.withheld.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default()
}

fn change(before: &Known, after: &Known, later: &[FileAttributes], now: &Known) -> Decision {
    let mut change = Change::default();
    compare_fields(&mut change, [before, after, now].map(|known| &known.attributes), later);
    compare_place(&mut change, [before, after, now].map(|known| &known.attributes), later);
    compare_trash(&mut change, [before, after, now].map(|known| &known.attributes), later);
    compare_content(&mut change, before, after, later, now);
    match (change.is_empty(), change.kept.is_empty(), change.lost.is_empty()) {
        (true, true, true) => Decision::Unchanged,
        (true, false, true) => Decision::Conflict(again(&change.kept)),
        (true, false, false) => {
            Decision::Conflict(format!("{}; {}", again(&change.kept), change.lost.join("; ")))
        }
        (true, true, false) => Decision::Loss(change.lost.join("; ")),
        (false, ..) => Decision::Change(change),
    }
}

/// Says what stays as it is.
pub(super) fn again(kept: &[String]) -> String {
    format!("these were changed again after the window: {}", kept.join(", "))
}

fn compare_fields(change: &mut Change, [before, after, now]: [&FileAttributes; 3], later: &[FileAttributes]) {
    let (was, became, is) = (fields(before), fields(after), fields(now));
    let later: Vec<_> = later.iter().map(fields).collect();
    let mut names: Vec<&String> = was.keys().chain(became.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let of = |fields: &BTreeMap<String, Value>| fields.get(name).cloned().unwrap_or(Value::Null);
        let (wanted, done, present) = (of(&was), of(&became), of(&is));
        if wanted == done || present == wanted {
            continue;
        }
        if later.iter().any(|version| of(version) != done) {
            // Whoever changes anything changes the time.
            if name != "modifiedTime" {
                change.kept.push(name.clone());
            }
        } else if let Some(to) = written(name, wanted) {
            change.fields.insert(name.clone(), FieldChange { to, from: present });
        } else if done != false && name != "modifiedTime" {
            change
                .lost
                .push(format!("it had no {name}, and that cannot be written: it keeps the one it has"));
        }
    }
}

/// Returns what of a file can be written and compared, by its name in the API; a property by `properties/KEY`.
pub(super) fn fields(attributes: &FileAttributes) -> BTreeMap<String, Value> {
    const PLAIN: [&str; 9] = [
        "name",
        "description",
        "folderColorRgb",
        "originalFilename",
        "copyRequiresWriterPermission",
        "writersCanShare",
        "inheritedPermissionsDisabled",
        "downloadRestrictions",
        "modifiedTime",
    ];
    let Ok(Value::Object(mut all)) = serde_json::to_value(attributes) else { return BTreeMap::new() };
    let mut fields: BTreeMap<String, Value> =
        PLAIN.iter().filter_map(|name| Some(((*name).to_owned(), all.remove(*name)?))).collect();
    if attributes.kind() == FileKind::Binary {
        fields.insert("mimeType".to_owned(), attributes.mime_type.clone().into());
    }
    fields.insert("starred".to_owned(), attributes.starred.into());
    for (key, value) in &attributes.properties {
        fields.insert(format!("properties/{key}"), value.clone().into());
    }
    let locked = attributes.content_restrictions.iter().filter(|own| own["readOnly"] == true);
    let locks: Vec<Value> = locked
        .map(|own| {
            let mut lock = json!({ "readOnly": true });
            for name in ["reason", "ownerRestricted"] {
                if let Some(value) = own.get(name).filter(|value| **value != false) {
                    lock[name] = value.clone();
                }
            }
            lock
        })
        .collect();
    fields.insert("contentRestrictions".to_owned(), locks.into());
    fields
}

/// Returns how a value is written; `None` when this one cannot be.
fn written(name: &str, wanted: Value) -> Option<Value> {
    match (name, wanted) {
        ("description", Value::Null) => Some("".into()),
        (name, Value::Null) if name.starts_with("properties/") => Some(Value::Null),
        (_, Value::Null) => None,
        (_, wanted) => Some(wanted),
    }
}

/// Tells whether a value is the wanted one; an empty description is none.
pub(super) fn is_as(present: &Value, wanted: &Value) -> bool {
    let is_none = |value: &Value| value.is_null() || *value == "";
    present == wanted || is_none(present) && is_none(wanted)
}

fn compare_place(change: &mut Change, [before, after, now]: [&FileAttributes; 3], later: &[FileAttributes]) {
    let is_moved = before.parents != after.parents && now.parents != before.parents;
    if !is_moved {
        return;
    }
    let Some(to) = before.parents.first() else {
        change.lost.push("the folder that it was in is not known: it stays where it is".to_owned());
        return;
    };
    if later.iter().any(|version| version.parents != after.parents) {
        change.kept.push("its folder".to_owned());
    } else {
        change.place = Some(PlaceChange { to: to.clone(), from: now.parents.first().cloned() });
    }
}

fn compare_trash(change: &mut Change, [before, after, now]: [&FileAttributes; 3], later: &[FileAttributes]) {
    let (was, became, is) = (before.explicitly_trashed, after.explicitly_trashed, now.explicitly_trashed);
    if was == became || is == was {
        return;
    }
    if was {
        change.lost.push("it was taken out of the trash, and stays out".to_owned());
    } else if later.iter().any(|version| version.explicitly_trashed != became) {
        change.kept.push("the trash".to_owned());
    } else {
        change.untrash = true;
    }
}

fn compare_content(
    change: &mut Change,
    before: &Known,
    after: &Known,
    later: &[FileAttributes],
    now: &Known,
) {
    let (was, became) = (&before.attributes, &after.attributes);
    if is_same_content(was, became) || is_same_content(was, &now.attributes) {
        return;
    }
    // A document's time changes with its name as well. Text that nobody touched is not written over for that.
    if was.kind() == FileKind::Editor && [was, became].iter().any(|file| file.newest_revision.is_none()) {
        change
            .lost
            .push("whether its text was changed is not known: its revisions could not be read".to_owned());
        return;
    }
    if later.iter().any(|version| !is_same_content(became, version)) {
        change.kept.push("its content".to_owned());
    } else if !before.has_content {
        change.lost.push(format!("its content could not be read when it was captured{}", why(before)));
    } else if was.kind() == FileKind::Editor && !is_importable(was) {
        change.lost.push("its content cannot be written from the format in which it is stored".to_owned());
    } else {
        change.content = true;
    }
}

/// Tells whether two states of a file have the same content, as far as is told.
fn is_same_content(one: &FileAttributes, other: &FileAttributes) -> bool {
    match one.kind() {
        FileKind::Folder | FileKind::Shortcut => true,
        FileKind::Binary => match (&one.md5_checksum, &other.md5_checksum) {
            (Some(one), Some(other)) => one == other,
            _ => one.head_revision_id == other.head_revision_id && one.size == other.size,
        },
        FileKind::Editor => match (&one.newest_revision, &other.newest_revision) {
            (Some(one), Some(other)) => one == other,
            _ => one.modified_time == other.modified_time,
        },
    }
}

/// Formats from which documents are made.
const IMPORTED: [&str; 9] = [
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.google-apps.script+json",
    "application/vnd.oasis.opendocument.text",
    "application/vnd.oasis.opendocument.spreadsheet",
    "application/x-vnd.oasis.opendocument.spreadsheet",
    "application/vnd.oasis.opendocument.presentation",
    "text/html",
];

/// Tells whether a document can be made from the format in which it is stored.
pub(super) fn is_importable(attributes: &FileAttributes) -> bool {
    attributes.export.as_deref().is_some_and(|format| IMPORTED.contains(&format))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> Known {
        let attributes = FileAttributes {
            name: name.to_owned(),
            mime_type: "text/plain".to_owned(),
            parents: vec!["top".to_owned()],
            md5_checksum: Some("1".to_owned()),
            modified_time: "t1".to_owned(),
            ..FileAttributes::default()
        };
        Known { attributes, has_content: true, bytes: 3 }
    }

    fn with(change: impl FnOnce(&mut FileAttributes)) -> Known {
        let mut known = file("a");
        change(&mut known.attributes);
        known
    }

    fn states(after: Option<Known>, later: &[Known]) -> FileStates {
        let now = later.last().cloned().or_else(|| after.clone());
        let later = later.iter().map(|known| known.attributes.clone()).collect();
        FileStates { before: Some(file("a")), after, later, now }
    }

    fn changed(after: Known, later: &[Known]) -> Change {
        match decide(&states(Some(after), later)) {
            Some(Decision::Change(change)) => change,
            other => panic!("{other:?}"),
        }
    }

    fn encrypted() -> Known {
        with(|file| {
            "a.locked".clone_into(&mut file.name);
            file.md5_checksum = Some("2".to_owned());
            "t2".clone_into(&mut file.modified_time);
        })
    }

    #[test]
    fn each_field_goes_back_that_nobody_changed_again() {
        let change = changed(encrypted(), &[]);
        assert!(change.content && change.kept.is_empty() && change.place.is_none());
        assert_eq!(change.fields.keys().collect::<Vec<_>>(), ["modifiedTime", "name"]);
        assert_eq!(change.fields["name"], FieldChange { to: "a".into(), from: "a.locked".into() });

        let mut own = encrypted();
        own.attributes.md5_checksum = Some("3".to_owned());
        "t3".clone_into(&mut own.attributes.modified_time);
        let change = changed(encrypted(), &[own]);
        assert!(!change.content);
        assert_eq!(change.kept, ["its content"]);
        assert_eq!(change.fields.keys().collect::<Vec<_>>(), ["name"]);
    }

    #[test]
    fn what_its_owner_set_back_already_is_as_it_was() {
        assert_eq!(decide(&states(Some(encrypted()), &[file("a")])), Some(Decision::Unchanged));
        let again = with(|file| file.explicitly_trashed = true);
        let decision = decide(&states(Some(again.clone()), &[file("a"), again.clone()]));
        assert!(matches!(decision, Some(Decision::Conflict(_))), "{decision:?}");
        assert!(changed(again, &[]).untrash);
    }

    #[test]
    fn what_is_gone_is_made_anew_unless_it_went_later_or_is_not_stored() {
        assert_eq!(decide(&states(None, &[])), Some(Decision::Make));
        let mut gone = states(Some(file("a")), &[]);
        gone.now = None;
        assert!(matches!(decide(&gone), Some(Decision::Conflict(_))));
        let mut again = states(None, &[file("a")]);
        again.now = None;
        assert!(matches!(decide(&again), Some(Decision::Conflict(_))), "brought back and taken away again");
        let mut lost = states(None, &[]);
        lost.before = Some(Known { has_content: false, ..file("a") });
        assert!(matches!(decide(&lost), Some(Decision::Loss(_))));
        assert_eq!(decide(&FileStates::default()), None, "what came within the window stays");
    }

    #[test]
    fn places_and_properties_are_compared_by_themselves() {
        let moved = with(|file| {
            file.parents = vec!["other".to_owned()];
            file.properties = [("k".to_owned(), "v".to_owned())].into();
        });
        let change = changed(moved.clone(), &[]);
        assert_eq!(change.place, Some(PlaceChange { to: "top".to_owned(), from: Some("other".to_owned()) }));
        assert_eq!(change.fields["properties/k"], FieldChange { to: Value::Null, from: "v".into() });
        let mut later = moved.clone();
        later.attributes.parents = vec!["third".to_owned()];
        assert_eq!(changed(moved, &[later]).kept, ["its folder"]);
    }

    #[test]
    fn what_cannot_be_written_is_told() {
        let coloured = with(|file| file.folder_color_rgb = Some("#16a765".to_owned()));
        let decision = decide(&states(Some(coloured), &[]));
        assert!(
            matches!(&decision, Some(Decision::Loss(reason)) if reason.contains("folderColorRgb")),
            "{decision:?}"
        );
        let mut moved = states(Some(with(|file| file.parents = vec!["other".to_owned()])), &[]);
        moved.before = Some(with(|file| file.parents.clear()));
        let decision = decide(&moved);
        assert!(
            matches!(&decision, Some(Decision::Loss(reason)) if reason.contains("folder")),
            "{decision:?}"
        );
    }

    #[test]
    fn a_document_whose_export_cannot_be_taken_stays_as_it_is() {
        let drawing = |revision: &str| {
            with(|file| {
                "application/vnd.google-apps.drawing".clone_into(&mut file.mime_type);
                file.md5_checksum = None;
                file.export = Some("image/svg+xml".to_owned());
                file.newest_revision = Some(revision.to_owned());
            })
        };
        let states = FileStates {
            before: Some(drawing("1")),
            after: Some(drawing("2")),
            later: Vec::new(),
            now: Some(drawing("2")),
        };
        assert!(matches!(decide(&states), Some(Decision::Loss(_))));
    }
}
