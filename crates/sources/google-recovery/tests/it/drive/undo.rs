//! What an agent did is set back, and what its owner did since stays.

use connect::plan::ApplyMode;
use serde_json::{Value, json};

use super::{assert_as, bytes, file, plan, seen, share, stage, tree};
use crate::drives::FOLDER;

#[test]
fn a_folder_that_was_trashed_comes_out_with_what_is_in_it_and_what_lay_there_stays() {
    let mut stage = stage();
    let hand = stage.domain.hand(&stage.user);
    let tree = tree(&hand);
    hand.change(&tree.document, &json!({ "trashed": true }));
    let earlier = stage.capture();
    let before = seen(&stage);
    let hand = stage.domain.hand(&stage.user);
    hand.change(&tree.outer, &json!({ "trashed": true }));
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, earlier, after, after);
    assert_eq!((plan.counts.reverted, plan.counts.inserted), (1, 0), "{plan:#?}");
    let rehearsed = stage.try_apply(&plan, &folder, ApplyMode::Rehearsal).unwrap();
    assert_eq!(rehearsed.counts.reverted, 1);
    assert!(seen(&stage)[&tree.inner].trashed, "a rehearsal changes nothing");
    let report = stage.apply(&plan, &folder);
    assert_eq!((report.counts.reverted, report.counts.conflicts), (1, 0), "{report:#?}");
    assert_eq!(seen(&stage), before);
    stage.assert_verified(&plan, &folder);
    let again = stage.apply(&plan, &folder);
    assert_eq!((again.counts.reverted, again.counts.unchanged), (0, 1));
}

#[test]
fn what_was_deleted_for_good_is_made_anew_in_its_place() {
    let mut stage = stage();
    let hand = stage.domain.hand(&stage.user);
    let tree = tree(&hand);
    share(&hand, &tree.inner, &json!({ "type": "user", "role": "writer", "emailAddress": stage.other }));
    share(&hand, &tree.bytes, &json!({ "type": "anyone", "role": "reader" }));
    let earlier = stage.capture();
    let before = seen(&stage);
    stage.domain.hand(&stage.user).delete(&format!("files/{}", tree.outer));
    let after = stage.capture();
    assert_eq!(seen(&stage).len(), before.len() - 5);
    let (plan, folder) = plan(&mut stage, earlier, after, after);
    assert_eq!((plan.counts.inserted, plan.counts.objects), (5, 2), "{plan:#?}");
    assert!(plan.fidelity.iter().any(|promise| promise.kind == "document"));
    let report = stage.apply(&plan, &folder);
    assert_eq!((report.counts.inserted, report.counts.conflicts), (5, 0), "{report:#?}");
    assert_as(&seen(&stage), &before);
    stage.assert_verified(&plan, &folder);
    assert!(stage.domain.running.with_tenant(|tenant| tenant.drive_mails().is_empty()), "nobody gets a mail");
    let again = stage.apply(&plan, &folder);
    assert_eq!((again.counts.inserted, again.counts.objects), (0, 0), "{again:#?}");
    assert_eq!(seen(&stage).len(), before.len());
}

#[test]
fn what_was_overwritten_renamed_and_moved_goes_back_and_keeps_its_id() {
    let mut stage = stage();
    let hand = stage.domain.hand(&stage.user);
    let tree = tree(&hand);
    let large: Vec<u8> = (0..10_u64 << 20).map(|at| ((at * 31) >> 7) as u8).collect();
    let big = hand.make(&json!({ "name": "big.bin", "parents": [tree.outer] }));
    hand.write(&big, "application/octet-stream", &large, "");
    let elsewhere = hand.make(&json!({ "name": "elsewhere", "mimeType": FOLDER }));
    let earlier = stage.capture();
    let (before, was) = (seen(&stage), file(&stage, &stage.user, &tree.bytes));
    stage.domain.clock.advance_micros(60_000_000);
    let hand = stage.domain.hand(&stage.user);
    for id in [&tree.bytes, &big, &tree.document] {
        let kind = if *id == tree.document { "text/plain" } else { "application/octet-stream" };
        hand.write(id, kind, b"encrypted", "");
    }
    hand.change(
        &tree.bytes,
        &json!({ "name": "notes.txt.locked", "description": "pay", "starred": false,
        "properties": { "a": "x", "b": null, "c": "3" } }),
    );
    hand.change(&big, &json!({ "contentRestrictions": [{ "readOnly": true, "reason": "pay" }] }));
    hand.patch(
        &format!("files/{}?addParents={elsewhere}&removeParents={}", tree.bytes, tree.inner),
        &json!({}),
    );
    // A folder comes into one that was in it before.
    hand.patch(&format!("files/{}?addParents=root&removeParents={}", tree.inner, tree.outer), &json!({}));
    hand.patch(&format!("files/{}?addParents={}&removeParents=root", tree.outer, tree.inner), &json!({}));
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, earlier, after, after);
    assert_eq!((plan.counts.reverted, plan.counts.conflicts), (5, 0), "{plan:#?}");
    let report = stage.apply(&plan, &folder);
    assert_eq!((report.counts.reverted, report.counts.conflicts), (5, 0), "{report:#?}");
    assert_eq!(seen(&stage), before);
    let is = file(&stage, &stage.user, &tree.bytes);
    for name in ["name", "description", "properties", "starred", "modifiedTime", "md5Checksum", "parents"] {
        assert_eq!(is[name], was[name], "{name}");
    }
    assert!(file(&stage, &stage.user, &big)["contentRestrictions"].is_null());
    let history =
        stage.domain.running.with_tenant(|tenant| tenant.drive_file(&tree.bytes).unwrap().revisions);
    assert!(history >= 3, "what was written over it stays in its history");
    stage.assert_verified(&plan, &folder);
    let again = stage.apply(&plan, &folder);
    assert_eq!((again.counts.reverted, again.counts.unchanged), (0, 5), "{again:#?}");
}

#[test]
fn what_the_owner_did_since_stays() {
    let mut stage = stage();
    let hand = stage.domain.hand(&stage.user);
    let tree = tree(&hand);
    let other = hand.make(&json!({ "name": "other.txt", "mimeType": "text/plain" }));
    hand.write(&other, "text/plain", b"first", "");
    let late = hand.make(&json!({ "name": "late", "mimeType": "text/plain" }));
    let earlier = stage.capture();
    let hand = stage.domain.hand(&stage.user);
    hand.write(&other, "text/plain", b"encrypted", "");
    hand.change(&other, &json!({ "name": "other.locked", "description": "pay" }));
    hand.change(&tree.bytes, &json!({ "trashed": true }));
    hand.change(&tree.document, &json!({ "name": "spoilt" }));
    hand.change(&late, &json!({ "name": "spoilt too" }));
    let came = hand.make(&json!({ "name": "came within the window", "mimeType": FOLDER }));
    let after = stage.capture();
    let hand = stage.domain.hand(&stage.user);
    hand.write(&other, "text/plain", b"written by its owner", "");
    hand.delete(&format!("files/{}", tree.bytes));
    hand.change(&tree.document, &json!({ "name": "spoilt", "description": "the owner's" }));
    let now = stage.capture();
    let (plan, folder) = plan(&mut stage, earlier, after, now);
    let conflicts: Vec<&str> = plan.conflicts.iter().map(|conflict| conflict.key.as_str()).collect();
    assert!(conflicts.contains(&&*other) && conflicts.contains(&&*tree.bytes), "{:#?}", plan.conflicts);
    stage.domain.hand(&stage.user).change(&late, &json!({ "name": "named by its owner" }));
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 1, "{report:#?}");
    assert_eq!(bytes(&stage, &other), b"written by its owner");
    let is = file(&stage, &stage.user, &other);
    assert_eq!((&is["name"], &is["description"]), (&json!("other.txt"), &Value::Null));
    let is = file(&stage, &stage.user, &tree.document);
    assert_eq!((&is["name"], &is["description"]), (&json!("Plan"), &json!("the owner's")));
    assert_eq!(file(&stage, &stage.user, &late)["name"], "named by its owner");
    assert!(file(&stage, &stage.user, &tree.bytes).is_null() && !file(&stage, &stage.user, &came).is_null());
}
