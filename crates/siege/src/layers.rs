//! The attacks, layer by layer.

mod cache;
mod folder;
mod host;
mod keys;
mod log;
mod mirror;
pub(crate) mod place;
mod poison;
mod restore;
mod retention;
mod store;
mod time;

use connect::Progress;

use crate::{Attack, Attempt, Ground, Layer, Outcome, Promise, SiegeError};

/// A layer's attacks.
pub(crate) struct Table {
    pub(crate) layer: Layer,
    pub(crate) attacks: &'static [Attack],
}

const TABLES: [Table; 11] = [
    folder::TABLE,
    store::TABLE,
    log::TABLE,
    poison::TABLE,
    retention::TABLE,
    keys::TABLE,
    restore::TABLE,
    cache::TABLE,
    time::TABLE,
    mirror::TABLE,
    host::TABLE,
];

/// Tries everything, and checks after each attempt that nothing else than what was meant has changed.
pub(crate) fn run_all(
    ground: &Ground<'_>,
    progress: &dyn Progress,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<Attempt>, SiegeError> {
    progress.phase("attacking", None);
    let mut attempts = folder::with_files(ground, progress, stop)?;
    if ground.folder.is_none() {
        attempts.extend(place::measured(&ground.standing));
    }
    for Table { layer, attacks } in TABLES {
        for attack in attacks {
            if stop() {
                return Ok(attempts);
            }
            let outcome = (attack.run)(ground).unwrap_or_else(|error| {
                Outcome::not_possible(format!("it could not be tried: {}", vault::error_text(&error)))
            });
            let attempt = Attempt {
                number: attack.number,
                layer,
                what: attack.what.to_owned(),
                credential: attack.credential.to_owned(),
                on: attack.on,
                promised: is_promised(ground, attack.promise),
                outcome,
            };
            ground.check(&attempt)?;
            attempts.push(attempt);
            progress.advance(1);
        }
    }
    Ok(attempts)
}

fn is_promised(ground: &Ground<'_>, promise: Promise) -> bool {
    match promise {
        Promise::Always => true,
        Promise::FromTier(tier) => ground.standing.tier >= tier,
        Promise::WithMirror => ground.has_mirror(),
        Promise::Never => false,
    }
}
