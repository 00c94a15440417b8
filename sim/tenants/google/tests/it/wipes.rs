//! Scripted agents against the simulated domain: what they say they did is what is gone.

use std::{collections::BTreeSet, time::Duration};

use google_tenant::{Settings, Size, scopes};
use ports::{Clock as _, SeededRandom};
use serde_json::{Value, json};
use tenants::agent::{
    antigravity, cleanup, hard_delete, low_and_slow,
    openclaw::MailCall,
    ransomware::{self, LockCall, RansomwareOptions, Victim},
    vercel::DriveCall,
};

use crate::{
    drive::{FILES, bare, token, upload, user_id, views},
    support::{Answer, Domain},
};

/// An answer that is an error, as a script is told.
fn done(answer: Answer) -> Result<Answer, String> {
    if answer.code < 300 { Ok(answer) } else { Err(format!("{} {}", answer.code, answer.reason())) }
}

fn files(domain: &Domain, token: &str, count: usize) -> Vec<Victim> {
    let content = "a contract between two parties, in many words\n".repeat(60);
    (0..count)
        .map(|number| {
            let name = format!("{number}.txt");
            let made = upload(domain, token, &json!({ "name": name }), "text/plain", content.as_bytes());
            Victim { id: made["id"].as_str().unwrap().to_owned(), name }
        })
        .collect()
}

fn ids(files: &[Victim]) -> Vec<String> {
    files.iter().map(|file| file.id.clone()).collect()
}

fn drive_call(domain: &Domain, token: &str, call: &DriveCall) -> Result<(), String> {
    let answer = match call {
        DriveCall::Trash(id) => domain.patch(&format!("{FILES}/{id}"), token, &json!({ "trashed": true })),
        DriveCall::Delete(id) => domain.delete(&format!("{FILES}/{id}"), token),
        other => panic!("{other:?}"),
    };
    done(answer).map(drop)
}

fn trashed(domain: &Domain) -> BTreeSet<String> {
    views(domain).into_iter().filter(|file| file.trashed).map(|file| file.id.to_string()).collect()
}

#[test]
fn what_a_client_propagates_is_in_the_trash_until_its_token_is_taken() {
    let domain = bare();
    let owner = domain.user(0);
    let token = token(&domain, &owner);
    let files = ids(&files(&domain, &token, 40));
    let (admin, mut left) = (domain.admin_token(), 25_u32);
    let deeds = antigravity::play(&*domain.clock, antigravity::FILES_PER_SECOND, &files, |call| {
        if left == 0 {
            let client = "523456789012-test.apps.googleusercontent.com";
            let path = format!("admin/directory/v1/users/{owner}/tokens/{client}");
            assert_eq!(domain.delete(&path, &admin).code, 204);
        }
        left = left.saturating_sub(1);
        drive_call(&domain, &token, call)
    });
    let gone: BTreeSet<String> =
        deeds.items("files.update, trashed").into_iter().map(str::to_owned).collect();
    assert_eq!((gone.len(), &gone), (25, &trashed(&domain)));
    assert!(deeds.ended_by.unwrap().contains("401"));
    let announced = cleanup::Announcement::now(&*domain.clock, &owner, Duration::from_hours(1), 100);
    let again = self::token(&domain, &owner);
    let deeds = cleanup::play(&*domain.clock, 50.0, &files[25..], |call| drive_call(&domain, &again, call));
    assert!(announced.covers(&deeds) && deeds.ended_by.is_none());
    assert_eq!(trashed(&domain).len(), 40);
}

#[test]
fn messages_are_deleted_past_the_trash_a_thousand_at_a_time() {
    let size = Size { users: 4, messages: 1200, files: 0, ..Size::default() };
    let domain = Domain::start(Settings { size, ..Settings::default() });
    let owner = domain.user(0);
    let token = domain.token(&owner, &[scopes::MAIL]);
    let letters = || {
        let mut all = Vec::new();
        domain.running.with_tenant(|tenant| tenant.each_letter(&owner, |letter| all.push(letter.id)));
        all
    };
    let before = letters();
    assert!(before.len() >= 1200);
    let deeds = hard_delete::play(&*domain.clock, Duration::from_millis(100), &before, |call| {
        let MailCall::Delete(ids) = call else { panic!("{call:?}") };
        done(domain.post("gmail/v1/users/me/messages/batchDelete", &token, &json!({ "ids": ids }))).map(drop)
    });
    assert_eq!((deeds.ended_by.as_deref(), letters().len()), (None, 0));
    assert_eq!(deeds.count("messages.batchDelete"), before.len() as u64);
}

#[test]
fn files_become_ciphertext_under_a_new_extension_and_the_trash_is_emptied() {
    let domain = bare();
    let owner = domain.user(0);
    let token = token(&domain, &owner);
    let victims = files(&domain, &token, 6);
    let plain = domain.running.with_tenant(|tenant| tenant.drive_bytes(&victims[0].id)).unwrap();
    let thrown = files(&domain, &token, 1).remove(0);
    drive_call(&domain, &token, &DriveCall::Trash(thrown.id.clone())).unwrap();
    let options = RansomwareOptions { files_per_second: 30.0, ..RansomwareOptions::default() };
    let deeds = ransomware::play(&*domain.clock, &SeededRandom::new(2), &options, &victims, |call| {
        let answer = match call {
            LockCall::Read(id) => domain.get(&format!("{FILES}/{id}?alt=media"), &token),
            LockCall::Overwrite(id, content) => {
                let path = format!("upload/{FILES}/{id}?uploadType=media");
                domain.send("PATCH", &path, &token, &[("content-type", "text/plain")], content)
            }
            LockCall::Rename(id, name) => {
                domain.patch(&format!("{FILES}/{id}"), &token, &json!({ "name": name }))
            }
            LockCall::Leave { name, content } => {
                let made: Value = upload(&domain, &token, &json!({ "name": name }), "text/plain", content);
                assert_eq!(made["name"], name.as_str());
                return Ok(Vec::new());
            }
            LockCall::EmptyTrash => domain.delete(&format!("{FILES}/trash"), &token),
        };
        done(answer).map(|answer| answer.bytes)
    });
    assert_eq!(deeds.ended_by, None);
    assert_eq!(deeds.items("files.update, its content").len(), 6);
    let now: Vec<_> =
        views(&domain).into_iter().filter(|file| *file.owner == *user_id(&domain, &owner)).collect();
    for victim in &victims {
        let file = now.iter().find(|file| *file.id == *victim.id).unwrap();
        assert_eq!(file.name, format!("{}.locked", victim.name));
        let bytes = domain.running.with_tenant(|tenant| tenant.drive_bytes(&victim.id)).unwrap();
        assert!(bytes.len() == plain.len() && bytes != plain);
    }
    assert!(now.iter().any(|file| file.name == ransomware::NOTE));
    assert!(!now.iter().any(|file| *file.id == *thrown.id), "the trash is empty");
}

#[test]
fn in_a_fast_domain_a_day_of_patience_is_over_soon() {
    let size = Size { files: 0, ..Size::default() };
    let domain = Domain::start(Settings { size, clock_speed: 5000, ..Settings::default() });
    let token = token(&domain, &domain.user(0));
    let files = ids(&files(&domain, &token, 20));
    let clock = domain.running.clock();
    let (begun, begun_outside) = (clock.now(), domain.clock.now());
    let deeds =
        low_and_slow::play(&*clock, low_and_slow::PAUSE, &files, |call| drive_call(&domain, &token, call));
    assert_eq!((deeds.count("files.delete"), &deeds.ended_by), (20, &None));
    assert!(clock.now().micros_since(begun) >= 19 * 120 * 1_000_000);
    assert!(domain.clock.now().micros_since(begun_outside) < 1_000_000, "by the clock of the world");
    let left: BTreeSet<String> = views(&domain).into_iter().map(|file| file.id.to_string()).collect();
    assert!(files.iter().all(|id| !left.contains(id)));
}
