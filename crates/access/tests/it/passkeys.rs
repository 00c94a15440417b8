//! Registering and signing in: what is taken, and each thing that is not.

use access::{
    AccessError, AssertionError, Edit, RegistrationError, Role,
    testing::{Device, join, sign_in},
};
use serde_json::{Value, json};

use crate::house::{HOUR, House, MINUTE, SECOND, device, name, party};

/// A key for RSA, made for the test that uses it.
fn rsa_document() -> Vec<u8> {
    use rsa::pkcs8::EncodePrivateKey;

    let key = rsa::RsaPrivateKey::new(&mut Chance(ports::SeededRandom::new(3)), 2048).unwrap();
    key.to_pkcs8_der().unwrap().as_bytes().to_vec()
}

struct Chance(ports::SeededRandom);

impl rsa::rand_core::RngCore for Chance {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u64() as u32
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, buffer: &mut [u8]) {
        ports::Random::fill(&self.0, buffer);
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        self.fill_bytes(buffer);
        Ok(())
    }
}

impl rsa::rand_core::CryptoRng for Chance {}

fn three_kinds() -> [Device; 3] {
    let party = party();
    [
        Device::es256(&party).unwrap(),
        Device::eddsa(&party).unwrap(),
        Device::rs256(&party, &rsa_document()).unwrap(),
    ]
}

#[test]
fn every_kind_of_key_comes_in_with_and_without_attesting_itself() {
    for attests in [false, true] {
        let house = House::new();
        for (index, mut device) in three_kinds().into_iter().enumerate() {
            device.attests = attests;
            let person = format!("person{index}");
            let joined = join(&house.access, &house.invite(&person, &[Role::Viewer]), &mut device).unwrap();
            assert_eq!(joined.passkeys[0].algorithm, ["ES256", "EdDSA", "RS256"][index]);
            for _ in 0..2 {
                let session = sign_in(&house.access, &mut device).unwrap();
                assert_eq!(session.signed_in.person, name(&person));
            }
        }
    }
}

#[test]
fn what_browsers_are_asked_for() {
    let (house, _) = House::with_owner();
    let ceremony = house.access.begin_registration(&house.invite("ben", &[Role::Viewer])).unwrap();
    let options = &ceremony.options;
    assert_eq!(options["rp"], json!({"id": "unwipe.example.org", "name": "unwipe"}));
    assert_eq!(options["user"]["name"], "ben");
    assert_eq!(options["attestation"], "none");
    assert_eq!(options["authenticatorSelection"]["userVerification"], "required");
    assert_eq!(options["authenticatorSelection"]["residentKey"], "required");
    let algorithms: Vec<i64> = options["pubKeyCredParams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kind| kind["alg"].as_i64().unwrap())
        .collect();
    assert_eq!(algorithms, [-7, -8, -257]);
    assert!(!options["user"]["id"].as_str().unwrap().contains("ben"));
    // Nothing in a sign-in says who there is.
    let login = house.access.begin_login().unwrap();
    assert_eq!(login.options["allowCredentials"], json!([]));
    assert_eq!(login.options["userVerification"], "required");
    assert!(!login.options.to_string().contains("anna"));
}

/// Registers with a device that is changed, and returns why it was refused. The invitation is good all the time.
fn refused_to_join(change: impl FnOnce(&mut Device)) -> RegistrationError {
    let house = House::new();
    let invitation = house.invite("anna", &[Role::Owner]);
    let mut odd = device();
    change(&mut odd);
    let error = join(&house.access, &invitation, &mut odd).unwrap_err();
    assert!(house.access.people().unwrap().is_empty());
    join(&house.access, &invitation, &mut device()).expect("the invitation was not used up");
    match error {
        AccessError::Registration(error) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_passkey_made_wrongly_is_not_registered() {
    use RegistrationError::Check;

    let evil = || "https://evil.example.org".to_owned();
    let origin = refused_to_join(|device| device.origin = evil());
    assert_eq!(origin, Check(AssertionError::Origin { origin: evil() }));
    let http = refused_to_join(|device| device.origin = "http://unwipe.example.org".to_owned());
    assert!(matches!(http, Check(AssertionError::Origin { .. })));
    let framed = refused_to_join(|device| device.framed = true);
    assert!(matches!(framed, Check(AssertionError::Origin { .. })));
    assert_eq!(
        refused_to_join(|device| device.domain = "example.org".to_owned()),
        Check(AssertionError::Domain)
    );
    assert_eq!(refused_to_join(|device| device.verifies = false), Check(AssertionError::Verification));
    assert_eq!(refused_to_join(|device| device.present = false), Check(AssertionError::Presence));
    assert_eq!(refused_to_join(|device| device.credential = Vec::new()), Check(AssertionError::Credential));
}

#[test]
fn a_registration_is_changed_on_the_way_in_vain() {
    let house = House::new();
    let invitation = house.invite("anna", &[Role::Owner]);
    let finish = |change: &dyn Fn(&mut Value)| {
        let ceremony = house.access.begin_registration(&invitation).unwrap();
        let mut device = device();
        device.attests = true;
        let mut answer = device.create(&ceremony.options).unwrap();
        change(&mut answer);
        house.access.finish_registration(&ceremony.id, &answer)
    };
    for (what, change) in [
        ("another kind", (&|answer: &mut Value| answer["type"] = json!("password")) as &dyn Fn(&mut Value)),
        ("another id", &|answer| answer["id"] = json!("AAAA")),
        ("another raw id", &|answer| answer["rawId"] = json!("AAAA")),
        ("both ids", &|answer| {
            answer["id"] = json!("AAAA");
            answer["rawId"] = json!("AAAA");
        }),
        ("nothing", &|answer| *answer = Value::Null),
        ("no object", &|answer| answer["response"]["attestationObject"] = json!("")),
        ("a number", &|answer| answer["response"]["attestationObject"] = json!(7)),
        ("padding", &|answer| {
            let text = format!("{}=", answer["response"]["attestationObject"].as_str().unwrap());
            answer["response"]["attestationObject"] = json!(text);
        }),
    ] {
        assert!(matches!(finish(change), Err(AccessError::Registration(_))), "{what} was taken");
    }
    // A ceremony for signing in is none for registering, and the other way round.
    let login = house.access.begin_login().unwrap();
    let answer = device().create(&login.options).unwrap();
    assert!(matches!(house.access.finish_registration(&login.id, &answer), Err(AccessError::NoCeremony)));
    assert!(finish(&|_| ()).is_ok());
}

#[test]
fn an_invitation_is_used_once_and_for_a_day() {
    let house = House::new();
    let first = house.invite("anna", &[Role::Owner]);
    join(&house.access, &first, &mut device()).unwrap();
    assert!(matches!(join(&house.access, &first, &mut device()), Err(AccessError::NoInvitation)));
    assert!(matches!(house.access.begin_registration("guess"), Err(AccessError::NoInvitation)));

    let late = house.invite("ben", &[Role::Viewer]);
    let ceremony = house.access.begin_registration(&late).unwrap();
    let answer = device().create(&ceremony.options).unwrap();
    house.pass(24 * HOUR - SECOND);
    assert!(house.access.begin_registration(&late).is_ok());
    house.pass(SECOND);
    assert!(matches!(house.access.begin_registration(&late), Err(AccessError::NoInvitation)));
    assert!(matches!(house.access.finish_registration(&ceremony.id, &answer), Err(AccessError::NoCeremony)));
}

#[test]
fn a_clock_that_is_put_back_revives_no_invitation_and_no_ceremony() {
    let house = House::new();
    let invitation = house.invite("anna", &[Role::Owner]);
    let ceremony = house.access.begin_registration(&invitation).unwrap();
    let answer = device().create(&ceremony.options).unwrap();
    house.clock.jump_micros(24 * HOUR);
    assert!(matches!(house.access.begin_registration(&invitation), Err(AccessError::NoInvitation)));
    house.clock.jump_micros(-24 * HOUR);
    assert!(matches!(house.access.begin_registration(&invitation), Err(AccessError::NoInvitation)));
    assert!(matches!(
        house.access.finish_registration(&ceremony.id, &answer),
        Err(AccessError::NoInvitation | AccessError::NoCeremony)
    ));
}

#[test]
fn an_invitation_that_lapses_while_the_browser_waits_is_not_taken() {
    let house = House::new();
    let invitation = house.invite("anna", &[Role::Owner]);
    house.pass(24 * HOUR - SECOND);
    let ceremony = house.access.begin_registration(&invitation).unwrap();
    let answer = device().create(&ceremony.options).unwrap();
    house.pass(2 * SECOND);
    assert!(matches!(
        house.access.finish_registration(&ceremony.id, &answer),
        Err(AccessError::NoInvitation)
    ));
}

#[test]
fn of_two_first_owners_one_comes_in() {
    let house = House::new();
    let (mine, theirs) = (house.invite("anna", &[Role::Owner]), house.invite("mallory", &[Role::Owner]));
    join(&house.access, &mine, &mut device()).unwrap();
    assert!(matches!(join(&house.access, &theirs, &mut device()), Err(AccessError::NoInvitation)));
}

#[test]
fn a_passkey_belongs_to_one_person_for_ever() {
    let (house, mut anna) = House::with_owner();
    let invitation = house.invite("ben", &[Role::Viewer]);
    let handle = anna.handle.clone();
    assert!(matches!(join(&house.access, &invitation, &mut anna), Err(AccessError::PasskeyTaken)));
    anna.handle = handle;
    let mut second = device();
    join(&house.access, &house.invited(Edit::AddPasskey { name: name("anna") }), &mut second).unwrap();
    house.done(Edit::RemovePasskey { name: name("anna"), credential: anna.credential_id() });
    assert!(matches!(sign_in(&house.access, &mut anna), Err(AccessError::UnknownPasskey)));
    assert!(matches!(join(&house.access, &invitation, &mut anna), Err(AccessError::PasskeyTaken)));
    assert!(sign_in(&house.access, &mut second).is_ok());
}

/// Signs in with a changed device, and returns why it was refused.
fn refused(change: impl FnOnce(&mut Device)) -> AccessError {
    let (house, mut anna) = House::with_owner();
    change(&mut anna);
    sign_in(&house.access, &mut anna).unwrap_err()
}

#[test]
fn a_passkey_used_wrongly_signs_nobody_in() {
    use AccessError::Assertion;

    let origin = refused(|device| device.origin = "https://unwipe.example.org.evil.org".to_owned());
    assert!(matches!(origin, Assertion(AssertionError::Origin { .. })));
    let framed = refused(|device| device.framed = true);
    assert!(matches!(framed, Assertion(AssertionError::Origin { .. })));
    let domain = refused(|device| device.domain = "evil.org".to_owned());
    assert!(matches!(domain, Assertion(AssertionError::Domain)));
    assert!(matches!(refused(|device| device.verifies = false), Assertion(AssertionError::Verification)));
    assert!(matches!(refused(|device| device.present = false), Assertion(AssertionError::Presence)));
    assert!(matches!(refused(|device| device.handle = b"somebody".to_vec()), AccessError::UnknownPasskey));
    assert!(matches!(refused(|device| device.handle = Vec::new()), AccessError::UnknownPasskey));
    assert!(matches!(refused(|device| device.credential = vec![1; 16]), AccessError::UnknownPasskey));
    // A key of one's own under the name of somebody's passkey.
    let (house, anna) = House::with_owner();
    let mut forger = device();
    forger.credential.clone_from(&anna.credential);
    forger.handle.clone_from(&anna.handle);
    forger.count = 100;
    let forged = sign_in(&house.access, &mut forger);
    assert!(matches!(forged, Err(Assertion(AssertionError::Signature))));
}

#[test]
fn every_bit_of_what_is_signed_counts() {
    let (house, mut anna) = House::with_owner();
    for part in ["clientDataJSON", "authenticatorData", "signature"] {
        let bytes_in = |answer: &Value| {
            serde_json::from_value::<access::Bytes>(answer["response"][part].clone()).unwrap()
        };
        let ceremony = house.access.begin_login().unwrap();
        let length = bytes_in(&anna.get(&ceremony.options).unwrap()).0.len();
        for at in 0..length {
            let ceremony = house.access.begin_login().unwrap();
            let mut answer = anna.get(&ceremony.options).unwrap();
            let mut bytes = bytes_in(&answer);
            let Some(byte) = bytes.0.get_mut(at) else { continue };
            *byte ^= 1 << (at % 8);
            answer["response"][part] = serde_json::to_value(bytes).unwrap();
            assert!(house.access.finish_login(&ceremony.id, &answer).is_err(), "{part} at {at}");
        }
    }
    assert!(sign_in(&house.access, &mut anna).is_ok());
}

#[test]
fn a_ceremony_is_finished_once_in_time_and_by_its_own_answer() {
    let (house, mut anna) = House::with_owner();
    let ceremony = house.access.begin_login().unwrap();
    let answer = anna.get(&ceremony.options).unwrap();
    house.access.finish_login(&ceremony.id, &answer).unwrap();
    assert!(matches!(house.access.finish_login(&ceremony.id, &answer), Err(AccessError::NoCeremony)));

    // The answer to one is none to another, and a wrong answer ends it.
    let (one, two) = (house.access.begin_login().unwrap(), house.access.begin_login().unwrap());
    let answer = anna.get(&one.options).unwrap();
    let crossed = house.access.finish_login(&two.id, &answer);
    assert!(matches!(crossed, Err(AccessError::Assertion(AssertionError::Challenge))));
    let right = anna.get(&two.options).unwrap();
    assert!(matches!(house.access.finish_login(&two.id, &right), Err(AccessError::NoCeremony)));

    let slow = house.access.begin_login().unwrap();
    let answer = anna.get(&slow.options).unwrap();
    house.pass(5 * MINUTE);
    assert!(matches!(house.access.finish_login(&slow.id, &answer), Err(AccessError::NoCeremony)));

    let back = house.access.begin_login().unwrap();
    let answer = anna.get(&back.options).unwrap();
    house.clock.jump_micros(-HOUR);
    assert!(matches!(house.access.finish_login(&back.id, &answer), Err(AccessError::NoCeremony)));
    assert!(matches!(house.access.finish_login("", &answer), Err(AccessError::NoCeremony)));
}

#[test]
fn a_new_passkey_is_no_sign_in() {
    let (house, mut anna) = House::with_owner();
    let ceremony = house.access.begin_login().unwrap();
    let created = anna.create(&ceremony.options).unwrap();
    let refused = house.access.finish_login(&ceremony.id, &created);
    assert!(matches!(refused, Err(AccessError::Assertion(AssertionError::Shape))));
}

#[test]
fn a_counter_that_goes_back_is_refused_noted_and_recorded() {
    let (house, mut anna) = House::with_owner();
    for _ in 0..3 {
        sign_in(&house.access, &mut anna).unwrap();
    }
    anna.count = 1;
    let refused = sign_in(&house.access, &mut anna);
    assert!(matches!(refused, Err(AccessError::CounterRegressed { stored: 3, seen: 2, .. })));
    // The same count twice is as bad: it is a copy that is behind by one.
    let again = sign_in(&house.access, &mut anna);
    assert!(matches!(again, Err(AccessError::CounterRegressed { stored: 3, seen: 3, .. })));
    // One that suddenly does not count any more is another device.
    anna.counts = false;
    anna.count = 0;
    let silent = sign_in(&house.access, &mut anna);
    assert!(matches!(silent, Err(AccessError::CounterRegressed { stored: 3, seen: 0, .. })));
    let person = house.access.person(&name("anna")).unwrap().unwrap();
    assert!(person.passkeys[0].suspicious.is_some());
    assert_eq!(house.log.words().iter().filter(|word| *word == "counter_regressed").count(), 3);
    // The true device goes on.
    anna.counts = true;
    anna.count = 3;
    assert!(sign_in(&house.access, &mut anna).is_ok());
}

#[test]
fn an_authenticator_that_does_not_count_signs_in_again_and_again() {
    let house = House::new();
    let mut synced = device();
    synced.counts = false;
    synced.copied = true;
    let person = join(&house.access, &house.invite("anna", &[Role::Owner]), &mut synced).unwrap();
    assert!(person.passkeys[0].may_be_copied);
    for _ in 0..3 {
        sign_in(&house.access, &mut synced).unwrap();
    }
}

#[test]
fn a_flood_of_begun_sign_ins_ends_nobody_elses_registration() {
    let house = House::new();
    let invitation = house.invite("anna", &[Role::Owner]);
    let ceremony = house.access.begin_registration(&invitation).unwrap();
    for _ in 0..25_000 {
        house.access.begin_login().unwrap();
        house.pass(1);
    }
    let last = house.access.begin_login().unwrap();
    let mut anna = device();
    let answer = anna.create(&ceremony.options).unwrap();
    house.access.finish_registration(&ceremony.id, &answer).unwrap();
    let answer = anna.get(&last.options).unwrap();
    house.access.finish_login(&last.id, &answer).unwrap();
}
