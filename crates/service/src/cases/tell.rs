//! Telling people of cases, over the same channels as of incidents.

use approvals::{Audience, Notice};
use model::Moment;
use notify::{Message, Urgency};

use super::Step;
use crate::{
    Installation,
    secret::Environment,
    telling::{self, Told},
    watching::WatchError,
};

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
    let now = installation.ports().clock.now();
    let notices = step.notices.iter().filter(|notice| notice.to != Audience::Requester);
    let messages: Vec<Message> = notices.filter_map(|notice| message(step, notice, now)).collect();
    telling::send(installation, environment, &messages)
}

fn message(step: &Step, notice: &Notice, now: Moment) -> Option<Message> {
    let case = &step.case;
    let told = Told {
        id: format!("case-{}-{}", case.id, case.version),
        rule: RULE,
        urgency: if notice.urgent { Urgency::Alarm } else { Urgency::Notice },
        finding: format!("case {}: {}", case.id, case.state.word()),
        title: format!("case {}: {}", case.id, notice.sentence),
        explanation: notice.sentence.clone(),
        lines: vec![format!("see: unwipe cases show {}", case.id)],
        at: case.seen,
    };
    told.message(now)
}
