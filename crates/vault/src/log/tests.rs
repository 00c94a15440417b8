use model::{Item, Ledger, Moment, SourceName, StreamName};
use proptest::prelude::*;
use ring::signature::{Ed25519KeyPair, KeyPair};

use super::*;
use crate::{CommitHash, PackId, VaultId};

const VAULT: VaultId = VaultId([4; 16]);

fn signer() -> (Ed25519KeyPair, [u8; 32]) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[8; 32]).unwrap();
    let public = pair.public_key().as_ref().try_into().unwrap();
    (pair, public)
}

fn envelope(sequence: u64, counts: [u32; 3], cursor: Vec<u8>, packs: &[([u8; 32], u64)]) -> Envelope {
    let [stored, unchanged, unreadable] = counts.map(u64::from);
    let entries: Vec<_> =
        packs.iter().map(|(id, size)| PackEntry { id: PackId(*id), size_bytes: *size }).collect();
    Envelope {
        vault: VAULT,
        source: SourceName::new("shop").unwrap(),
        sequence,
        previous: CommitHash([5; 32]),
        signer: signer().1,
        vault_time: Moment::from_micros(-7),
        locked_until: Moment::from_micros(i64::MAX),
        retention_days: 30,
        ledger: Ledger { enumerated: stored + unchanged + unreadable, stored, unchanged, unreadable },
        cursor,
        earlier_packs: entries.iter().map(|entry| entry.id).collect(),
        body_packs: entries.iter().take(1).copied().collect(),
        packs: entries,
        body: InlineBody { blocks: 0, length: 0, hash: *blake3::hash(b"").as_bytes(), wrapped: [6; 80] },
    }
}

proptest! {
    #[test]
    fn a_commit_reads_back(sequence: u64, counts: [u32; 3], cursor: Vec<u8>, packs: Vec<([u8; 32], u64)>) {
        let envelope = envelope(sequence, counts, cursor, &packs);
        let (bytes, hash) = assemble(&envelope, b"", &signer().0).unwrap();
        let commit = Commit::parse(&bytes, VAULT, &known(&[signer().1])).unwrap();
        prop_assert_eq!(commit.envelope, envelope);
        prop_assert_eq!(commit.hash, hash);
    }

    #[test]
    fn no_changed_bit_gets_through(cursor: Vec<u8>, at: prop::sample::Index, bit in 0..8_u8) {
        let (mut bytes, _) = assemble(&envelope(1, [1, 2, 3], cursor, &[]), b"", &signer().0).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Commit::parse(&bytes, VAULT, &known(&[signer().1])).is_err());
    }

    #[test]
    fn foreign_bytes_never_panic(bytes: Vec<u8>, blocks: u32) {
        drop(ChangeBlock::parse(&bytes));
        drop(split_blocks(&bytes, blocks));
        drop(Commit::parse(&bytes, VAULT, &known(&[])));
    }
}

#[test]
fn an_unknown_signer_and_an_unbalanced_ledger_are_refused() {
    let mut envelope = envelope(1, [1, 0, 0], Vec::new(), &[]);
    let (bytes, _) = assemble(&envelope, b"", &signer().0).unwrap();
    assert_eq!(Commit::parse(&bytes, VAULT, &known(&[[0; 32]])), Err(CommitError::Signer));
    assert_eq!(
        Commit::parse(&bytes, VaultId([0; 16]), &known(&[signer().1])),
        Err(CommitError::OtherVault { found: VAULT })
    );
    envelope.ledger.enumerated = 9;
    let (bytes, _) = assemble(&envelope, b"", &signer().0).unwrap();
    assert!(matches!(Commit::parse(&bytes, VAULT, &known(&[signer().1])), Err(CommitError::Decode(_))));
}

#[test]
fn a_field_that_is_too_long_is_refused_before_it_is_stored() {
    let stream = StreamName::new("base").unwrap();
    let removed = |length| Change::Removed { stream: stream.clone(), key: "k".repeat(length) };
    assert!(check_change(&removed(64 << 10)).is_ok());
    assert_eq!(check_change(&removed((64 << 10) + 1)).unwrap_err().field, "key");
    let item = Item { stream: stream.clone(), key: String::new(), attributes: "a".repeat((1 << 20) + 1) };
    let reason = model::UnreadableReason::Vanished;
    assert_eq!(check_change(&Change::Unreadable { item, reason }).unwrap_err().field, "attributes");
}

fn known(signers: &[[u8; 32]]) -> crate::keys::KeyState {
    crate::keys::KeyState {
        sequence: 0,
        changed: model::Moment::from_micros(0),
        head: [0; 32],
        owner: None,
        data_recipient: [0; 32],
        signers: signers.iter().copied().map(crate::keys::Signer::any).collect(),
        recipients: Vec::new(),
    }
}
