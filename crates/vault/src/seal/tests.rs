use ports::SeededRandom;
use proptest::prelude::*;

use super::*;

const VAULT: VaultId = VaultId([7; 16]);

fn key(byte: u8) -> BlockKey {
    BlockKey::new(VAULT, &[byte; 32]).unwrap()
}

proptest! {
    #[test]
    fn a_block_opens_to_what_was_sealed(raw: Vec<u8>, number: u32, level in 1..5) {
        let sealed = key(1).seal(Label::Frame, number, &raw, level).unwrap();
        prop_assert!(sealed.len() <= sealed_bytes_max(raw.len()));
        prop_assert_eq!(key(1).open(Label::Frame, number, sealed, raw.len()).unwrap(), raw);
    }

    #[test]
    fn any_changed_bit_is_noticed(raw: Vec<u8>, at: prop::sample::Index, bit in 0..8) {
        let mut sealed = key(1).seal(Label::Frame, 3, &raw, 3).unwrap();
        let at = at.index(sealed.len());
        sealed[at] ^= 1_u8 << bit;
        prop_assert_eq!(key(1).open(Label::Frame, 3, sealed, raw.len()), Err(SealError::Seal));
    }
}

#[test]
fn a_block_opens_only_in_its_place_with_its_key_and_label() {
    let sealed = key(1).seal(Label::Frame, 3, b"content", 3).unwrap();
    assert_eq!(key(2).open(Label::Frame, 3, sealed.clone(), 100), Err(SealError::Seal));
    assert_eq!(key(1).open(Label::Frame, 4, sealed.clone(), 100), Err(SealError::Seal));
    assert_eq!(key(1).open(Label::Block, 3, sealed.clone(), 100), Err(SealError::Seal));
    let other = BlockKey::new(VaultId([8; 16]), &[1; 32]).unwrap();
    assert_eq!(other.open(Label::Frame, 3, sealed.clone(), 100), Err(SealError::Seal));
    assert_eq!(key(1).open(Label::Frame, 3, sealed, 6), Err(SealError::Size));
}

#[test]
fn a_block_that_unpacks_to_more_than_it_says_is_refused() {
    let bomb = zstd::bulk::compress(&vec![0; 1 << 20], 3).unwrap();
    let mut plain = vec![CODEC_ZSTD];
    plain.extend(1000_u32.to_le_bytes());
    plain.extend(bomb);
    let key = key(1);
    key.key.seal_in_place_append_tag(nonce(0), key.associated(Label::Frame, 0), &mut plain).unwrap();
    assert_eq!(key.open(Label::Frame, 0, plain, BLOCK_BYTES_MAX), Err(SealError::Compression));
}

#[test]
fn a_wrapped_key_opens_with_the_data_key_alone() {
    let secret = [9; 32];
    let recipient = PublicKey::from(&StaticSecret::from(secret)).to_bytes();
    let wrapped = wrap(&VAULT, Purpose::Pack, &recipient, &[5; 32], &SeededRandom::new(1)).unwrap();
    assert_eq!(*unwrap(&VAULT, Purpose::Pack, &secret, &wrapped).unwrap(), [5; 32]);
    assert_eq!(unwrap(&VAULT, Purpose::Pack, &[8; 32], &wrapped), Err(SealError::Seal));
    assert_eq!(unwrap(&VAULT, Purpose::Commit, &secret, &wrapped), Err(SealError::Seal));
    assert_eq!(unwrap(&VaultId([0; 16]), Purpose::Pack, &secret, &wrapped), Err(SealError::Seal));
}
