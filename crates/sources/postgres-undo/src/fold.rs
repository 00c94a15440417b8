//! What becomes of a row that several transactions changed while others worked on it, field by field; from facts alone.

use crate::decide::Owners;

/// A row's restored columns, as `COPY` writes them.
pub(crate) type Fields = Vec<String>;

/// Versions of a row that the undone transactions wrote one after the other: what was before, and what they left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) before: Fields,
    /// Absent where they deleted the row.
    pub(crate) after: Option<Fields>,
}

impl Piece {
    /// Returns the positions of the fields that were changed.
    fn changed(&self) -> Vec<usize> {
        self.after.as_ref().map_or_else(Vec::new, |after| differences(&self.before, after))
    }
}

/// A row as production has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LiveRow {
    pub(crate) place: String,
    pub(crate) owner: u32,
    pub(crate) fields: Fields,
}

/// What becomes of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is put back.
    Insert(Fields),
    /// The row that is there gets these fields.
    Revert(Fields),
    /// It already is as it should be.
    Unchanged,
    /// It is left alone.
    Conflict(String),
}

fn differences(one: &Fields, other: &Fields) -> Vec<usize> {
    (0..one.len().max(other.len())).filter(|position| one.get(*position) != other.get(*position)).collect()
}

/// Decides about one row, and says what of earlier changes stays.
///
/// The last piece decides whether the row comes back or is set back. From there the pieces are followed backwards: of
/// each, the fields that are still as the transactions left them get the values that they had before, unless somebody
/// wrote one of these fields since: then the whole piece stays, and that is told.
pub(crate) fn fold(pieces: &[Piece], live: Option<&LiveRow>, owners: &Owners) -> (Fate, Vec<String>) {
    let mut told = Vec::new();
    let Some((last, earlier)) = pieces.split_last() else { return (Fate::Unchanged, told) };
    let ours = live.is_some_and(|live| owners.0.contains(&live.owner));
    let (mut target, is_there) = match (&last.after, live) {
        (None, Some(live)) if !ours && live.fields == last.before => return (Fate::Unchanged, told),
        (None, Some(live)) if !ours => {
            let reason = "a row with this key exists with other content, written by transaction";
            return (Fate::Conflict(format!("{reason} {}", live.owner)), told);
        }
        (None, _) => (last.before.clone(), false),
        (Some(_), None) => return (Fate::Conflict("the row was deleted later".to_owned()), told),
        (Some(after), Some(live)) if ours && live.fields == *after => (last.before.clone(), true),
        (Some(after), Some(live)) => match without(last, after, &live.fields) {
            Some(target) => (target, true),
            None => {
                let reason = "somebody else changed the same columns later, last by transaction";
                return (Fate::Conflict(format!("{reason} {}", live.owner)), told);
            }
        },
    };
    for piece in earlier.iter().rev() {
        match &piece.after {
            None => {
                told.push("somebody else made the row anew after it was deleted: theirs stays".to_owned());
            }
            Some(after) => match without(piece, after, &target) {
                Some(earlier) => target = earlier,
                None => told.push(
                    "somebody else changed the same columns between two of the transactions: theirs stays"
                        .to_owned(),
                ),
            },
        }
    }
    let fate = match live {
        Some(live) if is_there && live.fields == target => Fate::Unchanged,
        Some(_) if is_there => Fate::Revert(target),
        _ => Fate::Insert(target),
    };
    (fate, told)
}

/// Takes a piece's changes out of a row that others may have changed since; `None` where they changed the same fields.
fn without(piece: &Piece, after: &Fields, row: &Fields) -> Option<Fields> {
    let mut target = row.clone();
    for position in piece.changed() {
        let (was, left, is) = (piece.before.get(position), after.get(position), row.get(position));
        match (was, target.get_mut(position)) {
            (Some(was), Some(field)) if is == left => field.clone_from(was),
            _ if is == was => {}
            _ => return None,
        }
    }
    Some(target)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn row(text: &str) -> Fields {
        text.split(' ').map(str::to_owned).collect()
    }

    fn piece(before: &str, after: &str) -> Piece {
        Piece { before: row(before), after: (!after.is_empty()).then(|| row(after)) }
    }

    fn folded(pieces: &[Piece], live: &str, owner: u32) -> (Fate, usize) {
        let live = LiveRow { place: "(0,1)".to_owned(), owner, fields: row(live) };
        let live = (!live.fields[0].is_empty()).then_some(&live);
        let (fate, told) = fold(pieces, live, &Owners(BTreeSet::from([7])));
        (fate, told.len())
    }

    #[test]
    fn columns_that_somebody_else_changed_stay_and_the_others_go_back() {
        let one = [piece("1 a b", "1 x b")];
        assert_eq!(folded(&one, "1 x b", 7), (Fate::Revert(row("1 a b")), 0));
        assert_eq!(folded(&one, "1 x c", 9), (Fate::Revert(row("1 a c")), 0));
        assert!(matches!(folded(&one, "1 y b", 9).0, Fate::Conflict(_)));
        assert_eq!(folded(&one, "1 a c", 9), (Fate::Unchanged, 0));
        assert!(matches!(folded(&one, "", 9).0, Fate::Conflict(_)));
    }

    #[test]
    fn what_others_wrote_in_between_stays() {
        let twice = [piece("1 a b", "1 x b"), piece("1 x c", "1 y c")];
        assert_eq!(folded(&twice, "1 y c", 7), (Fate::Revert(row("1 a c")), 0));
        // They wrote over the first change: their value comes back, and the first change is nowhere any more.
        let over = [piece("1 a b", "1 x b"), piece("1 z b", "1 y b")];
        assert_eq!(folded(&over, "1 y b", 7), (Fate::Revert(row("1 z b")), 1));
    }

    #[test]
    fn what_is_gone_comes_back_as_others_left_it() {
        let gone = [piece("1 a b", "1 x b"), piece("1 x c", "")];
        assert_eq!(folded(&gone, "", 0), (Fate::Insert(row("1 a c")), 0));
        // Taken by a row that the same plan removes.
        assert_eq!(folded(&gone, "1 q q", 7), (Fate::Insert(row("1 a c")), 0));
        assert!(matches!(folded(&gone, "1 q q", 9).0, Fate::Conflict(_)));
        let anew = [piece("1 a b", ""), piece("1 n n", "")];
        assert_eq!(folded(&anew, "", 0), (Fate::Insert(row("1 n n")), 1));
    }
}
