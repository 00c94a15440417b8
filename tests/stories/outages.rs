//! Servers that go away, change, or lose the slot while they are captured.

use postgres_server::StopMode;
use rustix::process::Signal;

use crate::{
    comeback::Comeback,
    production::{Production, SLOT, content, newest_major},
    unwipe::{Unwipe, exit, wait_until},
};

const TABLES: [&str; 2] = ["customers", "orders"];

#[test]
fn a_server_that_stops_in_mid_stream_is_followed_again() {
    let mut production = Production::start(newest_major());
    production.open_shop(200);
    let unwipe = Unwipe::protecting(&production.capture_url());
    let mut capture = unwipe.capture();
    production.wait_for_stream();
    for mode in [StopMode::Fast, StopMode::Immediate] {
        production
            .sql("insert into orders(customer, amount) select 1 + g % 200, g from generate_series(1,500) g");
        production.server.restart(mode, |_| {});
        capture.assert_alive();
        production.wait_for_stream();
        production.sql("delete from orders where id % 11 = 0");
    }
    production.wait_for_reader();
    capture.end(Signal::TERM).expect(exit::DONE);
    let comeback = Comeback::to(&unwipe, "latest", "back");
    assert_eq!(content(comeback.url(), &TABLES), production.content(&TABLES));
    assert_eq!(unwipe.json(&["verify", "--read-data"])["sound"], true);
}

#[test]
fn a_promoted_standby_is_followed_onto_its_timeline() {
    let mut production = Production::start(newest_major());
    production.open_shop(200);
    let unwipe = Unwipe::protecting(&production.capture_url());
    let mut capture = unwipe.capture();
    production.wait_for_stream();
    production.sql("insert into customers(name) values ('before the promotion')");
    production.wait_for_reader();
    production.become_standby();
    production.sql("select pg_promote()");
    wait_until("the promotion", || production.sql("select pg_is_in_recovery()") == "f");
    production.sql("insert into customers(name) values ('after the promotion'); checkpoint");
    production.wait_for_stream();
    production.wait_for_reader();
    capture.assert_alive();
    capture.end(Signal::TERM).expect(exit::DONE);

    let comeback = Comeback::to(&unwipe, "latest", "back");
    assert_eq!(comeback.account["timeline"], 2);
    assert_eq!(content(comeback.url(), &TABLES), production.content(&TABLES));
    let timeline = unwipe.run(&["timeline", "shop", "--all"]).expect(exit::DONE).stdout;
    assert!(timeline.contains("customers"), "{timeline}");
}

#[test]
fn a_dropped_slot_leads_to_a_hole_that_is_shown_and_a_new_base() {
    let production = Production::start(newest_major());
    production.open_shop(200);
    let unwipe = Unwipe::protecting(&production.capture_url());
    unwipe.capture_once();
    let transaction = production
        .sql("begin; insert into customers(name) values ('captured'); select pg_current_xact_id(); commit");
    unwipe.capture_once();
    let captured = production.content(&TABLES);

    production.sql(&format!("select pg_drop_replication_slot('{SLOT}')"));
    production.sql("insert into customers(name) values ('in the hole')");
    // Two segments and two checkpoints: what was between is recycled.
    for _ in 0..4 {
        production.sql("select pg_switch_wal(); checkpoint");
    }
    let inside = production.sql("select pg_current_wal_lsn()");
    production.sql("select pg_switch_wal(); checkpoint");
    unwipe.capture_once();
    production.sql("insert into customers(name) values ('after the hole')");
    unwipe.capture_once();

    let comeback = Comeback::to(&unwipe, "latest", "back");
    assert_eq!(content(comeback.url(), &TABLES), production.content(&TABLES));
    comeback.stop();
    let refused = Comeback::attempt(&unwipe, &format!("lsn:{inside}"), "inside").expect(exit::NOTHING);
    assert!(refused.stderr.contains("0/"), "the nearest positions are not named: {refused}");
    let timeline = unwipe.run(&["timeline", "shop", "--all"]).expect(exit::DONE).stdout;
    assert!(timeline.contains("a hole: "), "the hole is not in the timeline:\n{timeline}");

    let comeback = Comeback::to(&unwipe, &format!("transaction:{transaction}"), "before-the-hole");
    assert_eq!(content(comeback.url(), &TABLES), captured);
}
