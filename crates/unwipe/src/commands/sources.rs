//! `unwipe sources`

use model::{Moment, SourceName};
use serde::Serialize;
use service::Installation;

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
            ["SOURCE", "KIND", "COMMITS", "NEWEST MOMENT", "BEHIND", "PROOF"].map(str::to_owned).to_vec(),
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
        proof: crate::commands::drill::proof_of(context, installation, name),
    })
}
