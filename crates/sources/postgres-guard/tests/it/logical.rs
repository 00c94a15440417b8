//! Logical replication tells of a wipe before it commits, and makes no statement of production fail.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use model::{Event, Stage, Verb};
use ports::SystemClock;
use postgres_guard::logical::{self, LogicalGuard};
use postgres_server::testing::TestServer;
use watch::containment::Container;

use crate::world::{connect, container, guarded, settings, suspect};

/// Runs something while the guard tells.
fn followed(server: &TestServer, work: impl FnOnce(&mpsc::Receiver<(Stage, Event)>)) {
    let guard = LogicalGuard::new(settings(server, "postgres"), Arc::new(SystemClock::new()));
    let stop = AtomicBool::new(false);
    let ((told, tell), (is_ready, ready)) = (mpsc::channel(), mpsc::channel());
    thread::scope(|scope| {
        let following = scope.spawn(|| {
            guard.run(&stop, || is_ready.send(()).unwrap(), |stage, event| told.send((stage, event)).unwrap())
        });
        ready.recv_timeout(Duration::from_mins(1)).unwrap();
        work(&tell);
        stop.store(true, Ordering::SeqCst);
        following.join().unwrap().unwrap();
    });
}

fn next(tell: &mpsc::Receiver<(Stage, Event)>) -> (Stage, Event) {
    tell.recv_timeout(Duration::from_mins(1)).unwrap()
}

/// Waits for the process of an ended session to be gone, which takes its slot with it.
fn is_without_slots(server: &TestServer) -> bool {
    (0..600).any(|_| server.sql("select count(*), pg_sleep(0.1) from pg_replication_slots") == "0|")
}

#[test]
fn a_delete_is_seen_and_stopped_before_it_commits() {
    for major in [15, 18] {
        let mut server = guarded(major);
        server.restart(postgres_server::StopMode::Fast, |settings| settings.set("wal_level", "logical"));
        server.sql("insert into bookings select generate_series(50001, 200000)");
        server.sql("create table keyless (n int); insert into keyless values (1)");
        server.sql(logical::publication_script());
        followed(&server, |tell| {
            let mut guard = container(&server);
            let mut agent = connect(&server, "agent");
            // The statement ends long before its commit is asked for.
            agent.simple_query("begin; delete from bookings").unwrap();
            server.sql("select txid_current()");
            let (stage, event) = next(tell);
            assert_eq!((stage, event.effects[0].verb), (Stage::Underway, Verb::Delete));
            assert_eq!(event.effects[0].target, "postgres.public.bookings");
            let proposal = guard.propose(&suspect(Some(&event.transaction))).unwrap().unwrap();
            assert_eq!(proposal.actor.identity, "agent");
            for action in &proposal.actions {
                guard.take(action, model::Moment::from_micros(0)).unwrap();
            }
            assert!(agent.simple_query("commit").is_err());
        });
        assert_eq!(server.sql("select count(*) from bookings"), "200000");

        followed(&server, |tell| {
            // A table without a key: its DELETE goes on as ever, and only its TRUNCATE is told of.
            server.sql("delete from keyless; truncate keyless");
            let (stage, event) = next(tell);
            assert_eq!((stage, event.effects[0].verb), (Stage::Done, Verb::Truncate));
            assert_eq!(event.effects[0].target, "postgres.public.keyless");
        });
        assert!(is_without_slots(&server), "a slot was left");
        server.sql(logical::publication_removal());
        assert_eq!(server.sql("select count(*) from pg_publication"), "0");
    }
}
