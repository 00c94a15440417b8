//! Drives: what is captured, what a change costs, what a removal does not say.

use connect::{SourceReader, Stop, testing::MemorySink};
use google_tenant::FileView;
use serde_json::{Value, json};
use source_google::{
    Part,
    drive::{DrivePosition, FileKind},
};

use crate::{
    domain::{Domain, SECOND},
    drives::{DOCUMENT, FOLDER, attributes},
};

/// What fetches a content.
fn contents(domain: &Domain) -> u64 {
    domain.calls("drive.files.export") + domain.calls("drive.files.download") + media(domain)
}

fn media(domain: &Domain) -> u64 {
    // Bytes and metadata are had by the same method: what went through no batch was bytes.
    domain.running.with_tenant(|tenant| {
        tenant
            .activities()
            .filter(|activity| activity.impersonation && activity.name == "access_item_content")
            .count() as u64
    })
}

fn captured() -> (Domain, MemorySink) {
    let domain = Domain::start(&[Part::Drive]);
    let mut sink = MemorySink::new();
    domain.capture(&mut sink);
    (domain, sink)
}

fn binaries(files: &[FileView]) -> Vec<&FileView> {
    let open = |file: &&FileView| !file.media_type.starts_with("application/vnd.google-apps.");
    files.iter().filter(open).collect()
}

#[test]
fn every_file_is_held_with_its_content_and_all_that_is_known_of_it() {
    let (domain, mut sink) = captured();
    domain.assert_drives_held(&sink);
    let all = attributes(&sink, &format!("drive/{}", domain.administrator()));
    assert!(all.len() > 400, "the deepest folder lies four hundred folders deep");
    assert!(all.values().any(|file| file.name.contains('/')) && all.values().any(|file| file.trashed));
    assert!(all.values().any(|file| file.kind() == FileKind::Shortcut));
    let drives = sink.stream("shared-drives");
    assert_eq!(drives.keys().filter(|key| key.starts_with("drive/")).count(), domain.shared_drives().len());
    assert!(drives.keys().any(|key| key.starts_with("member/")));

    let (commits, bodies) = (sink.commits.len(), sink.bodies);
    domain.capture(&mut sink);
    assert_eq!(
        (sink.commits.len(), sink.bodies),
        (commits, bodies),
        "where nothing happened, nothing is stored"
    );
}
