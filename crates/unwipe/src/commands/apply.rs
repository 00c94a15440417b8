//! `unwipe apply`

use connect::{
    Progress,
    plan::{AppliedReport, ApplyMode, Plan, PlanFolder, SourceWriter, Verification, WriteError},
};
use postgres_wire::{Connection, Limits, Mode};
use serde::Serialize;
use service::{Installation, approval, operations};

use crate::{
    arguments::Apply,
    connectors::google::GoogleConfig,
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::{Output, Style, count, printable},
};

#[derive(Serialize)]
struct Outcome {
    approvers: Vec<String>,
    applied: AppliedReport,
    verification: Option<Verification>,
}

pub(crate) fn run(context: &Context, options: &Apply) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let folder = PlanFolder::new(&options.plan);
    let plan = folder.read(None)?;
    let hash = plan.hash()?;
    let mode = if options.dry_run { ApplyMode::Rehearsal } else { ApplyMode::Lasting };
    let approvers = match mode {
        ApplyMode::Rehearsal => Vec::new(),
        ApplyMode::Lasting => approval::approvers_of(hash, &options.plan, &installation.config().approvers)?,
    };
    let (name, source) = installation.config().source(&plan.source)?;
    let Done { applied, verification } = match GoogleConfig::of(&name, source)? {
        Some(google) => {
            crate::commands::google::apply(context, &installation, &name, &google, options, &plan, mode)?
        }
        None => apply_to_cluster(context, &installation, options, &plan, mode)?,
    };
    let outcome = Outcome { approvers, applied, verification };
    if mode == ApplyMode::Lasting {
        let (vault, _) = installation.writer(&environment)?;
        operations::record(&vault, operations::Kind::Applied, &hash.to_string(), &outcome)?;
    }
    let output = context.output;
    output.result(&outcome, || outcome_text(output, &outcome))?;
    Ok(exit_of(&outcome))
}

/// What applying a plan came to.
pub(crate) struct Done {
    pub(crate) applied: AppliedReport,
    pub(crate) verification: Option<Verification>,
}

fn apply_to_cluster(
    context: &Context,
    installation: &Installation,
    options: &Apply,
    plan: &Plan,
    mode: ApplyMode,
) -> Result<Done, Failure> {
    let folder = PlanFolder::new(&options.plan);
    let mut settings = crate::context::production(installation, &options.production)?;
    settings.database = Some(plan.destination.clone());
    let mut connection = Connection::connect(&settings, Mode::Sql, &Limits::default(), context.clock())
        .map_err(|error| {
            let hint = error.hint();
            Failure::because(Exit::Authentication, "production cannot be reached", error).hint_opt(hint)
        })?;
    let mut writer = postgres_undo::ProductionWriter::new(&mut connection);
    apply_and_verify(&mut writer, plan, &folder, mode, &*context.progress())
}

/// Applies a plan and, when what was done stays, reads the source again.
pub(crate) fn apply_and_verify(
    writer: &mut dyn SourceWriter,
    plan: &Plan,
    folder: &PlanFolder,
    mode: ApplyMode,
    progress: &dyn Progress,
) -> Result<Done, Failure> {
    let applied = writer.apply(plan, folder, mode, progress).map_err(refused)?;
    let verification = match mode {
        ApplyMode::Rehearsal => None,
        ApplyMode::Lasting => Some(writer.verify(plan, folder, progress).map_err(refused)?),
    };
    Ok(Done { applied, verification })
}

fn exit_of(outcome: &Outcome) -> Exit {
    if outcome.verification.as_ref().is_some_and(|verification| !verification.is_good()) {
        Exit::Failed
    } else if outcome.applied.counts.conflicts > 0 {
        Exit::Incomplete
    } else {
        Exit::Done
    }
}

fn refused(error: WriteError) -> Failure {
    let hint = error.hint();
    let exit =
        if matches!(error, WriteError::Privilege { .. }) { Exit::Authentication } else { Exit::Failed };
    Failure::because(exit, "the plan was not applied", error).hint_opt(hint)
}

fn outcome_text(output: Output, outcome: &Outcome) -> String {
    let counts = &outcome.applied.counts;
    let mut text = String::new();
    let done = match outcome.applied.mode {
        ApplyMode::Rehearsal => "rolled back; it would have",
        ApplyMode::Lasting => "done:",
    };
    text.push_str(&format!(
        "{done} put back {} rows, set back {}, removed {}, made {} objects; {} left alone\n",
        count(counts.inserted),
        count(counts.reverted),
        count(counts.removed),
        count(counts.objects),
        count(counts.conflicts),
    ));
    for conflict in &outcome.applied.conflicts {
        text.push_str(&format!(
            "  {} {} {}: {}\n",
            output.paint(Style::Warning, "left alone"),
            printable(&conflict.target),
            printable(&conflict.key),
            conflict.reason
        ));
    }
    if let Some(verification) = &outcome.verification {
        for check in &verification.checks {
            let good = check.matched == check.expected;
            let word = output.paint(
                if good { Style::Good } else { Style::Bad },
                if good { "verified" } else { "DIFFERS " },
            );
            text.push_str(&format!(
                "  {word} {}: {} of {} as planned\n",
                printable(&check.target),
                count(check.matched),
                count(check.expected)
            ));
        }
    }
    text
}
