//! The trash, deep trees, shared drives.

use std::collections::BTreeMap;

use google_recovery::Request;
use serde_json::json;
use source_google::drive::shared_drive_stream;

use super::{SHORTCUT, Seen, assert_as, path, plan, seen, share, stage, tree};
use crate::{drives::FOLDER, stage::Stage};

#[test]
fn an_emptied_trash_lies_in_the_trash_again() {
    let mut stage = stage();
    let hand = stage.domain.hand(&stage.user);
    let tree = tree(&hand);
    hand.change(&tree.inner, &json!({ "trashed": true }));
    let earlier = stage.capture();
    let before = seen(&stage);
    stage.domain.hand(&stage.user).delete("files/trash");
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, earlier, after, after);
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 0, "{report:#?}");
    // A shortcut that is still there leads to what is gone for good.
    let blind = |seen: BTreeMap<String, Seen>| -> BTreeMap<String, Seen> {
        // And of a form nothing is stored but its name.
        let stored =
            seen.into_iter().filter(|(_, file)| !(file.trashed && file.media_type.ends_with("form")));
        stored.map(|(id, file)| (id, Seen { target: None, ..file })).collect()
    };
    assert_as(&blind(seen(&stage)), &blind(before));
    stage.assert_verified(&plan, &folder);
}

#[test]
fn a_tree_of_four_hundred_folders_is_made_anew() {
    let mut stage = stage();
    let hand = stage.domain.hand(&stage.user);
    let mut folders = vec![hand.make(&json!({ "name": "deep", "mimeType": FOLDER }))];
    for depth in 1..400 {
        let parent = &folders[depth - 1];
        folders.push(
            hand.make(&json!({ "name": format!("level {depth}"), "mimeType": FOLDER, "parents": [parent] })),
        );
    }
    let bottom = hand.make(&json!({ "name": "bottom", "mimeType": "text/plain", "parents": [folders[399]] }));
    hand.write(&bottom, "text/plain", b"down here", "");
    // Shortcuts may lead in a circle.
    let back = json!({ "name": "up", "mimeType": SHORTCUT, "parents": [folders[399]],
        "shortcutDetails": { "targetId": folders[0] } });
    hand.make(&back);
    let earlier = stage.capture();
    let before = seen(&stage);
    stage.domain.hand(&stage.user).delete(&format!("files/{}", folders[0]));
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, earlier, after, after);
    let report = stage.apply(&plan, &folder);
    assert_eq!((report.counts.inserted, report.counts.conflicts), (402, 0));
    assert_as(&seen(&stage), &before);
    stage.assert_verified(&plan, &folder);
}

#[test]
fn a_shared_drive_is_set_back_in_the_name_of_an_organizer() {
    let mut stage = stage();
    let (admin, drive) = (stage.domain.administrator(), stage.domain.shared_drives()[0].clone());
    stage.domain.only = [admin.clone()].into();
    let hand = stage.domain.hand(&admin);
    let make = |name: &str, kind: &str, parent: &str| {
        hand.make(&json!({ "name": name, "mimeType": kind, "parents": [parent] }))
    };
    let folder = make("folder", FOLDER, &drive);
    let kept = make("kept.txt", "text/plain", &folder);
    hand.write(&kept, "text/plain", b"kept", "");
    let gone = make("gone", FOLDER, &folder);
    let inside = make("inside.txt", "text/plain", &gone);
    hand.write(&inside, "text/plain", b"inside", "");
    share(&hand, &kept, &json!({ "type": "user", "role": "reader", "emailAddress": "p@partner.test" }));
    let earlier = stage.capture();
    let names = |stage: &Stage| {
        let files = stage.domain.inside(&drive);
        let mut all: Vec<_> = stage.domain.running.with_tenant(|tenant| {
            files
                .iter()
                .map(|file| {
                    let content = tenant.drive_bytes(&file.id).unwrap_or_default();
                    (path(tenant, &file.id), content, file.trashed, format!("{:?}", file.permissions))
                })
                .collect()
        });
        all.sort();
        all
    };
    let before = names(&stage);
    let hand = stage.domain.hand(&admin);
    hand.delete(&format!("files/{gone}?supportsAllDrives=true"));
    hand.change(&folder, &json!({ "trashed": true }));
    share(&hand, &kept, &json!({ "type": "user", "role": "writer", "emailAddress": "thief@evil.test" }));
    let after = stage.capture();
    let request = Request {
        account: drive.clone(),
        ..stage.request(shared_drive_stream(&drive).unwrap(), earlier, after, after)
    };
    let settings = stage.settings();
    let (plan, folder) = stage.plan_with(&settings, |planner| planner.drive(&request));
    assert_eq!((plan.counts.reverted, plan.counts.inserted, plan.counts.removed), (1, 2, 1), "{plan:#?}");
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 0, "{report:#?}");
    assert_eq!(names(&stage), before);
    stage.assert_verified(&plan, &folder);
}
