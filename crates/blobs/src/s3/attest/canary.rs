use std::collections::BTreeMap;

use model::Moment;
use serde::{Deserialize, Serialize};

use super::{
    super::encoding::{hex, whole_second},
    Bench, Outcome, SECOND_MICROS, lock_damage, text_of,
};

pub(super) const FOLDER: &str = ".attest/canary/";

const DAY_MICROS: i64 = 86_400 * SECOND_MICROS;
/// How long a canary is locked.
const LOCK_MICROS: i64 = 180 * DAY_MICROS;
/// A new one is set out while the longest lock is shorter than this, so that there is always one to look at.
const FRESH_MICROS: i64 = 90 * DAY_MICROS;
const CONTENT: &[u8] = b"a canary: deleting this is tried by every attestation and must fail";

/// A locked object whose deletion is tried again and again, and that must survive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// Its name below the attestation's folder; it ends in the second until which it is locked.
    pub name: String,
    /// Until when it was locked when it was set out.
    pub locked_until: Moment,
}

impl Canary {
    /// Reads a canary's name back: its lock is in it, so that a store cannot have forgotten what was asked for.
    fn of_name(name: &str) -> Option<Self> {
        let seconds: i64 = name.rsplit_once('-')?.1.parse().ok()?;
        let locked_until = Moment::from_micros(seconds.checked_mul(SECOND_MICROS)?);
        Some(Self { name: name.to_owned(), locked_until })
    }
}

impl Bench {
    /// Looks after the canaries and returns those there should be from now on.
    pub(super) fn canaries(&mut self, known: &[Canary], store_now: Moment) -> Vec<Canary> {
        const EXPECTED: &str = "what was locked long ago is still there, with its lock";
        let now = self.client.connection().clock().now();
        let mut all: BTreeMap<String, Canary> =
            known.iter().map(|canary| (canary.name.clone(), canary.clone())).collect();
        match self.client.versions(FOLDER) {
            Ok(versions) => {
                let names = versions.iter().filter_map(|version| version.key.strip_prefix(FOLDER));
                for canary in names.filter_map(Canary::of_name) {
                    all.entry(canary.name.clone()).or_insert(canary);
                }
            }
            Err(error) => self.note("canaries", EXPECTED, text_of(&error), Outcome::Fails),
        }
        // By this machine's clock and by the store's: whichever was moved, a lock that one of them believes in counts.
        all.retain(|_, canary| canary.locked_until > now || canary.locked_until > store_now);
        let damaged: Vec<String> = all.values().filter_map(|canary| self.harm(canary)).collect();
        let (seen, outcome) = match damaged.first() {
            None => (
                format!("{} of {} survived another attempt to delete them", all.len(), all.len()),
                Outcome::Holds,
            ),
            Some(first) => (format!("{} of {} did not: {first}", damaged.len(), all.len()), Outcome::Fails),
        };
        if !all.is_empty() {
            self.note("canaries", EXPECTED, seen, outcome);
        }
        let longest = all.values().map(|canary| canary.locked_until).max();
        if longest.is_none_or(|until| until.micros_since(store_now) < FRESH_MICROS)
            && let Some(canary) = self.set_out(store_now)
        {
            all.insert(canary.name.clone(), canary);
        }
        all.into_values().collect()
    }

    /// Tries to delete a canary and says what became of it.
    fn harm(&self, canary: &Canary) -> Option<String> {
        let key = format!("{FOLDER}{}", canary.name);
        let gone = || Some(format!("{} is gone, locked until {}", canary.name, canary.locked_until));
        let original = match self.client.versions_of(&key) {
            Ok(versions) => versions.original,
            Err(error) => return Some(format!("{}: {}", canary.name, text_of(&error))),
        };
        let Some(original) = original else { return gone() };
        // Whether it was refused shows in what is there afterwards.
        let attempt = self.attacker.delete_version(&key, &original.version_id, true);
        match self.client.head_version(&key, &original.version_id) {
            Ok(head) => {
                lock_damage(&head, canary.locked_until).map(|damage| format!("{}: {damage}", canary.name))
            }
            Err(error) if error.status() == Some(404) && attempt.is_ok() => gone(),
            Err(error) => Some(format!("{}: {}", canary.name, text_of(&error))),
        }
    }

    fn set_out(&mut self, store_now: Moment) -> Option<Canary> {
        let until = whole_second(store_now.plus_micros(LOCK_MICROS));
        let mut bytes = [0; 4];
        self.client.connection().random().fill(&mut bytes);
        let name = format!("{}-{}", hex(&bytes), until.as_micros() / SECOND_MICROS);
        let key = format!("{FOLDER}{name}");
        match self.write_locked(&key, CONTENT, until) {
            Ok(_) => {
                self.note(
                    "canary",
                    "a canary can be set out",
                    format!("{name}, locked until {until}"),
                    Outcome::Holds,
                );
                Some(Canary { name, locked_until: until })
            }
            Err(error) => {
                self.note("canary", "a canary can be set out", text_of(&error), Outcome::Remark);
                None
            }
        }
    }
}
