use std::path::Path;

use model::Moment;
use qrcode::{EcLevel, QrCode, render::unicode};
use zeroize::Zeroizing;

use super::{KEY_FILE_MODE, KeyError, RestoreKey, page, shares::line_check};

/// The page to print and put away: with it, and the vault's objects, everything comes back.
#[derive(Debug, Clone)]
pub struct RecoveryKit {
    key: RestoreKey,
    created: Moment,
}

const GROUP_CHARACTERS: usize = 8;
const GROUPS_PER_LINE: usize = 5;
/// `AGE-SECRET-KEY-1` and the 58 characters after it.
const KEY_CHARACTERS: usize = 74;

impl RecoveryKit {
    pub(crate) const fn new(key: RestoreKey, created: Moment) -> Self {
        Self { key, created }
    }

    /// Returns the key on the kit.
    pub const fn key(&self) -> &RestoreKey {
        &self.key
    }

    /// Reads the key back from the page's text, as printed or as typed in.
    pub fn parse(text: &str) -> Result<RestoreKey, KeyError> {
        RestoreKey::parse(text).map_err(|error| match error {
            KeyError::Mistyped { .. } => error,
            _ => KeyError::Parse { what: "recovery kit" },
        })
    }

    /// Writes the page into a new file that only its owner may read.
    pub fn save(&self, path: &Path) -> Result<(), KeyError> {
        Ok(ports::files::create_new(path, self.render_text()?.as_bytes(), KEY_FILE_MODE)?)
    }

    /// Returns the page as text, with a QR code of block characters.
    pub fn render_text(&self) -> Result<String, KeyError> {
        let code = self.code()?.render::<unicode::Dense1x2>().build();
        let vault = self.key.vault().map(|id| id.to_string()).unwrap_or_default();
        let fingerprint = self.key.fingerprint().map(|f| f.to_string()).unwrap_or_default();
        Ok(format!(
            "UNWIPE RECOVERY KIT\n\
             \n\
             With this page and the vault's objects everything in the vault can be read and\n\
             restored, also when every other key is lost. Whoever has it can read all of it.\n\
             Print it, put it away where the vault is not, and delete the file.\n\
             \n\
             made:        {created}\n\
             vault:       {vault}\n\
             fingerprint: {fingerprint}\n\
             \n\
             The key (spaces and line breaks do not matter; the code holds the same):\n\
             \n\
             {key}\n\
             \n\
             {code}\n\
             \n\
             To use it: type the key into a file, or scan the code; make the file private\n\
             (chmod 600 kit.txt); then\n\
             \n\
             \x20   unwipe rewind NAME@latest --to FOLDER --key file:/path/to/kit.txt\n\
             \n\
             or, without unwipe, with any Python and the page docs/format/vault-v1.md:\n\
             \n\
             \x20   read_vault.py restore VAULT --identity kit.txt --source NAME --out FOLDER\n",
            created = self.created,
            key = self.grouped_key(),
        ))
    }

    /// Returns the page to print: HTML that needs nothing else.
    pub fn render_page(&self, place: &str) -> Result<String, KeyError> {
        page::render(&page::Page {
            title: "unwipe recovery kit".to_owned(),
            lead: "With this page and the vault's objects everything in the vault can be read and restored, also when \
                   every other key is lost. Whoever has it can read all of it. Keep it where the vault is not."
                .to_owned(),
            facts: vec![
                ("made", self.created.to_string()),
                ("vault", self.key.vault().map(|id| id.to_string()).unwrap_or_default()),
                ("fingerprint", self.key.fingerprint().map(|f| f.to_string()).unwrap_or_default()),
                ("place", place.to_owned()),
            ],
            lines: self.grouped_key().lines().map(str::to_owned).collect(),
            code: self.key.secret().to_string(),
            steps: page::steps("file:kit.txt", "--identity kit.txt"),
        })
    }

    /// Returns the QR code of the key as an SVG image.
    pub fn render_svg(&self) -> Result<String, KeyError> {
        Ok(self.code()?.render::<qrcode::render::svg::Color<'_>>().min_dimensions(240, 240).build())
    }

    fn code(&self) -> Result<QrCode, KeyError> {
        QrCode::with_error_correction_level(self.key.secret().as_bytes(), EcLevel::Q)
            .map_err(|e| KeyError::Damaged { reason: e.to_string() })
    }

    fn grouped_key(&self) -> String {
        let secret = self.key.secret();
        let characters: Vec<char> = secret.chars().collect();
        let groups: Vec<String> =
            characters.chunks(GROUP_CHARACTERS).map(|group| group.iter().collect()).collect();
        let line = |(number, groups): (usize, &[String])| {
            format!("{}  [{}]", groups.join("  "), line_check(number, groups.concat().as_bytes()))
        };
        let lines: Vec<String> = (1..).zip(groups.chunks(GROUPS_PER_LINE)).map(line).collect();
        lines.join("\n")
    }
}

/// Takes the checks at the ends of a kit's lines away, where they were typed, after looking at them.
pub(super) fn without_checks(text: &str) -> Result<Zeroizing<String>, KeyError> {
    let mut plain = Zeroizing::new(String::new());
    let mut number = 0;
    let mut left = KEY_CHARACTERS;
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        plain.push_str(before);
        let check = after.split_once(']').filter(|(check, _)| check.len() == 4 && left > 0);
        let Some((check, after)) = check else {
            plain.push('[');
            rest = after;
            continue;
        };
        number += 1;
        // However the line was broken when it was typed: the check is over the characters before it.
        let count = left.min(GROUP_CHARACTERS * GROUPS_PER_LINE);
        left -= count;
        let line: Vec<char> = plain.chars().rev().filter(|c| !c.is_whitespace()).take(count).collect();
        let line: String = line.into_iter().rev().collect();
        if line_check(number, line.to_ascii_uppercase().as_bytes()) != check.to_ascii_uppercase() {
            return Err(KeyError::Mistyped { line: number });
        }
        rest = after;
    }
    plain.push_str(rest);
    Ok(plain)
}
