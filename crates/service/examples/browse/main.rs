//! How soon pages, items, versions and searches answer over very many versions.
//!
//! `browse [--versions 5000000] [--asked 300] [--folder FOLDER]` writes JSON to standard output. The catalog and its index
//! are filled by the code that fills them for a source; the versions share some thousand contents that lie in a real vault.
//! What was filled is removed; with `--keep FOLDER` it stays there, and is asked again the next time.
//! Each question is asked so often, with other arguments each time; two rounds before are not counted.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement that goes wrong should stop, and says what it measured"
)]

mod corpus;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use catalog::Catalog;
use connect::{Silent, Stop};
use model::{SourceName, StreamName};
use ports::{Clock, SystemClock};
use serde_json::{Value, json};
use service::{
    Installation, Place,
    browse::{At, Browse, PageWish, SearchWish},
    config::SourceConfig,
    installation::{InitRequest, Ports},
};

use corpus::{Corpus, DRIVE, MAILBOX, Numbers};

struct Asked<'a> {
    browse: &'a Browse,
    clock: &'a SystemClock,
    source: &'a SourceName,
    times: usize,
    versions: u64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let option = |name: &str| {
        arguments.iter().position(|argument| argument == name).and_then(|at| arguments.get(at + 1)).cloned()
    };
    let number = |name: &str, default: u64| option(name).map_or(default, |text| text.parse().unwrap());
    let (versions, times) = (number("--versions", 5_000_000), number("--asked", 300) as usize);
    let answer = match option("--keep") {
        Some(folder) => measure(Path::new(&folder), versions, times),
        None => {
            let folder = option("--folder").map_or_else(std::env::temp_dir, PathBuf::from);
            let folder = folder.join(format!("unwipe-bench-browse-{}", std::process::id()));
            ports::files::create_scratch(&folder).unwrap();
            let answer = measure(&folder, versions, times);
            ports::files::remove_scratch(&folder).unwrap();
            answer
        }
    };
    println!("{}", serde_json::to_string_pretty(&answer).unwrap());
}

fn ports() -> Ports {
    Ports {
        clock: Arc::new(SystemClock::new()),
        random: Arc::new(corpus::chance()),
        tracing: ports::Tracing::default(),
    }
}

fn measure(folder: &Path, versions: u64, times: usize) -> Value {
    let clock = SystemClock::new();
    let home = folder.join("home");
    let source = SourceName::new("acme").unwrap();
    let filled = if home.exists() { json!(null) } else { fill(&home, &source, versions) };
    let installation = Installation::open(&home, ports()).unwrap();
    let state = installation.state_folder(&source);
    let reader = installation.reader(None, &|_| None).unwrap();
    let browse = Browse::new(installation, Some(Arc::new(reader)));
    let asked = Asked { browse: &browse, clock: &clock, source: &source, times, versions };
    let bytes = |name: &str| std::fs::metadata(state.join(name)).unwrap().len();
    json!({
        "filled": filled,
        "catalog_mib": bytes("catalog.sqlite") >> 20,
        "index_mib": bytes("search.sqlite") >> 20,
        "asked": times,
        "milliseconds": asked.all(),
        "searches": asked.searches(),
    })
}

/// Makes an installation with a source of so many versions.
fn fill(home: &Path, source: &SourceName, versions: u64) -> Value {
    let clock = SystemClock::new();
    let place = Place::Folder { path: "vault".into(), immutable_flags: false };
    Installation::init(home, &InitRequest { place, lock_days: 1 }, &ports(), &|_| None).unwrap();
    let mut installation = Installation::open(home, ports()).unwrap();
    // Whoever serves this home finds nobody there, and reads nothing.
    let settings =
        json!({ "key": "file:keys/none.json", "admin": "admin@acme.test", "address": "http://127.0.0.1:9" });
    let config =
        SourceConfig { kind: "google".to_owned(), settings: serde_json::from_value(settings).unwrap() };
    installation.reconfigure(|all| all.add_source(source.clone(), config)).unwrap();

    let contents = corpus::contents(&installation, &SourceName::new("contents").unwrap());
    let state = installation.state_folder(source);
    ports::files::create_folder(&state).unwrap();
    let began = clock.elapsed();
    let mut catalog = Catalog::open(&state.join("catalog.sqlite")).unwrap();
    let mut corpus = Corpus::new(&mut catalog, &contents);
    corpus.make(versions);
    let made = corpus.versions;
    drop(catalog);
    let cataloged = clock.elapsed();
    // Without a reader: this catalog is not that of the vault, and would be made anew.
    let fresh = Browse::new(installation, None).refresh(source, &Stop::default(), &Silent).unwrap();
    let indexed = clock.elapsed();
    assert!(fresh.is_indexed && fresh.indexed == made);
    json!({
        "versions": made,
        "commits": fresh.commit,
        "catalog_filled_s": cataloged.saturating_sub(began).as_secs(),
        "index_filled_s": indexed.saturating_sub(cataloged).as_secs(),
    })
}

impl Asked<'_> {
    /// Asks often, and returns how long it took: the half of the answers, 95 of 100, all of them.
    fn time(&self, ask: impl Fn(&mut Numbers) -> usize) -> Value {
        let mut numbers = Numbers(3);
        let mut found = 0;
        let mut took: Vec<f64> = (0..self.times + 2)
            .map(|_| {
                let began = self.clock.elapsed();
                found += ask(&mut numbers);
                self.clock.elapsed().saturating_sub(began).as_secs_f64() * 1000.0
            })
            .skip(2)
            .collect();
        took.sort_by(f64::total_cmp);
        let at = |share: usize| (took[(took.len() - 1) * share / 100] * 100.0).round() / 100.0;
        json!({ "p50": at(50), "p95": at(95), "largest": at(100), "entries_each": found / (self.times + 2) })
    }

    /// Draws a moment: mostly the newest, otherwise any.
    fn moment(&self, numbers: &mut Numbers) -> At {
        if numbers.below(2) == 0 { At::Latest } else { At::Commit(1 + numbers.below(self.versions / 1100)) }
    }

    fn all(&self) -> Value {
        let (mail, drive) = (StreamName::new(MAILBOX).unwrap(), StreamName::new(DRIVE).unwrap());
        let messages = self.versions / 5;
        // Messages that are not deleted.
        let message = |numbers: &mut Numbers| corpus::message_key(1 + 50 * numbers.below(messages / 50));
        let wish = |cursor: String| PageWish { cursor: Some(cursor), limit: 100 };
        let (browse, source) = (self.browse, self.source);
        json!({
            "streams": self.time(|numbers| {
                browse.streams(source, self.moment(numbers)).map_or(0, |found| found.streams.len())
            }),
            "page of a mailbox of a million": self.time(|numbers| {
                let wish = wish(format!("f:{}", message(numbers)));
                browse.page(source, &mail, ("message/", self.moment(numbers)), &wish).map_or(0, |page| page.entries.len())
            }),
            "folder of a million by key": self.time(|numbers| {
                let direction = if numbers.below(2) == 0 { 'f' } else { 'b' };
                let wish = wish(format!("{direction}:i{}", message(numbers)));
                let found = browse.children(source, &mail, ("message/", self.moment(numbers)), &wish);
                found.map_or(0, |page| page.entries.len())
            }),
            "folder of a million by title": self.time(|numbers| {
                let direction = if numbers.below(2) == 0 { 'f' } else { 'b' };
                let wish = wish(format!("{direction}:0:{}", corpus::word(corpus::rank(numbers))));
                let found = browse.children(source, &drive, ("000000000002", self.moment(numbers)), &wish);
                found.map_or(0, |page| page.entries.len())
            }),
            "top of a mailbox of a million": self.time(|numbers| {
                let found = browse.children(source, &mail, ("", self.moment(numbers)), &PageWish::default());
                found.map_or(0, |page| page.entries.len())
            }),
            "item with its content": self.time(|numbers| {
                browse.item(source, (&mail, &message(numbers)), At::Latest).map_or(0, |item| item.document.body.len())
            }),
            "versions of an item": self.time(|numbers| {
                let found = browse.versions(source, (&mail, &message(numbers)), &PageWish::default());
                found.map_or(0, |found| found.versions.len())
            }),
            "difference of two versions": self.time(|numbers| {
                let key = message(numbers);
                let found = browse.versions(source, (&mail, &key), &PageWish::default()).unwrap().versions;
                let (new, old) = (At::Commit(found[0].entry.commit), At::Commit(found[found.len() - 1].entry.commit));
                browse.difference(source, (&mail, &key), (old, new)).map_or(0, |found| found.difference.lines.len())
            }),
            "deleted in a window": self.time(|numbers| {
                let wish = PageWish { cursor: None, limit: 1 + numbers.below(200) as u32 };
                let found = browse.deleted_between(source, None, (At::Commit(1), At::Latest), &wish);
                found.map_or(0, |found| found.items.len())
            }),
        })
    }

    fn search(&self, at: Option<At>, streams: &[&str], text: impl Fn(&mut Numbers) -> String) -> Value {
        self.time(|numbers| {
            let wish = SearchWish {
                text: text(numbers),
                sources: vec![self.source.clone()],
                streams: streams.iter().map(|&name| StreamName::new(name).unwrap()).collect(),
                at,
                page: PageWish { cursor: None, limit: 50 },
            };
            self.browse.search(&wish).map_or(0, |found| found.hits.len())
        })
    }

    fn searches(&self) -> Value {
        let common = |numbers: &mut Numbers| corpus::word(numbers.below(20));
        let usual = |numbers: &mut Numbers| corpus::word(100 + numbers.below(900));
        let latest = Some(At::Latest);
        let half = Some(At::Commit(self.versions / 2000));
        json!({
            "a rare word": self.search(latest, &[], |numbers| format!("rare{}x", 1 + 2_000 * numbers.below(self.versions / 4_000))),
            "a word of one in hundreds": self.search(latest, &[], usual),
            "one of the 20 most common words": self.search(latest, &[], common),
            "the same at any time, with what was removed": self.search(None, &[], common),
            "the same at a moment in the past": self.search(half, &[], common),
            "the same in one mailbox": self.search(latest, &[MAILBOX], common),
            "two common words": self.search(latest, &[], |numbers| format!("{} {}", common(numbers), common(numbers))),
            "three usual words": self.search(latest, &[], |numbers| {
                format!("{} {} {}", usual(numbers), usual(numbers), usual(numbers))
            }),
            "a phrase of two common words": self.search(latest, &[], |numbers| {
                format!("\"{} {}\"", common(numbers), common(numbers))
            }),
            "a beginning of two letters": self.search(latest, &[], |numbers| format!("{}*", &common(numbers)[..2])),
            "a beginning of four letters": self.search(latest, &[], |numbers| format!("{}*", &usual(numbers)[..4])),
            "a sender's address": self.search(latest, &[], |numbers| format!("{}@partner.test", corpus::word(numbers.below(500)))),
            "an item's id": self.search(latest, &[], |numbers| {
                let key = corpus::message_key(1 + 50 * numbers.below(self.versions / 250));
                key.trim_start_matches("message/").to_owned()
            }),
            "no word that there is": self.search(latest, &[], |numbers| format!("nothing{}", numbers.next())),
        })
    }
}
