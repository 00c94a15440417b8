//! The rows of a step in a temporary table, where SQL can compare them with production.

use std::io::Read;

use connect::{
    Progress,
    plan::{Attachments, Plan, Step, WriteError},
};
use postgres_wire::quote_identifier;

use super::{Writer, failure};
use crate::{
    facts::{column_list, leading_comma},
    step::{RowsDetails, UniqueKey},
};

/// Bytes of an attachment that are sent at a time.
const PIECE_BYTES: usize = 1 << 17;

/// A step's rows as a temporary table with the alias `i`, beside the table itself as `t`.
///
/// Beside the restored columns it has, under names that no table uses: `place`, `owner` and `present` from the plan,
/// `target` (where the row is in production, once found and locked) and `state`.
pub(crate) struct Staging<'d> {
    pub(crate) table: String,
    pub(crate) details: &'d RowsDetails,
}

pub(crate) const PLACE: &str = "i.\"unwipe place\"";
pub(crate) const OWNER: &str = "i.\"unwipe owner\"";
pub(crate) const PRESENT: &str = "i.\"unwipe present\"";
pub(crate) const TARGET: &str = "i.\"unwipe target\"";
pub(crate) const STATE: &str = "i.\"unwipe state\"";

impl<'d> Staging<'d> {
    /// Names the temporary table of a step.
    pub(crate) fn of(number: u32, details: &'d RowsDetails) -> Self {
        Self { table: format!("pg_temp.unwipe_{number}"), details }
    }

    /// Makes the temporary table and fills it.
    pub(crate) fn load(
        writer: &mut Writer<'_>,
        plan: &Plan,
        step: &Step,
        details: &'d RowsDetails,
        attachments: &dyn Attachments,
        progress: &dyn Progress,
    ) -> Result<Self, WriteError> {
        let staging = Self::of(step.number, details);
        let activity = format!("staging rows of {}", details.table);
        let make = format!(
            "CREATE TEMP TABLE unwipe_{} ON COMMIT DROP AS SELECT NULL::tid AS \"unwipe place\", \
             NULL::xid AS \"unwipe owner\", 0::bigint AS \"unwipe present\"{}, NULL::tid AS \"unwipe target\", \
             NULL::text AS \"unwipe state\" FROM ONLY {} t WITH NO DATA",
            step.number,
            leading_comma(&staging.columns("t")),
            details.table.sql()
        );
        writer.count_on(details, &activity, &make)?;
        staging.fill(writer, plan, step, attachments, progress)?;
        writer.run(&activity, &format!("ANALYZE {}", staging.table))?;
        Ok(staging)
    }

    fn fill(
        &self,
        writer: &mut Writer<'_>,
        plan: &Plan,
        step: &Step,
        attachments: &dyn Attachments,
        progress: &dyn Progress,
    ) -> Result<(), WriteError> {
        let activity = format!("staging rows of {}", self.details.table);
        let name = step.attachment.as_deref().unwrap_or_default();
        let missing = || WriteError::Plan(format!("step {} has no attachment", step.number).into());
        let attachment = plan.attachment(name).ok_or_else(missing)?;
        let mut reader = attachments.open(attachment).map_err(|source| WriteError::Plan(Box::new(source)))?;
        let names = self.details.columns.iter().map(|column| quote_identifier(&column.name));
        let names: Vec<String> = ["place", "owner", "present"]
            .iter()
            .map(|name| format!("\"unwipe {name}\""))
            .chain(names)
            .collect();
        let sql = format!("COPY {} ({}) FROM STDIN", self.table, names.join(", "));
        let failed = |source| failure(&activity, None, source);
        let mut copy = writer.connection.copy_in(&sql).map_err(failed)?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let read = match reader.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => read,
                Err(source) => {
                    copy.fail("the plan's attachment could not be read").map_err(failed)?;
                    return Err(WriteError::Plan(Box::new(source)));
                }
            };
            copy.write(&piece[..read]).map_err(failed)?;
        }
        let rows = copy.finish().map_err(failed)?;
        if rows != step.rows {
            let reason = format!(
                "step {} has {rows} rows in its attachment and {} by its word",
                step.number, step.rows
            );
            return Err(WriteError::Plan(reason.into()));
        }
        progress.advance(rows);
        Ok(())
    }

    /// The restored columns with an alias.
    pub(crate) fn columns(&self, alias: &str) -> String {
        column_list(alias, self.details.columns.iter().map(|column| column.name.as_str()))
    }

    /// The restored columns without an alias.
    pub(crate) fn bare_columns(&self) -> String {
        let names: Vec<String> =
            self.details.columns.iter().map(|column| quote_identifier(&column.name)).collect();
        names.join(", ")
    }

    /// Whether `t` and `i` have the same content.
    pub(crate) fn same_content(&self) -> String {
        format!("ROW({})::text = ROW({})::text", self.columns("t"), self.columns("i"))
    }

    /// Whether `t` and `i` have the same values in a unique key.
    pub(crate) fn same_key(key: &UniqueKey) -> String {
        let equal: Vec<String> = key
            .columns
            .iter()
            .map(|column| {
                let name = quote_identifier(&column.name);
                format!("t.{name} {} i.{name}", column.operator)
            })
            .collect();
        equal.join(" AND ")
    }

    /// How a row is shown to people, as SQL: its key, or else its content.
    pub(crate) fn label(&self) -> String {
        match &self.details.key {
            None => format!("left(ROW({})::text, 200)", self.columns("i")),
            Some(key) => {
                let parts: Vec<String> = key
                    .columns
                    .iter()
                    .map(|column| {
                        let (name, value) = (
                            postgres_wire::quote_literal(&format!("{}=", column.name)),
                            quote_identifier(&column.name),
                        );
                        format!("{name} || coalesce(i.{value}::text, 'NULL')")
                    })
                    .collect();
                parts.join(" || ', ' || ")
            }
        }
    }
}
