//! `unwipe apply`

use connect::{
    Progress,
    plan::{
        AppliedReport, ApplyMode, Bundle, Counts, Document, DoneParts, PartOutcome, Plan, PlanFolder,
        PlanHash, SourceWriter, Verification, WriteError,
    },
};
use postgres_wire::{Connection, Limits, Mode};
use serde::Serialize;
use service::{
    Installation, approval,
    cases::Application,
    operations,
    plans::{self, Found},
    watching::{Request, WatchStore},
};

use crate::{
    arguments::Apply,
    commands::{cases, rewind::actor::note_in_incident, weakened},
    connectors::google::GoogleConfig,
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::{Output, Style, printable},
};

/// What applying a plan came to.
#[derive(Serialize)]
pub(crate) struct Outcome {
    /// What the plan is about, in the singular.
    #[serde(skip)]
    noun: String,
    pub(crate) approvers: Vec<String>,
    pub(crate) applied: AppliedReport,
    pub(crate) verification: Option<Verification>,
}

/// What applying a bundle came to, part by part.
#[derive(Serialize)]
pub(crate) struct BundleOutcome {
    #[serde(skip)]
    noun: String,
    pub(crate) approvers: Vec<String>,
    bundle: PlanHash,
    mode: ApplyMode,
    counts: Counts,
    pub(crate) parts: Vec<PartOutcome>,
}

/// What applying a plan or a bundle came to.
pub(crate) enum Outcomes {
    /// One plan.
    Plan(Outcome),
    /// Several, under one approval.
    Bundle(Bundle, BundleOutcome),
}

pub(crate) fn run(context: &Context, options: &Apply) -> Result<Exit, Failure> {
    let (outcomes, exit) = carry_out(context, options)?;
    let output = context.output;
    match &outcomes {
        Outcomes::Plan(outcome) => output.result(outcome, || {
            outcome_text(output, &outcome.noun, &outcome.applied, outcome.verification.as_ref())
        })?,
        Outcomes::Bundle(bundle, outcome) => {
            output.result(outcome, || bundle_outcome_text(output, bundle, outcome))?;
        }
    }
    Ok(exit)
}

/// Applies an approved plan, or rehearses any plan, and records what was done.
pub(crate) fn carry_out(context: &Context, options: &Apply) -> Result<(Outcomes, Exit), Failure> {
    let installation = context.installation()?;
    weakened::look(context, &installation);
    let place = context.plan_folder(&options.plan);
    let folder = PlanFolder::new(&place);
    let document = folder.read_document(None)?;
    let hash = document.hash()?;
    let noun = plans::noun(&Found::of(folder.clone(), document.clone())?.plans()).to_owned();
    let mode = if options.dry_run { ApplyMode::Rehearsal } else { ApplyMode::Lasting };
    let approvers = match mode {
        ApplyMode::Rehearsal => Vec::new(),
        ApplyMode::Lasting => {
            let passkeys = cases::passkeys(&installation);
            let quorum = approval::Quorum::of(&installation, &*passkeys, hash)?;
            approval::approvers_of(hash, &place, &quorum)?
        }
    };
    // What waits in a case begins only as the case allows; if this ends before its time, it can be gone on with.
    let application = match mode {
        ApplyMode::Rehearsal => None,
        ApplyMode::Lasting => cases::begin(&installation, hash)?,
    };
    match document {
        Document::Plan(plan) => {
            let Done { applied, verification } =
                apply_plan(context, &installation, options, &folder, &plan, mode)?;
            let outcome = Outcome { noun, approvers, applied, verification };
            let exit = exit_of([(&outcome.applied, outcome.verification.as_ref())]);
            record(context, &installation, mode, (hash, exit), &outcome)?;
            finish(context, &installation, application, exit)?;
            Ok((Outcomes::Plan(outcome), exit))
        }
        Document::Bundle(bundle) => {
            let parts = apply_bundle(context, &installation, options, &folder, &bundle, mode)?;
            let counts = parts.iter().fold(Counts::default(), |sum, part| sum.plus(part.applied.counts));
            let outcome = BundleOutcome { noun, approvers, bundle: hash, mode, counts, parts };
            let exit = exit_of(outcome.parts.iter().map(|part| (&part.applied, part.verification.as_ref())));
            record(context, &installation, mode, (hash, exit), &outcome)?;
            finish(context, &installation, application, exit)?;
            Ok((Outcomes::Bundle(bundle, outcome), exit))
        }
    }
}

/// Ends the case in which the plan was approved, if there is one.
fn finish(
    context: &Context,
    installation: &Installation,
    application: Option<Application>,
    exit: Exit,
) -> Result<(), Failure> {
    if let Some(application) = application {
        let step = application.finish(exit != Exit::Failed)?;
        cases::announce(context, installation, &step);
    }
    Ok(())
}

/// Writes what was done to the operation log, and to the incident that it undoes; a rehearsal did nothing.
fn record<T: Serialize>(
    context: &Context,
    installation: &Installation,
    mode: ApplyMode,
    (hash, exit): (PlanHash, Exit),
    outcome: &T,
) -> Result<(), Failure> {
    if mode != ApplyMode::Lasting {
        return Ok(());
    }
    let (vault, _) = installation.writer(&environment)?;
    operations::record(&vault, operations::Kind::Applied, &hash.to_string(), outcome)?;
    let plan = hash.to_string();
    let incidents = WatchStore::of(installation.home()).incidents()?;
    // What does not verify has undone nothing that one may rely on.
    let planned = incidents
        .iter()
        .filter(|incident| exit != Exit::Failed && incident.plans.iter().any(|known| known.hash == plan));
    for incident in planned {
        let request = Request::Undone { incident: incident.id, plan: plan.clone() };
        note_in_incident(context, installation, &request);
    }
    Ok(())
}

/// Applies the parts of a bundle one after the other. All must be the ones that the bundle names before the first is
/// applied; what was done before a kill is not done again.
pub(crate) fn apply_bundle(
    context: &Context,
    installation: &Installation,
    options: &Apply,
    folder: &PlanFolder,
    bundle: &Bundle,
    mode: ApplyMode,
) -> Result<Vec<PartOutcome>, Failure> {
    let mut plans = Vec::new();
    for part in &bundle.parts {
        let part_folder = folder.part(&part.folder);
        let plan = part_folder.read(Some(part.plan))?;
        plans.push((part.plan, part_folder, plan));
    }
    let mut done = DoneParts::read(folder)?;
    let mut outcomes = Vec::new();
    for (hash, part_folder, plan) in &plans {
        if let Some(outcome) = done.outcome(*hash).filter(|_| mode == ApplyMode::Lasting) {
            context.output.say(format!("done already: {} of {}", plan.destination, plan.source));
            outcomes.push(outcome.clone());
            continue;
        }
        let Done { applied, verification } =
            apply_plan(context, installation, options, part_folder, plan, mode)?;
        let outcome = PartOutcome { applied, verification };
        if mode == ApplyMode::Lasting {
            done.add(folder, *hash, outcome.clone())?;
        }
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

fn apply_plan(
    context: &Context,
    installation: &Installation,
    options: &Apply,
    folder: &PlanFolder,
    plan: &Plan,
    mode: ApplyMode,
) -> Result<Done, Failure> {
    let (name, source) = installation.config().source(&plan.source)?;
    match GoogleConfig::of(&name, source)? {
        Some(google) => {
            crate::commands::google::apply(context, installation, &google, options, folder, plan, mode)
        }
        None => apply_to_cluster(context, installation, options, folder, plan, mode),
    }
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
    folder: &PlanFolder,
    plan: &Plan,
    mode: ApplyMode,
) -> Result<Done, Failure> {
    let mut settings = crate::context::production(installation, &options.production, &plan.source)?;
    settings.database = Some(plan.destination.clone());
    let mut connection = Connection::connect(&settings, Mode::Sql, &Limits::default(), context.clock())
        .map_err(|error| {
            let hint = error.hint();
            Failure::because(Exit::Authentication, "production cannot be reached", error).hint_opt(hint)
        })?;
    let mut writer = postgres_undo::ProductionWriter::new(&mut connection);
    apply_and_verify(&mut writer, plan, folder, mode, &*context.progress())
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

fn exit_of<'o>(outcomes: impl IntoIterator<Item = (&'o AppliedReport, Option<&'o Verification>)>) -> Exit {
    let mut exit = Exit::Done;
    for (applied, verification) in outcomes {
        if verification.is_some_and(|verification| !verification.is_good()) {
            return Exit::Failed;
        }
        if applied.counts.conflicts > 0 {
            exit = Exit::Incomplete;
        }
    }
    exit
}

fn refused(error: WriteError) -> Failure {
    let hint = error.hint();
    let exit =
        if matches!(error, WriteError::Privilege { .. }) { Exit::Authentication } else { Exit::Failed };
    Failure::because(exit, "the plan was not applied", error).hint_opt(hint)
}

fn bundle_outcome_text(output: Output, bundle: &Bundle, outcome: &BundleOutcome) -> String {
    let mut text = String::new();
    for (part, done) in bundle.parts.iter().zip(&outcome.parts) {
        let title = format!("{} of {}", printable(&part.destination), printable(&part.source));
        text.push_str(&format!("{}\n", output.paint(Style::Strong, &title)));
        text.push_str(&outcome_text(output, &outcome.noun, &done.applied, done.verification.as_ref()));
    }
    text
}

fn outcome_text(
    output: Output,
    noun: &str,
    applied: &AppliedReport,
    verification: Option<&Verification>,
) -> String {
    let mut text = String::new();
    let done = match applied.mode {
        ApplyMode::Rehearsal => "rehearsed and rolled back:",
        ApplyMode::Lasting => "done:",
    };
    text.push_str(&format!("{done} {}\n", plans::sums(&applied.counts, noun)));
    for note in &applied.notes {
        text.push_str(&format!("  note  {}\n", printable(note)));
    }
    for conflict in &applied.conflicts {
        text.push_str(&format!(
            "  {} {} {}: {}\n",
            output.paint(Style::Warning, "left alone"),
            printable(&conflict.target),
            printable(&conflict.key),
            conflict.reason
        ));
    }
    if let Some(verification) = verification {
        for check in &verification.checks {
            let good = check.matched == check.expected;
            let word = output.paint(
                if good { Style::Good } else { Style::Bad },
                if good { "verified" } else { "DIFFERS " },
            );
            text.push_str(&format!(
                "  {word} {}: {}\n",
                printable(&check.target),
                plans::as_planned(check.matched, check.expected, noun)
            ));
        }
    }
    text
}
