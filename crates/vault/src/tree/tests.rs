use proptest::prelude::*;

use super::*;
use crate::TreeHash;

/// The definition of RFC 6962 §2.1, word for word and slow.
fn naive_root(leaves: &[TreeHash]) -> TreeHash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

fn leaves(count: u64) -> Vec<TreeHash> {
    (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect()
}

/// A tree whose first `base` leaves are known by their edge alone.
fn tree(leaves: &[TreeHash], base: u64) -> Tree {
    let mut edge = Edge::default();
    leaves[..base as usize].iter().for_each(|leaf| edge.append(*leaf));
    let mut tree = Tree::since(edge);
    leaves[base as usize..].iter().for_each(|leaf| tree.append(*leaf));
    tree
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap()).collect()
}

/// The leaves and roots that Certificate Transparency implementations share as test vectors of RFC 6962.
const INPUTS: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

#[test]
fn the_roots_are_those_of_certificate_transparency() {
    let mut edge = Edge::default();
    assert_eq!(edge.root().to_string(), ROOTS[0]);
    for (input, root) in INPUTS.iter().zip(&ROOTS[1..]) {
        edge.append(leaf_hash(&unhex(input)));
        assert_eq!(edge.root().to_string(), *root);
    }
}

#[test]
fn every_proof_of_small_trees_holds_and_no_other() {
    let all = leaves(34);
    for size in 0..=all.len() as u64 {
        let whole = tree(&all, 0);
        let root = naive_root(&all[..size as usize]);
        assert_eq!(whole.root_at(size), Some(root));
        for index in 0..size {
            let proof = whole.inclusion_proof(index, size).unwrap();
            let leaf = all[index as usize];
            assert!(verify_inclusion(&leaf, index, size, &proof, &root));
            assert!(!verify_inclusion(&all[(index as usize + 1) % 34], index, size, &proof, &root));
            assert!(index == 0 || !verify_inclusion(&leaf, index - 1, size, &proof, &root));
            assert!(!verify_inclusion(&leaf, index, size, &[proof, vec![leaf]].concat(), &root));
        }
        for old in 0..=size {
            let old_root = naive_root(&all[..old as usize]);
            let proof = whole.consistency_proof(old, size).unwrap();
            assert!(verify_consistency((old, &old_root), (size, &root), &proof), "{old} to {size}");
            let other = leaf_hash(b"other");
            assert!(!verify_consistency((old, &other), (size, &root), &proof));
            // Every tree continues the empty one; that the new root is genuine is what its signature says.
            if old > 0 || size == 0 {
                assert!(!verify_consistency((old, &old_root), (size, &other), &proof));
            }
            assert!(!verify_consistency((old, &old_root), (size, &root), &[proof, vec![other]].concat()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_tree_that_knows_its_past_by_the_edge_answers_like_a_whole_one(
        size in 1_u64..300, base in 0_u64..300, old in 0_u64..300, index in 0_u64..300,
    ) {
        let all = leaves(size);
        let base = base.min(size);
        let (whole, part) = (tree(&all, 0), tree(&all, base));
        prop_assert_eq!(part.size(), size);
        let old = base + old % (size - base + 1);
        prop_assert_eq!(part.root_at(old), Some(naive_root(&all[..old as usize])));
        prop_assert_eq!(part.consistency_proof(old, size), whole.consistency_proof(old, size));
        if base < size {
            let index = base + index % (size - base);
            prop_assert_eq!(part.inclusion_proof(index, size), whole.inclusion_proof(index, size));
        }
    }

    #[test]
    fn a_changed_leaf_before_the_old_size_is_never_consistent(
        size in 2_u64..200, old in 1_u64..200, place in 0_usize..200,
    ) {
        let old = 1 + old % (size - 1);
        let before = leaves(size);
        let mut after = before.clone();
        after[place % old as usize] = leaf_hash(b"changed");
        let old_root = naive_root(&before[..old as usize]);
        let new_root = naive_root(&after);
        for tree in [tree(&before, 0), tree(&after, 0)] {
            let proof = tree.consistency_proof(old, size).unwrap();
            prop_assert!(!verify_consistency((old, &old_root), (size, &new_root), &proof));
        }
    }

    #[test]
    fn text_of_any_kind_is_refused_or_read_and_written_alike(text in "\\PC{0,80}", lines in "[a-z0-9 =\n]{0,80}") {
        let root = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        for text in [
            text.clone(),
            format!("{text}\n\n— a AAAAAAA=\n"),
            format!("old 3\n{root}\n\na\n3\n{root}\n{lines}\n\n— a AAAAAAA=\n"),
            format!("c2sp.org/tlog-proof@v1\nindex 2\n{lines}\n\na\n3\n{root}\n\n— a AAAAAAA=\n"),
        ] {
            if let Ok(note) = Note::parse(&text) {
                prop_assert_eq!(Note::parse(&note.to_string()), Ok(note));
            }
            if let Ok(request) = AddCheckpoint::parse(&text) {
                prop_assert_eq!(AddCheckpoint::parse(&request.to_string()), Ok(request));
            }
            if let Ok(proof) = InclusionProof::parse(&text) {
                prop_assert_eq!(InclusionProof::parse(&proof.to_string()), Ok(proof));
            }
            if let Ok(key) = text.parse::<VerifierKey>() {
                prop_assert_eq!(key.to_string().parse(), Ok(key));
            }
        }
    }
}

#[test]
fn a_note_is_signed_by_its_key_and_by_no_other() {
    let log = NoteSigner::from_seed("unwipe-vault/07", Algorithm::Ed25519, &[7; 32]).unwrap();
    let witness = NoteSigner::from_seed("witness.example/w1", Algorithm::CosignatureV1, &[8; 32]).unwrap();
    let other = NoteSigner::from_seed("witness.example/w1", Algorithm::CosignatureV1, &[9; 32]).unwrap();
    let text = "unwipe-vault/07\n3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    let lines = [log.sign(text, 0), witness.sign(text, 1_679_315_147)];
    let note = Note::parse(&format!("{text}\n{}\n{}\n", lines[0], lines[1])).unwrap();
    assert_eq!(Note::parse(&note.to_string()).unwrap(), note);
    assert!(note.is_signed_by(log.key()));
    assert_eq!(note.cosigned_at(witness.key()), Some(1_679_315_147));
    assert_eq!(note.cosigned_at(other.key()), None);
    assert_eq!(note.cosigned_at(log.key()), None);
    let changed = Note::parse(&note.to_string().replacen("\n3\n", "\n4\n", 1)).unwrap();
    assert!(!changed.is_signed_by(log.key()));
    assert_eq!(changed.cosigned_at(witness.key()), None);

    let key: VerifierKey = witness.key().to_string().parse().unwrap();
    assert_eq!(key, *witness.key());
    let renamed = witness.key().to_string().replacen("w1", "w2", 1);
    assert_eq!(renamed.parse::<VerifierKey>(), Err(VerifierKeyError::Id));
}

/// The verifier key of the Go checksum database, as it is published: the same form, made by others.
#[test]
fn a_key_in_the_wild_is_read() {
    let text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
    let key: VerifierKey = text.parse().unwrap();
    assert_eq!((key.name(), key.to_string().as_str()), ("sum.golang.org", text));
}

#[test]
fn mail_and_paper_do_no_harm_to_a_checkpoint() {
    let log = NoteSigner::from_seed("unwipe-vault/07", Algorithm::Ed25519, &[7; 32]).unwrap();
    let text = "unwipe-vault/07\n3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nhead 2 ab\ntime 2026-04-25T14:00:09Z\n";
    let note = format!("{text}\n{}\n", log.sign(text, 0));
    let mailed = format!("\r\n  {}\r\n\r\n", note.replace('\n', "\r\n"));
    let signed = SignedCheckpoint::parse(&mailed).unwrap();
    assert!(signed.note.is_signed_by(log.key()));
    assert_eq!(signed.checkpoint.head(), Some(2));
    assert_eq!(signed.checkpoint.time().unwrap().to_string(), "2026-04-25T14:00:09.000000Z");
    for wrong in ["", "a\n03\nAAAA\n", "a\n3\nAAAA\n", "\n3\n"] {
        assert!(Checkpoint::parse(wrong).is_err(), "{wrong:?}");
    }
}
