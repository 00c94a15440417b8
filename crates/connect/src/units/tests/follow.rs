//! Units that are read again and again.

use std::sync::{
    Condvar,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use model::{Attribution, Event, Severity};
use ports::Clock as _;

use super::*;

/// What the units of a test share.
#[derive(Default)]
struct Shared {
    reads: Mutex<BTreeMap<String, Vec<Duration>>>,
    changed: Condvar,
    stop: Stop,
}

impl Shared {
    /// Counts a read; returns how many of that unit there were before.
    fn count(&self, name: &str, at: Duration) -> usize {
        let mut reads = self.reads.lock().unwrap();
        let of_unit = reads.entry(name.to_owned()).or_default();
        of_unit.push(at);
        self.changed.notify_all();
        of_unit.len() - 1
    }

    fn reads(&self, name: &str) -> usize {
        self.reads.lock().unwrap().get(name).map_or(0, Vec::len)
    }

    /// Waits until a unit was read so often.
    fn wait(&self, name: &str, count: usize) {
        let reads = self.reads.lock().unwrap();
        let enough = |reads: &mut BTreeMap<String, Vec<Duration>>| {
            reads.get(name).map_or(0, Vec::len) < count && !self.stop.is_requested()
        };
        drop(self.changed.wait_while(reads, enough).unwrap());
    }
}

type Act = dyn Fn(&Shared, usize, Option<&str>, &mut UnitSink<'_>) -> Result<(), UnitError> + Send + Sync;

/// A unit that does what a test says; it is told how often it was read before.
struct Scripted {
    name: String,
    clock: Arc<ManualClock>,
    shared: Arc<Shared>,
    act: Box<Act>,
}

impl Unit for Scripted {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self, position: Option<&str>, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        let before = self.shared.count(&self.name, self.clock.elapsed());
        (self.act)(&self.shared, before, position, sink)
    }
}

#[derive(Default)]
struct Stage {
    clock: Option<Arc<ManualClock>>,
    shared: Arc<Shared>,
}

impl Stage {
    fn clock(&mut self) -> Arc<ManualClock> {
        let new = || Arc::new(ManualClock::new(Moment::from_micros(0)));
        Arc::clone(self.clock.get_or_insert_with(new))
    }

    fn unit(
        &mut self,
        name: &str,
        every: Duration,
        act: impl Fn(&Shared, usize, Option<&str>, &mut UnitSink<'_>) -> Result<(), UnitError>
        + Send
        + Sync
        + 'static,
    ) -> Planned<'static> {
        let (clock, shared) = (self.clock(), Arc::clone(&self.shared));
        let unit = Scripted { name: name.to_owned(), clock, shared, act: Box::new(act) };
        Planned { unit: Arc::new(unit), every, first: every, urgent: None, names_actors: false }
    }

    fn follow(&mut self, threads: usize, plan: Vec<Planned<'static>>, sink: &mut MemorySink) -> UnitsReport {
        let settings = UnitSettings { threads, ..UnitSettings::new(self.clock() as _) };
        Units::new(settings).follow(plan, sink, &self.shared.stop, &Silent).unwrap()
    }
}

fn event(severity: Severity) -> Event {
    Event {
        at: Moment::from_micros(0),
        position: "1".to_owned(),
        transaction: "1".to_owned(),
        scope: "anna".to_owned(),
        effects: Vec::new(),
        severity,
        actor: None,
        attribution: Attribution::Unknown,
        statement: None,
    }
}

#[test]
fn a_unit_that_takes_long_holds_up_nobody() {
    let mut stage = Stage::default();
    let slow = stage.unit("slow", Duration::ZERO, |shared, _, _, _| {
        shared.wait("quick", 5);
        shared.stop.request();
        Ok(())
    });
    let quick = stage.unit("quick", Duration::ZERO, |_, _, _, _| Ok(()));
    let report = stage.follow(2, vec![slow, quick], &mut MemorySink::new());
    assert!(report.stopped && stage.shared.reads("quick") >= 5);
    assert_eq!(stage.shared.reads("slow"), 1);
}

#[test]
fn units_that_are_read_for_the_first_time_do_not_hold_up_those_that_were_read() {
    let mut stage = Stage::default();
    let quick = stage.unit("quick", Duration::ZERO, |_, _, _, _| Ok(()));
    let mut plan = vec![quick];
    for name in ["a", "b", "c"] {
        plan.push(stage.unit(name, Duration::ZERO, |shared, _, _, _| {
            // It would never end if the only thread that reads anything had to read the other one.
            shared.wait("quick", 4);
            shared.stop.request();
            Ok(())
        }));
    }
    stage.follow(1, plan, &mut MemorySink::new());
    assert!(stage.shared.reads("quick") >= 4);
}

#[test]
fn each_unit_keeps_its_own_time() {
    let mut stage = Stage::default();
    let seldom = stage.unit("seldom", Duration::from_mins(1), |shared, before, _, _| {
        if before == 3 {
            shared.stop.request();
        }
        Ok(())
    });
    let often = stage.unit("often", Duration::from_secs(2), |_, _, _, _| Ok(()));
    stage.follow(2, vec![seldom, often], &mut MemorySink::new());
    let reads = stage.shared.reads.lock().unwrap();
    let pauses = |name: &str| -> Vec<Duration> {
        let of_unit = &reads[name];
        of_unit.windows(2).map(|pair| pair[1].checked_sub(pair[0]).unwrap()).collect()
    };
    assert!(pauses("seldom").iter().all(|pause| *pause >= Duration::from_mins(1)), "{reads:?}");
    assert!(pauses("often").iter().all(|pause| *pause >= Duration::from_secs(2)), "{reads:?}");
    assert!(reads["often"].len() > 40, "{reads:?}");
}

#[test]
fn what_a_unit_said_is_in_a_commit_before_it_is_read_again() {
    let mut stage = Stage::default();
    let stream = || StreamName::new("notes").unwrap();
    let unit = stage.unit("unit", Duration::ZERO, move |shared, before, position, sink| {
        assert_eq!(position.map(str::to_owned), before.checked_sub(1).map(|last| last.to_string()));
        let known = sink.known(&stream(), (0..before).map(|key| key.to_string()).collect())?;
        assert!(known.iter().all(Option::is_some), "{known:?}");
        sink.listed(1)?;
        sink.upsert(item(stream(), before.to_string()), Layout::Small, Body::Bytes(Vec::new()))?;
        sink.advance(before.to_string())?;
        if before == 9 {
            shared.stop.request();
        }
        Ok(())
    });
    let mut sink = MemorySink::new();
    stage.follow(3, vec![unit], &mut sink);
    assert_eq!(sink.stream("notes").len(), 10);
    assert_eq!(sink.stream("position")["unit"].attributes, "9");
    assert_eq!(sink.commits.len(), 10);
}

#[test]
fn where_much_is_destroyed_it_is_looked_again_at_once() {
    let mut stage = Stage::default();
    let hour = Duration::from_hours(1);
    let struck = stage.unit("struck", hour, |shared, before, _, sink| {
        if before == 0 {
            sink.event(event(Severity::Destructive))?;
        }
        if before == 9 {
            shared.stop.request();
        }
        Ok(())
    });
    let struck = Planned { urgent: Some(Duration::from_secs(1)), ..struck };
    let other =
        stage.unit(
            "other",
            hour,
            |_, before, _, sink| {
                if before == 0 { sink.event(event(Severity::Notable)) } else { Ok(()) }
            },
        );
    let other = Planned { urgent: Some(Duration::from_secs(1)), ..other };
    stage.follow(2, vec![struck, other], &mut MemorySink::new());
    let reads = stage.shared.reads.lock().unwrap();
    assert_eq!((reads["struck"].len(), reads["other"].len()), (10, 1));
    assert!(reads["struck"][9] < Duration::from_mins(1), "{reads:?}");
}

#[test]
fn in_haste_what_says_who_it_was_is_looked_at_again_and_again() {
    let mut stage = Stage::default();
    let (hour, urge) = (Duration::from_hours(1), Urge::default());
    let asking = urge.clone();
    let feed = stage.unit("feed", hour, move |shared, before, _, _| {
        shared.wait("log", 1);
        if before == 0 {
            asking.request();
        }
        Ok(())
    });
    let log = stage.unit("log", hour, |shared, before, _, _| {
        if before == 9 {
            shared.stop.request();
        }
        Ok(())
    });
    let log = Planned { urgent: Some(Duration::from_secs(1)), names_actors: true, ..log };
    let settings = UnitSettings { threads: 2, urge, ..UnitSettings::new(stage.clock() as _) };
    let stop = stage.shared.stop.clone();
    Units::new(settings).follow(vec![feed, log], &mut MemorySink::new(), &stop, &Silent).unwrap();
    let reads = stage.shared.reads.lock().unwrap();
    assert_eq!(reads["log"].len(), 10);
    assert!(reads["log"][9] < Duration::from_mins(1), "{reads:?}");
}

#[test]
fn units_come_and_go_with_the_plan() {
    let mut stage = Stage::default();
    let left = Arc::new(AtomicBool::new(false));
    let new = {
        let left = Arc::clone(&left);
        stage.unit("new", Duration::ZERO, move |shared, before, _, sink| {
            if left.load(SeqCst) && before > 3 {
                shared.stop.request();
            }
            sink.advance("new".to_owned())
        })
    };
    let old = stage.unit("old", Duration::ZERO, move |shared, _, _, sink| {
        sink.advance("before".to_owned())?;
        // Meanwhile a plan is made in which it is missing.
        shared.wait("new", 1);
        left.store(true, SeqCst);
        sink.advance("after".to_owned())
    });
    let guide = stage.unit("guide", Duration::ZERO, move |shared, _, _, sink| {
        shared.wait("old", 1);
        sink.plan(vec![new.clone(), Planned::once(Arc::new(Numbers::new("other", 2)))])
    });
    let mut sink = MemorySink::new();
    stage.follow(3, vec![guide, old], &mut sink);
    assert_eq!((stage.shared.reads("old"), stage.shared.reads("guide")), (1, 1));
    let positions = sink.stream("position");
    assert_eq!(positions["new"].attributes, "new");
    assert_ne!(positions.get("old").map(|held| held.attributes.as_str()), Some("after"));
    assert_eq!(sink.stream("other").len(), 2);
}

#[test]
fn a_plan_that_is_read_once_takes_in_what_its_units_add() {
    let mut stage = Stage::default();
    let last = stage.unit("last", Duration::ZERO, |_, _, _, sink| sink.advance("1".to_owned()));
    let both = |stage: &mut Stage| {
        let last = last.clone();
        let first = stage.unit("first", Duration::ZERO, move |_, _, _, sink| {
            let own = Planned::once(Arc::new(Numbers::new("first", 0)));
            sink.plan(vec![own, last.clone()])
        });
        vec![first]
    };
    let plan = both(&mut stage);
    let mut sink = MemorySink::new();
    let report = Units::new(settings()).read_plan(plan, &mut sink, &Stop::default(), &Silent).unwrap();
    assert_eq!(report, UnitsReport { read: 2, ..UnitsReport::default() });
    assert_eq!((stage.shared.reads("first"), stage.shared.reads("last")), (1, 1));
    assert_eq!(sink.stream("position").into_keys().collect::<Vec<_>>(), ["last"]);
}

#[test]
fn a_unit_that_cannot_be_seen_for_a_while_is_told_once_and_taken_back() {
    let mut stage = Stage::default();
    let unit = stage.unit("unit", Duration::ZERO, |shared, before, _, _| match before {
        0..3 => Err(UnitError::Blinded { detail: "suspended".to_owned(), hint: None }),
        3..6 => Ok(()),
        _ => {
            shared.stop.request();
            Ok(())
        }
    });
    let mut sink = MemorySink::new();
    let report = stage.follow(2, vec![unit], &mut sink);
    assert_eq!((report.read, report.blinded.len()), (1, 0));
    assert!(sink.stream("blinded").is_empty());
    assert_eq!(sink.commits.iter().map(|commit| commit.ledger.unreadable).sum::<u64>(), 1);
}
