//! Documents that must say what the code does.

use std::{collections::BTreeSet, path::Path};

use connect_conformance::{DRILLING, READING, RESTORING, document};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn read(path: &str) -> String {
    ports::files::read_text(&root().join(path)).unwrap()
}

#[test]
fn the_page_of_rules_is_the_one_that_is_checked() {
    let help = "cargo run -q -p connect-conformance --example rules > docs/reference/connector-rules.md";
    assert!(read("docs/reference/connector-rules.md") == document(), "the page is old: {help}");
}

#[test]
fn rules_have_numbers_of_their_own_and_say_how_strong_they_are() {
    let all = READING.iter().chain(RESTORING).chain(DRILLING);
    let ids: BTreeSet<&str> = all.clone().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), READING.len() + RESTORING.len() + DRILLING.len());
    for rule in all {
        assert!(rule.text.contains(&rule.level.to_string()), "{rule:?} does not say {}", rule.level);
    }
}

/// Returns the name and the lines of each block of code in the guide that is part of a file: ```` ```rust notes/unit.rs ````.
fn excerpts(guide: &str) -> Vec<(String, String)> {
    let mut excerpts = Vec::new();
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("```rust ") {
            let code: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            excerpts.push((name.to_owned(), code.join("\n")));
        }
    }
    excerpts
}

#[test]
fn what_the_guide_shows_is_what_is_tested() {
    let guide = read("docs/guide/writing-a-connector.md");
    let excerpts = excerpts(&guide);
    assert!(excerpts.len() >= 6, "the guide shows {} excerpts", excerpts.len());
    for (name, code) in excerpts {
        let file = read(&format!("crates/connect-conformance/tests/it/{name}"));
        // A line of three dots stands for lines that are left out.
        for part in code.split("\n    // ...\n") {
            assert!(file.contains(part.trim_matches('\n')), "{name} has nothing like\n{part}");
        }
    }
}

#[test]
fn the_guide_names_only_rules_that_there_are() {
    let guide = read("docs/guide/writing-a-connector.md");
    let words = guide.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    let named = words.filter(|word| {
        let mut parts = word.split('-');
        let letter = matches!(parts.next(), Some("R" | "W" | "D"));
        letter && parts.next().is_some_and(|number| number.len() == 2 && number.parse::<u8>().is_ok())
    });
    let named: Vec<&str> = named.collect();
    assert!(named.len() > 10);
    for id in named {
        assert!(connect_conformance::find(id).is_some(), "{id}");
    }
}
