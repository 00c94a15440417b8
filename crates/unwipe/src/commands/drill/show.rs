//! A certificate on a terminal.

use drill::{Against, CheckResult, Outcome};
use service::certificate::{Certificate, Verified};

use crate::output::{Output, Style, bytes, count, counted, printable};

/// So many tables, checks and differences are shown of each.
const SHOWN_MAX: usize = 20;

/// Says what a drill came to, in a word and its style.
pub(super) const fn word(outcome: Outcome) -> (&'static str, Style) {
    match outcome {
        Outcome::Failed => ("FAILED", Style::Bad),
        Outcome::Proven => ("proven", Style::Good),
        Outcome::Hypothesis => ("restored, compared with nothing: still a hypothesis", Style::Warning),
    }
}

/// Writes a certificate for people.
pub(super) fn text(output: Output, certificate: &Certificate, verified: Option<Verified>) -> String {
    let statement = &certificate.statement;
    let (word, style) = word(statement.outcome);
    let counts = &statement.counts;
    let mut text = format!(
        "{}\nsource    {} ({}{}) at {} (asked for: {})\nextent    {}\ncompared  with {}: {} equal, {} different, {} not \
         comparable\n",
        output.paint(style, word),
        statement.source,
        printable(&statement.kind),
        if statement.simulated { ", into a simulated place" } else { "" },
        printable(&statement.position),
        printable(&statement.moment),
        printable(&statement.extent.describe()),
        against(statement.against),
        count(counts.equal),
        count(counts.different),
        count(counts.not_comparable),
    );
    for difference in statement.differences.iter().take(SHOWN_MAX) {
        let bad = output.paint(Style::Bad, "different");
        text.push_str(&format!(
            "{bad} {}: {}\n",
            printable(&difference.subject),
            printable(&difference.what)
        ));
    }
    let shown = statement.differences.len().min(SHOWN_MAX) as u64;
    if statement.differences_total > shown {
        text.push_str(&format!("          and {} more\n", count(statement.differences_total - shown)));
    }
    for check in statement.checks.iter().take(SHOWN_MAX) {
        let word = match check.result {
            CheckResult::Passed => "checked  ".to_owned(),
            CheckResult::Failed => output.paint(Style::Bad, "failed   "),
            CheckResult::NotChecked => output.paint(Style::Warning, "unchecked"),
        };
        let evidence = if check.evidence.is_empty() { "" } else { ": " };
        let (subject, seen) = (printable(&check.subject), printable(&check.evidence));
        text.push_str(&format!("{word} {subject}{evidence}{seen}\n"));
    }
    for probe in statement.probes.iter().take(SHOWN_MAX) {
        let word = if probe.held { "asked    ".to_owned() } else { output.paint(Style::Bad, "asked    ") };
        let answer = probe.error.as_ref().or(probe.answer.as_ref()).map_or("no answer", String::as_str);
        text.push_str(&format!(
            "{word} {}: {} (expected: {})\n",
            printable(&probe.sql),
            printable(answer),
            printable(&probe.expect)
        ));
    }
    let spent = &statement.spent;
    let serving =
        spent.serving_ms.map_or_else(String::new, |ms| format!("; serving after {:.1} s", ms as f64 / 1e3));
    text.push_str(&format!(
        "took      {:.1} s, {}{serving}\n",
        spent.time_ms as f64 / 1e3,
        bytes(spent.space_bytes)
    ));
    if !statement.tables.is_empty() {
        let rows = statement.tables.values().map(|(rows, _)| rows).sum();
        text.push_str(&format!(
            "content   {}, {}\n",
            counted(statement.tables.len() as u64, "table"),
            counted(rows, "row")
        ));
    }
    text.push_str(&format!("history   commit {} {}\n", statement.commit, printable(&statement.commit_hash)));
    text.push_str(&format!("signed    by {} on {}\n", printable(&certificate.signer), statement.at));
    if let Some(verified) = verified {
        text.push_str(&verdict(verified));
    }
    text
}

fn verdict(verified: Verified) -> String {
    let signer = if verified.signer_compared {
        "the signer is the one that counts"
    } else {
        "whose key signed is for you to compare: --signer HEX"
    };
    let tree = match (verified.commit_in_tree, verified.vault_key_compared) {
        (true, true) => "the commit is in the tree that the vault's key signed",
        (true, false) => {
            "the commit is in the tree that the named key of the vault signed; compare it: --vault-key KEY"
        }
        (false, _) => "no tree head covers the commit",
    };
    format!("holds     the signature fits; {signer}\ntree      {tree}\n")
}

/// Says in words what was compared with.
pub(super) const fn against(against: Against) -> &'static str {
    match against {
        Against::Nothing => "nothing",
        Against::Stored => "what the vault says of them",
        Against::SecondRestore => "a second restore by another way",
        Against::Production => "what production held, recorded at that position",
    }
}
