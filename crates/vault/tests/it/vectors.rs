//! The independent reader, and the test vectors that both readers must agree on.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
};

use blobs::{LocalStore, Protection};
use ports::{BlobStore, SeededRandom};
use serde_json::{Value, json};
use vault::{
    Layout, MemoryChunks, RestoreKey, VaultId, VaultReader, WriterOptions,
    content::ContentHasher,
    encoding::{Decoder, Encoder},
    seal::{BlockKey, Label, Purpose, unwrap, wrap},
    verify::{Depth, verify},
};

use crate::auditor::tree_vectors;
use crate::support::{World, cursor, item, put, rows, shop, small_options, upserts};

const PAGES: Layout = Layout::Pages { page_bytes: 8192 };

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn vectors() -> PathBuf {
    repository().join("docs/format/vectors")
}

pub(crate) fn python(tool: &str, arguments: &[&Path]) -> Output {
    let root = repository();
    let installed = Command::new(root.join("tools/install_python")).output().unwrap();
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    let mut command = Command::new(root.join(".tools/python/bin/python"));
    command.arg(root.join("tools").join(tool)).args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
    command.output().unwrap()
}

fn words(text: &str) -> Vec<&Path> {
    text.split(' ').map(Path::new).collect()
}

/// Two commits with every kind of content and change; returns what must be restored in the end.
fn fill(world: &World, options: WriterOptions, row_count: usize) -> Vec<(&'static str, Vec<u8>)> {
    let writer = world.writer_with(options);
    let known = MemoryChunks::new(1_000_000);
    let mut table = rows(row_count, 7);
    table.extend(vec![0; 8192 * 3]);
    table.extend(rows(row_count / 10, 8));
    let mut commit = writer.begin_with(&shop(), Box::new(known.clone()));
    put(&mut commit, "table", PAGES, &table);
    put(&mut commit, "gone", Layout::Small, b"removed later");
    put(&mut commit, "small", Layout::Small, b"replaced later");
    put(&mut commit, "wal", Layout::Stream, &rows(row_count / 4, 9));
    put(&mut commit, "empty", Layout::Blocks { block_bytes: 1 << 17 }, b"");
    commit.finish(&cursor("0/1000")).unwrap();

    let reader = world.reader();
    let first = upserts(&reader, &reader.vault().commit(&shop(), 1).unwrap()).remove(0).1;
    let mut changed = table.clone();
    let mut commit = writer.begin_with(&shop(), Box::new(known));
    let mut content = commit.content(PAGES).unwrap();
    let page_count = table.len() / 8192;
    for (number, page) in changed.chunks_mut(8192).enumerate() {
        let old = table.chunks(8192).nth(number).unwrap();
        if number % 3 == 1 && number < page_count {
            page[number % 8000] ^= 0x55;
            let at = first.range(number as u64 * 8192, 8192);
            content.page_delta(page, old, &at[0]).unwrap();
        } else {
            content.write(page).unwrap();
        }
    }
    let content = content.finish().unwrap();
    commit.upsert(item("base", "table"), content).unwrap();
    commit.remove(item("base", "gone").stream, "gone").unwrap();
    put(&mut commit, "small", Layout::Small, b"new");
    commit.finish(&cursor("0/2000")).unwrap();
    vec![
        ("table", changed),
        ("small", b"new".to_vec()),
        ("wal", rows(row_count / 4, 9)),
        ("empty", Vec::new()),
    ]
}

#[test]
fn the_independent_reader_restores_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let vault = folder.path().join("vault");
    let world = World::in_store(Arc::new(LocalStore::open(&vault, Protection::Plain).unwrap()), 51);
    let expected = fill(&world, WriterOptions::default(), 60_000);
    let (key, kit, out) = (folder.path().join("key"), folder.path().join("kit"), folder.path().join("out"));
    world.keys.restore_key.save(&key).unwrap();
    world.keys.recovery_kit.save(&kit).unwrap();

    for identity in [&key, &kit] {
        let run = python("read_vault.py", &[Path::new("verify"), &vault, Path::new("--identity"), identity]);
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        assert!(String::from_utf8_lossy(&run.stdout).contains("2 commits"));
    }
    let restore = |out: &Path| {
        let mut arguments = vec![Path::new("restore"), &vault, Path::new("--identity"), &key];
        arguments.extend(words("--source shop --out"));
        arguments.push(out);
        python("read_vault.py", &arguments)
    };
    let run = restore(&out);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    for (name, bytes) in &expected {
        assert!(fs::read(out.join("base").join(name)).unwrap() == *bytes, "{name} differs");
    }
    assert!(!out.join("base/gone").exists());

    // A damaged pack: named, exit code 20, and what does not need it still comes back.
    let reader = world.reader();
    let commit = reader.vault().commit(&shop(), 2).unwrap();
    let small = upserts(&reader, &commit).into_iter().find(|(item, _)| item.key == "small").unwrap().1;
    let kept = small.extents[0].packs().next().unwrap().id().unwrap();
    let victim = commit.envelope.earlier_packs.iter().find(|id| **id != kept).unwrap().to_string();
    let path = vault.join("data").join(&victim[..2]).join(&victim);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&path).unwrap();
    ports::files::create_new(&path, &bytes, 0o444).unwrap();
    let again = folder.path().join("again");
    let run = restore(&again);
    assert_eq!(run.status.code(), Some(20));
    assert!(String::from_utf8_lossy(&run.stderr).contains(&victim));
    assert_eq!(fs::read(again.join("base/small")).unwrap(), b"new");

    let other = World::in_memory(52);
    let wrong = folder.path().join("wrong");
    other.keys.restore_key.save(&wrong).unwrap();
    let run = python("read_vault.py", &[Path::new("verify"), &vault, Path::new("--identity"), &wrong]);
    assert_eq!(run.status.code(), Some(1));
}

#[test]
fn the_committed_vault_reads_as_it_did_when_it_was_written() {
    let key = RestoreKey::parse(&fs::read_to_string(vectors().join("restore.key")).unwrap()).unwrap();
    let store = Arc::new(LocalStore::open(&vectors().join("vault"), Protection::Plain).unwrap());
    let reader = VaultReader::open(store, &key).unwrap();
    let expected: Value =
        serde_json::from_slice(&fs::read(vectors().join("expected.json")).unwrap()).unwrap();
    let mut found = Vec::new();
    for commit in reader.vault().commits(&shop()).unwrap() {
        let commit = commit.unwrap();
        let items: Vec<Value> = upserts(&reader, &commit)
            .iter()
            .map(|(item, content)| {
                let hash = blake3::hash(&reader.read_all(content).unwrap());
                json!({"key": item.key, "length": content.length, "blake3": hash.to_string()})
            })
            .collect();
        found.push(json!({"sequence": commit.envelope.sequence, "hash": commit.hash, "items": items}));
    }
    assert_eq!(Value::Array(found), expected);

    // The locks of this copy are of no use, but everything else must be sound.
    let report = verify(reader.vault(), Some(&reader), Depth::ReadData, &mut |_| {}).unwrap();
    let other = report.findings.iter().find(|f| f.problem != vault::verify::Problem::LockTooShort);
    assert_eq!(other, None);
    let (vault, key) = (vectors().join("vault"), vectors().join("restore.key"));
    let run = python("read_vault.py", &[Path::new("verify"), &vault, Path::new("--identity"), &key]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

#[test]
fn both_readers_agree_on_the_primitives() {
    let committed: Value =
        serde_json::from_slice(&fs::read(vectors().join("primitives.json")).unwrap()).unwrap();
    assert_eq!(committed, primitives());
    let tree: Value = serde_json::from_slice(&fs::read(vectors().join("tree.json")).unwrap()).unwrap();
    assert_eq!(tree, tree_vectors());
    for text in committed["not_varint"].as_array().unwrap() {
        assert!(Decoder::new("vector", &unhex(text)).varint().is_err());
    }
    let wrapped = &committed["wrap"];
    let id = VaultId(unhex(&wrapped["vault"]).try_into().unwrap());
    let secret = unhex(&wrapped["data_secret"]).try_into().unwrap();
    let key = unwrap(&id, Purpose::Pack, &secret, &unhex(&wrapped["wrapped"]).try_into().unwrap()).unwrap();
    assert_eq!(key.to_vec(), unhex(&wrapped["key"]));
    let run = python("check_vectors.py", &[&vectors()]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0xF])
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap()).collect()
}

fn primitives() -> Value {
    let number = |value: u64| {
        let mut to = Encoder::new();
        to.varint(value);
        json!({"value": value.to_string(), "bytes": hex(&to.into_bytes())})
    };
    let signed = |value: i64| {
        let mut to = Encoder::new();
        to.zigzag(value);
        json!({"value": value.to_string(), "bytes": hex(&to.into_bytes())})
    };
    let (chunk_key, content): ([u8; 32], Vec<u8>) =
        ([3; 32], (0..1300_u32).map(|n| (n % 251) as u8).collect());
    let hasher = ContentHasher::new(&chunk_key);
    let leaves: Vec<_> = content.chunks(512).map(|leaf| hasher.leaf(leaf)).collect();
    let mut digest = hasher.begin();
    for leaf in &leaves {
        digest.leaf(leaf);
    }

    let (id, secret, key) = (VaultId([7; 16]), [9; 32], [5; 32]);
    let recipient = x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(secret)).to_bytes();
    let wrapped = wrap(&id, Purpose::Pack, &recipient, &key, &SeededRandom::new(1)).unwrap();
    // Stored without compression, so that the vector does not depend on a compressor's version.
    let incompressible = blake3::hash(b"noise").as_bytes().to_vec();
    let sealed = |label: Label, name: &str, number: u32| {
        let block = BlockKey::new(id, &key).unwrap();
        let bytes = block.seal(label, number, &incompressible, 3).unwrap();
        json!({
            "vault": id, "key": hex(&key), "label": name, "number": number,
            "raw": hex(&incompressible), "sealed": hex(&bytes),
        })
    };
    json!({
        "varint": ([0, 1, 127, 128, 300, 65_535, 1 << 35, u64::MAX].map(number)).to_vec(),
        "zigzag": ([0, -1, 1, -64, 64, i64::MIN, i64::MAX].map(signed)).to_vec(),
        "not_varint": ["8000", "ffffffffffffffffff02", "ff"],
        "digest": {
            "chunk_key": hex(&chunk_key), "content": hex(&content), "leaf_bytes": 512,
            "leaf_hashes": leaves, "digest": digest.finish(content.len() as u64),
        },
        "wrap": {
            "vault": id, "purpose": "pack", "data_secret": hex(&secret), "key": hex(&key), "wrapped": hex(&wrapped),
        },
        "sealed": [
            sealed(Label::Frame, "unwipe/v1/frame", 0),
            sealed(Label::Index, "unwipe/v1/index", u32::MAX),
            sealed(Label::Block, "unwipe/v1/block", 7),
        ],
    })
}

/// Writes the vectors. Only for a new version of the format: what is committed must stay readable for ever.
#[test]
#[ignore = "writes the committed vectors"]
fn write_vectors() {
    let folder = vectors();
    ports::files::create_folder(&folder).unwrap();
    let pretty = |value: &Value| format!("{value:#}\n").into_bytes();
    ports::files::replace(&folder.join("primitives.json"), &pretty(&primitives())).unwrap();
    ports::files::replace(&folder.join("tree.json"), &pretty(&tree_vectors())).unwrap();
    let store = Arc::new(LocalStore::open(&folder.join("vault"), Protection::Plain).unwrap());
    assert!(store.list("").unwrap().is_empty(), "remove the old vault first");
    let world = World::in_store(store, 61);
    fill(&world, small_options(), 1500);
    let reader = world.reader();
    let commits: Vec<Value> = reader
        .vault()
        .commits(&shop())
        .unwrap()
        .map(|commit| {
            let commit = commit.unwrap();
            let items: Vec<Value> = upserts(&reader, &commit)
                .iter()
                .map(|(item, content)| {
                    let hash = blake3::hash(&reader.read_all(content).unwrap());
                    json!({"key": item.key, "length": content.length, "blake3": hash.to_string()})
                })
                .collect();
            json!({"sequence": commit.envelope.sequence, "hash": commit.hash, "items": items})
        })
        .collect();
    ports::files::replace(&folder.join("expected.json"), &pretty(&Value::Array(commits))).unwrap();
    ports::files::replace(&folder.join("restore.key"), world.keys.restore_key.to_text().as_bytes()).unwrap();
}
