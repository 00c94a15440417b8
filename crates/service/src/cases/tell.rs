//! Telling people of cases, over the same channels as of incidents.

use approvals::{Audience, Notice};
use model::{Moment, SourceName};
use notify::{Message, Urgency};

use super::Step;
use crate::{Installation, Secrets, operations, secret::Environment, watching::WatchError};

/// The rule under which notices of cases are found among findings.
const RULE: &str = "cases";

/// Sends what people are to be told of a step to the configured channels, once; returns what did not arrive, and why.
///
/// What only the one who asked is to know is sent to nobody. May block as long as the channels take.
pub fn tell(
    installation: &Installation,
    environment: Environment<'_>,
    step: &Step,
) -> Result<Vec<String>, WatchError> {
    let notices: Vec<&Notice> =
        step.notices.iter().filter(|notice| notice.to != Audience::Requester).collect();
    if notices.is_empty() || installation.config().watch.notify.is_empty() {
        return Ok(Vec::new());
    }
    let secrets = Secrets::new(installation.home(), environment);
    let channels = installation.config().watch.channels(installation, &secrets)?;
    let now = installation.ports().clock.now();
    let mut failed = Vec::new();
    for message in notices.into_iter().filter_map(|notice| message(step, notice, now)) {
        for channel in channels.iter().filter(|channel| message.urgency >= channel.from) {
            if let Err(error) = channel.to.send(&message) {
                failed.push(format!("{}: {error}", channel.to.name()));
            }
        }
    }
    Ok(failed)
}

fn message(step: &Step, notice: &Notice, now: Moment) -> Option<Message> {
    let case = &step.case;
    let seen = watch::Notice {
        rule: RULE.to_owned(),
        title: format!("case {}: {}", case.id, case.state.word()),
        source: SourceName::new(operations::SOURCE).ok()?,
        scope: String::new(),
        actor: None,
        kind: watch::ActorKind::Unknown,
        at: case.seen,
        explanation: notice.sentence.clone(),
    };
    Some(Message {
        id: format!("case-{}-{}", case.id, case.version),
        at: now,
        urgency: if notice.urgent { Urgency::Alarm } else { Urgency::Notice },
        title: format!("case {}: {}", case.id, notice.sentence),
        lines: vec![format!("see: unwipe cases show {}", case.id)],
        finding: watch::ocsf::notice(&seen, env!("CARGO_PKG_VERSION"), now),
    })
}
