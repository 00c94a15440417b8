//! `unwipe log`

use model::{Completeness, Ledger, Moment, SourceName};
use serde::Serialize;
use service::operations;

use crate::{
    arguments::Log,
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::{bytes, count, counted, table},
};

#[derive(Serialize)]
struct Entry {
    sequence: u64,
    hash: String,
    vault_time: Moment,
    locked_until: Moment,
    ledger: Ledger,
    completeness: Completeness,
    new_bytes: u64,
}

pub(crate) fn run(context: &Context, options: &Log) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let name = if options.source == operations::SOURCE {
        SourceName::new(operations::SOURCE)
            .map_err(|error| Failure::because(Exit::Usage, "no such log", error))?
    } else {
        installation.config().source(&options.source)?.0
    };
    let vault = installation.vault(&environment)?;
    let last = vault.last_sequence(&name)?;
    let first = last.saturating_sub(u64::from(options.limit)) + 1;
    let mut entries = Vec::new();
    for sequence in (first..=last).rev() {
        let commit = vault.commit(&name, sequence)?;
        let envelope = &commit.envelope;
        entries.push(Entry {
            sequence,
            hash: commit.hash.to_string(),
            vault_time: envelope.vault_time,
            locked_until: envelope.locked_until,
            ledger: envelope.ledger,
            completeness: envelope.ledger.completeness(),
            new_bytes: envelope.packs.iter().map(|pack| pack.size_bytes).sum::<u64>() + envelope.body.length,
        });
    }
    if entries.is_empty() {
        return Err(Failure::new(Exit::Nothing, format!("nothing was committed for {name} yet"))
            .hint(format!("unwipe capture {name}")));
    }
    context.output.result(&entries, || {
        let row = |entry: &Entry| {
            let partial = match entry.completeness {
                Completeness::Complete => String::new(),
                Completeness::Partial => format!("{} unreadable", count(entry.ledger.unreadable)),
            };
            vec![
                entry.sequence.to_string(),
                entry.vault_time.to_string(),
                entry.hash.chars().take(12).collect(),
                counted(entry.ledger.stored, "item"),
                bytes(entry.new_bytes),
                partial,
            ]
        };
        table(&entries.iter().map(row).collect::<Vec<_>>())
    })?;
    Ok(Exit::Done)
}
