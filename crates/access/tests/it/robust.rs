//! Damaged files, a full disk, and two processes at once.

use std::{os::unix::fs::PermissionsExt, sync::Arc};

use access::{Access, AccessError, Edit, Role, Scope, testing::join, testing::sign_in};
use ports::{SystemClock, SystemRandom};

use crate::house::{House, device, host, name, party, roles, service};

#[test]
fn a_damaged_file_is_named_and_keeps_nobody_else_out() {
    let (house, mut anna) = House::with_owner();
    let mut ben = house.join("ben", &[Role::Viewer]);
    let path = house.folder().join("people/ben.json");
    let good = std::fs::read(&path).unwrap();
    let mut newer: serde_json::Value = serde_json::from_slice(&good).unwrap();
    newer["surprise"] = true.into();
    for bad in [&b""[..], &good[..good.len() / 2], b"{}", b"\xff\xfe", newer.to_string().as_bytes()] {
        std::fs::write(&path, bad).unwrap();
        let error = house.access.people().unwrap_err();
        assert!(matches!(&error, AccessError::Damaged { path: named, .. } if *named == path));
        assert!(error.hint().unwrap().contains("ben.json"));
        assert!(sign_in(&house.access, &mut anna).is_ok(), "somebody else's file");
        assert!(matches!(sign_in(&house.access, &mut ben), Err(AccessError::Damaged { .. })));
        let change = house.access.plan_change(Edit::Recover { name: name("ben") }, &host());
        assert!(matches!(change, Err(AccessError::Damaged { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), bad, "it stays as evidence");
    }
    std::fs::write(&path, &good).unwrap();
    assert!(sign_in(&house.access, &mut ben).is_ok());
}

#[test]
fn a_damaged_session_or_token_opens_nothing() {
    let (house, mut anna) = House::with_owner();
    let session = sign_in(&house.access, &mut anna).unwrap();
    let token =
        house.access.create_token(&service("agent"), [Scope::See].into(), Access::TOKEN_LIFETIME, &host());
    for shelf in ["sessions", "tokens"] {
        for entry in std::fs::read_dir(house.folder().join(shelf)).unwrap() {
            std::fs::write(entry.unwrap().path(), b"{").unwrap();
        }
    }
    assert!(matches!(house.access.session(&session.token), Err(AccessError::Damaged { .. })));
    assert!(matches!(house.access.token(&token.unwrap().token), Err(AccessError::Damaged { .. })));
    // It is in nobody's way.
    assert!(sign_in(&house.access, &mut anna).is_ok());
    house.another(4);
}

#[test]
fn the_files_are_for_this_user_alone() {
    let (house, _) = House::with_owner();
    let mode = std::fs::metadata(house.folder()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn what_cannot_be_written_changes_nothing() {
    let (house, mut anna) = House::with_owner();
    house.join("ben", &[Role::Viewer]);
    let session = sign_in(&house.access, &mut anna).unwrap();
    let people = house.access.people().unwrap();
    let invitation = house.invite("cleo", &[Role::Viewer]);
    // A full disk: each draft is a folder here, so no file can be written, not even by root.
    let block = |shelf: &str, name: &str| {
        let draft = house.folder().join(shelf).join(format!("{name}.json.draft"));
        std::fs::create_dir_all(&draft).unwrap();
        draft
    };
    let drafts = [block("people", "ben"), block("people", "cleo")];
    let words = house.log.words();
    let change = house.plan(Edit::SetRoles { name: name("ben"), roles: roles(&[Role::Operator]) });
    let error = house.access.apply_change(&change, &access::Authorised::of_host("root")).unwrap_err();
    assert!(matches!(&error, AccessError::File(_)), "{error:?}");
    let change = house.plan(Edit::Recover { name: name("ben") });
    let opened = access::VaultOpened { recipient: "age1kit".to_owned(), commits: 1 };
    let with_kit = access::Authorised::of_host_with_kit("root", &opened);
    assert!(matches!(house.access.apply_change(&change, &with_kit), Err(AccessError::File(_))));
    assert!(matches!(join(&house.access, &invitation, &mut device()), Err(AccessError::File(_))));
    // Nothing changed, nothing is told that did not happen, and nothing waits.
    assert_eq!(house.access.people().unwrap(), people);
    assert_eq!(house.log.words(), words);
    assert!(house.access.undelivered().unwrap().is_empty());
    assert!(house.access.session(&session.token).unwrap().is_some());
    for draft in drafts {
        std::fs::remove_dir(draft).unwrap();
    }
    join(&house.access, &invitation, &mut device()).unwrap();
    assert_eq!(house.access.people().unwrap().len(), 3);
}

/// The processes of this test have nothing in common but the folder.
fn process(folder: &std::path::Path) -> Access {
    Access::open(folder, party(), Arc::new(SystemClock::new()), Arc::new(SystemRandom)).unwrap()
}

#[test]
fn processes_at_once_lose_nothing_of_each_other() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("access");
    let first = process(&folder);
    let invitation = first.invite(&name("anna"), roles(&[Role::Owner]), &host()).unwrap();
    let mut anna = device();
    join(&first, &invitation.token, &mut anna).unwrap();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let folder = &folder;
            scope.spawn(move || {
                let access = process(folder);
                for round in 0..5 {
                    let person = name(&format!("person-{worker}-{round}"));
                    let invitation = access.invite(&person, roles(&[Role::Viewer]), &host()).unwrap();
                    let mut device = device();
                    join(&access, &invitation.token, &mut device).unwrap();
                    sign_in(&access, &mut device).unwrap();
                    let agent = service(&format!("agent-{worker}-{round}"));
                    access
                        .create_token(&agent, [Scope::See].into(), Access::TOKEN_LIFETIME, &host())
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(first.people().unwrap().len(), 21);
    assert_eq!(first.tokens().unwrap().len(), 20);
    assert!(first.people().unwrap().iter().all(|person| person.passkeys.len() == 1));
}

#[test]
fn one_invitation_opened_by_many_at_once_lets_one_in() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("access");
    let first = process(&folder);
    let invitation = first.invite(&name("anna"), roles(&[Role::Owner]), &host()).unwrap().token;
    let came_in: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|_| {
                let (folder, invitation) = (&folder, &invitation);
                scope.spawn(move || {
                    let access = process(folder);
                    let ceremony = access.begin_registration(invitation);
                    ceremony.is_ok_and(|ceremony| {
                        let answer = device().create(&ceremony.options).unwrap();
                        access.finish_registration(&ceremony.id, &answer).is_ok()
                    })
                })
            })
            .collect();
        workers.into_iter().map(|worker| usize::from(worker.join().unwrap())).sum()
    });
    assert_eq!(came_in, 1);
    assert_eq!(first.people().unwrap()[0].passkeys.len(), 1);
}

#[test]
fn of_two_answers_with_one_count_one_signs_in() {
    let (house, mut anna) = House::with_owner();
    let other = house.another(2);
    let (mine, theirs) = (house.access.begin_login().unwrap(), other.begin_login().unwrap());
    let first = anna.get(&mine.options).unwrap();
    anna.count -= 1;
    let second = anna.get(&theirs.options).unwrap();
    let results = std::thread::scope(|scope| {
        let one = scope.spawn(|| house.access.finish_login(&mine.id, &first).is_ok());
        let two = scope.spawn(|| other.finish_login(&theirs.id, &second).is_ok());
        (one.join().unwrap(), two.join().unwrap())
    });
    assert!(results.0 != results.1, "{results:?}");
}
