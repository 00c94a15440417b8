use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn numbers_and_texts_round_trip(a: u64, b: i64, c in ".*", d: Vec<u8>) {
        let mut encoder = Encoder::new();
        encoder.varint(a).zigzag(b).text(&c).bytes(&d);
        let bytes = encoder.into_bytes();
        let mut decoder = Decoder::new("test", &bytes);
        prop_assert_eq!(decoder.varint().unwrap(), a);
        prop_assert_eq!(decoder.zigzag().unwrap(), b);
        prop_assert_eq!(decoder.text(usize::MAX).unwrap(), c);
        prop_assert_eq!(decoder.bytes(usize::MAX).unwrap(), d);
        prop_assert!(decoder.end().is_ok());
    }

    #[test]
    fn foreign_bytes_are_answered_and_an_accepted_number_is_canonical(bytes: Vec<u8>) {
        let mut decoder = Decoder::new("test", &bytes);
        if let Ok(value) = decoder.varint() {
            let mut encoder = Encoder::new();
            encoder.varint(value);
            prop_assert_eq!(&bytes[..bytes.len() - decoder.left()], encoder.into_bytes());
        }
    }
}

#[test]
fn a_number_longer_than_needed_is_refused() {
    assert_eq!(Decoder::new("test", &[0x80, 0x00]).varint(), Err(DecodeError::Range { what: "test" }));
    assert_eq!(Decoder::new("test", &[0xFF; 10]).varint(), Err(DecodeError::Range { what: "test" }));
    assert_eq!(Decoder::new("test", &[0x80]).varint(), Err(DecodeError::Truncated { what: "test" }));
}

#[test]
fn a_count_that_cannot_be_is_refused_before_allocating() {
    assert!(Decoder::new("test", &[0xFF, 0xFF, 0xFF, 0x7F]).count(1).is_err());
}

#[test]
fn another_version_is_named() {
    let mut bytes = b"UNWPACK\0".to_vec();
    bytes.extend(9_u16.to_le_bytes());
    assert_eq!(
        Decoder::new("pack", &bytes).header(b"UNWPACK\0"),
        Err(DecodeError::Version { what: "pack", found: 9, supported: 1 })
    );
}
