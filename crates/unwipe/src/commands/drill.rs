//! `unwipe drill`

mod certify;
#[cfg(test)]
mod conformance;
mod files;
mod google;
mod kept;
mod postgres;
mod room;
pub(crate) mod schedule;
mod show;
mod vault;
mod verify;

use std::time::Duration;

use connect::Progress;
use drill::{Ground, Outcome, OverBudget, SourceDrills, Swept};
use model::{Moment, SourceName};
use postgres_recovery::drill::Limits;
use service::{
    Installation,
    certificate::Certificate,
    proof::{self, Proof},
    workshop::DrillWish,
};

use crate::{
    arguments::{self, DrillAction, DrillRun, Production, Reading},
    connectors::Kind,
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
};

/// The word for the vault's own drill.
const VAULT: &str = "vault";

pub(crate) fn run(context: &Context, options: arguments::Drill) -> Result<Exit, Failure> {
    match options.action {
        DrillAction::Run(options) => run_one(context, &options),
        DrillAction::Verify(options) => verify::run(context, &options),
        DrillAction::Print { certificate, to } => verify::print(context, &certificate, &to),
        DrillAction::List { source } => kept::list(context, source.as_deref()),
        DrillAction::Schedule => kept::schedule(context),
        DrillAction::Acknowledge { source, reason, by } => {
            kept::acknowledge(context, &source, &reason, by.as_deref())
        }
    }
}

fn run_one(context: &Context, options: &DrillRun) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let (source, moment) = crate::connectors::recovery::source_and_moment(&options.what);
    let asked = Asked {
        source: named(&installation, source)?,
        moment: moment.to_owned(),
        whole: !options.sample,
        production: &options.production,
        reading: &options.reading,
    };
    let certificate = hold_asked(context, &installation, &asked, &*context.progress())?;
    if let Some(path) = &options.certificate {
        certificate.write(&std::path::absolute(path)?)?;
    }
    let output = context.output;
    output.result(&certificate, || show::text(output, &certificate, None))?;
    Ok(exit_of(&certificate))
}

/// Chooses the exit code of a drill: something that is otherwise must wake whoever runs it.
fn exit_of(certificate: &Certificate) -> Exit {
    if certificate.statement.outcome == Outcome::Failed { Exit::Tampering } else { Exit::Done }
}

/// Finds the source that was named; `vault` is the vault itself, unless a source is called so.
fn named(installation: &Installation, name: &str) -> Result<SourceName, Failure> {
    match installation.config().source(name) {
        Ok((name, _)) => Ok(name),
        Err(_) if name == VAULT || name == service::operations::SOURCE => proof::vault_source()
            .ok_or_else(|| Failure::new(Exit::Failed, "the vault's own log has no valid name")),
        Err(error) => Err(error.into()),
    }
}

/// A drill that was asked for.
struct Asked<'a> {
    source: SourceName,
    moment: String,
    whole: bool,
    production: &'a Production,
    reading: &'a Reading,
}

/// What every kind of drill is given.
struct Drilling<'d> {
    context: &'d Context,
    installation: &'d Installation,
    asked: &'d Asked<'d>,
    settings: SourceDrills,
    limits: Limits,
    progress: &'d dyn Progress,
}

impl<'d> Drilling<'d> {
    /// Begins a drill: its time runs from now on.
    fn of(
        context: &'d Context,
        installation: &'d Installation,
        asked: &'d Asked<'d>,
        progress: &'d dyn Progress,
    ) -> Self {
        let settings = proof::settings(installation, &asked.source);
        let clock = context.clock();
        let limits = Limits { budget: settings.budget(), began: clock.elapsed(), clock };
        Self { context, installation, asked, settings, limits, progress }
    }

    /// Refuses to go on when the time is over.
    fn check_time(&self) -> Result<(), Failure> {
        self.limits.left().map(|_| ()).map_err(over_budget)
    }
}

/// Holds a drill, signs its certificate, keeps it, and tells whoever is to be told when it failed.
pub(crate) fn hold(
    context: &Context,
    wish: &DrillWish,
    progress: &dyn Progress,
) -> Result<Certificate, Failure> {
    let installation = context.installation()?;
    let asked = Asked {
        source: named(&installation, wish.source.as_str())?,
        moment: wish.moment.clone(),
        whole: wish.whole,
        production: &Production::default(),
        reading: &Reading::default(),
    };
    hold_asked(context, &installation, &asked, progress)
}

fn hold_asked(
    context: &Context,
    installation: &Installation,
    asked: &Asked<'_>,
    progress: &dyn Progress,
) -> Result<Certificate, Failure> {
    let began_at = context.clock().now();
    let drilling = Drilling::of(context, installation, asked, progress);
    let findings = if asked.source.as_str() == service::operations::SOURCE {
        let _alone = room::alone(installation)?;
        // There is no ground to clear: what drills of other kinds left goes all the same.
        tell_of(&drilling, &room::sweep(context, installation)?);
        vault::hold(&drilling)?
    } else {
        make_sure_of_a_commit(installation, &asked.source)?;
        let mut ground = ground(&drilling)?;
        // The claim is a file, and its folder may be production's.
        ground.refuse_production()?;
        let _alone = room::alone(installation)?;
        drill::hold(&mut *ground, &mut |left| tell_of(&drilling, left))?
    };
    certify::certify(&drilling, findings, began_at)
}

/// Makes the ground of a drill: every kind of source has one.
fn ground<'d>(drilling: &'d Drilling<'d>) -> Result<Box<dyn Ground<Error = Failure> + 'd>, Failure> {
    let (_, source) = drilling.installation.config().source(drilling.asked.source.as_str())?;
    Ok(match Kind::of(source)? {
        Kind::Postgres => Box::new(postgres::ClusterGround::new(drilling)),
        Kind::Files => Box::new(files::FolderGround::new(drilling)),
        Kind::Google => Box::new(google::DomainGround::new(drilling)?),
    })
}

/// Says what was taken away that an earlier drill left.
fn tell_of(drilling: &Drilling<'_>, left: &Swept) {
    if !left.is_empty() {
        let text = format!("removed what a drill left that did not end: {}", drill::said(left));
        drilling.context.output.say(text);
    }
}

/// Says what is known about restoring a source.
pub(crate) fn proof_of(context: &Context, installation: &Installation, name: &SourceName) -> &'static str {
    // What cannot be read proves nothing.
    proof::standing(installation, name, context.clock().now())
        .map_or("hypothesis", |standing| standing.word())
}

fn over_budget(over: OverBudget) -> Failure {
    let hint = over.hint();
    Failure::because(Exit::Failed, "no drill was held", over).hint(hint)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Reads what the vault's log has of certificates, so that a removed one is missed; without the vault, what was read before
/// counts.
pub(crate) fn read_log(context: &Context, installation: &Installation) {
    if let Err(error) = proof::read_log(installation, &environment) {
        context.output.say(format!(
            "warning: the vault's log was not read, so a certificate that was removed may not be missed: {}",
            ::vault::error_text(&error)
        ));
    }
}

/// Returns all that is known, for lists.
fn all(context: &Context, installation: &Installation) -> Result<(Vec<Proof>, Moment), Failure> {
    let now = context.clock().now();
    read_log(context, installation);
    Ok((proof::proofs(installation, now)?, now))
}

/// Refuses a source of which nothing is stored yet: there is nothing to prove.
fn make_sure_of_a_commit(installation: &Installation, name: &SourceName) -> Result<(), Failure> {
    if installation.vault(&environment)?.last_sequence(name)? > 0 {
        return Ok(());
    }
    Err(Failure::new(Exit::Nothing, format!("nothing of {name} is stored yet"))
        .hint(format!("unwipe capture {name} --once")))
}
