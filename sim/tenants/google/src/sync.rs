//! Sync tokens: opaque notes of where a list was left, which their service gives out and alone can read.

use crate::text;

/// Makes a token of parts, none of which holds a line break.
pub(crate) fn issue(seed: u64, parts: &[&str]) -> String {
    let mut bytes = parts.join("\n").into_bytes();
    let mark = checksum(seed, &bytes);
    bytes.extend_from_slice(&mark.to_be_bytes());
    text::base64url(&bytes)
}

/// Reads a token back; `None` when this domain did not make it.
pub(crate) fn read(seed: u64, token: &str) -> Option<Vec<String>> {
    let bytes = text::from_base64url(token)?;
    let (content, mark) = bytes.split_last_chunk::<8>()?;
    if u64::from_be_bytes(*mark) != checksum(seed, content) {
        return None;
    }
    Some(std::str::from_utf8(content).ok()?.split('\n').map(str::to_owned).collect())
}

fn checksum(seed: u64, bytes: &[u8]) -> u64 {
    text::mixed(text::drawn(bytes) ^ text::mixed(seed ^ 0x7379_6e63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_by_the_domain_that_made_it() {
        let token = issue(1, &["events", "7", ""]);
        assert_eq!(read(1, &token), Some(vec!["events".to_owned(), "7".to_owned(), String::new()]));
        assert_eq!(read(2, &token), None);
        assert_eq!(read(1, &token[4..]), None);
        assert_eq!(read(1, ""), None);
    }
}
