//! What breaks off, what is not allowed, and how long it takes.

use std::sync::Mutex;

use connect::{
    Silent, StoredBody, StoredError, StoredHistory, StoredVersion,
    plan::{ApplyMode, SourceWriter as _, WriteError},
    testing::MemoryHistory,
};
use google_recovery::GoogleWriter;
use google_tenant::{Effect, Fault, Tenant, When};
use model::StreamName;
use serde_json::{Value, json};

use super::{Tree, assert_as, bytes, file, plan, request, seen, share, stage, tree};
use crate::{domain::Domain, drives::FOLDER};

#[test]
fn a_restore_that_breaks_off_goes_on_without_twins() {
    let mut stage = stage();
    let hand = stage.domain.hand(&stage.user);
    let trees: Vec<Tree> = (0..4).map(|_| tree(&hand)).collect();
    let big = hand.make(&json!({ "name": "big.bin", "parents": [trees[0].outer] }));
    hand.write(&big, "application/octet-stream", &vec![7; 20 << 20], "");
    let kept: Vec<Tree> = (0..3).map(|_| tree(&hand)).collect();
    for tree in trees.iter().chain(&kept) {
        share(&hand, &tree.outer, &json!({ "type": "user", "role": "reader", "emailAddress": stage.other }));
        share(&hand, &tree.inner, &json!({ "type": "user", "role": "writer", "emailAddress": stage.other }));
    }
    let earlier = stage.capture();
    let before = seen(&stage);
    let hand = stage.domain.hand(&stage.user);
    for tree in &trees {
        hand.delete(&format!("files/{}", tree.outer));
    }
    for tree in &kept {
        hand.write(&tree.bytes, "application/octet-stream", b"encrypted", "");
        hand.write(&tree.document, "text/plain", b"encrypted", "");
        hand.change(&tree.document, &json!({ "name": "locked" }));
        hand.change(&tree.outer, &json!({ "trashed": true }));
        share(&hand, &tree.bytes, &json!({ "type": "anyone", "role": "writer" }));
    }
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, earlier, after, after);
    assert_eq!((plan.counts.inserted, plan.counts.reverted), (21, 9), "{plan:#?}");
    for round in 0..6_u64 {
        stage.domain.running.with_tenant(|tenant| {
            tenant.lift_faults();
            for (at, effect) in [
                Effect::Lost,
                Effect::Backend(500),
                Effect::UserRate,
                Effect::TooMany(None),
                Effect::Reset,
                Effect::Lost,
            ]
            .into_iter()
            .enumerate()
            {
                let nth = 2 + (round * 5 + at as u64 * 7) % 19;
                tenant.fault(Fault::new("drive.files.create", When::Nth(nth), effect));
            }
            // Whoever kills it lets nothing more come through.
            let end = When::Rate(if round < 4 { 0.25 } else { 0.0 });
            tenant.fault(Fault::new("drive.*", end, Effect::Backend(503)));
        });
        stage.try_apply(&plan, &folder, ApplyMode::Lasting).ok();
        // And takes the end of what was written down with it.
        let journal = folder.path().join("applied.jsonl");
        let text = std::fs::read(&journal).unwrap_or_default();
        if !text.is_empty() {
            ports::files::replace(&journal, &text[..text.len() - (text.len() / 9).min(300)]).unwrap();
        }
    }
    stage.domain.running.with_tenant(Tenant::lift_faults);
    let report = stage.apply(&plan, &folder);
    assert_eq!(report.counts.conflicts, 0, "{report:#?}");
    assert_as(&seen(&stage), &before);
    stage.assert_verified(&plan, &folder);
}

#[test]
fn a_restore_whose_journal_is_lost_finds_what_it_made() {
    let mut stage = stage();
    let tree = tree(&stage.domain.hand(&stage.user));
    let earlier = stage.capture();
    let before = seen(&stage);
    stage.domain.hand(&stage.user).delete(&format!("files/{}", tree.outer));
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, earlier, after, after);
    stage.apply(&plan, &folder);
    ports::files::replace(&folder.path().join("applied.jsonl"), b"").unwrap();
    let report = stage.apply(&plan, &folder);
    assert_eq!((report.counts.inserted, report.counts.unchanged), (0, 5), "{report:#?}");
    assert_as(&seen(&stage), &before);
}

#[test]
fn an_identity_that_may_not_write_is_told_what_it_lacks() {
    let mut stage = stage();
    let tree = tree(&stage.domain.hand(&stage.user));
    let earlier = stage.capture();
    stage.domain.hand(&stage.user).change(&tree.outer, &json!({ "trashed": true }));
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, earlier, after, after);
    stage.domain.running.with_tenant(|tenant| {
        let id = tenant.service_accounts().nth(1).unwrap().client_id.clone();
        tenant.delegate(&id, [google_tenant::scopes::DRIVE_READONLY]);
    });
    let error = stage.try_apply(&plan, &folder, ApplyMode::Lasting).unwrap_err();
    assert!(matches!(error, WriteError::Privilege { .. }), "{error:?}");
    assert!(error.hint().unwrap().ends_with("auth/drive"), "{:?}", error.hint());
}

#[test]
fn the_time_that_a_plan_states_is_the_time_that_it_takes() {
    use ports::Clock as _;

    let mut stage = stage();
    let hand = stage.domain.hand(&stage.user);
    let folder = hand.make(&json!({ "name": "many", "mimeType": FOLDER }));
    for number in 0..40 {
        hand.make(&json!({ "name": number.to_string(), "mimeType": "text/plain", "parents": [folder] }));
    }
    let trees: Vec<Tree> = (0..4).map(|_| tree(&hand)).collect();
    let earlier = stage.capture();
    let hand = stage.domain.hand(&stage.user);
    hand.delete(&format!("files/{folder}"));
    for tree in &trees {
        hand.change(&tree.inner, &json!({ "name": "renamed" }));
        share(&hand, &tree.bytes, &json!({ "type": "anyone", "role": "reader" }));
        hand.write(&tree.bytes, "text/plain", b"encrypted", "");
    }
    let after = stage.capture();
    stage.domain.clock.advance_micros(600_000_000);
    let mut slow = stage.settings();
    for pool in slow.pools.values_mut() {
        (pool.units, pool.burst) = (1200, 200);
    }
    let request = request(&stage, earlier, after, after);
    let (plan, folder) = stage.plan_with(&slow, |planner| planner.drive(&request));
    let started = stage.domain.clock.elapsed();
    let api = stage.api_with(slow);
    let mut writer = GoogleWriter::new(&api, &stage.history, folder.path().join("applied.jsonl"), 4);
    writer.apply(&plan, &folder, ApplyMode::Lasting, &Silent).unwrap();
    assert!(writer.verify(&plan, &folder, &Silent).unwrap().is_good());
    let took_s = stage.domain.clock.elapsed().saturating_sub(started).as_secs_f64();
    let stated_s = plan.duration_s.unwrap() as f64;
    assert!((took_s / stated_s - 1.0).abs() < 0.15, "stated {stated_s} s, took {took_s} s");
}

/// A vault whose reader is slow: while the first content is read, the owner saves the other file.
struct Slow<'s> {
    history: &'s MemoryHistory,
    domain: &'s Domain,
    user: &'s str,
    files: [&'s str; 2],
    saved: Mutex<Option<String>>,
}

impl StoredHistory for Slow<'_> {
    fn changed(&self, stream: &StreamName, after: u64, until: u64) -> Result<Vec<String>, StoredError> {
        self.history.changed(stream, after, until)
    }

    fn live_keys(
        &self,
        stream: &StreamName,
        at: u64,
        after: Option<&str>,
        most: u32,
    ) -> Result<Vec<String>, StoredError> {
        self.history.live_keys(stream, at, after, most)
    }

    fn version(&self, stream: &StreamName, key: &str, at: u64) -> Result<Option<StoredVersion>, StoredError> {
        self.history.version(stream, key, at)
    }

    fn versions(
        &self,
        stream: &StreamName,
        key: &str,
        after: u64,
        until: u64,
    ) -> Result<Vec<StoredVersion>, StoredError> {
        self.history.versions(stream, key, after, until)
    }

    fn content(&self, stream: &StreamName, key: &str, at: u64) -> Result<Vec<u8>, StoredError> {
        self.history.content(stream, key, at)
    }

    fn open<'a>(
        &'a self,
        stream: &StreamName,
        key: &str,
        at: u64,
    ) -> Result<Box<dyn StoredBody + 'a>, StoredError> {
        let mut saved = self.saved.lock().unwrap();
        if saved.is_none() {
            let other = self.files.iter().find(|id| !key.ends_with(**id)).unwrap();
            self.domain.hand(self.user).write(other, "text/plain", b"saved by its owner meanwhile", "");
            *saved = Some((*other).to_owned());
        }
        self.history.open(stream, key, at)
    }
}

#[test]
fn what_its_owner_saves_while_others_are_sent_is_not_written_over() {
    let mut stage = stage();
    let hand = stage.domain.hand(&stage.user);
    let files = [0, 1].map(|number| {
        let id = hand.make(&json!({ "name": number.to_string(), "mimeType": "text/plain" }));
        hand.write(&id, "text/plain", b"first", "");
        id
    });
    let earlier = stage.capture();
    let hand = stage.domain.hand(&stage.user);
    for id in &files {
        hand.write(id, "text/plain", b"encrypted", "");
    }
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, earlier, after, after);
    let slow = Slow {
        history: &stage.history,
        domain: &stage.domain,
        user: &stage.user,
        files: files.each_ref().map(String::as_str),
        saved: Mutex::new(None),
    };
    let api = stage.api();
    let mut writer = GoogleWriter::new(&api, &slow, folder.path().join("applied.jsonl"), 4);
    let report = writer.apply(&plan, &folder, ApplyMode::Lasting, &Silent).unwrap();
    assert_eq!((report.counts.reverted, report.counts.conflicts), (1, 1), "{report:#?}");
    let saved = slow.saved.lock().unwrap().clone().unwrap();
    for id in &files {
        let wanted: &[u8] = if *id == saved { b"saved by its owner meanwhile" } else { b"first" };
        assert_eq!(bytes(&stage, id), wanted);
    }
}

#[test]
fn what_its_owner_takes_back_between_two_applications_stays_so() {
    let mut stage = stage();
    let hand = stage.domain.hand(&stage.user);
    let tree = tree(&hand);
    let link = share(&hand, &tree.document, &json!({ "type": "anyone", "role": "reader" }));
    let earlier = stage.capture();
    let hand = stage.domain.hand(&stage.user);
    hand.delete(&format!("files/{}/permissions/{link}", tree.document));
    hand.change(&tree.bytes, &json!({ "trashed": true }));
    let after = stage.capture();
    let (plan, folder) = plan(&mut stage, earlier, after, after);
    let report = stage.apply(&plan, &folder);
    assert_eq!((report.counts.reverted, report.counts.objects), (1, 1), "{report:#?}");
    let hand = stage.domain.hand(&stage.user);
    hand.delete(&format!("files/{}/permissions/{link}", tree.document));
    hand.change(&tree.bytes, &json!({ "trashed": true }));
    let rehearsed = stage.try_apply(&plan, &folder, ApplyMode::Rehearsal).unwrap();
    assert_eq!(rehearsed.counts.conflicts, 2, "{rehearsed:#?}");
    let again = stage.apply(&plan, &folder);
    assert_eq!((again.counts.reverted, again.counts.objects), (0, 0), "{again:#?}");
    assert_eq!(again.counts.conflicts, 2, "{again:#?}");
    assert_eq!(file(&stage, &stage.user, &tree.bytes)["trashed"], true);
    let permissions = file(&stage, &stage.user, &tree.document)["permissions"].clone();
    let is_public = |all: &Value| all.as_array().unwrap().iter().any(|one| one["type"] == "anyone");
    assert!(!is_public(&permissions), "{permissions:#}");
}
