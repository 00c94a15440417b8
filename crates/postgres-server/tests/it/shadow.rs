//! A shadow rolled forward, asked for scratch servers, and killed.

use std::{path::Path, sync::Arc, time::Duration};

use ports::{Clock, SystemClock};
use postgres_server::{
    Action, CloneOptions, RecoveryError, Roll, Scratch, ScratchRequest, Shadow, ShadowError, StopMode,
    Target, WalSource, clone_directory,
    shadow::Reached,
    testing::{self, PATIENCE},
};

use crate::primary::{Primary, some_majors};

fn open(primary: &Primary, dir: &Path) -> Shadow {
    let installation = testing::installation(primary.server.major());
    Shadow::open(dir, installation, testing::account(), Arc::new(SystemClock::new())).unwrap()
}

fn with_roll<T>(primary: &Primary, until: Option<u64>, use_it: impl FnOnce(&mut Roll<'_>) -> T) -> T {
    let wal = WalSource::Folder(primary.wal.clone());
    use_it(&mut Roll { wal, until, timeout: PATIENCE, progress: &mut |_| {} })
}

fn base(shadow: &mut Shadow, primary: &Primary) {
    let restored = primary.base_backup("base");
    primary.archive();
    let data = shadow.begin_base().unwrap();
    clone_directory(&restored, &data, CloneOptions::default(), &SystemClock::new(), &|_| {}).unwrap();
    let report = with_roll(primary, None, |roll| shadow.finish_base(&data, roll)).unwrap();
    assert_eq!(report.reached, Reached::EndOfWal);
}

fn scratch(shadow: &Shadow, primary: &Primary, name: &str, lsn: u64) -> Result<Scratch, ShadowError> {
    let request = ScratchRequest {
        folder: primary.server.folder().join(name),
        target: Target::Lsn { lsn, inclusive: false },
        not_after: lsn,
        wal: WalSource::Folder(primary.wal.clone()),
        action: Action::Promote,
        timeout: PATIENCE,
    };
    shadow.scratch_at(&request, &mut |_| {})
}

fn rows(scratch: &Scratch) -> String {
    let url = scratch.url("postgres", "postgres");
    testing::psql(&url, "select string_agg(id::text, ' ' order by id) from rows").unwrap()
}

#[test]
fn a_shadow_rolls_forward_and_serves_older_and_newer_moments() {
    for major in some_majors() {
        let primary = Primary::start(major);
        let folder = primary.server.folder().join("shadow");
        let mut shadow = open(&primary, &folder);
        primary.insert(1);
        base(&mut shadow, &primary);
        primary.insert(2);
        let after_two = primary.server.current_lsn();
        primary.insert(3);
        primary.archive();
        let first = with_roll(&primary, Some(after_two), |roll| shadow.roll_forward(roll)).unwrap();
        assert_eq!(first.reached, Reached::Target, "{major}");
        assert!(first.generation.lsn <= after_two, "{major}");
        let after_three = primary.server.current_lsn();
        primary.insert(4);
        primary.archive();
        let second = with_roll(&primary, None, |roll| shadow.roll_forward(roll)).unwrap();
        assert_eq!(second.reached, Reached::EndOfWal, "{major}");
        assert!(second.generation.lsn > after_three, "{major}");
        assert_eq!(shadow.generations().len(), 2);
        // Before the newest generation, from the older one; then after the newest one.
        let older = scratch(&shadow, &primary, "older", after_three).unwrap();
        assert_eq!(
            (rows(&older).as_str(), older.generation.number),
            ("1 2 3", first.generation.number),
            "{major}"
        );
        primary.insert(5);
        let after_five = primary.server.current_lsn();
        primary.insert(6);
        primary.archive();
        let newer = scratch(&shadow, &primary, "newer", after_five).unwrap();
        assert_eq!(
            (rows(&newer).as_str(), newer.generation.number),
            ("1 2 3 4 5", second.generation.number),
            "{major}"
        );
        let left = primary.server.folder().join("newer");
        drop(newer);
        assert!(!left.exists());
        let too_early = scratch(&shadow, &primary, "early", 1).unwrap_err();
        assert!(matches!(too_early, ShadowError::TooNew { wanted: 1, .. }), "{too_early}");
        let again = with_roll(&primary, Some(after_two), |roll| shadow.roll_forward(roll)).unwrap();
        assert_eq!(again.reached, Reached::Already);
    }
}

#[test]
fn a_killed_roll_forward_leaves_the_generations_usable() {
    let primary = Primary::start(*testing::majors_available().last().unwrap());
    let folder = primary.server.folder().join("shadow");
    let mut shadow = open(&primary, &folder);
    primary.insert(1);
    base(&mut shadow, &primary);
    let before = shadow.generations().to_vec();
    primary.server.sql("insert into rows select i, repeat('y', 500) from generate_series(10, 20000) i");
    let after = primary.server.current_lsn();
    primary.insert(2);
    primary.archive();
    // A process that dies while its server replays leaves the server running and the folder unfinished.
    let folder_left = folder.join("generation-2");
    ports::files::create_scratch(&folder_left).unwrap();
    let server = postgres_server::Server::new(
        testing::installation(primary.server.major()),
        testing::account(),
        &folder_left.join("data"),
        &folder_left.join("control"),
    );
    let from = folder.join("generation-1/data");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    clone_directory(&from, &server.data_dir, CloneOptions::default(), clock.as_ref(), &|_| {}).unwrap();
    let recovery = postgres_server::Recovery {
        standby: true,
        ..postgres_server::Recovery::scratch(Target::Latest, WalSource::Folder(primary.wal.clone()))
    };
    let launch = postgres_server::recovery::prepare_private(&server, &recovery).unwrap();
    let mut left = server.spawn(&launch, Arc::clone(&clock)).unwrap();
    while !left.log().contains("redo starts at") {
        assert!(clock.elapsed() < PATIENCE && left.is_running(), "{}", left.log());
        clock.sleep(Duration::from_millis(10));
    }
    drop(shadow);
    let mut shadow = open(&primary, &folder);
    assert!(!left.is_running(), "the server left behind still runs");
    assert!(!folder_left.exists());
    assert_eq!(shadow.generations(), before);
    with_roll(&primary, None, |roll| shadow.roll_forward(roll)).unwrap();
    let copy = scratch(&shadow, &primary, "copy", after);
    let copy = match copy {
        Err(ShadowError::TooNew { .. }) => panic!("no generation before {after}"),
        other => other.unwrap(),
    };
    let count = testing::psql(&copy.url("postgres", "postgres"), "select count(*) from rows");
    assert_eq!(count, Ok("19992".to_owned()));
}

#[test]
fn a_base_without_its_wal_becomes_no_generation() {
    let mut primary = Primary::start(testing::majors_available()[0]);
    let folder = primary.server.folder().join("shadow");
    let mut shadow = open(&primary, &folder);
    primary.insert(1);
    let restored = primary.base_backup("base");
    primary.server.stop(StopMode::Immediate);
    let data = shadow.begin_base().unwrap();
    clone_directory(&restored, &data, CloneOptions::default(), &SystemClock::new(), &|_| {}).unwrap();
    for entry in std::fs::read_dir(&primary.wal).unwrap().flatten() {
        std::fs::remove_file(entry.path()).unwrap();
    }
    let wal = WalSource::Folder(primary.wal.clone());
    let timeout = Duration::from_secs(20);
    let error = shadow
        .finish_base(&data, &mut Roll { wal, until: None, timeout, progress: &mut |_| {} })
        .unwrap_err();
    let ShadowError::Recovery(error) = error else { panic!("{error}") };
    assert!(
        matches!(error, RecoveryError::NotConsistent { .. } | RecoveryError::NoCheckpoint { .. }),
        "{error}"
    );
    drop(shadow);
    assert!(open(&primary, &folder).generations().is_empty());
}

#[test]
fn a_shadow_is_opened_once() {
    let primary = Primary::start(testing::majors_available()[0]);
    let folder = primary.server.folder().join("shadow");
    let _first = open(&primary, &folder);
    let installation = testing::installation(primary.server.major());
    let second = Shadow::open(&folder, installation, testing::account(), Arc::new(SystemClock::new()));
    assert!(matches!(second, Err(ShadowError::Locked { .. })));
}
