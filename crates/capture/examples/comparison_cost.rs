//! What comparing files costs a capture: the files of a folder are captured from memory, twice each round, with and
//! without being looked at, and again after a line was put behind each.
//!
//! `comparison_cost FOLDER [ROUNDS]` prints the shortest times by the clock and the mean ones of the processors, as JSON.
//! Where other programs run, the latter tell more.

use std::{
    fs,
    io::{Error, Result, Write},
    path::Path,
    sync::{Arc, Mutex},
};

use blobs::{LocalStore, Protection};
use capture::{Session, SessionOptions};
use catalog::Catalog;
use connect::{ChangeSink, Cursor, FileItem, FileOf, ReadEnd, ReadError, SourceReader, Stop};
use model::{Item, Layout, SourceName, StreamName};
use ports::{BlobStore, Clock, SystemClock, SystemRandom};
use vault::{InitOptions, VaultWriter, WriterOptions, journal::JournalOptions};

/// So much is held at most.
const BYTES_MAX: u64 = 1 << 30;
const CHECKPOINT_ITEMS: usize = 2000;
/// Larger files are read while they are stored.
const SMALL_BYTES: usize = 1 << 20;

struct Files<'a> {
    contents: &'a [(String, Vec<u8>)],
    stream: StreamName,
    compared: bool,
}

impl SourceReader for Files<'_> {
    fn changes(
        &mut self,
        _: Option<&Cursor>,
        sink: &mut dyn ChangeSink,
        _: &Stop,
    ) -> std::result::Result<ReadEnd, ReadError> {
        for part in self.contents.chunks(CHECKPOINT_ITEMS) {
            for (key, content) in part {
                let item =
                    Item { stream: self.stream.clone(), key: key.clone(), attributes: "{}".to_owned() };
                if content.len() < SMALL_BYTES {
                    sink.upsert_bytes(item, Layout::Small, content)?;
                } else {
                    sink.upsert(item, Layout::Blocks, &mut content.as_slice())?;
                }
            }
            sink.enumerated(part.len() as u64)?;
            sink.checkpoint(&Cursor(part.len().to_string()))?;
        }
        Ok(ReadEnd::UpToDate)
    }

    fn files(&self) -> Option<FileOf> {
        self.compared.then_some(|item| {
            Some(FileItem {
                scope: "files".to_owned(),
                name: item.key.clone(),
                target: item.key.clone(),
                changed_at: None,
                changed_by: None,
            })
        })
    }
}

/// One vault with its state, and the time that captures into it take.
struct World<'a> {
    folder: &'a Path,
    clock: Arc<dyn Clock>,
    writer: Arc<VaultWriter>,
    key: vault::CaptureKey,
    compared: bool,
}

impl<'a> World<'a> {
    fn new(folder: &'a Path, compared: bool) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let store: Arc<dyn BlobStore> =
            Arc::new(LocalStore::open(&folder.join("vault"), Protection::Plain).map_err(Error::other)?);
        let keys = vault::init(&*store, InitOptions { lock_days: 1 }, &*clock, &SystemRandom)
            .map_err(Error::other)?;
        let writer = VaultWriter::open(
            store,
            &keys.capture_key,
            Arc::clone(&clock),
            Arc::new(SystemRandom),
            WriterOptions::default(),
        )
        .map_err(Error::other)?;
        ports::files::create_folder(&folder.join("state")).map_err(Error::other)?;
        Ok(Self { folder, clock, writer: Arc::new(writer), key: keys.capture_key, compared })
    }

    /// Returns how long it took, and how long processors worked for it.
    fn capture(&self, contents: &[(String, Vec<u8>)]) -> Result<[f64; 2]> {
        let state_folder = self.folder.join("state");
        let catalog = Catalog::open(&state_folder.join("catalog.sqlite")).map_err(Error::other)?;
        let options = SessionOptions { state_folder, journal: JournalOptions::default() };
        let session = Session::open(
            Arc::clone(&self.writer),
            &self.key,
            SourceName::new("files").map_err(Error::other)?,
            Arc::new(Mutex::new(catalog)),
            Arc::new(SystemRandom),
            &options,
        )
        .map_err(Error::other)?;
        let stream = StreamName::new("files").map_err(Error::other)?;
        let mut reader = Files { contents, stream, compared: self.compared };
        let (began, worked) = (self.clock.elapsed(), processor_seconds()?);
        session.run(&mut reader, &Stop::default()).map_err(Error::other)?;
        let took = self.clock.elapsed().saturating_sub(began);
        Ok([took.as_secs_f64(), processor_seconds()? - worked])
    }
}

/// Returns how long processors worked for this process, all its threads together, in steps of 10 ms.
fn processor_seconds() -> Result<f64> {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').map_or("", |(_, after)| after);
    // The state comes first; user and system time are the twelfth and thirteenth.
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).flat_map(str::parse::<u64>).sum();
    Ok(ticks as f64 / TICKS_PER_SECOND)
}

fn collect(folder: &Path, contents: &mut Vec<(String, Vec<u8>)>, left: &mut u64) -> Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.flatten().collect();
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let (kind, path) = (entry.file_type()?, entry.path());
        if kind.is_dir() {
            collect(&path, contents, left)?;
        } else if kind.is_file() && entry.metadata()?.len() <= *left {
            let content = fs::read(&path)?;
            *left -= content.len() as u64;
            contents.push((path.display().to_string(), content));
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let source = arguments.next().ok_or_else(|| Error::other("comparison_cost FOLDER [ROUNDS]"))?;
    let rounds: u32 = arguments.next().and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
    let mut contents = Vec::new();
    collect(Path::new(&source), &mut contents, &mut { BYTES_MAX })?;
    let mut edited = contents.clone();
    for (_, content) in &mut edited {
        content.extend(b"one more line\n");
    }
    let bytes: usize = contents.iter().map(|(_, content)| content.len()).sum();
    let mut costs = [[[f64::MAX, 0.0]; 2]; 2];
    for round in 0..rounds {
        for compared in [false, true] {
            let name = format!("unwipe-bench-comparison-{}-{round}-{compared}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            ports::files::create_scratch(&folder).map_err(Error::other)?;
            let world = World::new(&folder, compared)?;
            for (number, contents) in [&contents, &edited].into_iter().enumerate() {
                let took = world.capture(contents)?;
                let [shortest, worked] = &mut costs[usize::from(compared)][number];
                *shortest = shortest.min(took[0]);
                *worked += took[1] / f64::from(rounds);
            }
            drop(world);
            ports::files::remove_scratch(&folder).map_err(Error::other)?;
        }
    }
    let [[first, again], [first_compared, again_compared]] = costs;
    let row = |name: &str, [wall, processor]: [f64; 2]| {
        format!(r#""{name}_s":{wall:.3},"{name}_processor_s":{processor:.4}"#)
    };
    let rows = [
        row("first", first),
        row("first_compared", first_compared),
        row("again", again),
        row("again_compared", again_compared),
    ];
    writeln!(std::io::stdout(), r#"{{"files":{},"bytes":{bytes},{}}}"#, contents.len(), rows.join(","))
}
