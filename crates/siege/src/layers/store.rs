//! The store's own interface, with every right that unwipe itself has.

use std::sync::Arc;

use blobs::{Fault, FaultStore, LocalStore, Protection};
use model::Moment;
use ports::{BlobError, BlobName, BlobStore, ManualClock};
use vault::VaultWriter;

use super::Table;
use crate::{Attack, Ground, Layer, Outcome, Promise, Scene, SiegeError, decoy};

pub(super) const TABLE: Table = Table {
    layer: Layer::Store,
    attacks: &[
        Attack {
            number: 4,
            what: "write other bytes under the name of a commit and of a pack",
            credential: "everything that unwipe has",
            on: Scene::Decoy,
            promise: Promise::Always,
            run: overwrite,
        },
        Attack {
            number: 5,
            what: "set an earlier lock date",
            credential: "everything that unwipe has",
            on: Scene::Decoy,
            promise: Promise::Always,
            run: shorten,
        },
        Attack {
            number: 71,
            what: "look for a verb that deletes or replaces",
            credential: "everything that unwipe has",
            on: Scene::Host,
            promise: Promise::Always,
            run: no_verb,
        },
        Attack {
            number: 25,
            what: "let sixteen writers take the same name at once",
            credential: "everything that unwipe has",
            on: Scene::Copy,
            promise: Promise::Always,
            run: race,
        },
        Attack {
            number: 86,
            what: "use names that lead out of the vault",
            credential: "everything that unwipe has",
            on: Scene::Copy,
            promise: Promise::Always,
            run: names,
        },
        Attack {
            number: 35,
            what: "fill the disk, at every call of a capture",
            credential: "a compromised source",
            on: Scene::Copy,
            promise: Promise::Always,
            run: full_disk,
        },
        Attack {
            number: 39,
            what: "kill the capture at every call",
            credential: "root",
            on: Scene::Copy,
            promise: Promise::Always,
            run: killed,
        },
    ],
};

fn overwrite(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let far = Moment::from_micros(i64::MAX / 2);
    for (name, before) in &ground.decoy.objects {
        match ground.store.create(name, b"forged", far) {
            Err(BlobError::Exists { .. } | BlobError::Refused { .. }) => {}
            Err(error) => return Err(error.into()),
            Ok(()) if ground.store.read(name)? == *before => {}
            Ok(()) => return Ok(Outcome::not_held("the store lets a name be taken twice", name.to_string())),
        }
    }
    Ok(Outcome::held("a name can be taken once"))
}

fn shorten(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    for name in ground.decoy.objects.keys() {
        let before = ground.store.head(name)?.locked_until;
        let answer = ground.store.extend_lock(name, Moment::from_micros(1));
        let after = ground.store.head(name)?.locked_until;
        if after < before {
            return Ok(Outcome::not_held("the store let a lock be shortened", format!("{name}: {answer:?}")));
        }
    }
    Ok(Outcome::held("a lock only moves to a later date"))
}

fn no_verb(_: &Ground<'_>) -> Result<Outcome, SiegeError> {
    // The interface is a trait; a verb that is not there cannot be called, and this would not compile with one more.
    fn verbs<S: BlobStore + ?Sized>() -> [&'static str; 7] {
        let _ = (S::create, S::read, S::read_range, S::head, S::list, S::foreign);
        let _ = S::extend_lock;
        ["create", "read", "read_range", "head", "list", "foreign", "extend_lock"]
    }
    let verbs = verbs::<dyn BlobStore>();
    Ok(Outcome::held(format!("the store's interface has {} verbs: {}", verbs.len(), verbs.join(", "))))
}

fn race(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let store = LocalStore::open(&ground.scratch.join("race"), Protection::Plain)?;
    let name = BlobName::new("log/siege-decoy/0000000001")?;
    let lock = Moment::from_micros(1);
    let won: usize = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..16_u8)
            .map(|number| {
                let (store, name) = (&store, &name);
                scope.spawn(move || store.create(name, &[number; 1000], lock).is_ok())
            })
            .collect();
        writers.into_iter().map(|writer| usize::from(writer.join().unwrap_or(false))).sum()
    });
    let bytes = store.read(&name)?;
    let whole = bytes.len() == 1000 && bytes.iter().all(|byte| *byte == bytes[0]);
    Ok(match (won, whole) {
        (1, true) => Outcome::held("exactly one of sixteen writers got the name, with all its bytes"),
        _ => Outcome::not_held("the name was taken more than once", format!("{won} writers won")),
    })
}

fn names(_: &Ground<'_>) -> Result<Outcome, SiegeError> {
    let hostile = [
        "../../etc/passwd",
        "/etc/passwd",
        "data/../../x",
        "log/./x",
        "log//x",
        "data/\0",
        "data/a\nb",
        "DATA/x",
        "data/é",
        "data/.hidden",
        "..",
        "data\\x",
        "con:",
        "",
        "data/ /x",
    ];
    let taken: Vec<&str> = hostile.into_iter().filter(|name| BlobName::new(*name).is_ok()).collect();
    Ok(if taken.is_empty() {
        Outcome::held("names consist of a few lower-case characters, checked before they reach the store")
    } else {
        Outcome::not_held("a hostile name was accepted", taken.join(" "))
    })
}

fn full_disk(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    failing(ground, Fault::Full, "what does not fit is not acknowledged, and what is there stays")
}

fn killed(ground: &Ground<'_>) -> Result<Outcome, SiegeError> {
    failing(ground, Fault::Fail, "packs come before the commit that names them: half a commit is none")
}

fn failing(ground: &Ground<'_>, fault: Fault, held_by: &str) -> Result<Outcome, SiegeError> {
    for call in 1..40 {
        let copy = ground.miniature()?;
        let faulty = Arc::new(FaultStore::new(Arc::<blobs::MemoryStore>::clone(&copy.store)));
        let clock = Arc::<ManualClock>::clone(&copy.clock);
        let store: Arc<dyn BlobStore> = Arc::<FaultStore>::clone(&faulty);
        let writer: VaultWriter = copy.writer_on(store, &copy.capture, clock)?;
        faulty.fail_from(call, None, fault);
        let acknowledged = decoy::commit_next(&writer, &copy.source).is_ok();
        let reached = faulty.calls() >= call;
        faulty.heal();
        let last = copy.vault()?.last_sequence(&copy.source)?;
        let kept = decoy::first_lost(&copy.reader()?, last)?;
        let sound = copy.verify(vault::verify::Depth::ReadData)?.is_sound();
        if kept.is_some() || !sound || (acknowledged && last == copy.last) {
            return Ok(Outcome::not_held("the copy was harmed", format!("at call {call}: {kept:?}")));
        }
        if !reached {
            return Ok(Outcome::held(format!("{held_by} ({call} calls tried)")));
        }
    }
    Ok(Outcome::held(format!("{held_by} (40 calls tried)")))
}
