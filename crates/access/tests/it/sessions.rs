//! Sessions: how they end.

use access::{Edit, Role, testing::join, testing::sign_in};

use crate::house::{HOUR, House, MINUTE, SECOND, device, name, roles};

#[test]
fn a_session_ends_by_idleness() {
    let (house, mut anna) = House::with_owner();
    let session = sign_in(&house.access, &mut anna).unwrap();
    for _ in 0..4 {
        house.pass(29 * MINUTE);
        assert!(house.access.session(&session.token).unwrap().is_some());
    }
    house.pass(30 * MINUTE);
    assert_eq!(house.access.session(&session.token).unwrap(), None);
    // What is over leaves nothing behind, and does not come back.
    house.clock.jump_micros(-10 * MINUTE);
    assert_eq!(house.access.session(&session.token).unwrap(), None);
    assert_eq!(std::fs::read_dir(house.folder().join("sessions")).unwrap().count(), 0);
}

#[test]
fn a_session_ends_after_half_a_day_however_much_it_is_used() {
    let (house, mut anna) = House::with_owner();
    let session = sign_in(&house.access, &mut anna).unwrap();
    for _ in 0..71 {
        house.pass(10 * MINUTE);
        let signed_in = house.access.session(&session.token).unwrap().expect("it goes on");
        assert!(signed_in.expires_at > ports::Clock::now(&*house.clock));
    }
    house.pass(10 * MINUTE);
    assert_eq!(house.access.session(&session.token).unwrap(), None);
}

#[test]
fn a_session_is_fresh_for_five_minutes_and_its_form_token_is_its_own() {
    let (house, mut anna) = House::with_owner();
    let begun = ports::Clock::now(&*house.clock);
    let (one, two) = (sign_in(&house.access, &mut anna).unwrap(), sign_in(&house.access, &mut anna).unwrap());
    assert_ne!(one.token, two.token);
    assert_ne!(one.signed_in.csrf, two.signed_in.csrf);
    assert_ne!(one.signed_in.csrf, one.token);
    assert_eq!(one.signed_in.fresh_until, begun.plus_micros(5 * MINUTE));
    house.pass(20 * MINUTE);
    let later = house.access.session(&one.token).unwrap().unwrap();
    assert_eq!(later.fresh_until, begun.plus_micros(5 * MINUTE));
    assert_eq!(later.csrf, one.signed_in.csrf);
}

#[test]
fn a_session_survives_a_restart_and_no_file_holds_its_token() {
    let (house, mut anna) = House::with_owner();
    let session = sign_in(&house.access, &mut anna).unwrap();
    let restarted = house.another(99);
    assert_eq!(restarted.session(&session.token).unwrap(), Some(session.signed_in.clone()));
    for entry in std::fs::read_dir(house.folder().join("sessions")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&session.token) && !path.to_str().unwrap().contains(&session.token));
        assert!(!text.contains(&session.signed_in.csrf));
    }
    restarted.end_session(&session.token).unwrap();
    assert_eq!(house.access.session(&session.token).unwrap(), None);
    house.access.end_session(&session.token).unwrap();
}

#[test]
fn nobody_guesses_a_session() {
    let (house, mut anna) = House::with_owner();
    sign_in(&house.access, &mut anna).unwrap();
    for guess in ["", "a", "../people/anna", "\0", &"x".repeat(100_000)] {
        assert_eq!(house.access.session(guess).unwrap(), None);
    }
}

#[test]
fn other_roles_end_all_sessions_of_a_person_and_of_nobody_else() {
    let (house, mut anna) = House::with_owner();
    let mut ben = house.join("ben", &[Role::Viewer]);
    let mine = sign_in(&house.access, &mut anna).unwrap();
    let theirs = [sign_in(&house.access, &mut ben).unwrap(), sign_in(&house.access, &mut ben).unwrap()];
    house.done(Edit::SetRoles { name: name("ben"), roles: roles(&[Role::Operator]) });
    for session in theirs {
        assert_eq!(house.access.session(&session.token).unwrap(), None);
    }
    assert!(house.access.session(&mine.token).unwrap().is_some());
    let again = sign_in(&house.access, &mut ben).unwrap();
    assert_eq!(again.signed_in.roles, roles(&[Role::Operator]));

    house.done(Edit::Deactivate { name: name("ben") });
    assert_eq!(house.access.session(&again.token).unwrap(), None);
    assert!(sign_in(&house.access, &mut ben).is_err());
}

#[test]
fn a_removed_passkey_takes_its_sessions_along() {
    let (house, mut first) = House::with_owner();
    let mut second = device();
    join(&house.access, &house.invited(Edit::AddPasskey { name: name("anna") }), &mut second).unwrap();
    let (old, new) =
        (sign_in(&house.access, &mut first).unwrap(), sign_in(&house.access, &mut second).unwrap());
    house.done(Edit::RemovePasskey { name: name("anna"), credential: first.credential_id() });
    assert_eq!(house.access.session(&old.token).unwrap(), None);
    assert!(house.access.session(&new.token).unwrap().is_some());
}

#[test]
fn a_clock_that_is_set_far_back_ends_a_session() {
    let (house, mut anna) = House::with_owner();
    let session = sign_in(&house.access, &mut anna).unwrap();
    house.clock.jump_micros(-2 * SECOND);
    assert!(house.access.session(&session.token).unwrap().is_some(), "a clock that is put right by a little");
    house.clock.jump_micros(-HOUR);
    assert_eq!(house.access.session(&session.token).unwrap(), None);
}

#[test]
fn a_clock_that_jumps_forward_and_back_revives_no_session_and_lengthens_none() {
    let (house, mut anna) = House::with_owner();
    let (seen, unseen) =
        (sign_in(&house.access, &mut anna).unwrap(), sign_in(&house.access, &mut anna).unwrap());
    house.clock.jump_micros(13 * HOUR);
    assert_eq!(house.access.session(&seen.token).unwrap(), None);
    house.clock.jump_micros(-13 * HOUR);
    assert_eq!(house.access.session(&seen.token).unwrap(), None);
    // A session that is used goes on, and ends half a day after it began all the same.
    let mut passed = 0;
    while house.access.session(&unseen.token).unwrap().is_some() {
        house.pass(20 * MINUTE);
        passed += 20 * MINUTE;
        house.clock.jump_micros(-SECOND);
        assert!(passed < 13 * HOUR, "it does not end");
    }
    house.clock.jump_micros(-10 * MINUTE);
    assert_eq!(house.access.session(&unseen.token).unwrap(), None);
}

#[test]
fn what_lapsed_vanishes() {
    let (house, mut anna) = House::with_owner();
    house.invite("ben", &[Role::Viewer]);
    for _ in 0..3 {
        sign_in(&house.access, &mut anna).unwrap();
    }
    house.pass(25 * HOUR);
    sign_in(&house.access, &mut anna).unwrap();
    let count = |shelf: &str| std::fs::read_dir(house.folder().join(shelf)).unwrap().count();
    assert_eq!((count("sessions"), count("invitations")), (1, 0));
}
