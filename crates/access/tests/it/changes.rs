//! Changes of people: what weakens, what allows it, and that nothing else does.

use access::{
    AccessError, Authorised, Change, ChangeHash, Edit, Event, Outcome, Principal, Role, VaultOpened,
    Weakening,
    testing::{Device, join, sign_in},
};

use crate::house::{Case, HOUR, House, device, host, name, roles, service};

fn invite(person: &str, as_what: &[Role]) -> Edit {
    Edit::Invite { name: name(person), display: None, roles: roles(as_what) }
}

fn kit() -> Authorised {
    Authorised::of_host_with_kit("root", &VaultOpened { recipient: "age1kit".to_owned(), commits: 3 })
}

#[test]
fn what_weakens_and_what_does_not() {
    let (house, anna) = House::with_owner();
    let mut second = device();
    house.join("ben", &[Role::Approver]);
    join(&house.access, &house.invited(Edit::AddPasskey { name: name("ben") }), &mut second).unwrap();
    let weakening = |edit: Edit| house.plan(edit).weakening;
    let set = |as_what: &[Role]| Edit::SetRoles { name: name("ben"), roles: roles(as_what) };
    let ben = || name("ben");

    assert_eq!(weakening(invite("cleo", &[Role::Viewer])), None);
    for power in [Role::Operator, Role::Approver, Role::Owner] {
        let expected = Weakening::NewPerson { person: name("cleo"), roles: roles(&[Role::Viewer, power]) };
        assert_eq!(weakening(invite("cleo", &[Role::Viewer, power])), Some(expected));
        if power != Role::Approver {
            let expected = Weakening::MoreRoles { person: ben(), added: roles(&[power]) };
            assert_eq!(weakening(set(&[Role::Approver, power])), Some(expected));
        }
    }
    assert_eq!(weakening(set(&[Role::Approver, Role::Viewer])), None);
    let expected = Weakening::FewerRoles { person: ben(), taken: roles(&[Role::Approver]) };
    assert_eq!(weakening(set(&[Role::Viewer])), Some(expected));
    assert_eq!(weakening(Edit::AddPasskey { name: ben() }), Some(Weakening::PasskeyAdded { person: ben() }));
    let credential = second.credential_id();
    assert_eq!(
        weakening(Edit::RemovePasskey { name: ben(), credential: credential.clone() }),
        Some(Weakening::PasskeyRemoved { person: ben(), credential })
    );
    assert_eq!(weakening(Edit::Deactivate { name: ben() }), Some(Weakening::Deactivated { person: ben() }));
    assert_eq!(weakening(Edit::Recover { name: ben() }), Some(Weakening::Recovered { person: ben() }));

    // What cannot be done at all.
    let refused = |edit: Edit| house.access.plan_change(edit, &host()).unwrap_err();
    let anna_is = |edit: fn(access::PersonName) -> Edit| edit(name("anna"));
    assert!(matches!(refused(anna_is(|name| Edit::Deactivate { name })), AccessError::LastOwner { .. }));
    let less = Edit::SetRoles { name: name("anna"), roles: roles(&[Role::Viewer]) };
    assert!(matches!(refused(less), AccessError::LastOwner { .. }));
    let only = Edit::RemovePasskey { name: name("anna"), credential: anna.credential_id() };
    assert!(matches!(refused(only), AccessError::LastPasskey { .. }));
    let theirs = Edit::RemovePasskey { name: ben(), credential: anna.credential_id() };
    assert!(matches!(refused(theirs), AccessError::NoPasskey { .. }));
    assert!(matches!(refused(invite("anna", &[Role::Owner])), AccessError::Exists { .. }));
    assert!(matches!(refused(invite("cleo", &[])), AccessError::NoRoles));
    assert!(matches!(refused(set(&[])), AccessError::NoRoles));
    assert!(matches!(refused(Edit::AddPasskey { name: name("cleo") }), AccessError::NoPerson { .. }));
    for bad in ["", " ", "a\u{1b}[2Jb", &"x".repeat(101)] {
        let edit =
            Edit::Invite { name: name("cleo"), display: Some(bad.to_owned()), roles: roles(&[Role::Viewer]) };
        assert!(matches!(refused(edit), AccessError::Display), "{bad:?}");
    }
}

#[test]
fn a_weakening_needs_the_case_of_exactly_this_change() {
    let (house, _) = House::with_owner();
    let anna = Principal::Person(name("anna"));
    let change = house.access.plan_change(invite("ben", &[Role::Approver]), &anna).unwrap();
    let nothing = house.access.apply_change(&change, &Authorised::nothing());
    assert!(matches!(nothing, Err(AccessError::NeedsApproval { .. })));
    let direct = house.access.invite(&name("ben"), roles(&[Role::Approver]), &anna);
    assert!(matches!(direct, Err(AccessError::NeedsApproval { .. })));
    let other = house.access.plan_change(invite("mallory", &[Role::Approver]), &anna).unwrap();
    let swapped = house.access.apply_change(&other, &Authorised::of_case(&Case(change.hash())));
    assert!(matches!(swapped, Err(AccessError::OtherChange)));
    let before = house.log.words();

    // It waits for days in somebody's store.
    let stored = serde_json::to_string(&change).unwrap();
    house.pass(72 * HOUR);
    let read: Change = serde_json::from_str(&stored).unwrap();
    assert_eq!(read.hash(), change.hash());
    let outcome = house.access.apply_change(&read, &Authorised::of_case(&Case(change.hash()))).unwrap();
    let Outcome::Invited(invitation) = outcome else { panic!("nobody was invited") };
    assert_eq!(house.log.words()[before.len()..], ["invited"]);
    let recorded = house.log.entries.lock().unwrap().last().cloned().unwrap();
    assert_eq!((recorded.by, recorded.authorised.as_deref()), (anna, Some("case case-7")));
    assert!(!serde_json::to_string(&recorded.event).unwrap().contains(&invitation.token));

    // Once: neither while the invitation is open nor after it was taken, nor after the person was sent away.
    let again = || house.access.apply_change(&read, &Authorised::of_case(&Case(change.hash())));
    assert!(matches!(again(), Err(AccessError::Stale { .. })));
    join(&house.access, &invitation.token, &mut device()).unwrap();
    assert!(matches!(again(), Err(AccessError::Stale { .. })));
    house.done(Edit::Deactivate { name: name("ben") });
    assert!(matches!(again(), Err(AccessError::Stale { .. })));
}

#[test]
fn a_change_that_says_it_weakens_nothing_is_not_believed() {
    let (house, _) = House::with_owner();
    let mut change = house.plan(invite("mallory", &[Role::Owner]));
    change.weakening = None;
    let lied = house.access.apply_change(&change, &Authorised::nothing());
    assert!(matches!(lied, Err(AccessError::Stale { .. })));
    let mut change = house.plan(Edit::SetRoles { name: name("anna"), roles: roles(&[Role::Owner]) });
    change.edition = None;
    assert!(matches!(
        house.access.apply_change(&change, &Authorised::of_host("root")),
        Err(AccessError::Stale { .. })
    ));
    assert_eq!(house.access.people().unwrap().len(), 1);
}

#[test]
fn no_service_and_no_lesser_person_changes_people() {
    let (house, _) = House::with_owner();
    house.join("ben", &[Role::Operator, Role::Approver, Role::Viewer]);
    for by in [
        Principal::Service(service("agent")),
        Principal::Person(name("ben")),
        Principal::Person(name("nobody")),
    ] {
        let planned = house.access.plan_change(invite("cleo", &[Role::Viewer]), &by);
        assert!(matches!(planned, Err(AccessError::NotAllowed { .. })), "{by}");
        // Also when somebody else planned it for them, whatever allows it.
        let mut change = house.plan(invite("cleo", &[Role::Owner]));
        change.by = by.clone();
        let applied = house.access.apply_change(&change, &Authorised::of_case(&Case(change.hash())));
        assert!(matches!(applied, Err(AccessError::NotAllowed { .. })), "{by}");
    }
    // An owner who lost the role meanwhile changes nothing either.
    let mut owner = device();
    join(&house.access, &house.invite("dora", &[Role::Owner]), &mut owner).unwrap();
    let dora = Principal::Person(name("dora"));
    let change = house.access.plan_change(invite("cleo", &[Role::Viewer]), &dora).unwrap();
    house.done(Edit::SetRoles { name: name("dora"), roles: roles(&[Role::Viewer]) });
    let late = house.access.apply_change(&change, &Authorised::nothing());
    assert!(matches!(late, Err(AccessError::NotAllowed { .. })));
}

#[test]
fn everybody_may_ask_for_their_own_passkeys_and_others_approve() {
    let (house, _) = House::with_owner();
    let mut first = house.join("ben", &[Role::Viewer]);
    house.join("cleo", &[Role::Approver]);
    let ben = Principal::Person(name("ben"));
    let change = house.access.plan_change(Edit::AddPasskey { name: name("ben") }, &ben).unwrap();
    let alone = house.access.apply_change(&change, &Authorised::nothing());
    assert!(matches!(alone, Err(AccessError::NeedsApproval { .. })));
    let Outcome::Invited(invitation) =
        house.access.apply_change(&change, &Authorised::of_case(&Case(change.hash()))).unwrap()
    else {
        panic!("nobody was invited")
    };
    let mut second = device();
    join(&house.access, &invitation.token, &mut second).unwrap();
    sign_in(&house.access, &mut first).unwrap();
    sign_in(&house.access, &mut second).unwrap();
    for edit in [
        Edit::AddPasskey { name: name("cleo") },
        Edit::Deactivate { name: name("ben") },
        Edit::SetRoles { name: name("ben"), roles: roles(&[Role::Owner]) },
        Edit::Recover { name: name("ben") },
    ] {
        let refused = house.access.plan_change(edit, &ben);
        assert!(matches!(refused, Err(AccessError::NotAllowed { .. })));
    }
}

#[test]
fn a_plan_holds_for_the_account_as_it_was() {
    let (house, _) = House::with_owner();
    house.join("ben", &[Role::Viewer]);
    let change = house.plan(Edit::SetRoles { name: name("ben"), roles: roles(&[Role::Operator]) });
    house.done(Edit::SetRoles { name: name("ben"), roles: roles(&[Role::Viewer, Role::Approver]) });
    let stale = house.access.apply_change(&change, &Authorised::of_host("root"));
    assert!(matches!(stale, Err(AccessError::Stale { .. })));

    // An invitation that is open when the account changes is over.
    let passkey = house.invited(Edit::AddPasskey { name: name("ben") });
    house.done(Edit::SetRoles { name: name("ben"), roles: roles(&[Role::Viewer]) });
    assert!(matches!(join(&house.access, &passkey, &mut device()), Err(AccessError::NoInvitation)));
    let passkey = house.invited(Edit::AddPasskey { name: name("ben") });
    house.done(Edit::Deactivate { name: name("ben") });
    assert!(matches!(join(&house.access, &passkey, &mut device()), Err(AccessError::NoInvitation)));
}

#[test]
fn somebody_sent_away_comes_again_with_a_new_passkey_alone() {
    let (house, _) = House::with_owner();
    let mut old = house.join("ben", &[Role::Approver]);
    house.done(Edit::Deactivate { name: name("ben") });
    assert!(!house.access.person(&name("ben")).unwrap().unwrap().active);
    let mut new = house.join("ben", &[Role::Viewer]);
    assert!(sign_in(&house.access, &mut old).is_err());
    assert_eq!(sign_in(&house.access, &mut new).unwrap().signed_in.roles, roles(&[Role::Viewer]));
}

#[test]
fn lost_passkeys_come_back_with_the_kit_alone() {
    let (house, mut anna) = House::with_owner();
    let session = sign_in(&house.access, &mut anna).unwrap();
    let change = house.plan(Edit::Recover { name: name("anna") });
    for without in
        [Authorised::nothing(), Authorised::of_host("root"), Authorised::of_case(&Case(change.hash()))]
    {
        assert!(matches!(house.access.apply_change(&change, &without), Err(AccessError::NeedsKit)));
    }
    assert!(house.access.session(&session.token).unwrap().is_some());

    let Outcome::Invited(invitation) = house.access.apply_change(&change, &kit()).unwrap() else {
        panic!("nobody was invited")
    };
    assert_eq!(house.access.session(&session.token).unwrap(), None);
    assert!(matches!(sign_in(&house.access, &mut anna), Err(AccessError::UnknownPasskey)));
    let entry = house.log.entries.lock().unwrap().last().cloned().unwrap();
    assert_eq!(entry.authorised.as_deref(), Some("recovery kit age1kit, host: root"));
    assert!(matches!(&entry.event, Event::Recovered { removed, .. } if *removed == [anna.credential_id()]));

    // Without any passkey, one more is no way around the kit; with one, the host alone is not enough either.
    let more = || house.access.plan_change(Edit::AddPasskey { name: name("anna") }, &host());
    assert!(matches!(more(), Err(AccessError::NeedsKit)));

    // The lost device does not come in by the new invitation, and the invitation can be made again.
    assert!(matches!(join(&house.access, &invitation.token, &mut anna), Err(AccessError::PasskeyTaken)));
    let again = house.plan(Edit::Recover { name: name("anna") });
    let Outcome::Invited(second) = house.access.apply_change(&again, &kit()).unwrap() else {
        panic!("nobody was invited")
    };
    let mut new = device();
    assert!(matches!(join(&house.access, &invitation.token, &mut new), Err(AccessError::NoInvitation)));
    join(&house.access, &second.token, &mut new).unwrap();
    assert_eq!(sign_in(&house.access, &mut new).unwrap().signed_in.roles, roles(&[Role::Owner]));
    let by_host = house.access.apply_change(&more().unwrap(), &Authorised::of_host("root"));
    assert!(matches!(by_host, Err(AccessError::NeedsKit)));
}

#[test]
fn several_passkeys_for_one_person() {
    let (house, mut first) = House::with_owner();
    let mut more: Vec<Device> = (0..3).map(|_| device()).collect();
    for device in &mut more {
        join(&house.access, &house.invited(Edit::AddPasskey { name: name("anna") }), device).unwrap();
    }
    assert_eq!(house.access.person(&name("anna")).unwrap().unwrap().passkeys.len(), 4);
    for device in more.iter_mut().chain([&mut first]) {
        assert_eq!(sign_in(&house.access, device).unwrap().signed_in.person, name("anna"));
    }
}

#[test]
fn the_hash_covers_everything_in_a_change() {
    let (house, _) = House::with_owner();
    let change = house.plan(invite("ben", &[Role::Approver]));
    let mut others: Vec<Change> = (0..5).map(|_| change.clone()).collect();
    others[0].edit = invite("ben", &[Role::Owner]);
    others[1].by = Principal::Host("mallory".to_owned());
    others[2].planned_at = change.planned_at.plus_micros(1);
    others[3].weakening = None;
    others[4].edition = Some("other".to_owned());
    for other in &others {
        assert_ne!(other.hash(), change.hash());
    }
    let text = serde_json::to_string(&change.hash()).unwrap();
    assert_eq!(serde_json::from_str::<ChangeHash>(&text).unwrap(), change.hash());
    for bad in ["\"\"", "\"zz\"", &text.to_uppercase(), &format!("\"{}0\"", &text[1..65])] {
        assert!(serde_json::from_str::<ChangeHash>(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_cannot_be_recorded_now_is_recorded_later_and_in_order() {
    let (house, mut anna) = House::with_owner();
    house.log.refuses.store(true, std::sync::atomic::Ordering::SeqCst);
    house.pass(1);
    house.join("ben", &[Role::Viewer]);
    house.pass(1);
    house.done(Edit::Deactivate { name: name("ben") });
    assert_eq!(house.log.words(), ["invited", "passkey_added"]);
    assert_eq!(house.access.undelivered().unwrap().len(), 3);
    house.log.refuses.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(house.access.deliver().unwrap(), 0);
    let expected = ["invited", "passkey_added", "invited", "passkey_added", "deactivated"];
    assert_eq!(house.log.words(), expected);
    // The public half of each passkey is in the log: what it approves can be checked from there.
    let entries = house.log.entries.lock().unwrap();
    assert!(
        matches!(&entries[1].event, Event::PasskeyAdded { passkey, .. } if passkey.credential == anna.credential_id())
    );
    drop(entries);
    sign_in(&house.access, &mut anna).unwrap();
}
