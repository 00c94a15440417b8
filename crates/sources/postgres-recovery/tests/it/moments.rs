//! Exact positions for times and transactions.

use model::Moment;
use postgres_recovery::{ClusterHistory, ResolveError, RouteError, Stop, Target, resolve, windows};
use postgres_server::{lsn, testing::reachable_folder};
use source_postgres::layout::Hole;

use crate::{
    restore::{ask, production, restore},
    store::MemoryStore,
};

#[test]
fn a_time_is_the_state_after_its_last_commit() {
    let server = production(15);
    server.sql("create table t (id int)");
    let mut store = MemoryStore::default();
    store.take_base(&server);
    let mut times = Vec::new();
    for id in 1..=5 {
        server.sql(&format!("insert into t values ({id})"));
        times.push(server.sql("select extract(epoch from clock_timestamp()) * 1000000"));
    }
    store.take_wal(&server);
    let history = ClusterHistory::read(&store).unwrap();
    for (index, text) in times.iter().enumerate().take(4) {
        let micros: i64 = text.split('.').next().unwrap().parse().unwrap();
        let target = Moment::from_micros(micros).to_string();
        let folder = reachable_folder();
        let restored = restore(&store, 15, &target, folder.path()).unwrap();
        assert_eq!(ask(&restored, "select count(*) from t"), (index + 1).to_string(), "{target}");
    }
    let windows = windows(&store, &history).unwrap();
    assert_eq!(windows.len(), 1);
    let last = windows[0].last_at.unwrap();
    let newest = resolve(&store, &history, Target::Moment(last), None).unwrap();
    assert_eq!(newest.route.stop, Stop::After(newest.commit.unwrap().lsn));
    // The newest moment is that of the last commit: what came later is not known.
    for (asked, wanted) in [(last.plus_micros(1), Some(last)), (Moment::from_micros(0), Some(last))] {
        match resolve(&store, &history, Target::Moment(asked), None) {
            Err(error @ ResolveError::MomentOutside { newest, oldest, .. }) => {
                assert_eq!(newest, wanted);
                assert_eq!(oldest, Some(history.bases[0].base.finished_at));
                assert!(error.hint().is_some());
            }
            other => panic!("{asked}: {other:?}"),
        }
    }
}

#[test]
fn a_subtransaction_and_a_prepared_one_are_found() {
    let server =
        crate::restore::production_with(15, |settings| settings.set("max_prepared_transactions", &4));
    server.sql("create table t (id int)");
    let mut store = MemoryStore::default();
    store.take_base(&server);
    let inner = server.sql(
        "begin; insert into t values (1); savepoint a; insert into t values (2); \
         create temp table x as select xmin::text as id from t where id = 2; commit; select id from x",
    );
    server.sql("begin; insert into t values (3); prepare transaction 'p'");
    let prepared = server.sql("select transaction from pg_prepared_xacts");
    server.sql("insert into t values (4)");
    server.sql("commit prepared 'p'");
    store.take_wal(&server);
    let history = ClusterHistory::read(&store).unwrap();
    let find =
        |id: &str| resolve(&store, &history, format!("transaction:{id}").parse().unwrap(), None).unwrap();
    assert!(find(&inner).commit.unwrap().transaction < inner.parse().unwrap());
    let folder = reachable_folder();
    let target = format!("before-transaction:{prepared}");
    let restored = restore(&store, 15, &target, folder.path()).unwrap();
    assert_eq!(ask(&restored, "select string_agg(id::text, ',' order by id) from t"), "1,2,4");
    // It is still prepared, as it was at that moment.
    assert_eq!(ask(&restored, "select transaction from pg_prepared_xacts"), prepared);
    match resolve(&store, &history, Target::Transaction(4_000_000_000), None) {
        Err(ResolveError::NoTransaction { transaction: 4_000_000_000 }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn missing_wal_is_refused_with_its_position_and_everything_before_it_works() {
    let server = production(15);
    server.sql("create table t (id int)");
    let mut store = MemoryStore::default();
    let (_, end) = store.take_base(&server);
    server.sql("insert into t select generate_series(1, 1000)");
    let before = server.current_lsn();
    server.sql("select pg_switch_wal()");
    server.sql("insert into t select generate_series(1001, 2000)");
    let late = server.sql("begin; insert into t values (2001); select txid_current(); commit");
    server.sql("select pg_switch_wal()");
    server.sql("insert into t values (2002)");
    let gap_end = server.current_lsn() / (16 << 20) * (16 << 20);
    let gap = gap_end - (16 << 20);
    store.take_wal(&server);
    store.forget_wal(1, gap, gap_end);
    store.note_hole(&Hole {
        timeline: 1,
        from_lsn: gap,
        to_lsn: gap_end,
        reason: "the slot was lost".to_owned(),
        noticed_at: Moment::from_micros(0),
    });
    let history = ClusterHistory::read(&store).unwrap();
    assert!(end <= gap && before <= gap);
    let error = history.choose(1, Stop::Before(gap_end + 100)).unwrap_err();
    let RouteError::MissingWal { timeline: 1, from, to: Some(to), nearest, reason } = error else {
        panic!("{error}")
    };
    assert_eq!(reason.as_deref(), Some("the slot was lost"));
    assert_eq!((from, to, nearest.before), (gap, gap_end, Some(gap)));
    match resolve(&store, &history, format!("transaction:{late}").parse().unwrap(), None) {
        Err(ResolveError::NoTransaction { .. }) => {}
        other => panic!("{other:?}"),
    }
    // A time that lies in the gap, or after it, is refused for the same reason: its commits are not known.
    let late = Moment::from_micros(i64::MAX / 2);
    match resolve(&store, &history, Target::Moment(late), None) {
        Err(ResolveError::Route(RouteError::MissingWal { from, .. })) => assert_eq!(from, gap),
        other => panic!("{other:?}"),
    }
    let folder = reachable_folder();
    let restored = restore(&store, 15, &format!("before:{}", lsn::to_text(gap)), folder.path()).unwrap();
    assert_eq!(ask(&restored, "select count(*) from t"), "1000");
    let latest = history.choose_latest(None).unwrap();
    assert_eq!(latest.lost_after, Some(gap));
}
