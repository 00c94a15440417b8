//! Rows that others changed as well: between two of the undone transactions, or after them.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
};

use postgres_wal::{RowVersion, Strand};

use super::{RowPlanner, open_file};
use crate::{
    error::PlanningError,
    facts::{Pair, copy_live},
    fold::{Fate, Fields, LiveRow, Piece, fold},
    images::{Images, live_rows, plain},
    parents,
};

/// Rows that are looked up at a time.
const BATCH_ROWS: usize = 2_000;

/// The rows of a table that are decided field by field, by the values of their keys.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    rows: BTreeMap<Vec<Option<String>>, Vec<Piece>>,
    conflicts: Vec<(String, String)>,
}

impl Folded {
    /// Sorts strands by row. Their images must have been read; a row of which one is not to be had is left alone.
    pub(crate) fn of(pair: &Pair, strands: &[Strand], images: &Images) -> Self {
        let mut folded = Self::default();
        let mut strands: Vec<&Strand> = strands.iter().collect();
        strands.sort_unstable_by_key(|strand| strand.last);
        let image = |version: RowVersion| images.get(&(pair.then.oid, version));
        let Some(positions) = key_positions(pair) else {
            let reason =
                "others changed the table in between, and without a key their rows cannot be told from these";
            folded.conflicts.extend(strands.iter().map(|strand| (place_of(strand), reason.to_owned())));
            return folded;
        };
        let mut unknown = BTreeSet::new();
        for strand in strands {
            let Some(before) = strand.before.and_then(image) else {
                let reason = "the row was written by somebody else in between, at a moment that was not looked at: plan a \
                              shorter time";
                folded.conflicts.push((place_of(strand), reason.to_owned()));
                continue;
            };
            let key = key_of(before, &positions);
            let after = strand.after.map(image);
            if matches!(after, Some(None)) {
                unknown.insert(key);
                continue;
            }
            let after = after.flatten();
            if after.is_some_and(|after| key_of(after, &positions) != key) {
                folded.rows.remove(&key);
                unknown.insert(key);
                continue;
            }
            folded.rows.entry(key).or_default().push(Piece { before: before.clone(), after: after.cloned() });
        }
        for key in unknown {
            folded.rows.remove(&key);
            let reason = "the row was changed again or deleted later";
            folded.conflicts.push((label(pair, &key), reason.to_owned()));
        }
        folded
    }

    /// Whether a row is decided here.
    pub(crate) fn has(&self, key: &[Option<String>]) -> bool {
        self.rows.contains_key(key)
    }
}

fn place_of(strand: &Strand) -> String {
    let version = strand.before.or(strand.after);
    version.map_or_else(String::new, |version| format!("the row that was at {}", version.tuple))
}

fn key_positions(pair: &Pair) -> Option<Vec<usize>> {
    let position = |name: &str| pair.columns.iter().position(|column| column.name == name);
    pair.key()?.columns.iter().map(|column| position(&column.name)).collect()
}

fn key_of(fields: &Fields, positions: &[usize]) -> Vec<Option<String>> {
    positions.iter().map(|position| fields.get(*position).and_then(|field| plain(field))).collect()
}

fn label(pair: &Pair, key: &[Option<String>]) -> String {
    let columns = pair.key().map(|key| key.columns.as_slice()).unwrap_or_default();
    let part = |(column, value): (&crate::step::KeyColumn, &Option<String>)| {
        format!("{}={}", column.name, value.as_deref().unwrap_or("NULL"))
    };
    columns.iter().zip(key).map(part).collect::<Vec<_>>().join(", ")
}

/// A row that is written as a whole.
struct Written {
    label: String,
    fields: Fields,
    live: Option<LiveRow>,
}

impl RowPlanner<'_, '_, '_, '_> {
    /// Plans the rows that are decided field by field.
    pub(crate) fn plan_folded(&mut self) -> Result<(), PlanningError> {
        let folded = std::mem::take(&mut self.folded);
        for (label, reason) in folded.conflicts {
            self.collected.conflict(&self.target, label, reason)?;
        }
        let rows: Vec<(Vec<Option<String>>, Vec<Piece>)> = folded.rows.into_iter().collect();
        for batch in rows.chunks(BATCH_ROWS) {
            self.plan_batch(batch)?;
        }
        Ok(())
    }

    /// Lists the rows that others worked on before their table was emptied: they come back as they were then.
    pub(crate) fn leave_folded(&mut self) -> Result<(), PlanningError> {
        let folded = std::mem::take(&mut self.folded);
        let reason = "the table was emptied later, and what the transactions did to the row before stays";
        for (label, reason) in folded.conflicts {
            self.collected.conflict(&self.target, label, reason)?;
        }
        for key in folded.rows.keys() {
            self.collected.conflict(&self.target, label(self.pair, key), reason.to_owned())?;
        }
        Ok(())
    }

    fn plan_batch(&mut self, rows: &[(Vec<Option<String>>, Vec<Piece>)]) -> Result<(), PlanningError> {
        let Some(key) = self.pair.key().cloned() else { return Ok(()) };
        let wanted: Vec<&Fields> =
            rows.iter().filter_map(|(_, pieces)| pieces.last()).map(|piece| &piece.before).collect();
        let live = live_rows(self.production, self.pair, &key, &wanted)?;
        let mut written = Vec::new();
        for (position, (key, pieces)) in rows.iter().enumerate() {
            let live = live.get(&position);
            let (fate, told) = fold(pieces, live, self.owners);
            let label = label(self.pair, key);
            for reason in told {
                self.collected.conflict(&self.target, label.clone(), reason)?;
            }
            match fate {
                Fate::Insert(fields) => written.push(Written { label, fields, live: None }),
                Fate::Revert(fields) => written.push(Written { label, fields, live: live.cloned() }),
                Fate::Unchanged => self.collected.counts.unchanged += 1,
                Fate::Conflict(reason) => self.collected.conflict(&self.target, label, reason)?,
            }
        }
        self.leave_taken(&mut written)?;
        self.leave_unsupported(&mut written)?;
        self.write_rows(&written)
    }

    /// Takes the rows out that would need a unique value which somebody else's row holds now.
    fn leave_taken(&mut self, written: &mut Vec<Written>) -> Result<(), PlanningError> {
        let uniques = self.pair.uniques.iter().skip(1).cloned().collect::<Vec<_>>();
        for unique in uniques {
            let wanted: Vec<&Fields> = written.iter().map(|row| &row.fields).collect();
            let holders = live_rows(self.production, self.pair, &unique, &wanted)?;
            let mut taken = BTreeMap::new();
            for (position, holder) in holders {
                let own = written[position].live.as_ref().is_some_and(|live| live.place == holder.place);
                if !own && !self.owners.0.contains(&holder.owner) {
                    let reason = format!(
                        "a row of transaction {} holds the value that {} keeps unique",
                        holder.owner, unique.index
                    );
                    taken.insert(position, reason);
                }
            }
            self.leave(written, &taken)?;
        }
        Ok(())
    }

    /// Takes the rows out that would refer to nothing.
    fn leave_unsupported(&mut self, written: &mut Vec<Written>) -> Result<(), PlanningError> {
        let rows: Vec<&Fields> = written.iter().map(|row| &row.fields).collect();
        let servers = (&mut *self.scratch, &mut *self.production);
        let orphans = parents::unsupported(servers, self.pair, &self.collected.returning, &rows)?;
        self.leave(written, &orphans)
    }

    fn leave(
        &mut self,
        written: &mut Vec<Written>,
        left: &BTreeMap<usize, String>,
    ) -> Result<(), PlanningError> {
        for (position, reason) in left {
            self.collected.conflict(&self.target, written[*position].label.clone(), reason.clone())?;
        }
        let mut position = 0;
        written.retain(|_| {
            position += 1;
            !left.contains_key(&(position - 1))
        });
        Ok(())
    }

    fn write_rows(&mut self, written: &[Written]) -> Result<(), PlanningError> {
        let failed = |source| PlanningError::Write { what: "an attachment".to_owned(), source };
        let mut replaced = Vec::new();
        for row in written {
            let mut line = match &row.live {
                None => "\\N\t\\N\t0".to_owned(),
                Some(live) => format!("{}\t{}\t0", live.place, live.owner),
            };
            for field in &row.fields {
                line.push('\t');
                line.push_str(field);
            }
            line.push('\n');
            let file = match &row.live {
                None => {
                    self.files.inserted += 1;
                    parents::compose(&mut self.collected.returning, self.pair, &row.fields);
                    open_file(&mut self.files.inserts, self.collected)?
                }
                Some(live) => {
                    self.files.reverted += 1;
                    replaced.push(live.place.clone());
                    open_file(&mut self.files.reverts, self.collected)?
                }
            };
            file.write_all(line.as_bytes()).map_err(failed)?;
        }
        if !replaced.is_empty() {
            let file = open_file(&mut self.files.replaced, self.collected)?;
            copy_live(self.production, self.pair, &replaced, file)?;
        }
        Ok(())
    }
}
