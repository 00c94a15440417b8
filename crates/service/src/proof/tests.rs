use std::sync::Arc;

use ports::{Clock, ManualClock, SeededRandom};
use vault::{RestoreKey, VaultWriter, WriterOptions, keys::KeyRing};

use super::*;
use crate::{
    Place,
    certificate::{Statement, TreeBond},
    installation::{InitRequest, Ports},
};

const DAY: i64 = 86_400_000_000;

struct House {
    _folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    installation: Installation,
    shop: SourceName,
}

fn nothing(_: &str) -> Option<String> {
    None
}

impl House {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Moment::from_micros(1_777_125_609_000_000)));
        let ports = Ports {
            clock: clock.clone(),
            random: Arc::new(SeededRandom::new(1)),
            tracing: ports::Tracing::default(),
        };
        let home = folder.path().join("home");
        let place = Place::Folder { path: "vault".into(), immutable_flags: false };
        let request = InitRequest { place, lock_days: 30 };
        Installation::init(&home, &request, &ports, &nothing).unwrap();
        let installation = Installation::open(&home, ports).unwrap();
        Self { _folder: folder, clock, installation, shop: SourceName::new("shop").unwrap() }
    }

    fn certificate(&self, outcome: Outcome) -> Certificate {
        self.signed(outcome, &signing_key(&self.installation).unwrap())
    }

    fn signed(&self, outcome: Outcome, key: &SigningKey) -> Certificate {
        let mut tally = drill::Tally::default();
        tally.equal(3);
        if outcome == Outcome::Failed {
            tally.differs("shop.public.bookings", "it has 41 rows instead of 42");
        }
        let at = self.clock.now();
        let statement = Statement {
            format: Statement::FORMAT,
            vault: "00".to_owned(),
            source: self.shop.clone(),
            kind: "postgres".to_owned(),
            simulated: false,
            commit: 1,
            commit_hash: String::new(),
            tree: TreeBond::None { reason: "none".to_owned() },
            moment: "latest".to_owned(),
            restored_commit: 1,
            position: "0/1".to_owned(),
            began_at: at,
            at,
            extent: Extent::Whole,
            against: if outcome == Outcome::Hypothesis { Against::Nothing } else { Against::Production },
            counts: tally.counts,
            differences: tally.named,
            differences_total: tally.total,
            checks: Vec::new(),
            probes: Vec::new(),
            spent: drill::Spent::default(),
            budget: drill::Budget::default(),
            tables: std::collections::BTreeMap::new(),
            tool: "unwipe".to_owned(),
            outcome,
        };
        Certificate::sign(statement, key).unwrap()
    }

    fn keep(&self, outcome: Outcome) -> PathBuf {
        let (path, trouble) = keep(&self.installation, &self.certificate(outcome), &nothing).unwrap();
        assert!(trouble.is_none(), "{trouble:?}");
        self.clock.advance_micros(1_000_000);
        path
    }

    fn word(&self) -> &'static str {
        standing(&self.installation, &self.shop, self.clock.now()).unwrap().word()
    }
}

#[test]
fn a_failure_stays_until_a_drill_passes_and_somebody_acknowledges() {
    let house = House::new();
    assert_eq!(house.word(), "hypothesis");
    house.keep(Outcome::Proven);
    assert_eq!(house.word(), "proven");
    house.keep(Outcome::Failed);
    house.keep(Outcome::Proven);
    assert_eq!(house.word(), "failed");
    assert!(
        failed_before(&certificates(&house.installation, &house.shop).unwrap())
            .contains("shop.public.bookings")
    );
    let (seen, _) =
        acknowledge(&house.installation, &house.shop, "anna", "a row was lost", &nothing).unwrap();
    assert_eq!((seen.len(), seen[0].by.as_str()), (1, "anna"));
    assert_eq!(house.word(), "proven");
    let again = acknowledge(&house.installation, &house.shop, "anna", "again", &nothing);
    assert!(matches!(again, Err(ProofError::Nothing { .. })));
    house.clock.advance_micros(36 * DAY);
    assert_eq!(house.word(), "hypothesis");
}

#[test]
fn a_changed_file_is_a_failure() {
    let house = House::new();
    let path = house.keep(Outcome::Failed);
    let forged = files::read_text(&path).unwrap().replace("\"failed\"", "\"proven\"");
    files::replace(&path, forged.as_bytes()).unwrap();
    house.keep(Outcome::Proven);
    assert_eq!(house.word(), "failed", "whoever changes the file gains nothing");
    acknowledge(&house.installation, &house.shop, "anna", "the file was changed", &nothing).unwrap();
    assert_eq!(house.word(), "proven");
}

#[test]
fn a_removed_file_is_missed_and_gains_nothing() {
    let house = House::new();
    let read = || read_log(&house.installation, &nothing).unwrap();
    house.keep(Outcome::Proven);
    let failed = house.keep(Outcome::Failed);
    read();
    assert_eq!(house.word(), "failed");
    std::fs::remove_file(&failed).unwrap();
    let standing = standing(&house.installation, &house.shop, house.clock.now()).unwrap();
    let problems = standing.problems();
    assert!(problems.len() == 1 && problems[0].contains("was removed"), "{problems:?}");
    assert_eq!(certificates(&house.installation, &house.shop).unwrap().len(), 2, "it is shown as missing");

    // Nor does it help to remove what was read of the log, or to change it.
    let index = house.installation.home().join("state/unwipe/recorded-certificates.json");
    std::fs::remove_file(&index).unwrap();
    read();
    assert_eq!(house.word(), "failed");
    let text = files::read_text(&index).unwrap();
    let at = text.find("\"certificates\":[").unwrap() + "\"certificates\":[".len();
    let end = text.rfind("],\"").or_else(|| text.rfind("]}")).unwrap();
    files::replace(&index, format!("{}{}", &text[..at], &text[end..]).as_bytes()).unwrap();
    read();
    assert_eq!(house.word(), "failed");

    acknowledge(&house.installation, &house.shop, "anna", "I tidied up", &nothing).unwrap();
    assert_eq!(house.word(), "failed", "the proof from before the failure makes nothing good");
    house.keep(Outcome::Proven);
    assert_eq!(house.word(), "proven");
}

#[test]
fn a_proof_that_is_removed_is_missed_as_well_and_strangers_are_not() {
    let house = House::new();
    let proven = house.keep(Outcome::Proven);
    let strange = house.installation.home().join("strange");
    let stranger = SigningKey::create(&strange, &SeededRandom::new(9)).unwrap();
    read_log(&house.installation, &nothing).unwrap();
    assert_eq!(house.word(), "proven");
    std::fs::remove_file(&proven).unwrap();
    assert_eq!(house.word(), "failed", "nobody removes a certificate by mistake");

    // Another installation in the same vault keeps its own certificates.
    let store = house.installation.store(&nothing).unwrap();
    let owner = RestoreKey::load(&house.installation.home().join("keys/restore.key")).unwrap();
    let Ports { clock, random, .. } = house.installation.ports().clone();
    let mut ring = KeyRing::open(Arc::clone(&store), &owner).unwrap();
    let key = ring.issue_capture_key(None, &*clock, &*random).unwrap();
    let writer = VaultWriter::open(store, &key, clock, random, WriterOptions::default()).unwrap();
    let foreign = house.signed(Outcome::Failed, &stranger);
    operations::record(&writer, Kind::Certificate, "shop/other", &foreign).unwrap();
    read_log(&house.installation, &nothing).unwrap();
    assert_eq!(certificates(&house.installation, &house.shop).unwrap().len(), 1);
}

#[test]
fn certificates_and_acknowledgements_of_strangers_do_not_count() {
    let house = House::new();
    house.keep(Outcome::Failed);
    let stranger =
        SigningKey::create(&house.installation.home().join("strange"), &SeededRandom::new(9)).unwrap();
    keep(&house.installation, &house.signed(Outcome::Proven, &stranger), &nothing).unwrap();
    assert_eq!(house.word(), "failed");
    let kept = certificates(&house.installation, &house.shop).unwrap();
    assert!(kept.iter().any(|kept| kept.certificate.is_err()), "it is shown as what it is");
    let folder = house.installation.state_folder(&house.shop).join(SEEN_FOLDER);
    files::create_folder(&folder).unwrap();
    let failed = kept.iter().find(|kept| kept.certificate.is_ok()).unwrap();
    let statement = Acknowledgement {
        format: 1,
        source: house.shop.clone(),
        certificate: failed.id.clone(),
        by: "agent".to_owned(),
        reason: "all is well".to_owned(),
        at: house.clock.now(),
    };
    let signature = stranger.sign(SEEN_PURPOSE, &seen_message(&statement).unwrap());
    let signed = SignedAcknowledgement { statement, signer: stranger.public(), signature };
    files::replace(&folder.join("x.json"), &serde_json::to_vec(&signed).unwrap()).unwrap();
    assert!(acknowledgements(&house.installation, &house.shop).unwrap().is_empty());
}

#[test]
fn the_next_drill_follows_from_the_last() {
    let mut house = House::new();
    let now = house.clock.now();
    assert_eq!(next_due(&house.installation, &house.shop, now).unwrap(), None);
    let shop = house.shop.clone();
    let weekly = drill::SourceDrills { every: Some("7d".parse().unwrap()), ..drill::SourceDrills::default() };
    house
        .installation
        .reconfigure(|config| {
            config.drills.sources.insert(shop, weekly.clone());
            config.drills.sources.insert(SourceName::new("vault").unwrap(), weekly);
            Ok(())
        })
        .unwrap();
    house.keep(Outcome::Hypothesis);
    let next = next_due(&house.installation, &house.shop, house.clock.now()).unwrap().unwrap();
    assert_eq!(next.at, now.plus_micros(7 * DAY));
    let proofs = proofs(&house.installation, house.clock.now()).unwrap();
    let vault = proofs.iter().find(|proof| proof.source.as_str() == "unwipe").unwrap();
    assert_eq!(vault.next.map(|next| next.at), Some(house.clock.now()), "the vault was never drilled");
}
