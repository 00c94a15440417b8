use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use model::SourceName;
use ports::{ManualClock, SeededRandom, files};
use service::{
    Place,
    installation::{InitRequest, Ports},
    mirrors::{MirrorConfig, MirrorRun},
};
use vault::{Cursor, Layout, mirror::MirrorWatch};

use super::*;

const NOWHERE: Environment<'static> = &|_| None;

struct Home {
    folder: tempfile::TempDir,
    installation: Installation,
}

impl Home {
    fn new(immutable_flags: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        let ports = Ports {
            clock: Arc::new(ManualClock::new(Moment::from_micros(1_790_000_000_000_000))),
            random: Arc::new(SeededRandom::new(11)),
            tracing: ports::Tracing::default(),
        };
        let request =
            InitRequest { place: Place::Folder { path: "vault".into(), immutable_flags }, lock_days: 30 };
        Installation::init(&home, &request, &ports, NOWHERE).unwrap();
        let installation = Installation::open(&home, ports).unwrap();
        let home = Self { folder, installation };
        home.commit();
        home
    }

    /// Stores something of the user's own.
    fn commit(&self) {
        let (writer, _) = self.installation.writer(NOWHERE).unwrap();
        let mut commit = writer.begin(&SourceName::new("shop").unwrap());
        let content = commit.store_bytes(Layout::Small, b"precious").unwrap();
        let stream = model::StreamName::new("files").unwrap();
        let item = model::Item { stream, key: "a".to_owned(), attributes: "{}".to_owned() };
        commit.upsert(item, content).unwrap();
        commit.finish(&Cursor(Vec::new())).unwrap();
    }

    fn request(&self) -> SiegeRequest<'_> {
        SiegeRequest { installation: &self.installation, environment: NOWHERE, key: None, credentials: &[] }
    }

    fn siege(&self) -> SiegeReport {
        siege(&self.request(), &connect::Silent, &|| false).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("home").join(name)
    }

    /// Everything in the home folder that is not the decoy's, with its bytes.
    fn genuine(&self) -> BTreeMap<PathBuf, String> {
        let decoy = self.decoy_objects();
        files_below(&self.path(""))
            .into_iter()
            .filter(|path| !decoy.contains(path))
            .map(|path| (path.clone(), String::from_utf8_lossy(&files::read(&path).unwrap()).into_owned()))
            .collect()
    }

    /// The decoy's objects, each with the note of its lock where it has one beside it.
    fn decoy_objects(&self) -> BTreeSet<PathBuf> {
        let vault = self.installation.vault(NOWHERE).unwrap();
        let store = self.installation.origin_store(NOWHERE).unwrap();
        let decoy = decoy::Decoy::read(&vault, &*store).unwrap();
        let objects = decoy.objects.keys().map(|name| self.path("vault").join(name.as_str()));
        objects.flat_map(|path| [lock_note(&path), path]).filter(|path| path.exists()).collect()
    }
}

impl Drop for Home {
    /// Immutable objects would outlive their folder.
    fn drop(&mut self) {
        drop(Command::new("chattr").args(["-R", "-f", "-i"]).arg(self.folder.path()).status());
    }
}

fn lock_note(object: &Path) -> PathBuf {
    object.with_file_name(format!(".{}.lock", object.file_name().unwrap().to_str().unwrap()))
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

fn not_held(report: &SiegeReport) -> BTreeSet<(u16, &str)> {
    let open = report.attempts.iter().filter(|attempt| attempt.outcome.is_not_held());
    open.map(|attempt| (attempt.number, attempt.what.as_str())).collect()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_plain_folder_does_not_hold_its_own_user_and_nothing_else_is_open() {
    let home = Home::new(false);
    let before = home.genuine();
    let report = home.siege();
    assert!(home.genuine() == before, "a siege changed what is not its own");

    let different: BTreeSet<_> = report.attempts.iter().map(|a| (a.number, &a.what, &a.credential)).collect();
    assert!(different.len() >= 100, "{} attacks", different.len());
    assert_eq!(report.broken_promises, 0, "{:#?}", not_held(&report));
    assert_eq!((report.tier, report.decoy_commits), (0, 3));
    let open = not_held(&report);
    for (number, what) in [
        (28, "unlink: a pack"),
        (28, "truncate: a commit"),
        (28, "rename: a pack"),
        (30, "rename the folder: the decoy's log"),
        (34, "replace by a symbolic link: a commit"),
        (58, "roll the log back: remove its newest commits"),
        (59, "fork: write another history over the newest commit"),
        (72, "find a key that reads the vault beside the vault"),
        (16, "lose the vault's place altogether"),
    ] {
        assert!(open.contains(&(number, what)), "{number} {what} was held: {open:#?}");
    }
    for attempt in &report.attempts {
        let stranger = attempt.credential.starts_with("another user");
        assert!(!stranger || !attempt.outcome.is_not_held(), "{attempt:?}");
        let elsewhere = [Layer::Store, Layer::Keys, Layer::Restore, Layer::Time, Layer::Retention];
        assert!(!elsewhere.contains(&attempt.layer) || !attempt.outcome.is_not_held(), "{attempt:?}");
        if let Outcome::NotPossibleHere { why } = &attempt.outcome {
            assert!(
                why.contains("root") || why.contains("--credentials") || why.contains("no block device"),
                "{why}"
            );
        }
    }
    assert!(report.advice.unwrap().contains("another host"));

    // A second siege adds one commit and leaves no other trace.
    let decoy = home.decoy_objects();
    let again = home.siege();
    assert_eq!((again.decoy_commits, again.broken_promises), (4, 0));
    assert!(home.genuine() == before, "a siege changed what is not its own");
    let added: Vec<_> = home.decoy_objects().difference(&decoy).cloned().collect();
    assert_eq!(added.iter().filter(|path| path.extension().is_none()).count(), 2, "a commit and its pack");
    assert!(!home.path("siege").read_dir().unwrap().any(|_| true));
}

#[test]
fn a_mirror_turns_a_rollback_and_a_fork_into_something_that_is_seen() {
    let mut home = Home::new(false);
    let place = Place::Folder { path: home.path("second"), immutable_flags: false };
    let mirror = MirrorConfig { place, offline: false, lock_days: None };
    home.installation.add_mirror("second", mirror).unwrap();
    let run = MirrorRun { threads: 1, thorough: false };
    home.installation.run_mirror("second", run, NOWHERE, MirrorWatch::IDLE).unwrap();
    let report = home.siege();
    assert_eq!(report.broken_promises, 0);
    let open = not_held(&report);
    assert!(!open.iter().any(|(number, _)| [16, 58, 59].contains(number)), "{open:#?}");
}

#[test]
fn immutable_flags_hold_whoever_cannot_clear_them() {
    if !is_root() {
        println!("not run: setting immutable flags takes root");
        return;
    }
    let home = Home::new(true);
    let before = home.genuine();
    let report = home.siege();
    assert!(home.genuine() == before, "a siege changed what is not its own");
    assert_eq!(report.broken_promises, 0, "{:#?}", not_held(&report));
    let on_objects = |credential: &str| -> Vec<&Attempt> {
        let folder = report.attempts.iter().filter(|attempt| attempt.layer == Layer::Folder);
        folder
            .filter(|a| {
                a.credential.starts_with(credential) && a.on == Scene::Decoy && !a.what.contains("folder")
            })
            .filter(|a| a.number != 56)
            .collect()
    };
    let without = on_objects("root without");
    assert!(without.len() >= 20);
    for attempt in without {
        assert!(
            attempt.promised
                && matches!(&attempt.outcome, Outcome::Held { by } if by.contains("immutable") || attempt.number == 29),
            "{attempt:?}"
        );
    }
    // This process may clear flags, so for it they are worth nothing; that is said, and the flag is put back.
    let cleared = on_objects("the user of this process");
    let cleared: Vec<_> = cleared.iter().filter(|attempt| attempt.number == 29).collect();
    assert!(!cleared.is_empty() && cleared.iter().all(|attempt| attempt.outcome.is_not_held()));
    assert_eq!(report.tier, 0);
    for object in home.decoy_objects().iter().filter(|path| path.extension().is_none()) {
        let flags = rustix::fs::ioctl_getflags(std::fs::File::open(object).unwrap()).unwrap();
        assert!(flags.contains(rustix::fs::IFlags::IMMUTABLE), "{}", object.display());
    }
}

#[test]
fn a_siege_that_was_killed_is_mended() {
    let home = Home::new(false);
    let request = home.request();
    drop(Ground::prepare(&request).unwrap());
    let objects: Vec<_> = home.decoy_objects().into_iter().collect();
    let good: Vec<_> = objects.iter().map(|path| files::read(path).unwrap()).collect();
    std::fs::remove_file(&objects[0]).unwrap();
    std::fs::remove_file(&objects[1]).unwrap();
    files::create_new(&objects[1], b"overwritten", 0o444).unwrap();
    assert_eq!(mend(&request).unwrap(), 2);
    assert_eq!(objects.iter().map(|path| files::read(path).unwrap()).collect::<Vec<_>>(), good);
    assert_eq!(mend(&request).unwrap(), 0);
    drop(Ground::prepare(&request).unwrap());
}

#[test]
fn harm_to_anything_else_ends_the_siege() {
    let home = Home::new(false);
    let request = home.request();
    let ground = Ground::prepare(&request).unwrap();
    let attempt = Attempt {
        number: 0,
        layer: Layer::Folder,
        what: "a test".to_owned(),
        credential: "none".to_owned(),
        on: Scene::Decoy,
        promised: true,
        outcome: Outcome::held("nothing"),
    };
    ground.check(&attempt).unwrap();
    let commit = home.path("vault/log/shop/0000000001");
    let bytes = files::read(&commit).unwrap();
    std::fs::remove_file(&commit).unwrap();
    assert!(matches!(ground.check(&attempt), Err(SiegeError::Harm { .. })));
    files::create_new(&commit, &bytes, 0o444).unwrap();
    let decoy = home.path("vault/log/siege-decoy/0000000001");
    std::fs::remove_file(&decoy).unwrap();
    assert!(matches!(ground.check(&attempt), Err(SiegeError::Harm { .. })));
}

#[test]
fn a_vault_that_is_not_sound_is_not_besieged() {
    let home = Home::new(false);
    std::fs::remove_file(home.path("vault/log/shop/0000000001")).unwrap();
    files::create_new(&home.path("vault/log/shop/0000000001"), b"rubbish", 0o444).unwrap();
    let error = siege(&home.request(), &connect::Silent, &|| false).unwrap_err();
    assert!(matches!(error, SiegeError::NotSound { .. }), "{error:?}");
    assert_eq!(error.hint().as_deref(), Some("unwipe verify"));
}
