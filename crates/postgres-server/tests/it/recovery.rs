//! Recovery of base backups to every kind of target.

use std::{path::Path, sync::Arc};

use model::Moment;
use ports::{Clock, SystemClock};
use postgres_server::{
    Action, CloneOptions, Recovery, RecoveryError, RunningServer, Server, Settings, StopMode, Target,
    WalSource, clone_directory, lsn,
    recovery::{forget_recovery, prepare_for_use, recover, wait_recovered},
    testing::{self, PATIENCE},
};

use crate::primary::{Primary, some_majors};

struct Incident {
    primary: Primary,
    base: std::path::PathBuf,
    before_lsn: u64,
    before_time: Moment,
    xid: u32,
}

/// Rows 1 and 2 are good, row 1 is in the base; then all rows are deleted, and row 3 comes after.
fn incident(major: u32) -> Incident {
    let primary = Primary::start(major);
    primary.insert(1);
    let base = primary.base_backup("base");
    primary.insert(2);
    let before_lsn = primary.server.current_lsn();
    let micros = primary.server.sql("select (extract(epoch from clock_timestamp()) * 1000000)::bigint");
    let before_time = Moment::from_micros(micros.parse().unwrap());
    let xid = primary.destroy();
    primary.insert(3);
    primary.archive();
    Incident { primary, base, before_lsn, before_time, xid }
}

fn copy_of(incident: &Incident, name: &str) -> Server {
    let folder = incident.primary.server.folder().join(name);
    let server = Server::new(
        testing::installation(incident.primary.server.major()),
        testing::account(),
        &folder.join("data"),
        &folder.join("control"),
    );
    clone_directory(&incident.base, &server.data_dir, CloneOptions::default(), &SystemClock::new(), &|_| {})
        .unwrap();
    server
}

fn attempt(
    incident: &Incident,
    name: &str,
    target: Target,
    action: Action,
) -> Result<RunningServer, RecoveryError> {
    let server = copy_of(incident, name);
    let recovery = Recovery::scratch(target, WalSource::Folder(incident.primary.wal.clone())).then(action);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (running, _) = recover(&server, &recovery, &clock, PATIENCE, &mut |_| {})?;
    Ok(running)
}

fn rows(server: &RunningServer) -> String {
    let url = server.url("postgres", "postgres");
    testing::psql(&url, "select coalesce(string_agg(id::text, ' ' order by id), 'none') from rows").unwrap()
}

#[test]
fn every_target_is_met_exactly() {
    for major in testing::majors_available() {
        let incident = incident(major);
        let lsn = incident.before_lsn;
        let moment = incident.before_time;
        let xid = incident.xid;
        let cases = [
            ("latest", Target::Latest, "3"),
            ("consistent", Target::Consistent, "1"),
            ("time", Target::Time { moment, inclusive: true }, "1 2"),
            ("lsn", Target::Lsn { lsn, inclusive: false }, "1 2"),
            ("before-transaction", Target::Transaction { xid, inclusive: false }, "1 2"),
            ("after-transaction", Target::Transaction { xid, inclusive: true }, "none"),
        ];
        for (name, target, expected) in cases {
            let running = attempt(&incident, name, target, Action::Promote)
                .unwrap_or_else(|error| panic!("{major} {name}: {error}"));
            assert_eq!(rows(&running), expected, "{major} {name}");
            let url = running.url("postgres", "postgres");
            assert_eq!(
                testing::psql(&url, "insert into rows values (9, 'writable') returning id"),
                Ok("9".into())
            );
        }
    }
}

#[test]
fn a_paused_server_can_be_read_and_not_written() {
    for major in some_majors() {
        let incident = incident(major);
        let target = Target::Transaction { xid: incident.xid, inclusive: false };
        let running = attempt(&incident, "paused", target, Action::Pause).unwrap();
        assert_eq!(rows(&running), "1 2", "{major}");
        let refusal = testing::psql(&running.url("postgres", "postgres"), "delete from rows").unwrap_err();
        assert!(refusal.contains("read-only transaction"), "{refusal}");
    }
}

#[test]
fn a_target_beyond_the_wal_is_an_error_that_says_how_far_it_goes() {
    for major in some_majors() {
        let incident = incident(major);
        let target = Target::Transaction { xid: 4_000_000, inclusive: false };
        let error = attempt(&incident, "beyond", target, Action::Promote).unwrap_err();
        let RecoveryError::TargetNotReached { last_lsn, missing, last_commit } = &error else {
            panic!("{error}")
        };
        assert!(last_lsn.unwrap() > incident.before_lsn, "{major}");
        assert_eq!(missing.as_deref().map(str::len), Some(24), "{major}");
        assert!(last_commit.is_some() && error.hint().is_some(), "{major}");
    }
}

#[test]
fn a_target_before_the_base_is_told_from_one_beyond_the_wal() {
    for major in some_majors() {
        let incident = incident(major);
        let target = Target::Lsn { lsn: 1, inclusive: false };
        let error = attempt(&incident, "too-early", target, Action::Promote).unwrap_err();
        assert!(matches!(error, RecoveryError::TargetBeforeBase { .. }), "{major}: {error}");
    }
}

#[test]
fn missing_wal_is_named() {
    let incident = incident(testing::majors_available()[0]);
    for entry in std::fs::read_dir(&incident.primary.wal).unwrap().flatten() {
        std::fs::remove_file(entry.path()).unwrap();
    }
    let error = attempt(&incident, "no-wal", Target::Latest, Action::Promote).unwrap_err();
    let RecoveryError::NoCheckpoint { missing: Some(file) } = &error else { panic!("{error}") };
    assert_eq!(file.len(), 24);
}

/// A WAL file that is there and cannot be read must not pass for the end of the WAL.
#[test]
fn unreadable_wal_is_no_end() {
    let incident = incident(testing::majors_available()[0]);
    let mut files: Vec<_> =
        std::fs::read_dir(&incident.primary.wal).unwrap().flatten().map(|e| e.path()).collect();
    files.retain(|path| path.file_name().is_some_and(|name| name.len() == 24));
    files.sort();
    let last = files.pop().unwrap();
    std::fs::remove_file(&last).unwrap();
    std::fs::create_dir(&last).unwrap();
    let error = attempt(&incident, "unreadable", Target::Latest, Action::Promote).unwrap_err();
    assert!(matches!(error, RecoveryError::WalSource { .. }), "{error}");
}

#[test]
fn another_major_version_is_refused_before_anything_is_touched() {
    let incident = incident(testing::majors_available()[0]);
    let mut server = copy_of(&incident, "foreign");
    server.installation.major += 1;
    let recovery = Recovery::scratch(Target::Latest, WalSource::Present);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let error = recover(&server, &recovery, &clock, PATIENCE, &mut |_| {}).unwrap_err();
    assert!(matches!(error, RecoveryError::Major { .. }), "{error}");
    assert!(server.data_dir.join("backup_label").exists());
}

/// Settings that the primary raised after the base are found out while replaying.
#[test]
fn raised_limits_of_the_primary_are_followed() {
    for major in some_majors() {
        let mut primary = Primary::start(major);
        primary.insert(1);
        let base = primary.base_backup("base");
        primary.server.restart(StopMode::Fast, |settings: &mut Settings| {
            settings.set("max_connections", &150);
            settings.set("max_prepared_transactions", &7);
        });
        primary.insert(2);
        let (before_lsn, before_time) = (primary.server.current_lsn(), Moment::from_micros(0));
        let xid = primary.destroy();
        primary.archive();
        let incident = Incident { primary, base, before_lsn, before_time, xid };
        let target = Target::Transaction { xid, inclusive: false };
        let running = attempt(&incident, "raised", target, Action::Pause).unwrap();
        assert_eq!(rows(&running), "1 2", "{major}");
    }
}

/// Production's files name things that only its machine has; a private server must start nevertheless.
#[test]
fn hostile_configuration_does_not_reach_a_private_server() {
    for major in some_majors() {
        let incident = incident(major);
        let mark = incident.primary.server.folder().join("archived");
        let hostile = format!(
            "include '/etc/nowhere/extra.conf'\ndata_directory = '/nowhere'\nssl = on\narchive_mode = on\n\
             archive_command = 'touch {}'\nshared_preload_libraries = 'no_such_library'\nno_such_setting = 1\n",
            mark.display()
        );
        for name in ["postgresql.conf", "postgresql.auto.conf"] {
            overwrite(&incident.base.join(name), &hostile);
        }
        overwrite(&incident.base.join("pg_hba.conf"), "nonsense\n");
        let target = Target::Lsn { lsn: incident.before_lsn, inclusive: false };
        let running = attempt(&incident, "hostile", target, Action::Promote).unwrap();
        assert_eq!(rows(&running), "1 2", "{major}");
        testing::psql(&running.url("postgres", "postgres"), "select pg_switch_wal()").unwrap();
        assert!(!mark.exists());
    }
}

#[test]
fn a_cluster_for_use_keeps_its_configuration() {
    for major in some_majors() {
        let incident = incident(major);
        let mut text = std::fs::read_to_string(incident.base.join("postgresql.conf")).unwrap();
        text.push_str("\nwork_mem = '7MB'\n");
        overwrite(&incident.base.join("postgresql.conf"), &text);
        let server = copy_of(&incident, "for-use");
        let target = Target::Transaction { xid: incident.xid, inclusive: false };
        let recovery = Recovery::for_use(target, WalSource::Folder(incident.primary.wal.clone()));
        assert!(!prepare_for_use(&server, &recovery).unwrap().configuration_missing);
        let launch = postgres_server::Launch::restored(Settings::new().with("archive_mode", "off"));
        let mut running = server.spawn(&launch, Arc::new(SystemClock::new())).unwrap();
        let recovered = wait_recovered(&mut running, &recovery, PATIENCE, &mut |_| {}).unwrap();
        let stopped = recovered.stopped.unwrap();
        assert!(stopped.contains(&format!("before commit of transaction {}", incident.xid)), "{stopped}");
        assert_eq!(rows(&running), "1 2", "{major}");
        let url = running.url("postgres", "postgres");
        assert_eq!(testing::psql(&url, "show work_mem"), Ok("7MB".into()));
        forget_recovery(&server.data_dir).unwrap();
        let auto = std::fs::read_to_string(server.data_dir.join("postgresql.auto.conf")).unwrap();
        assert!(!auto.contains("recovery_target"), "{auto}");
        testing::psql(&url, "alter system set work_mem = '8MB'").unwrap();
    }
}

fn overwrite(path: &Path, text: &str) {
    std::fs::remove_file(path).unwrap();
    ports::files::create_new(path, text.as_bytes(), 0o644).unwrap();
}

#[test]
fn progress_moves_forward() {
    let incident = incident(testing::majors_available()[0]);
    let server = copy_of(&incident, "progress");
    let recovery = Recovery::scratch(Target::Latest, WalSource::Folder(incident.primary.wal.clone()));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut heard = Vec::new();
    let (_running, recovered) =
        recover(&server, &recovery, &clock, PATIENCE, &mut |p| heard.push(p.clone())).unwrap();
    assert!(
        !heard.is_empty() && heard.windows(2).all(|pair| pair[0].replayed <= pair[1].replayed),
        "{heard:?}"
    );
    assert!(recovered.last_lsn.unwrap() > incident.before_lsn, "{}", lsn::to_text(incident.before_lsn));
}
