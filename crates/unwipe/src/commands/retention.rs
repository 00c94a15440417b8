//! `unwipe retention`

use std::{collections::BTreeMap, path::PathBuf};

use model::SourceName;
use serde::Serialize;
use service::{
    Installation,
    retention::{Decision, Retention, RetentionStatus},
    signature::SigningKey,
};
use vault::{
    quorum::Quorum,
    reap::{ReapReport, ReleaseReport},
};

use crate::{
    arguments::{Reading, RetentionAction, Signing},
    connectors::succession::StreamSuccession,
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::{Output, Style, bytes, count, counted, table},
};

#[derive(Serialize)]
struct Renewed {
    renewed: u64,
    status: RetentionStatus,
}

#[derive(Serialize)]
struct ReleasedPacks {
    released: usize,
    recalled: usize,
    suspicions: BTreeMap<SourceName, String>,
}

#[derive(Serialize)]
struct ReapedPacks {
    reaped: usize,
    bytes: u64,
    staying: BTreeMap<String, u64>,
    refused: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Decided {
    decision: String,
    people: Vec<String>,
}

pub(crate) fn run(context: &Context, options: RetentionAction) -> Result<Exit, Failure> {
    if let RetentionAction::Person { key } = &options {
        return person(context, key);
    }
    let installation = context.installation()?;
    let retention = Retention::open(&installation, &environment)?;
    match options {
        RetentionAction::Status => {
            let status = retention.status(&*context.progress())?;
            context.output.result(&status, || status_text(context.output, &status))?;
            Ok(standing(&status))
        }
        RetentionAction::Renew => {
            let (report, status) = retention.renew(&*context.progress())?;
            let renewed = Renewed { renewed: report.renewed, status };
            context.output.result(&renewed, || {
                let text = status_text(context.output, &renewed.status);
                format!(
                    "renewed       {} of {}\n{text}",
                    count(renewed.renewed),
                    counted(report.objects, "object")
                )
            })?;
            Ok(standing(&renewed.status))
        }
        // Needs no installation: people keep their keys elsewhere.
        RetentionAction::Person { key } => person(context, &key),
        RetentionAction::Lengthen { days } => lengthen(context, &installation, days),
        RetentionAction::Hold { source, reason } => hold(context, &installation, &retention, source, &reason),
        RetentionAction::Release { reading } => release(context, &installation, &retention, &reading),
        RetentionAction::Reap { reading } => reap(context, &installation, &retention, &reading),
        RetentionAction::Lift { hold, signing, reading } => {
            decide(context, &installation, &retention, &Decision::Lift(hold), &signing, &reading)
        }
        RetentionAction::Confirm { source, signing, reading } => {
            let (source, _) = installation.config().source(&source)?;
            decide(context, &installation, &retention, &Decision::Confirm(source), &signing, &reading)
        }
        RetentionAction::Thaw { signing, reading } => {
            decide(context, &installation, &retention, &Decision::Thaw, &signing, &reading)
        }
        RetentionAction::People { threshold, people, signing, reading } => {
            let decision = Decision::People(quorum(threshold, &people)?);
            decide(context, &installation, &retention, &decision, &signing, &reading)
        }
    }
}

/// Anything below the policy is a failure; late renewal is worth a look, and `doctor` says so.
fn standing(status: &RetentionStatus) -> Exit {
    let broken = status.floors.values().any(|floor| floor.standing == "broken");
    if broken { Exit::Retention } else { Exit::Done }
}

fn status_text(output: Output, status: &RetentionStatus) -> String {
    let mut text = format!(
        "policy        every version stays {} after it was live\n",
        counted(u64::from(status.lock_days), "day")
    );
    text.push_str(&format!("vault time    {}\n", status.vault_time));
    if let Some(freeze) = &status.frozen {
        let words = format!("frozen since {}: {}", freeze.since, freeze.reason);
        text.push_str(&format!("              {}\n", output.paint(Style::Bad, &words)));
    }
    text.push_str(&format!("objects       {}\n", count(status.objects)));
    text.push_str(&format!(
        "released      {}, each until its window has run out\n",
        counted(status.released_packs, "pack")
    ));
    for alarm in &status.alarms {
        text.push_str(&format!("{}         {alarm}\n", output.paint(Style::Warning, "alarm")));
    }
    if !status.floors.is_empty() {
        let mut rows =
            vec![["source", "lock floor", "days left", "", "first unlocked"].map(str::to_owned).to_vec()];
        for (source, floor) in &status.floors {
            let (style, word) = match floor.standing {
                "good" => (Style::Good, "good"),
                "late" => (Style::Warning, "renewal is late"),
                _ => (Style::Bad, "below the policy"),
            };
            let until = floor.until.map_or_else(|| "unknown".to_owned(), |until| until.to_string());
            rows.push(vec![
                source.to_string(),
                until,
                floor.days_left.to_string(),
                output.paint(style, word),
                floor.object.clone(),
            ]);
        }
        text.push_str(&format!("\n{}", table(&rows)));
    }
    for (number, hold) in &status.holds {
        let whose = hold.source.as_ref().map_or("everything", SourceName::as_str);
        text.push_str(&format!("\nhold {number}  {whose} since {}: {}\n", hold.since, hold.reason));
    }
    match &status.people {
        Some(quorum) => {
            let names: Vec<&str> = quorum.people.keys().map(String::as_str).collect();
            text.push_str(&format!("\npeople        {} of {}\n", quorum.threshold, names.join(", ")));
        }
        None => text.push_str("\npeople        none named: nobody can lift a hold or end a freeze\n"),
    }
    text
}

fn person(context: &Context, path: &std::path::Path) -> Result<Exit, Failure> {
    #[derive(Serialize)]
    struct Person {
        public: String,
    }
    let person = Person { public: SigningKey::read_or_create(path, &*context.ports.random)?.public() };
    context.output.result(&person, || format!("{}\n", person.public))?;
    Ok(Exit::Done)
}

fn lengthen(context: &Context, installation: &Installation, days: u32) -> Result<Exit, Failure> {
    #[derive(Serialize)]
    struct Lengthened {
        lock_days: u32,
        extended: u64,
    }
    let (writer, _) = installation.writer(&environment)?;
    let extended = writer.lengthen(days).map_err(service::ServiceError::from)?;
    // The next commit carries the longer term; without one of our own it would wait for the next capture.
    service::operations::record(
        &writer,
        service::operations::Kind::Retention,
        &context.clock().now().to_string(),
        &serde_json::json!({ "lengthened": days }),
    )?;
    let result = Lengthened { lock_days: days, extended };
    context.output.result(&result, || {
        format!("{} locked for at least {}\n", counted(extended, "object"), counted(days.into(), "day"))
    })?;
    Ok(Exit::Done)
}

fn hold(
    context: &Context,
    installation: &Installation,
    retention: &Retention<'_>,
    source: Option<String>,
    reason: &str,
) -> Result<Exit, Failure> {
    #[derive(Serialize)]
    struct Held {
        hold: u64,
    }
    let source = source.map(|name| installation.config().source(&name)).transpose()?.map(|(name, _)| name);
    let held = Held { hold: retention.hold(source, reason)? };
    context.output.result(&held, || format!("hold {}: nothing of it is released or reaped\n", held.hold))?;
    Ok(Exit::Done)
}

fn release(
    context: &Context,
    installation: &Installation,
    retention: &Retention<'_>,
    reading: &Reading,
) -> Result<Exit, Failure> {
    let reader = installation.reader(reading.key.as_deref(), &environment)?;
    let mut succession = StreamSuccession::of(installation.config());
    let report = retention.release(&reader, &mut succession, &*context.progress())?;
    let ReleaseReport { released, recalled, survey } = report;
    let suspicions = survey
        .sources()
        .iter()
        .filter_map(|(source, seen)| Some((source.clone(), seen.suspicion.as_ref()?.to_string())));
    let result = ReleasedPacks {
        released: released.len(),
        recalled: recalled.len(),
        suspicions: suspicions.collect(),
    };
    context.output.result(&result, || {
        let mut text = format!(
            "released  {}, whose window begins to run out\nrecalled  {}, needed again\n",
            counted(result.released as u64, "pack"),
            counted(result.recalled as u64, "pack")
        );
        for (source, suspicion) in &result.suspicions {
            text.push_str(&format!("{source}: nothing is released: {suspicion}\n"));
        }
        text
    })?;
    Ok(Exit::Done)
}

fn reap(
    context: &Context,
    installation: &Installation,
    retention: &Retention<'_>,
    reading: &Reading,
) -> Result<Exit, Failure> {
    let reader = installation.reader(reading.key.as_deref(), &environment)?;
    let mut succession = StreamSuccession::of(installation.config());
    let report: ReapReport = retention.reap_lapsed(&reader, &mut succession, &*context.progress())?;
    let staying = report.staying.iter().map(|(stays, packs)| (reason_text(stays), *packs)).collect();
    let refused = report.refused.iter().map(|(pack, reason)| (pack.to_string(), reason.clone())).collect();
    let result = ReapedPacks { reaped: report.reaped.len(), bytes: report.bytes, staying, refused };
    context.output.result(&result, || {
        let mut text =
            format!("reaped  {}, {}\n", counted(result.reaped as u64, "pack"), bytes(result.bytes));
        for (reason, packs) in &result.staying {
            text.push_str(&format!("stay    {}: {reason}\n", counted(*packs, "pack")));
        }
        for (pack, reason) in &result.refused {
            text.push_str(&format!("refused {pack}: {reason}\n"));
        }
        text
    })?;
    Ok(if result.refused.is_empty() { Exit::Done } else { Exit::Retention })
}

fn reason_text(stays: &vault::retention::Stays) -> String {
    match stays {
        vault::retention::Stays::InWindow { .. } => "their windows have not run out".to_owned(),
        other => other.to_string(),
    }
}

fn decide(
    context: &Context,
    installation: &Installation,
    retention: &Retention<'_>,
    decision: &Decision,
    signing: &Signing,
    reading: &Reading,
) -> Result<Exit, Failure> {
    let key = signing.sign_with.as_deref().map(|reference| {
        SigningKey::read(&PathBuf::from(reference.strip_prefix("file:").unwrap_or(reference)))
    });
    let key = key.transpose()?;
    let reader = installation.reader(reading.key.as_deref(), &environment)?;
    let question = retention.question(decision)?;
    let people = retention.decide(&reader, decision, key.as_ref())?;
    let decided = Decided { decision: format!("{}: {}", question.verb, question.subject), people };
    context.output.result(&decided, || {
        let names = if decided.people.is_empty() {
            "the holder of the restore key".to_owned()
        } else {
            decided.people.join(", ")
        };
        format!("{}\nby {names}\n", decided.decision)
    })?;
    let by = if decided.people.is_empty() {
        String::new()
    } else {
        format!(", as {} decided", decided.people.join(", "))
    };
    super::weakened::note(context, installation, &format!("{}{by}", decided.decision));
    Ok(Exit::Done)
}

fn quorum(threshold: usize, people: &[String]) -> Result<Quorum, Failure> {
    let pair = |text: &String| {
        let (name, key) = text.split_once('=')?;
        Some((name.to_owned(), key.to_owned()))
    };
    let pairs: Option<BTreeMap<String, String>> = people.iter().map(pair).collect();
    let quorum = pairs.map(|people| Quorum { threshold, people });
    match quorum {
        Some(quorum) if quorum.people.len() == people.len() => match quorum.check() {
            Ok(()) => Ok(quorum),
            Err(error) => Err(Failure::because(Exit::Usage, "these people cannot decide", error)),
        },
        _ => Err(Failure::new(Exit::Usage, "each person is NAME=PUBLIC-KEY, and each name stands once")),
    }
}
