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
    Page,
    frame::{Frame, Section},
    show,
};
use crate::{problem::Problem, site::Site, visitor::Member};

pub(super) fn router() -> Router<Arc<Site>> {
    Router::new().route("/jobs/{id}", get(job))
}

#[derive(Template)]
#[template(path = "job.html")]
struct JobPage<'j> {
    frame: Frame,
    job: &'j Job,
    part: JobPart<'j>,
}

/// How a job gets on, as it is told anew to pages that are open.
#[derive(Template)]
#[template(path = "part_job.html")]
pub(crate) struct JobPart<'j> {
    pub(crate) job: &'j Job,
}

impl JobPart<'_> {
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
impl HtmlSafe for JobPart<'_> {}

async fn job(
    State(site): State<Arc<Site>>,
    Member(visitor, person): Member,
    headers: HeaderMap,
    Path(id): Path<u64>,
) -> Page {
    visitor.require(Permission::See)?;
    let job = site.jobs.get(id).ok_or_else(|| Problem::missing(format!("job {id}")))?;
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::Activity, &job.title);
    show(&JobPage { frame, job: &job, part: JobPart { job: &job } })
}
