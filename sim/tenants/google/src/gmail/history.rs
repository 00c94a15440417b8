//! What has happened in a mailbox, for as long as it is remembered.

use std::{collections::BTreeSet, collections::VecDeque, sync::Arc};

use model::Moment;
use serde_json::{Map, Value, json};

use super::{mailbox::hex, open_mailbox};
use crate::{
    HistoryLimits,
    call::{Answer, Call, Reply},
    page,
    refusal::Refusal,
    tenant::Tenant,
};

/// What happened to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// It came, with these labels.
    Added(Vec<Arc<str>>),
    /// It is gone for ever.
    Deleted,
    /// Its labels after the change, and those that were added.
    LabelsAdded(Vec<Arc<str>>, Vec<Arc<str>>),
    /// Its labels after the change, and those that were removed.
    LabelsRemoved(Vec<Arc<str>>, Vec<Arc<str>>),
}

#[derive(Debug)]
struct Record {
    id: u64,
    time: Moment,
    message: u64,
    thread: u64,
    change: Change,
}

/// The changes of a mailbox.
#[derive(Debug)]
pub(crate) struct History {
    records: VecDeque<Record>,
    /// The oldest id from which changes are known.
    floor: u64,
    current: u64,
}

impl History {
    /// Begins somewhere, as the seed has it.
    pub(super) const fn new(seed: u64) -> Self {
        let start = 1_000_000 + crate::text::mixed(seed) % 8_000_000;
        Self { records: VecDeque::new(), floor: start, current: start }
    }

    /// Returns the id of the last change.
    pub(crate) const fn current(&self) -> u64 {
        self.current
    }

    pub(super) fn record(
        &mut self,
        step: u64,
        message: u64,
        thread: u64,
        change: Change,
        time: Moment,
    ) -> u64 {
        self.current += step;
        self.records.push_back(Record { id: self.current, time, message, thread, change });
        self.current
    }

    /// Forgets what is too old, or too much.
    fn forget(&mut self, limits: HistoryLimits, now: Moment) {
        let age = limits.age.as_micros() as i64;
        while self
            .records
            .front()
            .is_some_and(|record| self.records.len() > limits.records || now.micros_since(record.time) > age)
        {
            if let Some(record) = self.records.pop_front() {
                self.floor = record.id;
            }
        }
    }

    /// Forgets everything: only the present can be continued from.
    pub(crate) fn expire(&mut self) {
        self.records.clear();
        self.floor = self.current;
    }

    fn since(&self, start: u64) -> Option<impl Iterator<Item = &Record>> {
        let known = start > 0 && (self.floor..=self.current).contains(&start);
        let first = self.records.partition_point(|record| record.id <= start);
        known.then(|| self.records.range(first..))
    }
}

impl Record {
    const fn kind(&self) -> &'static str {
        match &self.change {
            Change::Added(_) => "messageAdded",
            Change::Deleted => "messageDeleted",
            Change::LabelsAdded(..) => "labelAdded",
            Change::LabelsRemoved(..) => "labelRemoved",
        }
    }

    /// Tells whether the message had or has the label.
    fn concerns(&self, label: &str) -> bool {
        let among = |labels: &[Arc<str>]| labels.iter().any(|own| &**own == label);
        match &self.change {
            Change::Added(labels) => among(labels),
            Change::Deleted => false,
            Change::LabelsAdded(after, changed) | Change::LabelsRemoved(after, changed) => {
                among(after) || among(changed)
            }
        }
    }

    fn resource(&self) -> Value {
        let bare = json!({ "id": hex(self.message), "threadId": hex(self.thread) });
        let with = |labels: &[Arc<str>]| {
            let mut message = bare.clone();
            if !labels.is_empty() {
                message["labelIds"] = names(labels);
            }
            message
        };
        let (name, entry) = match &self.change {
            Change::Added(labels) => ("messagesAdded", json!({ "message": with(labels) })),
            Change::Deleted => ("messagesDeleted", json!({ "message": bare })),
            Change::LabelsAdded(after, changed) => {
                ("labelsAdded", json!({ "message": with(after), "labelIds": names(changed) }))
            }
            Change::LabelsRemoved(after, changed) => {
                ("labelsRemoved", json!({ "message": with(after), "labelIds": names(changed) }))
            }
        };
        let mut record = Map::new();
        record.insert("id".to_owned(), self.id.to_string().into());
        record.insert("messages".to_owned(), json!([bare]));
        record.insert(name.to_owned(), json!([entry]));
        Value::Object(record)
    }
}

fn names(labels: &[Arc<str>]) -> Value {
    labels.iter().map(|label| Value::from(&**label)).collect()
}

pub(super) fn list(tenant: &mut Tenant, call: &Call) -> Answer {
    let (seed, limits) = (tenant.settings.seed, tenant.settings.history);
    let place = page::open(seed, call, tenant.settings.page_lifetime)?;
    let size = call.page_size("maxResults", 100, 500)?;
    let start = call.query("startHistoryId").ok_or_else(|| Refusal::invalid("Missing startHistoryId"))?;
    let start: u64 = start
        .parse()
        .map_err(|_| Refusal::invalid(format!("Invalid value at 'start_history_id': {start}")))?;
    let kinds: BTreeSet<&str> = call.queries("historyTypes").collect();
    if let Some(unknown) = kinds
        .iter()
        .find(|kind| !["messageAdded", "messageDeleted", "labelAdded", "labelRemoved"].contains(kind))
    {
        return Err(Refusal::invalid(format!("Invalid value at 'history_types': \"{unknown}\"")));
    }
    let mailbox = open_mailbox(tenant, call)?;
    mailbox.history.forget(limits, call.now);
    let start = place.and_then(|place| place.parse().ok()).unwrap_or(start);
    let records = mailbox.history.since(start).ok_or_else(Refusal::not_found)?;
    let label = call.query("labelId");
    let mut chosen = records
        .filter(|record| kinds.is_empty() || kinds.contains(record.kind()))
        .filter(|record| label.is_none_or(|label| record.concerns(label)));
    let found: Vec<&Record> = chosen.by_ref().take(size).collect();
    let last = found.last().map(|record| record.id);
    let more = chosen.next().is_some();
    let mut body = json!({ "historyId": mailbox.history.current().to_string() });
    if !found.is_empty() {
        body["history"] = found.iter().map(|record| record.resource()).collect();
    }
    if let (true, Some(last)) = (more, last) {
        body["nextPageToken"] = page::issue(seed, call, &last.to_string()).into();
    }
    Ok(Reply::json(body))
}
