//! Contents: bytes as they are, and documents in another program's format.

use std::{
    io::{self, Read},
    sync::mpsc::{Receiver, Sender, channel},
    time::Duration,
};

use connect::{Stop, units::UnitError};
use google_api::{ApiError, Checksum, ContentError, Expected, Get, method};
use model::UnreadableReason;

use super::{FileKind, Files, Pass, RevisionAttributes, wire::DriveFile, wire::Operation};
use crate::failure::{as_unreadable, chain};

/// Content up to this size is read by the thread of its drive; larger one while it is stored, never all in memory.
const IN_MEMORY_MAX: u64 = 8 << 20;
/// An answer with an export is at most as large; what exports are larger is made ready for download.
const EXPORT_MAX: u64 = 64 << 20;
/// A download is gone on with after so many breaks, and after one more for each of these.
const BREAKS: u32 = 6;
const BYTES_PER_BREAK: u64 = 64 << 20;
/// How long it is waited for a document to be made ready: between two questions, and altogether.
const READY_PAUSE: Duration = Duration::from_secs(1);
const READY_PAUSE_MAX: Duration = Duration::from_secs(30);
const READY_MAX: Duration = Duration::from_mins(30);

/// What there is of a file.
pub(super) enum Content {
    /// All of it.
    Bytes(Vec<u8>),
    /// To be read while it is stored.
    Stream(Streamed),
    /// Nothing, and why.
    Withheld(UnreadableReason),
}

/// A content on its way, and its length if it is known.
pub(super) struct Streamed {
    pub(super) body: Box<dyn Read + Send>,
    pub(super) length: Option<u64>,
    /// Says when nobody reads it any more.
    pub(super) done: Receiver<()>,
}

impl Streamed {
    fn new(body: impl Read + Send + 'static, length: Option<u64>, stop: &Stop) -> Self {
        let (told, done) = channel();
        let body = Box::new(Watched { body, stop: stop.clone(), _told: told });
        Self { body, length, done }
    }
}

/// Ends when the run is to end, and tells its drive when it is dropped: it has one at a time.
struct Watched<R> {
    body: R,
    stop: Stop,
    _told: Sender<()>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.is_requested() {
            return Err(io::Error::other("the read was asked to end"));
        }
        self.body.read(buffer)
    }
}

/// Why there is no content: for the item, or for the whole unit.
fn withheld(error: &ApiError) -> Result<Content, UnitError> {
    const UNSUPPORTED: [&str; 2] = ["fileNotExportable", "fileNotDownloadable"];
    match error {
        ApiError::Refused(refusal) if UNSUPPORTED.contains(&refusal.reason.as_str()) => {
            Ok(Content::Withheld(UnreadableReason::Unsupported { detail: refusal.to_string() }))
        }
        error => as_unreadable(error).map(Content::Withheld).ok_or(UnitError::Stopped),
    }
}

fn failed(error: &dyn std::error::Error) -> Content {
    Content::Withheld(UnreadableReason::Failed { detail: chain(error) })
}

impl Pass<'_, '_> {
    /// Fetches the content of a file. When it was changed since it was listed, the file is what it is now.
    pub(super) fn fetch(&self, file: &mut DriveFile) -> Result<Content, UnitError> {
        match file.attributes.kind() {
            FileKind::Folder | FileKind::Shortcut => Ok(Content::Bytes(Vec::new())),
            FileKind::Editor => self.export(file),
            FileKind::Binary => {
                if let Some(content) = self.bytes(file)? {
                    return Ok(content);
                }
                self.look_once_more(file);
                let changing = "it was changed, or spoilt on its way, each time that it was read";
                let changing = UnreadableReason::Failed { detail: changing.to_owned() };
                Ok(self.bytes(file)?.unwrap_or(Content::Withheld(changing)))
            }
        }
    }

    /// Takes what a file is now; what lists do not tell stays.
    fn look_once_more(&self, file: &mut DriveFile) {
        let files = self.files;
        // If it cannot be had, its bytes cannot either, and say why.
        let Ok(mut now) = files.api().get::<DriveFile>(&files.subject, &Files::file(&file.id)) else {
            return;
        };
        files.tidy(&mut now);
        if files.place != super::Place::Owned {
            now.attributes.permissions.clone_from(&file.attributes.permissions);
        }
        *file = now;
    }

    /// Reads binary content; `None` when it is another than was told.
    fn bytes(&self, file: &DriveFile) -> Result<Option<Content>, UnitError> {
        let attributes = &file.attributes;
        if file.capabilities.can_download == Some(false) {
            let detail = "it may not be downloaded (capabilities.canDownload is false)".to_owned();
            return Ok(Some(Content::Withheld(UnreadableReason::Denied { detail })));
        }
        let checksum =
            Checksum::of(attributes.sha256_checksum.as_deref(), attributes.md5_checksum.as_deref());
        let get = Files::get(&method::DRIVE_MEDIA_GET, &format!("files/{}", connect_http::escape(&file.id)));
        self.checked(&get.query("alt", "media"), Expected { length: attributes.bytes(), checksum })
    }

    /// Reads the bytes of an older revision; `None` when they are others than was told.
    pub(super) fn revision_bytes(
        &self,
        file: &str,
        revision: &str,
        attributes: &RevisionAttributes,
    ) -> Result<Option<Content>, UnitError> {
        let (file, revision) = (connect_http::escape(file), connect_http::escape(revision));
        let get = Files::get(&method::DRIVE_REVISIONS_GET, &format!("files/{file}/revisions/{revision}"));
        let checksum = Checksum::of(None, attributes.md5_checksum.as_deref());
        let length = attributes.size.as_deref().and_then(|size| size.parse().ok());
        self.checked(&get.query("alt", "media"), Expected { length, checksum })
    }

    fn checked(&self, get: &Get, expected: Expected) -> Result<Option<Content>, UnitError> {
        let (api, subject) = (self.files.api(), &self.files.subject);
        let length = expected.length;
        let read = if length.is_some_and(|length| length <= IN_MEMORY_MAX) {
            api.content_bytes(subject, get, expected, BREAKS, IN_MEMORY_MAX).map(Content::Bytes)
        } else {
            let more = length.unwrap_or(0) / BYTES_PER_BREAK;
            let breaks = BREAKS.saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
            api.content(subject, get, expected, breaks)
                .map(|body| Content::Stream(Streamed::new(body, length, self.sink.stop())))
        };
        match read {
            Ok(content) => Ok(Some(content)),
            Err(ContentError::Other(_)) => Ok(None),
            Err(ContentError::Api(error)) => withheld(&error).map(Some),
            Err(error) => Ok(Some(failed(&error))),
        }
    }

    /// Has a document exported into the format that its attributes name.
    fn export(&self, file: &DriveFile) -> Result<Content, UnitError> {
        let Some(format) = file.attributes.export.as_deref() else {
            let detail = format!("documents of the type {} cannot be exported", file.attributes.mime_type);
            return Ok(Content::Withheld(UnreadableReason::Unsupported { detail }));
        };
        if file.capabilities.can_download == Some(false) {
            let detail = "it may not be exported (capabilities.canDownload is false)".to_owned();
            return Ok(Content::Withheld(UnreadableReason::Denied { detail }));
        }
        let files = self.files;
        let id = connect_http::escape(&file.id);
        let get =
            Files::get(&method::DRIVE_FILES_EXPORT, &format!("files/{id}/export")).query("mimeType", format);
        let read = files.api().content_bytes(&files.subject, &get, Expected::default(), 0, EXPORT_MAX);
        match read {
            Ok(bytes) => Ok(Content::Bytes(bytes)),
            Err(ContentError::Api(ApiError::Refused(refusal))) if is_too_large(&refusal.reason) => {
                self.made_ready(&id, format)
            }
            Err(ContentError::Api(error)) => withheld(&error),
            Err(error) => Ok(failed(&error)),
        }
    }

    /// Has a document made ready for download, which takes its time and has no limit of size.
    fn made_ready(&self, id: &str, format: &str) -> Result<Content, UnitError> {
        let (api, subject) = (self.files.api(), &self.files.subject);
        let get = Files::get(&method::DRIVE_FILES_DOWNLOAD, &format!("files/{id}/download"))
            .query("mimeType", format);
        let mut operation: Operation = match api.prepare(subject, &get) {
            Ok(operation) => operation,
            Err(error) => return withheld(&error),
        };
        let name = operation.name.trim_start_matches("operations/").to_owned();
        let get = Get::new(
            &method::DRIVE_OPERATIONS_GET,
            format!("drive/v3/operations/{}", connect_http::escape(&name)),
        );
        let clock = &self.files.tools.clock;
        let (until, mut pause) = (clock.elapsed() + READY_MAX, READY_PAUSE);
        while !operation.done {
            if clock.elapsed() >= until {
                let detail = "it was not made ready for download in time".to_owned();
                return Ok(Content::Withheld(UnreadableReason::Failed { detail }));
            }
            if !self.sink.stop().wait(&**clock, pause) {
                return Err(UnitError::Stopped);
            }
            pause = (pause * 2).min(READY_PAUSE_MAX);
            operation = match api.get(subject, &get) {
                Ok(operation) => operation,
                Err(error) => return withheld(&error),
            };
        }
        self.ready(operation)
    }

    fn ready(&self, operation: Operation) -> Result<Content, UnitError> {
        if let Some(error) = operation.error {
            let detail = format!("it was not made ready for download: {} {}", error.code, error.message);
            return Ok(Content::Withheld(UnreadableReason::Failed { detail }));
        }
        let (api, subject) = (self.files.api(), &self.files.subject);
        let uri = operation.response.download_uri.unwrap_or_default();
        let Some(get) = api.link(&method::DRIVE_MEDIA_GET, &uri) else {
            let detail = "it was made ready for download at no address of the service".to_owned();
            return Ok(Content::Withheld(UnreadableReason::Failed { detail }));
        };
        match api.content(subject, &get, Expected::default(), BREAKS) {
            Ok(body) => Ok(Content::Stream(Streamed::new(body, None, self.sink.stop()))),
            Err(ContentError::Api(error)) => withheld(&error),
            Err(error) => Ok(failed(&error)),
        }
    }
}

/// Tells whether an export is refused because of its size. The name of the reason is not documented.
fn is_too_large(reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase();
    reason.contains("sizelimit") || reason.contains("toolarge")
}
