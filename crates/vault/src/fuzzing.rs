//! Entries for fuzzing: any bytes, as each kind of stored bytes, behind the seals that would stop a fuzzer.
//!
//! Whoever holds the capture key can sign and seal what they like, so what lies behind a signature or a seal is as
//! foreign as the rest. Each function must return whatever it is given: it never panics, allocates no more than the
//! bytes account for, and what it accepts reads back as the same bytes.

use std::path::Path;

use ring::signature::{Ed25519KeyPair, KeyPair};

use crate::{
    Change, Commit, Content, PackId, VaultError, VaultId, VaultReader,
    journal::fuzzing as journal_file,
    keys::{KeyState, Share, Signer},
    log::{self, BlockBuilder, ChangeBlock, Envelope},
    names,
    pack::{HEADER_BYTES, PackHeader, PackIndex, PackTrailer, TRAILER_BYTES},
    reap::ReaperMemory,
    retention::{self, Record, Statement, Surveyed},
    seal::{BLOCK_BYTES_MAX, BlockKey, Label, Purpose, WRAPPED_BYTES, unwrap},
    time::{TimeFile, TimeRecord},
    tree::{
        AddCheckpoint, Algorithm, Checkpoint, InclusionProof, NoteSigner, SignedCheckpoint, TreeHead,
        VerifierKey, leaf_hash, origin,
    },
};

const VAULT: VaultId = VaultId([7; 16]);
/// As much of a content as a target looks at; its length may be anything.
const CONTENT_BYTES_MAX: u64 = 1 << 16;

/// Reads bytes as a commit, and as the envelope and body of a commit that is signed with a known key.
pub fn commit(data: &[u8]) {
    drop(Commit::parse(data, VAULT, &known(&[])));
    let Some((length, rest)) = data.split_first_chunk::<2>() else { return };
    let Some((envelope, body)) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length))) else {
        return;
    };
    drop(log::split_blocks(body, u32::from(length[0])));
    let Ok(decoded) = Envelope::decode(envelope) else { return };
    assert_eq!(decoded.encode(), envelope, "an envelope has one encoding");
    let Ok(pair) = Ed25519KeyPair::from_seed_unchecked(&[8; 32]) else { return };
    let Ok(signer) = pair.public_key().as_ref().try_into() else { return };
    let mut signed = Envelope { signer, ..decoded };
    signed.body.length = body.len() as u64;
    signed.body.hash = *blake3::hash(body).as_bytes();
    let Ok((bytes, hash)) = log::assemble(&signed, body, &pair) else { return };
    let parsed = Commit::parse(&bytes, signed.vault, &known(&[signer]));
    assert!(
        parsed.as_ref().is_ok_and(|commit| commit.hash == hash && commit.envelope == signed),
        "a commit reads back: {parsed:?}"
    );
    if let Ok(commit) = &parsed {
        drop(commit.check_follows(None));
        drop(commit.check_follows(Some(commit)));
    }
}

/// Reads bytes as an opened change block.
pub fn change_block(data: &[u8]) {
    let Ok(block) = ChangeBlock::parse(data) else { return };
    let mut builder = BlockBuilder::default();
    let mut blocks = Vec::new();
    for change in &block.changes {
        if let Change::Upsert { content, .. } = change {
            walk(content);
        }
        if log::check_change(change).is_err() {
            return;
        }
        match builder.push(change) {
            Ok(full) => blocks.extend(full),
            Err(_) => return,
        }
    }
    blocks.extend(builder.finish());
    let again: Vec<Change> = blocks
        .into_iter()
        .filter_map(|block| block.encode().ok())
        .flat_map(|bytes| ChangeBlock::parse(&bytes).map(|block| block.changes).unwrap_or_default())
        .collect();
    assert_eq!(again, block.changes, "changes read back");
}

/// Reads bytes as a content with its own pack table.
pub fn content(data: &[u8]) {
    let Ok(content) = Content::from_bytes(data) else { return };
    walk(&content);
    let again = content.to_bytes().ok().and_then(|bytes| Content::from_bytes(&bytes).ok());
    assert_eq!(again.as_ref(), Some(&content), "a content reads back");
}

fn walk(content: &Content) {
    for (start, length) in [(0, CONTENT_BYTES_MAX), (content.length / 2, 1), (content.length, u64::MAX)] {
        let wanted = length.min(content.length.saturating_sub(start));
        let sum: u64 = content.range(start, length).iter().map(crate::Extent::length).sum();
        assert_eq!(sum, wanted, "a range of a content is all of it");
    }
    for leaf in content.leaves().take(100) {
        let length: u64 = leaf.iter().map(crate::Extent::length).sum();
        assert!((1..=u64::from(content.leaf_bytes)).contains(&length), "a leaf has its size");
    }
}

/// Reads bytes as a pack's header, trailer and opened index.
pub fn pack(data: &[u8]) {
    drop(PackHeader::parse(data));
    drop(PackTrailer::parse(data, data.len() as u64));
    drop(PackTrailer::parse(&data[data.len().saturating_sub(TRAILER_BYTES)..], data.len() as u64));
    let Some((offset, index)) = data.split_first_chunk::<4>() else { return };
    let offset = HEADER_BYTES as u64 + u64::from(u32::from_le_bytes(*offset));
    let Ok(parsed) = PackIndex::parse(index, offset) else { return };
    assert_eq!(parsed.encode(), index, "an index has one encoding");
    for place in [0, 1, offset, u64::MAX] {
        if let Ok(number) = parsed.frame_at(place) {
            let frame = parsed.frames()[number];
            let inside = frame.raw_offset..frame.raw_offset + u64::from(frame.raw_length);
            assert!(inside.contains(&place), "a frame holds the place that it is found for");
        }
    }
}

/// Reads bytes as what is inside of a sealed block: a codec, a length and a payload.
pub fn sealed_block(data: &[u8]) {
    let Ok(key) = BlockKey::new(VAULT, &[5; 32]) else { return };
    let Ok(sealed) = key.seal_plain(Label::Frame, 3, data.to_vec()) else { return };
    if let Ok(raw) = key.open(Label::Frame, 3, sealed, BLOCK_BYTES_MAX) {
        assert!(raw.len() <= BLOCK_BYTES_MAX, "a block keeps to the limit");
    }
    drop(key.open(Label::Frame, 3, data.to_vec(), BLOCK_BYTES_MAX));
    if let Some((wrapped, _)) = data.split_first_chunk::<WRAPPED_BYTES>() {
        drop(unwrap(&VAULT, Purpose::Pack, &[9; 32], wrapped));
    }
}

/// Reads bytes as a journal file in this folder: raw, and as the plaintexts of sealed records.
pub fn journal(folder: &Path, data: &[u8]) {
    journal_file::read(folder, data);
}

/// Reads bytes as an entry of the log of retention, and as the document of one that is signed with a known key.
pub fn retention(data: &[u8]) {
    drop(Record::parse(data, VAULT, 1));
    let Ok(pair) = Ed25519KeyPair::from_seed_unchecked(&[8; 32]) else { return };
    let (bytes, _) = retention::seal_document(data, &pair);
    if let Ok((record, _)) = Record::parse(&bytes, VAULT, 1) {
        let again = serde_json::to_vec(&record).ok().and_then(|text| serde_json::from_slice(&text).ok());
        assert_eq!(again.as_ref(), Some(&record), "an entry reads back");
    }
}

/// Reads bytes as the files in this folder that remember vault time and what the reaper has seen.
pub fn memories(folder: &Path, data: &[u8]) {
    let path = folder.join("memory");
    if ports::files::replace(&path, data).is_ok() {
        drop(TimeFile::new(&path).load());
        drop(ReaperMemory::open(&path));
    }
}

/// Reads bytes as a tree head and as a change of keys.
pub fn heads(data: &[u8]) {
    drop(TreeHead::parse(data, VAULT, &known(&[])));
    drop(known(&[]).follow(VAULT, data));
    if let Some((vault, body)) = data.split_first_chunk::<16>() {
        drop(TreeHead::parse(body, VaultId(*vault), &known(&[])));
    }
}

/// Reads text as a checkpoint, as proofs, as a witness's key, and as a share of a key on paper.
pub fn proofs(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let root = leaf_hash(data);
    if let Ok(signed) = SignedCheckpoint::parse(text) {
        let again = SignedCheckpoint::parse(&signed.note.to_string());
        assert!(again.is_ok_and(|again| again == signed), "a checkpoint reads back");
        drop(signed.check(VAULT, &known(&[[8; 32]])));
        signed.checkpoint.time();
        signed.checkpoint.head();
    }
    if let Ok(proof) = InclusionProof::parse(text) {
        proof.holds(&root);
    }
    if let Ok(request) = AddCheckpoint::parse(text) {
        request.continues(&root);
    }
    if let Ok(key) = text.parse::<VerifierKey>() {
        let again = key.to_string().parse::<VerifierKey>();
        assert!(again.is_ok_and(|again| again == key), "a witness's key reads back");
    }
    if let Ok(share) = Share::parse(text) {
        let again = Share::parse(&share.render_text());
        assert!(again.is_ok_and(|again| again.lines() == share.lines()), "a share reads back");
    }
}

/// Returns texts that [`proofs`] accepts.
pub fn proof_seeds() -> Vec<Vec<u8>> {
    let Ok(signer) = NoteSigner::from_seed(origin(VAULT), Algorithm::Ed25519, &[8; 32]) else {
        return Vec::new();
    };
    let checkpoint =
        Checkpoint { origin: origin(VAULT), size: 1, root: leaf_hash(b"leaf"), extensions: Vec::new() };
    let text = checkpoint.to_text();
    let signed = format!("{text}\n{}\n", signer.sign(&text, 0));
    vec![
        signed.clone().into_bytes(),
        format!("c2sp.org/tlog-proof@v1\nindex 0\n\n{signed}").into_bytes(),
        format!("old 1\n\n{signed}").into_bytes(),
    ]
}

fn known(signers: &[[u8; 32]]) -> KeyState {
    KeyState {
        sequence: 0,
        changed: model::Moment::from_micros(0),
        head: [0; 32],
        owner: Some([8; 32]),
        data_recipient: [0; 32],
        signers: signers.iter().copied().map(Signer::any).collect(),
        recipients: Vec::new(),
    }
}

/// Returns the document of an entry that [`retention()`] accepts once it is signed.
pub fn retention_seed() -> Vec<u8> {
    let Ok(pair) = Ed25519KeyPair::from_seed_unchecked(&[8; 32]) else { return Vec::new() };
    let pack = PackId([9; 32]);
    let surveyed = model::SourceName::new("shop")
        .map(|source| Surveyed { source, sequence: 3, live_items: 12 })
        .into_iter()
        .collect();
    let record = Record {
        vault: VAULT,
        number: 1,
        previous: crate::id::hex(&[0; 32]),
        at: model::Moment::from_micros(1_777_125_609_000_000),
        signer: crate::id::hex(pair.public_key().as_ref()),
        statement: Statement::Release { packs: vec![pack], surveyed },
    };
    serde_json::to_vec(&record).unwrap_or_default()
}

/// Returns the opened change blocks of a commit, as the beginnings of a corpus.
pub fn raw_blocks(reader: &VaultReader, commit: &Commit) -> Result<Vec<Vec<u8>>, VaultError> {
    let mut found = Vec::new();
    reader.for_each_block(commit, |block| {
        let mut builder = BlockBuilder::default();
        for change in &block.changes {
            found.extend(builder.push(change).ok().flatten().and_then(|block| block.encode().ok()));
        }
        found.extend(builder.finish().and_then(|block| block.encode().ok()));
        Ok(())
    })?;
    Ok(found)
}

/// Returns the opened index of a pack behind the offset that it belongs to, as [`pack`] reads it.
pub fn raw_index(reader: &VaultReader, id: &PackId) -> Result<Vec<u8>, VaultError> {
    let index = reader.pack_index(id)?;
    let end = index
        .frames()
        .last()
        .map_or(0, |frame| frame.sealed_offset + u64::from(frame.sealed_length) - HEADER_BYTES as u64);
    Ok([(end as u32).to_le_bytes().as_slice(), &index.encode()].concat())
}

/// Returns the envelope of a commit and its body, as [`commit`] reads them.
pub fn raw_commit(reader: &VaultReader, commit: &Commit) -> Result<Vec<u8>, VaultError> {
    let name = names::commit(&commit.envelope.source, commit.envelope.sequence)?;
    let whole = reader.vault().store().read(&name)?;
    let envelope = commit.envelope.encode();
    let body = &whole[whole.len() - commit.body.len()..];
    Ok([(envelope.len() as u16).to_le_bytes().as_slice(), &envelope, body].concat())
}
