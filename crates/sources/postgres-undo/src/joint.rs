//! Several transactions that are undone as one, while others worked in between.

use std::collections::{BTreeMap, BTreeSet};

use connect::plan::{Plan, Subject};
use model::Moment;
use postgres_wal::{Lsn, RelationLocator, RowChange, RowVersion, Strand, TransactionSummary};
use postgres_wire::Connection;

use crate::{
    decide::Owners,
    dropped,
    error::{PlanningError, Side},
    facts::{Pair, owners_at},
    images::{Images, Wanted, moments, read_images},
    planner::{Heading, Planning, Servers, Way, existing_tables, tables_of_files},
    session::Session,
    shape::read_shapes,
};

/// What several transactions of one cluster did.
#[derive(Debug, Clone, Copy)]
pub struct Joint<'j> {
    /// Their sums; all their numbers are its own and its subtransactions.
    pub summary: &'j TransactionSummary,
    /// What they did to each row.
    pub strands: &'j [Strand],
    /// The commit of the first.
    pub first: Lsn,
    /// The commit just before which the scratch server stands.
    pub stand: Lsn,
    /// Where all of them have ended.
    pub end: Lsn,
    /// How many other moments may be looked at, each with a scratch server of its own.
    pub moments_max: usize,
}

/// Gives scratch servers that stand at other moments.
pub trait Stands {
    /// Lets a server be read that stands just before the record at a position, connected to the database of the plan.
    fn before(
        &mut self,
        lsn: Lsn,
        read: &mut dyn FnMut(&mut Connection) -> Result<(), PlanningError>,
    ) -> Result<(), PlanningError>;
}

/// Plans the undo of several transactions, as if they had never been, and keeps what others did.
///
/// Rows that only the transactions touched are planned as by [`plan_transaction`](crate::plan_transaction). A row that
/// somebody else wrote in between or later is compared field by field: of what the transactions changed, that goes back
/// which nobody else has changed since.
pub fn plan_transactions(
    servers: Servers<'_>,
    stands: &mut dyn Stands,
    heading: &Heading,
    subject: &str,
    joint: &Joint<'_>,
) -> Result<Plan, PlanningError> {
    let mut planning = Planning::begin(servers)?;
    let summary = joint.summary;
    let numbers = std::iter::once(summary.transaction).chain(summary.subtransactions.iter().copied());
    planning.owners = Owners(numbers.map(|number| number.0).collect());
    planning.check_numbers(summary)?;
    planning.read_strands(joint)?;
    planning.leave_to_fields(joint)?;
    planning.read_all_images(stands, joint)?;
    planning.plan_tables()?;
    let dropped = std::mem::take(&mut planning.dropped);
    if !dropped.is_empty() || summary.catalog.rows.deleted > 0 {
        dropped::plan(&mut planning, &dropped, &removed_rows(joint))?;
    }
    let subject = Subject {
        title: subject.to_owned(),
        position: Some(joint.first.to_string()),
        at: Some(Moment::from_micros(summary.commit_time_unix_microseconds)),
    };
    planning.finish(heading, subject)
}

/// Returns the rows that are gone and that scratch still has; those of the catalogs say which objects were dropped.
fn removed_rows(joint: &Joint<'_>) -> Vec<RowChange> {
    let removed = |strand: &Strand| {
        let before = strand.before.filter(|before| before.is_seen_before(joint.stand))?;
        let row = RowChange::Deleted { relation: strand.relation, tuple: before.tuple, moved: false };
        strand.after.is_none().then_some(row)
    };
    joint.strands.iter().filter_map(removed).collect()
}

impl Planning<'_> {
    /// Sorts what the transactions did by table, and sets aside what others worked on as well.
    fn read_strands(&mut self, joint: &Joint<'_>) -> Result<(), PlanningError> {
        let mine = |file: &RelationLocator| file.database == self.database.1;
        let removed: BTreeSet<RelationLocator> =
            joint.summary.files_dropped.iter().copied().filter(mine).collect();
        let strands: Vec<Strand> =
            joint.strands.iter().copied().filter(|strand| mine(&strand.relation)).collect();
        let changed: BTreeSet<RelationLocator> = strands.iter().map(|strand| strand.relation).collect();
        let then = tables_of_files(&mut self.scratch, self.tablespace, changed.union(&removed))?;
        let now = tables_of_files(&mut self.production, self.tablespace, changed.iter())?;
        let existing: BTreeSet<u32> = existing_tables(&mut self.production, then.values().copied())?;
        let mut unknown = 0_u64;
        for strand in &strands {
            let file = strand.relation;
            if removed.contains(&file) && !then.contains_key(&file) {
                continue;
            }
            let Some(table) = then.get(&file).or_else(|| now.get(&file)).copied() else {
                unknown += 1;
                continue;
            };
            // Rows of a file that is gone come back with all of it.
            if removed.contains(&file) && strand.after.is_none() && strand.before.is_some() {
                let seen = strand.before.is_some_and(|before| before.is_seen_before(joint.stand));
                if seen {
                    continue;
                }
            }
            self.take_strand(joint, table, strand, then.contains_key(&file), now.contains_key(&file));
        }
        if unknown > 0 {
            self.notes.push(format!(
                "{unknown} changes were made to catalogs, or to tables that were made and dropped in between; they are \
                 left as they are"
            ));
        }
        for (file, table) in &then {
            if removed.contains(file) && !existing.contains(table) {
                self.dropped.insert(*table);
                self.deeds.remove(table);
                self.folding.remove(table);
            } else if removed.contains(file) {
                self.tables.push((*table, Way::Whole));
            }
        }
        let whole: BTreeSet<u32> = self.tables.iter().map(|(table, _)| *table).collect();
        let touched: BTreeSet<u32> = self.deeds.keys().chain(self.folding.keys()).copied().collect();
        self.tables.extend(touched.difference(&whole).map(|table| (*table, Way::Deeds)));
        Ok(())
    }

    fn take_strand(
        &mut self,
        joint: &Joint<'_>,
        table: u32,
        strand: &Strand,
        file_then: bool,
        file_now: bool,
    ) {
        let own_before =
            |before: RowVersion| file_then && before.from < joint.first && before.is_seen_before(joint.stand);
        let untouched_after = |after: RowVersion| file_now && after.until == Lsn(u64::MAX);
        let deeds = self.deeds.entry(table).or_default();
        match (strand.before, strand.after) {
            (None, None) => {}
            (None, Some(after)) => {
                deeds.file = strand.relation.relation;
                deeds.added.push(after.tuple.to_string());
            }
            (Some(before), None) if own_before(before) => deeds.destroyed.push(before.tuple.to_string()),
            (Some(before), Some(after)) if own_before(before) && untouched_after(after) => {
                deeds.file = strand.relation.relation;
                deeds.changed.push((before.tuple.to_string(), after.tuple.to_string()));
                self.origins.insert((table, after.tuple.to_string()), *strand);
            }
            (Some(_), _) => self.folding.entry(table).or_default().push(*strand),
        }
    }

    /// Sets those changed rows aside that somebody has written to since the last of the transactions.
    fn leave_to_fields(&mut self, joint: &Joint<'_>) -> Result<(), PlanningError> {
        if joint.moments_max == 0 {
            return Ok(());
        }
        let tables: BTreeSet<u32> = self.deeds.keys().copied().collect();
        for (oid, shape) in read_shapes(&mut self.production, &tables)? {
            let Some(deeds) = self.deeds.get_mut(&oid) else { continue };
            if deeds.changed.is_empty() || deeds.file != shape.file {
                continue;
            }
            let places: Vec<String> = deeds.changed.iter().map(|(_, left)| left.clone()).collect();
            let owners = owners_at(&mut self.production, &shape, &places)?;
            let own = |place: &String| owners.get(place).is_some_and(|owner| self.owners.0.contains(owner));
            let (ours, theirs): (Vec<_>, Vec<_>) =
                std::mem::take(&mut deeds.changed).into_iter().partition(|(_, left)| own(left));
            deeds.changed = ours;
            for (_, left) in theirs {
                if let Some(strand) = self.origins.remove(&(oid, left)) {
                    self.folding.entry(oid).or_default().push(strand);
                }
            }
        }
        self.origins.clear();
        Ok(())
    }

    /// Reads the rows that are compared field by field, from as many servers as it takes.
    fn read_all_images(&mut self, stands: &mut dyn Stands, joint: &Joint<'_>) -> Result<(), PlanningError> {
        let tables: BTreeSet<u32> = self.folding.keys().copied().collect();
        let then = read_shapes(&mut self.scratch, &tables)?;
        let mut now = read_shapes(&mut self.production, &tables)?;
        let pairs: BTreeMap<u32, Pair> = then
            .into_iter()
            .filter_map(|(oid, then)| Some((oid, Pair::new(then, now.remove(&oid)?))))
            .collect();
        let mut wanted: Vec<Wanted> = Vec::new();
        for (table, strands) in &self.folding {
            for strand in strands.iter().filter(|_| pairs.contains_key(table)) {
                let versions = [strand.before, strand.after];
                wanted.extend(versions.into_iter().flatten().map(|version| Wanted {
                    table: *table,
                    file: strand.relation,
                    version,
                }));
            }
        }
        wanted.sort_unstable();
        wanted.dedup();
        let (here, mut elsewhere): (Vec<Wanted>, Vec<Wanted>) =
            wanted.into_iter().partition(|wanted| wanted.version.is_seen_before(joint.stand));
        let mut images = Images::new();
        read_images(&mut self.scratch, &pairs, &here, &mut images)?;
        let moments = moments(&elsewhere, joint.end, joint.moments_max);
        for lsn in &moments {
            let (seen, rest): (Vec<Wanted>, Vec<Wanted>) =
                elsewhere.into_iter().partition(|wanted| wanted.version.is_seen_before(*lsn));
            elsewhere = rest;
            self.progress.phase(&format!("looking at the moment {lsn}"), None);
            stands.before(*lsn, &mut |connection| {
                let mut session = Session::begin_reading(connection, Side::Scratch)?;
                read_images(&mut session, &pairs, &seen, &mut images)?;
                session.end_reading()
            })?;
        }
        if !moments.is_empty() {
            self.notes.push(format!(
                "others worked on some of the rows as well: they were read at {} more moments and are compared column by \
                 column",
                moments.len()
            ));
        }
        if !elsewhere.is_empty() {
            self.notes.push(format!(
                "{} versions of rows were not read, as that would take more moments; their rows are listed as conflicts: \
                 a plan for a shorter time knows them",
                elsewhere.len()
            ));
        }
        self.images = images;
        Ok(())
    }
}
