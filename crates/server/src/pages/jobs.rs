//! Long work, as it gets on.

use std::sync::Arc;

use access::Permission;
use askama::{Template, filters::HtmlSafe};
use axum::{
    Router,
    extract::{Path, State},
    http::HeaderMap,
    routing::get,
};
use service::{
    jobs::{Job, JobKind, JobState, Phase},
    words,
    workshop::WorkError,
};

use super::{
    Page, elsewhere,
    frame::{Frame, Section},
    show,
};
use crate::{problem::Problem, resume, site::Site, visitor::Member};

pub(super) fn router() -> Router<Arc<Site>> {
    Router::new().route("/jobs/{id}", get(job))
}

#[derive(Template)]
#[template(path = "job.html")]
struct JobPage<'j> {
    frame: Frame,
    job: &'j Job,
    part: JobPart,
}

/// How a job gets on, as it is told anew to pages that are open.
#[derive(Template)]
#[template(path = "part_job.html")]
pub(crate) struct JobPart {
    /// What is shown: the job that was asked for, or the one that goes on with what it was doing.
    pub(crate) job: Job,
    asked: u64,
    /// Whether it was interrupted and is gone on with by itself, as soon as that can be.
    goes_on: bool,
}

impl JobPart {
    /// Looks how a job stands now.
    pub(crate) fn of(site: &Site, asked: Job) -> Self {
        let id = asked.id;
        let job = resume::successor(site, &asked).unwrap_or(asked);
        Self { goes_on: resume::goes_on(site, &job), asked: id, job }
    }

    /// Returns whether there is more to come.
    pub(crate) fn is_open(&self) -> bool {
        self.job.is_running() || self.goes_on
    }

    /// Returns whether another job is shown than the one that was asked for.
    const fn is_another(&self) -> bool {
        self.job.id != self.asked
    }

    /// Returns the case that it is about, where it applies one.
    fn case(&self) -> Option<&str> {
        (self.job.kind == JobKind::Apply).then_some(self.job.about.as_str())
    }

    fn amount(&self, phase: &Phase) -> String {
        let text = if phase.counted { words::count } else { words::bytes };
        match phase.total {
            Some(total) => format!("{} of {}", text(phase.done), text(total)),
            None if phase.done == 0 => String::new(),
            None => text(phase.done),
        }
    }

    /// Returns what is being done, when it goes on.
    fn phase(&self) -> Option<&Phase> {
        match &self.job.state {
            JobState::Running { phase } => Some(phase),
            _ => None,
        }
    }

    fn error(&self) -> Option<&WorkError> {
        match &self.job.state {
            JobState::Failed { error } => Some(error),
            _ => None,
        }
    }

    fn is_interrupted(&self) -> bool {
        self.job.state == JobState::Interrupted
    }

    /// Returns where one goes on from here, with the words for it.
    fn next(&self) -> Option<(String, &'static str)> {
        let JobState::Done { result } = &self.job.state else { return None };
        let text = |name: &str| result.get(name).and_then(serde_json::Value::as_str);
        match self.job.kind {
            JobKind::Plan => Some((format!("/plans/{}", text("plan")?), "See the plan")),
            JobKind::Apply => Some((format!("/cases/{}", self.job.about), "See what came of it")),
            JobKind::Drill => Some(("/drills".to_owned(), "See the certificate")),
            JobKind::Examine => Some(("/doctor".to_owned(), "See what was found")),
            JobKind::Capture => Some(("/sources".to_owned(), "See the sources")),
            JobKind::Query => Some((format!("/questions/{}", self.job.id), "See the rows")),
        }
    }
}

/// It escapes what it shows by itself.
impl HtmlSafe for JobPart {}

async fn job(
    State(site): State<Arc<Site>>,
    Member(visitor, person): Member,
    headers: HeaderMap,
    Path(id): Path<u64>,
) -> Page {
    visitor.require(Permission::See)?;
    let job = site.jobs.get(id).ok_or_else(|| Problem::missing(format!("job {id}")))?;
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::Activity, &job.title);
    let asked = job.clone();
    let part = elsewhere(&site, move |site| Ok(JobPart::of(site, asked))).await?;
    show(&JobPage { frame, job: &job, part })
}
