use std::{collections::BTreeSet, sync::Arc};

use connect::{ChangeSink, Cursor, Progress, ReadEnd, ReadError, Silent, SourceReader, Stop};
use model::{Item, Layout, UnreadableReason};
use ports::{ManualClock, SeededRandom};

use super::*;
use crate::{
    Place,
    config::SourceConfig,
    installation::{InitRequest, Ports},
};

/// What a source shows in one capture.
enum Show {
    Item { stream: &'static str, key: String, attributes: String, content: Vec<u8> },
    Gone { stream: &'static str, key: String },
    Closed { stream: &'static str, key: String },
}

struct Script(Vec<Show>);

impl SourceReader for Script {
    fn changes(
        &mut self,
        _: Option<&Cursor>,
        sink: &mut dyn ChangeSink,
        _: &Stop,
    ) -> Result<ReadEnd, ReadError> {
        sink.enumerated(self.0.iter().filter(|show| !matches!(show, Show::Gone { .. })).count() as u64)?;
        for show in self.0.drain(..) {
            match show {
                Show::Item { stream, key, attributes, content } => {
                    let item = Item { stream: name(stream), key, attributes };
                    sink.upsert_bytes(item, Layout::Small, &content)?;
                }
                Show::Gone { stream, key } => sink.removed(name(stream), key)?,
                Show::Closed { stream, key } => {
                    let reason = UnreadableReason::Denied { detail: "no".to_owned() };
                    sink.unreadable(name(stream), key, reason)?;
                }
            }
        }
        sink.checkpoint(&Cursor("1".to_owned()))?;
        Ok(ReadEnd::UpToDate)
    }
}

const MAIL: &str = "gmail/anna@acme.test";
const DRIVE: &str = "drive/anna@acme.test";

fn name(stream: &str) -> StreamName {
    StreamName::new(stream).unwrap()
}

fn source(name: &str) -> SourceName {
    SourceName::new(name).unwrap()
}

fn item(stream: &'static str, key: &str, attributes: &str, content: &[u8]) -> Show {
    Show::Item { stream, key: key.to_owned(), attributes: attributes.to_owned(), content: content.to_vec() }
}

fn mail(id: &str, subject: &str, labels: &str) -> Show {
    let attributes = format!(
        r#"{{"thread":"t","labels":[{labels}],"received_ms":1717171717000,"subject":"{subject}","from":"bob@acme.test"}}"#
    );
    let text = format!("From: Bob <bob@acme.test>\r\nSubject: {subject}\r\n\r\nHello {subject}\r\n");
    item(MAIL, &format!("message/{id}"), &attributes, text.as_bytes())
}

fn file(id: &str, title: &str, parent: &str, kind: &str) -> Show {
    let attributes = format!(r#"{{"name":"{title}","mimeType":"{kind}","parents":["{parent}"]}}"#);
    item(DRIVE, &format!("file/{id}"), &attributes, title.as_bytes())
}

struct World {
    _folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    installation: Installation,
    browse: Browse,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Moment::from_micros(1_750_000_000_000_000)));
        let ports = Ports {
            clock: Arc::clone(&clock) as _,
            random: Arc::new(SeededRandom::new(1)),
            tracing: ports::Tracing::default(),
        };
        let place = Place::Folder { path: "vault".into(), immutable_flags: false };
        Installation::init(folder.path(), &InitRequest { place, lock_days: 1 }, &ports, &|_| None).unwrap();
        let mut installation = Installation::open(folder.path(), ports).unwrap();
        for (name, kind) in [("acme", "google"), ("home", "files")] {
            let config = SourceConfig { kind: kind.to_owned(), settings: toml::Table::new() };
            installation.reconfigure(|all| all.add_source(source(name), config)).unwrap();
        }
        let reader = Arc::new(installation.reader(None, &|_| None).unwrap());
        let browse = Browse::new(installation.again().unwrap(), Some(reader));
        Self { _folder: folder, clock, installation, browse }
    }

    fn capture(&self, name: &str, shows: Vec<Show>) -> Freshness {
        self.clock.advance_micros(60_000_000);
        self.installation.capture(&source(name), &mut Script(shows), &|_| None, &Stop::default()).unwrap();
        self.browse.refresh(&source(name), &Stop::default(), &Silent).unwrap()
    }

    fn search(&self, text: &str, at: Option<At>) -> Vec<String> {
        let wish = SearchWish { text: text.to_owned(), at, ..SearchWish::default() };
        let found = self.browse.search(&wish).unwrap();
        found.hits.into_iter().map(|hit| hit.entry.title).collect()
    }
}

fn titles(listing: &Listing) -> Vec<&str> {
    listing.entries.iter().map(|entry| entry.title.as_str()).collect()
}

fn all() -> PageWish {
    PageWish::default()
}

#[test]
fn a_mailbox_is_looked_at_at_two_moments() {
    let world = World::new();
    let acme = source("acme");
    world.capture("acme", vec![mail("1", "Invoice", "\"INBOX\""), mail("2", "Lunch", "\"INBOX\"")]);
    let fresh = world.capture(
        "acme",
        vec![mail("1", "Invoice", "\"TRASH\""), Show::Gone { stream: MAIL, key: "message/2".to_owned() }],
    );
    assert_eq!((fresh.commit, fresh.is_indexed), (2, true));

    let streams = world.browse.streams(&acme, At::Latest).unwrap();
    assert_eq!((streams.stand.commit, streams.streams.len()), (2, 1));
    assert_eq!((streams.streams[0].stream.as_str(), streams.streams[0].items), (MAIL, 1));
    let before = world.browse.streams(&acme, At::Commit(1)).unwrap();
    assert_eq!(before.streams[0].items, 2);
    // A time between the two commits is the first one.
    let between = before.stand.at.unwrap().plus_micros(1);
    assert_eq!(world.browse.streams(&acme, At::Moment(between)).unwrap(), before);

    let top = world.browse.children(&acme, &name(MAIL), ("", At::Latest), &all()).unwrap();
    assert_eq!((titles(&top), top.entries[0].folder.as_deref()), (vec!["message"], Some("message/")));
    let now = world.browse.children(&acme, &name(MAIL), ("message/", At::Latest), &all()).unwrap();
    assert_eq!(titles(&now), ["Invoice"]);
    assert_eq!(now.trail, [Crumb { folder: "message/".to_owned(), title: "message".to_owned() }]);
    let then = world.browse.page(&acme, &name(MAIL), ("message/", At::Commit(1)), &all()).unwrap();
    assert_eq!(titles(&then), ["Invoice", "Lunch"]);

    let mail = name(MAIL);
    let one = (&mail, "message/1");
    let shown = world.browse.item(&acme, one, At::Latest).unwrap();
    assert_eq!((shown.versions, shown.entry.commit), (2, 2));
    assert_eq!(shown.document.body, ["Hello Invoice"]);
    let compared = world.browse.difference(&acme, one, (At::Commit(1), At::Commit(2))).unwrap();
    assert!(compared.is_content_same);
    let changed: Vec<&str> = compared.difference.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!((changed, compared.difference.lines.len()), (vec!["Labels"], 0));

    let versions = world.browse.versions(&acme, (&mail, "message/2"), &all()).unwrap();
    let told: Vec<_> = versions.versions.iter().map(|past| (past.until_commit, past.is_removed)).collect();
    assert_eq!((versions.total, told), (1, vec![(Some(2), true)]));
    let deleted = world.browse.deleted_between(&acme, None, (At::Commit(1), At::Latest), &all()).unwrap();
    assert_eq!(deleted.items.len(), 1);
    assert_eq!((deleted.items[0].entry.title.as_str(), deleted.items[0].is_back), ("Lunch", false));

    let mut content = Vec::new();
    let out = (&mut content as &mut dyn std::io::Write, &Silent as &dyn Progress);
    world.browse.content(&acme, (&mail, "message/2"), At::Commit(1), out).unwrap();
    assert!(content.ends_with(b"Hello Lunch\r\n"));
}

#[test]
fn words_are_found_over_all_sources_page_by_page() {
    let world = World::new();
    world.capture("acme", (0..7).map(|n| mail(&n.to_string(), &format!("Invoice {n}"), "")).collect());
    let plain = r#"{"kind":"file","mode":420,"modified_ns":1,"owner":1,"group":1}"#;
    world.capture("home", (0..5).map(|n| item("files", &format!("a/invoice{n}.txt"), plain, b"x")).collect());
    world.capture(
        "acme",
        vec![Show::Gone { stream: MAIL, key: "message/3".to_owned() }, mail("9", "Invoice 9", "")],
    );
    assert_eq!(world.search("invoice*", Some(At::Latest)).len(), 12);
    assert_eq!(world.search("invoice*", None).len(), 13);
    assert_eq!(world.search("bob 3", None), ["Invoice 3"]);
    assert_eq!(world.search("bob 3", Some(At::Latest)), [""; 0]);
    assert_eq!(world.search("  \"", None), [""; 0]);

    let mut wish = SearchWish { text: "invoice*".to_owned(), ..SearchWish::default() };
    wish.page.limit = 4;
    let (mut found, mut times, mut pages) = (BTreeSet::new(), Vec::new(), 0);
    loop {
        let page = world.browse.search(&wish).unwrap();
        pages += 1;
        assert!(page.hits.len() <= 4 && page.behind.is_empty());
        times.extend(page.hits.iter().map(|hit| hit.entry.at));
        found.extend(page.hits.into_iter().map(|hit| (hit.source, hit.entry.key)));
        match page.next {
            Some(next) => wish.page.cursor = Some(next),
            None => break,
        }
    }
    assert_eq!((found.len(), times.len()), (13, 13), "each once");
    assert!(times.is_sorted_by(|newer, older| newer >= older), "the newest first");
    assert!(pages >= 4);

    wish.page.cursor = None;
    wish.streams = vec![name("files")];
    assert_eq!(world.browse.search(&wish).unwrap().hits.len(), 4);
    for cursor in ["x", "=", "acme=x", "acme=1,=2"] {
        wish.page.cursor = Some(cursor.to_owned());
        assert!(matches!(world.browse.search(&wish), Err(BrowseError::Cursor)), "{cursor}");
    }
}

#[test]
fn a_drive_has_folders_by_their_ids() {
    const FOLDER: &str = "application/vnd.google-apps.folder";
    let world = World::new();
    let acme = source("acme");
    let mut shows = vec![file("root", "My Drive", "", FOLDER), file("d1", "Plans", "root", FOLDER)];
    shows.extend((0..5).map(|n| file(&format!("f{n}"), &format!("Plan {n}"), "d1", "text/plain")));
    world.capture("acme", shows);
    world.capture("acme", vec![file("f0", "Plan 0", "root", "text/plain")]);

    let list = |folder: &str, at, wish: &PageWish| {
        world.browse.children(&acme, &name(DRIVE), (folder, at), wish).unwrap()
    };
    // Of the top folder no parent is told; in this world the empty one.
    let top = list("", At::Latest, &all());
    assert_eq!((titles(&top), top.entries[0].folder.as_deref()), (vec!["My Drive"], Some("root")));
    assert_eq!(titles(&list("root", At::Latest, &all())), ["Plan 0", "Plans"]);
    assert_eq!(titles(&list("root", At::Commit(1), &all())), ["Plans"]);
    let plans = list("d1", At::Latest, &all());
    assert_eq!(titles(&plans), ["Plan 1", "Plan 2", "Plan 3", "Plan 4"]);
    let trail: Vec<&str> = plans.trail.iter().map(|crumb| crumb.title.as_str()).collect();
    assert_eq!(trail, ["My Drive", "Plans"]);

    let mut wish = PageWish { cursor: None, limit: 3 };
    let first = list("d1", At::Latest, &wish);
    assert_eq!((titles(&first), &first.previous), (vec!["Plan 1", "Plan 2", "Plan 3"], &None));
    wish.cursor.clone_from(&first.next);
    let second = list("d1", At::Latest, &wish);
    assert_eq!((titles(&second), &second.next), (vec!["Plan 4"], &None));
    wish.cursor.clone_from(&second.previous);
    let back = list("d1", At::Latest, &wish);
    assert_eq!((titles(&back), &back.previous), (titles(&first), &None));
    wish.cursor = back.next;
    assert_eq!(list("d1", At::Latest, &wish), second);
}

#[test]
fn pages_go_forward_and_back_through_a_folder() {
    let world = World::new();
    let home = source("home");
    let plain = r#"{"kind":"file","mode":420,"modified_ns":1,"owner":1,"group":1}"#;
    let folder = r#"{"kind":"folder","mode":493,"modified_ns":1,"owner":1,"group":1}"#;
    let mut shows: Vec<Show> = (0..5).map(|n| item("files", &format!("a/{n}"), plain, b"x")).collect();
    shows.push(item("files", "a", folder, b""));
    shows.push(item("files", "a/sub/deep", plain, b"x"));
    world.capture("home", shows);
    let list =
        |wish: &PageWish| world.browse.children(&home, &name("files"), ("a/", At::Latest), wish).unwrap();
    let mut wish = PageWish { cursor: None, limit: 2 };
    let mut pages = Vec::new();
    loop {
        let page = list(&wish);
        wish.cursor.clone_from(&page.next);
        let is_last = page.next.is_none();
        pages.push(page);
        if is_last {
            break;
        }
    }
    let told: Vec<Vec<&str>> = pages.iter().map(titles).collect();
    assert_eq!(told, [["0", "1"], ["2", "3"], ["4", "sub"]]);
    wish.cursor.clone_from(&pages[2].previous);
    let back = list(&wish);
    assert_eq!(titles(&back), ["2", "3"]);
    wish.cursor = back.previous;
    let first = list(&wish);
    assert_eq!((titles(&first), &first.previous), (vec!["0", "1"], &None));
    for cursor in ["x", "f", "f:x", "z:i", "b:"] {
        wish.cursor = Some(cursor.to_owned());
        let refused = world.browse.children(&home, &name("files"), ("a/", At::Latest), &wish);
        assert!(matches!(refused, Err(BrowseError::Cursor)), "{cursor}");
    }
}

#[test]
fn what_cannot_be_shown_is_said() {
    let world = World::new();
    let acme = source("acme");
    let nothing = world.browse.streams(&acme, At::Latest);
    assert!(matches!(nothing, Err(BrowseError::NoCatalog { .. })));
    assert!(matches!(world.browse.streams(&source("x"), At::Latest), Err(BrowseError::UnknownSource { .. })));
    // A search goes on without it, and says so.
    let wish = SearchWish { text: "invoice".to_owned(), ..SearchWish::default() };
    assert_eq!(world.browse.search(&wish).unwrap().behind.len(), 2);

    world.capture(
        "acme",
        vec![mail("1", "Invoice", ""), Show::Closed { stream: MAIL, key: "message/2".to_owned() }],
    );
    let mailbox = name(MAIL);
    let missing = world.browse.item(&acme, (&mailbox, "message/7"), At::Latest);
    assert!(matches!(missing, Err(BrowseError::NotThere)));
    assert!(matches!(
        world.browse.streams(&acme, At::Commit(9)),
        Err(BrowseError::NothingYet { first: Some(_), .. })
    ));
    let before = At::Moment(Moment::from_micros(0));
    assert!(matches!(world.browse.streams(&acme, before), Err(BrowseError::NothingYet { .. })));
    assert!(matches!(At::parse("yesterday"), Err(BrowseError::NoMoment { .. })));
    assert_eq!(At::parse(" 12 ").unwrap(), At::Commit(12));

    let closed = world.browse.item(&acme, (&mailbox, "message/2"), At::Latest).unwrap();
    assert!(!closed.entry.is_readable);
    assert_eq!(closed.document.notes.len(), 1);
    let out = (&mut Vec::new() as &mut dyn std::io::Write, &Silent as &dyn Progress);
    let content = world.browse.content(&acme, (&mailbox, "message/2"), At::Latest, out);
    assert!(matches!(content, Err(BrowseError::NoContent)));

    let without_key = Browse::new(world.installation.again().unwrap(), None);
    assert!(without_key.streams(&acme, At::Latest).is_ok());
    let refused = without_key.item(&acme, (&mailbox, "message/1"), At::Latest);
    assert!(matches!(refused, Err(BrowseError::NoRestoreKey)));
}

#[test]
fn a_catalog_and_an_index_that_were_made_anew_are_opened_anew() {
    let world = World::new();
    let acme = source("acme");
    world.capture("acme", vec![mail("1", "Invoice", ""), mail("2", "Lunch", "")]);
    assert_eq!(world.search("invoice", None), ["Invoice"]);
    let path = world.installation.catalog_path(&acme);
    crate::installation::move_aside(&path).unwrap();
    assert!(matches!(world.browse.streams(&acme, At::Latest), Err(BrowseError::NoCatalog { .. })));
    world.browse.refresh(&acme, &Stop::default(), &Silent).unwrap();
    assert_eq!(world.search("invoice", None), ["Invoice"]);
    // An index that is no database is begun anew as well.
    let index = catalog::search::path_beside(&path);
    crate::installation::move_aside(&index).unwrap();
    assert_eq!(world.search("invoice", None), [""; 0]);
    ports::files::create_new(&index, &[7; 9000], 0o600).unwrap();
    assert_eq!(world.search("invoice", None), [""; 0]);
    let fresh = world.browse.refresh(&acme, &Stop::default(), &Silent).unwrap();
    assert_eq!((fresh.indexed, fresh.is_indexed), (2, true));
    assert_eq!(world.search("lunch", None), ["Lunch"]);
}
