//! What is to be done about one message: a pure comparison of three states.

use std::collections::BTreeSet;

use source_google::gmail::MessageAttributes;

/// Changes of a message's labels.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct LabelChange {
    pub(crate) add: Vec<String>,
    pub(crate) remove: Vec<String>,
    /// Labels that were changed in the window and again after it; they stay as they are.
    pub(crate) kept: Vec<String>,
}

/// What is to be done about one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Nothing: it is as it was.
    Unchanged,
    /// It is there, and gets labels back or loses some.
    Relabel(LabelChange),
    /// It is gone, and is put in again.
    Insert,
    /// It is left alone.
    Conflict(String),
    /// It cannot come back.
    Loss(String),
}

/// What is known of a message at three times, and of what became of it after the window.
#[derive(Debug, Clone, Default)]
pub(crate) struct MessageStates {
    /// Before the window.
    pub(crate) before: Option<MessageAttributes>,
    /// Whether its text is stored.
    pub(crate) has_text: bool,
    /// At the window's end.
    pub(crate) after: Option<MessageAttributes>,
    /// What it became after the window, oldest first, the newest included.
    pub(crate) later: Vec<MessageAttributes>,
    /// Now.
    pub(crate) now: Option<MessageAttributes>,
    /// Whether a copy of it came into the mailbox after the window.
    pub(crate) is_back: bool,
}

/// Decides about a message that was there before the window; one that came within it stays.
pub(crate) fn decide(states: &MessageStates) -> Option<Decision> {
    let before = states.before.as_ref()?;
    Some(match (&states.after, &states.now) {
        (_, None) if states.is_back => Decision::Unchanged,
        (None, None) if states.has_text => Decision::Insert,
        (None, None) => Decision::Loss("its text could not be read when it was captured".to_owned()),
        (Some(_), None) => Decision::Conflict("it was deleted after the window".to_owned()),
        (after, Some(now)) => {
            let after = after.as_ref().unwrap_or(now);
            relabel(before, after, &states.later, now)
        }
    })
}

fn relabel(
    before: &MessageAttributes,
    after: &MessageAttributes,
    later: &[MessageAttributes],
    now: &MessageAttributes,
) -> Decision {
    let has = |attributes: &MessageAttributes, label: &String| attributes.labels.contains(label);
    let all: BTreeSet<&String> = before.labels.iter().chain(&after.labels).collect();
    let mut change = LabelChange::default();
    for label in all {
        let (wanted, done) = (has(before, label), has(after, label));
        if wanted == done || has(now, label) == wanted {
            continue;
        }
        if later.iter().any(|version| has(version, label) != done) {
            change.kept.push(label.clone());
        } else if wanted {
            change.add.push(label.clone());
        } else {
            change.remove.push(label.clone());
        }
    }
    match (change.add.is_empty() && change.remove.is_empty(), change.kept.is_empty()) {
        (true, true) => Decision::Unchanged,
        (true, false) => Decision::Conflict(format!(
            "its labels were changed again after the window: {}",
            change.kept.join(", ")
        )),
        (false, _) => Decision::Relabel(change),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(labels: &[&str]) -> MessageAttributes {
        MessageAttributes {
            labels: labels.iter().map(|&label| label.to_owned()).collect(),
            ..MessageAttributes::default()
        }
    }

    fn states(before: &[&str], after: &[&str], now: &[&str]) -> MessageStates {
        MessageStates {
            before: Some(labelled(before)),
            has_text: true,
            after: Some(labelled(after)),
            later: Vec::new(),
            now: Some(labelled(now)),
            is_back: false,
        }
    }

    fn change(add: &[&str], remove: &[&str]) -> Decision {
        let owned = |labels: &[&str]| labels.iter().map(|&label| label.to_owned()).collect();
        Decision::Relabel(LabelChange { add: owned(add), remove: owned(remove), kept: Vec::new() })
    }

    #[test]
    fn what_was_trashed_goes_back_to_its_place() {
        let trashed = states(&["INBOX", "UNREAD"], &["TRASH"], &["TRASH"]);
        assert_eq!(decide(&trashed), Some(change(&["INBOX", "UNREAD"], &["TRASH"])));
    }

    #[test]
    fn later_work_on_other_labels_stays() {
        let starred = states(&["INBOX"], &["TRASH"], &["STARRED", "TRASH"]);
        assert_eq!(decide(&starred), Some(change(&["INBOX"], &["TRASH"])));
        let already = states(&["INBOX"], &["TRASH"], &["INBOX", "STARRED"]);
        assert_eq!(decide(&already), Some(Decision::Unchanged));
    }

    #[test]
    fn what_its_owner_did_again_stays() {
        let mut again = states(&["INBOX"], &["TRASH"], &["TRASH"]);
        again.later = vec![labelled(&["INBOX"]), labelled(&["TRASH"])];
        assert!(matches!(decide(&again), Some(Decision::Conflict(_))));
    }

    #[test]
    fn what_was_deleted_is_put_in_again_once() {
        let mut gone = states(&["INBOX"], &[], &[]);
        (gone.after, gone.now) = (None, None);
        assert_eq!(decide(&gone), Some(Decision::Insert));
        gone.is_back = true;
        assert_eq!(decide(&gone), Some(Decision::Unchanged));
        (gone.is_back, gone.has_text) = (false, false);
        assert!(matches!(decide(&gone), Some(Decision::Loss(_))));
    }

    #[test]
    fn what_was_deleted_by_somebody_else_later_is_left_alone() {
        let mut gone = states(&["INBOX"], &["TRASH"], &[]);
        gone.now = None;
        assert!(matches!(decide(&gone), Some(Decision::Conflict(_))));
    }

    #[test]
    fn what_came_within_the_window_stays() {
        let mut new = states(&[], &["INBOX"], &["INBOX"]);
        new.before = None;
        assert_eq!(decide(&new), None);
    }
}
