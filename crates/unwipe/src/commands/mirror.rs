//! `unwipe mirror`

use std::{collections::BTreeMap, sync::Mutex, sync::PoisonError};

use model::SourceName;
use serde::Serialize;
use service::{
    Secrets,
    mirrors::{MirrorConfig, MirrorStanding, MirrorsStanding, SourceRecord, parse_place, pull_places},
    place::{Place, Surroundings},
};
use vault::mirror::{
    Difference, MirrorOptions, MirrorProblem, MirrorProgress, MirrorWatch, Pair, PullReport, RepairReport,
};

use crate::{
    arguments::{Mirror, MirrorAction, MirrorAdd, MirrorPull, MirrorRepair, MirrorRun, MirrorVerify, Verify},
    context::{Context, environment, stop_on_signals},
    exit::Exit,
    failure::Failure,
    output::{Output, Style, bytes, count, counted, printable, table},
};

#[derive(Serialize)]
struct Ran {
    mirror: String,
    complete: bool,
    copied_objects: u64,
    copied_bytes: u64,
    present_objects: u64,
    verified_bytes: u64,
    renewed_locks: u64,
    lapsed_objects: u64,
    sources: BTreeMap<SourceName, SourceRecord>,
    differences: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    object: String,
    problem: String,
    detail: String,
}

#[derive(Serialize)]
struct Repaired {
    offered_objects: u64,
    offered: Vec<String>,
    created_objects: u64,
    created_bytes: u64,
    refused: Vec<Found>,
}

pub(crate) fn run(context: &Context, options: Mirror) -> Result<Exit, Failure> {
    match options.action {
        MirrorAction::Add(options) => add(context, options),
        MirrorAction::Run(options) => run_all(context, &options),
        MirrorAction::Status => status(context),
        MirrorAction::Verify(options) => verify(context, options),
        MirrorAction::Repair(options) => repair(context, &options),
        MirrorAction::Pull(options) => pull(context, &options),
    }
}

fn add(context: &Context, options: MirrorAdd) -> Result<Exit, Failure> {
    let mut installation = context.installation()?;
    let place = match (options.folder, options.place) {
        (Some(path), _) => {
            Place::Folder { path: std::path::absolute(path)?, immutable_flags: options.immutable_flags }
        }
        (None, text) => parse_place(&text.unwrap_or_default())?,
    };
    let mirror = MirrorConfig { place, offline: options.offline, lock_days: options.lock_days };
    let warnings = installation.add_mirror(&options.name, mirror.clone())?;
    for warning in &warnings {
        context.output.say(format!("warning: {warning}"));
    }
    let place = mirror.place.describe(installation.home());
    let added = serde_json::json!({
        "mirror": options.name, "place": place, "offline": mirror.offline, "warnings": warnings,
    });
    context.output.result(&added, || format!("{} will be kept in {place}\n", options.name))?;
    context.output.say(format!("next: unwipe mirror run {}", options.name));
    Ok(Exit::Done)
}

fn run_all(context: &Context, options: &MirrorRun) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let mirrors = &installation.config().mirrors;
    let names: Vec<String> = match &options.name {
        Some(name) => vec![name.clone()],
        None => mirrors.iter().filter(|(_, mirror)| !mirror.offline).map(|(name, _)| name.clone()).collect(),
    };
    if names.is_empty() {
        return Err(Failure::new(Exit::Nothing, "no mirror is configured that is always reachable")
            .hint("unwipe mirror add NAME --folder PATH"));
    }
    let stop = stop_on_signals()?;
    let run =
        service::mirrors::MirrorRun { threads: usize::from(options.threads), thorough: options.thorough };
    let mut ran = Vec::new();
    let mut exit = Exit::Done;
    for name in names {
        let report = watched(context, &format!("mirror {name}"), &|| stop.is_requested(), |watch| {
            installation.run_mirror(&name, run, &environment, watch)
        })?;
        exit = worse(exit, exit_of(&report, stop.is_requested()));
        ran.push(describe(name, report));
    }
    let output = context.output;
    output.result(&ran, || ran.iter().map(|ran| ran_text(output, ran)).collect())?;
    Ok(exit)
}

fn pull(context: &Context, options: &MirrorPull) -> Result<Exit, Failure> {
    let (from, into) = (parse_place(&options.from)?, parse_place(&options.into)?);
    // Relative folders are the caller's: there is no home folder here.
    let here = std::path::absolute(".")?;
    let secrets = Secrets::new(&here, &environment);
    let around = Surroundings {
        home: &here,
        secrets: &secrets,
        clock: context.clock(),
        random: std::sync::Arc::clone(&context.ports.random),
    };
    let expected = options.fingerprint.as_deref().map(str::parse).transpose();
    let expected = expected.map_err(|error: vault::manifest::ManifestError| {
        Failure::because(Exit::Usage, "the fingerprint is not 64 hexadecimal digits", error)
    })?;
    if let Some(folder) = from.folder(&here).filter(|folder| !folder.is_dir()) {
        return Err(Failure::new(Exit::NoVault, format!("there is no vault in {}", folder.display())));
    }
    let failed = |error: service::place::PlaceError| Failure::from(service::ServiceError::from(error));
    let pair = Pair {
        origin: from.open(&around).map_err(failed)?,
        mirror: into.open(&around).map_err(failed)?,
        clock: context.clock(),
    };
    let options = MirrorOptions {
        threads: usize::from(options.threads),
        thorough: options.thorough,
        lock_days: options.lock_days.unwrap_or(0),
        expected,
    };
    let stop = stop_on_signals()?;
    let report = watched(context, "mirror", &|| stop.is_requested(), |watch| {
        pull_places(&pair, &options, watch).map_err(service::ServiceError::from)
    })?;
    let exit = exit_of(&report, stop.is_requested());
    let ran = describe(into.describe(&here), report);
    let output = context.output;
    output.result(&ran, || ran_text(output, &ran))?;
    Ok(exit)
}

fn repair(context: &Context, options: &MirrorRepair) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let stop = stop_on_signals()?;
    let report = watched(context, "repair", &|| stop.is_requested(), |watch| {
        installation.repair_from_mirror(&options.name, options.yes, &environment, watch)
    })?;
    let RepairReport { offers, created_objects, created_bytes, refused } = report;
    let exit = if refused.is_empty() { Exit::Done } else { Exit::Tampering };
    let repaired = Repaired {
        offered_objects: offers.len() as u64,
        offered: offers.into_iter().map(|offer| offer.object).collect(),
        created_objects,
        created_bytes,
        refused: refused.into_iter().map(found).collect(),
    };
    let output = context.output;
    output.result(&repaired, || {
        let mut text: String = repaired.offered.iter().map(|object| format!("{object}\n")).collect();
        let (offered, created) =
            (counted(repaired.offered_objects, "object"), count(repaired.created_objects));
        text.push_str(&match (repaired.offered_objects, options.yes) {
            (0, _) => "the vault lacks nothing that the mirror has\n".to_owned(),
            (_, false) => format!("{offered} can be created in the vault again\n"),
            (_, true) => format!("{created} of {offered} created in the vault again\n"),
        });
        text.push_str(&differences_text(output, &repaired.refused));
        text
    })?;
    if repaired.offered_objects > 0 && !options.yes {
        output.say(format!("hint: unwipe mirror repair {} --yes", options.name));
    }
    Ok(exit)
}

fn verify(context: &Context, options: MirrorVerify) -> Result<Exit, Failure> {
    let installation = context.installation()?.reading_from(&options.name)?;
    super::verify::verify(
        context,
        &installation,
        &Verify { read_data: options.read_data, against: Vec::new(), reading: options.reading },
    )
}

fn status(context: &Context) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let standing = installation.mirrors_standing(&environment)?;
    let output = context.output;
    output.result(&standing, || status_text(output, &standing))?;
    Ok(Exit::Done)
}

fn status_text(output: Output, standing: &MirrorsStanding) -> String {
    let mut text = String::new();
    for mirror in &standing.mirrors {
        text.push_str(&mirror_text(output, mirror));
    }
    let domains = &standing.domains;
    let style = if domains.count == "2+" { Style::Good } else { Style::Warning };
    let count = output.paint(style, &domains.count);
    text.push_str(&format!("independent lock domains: {count}\n"));
    for place in &domains.places {
        text.push_str(&format!("  {} (tier {}): {}\n", place.name, place.tier, place.reason));
    }
    text
}

fn mirror_text(output: Output, mirror: &MirrorStanding) -> String {
    let title = output.paint(Style::Strong, &mirror.name);
    let mut text = format!("{title}  {}\n  tier {}: {}\n", mirror.place, mirror.tier, mirror.statement);
    match &mirror.last_run {
        None => text.push_str("  never run\n"),
        Some(run) => {
            let whole = if run.complete { "complete" } else { "not complete" };
            text.push_str(&format!(
                "  last run {}: {whole}, {} copied, {} checked{}\n",
                run.seen_at,
                bytes(run.copied_bytes),
                bytes(run.verified_bytes),
                if run.thorough { ", everything read" } else { "" },
            ));
            for (source, record) in &run.sources {
                let until = record.restorable_until.map_or_else(String::new, |at| format!(", up to {at}"));
                text.push_str(&format!("  {source}: commit {}{until}\n", record.sequence));
            }
        }
    }
    match mirror.commits_behind {
        Some(0) => text.push_str("  nothing is missing in it\n"),
        Some(behind) => text.push_str(&format!("  {} behind\n", counted(behind, "commit"))),
        None => text.push_str("  how far it is behind cannot be seen now\n"),
    }
    for warning in &mirror.warnings {
        text.push_str(&format!("  {} {warning}\n", output.paint(Style::Warning, "warning:")));
    }
    text
}

fn watched<T>(
    context: &Context,
    title: &str,
    stop: &(dyn Fn() -> bool + Sync),
    work: impl FnOnce(MirrorWatch<'_>) -> Result<T, service::ServiceError>,
) -> Result<T, Failure> {
    let display = context.progress();
    display.phase(title, None);
    let told = Mutex::new(0);
    let progress = |progress: MirrorProgress| {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        display.advance(progress.done_bytes.saturating_sub(*told));
        *told = progress.done_bytes.max(*told);
    };
    Ok(work(MirrorWatch { progress: &progress, stop })?)
}

fn exit_of(report: &PullReport, stopped: bool) -> Exit {
    if report.shows_loss() {
        Exit::Tampering
    } else if stopped {
        Exit::Interrupted
    } else if report.complete && report.differences.is_empty() {
        Exit::Done
    } else {
        Exit::Incomplete
    }
}

/// Keeps the exit code that asks for more attention.
const fn worse(one: Exit, other: Exit) -> Exit {
    match (one, other) {
        (Exit::Tampering, _) | (_, Exit::Tampering) => Exit::Tampering,
        (Exit::Done, other) => other,
        (one, _) => one,
    }
}

fn found(difference: Difference) -> Found {
    let Difference { object, problem, detail } = difference;
    Found { object, problem: problem.to_string(), detail }
}

fn describe(mirror: String, report: PullReport) -> Ran {
    let record = |(name, standing): (SourceName, vault::mirror::SourceStanding)| {
        let record =
            SourceRecord { sequence: standing.mirror_sequence, restorable_until: standing.mirror_time };
        (name, record)
    };
    Ran {
        mirror,
        complete: report.complete,
        copied_objects: report.copied_objects,
        copied_bytes: report.copied_bytes,
        present_objects: report.present_objects,
        verified_bytes: report.verified_bytes,
        renewed_locks: report.renewed_locks,
        lapsed_objects: report.lapsed_objects,
        sources: report.sources.into_iter().map(record).collect(),
        differences: report.differences.into_iter().map(found).collect(),
    }
}

fn ran_text(output: Output, ran: &Ran) -> String {
    let mut text = format!(
        "{}: {} copied ({}), {} there already, {} renewed\n",
        output.paint(Style::Strong, &ran.mirror),
        counted(ran.copied_objects, "object"),
        bytes(ran.copied_bytes),
        count(ran.present_objects),
        counted(ran.renewed_locks, "lock"),
    );
    let row = |(name, record): (&SourceName, &SourceRecord)| {
        let until = record.restorable_until.map_or_else(|| "-".to_owned(), |at| at.to_string());
        vec![format!("  {name}"), format!("commit {}", record.sequence), format!("restorable up to {until}")]
    };
    text.push_str(&table(&ran.sources.iter().map(row).collect::<Vec<_>>()));
    text.push_str(&differences_text(output, &ran.differences));
    if ran.differences.iter().any(|found| found.problem == MirrorProblem::Missing.to_string()) {
        text.push_str(
            "the mirror keeps what the vault lost: unwipe mirror repair shows what can be given back\n",
        );
    }
    if !ran.complete {
        text.push_str("not complete: run it again\n");
    }
    text
}

fn differences_text(output: Output, differences: &[Found]) -> String {
    let line = |found: &Found| {
        let word = output.paint(Style::Bad, &found.problem);
        format!("{word}  {}: {}\n", printable(&found.object), printable(&found.detail))
    };
    differences.iter().map(line).collect()
}
