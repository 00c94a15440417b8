use std::sync::Arc;

use connect::{QuotaUnit, QuotaUse};
use model::{Moment, SourceName};
use ports::{Clock, ManualClock, SeededRandom};

use super::*;
use crate::{
    Place,
    config::SourceConfig,
    installation::{InitRequest, Ports},
    quota::QuotaReport,
};

const NOWHERE: Environment<'static> = &|_| None;

struct World {
    folder: tempfile::TempDir,
    installation: Installation,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Moment::from_micros(1_000_000_000_000_000)));
        let ports =
            Ports { clock, random: Arc::new(SeededRandom::new(1)), tracing: ports::Tracing::default() };
        let place = Place::Folder { path: "vault".into(), immutable_flags: false };
        Installation::init(folder.path(), &InitRequest { place, lock_days: 1 }, &ports, NOWHERE).unwrap();
        let mut installation = Installation::open(folder.path(), ports).unwrap();
        installation
            .reconfigure(|config| {
                let source = SourceConfig { kind: "files".to_owned(), settings: toml::Table::new() };
                config.sources.insert(SourceName::new("shop").unwrap(), source);
                Ok(())
            })
            .unwrap();
        Self { folder, installation }
    }

    fn look(&self) -> Overview {
        Overview::of(&self.installation, NOWHERE, None, Moment::from_micros(0)).unwrap()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        ports::files::replace(&path, text.as_bytes()).unwrap();
    }
}

#[test]
fn looking_changes_nothing_that_a_revision_sees() {
    let world = World::new();
    world.look();
    let before = Revision::of(&world.installation);
    world.look();
    assert_eq!(Revision::of(&world.installation), before);
}

#[test]
fn whatever_an_overview_is_made_of_is_seen_in_the_revision() {
    let world = World::new();
    world.look();
    for path in [
        "unwipe.toml",
        "state/shop/certificates/a.json",
        "state/unwipe/certificates/b.json",
        "state/shop/acknowledgements/c.json",
        "state/watch/incidents/7.json",
        "state/shop/quota.json",
        "vault/log/tree/9999999999",
        "keys/certificate.key",
    ] {
        let before = Revision::of(&world.installation);
        world.write(path, "[]");
        assert_ne!(Revision::of(&world.installation), before, "{path}");
    }
}

#[test]
fn what_a_capture_said_of_its_quota_is_in_the_overview() {
    let world = World::new();
    assert_eq!(world.look().sources[0].quota, None, "nothing was captured yet");
    let at = Moment::from_micros(7);
    let used = QuotaUse {
        name: "retained WAL".to_owned(),
        subject: None,
        unit: QuotaUnit::Bytes,
        used: 5,
        limit: 10,
        per_s: None,
        share_percent: None,
        of_late: None,
    };
    let report = QuotaReport { at, since: at, uses: vec![used] };
    world.write("state/shop/quota.json", &serde_json::to_string(&report).unwrap());
    assert_eq!(world.look().sources[0].quota, Some(report));
    world.write("state/shop/quota.json", "{ damaged");
    assert_eq!(world.look().sources[0].quota, None);
}

#[test]
fn what_cannot_be_read_is_an_alarm_and_hides_nothing_else() {
    let world = World::new();
    assert_eq!(world.look().vault.alarms, Vec::<String>::new());
    world.write("state/watch/incidents/7.json", "{ damaged");
    let overview = world.look();
    assert_eq!((overview.open_incidents, overview.sources.len()), (0, 1));
    assert!(
        overview.vault.alarms[0].starts_with("the incidents cannot be read: "),
        "{:?}",
        overview.vault.alarms
    );
    // Where retention cannot be told, the alarms of the look before stay; none of them is there twice.
    let again = Overview::of(&world.installation, NOWHERE, Some(&overview.vault), Moment::from_micros(0));
    assert_eq!(again.unwrap().vault.alarms.len(), 1);
}
