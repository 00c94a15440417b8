//! A drive as a tree of files.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use connect::{
    Silent,
    testing::{MemoryHistory, MemorySink},
};
use google_recovery::export::{DriveSelection, export_files};
use model::StreamName;
use serde_json::Value;
use source_google::Part;

use crate::{
    domain::Domain,
    drives::{FOLDER, attributes},
};

fn index(folder: &Path) -> BTreeMap<String, Value> {
    let text = std::fs::read_to_string(folder.join("index.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| (line["id"].as_str().unwrap().to_owned(), line)).collect()
}

/// Returns the files below a folder, whatever their depth.
fn walk(folder: &Path) -> BTreeSet<String> {
    let (mut found, mut open) = (BTreeSet::new(), vec![folder.to_owned()]);
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                found.insert(entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

#[test]
fn every_file_of_every_drive_is_written_or_listed_with_the_reason() {
    let domain = Domain::start(&[Part::Drive]);
    let (mut sink, mut history) = (MemorySink::new(), MemoryHistory::default());
    domain.capture(&mut sink);
    let at = history.push(&sink.held);
    let people = domain.people().into_iter().map(|user| format!("drive/{user}"));
    let shared = domain.shared_drives().into_iter().map(|drive| format!("shared-drive/{drive}"));
    let (mut deepest, mut odd) = (0, 0);
    for stream in people.chain(shared) {
        let folder = tempfile::tempdir().unwrap();
        let selection = DriveSelection { stream: StreamName::new(&*stream).unwrap(), at };
        let written = export_files(&history, &selection, folder.path(), &Silent).unwrap();
        let (index, held) = (index(folder.path()), sink.stream(&stream));
        let known = attributes(&sink, &stream);
        assert_eq!(index.keys().collect::<Vec<_>>(), known.keys().collect::<Vec<_>>(), "{stream}");
        let (mut files, mut unreadable, mut places) = (BTreeSet::new(), 0, BTreeSet::new());
        for (id, line) in &index {
            let item = held[format!("file/{id}").as_str()];
            let Some(path) = line["path"].as_str() else {
                assert!(
                    line["unreadable"].is_string()
                        || line["mimeType"].as_str().unwrap().ends_with("shortcut")
                );
                unreadable += u64::from(line["unreadable"].is_string());
                continue;
            };
            assert!(places.insert(path.to_lowercase()), "{path}");
            deepest = deepest.max(known[id].parents.len() * path.split('/').count());
            odd += u64::from(!path.contains(&known[id].name));
            let place = folder.path().join(path);
            assert!(path.split('/').all(|part| part.len() <= 255 && !part.is_empty()) && path.len() < 1200);
            if known[id].mime_type == FOLDER {
                assert!(place.is_dir(), "{path}");
            } else {
                assert_eq!(&std::fs::read(&place).unwrap(), item.content.as_ref().unwrap(), "{path}");
                let ending = |kind: &str| known[id].mime_type.ends_with(kind);
                assert!(!ending("google-apps.document") || path.contains(".docx"), "{path}");
                files.insert(path.to_owned());
            }
        }
        assert_eq!((written.files, written.unreadable), (files.len() as u64, unreadable));
        files.insert("index.jsonl".to_owned());
        assert_eq!(walk(folder.path()), files);
    }
    assert!(deepest > 50 && odd > 5, "{deepest} {odd}");
}
