//! Push: a topic that is told that something has changed.

use std::time::Duration;

use model::Moment;
use serde::Deserialize;
use serde_json::json;

use super::open_mailbox;
use crate::{
    call::{Answer, Call, Reply},
    refusal::Refusal,
    stamp,
    tenant::Tenant,
};

/// How long a watch lasts.
const LIFETIME: Duration = Duration::from_hours(7 * 24);
/// Notices of one mailbox come at most this often; what comes between is dropped.
const NOTICE_MICROS: i64 = 1_000_000;

/// A message that was published to a topic: that a mailbox has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The topic.
    pub topic: String,
    /// The mailbox's history id at that time.
    pub history_id: u64,
    /// When.
    pub time: Moment,
}

/// The watch of a mailbox, if any, and what it has published.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    current: Option<(String, Moment)>,
    pub(crate) notices: Vec<Notice>,
}

impl Watch {
    /// Publishes a change, if somebody watches.
    pub(super) fn notice(&mut self, history_id: u64, time: Moment) {
        let Some((topic, expires)) = &self.current else { return };
        let recent = self.notices.last().is_some_and(|last| time.micros_since(last.time) < NOTICE_MICROS);
        if time < *expires && !recent {
            self.notices.push(Notice { topic: topic.clone(), history_id, time });
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    #[serde(default)]
    topic_name: String,
}

pub(super) fn watch(tenant: &mut Tenant, call: &Call) -> Answer {
    let wanted: Wanted = call.json()?;
    let parts: Vec<&str> = wanted.topic_name.split('/').collect();
    if !matches!(parts[..], ["projects", project, "topics", topic] if !project.is_empty() && !topic.is_empty())
    {
        return Err(Refusal::invalid("Invalid topicName does not match projects/*/topics/*"));
    }
    let mailbox = open_mailbox(tenant, call)?;
    let expires = call.now.plus_micros(LIFETIME.as_micros() as i64);
    mailbox.watch.current = Some((wanted.topic_name, expires));
    Ok(Reply::json(json!({
        "historyId": mailbox.history.current().to_string(), "expiration": stamp::millis(expires).to_string(),
    })))
}

pub(super) fn stop(tenant: &mut Tenant, call: &Call) -> Answer {
    open_mailbox(tenant, call)?.watch.current = None;
    Ok(Reply::empty())
}
