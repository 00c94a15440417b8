//! Writing an account's things as they were into files.

use std::collections::BTreeMap;

use catalog::Catalog;
use connect::StoredItems as _;
use google_recovery::export::{
    DriveSelection, ExportedFiles, MailFormat, MailSelection, export_files, export_mail,
};
use model::StreamName;
use serde::Serialize;
use source_google::{Part, RecordAttributes, gmail::LABEL_PREFIX};

use super::{PAGE_ROWS, StoredAccount};
use crate::{
    arguments::{Export, ExportFormat},
    connectors::{files::failed, google::StoredDomain},
    context::Context,
    exit::Exit,
    failure::Failure,
    output::{bytes, count, printable},
};

const UNREAD_SHOWN_MAX: u32 = 20;

#[derive(Serialize)]
struct Exported {
    source: String,
    mailbox: String,
    folder: String,
    commit: u64,
    messages: u64,
    bytes: u64,
    unread_keys: Vec<String>,
}

/// Writes an account's things of one kind as they were into files.
pub(crate) fn export(context: &Context, domain: &StoredDomain, options: &Export) -> Result<Exit, Failure> {
    let account = StoredAccount::of(domain, &options.what)?;
    match account.part {
        Part::Drive => export_drive(context, domain, options, account),
        _ => export_mailbox(context, domain, options, account),
    }
}

fn export_mailbox(
    context: &Context,
    domain: &StoredDomain,
    options: &Export,
    mailbox: StoredAccount,
) -> Result<Exit, Failure> {
    let format = match options.format {
        ExportFormat::Mbox => MailFormat::Mbox,
        ExportFormat::Eml => MailFormat::Eml,
        ExportFormat::Csv | ExportFormat::Sql | ExportFormat::Wal | ExportFormat::Files => {
            return Err(Failure::new(Exit::Usage, "mail is written as mbox or eml")
                .hint("--format mbox, or --format eml"));
        }
    };
    let selection = MailSelection {
        label_names: label_names(&domain.stored.catalog(), &mailbox.stream, domain.at)?,
        mailbox: mailbox.account,
        stream: mailbox.stream,
        at: domain.at,
    };
    let progress = context.progress();
    let written = export_mail(&domain.stored, &selection, &options.to, format, &*progress)
        .map_err(|error| Failure::because(Exit::Failed, "the mailbox was not written", error))?;
    let unread = domain
        .stored
        .unread(&selection.stream, domain.at, UNREAD_SHOWN_MAX)
        .map_err(|error| failed(error, "what could not be read is not known"))?;
    let exported = Exported {
        source: domain.name.to_string(),
        mailbox: selection.mailbox,
        folder: options.to.display().to_string(),
        commit: domain.at,
        messages: written.messages,
        bytes: written.bytes,
        unread_keys: unread,
    };
    context.output.result(&exported, || {
        let mut text = format!(
            "{}: {} messages, {} in {}\n",
            exported.mailbox,
            count(exported.messages),
            bytes(exported.bytes),
            exported.folder
        );
        for key in &exported.unread_keys {
            text.push_str(&format!(
                "not there {}: it could not be read when it was captured\n",
                printable(key)
            ));
        }
        text
    })?;
    Ok(if exported.unread_keys.is_empty() { Exit::Done } else { Exit::Incomplete })
}

#[derive(Serialize)]
struct ExportedDrive {
    source: String,
    drive: String,
    folder: String,
    commit: u64,
    #[serde(flatten)]
    written: ExportedFiles,
    unread_keys: Vec<String>,
}

/// Writes a drive as it was into a tree of files.
fn export_drive(
    context: &Context,
    domain: &StoredDomain,
    options: &Export,
    drive: StoredAccount,
) -> Result<Exit, Failure> {
    if options.format != ExportFormat::Files {
        return Err(Failure::new(Exit::Usage, "a drive is written as files").hint("--format files"));
    }
    let selection = DriveSelection { stream: drive.stream, at: domain.at };
    let progress = context.progress();
    let written = export_files(&domain.stored, &selection, &options.to, &*progress)
        .map_err(|error| Failure::because(Exit::Failed, "the drive was not written", error))?;
    let unread = domain
        .stored
        .unread(&selection.stream, domain.at, UNREAD_SHOWN_MAX)
        .map_err(|error| failed(error, "what could not be read is not known"))?;
    let exported = ExportedDrive {
        source: domain.name.to_string(),
        drive: drive.account,
        folder: options.to.display().to_string(),
        commit: domain.at,
        written,
        unread_keys: unread,
    };
    context.output.result(&exported, || {
        let ExportedFiles { files, folders, bytes: size, unreadable, .. } = &exported.written;
        let mut text = format!(
            "{}: {} files in {} folders, {} in {}\n",
            exported.drive,
            count(*files),
            count(*folders),
            bytes(*size),
            exported.folder
        );
        for key in &exported.unread_keys {
            text.push_str(&format!(
                "not there {}: it could not be read when it was captured\n",
                printable(key)
            ));
        }
        if *unreadable > u64::from(UNREAD_SHOWN_MAX) {
            text.push_str(&format!("{} altogether are not there: see index.jsonl\n", count(*unreadable)));
        }
        text
    })?;
    Ok(if exported.unread_keys.is_empty() { Exit::Done } else { Exit::Incomplete })
}

/// Returns the names of a mailbox's labels by their ids.
fn label_names(catalog: &Catalog, stream: &StreamName, at: u64) -> Result<BTreeMap<String, String>, Failure> {
    let (mut names, mut after) = (BTreeMap::new(), LABEL_PREFIX.to_owned());
    loop {
        let page = catalog.listed_at(stream, at, Some(&after), PAGE_ROWS)?;
        for (item, _) in &page {
            let Some(id) = item.key.strip_prefix(LABEL_PREFIX) else { return Ok(names) };
            let attributes = serde_json::from_str::<RecordAttributes>(&item.attributes).ok();
            names.extend(attributes.and_then(|attributes| attributes.name).map(|name| (id.to_owned(), name)));
        }
        let Some((last, _)) = page.last() else { return Ok(names) };
        after.clone_from(&last.key);
    }
}
