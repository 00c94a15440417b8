//! Applies a plan in one transaction, and reads production again to verify it.
//!
//! Applying decides nothing. Each row of the plan carries what must still hold of it; where it no longer does, somebody
//! was there in the meantime, and the row is reported and left alone. Everything happens in one transaction, so that a
//! process killed anywhere leaves nothing behind, and a second application finds nothing to do.

use connect::{
    Progress,
    plan::{
        AppliedReport, AppliedStep, ApplyMode, Attachments, Check, Conflict, Counts, LISTED_MAX, Plan,
        PlanHash, SourceWriter, Step, Verification, WriteError,
    },
};
use postgres_wire::{Connection, WireError, quote_identifier, quote_literal};

use crate::{
    quarantine,
    session::{Row, SETTINGS, text},
    step::{AdvanceDetails, CreateDetails, Details, RowsDetails},
};

mod references;
mod rows;
mod staging;
mod verify;

use references::Checked;

/// How long a step waits for a lock that somebody holds in production.
const LOCK_TIMEOUT: &str = "10s";

/// How often a plan is claimed, four times a second: the server may still be ending what a killed process began.
const CLAIM_TRIES: u32 = 48;

/// Writes to production with the restore credential.
pub struct ProductionWriter<'c> {
    connection: &'c mut Connection,
}

impl<'c> ProductionWriter<'c> {
    /// Makes a writer of a connection that the restore credential opened, in the database the plan is for.
    pub fn new(connection: &'c mut Connection) -> Self {
        Self { connection }
    }

    fn begin(&mut self) -> Result<(), WriteError> {
        let mut writer = Writer { connection: self.connection, privileged: false };
        writer.run("preparing the session", SETTINGS)?;
        writer.run("beginning the transaction", "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")?;
        writer.run("beginning the transaction", &format!("SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
    }

    /// Ends a transaction that came to nothing; the error that led here is worth more than one while clearing up.
    fn roll_back(&mut self) {
        if self.connection.is_usable() {
            drop(self.connection.execute("ROLLBACK"));
        }
    }
}

impl SourceWriter for ProductionWriter<'_> {
    fn apply(
        &mut self,
        plan: &Plan,
        attachments: &dyn Attachments,
        mode: ApplyMode,
        progress: &dyn Progress,
    ) -> Result<AppliedReport, WriteError> {
        let hash = plan.hash().map_err(|source| WriteError::Plan(Box::new(source)))?;
        self.begin()?;
        let writer = Writer { connection: self.connection, privileged: false };
        let mut application = Application::new(writer, plan, hash, mode);
        let applied = application.run(attachments, progress);
        match applied {
            Ok(report) if mode == ApplyMode::Lasting => {
                // From here on an error does not mean that nothing happened.
                match self.connection.execute("COMMIT") {
                    Ok(_) => Ok(report),
                    Err(source) if self.connection.is_usable() => {
                        Err(failure("making it permanent", None, source))
                    }
                    Err(source) => Err(WriteError::Unknown(Box::new(source))),
                }
            }
            other => {
                self.roll_back();
                other
            }
        }
    }

    fn verify(
        &mut self,
        plan: &Plan,
        attachments: &dyn Attachments,
        progress: &dyn Progress,
    ) -> Result<Verification, WriteError> {
        let hash = plan.hash().map_err(|source| WriteError::Plan(Box::new(source)))?;
        self.begin()?;
        let mut writer = Writer { connection: self.connection, privileged: false };
        let checks: Result<Vec<Check>, WriteError> = plan
            .steps
            .iter()
            .map(|step| verify::check(&mut writer, plan, step, attachments, progress))
            .collect();
        self.roll_back();
        Ok(Verification { plan: hash, checks: checks? })
    }
}

/// The connection inside of the transaction.
pub(crate) struct Writer<'c> {
    connection: &'c mut Connection,
    /// Whether user triggers and the server's own foreign key checks are off.
    privileged: bool,
}

impl Writer<'_> {
    pub(crate) fn run(&mut self, activity: &str, sql: &str) -> Result<(), WriteError> {
        self.count(activity, sql).map(drop)
    }

    /// Runs a statement and returns the number of rows that it touched.
    pub(crate) fn count(&mut self, activity: &str, sql: &str) -> Result<u64, WriteError> {
        self.connection.execute(sql).map_err(|source| failure(activity, None, source))
    }

    pub(crate) fn rows(&mut self, activity: &str, sql: &str) -> Result<Vec<Row>, WriteError> {
        self.connection.query_rows(sql).map_err(|source| failure(activity, None, source))
    }

    /// Runs a statement on a table; a missing privilege is answered with the statement that gives it.
    pub(crate) fn count_on(
        &mut self,
        details: &RowsDetails,
        activity: &str,
        sql: &str,
    ) -> Result<u64, WriteError> {
        self.connection.execute(sql).map_err(|source| failure(activity, Some(details), source))
    }

    /// Returns one value that the query always has.
    pub(crate) fn value(&mut self, activity: &str, sql: &str) -> Result<String, WriteError> {
        Ok(self.rows(activity, sql)?.first().map(|row| text(row, 0)).unwrap_or_default())
    }
}

/// Says what failed, for people.
pub(crate) fn failure(activity: &str, details: Option<&RowsDetails>, source: WireError) -> WriteError {
    if let WireError::MissingPrivilege { user, remedy, .. } = &source {
        let role = quote_identifier(user);
        let grant = match details {
            Some(details) => Some(format!(
                "GRANT USAGE ON SCHEMA {} TO {role}; GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {role};",
                quote_identifier(&details.table.schema),
                details.table.sql()
            )),
            None => remedy.clone(),
        };
        return WriteError::Privilege { what: activity.to_owned(), grant, source: Some(Box::new(source)) };
    }
    // A lock not had in time, a deadlock, a serialization failure: the same plan may go through a minute later.
    let retried = ["55P03", "40P01", "40001"];
    let transient = source.is_transient()
        || source.server().is_some_and(|server| retried.contains(&server.sqlstate.as_str()));
    WriteError::Source {
        message: format!("production refused {activity}"),
        hint: source.hint(),
        transient,
        source: Some(Box::new(source)),
    }
}

/// Reads what a step says to this connector.
pub(crate) fn details_of(step: &Step) -> Result<Details, WriteError> {
    serde_json::from_value(step.details.clone()).map_err(|source| WriteError::Plan(Box::new(source)))
}

/// One run of a plan.
struct Application<'a, 'c> {
    writer: Writer<'c>,
    plan: &'a Plan,
    report: AppliedReport,
    checked: Vec<Checked>,
    sequences: Vec<AdvanceDetails>,
}

impl<'a, 'c> Application<'a, 'c> {
    fn new(writer: Writer<'c>, plan: &'a Plan, hash: PlanHash, mode: ApplyMode) -> Self {
        let report = AppliedReport {
            plan: hash,
            mode,
            transaction: None,
            steps: Vec::new(),
            counts: Counts::default(),
            conflicts: Vec::new(),
            notes: Vec::new(),
        };
        Self { writer, plan, report, checked: Vec::new(), sequences: Vec::new() }
    }

    fn run(
        &mut self,
        attachments: &dyn Attachments,
        progress: &dyn Progress,
    ) -> Result<AppliedReport, WriteError> {
        self.claim()?;
        self.silence_triggers()?;
        for step in &self.plan.steps {
            progress.phase(&step.title, Some(step.rows));
            let applied = self.step(step, attachments, progress)?;
            self.add(step, applied);
        }
        progress.phase("checking foreign keys", None);
        self.check_references()?;
        self.leave_witness()?;
        if self.report.mode == ApplyMode::Lasting {
            // Sequences do not roll back, so they come last, and only forward.
            for sequence in std::mem::take(&mut self.sequences) {
                self.advance(&sequence)?;
            }
        }
        self.report.transaction = Some(
            self.writer
                .value("reading the transaction's number", "SELECT pg_current_xact_id_if_assigned()::text")?,
        )
        .filter(|number| !number.is_empty());
        Ok(self.report.clone())
    }

    /// Keeps the same plan from being applied twice at the same time.
    fn claim(&mut self) -> Result<(), WriteError> {
        let bytes: [u8; 8] = std::array::from_fn(|position| self.report.plan.0[position]);
        let sql = format!("SELECT pg_try_advisory_xact_lock({})", i64::from_le_bytes(bytes));
        for _ in 0..CLAIM_TRIES {
            if self.writer.value("claiming the plan", &sql)? == "t" {
                return Ok(());
            }
            self.writer.run("claiming the plan", "SELECT pg_sleep(0.25)")?;
        }
        Err(WriteError::Busy)
    }

    /// Turns user triggers and cascades off where the credential may: they have run once already.
    fn silence_triggers(&mut self) -> Result<(), WriteError> {
        self.writer.run("beginning", "SAVEPOINT unwipe")?;
        match self.writer.connection.execute("SET LOCAL session_replication_role = replica") {
            Ok(_) => {
                self.writer.privileged = true;
                self.writer.run("beginning", "RELEASE SAVEPOINT unwipe")
            }
            Err(WireError::MissingPrivilege { user, .. }) => {
                self.report.notes.push(format!(
                    "triggers and cascades were active, as the credential may not turn them off; from PostgreSQL 15: \
                     GRANT SET ON PARAMETER session_replication_role TO {};",
                    quote_identifier(&user)
                ));
                self.writer.run("beginning", "ROLLBACK TO SAVEPOINT unwipe")?;
                self.writer.run("beginning", "SET CONSTRAINTS ALL DEFERRED")
            }
            Err(source) => Err(failure("turning triggers off", None, source)),
        }
    }

    fn step(
        &mut self,
        step: &Step,
        attachments: &dyn Attachments,
        progress: &dyn Progress,
    ) -> Result<AppliedStep, WriteError> {
        match details_of(step)? {
            Details::Rows(details) => {
                let (applied, conflicts) =
                    rows::apply(&mut self.writer, self.plan, step, &details, attachments, progress)?;
                if let Some(schema) = details.quarantine.as_ref().filter(|_| applied.changed > 0) {
                    let table = quarantine::table_of(schema, &details.table, &self.report.plan.to_string());
                    self.report.notes.push(format!("{} removed rows are kept in {table}", applied.changed));
                }
                self.checked.push(Checked { number: step.number, action: step.action, details });
                let room = LISTED_MAX.saturating_sub(self.report.conflicts.len());
                self.report.conflicts.extend(conflicts.into_iter().take(room));
                Ok(applied)
            }
            Details::Create(details) => self.create(step, &details),
            Details::Advance(details) => {
                self.sequences.push(details);
                Ok(AppliedStep { number: step.number, changed: 1, unchanged: 0, conflicts: 0 })
            }
        }
    }

    fn create(&mut self, step: &Step, details: &CreateDetails) -> Result<AppliedStep, WriteError> {
        let mut applied = AppliedStep { number: step.number, changed: 0, unchanged: 0, conflicts: 0 };
        for statement in &details.statements {
            let activity = format!("making {}", statement.object);
            let there = match &statement.exists {
                Some(query) => self.writer.value(&activity, query)? == "t",
                None => false,
            };
            if there {
                applied.unchanged += 1;
            } else {
                self.writer.run(&activity, &statement.sql)?;
                applied.changed += 1;
            }
        }
        Ok(applied)
    }

    fn add(&mut self, step: &Step, applied: AppliedStep) {
        use connect::plan::Action;

        let counts = &mut self.report.counts;
        match step.action {
            Action::Insert => counts.inserted += applied.changed,
            Action::Revert => counts.reverted += applied.changed,
            Action::Remove => counts.removed += applied.changed,
            Action::Create | Action::Redefine => counts.objects += applied.changed,
            Action::Advance => {}
        }
        counts.unchanged += applied.unchanged;
        counts.conflicts += applied.conflicts;
        self.report.steps.push(applied);
    }

    fn check_references(&mut self) -> Result<(), WriteError> {
        let checked = std::mem::take(&mut self.checked);
        let mut violations: Vec<Conflict> = Vec::new();
        for checked in &checked {
            references::check(&mut self.writer, self.plan, checked, &mut violations)?;
        }
        if violations.is_empty() { Ok(()) } else { Err(WriteError::Broken { violations }) }
    }

    /// Leaves a word in the log, in this very transaction, of who wrote these rows and why.
    fn leave_witness(&mut self) -> Result<(), WriteError> {
        let message = serde_json::json!({ "op": "restore", "plan": self.report.plan, "id": self.plan.id });
        let sql = format!(
            "SELECT pg_logical_emit_message(true, 'unwipe', {})",
            quote_literal(&message.to_string())
        );
        self.writer.run("leaving a witness message", &sql)
    }

    fn advance(&mut self, details: &AdvanceDetails) -> Result<(), WriteError> {
        let sequence = details.sequence.sql();
        let (comparison, value) = (if details.ascending { ">" } else { "<" }, details.last_value);
        let sql = format!(
            "SELECT setval({}::regclass, {value}, {}) FROM {sequence} s \
             WHERE {value} {comparison} s.last_value OR ({value} = s.last_value AND {} AND NOT s.is_called)",
            quote_literal(&sequence),
            details.is_called,
            details.is_called
        );
        self.writer.run(&format!("moving sequence {} forward", details.sequence), &sql)
    }
}
