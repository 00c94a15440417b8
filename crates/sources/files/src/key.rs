//! Paths as keys: text that a person can read, from which the bytes of any name come back.

/// Writes a path as text: `%`, control characters and bytes that are not UTF-8 become `%` and two hexadecimal digits.
pub fn key_of_bytes(path: &[u8]) -> String {
    let mut key = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character == '%' || character.is_control() {
                let mut buffer = [0; 4];
                character.encode_utf8(&mut buffer).bytes().for_each(|byte| push_escaped(&mut key, byte));
            } else {
                key.push(character);
            }
        }
        chunk.invalid().iter().for_each(|byte| push_escaped(&mut key, *byte));
    }
    key
}

/// Reads what [`key_of_bytes`] wrote; `None` when the text cannot come from there.
pub fn bytes_of_key(key: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        rest = after;
        bytes.push(digit(digits[0])? << 4 | digit(digits[1])?);
    }
    Some(bytes)
}

fn push_escaped(key: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    key.push('%');
    key.push(char::from(DIGITS[usize::from(byte >> 4)]));
    key.push(char::from(DIGITS[usize::from(byte & 15)]));
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_names_stay_as_they_are() {
        assert_eq!(key_of_bytes("Ärger/größe.txt".as_bytes()), "Ärger/größe.txt");
        assert_eq!(key_of_bytes(b"100%\n\xff"), "100%25%0A%FF");
        assert_eq!(bytes_of_key("a%2"), None);
        assert_eq!(bytes_of_key("a%zz"), None);
    }

    proptest! {
        #[test]
        fn every_name_comes_back(path in proptest::collection::vec(1_u8.., 0..40)) {
            let key = key_of_bytes(&path);
            prop_assert!(!key.chars().any(char::is_control));
            prop_assert_eq!(bytes_of_key(&key), Some(path));
        }
    }
}
