//! Credentials in the bytes of a file, whatever its format: pure, bounded, never failing.

mod gather;
mod lines;
mod tree;

use model::Redacted;

use crate::{Credential, Kind};

/// Two words and a value somewhere in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair {
    /// What it is a part of: a section, an object; pairs of one group may belong together.
    group: String,
    /// Its name.
    key: String,
    /// Its value.
    value: String,
    /// The line, where that is known.
    line: Option<usize>,
}

/// What was recognised in one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recognised {
    /// The credentials.
    pub credentials: Vec<Credential>,
    /// Paths of files that it says hold credentials.
    pub references: Vec<String>,
    /// What could not be looked at, if anything.
    pub remarks: Vec<String>,
}

/// A longer line is no line that somebody wrote; its beginning is looked at.
const LINE_BYTES_MAX: usize = 64 << 10;
/// More pairs than these are data and no settings.
const PAIRS_MAX: usize = 20_000;
/// More credentials than these in one file say no more.
const CREDENTIALS_MAX: usize = 500;

/// Finds the credentials in a file's bytes. `name` is the file's name, which hints at the format; `found` is how the
/// place is shown; `holder` is whose file it is.
///
/// Recognised are dotenv, `.pgpass`, credentials and profiles of AWS, keys of Google service accounts, JSON, TOML, YAML
/// (its plain lines), INI, PEM, identities of age, enrolments, and addresses of PostgreSQL anywhere.
pub fn recognise(name: &str, bytes: &[u8], found: &str, holder: Option<u32>) -> Recognised {
    let text = String::from_utf8_lossy(bytes);
    let mut recognised = Recognised::default();
    let pairs = pairs_of(name, &text, &mut recognised.remarks);
    let mut gathered = gather::Gathering::new(found, holder);
    if name.ends_with("pgpass") {
        gathered.pgpass(&text);
    }
    gathered.pairs(&pairs);
    gathered.text(&text);
    recognised.references = gathered.references;
    recognised.credentials = gathered.credentials;
    recognised
}

/// Finds the credentials in an environment: names with their values.
pub fn recognise_environment<'a>(
    variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    found: &str,
    holder: Option<u32>,
) -> Recognised {
    let pairs: Vec<Pair> = variables
        .into_iter()
        .take(PAIRS_MAX)
        .map(|(key, value)| Pair {
            group: String::new(),
            key: key.to_owned(),
            value: value.to_owned(),
            line: None,
        })
        .collect();
    let mut gathered = gather::Gathering::new(found, holder);
    gathered.pairs(&pairs);
    for pair in &pairs {
        gathered.text_of(&pair.value, Some(&pair.key));
    }
    Recognised { credentials: gathered.credentials, references: gathered.references, remarks: Vec::new() }
}

fn pairs_of(name: &str, text: &str, remarks: &mut Vec<String>) -> Vec<Pair> {
    let begins = text.trim_start();
    let end = name.rsplit_once('.').map_or("", |(_, end)| end);
    let structured = if begins.starts_with('{') || begins.starts_with('[') && end == "json" {
        tree::json(text)
    } else if end == "toml" {
        tree::toml(text)
    } else {
        None
    };
    let mut pairs = structured.unwrap_or_else(|| lines::pairs(name, text));
    if pairs.len() > PAIRS_MAX {
        remarks.push(format!("only the first {PAIRS_MAX} of {} settings were looked at", pairs.len()));
        pairs.truncate(PAIRS_MAX);
    }
    pairs
}

fn redacted(text: &str) -> Redacted<String> {
    Redacted::new(text.to_owned())
}

/// Tells whether two credentials are the same one.
fn same(a: &Kind, b: &Kind) -> bool {
    a == b
}

#[cfg(test)]
mod tests;
