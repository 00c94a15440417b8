use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

use ports::SeededRandom;

use super::*;

/// Enough to notice a regression; `fuzz/run` is for finding what is new.
const MUTATIONS: u64 = 1500;
const SLOW_MUTATIONS: u64 = 250;

/// Tells whether bytes are what they are read as.
type Reads = fn(&[u8]) -> bool;

fn regressions(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = repository().join("fuzz/regressions").join(target.name);
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn attempt(target: &Target, data: &[u8], what: &str) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(data))).is_err() {
        let path = std::env::temp_dir().join(format!("unwipe-{}.input", target.name));
        ports::files::replace(&path, data).unwrap();
        panic!("{} fails on {what}; the bytes are in {}", target.name, path.display());
    }
}

fn exercise(target: &Target) {
    let mut corpus = (target.seeds)();
    assert!(!corpus.is_empty(), "{} has no seeds", target.name);
    for seed in &corpus {
        attempt(target, seed, "a seed");
    }
    for (path, data) in regressions(target) {
        attempt(target, &data, &path.display().to_string());
        corpus.push(data);
    }
    let random = SeededRandom::new(1);
    let slow = ["vault_objects", "vault_journal", "vault_memories", "postgres_wire"].contains(&target.name);
    for number in 0..if slow { SLOW_MUTATIONS } else { MUTATIONS } {
        let pick = |random: &SeededRandom| random.below(corpus.len() as u64) as usize;
        let (one, other) = (pick(&random), pick(&random));
        let data = mutation::mutate(&corpus[one], &corpus[other], &random);
        attempt(target, &data, &format!("mutation {number}"));
    }
}

#[test]
fn no_parser_is_impressed_by_damaged_bytes() {
    for target in TARGETS {
        exercise(target);
    }
}

#[test]
fn every_parser_has_its_fuzz_program() {
    let folder = repository().join("fuzz/fuzz_targets");
    let manifest = fs::read_to_string(repository().join("fuzz/Cargo.toml")).unwrap();
    for target in TARGETS {
        let program = fs::read_to_string(folder.join(format!("{}.rs", target.name))).unwrap();
        assert!(program.contains(&format!("parsers::run(\"{}\"", target.name)), "{}", target.name);
        assert!(manifest.contains(&format!("name = \"{}\"", target.name)), "{}", target.name);
    }
    assert_eq!(fs::read_dir(folder).unwrap().count(), TARGETS.len());
}

#[test]
fn seeds_are_what_the_parsers_accept() {
    let accepted = |name: &str| TARGETS.iter().find(|target| target.name == name).unwrap().seeds;
    for block in accepted("vault_change_block")() {
        assert!(vault::log::ChangeBlock::parse(&block).is_ok());
    }
    for content in accepted("vault_content")() {
        assert!(vault::Content::from_bytes(&content).is_ok());
    }
    for plan in accepted("plan")() {
        assert!(connect::plan::Plan::from_bytes(&plan).is_ok());
    }
    for archive in accepted("postgres_tar")() {
        let mut rest = &archive[1..];
        let first = postgres_wire::tar::TarParser::new().advance(&mut rest);
        assert!(matches!(first, Ok(Some(_))), "{first:?}");
    }
    let read: [(&str, Reads); 8] = [
        ("http_batch", |data| connect_http::fuzzing::batch(data) == usize::from(data[0])),
        ("http_upload_range", connect_http::fuzzing::upload_range),
        ("google_message", source_google::fuzzing::message),
        ("google_raw_text", source_google::fuzzing::raw_text),
        ("google_pages", source_google::fuzzing::pages),
        ("google_activities", source_google::fuzzing::activities),
        ("google_attributes", source_google::fuzzing::attributes),
        ("google_positions", source_google::fuzzing::positions),
    ];
    for (name, read) in read {
        for seed in accepted(name)() {
            assert!(read(&seed), "{name}: {}", String::from_utf8_lossy(&seed));
        }
    }
    assert!(accepted("vault_change_block")().len() >= 2);
}
