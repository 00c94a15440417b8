//! Mirrors: can a loss, another vault, or a bomb reach them?

use std::sync::Arc;

use model::Moment;
use ports::{BlobName, BlobStore, Clock, ManualClock};
use vault::{
    mirror::{MirrorOptions, MirrorWatch, PROMISE_DAYS_MAX, Pair, PullReport, pull},
    retention::{DAY_MICROS, MARGIN_DAYS},
};

use super::{Table, log::on_copy};
use crate::{Attack, Ground, Layer, Outcome, Promise, Scene, SiegeError, decoy, miniature::Miniature};

pub(super) const TABLE: Table = Table {
    layer: Layer::Mirror,
    attacks: &[
        on_copy!(
            17,
            "delete everything at the origin and let the mirror run",
            "delete access to the origin",
            Promise::Always,
            emptied
        ),
        on_copy!(
            17,
            "damage everything at the origin and let the mirror run",
            "write access to the origin",
            Promise::Always,
            damaged
        ),
        on_copy!(
            24,
            "put another vault in the origin's place",
            "whoever owns the origin's address",
            Promise::Always,
            exchanged
        ),
        on_copy!(
            19,
            "have everything locked for a thousand years",
            "the origin's store",
            Promise::Always,
            lock_bomb
        ),
        on_copy!(16, "lose the vault's place altogether", "its owner, or a fire", Promise::WithMirror, gone),
    ],
};

struct Mirrored {
    copy: Miniature,
    pair: Pair,
    mirror: Arc<blobs::MemoryStore>,
}

impl Mirrored {
    fn new(ground: &Ground<'_>) -> Result<Self, SiegeError> {
        let copy = ground.miniature()?;
        let mirror = Arc::new(blobs::MemoryStore::new());
        let pair = Pair {
            origin: Arc::<blobs::MemoryStore>::clone(&copy.store),
            mirror: Arc::<blobs::MemoryStore>::clone(&mirror),
            clock: Arc::<ManualClock>::clone(&copy.clock),
        };
        let mirrored = Self { copy, pair, mirror };
        mirrored.run()?;
        Ok(mirrored)
    }

    fn run(&self) -> Result<PullReport, SiegeError> {
        pull(&self.pair, &MirrorOptions::default(), MirrorWatch::IDLE)
            .map_err(|error| SiegeError::Untried(vault::error_text(&error)))
    }

    fn keeps_all(&self) -> Result<bool, SiegeError> {
        let store: Arc<dyn BlobStore> = Arc::<blobs::MemoryStore>::clone(&self.mirror);
        let reader = vault::VaultReader::open(store, &self.copy.restore)?;
        Ok(decoy::first_lost(&reader, self.copy.last)?.is_none())
    }

    /// Harms the origin's objects, runs the mirror, and looks at what it has then.
    fn after(&self, harm: impl Fn(&BlobName)) -> Result<Outcome, SiegeError> {
        for blob in self.copy.store.list("")? {
            harm(&blob.name);
        }
        let report = self.run()?;
        Ok(match (self.keeps_all()?, report.shows_loss()) {
            (true, true) => Outcome::detected(format!(
                "the mirror's run names {} objects and keeps its own",
                report.differences.len()
            )),
            (true, false) => Outcome::not_held("the mirror does not notice", "its run found nothing"),
            (false, _) => Outcome::not_held("the loss reached the mirror", "a version is lost there"),
        })
    }
}

fn emptied(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let mirrored = Mirrored::new(ground)?;
    mirrored.after(|name| mirrored.copy.remove(name))
}

fn damaged(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let mirrored = Mirrored::new(ground)?;
    mirrored.after(|name| mirrored.copy.change(name, |bytes| bytes.truncate(bytes.len() / 2)))
}

fn exchanged(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let mirrored = Mirrored::new(ground)?;
    let other = Arc::new(blobs::MemoryStore::new());
    let random = ports::SeededRandom::new(3);
    vault::init(&*other, vault::InitOptions { lock_days: 1 }, &*mirrored.copy.clock, &random)
        .map_err(|error| SiegeError::Untried(vault::error_text(&error)))?;
    let pair = Pair {
        origin: other,
        mirror: Arc::<blobs::MemoryStore>::clone(&mirrored.mirror),
        clock: Arc::<ManualClock>::clone(&mirrored.copy.clock),
    };
    Ok(match pull(&pair, &MirrorOptions::default(), MirrorWatch::IDLE) {
        Err(error) if mirrored.keeps_all()? => Outcome::held(error.to_string()),
        _ => Outcome::not_held("another vault was mixed in", "the run went on"),
    })
}

fn lock_bomb(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let mirrored = Mirrored::new(ground)?;
    let now = mirrored.copy.clock.now();
    let far: Moment = now.plus_micros(365_000 * DAY_MICROS);
    vault::retention::extend_all(&*mirrored.copy.store, far)?;
    mirrored.run()?;
    let longest = mirrored.mirror.list("")?.iter().filter_map(|blob| blob.locked_until).max();
    let days = longest.map_or(0, |lock| lock.micros_since(now) / DAY_MICROS);
    Ok(if days <= i64::from(PROMISE_DAYS_MAX + MARGIN_DAYS) {
        Outcome::held(format!("a mirror grants {PROMISE_DAYS_MAX} days at most, whatever the origin says"))
    } else {
        Outcome::not_held("the mirror took over the date", format!("{days} days"))
    })
}

/// Asks the mirrors that are really configured whether they would be enough.
fn gone(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let installation = ground.request.installation;
    let mut reasons = Vec::new();
    for name in installation.config().mirrors.keys() {
        match installation.mirror_store(name, ground.request.environment).map(vault::Vault::open) {
            Ok(Ok(mirror)) => {
                let origin = installation.vault(ground.request.environment)?;
                let report =
                    vault::verify::verify(&mirror, None, vault::verify::Depth::Structure, &mut |_| {})?;
                let behind: u64 = origin
                    .sources()?
                    .iter()
                    .filter(|source| source.as_str() != crate::DECOY_SOURCE)
                    .map(|source| {
                        Ok(origin.last_sequence(source)?
                            - mirror.last_sequence(source)?.min(origin.last_sequence(source)?))
                    })
                    .sum::<Result<u64, vault::VaultError>>()?;
                if report.is_sound() {
                    return Ok(Outcome::held(format!(
                        "mirror {name} is a whole vault, {behind} commits behind"
                    )));
                }
                reasons.push(format!("mirror {name} is not sound"));
            }
            Ok(Err(error)) => reasons.push(format!("mirror {name}: {error}")),
            Err(error) => reasons.push(format!("mirror {name}: {error}")),
        }
    }
    if reasons.is_empty() {
        reasons.push("no mirror is configured: unwipe mirror add".to_owned());
    }
    Ok(Outcome::not_held("the vault's place is the only one", reasons.join("; ")))
}
