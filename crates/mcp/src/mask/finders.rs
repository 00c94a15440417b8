//! What is known by its shape.

use super::{Found, Secret};

const BEGIN: &str = "-----BEGIN ";
const PRIVATE: &str = "PRIVATE KEY";

/// Beginnings of tokens, with the least number of characters behind them.
const BEGINNINGS: [(&str, usize); 43] = [
    ("AKIA", 16),
    ("ASIA", 16),
    ("ABIA", 16),
    ("ACCA", 16),
    ("ghp_", 30),
    ("gho_", 30),
    ("ghu_", 30),
    ("ghs_", 30),
    ("ghr_", 30),
    ("github_pat_", 22),
    ("glpat-", 16),
    ("glptt-", 16),
    ("xoxb-", 10),
    ("xoxp-", 10),
    ("xoxa-", 10),
    ("xoxr-", 10),
    ("xoxs-", 10),
    ("xapp-", 10),
    ("sk_live_", 10),
    ("sk_test_", 10),
    ("rk_live_", 10),
    ("rk_test_", 10),
    ("whsec_", 16),
    ("sk-ant-", 16),
    ("sk-proj-", 16),
    ("sk-", 20),
    ("AIza", 30),
    ("ya29.", 16),
    ("1//0", 20),
    ("GOCSPX-", 16),
    ("npm_", 30),
    ("pypi-", 30),
    ("SG.", 30),
    ("dop_v1_", 30),
    ("hf_", 30),
    ("shpat_", 20),
    ("unwipe_", 20),
    ("AGE-SECRET-KEY-", 20),
    ("lin_api_", 20),
    ("sbp_", 30),
    ("dapi", 32),
    ("vercel_", 20),
    ("figd_", 20),
];

/// Words behind which a secret is told.
const NAMES: [&str; 17] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret_access_key",
    "client_secret",
    "secret",
    "api_key",
    "apikey",
    "api-key",
    "access_key",
    "access_token",
    "refresh_token",
    "auth_token",
    "authorization: bearer",
    "bearer",
    "token",
];

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// Masks from the first line of a private key to its last one; to the end of the text where that is missing.
pub(super) fn private_keys(text: &str, found: &mut Vec<Found>) {
    let mut from = 0;
    while let Some(start) = text[from..].find(BEGIN).map(|at| from + at) {
        let line_end = text[start + BEGIN.len()..].find("-----").map(|at| start + BEGIN.len() + at);
        let is_private = line_end.is_some_and(|end| text[start..end].contains(PRIVATE));
        if !is_private {
            from = start + BEGIN.len();
            continue;
        }
        let body = line_end.unwrap_or(start) + 5;
        let end = text[body..].find("-----END ").map_or(text.len(), |at| {
            let end = body + at + 9;
            text[end..].find("-----").map_or(text.len(), |close| end + close + 5)
        });
        found.push(Found { range: start..end, secret: Secret::PrivateKey });
        from = end;
    }
}

/// Masks tokens that are known by their beginning, and signed ones.
pub(super) fn tokens(text: &str, found: &mut Vec<Found>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !is_token(bytes[at]) {
            at += 1;
            continue;
        }
        let end = at + bytes[at..].iter().take_while(|byte| is_token(**byte)).count();
        // A token may lie behind another word of such characters: `key-ghp_…`, `x.eyJ…`.
        let mut start = at;
        while start < end {
            if (start == at || !bytes[start - 1].is_ascii_alphanumeric())
                && let Some(secret) = token(&text[start..end])
            {
                found.push(Found { range: start..end, secret });
                break;
            }
            start += 1;
        }
        at = end;
    }
}

fn token(word: &str) -> Option<Secret> {
    if word.starts_with("eyJ") && is_jwt(word) {
        return Some(Secret::Jwt);
    }
    let is_known = BEGINNINGS.iter().any(|(beginning, least)| {
        word.strip_prefix(beginning)
            .is_some_and(|rest| rest.len() >= *least && rest.bytes().any(|b| b.is_ascii_alphanumeric()))
    });
    // Words divided by hyphens are no tokens: `sk-learn-is-a-library-of-many`.
    let is_prose = word.starts_with("sk-") && !word.bytes().any(|byte| byte.is_ascii_digit());
    (is_known && !is_prose).then_some(Secret::Token)
}

fn is_jwt(word: &str) -> bool {
    let parts: Vec<&str> = word.split('.').collect();
    parts.len() >= 3 && parts[0].len() >= 10 && parts[1].len() >= 4 && parts[2].len() >= 8
}

/// Masks the password of `scheme://name:password@host`.
pub(super) fn addresses(text: &str, found: &mut Vec<Found>) {
    let mut from = 0;
    while let Some(at) = text[from..].find("://").map(|at| from + at + 3) {
        from = at;
        let rest = &text[at..];
        let length =
            rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '/' | '?' | '#'));
        let authority = &rest[..length.unwrap_or(rest.len())];
        // A password may contain an @ itself: the last one divides.
        let Some(sign) = authority.rfind('@') else { continue };
        let Some(colon) = authority[..sign].find(':') else { continue };
        if colon + 1 < sign {
            found.push(Found { range: at + colon + 1..at + sign, secret: Secret::Password });
        }
    }
}

/// Masks what stands behind `password=`, `"api_key": "` and the like.
pub(super) fn named(text: &str, found: &mut Vec<Found>) {
    let small = text.to_ascii_lowercase();
    for name in NAMES {
        let mut from = 0;
        while let Some(start) = small[from..].find(name).map(|at| from + at) {
            let end = start + name.len();
            from = end;
            if let Some(range) = value_behind(text, end, name.ends_with("bearer")) {
                found.push(Found { range, secret: Secret::Password });
            }
        }
    }
}

/// Finds the value behind a name: an equals sign or a colon, quotation marks if there are some, then it.
fn value_behind(text: &str, end: usize, by_space: bool) -> Option<std::ops::Range<usize>> {
    let rest = &text[end..];
    // The rest of the name: PASSWORD_HASH, tokens, "password".
    let name = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')).count();
    let rest = &rest[name..];
    let signs: usize = rest
        .char_indices()
        .take_while(|(_, c)| matches!(c, '=' | ':' | '"' | '\'' | ' ' | '>' | '\t'))
        .map(|(_, c)| c.len_utf8())
        .sum();
    let divider = &rest[..signs];
    if !(divider.contains(['=', ':']) || by_space && name == 0 && signs > 0) {
        return None;
    }
    let start = end + name + signs;
    let quoted = divider.ends_with('"').then_some('"').or_else(|| divider.ends_with('\'').then_some('\''));
    let value = &text[start..];
    let length = match quoted {
        Some(mark) => value.find([mark, '\n']).unwrap_or(value.len()),
        None => value
            .find(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '&' | '"' | '\'' | '<' | ')' | '}'))
            .unwrap_or(value.len()),
    };
    let word = &value[..length];
    // Prose and what is masked already: `password: yes`, `token = [masked…`.
    let is_secret = word.chars().count() >= 4 && !word.starts_with("[masked");
    is_secret.then_some(start..start + length)
}
