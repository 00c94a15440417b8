//! Whether the vault is whole, locked and openable, and who could read it from here.

use connect::Finding;
use service::{
    Installation,
    retention::Retention,
    words::{count, counted, moment},
};

use crate::{
    context::{Context, environment},
    failure::Failure,
};

pub(super) fn examine(context: &Context, installation: &Installation) -> Result<Vec<Finding>, Failure> {
    let mut findings = installation.measure(&environment)?.findings;
    let vault = installation.vault(&environment)?;
    let report = vault::verify::verify(&vault, None, vault::verify::Depth::Structure, &mut |_| {})?;
    let subject = "the vault is whole: chain, signatures, packs";
    findings.push(match report.findings.first() {
        None => Finding::good(
            subject,
            format!(
                "{}, {}{}",
                counted(report.commits, "commit"),
                counted(report.packs, "pack"),
                if report.hidden_logs > 0 { "; other sources are not shown to this host" } else { "" }
            ),
        ),
        Some(first) => Finding::bad(
            subject,
            format!("{}: {} ({})", first.object, first.problem, first.detail),
            "unwipe verify --read-data",
        ),
    });
    findings.extend(locks(context, installation)?);
    findings.push(history(installation, &report));
    let key_beside = installation.config().restore.key.is_some();
    let subject = "the capturing host cannot read the vault";
    findings.push(if key_beside {
        Finding::advice(
            subject,
            "the restore key is configured here",
            "move keys/restore.key to the host that restores, and remove restore.key from unwipe.toml",
        )
    } else {
        Finding::good(subject, "no restore key is configured here")
    });
    findings.push(key_drill(context, installation));
    let now = context.clock().now();
    let ahead = vault
        .sources()?
        .iter()
        .filter_map(|name| vault.head(name).ok().flatten())
        .any(|commit| commit.envelope.vault_time.micros_since(now) > 0);
    let subject = "this clock agrees with the vault's time";
    findings.push(if ahead {
        Finding::bad(subject, "the vault holds commits from the future", "set this machine's clock")
    } else {
        Finding::good(subject, "no commit is from the future")
    });
    Ok(findings)
}

/// Says how long the least lock of each source still runs, and how vault time stands.
fn locks(context: &Context, installation: &Installation) -> Result<Vec<Finding>, Failure> {
    let status = Retention::open(installation, &environment)?.status(&*context.progress())?;
    let mut findings = Vec::new();
    for (source, floor) in &status.floors {
        let subject = format!(
            "all that moments of {source} need is locked for {}",
            counted(u64::from(status.lock_days), "day")
        );
        let evidence =
            format!("the lock floor is {}, at {}", counted(u64::from(floor.days_left), "day"), floor.object);
        findings.push(match floor.standing {
            "good" => Finding::good(subject, evidence),
            "late" => Finding::advice(subject, evidence, "unwipe serve, or unwipe retention renew every day"),
            _ => Finding::bad(subject, evidence, "unwipe retention renew"),
        });
    }
    let subject = "it takes several people to end a hold or a freeze";
    findings.push(match &status.people {
        Some(people) if people.threshold > 1 => {
            Finding::good(subject, format!("{} of {}", people.threshold, people.people.len()))
        }
        _ => Finding::advice(
            subject,
            status.people.map_or("nobody is named", |_| "one person is enough"),
            "unwipe retention people --threshold 2 --person NAME=PUBLIC-KEY ...",
        ),
    });
    let subject = "vault time goes on, and the clocks agree";
    let evidence =
        if status.alarms.is_empty() { moment(status.vault_time) } else { status.alarms.join("; ") };
    findings.push(match &status.frozen {
        Some(freeze) => Finding::bad(subject, &freeze.reason, "unwipe retention thaw"),
        None if status.alarms.is_empty() => Finding::good(subject, evidence),
        None => Finding::advice(subject, evidence, "unwipe retention status"),
    });
    Ok(findings)
}

/// A vault that was put back as a whole is sound in itself: somebody else must remember.
fn history(installation: &Installation, report: &vault::verify::Report) -> Finding {
    let subject = "a history that is put back would be noticed";
    let remedy = "keep what unwipe head show prints elsewhere, or let a witness remember: [witnesses.NAME]";
    let head = match installation.newest_head(&environment) {
        Ok(Some(head)) => head,
        Ok(None) => return Finding::advice(subject, "the vault has no tree head", "unwipe head advance"),
        Err(error) => return Finding::bad(subject, error.to_string(), "unwipe verify"),
    };
    let covered = format!(
        "{} in the tree, {} not yet",
        counted(head.head.size(), "commit"),
        count(report.uncovered_commits)
    );
    let names: Vec<_> = head.witnesses.iter().map(|(name, _)| name.as_str()).collect();
    match (installation.config().witnesses.len(), names.len()) {
        (0, _) => Finding::advice(subject, format!("{covered}; no witness is configured"), remedy),
        (_, 0) => Finding::advice(
            subject,
            format!("{covered}; no witness cosigned the newest head"),
            "unwipe head submit",
        ),
        _ => Finding::good(subject, format!("{covered}; cosigned by {}", names.join(", "))),
    }
}

/// A key that was not shown to open the vault for so long is worth a drill.
const KEY_DRILL_DAYS_MAX: i64 = 92;

fn key_drill(context: &Context, installation: &Installation) -> Finding {
    let subject = "the recovery kit opens the vault";
    let run = "unwipe keys drill --key file:KIT, or --key shares:FILE,FILE,…";
    let Ok(drills) = installation.key_drills(&environment) else {
        return Finding::advice(subject, "the drills can be read with the restore key only", run);
    };
    let recipients = match installation.vault(&environment) {
        Ok(vault) => vault.keys().recipients,
        Err(_) => Vec::new(),
    };
    let recovery = |age: &str| recipients.iter().any(|r| r.role == "recovery" && r.age == age);
    let last = drills.iter().filter(|drill| recovery(&drill.recipient)).map(|drill| drill.at).max();
    match last.map(|at| context.clock().now().micros_since(at) / vault::retention::DAY_MICROS) {
        None => Finding::advice(subject, "it was never proven", run),
        Some(days) => {
            let proven = format!("it was last proven {} ago", counted(days.unsigned_abs(), "day"));
            if days > KEY_DRILL_DAYS_MAX {
                Finding::advice(subject, proven, run)
            } else {
                Finding::good(subject, proven)
            }
        }
    }
}
