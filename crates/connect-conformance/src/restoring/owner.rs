//! What the owner did stays, and so does what they closed.

use connect::testing::MemoryHistory;

use super::stage::{Damaged, without};
use crate::{
    rule::{StartRestorable, Unmet},
    stage::{Checked, SMALL, broken, demand},
    subject::{Act, Fact},
};

pub(crate) fn what_changed_since_the_plan_is_left_alone_and_listed(start: &StartRestorable<'_>) -> Checked {
    let stage = Damaged::new(start)?;
    let (plan, folder) = stage.plan("p")?;
    let Some(place) = stage.changed.last() else {
        return Err(Unmet::Never("what is damaged in this source is always gone"));
    };
    stage.subject.act(Act::RemoveForGood(place))?;
    let report = stage.apply(&plan, &folder)?;
    let named = report.conflicts.iter().any(|conflict| place.key.contains(&conflict.key));
    demand(named, || {
        format!("{place} was removed after planning and is not listed: {:?}", report.conflicts)
    })?;
    demand(report.counts.conflicts == 1, || format!("one item was touched: {:?}", report.counts))?;
    let missing: Vec<(String, Fact)> = without(stage.before.clone(), &super::stage::facts(&*stage.subject));
    demand(missing.len() == 1, || {
        format!("all but what was removed after planning should be back, and these are not: {missing:?}")
    })?;
    let expected = without(stage.before.clone(), &missing);
    stage.demand_facts(&expected)
}

pub(crate) fn a_restore_opens_nothing_that_is_closed(start: &StartRestorable<'_>) -> Checked {
    let mut stage = Damaged::whole(start, &SMALL)?;
    let closed = stage.scene.place(2)?;
    let gone = stage.scene.place(0)?;
    stage.subject.grants()?;
    stage.subject.share(&closed)?;
    stage.scene.sink = connect::testing::MemorySink::new();
    stage.scene.capture()?;
    stage.history = MemoryHistory::default();
    stage.history.push(&stage.scene.sink.held);

    stage.subject.unshare(&closed)?;
    stage.subject.act(Act::ChangeContent(&closed)).ok();
    stage.subject.act(Act::ChangeAttributes(&closed)).ok();
    stage.subject.act(Act::RemoveForGood(&gone))?;
    stage.see()?;
    let before = stage.subject.grants()?;
    let (plan, folder) = stage.plan("p")?;
    if plan.is_empty() {
        return broken("an item is gone, and the plan brings nothing back");
    }
    stage.apply(&plan, &folder)?;
    let opened: Vec<String> =
        stage.subject.grants()?.into_iter().filter(|grant| !before.contains(grant)).collect();
    demand(opened.is_empty(), || format!("applying opened what was closed: {opened:?}"))
}
