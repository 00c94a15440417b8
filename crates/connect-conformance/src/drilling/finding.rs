//! What a drill finds.

use drill::{CheckResult, Extent, Findings, Outcome};

use super::stage::{demand_proven, held_after, judged, proven};
use crate::{
    drillable::{Planted, Wanted},
    rule::{StartDrillable, Unmet},
    stage::{Checked, SMALL, broken, demand},
};

pub(crate) fn everything_is_compared_and_equal(start: &StartDrillable<'_>) -> Checked {
    let subject = start(&SMALL);
    let findings = proven(&*subject, Wanted::Whole)?;
    let (counts, things) = (findings.tally.counts, subject.things());
    demand(findings.extent == Extent::Whole, || format!("everything was asked for: {:?}", findings.extent))?;
    demand(counts.equal == things, || format!("{things} things can be compared, and not {counts:?}"))
}

pub(crate) fn a_sample_is_compared_and_says_how_much_it_is(start: &StartDrillable<'_>) -> Checked {
    let subject = start(&SMALL);
    subject.samples()?;
    let whole = proven(&*subject, Wanted::Whole)?.tally.counts;
    let findings = proven(&*subject, Wanted::Sample)?;
    let counts = findings.tally.counts;
    let Extent::Sample { chosen, of, .. } = findings.extent else {
        return broken("a sample was asked for, and the extent is everything");
    };
    demand(chosen < of, || format!("a sample of {chosen} of {of} is none"))?;
    demand(counts.compared + counts.not_comparable == chosen, || {
        format!("{chosen} were drawn, and so many compared: {counts:?}")
    })?;
    demand(counts.compared < whole.compared, || {
        format!("a sample compares as much as everything: {counts:?} and {whole:?}")
    })
}

/// Says whether one of the differences, or a failed check, has all of these words.
fn names(findings: &Findings, words: &[String]) -> bool {
    let differences = findings.tally.named.iter().map(|one| format!("{} {}", one.subject, one.what));
    let failed = findings.checks.iter().filter(|check| check.result == CheckResult::Failed);
    let checks = failed.map(|check| format!("{} {}", check.subject, check.evidence));
    differences.chain(checks).any(|text| words.iter().all(|word| text.contains(word)))
}

/// Plants a difference, and demands that it is found, named, and that nothing else is.
fn finds(start: &StartDrillable<'_>, planted: Planted) -> Checked {
    let subject = start(&SMALL);
    let clean = proven(&*subject, Wanted::Whole)?.tally.counts;
    let mut words = Ok(Vec::new());
    let (findings, _) = {
        let words = &mut words;
        held_after(&*subject, Wanted::Whole, || *words = subject.plant(planted))?
    };
    let words = words?;
    let (counts, lost) = (findings.tally.counts, u64::from(planted != Planted::Extra));
    demand(judged(&findings) == Outcome::Failed, || {
        format!("{planted:?}: {words:?} is otherwise, and the drill is {:?}", judged(&findings))
    })?;
    demand(names(&findings, &words), || {
        let (named, checks) = (&findings.tally.named, &findings.checks);
        format!("{planted:?}: nothing names {words:?}: {named:?}, {checks:?}")
    })?;
    demand(counts.equal + lost == clean.equal, || {
        format!("{planted:?}: one thing is otherwise: {clean:?} before, {counts:?} now")
    })?;
    // What was planted went with the rest.
    demand_proven(&held_after(&*subject, Wanted::Whole, || ())?.0)
}

pub(crate) fn a_changed_thing_is_found_and_named(start: &StartDrillable<'_>) -> Checked {
    finds(start, Planted::Changed)
}

pub(crate) fn a_missing_thing_is_found_and_named(start: &StartDrillable<'_>) -> Checked {
    finds(start, Planted::Missing)
}

pub(crate) fn one_thing_too_many_is_found_and_named(start: &StartDrillable<'_>) -> Checked {
    finds(start, Planted::Extra)
}

pub(crate) fn a_promise_that_is_not_kept_is_found_with_its_aspect(start: &StartDrillable<'_>) -> Checked {
    finds(start, Planted::Unfaithful)
}

pub(crate) fn what_cannot_be_compared_is_said_and_never_equal(start: &StartDrillable<'_>) -> Checked {
    let subject = start(&SMALL);
    let clean = proven(&*subject, Wanted::Whole)?;
    subject.add_incomparable()?;
    let (findings, _) = held_after(&*subject, Wanted::Whole, || ())?;
    let (before, now) = (clean.tally.counts, findings.tally.counts);
    demand(now.equal == before.equal, || {
        format!(
            "one thing more that cannot be compared, and {} equal ones are now {}",
            before.equal, now.equal
        )
    })?;
    let not_checked =
        |findings: &Findings| findings.checks.iter().filter(|c| c.result == CheckResult::NotChecked).count();
    let is_said = now.not_comparable > before.not_comparable || not_checked(&findings) > not_checked(&clean);
    demand(is_said, || format!("it is neither counted nor named: {now:?}, {:?}", findings.checks))?;
    demand(judged(&findings) != Outcome::Failed, || {
        format!("what cannot be compared is no difference: {:?}, {:?}", findings.tally.named, findings.checks)
    })
}

pub(crate) fn a_drill_leaves_production_alone(start: &StartDrillable<'_>) -> Checked {
    let subject = start(&SMALL);
    let before = subject.production();
    demand(!before.is_empty(), || "there is nothing in the place that was captured".to_owned())?;
    let ways: &[Wanted] =
        if subject.samples().is_ok() { &[Wanted::Whole, Wanted::Sample] } else { &[Wanted::Whole] };
    for wanted in ways {
        proven(&*subject, *wanted)?;
        unchanged("the place that was captured", &before, &subject.production())?;
    }
    Ok(())
}

/// Demands that what is somewhere is what was there.
pub(super) fn unchanged(place: &str, before: &[String], now: &[String]) -> Result<(), Unmet> {
    let of = |these: &[String], others: &[String]| -> Vec<String> {
        these.iter().filter(|one| !others.contains(one)).cloned().collect()
    };
    demand(before == now, || {
        format!("{place} has {:?} more, and lacks {:?}", of(now, before), of(before, now))
    })
}
