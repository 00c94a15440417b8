//! A base backup as a stream of events, the same for every server.
//!
//! Before 15 the server opens one COPY per tablespace and one for the manifest, in the order in which it listed
//! the tablespaces. From 15 on there is one COPY with typed messages. Callers see no difference, except that
//! servers before 15 send no progress of their own.

use std::ops::Range;

use postgres_protocol::message::backend::Message;

use crate::{
    channel::Incoming,
    connection::{Connection, malformed, unexpected},
    error::WireError,
    quote::quote_replication_literal,
    replication::{lsn, number},
    sql::{Row, read_row},
};

/// More tablespaces than any server has.
const TABLESPACES_MAX: usize = 100_000;

/// How the checkpoint at the start is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkpoint {
    /// At once, with the load that brings.
    Fast,
    /// Spread over `checkpoint_completion_target`: minutes, but gentle.
    Spread,
}

/// Whether the server sends a manifest of all files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manifest {
    /// None.
    No,
    /// With file names as text where they are UTF-8.
    Yes,
    /// With every file name encoded, for tests.
    ForceEncode,
}

/// The checksum of each file in the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManifestChecksums {
    /// None.
    None,
    /// CRC-32C.
    Crc32c,
    /// SHA-256.
    Sha256,
}

/// What a base backup should be like.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command, by its own name")]
pub struct BaseBackupOptions {
    /// A name, stored in `backup_label`.
    pub label: String,
    /// Whether sizes are estimated and progress is told; the estimate reads every directory first.
    pub progress: bool,
    /// How the checkpoint at the start is made.
    pub checkpoint: Checkpoint,
    /// Whether the WAL that makes the backup consistent is part of it.
    pub wal: bool,
    /// Whether the server waits until that WAL is archived.
    pub wait_for_archive: bool,
    /// Kibibytes per second at most, 32 to 1048576; no limit if absent.
    pub rate_max_kib: Option<u32>,
    /// Whether the server checks page checksums while reading, where they are on.
    pub verify_checksums: bool,
    /// Whether a manifest is sent.
    pub manifest: Manifest,
    /// The checksum of each file in the manifest.
    pub manifest_checksums: ManifestChecksums,
    /// Whether a `tablespace_map` file is part of the backup; without it tablespaces are not put back.
    pub tablespace_map: bool,
}

impl Default for BaseBackupOptions {
    fn default() -> Self {
        Self {
            label: "base backup".into(),
            progress: true,
            checkpoint: Checkpoint::Spread,
            wal: false,
            wait_for_archive: false,
            rate_max_kib: None,
            verify_checksums: true,
            manifest: Manifest::Yes,
            manifest_checksums: ManifestChecksums::Crc32c,
            tablespace_map: true,
        }
    }
}

/// A tablespace of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tablespace {
    /// Its OID; none for the data directory itself.
    pub oid: Option<u32>,
    /// Its directory; none for the data directory itself.
    pub location: Option<String>,
    /// Its estimated size, if progress was asked for.
    pub size_kib: Option<u64>,
}

/// A step of a base backup; data is lent until the next event is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseBackupEvent<'s> {
    /// The backup begins: recovery will start here.
    Start {
        /// Where recovery starts.
        lsn: u64,
        /// The timeline.
        timeline: u32,
    },
    /// What will be sent.
    Tablespaces(Vec<Tablespace>),
    /// A tar archive begins; it ends where the next archive, the manifest or the end begins.
    ArchiveStart {
        /// `base.tar` or `<oid>.tar`.
        name: String,
        /// The tablespace's OID; none for the data directory.
        tablespace_oid: Option<u32>,
        /// The tablespace's directory; none for the data directory.
        location: Option<String>,
    },
    /// A piece of the archive, cut anywhere.
    ArchiveData(&'s [u8]),
    /// The manifest begins.
    ManifestStart,
    /// A piece of the manifest.
    ManifestData(&'s [u8]),
    /// So many bytes of the current archive are done (servers from 15 on).
    Progress {
        /// Bytes of this archive.
        bytes: u64,
    },
    /// The backup is complete, and consistent once WAL is replayed to here.
    End {
        /// Where it becomes consistent.
        lsn: u64,
        /// The timeline.
        timeline: u32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The start position was told or is about to be.
    Start,
    Tablespaces,
    /// Between COPY streams.
    Between,
    Archive,
    Manifest,
    /// The end position was told.
    Over,
}

/// A running `BASE_BACKUP`. Dropped before its last event it loses the session, and the server stops sending.
#[derive(Debug)]
pub struct BaseBackupStream<'c> {
    connection: &'c mut Connection,
    state: State,
    /// Before 15: the archives still to come, last first.
    pending: Vec<Tablespace>,
    manifest: bool,
    typed: bool,
}

impl Connection {
    /// Begins a base backup.
    ///
    /// The read timeout also bounds the silence of a spread checkpoint.
    pub fn base_backup(&mut self, options: &BaseBackupOptions) -> Result<BaseBackupStream<'_>, WireError> {
        if options.label.contains('\0') {
            return Err(WireError::Argument { reason: "the label holds a zero byte".into() });
        }
        let typed = self.major() >= 15;
        self.begin_query(&command(options, typed))?;
        Ok(BaseBackupStream {
            connection: self,
            state: State::Start,
            pending: Vec::new(),
            manifest: options.manifest != Manifest::No,
            typed,
        })
    }
}

/// Writes the command: 13 and 14 know a fixed sequence of words, 15 and later a list of options.
fn command(options: &BaseBackupOptions, typed: bool) -> String {
    let mut words = vec![format!("LABEL {}", quote_replication_literal(&options.label))];
    let mut add = |word: &str| words.push(word.to_owned());
    if options.progress {
        add("PROGRESS");
    }
    match (options.checkpoint, typed) {
        (Checkpoint::Fast, true) => add("CHECKPOINT 'fast'"),
        (Checkpoint::Fast, false) => add("FAST"),
        (Checkpoint::Spread, true) => add("CHECKPOINT 'spread'"),
        (Checkpoint::Spread, false) => {}
    }
    if options.wal {
        add("WAL");
    }
    if !options.wait_for_archive {
        add(if typed { "WAIT false" } else { "NOWAIT" });
    }
    if let Some(rate) = options.rate_max_kib {
        add(&format!("MAX_RATE {rate}"));
    }
    if options.tablespace_map {
        add("TABLESPACE_MAP");
    }
    if !options.verify_checksums {
        add(if typed { "VERIFY_CHECKSUMS false" } else { "NOVERIFY_CHECKSUMS" });
    }
    match options.manifest {
        Manifest::No => {}
        Manifest::Yes => add("MANIFEST 'yes'"),
        Manifest::ForceEncode => add("MANIFEST 'force-encode'"),
    }
    if options.manifest != Manifest::No {
        match options.manifest_checksums {
            ManifestChecksums::None => add("MANIFEST_CHECKSUMS 'NONE'"),
            ManifestChecksums::Crc32c => add("MANIFEST_CHECKSUMS 'CRC32C'"),
            ManifestChecksums::Sha256 => add("MANIFEST_CHECKSUMS 'SHA256'"),
        }
    }
    if typed {
        add("TARGET 'client'");
        format!("BASE_BACKUP ({})", words.join(", "))
    } else {
        format!("BASE_BACKUP {}", words.join(" "))
    }
}

/// What an incoming message means, before its data is lent.
enum Step {
    Event(BaseBackupEvent<'static>),
    ArchiveData(Range<usize>),
    ManifestData(Range<usize>),
    Nothing,
}

impl BaseBackupStream<'_> {
    /// Returns the next event, or nothing after the end.
    pub fn next_event(&mut self) -> Result<Option<BaseBackupEvent<'_>>, WireError> {
        if self.state == State::Over {
            return Ok(None);
        }
        loop {
            match self.step()? {
                Step::Nothing => {}
                Step::Event(event) => return Ok(Some(event)),
                Step::ArchiveData(range) => {
                    return Ok(Some(BaseBackupEvent::ArchiveData(self.connection.channel.bytes(range))));
                }
                Step::ManifestData(range) => {
                    return Ok(Some(BaseBackupEvent::ManifestData(self.connection.channel.bytes(range))));
                }
            }
        }
    }

    fn step(&mut self) -> Result<Step, WireError> {
        let message = self.connection.expect()?;
        if let Incoming::Other(Message::ErrorResponse(body)) = message {
            self.state = State::Over;
            return Err(self.connection.fail(&body));
        }
        match self.state {
            State::Start => self.read_position(message, State::Tablespaces),
            State::Tablespaces => self.read_tablespaces(message),
            State::Between => self.between(message),
            State::Archive | State::Manifest => self.inside(message),
            State::Over => Err(unexpected("ending a base backup")),
        }
    }

    /// Reads a result set of one row with a position: the start, or the end.
    fn read_position(&mut self, message: Incoming, next: State) -> Result<Step, WireError> {
        let Incoming::Other(message) = message else { return Err(unexpected("reading a backup's position")) };
        match message {
            Message::RowDescription(_) => Ok(Step::Nothing),
            Message::DataRow(body) => {
                let row = read_row(&body)?;
                let (lsn, timeline) = (lsn(&row, 0)?, number(&row, 1)?);
                Ok(Step::Event(if next == State::Tablespaces {
                    BaseBackupEvent::Start { lsn, timeline }
                } else {
                    // The end is told only when the server has also finished without an error.
                    self.connection.finish_exchange()?;
                    self.state = next;
                    BaseBackupEvent::End { lsn, timeline }
                }))
            }
            Message::CommandComplete(_) => {
                self.state = next;
                Ok(Step::Nothing)
            }
            _ => Err(unexpected("reading a backup's position")),
        }
    }

    fn read_tablespaces(&mut self, message: Incoming) -> Result<Step, WireError> {
        let Incoming::Other(message) = message else { return Err(unexpected("reading tablespaces")) };
        match message {
            Message::RowDescription(_) => Ok(Step::Nothing),
            Message::DataRow(body) => {
                if self.pending.len() == TABLESPACES_MAX {
                    return Err(WireError::violation("the server lists endless tablespaces"));
                }
                self.pending.push(read_tablespace(&read_row(&body)?)?);
                Ok(Step::Nothing)
            }
            Message::CommandComplete(_) => {
                self.state = State::Between;
                let tablespaces = self.pending.clone();
                self.pending.reverse();
                Ok(Step::Event(BaseBackupEvent::Tablespaces(tablespaces)))
            }
            _ => Err(unexpected("reading tablespaces")),
        }
    }

    fn between(&mut self, message: Incoming) -> Result<Step, WireError> {
        match message {
            Incoming::Other(Message::CopyOutResponse(_)) if self.typed => {
                self.state = State::Archive;
                Ok(Step::Nothing)
            }
            Incoming::Other(Message::CopyOutResponse(_)) => {
                if let Some(tablespace) = self.pending.pop() {
                    self.state = State::Archive;
                    return Ok(Step::Event(archive_start(tablespace)));
                }
                if !std::mem::take(&mut self.manifest) {
                    return Err(unexpected("reading archives: there are more than were listed"));
                }
                self.state = State::Manifest;
                Ok(Step::Event(BaseBackupEvent::ManifestStart))
            }
            message @ Incoming::Other(Message::RowDescription(_) | Message::DataRow(_)) => {
                if !self.typed && (!self.pending.is_empty() || self.manifest) {
                    return Err(unexpected("reading archives: there are fewer than were listed"));
                }
                self.read_position(message, State::Over)
            }
            _ => Err(unexpected("reading a base backup")),
        }
    }

    fn inside(&mut self, message: Incoming) -> Result<Step, WireError> {
        match message {
            Incoming::Other(Message::CopyDone) => {
                self.state = State::Between;
                Ok(Step::Nothing)
            }
            Incoming::CopyData(range) if self.typed => self.read_typed(range),
            Incoming::CopyData(range) => Ok(self.data(range)),
            _ => Err(unexpected("reading a base backup's data")),
        }
    }

    fn data(&self, range: Range<usize>) -> Step {
        if self.state == State::Manifest { Step::ManifestData(range) } else { Step::ArchiveData(range) }
    }

    /// Reads a message of the single COPY of 15 and later; its first byte is its type.
    fn read_typed(&mut self, range: Range<usize>) -> Result<Step, WireError> {
        let bytes = self.connection.channel.bytes(range.clone());
        let Some((&kind, rest)) = bytes.split_first() else {
            return Err(WireError::violation("an empty message in a base backup"));
        };
        match kind {
            b'd' => Ok(self.data(range.start + 1..range.end)),
            b'n' => {
                let start = read_archive_start(rest)?;
                self.state = State::Archive;
                Ok(Step::Event(start))
            }
            b'm' => {
                self.state = State::Manifest;
                Ok(Step::Event(BaseBackupEvent::ManifestStart))
            }
            b'p' => {
                let bytes = rest.first_chunk::<8>().map(|word| u64::from_be_bytes(*word));
                let bytes = bytes.ok_or_else(|| WireError::violation("a progress message is too short"))?;
                Ok(Step::Event(BaseBackupEvent::Progress { bytes }))
            }
            _ => Err(WireError::violation("a message of a base backup is of an unknown kind")),
        }
    }
}

fn read_tablespace(row: &Row) -> Result<Tablespace, WireError> {
    let field = |column: usize| row.get(column).and_then(Option::as_deref);
    Ok(Tablespace {
        oid: field(0).is_some().then(|| number(row, 0)).transpose()?,
        location: field(1).filter(|location| !location.is_empty()).map(str::to_owned),
        size_kib: field(2).is_some().then(|| number(row, 2)).transpose()?,
    })
}

fn archive_start(tablespace: Tablespace) -> BaseBackupEvent<'static> {
    BaseBackupEvent::ArchiveStart {
        name: tablespace.oid.map_or_else(|| "base.tar".to_owned(), |oid| format!("{oid}.tar")),
        tablespace_oid: tablespace.oid,
        location: tablespace.location,
    }
}

/// Reads the name of an archive and its tablespace's directory, two texts that end with a zero byte.
fn read_archive_start(bytes: &[u8]) -> Result<BaseBackupEvent<'static>, WireError> {
    let malformed_name = || malformed(std::io::Error::other("an archive's name cannot be read"));
    let mut parts = bytes.split(|&byte| byte == 0);
    let mut text = || parts.next().and_then(|part| std::str::from_utf8(part).ok()).ok_or_else(malformed_name);
    let (name, location) = (text()?.to_owned(), text()?.to_owned());
    let stem = name.strip_suffix(".tar").ok_or_else(malformed_name)?;
    let tablespace_oid = match stem {
        "base" => None,
        oid => Some(oid.parse::<u32>().map_err(|_| malformed_name())?),
    };
    let location = Some(location).filter(|location| !location.is_empty());
    Ok(BaseBackupEvent::ArchiveStart { name, tablespace_oid, location })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_grammar_is_spoken() {
        let options = BaseBackupOptions {
            label: "it's".into(),
            checkpoint: Checkpoint::Fast,
            rate_max_kib: Some(64),
            ..BaseBackupOptions::default()
        };
        assert_eq!(
            command(&options, false),
            "BASE_BACKUP LABEL 'it''s' PROGRESS FAST NOWAIT MAX_RATE 64 TABLESPACE_MAP MANIFEST 'yes' \
             MANIFEST_CHECKSUMS 'CRC32C'"
        );
        assert_eq!(
            command(&options, true),
            "BASE_BACKUP (LABEL 'it''s', PROGRESS, CHECKPOINT 'fast', WAIT false, MAX_RATE 64, TABLESPACE_MAP, \
             MANIFEST 'yes', MANIFEST_CHECKSUMS 'CRC32C', TARGET 'client')"
        );
    }

    #[test]
    fn archive_names_are_checked() {
        let start = read_archive_start(b"16384.tar\0/srv/space\0").unwrap();
        let BaseBackupEvent::ArchiveStart { tablespace_oid, location, .. } = start else { panic!() };
        assert_eq!((tablespace_oid, location.as_deref()), (Some(16384), Some("/srv/space")));
        for bad in [&b""[..], b"base.tar", b"../x.tar\0\0", b"base\0\0", b"\xff.tar\0\0"] {
            assert!(read_archive_start(bad).is_err());
        }
    }
}
