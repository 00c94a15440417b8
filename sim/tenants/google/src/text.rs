//! Small readings of text: percent signs, queries, names with a star, numbers drawn from names.

use std::sync::Arc;

use base64::{
    Engine,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Base64 for URLs as Google writes and reads it: padding is written and may be missing.
const URL: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Writes bytes as base64 for URLs, with padding.
pub(crate) fn base64url(bytes: &[u8]) -> String {
    base64_simd::URL_SAFE.encode_to_string(bytes)
}

/// Reads base64 for URLs, with or without padding; the usual alphabet is understood as well.
pub(crate) fn from_base64url(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    if text.contains(['+', '/']) {
        let swapped: String = text
            .chars()
            .map(|c| {
                if c == '+' {
                    '-'
                } else if c == '/' {
                    '_'
                } else {
                    c
                }
            })
            .collect();
        return URL.decode(swapped).ok();
    }
    URL.decode(text).ok()
}

/// Undoes percent-encoding; with `plus`, a plus sign is a space.
pub(crate) fn percent_decoded(text: &str, plus: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], pair) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
                continue;
            }
            (b'+', _) if plus => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Reads a query or a form into its pairs, in order.
pub(crate) fn pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decoded(name, true), percent_decoded(value, true))
        })
        .collect()
}

/// Tells whether a name matches a pattern in which a star stands for anything.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut rest) = name.strip_prefix(head) else { return false };
    loop {
        if matches(tail, rest) {
            return true;
        }
        let mut letters = rest.chars();
        if letters.next().is_none() {
            return false;
        }
        rest = letters.as_str();
    }
}

/// Mixes a number so that neighbours look unrelated (the last step of SplitMix64).
pub(crate) const fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Draws a number from bytes, the same everywhere and always (FNV-1a, mixed).
pub(crate) fn drawn(bytes: &[u8]) -> u64 {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
    }
    mixed(hash)
}

/// Shares a text.
pub(crate) fn shared(text: impl AsRef<str>) -> Arc<str> {
    Arc::from(text.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        assert!(matches("gmail.*.get", "gmail.users.messages.get"));
        assert!(matches("*", ""));
        assert!(!matches("gmail.*.get", "gmail.users.messages.list"));
        assert!(!matches("drive.*", "gmail.users"));
    }

    #[test]
    fn percent_signs_and_plus_signs_are_undone() {
        assert_eq!(percent_decoded("a%40b%2Ec+d%zz%", false), "a@b.c+d%zz%");
        assert_eq!(
            pairs("q=in%3Atrash+x&l=1&l=2&e"),
            [
                ("q".to_owned(), "in:trash x".to_owned()),
                ("l".to_owned(), "1".to_owned()),
                ("l".to_owned(), "2".to_owned()),
                ("e".to_owned(), String::new())
            ]
        );
    }

    #[test]
    fn base64_is_read_with_and_without_padding_in_both_alphabets() {
        for text in ["_-8", "_-8=", "/+8=", "/+8"] {
            assert_eq!(from_base64url(text), Some(vec![0xff, 0xef]), "{text}");
        }
        assert_eq!(base64url(&[0xff, 0xef]), "_-8=");
        assert_eq!(from_base64url("?"), None);
    }
}
