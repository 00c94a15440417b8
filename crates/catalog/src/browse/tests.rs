use std::collections::BTreeMap;

use proptest::prelude::*;
use rusqlite::StatementStatus;

use super::*;
use crate::{
    Child, Place,
    apply::tests::{applied, removed, upsert_with},
    past, query,
};

pub(crate) fn name(stream: &str) -> StreamName {
    StreamName::new(stream).unwrap()
}

/// What happens to a key in a commit: it comes, or it goes.
type Act = (usize, bool);

const KEYS: [&str; 12] =
    ["", "/a", "a", "a!", "a-b", "a/b", "a/b/c", "a/é", "a/\u{10ffff}", "a0", "b/c/d", "ü"];

/// Applies acts, several to a commit, and returns what was live after each commit.
fn history(acts: &[Vec<Act>]) -> (Catalog, Vec<BTreeMap<&'static str, u64>>) {
    let mut catalog = Catalog::in_memory().unwrap();
    let (mut live, mut all) = (BTreeMap::new(), vec![BTreeMap::new()]);
    for (number, acts) in acts.iter().enumerate() {
        let sequence = number as u64 + 1;
        let mut changes = Vec::new();
        for &(key, comes) in acts {
            let key = KEYS[key % KEYS.len()];
            if comes {
                live.insert(key, sequence);
                changes.push(upsert_with("files", key, 1, "{}"));
                // Another stream's keys lie beside.
                changes.push(upsert_with("other", key, 1, "{}"));
            } else {
                live.remove(key);
                changes.push(removed("files", key));
            }
        }
        catalog.apply(&applied(sequence), changes).unwrap();
        all.push(live.clone());
    }
    (catalog, all)
}

/// Reads all pages, one after the other.
fn all_pages(
    catalog: &Catalog,
    at: u64,
    prefix: &str,
    direction: Direction,
    limit: u32,
) -> Vec<(String, u64)> {
    let (mut all, mut from) = (Vec::new(), None::<String>);
    loop {
        let request = PageRequest { at, prefix, from: from.as_deref(), direction, limit };
        let page = catalog.page(&name("files"), request).unwrap();
        let rows = page.rows.into_iter().map(|row| (row.key, row.from));
        match direction {
            Direction::Forward => all.extend(rows),
            Direction::Back => drop(all.splice(0..0, rows)),
        }
        match page.next {
            Some(next) => from = Some(next),
            None => return all,
        }
    }
}

proptest! {
    #[test]
    fn pages_together_are_the_whole_list(
        acts in proptest::collection::vec(proptest::collection::vec((0..KEYS.len(), any::<bool>()), 0..8), 1..8),
        limit in 1_u32..5,
        prefix in prop_oneof![Just(""), Just("a"), Just("a/"), Just("b/c/"), Just("zz")],
    ) {
        let (catalog, live) = history(&acts);
        for (at, live) in live.iter().enumerate() {
            let wanted: Vec<(String, u64)> = live
                .iter()
                .filter(|(key, _)| key.starts_with(prefix))
                .map(|(key, from)| ((*key).to_owned(), *from))
                .collect();
            for direction in [Direction::Forward, Direction::Back] {
                let found = all_pages(&catalog, at as u64, prefix, direction, limit);
                prop_assert_eq!(&found, &wanted, "at {} {:?}", at, direction);
            }
            for key in KEYS {
                let row = catalog.row_at(&name("files"), key, at as u64).unwrap();
                prop_assert_eq!(row.map(|row| row.from), live.get(key).copied());
            }
        }
    }

    #[test]
    fn folders_together_hold_every_item(
        acts in proptest::collection::vec(proptest::collection::vec((0..KEYS.len(), any::<bool>()), 0..8), 1..8),
        limit in 1_u32..4,
        is_back in any::<bool>(),
    ) {
        let (catalog, live) = history(&acts);
        let direction = if is_back { Direction::Back } else { Direction::Forward };
        for (at, live) in live.iter().enumerate() {
            let mut keys = Vec::new();
            let mut folders = vec![String::new()];
            while let Some(folder) = folders.pop() {
                let mut from = None::<Place>;
                let mut listed = Vec::new();
                loop {
                    let page = (direction, limit);
                    let found = catalog.children(&name("files"), &folder, at as u64, from.as_ref(), page).unwrap();
                    let names = found.children.iter().map(|child| child.key().to_owned());
                    match direction {
                        Direction::Forward => listed.extend(names),
                        Direction::Back => drop(listed.splice(0..0, names)),
                    }
                    for child in found.children {
                        match child {
                            Child::Item(row) => {
                                // An item with keys below it is a folder as well, and is shown once.
                                if live.keys().any(|key| key.starts_with(&format!("{}/", row.key))) {
                                    folders.push(format!("{}/", row.key));
                                }
                                keys.push(row.key);
                            }
                            Child::Group { key } => folders.push(format!("{key}/")),
                        }
                    }
                    match found.next {
                        Some(next) => from = Some(Place::of_text(&next.to_text()).unwrap()),
                        None => break,
                    }
                }
                let mut once = listed.clone();
                once.sort();
                once.dedup();
                prop_assert_eq!(once.len(), listed.len(), "listed twice in {:?}: {:?}", folder, listed);
            }
            keys.sort();
            let wanted: Vec<String> = live.keys().map(|key| (*key).to_owned()).collect();
            prop_assert_eq!(keys, wanted, "at {}", at);
        }
    }
}

#[test]
fn a_key_with_very_many_versions_does_not_hide_its_neighbours() {
    let mut catalog = Catalog::in_memory().unwrap();
    catalog
        .apply(&applied(1), [upsert_with("files", "a", 1, "{}"), upsert_with("files", "c", 1, "{}")])
        .unwrap();
    let many = 3 * CHUNK as u64;
    for sequence in 2..many {
        catalog.apply(&applied(sequence), [upsert_with("files", "b", 1, "{}")]).unwrap();
    }
    for direction in [Direction::Forward, Direction::Back] {
        for at in [2, 700, many - 1] {
            let found = all_pages(&catalog, at, "", direction, 2);
            let wanted = [("a".to_owned(), 1), ("b".to_owned(), at), ("c".to_owned(), 1)];
            assert_eq!(found, wanted, "{direction:?} at {at}");
        }
        assert_eq!(all_pages(&catalog, 1, "", direction, 2).len(), 2);
    }
}

#[test]
fn a_page_goes_over_what_is_deleted_to_what_is_there_and_the_last_one_is_the_last() {
    let mut catalog = Catalog::in_memory().unwrap();
    let keys: Vec<String> = (0..2 * LOOKED_AT_MAX + 10).map(|number| format!("{number:08}")).collect();
    catalog.apply(&applied(1), keys.iter().map(|key| upsert_with("files", key, 1, "{}"))).unwrap();
    let (last, others) = keys.split_last().unwrap();
    catalog.apply(&applied(2), others.iter().map(|key| removed("files", key))).unwrap();
    let request = PageRequest { at: 2, prefix: "", from: None, direction: Direction::Forward, limit: 10 };
    let first = catalog.page(&name("files"), request).unwrap();
    assert_eq!((first.rows[0].key.as_str(), first.rows.len(), first.next), (last.as_str(), 1, None));
    let back = PageRequest { direction: Direction::Back, ..request };
    let before = catalog.page(&name("files"), PageRequest { from: Some(last), ..back }).unwrap();
    assert_eq!((before.rows, before.next), (Vec::new(), None));
    assert_eq!(all_pages(&catalog, 2, "", Direction::Forward, 10), [(last.clone(), 1)]);
    assert_eq!(catalog.sizes_at(1).unwrap()[0].items, keys.len() as u64);
    assert_eq!(catalog.sizes_at(2).unwrap()[0].items, 1);
}

/// Follows the pages of a folder, and says how many there were, how many were empty, and what they held.
fn followed(catalog: &Catalog, at: u64, direction: Direction, limit: u32) -> (usize, usize, usize) {
    let (mut pages, mut empty, mut held) = (0, 0, 0);
    let mut place = None::<Place>;
    loop {
        let page = catalog.children(&name("files"), "a/", at, place.as_ref(), (direction, limit)).unwrap();
        pages += 1;
        empty += usize::from(page.children.is_empty());
        held += page.children.len();
        place = page.next;
        if place.is_none() {
            return (pages, empty, held);
        }
    }
}

#[test]
fn past_the_end_of_what_was_there_long_ago_no_page_follows() {
    let mut catalog = Catalog::in_memory().unwrap();
    let keys = |from: usize, until: usize| (from..until).map(|number| format!("a/{number:08}"));
    let many = LOOKED_AT_MAX + 2 * CHUNK + 10;
    let come = |key: String| upsert_with("files", &key, 1, "{}");
    // What came later lies behind, and before: few rows are older, and then very many.
    catalog.apply(&applied(1), keys(many, many + 5).map(come)).unwrap();
    catalog.apply(&applied(2), keys(many + 5, 2 * many).map(come)).unwrap();
    catalog.apply(&applied(3), keys(0, many).map(come)).unwrap();
    catalog.apply(&applied(4), keys(2 * many, 3 * many).map(come)).unwrap();
    for direction in [Direction::Forward, Direction::Back] {
        assert_eq!(followed(&catalog, 1, direction, 10), (1, 0, 5), "{direction:?}");
        let (_, empty, held) = followed(&catalog, 2, direction, 10_000);
        assert_eq!((empty, held), (0, many), "{direction:?}");
        assert_eq!(all_pages(&catalog, 1, "a/", direction, 10).len(), 5);
        let request = PageRequest { at: 1, prefix: "a/", from: None, direction, limit: 10 };
        let page = catalog.page(&name("files"), request).unwrap();
        assert_eq!((page.rows.len(), page.next), (5, None), "{direction:?}");
    }
}

/// Steps that SQLite's machine takes for an entry of the index.
const STEPS_EACH: usize = 8;

/// What questions cost since the last look: entries of the index, and rows that were read.
fn cost(catalog: &Catalog) -> (usize, usize) {
    let counted = |text: &str, what| {
        let statement = catalog.database.prepare_cached(text).unwrap();
        usize::try_from(statement.reset_status(what)).unwrap()
    };
    let steps =
        counted(ENTRIES_FORWARD, StatementStatus::VmStep) + counted(ENTRIES_BACK, StatementStatus::VmStep);
    (steps / STEPS_EACH, counted(ROW, StatementStatus::Run))
}

/// A folder of few items into which very many came later, before, between and behind them.
fn flooded(later: usize) -> Catalog {
    let mut catalog = Catalog::in_memory().unwrap();
    let key = |number: usize| format!("a/{number:08}");
    let few = (0..10).map(|item| upsert_with("files", &key(item * later / 10 + later / 20), 1, "{}"));
    catalog.apply(&applied(1), few).unwrap();
    let flood = (0..later).filter(|number| number % (later / 10) != later / 20);
    catalog
        .apply(&applied(2), flood.clone().map(|number| upsert_with("files", &key(number), 1, "{}")))
        .unwrap();
    catalog.apply(&applied(3), flood.map(|number| removed("files", &key(number)))).unwrap();
    catalog
}

#[test]
fn what_came_later_or_went_before_costs_a_page_no_reading_and_only_so_much_looking() {
    let catalog = flooded(2 * LOOKED_AT_MAX);
    let stream = name("files");
    cost(&catalog);
    for at in [1, 3] {
        for direction in [Direction::Forward, Direction::Back] {
            let (mut found, mut place) = (0, None::<Place>);
            loop {
                let page = catalog.children(&stream, "a/", at, place.as_ref(), (direction, 100)).unwrap();
                let (entries, rows) = cost(&catalog);
                assert_eq!(rows, page.children.len(), "only what is shown is read");
                assert!(entries <= LOOKED_AT_MAX + 4 * CHUNK, "{entries} entries for one page");
                found += page.children.len();
                place = page.next;
                if place.is_none() {
                    break;
                }
            }
            assert_eq!(found, 10, "{direction:?} at {at}");
            let listed = all_pages(&catalog, at, "a/", direction, 100);
            assert_eq!((listed.len(), cost(&catalog).1), (10, 10));
        }
    }
}

#[test]
fn folders_in_which_nothing_was_live_cost_what_was_looked_at() {
    let mut catalog = Catalog::in_memory().unwrap();
    catalog.apply(&applied(1), [upsert_with("files", "z", 1, "{}")]).unwrap();
    let keys = (0..40).flat_map(|folder| (0..CHUNK + 10).map(move |file| format!("{folder:02}/{file:04}")));
    catalog.apply(&applied(2), keys.map(|key| upsert_with("files", &key, 1, "{}"))).unwrap();
    cost(&catalog);
    let (mut place, mut found) = (None::<Place>, Vec::new());
    loop {
        let page = (Direction::Forward, 100);
        let page = catalog.children(&name("files"), "", 1, place.as_ref(), page).unwrap();
        let (entries, _) = cost(&catalog);
        // The last folder may be looked into as far as any.
        assert!(entries <= LOOKED_AT_MAX + 4 * CHUNK, "{entries} entries for one page");
        found.extend(page.children.iter().map(|child| child.key().to_owned()));
        place = page.next;
        if place.is_none() {
            break;
        }
    }
    assert_eq!(found, ["z"]);
}

#[test]
fn what_comes_behind_a_prefix() {
    assert_eq!(successor("a/"), "a0");
    assert_eq!(successor("a\u{d7ff}"), "a\u{e000}");
    assert_eq!(successor("a\u{10ffff}"), "b");
    for key in ["", "a", "\u{10ffff}\u{10ffff}"] {
        assert!(*key < *successor(""));
    }
}

#[test]
fn no_question_of_a_page_reads_a_whole_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("catalog.sqlite");
    let mut catalog = Catalog::open(&path).unwrap();
    catalog.apply(&applied(1), [upsert_with("files", "a", 1, "{}")]).unwrap();
    for text in [
        ENTRIES_FORWARD,
        ENTRIES_BACK,
        ENDING_NEXT,
        ROW,
        SPAN,
        ROW_FROM,
        NEWEST,
        NEXT_LIVE_FORWARD,
        NEXT_LIVE_BACK,
        FIRST_OF_FEW,
        LAST_OF_FEW,
        past::SIZES,
        past::COUNT,
        past::ENDED,
        past::REMOVALS,
        past::LATER,
        past::BEHIND,
        query::COMMIT_AT,
    ] {
        let mut statement = catalog.database.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
        for number in 1..=statement.parameter_count() {
            statement.raw_bind_parameter(number, 1).unwrap();
        }
        let mut rows = statement.raw_query();
        let mut plan = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            plan.push(row.get::<_, String>(3).unwrap());
        }
        assert!(!plan.is_empty());
        for step in plan {
            // Streams and commits are few; commits are walked from the newest one on and left at the first hit.
            let is_small = step == "SCAN commits" || step.starts_with("SCAN s") && !step.contains("versions");
            assert!(
                is_small || !step.starts_with("SCAN versions") && !step.contains("TEMP B-TREE"),
                "{text}: {step}"
            );
            assert!(
                is_small || !step.starts_with("SCAN") || step.starts_with("SCAN (subquery"),
                "{text}: {step}"
            );
        }
    }
}
