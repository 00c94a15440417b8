//! Long work.

use std::sync::Arc;

use access::Permission;
use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use service::jobs::{Job, JobState, Phase};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{problem::Problem, site::Site, visitor::Caller};

pub(super) fn routes() -> OpenApiRouter<Arc<Site>> {
    OpenApiRouter::new().routes(routes!(jobs)).routes(routes!(job))
}

/// A job.
#[derive(Serialize, ToSchema)]
pub(super) struct JobView {
    /// Its number.
    id: u64,
    /// What is done: `plan`, `apply`, `drill`, `capture`, `examine`, `query`.
    #[schema(value_type = String)]
    kind: service::jobs::JobKind,
    /// One line for people.
    title: String,
    /// Who asked for it.
    by: String,
    /// When it began (RFC 3339).
    began_at: String,
    /// When it ended (RFC 3339).
    ended_at: Option<String>,
    /// `running`, `done`, `failed` or `interrupted`.
    state: &'static str,
    /// How far it has come, while it runs.
    phase: Option<PhaseView>,
    /// What came of it.
    #[schema(value_type = Option<Object>)]
    result: Option<serde_json::Value>,
    /// Why it was not done.
    #[schema(value_type = Option<Object>)]
    error: Option<service::workshop::WorkError>,
}

/// How far a job has come.
#[derive(Serialize, ToSchema)]
struct PhaseView {
    /// What is being done.
    title: String,
    /// How much is done.
    done: u64,
    /// How much there is, when that is known.
    total: Option<u64>,
    /// `things` or `bytes`.
    unit: &'static str,
}

impl From<&Phase> for PhaseView {
    fn from(phase: &Phase) -> Self {
        let unit = if phase.counted { "things" } else { "bytes" };
        Self { title: phase.title.clone(), done: phase.done, total: phase.total, unit }
    }
}

impl JobView {
    /// What a question to a moment came to is content, and is told to those alone who may read that.
    fn of(job: Job, may_read: bool) -> Self {
        let is_content = job.kind == service::jobs::JobKind::Query;
        let view = Self::from(job);
        if is_content && !may_read { Self { result: None, ..view } } else { view }
    }
}

impl From<Job> for JobView {
    fn from(job: Job) -> Self {
        let (state, phase, result, error) = match job.state {
            JobState::Running { phase } => ("running", Some(PhaseView::from(&phase)), None, None),
            JobState::Done { result } => ("done", None, Some(result), None),
            JobState::Failed { error } => ("failed", None, None, Some(error)),
            JobState::Interrupted => ("interrupted", None, None, None),
        };
        Self {
            id: job.id,
            kind: job.kind,
            title: job.title,
            by: job.by,
            began_at: job.began_at.to_string(),
            ended_at: job.ended_at.map(|at| at.to_string()),
            state,
            phase,
            result,
            error,
        }
    }
}

/// Lists the jobs that are remembered, the newest first.
#[utoipa::path(
    get,
    path = "/jobs",
    responses((status = 200, body = [JobView]), (status = "default", body = Problem)),
)]
async fn jobs(State(site): State<Arc<Site>>, Caller(caller): Caller) -> Result<Json<Vec<JobView>>, Problem> {
    caller.require(Permission::See)?;
    let views = site.jobs.all().into_iter().map(|job| JobView::of(job, caller.may(Permission::Content)));
    Ok(Json(views.collect()))
}

/// Shows one job.
#[utoipa::path(
    get,
    path = "/jobs/{id}",
    params(("id" = u64, Path, description = "The job's number")),
    responses((status = 200, body = JobView), (status = "default", body = Problem)),
)]
async fn job(
    State(site): State<Arc<Site>>,
    Caller(caller): Caller,
    Path(id): Path<u64>,
) -> Result<Json<JobView>, Problem> {
    caller.require(Permission::See)?;
    let job = site.jobs.get(id).ok_or_else(|| Problem::missing(format!("job {id}")))?;
    Ok(Json(JobView::of(job, caller.may(Permission::Content))))
}
