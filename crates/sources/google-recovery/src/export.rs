//! Writing what is stored to files that any program reads: mail as one mbox or a file for each message, a drive as a tree,
//! calendars as iCalendar, contacts as vCard.
//!
//! Beside them stands a list with a line for each thing, which has what the formats have no place for.

mod calendars;
mod contacts;
mod files;
mod lines;
mod mbox;
mod names;
mod zone;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use connect::{Progress, StoredBody, StoredError, StoredItem, StoredItems};
use jiff::Timestamp;
use model::StreamName;
use ports::files::{FileError, create_folder};
use serde::Serialize;
use source_google::gmail::{MESSAGE_PREFIX, MessageAttributes};

pub use self::files::{DriveSelection, ExportedFiles, export_files};
use self::mbox::Mbox;
pub use self::{
    calendars::{CalendarSelection, ExportedCalendars, export_calendars},
    contacts::{ContactSelection, ExportedContacts, export_contacts},
};

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailFormat {
    /// One file with all messages, its lines quoted as mboxrd says.
    Mbox,
    /// A file for each message, byte for byte, in a folder for each month.
    Eml,
}

/// Which mailbox, as of when, and how its labels are called.
#[derive(Debug, Clone)]
pub struct MailSelection {
    /// Whose it is.
    pub mailbox: String,
    /// The stream that holds it.
    pub stream: StreamName,
    /// The commit.
    pub at: u64,
    /// The names of its labels by their ids; a label that is not here is called by its id.
    pub label_names: BTreeMap<String, String>,
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ExportedMail {
    /// How many messages.
    pub messages: u64,
    /// Bytes of their texts.
    pub bytes: u64,
}

/// Why something was not written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The vault does not give an item.
    #[error("an item cannot be read from the vault")]
    Stored(#[from] StoredError),
}

#[derive(Serialize)]
struct ListedMessage<'a> {
    id: &'a str,
    file: &'a str,
    labels: Vec<&'a str>,
    #[serde(flatten)]
    attributes: &'a MessageAttributes,
}

struct Exporting<'a> {
    selection: &'a MailSelection,
    folder: &'a Path,
    mbox: Option<(String, Mutex<Mbox>)>,
    list: Mutex<BufWriter<File>>,
    list_path: PathBuf,
    done: Mutex<ExportedMail>,
}

/// Writes a mailbox into a folder, which must be new or empty.
pub fn export_mail(
    stored: &dyn StoredItems,
    selection: &MailSelection,
    folder: &Path,
    format: MailFormat,
    progress: &dyn Progress,
) -> Result<ExportedMail, ExportError> {
    create_folder(folder)?;
    let list_path = folder.join("messages.jsonl");
    let mbox = match format {
        MailFormat::Mbox => {
            let name = format!("{}.mbox", file_name(&selection.mailbox));
            let file = create(&folder.join(&name))?;
            Some((name, Mutex::new(Mbox::new(BufWriter::with_capacity(1 << 18, file)))))
        }
        MailFormat::Eml => None,
    };
    let exporting = Exporting {
        selection,
        folder,
        mbox,
        list: Mutex::new(BufWriter::new(create(&list_path)?)),
        list_path,
        done: Mutex::default(),
    };
    progress.phase("writing mail", None);
    stored.each(
        &selection.stream,
        selection.at,
        &|item, body| match item.item.key.strip_prefix(MESSAGE_PREFIX) {
            Some(id) => exporting.take(id, item, body),
            None => Ok(()),
        },
        progress,
    )?;
    exporting.finish()
}

impl Exporting<'_> {
    fn take(&self, id: &str, item: &StoredItem, body: &mut dyn StoredBody) -> Result<(), StoredError> {
        let attributes = MessageAttributes::of_text(&item.item.attributes).unwrap_or_default();
        let labels: Vec<&str> = attributes
            .labels
            .iter()
            .map(|label| self.selection.label_names.get(label).unwrap_or(label).as_str())
            .collect();
        let failed = |source| StoredError::Write { what: item.item.key.clone(), source };
        let (file, bytes) = match &self.mbox {
            Some((name, mbox)) => {
                (name.clone(), lock(mbox).message(attributes.received_ms, &labels, body, &failed)?)
            }
            None => self.file(id, &attributes, body, &failed)?,
        };
        let row = ListedMessage { id, file: &file, labels, attributes: &attributes };
        let mut line = serde_json::to_vec(&row).unwrap_or_default();
        line.push(b'\n');
        lock(&self.list).write_all(&line).map_err(failed)?;
        let mut done = lock(&self.done);
        done.messages += 1;
        done.bytes += bytes;
        Ok(())
    }

    /// Writes a message into a file of its own, whose time is that of the message.
    fn file(
        &self,
        id: &str,
        attributes: &MessageAttributes,
        body: &mut dyn StoredBody,
        failed: &dyn Fn(std::io::Error) -> StoredError,
    ) -> Result<(String, u64), StoredError> {
        let received = Timestamp::from_millisecond(attributes.received_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        let month = received.strftime("%Y-%m").to_string();
        let stamp = received.strftime("%Y-%m-%dT%H-%M-%SZ");
        let name = format!("{month}/{stamp}-{}.eml", file_name(id));
        let path = self.folder.join(&name);
        std::fs::create_dir_all(self.folder.join(&month)).map_err(failed)?;
        let mut file = File::create_new(&path).map_err(failed)?;
        let mut bytes = 0;
        while let Some(portion) = body.next_portion()? {
            file.write_all(portion).map_err(failed)?;
            bytes += portion.len() as u64;
        }
        let since = Duration::from_millis(u64::try_from(attributes.received_ms).unwrap_or(0));
        file.set_modified(SystemTime::UNIX_EPOCH + since).map_err(failed)?;
        Ok((name, bytes))
    }

    fn finish(self) -> Result<ExportedMail, ExportError> {
        let failed = |error: std::io::Error| FileError::new("write", &self.list_path, error);
        if let Some((_, mbox)) = self.mbox {
            mbox.into_inner().unwrap_or_else(PoisonError::into_inner).finish().map_err(failed)?;
        }
        let list = self.list.into_inner().unwrap_or_else(PoisonError::into_inner);
        list.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)?;
        Ok(self.done.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

fn create(path: &Path) -> Result<File, FileError> {
    File::create_new(path).map_err(|error| FileError::new("create", path, error))
}

/// Makes a file name of what a stranger chose: letters, digits, and little else.
fn file_name(text: &str) -> String {
    let safe = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '@' | '.') { c } else { '_' };
    let name: String = text.chars().map(safe).take(100).collect();
    name.trim_start_matches('.').to_owned()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
