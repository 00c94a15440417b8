use connect::{ChangeSink, Cursor, ReadError, Silent, Stored, StoredError, StoredItem};
use model::{Item, Layout, Moment, StreamName};
use ports::{ManualClock, SeededRandom};

use super::*;
use crate::{StoredSource, operations};

/// A reader that commits a log and some items.
struct Shop {
    /// The items' contents by key.
    items: Vec<(&'static str, Vec<u8>)>,
    log: std::ops::Range<u64>,
}

impl SourceReader for Shop {
    fn changes(
        &mut self,
        _: Option<&Cursor>,
        sink: &mut dyn ChangeSink,
        _: &Stop,
    ) -> Result<ReadEnd, ReadError> {
        for (key, content) in &self.items {
            let item = Item { stream: stream("files"), key: (*key).to_owned(), attributes: "{}".to_owned() };
            sink.upsert(item, Layout::Small, &mut &content[..])?;
        }
        let log: Vec<u8> = self.log.clone().map(|position| position as u8).collect();
        sink.append(&stream("wal/1"), self.log.start, &log)?;
        sink.checkpoint(&Cursor(self.log.end.to_string()))?;
        Ok(ReadEnd::UpToDate)
    }
}

fn stream(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

fn shop() -> SourceName {
    SourceName::new("shop").unwrap()
}

const NOWHERE: Environment<'static> = &|_| None;

struct Home {
    folder: tempfile::TempDir,
    installation: Installation,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ports = Ports {
            clock: Arc::new(ManualClock::new(Moment::from_micros(1_750_000_000_000_000))),
            random: Arc::new(SeededRandom::new(1)),
            tracing: ports::Tracing::default(),
        };
        let made = Installation::init(folder.path(), &request(), &ports, &|_| None).unwrap();
        assert_eq!(made.config.restore.key.as_deref(), Some("file:keys/restore.key"));
        let installation = Installation::open(folder.path(), ports).unwrap();
        Self { folder, installation }
    }

    fn capture(&self, items: Vec<(&'static str, Vec<u8>)>, log: std::ops::Range<u64>) -> CaptureReport {
        let mut reader = Shop { items, log };
        self.installation.capture(&shop(), &mut reader, NOWHERE, &Stop::default()).unwrap().1
    }

    fn stored(&self) -> StoredSource {
        let reader = self.installation.reader(None, NOWHERE).unwrap();
        self.installation.stored(&shop(), reader, &Silent).unwrap()
    }

    fn catalog_path(&self) -> PathBuf {
        self.installation.state_folder(&shop()).join("catalog.sqlite")
    }

    fn forget_restore_key(&mut self) {
        self.installation
            .reconfigure(|config| {
                config.restore.key = None;
                Ok(())
            })
            .unwrap();
    }
}

fn request() -> InitRequest {
    InitRequest { place: crate::Place::Folder { path: "vault".into(), immutable_flags: false }, lock_days: 1 }
}

fn log_bytes(range: std::ops::Range<u64>) -> Vec<u8> {
    range.map(|position| position as u8).collect()
}

fn read_log(stored: &StoredSource, start: u64, end: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut stored.read_log(&stream("wal/1"), start, end).unwrap(), &mut bytes)?;
    Ok(bytes)
}

#[test]
fn a_home_is_made_once_and_keeps_what_is_configured() {
    let mut home = Home::new();
    let ports = home.installation.ports().clone();
    let again = Installation::init(home.folder.path(), &request(), &ports, &|_| None).unwrap_err();
    assert!(matches!(again, ServiceError::Init(InitError::Exists)), "{again:?}");
    assert!(again.hint().unwrap().contains("init"));

    home.forget_restore_key();
    let refused = home
        .installation
        .reconfigure(|_| Err(ConfigError::UnknownSource { name: "x".to_owned(), known: String::new() }));
    assert!(matches!(refused, Err(ServiceError::Config(_))));
    let opened = Installation::open(home.folder.path(), ports).unwrap();
    assert_eq!(opened.config(), home.installation.config());
    assert!(matches!(opened.reader(None, NOWHERE), Err(ServiceError::NoRestoreKey)));
    assert!(opened.reader(Some("file:keys/restore.key"), NOWHERE).is_ok());
    assert!(matches!(opened.reader(Some("file:keys/capture.key"), NOWHERE), Err(ServiceError::Key(_))));
}

#[test]
fn one_process_at_a_time_captures_a_source() {
    let home = Home::new();
    let folder = home.installation.state_folder(&shop());
    files::create_folder(&folder).unwrap();
    let claimed = claim(&shop(), &folder).unwrap();
    let mut reader = Shop { items: Vec::new(), log: 0..1 };
    let second = home.installation.capture(&shop(), &mut reader, NOWHERE, &Stop::default());
    assert!(matches!(second, Err(ServiceError::Busy { name }) if name == shop()));
    drop(claimed);
    home.capture(Vec::new(), 0..1);
}

#[test]
fn what_was_captured_is_read_back() {
    let home = Home::new();
    home.capture(vec![("a", b"first".to_vec()), ("b", vec![7; 3_000_000])], 0..100);
    home.capture(vec![("a", b"second".to_vec())], 100..300);
    let stored = home.stored();
    let items = stored.items(&stream("files")).unwrap();
    assert_eq!(items.iter().map(|item| item.sequence).collect::<Vec<_>>(), [2, 1]);
    let mut bytes = Vec::new();
    stored.read(&items[0], &mut bytes).unwrap();
    assert_eq!(bytes, b"second");
    let old = StoredItem { sequence: 1, ..items[0].clone() };
    assert!(matches!(stored.read(&old, &mut bytes), Err(StoredError::Missing { .. })));

    let folder = tempfile::tempdir().unwrap();
    let open = |item: &StoredItem| -> std::io::Result<Box<dyn std::io::Write + Send>> {
        Ok(Box::new(std::fs::File::create_new(folder.path().join(&item.item.key))?))
    };
    stored.read_many(&items, &open, &Silent).unwrap();
    assert_eq!(files::read(&folder.path().join("b")).unwrap(), vec![7; 3_000_000]);
    let refused = stored.read_many(&items, &open, &Silent);
    assert!(matches!(refused, Err(StoredError::Write { .. })), "the files are there already");
}

#[test]
fn a_log_is_read_across_runs_and_a_gap_is_an_error() {
    let home = Home::new();
    home.capture(Vec::new(), 0..100);
    home.capture(Vec::new(), 100..300);
    // A capture that was resumed earlier than it had to be.
    home.capture(Vec::new(), 250..400);
    home.capture(Vec::new(), 500..600);
    let stored = home.stored();
    assert_eq!(read_log(&stored, 0, 400).unwrap(), log_bytes(0..400));
    assert_eq!(read_log(&stored, 90, 260).unwrap(), log_bytes(90..260));
    assert_eq!(read_log(&stored, 5, 5).unwrap(), b"");
    for (start, end) in [(350, 550), (550, 700), (420, 430)] {
        let error = read_log(&stored, start, end).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{start}..{end}");
    }
    let ranges = stored.log_ranges(&stream("wal/1"), 290, 510).unwrap();
    let ranges: Vec<_> = ranges.iter().map(|range| (range.start, range.end, range.sequence)).collect();
    assert_eq!(ranges, [(100, 300, 2), (250, 400, 3), (500, 600, 4)]);
}

#[test]
fn damage_is_named() {
    let home = Home::new();
    home.capture(vec![("precious", vec![7; 5000])], 0..10);
    for pack in files_under(&home.folder.path().join("vault")) {
        let bytes = files::read(&pack).unwrap();
        if pack.to_str().unwrap().contains("/data/") {
            std::fs::remove_file(&pack).unwrap();
            let middle = bytes.len() / 2;
            let changed: Vec<u8> = bytes
                .iter()
                .enumerate()
                .map(|(at, byte)| if at < middle { byte ^ 1 } else { *byte })
                .collect();
            files::create_new(&pack, &changed, 0o600).unwrap();
        }
    }
    let stored = home.stored();
    let items = stored.items(&stream("files")).unwrap();
    let open =
        |_: &StoredItem| -> std::io::Result<Box<dyn std::io::Write + Send>> { Ok(Box::new(std::io::sink())) };
    let error = stored.read_many(&items, &open, &Silent).unwrap_err();
    assert!(matches!(&error, StoredError::Damaged { what, .. } if what == "precious"), "{error:?}");
}

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_under(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_catalog_beyond_use_is_moved_aside_and_made_anew() {
    let home = Home::new();
    home.capture(vec![("a", b"first".to_vec())], 0..10);
    let path = home.catalog_path();
    files::replace(&path, &[7; 9000]).unwrap();
    assert_eq!(home.stored().items(&stream("files")).unwrap().len(), 1);
    assert_eq!(files::read(&path.with_extension("sqlite.stale")).unwrap(), [7; 9000]);

    // The catalog of another vault's history.
    std::fs::remove_file(&path).unwrap();
    let foreign = Home::new();
    foreign.capture(vec![("x", b"1".to_vec()), ("y", b"2".to_vec())], 0..10);
    drop(foreign.stored());
    std::fs::copy(foreign.catalog_path(), &path).unwrap();
    let keys = |home: &Home| {
        let items = home.stored().items(&stream("files")).unwrap();
        items.into_iter().map(|item| item.item.key).collect::<Vec<_>>()
    };
    assert_eq!(keys(&home), ["a"]);

    // Capture has no restore key: it goes on and says that the catalog does not follow.
    files::replace(&path, &[7; 9000]).unwrap();
    let report = home.capture(Vec::new(), 10..20);
    assert_eq!(report.commits.len(), 1);
    assert!(report.catalog_stale.is_some());
}

#[test]
fn a_catalog_is_brought_up_to_date_only_with_a_key_at_hand() {
    let mut home = Home::new();
    home.capture(Vec::new(), 0..10);
    let (writer, _) = home.installation.writer(NOWHERE).unwrap();
    writer.begin(&shop()).finish(&vault::Cursor(Vec::new())).unwrap();
    let last = |home: &Home, fresh: bool| {
        let catalog = if fresh {
            home.installation.catalog_up_to_date(&shop(), NOWHERE, &Silent)
        } else {
            home.installation.catalog(&shop())
        };
        catalog.unwrap().last_sequence().unwrap()
    };
    assert_eq!(last(&home, false), 1);
    assert_eq!(last(&home, true), 2);
    writer.begin(&shop()).finish(&vault::Cursor(Vec::new())).unwrap();
    home.forget_restore_key();
    assert_eq!(last(&home, true), 2);
}

#[test]
fn a_capture_that_others_overtook_says_so_and_the_next_reader_mends_the_catalog() {
    let home = Home::new();
    home.capture(Vec::new(), 0..10);
    let (writer, _) = home.installation.writer(NOWHERE).unwrap();
    writer.begin(&shop()).finish(&vault::Cursor(Vec::new())).unwrap();
    let report = home.capture(Vec::new(), 10..20);
    assert!(report.catalog_stale.unwrap().contains("commit 3 does not follow commit 1"));
    let catalog = home.installation.catalog_up_to_date(&shop(), NOWHERE, &Silent).unwrap();
    assert_eq!(catalog.last_sequence().unwrap(), 3);
    drop(catalog);
    assert_eq!(home.capture(Vec::new(), 20..30).catalog_stale, None);
}

#[test]
fn operations_are_recorded_in_the_vault_under_their_own_name() {
    let home = Home::new();
    let (writer, _) = home.installation.writer(NOWHERE).unwrap();
    let first = operations::record(&writer, operations::Kind::Approval, "plan-1", &["anna"]).unwrap();
    let second = operations::record(&writer, operations::Kind::Applied, "plan-1", &["done"]).unwrap();
    assert_eq!((first.sequence, second.sequence), (1, 2));
    let source = SourceName::new(operations::SOURCE).unwrap();
    let reader = home.installation.reader(None, NOWHERE).unwrap();
    let stored = home.installation.stored(&source, reader, &Silent).unwrap();
    let approvals = stored.items(&stream("approvals")).unwrap();
    let mut text = Vec::new();
    stored.read(&approvals[0], &mut text).unwrap();
    assert_eq!((approvals[0].item.key.as_str(), text.as_slice()), ("plan-1", br#"["anna"]"#.as_slice()));
}
