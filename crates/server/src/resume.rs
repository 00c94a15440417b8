//! Applying: begun by a person once people approved, and gone on with after the process that did it was killed.

use std::{path::PathBuf, sync::Arc};

use approvals::{Case, CaseId, State, Subject};
use axum::http::StatusCode;
use connect::plan::{PlanFolder, PlanHash};
use service::{
    cases::CaseStore,
    jobs::{Job, JobDraft, JobKind, JobState},
    plans,
    workshop::{AppliedRestore, WorkError, WorkErrorKind},
};

use crate::{problem::Problem, site::Site};

/// What applying a case takes.
struct Work {
    id: CaseId,
    plan: PlanHash,
    folder: PathBuf,
    title: String,
}

impl Work {
    fn of(case: &Case) -> Option<Self> {
        match &case.subject {
            Subject::Restore { plan, folder, title, .. } => Some(Self {
                id: case.id.clone(),
                plan: *plan,
                folder: PathBuf::from(folder),
                title: format!("apply: {title}"),
            }),
            Subject::Weakening(_) => None,
        }
    }
}

/// Begins to apply a case in a job. Whether it may begin is decided where it begins: by the case's own rules, under its
/// lock, with each signature checked again.
pub(crate) fn apply(site: &Arc<Site>, case: &Case, by: &str) -> Result<Job, Problem> {
    let work = Work::of(case).ok_or_else(|| Problem::unusable("There is no plan in this case to apply."))?;
    match &case.state {
        State::Approved { .. } | State::Applying { .. } => {}
        other => {
            let sentence = format!("This case is {}, so there is nothing to apply.", other.word());
            return Err(Problem::new(StatusCode::CONFLICT, sentence)
                .hint(Some(format!("unwipe cases show {}", case.id))));
        }
    }
    // What was approved must lie there, before anything else is done.
    if let Err(error) = PlanFolder::new(&work.folder).read_document(Some(work.plan)) {
        return Err(Problem::of(StatusCode::CONFLICT, &error)
            .hint(Some("the plan was changed after it was asked for: make a new one".to_owned())));
    }
    start(site, work, by)
}

fn start(site: &Arc<Site>, work: Work, by: &str) -> Result<Job, Problem> {
    let draft = JobDraft {
        kind: JobKind::Apply,
        title: work.title.clone(),
        by: by.to_owned(),
        about: work.id.to_string(),
    };
    let doing = Arc::clone(site);
    let job = site.jobs.start(draft, move |progress| -> Result<AppliedRestore, WorkError> {
        let found = PlanFolder::new(&work.folder).read_document(Some(work.plan));
        found.map_err(|error| WorkError {
            kind: WorkErrorKind::Failed,
            sentence: "the plan is not the one that was approved".to_owned(),
            causes: vec![error.to_string()],
            hint: Some("make a new plan, and ask for approval of it".to_owned()),
        })?;
        let applied = doing.workshop.apply(&work.folder, progress)?;
        // A note for people; what was done is in the vault's operation log.
        plans::keep_outcome(&work.folder, &applied).ok();
        Ok(applied)
    })?;
    Ok(job)
}

/// Returns the job that goes on, or went on, with what an interrupted one was applying.
pub(crate) fn successor(site: &Site, job: &Job) -> Option<Job> {
    let newest = || site.jobs.newest(JobKind::Apply, &job.about).filter(|newest| newest.id != job.id);
    is_interrupted(job).then(newest).flatten()
}

/// Returns whether what an interrupted job was applying is gone on with by itself.
pub(crate) fn goes_on(site: &Site, job: &Job) -> bool {
    left(site, job).is_some()
}

fn is_interrupted(job: &Job) -> bool {
    job.kind == JobKind::Apply && job.state == JobState::Interrupted
}

/// Returns what an interrupted job left to do, unless another one went on with it.
fn left(site: &Site, job: &Job) -> Option<Work> {
    if !is_interrupted(job) || successor(site, job).is_some() {
        return None;
    }
    let case = CaseStore::of(&site.home).get(&CaseId::new(&job.about).ok()?).ok()?;
    Work::of(&case).filter(|_| matches!(case.state, State::Applying { .. }))
}

/// Goes on with cases whose application ended with the process before; nobody has to ask for that. One that a person
/// began elsewhere, or that failed for a reason, waits for a person.
pub(crate) fn go_on(site: &Arc<Site>) {
    for job in site.jobs.all() {
        if let Some(work) = left(site, &job) {
            // Where there is no room for one more job, the next look tries again.
            start(site, work, &job.by).ok();
        }
    }
}
