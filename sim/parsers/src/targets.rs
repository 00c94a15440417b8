use connect::plan::Plan;
use model::{Event, UnreadableReason};
use postgres_wire::tar::TarParser;
use vault::{CaptureKey, Manifest, RecoveryKit, RestoreKey};

use crate::{Target, google, objects, seeds};

/// All parsers.
pub const TARGETS: &[Target] = &[
    Target { name: "vault_commit", run: vault::fuzzing::commit, seeds: seeds::commits },
    Target { name: "vault_change_block", run: vault::fuzzing::change_block, seeds: seeds::change_blocks },
    Target { name: "vault_content", run: vault::fuzzing::content, seeds: seeds::contents },
    Target { name: "vault_pack", run: vault::fuzzing::pack, seeds: seeds::packs },
    Target { name: "vault_sealed_block", run: vault::fuzzing::sealed_block, seeds: seeds::sealed_blocks },
    Target { name: "vault_journal", run: objects::journal, seeds: seeds::journals },
    Target { name: "vault_retention", run: vault::fuzzing::retention, seeds: seeds::retention },
    Target { name: "vault_heads", run: vault::fuzzing::heads, seeds: seeds::heads },
    Target { name: "vault_proofs", run: vault::fuzzing::proofs, seeds: vault::fuzzing::proof_seeds },
    Target { name: "vault_memories", run: objects::memories, seeds: seeds::memories },
    Target { name: "vault_manifest", run: manifest, seeds: seeds::manifests },
    Target { name: "vault_key_files", run: key_files, seeds: seeds::key_files },
    Target { name: "vault_objects", run: objects::planted, seeds: objects::seeds },
    Target { name: "plan", run: plan, seeds: seeds::plans },
    Target { name: "documents", run: documents, seeds: seeds::documents },
    Target { name: "postgres_wire", run: postgres_wire::fuzzing::fuzz_one, seeds: seeds::wire },
    Target { name: "postgres_logical", run: postgres_guard::logical::fuzz_one, seeds: seeds::logical },
    Target { name: "postgres_tar", run: tar, seeds: seeds::archives },
    Target { name: "postgres_manifest", run: backup_manifest, seeds: seeds::backup_manifests },
    Target { name: "postgres_control_file", run: control_file, seeds: seeds::control_files },
    Target { name: "http_batch", run: http_batch, seeds: google::batches },
    Target { name: "http_upload_range", run: http_upload_range, seeds: google::ranges },
    Target { name: "google_message", run: google_message, seeds: google::messages },
    Target { name: "google_raw_text", run: google_raw_text, seeds: google::raw_texts },
    Target { name: "google_pages", run: google_pages, seeds: google::pages },
    Target { name: "google_activities", run: google_activities, seeds: google::activities },
    Target { name: "google_attributes", run: google_attributes, seeds: google::attributes },
    Target { name: "google_positions", run: google_positions, seeds: google::positions },
    Target { name: "render", run: rendered, seeds: google::rendered },
    Target { name: "wal_records", run: postgres_wal::fuzzing::fuzz_one, seeds: seeds::wal },
];

/// The first line says what is stored and with which attributes; the rest is its content.
fn rendered(data: &[u8]) {
    let (line, content) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len()));
    let line = String::from_utf8_lossy(line);
    let mut parts = line.splitn(3, ' ');
    let (stream, key) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let stored = render::Stored {
        stream,
        key,
        attributes: parts.next().unwrap_or_default(),
        content: Some(content.strip_prefix(b"\n").unwrap_or(content)),
        size_bytes: content.len() as u64,
        reason: None,
    };
    let document = render::render("google", &stored, &render::Limits::PAGE);
    let texts = document.fields.iter().flat_map(|field| [&field.name, &field.value]).chain(&document.body);
    for text in texts.chain([&document.title]).chain(&document.subtitle) {
        assert!(
            !text.chars().any(|c| c.is_control() && c != '\t'),
            "nothing that is shown controls a screen"
        );
    }
    assert!(render::difference(&document, &document).is_empty(), "nothing differs from itself");
}

fn manifest(data: &[u8]) {
    if let Ok(manifest) = Manifest::parse(data) {
        drop(objects::unlock(&manifest));
    }
}

fn key_files(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = RestoreKey::parse(text) {
        let again = RestoreKey::parse(&key.to_text());
        assert!(again.is_ok_and(|again| again.vault() == key.vault()), "a restore key reads back");
    }
    drop(RecoveryKit::parse(text));
    if let Ok(key) = CaptureKey::parse(text) {
        let written = key.to_text();
        let again = written.ok().and_then(|text| CaptureKey::parse(&text).ok());
        assert!(again.is_some_and(|again| again.vault() == key.vault()), "a capture key reads back");
    }
}

fn plan(data: &[u8]) {
    let Ok(plan) = Plan::from_bytes(data) else { return };
    let canonical = plan.canonical_bytes();
    let again = canonical.as_ref().ok().and_then(|bytes| Plan::from_bytes(bytes).ok());
    let same = again.is_some_and(|again| again.canonical_bytes().ok() == canonical.ok());
    assert!(same, "what is approved is what is read");
}

fn documents(data: &[u8]) {
    if let Ok(event) = serde_json::from_slice::<Event>(data) {
        let again = serde_json::to_vec(&event).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        assert_eq!(again.as_ref(), Some(&event), "an event reads back");
    }
    drop(serde_json::from_slice::<UnreadableReason>(data));
    drop(serde_json::from_slice::<source_postgres::layout::File>(data));
    drop(serde_json::from_slice::<source_postgres::layout::Relation>(data));
    drop(serde_json::from_slice::<source_postgres::layout::Hole>(data));
    if let Ok(text) = std::str::from_utf8(data) {
        source_postgres::layout::lsn_of_key(text);
        postgres_wire::replication::parse_lsn(text);
        drop(text.parse::<model::Moment>());
        drop(postgres_wire::ConnectionSettings::from_url(text));
    }
}

/// The first byte says how the archive is cut into pieces.
fn tar(data: &[u8]) {
    let Some((cut, archive)) = data.split_first() else { return };
    let mut parser = TarParser::new();
    for piece in archive.chunks(usize::from(*cut) * 8 + 1) {
        let mut rest = piece;
        loop {
            match parser.advance(&mut rest) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
    drop(parser.finish());
}

fn backup_manifest(data: &[u8]) {
    source_postgres::fuzzing::manifest(data);
    for bytes in [data.to_vec(), source_postgres::fuzzing::with_checksum(data)] {
        drop(postgres_recovery::manifest::Manifest::parse(&bytes));
    }
}

fn control_file(data: &[u8]) {
    drop(postgres_server::control_file::ControlFile::parse(data, std::path::Path::new("pg_control")));
}

fn http_batch(data: &[u8]) {
    connect_http::fuzzing::batch(data);
}

fn http_upload_range(data: &[u8]) {
    connect_http::fuzzing::upload_range(data);
}

fn google_message(data: &[u8]) {
    source_google::fuzzing::message(data);
}

fn google_raw_text(data: &[u8]) {
    source_google::fuzzing::raw_text(data);
}

fn google_pages(data: &[u8]) {
    source_google::fuzzing::pages(data);
}

fn google_activities(data: &[u8]) {
    source_google::fuzzing::activities(data);
}

fn google_attributes(data: &[u8]) {
    source_google::fuzzing::attributes(data);
}

fn google_positions(data: &[u8]) {
    source_google::fuzzing::positions(data);
}
