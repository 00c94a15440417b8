use proptest::prelude::*;

use super::{align::Step, *};
use crate::document::Kind;

fn document(fields: &[(&str, &str)], lines: &[&str]) -> Document {
    let mut document = Document::new(Kind::Record, "a", None);
    for (name, value) in fields {
        document.field(name, value);
    }
    document.body = lines.iter().map(|&line| line.to_owned()).collect();
    document
}

fn shown(pieces: &[Piece]) -> String {
    pieces
        .iter()
        .map(|piece| if piece.is_changed { format!("[{}]", piece.text) } else { piece.text.clone() })
        .collect()
}

#[test]
fn fields_and_words_are_marked() {
    let old = document(&[("To", "anna@x, bob@x"), ("Gone", "1"), ("Same", "s"), ("To", "again")], &["a"]);
    let new = document(&[("To", "anna@x, carl@x"), ("Same", "s"), ("New", "2"), ("To", "again")], &["a"]);
    let found = difference(&old, &new);
    let told: Vec<_> = found
        .fields
        .iter()
        .map(|field| (field.name.as_str(), field.change, shown(&field.old), shown(&field.new)))
        .collect();
    assert_eq!(
        told,
        [
            ("To", Change::Changed, "anna@x, [bob]@x".to_owned(), "anna@x, [carl]@x".to_owned()),
            ("Gone", Change::Removed, "[1]".to_owned(), String::new()),
            ("New", Change::Added, String::new(), "[2]".to_owned()),
        ]
    );
    assert!(found.lines.is_empty() && !found.is_empty());
    assert!(difference(&old, &old).is_empty());
}

#[test]
fn lines_are_shown_with_what_is_around_them() {
    let lines: Vec<String> = (1..=20).map(|number| format!("line {number}")).collect();
    let old: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut new = old.clone();
    new[9] = "line ten";
    new.insert(15, "between");
    let found = difference(&document(&[], &old), &document(&[], &new));
    let told: Vec<String> = found
        .lines
        .iter()
        .map(|line| match line {
            LineChange::Same { old, new, text } => format!(" {old}/{new} {text}"),
            LineChange::Removed { old, pieces } => format!("-{old} {}", shown(pieces)),
            LineChange::Added { new, pieces } => format!("+{new} {}", shown(pieces)),
            LineChange::Skipped { lines } => format!("… {lines}"),
        })
        .collect();
    assert_eq!(
        told,
        [
            "… 6",
            " 7/7 line 7",
            " 8/8 line 8",
            " 9/9 line 9",
            "-10 line [10]",
            "+10 line [ten]",
            " 11/11 line 11",
            " 12/12 line 12",
            " 13/13 line 13",
            " 14/14 line 14",
            " 15/15 line 15",
            "+16 [between]",
            " 16/17 line 16",
            " 17/18 line 17",
            " 18/19 line 18",
            "… 2",
        ]
    );
    assert_eq!((found.removed_lines, found.added_lines, found.is_cut), (1, 2, false));
}

#[test]
fn large_and_hostile_texts_are_compared_within_bounds() {
    let many: Vec<String> = (0..100_000).map(|number| format!("line {number}")).collect();
    let mut other = many.clone();
    other[90_000] = "another".to_owned();
    let of = |lines: Vec<String>| Document { body: lines, ..document(&[], &[]) };
    let found = difference(&of(many.clone()), &of(other));
    assert_eq!((found.removed_lines, found.added_lines, found.lines.len()), (1, 1, 10));

    // Nothing in common; the same few lines in another order; lines without end.
    let nothing = of((0..100_000).map(|number| format!("{number} other")).collect());
    let found = difference(&of(many), &nothing);
    assert_eq!((found.removed_lines, found.added_lines, found.is_cut), (100_000, 100_000, true));
    assert!(found.lines.len() <= LINES_MAX);
    let repeated = |a: &str, b: &str| of((0..50_000).flat_map(|_| [a.to_owned(), b.to_owned()]).collect());
    difference(&repeated("a", "b"), &repeated("b", "c"));
    let long = |word: &str| of(vec![format!("{word} ").repeat(1 << 18)]);
    let found = difference(&long("a"), &long("b"));
    assert_eq!((found.removed_lines, found.added_lines), (1, 1));
}

proptest! {
    #[test]
    fn the_steps_lead_from_one_text_to_the_other(
        old in proptest::collection::vec(0_u8..6, 0..30),
        new in proptest::collection::vec(0_u8..6, 0..30),
    ) {
        let text = |numbers: &[u8]| -> Vec<String> { numbers.iter().map(ToString::to_string).collect() };
        let (old, new) = (text(&old), text(&new));
        let (mut at_old, mut at_new) = (0, 0);
        for step in align::align(&old, &new) {
            match step {
                Step::Same { old: from, new: to, count } => {
                    prop_assert_eq!((from, to), (at_old, at_new));
                    prop_assert!(count > 0);
                    prop_assert_eq!(&old[from..from + count], &new[to..to + count]);
                    (at_old, at_new) = (from + count, to + count);
                }
                Step::Changed { old: removed, new: added } => {
                    prop_assert_eq!((removed.start, added.start), (at_old, at_new));
                    prop_assert!(removed.len() + added.len() > 0);
                    (at_old, at_new) = (removed.end, added.end);
                }
            }
        }
        prop_assert_eq!((at_old, at_new), (old.len(), new.len()));
    }

    #[test]
    fn the_pieces_of_a_line_are_the_line(old in "[a-c \\-é]{0,30}", new in "[a-c \\-é]{0,30}") {
        let (before, after, _) = words::pieces(&old, &new);
        let joined = |pieces: &[Piece]| pieces.iter().map(|piece| piece.text.as_str()).collect::<String>();
        prop_assert_eq!(joined(&before), old);
        prop_assert_eq!(joined(&after), new);
        let same = |pieces: &[Piece]| -> String {
            pieces.iter().filter(|piece| !piece.is_changed).map(|piece| piece.text.as_str()).collect()
        };
        prop_assert_eq!(same(&before), same(&after));
    }
}
