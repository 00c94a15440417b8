//! Attacks on one locked object.

use model::Moment;

use super::{
    super::{
        LockMode,
        connection::S3Error,
        encoding::{sha256, whole_second},
    },
    Bench, LOCK_MICROS, Outcome, SECOND_MICROS, Target,
    attacker::{Attacker, OddPut, checksum},
    lock_damage, text_of,
};

/// An attack: what should hold against it, and how it is run.
struct Attack {
    id: &'static str,
    expected: &'static str,
    run: fn(&Attacker, &Target) -> Result<(), S3Error>,
}

/// From the mild to the harsh: what a store lets through early does not hide what it refuses later.
const ATTACKS: &[Attack] = &[
    Attack {
        id: "overwrite",
        expected: "a later version leaves a locked one as it was",
        run: |attacker, target| {
            let (key, content) = (target.key.as_str(), b"planted".as_slice());
            attacker.put(OddPut { key, content, headers: vec![checksum(content)] }).map(drop)
        },
    },
    Attack {
        id: "delete-marker",
        expected: "a delete marker leaves a locked version as it was",
        run: |attacker, target| attacker.hide(&target.key),
    },
    Attack {
        id: "shorten",
        expected: "a lock cannot be shortened",
        run: |attacker, target| {
            attacker.set_lock(&target.key, &target.version_id, "COMPLIANCE", earlier(target), false)
        },
    },
    Attack {
        id: "shorten-bypass",
        expected: "a lock cannot be shortened with the header that lifts locks",
        run: |attacker, target| {
            attacker.set_lock(&target.key, &target.version_id, "COMPLIANCE", earlier(target), true)
        },
    },
    Attack {
        id: "downgrade",
        expected: "a lock cannot be made one that can be lifted",
        run: |attacker, target| {
            let later = target.until.plus_micros(60 * SECOND_MICROS);
            attacker.set_lock(&target.key, &target.version_id, "GOVERNANCE", later, true)
        },
    },
    Attack {
        id: "clear",
        expected: "a lock cannot be removed",
        run: |attacker, target| attacker.clear_lock(&target.key, &target.version_id),
    },
    Attack {
        id: "delete-version",
        expected: "a locked version cannot be deleted",
        run: |attacker, target| attacker.delete_version(&target.key, &target.version_id, false),
    },
    Attack {
        id: "delete-bypass",
        expected: "a locked version cannot be deleted with the header that lifts locks",
        run: |attacker, target| attacker.delete_version(&target.key, &target.version_id, true),
    },
    Attack {
        id: "delete-batch",
        expected: "a locked version cannot be deleted through the call that takes many",
        run: |attacker, target| attacker.delete_batch(&target.key, &target.version_id),
    },
];

fn earlier(target: &Target) -> Moment {
    target.until.plus_micros(-LOCK_MICROS / 2)
}

impl Bench {
    /// Writes an object and attacks it; false when none could be written at all.
    pub(super) fn object(&mut self, store_now: Moment) -> bool {
        for attack in ATTACKS {
            // Each attack has an object of its own: one that succeeds leaves nothing for the next.
            let target = match self.target(attack.id, store_now) {
                Ok(target) => target,
                Err(error) => {
                    self.note("write", "the store takes a locked object", text_of(&error), Outcome::Fails);
                    return false;
                }
            };
            if !self.lock_shown(&target) {
                return true;
            }
            let answer = (attack.run)(&self.attacker, &target);
            let answered =
                answer.as_ref().map_or_else(text_of, |()| "the store answers with success".to_owned());
            let (seen, outcome) = match target.damage(&self.client) {
                Ok(None) => (answered, Outcome::Holds),
                Ok(Some(damage)) => (format!("{damage}; {answered}"), Outcome::Fails),
                Err(error) => (format!("it cannot be seen: {}", text_of(&error)), Outcome::Remark),
            };
            self.note(attack.id, attack.expected, seen, outcome);
        }
        self.extend(store_now);
        true
    }

    pub(super) fn target(&self, name: &str, store_now: Moment) -> Result<Target, S3Error> {
        let content = b"a throw-away object of an attestation".as_slice();
        let until = whole_second(store_now.plus_micros(LOCK_MICROS));
        let key = self.key(name);
        let version_id = self.client.put_locked(&key, content, &sha256(content), until)?;
        let version_id = version_id.ok_or(S3Error::Nonsense { what: "a write without a version" })?;
        Ok(Target { key, version_id, content, until })
    }

    /// Looks whether the lock that a write asked for is there; tells whether attacks make sense.
    fn lock_shown(&mut self, target: &Target) -> bool {
        const EXPECTED: &str = "the lock that a write asks for is there at once";
        let first = self.checks.iter().all(|check| check.id != "lock-on-write");
        let (seen, outcome, locked) = match self.client.head_version(&target.key, &target.version_id) {
            Err(error) => {
                (format!("what was written is not there: {}", text_of(&error)), Outcome::Fails, false)
            }
            Ok(head) => match lock_damage(&head, target.until) {
                None => ("it is".to_owned(), Outcome::Holds, true),
                Some(damage) => {
                    let mended = self.client.extend_retention(&target.key, &target.version_id, target.until);
                    let again = target.damage(&self.client);
                    if mended.is_ok() && matches!(again, Ok(None)) {
                        (format!("{damage}; setting it afterwards works"), Outcome::Remark, true)
                    } else {
                        (format!("{damage}; setting it afterwards does not help"), Outcome::Fails, false)
                    }
                }
            },
        };
        if first {
            self.note("lock-on-write", EXPECTED, seen, outcome);
        }
        locked
    }

    fn extend(&mut self, store_now: Moment) {
        const EXPECTED: &str = "a lock can be moved to a later moment";
        let Ok(target) = self.target("extend", store_now) else {
            return self.note("extend", EXPECTED, "no object could be written for it", Outcome::Fails);
        };
        let later = target.until.plus_micros(60 * SECOND_MICROS);
        let answer = self.client.extend_retention(&target.key, &target.version_id, later);
        let head = self.client.head_version(&target.key, &target.version_id);
        let moved = head.as_ref().is_ok_and(|head| {
            head.mode == Some(LockMode::Compliance) && head.locked_until.is_some_and(|lock| lock >= later)
        });
        let seen = match (&answer, moved) {
            (Err(error), _) => text_of(error),
            (Ok(()), true) => "it is".to_owned(),
            (Ok(()), false) => "the store answers with success and did not".to_owned(),
        };
        self.note("extend", EXPECTED, seen, if moved { Outcome::Holds } else { Outcome::Fails });
    }

    /// Shows that a short lock holds until it lapses, and that the attacker can delete what is not locked: without
    /// that, a refusal may come from a missing permission.
    pub(super) fn lapse(&mut self) {
        const CONTROL: &str =
            "the attacking credential can delete what has lapsed, so refusals come from locks";
        const PAUSES_MAX: u32 = 20;
        let content = b"a short lock".as_slice();
        let key = self.key("lapse");
        let written = self.client.time().and_then(|now| {
            let until = whole_second(now.plus_micros(3 * SECOND_MICROS));
            Ok((self.write_locked(&key, content, until)?, until))
        });
        let Ok((version_id, until)) = written else {
            return self.note("lapse", CONTROL, "no object could be written for it", Outcome::Remark);
        };
        let early = self.attacker.delete_version(&key, &version_id, true);
        let alive = self.client.head_version(&key, &version_id).is_ok();
        let now = self.client.time();
        if now.is_ok_and(|now| now < until) {
            let seen = early.as_ref().map_or_else(text_of, |()| "the store answers with success".to_owned());
            let outcome = if alive { Outcome::Holds } else { Outcome::Fails };
            self.note("short-lock", "a lock of seconds holds until it lapses", seen, outcome);
        }
        let lapsed = (0..PAUSES_MAX).any(|_| {
            self.client.connection().clock().sleep(std::time::Duration::from_secs(1));
            self.client.time().is_ok_and(|now| now > until)
        });
        let (seen, outcome) = match self.attacker.delete_version(&key, &version_id, false) {
            Ok(()) if self.client.head_version(&key, &version_id).is_err() => {
                ("it can".to_owned(), Outcome::Holds)
            }
            Ok(()) => ("the store answers with success and deletes nothing".to_owned(), Outcome::Remark),
            Err(error) if lapsed => {
                let what = "lend a credential that may delete to see what the locks are worth";
                (format!("it cannot: {}; {what}", text_of(&error)), Outcome::Remark)
            }
            Err(_) => ("the lock did not lapse in time".to_owned(), Outcome::Remark),
        };
        self.note("lapse", CONTROL, seen, outcome);
    }
}
