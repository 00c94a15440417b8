//! A software authenticator: a device with one passkey, for tests of whatever signs people in.
//!
//! It does what a browser and an authenticator do together. Its fields can be set to what neither would do, to see that
//! it is refused.

use ring::{
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use serde_json::{Value, json};

use crate::{
    Access, AccessError, Bytes, Ceremony, CredentialId, NewSession, PasskeyAssertion, Person, PersonName,
    RelyingParty, bytes, client_data::sha256,
};

/// Why the device did nothing: it has no key of that kind, or its key does not sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the software authenticator cannot sign")]
pub struct DeviceError;

enum Key {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(Box<RsaKeyPair>),
}

/// A device with one passkey.
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that a device does or does not")]
pub struct Device {
    key: Key,
    /// What it calls its passkey.
    pub credential: Vec<u8>,
    /// For whom the passkey is; learned when it is registered.
    pub handle: Vec<u8>,
    /// Where the browser is.
    pub origin: String,
    /// Which domain the passkey belongs to.
    pub domain: String,
    /// How often it was used.
    pub count: u32,
    /// Whether it counts; many do not and say zero.
    pub counts: bool,
    /// Whether somebody touches it.
    pub present: bool,
    /// Whether it checks who does.
    pub verifies: bool,
    /// Whether copies of the passkey may be elsewhere.
    pub copied: bool,
    /// Whether the page is inside another one.
    pub framed: bool,
    /// Whether the passkey signs for itself when it is made.
    pub attests: bool,
}

#[expect(clippy::disallowed_methods, reason = "ring makes and uses such keys with the system's chance alone")]
fn chance() -> SystemRandom {
    SystemRandom::new()
}

impl Device {
    /// Makes a device that signs with ECDSA on P-256, as most do.
    pub fn es256(party: &RelyingParty) -> Result<Self, DeviceError> {
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &chance()).map_err(|_| DeviceError)?;
        let key =
            EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &chance()).map_err(|_| DeviceError)?;
        Ok(Self::with(Key::Es256(key), party))
    }

    /// Makes a device that signs with Ed25519.
    pub fn eddsa(party: &RelyingParty) -> Result<Self, DeviceError> {
        let document = Ed25519KeyPair::generate_pkcs8(&chance()).map_err(|_| DeviceError)?;
        let key = Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(|_| DeviceError)?;
        Ok(Self::with(Key::EdDsa(key), party))
    }

    /// Makes a device that signs with a given RSA key, in PKCS#8 DER.
    pub fn rs256(party: &RelyingParty, document: &[u8]) -> Result<Self, DeviceError> {
        let key = RsaKeyPair::from_pkcs8(document).map_err(|_| DeviceError)?;
        Ok(Self::with(Key::Rs256(Box::new(key)), party))
    }

    fn with(key: Key, party: &RelyingParty) -> Self {
        let public = public(&key);
        Self {
            credential: sha256(&[b"credential", &public])[..16].to_vec(),
            key,
            handle: Vec::new(),
            origin: party.origin.clone(),
            domain: party.rp_id.clone(),
            count: 0,
            counts: true,
            present: true,
            verifies: true,
            copied: false,
            framed: false,
            attests: false,
        }
    }

    /// Returns what it calls its passkey.
    pub fn credential_id(&self) -> CredentialId {
        CredentialId(Bytes(self.credential.clone()))
    }

    /// Does what `navigator.credentials.create` does, and returns what its `toJSON` would.
    pub fn create(&mut self, options: &Value) -> Result<Value, DeviceError> {
        let handle = options["user"]["id"].as_str().and_then(|text| bytes::decode(text).ok());
        self.handle = handle.unwrap_or_default();
        let client_data = self.client_data("webauthn.create", options);
        let data = self.authenticator_data(true);
        let message = [&data[..], &sha256(&[&client_data])].concat();
        let (format, statement) = if self.attests {
            let signature = self.sign(&message)?;
            let pairs = [text("alg"), integer(self.algorithm()), text("sig"), string(&signature)].concat();
            ("packed", [head(5, 2), pairs].concat())
        } else {
            ("none", head(5, 0))
        };
        let object = [
            head(5, 3),
            text("fmt"),
            text(format),
            text("attStmt"),
            statement,
            text("authData"),
            string(&data),
        ]
        .concat();
        let id = bytes::encode(&self.credential);
        Ok(json!({
            "id": id,
            "rawId": id,
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": bytes::encode(&client_data),
                "attestationObject": bytes::encode(&object),
                "transports": ["internal"],
            },
        }))
    }

    /// Does what `navigator.credentials.get` does, and returns what its `toJSON` would.
    pub fn get(&mut self, options: &Value) -> Result<Value, DeviceError> {
        if self.counts {
            self.count += 1;
        }
        let client_data = self.client_data("webauthn.get", options);
        let data = self.authenticator_data(false);
        let signature = self.sign(&[&data[..], &sha256(&[&client_data])].concat())?;
        let id = bytes::encode(&self.credential);
        Ok(json!({
            "id": id,
            "rawId": id,
            "type": "public-key",
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": {
                "clientDataJSON": bytes::encode(&client_data),
                "authenticatorData": bytes::encode(&data),
                "signature": bytes::encode(&signature),
                "userHandle": bytes::encode(&self.handle),
            },
        }))
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let challenge = options["challenge"].as_str().unwrap_or_default();
        let (origin, framed) = (&self.origin, self.framed);
        json!({"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": framed})
            .to_string()
            .into_bytes()
    }

    fn authenticator_data(&self, new: bool) -> Vec<u8> {
        let bit = |set: bool, flag: u8| if set { flag } else { 0 };
        let flags =
            bit(self.present, 1) | bit(self.verifies, 4) | bit(self.copied, 8 | 16) | bit(new, 1 << 6);
        let mut data = sha256(&[self.domain.as_bytes()]).to_vec();
        data.push(flags);
        data.extend(self.count.to_be_bytes());
        if new {
            data.extend([0; 16]);
            data.extend((self.credential.len() as u16).to_be_bytes());
            data.extend(&self.credential);
            data.extend(self.cose());
        }
        data
    }

    const fn algorithm(&self) -> i64 {
        match self.key {
            Key::Es256(_) => -7,
            Key::EdDsa(_) => -8,
            Key::Rs256(_) => -257,
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, DeviceError> {
        match &self.key {
            Key::Es256(key) => Ok(key.sign(&chance(), message).map_err(|_| DeviceError)?.as_ref().to_vec()),
            Key::EdDsa(key) => Ok(key.sign(message).as_ref().to_vec()),
            Key::Rs256(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &chance(), message, &mut signature).map_err(|_| DeviceError)?;
                Ok(signature)
            }
        }
    }

    /// Writes the public key as COSE does.
    fn cose(&self) -> Vec<u8> {
        let public = public(&self.key);
        let algorithm = integer(self.algorithm());
        match &self.key {
            Key::Es256(_) => [
                [head(5, 5), integer(1), integer(2), integer(3), algorithm, integer(-1), integer(1)].concat(),
                [integer(-2), string(&public[1..33]), integer(-3), string(&public[33..])].concat(),
            ]
            .concat(),
            Key::EdDsa(_) => [
                [head(5, 4), integer(1), integer(1), integer(3), algorithm, integer(-1), integer(6)].concat(),
                [integer(-2), string(&public)].concat(),
            ]
            .concat(),
            Key::Rs256(key) => {
                let PublicKeyComponents { n: modulus, e: exponent } =
                    PublicKeyComponents::<Vec<u8>>::from(key.public());
                [
                    [head(5, 4), integer(1), integer(3), integer(3), algorithm].concat(),
                    [integer(-1), string(&modulus), integer(-2), string(&exponent)].concat(),
                ]
                .concat()
            }
        }
    }
}

fn public(key: &Key) -> Vec<u8> {
    match key {
        Key::Es256(key) => key.public_key().as_ref().to_vec(),
        Key::EdDsa(key) => key.public_key().as_ref().to_vec(),
        Key::Rs256(key) => key.public_key().as_ref().to_vec(),
    }
}

/// Opens an invitation with a device: begins, makes the passkey, finishes.
pub fn join(access: &Access, invitation: &str, device: &mut Device) -> Result<Person, AccessError> {
    let ceremony = access.begin_registration(invitation)?;
    access.finish_registration(&ceremony.id, &answered(device.create(&ceremony.options)))
}

/// Signs in with a device.
pub fn sign_in(access: &Access, device: &mut Device) -> Result<NewSession, AccessError> {
    let ceremony: Ceremony = access.begin_login()?;
    access.finish_login(&ceremony.id, &answered(device.get(&ceremony.options)))
}

/// Approves a statement with a device.
pub fn approve(
    access: &Access,
    person: &PersonName,
    statement: &[u8],
    device: &mut Device,
) -> Result<PasskeyAssertion, AccessError> {
    let ceremony = access.begin_approval(person, statement)?;
    access.finish_approval(&ceremony.id, &answered(device.get(&ceremony.options)))
}

/// A device that cannot sign answers nothing, which is then refused.
fn answered(answer: Result<Value, DeviceError>) -> Value {
    answer.unwrap_or(Value::Null)
}

/// Writes the beginning of a CBOR value.
fn head(kind: u8, argument: u64) -> Vec<u8> {
    let kind = kind << 5;
    match argument {
        0..=23 => vec![kind | argument as u8],
        24..=0xff => vec![kind | 0x18, argument as u8],
        0x100..=0xffff => [&[kind | 0x19][..], &(argument as u16).to_be_bytes()].concat(),
        _ => [&[kind | 0x1b][..], &argument.to_be_bytes()].concat(),
    }
}

fn integer(number: i64) -> Vec<u8> {
    if number < 0 { head(1, (-1 - number) as u64) } else { head(0, number as u64) }
}

fn string(bytes: &[u8]) -> Vec<u8> {
    [&head(2, bytes.len() as u64)[..], bytes].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&head(3, text.len() as u64)[..], text.as_bytes()].concat()
}
