//! What a message of the server's log says about a statement.
//!
//! The words are those of `lc_messages = C` or English; in another language a line still names who ran its
//! transaction, without the statement.

use super::csv;

/// Characters of a statement that are kept.
const STATEMENT_CHARS_MAX: usize = 2000;

/// What a message says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// The statement that was or is run.
    pub(super) statement: Option<String>,
    /// What pgaudit says it was done to: `public.bookings`.
    pub(super) object: Option<String>,
    /// How long it took, in microseconds, where the line was written at its end.
    pub(super) took_micros: Option<i64>,
}

/// Reads a message.
pub(super) fn read(message: &str) -> Said {
    if let Some(audit) = message.strip_prefix("AUDIT: ") {
        return audited(audit).unwrap_or_default();
    }
    let Some(rest) = message.strip_prefix("duration: ") else {
        return Said { statement: run(message), ..Said::default() };
    };
    let (took, rest) = rest.split_once(" ms").unwrap_or((rest, ""));
    let took = took.trim().parse::<f64>().ok().map(|milliseconds| (milliseconds * 1000.0) as i64);
    let rest = rest.trim_start();
    if let Some(plan) = rest.strip_prefix("plan:") {
        // The plan is written when the statement is done and its transaction is not: it says nothing about the end.
        return Said { statement: planned(plan.trim_start()), ..Said::default() };
    }
    // Parsing and binding run nothing.
    if rest.starts_with("parse ") || rest.starts_with("bind ") {
        return Said::default();
    }
    Said { statement: run(rest), took_micros: took, object: None }
}

/// Reads `statement: ...`, `execute NAME: ...` and `execute fetch from NAME: ...`.
fn run(text: &str) -> Option<String> {
    let statement = text.strip_prefix("statement: ").or_else(|| {
        let named = text.strip_prefix("execute ")?;
        named.split_once(": ").map(|(_, statement)| statement)
    });
    statement.map(cut)
}

/// Reads what `auto_explain` writes.
fn planned(plan: &str) -> Option<String> {
    if plan.starts_with('{') {
        let plan: serde_json::Value = serde_json::from_str(plan).ok()?;
        return plan.get("Query Text")?.as_str().map(cut);
    }
    let text = plan.strip_prefix("Query Text: ")?;
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        // Nothing parts the statement from the plan, whose first line has costs.
        if end > 0 && line.contains("  (cost=") {
            break;
        }
        end += line.len();
    }
    Some(cut(&text[..end]))
}

/// Reads pgaudit's `SESSION,1,1,WRITE,DELETE,TABLE,public.bookings,delete from bookings,<none>`.
fn audited(audit: &str) -> Option<Said> {
    let fields = csv::fields(audit.as_bytes())?;
    let kept = |column: usize| {
        let text = fields.get(column)?;
        (!text.is_empty() && !text.starts_with('<')).then_some(text)
    };
    if kept(3)? == "READ" {
        return None;
    }
    let command = kept(4)?;
    let object = kept(6).cloned();
    // Where the statement is written only once or not at all, the command and its object say as much.
    let statement = kept(7).map_or_else(
        || format!("{command} {}", object.as_deref().unwrap_or_default()).trim_end().to_owned(),
        |statement| cut(statement),
    );
    Some(Said { statement: Some(statement), object, took_micros: None })
}

fn cut(statement: &str) -> String {
    statement.trim().chars().take(STATEMENT_CHARS_MAX).collect()
}
