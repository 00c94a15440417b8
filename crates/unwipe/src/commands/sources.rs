//! `unwipe sources`

use model::{Moment, SourceName};
use serde::Serialize;
use service::{Installation, quota::QuotaReport};

use crate::{
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::{Style, count, table},
};

#[derive(Serialize)]
struct Source {
    name: SourceName,
    kind: String,
    commits: u64,
    newest_moment: Option<Moment>,
    behind_s: Option<i64>,
    locked_until: Option<Moment>,
    /// What capturing takes of its quota; absent until a capture has said so.
    quota: Option<QuotaReport>,
    /// No moment is more than a hypothesis until a drill restored it.
    proof: &'static str,
}

pub(crate) fn run(context: &Context) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    crate::commands::drill::read_log(context, &installation);
    let sources = installation
        .config()
        .sources
        .iter()
        .map(|(name, source)| describe(context, &installation, name, &source.kind))
        .collect::<Result<Vec<_>, _>>()?;
    if sources.is_empty() {
        return Err(Failure::new(Exit::Nothing, "no source is configured")
            .hint("unwipe protect NAME postgres --url postgresql://ROLE@HOST/postgres"));
    }
    let output = context.output;
    output.result(&sources, || {
        let mut rows = vec![
            ["SOURCE", "KIND", "COMMITS", "NEWEST MOMENT", "BEHIND", "QUOTA", "PROOF"]
                .map(str::to_owned)
                .to_vec(),
        ];
        for source in &sources {
            let newest = source.newest_moment.map_or_else(|| "none yet".to_owned(), |at| at.to_string());
            let behind = source.behind_s.map_or_else(String::new, |seconds| format!("{seconds} s"));
            rows.push(vec![
                source.name.to_string(),
                source.kind.clone(),
                count(source.commits),
                newest,
                behind,
                quota(source.quota.as_ref()),
                output
                    .paint(if source.proof == "proven" { Style::Good } else { Style::Warning }, source.proof),
            ]);
        }
        table(&rows)
    })?;
    Ok(Exit::Done)
}

fn describe(
    context: &Context,
    installation: &Installation,
    name: &SourceName,
    kind: &str,
) -> Result<Source, Failure> {
    let head = installation.vault(&environment)?.head(name)?;
    let newest = head.as_ref().map(|commit| commit.envelope.vault_time);
    Ok(Source {
        name: name.clone(),
        kind: kind.to_owned(),
        commits: head.as_ref().map_or(0, |commit| commit.envelope.sequence),
        newest_moment: newest,
        behind_s: newest.map(|at| context.clock().now().micros_since(at) / 1_000_000),
        locked_until: head.map(|commit| commit.envelope.locked_until),
        quota: service::quota::report(installation, name)?,
        proof: crate::commands::drill::proof_of(context, installation, name),
    })
}

/// Names the pool of which the largest share is used.
fn quota(report: Option<&QuotaReport>) -> String {
    let Some(report) = report else { return String::new() };
    let Some(tightest) = report.tightest() else { return "none".to_owned() };
    let refused = match report.refused() {
        0 => String::new(),
        number => format!(", {} refused", count(number)),
    };
    format!("{} {} %{refused}", tightest.name, tightest.percent())
}
