use std::collections::BTreeMap;

use proptest::prelude::*;

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
fn a_page_ends_where_nearly_all_is_deleted_and_goes_on() {
    let mut catalog = Catalog::in_memory().unwrap();
    let keys: Vec<String> = (0..2 * LOOKED_AT_MAX + 10).map(|number| format!("{number:08}")).collect();
    catalog.apply(&applied(1), keys.iter().map(|key| upsert_with("files", key, 1, "{}"))).unwrap();
    let (last, others) = keys.split_last().unwrap();
    catalog.apply(&applied(2), others.iter().map(|key| removed("files", key))).unwrap();
    let request = PageRequest { at: 2, prefix: "", from: None, direction: Direction::Forward, limit: 10 };
    let first = catalog.page(&name("files"), request).unwrap();
    assert_eq!(first.rows, []);
    assert!(first.next.is_some());
    assert_eq!(all_pages(&catalog, 2, "", Direction::Forward, 10), [(last.clone(), 1)]);
    assert_eq!(catalog.sizes_at(1).unwrap()[0].items, keys.len() as u64);
    assert_eq!(catalog.sizes_at(2).unwrap()[0].items, 1);
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
        ROW_FROM,
        NEWEST,
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
