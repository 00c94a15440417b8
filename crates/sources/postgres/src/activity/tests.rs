use super::*;

fn sighting(transaction: u32, process: i32, statement: &str, at: i64) -> Sighting {
    Sighting {
        transaction,
        process,
        actor: Actor { identity: "agent".into(), ..Actor::default() },
        statement: Some(statement.into()),
        seen_at: Moment::from_micros(at),
    }
}

fn statement(sightings: &Sightings, transaction: u32) -> Option<&str> {
    sightings.of(transaction, Moment::from_micros(0))?.statement
}

#[test]
fn the_destroying_statement_of_a_transaction_is_kept() {
    let mut sightings = Sightings::default();
    for text in ["insert into log values (1)", "DELETE FROM bookings", "select 1", "COMMIT"] {
        sightings.record(sighting(7, 1, text, 0));
    }
    assert_eq!(statement(&sightings, 7), Some("DELETE FROM bookings"));
    assert!(sightings.of(8, Moment::from_micros(0)).is_none());
}

#[test]
fn a_number_of_an_earlier_round_of_the_counter_is_not_believed() {
    let mut sightings = Sightings::default();
    sightings.record(sighting(7, 1, "delete from a", 0));
    assert!(sightings.of(7, Moment::from_micros(SIGHTING_AGE_MAX_MICROS + 1)).is_none());
    sightings.record(sighting(7, 2, "select 1", 5));
    assert_eq!(statement(&sightings, 7), Some("select 1"));
}

#[test]
fn memory_is_bounded() {
    let mut sightings = Sightings::default();
    for transaction in 0..(SIGHTINGS_MAX as u32 + 10) {
        sightings.record(sighting(transaction, 1, "x", 0));
        sightings.record(sighting(transaction, 1, "y", 0));
    }
    assert_eq!(sightings.by_transaction.len(), SIGHTINGS_MAX);
    assert_eq!(sightings.order.len(), SIGHTINGS_MAX);
    assert!(sightings.of(0, Moment::from_micros(0)).is_none());
}

fn finished(process: i32, began: i64, ended: i64) -> Finished {
    Finished {
        process,
        actor: Actor { identity: format!("role {process}"), ..Actor::default() },
        statement: Some("INSERT".to_owned()),
        began_at: Moment::from_micros(began),
        ended_at: Moment::from_micros(ended),
    }
}

#[test]
fn a_short_transaction_is_known_by_the_one_session_whose_statement_spans_its_commit() {
    let mut sightings = Sightings::default();
    sightings.record_finished(finished(1, 100, 200));
    sightings.record_finished(finished(1, 100, 200));
    sightings.record_finished(finished(2, 150, 250));
    let who = |at| sightings.of(7, Moment::from_micros(at)).map(|known| known.actor.identity.clone());
    assert_eq!(who(120).as_deref(), Some("role 1"));
    assert_eq!(who(250).as_deref(), Some("role 2"));
    assert_eq!(who(160), None, "two sessions fit: nobody is named");
    assert_eq!(who(90), None);
    sightings.record_finished(Finished { statement: Some("SELECT 1".into()), ..finished(3, 90, 260) });
    let who = |at| sightings.of(7, Moment::from_micros(at)).map(|known| known.actor.identity.clone());
    assert_eq!(who(120).as_deref(), Some("role 1"), "a session that only read is no candidate");
}
