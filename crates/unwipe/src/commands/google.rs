//! What the verbs do with a Workspace domain.

use std::{
    collections::BTreeMap,
    io::{BufWriter, Write},
};

use catalog::Catalog;
use connect::{
    Finding, Stop, StoredItems as _,
    plan::{ApplyMode, Plan, PlanFolder, SourceWriter as _},
};
use google_recovery::{
    PlanningError,
    export::{MailFormat, MailSelection, export_mail},
    mail::{Heading, MailRequest, MailWriter, plan_mail},
};
use model::{Moment, SourceName, StreamName};
use serde::Serialize;
use service::{Installation, Secrets, StoredSource};
use source_google::{
    RecordAttributes,
    gmail::{LABEL_PREFIX, MailboxPosition, mailbox_unit},
};

use crate::{
    arguments::{Apply, Export, ExportFormat, Find, ProtectGoogle, Rewind, Show},
    connectors::{
        files::failed,
        google::{GoogleConfig, StoredDomain, key_reference},
        selector::commit_of,
    },
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::{Format, bytes, count, printable},
};

const PAGE_ROWS: u32 = 1000;
const UNREAD_SHOWN_MAX: u32 = 20;
/// The streams of mailboxes begin with it.
const MAIL: &str = "gmail/";

/// Checks a domain that is to be protected, scope by scope, and returns its settings with what was found.
pub(crate) fn protect(
    context: &Context,
    home: &std::path::Path,
    options: ProtectGoogle,
) -> Result<(GoogleConfig, Vec<Finding>), Failure> {
    let config = GoogleConfig {
        key: key_reference(&options.key)?,
        admin: options.admin,
        parts: options.parts,
        users: options.users,
        every_s: options.every_s,
        threads: options.threads.max(1),
        address: options.address,
        certificates: options.certificates,
        quota: BTreeMap::new(),
        units: BTreeMap::new(),
    };
    let secrets = Secrets::new(home, &environment);
    let findings = config.reader(context, &secrets, true)?.check();
    Ok((config, findings))
}

#[derive(Serialize)]
struct FoundStream {
    stream: String,
    items: u64,
}

#[derive(Serialize)]
struct FoundItem<'a> {
    key: &'a str,
    size_bytes: u64,
    attributes: serde_json::Value,
}

/// Lists the streams of a domain, or the items of one of them.
pub(crate) fn find(context: &Context, domain: &StoredDomain, options: &Find) -> Result<Exit, Failure> {
    let Some(stream) = &domain.stream else { return find_streams(context, domain) };
    let mut out = BufWriter::with_capacity(64 << 10, std::io::stdout().lock());
    let json = context.output.format == Format::Json;
    let (mut after, mut found) = (None::<String>, 0_u64);
    let limit = options.limit.unwrap_or(u64::MAX);
    if json {
        out.write_all(b"[")?;
    }
    'pages: loop {
        let page = domain.stored.catalog().listed_at(stream, domain.at, after.as_deref(), PAGE_ROWS)?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.key.clone());
        for (item, size_bytes) in &page {
            let attributes = serde_json::from_str(&item.attributes).unwrap_or_default();
            if !options.pattern.as_deref().is_none_or(|pattern| matches(pattern, &item.key, &attributes)) {
                continue;
            }
            if found == limit {
                break 'pages;
            }
            if json {
                out.write_all(if found == 0 { b"\n" } else { b",\n" })?;
                let row = FoundItem { key: &item.key, size_bytes: *size_bytes, attributes };
                serde_json::to_writer(&mut out, &row).map_err(std::io::Error::from)?;
            } else {
                writeln!(out, "{size_bytes:>10}  {}  {}", printable(&item.key), title(&attributes))?;
            }
            found += 1;
        }
    }
    if json {
        out.write_all(b"]\n")?;
    }
    out.flush()?;
    Ok(if found == 0 { Exit::Nothing } else { Exit::Done })
}

fn find_streams(context: &Context, domain: &StoredDomain) -> Result<Exit, Failure> {
    let catalog = domain.stored.catalog();
    let mut streams = Vec::new();
    for (stream, items) in catalog.counts_at(domain.at)? {
        streams.push(FoundStream { stream, items });
    }
    context.output.result(&streams, || {
        streams
            .iter()
            .map(|found| format!("{:>10}  {}\n", count(found.items), printable(&found.stream)))
            .collect::<String>()
    })?;
    Ok(if streams.is_empty() { Exit::Nothing } else { Exit::Done })
}

/// Tells whether an item's key or what people call it holds a text, whatever the case.
fn matches(pattern: &str, key: &str, attributes: &serde_json::Value) -> bool {
    let pattern = pattern.to_lowercase();
    key.to_lowercase().contains(&pattern) || title(attributes).to_lowercase().contains(&pattern)
}

/// Returns what people call an item.
fn title(attributes: &serde_json::Value) -> String {
    let words = ["name", "from", "subject"].iter().filter_map(|member| attributes[*member].as_str());
    let mut text = words.map(printable).collect::<Vec<_>>().join("  ");
    if let Some(labels) = attributes["labels"].as_array() {
        let labels: Vec<&str> = labels.iter().filter_map(|label| label.as_str()).collect();
        text.push_str(&format!("  [{}]", printable(&labels.join(" "))));
    }
    text
}

/// Shows one item, and writes its content where that is asked for.
pub(crate) fn show(context: &Context, domain: &StoredDomain, options: &Show) -> Result<Exit, Failure> {
    let (Some(stream), Some(key)) = (&domain.stream, &options.item) else {
        return Err(Failure::new(Exit::Usage, "say which item is to be shown").hint(format!(
            "unwipe show {}/STREAM --item KEY [--out FILE]; unwipe find lists them",
            domain.name
        )));
    };
    let found = domain
        .stored
        .item_at(stream, key, domain.at)
        .map_err(|error| failed(error, "the item cannot be found"))?;
    let Some((item, content)) = found else {
        return Err(Failure::new(
            Exit::Nothing,
            format!("{} is not stored as of this moment", printable(key)),
        )
        .hint(format!("unwipe find {}", options.what)));
    };
    if let Some(out) = &options.out {
        crate::commands::files::write_content(&domain.stored, key, &content, out)?;
        if out.as_os_str() == "-" {
            return Ok(Exit::Done);
        }
    }
    let attributes: serde_json::Value = serde_json::from_str(&item.item.attributes).unwrap_or_default();
    let shown = FoundItem { key, size_bytes: item.size_bytes, attributes };
    context.output.result(&shown, || {
        format!("{}  {} bytes\n{:#}\n", printable(key), count(item.size_bytes), shown.attributes)
    })?;
    Ok(Exit::Done)
}

/// Plans to undo what happened to a mailbox since a moment, or until another one.
pub(crate) fn rewind(
    context: &Context,
    installation: &Installation,
    domain: &StoredDomain,
    options: &Rewind,
) -> Result<Exit, Failure> {
    let mailbox = mailbox_of(domain, &options.what)?;
    look_again(context, installation, domain, &mailbox)?;
    let folder = crate::commands::rewind::plan_folder(context, options, domain.name.as_str())?;
    // What was just captured is known to a catalog that is opened now.
    let stored = context.stored(installation, &domain.name, &options.reading)?;
    let after = commit_of(&stored, domain.name.as_str(), options.until.as_deref().unwrap_or("latest"))?;
    let window = Window { before: domain.at, after };
    let plan = plan_window(context, domain, &stored, mailbox, window, &folder)?;
    crate::commands::rewind::finish(context, &plan, &folder, "--credential KEY-FILE")
}

/// What is undone: what happened after one commit and no later than another.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    pub(crate) before: u64,
    pub(crate) after: u64,
}

/// Plans to undo what happened to a mailbox in a window.
pub(crate) fn plan_window(
    context: &Context,
    domain: &StoredDomain,
    stored: &StoredSource,
    mailbox: StoredMailbox,
    window: Window,
    folder: &PlanFolder,
) -> Result<Plan, Failure> {
    let now = commit_of(stored, domain.name.as_str(), "latest")?;
    // One look at the catalog at a time: it is locked while it is held.
    let history = history_of(&stored.catalog(), &mailbox.email, now)?;
    let begun_at = time_of(&stored.catalog(), window.before)?;
    let ended_at = time_of(&stored.catalog(), window.after)?;
    let request = MailRequest {
        mailbox: mailbox.email,
        stream: mailbox.stream,
        before: (window.before, begun_at),
        after: (window.after, ended_at),
        now,
        history,
        threads: domain.config.threads as u32,
    };
    let heading = Heading {
        id: folder.path().file_name().unwrap_or_default().to_string_lossy().into_owned(),
        source: domain.name.to_string(),
        made_at: context.clock().now(),
    };
    plan_mail(stored, &request, &heading, folder, &domain.config.api()).map_err(not_planned)
}

fn not_planned(error: PlanningError) -> Failure {
    let hint = error.hint();
    Failure::because(Exit::Failed, "there is no plan", error).hint_opt(hint)
}

/// A mailbox of a stored domain.
pub(crate) struct StoredMailbox {
    pub(crate) email: String,
    pub(crate) stream: StreamName,
}

pub(crate) fn mailbox_of(domain: &StoredDomain, what: &str) -> Result<StoredMailbox, Failure> {
    let named = domain.stream.as_ref().and_then(|stream| Some((stream, stream.as_str().strip_prefix(MAIL)?)));
    let Some((stream, email)) = named else {
        return Err(Failure::new(Exit::Usage, format!("{} names no mailbox", printable(what)))
            .hint(format!("unwipe rewind {}/gmail/ANNA@EXAMPLE.ORG@MOMENT", domain.name)));
    };
    Ok(StoredMailbox { email: email.to_owned(), stream: stream.clone() })
}

/// Captures the mailbox once more, so that the plan knows what is there now. Where another process follows the domain,
/// it is known already.
fn look_again(
    context: &Context,
    installation: &Installation,
    domain: &StoredDomain,
    mailbox: &StoredMailbox,
) -> Result<(), Failure> {
    let mut config = domain.config.clone();
    config.parts = vec![source_google::Part::Gmail];
    config.users = vec![mailbox.email.clone()];
    let secrets = Secrets::new(installation.home(), &environment);
    let mut reader = config.reader(context, &secrets, true)?;
    match installation.capture(&domain.name, &mut reader, &environment, &Stop::default()) {
        Ok(_) | Err(service::ServiceError::Busy { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Returns the id in the mailbox's history up to which a commit knows it.
pub(crate) fn history_of(catalog: &Catalog, email: &str, at: u64) -> Result<String, Failure> {
    let unknown = || {
        Failure::new(Exit::Nothing, format!("the mailbox {email} was never captured to its end"))
            .hint("unwipe capture SOURCE --once")
    };
    let positions = connect::units::positions_stream()
        .map_err(|error| Failure::because(Exit::Failed, "no such stream", error))?;
    let mut after = None::<String>;
    loop {
        let page = catalog.listed_at(&positions, at, after.as_deref(), PAGE_ROWS)?;
        let of_mailbox = page.iter().filter(|(item, _)| item.key.starts_with(&mailbox_unit("")));
        for (item, _) in of_mailbox {
            let position: Option<MailboxPosition> = serde_json::from_str(&item.attributes).ok();
            if let Some(position) = position.filter(|position| position.mailbox == email && position.listed) {
                return Ok(position.history);
            }
        }
        after = Some(page.last().ok_or_else(unknown)?.0.key.clone());
    }
}

fn time_of(catalog: &Catalog, sequence: u64) -> Result<Moment, Failure> {
    catalog
        .time_of(sequence)?
        .ok_or_else(|| Failure::new(Exit::Failed, format!("commit {sequence} is not known")))
}

/// Applies a plan for a domain, and verifies it.
pub(crate) fn apply(
    context: &Context,
    installation: &Installation,
    name: &SourceName,
    config: &GoogleConfig,
    options: &Apply,
    plan: &Plan,
    mode: ApplyMode,
) -> Result<crate::commands::apply::Done, Failure> {
    let credential = options.credential.as_deref().ok_or_else(|| {
        Failure::new(Exit::Usage, "applying needs a service account that may write").hint(
            "give --credential KEY-FILE; its scopes are those of the plan, and never the capturing account's",
        )
    })?;
    let secrets = Secrets::new(installation.home(), &environment);
    let stop = crate::context::stop_on_signals()?;
    let api = config.writer(context, &secrets, &key_reference(credential)?, &stop)?;
    let stored = context.stored(installation, name, &options.reading)?;
    let folder = PlanFolder::new(&options.plan);
    let mut writer = MailWriter::new(&api, &stored, options.plan.join("applied.jsonl"), config.threads);
    let progress = context.progress();
    let refused = crate::commands::apply::refused;
    let applied = writer.apply(plan, &folder, mode, &*progress).map_err(refused)?;
    let verification = match mode {
        ApplyMode::Rehearsal => None,
        ApplyMode::Lasting => Some(writer.verify(plan, &folder, &*progress).map_err(refused)?),
    };
    Ok(crate::commands::apply::Done { applied, verification })
}

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
    let mailbox = mailbox_of(domain, &options.what)?;
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
        mailbox: mailbox.email,
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
