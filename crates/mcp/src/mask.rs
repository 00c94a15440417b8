//! Secrets in text that agents read are replaced by what they are.
//!
//! Pure and without lists of customers' formats: what is known by its shape (keys, tokens, passwords in addresses), and
//! by its check digits where it has some (cards, accounts). A mask lowers what leaks; it is no proof that nothing does.

mod finders;
mod numbers;

use std::ops::Range;

/// What a masked secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Secret {
    /// A private key.
    PrivateKey,
    /// A token or an access key with a known beginning.
    Token,
    /// A signed token (JWT).
    Jwt,
    /// A password: in an address, or behind a word that says so.
    Password,
    /// The number of a payment card.
    Card,
    /// The number of a bank account.
    Iban,
}

impl Secret {
    /// Returns what is written in its place.
    pub const fn placeholder(self) -> &'static str {
        match self {
            Self::PrivateKey => "[masked: private key]",
            Self::Token => "[masked: token]",
            Self::Jwt => "[masked: signed token]",
            Self::Password => "[masked: password]",
            Self::Card => "[masked: card number]",
            Self::Iban => "[masked: account number]",
        }
    }
}

/// A secret in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where: bytes, on boundaries of characters.
    pub range: Range<usize>,
    /// What it is.
    pub secret: Secret,
}

/// Finds secrets, in order; none lies within another.
pub fn find(text: &str) -> Vec<Found> {
    let mut all = Vec::new();
    finders::private_keys(text, &mut all);
    finders::tokens(text, &mut all);
    finders::addresses(text, &mut all);
    finders::named(text, &mut all);
    numbers::cards(text, &mut all);
    numbers::ibans(text, &mut all);
    all.sort_by_key(|found| (found.range.start, std::cmp::Reverse(found.range.end)));
    let mut kept: Vec<Found> = Vec::new();
    for found in all {
        match kept.last_mut() {
            Some(last) if found.range.start < last.range.end => {
                last.range.end = last.range.end.max(found.range.end);
            }
            _ => kept.push(found),
        }
    }
    kept
}

/// Returns a text without the secrets in it, and how many there were.
pub fn mask(text: &str) -> (String, usize) {
    let found = find(text);
    let mut masked = String::with_capacity(text.len());
    let mut end = 0;
    for secret in &found {
        masked.push_str(&text[end..secret.range.start]);
        masked.push_str(secret.secret.placeholder());
        end = secret.range.end;
    }
    masked.push_str(&text[end..]);
    (masked, found.len())
}

/// Returns whether a column or a field that is called so holds secrets: its values are masked whatever they look like.
pub fn is_secret_name(name: &str) -> bool {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let whole = ["pin", "cvv", "cvc", "otp", "pwd", "pw"];
    let parts = [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "apikey",
        "accesskey",
        "privatekey",
        "authtoken",
        "accesstoken",
        "refreshtoken",
        "sessiontoken",
        "credential",
        "totpseed",
    ];
    whole.contains(&name.as_str()) || name == "token" || parts.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests;
