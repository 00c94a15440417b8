//! Approvals by passkey: what is signed is the statement, and it holds without anything else.

use access::{
    AccessError, AssertionError, Edit, PasskeyAssertion, PublicPasskey, RelyingParty, Role,
    testing::{Device, approve, join, sign_in},
};

use crate::house::{House, MINUTE, device, name, party};

const STATEMENT: &[u8] = b"case 7, subject 0123, approved";

#[test]
fn an_approval_holds_from_stored_bytes_alone() {
    for make in [Device::es256, Device::eddsa] {
        let house = House::new();
        let mut anna = make(&party()).unwrap();
        join(&house.access, &house.invite("anna", &[Role::Owner]), &mut anna).unwrap();
        let assertion = approve(&house.access, &name("anna"), STATEMENT, &mut anna).unwrap();
        let passkey = house.access.public_passkey(&name("anna"), &assertion.credential).unwrap().unwrap();
        let stored = serde_json::to_string(&(&assertion, &passkey)).unwrap();
        drop(house);
        let (assertion, passkey): (PasskeyAssertion, PublicPasskey) = serde_json::from_str(&stored).unwrap();
        assert_eq!(assertion.verify(STATEMENT, &passkey, &party()), Ok(()));

        let other = assertion.verify(b"case 7, subject 0123, refused", &passkey, &party());
        assert_eq!(other, Err(AssertionError::Challenge));
        let elsewhere = RelyingParty::of_origin("https://evil.org", "unwipe").unwrap();
        assert!(matches!(
            assertion.verify(STATEMENT, &passkey, &elsewhere),
            Err(AssertionError::Origin { .. })
        ));
        let domain = RelyingParty { rp_id: "example.org".to_owned(), ..party() };
        assert_eq!(assertion.verify(STATEMENT, &passkey, &domain), Err(AssertionError::Domain));
        let mut forged = assertion.clone();
        *forged.signature.0.last_mut().unwrap() ^= 1;
        assert_eq!(forged.verify(STATEMENT, &passkey, &party()), Err(AssertionError::Signature));
        let mut unverified = assertion.clone();
        unverified.authenticator_data.0[32] &= !4;
        assert_eq!(unverified.verify(STATEMENT, &passkey, &party()), Err(AssertionError::Verification));
        let mut unknown = assertion;
        unknown.credential.0.0.push(1);
        assert_eq!(unknown.verify(STATEMENT, &passkey, &party()), Err(AssertionError::Credential));
    }
}

#[test]
fn the_passkey_of_somebody_else_approves_nothing() {
    let (house, mut anna) = House::with_owner();
    let mut ben = house.join("ben", &[Role::Approver]);
    let theirs = approve(&house.access, &name("anna"), STATEMENT, &mut ben);
    assert!(matches!(theirs, Err(AccessError::UnknownPasskey)));
    assert!(matches!(
        approve(&house.access, &name("nobody"), STATEMENT, &mut ben),
        Err(AccessError::NoPerson { .. })
    ));
    // One passkey's assertion does not hold for another person's.
    let assertion = approve(&house.access, &name("ben"), STATEMENT, &mut ben).unwrap();
    assert_eq!(house.access.public_passkey(&name("anna"), &assertion.credential).unwrap(), None);
    let hers = house.access.public_passkey(&name("anna"), &anna.credential_id()).unwrap().unwrap();
    assert_eq!(assertion.verify(STATEMENT, &hers, &party()), Err(AssertionError::Credential));
    approve(&house.access, &name("anna"), STATEMENT, &mut anna).unwrap();
}

#[test]
fn a_sign_in_is_no_approval() {
    let (house, mut anna) = House::with_owner();
    let login = house.access.begin_login().unwrap();
    let answer = anna.get(&login.options).unwrap();
    let approval = house.access.begin_approval(&name("anna"), STATEMENT).unwrap();
    let crossed = house.access.finish_approval(&approval.id, &answer);
    assert!(matches!(crossed, Err(AccessError::Assertion(AssertionError::Challenge))));
    assert!(matches!(house.access.finish_approval(&login.id, &answer), Err(AccessError::NoCeremony)));
    let approval = house.access.begin_approval(&name("anna"), STATEMENT).unwrap();
    let answer = anna.get(&approval.options).unwrap();
    assert!(matches!(house.access.finish_login(&approval.id, &answer), Err(AccessError::NoCeremony)));
}

#[test]
fn an_approval_is_given_once_in_time_by_somebody_still_there() {
    let (house, _) = House::with_owner();
    let mut ben = house.join("ben", &[Role::Approver]);
    let ceremony = house.access.begin_approval(&name("ben"), STATEMENT).unwrap();
    let answer = ben.get(&ceremony.options).unwrap();
    house.access.finish_approval(&ceremony.id, &answer).unwrap();
    assert!(matches!(house.access.finish_approval(&ceremony.id, &answer), Err(AccessError::NoCeremony)));
    // The same bytes for the same question again: the counter says that they are old.
    let again = house.access.begin_approval(&name("ben"), STATEMENT).unwrap();
    assert!(matches!(
        house.access.finish_approval(&again.id, &answer),
        Err(AccessError::CounterRegressed { .. })
    ));

    let slow = house.access.begin_approval(&name("ben"), STATEMENT).unwrap();
    let answer = ben.get(&slow.options).unwrap();
    house.pass(5 * MINUTE);
    assert!(matches!(house.access.finish_approval(&slow.id, &answer), Err(AccessError::NoCeremony)));

    let gone = house.access.begin_approval(&name("ben"), STATEMENT).unwrap();
    let answer = ben.get(&gone.options).unwrap();
    house.done(Edit::Deactivate { name: name("ben") });
    assert!(matches!(house.access.finish_approval(&gone.id, &answer), Err(AccessError::NoPerson { .. })));
}

#[test]
fn the_browser_is_told_which_passkeys_count() {
    let (house, anna) = House::with_owner();
    let mut second = device();
    join(&house.access, &house.invited(Edit::AddPasskey { name: name("anna") }), &mut second).unwrap();
    let ceremony = house.access.begin_approval(&name("anna"), STATEMENT).unwrap();
    let allowed: Vec<&str> = ceremony.options["allowCredentials"]
        .as_array()
        .unwrap()
        .iter()
        .map(|allowed| allowed["id"].as_str().unwrap())
        .collect();
    assert_eq!(allowed, [anna.credential_id().to_string(), second.credential_id().to_string()]);
    assert_eq!(ceremony.options["userVerification"], "required");
    sign_in(&house.access, &mut second).unwrap();
}
