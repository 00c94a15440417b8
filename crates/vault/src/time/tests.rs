//! Clocks that jump both ways, stand still, and lie from the start.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicI64, Ordering},
};

use model::Moment;
use ports::{Clock, ManualClock, TimeError, TimeSource};
use ring::signature::{Ed25519KeyPair, KeyPair};

use super::{
    FREEZE_MICROS, SLACK_MICROS, TimeAlarm, TimeReading, TimeRecord, TimeRecordError, TimeState, VaultClock,
};
use crate::{
    VaultId,
    id::hex,
    quorum::{Answer, PURPOSE, Question, Quorum},
    retention::DAY_MICROS,
};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3600 * SECOND;
const YEAR: i64 = 366 * DAY_MICROS;
const VAULT: VaultId = VaultId([7; 16]);

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Option<TimeState>>>);

impl TimeRecord for Memory {
    fn load(&self) -> Result<Option<TimeState>, TimeRecordError> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn save(&self, state: &TimeState) -> Result<(), TimeRecordError> {
        *self.0.lock().unwrap() = Some(state.clone());
        Ok(())
    }
}

/// Somebody else's clock: the true time and an error, or silence.
struct Other {
    truth: Arc<ManualClock>,
    error_micros: AtomicI64,
}

const SILENT: i64 = i64::MAX;

impl TimeSource for Other {
    fn name(&self) -> String {
        "another host".to_owned()
    }

    fn read(&self) -> Result<Moment, TimeError> {
        match self.error_micros.load(Ordering::SeqCst) {
            SILENT => Err(TimeError { name: self.name(), source: "no answer".into() }),
            error => Ok(self.truth.now().plus_micros(error)),
        }
    }
}

struct Scene {
    truth: Arc<ManualClock>,
    own: Arc<ManualClock>,
    others: Vec<Arc<Other>>,
    memory: Memory,
}

impl Scene {
    fn new(others: usize) -> Self {
        let start = Moment::from_micros(50 * YEAR);
        let truth = Arc::new(ManualClock::new(start));
        let other = || Arc::new(Other { truth: Arc::clone(&truth), error_micros: AtomicI64::new(0) });
        Self {
            others: (0..others).map(|_| other()).collect(),
            own: Arc::new(ManualClock::new(start)),
            memory: Memory::default(),
            truth,
        }
    }

    fn pass(&self, micros: i64) {
        self.truth.advance_micros(micros);
        self.own.advance_micros(micros);
    }

    /// A new process each time, as with commands.
    fn clock(&self) -> VaultClock {
        let source = |other: &Arc<Other>| -> Arc<dyn TimeSource> { Arc::clone(other) as _ };
        let sources = self.others.iter().map(source).collect();
        let own: Arc<dyn Clock> = self.own.clone();
        VaultClock::new(own, sources, Box::new(self.memory.clone()))
    }

    fn read(&self) -> TimeReading {
        self.clock().read(None).unwrap()
    }
}

#[test]
fn true_time_is_followed() {
    let scene = Scene::new(0);
    let start = scene.read().now;
    for _ in 0..31 {
        scene.pass(DAY_MICROS);
        let reading = scene.read();
        assert_eq!(reading.now, scene.truth.now());
        assert!(reading.frozen.is_none() && reading.alarms.is_empty(), "{:?}", reading.alarms);
    }
    assert_eq!(scene.read().now.micros_since(start), 31 * DAY_MICROS);
}

#[test]
fn a_clock_that_is_set_ten_years_ahead_moves_vault_time_by_the_slack_and_freezes() {
    let scene = Scene::new(0);
    let start = scene.read().now;
    scene.own.jump_micros(10 * YEAR);
    let reading = scene.read();
    assert_eq!(reading.now.micros_since(start), SLACK_MICROS);
    assert!(reading.frozen.is_some());
    assert!(matches!(reading.alarms[..], [TimeAlarm::Ahead { micros }] if micros > 9 * YEAR));
    // Locks are counted from the latest credible time, and ten years ahead is not credible.
    assert_eq!(reading.latest, reading.now);
    // Setting it right again does not thaw: somebody has tried something.
    scene.own.jump_micros(-10 * YEAR);
    assert!(scene.read().frozen.is_some());
}

#[test]
fn a_clock_that_goes_back_or_stands_still_only_delays() {
    let scene = Scene::new(0);
    let start = scene.read().now;
    scene.pass(DAY_MICROS);
    let day = scene.read().now;
    assert_eq!(day.micros_since(start), DAY_MICROS);
    scene.own.jump_micros(-YEAR);
    let reading = scene.read();
    assert_eq!(reading.now, day);
    assert_eq!(reading.latest, day, "a lock made now would be too short");
    assert!(matches!(reading.alarms[..], [TimeAlarm::Behind { .. }]));
    // It stands still: the machine runs on, wall time does not.
    let stuck = Scene::new(0);
    let start = stuck.read().now;
    for _ in 0..30 {
        stuck.pass(DAY_MICROS);
        stuck.own.jump_micros(-DAY_MICROS);
        assert_eq!(stuck.read().now, start);
    }
    assert!(matches!(stuck.read().alarms[..], [TimeAlarm::Behind { .. }]));
    assert!(stuck.read().frozen.is_none());
}

#[test]
fn a_clock_that_lies_at_the_first_look_delays_and_never_hastens() {
    let early = Scene::new(0);
    early.own.jump_micros(-40 * YEAR);
    let start = early.read().now;
    early.own.jump_micros(40 * YEAR);
    assert!(early.read().now.micros_since(start) <= SLACK_MICROS, "forty years passed in no time");
    assert!(early.read().frozen.is_some());

    let late = Scene::new(0);
    late.own.jump_micros(10 * YEAR);
    let start = late.read().now;
    late.own.jump_micros(-10 * YEAR);
    late.pass(30 * DAY_MICROS);
    assert_eq!(late.read().now, start, "vault time waits until the clocks have reached it");
}

#[test]
fn small_steps_add_up_to_the_slack_and_no_more() {
    let scene = Scene::new(0);
    let start = scene.read().now;
    for step in 1..=720 {
        scene.pass(SECOND);
        scene.own.jump_micros(HOUR);
        let gained = scene.read().now.micros_since(start) - step * SECOND;
        assert!(gained <= SLACK_MICROS + SECOND, "{gained} after {step} steps");
    }
    assert!(scene.read().frozen.is_some());
}

#[test]
fn a_restart_does_not_renew_the_slack() {
    let scene = Scene::new(0);
    let start = scene.read().now;
    for _ in 0..50 {
        scene.own.restart(HOUR / 2);
        scene.read();
    }
    // 25 hours switched off: vault time has followed by the slack alone.
    assert_eq!(scene.read().now.micros_since(start), SLACK_MICROS);
}

#[test]
fn one_liar_among_three_clocks_changes_nothing_and_two_gain_the_slack() {
    let scene = Scene::new(2);
    scene.read();
    scene.others[0].error_micros.store(10 * YEAR, Ordering::SeqCst);
    scene.pass(DAY_MICROS);
    let reading = scene.read();
    assert_eq!(reading.now, scene.truth.now());
    assert!(reading.frozen.is_none());
    scene.others[1].error_micros.store(31 * DAY_MICROS, Ordering::SeqCst);
    let reading = scene.read();
    let gained = reading.now.micros_since(scene.truth.now());
    assert!(gained <= SLACK_MICROS + SECOND * 60, "{gained}");
    assert!(reading.frozen.is_some());
}

#[test]
fn without_a_quorum_vault_time_stands_still() {
    let scene = Scene::new(1);
    let start = scene.read().now;
    scene.others[0].error_micros.store(SILENT, Ordering::SeqCst);
    scene.pass(40 * DAY_MICROS);
    let reading = scene.read();
    assert_eq!(reading.now, start);
    assert!(reading.alarms.iter().any(|alarm| matches!(alarm, TimeAlarm::Silent { .. })));
    assert!(
        reading.alarms.iter().any(|alarm| matches!(alarm, TimeAlarm::NoQuorum { answered: 1, needed: 2 }))
    );
    scene.others[0].error_micros.store(0, Ordering::SeqCst);
    assert_eq!(scene.read().now, scene.truth.now(), "the machine ran all the time, which accounts for it");
}

#[test]
fn a_memory_that_is_removed_freezes_at_what_the_vault_has_on_record() {
    let scene = Scene::new(0);
    let known = scene.read().now.plus_micros(5 * DAY_MICROS);
    scene.pass(5 * DAY_MICROS);
    scene.read();
    *scene.memory.0.lock().unwrap() = None;
    scene.own.jump_micros(YEAR);
    let reading = scene.clock().read(Some(known)).unwrap();
    assert!(reading.frozen.is_some());
    assert!(reading.now.micros_since(known) <= SLACK_MICROS);
}

#[test]
fn enough_people_thaw_this_freeze_and_no_other() {
    let scene = Scene::new(0);
    scene.read();
    scene.own.restart(3 * FREEZE_MICROS);
    let freeze = scene.read().frozen.unwrap();
    let people: Vec<_> = (1..=2).map(|n| Ed25519KeyPair::from_seed_unchecked(&[n; 32]).unwrap()).collect();
    let public = |key: &Ed25519KeyPair| hex(key.public_key().as_ref());
    let quorum =
        Quorum { threshold: 2, people: people.iter().map(|key| (public(key), public(key))).collect() };
    let consent = |question: &Question| {
        let message = [PURPOSE.as_bytes(), &[0], &question.message(&VAULT)].concat();
        let answer = |key: &Ed25519KeyPair| Answer {
            public: public(key),
            signature: hex(key.sign(&message).as_ref()),
        };
        let answers: Vec<_> = people.iter().map(answer).collect();
        quorum.consent(&VAULT, question, &answers).unwrap()
    };
    let other = Question::new("thaw", "another freeze");
    assert_eq!(scene.clock().thaw(&consent(&other)).unwrap(), None);
    let thawed = scene.clock().thaw(&consent(&freeze.question())).unwrap().unwrap();
    assert!(thawed.frozen.is_none());
    assert_eq!(thawed.now, scene.own.now());
    assert_eq!(scene.clock().thaw(&consent(&freeze.question())).unwrap(), None, "it can be used once");
}
