//! `unwipe doctor`

use connect::{Finding, Standing};
use service::{Installation, Secrets, retention::Retention, workshop::Examined};
use source_postgres::slot::{self, SlotWal};

use crate::{
    commands::{google, protect::findings_text},
    connectors::{files::FilesConfig, google::GoogleConfig, postgres::PostgresConfig},
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::{Style, bytes},
};

/// A newest moment older than this is worth a look while captures should be running.
const BEHIND_MICROS_MAX: i64 = 300_000_000;

pub(crate) fn run(context: &Context) -> Result<Exit, Failure> {
    let examined = examine(context)?;
    let bad = examined.iter().flat_map(|e| &e.findings).any(|finding| finding.standing == Standing::Bad);
    let output = context.output;
    output.result(&examined, || {
        let mut text = String::new();
        for Examined { about, findings } in &examined {
            text.push_str(&format!(
                "{}\n{}\n",
                output.paint(Style::Strong, about),
                findings_text(output, findings)
            ));
        }
        text
    })?;
    Ok(if bad { Exit::Failed } else { Exit::Done })
}

/// Examines the installation and its sources.
pub(crate) fn examine(context: &Context) -> Result<Vec<Examined>, Failure> {
    let installation = context.installation()?;
    let mut examined =
        vec![Examined { about: "the vault".to_owned(), findings: vault(context, &installation)? }];
    for (name, source) in &installation.config().sources {
        let head = installation.vault(&environment)?.head(name)?;
        let newest = head.map(|commit| commit.envelope.vault_time);
        if let Some(files) = FilesConfig::of(name, source)? {
            let findings = vec![files.check(), freshness(context, name.as_str(), newest)];
            examined.push(Examined { about: format!("source {name}"), findings });
            continue;
        }
        let secrets = Secrets::new(installation.home(), &environment);
        if let Some(domain) = GoogleConfig::of(name, source)? {
            let mut findings = google::examine(context, &secrets, &domain)?;
            findings.push(freshness(context, name.as_str(), newest));
            examined.push(Examined { about: format!("source {name}"), findings });
            continue;
        }
        let config = PostgresConfig::of(name, source)?;
        let reader = config.reader(name, &secrets, context.clock(), context.progress())?;
        let mut findings = reader.check();
        findings.extend(slot_room(context, &config.settings(name, &secrets)?));
        findings.push(freshness(context, name.as_str(), newest));
        examined.push(Examined { about: format!("source {name}"), findings });
    }
    Ok(examined)
}

fn vault(context: &Context, installation: &Installation) -> Result<Vec<Finding>, Failure> {
    let mut findings = installation.measure(&environment)?.findings;
    let vault = installation.vault(&environment)?;
    let report = vault::verify::verify(&vault, None, vault::verify::Depth::Structure, &mut |_| {})?;
    let subject = "the vault is whole: chain, signatures, packs";
    findings.push(match report.findings.first() {
        None => Finding::good(subject, format!("{} commits, {} packs", report.commits, report.packs)),
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
        let subject = format!("all that moments of {source} need is locked for {} days", status.lock_days);
        let evidence = format!("the lock floor is {} days, at {}", floor.days_left, floor.object);
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
        if status.alarms.is_empty() { status.vault_time.to_string() } else { status.alarms.join("; ") };
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
    let covered = format!("{} commits in the tree, {} not yet", head.head.size(), report.uncovered_commits);
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
        Some(days) if days > KEY_DRILL_DAYS_MAX => {
            Finding::advice(subject, format!("it was last proven {days} days ago"), run)
        }
        Some(days) => Finding::good(subject, format!("it was last proven {days} days ago")),
    }
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
