//! What the verbs do with a Workspace domain.

mod actor;
mod export;
pub(crate) mod rewind;

use std::{
    collections::BTreeMap,
    io::{BufWriter, Write},
};

use connect::{Finding, Stop};
use model::StreamName;
use serde::Serialize;
use service::Secrets;
use source_google::Part;

use crate::{
    arguments::{Find, ProtectGoogle, Show},
    connectors::{
        files::failed,
        google::{GoogleConfig, StoredDomain, default_audit_days, default_audit_overlap_h, key_reference},
    },
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::{Format, count, counted, printable},
};

pub(crate) use self::{
    actor::undo_actor,
    export::export,
    rewind::{Back, Span, apply, plan_account, rewind},
};

const PAGE_ROWS: u32 = 1000;
/// What the streams of accounts begin with, and the part of the service that each holds.
const STREAMS: [(&str, Part); 5] = [
    ("gmail/", Part::Gmail),
    ("drive/", Part::Drive),
    ("shared-drive/", Part::Drive),
    ("calendar/", Part::Calendar),
    ("contacts/", Part::Contacts),
];
/// The stream of what belongs to nobody alone: groups of users.
const DIRECTORY: &str = "directory";

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
        audit_days: default_audit_days(),
        audit_overlap_h: default_audit_overlap_h(),
        threads: options.threads.max(1),
        address: options.address,
        certificates: options.certificates,
        quota: BTreeMap::new(),
        units: BTreeMap::new(),
        containment: None,
    };
    let secrets = Secrets::new(home, &environment);
    let findings = config.reader(context, &secrets, true)?.check();
    Ok((config, findings))
}

/// Checks a domain that is protected, scope by scope, and whether somebody could be stopped in it.
pub(crate) fn examine(
    context: &Context,
    secrets: &Secrets<'_>,
    config: &GoogleConfig,
) -> Result<Vec<Finding>, Failure> {
    let mut findings = config.reader(context, secrets, true)?.check();
    let subject = "a program that destroys can be stopped";
    let Some(container) = config.container(context, secrets, &Stop::default())? else { return Ok(findings) };
    findings.push(match container.ready() {
        Ok(()) => Finding::good(subject, "consents and accounts can be read with the containment's own key"),
        Err(error) => Finding::bad(subject, error.to_string(), error.hint().unwrap_or("unwipe doctor")),
    });
    Ok(findings)
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
    let words = ["name", "from", "subject", "summary", "email", "start"]
        .iter()
        .filter_map(|member| attributes[*member].as_str());
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
        format!("{}  {}\n{:#}\n", printable(key), counted(item.size_bytes, "byte"), shown.attributes)
    })?;
    Ok(Exit::Done)
}

/// An account's things of one kind in a stored domain.
#[derive(Debug, Clone)]
pub(crate) struct StoredAccount {
    pub(crate) part: Part,
    /// An address, or `directory`.
    pub(crate) account: String,
    pub(crate) stream: StreamName,
}

impl StoredAccount {
    /// Finds out what the stream holds that a person named.
    pub(crate) fn of(domain: &StoredDomain, what: &str) -> Result<Self, Failure> {
        let known = domain.stream.as_ref().and_then(|stream| {
            if stream.as_str() == DIRECTORY {
                let account = DIRECTORY.to_owned();
                return Some(Self { part: Part::Directory, account, stream: stream.clone() });
            }
            let of = |(prefix, part): &(&str, Part)| {
                let account = stream.as_str().strip_prefix(prefix)?.to_owned();
                Some(Self { part: *part, account, stream: stream.clone() })
            };
            STREAMS.iter().find_map(of)
        });
        known.ok_or_else(|| {
            Failure::new(Exit::Usage, format!("{} names nothing that is brought back", printable(what)))
                .hint(format!("unwipe find {0}; such as {0}/gmail/ANNA@EXAMPLE.ORG@MOMENT", domain.name))
        })
    }
}
