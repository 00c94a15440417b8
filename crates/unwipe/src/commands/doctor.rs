//! `unwipe doctor`: whether everything is as it should be, and the negative proof: that nothing of production's reaches
//! the vault.

mod bucket;
mod database;
mod found;
mod hosts;
mod isolation;
mod own;
mod places;
mod shared;
mod sources;
mod vault;

use connect::{Progress, Standing};
use service::{Installation, workshop::Examined};

use crate::{
    arguments::Doctor, commands::protect::findings_text, context::Context, exit::Exit, failure::Failure,
    output::Style,
};

pub(crate) fn run(context: &Context, options: &Doctor) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let progress = context.progress();
    let examined = examine(context, &installation, options, &*progress)?;
    drop(progress);
    let bad = examined.iter().flat_map(|e| &e.findings).any(|finding| finding.standing == Standing::Bad);
    let output = context.output;
    output.result(&examined, || {
        let mut text = String::new();
        for Examined { about, findings } in &examined {
            text.push_str(&format!(
                "{}\n{}\n",
                output.paint(Style::Strong, about),
                findings_text(output, findings)
            ));
        }
        text
    })?;
    Ok(if bad { Exit::Failed } else { Exit::Done })
}

/// Examines an installation, its sources, and what lies between production and the vault. Shows no secret.
pub(crate) fn examine(
    context: &Context,
    installation: &Installation,
    options: &Doctor,
    progress: &dyn Progress,
) -> Result<Vec<Examined>, Failure> {
    // What is asked for and not understood is said before anything long begins.
    let wanted = found::wanted(&options.credentials)?;
    progress.counted_phase("examining the vault", None);
    let mut examined =
        vec![Examined { about: "the vault".to_owned(), findings: vault::examine(context, installation)? }];
    for (name, source) in &installation.config().sources {
        progress.counted_phase(&format!("examining {name}"), None);
        let findings = sources::examine(context, installation, name, source)?;
        examined.push(Examined { about: format!("source {name}"), findings });
    }
    examined.extend(isolation::examine(context, installation, options, &wanted, progress)?);
    Ok(examined)
}
