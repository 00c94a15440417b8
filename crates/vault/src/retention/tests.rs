//! The life of a pack as a small state machine: every state that can be reached is visited, with the very functions that
//! decide in earnest.

#![expect(clippy::struct_excessive_bools, reason = "each is one fact or assumption of the model")]

use std::collections::{HashSet, VecDeque};

use model::Moment;

use super::{
    Circumstances, DAY_MICROS, Facts, MARGIN_DAYS, Stays,
    life::{may_reap, may_release, renewal},
};

/// The window of this model in days.
const WINDOW: i64 = 3;
const NOW: i64 = 1000;

/// One pack as it truly stands. Everything is counted in days from now, so that equal situations are equal states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Pack {
    /// A live version needs it.
    needed: bool,
    /// Days since a live version last needed it; counted up to the window.
    idle: i64,
    /// Days until the store's lock lapses by the store's clock; -1 when it has.
    lock: i64,
    /// Days since the entry that releases it, as the entry says.
    released: Option<i64>,
    /// Days since the reaper first saw that no live version needs it.
    seen: Option<i64>,
    /// A commit came that the release did not know of.
    void: bool,
    /// A reaper has looked and found that it may be removed, and has not removed it yet.
    condemned: bool,
    /// A commit came since the reaper looked.
    referred: bool,
}

/// What is assumed to work, and what is in the attacker's hands.
#[derive(Debug, Clone, Copy)]
struct Assumptions {
    /// The store refuses to remove what is locked.
    store_locks: bool,
    /// Every day locks are renewed, and releases that do not hold are recalled.
    renewed: bool,
    /// Vault time is true; otherwise it is whatever helps the attacker.
    time_true: bool,
    /// Entries carry their true date; otherwise the restore key is stolen.
    dates_true: bool,
}

fn day(days: i64) -> Moment {
    Moment::from_micros((NOW + days) * DAY_MICROS)
}

fn days(moment: Moment) -> i64 {
    moment.as_micros() / DAY_MICROS - NOW
}

impl Pack {
    const NEW: Self = Self {
        needed: true,
        idle: 0,
        lock: WINDOW + MARGIN_DAYS as i64,
        released: None,
        seen: None,
        void: false,
        condemned: false,
        referred: false,
    };

    fn locked_until(&self) -> Moment {
        day(self.lock)
    }

    fn facts(&self) -> Facts {
        let released = self.released.filter(|_| !self.void);
        let counted = released.and_then(|released| Some(released.min(self.seen?)));
        Facts {
            needed: self.needed,
            held: false,
            released_at: counted.map(|age| day(-age)),
            locked_until: Some(self.locked_until()),
        }
    }

    fn tick(mut self, assumed: Assumptions) -> Self {
        if assumed.renewed {
            if self.needed {
                self = self.recall();
            }
            self = self.renew();
        }
        self.lock = (self.lock - 1).max(-1);
        self.idle = if self.needed { 0 } else { (self.idle + 1).min(WINDOW) };
        self.released = self.released.map(|age| (age + 1).min(WINDOW + 1));
        self.seen = self.seen.map(|age| (age + 1).min(WINDOW + 1));
        // A reaper works for hours, not for days.
        self.condemned = false;
        self.referred = false;
        self
    }

    fn recall(self) -> Self {
        Self { released: None, void: false, ..self }
    }

    fn renew(mut self) -> Self {
        let released = self.released.filter(|_| !self.void).map(|age| day(-age));
        if let Some(until) = renewal(Some(self.locked_until()), released, day(0), WINDOW as u32) {
            self.lock = self.lock.max(days(until));
        }
        self
    }
}

/// Lists every state that can follow, and whether the step removed the pack.
fn successors(pack: Pack, assumed: Assumptions) -> Vec<(&'static str, Pack, bool)> {
    let now = if assumed.time_true { day(0) } else { day(10_000) };
    let world = Circumstances { now, frozen: false, lock_days: WINDOW as u32 };
    let mut next = vec![("a day passes", pack.tick(assumed), false), ("renewal", pack.renew(), false)];
    // A commit refers to it: first the lock, then the commit.
    let lock = if pack.lock < WINDOW { WINDOW + i64::from(MARGIN_DAYS) } else { pack.lock };
    next.push(("a reference begins and is given up", Pack { lock, ..pack }, false));
    let void = pack.released.is_some();
    next.push((
        "a commit refers to it",
        Pack { lock, needed: true, idle: 0, seen: None, void, referred: true, ..pack },
        false,
    ));
    next.push(("it is replaced", Pack { needed: false, seen: None, ..pack }, false));
    if may_release(&pack.facts(), &world).is_ok() && (pack.released.is_none() || pack.void) {
        let dates: &[i64] = if assumed.dates_true { &[0] } else { &[0, WINDOW + 1] };
        for age in dates {
            let lock = pack.lock.max(WINDOW);
            let released = Pack { released: Some(*age), void: false, lock, ..pack };
            next.push(("it is released", released, false));
        }
    }
    if !assumed.dates_true && pack.released.is_none() {
        // With a stolen restore key an entry can name any pack, needed or not, and touch no lock.
        let forged = Pack { released: Some(WINDOW + 1), void: false, ..pack };
        next.push(("a release is forged", forged, false));
    }
    if pack.released.is_some() {
        next.push(("it is recalled", pack.recall(), false));
    }
    if !pack.needed {
        next.push(("the reaper reads the logs", Pack { seen: pack.seen.or(Some(0)), ..pack }, false));
        next.push(("the reaper forgets", Pack { seen: None, ..pack }, false));
    }
    if may_reap(&pack.facts(), &world).is_ok() {
        next.push(("the reaper looks", Pack { condemned: true, referred: false, ..pack }, false));
    }
    let store_allows = !assumed.store_locks || pack.lock <= 0;
    if pack.condemned && store_allows && !pack.referred {
        next.push(("the reaper removes it", pack, true));
    }
    next
}

/// Visits every reachable state; returns how many there are, how many removals, and the first that broke the promise.
fn explore(assumed: Assumptions) -> (usize, usize, Option<(&'static str, Pack)>) {
    let mut seen = HashSet::from([Pack::NEW]);
    let mut queue = VecDeque::from([Pack::NEW]);
    let mut removals = 0;
    while let Some(pack) = queue.pop_front() {
        for (step, after, removed) in successors(pack, assumed) {
            if removed {
                removals += 1;
                if pack.needed || pack.idle < WINDOW {
                    return (seen.len(), removals, Some((step, pack)));
                }
            } else if seen.insert(after) {
                queue.push_back(after);
            }
        }
    }
    (seen.len(), removals, None)
}

const ALL: Assumptions = Assumptions { store_locks: true, renewed: true, time_true: true, dates_true: true };

#[test]
fn nothing_inside_its_window_is_ever_removed_and_what_lapsed_is() {
    let (states, removals, broken) = explore(ALL);
    assert_eq!(broken, None);
    assert!(states > 500 && removals > 0, "{states} states, {removals} removals: the model does not move");
}

#[test]
fn the_log_alone_keeps_the_promise_when_the_store_enforces_nothing_and_nobody_renews() {
    for dates_true in [true, false] {
        let assumed = Assumptions { store_locks: false, renewed: false, dates_true, ..ALL };
        let (_, removals, broken) = explore(assumed);
        assert_eq!(broken, None, "{assumed:?}");
        assert!(removals > 0);
    }
}

#[test]
fn the_store_s_lock_alone_keeps_the_promise_when_vault_time_and_dates_lie() {
    let assumed = Assumptions { time_true: false, dates_true: false, ..ALL };
    let (_, removals, broken) = explore(assumed);
    assert_eq!(broken, None);
    assert!(removals > 0);
}

#[test]
fn with_both_guards_gone_the_model_finds_the_loss() {
    let assumed = Assumptions { store_locks: false, time_true: false, ..ALL };
    assert!(explore(assumed).2.is_some(), "a model that finds nothing here proves nothing above");
    let forgotten = Assumptions { renewed: false, time_true: false, dates_true: false, ..ALL };
    assert!(
        explore(forgotten).2.is_some(),
        "without renewal the store's lock cannot carry the promise alone"
    );
}

#[test]
fn every_condition_stands_alone() {
    let world = Circumstances { now: day(0), frozen: false, lock_days: WINDOW as u32 };
    let lapsed =
        Facts { needed: false, held: false, released_at: Some(day(-WINDOW)), locked_until: Some(day(0)) };
    assert_eq!(may_reap(&lapsed, &world), Ok(()));
    assert_eq!(may_reap(&lapsed, &Circumstances { frozen: true, ..world }), Err(Stays::Frozen));
    assert_eq!(may_reap(&Facts { needed: true, ..lapsed }, &world), Err(Stays::Needed));
    assert_eq!(may_reap(&Facts { held: true, ..lapsed }, &world), Err(Stays::Held));
    assert_eq!(may_reap(&Facts { released_at: None, ..lapsed }, &world), Err(Stays::NotReleased));
    let late = Facts { released_at: Some(day(1 - WINDOW)), ..lapsed };
    assert_eq!(may_reap(&late, &world), Err(Stays::InWindow { until: day(1) }));
    assert_eq!(may_reap(&Facts { locked_until: Some(day(1)), ..lapsed }, &world), Err(Stays::Locked));
    assert_eq!(may_reap(&Facts { locked_until: None, ..lapsed }, &world), Err(Stays::Locked));
}
