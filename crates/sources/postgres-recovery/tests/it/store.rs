//! A vault for tests: what capture would have stored, in memory.

use std::{
    collections::BTreeMap,
    io::{self, Cursor, Read, Write},
    path::Path,
    sync::Arc,
};

use connect::{LogRange, Progress, Stored, StoredError, StoredItem};
use model::{Item, StreamName};
use ports::{Clock, SystemClock};
use postgres_server::{lsn, testing::TestServer};
use postgres_wire::{
    BaseBackupEvent, BaseBackupOptions, Checkpoint, Connection, ConnectionSettings, Limits, Mode,
    tar::{Entry, EntryKind, TarEvent, TarParser},
};
use source_postgres::layout::{self, Base, BaseKind, File, FileKind, Hole};

#[derive(Default, Clone)]
pub(crate) struct MemoryStore {
    items: BTreeMap<String, BTreeMap<String, (String, Vec<u8>)>>,
    logs: BTreeMap<String, BTreeMap<u64, Vec<u8>>>,
    /// Reading this many more items works; then reading fails, as when a restore is interrupted.
    pub(crate) reads_left: Option<usize>,
}

impl MemoryStore {
    pub(crate) fn put(&mut self, stream: &StreamName, key: &str, attributes: String, content: Vec<u8>) {
        let stream = self.items.entry(stream.to_string()).or_default();
        stream.insert(key.to_owned(), (attributes, content));
    }

    pub(crate) fn content_mut(&mut self, stream: &StreamName, key: &str) -> &mut Vec<u8> {
        &mut self.items.get_mut(stream.as_str()).unwrap().get_mut(key).unwrap().1
    }

    /// Takes a base backup as capture does; returns its start and its end.
    pub(crate) fn take_base(&mut self, server: &TestServer) -> (u64, u64) {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let settings = ConnectionSettings::from_url(&server.url()).unwrap();
        let mut connection =
            Connection::connect(&settings, Mode::PhysicalReplication, &Limits::default(), Arc::clone(&clock))
                .unwrap();
        let identity = connection.identify_system().unwrap();
        let started_at = clock.now();
        let options = BaseBackupOptions { checkpoint: Checkpoint::Fast, ..BaseBackupOptions::default() };
        let mut stream = connection.base_backup(&options).unwrap();
        let (mut start_lsn, mut timeline, mut end_lsn) = (0, 0, 0);
        let mut tablespaces = BTreeMap::new();
        let mut manifest = Vec::new();
        let mut files: Vec<(String, File, Vec<u8>)> = Vec::new();
        let mut prefix = String::new();
        let mut parser = TarParser::new();
        while let Some(event) = stream.next_event().unwrap() {
            match event {
                BaseBackupEvent::Start { lsn, timeline: number } => (start_lsn, timeline) = (lsn, number),
                BaseBackupEvent::Tablespaces(list) => {
                    tablespaces = list.into_iter().filter_map(|t| Some((t.oid?, t.location?))).collect();
                }
                BaseBackupEvent::ArchiveStart { tablespace_oid, .. } => {
                    parser = TarParser::new();
                    prefix = tablespace_oid.map_or_else(String::new, |oid| format!("pg_tblspc/{oid}/"));
                }
                BaseBackupEvent::ArchiveData(mut piece) => {
                    while let Some(event) = parser.advance(&mut piece).unwrap() {
                        match event {
                            TarEvent::Entry(entry) => files.push(file_of(&prefix, entry)),
                            TarEvent::Data(data) => files.last_mut().unwrap().2.extend_from_slice(data),
                            TarEvent::EntryEnd => {}
                        }
                    }
                }
                BaseBackupEvent::ManifestData(data) => manifest.extend_from_slice(data),
                BaseBackupEvent::End { lsn, .. } => end_lsn = lsn,
                BaseBackupEvent::ManifestStart | BaseBackupEvent::Progress { .. } => {}
            }
        }
        let base = Base {
            kind: BaseKind::Production,
            system_identifier: identity.system_identifier,
            major: server.major(),
            timeline,
            start_lsn,
            end_lsn,
            wal_segment_bytes: server
                .sql("select pg_size_bytes(current_setting('wal_segment_size'))")
                .parse()
                .unwrap(),
            tablespaces,
            started_at,
            finished_at: clock.now(),
            files: files.len() as u64,
            bytes: files.iter().map(|(_, _, content)| content.len() as u64).sum(),
        };
        let stream = layout::base_files_stream(start_lsn).unwrap();
        for (key, file, content) in files {
            self.put(&stream, &key, serde_json::to_string(&file).unwrap(), content);
        }
        let attributes = serde_json::to_string(&base).unwrap();
        self.put(&layout::bases_stream().unwrap(), &layout::lsn_key(start_lsn), attributes, manifest);
        (start_lsn, end_lsn)
    }

    /// Reads the WAL that the server has flushed, and its timeline histories, from its own files.
    pub(crate) fn take_wal(&mut self, server: &TestServer) -> u64 {
        let end = lsn::parse(&server.sql("select pg_current_wal_flush_lsn()")).unwrap();
        self.take_wal_files(server.data_dir(), end);
        end
    }

    /// Reads WAL files up to a position; parts of segments beyond it are left.
    pub(crate) fn take_wal_files(&mut self, data_dir: &Path, end: u64) {
        let mut names: Vec<_> =
            data_dir.join("pg_wal").read_dir().unwrap().flatten().map(|e| e.file_name()).collect();
        names.sort();
        for name in names.iter().filter_map(|name| name.to_str()) {
            let path = data_dir.join("pg_wal").join(name);
            if name.ends_with(".history") {
                let stream = layout::history_stream().unwrap();
                self.put(&stream, name, "{}".to_owned(), std::fs::read(&path).unwrap());
                continue;
            }
            let length = path.metadata().unwrap().len() as u32;
            let Some((timeline, start)) = lsn::parse_segment_name(name, length.max(1)) else { continue };
            if start < end {
                let mut content = std::fs::read(&path).unwrap();
                content.truncate(usize::try_from(end - start).unwrap().min(content.len()));
                let stream = layout::wal_stream(timeline).unwrap().to_string();
                self.logs.entry(stream).or_default().insert(start, content);
            }
        }
    }

    /// Forgets the WAL of a timeline from a position up to another one.
    pub(crate) fn forget_wal(&mut self, timeline: u32, from: u64, to: u64) {
        let stream = layout::wal_stream(timeline).unwrap().to_string();
        let runs = std::mem::take(self.logs.get_mut(&stream).unwrap());
        for (start, content) in runs {
            let end = start + content.len() as u64;
            let cut = |at: u64| usize::try_from(at.clamp(start, end) - start).unwrap();
            let (before, after) = (content[..cut(from)].to_vec(), content[cut(to)..].to_vec());
            let log = self.logs.get_mut(&stream).unwrap();
            if !before.is_empty() {
                log.insert(start, before);
            }
            if !after.is_empty() {
                log.insert(to.max(start), after);
            }
        }
    }

    pub(crate) fn flip_wal(&mut self, timeline: u32, at: u64) {
        let stream = layout::wal_stream(timeline).unwrap().to_string();
        let log = self.logs.get_mut(&stream).unwrap();
        let (start, content) = log.range_mut(..=at).next_back().unwrap();
        content[usize::try_from(at - start).unwrap()] ^= 1;
    }

    pub(crate) fn note_hole(&mut self, hole: &Hole) {
        let attributes = serde_json::to_string(hole).unwrap();
        self.put(&layout::holes_stream().unwrap(), &layout::lsn_key(hole.from_lsn), attributes, Vec::new());
    }
}

fn file_of(prefix: &str, entry: Entry) -> (String, File, Vec<u8>) {
    let kind = match entry.kind {
        EntryKind::File => FileKind::File,
        EntryKind::Directory => FileKind::Folder,
        EntryKind::Symlink { target } => FileKind::Link { to: target.to_str().unwrap().to_owned() },
    };
    (format!("{prefix}{}", entry.path.to_str().unwrap()), File { kind, mode: entry.mode }, Vec::new())
}

impl Stored for MemoryStore {
    fn items(&self, stream: &StreamName) -> Result<Vec<StoredItem>, StoredError> {
        let Some(items) = self.items.get(stream.as_str()) else { return Ok(Vec::new()) };
        let item = |(key, (attributes, content)): (&String, &(String, Vec<u8>))| StoredItem {
            item: Item { stream: stream.clone(), key: key.clone(), attributes: attributes.clone() },
            sequence: 1,
            size_bytes: content.len() as u64,
        };
        Ok(items.iter().map(item).collect())
    }

    fn read(&self, item: &StoredItem, out: &mut dyn Write) -> Result<(), StoredError> {
        let content = &self.items[item.item.stream.as_str()][&item.item.key].1;
        // Pieces of the size that pages are stored in.
        content
            .chunks(8192)
            .try_for_each(|piece| out.write_all(piece))
            .map_err(|source| StoredError::Write { what: item.item.key.clone(), source })
    }

    fn read_many(
        &self,
        items: &[StoredItem],
        open: &(dyn Fn(&StoredItem) -> io::Result<Box<dyn Write + Send>> + Sync),
        progress: &dyn Progress,
    ) -> Result<(), StoredError> {
        let half = items.len() / 2;
        std::thread::scope(|scope| {
            let work = |part: &[StoredItem]| -> Result<(), StoredError> {
                for (index, item) in part.iter().enumerate() {
                    if self.reads_left.is_some_and(|left| index >= left) {
                        return Err(StoredError::Missing { what: item.item.key.clone() });
                    }
                    let opened = open(item);
                    let mut out = opened
                        .map_err(|source| StoredError::Write { what: item.item.key.clone(), source })?;
                    self.read(item, &mut *out)?;
                    progress.advance(item.size_bytes);
                }
                Ok(())
            };
            let other = scope.spawn(move || work(&items[..half]));
            let mine = work(&items[half..]);
            other.join().unwrap().and(mine)
        })
    }

    fn log_ranges(&self, stream: &StreamName, start: u64, end: u64) -> Result<Vec<LogRange>, StoredError> {
        let Some(log) = self.logs.get(stream.as_str()) else { return Ok(Vec::new()) };
        let range = |(from, content): (&u64, &Vec<u8>)| LogRange {
            start: *from,
            end: from + content.len() as u64,
            sequence: 1,
        };
        Ok(log.iter().map(range).filter(|range| range.start < end && start < range.end).collect())
    }

    fn read_log<'a>(
        &'a self,
        stream: &StreamName,
        start: u64,
        end: u64,
    ) -> Result<Box<dyn Read + 'a>, StoredError> {
        let mut bytes = Vec::new();
        for range in self.log_ranges(stream, start, end)? {
            let content = &self.logs[stream.as_str()][&range.start];
            let at = |position: u64| {
                usize::try_from(position.clamp(range.start, range.end) - range.start).unwrap()
            };
            bytes.extend_from_slice(&content[at(start + bytes.len() as u64)..at(end)]);
        }
        Ok(Box::new(Cursor::new(bytes)))
    }
}
