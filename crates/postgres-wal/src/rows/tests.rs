use super::{RowChange, TransactionRows};
use crate::object::{RelationLocator, TupleId};

const RELATION: RelationLocator = RelationLocator { tablespace: 1663, database: 5, relation: 20_000 };

fn at(offset: u16) -> TupleId {
    TupleId { block: 7, offset }
}

fn inserted(offset: u16) -> RowChange {
    RowChange::Inserted { relation: RELATION, tuple: at(offset) }
}

fn updated(old: u16, new: u16) -> RowChange {
    RowChange::Updated { relation: RELATION, old: at(old), new: at(new) }
}

fn deleted(offset: u16) -> RowChange {
    RowChange::Deleted { relation: RELATION, tuple: at(offset), moved: false }
}

fn rows(changes: &[RowChange], limit: usize) -> TransactionRows {
    let mut rows = TransactionRows::new([], limit);
    for change in changes {
        rows.add(*change);
    }
    rows
}

fn check_net(changes: &[RowChange], expected: &[RowChange]) {
    assert_eq!(rows(changes, 100).net_changes().unwrap(), expected);
}

#[test]
fn chains_of_versions_become_one_change() {
    check_net(&[updated(1, 2), updated(2, 3)], &[updated(1, 3)]);
    check_net(&[updated(1, 2), deleted(2)], &[deleted(1)]);
    check_net(&[inserted(1), updated(1, 2)], &[inserted(2)]);
}

#[test]
fn rows_that_come_and_go_leave_nothing() {
    check_net(&[inserted(1), deleted(1)], &[]);
    check_net(&[inserted(1), updated(1, 2), updated(2, 3), deleted(3)], &[]);
}

#[test]
fn a_place_may_be_taken_again() {
    check_net(&[inserted(1), deleted(1), inserted(1)], &[inserted(1)]);
    // Pruning gives a dead version's place to a new row of the same transaction.
    check_net(&[updated(1, 2), updated(2, 3), inserted(2)], &[inserted(2), updated(1, 3)]);
}

#[test]
fn a_retracted_insertion_never_was() {
    let mut rows = rows(&[inserted(1), inserted(2)], 100);
    rows.retract(inserted(1));
    assert_eq!(rows.changes().unwrap(), [inserted(2)]);
}

#[test]
fn more_rows_than_allowed_are_an_error_and_not_a_part() {
    assert!(rows(&[inserted(1), inserted(2)], 2).changes().is_ok());
    let exceeded = rows(&[inserted(1), inserted(2), inserted(3)], 2);
    assert!(exceeded.changes().is_err() && exceeded.net_changes().is_err());
}
