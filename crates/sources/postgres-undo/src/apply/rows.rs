//! Applies the rows of one step, and reports those that somebody changed since planning.

use connect::{
    Progress,
    plan::{Action, AppliedStep, Attachments, Choice, Conflict, LISTED_MAX, Plan, Step, WriteError},
};
use postgres_wire::quote_identifier;

use super::{
    Writer,
    staging::{OWNER, PLACE, PRESENT, STATE, Staging, TARGET},
};
use crate::{
    facts::leading_comma,
    quarantine,
    session::text,
    step::{RowsDetails, UniqueKey},
};

// The states of a staged row.
/// It was put in, reverted or removed.
pub(super) const DONE: &str = "done";
/// It already is as it should be.
pub(super) const SAME: &str = "same";
/// Somebody was there since planning: it is left alone.
pub(super) const TAKEN: &str = "taken";

/// Applies a step and returns what became of its rows.
pub(super) fn apply(
    writer: &mut Writer<'_>,
    plan: &Plan,
    step: &Step,
    details: &RowsDetails,
    attachments: &dyn Attachments,
    progress: &dyn Progress,
) -> Result<(AppliedStep, Vec<Conflict>), WriteError> {
    let staging = Staging::load(writer, plan, step, details, attachments, progress)?;
    let hash = plan.hash().map_err(|source| WriteError::Plan(Box::new(source)))?;
    let run = Run { staging: &staging, activity: step.title.clone(), plan: hash.to_string() };
    let expected = match step.action {
        Action::Insert if details.key.is_some() => run.insert_by_key(writer)?,
        Action::Insert => run.insert_by_content(writer)?,
        Action::Revert => run.revert(writer)?,
        Action::Remove => run.remove(writer)?,
        Action::Create | Action::Redefine | Action::Advance => {
            return Err(WriteError::Plan(format!("step {} has rows and another action", step.number).into()));
        }
    };
    run.report(writer, step, expected)
}

/// One step at work.
struct Run<'s, 'd> {
    staging: &'s Staging<'d>,
    activity: String,
    /// The plan's hash.
    plan: String,
}

impl Run<'_, '_> {
    fn details(&self) -> &RowsDetails {
        self.staging.details
    }

    fn count(&self, writer: &mut Writer<'_>, sql: &str) -> Result<u64, WriteError> {
        writer.count_on(self.details(), &self.activity, sql)
    }

    /// Sets the state of staged rows; `condition` may speak of the table as `t` where `join` says so.
    fn mark(
        &self,
        writer: &mut Writer<'_>,
        state: &str,
        with_table: bool,
        condition: &str,
    ) -> Result<u64, WriteError> {
        let from =
            if with_table { format!("FROM ONLY {} t", self.details().table.sql()) } else { String::new() };
        let sql = format!(
            "UPDATE {} i SET \"unwipe state\" = {state} {from} WHERE {STATE} IS NULL AND {condition}",
            self.staging.table
        );
        self.count(writer, &sql)
    }

    /// Puts rows in whose keys are free; a row with the same key and content is already back.
    fn insert_by_key(&self, writer: &mut Writer<'_>) -> Result<u64, WriteError> {
        let details = self.details();
        if let Some(key) = &details.key {
            let state = format!("CASE WHEN {} THEN '{SAME}' ELSE '{TAKEN}' END", self.staging.same_content());
            self.mark(writer, &state, true, &Staging::same_key(key))?;
        }
        self.mark_taken(writer, &details.uniques)?;
        self.insert_unmarked(writer)
    }

    /// Puts as many rows of each content in as are missing from what there was at planning and what comes back.
    fn insert_by_content(&self, writer: &mut Writer<'_>) -> Result<u64, WriteError> {
        let table = &self.staging.table;
        let (ours, theirs) = (self.staging.columns("i"), self.staging.columns("t"));
        let sql = format!(
            "UPDATE {table} i SET \"unwipe state\" = '{SAME}' FROM ( \
               SELECT i.ctid AS row, row_number() OVER (PARTITION BY ROW({ours})::text) AS copy, \
                      coalesce(l.rows, 0) - {PRESENT} AS back \
               FROM {table} i LEFT JOIN (SELECT ROW({theirs})::text AS content, count(*) AS rows \
                 FROM ONLY {} t GROUP BY 1) l ON l.content = ROW({ours})::text) c \
             WHERE i.ctid = c.row AND c.copy <= c.back",
            self.details().table.sql()
        );
        self.count(writer, &sql)?;
        self.mark_taken(writer, &self.details().uniques)?;
        self.insert_unmarked(writer)
    }

    fn mark_taken(&self, writer: &mut Writer<'_>, uniques: &[UniqueKey]) -> Result<(), WriteError> {
        for unique in uniques {
            self.mark(writer, &format!("'{TAKEN}'"), true, &Staging::same_key(unique))?;
        }
        Ok(())
    }

    fn insert_unmarked(&self, writer: &mut Writer<'_>) -> Result<u64, WriteError> {
        let details = self.details();
        // `ON CONFLICT` refuses tables with deferrable unique constraints; their plain keys were looked up above.
        let on_conflict =
            if details.uniques.iter().all(|unique| unique.immediate) { "ON CONFLICT DO NOTHING" } else { "" };
        let sql = format!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} i WHERE {STATE} IS NULL {on_conflict}",
            details.table.sql(),
            self.staging.bare_columns(),
            self.staging.columns("i"),
            self.staging.table
        );
        let inserted = self.count(writer, &sql)?;
        let open = self.open_rows(writer)?;
        if inserted < open {
            self.find_refused(writer)?;
        }
        self.mark(writer, &format!("'{DONE}'"), false, "true")?;
        Ok(inserted)
    }

    fn open_rows(&self, writer: &mut Writer<'_>) -> Result<u64, WriteError> {
        let sql = format!("SELECT count(*) FROM {} i WHERE {STATE} IS NULL", self.staging.table);
        Ok(writer.value(&self.activity, &sql)?.parse().unwrap_or(0))
    }

    /// Finds the rows that an index refused which only the server can check: those that are not there now.
    fn find_refused(&self, writer: &mut Writer<'_>) -> Result<(), WriteError> {
        let found = match &self.details().key {
            Some(key) => Staging::same_key(key),
            None => self.staging.same_content(),
        };
        let condition =
            format!("NOT EXISTS (SELECT FROM ONLY {} t WHERE {found})", self.details().table.sql());
        self.mark(writer, &format!("'{TAKEN}'"), false, &condition).map(drop)
    }

    /// Finds and locks the rows that still are as the plan saw them.
    ///
    /// A row lock waits for whoever is changing the row and then looks again, so that nothing can come between this and
    /// what is written next.
    fn lock_targets(&self, writer: &mut Writer<'_>) -> Result<(), WriteError> {
        let details = self.details();
        let name = postgres_wire::quote_literal(&details.table.sql());
        let file = writer.value(&self.activity, &format!("SELECT pg_relation_filenode({name}::regclass)"))?;
        let places_hold = file == details.file.to_string();
        let found = match (&details.key, places_hold) {
            (_, true) => format!("t.ctid = {PLACE}"),
            (Some(key), false) => Staging::same_key(key),
            (None, false) => return Ok(()),
        };
        let sql = format!(
            "WITH locked AS (SELECT t.ctid AS target, i.ctid AS row FROM {} i JOIN ONLY {} t ON {found} \
               WHERE t.xmin = {OWNER} FOR UPDATE OF t) \
             UPDATE {} i SET \"unwipe target\" = l.target FROM locked l WHERE i.ctid = l.row",
            self.staging.table,
            details.table.sql(),
            self.staging.table
        );
        self.count(writer, &sql).map(drop)
    }

    fn revert(&self, writer: &mut Writer<'_>) -> Result<u64, WriteError> {
        self.lock_targets(writer)?;
        let rekeyed = if writer.privileged { self.set_aside_rekeyed(writer)? } else { 0 };
        let details = self.details();
        let columns: Vec<String> = details
            .columns
            .iter()
            // An identity that differs is among those set aside; an `UPDATE` may not name it.
            .filter(|column| !column.identity_always)
            .map(|column| {
                let name = quote_identifier(&column.name);
                format!("{name} = i.{name}")
            })
            .collect();
        let mut changed = 0;
        if !columns.is_empty() {
            let sql = format!(
                "UPDATE ONLY {} t SET {} FROM {} i WHERE t.ctid = {TARGET} AND t.xmin = {OWNER} AND {STATE} IS NULL",
                details.table.sql(),
                columns.join(", "),
                self.staging.table
            );
            changed = self.count(writer, &sql)?;
        }
        if rekeyed > 0 {
            changed += self.insert_rekeyed(writer)?;
        }
        let done = format!("{TARGET} IS NOT NULL");
        self.mark(writer, &format!("'{DONE}'"), false, &done)?;
        self.mark_lost(writer, true)?;
        Ok(changed)
    }

    /// Takes rows out whose key changes: put in one by one, a row might meet the key of another that has yet to move.
    fn set_aside_rekeyed(&self, writer: &mut Writer<'_>) -> Result<u64, WriteError> {
        let details = self.details();
        let keys =
            details.uniques.iter().flat_map(|unique| &unique.columns).map(|column| column.name.as_str());
        let identities =
            details.columns.iter().filter(|column| column.identity_always).map(|column| column.name.as_str());
        let names: std::collections::BTreeSet<&str> = keys.chain(identities).collect();
        if names.is_empty() {
            return Ok(0);
        }
        let list = |alias: &str| crate::facts::column_list(alias, names.iter().copied());
        let moved = format!(
            "t.ctid = {TARGET} AND ROW({})::text IS DISTINCT FROM ROW({})::text",
            list("t"),
            list("i")
        );
        let rekeyed = self.mark(writer, "'rekeyed'", true, &moved)?;
        if rekeyed > 0 {
            let sql = format!(
                "CREATE TEMP TABLE {}_old ON COMMIT DROP AS SELECT 'done'::text AS \"unwipe state\"{} \
                 FROM {} i JOIN ONLY {} t ON t.ctid = {TARGET} WHERE {STATE} = 'rekeyed'",
                self.staging.table.trim_start_matches("pg_temp."),
                leading_comma(&self.staging.columns("t")),
                self.staging.table,
                details.table.sql()
            );
            self.count(writer, &sql)?;
            let sql = format!(
                "DELETE FROM ONLY {} t USING {} i WHERE t.ctid = {TARGET} AND {STATE} = 'rekeyed'",
                details.table.sql(),
                self.staging.table
            );
            self.count(writer, &sql)?;
        }
        Ok(rekeyed)
    }

    fn insert_rekeyed(&self, writer: &mut Writer<'_>) -> Result<u64, WriteError> {
        let sql = format!(
            "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} i WHERE {STATE} = 'rekeyed'",
            self.details().table.sql(),
            self.staging.bare_columns(),
            self.staging.columns("i"),
            self.staging.table
        );
        let inserted = self.count(writer, &sql)?;
        let sql = format!(
            "UPDATE {} i SET \"unwipe state\" = '{DONE}' WHERE {STATE} = 'rekeyed'",
            self.staging.table
        );
        self.count(writer, &sql)?;
        Ok(inserted)
    }

    fn remove(&self, writer: &mut Writer<'_>) -> Result<u64, WriteError> {
        self.lock_targets(writer)?;
        if !writer.privileged {
            // A cascade would take rows along that somebody added since.
            super::references::refuse_cascades(writer, self.staging)?;
        }
        self.keep_removed(writer)?;
        let sql = format!(
            "DELETE FROM ONLY {} t USING {} i WHERE t.ctid = {TARGET} AND t.xmin = {OWNER}",
            self.details().table.sql(),
            self.staging.table
        );
        let removed = self.count(writer, &sql)?;
        self.mark(writer, &format!("'{DONE}'"), false, &format!("{TARGET} IS NOT NULL"))?;
        self.mark_lost(writer, false)?;
        Ok(removed)
    }

    /// Copies the rows that are about to go, in the same transaction, to where they can be had again.
    fn keep_removed(&self, writer: &mut Writer<'_>) -> Result<(), WriteError> {
        let found = format!("SELECT count(*) FROM {} i WHERE {TARGET} IS NOT NULL", self.staging.table);
        let Some(schema) = &self.details().quarantine else { return Ok(()) };
        if writer.value(&self.activity, &found)? == "0" {
            return Ok(());
        }
        let activity = "making the quarantine";
        if writer.value(activity, &quarantine::exists(schema))? != "t" {
            writer.run(activity, &quarantine::make_schema(schema))?;
        }
        let table = quarantine::table_of(schema, &self.details().table, &self.plan);
        writer.run(activity, &quarantine::make_table(&table))?;
        let gone = format!("t.ctid = {TARGET} AND t.xmin = {OWNER}");
        let sql = quarantine::keep(&table, self.details(), &self.plan, &self.staging.table, &gone);
        self.count(writer, &sql).map(drop)
    }

    /// Judges the rows that were not found: already as they should be, or changed by somebody since planning.
    fn mark_lost(&self, writer: &mut Writer<'_>, wanted: bool) -> Result<(), WriteError> {
        if self.open_rows(writer)? == 0 {
            return Ok(());
        }
        let (same, taken) = (format!("'{SAME}'"), format!("'{TAKEN}'"));
        match (&self.details().key, wanted) {
            (Some(key), true) => {
                let condition = format!("{} AND {}", Staging::same_key(key), self.staging.same_content());
                self.mark(writer, &same, true, &condition)?;
                self.mark(writer, &taken, false, "true")?;
            }
            (None, true) => {
                self.mark(writer, &same, true, &self.staging.same_content())?;
                self.mark(writer, &taken, false, "true")?;
            }
            (Some(key), false) => {
                self.mark(writer, &taken, true, &Staging::same_key(key))?;
                self.mark(writer, &same, false, "true")?;
            }
            (None, false) => {
                self.mark(writer, &same, false, "true")?;
            }
        }
        Ok(())
    }

    /// Counts what became of the rows; the numbers must add up to what the plan says.
    fn report(
        &self,
        writer: &mut Writer<'_>,
        step: &Step,
        changed: u64,
    ) -> Result<(AppliedStep, Vec<Conflict>), WriteError> {
        let sql = format!("SELECT {STATE}, count(*) FROM {} i GROUP BY 1", self.staging.table);
        let mut applied = AppliedStep { number: step.number, changed, unchanged: 0, conflicts: 0 };
        let mut done = 0;
        for row in writer.rows(&self.activity, &sql)? {
            let count: u64 = crate::session::number(&row, 1);
            match text(&row, 0).as_str() {
                DONE => done += count,
                SAME => applied.unchanged += count,
                _ => applied.conflicts += count,
            }
        }
        if done != changed || done + applied.unchanged + applied.conflicts != step.rows {
            return Err(WriteError::Source {
                message: format!(
                    "step {} should have changed {done} rows and changed {changed}: a trigger or rule interfered",
                    step.number
                ),
                hint: Some("use a restore credential that may set session_replication_role".to_owned()),
                transient: false,
                source: None,
            });
        }
        let sql = format!(
            "SELECT {} FROM {} i WHERE {STATE} = '{TAKEN}' LIMIT {LISTED_MAX}",
            self.staging.label(),
            self.staging.table
        );
        let conflicts =
            if applied.conflicts == 0 { Vec::new() } else { writer.rows(&self.activity, &sql)? };
        let conflicts = conflicts.iter().map(|row| Conflict {
            target: step.target.clone(),
            key: text(row, 0),
            reason: "somebody changed the row, or took its key, after the plan was made".to_owned(),
            choice: Choice::Keep,
        });
        Ok((applied, conflicts.collect()))
    }
}
