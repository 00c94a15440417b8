//! Rules: what is demanded, how strongly, and what checks it.

use std::{fmt, sync::Arc};

use crate::{
    drillable::Drillable,
    subject::{Furnishing, Never, Restorable, Subject},
};

/// How strongly something is demanded, as RFC 2119 has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Without exception.
    Must,
    /// Unless there is a good reason, which [`Subject::excuses`] then gives.
    Should,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
        })
    }
}

/// Starts a simulated source for a reader.
pub type Start<'a> = dyn Fn(&Furnishing) -> Arc<dyn Subject> + 'a;

/// Starts a simulated source for a writer.
pub type StartRestorable<'a> = dyn Fn(&Furnishing) -> Arc<dyn Restorable> + 'a;

/// Starts a simulated source, captured, with a ground for its drills.
pub type StartDrillable<'a> = dyn Fn(&Furnishing) -> Arc<dyn Drillable> + 'a;

/// Why a rule is not seen to hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unmet {
    /// The source has no such thing.
    #[error("does not apply: {0}")]
    Never(&'static str),
    /// It does not hold.
    #[error("{0}")]
    Broken(String),
}

impl From<Never> for Unmet {
    fn from(Never(reason): Never) -> Self {
        Self::Never(reason)
    }
}

/// What checks a rule.
#[derive(Clone, Copy)]
pub enum Check {
    /// A rule for readers.
    Reading(fn(&Start<'_>) -> Result<(), Unmet>),
    /// A rule for writers.
    Restoring(fn(&StartRestorable<'_>) -> Result<(), Unmet>),
    /// A rule for restore tests.
    Drilling(fn(&StartDrillable<'_>) -> Result<(), Unmet>),
}

/// One rule of the specification.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Its number, which it keeps: `R-07`.
    pub id: &'static str,
    /// How strongly it is demanded.
    pub level: Level,
    /// The name of the function that checks it.
    pub name: &'static str,
    /// What is demanded.
    pub text: &'static str,
    /// What checks it.
    pub check: Check,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.id, self.name, self.text)
    }
}

/// How the check of a rule ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Holds,
    /// The source has no such thing, with the subject's reason.
    DoesNotApply(&'static str),
    /// It does not hold, which is excused, with the subject's reason.
    Excused(&'static str),
    /// It does not hold, with what was seen.
    Broken(String),
    /// It holds although it is excused: the excuse is out of date.
    NeedlesslyExcused(&'static str),
}

impl Outcome {
    /// Tells whether a connector with this outcome conforms.
    pub const fn is_good(&self) -> bool {
        !matches!(self, Self::Broken(_) | Self::NeedlesslyExcused(_))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Holds => f.write_str("holds"),
            Self::DoesNotApply(reason) => write!(f, "does not apply: {reason}"),
            Self::Excused(reason) => write!(f, "excused: {reason}"),
            Self::Broken(what) => write!(f, "BROKEN: {what}"),
            Self::NeedlesslyExcused(reason) => write!(f, "NEEDLESSLY EXCUSED, it holds: {reason}"),
        }
    }
}

impl Rule {
    /// Checks a rule for readers.
    pub fn of_reader(&self, start: &Start<'_>) -> Outcome {
        let Check::Reading(check) = self.check else { return Outcome::DoesNotApply("no rule for readers") };
        self.outcome(check(start), || start(&crate::stage::SMALL).excuses())
    }

    /// Checks a rule for writers.
    pub fn of_writer(&self, start: &StartRestorable<'_>) -> Outcome {
        let Check::Restoring(check) = self.check else { return Outcome::DoesNotApply("no rule for writers") };
        self.outcome(check(start), || start(&crate::stage::SMALL).excuses())
    }

    /// Checks a rule for restore tests.
    pub fn of_drill(&self, start: &StartDrillable<'_>) -> Outcome {
        let Check::Drilling(check) = self.check else { return Outcome::DoesNotApply("no rule for drills") };
        self.outcome(check(start), || &[])
    }

    fn outcome(
        &self,
        checked: Result<(), Unmet>,
        excuses: impl FnOnce() -> &'static [(&'static str, &'static str)],
    ) -> Outcome {
        let excuse = || match self.level {
            Level::Must => None,
            Level::Should => excuses().iter().find(|(id, _)| *id == self.id).map(|(_, reason)| *reason),
        };
        match checked {
            Ok(()) => excuse().map_or(Outcome::Holds, Outcome::NeedlesslyExcused),
            Err(Unmet::Never(reason)) => Outcome::DoesNotApply(reason),
            Err(Unmet::Broken(what)) => excuse().map_or(Outcome::Broken(what), Outcome::Excused),
        }
    }
}

/// Says how the check of a rule ended: a test that passed because its rule does not apply says so, with the reason.
#[expect(clippy::print_stdout, reason = "it is the output of a test")]
pub fn tell(rule: &Rule, outcome: &Outcome) {
    println!("{} {}: {outcome}", rule.id, rule.name);
}

/// Writes rules as a table in Markdown: the specification.
pub fn table(rules: &[Rule]) -> String {
    let mut text = String::from("| rule | level | demanded | checked by |\n|---|---|---|---|\n");
    for rule in rules {
        text.push_str(&format!("| {} | {} | {} | `{}` |\n", rule.id, rule.level, rule.text, rule.name));
    }
    text
}

/// Writes all of the specification, in Markdown.
pub fn document() -> String {
    format!(
        "# Rules for connectors\n\n\
         What every connector to a service must do, and what checks it. MUST and SHOULD are those of RFC 2119. This page is\n\
         made from `crates/connect-conformance`, and a test compares them; the [guide](../guide/writing-a-connector.md) says\n\
         how a connector is held against it. A rule keeps its number; one that is given up leaves a gap.\n\n\
         Words are those of the [glossary](../../GLOSSARY.md).\n\n\
         ## Readers\n\n{}\n## Plans and writers\n\n{}\n## Restore tests\n\n{}",
        table(crate::READING),
        table(crate::RESTORING),
        table(crate::DRILLING)
    )
}

/// Makes of one list: the table of rules, its documentation, and a macro that makes a test of each rule.
macro_rules! rules {
    (
        $dollar:tt $(#[$meta:meta])* $table:ident, $tests:ident, $kind:ident, $method:ident:
        $($id:literal $level:ident $module:ident::$function:ident $text:literal;)*
    ) => {
        $(#[$meta])*
        ///
        /// | rule | level | demanded | checked by |
        /// |---|---|---|---|
        $(#[doc = concat!("| ", $id, " | ", stringify!($level), " | ", $text, " | `", stringify!($function), "` |")])*
        pub static $table: &[crate::Rule] = &[$(crate::Rule {
            id: $id,
            level: crate::Level::$level,
            name: stringify!($function),
            text: $text,
            check: crate::Check::$kind($module::$function),
        }),*];

        /// Makes a test of each rule; the argument is a function that starts a simulated source.
        #[macro_export]
        macro_rules! $tests {
            ($dollar start:path) => {
                $(
                    #[doc = $text]
                    #[test]
                    fn $function() {
                        let rule = $dollar crate::find($id).unwrap();
                        let outcome = rule.$method(&$dollar start);
                        $dollar crate::tell(rule, &outcome);
                        assert!(outcome.is_good(), "{rule:?}\n{outcome}");
                    }
                )*
            };
        }
    };
}
pub(crate) use rules;
