use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::{
    digest::{SHA256, digest},
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};

use crate::id::{hex, unhex};

/// What a key of a note signs, as the byte that C2SP gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Ed25519 over the note's text: what a log signs with.
    Ed25519,
    /// `cosignature/v1`: Ed25519 over the time and the text, what a witness signs with.
    CosignatureV1,
}

/// The public key of a log or a witness, with the name it signs under: C2SP's *vkey*.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    algorithm: Algorithm,
    public: [u8; 32],
}

/// A text that is no verifier key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifierKeyError {
    /// It does not have the form NAME+KEY-ID+KEY.
    #[error("a verifier key has the form NAME+KEY-ID+KEY")]
    Form,
    /// The name cannot stand in a note.
    #[error("a key's name is 1 to 128 bytes without spaces and plus signs")]
    Name,
    /// The key id does not fit name and key: a copying mistake.
    #[error("the key's id does not fit its name and key; was it copied whole?")]
    Id,
    /// Another kind of key.
    #[error("only Ed25519 keys are supported")]
    Algorithm,
}

/// A text with signatures, as C2SP's `signed-note` defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// Who claims to have signed.
    pub name: String,
    /// A hint which key it was.
    pub key_id: [u8; 4],
    bytes: Vec<u8>,
}

/// A text that is no signed note.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no signed note: {reason}")]
pub struct NoteError {
    reason: &'static str,
}

/// A key that signs notes.
pub struct NoteSigner {
    pair: Ed25519KeyPair,
    key: VerifierKey,
}

const NAME_BYTES_MAX: usize = 128;
const NOTE_BYTES_MAX: usize = 64 << 10;
const SIGNATURES_MAX: usize = 64;
const SIGNATURE_BYTES: usize = 64;
const PREFIX: &str = "— ";

impl Algorithm {
    const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 1,
            Self::CosignatureV1 => 4,
        }
    }
}

impl VerifierKey {
    /// Makes a key.
    pub fn new(
        name: impl Into<String>,
        algorithm: Algorithm,
        public: [u8; 32],
    ) -> Result<Self, VerifierKeyError> {
        let name = name.into();
        if is_name(&name) { Ok(Self { name, algorithm, public }) } else { Err(VerifierKeyError::Name) }
    }

    /// Returns the name it signs under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what it signs.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the key's id: the first bytes of a hash over name and key.
    pub fn id(&self) -> [u8; 4] {
        let bytes = [self.name.as_bytes(), b"\n", &[self.algorithm.byte()], &self.public].concat();
        let mut id = [0; 4];
        id.copy_from_slice(&digest(&SHA256, &bytes).as_ref()[..4]);
        id
    }

    fn holds(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public).verify(message, signature).is_ok()
    }
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(plain)
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode([&[self.algorithm.byte()][..], &self.public].concat());
        write!(f, "{}+{}+{key}", self.name, hex(&self.id()))
    }
}

impl FromStr for VerifierKey {
    type Err = VerifierKeyError;

    fn from_str(text: &str) -> Result<Self, VerifierKeyError> {
        let (name, rest) = text.trim().split_once('+').ok_or(VerifierKeyError::Form)?;
        // The key itself may hold plus signs, being base64.
        let (id, key) = rest.split_once('+').ok_or(VerifierKeyError::Form)?;
        let id = unhex::<4>(id).ok_or(VerifierKeyError::Form)?;
        let bytes = STANDARD.decode(key).map_err(|_| VerifierKeyError::Form)?;
        let (algorithm, public) = bytes.split_first().ok_or(VerifierKeyError::Form)?;
        let algorithm = match algorithm {
            1 => Algorithm::Ed25519,
            4 => Algorithm::CosignatureV1,
            _ => return Err(VerifierKeyError::Algorithm),
        };
        let key = Self::new(name, algorithm, public.try_into().map_err(|_| VerifierKeyError::Form)?)?;
        if key.id() == id { Ok(key) } else { Err(VerifierKeyError::Id) }
    }
}

impl Note {
    /// Reads a note. Who signed it is another question.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let refused = |reason| NoteError { reason };
        if text.len() > NOTE_BYTES_MAX || text.chars().any(|c| c.is_control() && c != '\n') {
            return Err(refused("it is too long or has control characters"));
        }
        let (body, lines) = text.rsplit_once("\n\n").ok_or(refused("no empty line before signatures"))?;
        if body.is_empty() {
            return Err(refused("it has no text"));
        }
        Ok(Self { text: format!("{body}\n"), signatures: NoteSignature::parse_all(lines)? })
    }

    /// Returns the text that is signed, with its last line break.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the signatures, whether they hold or not.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds signatures that are not there yet.
    pub fn extend(&mut self, signatures: impl IntoIterator<Item = NoteSignature>) {
        for signature in signatures {
            if !self.signatures.contains(&signature) && self.signatures.len() < SIGNATURES_MAX {
                self.signatures.push(signature);
            }
        }
    }

    /// Returns whether the holder of an Ed25519 key signed this text.
    pub fn is_signed_by(&self, key: &VerifierKey) -> bool {
        key.algorithm == Algorithm::Ed25519
            && self.of(key).any(|signature| key.holds(self.text.as_bytes(), &signature.bytes))
    }

    /// Returns the latest time, in seconds since 1970, at which a witness cosigned this text.
    pub fn cosigned_at(&self, key: &VerifierKey) -> Option<u64> {
        if key.algorithm != Algorithm::CosignatureV1 {
            return None;
        }
        let time = |signature: &NoteSignature| {
            let (time, bytes) = signature.bytes.split_first_chunk::<8>()?;
            let time = u64::from_be_bytes(*time);
            key.holds(cosigned(&self.text, time).as_bytes(), bytes).then_some(time)
        };
        self.of(key).filter_map(time).max()
    }

    /// Returns the signatures that claim to be made with a key.
    pub fn of(&self, key: &VerifierKey) -> impl Iterator<Item = &NoteSignature> {
        let id = key.id();
        self.signatures.iter().filter(move |signature| signature.name == key.name && signature.key_id == id)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

impl NoteSignature {
    /// Reads signature lines, at least one; each ends with a line break.
    pub fn parse_all(lines: &str) -> Result<Vec<Self>, NoteError> {
        let refused = |reason| NoteError { reason };
        let lines = lines.strip_suffix('\n').ok_or(refused("its last line does not end"))?;
        if lines.split('\n').count() > SIGNATURES_MAX {
            return Err(refused("it has too many signatures"));
        }
        lines.split('\n').map(|line| Self::parse(line).ok_or(refused("a signature line is none"))).collect()
    }

    fn parse(line: &str) -> Option<Self> {
        let (name, signature) = line.strip_prefix(PREFIX)?.split_once(' ')?;
        let bytes = STANDARD.decode(signature).ok()?;
        let (key_id, bytes) = bytes.split_first_chunk::<4>()?;
        let sound = is_name(name) && !bytes.is_empty();
        sound.then(|| Self { name: name.to_owned(), key_id: *key_id, bytes: bytes.to_vec() })
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signature = STANDARD.encode([&self.key_id[..], &self.bytes].concat());
        write!(f, "{PREFIX}{} {signature}", self.name)
    }
}

impl NoteSigner {
    /// Makes a signer from a key's secret seed.
    pub fn from_seed(
        name: impl Into<String>,
        algorithm: Algorithm,
        seed: &[u8; 32],
    ) -> Result<Self, VerifierKeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| VerifierKeyError::Form)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| VerifierKeyError::Form)?;
        Ok(Self { key: VerifierKey::new(name, algorithm, public)?, pair })
    }

    /// Returns the public half.
    pub const fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Signs a text that ends with a line break; a witness states the time, in seconds since 1970.
    pub fn sign(&self, text: &str, time: u64) -> NoteSignature {
        let bytes = match self.key.algorithm {
            Algorithm::Ed25519 => self.pair.sign(text.as_bytes()).as_ref().to_vec(),
            Algorithm::CosignatureV1 => {
                let mut bytes = Vec::with_capacity(8 + SIGNATURE_BYTES);
                bytes.extend(time.to_be_bytes());
                bytes.extend(self.pair.sign(cosigned(text, time).as_bytes()).as_ref());
                bytes
            }
        };
        NoteSignature { name: self.key.name.clone(), key_id: self.key.id(), bytes }
    }
}

/// Signs a text with a log's key.
pub(super) fn signed(text: String, pair: &Ed25519KeyPair, key: &VerifierKey) -> Note {
    let bytes = pair.sign(text.as_bytes()).as_ref().to_vec();
    let signature = NoteSignature { name: key.name.clone(), key_id: key.id(), bytes };
    Note { text, signatures: vec![signature] }
}

fn cosigned(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}
