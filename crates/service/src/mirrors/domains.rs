//! How many locks would have to be broken one by one: counted from what was measured, never assumed.

use std::collections::BTreeSet;

use serde::Serialize;

use super::MirrorStanding;
use crate::place::{Place, Surroundings};

/// A place and what it adds.
#[derive(Debug, Clone, Serialize)]
pub struct PlaceStanding {
    /// Which one: `the vault`, or a mirror's name.
    pub name: String,
    /// Its tier, as measured.
    pub tier: u8,
    /// Who keeps its lock, when it counts.
    pub keeper: Option<String>,
    /// Why it counts, or why it does not.
    pub reason: String,
}

/// The independent lock domains.
#[derive(Debug, Clone, Serialize)]
pub struct Domains {
    /// How many; more than two are not told apart.
    pub count: String,
    /// Every place with its reason.
    pub places: Vec<PlaceStanding>,
}

impl Domains {
    pub(super) fn of(places: Vec<PlaceStanding>) -> Self {
        let keepers: BTreeSet<&String> = places.iter().filter_map(|place| place.keeper.as_ref()).collect();
        let count = match keepers.len() {
            0 => "0",
            1 => "1",
            _ => "2+",
        };
        Self { count: count.to_owned(), places }
    }
}

/// Measures a place that can be reached.
pub(super) fn measured(name: &str, place: &Place, around: &Surroundings<'_>) -> PlaceStanding {
    let standing = match place.measure(around) {
        Ok(standing) => standing,
        Err(error) => {
            return PlaceStanding {
                name: name.to_owned(),
                tier: 0,
                keeper: None,
                reason: format!("it does not count: it could not be measured ({error})"),
            };
        }
    };
    let keeper = keeper(place);
    let counts = standing.tier > 0;
    let reason = if counts {
        format!("it counts: {}; its lock, clock and administrator are those of {keeper}", standing.statement)
    } else {
        format!("it does not count: {}", standing.statement)
    };
    PlaceStanding { name: name.to_owned(), tier: standing.tier, keeper: counts.then_some(keeper), reason }
}

/// An offline copy has no lock: it counts as a copy, and is listed as one.
pub(super) fn offline(name: &str, standing: &MirrorStanding) -> PlaceStanding {
    let reason = format!("an offline copy, not a lock: {}", standing.statement);
    PlaceStanding { name: name.to_owned(), tier: standing.tier, keeper: None, reason }
}

pub(super) fn unreachable(name: &str, standing: &MirrorStanding) -> PlaceStanding {
    let reason = format!("it does not count now: {}", standing.statement);
    PlaceStanding { name: name.to_owned(), tier: 0, keeper: None, reason }
}

/// Names who could undo the lock alone. Two places with the same keeper are one domain.
fn keeper(place: &Place) -> String {
    match place {
        Place::Folder { .. } | Place::SealedFolder { .. } => THIS_MACHINE.to_owned(),
        // Accounts of one endpoint share its clock and its operator.
        Place::S3(bucket) => keeper_at(&bucket.endpoint, "the operator of"),
        Place::Server { url, .. } => keeper_at(url, "root on the host of"),
    }
}

const THIS_MACHINE: &str = "root on this machine";

/// Names the keeper of what is reached over the network; what listens on this machine is this machine's.
fn keeper_at(url: &str, who: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or(rest);
    let own = host == "localhost"
        || host.starts_with("localhost:")
        || host.starts_with("127.")
        || host.starts_with("[::1]");
    if own { THIS_MACHINE.to_owned() } else { format!("{who} {url}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_here_is_no_other_keeper() {
        for url in
            ["http://127.0.0.1:9000", "https://localhost:8750", "https://localhost", "http://[::1]:80/x"]
        {
            assert_eq!(keeper_at(url, "the operator of"), THIS_MACHINE);
        }
        let (a, b) = ("https://s3.a.example", "https://s3.b.example");
        assert_ne!(keeper_at(a, "the operator of"), keeper_at(b, "the operator of"));
    }
}
