//! `unwipe capture`

use connect::{ReadEnd, SourceReader, Stop, Urge};
use model::{Moment, SourceName};
use serde::Serialize;
use service::{Installation, Secrets};
use source_postgres::layout;

use crate::{
    arguments::Capture,
    commands::{head::while_witnessed, watching::while_watched},
    connectors::{Kind, files::FilesConfig, google::GoogleConfig, postgres::PostgresConfig},
    context::{Context, environment, stop_on_signals},
    exit::Exit,
    failure::Failure,
    output::{bytes, counted},
};

#[derive(Serialize)]
pub(crate) struct Captured {
    source: SourceName,
    commits: usize,
    new_bytes: u64,
    unreadable: u64,
    last_commit_at: Option<Moment>,
    up_to_date: bool,
}

pub(crate) fn run(context: &Context, options: &Capture) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let (name, _) = installation.config().source(&options.source)?;
    let stop = stop_on_signals()?;
    let captured = while_watched(context, installation, |installation, urges| {
        let urge = urges.get(&name).cloned().unwrap_or_default();
        let mut reader = reader(context, installation, &name, options, urge)?;
        if !options.once {
            context.output.say(format!("following {name}; end with Ctrl-C"));
        }
        while_witnessed(context, installation, || capture(context, installation, &name, &mut *reader, &stop))
    })?;
    context.output.result(&captured, || {
        format!(
            "{}: {}, {} new in the vault\n",
            captured.source,
            counted(captured.commits as u64, "commit"),
            bytes(captured.new_bytes)
        )
    })?;
    Ok(if captured.unreadable > 0 { Exit::Incomplete } else { Exit::Done })
}

/// Makes the reader of a source; `urge` is how it is asked to make haste.
pub(crate) fn reader(
    context: &Context,
    installation: &Installation,
    name: &SourceName,
    options: &Capture,
    urge: Urge,
) -> Result<Box<dyn SourceReader>, Failure> {
    let (_, source) = installation.config().source(name.as_str())?;
    let secrets = Secrets::new(installation.home(), &environment);
    let other = || Failure::new(Exit::Failed, format!("{name} is of another kind"));
    match Kind::of(source)? {
        Kind::Files => {
            let files = FilesConfig::of(name, source)?.ok_or_else(other)?;
            Ok(Box::new(files.reader(context, installation, name, options.once)?))
        }
        Kind::Google => {
            let google = GoogleConfig::of(name, source)?.ok_or_else(other)?;
            Ok(Box::new(google.reader(context, &secrets, options.once)?.urged_by(urge)))
        }
        Kind::Postgres => {
            let postgres = PostgresConfig::of(name, source)?;
            let reader = postgres.reader(name, &secrets, context.clock(), context.progress())?;
            let mut reader = reader.with_known_relations(known_relations(installation, name)?).urged_by(urge);
            if options.base {
                reader = reader.with_new_base();
            }
            if options.once {
                reader = reader.until_up_to_date();
            }
            Ok(Box::new(reader))
        }
    }
}

/// Lists the names that earlier runs stored, as far as the catalog on this host has them.
fn known_relations(
    installation: &Installation,
    name: &SourceName,
) -> Result<Vec<(String, layout::Relation)>, Failure> {
    let stream = layout::relations_stream()
        .map_err(|error| Failure::because(Exit::Failed, "no such stream", error))?;
    let stored = installation.catalog(name)?.live(&stream)?;
    let read = |version: catalog::Version| {
        serde_json::from_str(&version.item.attributes).ok().map(|relation| (version.item.key, relation))
    };
    Ok(stored.into_iter().filter_map(read).collect())
}

/// Captures one source until its reader ends.
pub(crate) fn capture(
    context: &Context,
    installation: &Installation,
    name: &SourceName,
    reader: &mut dyn SourceReader,
    stop: &Stop,
) -> Result<Captured, Failure> {
    let (end, report) = installation.capture(name, reader, &environment, stop)?;
    if let Some(reason) = &report.catalog_stale {
        context.output.say(format!(
            "the catalog of {name} did not follow ({reason}); it is a cache and is brought up to date by any command \
             that has the restore key"
        ));
    }
    if let Some(reason) = &report.head_behind {
        context.output.say(format!(
            "{name}: no tree head covers the newest commits yet ({reason}); the next capture, or unwipe head advance, \
             makes it"
        ));
    }
    for file in &report.damaged_journal {
        context.output.say(format!(
            "{name}: the journal file {} is damaged; reading went back to before the damage",
            file.display()
        ));
    }
    Ok(Captured {
        source: name.clone(),
        commits: report.commits.len(),
        new_bytes: report.new_bytes,
        unreadable: report.unreadable,
        last_commit_at: report.commits.last().map(|commit| commit.vault_time),
        up_to_date: end == ReadEnd::UpToDate,
    })
}
