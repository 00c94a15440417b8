//! Bytes from strangers: nothing panics, nothing gets in.

use access::{
    Bytes, RelyingParty,
    testing::{Device, sign_in},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::house::{House, party};

fn bytes() -> impl Strategy<Value = Value> {
    proptest::collection::vec(any::<u8>(), 0..300)
        .prop_map(|bytes| serde_json::to_value(Bytes(bytes)).unwrap())
}

/// An answer of the right shape with parts of anybody's, or of no shape at all.
fn answer() -> impl Strategy<Value = Value> {
    let shaped = (bytes(), bytes(), bytes(), bytes(), bytes(), bytes()).prop_map(
        |(id, client, object, data, signature, handle)| {
            json!({"id": id, "rawId": id, "type": "public-key", "response": {
                "clientDataJSON": client, "attestationObject": object, "authenticatorData": data,
                "signature": signature, "userHandle": handle,
            }})
        },
    );
    let shapeless = prop_oneof![
        Just(Value::Null),
        ".*".prop_map(Value::String),
        any::<i64>().prop_map(Value::from),
        (".*", ".*").prop_map(|(id, kind)| json!({"id": id, "type": kind, "response": []})),
    ];
    prop_oneof![4 => shaped, 1 => shapeless]
}

/// A registration that is good but for a few bytes of what the authenticator wrote.
fn bent(positions: &[(usize, u8)]) -> (Value, Vec<u8>, RelyingParty) {
    let party = party();
    let mut device = Device::eddsa(&party).unwrap();
    device.attests = true;
    let challenge = vec![7; 32];
    let options = json!({"challenge": Bytes(challenge.clone()), "user": {"id": "AAAA"}});
    let mut answer = device.create(&options).unwrap();
    let mut object: Bytes = serde_json::from_value(answer["response"]["attestationObject"].clone()).unwrap();
    let length = object.0.len();
    for &(at, bits) in positions {
        object.0[at % length] ^= bits;
    }
    answer["response"]["attestationObject"] = serde_json::to_value(object).unwrap();
    (answer, challenge, party)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_answer_makes_it_panic_or_lets_anybody_in(answer in answer()) {
        let party = party();
        prop_assert!(access::parse_registration(&answer, &[7; 32], &party).is_err());
        if let Ok((assertion, _)) = access::parse_assertion(&answer) {
            let mut device = Device::es256(&party).unwrap();
            let created = device.create(&json!({"challenge": Bytes(vec![7; 32]), "user": {"id": "AAAA"}})).unwrap();
            let (mut passkey, _) = access::parse_registration(&created, &[7; 32], &party).unwrap();
            passkey.credential = assertion.credential.clone();
            prop_assert!(assertion.verify(b"statement", &passkey, &party).is_err());
        }
    }

    #[test]
    fn a_bent_passkey_is_refused(at in any::<usize>(), bits in 1..=u8::MAX) {
        let (answer, challenge, party) = bent(&[(at, bits)]);
        prop_assert!(access::parse_registration(&answer, &challenge, &party).is_err());
    }
}

#[test]
fn a_straight_passkey_is_taken() {
    let (answer, challenge, party) = bent(&[]);
    assert!(access::parse_registration(&answer, &challenge, &party).is_ok());
}

#[test]
fn an_account_of_the_browser_with_more_in_it_is_taken_and_twice_the_same_is_not() {
    let (house, mut anna) = House::with_owner();
    // A browser may add what it likes; what it signs is the whole text. This one cannot be signed by the device, so the
    // signature is what refuses it: everything before that has passed.
    let ceremony = house.access.begin_login().unwrap();
    let mut answer = anna.get(&ceremony.options).unwrap();
    let challenge = ceremony.options["challenge"].as_str().unwrap();
    let mut with = |text: String| {
        answer["response"]["clientDataJSON"] = serde_json::to_value(Bytes(text.into_bytes())).unwrap();
        let (assertion, _) = access::parse_assertion(&answer).unwrap();
        let passkey = access::PublicPasskey {
            credential: assertion.credential.clone(),
            key: access::PublicKey::EdDsa { key: Bytes(vec![1; 32]) },
        };
        assertion.verify(b"x", &passkey, &party()).unwrap_err()
    };
    let good = access::statement_challenge(b"x");
    let good = serde_json::to_value(Bytes(good.to_vec())).unwrap();
    let origin = "https://unwipe.example.org";
    let extra =
        format!(r#"{{"type":"webauthn.get","challenge":{good},"origin":"{origin}","new":{{"a":[1]}}}}"#);
    assert_eq!(with(extra), access::AssertionError::Signature);
    let twice = format!(
        r#"{{"type":"webauthn.get","challenge":{good},"origin":"https://evil.org","origin":"{origin}"}}"#
    );
    assert_eq!(with(twice), access::AssertionError::ClientData);
    let other = format!(r#"{{"type":"webauthn.get","challenge":"{challenge}","origin":"{origin}"}}"#);
    assert_eq!(with(other), access::AssertionError::Challenge);
    let created = format!(r#"{{"type":"webauthn.create","challenge":{good},"origin":"{origin}"}}"#);
    assert_eq!(with(created), access::AssertionError::Kind);
    let top = format!(
        r#"{{"type":"webauthn.get","challenge":{good},"origin":"{origin}","crossOrigin":false,"topOrigin":"https://evil.org"}}"#
    );
    assert!(matches!(with(top), access::AssertionError::Origin { .. }));
    assert!(matches!(with("x".repeat(9_000)), access::AssertionError::ClientData));
    sign_in(&house.access, &mut anna).unwrap();
}
