//! Every fault at every single call: once, and from there on as when a process dies.
//!
//! After each the store heals, all invariants are compared, and the operation is done again: it must succeed.

use std::sync::Arc;

use blobs::Fault;
use ports::{BlobStore, Clock};
use vault::verify::Depth;

use crate::{
    Violation, World,
    action::{Action, Commit, MirrorSide, Trouble},
    reference::Change,
};

/// What is done under every fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A commit with new and with known chunks.
    Commit,
    /// Opening the vault and restoring a version.
    Restore,
    /// Checking the vault in full.
    Verify,
    /// Renewing locks for a day.
    Renew,
    /// Looking at what is live, and releasing the rest.
    Release,
    /// Removing what has lapsed, while a commit races it.
    Reap,
    /// Lengthening the retention.
    Lengthen,
    /// Copying into a mirror, while the origin fails.
    MirrorFrom,
    /// Copying into a mirror that fails.
    MirrorInto,
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many calls the operation makes.
    pub calls: u64,
    /// How many faults were injected.
    pub injected: u64,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Commit,
        Self::Restore,
        Self::Verify,
        Self::Renew,
        Self::Release,
        Self::Reap,
        Self::Lengthen,
        Self::MirrorFrom,
        Self::MirrorInto,
    ];

    fn action(self, trouble: Option<Trouble>) -> Option<Action> {
        Some(match self {
            // Number 12 is a table that the vault knows, 24 shares pages with no other, 4 is small.
            Self::Commit => commit(&[("table", 12), ("new", 24), ("small", 4)], trouble)?,
            Self::Restore => Action::Restore { pick: 0, trouble },
            Self::Verify => Action::Verify { depth: Depth::ReadData, trouble },
            Self::Renew => Action::Pass { micros: crate::clock::DAY, trouble },
            Self::Release => Action::Release { trouble },
            Self::Reap => {
                let Action::Commit(racing) = commit(&[("again", 24)], None)? else { return None };
                Action::Reap { trouble, racing: Some(racing) }
            }
            Self::MirrorFrom => Action::Mirror { side: MirrorSide::Origin, trouble },
            Self::MirrorInto => Action::Mirror { side: MirrorSide::Mirror, trouble },
            Self::Lengthen => return None,
        })
    }
}

fn commit(items: &[(&str, u64)], trouble: Option<Trouble>) -> Option<Action> {
    let upsert = |(key, content): &(&str, u64)| {
        let stream = "base".parse().ok()?;
        Some(Change::Upsert { stream, key: (*key).to_owned(), content: *content })
    };
    let changes = items.iter().map(upsert).collect::<Option<_>>()?;
    let source = "shop".parse().ok()?;
    Some(Action::Commit(Commit { host: 0, source, changes, look_up: true, trouble }))
}

/// Injects every kind of fault at every call of an operation, until the operation no longer reaches the call.
pub fn sweep(operation: Operation) -> Result<Swept, Violation> {
    let mut swept = Swept::default();
    let prepared = prepared(operation)?;
    for fault in Fault::ALL {
        for lasting in [false, true] {
            for call in 1.. {
                let trouble = Trouble { call, fault, lasting };
                let (calls, injected) = disturb(&mut prepared.fork(call), operation, trouble)
                    .map_err(|violation| located(operation, trouble, &violation))?;
                swept.injected += u64::from(injected > 0);
                if calls < call {
                    break;
                }
                swept.calls = swept.calls.max(call);
            }
        }
    }
    Ok(swept)
}

fn located(operation: Operation, trouble: Trouble, violation: &Violation) -> Violation {
    let detail = format!("{operation:?} under {trouble:?}: {}", violation.detail);
    Violation { invariant: violation.invariant, detail }
}

/// A world in which there is something to lose: the packs of one table are replaced, and with [`Operation::Reap`] lapsed.
fn prepared(operation: Operation) -> Result<World, Violation> {
    let mut world = World::new(77)?;
    let tables = [&[("table", 12), ("small", 4)][..], &[("lapses", 24)], &[("lapses", 36)], &[("small", 10)]];
    for (number, items) in tables.into_iter().enumerate() {
        let Some(action) = commit(items, None) else { continue };
        world.step(&action)?;
        if number == 1 {
            // The first look at a source releases nothing.
            world.step(&Action::Release { trouble: None })?;
        }
    }
    if operation == Operation::Reap {
        world.step(&Action::Release { trouble: None })?;
        world.step(&Action::Reap { trouble: None, racing: None })?;
        // Renewed, but not reaped: its own host is off.
        for _ in 0..14 {
            world.truth.pass(crate::clock::DAY);
            world.renew(None)?;
        }
    }
    Ok(world)
}

/// Returns how many calls the operation made, and how many of them were disturbed.
fn disturb(world: &mut World, operation: Operation, trouble: Trouble) -> Result<(u64, u64), Violation> {
    let disturbance = match operation.action(Some(trouble)) {
        Some(action) => {
            world.step(&action)?;
            world.last_disturbance
        }
        None => lengthen(world, trouble),
    };
    let writes = !matches!(operation, Operation::Restore | Operation::Verify);
    if disturbance.1 > 0 && writes {
        match operation.action(None) {
            Some(action) => world.step(&action)?,
            None => world.step(&Action::Lengthen { days: 9 })?,
        }
        world.check()?;
    }
    Ok(disturbance)
}

fn lengthen(world: &mut World, trouble: Trouble) -> (u64, u64) {
    world.set(Some(trouble));
    let store: Arc<dyn BlobStore> = world.faults.clone();
    let clock: Arc<dyn Clock> = world.hosts[0].clock.clone();
    // Whether it fails is its own affair; what it leaves is compared.
    drop(world.open_writer(clock, store).and_then(|writer| writer.lengthen(9)));
    let disturbance = (world.faults.calls(), world.faults.injected());
    world.faults.heal();
    disturbance
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(operation: Operation, calls_least: u64) {
        let swept = sweep(operation).unwrap_or_else(|violation| panic!("{violation}"));
        assert!(swept.calls >= calls_least && swept.injected > swept.calls, "{operation:?}: {swept:?}");
    }

    #[test]
    fn a_commit_survives_every_fault_at_every_call() {
        holds(Operation::Commit, 10);
    }

    #[test]
    fn a_restore_survives_every_fault_at_every_call() {
        holds(Operation::Restore, 5);
    }

    #[test]
    fn a_check_survives_every_fault_at_every_call() {
        holds(Operation::Verify, 10);
    }

    #[test]
    fn a_renewal_survives_every_fault_at_every_call() {
        holds(Operation::Renew, 5);
        holds(Operation::Lengthen, 5);
    }

    #[test]
    fn a_mirror_survives_every_fault_at_every_call_of_either_store() {
        holds(Operation::MirrorFrom, 15);
        holds(Operation::MirrorInto, 15);
    }

    #[test]
    fn a_release_survives_every_fault_at_every_call() {
        holds(Operation::Release, 10);
    }

    #[test]
    fn a_reaping_survives_every_fault_at_every_call() {
        let mut world = prepared(Operation::Reap).unwrap();
        world.step(&Action::Reap { trouble: None, racing: None }).unwrap();
        assert_eq!(world.counts["reaped packs"], 1, "{}", world.trace.text());
        holds(Operation::Reap, 10);
    }
}
