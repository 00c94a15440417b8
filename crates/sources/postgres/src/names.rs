//! The names behind file numbers, so that events speak of `shop.public.bookings`.
//!
//! WAL knows databases and relations by number. The map is read by SQL, and what it once knew it never forgets: a
//! dropped table must still have its name when the drop is reported.

use std::collections::{BTreeMap, HashMap, HashSet};

use postgres_wal::{FIRST_USER_OBJECT, RelationLocator};

use crate::layout::Relation;

mod reader;
#[cfg(test)]
mod tests;

pub(crate) use reader::{NameReader, Snapshot};

/// A change of the estimated rows below this share is not worth a new version of an item.
const ESTIMATE_CHANGE_MIN: f64 = 0.2;

/// What a relation is to an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A table or materialised view that holds users' rows.
    Table {
        /// `database.schema.table`.
        name: String,
        /// The table's oid, which survives rewriting.
        oid: u32,
        /// Rows as the planner estimates them; none when never analysed.
        rows_estimate: Option<u64>,
        /// Whether it is a materialised view, whose rows come from elsewhere.
        materialised: bool,
    },
    /// Catalogs, indexes, sequences, toast: what happens to them follows from what happens to tables.
    Internal,
    /// The map does not know it.
    Unknown {
        /// `db/16384 rel/16397`.
        name: String,
    },
}

/// The newest known name of each file, and which relations exist now.
#[derive(Debug, Default)]
pub(crate) struct NameMap {
    databases: BTreeMap<u32, String>,
    by_file: HashMap<(u32, u32), Relation>,
    /// The newest file of each relation.
    by_oid: HashMap<(u32, u32), u32>,
    live: HashMap<u32, HashSet<u32>>,
    /// Databases that no longer exist, by their last name.
    dropped: BTreeMap<u32, String>,
}

impl NameMap {
    /// Takes in what one look at the catalogs showed; returns what is new, as key and value of the stored item.
    pub(crate) fn absorb(&mut self, snapshot: Snapshot) -> Vec<(String, Relation)> {
        for (oid, name) in std::mem::take(&mut self.databases) {
            if !snapshot.databases.contains_key(&oid) {
                self.live.remove(&oid);
                self.dropped.insert(oid, name);
            }
        }
        self.databases = snapshot.databases;
        let mut changes = Vec::new();
        for (database, relations) in snapshot.relations {
            let mut live = HashSet::new();
            for (owner, file, relation) in relations {
                live.insert(relation.oid);
                let known = self.by_file.get(&(owner, file));
                let is_user = relation.oid >= FIRST_USER_OBJECT;
                if is_user && known.is_none_or(|known| is_worth_storing(known, &relation)) {
                    changes.push((format!("{owner}/{file}"), relation.clone()));
                }
                self.by_oid.insert((owner, relation.oid), file);
                self.by_file.insert((owner, file), relation);
            }
            self.live.insert(database, live);
        }
        changes
    }

    /// Remembers what earlier runs stored: a table that was dropped while nobody looked has a name too.
    pub(crate) fn recall(&mut self, stored: &[(String, Relation)]) {
        for (key, relation) in stored {
            let Some((owner, file)) = key.split_once('/') else { continue };
            let (Ok(owner), Ok(file)) = (owner.parse(), file.parse()) else { continue };
            // File numbers ascend: the highest is the newest.
            let newest = self.by_oid.entry((owner, relation.oid)).or_insert(file);
            *newest = file.max(*newest);
            self.by_file.insert((owner, file), relation.clone());
        }
    }

    /// Returns what a file is.
    pub(crate) fn target(&self, locator: RelationLocator) -> Target {
        let RelationLocator { database, relation: file, .. } = locator;
        if database == 0 || file < FIRST_USER_OBJECT {
            return Target::Internal;
        }
        let Some(relation) = self.by_file.get(&(database, file)) else {
            return Target::Unknown { name: self.numbered(database, file) };
        };
        if relation.oid < FIRST_USER_OBJECT || !matches!(relation.kind, 'r' | 'm') {
            return Target::Internal;
        }
        Target::Table {
            name: format!("{}.{}.{}", relation.database, relation.schema, relation.name),
            oid: relation.oid,
            rows_estimate: u64::try_from(relation.rows_estimate).ok(),
            materialised: relation.kind == 'm',
        }
    }

    /// Returns whether a relation still existed when the catalogs were last read; none when they could not be.
    pub(crate) fn exists(&self, database: u32, oid: u32) -> Option<bool> {
        if self.dropped.contains_key(&database) {
            return Some(false);
        }
        self.live.get(&database).map(|live| live.contains(&oid))
    }

    /// Returns a database's name, or its number where the name is not known.
    pub(crate) fn database(&self, oid: u32) -> String {
        let name = self.databases.get(&oid).or_else(|| self.dropped.get(&oid));
        name.cloned().unwrap_or_else(|| format!("db/{oid}"))
    }

    /// Returns a table by its oid, as it was last known.
    pub(crate) fn table(&self, database: u32, oid: u32) -> Option<Target> {
        let file = *self.by_oid.get(&(database, oid))?;
        let target = self.target(RelationLocator { tablespace: 0, database, relation: file });
        matches!(target, Target::Table { .. }).then_some(target)
    }

    /// Returns the name of a table by its oid, as it was last known.
    pub(crate) fn name_of(&self, database: u32, oid: u32) -> Option<String> {
        match self.table(database, oid)? {
            Target::Table { name, .. } => Some(name),
            Target::Internal | Target::Unknown { .. } => None,
        }
    }

    fn numbered(&self, database: u32, file: u32) -> String {
        format!("{} rel/{file}", self.database(database))
    }
}

fn is_worth_storing(known: &Relation, new: &Relation) -> bool {
    let same_estimate = {
        let (old, new) = (known.rows_estimate.max(0) as f64, new.rows_estimate.max(0) as f64);
        (new - old).abs() <= ESTIMATE_CHANGE_MIN * old
    };
    let same_name = Relation { rows_estimate: known.rows_estimate, ..new.clone() } == *known;
    !(same_name && same_estimate)
}
