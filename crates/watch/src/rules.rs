//! Rules as data: what is an alarm, what is worth a notice, and why.

use std::collections::BTreeSet;

use model::{Event, Severity, Stage, Verb};
use serde::{Deserialize, Serialize};

use crate::{ActorKind, glob};

const STANDARD: &str = include_str!("rules.toml");

/// Why a text is no set of rules.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// It is not written as rules are: a key is unknown, missing or of the wrong kind.
    #[error("the rules cannot be read")]
    Syntax(#[from] toml::de::Error),
    /// Two rules have the same id.
    #[error("two rules are called {id}")]
    Twice {
        /// The id.
        id: String,
    },
    /// A rule asks for something that cannot be.
    #[error("the rule {id} {problem}")]
    Impossible {
        /// Which rule.
        id: String,
        /// What is wrong with it: `counts to nothing`.
        problem: &'static str,
    },
}

/// All rules, with the times that hold for all of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// An incident in which nothing happened for so long does not grow any more.
    pub quiet_seconds: u32,
    /// So far the times of a feed and of an audit log may be apart where they tell of the same thing.
    pub slack_seconds: u32,
    /// The rules.
    #[serde(rename = "rule")]
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What it is called in incidents, policies and documents.
    pub id: String,
    /// What it finds, in a few words.
    pub title: String,
    /// Why that matters.
    pub why: String,
    /// Whether people are woken.
    pub severity: RuleSeverity,
    /// Leaves alone what is usual: about as much of the same target as on at least three days before.
    #[serde(default)]
    pub unless_usual: bool,
    /// What it looks at.
    #[serde(default)]
    pub of: Select,
    /// When it fires.
    pub when: Test,
}

/// Whether people are woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuleSeverity {
    /// An incident is opened.
    Alarm,
    /// It is written down, once an hour.
    Notice,
}

/// What a source counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// Rows of a database, of which daily work changes thousands.
    Rows,
    /// Messages, files, contacts.
    Items,
}

/// Which effects a rule looks at; what is not said is not asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Select {
    /// What was done.
    pub verbs: Vec<Verb>,
    /// By whom.
    pub kinds: Vec<ActorKind>,
    /// In what kind of source.
    pub unit: Option<SourceKind>,
    /// How far it has come.
    pub stages: Vec<Stage>,
    /// How serious the source says that it is, at least.
    pub severity_min: Option<Severity>,
    /// Where: patterns.
    pub scopes: Vec<String>,
    /// To what: patterns.
    pub targets: Vec<String>,
    /// By which statement or call: patterns.
    pub statements: Vec<String>,
}

/// When a rule fires.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// At once.
    Once(Once),
    /// When there are many within a short time.
    Rate(Rate),
    /// When there are many of all that there is, within a day.
    Share(Share),
    /// When there are more than usual for hours or days.
    Drift(Drift),
    /// When one thing comes after another.
    Sequence(Sequence),
    /// Never by itself: an incident becomes critical by it.
    Pair(Pair),
}

/// Fires at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Once {
    /// So many things in one transaction or call.
    pub items_min: u64,
}

/// Whose deeds are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// Those of one actor; where nobody is known, those in one place.
    Actor,
    /// Those in one place, whoever did it.
    Scope,
}

/// Fires when there are many within a short time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// So many.
    pub count: u64,
    /// Within so many seconds.
    pub seconds: u32,
    /// Whose are counted together.
    #[serde(default = "per_actor")]
    pub per: Vec<Per>,
}

fn per_actor() -> Vec<Per> {
    vec![Per::Actor]
}

/// Fires when there are many of all that there is, within a day.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Such a share of what the scope holds.
    pub percent: f64,
    /// Fewer are none, whatever the share.
    pub items_min: u64,
}

/// Fires when there are more than usual for hours or days: what goes beyond is added up, what stays below is taken off.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// So many in an hour are usual, where not more is known to be.
    pub hour_usual: u64,
    /// So many beyond that, added up over hours, are too many.
    pub hour_limit: u64,
    /// So many in a day are usual, where not more is known to be.
    pub day_usual: u64,
    /// So many beyond that, added up over days, are too many.
    pub day_limit: u64,
}

/// Fires when one thing comes after another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    /// All of it within so many seconds.
    pub seconds: u32,
    /// Follows a program from the moment it is let in, whoever lets it in; otherwise an actor.
    #[serde(default)]
    pub of_program: bool,
    /// Whoever has done it within so many days before is left alone.
    #[serde(default)]
    pub first_in_days: Option<u32>,
    /// What comes, in this order.
    pub steps: Vec<Step>,
}

/// One step of a sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What is looked at; what the rule looks at holds as well.
    #[serde(default)]
    pub of: Select,
    /// So many.
    pub count: u64,
}

/// An actor who has not done this before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// For so many days.
    pub days: u32,
    /// Nobody is new before so many days were watched.
    pub known_after_days: u32,
}

/// What of an observation rules ask for.
pub(crate) struct Facts<'a> {
    pub(crate) event: &'a Event,
    pub(crate) stage: Stage,
    pub(crate) kind: ActorKind,
    pub(crate) unit: SourceKind,
}

impl Select {
    /// Tells whether an observation can hold anything that is looked at.
    pub(crate) fn fits(&self, facts: &Facts<'_>) -> bool {
        let event = facts.event;
        let some = |patterns: &[String], text: &str| patterns.is_empty() || glob::any(patterns, text);
        (self.kinds.is_empty() || self.kinds.contains(&facts.kind))
            && self.unit.is_none_or(|unit| unit == facts.unit)
            && (self.stages.is_empty() || self.stages.contains(&facts.stage))
            && self.severity_min.is_none_or(|least| event.severity >= least)
            && some(&self.scopes, &event.scope)
            && some(&self.statements, event.statement.as_deref().unwrap_or_default())
    }

    /// Tells whether an effect is looked at.
    pub(crate) fn takes(&self, verb: Verb, target: &str) -> bool {
        (self.verbs.is_empty() || self.verbs.contains(&verb))
            && (self.targets.is_empty() || glob::any(&self.targets, target))
    }
}

impl Rules {
    /// Returns the rules that hold where nobody has written others.
    pub fn standard() -> Self {
        // That it can be read is what the tests see to; without rules nothing would be found.
        Self::parse(STANDARD).unwrap_or(Self { quiet_seconds: 900, slack_seconds: 300, rules: Vec::new() })
    }

    /// Reads rules from TOML. Unknown keys are refused: a rule that was misspelt would find nothing.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        let rules: Self = toml::from_str(text)?;
        let mut ids = BTreeSet::new();
        for rule in &rules.rules {
            if !ids.insert(rule.id.as_str()) {
                return Err(RulesError::Twice { id: rule.id.clone() });
            }
            if let Some(problem) = rule.problem() {
                return Err(RulesError::Impossible { id: rule.id.clone(), problem });
            }
        }
        Ok(rules)
    }

    /// Returns the rule with an id.
    pub fn get(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == id)
    }
}

impl Rule {
    fn problem(&self) -> Option<&'static str> {
        match &self.when {
            Test::Once(once) if once.items_min == 0 => Some("counts to nothing"),
            Test::Rate(rate) if rate.count == 0 || rate.seconds == 0 => Some("counts to nothing"),
            Test::Rate(rate) if rate.per.is_empty() => Some("counts nobody's deeds"),
            Test::Share(share) if !(share.percent > 0.0 && share.percent <= 100.0) => {
                Some("asks for no share")
            }
            Test::Sequence(sequence) if sequence.steps.len() < 2 => Some("has fewer than two steps"),
            Test::Sequence(sequence) if sequence.steps.iter().any(|step| step.count == 0) => {
                Some("counts to nothing")
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_rules_can_be_read_and_each_says_why() {
        let rules = Rules::parse(STANDARD).unwrap();
        assert_eq!(rules, Rules::standard());
        assert!(rules.rules.len() > 15);
        for rule in &rules.rules {
            assert!(rule.title.len() > 8 && rule.why.len() > 20, "{}", rule.id);
        }
    }

    #[test]
    fn a_rule_that_is_misspelt_is_refused() {
        let base = "quiet_seconds = 1\nslack_seconds = 1\n[[rule]]\nid = \"a\"\ntitle = \"t\"\nwhy = \"w\"\nseverity = \"alarm\"\n";
        let rules = |rest: &str| Rules::parse(&format!("{base}{rest}"));
        assert!(rules("when.once = { items_min = 1 }").is_ok());
        assert!(matches!(rules("when.once = { items_max = 1 }"), Err(RulesError::Syntax(_))));
        assert!(matches!(
            rules("when.once = { items_min = 1 }\nof.verb = [\"drop\"]"),
            Err(RulesError::Syntax(_))
        ));
        assert!(matches!(rules("when.sometimes = {}"), Err(RulesError::Syntax(_))));
        assert!(matches!(rules("when.once = { items_min = 0 }"), Err(RulesError::Impossible { .. })));
        assert!(matches!(
            rules("when.share = { percent = 0.0, items_min = 1 }"),
            Err(RulesError::Impossible { .. })
        ));
        let twice =
            format!("when.once = {{ items_min = 1 }}\n{}when.once = {{ items_min = 1 }}", &base[36..]);
        assert!(matches!(rules(&twice), Err(RulesError::Twice { .. })), "{:?}", rules(&twice));
    }

    #[test]
    fn every_rule_is_in_the_documents() {
        let document = include_str!("../../../docs/concepts/watch.md");
        for rule in Rules::standard().rules {
            assert!(
                document.contains(&format!("`{}`", rule.id)),
                "{} is not in docs/concepts/watch.md",
                rule.id
            );
        }
    }
}
