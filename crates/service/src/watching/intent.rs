//! What an agent says that it is about to do: it covers nothing before a person confirms it.

use model::{Moment, SourceName, Verb};
use serde::{Deserialize, Serialize};
use watch::Expectation;

/// An announcement. It is no expectation, and detection does not know it; [`Intent::confirmed`] makes one of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// What it is called: letters, digits and hyphens.
    pub id: String,
    /// The source.
    pub source: SourceName,
    /// The last moment of it.
    pub until: Moment,
    /// Under which identity: a pattern.
    pub actor: String,
    /// What.
    pub verbs: Vec<Verb>,
    /// Where: a pattern; everywhere where it is missing.
    pub scope: Option<String>,
    /// At most so many items.
    pub items_max: u64,
    /// Why, in the agent's words.
    pub reason: String,
    /// Which service identity announced it.
    pub declared_by: String,
    /// When.
    pub declared_at: Moment,
    /// The commit that was captured for it.
    pub commit: Option<u64>,
    /// The person who confirmed it.
    #[serde(default)]
    pub confirmed_by: Option<String>,
}

impl Intent {
    /// Returns what a person makes of it by confirming; nothing once it is over, or was confirmed before.
    pub fn confirmed(&self, by: &str, now: Moment) -> Option<(Self, Expectation)> {
        if self.confirmed_by.is_some() || now > self.until {
            return None;
        }
        let expectation = Expectation {
            id: self.id.clone(),
            source: self.source.clone(),
            // What was done before a person agreed is not covered.
            from: now,
            until: self.until,
            actor: Some(self.actor.clone()),
            verbs: self.verbs.clone(),
            scope: self.scope.clone(),
            reason: format!("{} (announced by {})", self.reason, self.declared_by),
            registered_by: by.to_owned(),
            registered_at: now,
            items_max: Some(self.items_max),
        };
        Some((Self { confirmed_by: Some(by.to_owned()), ..self.clone() }, expectation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_becomes_an_expectation_once_and_in_time_only() {
        let at = Moment::from_micros;
        let intent = Intent {
            id: "intent-1".to_owned(),
            source: SourceName::new("shop").unwrap(),
            until: at(100),
            actor: "agent".to_owned(),
            verbs: vec![Verb::Delete],
            scope: None,
            items_max: 5,
            reason: "clean-up".to_owned(),
            declared_by: "claude".to_owned(),
            declared_at: at(1),
            commit: Some(3),
            confirmed_by: None,
        };
        let (after, expectation) = intent.confirmed("anna", at(50)).unwrap();
        assert_eq!((expectation.from, expectation.until), (at(50), at(100)));
        assert_eq!((expectation.items_max, expectation.registered_by.as_str()), (Some(5), "anna"));
        assert!(after.confirmed("ben", at(60)).is_none());
        assert!(intent.confirmed("anna", at(101)).is_none());
    }
}
