use std::path::PathBuf;

use model::{Item, Moment, SourceName, StreamName};
use ports::{ManualClock, SeededRandom};
use vault::{Cursor, Layout, verify::Depth};

use super::*;
use crate::installation::{InitRequest, Ports};

const NOWHERE: Environment<'static> = &|_| None;
const RUN: MirrorRun = MirrorRun { threads: 2, thorough: false };

struct Home {
    folder: tempfile::TempDir,
    installation: Installation,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        let ports = Ports {
            clock: Arc::new(ManualClock::new(Moment::from_micros(1_750_000_000_000_000))),
            random: Arc::new(SeededRandom::new(1)),
            tracing: ports::Tracing::default(),
        };
        let place = Place::Folder { path: "vault".into(), immutable_flags: false };
        let request = InitRequest { place, lock_days: 1 };
        Installation::init(&home, &request, &ports, NOWHERE).unwrap();
        let installation = Installation::open(&home, ports).unwrap();
        let home = Self { folder, installation };
        home.commit("first");
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn commit(&self, text: &str) {
        let (writer, _) = self.installation.writer(NOWHERE).unwrap();
        let mut commit = writer.begin(&SourceName::new("shop").unwrap());
        let content = commit.store_bytes(Layout::Small, text.as_bytes()).unwrap();
        let stream = StreamName::new("files").unwrap();
        commit.upsert(Item { stream, key: text.to_owned(), attributes: "{}".to_owned() }, content).unwrap();
        commit.finish(&Cursor(Vec::new())).unwrap();
    }

    fn add(&mut self, name: &str, offline: bool) -> Result<Vec<String>, ServiceError> {
        let place = Place::Folder { path: self.path(name), immutable_flags: false };
        self.installation.add_mirror(name, MirrorConfig { place, offline, lock_days: None })
    }

    fn run(&self, name: &str) -> Result<PullReport, ServiceError> {
        self.installation.run_mirror(name, RUN, NOWHERE, MirrorWatch::IDLE)
    }

    fn standing(&self) -> MirrorsStanding {
        self.installation.mirrors_standing(NOWHERE).unwrap()
    }

    /// Moves a folder away, as when a disk is pulled out.
    fn pull_out(&self, name: &str) -> PathBuf {
        let away = self.path("away");
        std::process::Command::new("mv").arg(self.path(name)).arg(&away).status().unwrap();
        away
    }
}

#[test]
fn a_mirror_is_added_run_and_read_when_the_vault_is_gone() {
    let mut home = Home::new();
    home.add("second", false).unwrap();
    assert!(matches!(home.add("second", false), Err(ServiceError::Config(ConfigError::MirrorTaken { .. }))));
    assert!(matches!(home.add("../x", false), Err(ServiceError::Config(ConfigError::MirrorName { .. }))));
    assert_eq!(home.standing().mirrors[0].commits_behind, Some(1));
    assert!(home.run("second").unwrap().complete);
    assert_eq!(home.standing().mirrors[0].commits_behind, Some(0));
    home.commit("not mirrored");
    assert_eq!(home.standing().mirrors[0].commits_behind, Some(1));

    // The catalog of the vault knows two commits; the mirror has one, and answers for that one.
    let shop = SourceName::new("shop").unwrap();
    let reader = home.installation.reader(None, NOWHERE).unwrap();
    drop(home.installation.stored(&shop, reader, &connect::Silent).unwrap());
    home.pull_out("home/vault");
    let home_folder = home.installation.home().to_owned();
    let opened = Installation::open(&home_folder, home.installation.ports().clone()).unwrap();
    let opened = opened.reading_from("second").unwrap();
    let reader = opened.reader(None, NOWHERE).unwrap();
    let report = vault::verify::verify(reader.vault(), Some(&reader), Depth::ReadData, &mut |_| {}).unwrap();
    assert!(report.is_sound() && report.contents == 1, "{report:?}");
    let stored = opened.stored(&shop, reader, &connect::Silent).unwrap();
    assert_eq!(connect::Stored::items(&stored, &StreamName::new("files").unwrap()).unwrap().len(), 1);
    assert!(!home_folder.join("vault").exists(), "the vault's own place was opened");
}

#[test]
fn a_loss_is_reported_and_given_back() {
    let mut home = Home::new();
    home.add("second", false).unwrap();
    home.run("second").unwrap();
    let object = home.path("home/vault/log/shop/0000000001");
    let bytes = files::read(&object).unwrap();
    std::fs::remove_file(&object).unwrap();
    assert!(home.run("second").unwrap().shows_loss());
    assert_eq!(home.standing().mirrors[0].last_run.as_ref().unwrap().differences, 2);
    let repair = |create| home.installation.repair_from_mirror("second", create, NOWHERE, MirrorWatch::IDLE);
    assert_eq!(repair(false).unwrap().offers.len(), 1);
    assert!(!object.exists());
    assert_eq!(repair(true).unwrap().created_objects, 1);
    assert_eq!(files::read(&object).unwrap(), bytes);
    assert!(!home.run("second").unwrap().shows_loss());
}

#[test]
fn an_unplugged_copy_is_tier_4_and_its_mount_point_is_never_written_to() {
    let mut home = Home::new();
    assert!(matches!(home.add("stick", true), Err(ServiceError::NotPluggedIn { .. })));
    files::create_folder(&home.path("stick")).unwrap();
    home.add("stick", true).unwrap();
    home.run("stick").unwrap();
    let plugged = &home.standing().mirrors[0];
    assert!(plugged.tier == 0 && plugged.statement.contains("when it is unplugged"), "{plugged:?}");

    home.pull_out("stick");
    files::create_folder(&home.path("stick")).unwrap();
    let error = home.run("stick").unwrap_err();
    assert!(matches!(&error, ServiceError::NotPluggedIn { last_seen: Some(_), .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("unwipe mirror run stick"));
    assert_eq!(std::fs::read_dir(home.path("stick")).unwrap().count(), 0);
    let unplugged = &home.standing().mirrors[0];
    assert!(unplugged.tier == 4 && unplugged.statement.contains("last seen 2025-"), "{unplugged:?}");
}

#[test]
fn lock_domains_are_counted_from_what_is_measured() {
    let mut home = Home::new();
    home.add("second", false).unwrap();
    home.run("second").unwrap();
    let domains = home.standing().domains;
    assert_eq!((domains.count.as_str(), domains.places.len()), ("0", 2));
    assert!(domains.places.iter().all(|place| place.reason.contains("does not count")), "{domains:?}");
    let place = |name: &str, keeper: Option<&str>| PlaceStanding {
        name: name.to_owned(),
        tier: 1,
        keeper: keeper.map(str::to_owned),
        reason: String::new(),
    };
    let count = |keepers: &[Option<&str>]| {
        Domains::of(keepers.iter().map(|keeper| place("p", *keeper)).collect()).count
    };
    assert_eq!(count(&[Some("root here"), Some("root here")]), "1");
    assert_eq!(count(&[Some("root here"), Some("account A"), None]), "2+");
}

#[test]
fn a_place_is_written_as_a_folder_or_as_in_the_configuration() {
    let folder = Place::Folder { path: "/mnt/b".into(), immutable_flags: false };
    assert_eq!(parse_place("/mnt/b").unwrap(), folder);
    assert_eq!(parse_place("{ kind = \"folder\", path = \"/mnt/b\" }").unwrap(), folder);
    assert!(matches!(parse_place("{ kind = \"moon\" }"), Err(ConfigError::Invalid { .. })));
}
