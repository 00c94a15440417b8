use super::*;
use crate::apply::tests::{applied, removed, upsert_with};

fn name(stream: &str) -> StreamName {
    StreamName::new(stream).unwrap()
}

fn catalog() -> Catalog {
    let mut catalog = Catalog::in_memory().unwrap();
    let commits = [
        vec![upsert_with("files", "a", 5, "{}"), upsert_with("files", "b", 7, "{}")],
        vec![upsert_with("files", "a", 6, "{}")],
        vec![removed("files", "a"), removed("files", "b"), removed("files", "never there")],
        vec![upsert_with("files", "a", 9, "{}"), upsert_with("mail", "m", 1, "{}")],
        vec![removed("mail", "m")],
    ];
    for (number, changes) in commits.into_iter().enumerate() {
        catalog.apply(&applied(number as u64 + 1), changes).unwrap();
    }
    catalog
}

#[test]
fn the_past_of_an_item_is_told_from_the_newest_version_on() {
    let catalog = catalog();
    let past = catalog.past_of(&name("files"), "a", None, 10).unwrap();
    let told: Vec<_> = past.iter().map(|past| (past.row.from, past.row.until, past.is_removed)).collect();
    assert_eq!(told, [(4, None, false), (2, Some(3), true), (1, Some(2), false)]);
    assert_eq!(catalog.count_versions(&name("files"), "a", 10).unwrap(), 3);
    assert_eq!(catalog.count_versions(&name("files"), "a", 2).unwrap(), 2);

    let mut behind = None;
    let mut page_by_page = Vec::new();
    loop {
        let page = catalog.past_of(&name("files"), "a", behind, 1).unwrap();
        let Some(last) = page.last() else { break };
        behind = Some(VersionEdge { until: last.row.until, id: last.row.id });
        page_by_page.extend(page);
    }
    assert_eq!(page_by_page, past);
    assert_eq!(catalog.past_of(&name("nowhere"), "a", None, 10).unwrap(), []);
}

#[test]
fn what_was_removed_within_a_window_is_told() {
    let catalog = catalog();
    let told = |after, until| -> Vec<(String, u64, u64)> {
        let removals = catalog.removed_between(after, until, None, 10).unwrap();
        removals
            .into_iter()
            .map(|removal| (removal.row.key, removal.row.size_bytes, removal.sequence))
            .collect()
    };
    let (a, b, m) = (("a".to_owned(), 6, 3), ("b".to_owned(), 7, 3), ("m".to_owned(), 1, 5));
    assert_eq!(told(0, 9), [m.clone(), a.clone(), b.clone()]);
    assert_eq!(told(2, 3), [a.clone(), b.clone()]);
    assert_eq!(told(3, 5), [m]);
    let first = catalog.removed_between(0, 4, None, 1).unwrap().pop().unwrap();
    let edge = RemovalEdge { sequence: first.sequence, id: first.row.id };
    let rest = catalog.removed_between(0, 4, Some(edge), 10).unwrap();
    assert_eq!((first.row.key, rest.len(), &rest[0].row.key), (a.0, 1, &b.0));
}

#[test]
fn sizes_are_told_as_of_each_commit() {
    let catalog = catalog();
    let told = |at| -> Vec<(String, u64, u64)> {
        catalog.sizes_at(at).unwrap().into_iter().map(|size| (size.stream, size.items, size.bytes)).collect()
    };
    let files = |items, bytes| ("files".to_owned(), items, bytes);
    assert_eq!(told(0), []);
    assert_eq!(told(1), [files(2, 12)]);
    assert_eq!(told(2), [files(2, 13)]);
    assert_eq!(told(3), []);
    assert_eq!(told(4), [files(1, 9), ("mail".to_owned(), 1, 1)]);
    assert_eq!(told(u64::MAX), [files(1, 9)]);
}
