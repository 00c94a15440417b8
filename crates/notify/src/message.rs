use model::Moment;
use serde::{Deserialize, Serialize};

/// How urgent a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Urgency {
    /// Worth a look today.
    Notice,
    /// Somebody seems to be destroying something now.
    Alarm,
}

/// What is told, in a form for people and in one for machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The same for every attempt to send it.
    pub id: String,
    /// When it was made.
    pub at: Moment,
    /// How urgent it is.
    pub urgency: Urgency,
    /// One line: `incident 7: agent deletes 1,000,000 rows of shop.public.bookings`.
    pub title: String,
    /// More lines, for people.
    pub lines: Vec<String>,
    /// The same for machines: an OCSF finding.
    pub finding: serde_json::Value,
}

impl Message {
    /// Returns the whole text for people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\n", self.title);
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
pub(crate) fn sample() -> Message {
    Message {
        id: "incident-7-1".to_owned(),
        at: "2026-04-25T14:00:09.25Z".parse().unwrap(),
        urgency: Urgency::Alarm,
        title: "incident 7: agent deletes rows of shop.public.bookings".to_owned(),
        lines: vec!["1,000 rows so far <&>".to_owned(), "see: unwipe incidents 7".to_owned()],
        finding: serde_json::json!({ "class_uid": 2004 }),
    }
}
