//! A certificate as one printed page.

use std::fmt::Write;

use drill::{Against, CheckResult, Outcome, Space, Span};

use super::{Certificate, Statement};
use crate::words::{bytes, count, counted, moment};

const STYLE: &str = "body{font:11pt/1.45 Georgia,'Times New Roman',serif;color:#111;background:#fff;max-width:44rem;\
margin:2rem auto;padding:0 1rem}h1{font-size:1.5rem;margin:0 0 .25rem}h2{font-size:1.05rem;margin:1.4rem 0 .3rem;\
border-bottom:1px solid #999}.outcome{font-size:1.2rem;font-weight:bold;border:2px solid;padding:.4rem .8rem;\
display:inline-block;margin:.6rem 0}table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;\
padding:.15rem .6rem .15rem 0}th{font-weight:normal;color:#444;width:11rem}code,pre{font:9pt/1.35 ui-monospace,\
'DejaVu Sans Mono',monospace;white-space:pre-wrap;word-break:break-all}.note{border:1px solid #666;padding:.4rem .8rem}\
@page{size:A4;margin:18mm 16mm}@media print{body{margin:0;padding:0;max-width:none;font-size:10pt}h2{break-after:avoid}\
tr,.outcome{break-inside:avoid}}";

/// So many tables, checks and differences are printed of each; the certificate itself has the others.
const ROWS_MAX: usize = 40;

/// Draws a certificate as one page of HTML that needs nothing else: no script, no picture, no other address.
pub fn page(certificate: &Certificate) -> String {
    let statement = &certificate.statement;
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>Drill of {source}, {at}</title><style>{STYLE}</style></head><body>\n<h1>Certificate of a drill</h1>\n\
         <p>{kind} source <strong>{source}</strong> of vault <code>{vault}</code></p>\n\
         <p class=\"outcome\">{outcome}</p>\n",
        source = escaped(statement.source.as_str()),
        at = moment(statement.at),
        kind = escaped(&statement.kind),
        vault = escaped(&statement.vault),
        outcome = words_of(statement.outcome),
    );
    if statement.simulated {
        html.push_str("<p class=\"note\">The place that was restored into was a simulated one.</p>\n");
    }
    essentials(&mut html, certificate);
    findings(&mut html, certificate);
    signature(&mut html, certificate);
    html.push_str("</body></html>\n");
    html
}

fn essentials(html: &mut String, certificate: &Certificate) {
    let statement = &certificate.statement;
    let (spent, budget) = (&statement.spent, &statement.budget);
    let mut rows = vec![
        ("restored", statement.restored()),
        ("extent", statement.extent.describe()),
        ("compared with", against(statement.against).to_owned()),
        ("compared", statement.compared()),
        ("began and ended", format!("{} to {}", moment(statement.began_at), moment(statement.at))),
        (
            "time",
            format!(
                "{}, of {} allowed{}",
                Span(spent.time_ms.div_ceil(1000)),
                budget.time_s.map_or_else(|| "any time".to_owned(), |s| Span(s).to_string()),
                spent.serving_ms.map_or_else(String::new, |ms| format!("; serving after {ms} ms"))
            ),
        ),
        (
            "space",
            format!(
                "{}, of {} allowed",
                bytes(spent.space_bytes),
                budget.space_bytes.map_or_else(|| "any space".to_owned(), |b| Space(b).to_string())
            ),
        ),
        ("newest commit", format!("{} {}", statement.commit, statement.commit_hash)),
    ];
    if !statement.tables.is_empty() {
        let total: u64 = statement.tables.values().map(|(count, _)| count).sum();
        let tables = counted(statement.tables.len() as u64, "table");
        rows.push(("read in full", format!("{tables}, {}", counted(total, "row"))));
    }
    html.push_str("<h2>What was done</h2>\n<table>\n");
    for (name, value) in rows {
        row(html, name, &value);
    }
    html.push_str("</table>\n");
}

fn findings(html: &mut String, certificate: &Certificate) {
    let statement = &certificate.statement;
    if statement.differences_total > 0 {
        html.push_str("<h2>What is otherwise</h2>\n<table>\n");
        for difference in statement.differences.iter().take(ROWS_MAX) {
            row(html, &difference.subject, &difference.what);
        }
        let shown = statement.differences.len().min(ROWS_MAX) as u64;
        if statement.differences_total > shown {
            row(html, "and", &format!("{} more", statement.differences_total - shown));
        }
        html.push_str("</table>\n");
    }
    if !statement.checks.is_empty() {
        html.push_str("<h2>Checks</h2>\n<table>\n");
        for check in statement.checks.iter().take(ROWS_MAX) {
            let result = match check.result {
                CheckResult::Passed => "passed",
                CheckResult::Failed => "FAILED",
                CheckResult::NotChecked => "not checked",
            };
            let evidence = if check.evidence.is_empty() { "" } else { ": " };
            row(html, &check.subject, &format!("{result}{evidence}{}", check.evidence));
        }
        html.push_str("</table>\n");
    }
    if !statement.probes.is_empty() {
        html.push_str("<h2>The owner's questions</h2>\n<table>\n");
        for probe in statement.probes.iter().take(ROWS_MAX) {
            let answer = probe.error.as_ref().or(probe.answer.as_ref()).map_or("no answer", String::as_str);
            let held = if probe.held { "as expected" } else { "NOT as expected" };
            let question = format!("{}: {}", probe.database, probe.sql);
            row(html, &question, &format!("{answer} ({held}: {})", probe.expect));
        }
        html.push_str("</table>\n");
    }
}

fn signature(html: &mut String, certificate: &Certificate) {
    html.push_str("<h2>Signature</h2>\n<table>\n");
    row(html, "signed by", &certificate.signer);
    row(html, "signature", &certificate.signature);
    row(html, "certificate", &certificate.id());
    row(html, "held by", &certificate.statement.tool);
    html.push_str("</table>\n");
    if let Some(signed) = certificate.statement.tree.checkpoint() {
        // `write!` to a `String` cannot fail.
        write!(html, "<h2>The vault's tree head</h2>\n<pre>{}</pre>\n", escaped(&signed.note.to_string()))
            .unwrap_or_default();
    }
    html.push_str(
        "<p>This page is a picture of the certificate. The file itself is checked with <code>unwipe drill verify \
         FILE</code> or <code>tools/check_certificate.py FILE</code>.</p>\n",
    );
}

fn row(html: &mut String, name: &str, value: &str) {
    let (name, value) = (escaped(name), escaped(value));
    writeln!(html, "<tr><th scope=\"row\">{name}</th><td>{value}</td></tr>").unwrap_or_default();
}

const fn words_of(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Proven => "Proven: what was restored is what it had to be",
        Outcome::Failed => "FAILED: something is otherwise",
        Outcome::Hypothesis => "A hypothesis: restored, and compared with nothing",
    }
}

impl Statement {
    /// Says in words what was restored: a moment, or a position in the source's own order.
    pub fn restored(&self) -> String {
        let Self { moment: asked, position, .. } = self;
        let asked = match (asked.strip_prefix("before:"), asked.parse().map(moment)) {
            (Some(before), _) => format!("the moment just before position {before}"),
            (None, Ok(words)) => words,
            (None, Err(_)) if asked == "latest" => "the newest moment".to_owned(),
            (None, Err(_)) => asked.clone(),
        };
        if asked.contains(position.as_str()) { asked } else { format!("{asked} (position {position})") }
    }

    /// Says in words what the comparison came to.
    pub fn compared(&self) -> String {
        let counts = &self.counts;
        let compared = counted(counts.compared, "thing");
        match (counts.compared, counts.not_comparable) {
            (0, 0) => return "nothing".to_owned(),
            (all, 0) if all == counts.equal => return format!("{compared}, all equal"),
            _ => {}
        }
        let apart = match counts.not_comparable {
            0 => String::new(),
            number => format!(", {} not comparable by the connector's promise", count(number)),
        };
        format!("{compared}: {} equal, {} different{apart}", count(counts.equal), count(counts.different))
    }
}

/// Says in words what was compared with.
pub(super) const fn against(against: Against) -> &'static str {
    match against {
        Against::Nothing => "nothing",
        Against::Stored => "digests and attributes in the vault",
        Against::SecondRestore => "a second restore by another way",
        Against::Production => "what production held, recorded at that position",
    }
}

/// Makes any text harmless between tags and in attributes; control characters become visible.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(character),
            // What would turn the direction of the text around it, or hide in it.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                safe.push('\u{fffd}');
            }
            control if control.is_control() => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}
