//! A key in n pieces of paper, of which any k give it back (format §3.5).

use std::{collections::BTreeMap, path::Path};

use blahaj::Sharks;
use ports::{Random, files};
use zeroize::Zeroizing;

use super::{KEY_FILE_MODE, KeyError, RestoreKey, page, read_private};
use crate::{VaultId, id::hex, manifest::Fingerprint};

/// One piece of a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Share {
    /// How many pieces give the key.
    pub threshold: u8,
    /// How many pieces were made.
    pub total: u8,
    /// Which of them this is, from 1.
    pub number: u8,
    /// The set it belongs to; pieces of different sets give nothing.
    pub set: [u8; 4],
    /// The vault.
    pub vault: VaultId,
    fingerprint: Option<Fingerprint>,
    piece: Zeroizing<[u8; 32]>,
}

/// Why shares give no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// The text is no share.
    #[error("this is not a recovery share")]
    Parse,
    /// A line was typed wrongly.
    #[error("line {line} of a share is mistyped or missing")]
    Mistyped {
        /// Its number.
        line: usize,
    },
    /// Every line is right, the whole is not: lines of different shares were mixed.
    #[error("the lines of a share do not belong together")]
    Whole,
    /// Two shares are of different sets.
    #[error("share {number} belongs to set {found}, the others to set {expected}")]
    OtherSet {
        /// The share.
        number: u8,
        /// Its set.
        found: String,
        /// The set of the first share.
        expected: String,
    },
    /// The same share was given twice, with different contents.
    #[error("share {number} was given twice, and the two differ")]
    Contradiction {
        /// The share.
        number: u8,
    },
    /// There are too few.
    #[error("{given} different shares were given, {threshold} are needed")]
    TooFew {
        /// How many there are.
        given: usize,
        /// How many are needed.
        threshold: u8,
    },
    /// The numbers asked for are not possible.
    #[error("a key can be split into 2 to 16 shares, of which 2 or more are needed")]
    Numbers,
}

const VERSION: u8 = 1;
const LINE_BYTES: usize = 15;
const LINES: usize = 4;
const SHARE_BYTES: usize = LINE_BYTES * LINES;
const CHECKED_BYTES: usize = SHARE_BYTES - 4;
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const QR_HEAD: &str = "UNWIPE-SHARE:";
const CHECK_CHARACTERS: usize = 4;

impl Share {
    /// Splits a key.
    pub fn split(
        key: &RestoreKey,
        threshold: u8,
        total: u8,
        random: &dyn Random,
    ) -> Result<Vec<Self>, KeyError> {
        if threshold < 2 || total < threshold || total > 16 {
            return Err(ShareError::Numbers.into());
        }
        let vault = key.vault().ok_or(KeyError::Parse { what: "key that names its vault" })?;
        let mut set = [0; 4];
        random.fill(&mut set);
        let secret = key.scalar()?;
        let pieces = Sharks(threshold).dealer(&secret).take(usize::from(total));
        (1..)
            .zip(pieces)
            .map(|(number, piece)| {
                let bytes = Zeroizing::new(Vec::from(&piece));
                let piece = bytes.get(1..).and_then(|y| y.try_into().ok()).ok_or(ShareError::Numbers)?;
                if bytes.first() != Some(&number) {
                    return Err(ShareError::Numbers.into());
                }
                let piece = Zeroizing::new(piece);
                Ok(Self { threshold, total, number, set, vault, fingerprint: key.fingerprint(), piece })
            })
            .collect()
    }

    /// Puts shares together. One more than needed is checked against the others.
    pub fn combine(shares: &[Self]) -> Result<RestoreKey, KeyError> {
        let first = shares.first().ok_or(ShareError::TooFew { given: 0, threshold: 2 })?;
        let mut pieces: BTreeMap<u8, &Self> = BTreeMap::new();
        for share in shares {
            let number = share.number;
            let same = (share.set, share.vault, share.threshold, share.total)
                == (first.set, first.vault, first.threshold, first.total);
            if !same {
                let (found, expected) = (hex(&share.set), hex(&first.set));
                return Err(ShareError::OtherSet { number, found, expected }.into());
            }
            if pieces.insert(number, share).is_some_and(|earlier| earlier.piece != share.piece) {
                return Err(ShareError::Contradiction { number }.into());
            }
        }
        if pieces.len() < usize::from(first.threshold) {
            return Err(ShareError::TooFew { given: pieces.len(), threshold: first.threshold }.into());
        }
        let points = pieces
            .values()
            .map(|share| {
                let bytes = Zeroizing::new([&[share.number][..], &share.piece[..]].concat());
                blahaj::Share::try_from(bytes.as_slice()).map_err(|_| ShareError::Parse)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let secret = Zeroizing::new(Sharks(first.threshold).recover(&points).map_err(|_| ShareError::Parse)?);
        let fingerprint = shares.iter().find_map(|share| share.fingerprint);
        RestoreKey::from_scalar(&secret, Some(first.vault), fingerprint)
    }

    /// Reads a share from a file that nobody else may read.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        Self::parse(&read_private(path)?)
    }

    /// Writes the share's text into a new file that only its owner may read.
    pub fn save(&self, path: &Path) -> Result<(), KeyError> {
        Ok(files::create_new(path, self.render_text().as_bytes(), KEY_FILE_MODE)?)
    }

    /// Reads a share as printed, as typed in, or as scanned.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let fingerprint = text
            .lines()
            .find_map(|line| line.trim_start().strip_prefix("fingerprint:"))
            .and_then(|value| value.trim().parse().ok());
        let bytes = match scanned(text) {
            Some(bytes) => bytes?,
            None => typed(text)?,
        };
        Ok(Self { fingerprint, ..Self::decode(&bytes)? })
    }

    fn decode(bytes: &[u8; SHARE_BYTES]) -> Result<Self, ShareError> {
        let (checked, check) = bytes.split_at(CHECKED_BYTES);
        if blake3::hash(checked).as_bytes()[..4] != *check {
            return Err(ShareError::Whole);
        }
        let array = |from: usize| checked.get(from..from + 16).and_then(|part| part.try_into().ok());
        let (Some(vault), Some(piece)) = (array(8), checked[24..].try_into().ok()) else {
            return Err(ShareError::Parse);
        };
        let (threshold, total, number) = (checked[1], checked[2], checked[3]);
        let possible = threshold >= 2 && total >= threshold && total <= 16 && (1..=total).contains(&number);
        if checked[0] != VERSION || !possible {
            return Err(ShareError::Parse);
        }
        let set = [checked[4], checked[5], checked[6], checked[7]];
        let piece = Zeroizing::new(piece);
        Ok(Self { threshold, total, number, set, vault: VaultId(vault), fingerprint: None, piece })
    }

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(vec![VERSION, self.threshold, self.total, self.number]);
        bytes.extend_from_slice(&self.set);
        bytes.extend_from_slice(&self.vault.0);
        bytes.extend_from_slice(&*self.piece);
        let check = blake3::hash(&bytes);
        bytes.extend_from_slice(&check.as_bytes()[..4]);
        bytes
    }

    /// Returns the lines to type: groups of four, the last one being the check of its line.
    pub fn lines(&self) -> Vec<String> {
        let line = |(number, part): (usize, &[u8])| {
            let text = base32(part) + &line_check(number, part);
            let groups: Vec<&str> =
                text.as_bytes().chunks(4).filter_map(|g| str::from_utf8(g).ok()).collect();
            format!("{number}: {}", groups.join(" "))
        };
        (1..).zip(self.encode().chunks(LINE_BYTES)).map(line).collect()
    }

    /// Returns what the QR code holds.
    pub fn code_text(&self) -> String {
        format!("{QR_HEAD}{}", base32(&self.encode()))
    }

    /// Returns the page as text.
    pub fn render_text(&self) -> String {
        let fingerprint = self.fingerprint.map(|f| f.to_string()).unwrap_or_default();
        let Self { threshold, total, number, set, vault, .. } = self;
        format!(
            "UNWIPE RECOVERY SHARE {number} OF {total}\n\n\
             Any {threshold} of these {total} shares open the vault; fewer tell nothing.\n\n\
             set:         {}\nvault:       {vault}\nfingerprint: {fingerprint}\n\n{}\n\n\
             To use them:  unwipe rewind NAME@latest --to FOLDER --key shares:FILE,FILE\n\
             or without unwipe:  read_vault.py restore VAULT --share FILE --share FILE --source NAME --out FOLDER\n",
            hex(set),
            self.lines().join("\n"),
        )
    }

    /// Returns the page to print: HTML that needs nothing else.
    pub fn render_page(&self, place: &str) -> Result<String, KeyError> {
        let Self { threshold, total, number, set, vault, .. } = self;
        page::render(&page::Page {
            title: format!("unwipe recovery share {number} of {total}"),
            lead: format!(
                "Any {threshold} of these {total} pages open the vault and read all of it. {} or fewer tell nothing. \
                 Keep the pages with different people, away from the vault.",
                threshold - 1
            ),
            facts: vec![
                ("set", hex(set)),
                ("vault", vault.to_string()),
                ("fingerprint", self.fingerprint.map(|f| f.to_string()).unwrap_or_default()),
                ("place", place.to_owned()),
            ],
            lines: self.lines(),
            code: self.code_text(),
            steps: page::steps("shares:share1.txt,share2.txt,…", "--share share1.txt --share share2.txt …"),
        })
    }
}

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Share({} of {}, set {}, [redacted])", self.number, self.total, hex(&self.set))
    }
}

type Bytes = Zeroizing<[u8; SHARE_BYTES]>;

fn scanned(text: &str) -> Option<Result<Bytes, ShareError>> {
    let packed: String = text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_uppercase();
    let start = packed.find(QR_HEAD)? + QR_HEAD.len();
    let symbols = packed.get(start..start + SHARE_BYTES * 8 / 5);
    Some(
        symbols
            .and_then(unbase32)
            .and_then(|bytes| bytes.try_into().ok())
            .map(Zeroizing::new)
            .ok_or(ShareError::Parse),
    )
}

/// Reads the numbered lines; each is checked by itself, so that the one that is wrong can be named.
fn typed(text: &str) -> Result<Bytes, ShareError> {
    let mut bytes = Zeroizing::new([0; SHARE_BYTES]);
    let mut found = false;
    let mut missing = None;
    for (number, part) in (1..).zip(bytes.chunks_mut(LINE_BYTES)) {
        let head = format!("{number}:");
        let Some(line) = text.lines().find_map(|line| line.trim_start().strip_prefix(&head)) else {
            missing = missing.or(Some(number));
            continue;
        };
        found = true;
        let symbols: String = line.chars().filter(|c| !c.is_whitespace()).collect();
        // These digits are in no share: whoever typed them read a letter.
        let symbols = symbols.to_ascii_uppercase().replace('0', "O").replace('1', "I").replace('8', "B");
        let wrong = ShareError::Mistyped { line: number };
        let (data, check) =
            symbols.split_at_checked(symbols.len().saturating_sub(CHECK_CHARACTERS)).ok_or(wrong.clone())?;
        let data = unbase32(data).filter(|data| data.len() == LINE_BYTES).ok_or(wrong.clone())?;
        if line_check(number, &data) != check {
            return Err(wrong);
        }
        part.copy_from_slice(&data);
    }
    match (found, missing) {
        (false, _) => Err(ShareError::Parse),
        (true, Some(line)) => Err(ShareError::Mistyped { line }),
        (true, None) => Ok(bytes),
    }
}

pub(super) fn line_check(number: usize, part: &[u8]) -> String {
    let hash = blake3::hash(&[&[number as u8], part].concat());
    base32(&hash.as_bytes()[..5])[..CHECK_CHARACTERS].to_owned()
}

fn base32(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(5) {
        let value = chunk.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
        for symbol in (0..chunk.len() * 8 / 5).rev() {
            text.push(char::from(ALPHABET[(value >> (symbol * 5) & 31) as usize]));
        }
    }
    text
}

fn unbase32(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(8) {
        return None;
    }
    let mut bytes = Vec::new();
    for chunk in text.as_bytes().chunks(8) {
        let mut value = 0_u64;
        for symbol in chunk {
            value = value << 5 | ALPHABET.iter().position(|known| known == symbol)? as u64;
        }
        bytes.extend_from_slice(&value.to_be_bytes()[3..]);
    }
    Some(bytes)
}
