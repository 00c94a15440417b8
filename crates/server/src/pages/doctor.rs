//! The examination of the installation: what production's credentials could reach, what holds, what does not.

use std::sync::Arc;

use access::Permission;
use askama::Template;
use axum::{Router, extract::State, http::HeaderMap, routing::get};
use connect::{Finding, Standing};
use service::{
    jobs::{Job, JobDraft, JobKind, JobState},
    words,
    workshop::{Examined, WorkError},
};

use super::{
    Page, begin,
    frame::{Frame, Section},
    show,
};
use crate::{
    guard::too_often,
    limits::Purpose,
    site::Site,
    visitor::{Member, Posted},
};

pub(super) fn router() -> Router<Arc<Site>> {
    Router::new().route("/doctor", get(doctor).post(examine))
}

/// There is one installation to examine.
const ABOUT: &str = "installation";

#[derive(Template)]
#[template(path = "doctor.html")]
struct DoctorPage {
    frame: Frame,
    state: Examination,
    may_examine: bool,
}

/// What is known of the newest examination.
enum Examination {
    None,
    Running { job: u64 },
    Failed { error: WorkError, when: String },
    Done { examined: Vec<Examined>, when: String, bad: usize, advice: usize },
}

impl Examination {
    fn of(job: Option<Job>) -> Self {
        let Some(job) = job else { return Self::None };
        let when = words::moment(job.ended_at.unwrap_or(job.began_at));
        match job.state {
            JobState::Running { .. } => Self::Running { job: job.id },
            JobState::Interrupted => Self::None,
            JobState::Failed { error } => Self::Failed { error, when },
            JobState::Done { result } => match serde_json::from_value::<Vec<Examined>>(result) {
                Err(_) => Self::None,
                Ok(examined) => {
                    let count = |standing| {
                        let all = examined.iter().flat_map(|about| &about.findings);
                        all.filter(|finding| finding.standing == standing).count()
                    };
                    let (bad, advice) = (count(Standing::Bad), count(Standing::Advice));
                    Self::Done { examined, when, bad, advice }
                }
            },
        }
    }
}

impl DoctorPage {
    fn class(&self, finding: &Finding) -> &'static str {
        match finding.standing {
            Standing::Good => "good",
            Standing::Advice => "warning",
            Standing::Bad => "bad",
        }
    }

    fn word(&self, finding: &Finding) -> &'static str {
        match finding.standing {
            Standing::Good => "holds",
            Standing::Advice => "advice",
            Standing::Bad => "does not hold",
        }
    }
}

async fn doctor(State(site): State<Arc<Site>>, Member(visitor, person): Member, headers: HeaderMap) -> Page {
    visitor.require(Permission::See)?;
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::Doctor, "Doctor");
    let state = Examination::of(site.jobs.newest(JobKind::Examine, ABOUT));
    show(&DoctorPage { frame, state, may_examine: visitor.may(Permission::Drill) })
}

async fn examine(State(site): State<Arc<Site>>, posted: Posted) -> Page {
    let Posted(Member(visitor, person), _) = posted;
    visitor.require(Permission::Drill)?;
    site.limits.take(Purpose::Work, person.person.as_str()).map_err(too_often)?;
    let draft = JobDraft {
        kind: JobKind::Examine,
        title: "Examine the installation".to_owned(),
        by: person.person.to_string(),
        about: ABOUT.to_owned(),
    };
    begin(&site, draft, |workshop, progress| workshop.examine(progress)).await
}
