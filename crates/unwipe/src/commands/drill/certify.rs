//! From what was found to a certificate: signed, kept, and told when it is bad.

use drill::{Check, Findings, Outcome, Spent};
use model::Moment;
use notify::{Message, Urgency};
use service::{
    Installation, Secrets,
    certificate::{Certificate, Statement, TreeBond},
    proof,
};

use super::{Drilling, millis};
use crate::{
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::printable,
};

/// So many differences are told in a notice; the certificate has the others.
const TOLD_MAX: usize = 5;

/// Makes, keeps and tells the certificate of a drill.
pub(super) fn certify(
    drilling: &Drilling<'_>,
    mut held: Findings,
    began_at: Moment,
) -> Result<Certificate, Failure> {
    let Drilling { context, installation, asked, limits, .. } = drilling;
    let name = &asked.source;
    let vault = installation.vault(&environment)?;
    if installation.reads_from().is_none() {
        // Without a new head the newest one is named, which may not cover the commit.
        installation.advance_head(&environment).ok();
    }
    let (commit, commit_hash) = match vault.head(name) {
        Ok(head) => {
            head.map_or((0, String::new()), |commit| (commit.envelope.sequence, commit.hash.to_string()))
        }
        // What was found is certified all the same.
        Err(error) if error.is_tampering() => {
            held.checks.push(Check::failed("the newest commit can be read", vault::error_text(&error)));
            (0, String::new())
        }
        Err(error) => return Err(error.into()),
    };
    let tree = match TreeBond::of(&vault, name, commit) {
        Ok(tree) => tree,
        Err(error) => {
            let text = vault::error_text(&error);
            let subject = "the vault's tree heads hold";
            held.checks.push(if error.is_tampering() {
                Check::failed(subject, text.clone())
            } else {
                Check::not_checked(subject, text.clone())
            });
            TreeBond::None { reason: text }
        }
    };
    let mut statement = Statement {
        format: Statement::FORMAT,
        vault: vault.manifest().vault.to_string(),
        source: name.clone(),
        kind: held.kind.to_owned(),
        simulated: held.simulated,
        commit,
        commit_hash,
        tree,
        moment: held.moment.unwrap_or_else(|| asked.moment.clone()),
        restored_commit: held.restored_commit,
        position: held.position,
        began_at,
        // A clock that was put back meanwhile must not make a certificate that contradicts itself.
        at: context.clock().now().max(began_at),
        extent: held.extent,
        against: held.against,
        counts: held.tally.counts,
        differences: held.tally.named,
        differences_total: held.tally.total,
        checks: held.checks,
        probes: held.probes,
        spent: Spent {
            time_ms: millis(limits.taken()),
            serving_ms: held.serving_ms,
            space_bytes: held.space_bytes,
        },
        budget: limits.budget,
        tables: held.tables,
        tool: format!("unwipe {}", env!("CARGO_PKG_VERSION")),
        outcome: Outcome::Hypothesis,
    };
    statement.outcome = statement.judged();
    let certificate = Certificate::sign(statement, &proof::signing_key(installation)?)?;
    let (_, trouble) = proof::keep(installation, &certificate, &environment)?;
    let has_failed = certificate.statement.outcome == Outcome::Failed;
    if has_failed {
        alarm(context, installation, &certificate);
    }
    match trouble {
        // A drill of a mirror is worth most when the vault itself is gone; and who finds damage must be able to say so.
        Some(error) if has_failed || installation.reads_from().is_some() => {
            context.output.say(format!("warning: the certificate is not in the vault's log: {error}"));
        }
        Some(error) => return Err(error.into()),
        None => {}
    }
    Ok(certificate)
}

/// Tells everybody who is configured to be told that a drill failed.
fn alarm(context: &Context, installation: &Installation, certificate: &Certificate) {
    let secrets = Secrets::new(installation.home(), &environment);
    let channels = match installation.config().watch.channels(installation, &secrets) {
        Ok(channels) => channels,
        Err(error) => return context.output.say(format!("nobody was told of the failed drill: {error}")),
    };
    let message = message(certificate);
    for listener in channels.iter().filter(|listener| message.urgency >= listener.from) {
        let mut attempts = 3;
        while let Err(error) = listener.to.send(&message) {
            attempts -= 1;
            if attempts == 0 || !error.is_transient() {
                context.output.say(format!("a notice of the failed drill did not arrive: {error}"));
                break;
            }
            context.clock().sleep(std::time::Duration::from_secs(1));
        }
    }
}

fn message(certificate: &Certificate) -> Message {
    let statement = &certificate.statement;
    let mut lines: Vec<String> = statement
        .differences
        .iter()
        .take(TOLD_MAX)
        .map(|difference| format!("{}: {}", printable(&difference.subject), printable(&difference.what)))
        .collect();
    let failed = statement.checks.iter().filter(|check| check.result == drill::CheckResult::Failed);
    lines.extend(
        failed.take(TOLD_MAX).map(|c| format!("{}: {}", printable(&c.subject), printable(&c.evidence))),
    );
    let unheld = statement.probes.iter().filter(|probe| !probe.held);
    lines.extend(unheld.take(TOLD_MAX).map(|p| format!("{}: not as expected", printable(&p.sql))));
    lines.push(format!("see: unwipe drill list {}", statement.source));
    let title =
        format!("the drill of {} failed: what was restored is not what it had to be", statement.source);
    Message {
        id: format!("drill-{}", certificate.id()),
        at: statement.at,
        urgency: Urgency::Alarm,
        finding: finding(certificate, &title, &lines),
        title,
        lines,
    }
}

/// Writes a failed drill as an OCSF Detection Finding, as incidents are.
fn finding(certificate: &Certificate, title: &str, lines: &[String]) -> serde_json::Value {
    let statement = &certificate.statement;
    let millis = statement.at.as_micros() / 1000;
    serde_json::json!({
        "activity_id": 1,
        "category_uid": 2,
        "class_uid": 2004,
        "type_uid": 200_401,
        "severity_id": 4,
        "status_id": 1,
        "time": millis,
        "message": title,
        "metadata": {
            "version": "1.3.0",
            "product": { "name": "unwipe", "vendor_name": "unwipe", "version": env!("CARGO_PKG_VERSION") },
        },
        "finding_info": {
            "uid": format!("drill-{}", certificate.id()),
            "title": title,
            "desc": lines.join("\n"),
            "types": ["failed drill"],
            "created_time": millis,
        },
    })
}

/// Returns a drill that could not be held for a reason of its own.
pub(super) fn not_held(
    name: &model::SourceName,
    error: impl std::error::Error + Send + Sync + 'static,
) -> Failure {
    Failure::because(Exit::Failed, format!("no drill of {name} could be held"), error)
}
