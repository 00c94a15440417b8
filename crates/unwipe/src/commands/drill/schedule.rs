//! Drills by schedule, in a process that serves.

use std::{collections::BTreeMap, time::Duration};

use connect::Stop;
use drill::{Outcome, due};
use model::SourceName;
use ports::span::{self, Fact};
use service::{Installation, certificate::Certificate, proof, telemetry::PhasedWork, workshop::DrillWish};

use crate::{
    context::Context,
    failure::{Failure, outcome},
};

/// How often it is looked whether a drill is due.
const LOOK_EVERY: Duration = Duration::from_mins(1);
const STOP_CHECK: Duration = Duration::from_millis(100);
/// A drill that could not be held is tried again after this: it leaves no certificate that would put it off.
const RETRY_AFTER: Duration = Duration::from_hours(1);

/// Holds the drills that are due, one at a time, until asked to stop.
pub(crate) fn keep_drilling(context: &Context, installation: &Installation, stop: &Stop) {
    let mut not_before: BTreeMap<SourceName, Duration> = BTreeMap::new();
    while !stop.is_requested() {
        for source in installation.config().sources.keys().cloned().chain(proof::vault_source()) {
            if stop.is_requested() {
                return;
            }
            if not_before.get(&source).is_some_and(|&until| context.clock().elapsed() < until) {
                continue;
            }
            let held = due_wish(context, installation, &source)
                .and_then(|wish| wish.map(|wish| hold(context, &wish)).transpose());
            match held {
                Ok(None) => {}
                Ok(Some(certificate)) if certificate.statement.outcome == Outcome::Failed => {
                    context.output.say(format!("{source}: the drill FAILED; unwipe drill list {source}"));
                }
                Ok(Some(_)) => context.output.say(format!("{source}: a drill was held")),
                Err(failure) => {
                    not_before.insert(source.clone(), context.clock().elapsed() + RETRY_AFTER);
                    context.output.say(format!("{source}: {failure}"));
                }
            }
        }
        let until = context.clock().elapsed() + LOOK_EVERY;
        while context.clock().elapsed() < until && !stop.is_requested() {
            context.clock().sleep(STOP_CHECK);
        }
    }
}

/// Holds a drill and tells of it.
fn hold(context: &Context, wish: &DrillWish) -> Result<Certificate, Failure> {
    let mut work = context.ports.tracing.begin("drill");
    work.name("unwipe.source", &wish.source);
    work.fact("unwipe.drill.whole", Fact::Flag(wish.whole));
    let work = PhasedWork::new(work);
    let held = super::hold(context, wish, &work);
    let came_to = match &held {
        Ok(certificate) if certificate.statement.outcome == Outcome::Failed => {
            span::Outcome::Failed("what was restored is not what it had to be")
        }
        other => outcome(other),
    };
    work.end(came_to, |work| {
        let Ok(Certificate { statement, .. }) = &held else { return };
        work.number("unwipe.commit.number", statement.restored_commit);
        work.number("unwipe.drill.compared", statement.counts.compared);
        work.number("unwipe.drill.different", statement.differences_total);
    });
    held
}

/// Returns the drill of a source that is due now.
fn due_wish(
    context: &Context,
    installation: &Installation,
    source: &SourceName,
) -> Result<Option<DrillWish>, Failure> {
    let settings = proof::settings(installation, source);
    let window = installation.config().drills.window(source);
    let last = proof::last_drills(&proof::certificates(installation, source)?);
    Ok(due(&settings, window, last, context.clock().now()).map(|due| DrillWish {
        source: source.clone(),
        moment: "latest".to_owned(),
        whole: due.whole,
    }))
}
