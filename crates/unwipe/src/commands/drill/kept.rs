//! What is kept of drills: certificates, acknowledgements, the schedule.

use drill::{Outcome, Standing};
use model::Moment;
use serde::Serialize;
use service::proof::{self, Acknowledgement};

use super::{all, named, read_log, show};
use crate::{
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::{Style, counted, printable, table},
};

#[derive(Serialize)]
struct Row {
    source: String,
    at: Option<Moment>,
    outcome: Option<Outcome>,
    extent: Option<String>,
    simulated: Option<bool>,
    id: String,
    path: String,
    /// Why it is not to be believed.
    problem: Option<String>,
}

/// Lists certificates, newest first.
pub(super) fn list(context: &Context, source: Option<&str>) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let sources = match source {
        Some(source) => vec![named(&installation, source)?],
        None => installation.config().sources.keys().cloned().chain(proof::vault_source()).collect(),
    };
    read_log(context, &installation);
    let mut rows = Vec::new();
    for source in sources {
        for kept in proof::certificates(&installation, &source)? {
            let statement = kept.certificate.as_ref().ok().map(|certificate| &certificate.statement);
            rows.push(Row {
                source: source.to_string(),
                at: statement.map(|statement| statement.at),
                outcome: statement.map(|statement| statement.outcome),
                extent: statement.map(|statement| statement.extent.describe()),
                simulated: statement.map(|statement| statement.simulated),
                id: kept.id.clone(),
                path: kept.path.display().to_string(),
                problem: kept.certificate.as_ref().err().cloned(),
            });
        }
    }
    let output = context.output;
    output.result(&rows, || {
        let mut lines =
            vec![["SOURCE", "WHEN", "OUTCOME", "EXTENT", "CERTIFICATE"].map(str::to_owned).to_vec()];
        for row in &rows {
            let (word, style) = match row.outcome {
                Some(Outcome::Hypothesis) => ("hypothesis", Style::Warning),
                Some(outcome) => show::word(outcome),
                None => ("NOT TO BE BELIEVED", Style::Bad),
            };
            lines.push(vec![
                row.source.clone(),
                row.at.map_or_else(|| "unknown".to_owned(), |at| at.to_string()),
                output.paint(style, word),
                row.extent.as_deref().or(row.problem.as_deref()).map(printable).unwrap_or_default(),
                printable(&row.path),
            ]);
        }
        table(&lines)
    })?;
    Ok(if rows.is_empty() { Exit::Nothing } else { Exit::Done })
}

/// Shows what is known of each source, and what is due.
pub(super) fn schedule(context: &Context) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let (proofs, now) = all(context, &installation)?;
    let output = context.output;
    output.result(&proofs, || {
        let mut lines = vec![["SOURCE", "PROOF", "SINCE", "NEXT DRILL"].map(str::to_owned).to_vec()];
        for proof in &proofs {
            let (word, style, since) = match &proof.standing {
                Standing::Proven { at, until, .. } => {
                    ("proven", Style::Good, format!("{at}, counts until {until}"))
                }
                Standing::Hypothesis { was_proven: Some(at) } => {
                    ("hypothesis", Style::Warning, format!("was proven on {at}"))
                }
                Standing::Hypothesis { was_proven: None } => {
                    ("hypothesis", Style::Warning, "never".to_owned())
                }
                Standing::Failed { failures } => {
                    let waits = match failures.first() {
                        Some(failure) if !failure.passed_since => "a drill that passes",
                        _ => "unwipe drill acknowledge",
                    };
                    (
                        "FAILED",
                        Style::Bad,
                        format!(
                            "{}; waits for {waits}{}",
                            counted(failures.len() as u64, "failed drill"),
                            problems(&proof.standing)
                        ),
                    )
                }
            };
            let next = match &proof.next {
                Some(next) if next.at <= now => "now".to_owned(),
                Some(next) => next.at.to_string(),
                None => "not scheduled".to_owned(),
            };
            let whole = proof.next.as_ref().filter(|next| next.whole).map_or("", |_| ", everything");
            let name = if proof.source.as_str() == service::operations::SOURCE {
                "vault"
            } else {
                proof.source.as_str()
            };
            lines.push(vec![name.to_owned(), output.paint(style, word), since, format!("{next}{whole}")]);
        }
        table(&lines)
    })?;
    Ok(Exit::Done)
}

/// Says which certificates were changed or removed.
fn problems(standing: &Standing) -> String {
    standing.problems().iter().map(|problem| printable(&format!("; {problem}"))).collect()
}

#[derive(Serialize)]
struct Seen {
    acknowledged: Vec<Acknowledgement>,
    #[serde(flatten)]
    standing: Standing,
}

/// Notes that a person has seen failed drills.
pub(super) fn acknowledge(
    context: &Context,
    source: &str,
    reason: &str,
    by: Option<&str>,
) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let source = named(&installation, source)?;
    let by = by.map_or_else(|| context.person(), str::to_owned);
    read_log(context, &installation);
    let (acknowledged, trouble) = proof::acknowledge(&installation, &source, &by, reason, &environment)?;
    if let Some(error) = trouble {
        context.output.say(format!("warning: it is not in the vault's log: {error}"));
    }
    let standing = proof::standing(&installation, &source, context.clock().now())?;
    let seen = Seen { acknowledged, standing };
    context.output.result(&seen, || {
        let after = match &seen.standing {
            Standing::Failed { .. } => "it stays failed until a drill passes that covers at least as much",
            Standing::Proven { .. } => "it is proven again",
            Standing::Hypothesis { .. } => "it is a hypothesis again",
        };
        let drills = counted(seen.acknowledged.len() as u64, "failed drill");
        format!("{drills} acknowledged by {}; {after}\n", printable(&by))
    })?;
    Ok(Exit::Done)
}
