//! The vault's own secrets, and whether production has one of them.

use model::Redacted;

use crate::Credential;

/// What the holder of one of the vault's secrets can do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Power {
    /// Read a source in the capture's name; nothing of the vault.
    Source,
    /// Stop people and programs in a source.
    Stop,
    /// Add to the vault.
    Add,
    /// Read the vault.
    Read,
    /// Remove what has lapsed from the vault's place.
    Remove,
}

impl Power {
    /// Says what its holder can do.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Source => "read the source as the capture does",
            Self::Stop => "stop whoever works in the source",
            Self::Add => "add to the vault",
            Self::Read => "read the vault",
            Self::Remove => "remove what has lapsed from the vault's place",
        }
    }

    /// Tells whether the vault itself is reached with it.
    pub const fn reaches_vault(self) -> bool {
        matches!(self, Self::Add | Self::Read | Self::Remove)
    }
}

/// A secret of the vault's or of the capture's.
#[derive(Debug, Clone)]
pub struct Own {
    /// What it is: `the writer's access key`.
    pub what: String,
    /// What its holder can do.
    pub power: Power,
    /// Texts of which each alone is the secret.
    pub values: Vec<Redacted<String>>,
}

/// A copy is looked for inside of other text from this length on; shorter ones would be found by chance.
const CONTAINED_FROM_BYTES: usize = 12;

/// Removes what differs between copies of one secret: line ends, spaces, the escapes of line ends.
fn plain(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let escape = byte == b'\\' && matches!(bytes.peek(), Some(b'n' | b'r' | b't'));
        if escape {
            bytes.next();
        } else if !byte.is_ascii_whitespace() {
            out.push(byte);
        }
    }
    out
}

/// What to look for, prepared once.
#[derive(Debug, Default)]
pub struct Owned {
    own: Vec<Own>,
    needles: Vec<(usize, Redacted<Vec<u8>>)>,
}

impl Owned {
    /// Prepares the search for these secrets.
    pub fn new(own: Vec<Own>) -> Self {
        let mut needles = Vec::new();
        for (index, one) in own.iter().enumerate() {
            let values = one.values.iter().map(|value| plain(value.expose().as_bytes()));
            needles.extend(values.filter(|v| !v.is_empty()).map(|value| (index, Redacted::new(value))));
        }
        Self { own, needles }
    }

    /// Returns how many secrets are looked for.
    pub const fn len(&self) -> usize {
        self.own.len()
    }

    /// Tells whether there is nothing to look for.
    pub const fn is_empty(&self) -> bool {
        self.own.is_empty()
    }

    /// Returns those that are somewhere inside of a text, whatever its format is.
    pub fn inside(&self, text: &[u8]) -> Vec<&Own> {
        let text = plain(text);
        let held = |needle: &[u8]| needle.len() >= CONTAINED_FROM_BYTES && contains(&text, needle);
        self.those(held)
    }

    /// Returns those that a credential is, or holds.
    pub fn of(&self, credential: &Credential) -> Vec<&Own> {
        let mut texts: Vec<Vec<u8>> = Vec::new();
        for secret in credential.kind.secrets() {
            texts.push(plain(secret.as_bytes()));
        }
        self.those(|needle| {
            texts
                .iter()
                .any(|text| text == needle || needle.len() >= CONTAINED_FROM_BYTES && contains(text, needle))
        })
    }

    fn those(&self, held: impl Fn(&[u8]) -> bool) -> Vec<&Own> {
        let mut found: Vec<usize> = self
            .needles
            .iter()
            .filter(|(_, needle)| held(needle.expose()))
            .map(|(index, _)| *index)
            .collect();
        found.sort_unstable();
        found.dedup();
        found.into_iter().map(|index| &self.own[index]).collect()
    }
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(text, needle).is_some()
}

/// Returns the lines of a key's file that alone are the secret: long ones that are no remarks and no frame.
pub fn pieces(text: &str) -> Vec<Redacted<String>> {
    const PIECE_FROM_CHARACTERS: usize = 32;
    let lines = text.lines().map(str::trim).filter(|line| {
        line.len() >= PIECE_FROM_CHARACTERS && !line.starts_with('#') && !line.starts_with("-----")
    });
    let mut pieces: Vec<Redacted<String>> = lines.map(|line| Redacted::new(line.to_owned())).collect();
    pieces.push(Redacted::new(text.trim().to_owned()));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    fn owned() -> Owned {
        let pem = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\nqqqq\n-----END PRIVATE KEY-----\n";
        Owned::new(vec![
            Own { what: "the server key".to_owned(), power: Power::Add, values: pieces(pem) },
            Own {
                what: "the writer".to_owned(),
                power: Power::Add,
                values: vec![Redacted::new("writer".to_owned())],
            },
        ])
    }

    #[test]
    fn a_copy_is_found_however_it_is_written() {
        let owned = owned();
        let copies = [
            "KEY=\"-----BEGIN PRIVATE KEY-----\\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg\\nqqqq\\n\"",
            "key: |\n    MIGHAgEAMBMGByqGSM49AgEGCCqGSM4\n    9AwEHBG0wawIBAQQg\n",
            "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg",
        ];
        for copy in copies {
            assert_eq!(owned.inside(copy.as_bytes()).len(), 1, "{copy}");
        }
        assert!(owned.inside(b"the writer writes; MIGHAgEAMBMGByqGSM49AgEGCCqGSM49").is_empty());
    }

    #[test]
    fn a_short_one_is_compared_as_a_whole() {
        let key = |access_key: &str| Credential {
            kind: Kind::Aws { access_key: access_key.to_owned(), secret_key: None, session_token: None },
            found: String::new(),
            holder: None,
        };
        assert_eq!(owned().of(&key("writer")).len(), 1);
        assert!(owned().of(&key("writers")).is_empty());
    }
}
