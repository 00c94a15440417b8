//! Drills, fingerprints, exports; faults that only a fingerprint sees.

use ::drill::{Budget, CheckResult, Outcome, OverBudget, ProbeConfig};
use std::{fs::OpenOptions, os::unix::fs::FileExt, path::Path, sync::Arc};

use connect::Silent;
use ports::{Clock, SystemClock};
use postgres_recovery::{
    ClusterHistory, DrillError, DrillReport, DrillRequest, RecoveryRoute, RestoredCluster, TableFormat,
    Target, Truth,
    drill::{self, Limits as DrillLimits, Programs},
    export_table, export_wal, fingerprint, resolve, restore_cluster,
};
use postgres_server::{
    Launch, Server, Settings, StopMode,
    testing::{PATIENCE, TestServer, account, installation, installations, reachable_folder},
};
use postgres_wire::{Connection, ConnectionSettings, Limits, Mode};

use crate::{
    restore::{options, production_with, restore},
    shadow::scratch_options,
    store::MemoryStore,
};

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

fn logical(major: u32) -> TestServer {
    production_with(major, |settings| settings.set("wal_level", "logical"))
}

#[test]
fn a_drill_proves_the_recorded_fingerprint_while_production_moves_on() {
    let server = logical(15);
    server.sql("create table t as select i as id, md5(i::text) as text from generate_series(1, 20000) i");
    let mut store = MemoryStore::default();
    store.take_base(&server);
    server.sql("update t set text = 'changed' where id % 7 = 0");
    let taken = fingerprint::of_production(&settings(&server), "unwipe_fingerprint", &clock()).unwrap();
    let recorded = taken.fingerprint;
    server.sql("delete from t where id > 100");
    store.take_base(&server);
    store.take_wal(&server);
    assert_eq!(recorded.tables["postgres.public.t"].rows, 20000);
    let history = ClusterHistory::read(&store).unwrap();
    let route = resolve(&store, &history, Target::BeforeLsn(recorded.lsn.unwrap()), None).unwrap().route;
    let folder = reachable_folder();
    let folder = folder.path().join("drill");
    let hold = |route: &RecoveryRoute, truth: &Truth| {
        held(&store, &history, route, truth, &folder, Budget::default()).unwrap()
    };
    let truth = Truth::Recorded(recorded.clone());
    let report = hold(&route, &truth);
    assert_eq!(report.outcome(), Outcome::Proven, "{report:?}");
    let result =
        |subject: &str| report.checks.iter().find(|check| check.subject.contains(subject)).unwrap().result;
    let amcheck = if Programs::find(installations(), 15).amcheck.is_some() {
        CheckResult::Passed
    } else {
        CheckResult::NotChecked
    };
    assert_eq!(result("pg_amcheck"), amcheck, "{report:?}");
    assert_ne!(result("pg_checksums"), CheckResult::Failed, "{report:?}");
    assert!(report.probes.len() == 2 && report.probes[0].held && report.space_bytes > 1 << 20, "{report:?}");
    assert_eq!(report.probes[1].answer.as_deref(), Some("t"));
    // Another moment is another content: the same truth must fail there, and name the table.
    let latest = history.choose_latest(None).unwrap();
    let report = hold(&latest, &truth);
    assert_eq!(report.outcome(), Outcome::Failed);
    assert_eq!(report.tally.named[0].what, "postgres.public.t has 100 rows instead of 20000");
    assert!(!report.probes[0].held, "the owner's question is not answered as expected either");
    // Two bases lead to the same content.
    let older = RecoveryRoute { base: history.bases[0].clone(), ..latest.clone() };
    let report = hold(&latest, &Truth::SecondRecovery(Box::new(older)));
    assert!(report.tally.total == 0 && report.tally.counts.equal == 1, "{report:?}");
    let nothing = hold(&route, &Truth::None);
    assert_eq!(nothing.outcome(), Outcome::Hypothesis, "{nothing:?}");
    // What does not fit into the budget is refused before, or stopped; it says nothing of the vault.
    let small = Budget { space_bytes: Some(1 << 20), ..Budget::default() };
    let refused = held(&store, &history, &route, &truth, &folder, small);
    assert!(matches!(refused, Err(DrillError::Over(OverBudget::Space { .. }))), "{refused:?}");
    let short = Budget { time_s: Some(0), ..Budget::default() };
    let stopped = held(&store, &history, &route, &truth, &folder, short);
    assert!(matches!(stopped, Err(DrillError::Over(OverBudget::Time { .. }))), "{stopped:?}");
    assert!(!folder.exists(), "the scratch folder is gone");
}

fn held(
    store: &MemoryStore,
    history: &ClusterHistory,
    route: &RecoveryRoute,
    truth: &Truth,
    folder: &Path,
    budget: Budget,
) -> Result<DrillReport, DrillError> {
    let probe = |sql: &str, expect: &str| ProbeConfig {
        source: model::SourceName::new("shop").unwrap(),
        database: "postgres".to_owned(),
        sql: sql.to_owned(),
        expect: expect.parse().unwrap(),
        timeout: None,
    };
    let probes = [
        probe("select count(*) from t", "> 1000"),
        probe("select current_setting('transaction_read_only') = 'on'", "t"),
    ];
    let limits = DrillLimits { budget, began: clock().elapsed(), clock: clock() };
    let limits = DrillLimits { began: limits.clock.elapsed(), ..limits };
    let request = DrillRequest {
        stored: store,
        history,
        truth,
        probes: &probes.iter().collect::<Vec<_>>(),
        programs: &Programs::find(installations(), 15),
        limits: &limits,
        options: &scratch_options(15, folder),
        progress: &Silent,
    };
    drill::drill(route, &request)
}

type Fault = Box<dyn Fn(&std::fs::File)>;

/// Changes a page of a stopped cluster.
fn damage(data: &Path, relation: &str, change: impl FnOnce(&std::fs::File)) {
    let file = OpenOptions::new().read(true).write(true).open(data.join(relation)).unwrap();
    change(&file);
}

fn start_again(restored: &RestoredCluster, control: &Path) -> postgres_server::RunningServer {
    let server = Server::new(installation(15), account(), &restored.directory, control);
    let settings = Settings::new().with("autovacuum", "off").with("fsync", "off");
    server.start(&Launch::private(settings).ready_within(PATIENCE), clock()).unwrap()
}

#[test]
fn a_zeroed_a_cut_off_and_a_stale_page_are_found_and_named() {
    let server = logical(15);
    server.sql("create table t as select i as id, 0 as n from generate_series(1, 20000) i");
    let mut store = MemoryStore::default();
    store.take_base(&server);
    server.sql("update t set n = 1 where id = 10000");
    server.sql("checkpoint");
    let relation = server.sql("select pg_relation_filepath('t')");
    let stale_block: u64 =
        server.sql("select (ctid::text::point)[0]::int from t where id = 9999").parse().unwrap();
    // The page as it was before: valid, and of the past.
    let folder = reachable_folder();
    let before = restore_stopped(&store_at_base(&server, &mut store), folder.path());
    let mut stale = vec![0; 8192];
    let file = std::fs::File::open(before.directory.join(&relation)).unwrap();
    file.read_exact_at(&mut stale, stale_block * 8192).unwrap();

    let taken = fingerprint::of_production(&settings(&server), "unwipe_fingerprint", &clock()).unwrap();
    let expected = taken.fingerprint;
    store.take_wal(&server);
    let faults: [(&str, Fault, &str); 4] = [
        ("none", Box::new(|_| {}), ""),
        (
            "zeroed",
            Box::new(|file| file.write_all_at(&[0; 8192], 5 * 8192).unwrap()),
            "rows instead of 20000",
        ),
        (
            "cut off",
            Box::new(|file| file.set_len(file.metadata().unwrap().len() - 3 * 8192).unwrap()),
            "rows instead of 20000",
        ),
        (
            "stale",
            Box::new(move |file| file.write_all_at(&stale, stale_block * 8192).unwrap()),
            "postgres.public.t",
        ),
    ];
    for (name, fault, words) in faults {
        let folder = reachable_folder();
        let restored = restore_stopped(&store, folder.path());
        damage(&restored.directory, &relation, fault);
        let running = start_again(&restored, &folder.path().join("again"));
        let found = fingerprint::of_scratch(&|database| running.url("postgres", database), &clock()).unwrap();
        assert!(found.unreadable.is_empty(), "{name}: {:?}", found.unreadable);
        let findings = drill::findings(&expected, &found.fingerprint);
        let history = ClusterHistory::read(&store).unwrap();
        let route = history.choose_latest(None).unwrap();
        let options = scratch_options(15, &folder.path().join("second"));
        let url = |database: &str| running.url("postgres", database);
        let again = drill::compare_with_stored(&url, &store, &history, &route, &options, &Silent).unwrap();
        assert_eq!(again, findings, "{name}");
        if words.is_empty() {
            assert!(findings.is_empty(), "{name}: {findings:?}");
        } else {
            assert!(findings.len() == 1 && findings[0].contains(words), "{name}: {findings:?}");
        }
    }
}

/// Returns a copy of the store whose WAL ends where the base becomes consistent.
fn store_at_base(server: &TestServer, store: &mut MemoryStore) -> MemoryStore {
    store.take_wal(server);
    let mut cut = store.clone();
    let end = ClusterHistory::read(store).unwrap().bases[0].base.end_lsn;
    cut.forget_wal(1, end, u64::MAX);
    cut
}

/// Restores the newest moment and stops the server cleanly.
fn restore_stopped(store: &MemoryStore, folder: &Path) -> RestoredCluster {
    let mut restored = restore(store, 15, "latest", folder).unwrap();
    restored.running.as_mut().unwrap().stop(StopMode::Fast, PATIENCE).unwrap();
    restored
}

#[test]
fn wal_and_tables_leave_in_forms_of_their_own() {
    let server = production_with(15, |_| {});
    server.sql(
        "create table \"Odd name\" (id int, \"text\" text, twice int generated always as (id * 2) stored)",
    );
    let mut store = MemoryStore::default();
    store.take_base(&server);
    server.sql("insert into \"Odd name\" (id, text) values (1, 'a,b'), (2, null)");
    server.sql("select pg_switch_wal()");
    server.sql("insert into \"Odd name\" (id, text) values (3, E'line\\nline')");
    let end = store.take_wal(&server);
    let history = ClusterHistory::read(&store).unwrap();
    let folder = reachable_folder();
    let wal = folder.path().join("wal");
    let start = history.bases[0].base.start_lsn;
    let names = export_wal(&store, &history, 1, start..end, &wal).unwrap();
    assert!(names.len() >= 2, "{names:?}");
    let own = std::fs::read(server.data_dir().join("pg_wal").join(&names[0])).unwrap();
    assert!(
        std::fs::read(wal.join(&names[0])).unwrap() == own,
        "a whole segment differs from the server's own"
    );

    let route = history.choose_latest(None).unwrap();
    let options = options(15, &folder.path().join("control"));
    let data = folder.path().join("data");
    let restored = restore_cluster(&store, &history, &route, &data, &options, &Silent).unwrap();
    let url = restored.running.as_ref().unwrap().url("postgres", "postgres");
    let settings = ConnectionSettings::from_url(&url).unwrap();
    let mut connection = Connection::connect(&settings, Mode::Sql, &Limits::default(), clock()).unwrap();
    for (name, format) in
        [("t.csv", TableFormat::Csv), ("t.sql", TableFormat::Sql), ("t.copy", TableFormat::CopyBinary)]
    {
        let path = folder.path().join(name);
        assert_eq!(export_table(&mut connection, "public", "Odd name", format, &path).unwrap(), 3, "{name}");
    }
    let csv = std::fs::read_to_string(folder.path().join("t.csv")).unwrap();
    assert_eq!(csv, "id,text\n1,\"a,b\"\n2,\n3,\"line\nline\"\n");
    // The script fills the table on another server.
    server.sql("truncate \"Odd name\"");
    let script = std::fs::read_to_string(folder.path().join("t.sql")).unwrap();
    let program = postgres_server::testing::installations().newest_tool("psql", 13).unwrap();
    let status = std::process::Command::new(program)
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &server.url(), "-f"])
        .arg(folder.path().join("t.sql"))
        .status()
        .unwrap();
    assert!(status.success(), "{script}");
    assert_eq!(server.sql("select count(*), sum(twice) from \"Odd name\""), "3|12");
}

fn settings(server: &postgres_server::testing::TestServer) -> postgres_wire::ConnectionSettings {
    postgres_wire::ConnectionSettings::from_url(&server.url()).unwrap()
}
