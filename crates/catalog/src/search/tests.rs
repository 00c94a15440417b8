use proptest::prelude::*;

use super::*;
use crate::{
    Direction,
    apply::tests::{applied, removed, upsert_with},
};

/// In these tests the attributes are the title.
fn describe(stream: &str, key: &str, attributes: &str) -> Option<Described> {
    let title = attributes.to_owned();
    let folder = stream.starts_with("drive/").then(|| key.split('/').next().unwrap_or_default().to_owned());
    (stream != "position").then_some(Described { title, people: "anna@acme.test".to_owned(), folder })
}

fn filled(catalog: &Catalog) -> SearchIndex {
    let mut index = SearchIndex::in_memory().unwrap();
    while !index.fill(catalog, &describe).unwrap().is_up_to_date {}
    index
}

fn ask(index: &SearchIndex, catalog: &Catalog, text: &str, at: Option<u64>) -> Vec<(String, u64)> {
    let Some(terms) = Terms::parse(text) else { return Vec::new() };
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let wish = Wish { terms: &terms, streams: None, at, before, limit: 2 };
        let found = index.find(catalog, wish).unwrap();
        all.extend(found.rows.into_iter().map(|row| (row.key, row.from)));
        match found.next {
            Some(next) => before = Some(next),
            None => return all,
        }
    }
}

fn catalog() -> Catalog {
    let mut catalog = Catalog::in_memory().unwrap();
    let commits = [
        vec![
            upsert_with("mail", "m/1", 1, "Quarterly invoice for Zürich"),
            upsert_with("mail", "m/2", 1, "Lunch on Friday"),
            upsert_with("position", "p", 1, "invoice"),
        ],
        vec![upsert_with("mail", "m/1", 1, "Quarterly invoice for Zürich, paid")],
        vec![removed("mail", "m/1"), upsert_with("files", "invoice.txt", 1, "notes")],
    ];
    for (number, changes) in commits.into_iter().enumerate() {
        catalog.apply(&applied(number as u64 + 1), changes).unwrap();
    }
    catalog
}

#[test]
fn words_phrases_and_beginnings_find_the_newest_first() {
    let catalog = catalog();
    let index = filled(&catalog);
    let mail = |from| ("m/1".to_owned(), from);
    let file = ("invoice.txt".to_owned(), 3);
    // At any time: of each item the newest version that has the words.
    assert_eq!(ask(&index, &catalog, "invoice", None), [file.clone(), mail(2)]);
    assert_eq!(ask(&index, &catalog, "INVOICE zurich", None), [mail(2)]);
    assert_eq!(ask(&index, &catalog, "\"quarterly invoice\" paid", None), [mail(2)]);
    assert_eq!(ask(&index, &catalog, "\"invoice quarterly\"", None), []);
    assert_eq!(ask(&index, &catalog, "invo*", None), [file.clone(), mail(2)]);
    assert_eq!(ask(&index, &catalog, "i*", None), [file.clone(), mail(2)]);
    // At a moment: what was live then, as it was.
    assert_eq!(ask(&index, &catalog, "invoice", Some(1)), [mail(1)]);
    assert_eq!(ask(&index, &catalog, "paid", Some(1)), []);
    assert_eq!(ask(&index, &catalog, "invoice", Some(3)), [file]);
    assert_eq!(ask(&index, &catalog, "anna@acme.test lunch", None), [("m/2".to_owned(), 1)]);
    // The stream's own word cannot be asked for.
    assert_eq!(ask(&index, &catalog, "s1", None), []);
}

#[test]
fn a_search_in_the_past_begins_there() {
    let mut catalog = Catalog::in_memory().unwrap();
    catalog.apply(&applied(1), [upsert_with("mail", "old", 1, "invoice")]).unwrap();
    let later = (0..5_000).map(|number| upsert_with("mail", &number.to_string(), 1, "invoice"));
    catalog.apply(&applied(2), later).unwrap();
    let index = filled(&catalog);
    let terms = Terms::parse("invoice").unwrap();
    let wish = Wish { terms: &terms, streams: None, at: Some(1), before: None, limit: 2 };
    let found = index.find(&catalog, wish).unwrap();
    assert_eq!((found.rows.len(), found.next), (1, None));
    for (at, row) in [(0, 1), (1, 2), (2, 5_002), (9, 5_002)] {
        assert_eq!(catalog.first_row_after(at).unwrap(), row);
    }
}

#[test]
fn a_search_stays_in_its_streams() {
    let catalog = catalog();
    let index = filled(&catalog);
    let terms = Terms::parse("invoice").unwrap();
    let in_streams = |streams: &[&str]| {
        let streams: Vec<String> = streams.iter().map(|&name| name.to_owned()).collect();
        let wish = Wish { terms: &terms, streams: Some(&streams), at: None, before: None, limit: 9 };
        index.find(&catalog, wish).unwrap().rows.len()
    };
    assert_eq!(in_streams(&["mail"]), 1);
    assert_eq!(in_streams(&["mail", "files"]), 2);
    assert_eq!(in_streams(&["position"]), 0);
    assert_eq!(in_streams(&["nowhere"]), 0);
    let many: Vec<String> = (0..200).map(|number| format!("none/{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).chain(["mail"]).collect();
    assert_eq!(in_streams(&many), 1);
}

#[test]
fn an_index_of_another_catalog_is_filled_anew() {
    let first = catalog();
    let mut index = filled(&first);
    assert!(index.is_of(&first).unwrap());
    let mut other = Catalog::in_memory().unwrap();
    let items = (0..9).map(|number| upsert_with("mail", &format!("n/{number}"), 1, "invoice"));
    other.apply(&applied(1), items).unwrap();
    assert!(!index.is_of(&other).unwrap());
    index.fill(&other, &describe).unwrap();
    assert!(index.is_of(&other).unwrap());
    assert_eq!(ask(&index, &other, "invoice", None).len(), 9);
    assert_eq!(ask(&index, &other, "lunch", None), []);
    assert!(!index.is_of(&Catalog::in_memory().unwrap()).unwrap());
}

#[test]
fn a_file_that_is_none_is_stale_and_readers_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("search.sqlite");
    assert_eq!(path_beside(&folder.path().join("catalog.sqlite")), path);
    assert_eq!(
        path_beside(std::path::Path::new("/a/catalog-usb.sqlite")),
        std::path::Path::new("/a/search-usb.sqlite")
    );
    assert!(SearchIndex::open_to_read(&path).is_err());
    drop(SearchIndex::open(&path).unwrap());
    let mut reader = SearchIndex::open_to_read(&path).unwrap();
    assert!(matches!(reader.fill(&catalog(), &describe), Err(CatalogError::Database(_))));
    ports::files::create_new(&folder.path().join("other"), &[7; 9000], 0o600).unwrap();
    assert!(matches!(SearchIndex::open(&folder.path().join("other")), Err(CatalogError::Stale { .. })));
}

#[test]
fn folders_by_title_page_in_both_directions() {
    let mut catalog = Catalog::in_memory().unwrap();
    let titles = ["Zebra", "apple", "Äpfel", "banana", "banana"];
    let items =
        titles.iter().enumerate().map(|(n, title)| upsert_with("drive/a", &format!("top/{n}"), 1, title));
    catalog.apply(&applied(1), items).unwrap();
    catalog
        .apply(&applied(2), [upsert_with("drive/a", "top/1", 1, "renamed"), removed("drive/a", "top/3")])
        .unwrap();
    let index = filled(&catalog);
    let all = |at: u64, direction: Direction| -> Vec<String> {
        let (mut all, mut from) = (Vec::new(), None::<InsideEdge>);
        loop {
            let page = index.inside(&catalog, ("drive/a", "top", at), from.as_ref(), (direction, 2)).unwrap();
            let titles = page.rows.into_iter().map(|row| row.attributes);
            match direction {
                Direction::Forward => all.extend(titles),
                Direction::Back => drop(all.splice(0..0, titles)),
            }
            match page.next {
                Some(next) => from = Some(next),
                None => return all,
            }
        }
    };
    for direction in [Direction::Forward, Direction::Back] {
        assert_eq!(all(1, direction), ["apple", "banana", "banana", "Zebra", "Äpfel"]);
        assert_eq!(all(2, direction), ["banana", "renamed", "Zebra", "Äpfel"]);
        assert_eq!(all(0, direction), [""; 0]);
    }
}

#[test]
fn what_came_later_to_a_folder_by_title_is_not_looked_up() {
    let mut catalog = Catalog::in_memory().unwrap();
    let flood = |beginning: &'static str| {
        (0..5_000).map(move |n| (format!("top/{beginning}{n}"), format!("{beginning} {n:05}")))
    };
    let few = [upsert_with("drive/a", "top/m", 1, "m"), upsert_with("drive/a", "top/z", 1, "z")];
    catalog.apply(&applied(1), few).unwrap();
    let later = flood("b").map(|(key, title)| upsert_with("drive/a", &key, 1, &title));
    catalog.apply(&applied(2), later).unwrap();
    catalog.apply(&applied(3), flood("b").map(|(key, _)| removed("drive/a", &key))).unwrap();
    let index = filled(&catalog);
    let looked_up = || {
        let statement = catalog.database.prepare_cached(crate::browse::SPAN).unwrap();
        statement.reset_status(rusqlite::StatementStatus::Run)
    };
    let page = |at, from: Option<&InsideEdge>| {
        let page = index.inside(&catalog, ("drive/a", "top", at), from, (Direction::Forward, 9)).unwrap();
        (page.rows.len(), page.next, looked_up())
    };
    looked_up();
    assert_eq!(page(1, None), (2, None, 2));
    // What was deleted since must be looked up, and no page looks up all of it.
    let (mut found, mut from) = (0, None);
    loop {
        let (rows, next, looked_up) = page(3, from.as_ref());
        assert!(looked_up < 2_000, "{looked_up} rows were looked up");
        found += rows;
        match next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    assert_eq!(found, 2);
}

#[test]
fn questions_to_the_index_use_it() {
    let index = SearchIndex::in_memory().unwrap();
    for text in [find::CANDIDATES, inside::INSIDE_FORWARD, inside::INSIDE_BACK, inside::INSIDE_FROM_END] {
        let mut statement = index.database.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap();
        for number in 1..=statement.parameter_count() {
            statement.raw_bind_parameter(number, "a").unwrap();
        }
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().unwrap() {
            let step: String = row.get(3).unwrap();
            let is_matched = step.contains("VIRTUAL TABLE INDEX") || step.starts_with("SEARCH inside");
            assert!(is_matched && !step.contains("TEMP B-TREE"), "{text}: {step}");
        }
    }
}

proptest! {
    #[test]
    fn nothing_that_somebody_types_is_an_error(text in "\\PC{0,40}|[\"*():^{}+\\-a-c NEARORAND\0']{0,30}") {
        let catalog = catalog();
        let index = filled(&catalog);
        ask(&index, &catalog, &text, None);
        ask(&index, &catalog, &text, Some(1));
    }

    #[test]
    fn search_finds_what_was_indexed(words in proptest::collection::vec("[a-zA-Zäöüß0-9]{1,12}", 1..5)) {
        let title = words.join(" ");
        let mut catalog = Catalog::in_memory().unwrap();
        catalog.apply(&applied(1), [upsert_with("mail", "1", 1, &title), upsert_with("mail", "2", 1, "-")]).unwrap();
        let index = filled(&catalog);
        let found = [("1".to_owned(), 1)];
        for word in words.iter().filter(|word| !"1anna acme test mail".contains(&word.to_lowercase())) {
            prop_assert!(ask(&index, &catalog, word, Some(1)).contains(&found[0]), "{}", word);
            let beginning: String = word.chars().take(3).collect();
            let by_beginning = ask(&index, &catalog, &(beginning + "*"), Some(1));
            prop_assert!(by_beginning.contains(&found[0]));
        }
        let phrase = format!("\"{title}\"");
        prop_assert!(ask(&index, &catalog, &phrase, None).contains(&found[0]));
    }
}
