use super::*;
use crate::apply::tests::{applied, upsert_with};

#[test]
fn a_folder_shows_its_items_and_the_folders_among_its_keys() {
    let mut catalog = Catalog::in_memory().unwrap();
    let keys = ["message/1", "message/2", "label/x", "settings", "a", "a/b", "a-b", "a/c/d"];
    catalog.apply(&applied(1), keys.map(|key| upsert_with("gmail/a@x.test", key, 1, "{}"))).unwrap();
    let stream = StreamName::new("gmail/a@x.test").unwrap();
    let list = |folder: &str| -> Vec<(String, bool)> {
        let found = catalog.children(&stream, folder, 1, None, (Direction::Forward, 10)).unwrap();
        found
            .children
            .iter()
            .map(|child| (child.key().to_owned(), matches!(child, Child::Group { .. })))
            .collect()
    };
    let told = |entries: &[(&str, bool)]| -> Vec<(String, bool)> {
        entries.iter().map(|(key, is_group)| ((*key).to_owned(), *is_group)).collect()
    };
    assert_eq!(
        list(""),
        told(&[("a", false), ("a-b", false), ("label", true), ("message", true), ("settings", false)])
    );
    assert_eq!(list("a/"), told(&[("a/b", false), ("a/c", true)]));
    assert_eq!(list("nothing/"), []);
    assert_eq!(Place::of_text("x"), None);
}

#[test]
fn a_folder_of_folders_with_very_many_items_is_listed_in_one_page() {
    let mut catalog = Catalog::in_memory().unwrap();
    let keys = (0..5).flat_map(|folder| (0..3 * CHUNK).map(move |file| format!("{folder}/{file:06}")));
    catalog.apply(&applied(1), keys.map(|key| upsert_with("files", &key, 1, "{}"))).unwrap();
    let stream = StreamName::new("files").unwrap();
    for direction in [Direction::Forward, Direction::Back] {
        let found = catalog.children(&stream, "", 1, None, (direction, 10)).unwrap();
        let keys: Vec<&str> = found.children.iter().map(Child::key).collect();
        assert_eq!((keys, found.next), (vec!["0", "1", "2", "3", "4"], None));
    }
}
