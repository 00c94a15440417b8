//! Writing an account's things as they were into files.

use std::collections::BTreeMap;

use catalog::Catalog;
use connect::StoredItems as _;
use google_recovery::export::{MailFormat, MailSelection, export_mail};
use model::StreamName;
use serde::Serialize;
use source_google::{RecordAttributes, gmail::LABEL_PREFIX};

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

/// Writes a mailbox as it was into files.
pub(crate) fn export(context: &Context, domain: &StoredDomain, options: &Export) -> Result<Exit, Failure> {
    let mailbox = StoredAccount::of(domain, &options.what)?;
    let format = match options.format {
        ExportFormat::Mbox => MailFormat::Mbox,
        ExportFormat::Eml => MailFormat::Eml,
        ExportFormat::Csv | ExportFormat::Sql | ExportFormat::Wal => {
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
