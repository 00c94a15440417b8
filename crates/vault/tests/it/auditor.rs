//! What somebody checks who has neither unwipe nor the vault.

use std::{path::Path, sync::Arc};

use serde_json::{Value, json};
use vault::{
    CommitHash, Vault,
    tree::{
        AddCheckpoint, Algorithm, Checkpoint, Edge, InclusionProof, Leaf, Note, NoteSigner, SignedCheckpoint,
        Tree, empty_root,
    },
};

use crate::{
    heads::{checkpoint, commit, copy, source},
    support::{World, shop, small_options},
};

/// Everything of section 10 of the format that another implementation can compare with; nothing in it is drawn.
pub(crate) fn tree_vectors() -> Value {
    let names = ["shop", "mail", "shop", "unwipe", "shop", "shop", "mail"];
    let mut sequences = std::collections::BTreeMap::new();
    let leaf = |(at, name): (usize, &&'static str)| {
        let sequence = sequences.entry(*name).and_modify(|n| *n += 1).or_insert(at as u64 * 100 + 1);
        Leaf { source: source(name), sequence: *sequence, hash: CommitHash([at as u8; 32]) }
    };
    let leaves: Vec<Leaf> = names.iter().enumerate().map(leaf).collect();
    let (mut edge, mut tree) = (Edge::default(), Tree::default());
    let mut roots = vec![empty_root()];
    for leaf in &leaves {
        edge.append(leaf.tree_hash());
        tree.append(leaf.tree_hash());
        roots.push(edge.root());
    }
    let (size, cosigned_at) = (leaves.len() as u64, 1_777_125_609);
    let name = "unwipe-vault/07070707070707070707070707070707";
    let log = NoteSigner::from_seed(name, Algorithm::Ed25519, &[11; 32]).unwrap();
    let witness = NoteSigner::from_seed("witness.example/anna", Algorithm::CosignatureV1, &[12; 32]).unwrap();
    let sign = |root| {
        let extensions = vec!["head 0 00".to_owned(), "time 2026-04-25T14:00:09.000000Z".to_owned()];
        let text = Checkpoint { origin: name.to_owned(), size, root, extensions }.to_text();
        let note = format!("{text}\n{}\n{}\n", log.sign(&text, 0), witness.sign(&text, cosigned_at));
        assert_eq!(Note::parse(&note).unwrap().cosigned_at(witness.key()), Some(cosigned_at));
        SignedCheckpoint::parse(&note).unwrap()
    };
    let signed = sign(edge.root());
    let inclusion = |index| {
        let path = tree.inclusion_proof(index, size).unwrap();
        InclusionProof { index, path, signed: signed.clone() }.to_string()
    };
    let consistency = |old_size, signed: &SignedCheckpoint| {
        let proof = tree.consistency_proof(old_size, size).unwrap();
        AddCheckpoint { old_size, proof, signed: signed.clone() }.to_string()
    };
    let other = sign(roots[1]);
    json!({
        "leaves": leaves.iter().map(|leaf| json!({
            "source": leaf.source, "sequence": leaf.sequence, "hash": leaf.hash, "tree_hash": leaf.tree_hash(),
        })).collect::<Vec<_>>(),
        "roots": roots,
        "key": log.key().to_string(),
        "witness": witness.key().to_string(),
        "cosigned_at": cosigned_at,
        "inclusion": (0..size).map(inclusion).collect::<Vec<_>>(),
        "consistency": (0..=size).map(|old| consistency(old, &signed)).collect::<Vec<_>>(),
        "not_consistent": (1..=size).map(|old| consistency(old, &other)).collect::<Vec<_>>(),
    })
}

#[test]
fn an_auditor_without_unwipe_checks_a_real_vault_and_finds_the_forged_one() {
    let world = World::in_memory(81);
    let writer = world.writer();
    (0..3).for_each(|_| commit(&writer, &shop()));
    writer.advance_head().unwrap();
    let (kept, fork) = (checkpoint(&world.store), copy(&*world.store, |name| !name.ends_with('3')));
    let kept_forever = copy(&*fork, |name| !name.starts_with("heads/"));
    (0..4).for_each(|_| commit(&writer, &source("mail")));
    writer.advance_head().unwrap();
    let vault = Vault::open(Arc::clone(&world.store)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        ports::files::replace(&path, text.as_bytes()).unwrap();
        path
    };
    let key = vault.keys().verifier_keys(vault.manifest().vault)[0].to_string();
    let run = |arguments: &[&str], path: &Path| {
        let mut all = vec![Path::new(arguments[0]), path];
        all.extend(arguments[1..].iter().map(Path::new));
        all.extend([Path::new("--key"), Path::new(&key)]);
        let output = crate::vectors::python("check_head.py", &all);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let old = file("old", kept.note.to_string());
    assert_eq!(run(&["checkpoint"], &old).0, Some(0));
    let changed = file("changed", kept.note.to_string().replacen("\n3\n", "\n2\n", 1));
    assert_eq!(run(&["checkpoint"], &changed).0, Some(20));

    let (index, tree, head) = vault.tree_covering(&shop(), 2).unwrap().unwrap();
    let path = tree.inclusion_proof(index, head.size()).unwrap();
    let proof = InclusionProof { index, path, signed: head.signed.clone() };
    let proof = file("proof", proof.to_string());
    let hash = vault.commit(&shop(), 2).unwrap().hash.to_string();
    let other = vault.commit(&shop(), 1).unwrap().hash.to_string();
    let inclusion =
        |hash| run(&["inclusion", "--source", "shop", "--sequence", "2", "--hash", hash], &proof).0;
    assert_eq!((inclusion(&hash), inclusion(&other)), (Some(0), Some(20)));

    let consistency = |name: &str, vault: &Vault| {
        let head = vault.newest_tree_head().unwrap().unwrap();
        let proof = vault.tree_since(3).unwrap().consistency_proof(3, head.size()).unwrap();
        let request = AddCheckpoint { old_size: 3, proof, signed: head.signed };
        run(&["consistency", "--old", old.to_str().unwrap()], &file(name, request.to_string()))
    };
    assert_eq!(consistency("genuine", &vault).0, Some(0));
    let forger = world.writer_on(Arc::clone(&kept_forever), small_options()).unwrap();
    (0..5).for_each(|_| commit(&forger, &source("forged")));
    forger.advance_head().unwrap();
    let (code, words) = consistency("forged", &Vault::open(kept_forever).unwrap());
    assert_eq!(code, Some(20));
    assert!(words.contains("history was replaced"), "{words}");
}
