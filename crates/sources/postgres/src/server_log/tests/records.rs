use model::Attribution;

use super::*;
use crate::activity::{Sighting, Sightings};

const NOON: i64 = 1_795_608_000_000_000;

fn line(process: i32, local: u32, transaction: u32, at_ms: i64, message: &str) -> Line {
    let local = format!("3/{local}");
    let (time, start) = (moment(at_ms).to_string(), Moment::from_micros(NOON).to_string());
    let text = |time: &str| time.replace('T', " ").replace('Z', " UTC");
    let json = serde_json::json!({
        "timestamp": text(&time), "user": format!("role {process}"), "dbname": "shop", "remote_host": "[local]",
        "session_id": format!("{:x}.{process:x}", NOON / 1_000_000), "session_start": text(&start), "vxid": local,
        "txid": transaction, "error_severity": if message.starts_with('!') { "ERROR" } else { "LOG" },
        "message": message,
    });
    LineReader::default().json(json.to_string().as_bytes()).unwrap()
}

fn moment(at_ms: i64) -> Moment {
    Moment::from_micros(NOON + at_ms * 1000)
}

fn records(lines: &[(i32, u32, u32, i64, &str)]) -> Records {
    let mut records = Records::default();
    for &(process, local, transaction, at, message) in lines {
        records.take(line(process, local, transaction, at, message), moment(at));
    }
    records
}

fn bookings() -> [Effect; 1] {
    [Effect { verb: Verb::Delete, target: "shop.public.bookings".to_owned(), count: 5 }]
}

fn guess(records: &Records, at_ms: i64) -> Option<String> {
    records.guess("shop", &bookings(), moment(at_ms)).map(|(actor, _)| actor.identity.clone())
}

#[test]
fn what_a_session_said_before_its_transaction_had_a_number_belongs_to_it() {
    let records = records(&[
        (7, 1, 0, 0, "statement: delete from bookings"),
        (8, 1, 0, 1, "statement: delete from bookings where id = 8"),
        (7, 1, 700, 2, "statement: insert into log values (1)"),
        (7, 1, 700, 3, "statement: commit"),
    ]);
    let (actor, statement) = records.of(700, moment(4)).unwrap();
    assert_eq!((actor.identity.as_str(), statement), ("role 7", Some("delete from bookings")));
    assert!(records.of(701, moment(4)).is_none());
    assert_eq!(
        guess(&records, 4).as_deref(),
        Some("role 8"),
        "what has its number is no candidate for others"
    );
    let later = moment(25 * 3600 * 1000);
    assert!(records.of(700, later).is_none(), "the number came round again");
}

#[test]
fn the_only_session_that_ran_a_statement_on_the_table_is_a_guess() {
    let one = &[(7, 1, 0, 100, "duration: 50.0 ms  statement: DELETE FROM \"bookings\" WHERE true")];
    assert_eq!(guess(&records(one), 99).as_deref(), Some("role 7"));
    assert_eq!(guess(&records(one), 40), None, "it had not begun");
    assert_eq!(guess(&records(one), 110), None, "it had ended");
    assert!(records(one).guess("other", &bookings(), moment(99)).is_none(), "another database");
    let two = &[one[0], (8, 1, 0, 90, "statement: delete from bookings where id = 3")];
    assert_eq!(guess(&records(two), 99), None, "two sessions fit: nobody is named");
    let reads = &[one[0], (8, 1, 0, 90, "statement: select * from bookings")];
    assert_eq!(guess(&records(reads), 99).as_deref(), Some("role 7"));
    let adds = &[one[0], (8, 1, 0, 90, "statement: insert into bookings values (1)")];
    assert_eq!(guess(&records(adds), 99).as_deref(), Some("role 7"));
    let elsewhere = &[one[0], (8, 1, 0, 90, "statement: delete from bookings_old")];
    assert_eq!(guess(&records(elsewhere), 99).as_deref(), Some("role 7"));
}

#[test]
fn a_statement_ends_with_its_duration_or_with_the_next_transaction_of_its_session() {
    let ends = [
        (7, 0, 0, 20, "duration: 20.0 ms"),
        (7, 2, 0, 20, "statement: select 1"),
        (7, 2, 800, 20, "statement: commit"),
    ];
    for end in ends {
        let records = records(&[(7, 1, 0, 0, "statement: delete from bookings"), end]);
        assert_eq!(guess(&records, 15).as_deref(), Some("role 7"), "{end:?}");
        assert_eq!(guess(&records, 30), None, "{end:?}");
    }
}

#[test]
fn a_statement_that_failed_is_no_candidate() {
    let records = records(&[
        (7, 1, 0, 0, "statement: delete from bookings"),
        (7, 1, 0, 1, "!permission denied for table bookings"),
        (8, 1, 0, 1, "statement: delete from bookings"),
    ]);
    assert_eq!(guess(&records, 2).as_deref(), Some("role 8"));
}

#[test]
fn what_pgaudit_says_it_was_done_to_counts_as_the_statement_naming_it() {
    let audit = "AUDIT: SESSION,1,1,WRITE,DELETE,TABLE,public.bookings,execute q(3),<none>";
    assert_eq!(guess(&records(&[(7, 1, 0, 0, audit)]), 1).as_deref(), Some("role 7"));
}

#[test]
fn memory_is_bounded() {
    let mut records = Records::default();
    let template = line(7, 1, 700, 0, "statement: delete from a");
    for transaction in 1..40_000 {
        records.take(Line { transaction: Some(transaction), ..template.clone() }, moment(0));
    }
    assert!(records.of(1, moment(0)).is_none());
    assert!(records.of(39_999, moment(0)).is_some());
}

#[test]
fn a_record_is_believed_before_a_look_and_mends_the_statement_of_one() {
    let mut sightings = Sightings::default();
    for transaction in [700, 701] {
        let actor = Actor { identity: "seen".into(), ..Actor::default() };
        let statement = Some("COMMIT".to_owned());
        sightings.record(Sighting { transaction, process: 7, actor, statement, seen_at: moment(5) });
    }
    sightings.take_line(line(7, 1, 0, 0, "statement: delete from bookings"), moment(5));
    sightings.take_line(line(8, 1, 701, 0, "execute s: truncate rooms"), moment(5));
    let told = |transaction| {
        let known = sightings.of(transaction, moment(6)).unwrap();
        (known.actor.identity.as_str(), known.attribution, known.statement.unwrap())
    };
    assert_eq!(told(700), ("seen", Attribution::Sampled, "delete from bookings"));
    assert_eq!(told(701), ("role 8", Attribution::Recorded, "truncate rooms"));
    let guess = sightings.guess("shop", &bookings(), moment(6)).unwrap();
    assert_eq!((guess.actor.identity.as_str(), guess.attribution), ("role 7", Attribution::Inferred));
}
