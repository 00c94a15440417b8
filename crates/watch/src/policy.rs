//! Whether an action is taken by itself, or a person is asked.

use model::{Attribution, Moment};
use serde::{Deserialize, Serialize};

use crate::{
    ActorKind,
    containment::Action,
    glob,
    memory::{HOUR, SECOND},
};

/// Why a person is asked where nobody saw who it was.
pub const GUESS: &str = "who it was is a guess";

/// How far unwipe goes by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It only tells.
    #[default]
    Observe,
    /// It asks a person before each action.
    Approve,
    /// It acts against those who are named.
    Automatic,
}

/// What may be done against whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// How far it goes.
    pub mode: Mode,
    /// Against whom it acts by itself: patterns for a role, a program's id, an account. Nobody unless named.
    pub subjects: Vec<String>,
    /// Against whom nothing is ever done: patterns. They go before everything else.
    pub never: Vec<String>,
    /// So often it stops somebody by itself within an hour, in however many steps.
    pub actions_per_hour_max: u32,
    /// For so many minutes what a person is asked stays open, and what was done by itself holds until a person is asked.
    pub expires_minutes: u32,
    /// The rules after which it acts by itself; all where none is named.
    pub rules: Vec<String>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::Observe,
            subjects: Vec::new(),
            never: Vec::new(),
            actions_per_hour_max: 3,
            expires_minutes: 60,
            rules: Vec::new(),
        }
    }
}

/// What is decided about an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "kebab-case")]
pub enum Decision {
    /// It is taken.
    Take,
    /// A person is asked.
    AskPerson {
        /// Why it is not taken by itself.
        why: String,
    },
    /// Nothing is done.
    Observe {
        /// Why.
        why: String,
    },
}

impl Policy {
    /// Decides about an action: `attribution` says how it is known who it is, `kind` what they are, `rules` which rules
    /// fired, and `taken` when actions were taken without a person.
    ///
    /// Nothing is taken by itself on a guess, nor against a person's account, nor after a rule that is not named, nor more
    /// often than allowed.
    pub fn decide(
        &self,
        action: &Action,
        attribution: Attribution,
        kind: ActorKind,
        rules: &[String],
        taken: &[Moment],
        now: Moment,
    ) -> Decision {
        let subject = &action.subject;
        if glob::any(&self.never, subject) {
            return Decision::Observe { why: format!("nothing is ever done against {subject}") };
        }
        let ask = |why: String| Decision::AskPerson { why };
        match self.mode {
            Mode::Observe => return Decision::Observe { why: "the policy is to observe".to_owned() },
            Mode::Approve => return ask("the policy is to ask".to_owned()),
            Mode::Automatic => {}
        }
        if matches!(attribution, Attribution::Inferred | Attribution::Unknown) {
            return ask(GUESS.to_owned());
        }
        if !glob::any(&self.subjects, subject) {
            return ask(format!("the policy does not name {subject}"));
        }
        if kind == ActorKind::Person {
            return ask(format!("{subject} is a person"));
        }
        if !self.rules.is_empty() && !rules.iter().any(|rule| self.rules.contains(rule)) {
            return ask(format!("the policy does not name the rule {}", rules.join(", ")));
        }
        let lately = taken.iter().filter(|at| now.micros_since(**at) < HOUR).count();
        if lately >= self.actions_per_hour_max as usize {
            return ask(format!("somebody was stopped {lately} times within the hour"));
        }
        Decision::Take
    }

    /// Returns when what was asked or done at a moment needs a person anew.
    pub fn expires_at(&self, at: Moment) -> Moment {
        at.plus_micros(i64::from(self.expires_minutes) * 60 * SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::containment::ActionKind;

    fn action(subject: &str) -> Action {
        Action {
            kind: ActionKind::BarLogin,
            source: model::SourceName::new("shop").unwrap(),
            subject: subject.to_owned(),
            title: format!("bar {subject}"),
            details: serde_json::Value::Null,
        }
    }

    fn policy(text: &str) -> Policy {
        toml::from_str(text).unwrap()
    }

    const NOW: Moment = Moment::from_micros(100 * HOUR);

    fn decide(policy: &Policy, subject: &str) -> Decision {
        let rules = ["fast-agent-rows".to_owned()];
        policy.decide(&action(subject), Attribution::Sampled, ActorKind::Agent, &rules, &[], NOW)
    }

    fn asks(decision: &Decision) -> bool {
        matches!(decision, Decision::AskPerson { .. })
    }

    #[test]
    fn without_a_policy_nothing_is_done() {
        assert!(matches!(decide(&Policy::default(), "agent"), Decision::Observe { .. }));
        assert!(asks(&decide(&policy("mode = \"approve\""), "agent")));
        assert!(toml::from_str::<Policy>("moode = \"observe\"").is_err());
    }

    #[test]
    fn only_those_who_are_named_are_stopped_without_a_person() {
        let policy = policy("mode = \"automatic\"\nsubjects = [\"agent*\"]\nnever = [\"agent-backup\"]");
        assert_eq!(decide(&policy, "agent-1"), Decision::Take);
        assert!(asks(&decide(&policy, "app")));
        assert!(matches!(decide(&policy, "agent-backup"), Decision::Observe { .. }));
        let guessed = |attribution, kind| policy.decide(&action("agent-1"), attribution, kind, &[], &[], NOW);
        assert!(asks(&guessed(Attribution::Inferred, ActorKind::Agent)));
        assert!(asks(&guessed(Attribution::Unknown, ActorKind::Agent)));
        assert!(asks(&guessed(Attribution::Witnessed, ActorKind::Person)));
        assert_eq!(guessed(Attribution::Witnessed, ActorKind::Machine), Decision::Take);
        let never = Policy { never: vec!["*".to_owned()], ..policy };
        assert!(matches!(decide(&never, "agent-1"), Decision::Observe { .. }));
    }

    #[test]
    fn rules_may_be_named_and_actions_are_few() {
        let policy = policy("mode = \"automatic\"\nsubjects = [\"*\"]\nrules = [\"fast-agent-rows\"]");
        assert_eq!(decide(&policy, "a"), Decision::Take);
        let decide = |rules: &[&str], taken: &[Moment]| {
            let rules: Vec<String> = rules.iter().map(|rule| (*rule).to_owned()).collect();
            policy.decide(&action("a"), Attribution::Witnessed, ActorKind::Machine, &rules, taken, NOW)
        };
        assert!(asks(&decide(&["slow-items"], &[])));
        let (both, old) = (["slow-items", "fast-agent-rows"], NOW.plus_micros(-HOUR));
        assert_eq!(decide(&both, &[NOW, NOW, old]), Decision::Take);
        assert!(asks(&decide(&both, &[NOW, NOW, NOW])));
        assert_eq!(policy.expires_at(NOW), NOW.plus_micros(HOUR));
    }
}
