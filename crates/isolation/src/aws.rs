//! The account that an access key belongs to.

/// Keys of other kinds, and of before 2019, do not carry their account.
const PREFIXES: [&str; 2] = ["AKIA", "ASIA"];
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Reads the account's twelve digits out of an access key of Amazon's; nothing is asked of anybody.
///
/// `None` where the key is of another maker or of a form that does not carry its account. Whoever has the key can ask:
/// `aws sts get-caller-identity`.
pub fn account_of(access_key: &str) -> Option<String> {
    let rest = PREFIXES.iter().find_map(|prefix| access_key.strip_prefix(prefix))?;
    if rest.len() != 16 {
        return None;
    }
    let mut bits: u128 = 0;
    for byte in rest.bytes() {
        let value = ALPHABET.iter().position(|letter| *letter == byte)? as u128;
        bits = bits << 5 | value;
    }
    // Sixteen letters are ten bytes; the account is in the first six, without the first and the last seven bits.
    let first_six = (bits >> 32) as u64;
    let account = (first_six & 0x7fff_ffff_ff80) >> 7;
    // A key of the old form decodes to anything; an account has twelve digits.
    (account > 0 && account < 1_000_000_000_000).then(|| format!("{account:012}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_in_the_key() {
        assert_eq!(account_of("ASIAQNZGKIQY56JQ7WML").as_deref(), Some("029608264753"));
    }

    #[test]
    fn other_keys_tell_no_account() {
        for key in
            ["writer", "", "AKIA", "AKIA0000000000000000", "GOOG1EXAMPLEEXAMPLE", "AKIAQNZGKIQY56JQ7WMLX"]
        {
            assert_eq!(account_of(key), None, "{key}");
        }
    }
}
