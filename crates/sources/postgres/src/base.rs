//! The base: a copy of the whole cluster by `BASE_BACKUP`, verified against the server's own manifest.

use std::{collections::BTreeMap, io, sync::Arc};

use connect::{ChangeSink, Progress, ReadError, SinkError, Stop};
use model::{Item, Layout, StreamName};
use ports::Clock;
use postgres_wire::{
    BaseBackupOptions, Checkpoint, Connection, Limits, Mode,
    tar::{Entry, EntryKind},
};

use crate::{
    archive::{ArchiveError, Archives, Step},
    failure,
    layout::{self, Base, BaseKind, File, FileKind},
    manifest::{Manifest, Received},
    path,
    settings::ClusterSettings,
};

/// Reads one base into a sink. Nothing of it is visible before the caller's checkpoint.
pub(crate) struct BaseReader<'r> {
    pub(crate) settings: &'r ClusterSettings,
    pub(crate) clock: &'r Arc<dyn Clock>,
    pub(crate) progress: &'r dyn Progress,
    pub(crate) stop: &'r Stop,
}

/// What is known of a base while it is read.
struct Draft {
    base: Base,
    stream: StreamName,
    /// The tablespace whose archive is being read.
    space: Option<u32>,
    received: BTreeMap<String, Received>,
    manifest: Vec<u8>,
}

impl BaseReader<'_> {
    /// Copies the cluster; nothing when it was asked to end.
    pub(crate) fn read(&self, sink: &mut dyn ChangeSink) -> Result<Option<Base>, ReadError> {
        let target = self.settings.replication_connection();
        let limits = Limits::default();
        let mut connection =
            Connection::connect(&target, Mode::PhysicalReplication, &limits, Arc::clone(self.clock))
                .map_err(failure::wire)?;
        let identity = connection.identify_system().map_err(failure::wire)?;
        let base = Base {
            kind: BaseKind::Production,
            system_identifier: identity.system_identifier,
            major: connection.major(),
            timeline: identity.timeline,
            start_lsn: 0,
            end_lsn: 0,
            wal_segment_bytes: segment_bytes(&mut connection)?,
            tablespaces: BTreeMap::new(),
            started_at: self.clock.now(),
            finished_at: self.clock.now(),
            files: 0,
            bytes: 0,
        };
        let stream = connection.base_backup(&self.options()).map_err(failure::wire)?;
        let archives = Archives::new(stream, self.stop.clone());
        match self.copy(archives, base, sink) {
            Ok(base) => Ok(Some(base)),
            Err(BaseFailure::Stopped) => Ok(None),
            Err(BaseFailure::Read(error)) => Err(error),
        }
    }

    fn options(&self) -> BaseBackupOptions {
        BaseBackupOptions {
            label: format!("unwipe {}", self.settings.slot),
            checkpoint: if self.settings.base_checkpoint_spread {
                Checkpoint::Spread
            } else {
                Checkpoint::Fast
            },
            rate_max_kib: self.settings.base_rate_kib_max,
            ..BaseBackupOptions::default()
        }
    }

    fn copy(
        &self,
        mut archives: Archives<'_>,
        base: Base,
        sink: &mut dyn ChangeSink,
    ) -> Result<Base, BaseFailure> {
        let stream = layout::bases_stream().map_err(failure::named)?;
        let mut draft = Draft { base, stream, space: None, received: BTreeMap::new(), manifest: Vec::new() };
        while let Some(step) = archives.next()? {
            match step {
                Step::Start { lsn, timeline } => {
                    draft.base.start_lsn = lsn;
                    draft.base.timeline = timeline;
                    draft.stream = layout::base_files_stream(lsn).map_err(failure::named)?;
                }
                Step::Tablespaces(spaces) => {
                    let total = spaces.iter().filter_map(|space| space.size_kib).sum::<u64>() << 10;
                    self.progress.phase("copying the cluster", Some(total));
                    let outside = spaces.into_iter().filter_map(|space| Some((space.oid?, space.location?)));
                    draft.base.tablespaces.extend(outside);
                }
                Step::Archive { tablespace_oid } => draft.space = tablespace_oid,
                Step::Entry(entry) => self.entry(entry, &mut archives, &mut draft, sink)?,
                Step::Manifest(manifest) => draft.manifest = manifest,
                Step::End { lsn } => draft.base.end_lsn = lsn,
            }
        }
        draft.base.finished_at = self.clock.now();
        verify(&draft)?;
        describe(&draft, sink)?;
        Ok(draft.base)
    }

    /// Hands one entry to the sink.
    fn entry(
        &self,
        entry: Entry,
        archives: &mut Archives<'_>,
        draft: &mut Draft,
        sink: &mut dyn ChangeSink,
    ) -> Result<(), BaseFailure> {
        let path = entry.path.to_string_lossy();
        let path = match draft.space {
            Some(oid) => format!("pg_tblspc/{oid}/{path}"),
            None => path.into_owned(),
        };
        if path::is_wal_content(&path) {
            return Ok(());
        }
        let kind = match entry.kind {
            EntryKind::File => FileKind::File,
            EntryKind::Directory => FileKind::Folder,
            EntryKind::Symlink { target } => FileKind::Link { to: target.to_string_lossy().into_owned() },
        };
        let is_file = kind == FileKind::File;
        let attributes =
            serde_json::to_string(&File { kind, mode: entry.mode }).map_err(failure::described)?;
        let item = Item { stream: draft.stream.clone(), key: path.clone(), attributes };
        if !is_file {
            sink.upsert(item, Layout::Small, &mut io::empty()).map_err(ReadError::from)?;
            return Ok(());
        }
        let mut body = archives.body();
        let taken = sink.upsert(item, path::content_layout(&path, entry.size), &mut body);
        // A body that broke off says more than the sink, which only saw that it did.
        if let Some(failure) = body.failure() {
            return Err(failure.into());
        }
        taken.map_err(ReadError::from)?;
        let received = body.finish()?;
        draft.base.files += 1;
        draft.base.bytes += received.size_bytes;
        self.progress.advance(received.size_bytes);
        draft.received.insert(path, received);
        Ok(())
    }
}

/// Returns the size of a WAL segment, which the server shows as `16MB`.
pub(crate) fn segment_bytes(connection: &mut Connection) -> Result<u32, ReadError> {
    let shown = connection.show("wal_segment_size").map_err(failure::wire)?;
    let bytes = crate::check::megabytes(&shown).and_then(|megabytes| u32::try_from(megabytes << 20).ok());
    bytes.filter(|bytes| bytes.is_power_of_two()).ok_or_else(|| {
        failure::refused(
            format!("the server has WAL segments of {shown}"),
            "use a server whose wal_segment_size is a power of two from 1 MB to 1 GB",
        )
    })
}

/// The files that the server makes up for the backup itself are in no manifest's list.
fn verify(draft: &Draft) -> Result<(), BaseFailure> {
    let broken = |error| BaseFailure::Read(failure::broken("the base is not what the server sent", error));
    let manifest = Manifest::parse(&draft.manifest).map_err(broken)?;
    manifest.verify(&draft.received).map_err(broken)?;
    let system_identifier = manifest.system_identifier.unwrap_or(draft.base.system_identifier);
    let starts = manifest.wal_ranges.iter().any(|range| range.start_lsn == draft.base.start_lsn);
    if system_identifier == draft.base.system_identifier && starts {
        return Ok(());
    }
    Err(BaseFailure::Read(failure::refused(
        "the server's backup manifest belongs to another base",
        "take the base again",
    )))
}

/// Writes the item that makes the base visible.
fn describe(draft: &Draft, sink: &mut dyn ChangeSink) -> Result<(), ReadError> {
    let item = Item {
        stream: layout::bases_stream().map_err(failure::named)?,
        key: layout::lsn_key(draft.base.start_lsn),
        attributes: serde_json::to_string(&draft.base).map_err(failure::described)?,
    };
    sink.upsert(item, Layout::Blocks, &mut draft.manifest.as_slice())?;
    Ok(())
}

enum BaseFailure {
    Stopped,
    Read(ReadError),
}

impl From<ReadError> for BaseFailure {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<SinkError> for BaseFailure {
    fn from(error: SinkError) -> Self {
        Self::Read(error.into())
    }
}

impl From<ArchiveError> for BaseFailure {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Stopped => Self::Stopped,
            ArchiveError::Wire(error) => Self::Read(failure::wire(error)),
            other => Self::Read(failure::broken("the base broke off", other)),
        }
    }
}
