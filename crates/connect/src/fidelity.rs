//! What comes back how: a connector's promise for each kind of item, for programs and for people.

use serde::{Deserialize, Serialize};

/// How an item is brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// What is still there is set back; it keeps its identity.
    InPlace,
    /// What is gone is made anew.
    MadeAnew,
    /// It is written to files in an open format.
    Export,
}

/// How far something comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// As it was, to the bit or to the name.
    Exact,
    /// Something equal in its place.
    Equivalent,
    /// Not at all.
    Lost,
}

/// One aspect of an item, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aspect {
    /// What it is: `text`, `labels`, `received date`.
    pub name: String,
    /// How far it comes back.
    pub grade: Grade,
    /// Why it is not exact, as a sentence without a full stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A connector's promise for one kind of item and one way of bringing it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fidelity {
    /// The kind of item: `message`, `file`, `event`.
    pub kind: String,
    /// The way.
    pub way: Way,
    /// Its aspects.
    pub aspects: Vec<Aspect>,
}

impl Fidelity {
    /// Begins a promise.
    pub fn new(kind: &str, way: Way) -> Self {
        Self { kind: kind.to_owned(), way, aspects: Vec::new() }
    }

    /// Adds what comes back as it was.
    #[must_use]
    pub fn exact(mut self, names: &[&str]) -> Self {
        let exact = |name: &&str| Aspect { name: (*name).to_owned(), grade: Grade::Exact, reason: None };
        self.aspects.extend(names.iter().map(exact));
        self
    }

    /// Adds what comes back as something equal.
    #[must_use]
    pub fn equivalent(self, name: &str, reason: &str) -> Self {
        self.with(name, Grade::Equivalent, reason)
    }

    /// Adds what does not come back.
    #[must_use]
    pub fn lost(self, name: &str, reason: &str) -> Self {
        self.with(name, Grade::Lost, reason)
    }

    fn with(mut self, name: &str, grade: Grade, reason: &str) -> Self {
        self.aspects.push(Aspect { name: name.to_owned(), grade, reason: Some(reason.to_owned()) });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_read_back_by_programs() {
        let promise = Fidelity::new("message", Way::MadeAnew)
            .exact(&["text"])
            .equivalent("received date", "it becomes that of the Date header")
            .lost("id", "the mailbox gives a new one");
        let json = serde_json::to_string(&promise).unwrap();
        assert!(json.contains(r#""way":"made-anew""#) && json.contains(r#""grade":"lost""#), "{json}");
        assert_eq!(serde_json::from_str::<Fidelity>(&json).unwrap(), promise);
    }
}
