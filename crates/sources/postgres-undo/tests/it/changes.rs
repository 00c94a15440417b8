//! Changed and added rows: what is the transaction's goes, what is somebody's stays.

use connect::plan::{ApplyMode, WriteError};

use crate::story::{Story, connect, digest};

const SHOP: &str = "
    CREATE TABLE bookings (id integer PRIMARY KEY, car text, price numeric, code text UNIQUE);
    CREATE TABLE log (at timestamptz DEFAULT now(), what text);
    INSERT INTO bookings SELECT g, 'car ' || g, g, 'b' || g FROM generate_series(1, 1000) g;
    INSERT INTO log (what) SELECT 'entry ' || g % 10 FROM generate_series(1, 100) g;
";

#[test]
fn later_work_is_a_conflict_and_stays() {
    let mut story = Story::begin(15, SHOP);
    let number = story.transaction(
        "UPDATE bookings SET price = 0 WHERE id > 100; \
         INSERT INTO bookings SELECT g, 'fake', 1, 'f' || g FROM generate_series(2001, 2025) g; \
         DELETE FROM bookings WHERE id IN (5, 6, 7)",
    );
    story.sql("UPDATE bookings SET price = 7700 WHERE id = 500");
    story.sql("UPDATE bookings SET car = 'promised' WHERE id = 2001");
    story.sql("DELETE FROM bookings WHERE id = 600");
    story.sql("INSERT INTO bookings VALUES (5, 'again', 5, 'x5'), (5000, 'taker', 1, 'b6')");
    story.sql("UPDATE bookings SET price = 4200 WHERE id = 50");
    let planned = story.plan(number);
    let counts = planned.plan.counts;
    assert_eq!((counts.reverted, counts.removed, counts.inserted), (898, 24, 1), "{counts:?}");
    let mut keys: Vec<_> = planned.plan.conflicts.iter().map(|conflict| conflict.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys.len(), 5, "{keys:?}");
    assert!(["id=5", "id=6", "id=500", "id=600"].iter().all(|key| keys.contains(key)), "{keys:?}");
    story.apply_and_verify(&planned);
    assert_eq!(
        story.sql(
            "SELECT string_agg(id || ':' || price, ' ' ORDER BY id) FROM bookings WHERE price IN (7700, 4200, 0)"
        ),
        "50:4200 500:7700"
    );
    assert_eq!(story.sql("SELECT count(*) FROM bookings WHERE car = 'fake'"), "0");
    assert_eq!(
        story.sql("SELECT car FROM bookings WHERE id IN (5, 2001, 5000) ORDER BY id"),
        "again\npromised\ntaker"
    );
}

#[test]
fn facts_that_change_after_planning_are_reported_and_left_alone() {
    let mut story = Story::begin(15, SHOP);
    let number = story.transaction(
        "UPDATE bookings SET price = 0 WHERE id > 990; DELETE FROM bookings WHERE id < 5; \
         INSERT INTO bookings VALUES (2001, 'fake', 1, 'f1'), (2002, 'fake', 1, 'f2')",
    );
    let planned = story.plan(number);
    assert_eq!(planned.plan.counts.conflicts, 0);
    story.sql(
        "UPDATE bookings SET price = 1 WHERE id = 995; UPDATE bookings SET car = 'kept' WHERE id = 2001",
    );
    story.sql("INSERT INTO bookings VALUES (2, 'new', 2, 'n2'), (7000, 'thief', 3, 'b3')");
    let applied = story.apply(&planned, ApplyMode::Lasting).unwrap();
    let counts = applied.counts;
    assert_eq!(
        (counts.reverted, counts.removed, counts.inserted, counts.conflicts),
        (9, 1, 2, 4),
        "{applied:#?}"
    );
    let mut keys: Vec<_> = applied.conflicts.iter().map(|conflict| conflict.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["id=2", "id=2001", "id=3", "id=995"]);
    assert_eq!(story.sql("SELECT price FROM bookings WHERE id = 995"), "1");
    assert_eq!(story.sql("SELECT car FROM bookings WHERE id IN (2, 2001) ORDER BY id"), "new\nkept");
    let verification = story.verify(&planned);
    assert!(!verification.is_good(), "what was left alone is not as it was");
}

#[test]
fn keys_that_were_shifted_go_back() {
    let mut story = Story::begin(15, SHOP);
    let before = digest(|sql| story.sql(sql), "SELECT * FROM bookings");
    let number = story.transaction(
        "UPDATE bookings SET id = id + 100000; UPDATE bookings SET id = id - 99999; \
         DELETE FROM bookings WHERE id = 10; INSERT INTO bookings VALUES (10, 'fake', 0, 'b9')",
    );
    let planned = story.plan(number);
    assert_eq!(planned.plan.counts.conflicts, 0, "{:#?}", planned.plan.conflicts);
    story.apply_and_verify(&planned);
    assert_eq!(digest(|sql| story.sql(sql), "SELECT * FROM bookings"), before);
}

#[test]
fn rows_without_a_key_are_counted() {
    let mut story = Story::begin(15, SHOP);
    let count = "SELECT what, count(*) FROM log GROUP BY 1 ORDER BY 1";
    let number = story.transaction(
        "DELETE FROM log WHERE what IN ('entry 1', 'entry 2'); UPDATE log SET what = 'x' WHERE what = 'entry 3'; \
         INSERT INTO log (what) VALUES ('fake')",
    );
    let before = story.sql(count);
    assert!(before.contains("x|10"));
    // Rows that are exactly like deleted ones: these are somebody's, and none of the deleted is taken for them.
    story.sql("INSERT INTO log SELECT at, 'entry 1' FROM log LIMIT 1");
    let planned = story.plan(number);
    assert_eq!(planned.plan.counts.conflicts, 0, "{:#?}", planned.plan);
    story.apply_and_verify(&planned);
    let after = story.sql(count);
    assert!(
        after.contains("entry 1|11\n") && after.contains("entry 2|10\n") && after.contains("entry 3|10\n"),
        "{after}"
    );
    assert!(!after.contains("fake"));
}

#[test]
fn a_rewritten_table_is_searched_by_key() {
    let mut story = Story::begin(15, SHOP);
    let number = story
        .transaction("UPDATE bookings SET price = 0 WHERE id > 990; DELETE FROM bookings WHERE id < 500");
    story.sql("UPDATE bookings SET price = 3 WHERE id = 999");
    story.sql("VACUUM FULL bookings");
    let planned = story.plan(number);
    assert_eq!(planned.plan.counts.reverted, 9, "{:#?}", planned.plan);
    story.sql("VACUUM FULL bookings");
    story.apply_and_verify(&planned);
    assert_eq!(story.sql("SELECT sum(price) FROM bookings"), (500_500 - 999 + 3).to_string());
}

#[test]
fn savepoints_that_were_rolled_back_are_not_undone() {
    let mut story = Story::begin(15, SHOP);
    let before = digest(|sql| story.sql(sql), "SELECT * FROM bookings");
    let number = story.transaction(
        "SAVEPOINT a; DELETE FROM bookings WHERE id < 10; RELEASE a; SAVEPOINT b; \
         UPDATE bookings SET price = 9 WHERE id > 900; ROLLBACK TO b; \
         SAVEPOINT c; UPDATE bookings SET price = price + 1 WHERE id BETWEEN 20 AND 30; \
         UPDATE bookings SET price = price + 1 WHERE id BETWEEN 25 AND 30; DELETE FROM bookings WHERE id = 30",
    );
    let planned = story.plan(number);
    assert_eq!((planned.plan.counts.inserted, planned.plan.counts.reverted), (10, 10));
    story.apply_and_verify(&planned);
    assert_eq!(digest(|sql| story.sql(sql), "SELECT * FROM bookings"), before);
}

#[test]
fn an_application_that_is_killed_leaves_nothing_behind() {
    let mut story = Story::begin(15, SHOP);
    let number = story.transaction("DELETE FROM bookings; INSERT INTO log (what) VALUES ('fake')");
    let planned = story.plan(number);
    let now = digest(|sql| story.sql(sql), "SELECT * FROM log");
    // Somebody holds a row that is to be removed: the application waits there, with half of its work done.
    let mut holder = connect(&story.production.url());
    holder.execute("BEGIN; SELECT FROM log WHERE what = 'fake' FOR UPDATE").unwrap();
    let killed = std::thread::scope(|scope| {
        let application = scope.spawn(|| story.apply(&planned, ApplyMode::Lasting));
        let waiting =
            "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%unwipe_%'";
        let process = loop {
            let found = story.sql(waiting);
            if !found.is_empty() {
                break found;
            }
        };
        story.sql(&format!("SELECT pg_terminate_backend({process})"));
        application.join().expect("the thread ends")
    });
    assert!(matches!(killed, Err(WriteError::Source { .. })), "{killed:?}");
    drop(holder);
    assert_eq!(story.sql("SELECT count(*) FROM bookings"), "0");
    assert_eq!(digest(|sql| story.sql(sql), "SELECT * FROM log"), now);
    story.apply_and_verify(&planned);
    assert_eq!(story.sql("SELECT count(*) FROM bookings"), "1000");
}

#[test]
fn rows_that_are_removed_can_be_had_again() {
    let mut story = Story::begin(15, SHOP);
    let number = story.transaction(
        "INSERT INTO bookings SELECT g, 'fake', 1, 'f' || g FROM generate_series(2001, 2025) g; \
         INSERT INTO log (what) VALUES ('spam')",
    );
    let planned = story.plan(number);
    assert!(
        planned.plan.notes.iter().any(|note| note.contains("unwipe_quarantine")),
        "{:?}",
        planned.plan.notes
    );
    let applied = story.apply_and_verify(&planned);
    let hash = planned.plan.hash().unwrap().to_string();
    let table = format!("unwipe_quarantine.public_bookings_{}", &hash[..8]);
    assert!(applied.notes.iter().any(|note| note.contains(&table)), "{:?}", applied.notes);
    assert_eq!(
        story.sql(&format!(
            "SELECT count(*), min(content->>'code'), max(content->>'code'), min(plan) = '{hash}' FROM {table}"
        )),
        "25|f2001|f2025|t"
    );
    assert_eq!(story.sql("SELECT count(*) FROM bookings WHERE car = 'fake'"), "0");
    // They come back with one statement.
    story.sql(&format!(
        "INSERT INTO bookings SELECT (jsonb_populate_record(NULL::bookings, content)).* FROM {table}"
    ));
    assert_eq!(story.sql("SELECT count(*) FROM bookings WHERE car = 'fake'"), "25");
}
