//! Writing an account's things as they were into files.

use std::collections::BTreeMap;

use catalog::Catalog;
use connect::StoredItems as _;
use google_recovery::export::{
    CalendarSelection, ContactSelection, DriveSelection, ExportError, ExportedFiles, MailFormat,
    MailSelection, export_calendars, export_contacts, export_files, export_mail,
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
    output::{bytes, count, counted, printable},
};

const UNREAD_SHOWN_MAX: u32 = 20;

#[derive(Serialize)]
struct Exported<T> {
    source: String,
    account: String,
    folder: String,
    commit: u64,
    #[serde(flatten)]
    written: T,
    unread_keys: Vec<String>,
}

/// Writes an account's things of one kind as they were into files.
pub(crate) fn export(context: &Context, domain: &StoredDomain, options: &Export) -> Result<Exit, Failure> {
    let account = StoredAccount::of(domain, &options.what)?;
    let refused =
        |what: &str, hint: &str| Err(Failure::new(Exit::Usage, what.to_owned()).hint(hint.to_owned()));
    match (account.part, options.format) {
        (Part::Gmail, ExportFormat::Mbox) => {
            export_mailbox(context, domain, options, account, MailFormat::Mbox)
        }
        (Part::Gmail, ExportFormat::Eml) => {
            export_mailbox(context, domain, options, account, MailFormat::Eml)
        }
        (Part::Calendar, ExportFormat::Ics) => export_calendar(context, domain, options, account),
        (Part::Contacts, ExportFormat::Vcard) => export_people(context, domain, options, account),
        (Part::Drive, ExportFormat::Files) => export_drive(context, domain, options, account),
        (Part::Drive, _) => refused("a drive is written as files", "--format files"),
        (Part::Gmail, _) => refused("mail is written as mbox or eml", "--format mbox, or --format eml"),
        (Part::Calendar, _) => refused("calendars are written as iCalendar", "--format ics"),
        (Part::Contacts, _) => refused("contacts are written as vCard", "--format vcard"),
        (Part::Directory | Part::Audit, _) => refused(
            "this part of a domain has no format of its own",
            "unwipe show SOURCE/STREAM --item KEY --out FILE",
        ),
    }
}

fn export_calendar(
    context: &Context,
    domain: &StoredDomain,
    options: &Export,
    account: StoredAccount,
) -> Result<Exit, Failure> {
    let StoredAccount { account, stream, .. } = account;
    let selection = CalendarSelection { account, stream, at: domain.at };
    let written = export_calendars(&domain.stored, &selection, &options.to, &*context.progress());
    let written = written.map_err(|error| not_written("the calendars were not written", error))?;
    let told = format!("{}, {}", counted(written.calendars, "calendar"), counted(written.events, "event"));
    finish(context, domain, options, (selection.account, &selection.stream), &told, written)
}

fn export_people(
    context: &Context,
    domain: &StoredDomain,
    options: &Export,
    account: StoredAccount,
) -> Result<Exit, Failure> {
    let StoredAccount { account, stream, .. } = account;
    let selection = ContactSelection { account, stream, at: domain.at };
    let written = export_contacts(&domain.stored, &selection, &options.to, &*context.progress());
    let written = written.map_err(|error| not_written("the contacts were not written", error))?;
    let told = format!("{}, {}", counted(written.contacts, "contact"), counted(written.photos, "photo"));
    finish(context, domain, options, (selection.account, &selection.stream), &told, written)
}

fn not_written(what: &str, error: ExportError) -> Failure {
    Failure::because(Exit::Failed, what.to_owned(), error)
}

/// Tells what was written, and what was not there to be written.
fn finish<T: Serialize>(
    context: &Context,
    domain: &StoredDomain,
    options: &Export,
    (account, stream): (String, &StreamName),
    told: &str,
    written: T,
) -> Result<Exit, Failure> {
    let unread_keys = domain
        .stored
        .unread(stream, domain.at, UNREAD_SHOWN_MAX)
        .map_err(|error| failed(error, "what could not be read is not known"))?;
    let exported = Exported {
        source: domain.name.to_string(),
        account,
        folder: options.to.display().to_string(),
        commit: domain.at,
        written,
        unread_keys,
    };
    context.output.result(&exported, || {
        let mut text = format!("{}: {told} in {}\n", exported.account, exported.folder);
        text.extend(exported.unread_keys.iter().map(|key| not_there(key)));
        text
    })?;
    Ok(if exported.unread_keys.is_empty() { Exit::Done } else { Exit::Incomplete })
}

fn not_there(key: &str) -> String {
    format!("not there {}: it could not be read when it was captured\n", printable(key))
}

fn export_mailbox(
    context: &Context,
    domain: &StoredDomain,
    options: &Export,
    mailbox: StoredAccount,
    format: MailFormat,
) -> Result<Exit, Failure> {
    let selection = MailSelection {
        label_names: label_names(&domain.stored.catalog(), &mailbox.stream, domain.at)?,
        mailbox: mailbox.account,
        stream: mailbox.stream,
        at: domain.at,
    };
    let written = export_mail(&domain.stored, &selection, &options.to, format, &*context.progress());
    let written = written.map_err(|error| not_written("the mailbox was not written", error))?;
    let told = format!("{}, {}", counted(written.messages, "message"), bytes(written.bytes));
    finish(context, domain, options, (selection.mailbox, &selection.stream), &told, written)
}

/// Writes a drive as it was into a tree of files.
fn export_drive(
    context: &Context,
    domain: &StoredDomain,
    options: &Export,
    drive: StoredAccount,
) -> Result<Exit, Failure> {
    let selection = DriveSelection { stream: drive.stream, at: domain.at };
    let written = export_files(&domain.stored, &selection, &options.to, &*context.progress());
    let written = written.map_err(|error| not_written("the drive was not written", error))?;
    let ExportedFiles { files, folders, bytes: size, unreadable, .. } = &written;
    let mut told =
        format!("{} in {}, {}", counted(*files, "file"), counted(*folders, "folder"), bytes(*size));
    if *unreadable > 0 {
        told.push_str(&format!(", {} without content (see index.jsonl)", count(*unreadable)));
    }
    finish(context, domain, options, (drive.account, &selection.stream), &told, written)
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
