//! The shape of a drill, whatever the kind of source: a ground to restore into, and the order in which it is used.

use std::{collections::BTreeMap, fmt};

use crate::{Against, Check, Extent, ProbeAnswer, Tally};

/// What a certificate says of clearing the ground afterwards.
pub const TAKEN_AWAY: &str = "what the drill made was taken away again";

/// How many things were taken away, by what they are called.
pub type Swept = BTreeMap<String, u64>;

/// Says in words what was taken away.
pub fn said(swept: &Swept) -> String {
    swept.iter().map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

/// What a drill found, whatever the kind of source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// The kind of source, as configurations name it.
    pub kind: &'static str,
    /// Whether the place that was restored into is a simulated one.
    pub simulated: bool,
    /// The newest commit whose content was restored.
    pub restored_commit: u64,
    /// The moment in the source's own words, where another one was restored than the one asked for.
    pub moment: Option<String>,
    /// How far it was restored, in the source's own words.
    pub position: String,
    /// How much of the source was restored.
    pub extent: Extent,
    /// What it was compared with.
    pub against: Against,
    /// What was compared, and what is otherwise.
    pub tally: Tally,
    /// What was checked, and what could not be.
    pub checks: Vec<Check>,
    /// The owner's questions and their answers.
    pub probes: Vec<ProbeAnswer>,
    /// The time until a restored server accepted queries, in milliseconds.
    pub serving_ms: Option<u64>,
    /// The room that it took, in bytes.
    pub space_bytes: u64,
    /// The rows and the hash of each table, where there are tables.
    pub tables: BTreeMap<String, (u64, String)>,
}

/// Where the drills of a source restore into: a scratch folder, a scratch server, accounts of a sandbox tenant. Every kind
/// of source has one. It belongs to one drill, and another drill's ground finds what this one left.
pub trait Ground {
    /// Why a step could not be taken. That something is otherwise is no error but a finding.
    type Error;

    /// Refuses a ground that is part of what was captured: a drill must not write where it is to prove something. Looks, and
    /// writes nothing.
    fn refuse_production(&mut self) -> Result<(), Self::Error>;

    /// Takes away whatever any drill of this source made, however it ended, and nothing else.
    fn sweep(&mut self) -> Result<Swept, Self::Error>;

    /// Draws what is restored, or takes everything, and puts it in.
    fn put(&mut self) -> Result<(), Self::Error>;

    /// Compares what is there with what had to be: each stored thing that was drawn, and that nothing else is there. What
    /// cannot be compared is counted so, or is a check that was not made.
    fn compare(&mut self) -> Result<Findings, Self::Error>;
}

/// Holds a drill: nothing is written before the ground is known to be none of production's; what drills left goes first, and
/// what this one made goes last, whatever happened. `left` hears of the former.
pub fn hold<E: fmt::Display>(
    ground: &mut (dyn Ground<Error = E> + '_),
    left: &mut dyn FnMut(&Swept),
) -> Result<Findings, E> {
    ground.refuse_production()?;
    let before = ground.sweep()?;
    if !before.is_empty() {
        left(&before);
    }
    let found = ground.put().and_then(|()| ground.compare());
    let taken_away = match ground.sweep() {
        Ok(swept) => Check::passed(TAKEN_AWAY, said(&swept)),
        // What stays behind carries its mark, and the next drill takes it away.
        Err(error) => Check::not_checked(TAKEN_AWAY, error.to_string()),
    };
    let mut findings = found?;
    findings.checks.push(taken_away);
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CheckResult;

    /// Writes down its steps, and fails at one of them.
    #[derive(Default)]
    struct Scripted {
        steps: Vec<&'static str>,
        fails_at: Option<usize>,
    }

    impl Scripted {
        fn step(&mut self, name: &'static str) -> Result<(), String> {
            self.steps.push(name);
            if self.fails_at == Some(self.steps.len()) { Err(format!("{name} failed")) } else { Ok(()) }
        }
    }

    impl Ground for Scripted {
        type Error = String;

        fn refuse_production(&mut self) -> Result<(), String> {
            self.step("refuse")
        }

        fn sweep(&mut self) -> Result<Swept, String> {
            self.step("sweep")?;
            Ok(Swept::from([("folders".to_owned(), 2)]))
        }

        fn put(&mut self) -> Result<(), String> {
            self.step("put")
        }

        fn compare(&mut self) -> Result<Findings, String> {
            self.step("compare")?;
            Ok(Findings {
                kind: "scripted",
                simulated: true,
                restored_commit: 1,
                moment: None,
                position: String::new(),
                extent: Extent::Whole,
                against: Against::Stored,
                tally: Tally::default(),
                checks: Vec::new(),
                probes: Vec::new(),
                serving_ms: None,
                space_bytes: 0,
                tables: BTreeMap::new(),
            })
        }
    }

    #[test]
    fn nothing_is_touched_before_the_ground_is_known_to_be_none_of_productions() {
        let mut ground = Scripted { fails_at: Some(1), ..Scripted::default() };
        assert_eq!(hold(&mut ground, &mut |_| panic!("nothing was swept")), Err("refuse failed".to_owned()));
        assert_eq!(ground.steps, ["refuse"]);
    }

    #[test]
    fn whatever_happens_the_ground_is_cleared_before_and_after() {
        for (fails_at, error) in [(3, "put failed"), (4, "compare failed")] {
            let mut ground = Scripted { fails_at: Some(fails_at), ..Scripted::default() };
            let mut told = 0;
            assert_eq!(hold(&mut ground, &mut |_| told += 1), Err(error.to_owned()));
            assert_eq!((ground.steps[1], ground.steps[fails_at], told), ("sweep", "sweep", 1));
        }
    }

    #[test]
    fn what_could_not_be_cleared_is_said_and_is_no_difference() {
        let held = |fails_at| hold(&mut Scripted { fails_at, ..Scripted::default() }, &mut |_| ()).unwrap();
        let (good, bad) = (held(None).checks, held(Some(5)).checks);
        assert_eq!((good[0].result, good[0].evidence.as_str()), (CheckResult::Passed, "2 folders"));
        assert_eq!((bad[0].result, bad[0].evidence.as_str()), (CheckResult::NotChecked, "sweep failed"));
    }
}
