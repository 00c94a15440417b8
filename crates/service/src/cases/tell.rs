use notify::{Message, Urgency};

use super::Step;
use crate::{Installation, Secrets, WatchError, secret::Environment};

/// Tells the channels of the watch what happened to a case, each once; returns the names of those that could not be
/// reached. The case itself does not depend on it.
pub fn tell(
    installation: &Installation,
    environment: Environment<'_>,
    step: &Step,
) -> Result<Vec<String>, WatchError> {
    if step.notices.is_empty() || installation.config().watch.notify.is_empty() {
        return Ok(Vec::new());
    }
    let secrets = Secrets::new(installation.home(), environment);
    let channels = installation.config().watch.channels(installation, &secrets)?;
    let mut unreached = Vec::new();
    for (number, notice) in step.notices.iter().enumerate() {
        let urgency = if notice.urgent { Urgency::Alarm } else { Urgency::Notice };
        let message = Message {
            id: format!("case-{}-{}-{number}", step.case.id, step.case.version),
            at: step.case.seen,
            urgency,
            title: format!("case {}: {}", step.case.id, notice.sentence),
            lines: vec![format!("see: unwipe cases show {}", step.case.id)],
            finding: serde_json::to_value(notice).unwrap_or_default(),
        };
        for channel in channels.iter().filter(|channel| urgency >= channel.from) {
            if channel.to.send(&message).is_err() {
                unreached.push(channel.to.name().to_owned());
            }
        }
    }
    Ok(unreached)
}
