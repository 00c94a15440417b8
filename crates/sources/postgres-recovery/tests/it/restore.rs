//! Whole clusters: to a position, to a time, to before a transaction, on either branch.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use connect::Silent;
use ports::SystemClock;
use postgres_recovery::{
    ClusterHistory, RestoreOptions, RestoredCluster, Start, Target, cluster::RestoreError, resolve,
    restore_cluster,
};
use postgres_server::{
    Listen, Settings, StopMode,
    testing::{PATIENCE, TestServer, account, installation, majors_available, psql, reachable_folder},
};

use crate::store::MemoryStore;

pub(crate) fn production(major: u32) -> TestServer {
    production_with(major, |_| {})
}

pub(crate) fn production_with(major: u32, change: impl FnOnce(&mut Settings)) -> TestServer {
    TestServer::start(major, |options| {
        options.settings.set("wal_keep_size", "1GB");
        options.settings.set("autovacuum", "off");
        change(&mut options.settings);
    })
}

pub(crate) fn options(major: u32, control: &Path) -> RestoreOptions {
    RestoreOptions {
        installation: installation(major),
        account: account(),
        control_dir: control.to_owned(),
        tablespaces: BTreeMap::new(),
        start: Start::Private { listen: Listen::Socket, access: vec!["local all all trust".to_owned()] },
        settings: Settings::new(),
        durable: false,
        timeout: PATIENCE,
        clock: Arc::new(SystemClock::new()),
    }
}

pub(crate) fn restore(
    store: &MemoryStore,
    major: u32,
    target: &str,
    folder: &Path,
) -> Result<RestoredCluster, RestoreError> {
    let history = ClusterHistory::read(store).unwrap();
    let target: Target = target.parse().unwrap();
    let resolution = resolve(store, &history, target, None).unwrap();
    let options = options(major, &folder.join("control"));
    restore_cluster(store, &history, &resolution.route, &folder.join("data"), &options, &Silent)
}

pub(crate) fn ask(restored: &RestoredCluster, sql: &str) -> String {
    psql(&restored.running.as_ref().unwrap().url("postgres", "postgres"), sql).unwrap()
}

#[test]
fn every_major_comes_back_before_a_drop_and_after_it() {
    for major in majors_available() {
        let server = production(major);
        let mut store = MemoryStore::default();
        server.sql("create table t as select generate_series(1, 1000) as id");
        store.take_base(&server);
        server.sql("insert into t select generate_series(1001, 2000)");
        let transaction = server.sql("begin; drop table t; select txid_current(); commit");
        server.sql("create table later (id int)");
        store.take_wal(&server);
        let folder = reachable_folder();
        let target = format!("before-transaction:{transaction}");
        let restored = restore(&store, major, &target, folder.path()).unwrap();
        assert_eq!(ask(&restored, "select count(*), sum(id) from t"), "2000|2001000", "{major}");
        assert_eq!(ask(&restored, "select to_regclass('later') is null"), "t", "{major}");
        let folder = reachable_folder();
        let restored = restore(&store, major, &format!("transaction:{transaction}"), folder.path()).unwrap();
        assert_eq!(
            ask(&restored, "select to_regclass('t') is null, to_regclass('later') is null"),
            "t|t",
            "{major}"
        );
        let folder = reachable_folder();
        let restored = restore(&store, major, "latest", folder.path()).unwrap();
        assert_eq!(ask(&restored, "select to_regclass('later')"), "later", "{major}");
    }
}

#[test]
fn a_tablespace_comes_back_inside_or_where_it_is_told() {
    let server = production(15);
    let place = server.folder().join("space");
    std::fs::create_dir(&place).unwrap();
    account().own(&place).unwrap();
    server.sql(&format!("create tablespace fast location '{}'", place.display()));
    server.sql("create table t tablespace fast as select generate_series(1, 500) as id");
    let mut store = MemoryStore::default();
    store.take_base(&server);
    server.sql("insert into t values (501)");
    store.take_wal(&server);
    let folder = reachable_folder();
    let restored = restore(&store, 15, "latest", folder.path()).unwrap();
    assert_eq!(ask(&restored, "select count(*) from t"), "501");
    drop(restored);

    let history = ClusterHistory::read(&store).unwrap();
    let oid = *history.bases[0].base.tablespaces.keys().next().unwrap();
    for given in [false, true] {
        let folder = reachable_folder();
        let elsewhere = folder.path().join("elsewhere");
        let mut options = options(15, &folder.path().join("control"));
        options.start = Start::Restored(Listen::Socket);
        if given {
            options.tablespaces.insert(oid, elsewhere.clone());
        }
        let route = history.choose_latest(None).unwrap();
        let data = folder.path().join("data");
        let restored = restore_cluster(&store, &history, &route, &data, &options, &Silent).unwrap();
        let expected = if given { elsewhere } else { data.join("pg_tblspc_data").join(oid.to_string()) };
        assert_eq!(std::fs::read_link(data.join("pg_tblspc").join(oid.to_string())).unwrap(), expected);
        assert!(restored.configuration_missing || data.join("postgresql.conf").is_file());
        assert_eq!(std::fs::read_dir(&place).unwrap().count(), 1, "production's tablespace was touched");
    }
}

#[test]
fn a_restored_cluster_does_not_act_as_production() {
    let server = production(15);
    server.sql("alter system set archive_command = 'touch /tmp/unwipe-must-not-exist'");
    server.sql("alter system set synchronous_standby_names = 'vault'");
    let mut store = MemoryStore::default();
    store.take_base(&server);
    store.take_wal(&server);
    let folder = reachable_folder();
    let mut options = options(15, &folder.path().join("control"));
    options.start = Start::No;
    let history = ClusterHistory::read(&store).unwrap();
    let route = history.choose_latest(None).unwrap();
    let data = folder.path().join("data");
    let restored = restore_cluster(&store, &history, &route, &data, &options, &Silent).unwrap();
    assert!(restored.running.is_none());
    assert!(restored.start_command.contains("pg_ctl"), "{}", restored.start_command);
    assert!(!data.join(ports::files::SCRATCH_MARK).exists());
    let text = std::fs::read_to_string(data.join("postgresql.auto.conf")).unwrap();
    let last = |name: &str| text.lines().rfind(|line| line.starts_with(name)).unwrap().to_owned();
    assert_eq!(last("archive_mode"), "archive_mode = 'off'");
    assert_eq!(last("synchronous_standby_names"), "synchronous_standby_names = ''");
    assert_eq!(last("archive_command"), "archive_command = 'touch /tmp/unwipe-must-not-exist'");
    // The command that was told starts it.
    let status = std::process::Command::new("sh").args(["-c", &restored.start_command]).output();
    let started = status.is_ok_and(|output| output.status.success());
    let stop = restored.start_command.replace(" start ", " -m immediate stop ");
    let stopped = std::process::Command::new("sh").args(["-c", &stop]).output();
    if std::path::Path::new("/usr/bin/sudo").exists() {
        assert!(started && stopped.is_ok_and(|output| output.status.success()), "{}", restored.start_command);
    }
}

#[test]
fn both_branches_come_back_after_a_promotion() {
    let mut server = production(15);
    server.sql("create table t (branch text)");
    let mut store = MemoryStore::default();
    store.take_base(&server);
    server.sql("insert into t values ('both')");
    let fork = store.take_wal(&server);
    // A restored copy goes its own way from here; the old primary goes on too.
    let folder = reachable_folder();
    let other = restore(&store, 15, "latest", folder.path()).unwrap();
    ask(&other, "insert into t values ('new')");
    ask(&other, "checkpoint");
    server.sql("insert into t values ('old')");
    let old_moment =
        server.sql("select to_char(now() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')");
    server.sql("insert into t values ('old, later')");
    let end = ask(&other, "select pg_current_wal_flush_lsn()");
    store.take_wal_files(&other.directory, postgres_server::lsn::parse(&end).unwrap());
    // The old primary's own files last: the copy holds its timeline only up to the fork.
    store.take_wal(&server);
    drop(other);
    server.stop(StopMode::Immediate);

    let history = ClusterHistory::read(&store).unwrap();
    assert_eq!(history.branches[&2].origin_lsn(), fork);
    let query = "select string_agg(branch, '; ' order by branch) from t";
    let folder = reachable_folder();
    let newest = restore(&store, 15, "latest", folder.path()).unwrap();
    assert_eq!(ask(&newest, query), "both; new");
    assert!(newest.directory.join("pg_wal/00000003.history").is_file(), "a timeline number was used twice");
    let route = history.choose_latest(Some(1)).unwrap();
    let folder = reachable_folder();
    let options = options(15, &folder.path().join("control"));
    let old = restore_cluster(&store, &history, &route, &folder.path().join("d"), &options, &Silent).unwrap();
    assert_eq!(ask(&old, query), "both; old; old, later");
    // The moment exists on the old branch only: the new one had no commit after it.
    let target: Target = old_moment.parse().unwrap();
    let resolution = resolve(&store, &history, target, None).unwrap();
    assert_eq!(resolution.route.branch.timeline, 1);
}
