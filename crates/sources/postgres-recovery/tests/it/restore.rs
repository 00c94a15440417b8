//! Whole clusters: to a position, to a time, to before a transaction, on either branch.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use connect::Silent;
use ports::SystemClock;
use postgres_recovery::{
    ClusterHistory, RestoreOptions, RestoredCluster, Start, Target, cluster::RestoreError, resolve,
    restore_cluster,
};
use postgres_server::{
    Listen,
    testing::{PATIENCE, TestServer, account, installation, majors_available, psql, reachable_folder},
};

use crate::store::MemoryStore;

pub(crate) fn production(major: u32) -> TestServer {
    TestServer::start(major, |options| {
        options.settings.set("wal_keep_size", "1GB");
        options.settings.set("autovacuum", "off");
    })
}

pub(crate) fn options(major: u32, control: &Path) -> RestoreOptions {
    RestoreOptions {
        installation: installation(major),
        account: account(),
        control_dir: control.to_owned(),
        tablespaces: BTreeMap::new(),
        start: Start::Private { listen: Listen::Socket, access: vec!["local all all trust".to_owned()] },
        durable: true,
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
