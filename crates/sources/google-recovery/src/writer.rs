use std::path::PathBuf;

use connect::{
    Progress, StoredHistory,
    plan::{
        AppliedReport, ApplyMode, Attachments, Counts, Plan, SourceWriter, Step, Verification, WriteError,
    },
};
use google_api::WriteApi;

use crate::{journal::Journal, step::Task};

/// Applies plans to a domain.
///
/// Google has no transactions: what was done stays when something fails, and applying the plan again goes on from there.
/// What was made is written down beside the plan at once, so that nothing is made twice.
pub struct GoogleWriter<'a> {
    api: &'a WriteApi,
    past: &'a dyn StoredHistory,
    /// Where it is written down what was made.
    journal: PathBuf,
    threads: usize,
}

impl<'a> GoogleWriter<'a> {
    /// Makes a writer; `journal` is a file beside the plan, which may be there from an earlier run.
    pub fn new(
        api: &'a WriteApi,
        past: &'a dyn StoredHistory,
        journal: impl Into<PathBuf>,
        threads: usize,
    ) -> Self {
        Self { api, past, journal: journal.into(), threads: threads.max(1) }
    }

    fn each_step(
        &self,
        plan: &Plan,
        attachments: &dyn Attachments,
        mode: ApplyMode,
        progress: &dyn Progress,
        mut take: impl FnMut(&Step, &Task<'_>) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        let journal = Journal::read(self.journal.clone())?;
        for step in &plan.steps {
            let task = Task {
                api: self.api,
                past: self.past,
                journal: &journal,
                threads: self.threads,
                mode,
                progress,
                plan,
                step,
                attachments,
            };
            take(step, &task)?;
        }
        Ok(())
    }
}

impl SourceWriter for GoogleWriter<'_> {
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
        self.each_step(plan, attachments, mode, progress, |step, task| {
            task.apply()?.report(step, &mut report);
            Ok(())
        })?;
        Ok(report)
    }

    fn verify(
        &mut self,
        plan: &Plan,
        attachments: &dyn Attachments,
        progress: &dyn Progress,
    ) -> Result<Verification, WriteError> {
        let mut checks = Vec::new();
        self.each_step(plan, attachments, ApplyMode::Rehearsal, progress, |_, task| {
            checks.push(task.verify()?);
            Ok(())
        })?;
        Ok(Verification { plan: plan.hash().map_err(|error| WriteError::Plan(Box::new(error)))?, checks })
    }
}
