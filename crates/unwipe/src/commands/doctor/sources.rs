//! Whether each source can be read, and how new its newest moment is.

use connect::Finding;
use model::SourceName;
use service::{Installation, Secrets, config::SourceConfig};
use source_postgres::slot::{self, SlotWal};

use crate::{
    commands::google,
    connectors::{files::FilesConfig, google::GoogleConfig, postgres::PostgresConfig},
    context::{Context, environment},
    failure::Failure,
    output::bytes,
};

/// A newest moment older than this is worth a look while captures should be running.
const BEHIND_MICROS_MAX: i64 = 300_000_000;

pub(super) fn examine(
    context: &Context,
    installation: &Installation,
    name: &SourceName,
    source: &SourceConfig,
) -> Result<Vec<Finding>, Failure> {
    let head = installation.vault(&environment)?.head(name)?;
    let newest = head.map(|commit| commit.envelope.vault_time);
    let secrets = Secrets::new(installation.home(), &environment);
    let mut findings = if let Some(files) = FilesConfig::of(name, source)? {
        vec![files.check()]
    } else if let Some(domain) = GoogleConfig::of(name, source)? {
        google::examine(context, &secrets, &domain)?
    } else {
        let config = PostgresConfig::of(name, source)?;
        let reader = config.reader(name, &secrets, context.clock(), context.progress())?;
        let mut findings = reader.check();
        findings.extend(slot_room(context, &config.settings(name, &secrets)?));
        findings
    };
    findings.push(freshness(context, name.as_str(), newest));
    Ok(findings)
}

/// Says how much WAL may still be written before the slot's room runs out.
fn slot_room(context: &Context, settings: &source_postgres::ClusterSettings) -> Option<Finding> {
    let state = slot::inspect(settings, context.clock()).ok().flatten()?;
    let subject = "the slot has room, so production's disk is safe and nothing is lost";
    let room = state.safe_bytes.map_or_else(|| "unknown".to_owned(), bytes);
    let streaming = if state.active { "streaming" } else { "nobody streams" };
    let evidence = format!("{room} of WAL may still be written; {streaming}");
    Some(match (state.wal, state.is_endangering()) {
        (SlotWal::Lost, _) => Finding::bad(
            subject,
            "the slot is lost",
            "unwipe serve, which makes a new base and shows the hole",
        ),
        (_, true) => Finding::bad(subject, evidence, "unwipe serve"),
        _ => Finding::good(subject, evidence),
    })
}

fn freshness(context: &Context, name: &str, newest: Option<model::Moment>) -> Finding {
    let subject = "the newest moment is recent";
    match newest {
        None => Finding::bad(subject, "nothing was captured yet", format!("unwipe capture {name}")),
        Some(at) => {
            let behind = context.clock().now().micros_since(at);
            let evidence = format!("{at}, {} s ago", behind / 1_000_000);
            if behind > BEHIND_MICROS_MAX {
                Finding::advice(subject, evidence, "unwipe serve")
            } else {
                Finding::good(subject, evidence)
            }
        }
    }
}
