//! `unwipe drill`

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use model::SourceName;
use postgres_recovery::{
    Resolution,
    drill::{DrillReport, Truth, drill},
    fingerprint,
    scratch::ScratchOptions,
};
use service::{
    Installation,
    certificate::{Certificate, Statement},
    operations::{self, Kind},
    signature::SigningKey,
};

use crate::{
    arguments::{self, DrillAction, Production, Reading},
    connectors::recovery::{REPLAY_TIMEOUT, StoredCluster, source_and_moment},
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::{Output, Style, count, printable},
};

/// The slot of the moment when production's content is recorded; it is temporary.
const SLOT: &str = "unwipe_drill";
/// How long the recorded moment may take into the vault: a commit every 10 s, and room for a busy server.
const CAPTURE_PATIENCE: Duration = Duration::from_mins(2);
const CAPTURE_POLL: Duration = Duration::from_secs(1);

pub(crate) fn run(context: &Context, options: arguments::Drill) -> Result<Exit, Failure> {
    match options.action {
        DrillAction::Run { what, certificate, production, reading } => {
            hold(context, &what, certificate.as_deref(), &production, &reading)
        }
        DrillAction::Verify { certificate } => verify(context, &certificate),
    }
}

fn hold(
    context: &Context,
    what: &str,
    certificate_path: Option<&Path>,
    production: &Production,
    reading: &Reading,
) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let (source, mut moment) = source_and_moment(what);
    let (name, _) = installation.config().source(source)?;
    let recorded = record_truth(context, &installation, &name, production)?;
    let position;
    if let Some(taken) = &recorded {
        position = format!("before:{}", postgres_server::lsn::to_text(taken.lsn.unwrap_or_default()));
        moment = &position;
    }
    let patience = if recorded.is_some() { CAPTURE_PATIENCE } else { Duration::ZERO };
    let (cluster, resolution) = reach(context, &installation, &name, moment, reading, patience)?;
    let head = installation.vault(&environment)?.head(&name)?;
    let truth = match recorded {
        Some(fingerprint) => Truth::Recorded(fingerprint),
        None => second_route(&cluster, &resolution.route),
    };
    let options = ScratchOptions {
        installation: cluster.programs(&resolution.route)?,
        account: cluster.account.clone(),
        folder: cluster.fresh_folder("drill")?,
        timeout: REPLAY_TIMEOUT,
        clock: context.clock(),
    };
    let progress = context.progress();
    let report = drill(cluster.stored(), &cluster.history, &resolution.route, &truth, &options, &*progress)
        .map_err(|error| {
        Failure::because(Exit::Failed, format!("no drill of {name} could be held"), error)
    })?;
    drop(progress);
    let statement = statement(context, &installation, &name, moment, head.as_ref(), report)?;
    let key = SigningKey::read_or_create(&context.home.join("keys/certificate.key"), &*context.ports.random)?;
    let certificate = Certificate::sign(statement, &key)?;
    certificate.write(&latest_path(&installation, &name))?;
    if let Some(path) = certificate_path {
        certificate.write(&std::path::absolute(path)?)?;
    }
    let key = format!("{name}/{}", certificate.statement.at);
    let recorded = installation
        .writer(&environment)
        .and_then(|(writer, _)| operations::record(&writer, Kind::Certificate, &key, &certificate));
    match recorded {
        // A drill of a mirror is worth most when the vault itself is gone.
        Err(error) if installation.reads_from().is_some() => {
            context.output.say(format!("warning: the certificate is not in the vault's log: {error}"));
        }
        other => {
            other?;
        }
    }
    let output = context.output;
    output.result(&certificate, || text(output, &certificate))?;
    Ok(if certificate.statement.findings.is_empty() { Exit::Done } else { Exit::Tampering })
}

/// Finds the way to a moment, waiting for a capture that runs elsewhere to bring it into the vault.
fn reach<'c>(
    context: &'c Context,
    installation: &Installation,
    name: &SourceName,
    moment: &str,
    reading: &Reading,
    patience: Duration,
) -> Result<(StoredCluster<'c>, Resolution), Failure> {
    let clock = context.clock();
    let until = clock.elapsed() + patience;
    loop {
        let stored = context.stored(installation, name, reading)?;
        let cluster = StoredCluster::open(context, installation, name, stored)?;
        match cluster.resolve(moment) {
            Ok(resolution) => return Ok((cluster, resolution)),
            Err(failure) if clock.elapsed() >= until => {
                let hint =
                    (!patience.is_zero()).then(|| format!("is it being captured? unwipe capture {name}"));
                return Err(Failure { hint: hint.or(failure.hint), ..failure });
            }
            Err(_) => clock.sleep(CAPTURE_POLL),
        }
    }
}

/// Records what production holds now, when a connection to it is given; its WAL must then reach the vault.
fn record_truth(
    context: &Context,
    installation: &Installation,
    name: &SourceName,
    production: &Production,
) -> Result<Option<fingerprint::Fingerprint>, Failure> {
    if production.url.is_empty() {
        return Ok(None);
    }
    let settings = crate::context::production(installation, production, name.as_str())?;
    let taken = fingerprint::of_production(&settings, SLOT, &context.clock()).map_err(|error| {
        let hint = error.hint();
        Failure::because(Exit::Failed, format!("the content of {name} cannot be recorded"), error)
            .hint_opt(hint)
    })?;
    Ok(Some(taken.fingerprint))
}

/// Chooses a recovery from another base to compare with, where there is one.
fn second_route(cluster: &StoredCluster<'_>, route: &postgres_recovery::RecoveryRoute) -> Truth {
    let earlier = cluster.history.bases.iter().rev().find(|known| {
        known.base.start_lsn < route.base.base.start_lsn && known.base.timeline == route.base.base.timeline
    });
    match earlier {
        Some(base) => {
            let mut second = route.clone();
            second.base = base.clone();
            Truth::SecondRecovery(Box::new(second))
        }
        None => Truth::None,
    }
}

fn statement(
    context: &Context,
    installation: &Installation,
    name: &SourceName,
    moment: &str,
    head: Option<&vault::Commit>,
    report: DrillReport,
) -> Result<Statement, Failure> {
    let tables =
        report.fingerprint.tables.into_iter().map(|(table, taken)| (table, (taken.rows, taken.hash)));
    Ok(Statement {
        format: Statement::FORMAT,
        vault: installation.vault(&environment)?.manifest().vault.to_string(),
        source: name.clone(),
        commit: head.map_or(0, |commit| commit.envelope.sequence),
        commit_hash: head.map_or_else(String::new, |commit| commit.hash.to_string()),
        moment: moment.to_owned(),
        position: postgres_server::lsn::to_text(report.lsn),
        at: context.clock().now(),
        proven: report.proven,
        checks: report.checks,
        findings: report.findings,
        serving_ms: report.serving_ms,
        tables: tables.collect(),
    })
}

fn verify(context: &Context, path: &Path) -> Result<Exit, Failure> {
    let certificate = Certificate::read(path)?;
    let output = context.output;
    output.result(&certificate, || text(output, &certificate))?;
    Ok(if certificate.statement.findings.is_empty() { Exit::Done } else { Exit::Tampering })
}

/// Returns what is known about restoring a source: `hypothesis`, `proven` or `failed`.
pub(crate) fn proof_of(installation: &Installation, name: &SourceName) -> &'static str {
    match Certificate::read(&latest_path(installation, name)) {
        Ok(certificate) if !certificate.statement.findings.is_empty() => "failed",
        Ok(certificate) if certificate.statement.proven => "proven",
        // No drill yet, one that compared nothing, or a certificate that somebody changed.
        _ => "hypothesis",
    }
}

fn latest_path(installation: &Installation, name: &SourceName) -> PathBuf {
    installation.state_folder(name).join("certificate.json")
}

fn text(output: Output, certificate: &Certificate) -> String {
    let statement = &certificate.statement;
    let (word, style) = match (statement.findings.is_empty(), statement.proven) {
        (false, _) => ("FAILED", Style::Bad),
        (true, true) => ("proven", Style::Good),
        (true, false) => ("restored, compared with nothing: still a hypothesis", Style::Warning),
    };
    let mut text = format!(
        "{}\nsource    {} at {} (asked for: {})\nserving   after {:.1} s\nhistory   commit {} {}\n",
        output.paint(style, word),
        statement.source,
        statement.position,
        printable(&statement.moment),
        statement.serving_ms as f64 / 1e3,
        statement.commit,
        statement.commit_hash,
    );
    for check in &statement.checks {
        text.push_str(&format!("checked   {}\n", printable(check)));
    }
    for finding in &statement.findings {
        text.push_str(&format!("{}   {}\n", output.paint(Style::Bad, "finding"), printable(finding)));
    }
    let rows = statement.tables.values().map(|(rows, _)| rows).sum();
    text.push_str(&format!("content   {} tables, {} rows\n", statement.tables.len(), count(rows)));
    text.push_str(&format!("signed    by {} on {}\n", certificate.signer, statement.at));
    text
}
