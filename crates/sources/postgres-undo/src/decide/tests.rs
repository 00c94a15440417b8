use super::*;

const OURS: u32 = 7;
const LATER: u32 = 9;

fn live(place: &str, owner: u32, digest: &str) -> Live {
    Live { place: place.to_owned(), owner, digest: digest.to_owned() }
}

fn facts(deed: Deed, by_key: Option<Live>) -> Facts {
    Facts { deed, digest: "then".to_owned(), by_key, holders: Vec::new() }
}

fn decided(facts: &Facts) -> Decision {
    decide(facts, &Owners([OURS].into()))
}

fn is_conflict(facts: &Facts) -> bool {
    matches!(decided(facts), Decision::Conflict(_))
}

#[test]
fn a_destroyed_row_comes_back_unless_its_key_is_taken() {
    assert_eq!(decided(&facts(Deed::Destroyed, None)), Decision::Insert);
    assert!(is_conflict(&facts(Deed::Destroyed, Some(live("(0,1)", LATER, "other")))));
    assert_eq!(decided(&facts(Deed::Destroyed, Some(live("(0,1)", LATER, "then")))), Decision::Unchanged);
    // What the transaction itself put there is removed by the same plan.
    assert_eq!(decided(&facts(Deed::Destroyed, Some(live("(0,1)", OURS, "other")))), Decision::Insert);
}

#[test]
fn a_unique_value_held_by_somebody_else_keeps_a_row_out() {
    let mut taken = facts(Deed::Destroyed, None);
    taken.holders.push(("users_email_key".to_owned(), live("(0,2)", LATER, "x")));
    assert!(is_conflict(&taken));
    taken.holders[0].1.owner = OURS;
    assert_eq!(decided(&taken), Decision::Insert);
}

#[test]
fn only_the_transactions_own_version_is_reverted() {
    let changed = |left| Deed::Changed { left, places_hold: true };
    let ours = live("(0,3)", OURS, "agent");
    assert_eq!(
        decided(&facts(changed(Some(ours.clone())), Some(ours.clone()))),
        Decision::Revert(ours.clone())
    );
    assert!(is_conflict(&facts(changed(None), Some(live("(0,4)", LATER, "edited")))));
    assert!(is_conflict(&facts(changed(None), None)));
    assert_eq!(decided(&facts(changed(None), Some(live("(0,4)", LATER, "then")))), Decision::Unchanged);
    // A row that moved its key away must not push a later owner of the old key out.
    assert!(is_conflict(&facts(changed(Some(ours)), Some(live("(0,9)", LATER, "new")))));
}

#[test]
fn without_places_the_key_finds_the_row() {
    let moved = Deed::Changed { left: None, places_hold: false };
    let ours = live("(5,3)", OURS, "agent");
    assert_eq!(decided(&facts(moved, Some(ours.clone()))), Decision::Revert(ours));
}

#[test]
fn chosen_rows_are_reverted_only_when_asked() {
    let other = live("(0,1)", LATER, "other");
    assert!(is_conflict(&facts(Deed::Compared { revert: false }, Some(other.clone()))));
    assert_eq!(
        decided(&facts(Deed::Compared { revert: true }, Some(other.clone()))),
        Decision::Revert(other)
    );
    assert_eq!(decided(&facts(Deed::Compared { revert: true }, None)), Decision::Insert);
}
