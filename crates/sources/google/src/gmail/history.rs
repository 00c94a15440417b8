//! What a run of history comes to for each message.

use std::collections::{BTreeMap, BTreeSet};

use super::wire::HistoryRecord;

/// The label of what lies in the trash.
pub const TRASH: &str = "TRASH";

/// What became of one message.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct MessageFate {
    /// It came into being.
    pub added: bool,
    /// It was deleted for good.
    pub deleted: bool,
    /// Each label that was put on (true) or taken off, by the last word on it.
    pub labels: BTreeMap<String, bool>,
}

impl MessageFate {
    /// Tells whether it is in the trash now, or deleted for good.
    pub(super) fn is_lost(&self) -> bool {
        self.deleted || self.labels.get(TRASH) == Some(&true)
    }

    /// Returns a message's labels after these changes. Applying them again, in order, changes nothing: it does not matter
    /// whether the labels were read before or after some of them.
    pub fn apply(&self, labels: &[String]) -> Vec<String> {
        let mut after: BTreeSet<&str> = labels.iter().map(String::as_str).collect();
        for (label, is_on) in &self.labels {
            if *is_on {
                after.insert(label);
            } else {
                after.remove(label.as_str());
            }
        }
        after.into_iter().map(str::to_owned).collect()
    }
}

/// The fates of all messages in a run of history, by their ids.
#[derive(Debug, Default)]
pub struct Fates {
    /// What became of each message.
    pub of: BTreeMap<String, MessageFate>,
    /// What all of it comes to.
    pub sums: Sums,
}

/// What a run of history comes to altogether.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Sums {
    /// Messages that went into the trash.
    pub trashed: u64,
    /// Messages that came out of the trash.
    pub restored: u64,
    /// Messages that were deleted for good.
    pub deleted: u64,
    /// Messages that came into being.
    pub added: u64,
    /// Other changes of labels.
    pub relabelled: u64,
}

impl Fates {
    /// Takes the next record; they come in the order in which they happened.
    pub fn take(&mut self, record: HistoryRecord) {
        for change in record.messages_added {
            self.of.entry(change.message.id).or_default().added = true;
            self.sums.added += 1;
        }
        for change in record.labels_added {
            self.label(change.message.id, change.label_ids, true);
        }
        for change in record.labels_removed {
            self.label(change.message.id, change.label_ids, false);
        }
        for change in record.messages_deleted {
            self.of.entry(change.message.id).or_default().deleted = true;
            self.sums.deleted += 1;
        }
    }

    fn label(&mut self, message: String, labels: Vec<String>, is_on: bool) {
        match (labels.iter().any(|label| label == TRASH), is_on) {
            (true, true) => self.sums.trashed += 1,
            (true, false) => self.sums.restored += 1,
            (false, _) => self.sums.relabelled += 1,
        }
        let fate = self.of.entry(message).or_default();
        fate.labels.extend(labels.into_iter().map(|label| (label, is_on)));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fates(records: &serde_json::Value) -> Fates {
        let mut fates = Fates::default();
        for record in serde_json::from_value::<Vec<HistoryRecord>>(records.clone()).unwrap() {
            fates.take(record);
        }
        fates
    }

    #[test]
    fn the_last_word_on_each_label_counts() {
        let fates = fates(&json!([
            { "id": "1", "messages": [{ "id": "a" }], "labelsAdded": [{ "message": { "id": "a" }, "labelIds": ["TRASH"] }] },
            { "id": "2", "labelsRemoved": [{ "message": { "id": "a" }, "labelIds": ["INBOX"] }] },
            { "id": "5", "labelsRemoved": [{ "message": { "id": "a" }, "labelIds": ["TRASH"] }] },
            { "id": "6", "labelsAdded": [{ "message": { "id": "a" }, "labelIds": ["Label_1"] }] },
        ]));
        let fate = &fates.of["a"];
        let before = ["INBOX".to_owned(), "UNREAD".to_owned()];
        let after = fate.apply(&before);
        assert_eq!(after, ["Label_1", "UNREAD"]);
        assert_eq!(fate.apply(&after), after, "once more changes nothing");
        let half = ["INBOX".to_owned(), "TRASH".to_owned(), "UNREAD".to_owned()];
        assert_eq!(fate.apply(&half), after, "nor does it matter when the labels were read");
        assert_eq!(fates.sums, Sums { trashed: 1, restored: 1, relabelled: 2, ..Sums::default() });
    }

    #[test]
    fn what_came_and_went_is_told_from_what_stayed() {
        let fates = fates(&json!([
            { "id": "1", "messagesAdded": [{ "message": { "id": "a", "labelIds": ["INBOX"] } }, { "message": { "id": "b" } }] },
            { "id": "2", "messagesDeleted": [{ "message": { "id": "a" } }] },
        ]));
        assert!(fates.of["a"].added && fates.of["a"].deleted);
        assert!(fates.of["b"].added && !fates.of["b"].deleted);
        assert_eq!(fates.sums, Sums { added: 2, deleted: 1, ..Sums::default() });
    }
}
