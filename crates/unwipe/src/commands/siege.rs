//! `unwipe siege`

use std::io::IsTerminal;

use siege::{Attempt, LayerSummary, Outcome, SiegeError, SiegeReport, SiegeRequest};

use crate::{
    arguments::Siege,
    context::{Context, environment, stop_on_signals},
    exit::Exit,
    failure::Failure,
    output::{Format, Output, Style, count, printable, table},
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
    for attempt in &report.attempts {
        if all || attempt.outcome.is_not_held() {
            text.push_str(&attempt_text(output, attempt));
        }
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
    let attempts = count(report.attempts.len() as u64);
    text.push_str(&match report.broken_promises {
        0 => output
            .paint(Style::Good, &format!("{attempts} attempts: everything that is promised here held\n")),
        broken => output.paint(
            Style::Bad,
            &format!("{broken} of {attempts} attempts should have been held and were not\n"),
        ),
    });
    if let Some(advice) = &report.advice {
        text.push_str(&format!("to make more of it hold: {advice}\n"));
    }
    text
}

fn attempt_text(output: Output, attempt: &Attempt) -> String {
    let (word, detail) = match &attempt.outcome {
        Outcome::Held { by } => (output.paint(Style::Good, "held"), by.clone()),
        Outcome::Detected { by } => (output.paint(Style::Good, "detected"), by.clone()),
        Outcome::NotHeld { why, evidence } => {
            let style = if attempt.promised { Style::Bad } else { Style::Warning };
            (output.paint(style, "not held"), format!("{why} ({evidence})"))
        }
        Outcome::NotPossibleHere { why } => (output.paint(Style::Faint, "not possible here"), why.clone()),
    };
    let promised = if attempt.promised && attempt.outcome.is_not_held() { ", although promised" } else { "" };
    format!(
        "{word}{promised}  [{}] {}\n    with: {}\n    {}\n",
        attempt.number,
        printable(&attempt.what),
        printable(&attempt.credential),
        printable(&detail),
    )
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
