//! Drills with a flaw, made of the good one by meddling with its steps and with what it says.

use std::sync::Arc;

use connect_conformance::{
    Act, DrillGround, Drillable, Furnishing, Never, Outcome, Planted, Subject, Wanted, find,
};
use drill::{CheckResult, Extent, Findings, Ground, Swept};

use crate::notes::{NotesDrills, NotesGround};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    ComparesLess,
    CallsASampleEverything,
    LooksAtNoText,
    TakesWhatIsMissingForEqual,
    LooksForNothingMore,
    LooksAtNoTags,
    TakesTheIncomparableForEqual,
    WritesIntoProduction,
    LeavesEverything,
    ClearsWhatOthersHave,
    ClearsOnlyItsOwn,
    ClearsInSilence,
    DrillsAnywhere,
}

use Flaw::*;

/// Each flaw with the rules that must find it; others may as well.
const FOUND: &[(Flaw, &[&str])] = &[
    (ComparesLess, &["D-01"]),
    (CallsASampleEverything, &["D-02"]),
    (LooksAtNoText, &["D-03"]),
    (TakesWhatIsMissingForEqual, &["D-04"]),
    (LooksForNothingMore, &["D-05"]),
    (LooksAtNoTags, &["D-06"]),
    (TakesTheIncomparableForEqual, &["D-07"]),
    (WritesIntoProduction, &["D-08"]),
    (LeavesEverything, &["D-09"]),
    (ClearsWhatOthersHave, &["D-09"]),
    (ClearsOnlyItsOwn, &["D-10", "D-11"]),
    (ClearsInSilence, &["D-10"]),
    (DrillsAnywhere, &["D-12"]),
];

#[test]
fn every_flaw_of_a_drill_is_found() {
    for (flaw, ids) in FOUND {
        for id in *ids {
            let start = |furnishing: &Furnishing| -> Arc<dyn Drillable> {
                Arc::new(Flawed { inner: NotesDrills::start(furnishing), flaw: *flaw })
            };
            let outcome = find(id).unwrap().of_drill(&start);
            assert!(matches!(outcome, Outcome::Broken(_)), "{flaw:?} is not found by {id}: it {outcome}");
        }
    }
}

#[test]
fn every_rule_for_drills_has_a_flaw_that_it_finds() {
    for rule in connect_conformance::DRILLING {
        assert!(FOUND.iter().any(|(_, ids)| ids.contains(&rule.id)), "{rule:?}");
    }
}

struct Flawed {
    inner: NotesDrills,
    flaw: Flaw,
}

impl Drillable for Flawed {
    fn ground(&self, wanted: Wanted) -> Result<DrillGround<'_>, String> {
        Ok(Box::new(FlawedGround {
            inner: self.inner.notes_ground(wanted),
            subject: self,
            wanted,
            has_put: false,
        }))
    }

    fn samples(&self) -> Result<(), Never> {
        self.inner.samples()
    }

    fn things(&self) -> u64 {
        self.inner.things()
    }

    fn plant(&self, planted: Planted) -> Result<Vec<String>, Never> {
        self.inner.plant(planted)
    }

    fn add_incomparable(&self) -> Result<(), Never> {
        self.inner.add_incomparable()
    }

    fn add_foreign(&self) {
        self.inner.add_foreign();
    }

    fn starve(&self, writes: Option<u64>) -> Result<(), Never> {
        self.inner.starve(writes)
    }

    fn left(&self) -> Vec<String> {
        self.inner.left()
    }

    fn production(&self) -> Vec<String> {
        self.inner.production()
    }

    fn misaim(&self, way: usize) -> bool {
        self.inner.misaim(way)
    }
}

struct FlawedGround<'f> {
    inner: NotesGround,
    subject: &'f Flawed,
    wanted: Wanted,
    has_put: bool,
}

/// Takes differences in which this is said for none.
fn hide(findings: &mut Findings, said: &str) {
    let tally = &mut findings.tally;
    let before = tally.named.len();
    tally.named.retain(|difference| !difference.what.contains(said));
    let hidden = (before - tally.named.len()) as u64;
    tally.total -= hidden;
    tally.counts.different -= hidden;
    tally.counts.equal += hidden;
}

impl Ground for FlawedGround<'_> {
    type Error = String;

    fn refuse_production(&mut self) -> Result<(), String> {
        if self.subject.flaw == DrillsAnywhere { Ok(()) } else { self.inner.refuse_production() }
    }

    fn sweep(&mut self) -> Result<Swept, String> {
        match self.subject.flaw {
            LeavesEverything => Ok(Swept::new()),
            ClearsOnlyItsOwn if !self.has_put => Ok(Swept::new()),
            ClearsInSilence => self.inner.sweep().map(|_| Swept::new()),
            ClearsWhatOthersHave => {
                self.subject.inner.clear_foreign();
                self.inner.sweep()
            }
            _ => self.inner.sweep(),
        }
    }

    fn put(&mut self) -> Result<(), String> {
        self.has_put = true;
        if self.subject.flaw == WritesIntoProduction {
            self.subject.inner.production.act(Act::Add("notes/anna")).unwrap();
        }
        self.inner.put()
    }

    fn compare(&mut self) -> Result<Findings, String> {
        let mut findings = self.inner.compare()?;
        let counts = &mut findings.tally.counts;
        match self.subject.flaw {
            ComparesLess => {
                counts.compared -= 1;
                counts.equal -= 1;
            }
            CallsASampleEverything if self.wanted == Wanted::Sample => findings.extent = Extent::Whole,
            TakesTheIncomparableForEqual => {
                let some = std::mem::take(&mut counts.not_comparable);
                counts.compared += some;
                counts.equal += some;
            }
            LooksAtNoText => hide(&mut findings, "text is"),
            TakesWhatIsMissingForEqual => hide(&mut findings, "not restored"),
            LooksAtNoTags => hide(&mut findings, "tags is"),
            LooksForNothingMore => findings.checks.retain(|check| check.result == CheckResult::Passed),
            _ => {}
        }
        Ok(findings)
    }
}
