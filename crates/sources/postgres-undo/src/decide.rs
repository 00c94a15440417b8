//! What becomes of one row: decided from facts alone, the same for the same facts.

use std::collections::BTreeSet;

/// A row as production has it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Live {
    /// Its place (`ctid`).
    pub(crate) place: String,
    /// The transaction that wrote this version (`xmin`).
    pub(crate) owner: u32,
    /// The digest of the restored columns.
    pub(crate) digest: String,
}

/// What the undone transaction did to a row that was there before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    /// The row is gone.
    Destroyed,
    /// The row has a new version.
    Changed {
        /// The version that the transaction left, if it is still at its place and still the transaction's.
        left: Option<Live>,
        /// Whether the table still has the file that the log speaks of, so that places mean something.
        places_hold: bool,
    },
    /// Whatever it was, the row is compared by key: truncated tables, and rows chosen by a predicate.
    Compared {
        /// Whether a row with other content is given this content back, whoever changed it.
        revert: bool,
    },
}

/// What is known about a row before anything is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) deed: Deed,
    /// The digest of the row as it was.
    pub(crate) digest: String,
    /// The row that has the same key in production; absent for tables without a key.
    pub(crate) by_key: Option<Live>,
    /// Rows of production that hold one of the row's other unique values, with the name of the index.
    pub(crate) holders: Vec<(String, Live)>,
}

/// What becomes of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is put back.
    Insert,
    /// The row in production is given this content back.
    Revert(Live),
    /// It already is as it was.
    Unchanged,
    /// It is left alone.
    Conflict(String),
}

/// The transactions that are undone: one, with its subtransactions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Owners(pub(crate) BTreeSet<u32>);

impl Owners {
    /// Whether a version in production was written by what is undone, and by nobody since.
    pub(crate) fn own(&self, live: &Live) -> bool {
        self.0.contains(&live.owner)
    }
}

/// Decides about one row.
///
/// A version in production that still belongs to the undone transaction is never in the way: it is itself removed or
/// reverted by the same plan. Any other version is somebody's later work, and stays.
pub(crate) fn decide(facts: &Facts, owners: &Owners) -> Decision {
    match &facts.deed {
        Deed::Destroyed => decide_missing(facts, owners),
        Deed::Changed { left: Some(left), .. } if left.digest == facts.digest => Decision::Unchanged,
        Deed::Changed { left: Some(left), .. } => revert(facts, left, owners),
        Deed::Changed { left: None, places_hold } => match &facts.by_key {
            Some(live) if live.digest == facts.digest => Decision::Unchanged,
            Some(live) if !places_hold && owners.own(live) => revert(facts, live, owners),
            Some(live) => Decision::Conflict(format!(
                "the row was changed again later, last by transaction {}",
                live.owner
            )),
            None => Decision::Conflict("the row was changed again or deleted later".to_owned()),
        },
        Deed::Compared { revert: wanted } => match &facts.by_key {
            Some(live) if live.digest == facts.digest => Decision::Unchanged,
            Some(live) if *wanted => revert(facts, live, owners),
            _ => decide_missing(facts, owners),
        },
    }
}

fn decide_missing(facts: &Facts, owners: &Owners) -> Decision {
    match &facts.by_key {
        Some(live) if !owners.own(live) && live.digest == facts.digest => Decision::Unchanged,
        Some(live) if !owners.own(live) => Decision::Conflict(format!(
            "a row with this key exists with other content, written by transaction {}",
            live.owner
        )),
        _ => held(facts, None, owners).unwrap_or(Decision::Insert),
    }
}

fn revert(facts: &Facts, live: &Live, owners: &Owners) -> Decision {
    // The key itself may have been taken by somebody since.
    if let Some(other) = &facts.by_key
        && other.place != live.place
        && !owners.own(other)
    {
        return Decision::Conflict(format!("its key now belongs to a row of transaction {}", other.owner));
    }
    held(facts, Some(live), owners).unwrap_or_else(|| Decision::Revert(live.clone()))
}

/// Finds a later row that holds a unique value which the row would need.
fn held(facts: &Facts, live: Option<&Live>, owners: &Owners) -> Option<Decision> {
    let stranger = facts
        .holders
        .iter()
        .find(|(_, holder)| !owners.own(holder) && live.is_none_or(|live| live.place != holder.place))?;
    let (index, holder) = stranger;
    Some(Decision::Conflict(format!(
        "a row of transaction {} holds the value that {index} keeps unique",
        holder.owner
    )))
}

#[cfg(test)]
mod tests;
