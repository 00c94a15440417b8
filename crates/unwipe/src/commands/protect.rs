//! `unwipe protect`

use connect::{Finding, Standing};
use model::SourceName;
use serde::Serialize;
use service::{ConfigError, Secrets, operations};

use crate::{
    arguments::{Protect, ProtectKind, ProtectPostgres},
    connectors::postgres::PostgresConfig,
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::{Output, Style, printable},
};

#[derive(Serialize)]
struct Protected {
    source: SourceName,
    added: bool,
    findings: Vec<Finding>,
}

pub(crate) fn run(context: &Context, options: Protect) -> Result<Exit, Failure> {
    let name = SourceName::new(options.source)
        .map_err(|error| Failure::because(Exit::Usage, "the source cannot be called so", error))?;
    if [operations::SOURCE, siege::DECOY_SOURCE].contains(&name.as_str()) {
        return Err(
            Failure::new(Exit::Usage, "unwipe keeps its own log under this name").hint("choose another name")
        );
    }
    let mut installation = context.installation()?;
    if installation.config().sources.contains_key(&name) {
        return Err(ConfigError::Taken { name }.into());
    }
    let (source, findings, force) = match options.kind {
        ProtectKind::Postgres(postgres) => {
            let force = postgres.force;
            let config = config_of(postgres);
            let secrets = Secrets::new(installation.home(), &environment);
            let reader = config.reader(&name, &secrets, context.clock(), context.progress())?;
            (config.to_source()?, reader.check(), force)
        }
        ProtectKind::Files(files) => {
            let (config, findings) = crate::commands::files::protect(files)?;
            (config.to_source()?, findings, false)
        }
        ProtectKind::Google(google) => {
            let force = google.force;
            let (config, findings) = crate::commands::google::protect(context, installation.home(), google)?;
            (config.to_source()?, findings, force)
        }
    };
    let blocked = findings.iter().any(|finding| finding.standing == Standing::Bad);
    let added = !blocked || force;
    if added {
        installation.reconfigure(|all| all.add_source(name.clone(), source))?;
    }
    let result = Protected { source: name, added, findings };
    let output = context.output;
    output.result(&result, || findings_text(output, &result.findings))?;
    if !added {
        return Err(Failure::new(
            Exit::Failed,
            format!("source {} was not added: a check failed", result.source),
        )
        .hint("mend what is marked above, then run the same command again"));
    }
    output.say(format!("next: unwipe capture {}", result.source));
    Ok(Exit::Done)
}

fn config_of(options: ProtectPostgres) -> PostgresConfig {
    PostgresConfig {
        url: options.url,
        password: options.password,
        monitor_url: options.monitor_url,
        monitor_password: options.monitor_password,
        log_folder: None,
        slot: options.slot,
        synchronous: options.synchronous,
        standby: options.standby,
        max_rate_kb: options.max_rate_kb,
        superuser: options.superuser,
        guard: None,
    }
}

/// Renders findings, what must be mended last, where the eye ends up.
pub(crate) fn findings_text(output: Output, findings: &[Finding]) -> String {
    let mut ordered: Vec<&Finding> = findings.iter().collect();
    ordered.sort_by_key(|finding| finding.standing);
    let mut text = String::new();
    for finding in ordered {
        let mark = match finding.standing {
            Standing::Good => output.paint(Style::Good, "good   "),
            Standing::Advice => output.paint(Style::Warning, "advice "),
            Standing::Bad => output.paint(Style::Bad, "bad    "),
        };
        let evidence = output.paint(Style::Faint, &printable(&finding.evidence));
        text.push_str(&format!("{mark} {}: {evidence}\n", printable(&finding.subject)));
        if let Some(fix) = finding.fix.as_ref().filter(|_| finding.standing != Standing::Good) {
            let lines: Vec<String> = fix.lines().map(printable).collect();
            text.push_str(&format!("        mend: {}\n", lines.join("\n              ")));
        }
    }
    text
}
