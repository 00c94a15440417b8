//! `unwipe siege`

use std::io::IsTerminal;

use siege::{Attempt, LayerSummary, Outcome, SiegeError, SiegeReport, SiegeRequest};

use crate::{
    arguments::Siege,
    context::{Context, environment, stop_on_signals},
    exit::Exit,
    failure::Failure,
    output::{Format, Output, Style, count, counted, printable, table},
};

pub(crate) fn run(context: &Context, options: &Siege) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let request = SiegeRequest {
        installation: &installation,
        environment: &environment,
        key: options.key.as_deref(),
        credentials: &options.credentials,
    };
    if options.mend {
        let mended = siege::mend(&request)?;
        let answer = serde_json::json!({ "mended_objects": mended });
        context.output.result(&answer, || format!("{mended} of the decoy's objects were put back\n"))?;
        return Ok(Exit::Done);
    }
    if !options.yes {
        confirm(context)?;
    }
    let stop = stop_on_signals()?;
    let display = context.progress();
    let report = siege::siege(&request, &*display, &|| stop.is_requested())?;
    drop(display);
    let output = context.output;
    output.result(&report, || text(output, &report, options.all))?;
    Ok(match (stop.is_requested(), report.broken_promises) {
        (true, _) => Exit::Interrupted,
        (false, 0) => Exit::Done,
        (false, _) => Exit::Failed,
    })
}

const BEFOREHAND: &str = "\
A siege adds a few small commits of a source `siege-decoy` to the vault. They are locked for the vault's term like
everything else, and are its only traces. In the vault it attacks these objects alone, and puts back what it damaged
after each attempt; everything else is tried on copies. What was captured is read and checked, never written.";

fn confirm(context: &Context) -> Result<(), Failure> {
    if context.output.format == Format::Json || !std::io::stdin().is_terminal() {
        return Err(Failure::new(
            Exit::Usage,
            "a siege adds a decoy to the vault, which stays for the vault's term",
        )
        .hint("add --yes"));
    }
    context.output.say(BEFOREHAND);
    context.output.say("Go on? Type yes:");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if answer.trim() == "yes" { Ok(()) } else { Err(Failure::new(Exit::Nothing, "no siege was laid")) }
}

fn text(output: Output, report: &SiegeReport, all: bool) -> String {
    let mut text = format!("tier {}: {}\n\n", report.tier, report.statement);
    let shown = report.attempts.iter().filter(|attempt| all || attempt.outcome.is_not_held());
    for group in groups(shown) {
        text.push_str(&group_text(output, &group));
    }
    let head = ["layer", "held", "detected", "not held", "not possible here"].map(str::to_owned).to_vec();
    let row = |summary: &LayerSummary| {
        let layer = serde_json::to_value(summary.layer).ok();
        let layer = layer.as_ref().and_then(|layer| layer.as_str()).unwrap_or_default().to_owned();
        let numbers = [summary.held, summary.detected, summary.not_held, summary.not_possible];
        std::iter::once(layer).chain(numbers.map(count)).collect()
    };
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(report.layers.iter().map(row)).collect();
    text.push_str(&format!("\n{}\n", table(&rows)));
    let attempts = counted(report.attempts.len() as u64, "attempt");
    text.push_str(&match report.broken_promises {
        0 => output.paint(Style::Good, &format!("{attempts}: everything that is promised here held\n")),
        broken => {
            output.paint(Style::Bad, &format!("{broken} of {attempts} should have been held and were not\n"))
        }
    });
    if let Some(advice) = &report.advice {
        text.push_str(&format!("to make more of it hold: {advice}\n"));
    }
    text
}

/// What several attempts have in common.
struct Group<'a> {
    attempts: Vec<&'a Attempt>,
}

/// Puts attempts together that follow each other and ended alike.
fn groups<'a>(attempts: impl Iterator<Item = &'a Attempt>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for attempt in attempts {
        let alike = |group: &&mut Group<'a>| {
            let first = group.attempts[0];
            let (mine, theirs) = (said(&attempt.outcome), said(&first.outcome));
            attempt.credential == first.credential && attempt.promised == first.promised && mine == theirs
        };
        match groups.last_mut().filter(alike) {
            Some(group) => group.attempts.push(attempt),
            None => groups.push(Group { attempts: vec![attempt] }),
        }
    }
    groups
}

fn said(outcome: &Outcome) -> (u8, &str) {
    match outcome {
        Outcome::Held { by } => (0, by),
        Outcome::Detected { by } => (1, by),
        Outcome::NotHeld { why, .. } => (2, why),
        Outcome::NotPossibleHere { why } => (3, why),
    }
}

fn group_text(output: Output, group: &Group<'_>) -> String {
    let first = group.attempts[0];
    let word = match &first.outcome {
        Outcome::Held { .. } => output.paint(Style::Good, "held"),
        Outcome::Detected { .. } => output.paint(Style::Good, "detected"),
        Outcome::NotHeld { .. } if first.promised => output.paint(Style::Bad, "not held, although promised"),
        Outcome::NotHeld { .. } => output.paint(Style::Warning, "not held"),
        Outcome::NotPossibleHere { .. } => output.paint(Style::Faint, "not possible here"),
    };
    let mut text = String::new();
    for attempt in &group.attempts {
        let evidence = match &attempt.outcome {
            Outcome::NotHeld { evidence, .. } => format!(" ({})", printable(evidence)),
            _ => String::new(),
        };
        text.push_str(&format!("{word}  [{}] {}{evidence}\n", attempt.number, printable(&attempt.what)));
    }
    let why = said(&first.outcome).1;
    text.push_str(&format!("    with: {}\n    {}\n", printable(&first.credential), printable(why)));
    text
}

impl From<SiegeError> for Failure {
    fn from(error: SiegeError) -> Self {
        let error = match error {
            SiegeError::Service(inner) => return inner.into(),
            other => other,
        };
        let exit = match &error {
            SiegeError::NotSound { .. } | SiegeError::Harm { .. } => Exit::Tampering,
            SiegeError::NoRestoreKey => Exit::Authentication,
            _ => Exit::Failed,
        };
        Self { exit, hint: error.hint(), error: Box::new(error) }
    }
}
