use std::sync::Arc;

use blobs::MemoryStore;
use drill::Tally;
use model::StreamName;
use ports::{BlobStore, ManualClock, SeededRandom};
use vault::{Cursor, InitOptions, Vault, VaultWriter, WriterOptions};

use super::*;

/// A vault with three commits and a head.
pub(crate) struct Small {
    pub(crate) vault: Vault,
    pub(crate) hash: String,
}

pub(crate) fn small(seed: u64) -> Small {
    let clock = Arc::new(ManualClock::new(Moment::from_micros(1_777_125_609_000_000)));
    let random = Arc::new(SeededRandom::new(seed));
    let store: Arc<dyn BlobStore> = Arc::new(MemoryStore::new());
    let keys = vault::init(&*store, InitOptions { lock_days: 30 }, &*clock, &*random).unwrap();
    let options = WriterOptions::default();
    let writer =
        VaultWriter::open(Arc::clone(&store), &keys.capture_key, clock.clone(), random, options).unwrap();
    for _ in 0..3 {
        let mut commit = writer.begin(&SourceName::new("shop").unwrap());
        commit.remove(StreamName::new("base").unwrap(), "x").unwrap();
        commit.finish(&Cursor(Vec::new())).unwrap();
    }
    writer.advance_head().unwrap();
    let vault = Vault::open(store).unwrap();
    let hash = vault.commit(&SourceName::new("shop").unwrap(), 3).unwrap().hash.to_string();
    Small { vault, hash }
}

pub(crate) fn statement(small: &Small) -> Statement {
    let source = SourceName::new("shop").unwrap();
    let mut tally = Tally::default();
    tally.equal(4);
    tally.differs("shop.public.bookings", "<script>alert(1)</script> 41 rows instead of 42");
    Statement {
        format: Statement::FORMAT,
        vault: small.vault.manifest().vault.to_string(),
        kind: "postgres".to_owned(),
        simulated: false,
        commit: 3,
        commit_hash: small.hash.clone(),
        tree: TreeBond::of(&small.vault, &source, 3).unwrap(),
        source,
        moment: "latest".to_owned(),
        restored_commit: 3,
        position: "0/1".to_owned(),
        began_at: Moment::from_micros(1),
        at: Moment::from_micros(2_000_000),
        extent: Extent::Sample {
            seed: "00000000000000aa".to_owned(),
            chosen: 5,
            of: 10,
            share_ppm: 500_000,
            again: ["shop.public.bookings".to_owned()].into(),
        },
        against: Against::Production,
        counts: tally.counts,
        differences: tally.named,
        differences_total: tally.total,
        checks: vec![Check::not_checked("pg_amcheck", "not installed")],
        probes: vec![ProbeAnswer {
            database: "shop".to_owned(),
            sql: "select 'é' < 1".to_owned(),
            expect: "> 0".to_owned(),
            answer: Some("7".to_owned()),
            error: None,
            held: true,
        }],
        spent: Spent { time_ms: 5, serving_ms: Some(3), space_bytes: 7 },
        budget: Budget { time_s: Some(60), space_bytes: None },
        tables: BTreeMap::from([("shop.public.bookings".to_owned(), (41, "-7".to_owned()))]),
        tool: "unwipe 0.1.0".to_owned(),
        outcome: Outcome::Failed,
    }
}

fn key(seed: u64) -> SigningKey {
    let folder = tempfile::tempdir().unwrap();
    SigningKey::create(&folder.path().join("key"), &SeededRandom::new(seed)).unwrap()
}

fn parse(text: &str) -> Result<Certificate, CertificateError> {
    Certificate::parse(text.as_bytes(), Path::new("certificate.json"))
}

/// Calls `change` with every place in a document.
fn places(value: &Value, pointer: &str, found: &mut Vec<String>) {
    found.push(pointer.to_owned());
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, inner)| {
                places(inner, &format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            });
        }
        Value::Array(values) => {
            values
                .iter()
                .enumerate()
                .for_each(|(at, inner)| places(inner, &format!("{pointer}/{at}"), found));
        }
        _ => {}
    }
}

#[test]
fn a_certificate_is_verified_without_the_vault() {
    let small = small(1);
    let signing = key(1);
    let certificate = Certificate::sign(statement(&small), &signing).unwrap();
    let read = parse(&certificate.to_text().unwrap()).unwrap();
    assert_eq!(read, certificate);
    let own = small.vault.keys().verifier_keys(small.vault.manifest().vault);
    let trust = Trust { signers: vec![signing.public()], vault_keys: own };
    let found = read.verify(&trust).unwrap();
    assert_eq!(found, Verified { signer_compared: true, vault_key_compared: true, commit_in_tree: true });
    let unknown = read.verify(&Trust::default()).unwrap();
    assert!(unknown.commit_in_tree && !unknown.signer_compared && !unknown.vault_key_compared);
}

#[test]
fn a_change_of_any_field_is_found() {
    let certificate = Certificate::sign(statement(&small(1)), &key(1)).unwrap();
    let document = serde_json::to_value(&certificate).unwrap();
    let mut all = Vec::new();
    places(&document, "", &mut all);
    assert!(all.len() > 50, "{all:?}");
    for pointer in all {
        let mut forged = document.clone();
        let place = forged.pointer_mut(&pointer).unwrap();
        match place {
            Value::Bool(value) => *value = !*value,
            Value::Number(number) => *place = (number.as_u64().unwrap() + 1).into(),
            Value::String(text) => {
                let last = if text.ends_with('0') { "1" } else { "0" };
                *text =
                    format!("{}{last}", &text[..text.len() - text.chars().last().map_or(0, char::len_utf8)]);
            }
            Value::Null => *place = 1.into(),
            Value::Array(values) => values.push(1.into()),
            Value::Object(fields) => drop(fields.insert("more".to_owned(), 1.into())),
        }
        assert_ne!(forged, document, "{pointer}");
        let error = parse(&forged.to_string()).expect_err(&pointer);
        assert!(
            error.is_forged()
                || matches!(error, CertificateError::Form { .. } | CertificateError::Format { .. })
        );
    }
}

#[test]
fn another_signer_does_not_count() {
    let small = small(1);
    let forged = Certificate::sign(statement(&small), &key(2)).unwrap();
    let trust = Trust { signers: vec![key(1).public()], ..Trust::default() };
    let error = forged.verify(&trust).unwrap_err();
    assert!(matches!(error, CertificateError::Signer { .. }) && error.hint().is_some());
}

#[test]
fn another_head_does_not_count() {
    let (small, other) = (small(1), small(2));
    let signing = key(1);
    let with = |change: &dyn Fn(&mut Statement)| {
        let mut statement = statement(&small);
        change(&mut statement);
        Certificate::sign(statement, &signing).unwrap().verify(&Trust::default())
    };
    assert!(with(&|_| {}).is_ok());
    let shop = SourceName::new("shop").unwrap();
    let foreign = TreeBond::of(&other.vault, &shop, 3).unwrap();
    let error = with(&|s| s.tree = foreign.clone()).unwrap_err();
    assert!(matches!(error, CertificateError::Bond(BondError::Origin { .. })), "{error:?}");
    let error = with(&|s| s.commit = 2).unwrap_err();
    assert!(matches!(error, CertificateError::Bond(BondError::Commit)), "{error:?}");
    let error = with(&|s| s.commit_hash = "00".repeat(32)).unwrap_err();
    assert!(matches!(error, CertificateError::Bond(BondError::Commit)), "{error:?}");
    let error = with(&|s| {
        let TreeBond::Inclusion { proof, .. } = &mut s.tree else { panic!() };
        *proof = proof.replace("\n3\n", "\n4\n");
    });
    assert!(matches!(error.unwrap_err(), CertificateError::Bond(_)));
    // The vault's real key did not sign what another vault of the same name signed.
    let certificate = Certificate::sign(statement(&small), &signing).unwrap();
    let others = other.vault.keys().verifier_keys(other.vault.manifest().vault);
    let error = certificate.verify(&Trust { vault_keys: others, ..Trust::default() }).unwrap_err();
    assert!(matches!(error, CertificateError::Bond(BondError::Signature)), "{error:?}");
}

#[test]
fn an_outcome_that_does_not_follow_is_not_signed() {
    let mut statement = statement(&small(1));
    statement.outcome = Outcome::Proven;
    let error = Certificate::sign(statement, &key(1)).unwrap_err();
    assert!(matches!(error, CertificateError::Contradiction { .. }));
}

#[test]
fn the_printed_page_runs_nothing_and_shows_what_matters() {
    let certificate = Certificate::sign(statement(&small(1)), &key(1)).unwrap();
    let html = page(&certificate);
    assert!(!html.contains("<script") && !html.contains("http:") && !html.contains("https:"), "{html}");
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    for shown in [&certificate.signer, &certificate.statement.vault, "FAILED", "pg_amcheck", "50.00 %"] {
        assert!(html.contains(shown), "{shown}");
    }
}

#[test]
fn what_was_restored_and_compared_is_told_in_words() {
    let mut statement = statement(&small(1));
    statement.position = "0/3102258".to_owned();
    for (asked, words) in [
        ("before:0/3102258", "the moment just before position 0/3102258"),
        ("latest", "the newest moment (position 0/3102258)"),
        ("2026-04-25T14:00:08.5Z", "2026-04-25 14:00:08 UTC (position 0/3102258)"),
        ("lsn:0/3102258", "lsn:0/3102258"),
    ] {
        statement.moment = asked.to_owned();
        assert_eq!(statement.restored(), words);
    }
    statement.counts = drill::Counts { compared: 5, equal: 5, different: 0, not_comparable: 0 };
    assert_eq!(statement.compared(), "5 things, all equal");
    statement.counts = drill::Counts { compared: 4, equal: 3, different: 1, not_comparable: 1 };
    assert_eq!(
        statement.compared(),
        "4 things: 3 equal, 1 different, 1 not comparable by the connector's promise"
    );
}

#[test]
fn a_certificate_of_the_first_format_is_still_read() {
    let signing = key(1);
    let old = first::Statement {
        format: 1,
        vault: "00".to_owned(),
        source: SourceName::new("shop").unwrap(),
        commit: 7,
        commit_hash: "ab".to_owned(),
        moment: "latest".to_owned(),
        position: "0/1".to_owned(),
        at: Moment::from_micros(1),
        proven: true,
        checks: vec!["compared with the fingerprint recorded on production".to_owned()],
        findings: Vec::new(),
        serving_ms: 1,
        tables: BTreeMap::from([("a.b.c".to_owned(), (1, "2".to_owned()))]),
    };
    let document = serde_json::to_value(&old).unwrap();
    let signature = signing.sign(PURPOSE, &message(&document));
    let written = Written { statement: document, signer: signing.public(), signature };
    let text = serde_json::to_string(&written).unwrap();
    let read = parse(&text).unwrap();
    assert!(read.is_first() && read.statement.outcome == Outcome::Proven);
    assert_eq!(read.statement.judged(), Outcome::Proven);
    assert!(!read.verify(&Trust::default()).unwrap().commit_in_tree);
    assert_eq!(
        serde_json::to_value(&read).unwrap(),
        serde_json::to_value(&written).unwrap(),
        "as it was signed"
    );
    assert!(matches!(parse(&text.replace("latest", "oldest")), Err(CertificateError::Signature)));
    assert!(matches!(
        parse(&text.replace("\"format\":1", "\"format\":3")),
        Err(CertificateError::Format { found: 3 })
    ));
}
