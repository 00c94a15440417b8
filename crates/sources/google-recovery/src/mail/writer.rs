use std::path::PathBuf;

use connect::{
    Progress, StoredHistory,
    plan::{
        AppliedReport, ApplyMode, Attachments, Counts, Plan, SourceWriter, Step, Verification, WriteError,
    },
};
use google_api::{ApiError, Obstacle, WriteApi};
use serde::de::DeserializeOwned;

use super::{
    apply::Outcome,
    rows::{StepDetails, read_rows},
};

/// Applies plans for mailboxes.
///
/// Gmail has no transactions: what was done stays when something fails, and applying the plan again goes on from there.
/// What was put in is written down beside the plan at once, so that nothing is put in twice.
pub struct MailWriter<'a> {
    pub(super) api: &'a WriteApi,
    pub(super) past: &'a dyn StoredHistory,
    /// Where it is written down what was put in.
    pub(super) journal: PathBuf,
    pub(super) threads: usize,
}

impl<'a> MailWriter<'a> {
    /// Makes a writer; `journal` is a file beside the plan, which may be there from an earlier run.
    pub fn new(
        api: &'a WriteApi,
        past: &'a dyn StoredHistory,
        journal: impl Into<PathBuf>,
        threads: usize,
    ) -> Self {
        Self { api, past, journal: journal.into(), threads: threads.max(1) }
    }
}

impl SourceWriter for MailWriter<'_> {
    fn apply(
        &mut self,
        plan: &Plan,
        attachments: &dyn Attachments,
        mode: ApplyMode,
        progress: &dyn Progress,
    ) -> Result<AppliedReport, WriteError> {
        let mut report = AppliedReport {
            plan: plan.hash().map_err(|error| WriteError::Plan(Box::new(error)))?,
            mode,
            transaction: None,
            steps: Vec::new(),
            counts: Counts::default(),
            conflicts: Vec::new(),
            notes: Vec::new(),
        };
        for step in &plan.steps {
            let outcome = match details(step)? {
                StepDetails::Relabel { mailbox, history, label_names } => {
                    let rows = rows(plan, step, attachments)?;
                    self.relabel(&mailbox, &history, &label_names, rows, mode, progress)?
                }
                StepDetails::Insert { mailbox, stream, at, now, label_names } => {
                    let rows = rows(plan, step, attachments)?;
                    let place = super::insert::Place::new(mailbox, &stream, at, now, label_names)?;
                    self.insert(&place, &rows, mode, progress)?
                }
            };
            Outcome::report(outcome, step, &mut report);
        }
        Ok(report)
    }

    fn verify(
        &mut self,
        plan: &Plan,
        attachments: &dyn Attachments,
        progress: &dyn Progress,
    ) -> Result<Verification, WriteError> {
        let mut checks = Vec::new();
        for step in &plan.steps {
            checks.push(match details(step)? {
                StepDetails::Relabel { mailbox, label_names, .. } => self.verify_labels(
                    step,
                    &mailbox,
                    &label_names,
                    &rows(plan, step, attachments)?,
                    progress,
                )?,
                StepDetails::Insert { mailbox, stream, at, now, label_names } => {
                    let place = super::insert::Place::new(mailbox, &stream, at, now, label_names)?;
                    self.verify_inserted(step, &place, &rows(plan, step, attachments)?, progress)?
                }
            });
        }
        Ok(Verification { plan: plan.hash().map_err(|error| WriteError::Plan(Box::new(error)))?, checks })
    }
}

fn details(step: &Step) -> Result<StepDetails, WriteError> {
    serde_json::from_value(step.details.clone()).map_err(|error| WriteError::Plan(Box::new(error)))
}

fn rows<T: DeserializeOwned>(
    plan: &Plan,
    step: &Step,
    attachments: &dyn Attachments,
) -> Result<Vec<T>, WriteError> {
    let attachment = step.attachment.as_deref().and_then(|name| plan.attachment(name));
    let attachment = attachment.ok_or_else(|| WriteError::Plan("a step has no attachment".into()))?;
    let reader = attachments.open(attachment).map_err(|error| WriteError::Plan(Box::new(error)))?;
    read_rows(reader).map_err(|error| WriteError::Plan(Box::new(error)))
}

/// Says what a failed call means for the whole application.
pub(super) fn failed(what: &str, error: ApiError) -> WriteError {
    match error {
        ApiError::Obstacle(obstacle @ Obstacle::Delegation { .. }) => WriteError::Privilege {
            what: what.to_owned(),
            grant: Some(obstacle.hint()),
            source: Some(obstacle.to_string().into()),
        },
        ApiError::Refused(refusal) if refusal.status.as_u16() == 403 => WriteError::Privilege {
            what: what.to_owned(),
            grant: None,
            source: Some(refusal.to_string().into()),
        },
        error => WriteError::Source {
            message: format!("Gmail did not {what}"),
            hint: Some("apply the same plan again: it goes on where it stopped".to_owned()),
            transient: matches!(error, ApiError::Passing(_) | ApiError::Stopped),
            source: Some(Box::new(error)),
        },
    }
}
