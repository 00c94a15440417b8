//! The pages.

mod activity;
mod browse;
pub(crate) mod case;
pub(crate) mod cases;
mod doctor;
mod door;
mod drills;
mod frame;
pub(crate) mod help;
pub(crate) mod incident;
pub(crate) mod incidents;
mod jobs;
mod people;
pub(crate) mod plans;
mod posture;
mod sources;
#[cfg(test)]
mod tests;
pub(crate) mod told;

use std::sync::Arc;

use axum::{
    Router,
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use connect::Progress;
use serde::Serialize;
use service::{
    jobs::JobDraft,
    workshop::{WorkError, Workshop},
};

pub(crate) use self::{
    frame::dark,
    incident::IncidentPart,
    incidents::{Asked as AskedIncidents, IncidentsPart},
    jobs::JobPart,
    posture::OverviewPart,
};
use crate::{
    guard::is_for_programs,
    problem::{PageProblem, Problem},
    site::Site,
};

/// What a page's handler returns.
type Page = Result<Response, PageProblem>;

/// Every page.
pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new()
        .merge(door::router())
        .merge(posture::router())
        .merge(jobs::router())
        .merge(sources::router())
        .merge(doctor::router())
        .merge(activity::router())
        .merge(browse::router())
        .merge(drills::router())
        .merge(incidents::router())
        .merge(incident::router())
        .merge(plans::router())
        .merge(cases::router())
        .merge(case::router())
        .merge(people::router())
}

/// The answer to an address that leads nowhere.
pub(crate) async fn missing(uri: axum::http::Uri) -> Response {
    let problem = Problem::missing("such page");
    if is_for_programs(uri.path()) {
        problem.into_response()
    } else {
        PageProblem::Problem(problem).into_response()
    }
}

/// Renders a page.
fn show<T: askama::Template>(template: &T) -> Page {
    let text = template.render().map_err(|error| Problem::of(StatusCode::INTERNAL_SERVER_ERROR, &error))?;
    Ok(Html(text).into_response())
}

/// Does something that waits for files or databases, away from the threads that answer.
pub(crate) async fn elsewhere<T: Send + 'static>(
    site: &Arc<Site>,
    work: impl FnOnce(&Site) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let site = Arc::clone(site);
    tokio::task::spawn_blocking(move || work(&site)).await?
}

/// Begins long work that somebody asked for, and leads to the page on which it gets on.
async fn begin<T, W>(site: &Arc<Site>, draft: JobDraft, work: W) -> Page
where
    T: Serialize,
    W: FnOnce(&dyn Workshop, &Arc<dyn Progress>) -> Result<T, WorkError> + Send + 'static,
{
    let job = elsewhere(site, move |site| {
        let workshop = Arc::clone(&site.workshop);
        Ok(site.jobs.start(draft, move |progress| work(&*workshop, progress))?)
    })
    .await?;
    Ok(Redirect::to(&format!("/jobs/{}", job.id)).into_response())
}
