//! What waits for people. No call decides a case: that takes a person's passkey, on the page of the case.

use std::sync::Arc;

use access::Permission;
use approvals::{Case, Decision, Policy};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::jobs::JobView;
use crate::{
    pages::{
        case::{applied, id, withdrawn},
        cases::{plan_of, sorted},
        elsewhere,
        plans::{hash, requested},
    },
    problem::Problem,
    site::Site,
    visitor::Caller,
};

/// So many cases are listed.
const LISTED: usize = 200;

pub(super) fn routes() -> OpenApiRouter<Arc<Site>> {
    OpenApiRouter::new()
        .routes(routes!(cases, request))
        .routes(routes!(case))
        .routes(routes!(withdraw))
        .routes(routes!(apply))
}

/// What one person said.
#[derive(Serialize, ToSchema)]
struct DecidedView {
    /// Who.
    person: String,
    /// `approve` or `refuse`.
    decision: &'static str,
    /// Why, in their words.
    reason: String,
    /// When (RFC 3339).
    at: String,
}

/// A case.
#[derive(Serialize, ToSchema)]
struct CaseView {
    /// Its name.
    id: String,
    /// Goes up by one with each step.
    version: u64,
    /// What is asked for, in a line. It may hold foreign text.
    what: String,
    /// The hash of the plan that is to be applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
    /// Whether it makes protection less.
    weakening: bool,
    /// Who asked.
    requested_by: String,
    /// When (RFC 3339).
    requested_at: String,
    /// Why, in their words.
    reason: String,
    /// `waiting`, `approved`, `applying`, `applied`, `applied, not verified`, `refused`, `withdrawn`, `expired`,
    /// `failed`.
    state: &'static str,
    /// How many approved.
    given: usize,
    /// How many must.
    needed: usize,
    /// What people said.
    decisions: Vec<DecidedView>,
    /// When it lapses (RFC 3339), if it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    lapses_at: Option<String>,
    /// Before when it does not begin (RFC 3339), once it is approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    begins_at: Option<String>,
}

impl CaseView {
    fn of(case: &Case, policy: &Policy) -> Self {
        let decisions = case.decisions.iter().map(|decided| DecidedView {
            person: decided.person.clone(),
            decision: match decided.decision {
                Decision::Approve => "approve",
                Decision::Refuse => "refuse",
            },
            reason: decided.reason.clone(),
            at: decided.at.to_string(),
        });
        Self {
            id: case.id.to_string(),
            version: case.version,
            what: case.subject.to_string(),
            plan: plan_of(case).map(|plan| plan.to_string()),
            weakening: case.subject.is_weakening(),
            requested_by: case.requested_by.to_string(),
            requested_at: case.requested_at.to_string(),
            reason: case.reason.clone(),
            state: case.state.word(),
            given: case.approvers().len(),
            needed: policy.needed(),
            decisions: decisions.collect(),
            lapses_at: case.lapses_at(policy).map(|at| at.to_string()),
            begins_at: case.begins_at(policy).map(|at| at.to_string()),
        }
    }
}

/// A plan for which approval is asked.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// The plan's hash, 64 hexadecimal digits.
    plan: String,
    /// Why, for those who decide.
    #[serde(default)]
    reason: String,
}

/// A case that was opened.
#[derive(Serialize, ToSchema)]
struct Opened {
    /// Its name.
    id: String,
}

/// Lists cases: what waits for the caller, what waits at all, the rest; the newest first, 200 at most.
#[utoipa::path(
    get,
    path = "/cases",
    responses((status = 200, body = [CaseView]), (status = "default", body = Problem)),
)]
async fn cases(
    State(site): State<Arc<Site>>,
    Caller(caller): Caller,
) -> Result<Json<Vec<CaseView>>, Problem> {
    caller.require(Permission::See)?;
    let views = elsewhere(&site, move |site| {
        let policy = site.installation()?.config().approvals;
        let cases = sorted(site, &caller)?;
        Ok(cases.iter().take(LISTED).map(|case| CaseView::of(case, &policy)).collect())
    });
    Ok(Json(views.await?))
}

/// Asks people for approval of a plan. A token may ask; only people decide, and nobody what they asked for.
#[utoipa::path(
    post,
    path = "/cases",
    request_body = Wanted,
    responses((status = 201, body = Opened), (status = "default", body = Problem)),
)]
async fn request(
    State(site): State<Arc<Site>>,
    Caller(caller): Caller,
    Json(wanted): Json<Wanted>,
) -> Result<(StatusCode, Json<Opened>), Problem> {
    caller.require(Permission::Request)?;
    let id = requested(&site, &caller, hash(&wanted.plan)?, wanted.reason).await?;
    Ok((StatusCode::CREATED, Json(Opened { id })))
}

/// Shows one case.
#[utoipa::path(
    get,
    path = "/cases/{id}",
    params(("id" = String, Path, description = "The case's name")),
    responses((status = 200, body = CaseView), (status = "default", body = Problem)),
)]
async fn case(
    State(site): State<Arc<Site>>,
    Caller(caller): Caller,
    Path(text): Path<String>,
) -> Result<Json<CaseView>, Problem> {
    caller.require(Permission::See)?;
    let id = id(&text)?;
    let view = elsewhere(&site, move |site| {
        let policy = site.installation()?.config().approvals;
        Ok(CaseView::of(&site.cases()?.get(&id)?, &policy))
    });
    Ok(Json(view.await?))
}

/// Takes back what the caller asked for.
#[utoipa::path(
    post,
    path = "/cases/{id}/withdraw",
    params(("id" = String, Path, description = "The case's name")),
    responses((status = 204), (status = "default", body = Problem)),
)]
async fn withdraw(
    State(site): State<Arc<Site>>,
    Caller(caller): Caller,
    Path(text): Path<String>,
) -> Result<StatusCode, Problem> {
    withdrawn(&site, &caller, &id(&text)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Has an approved plan applied, in a job. People only: no token has a scope for it.
#[utoipa::path(
    post,
    path = "/cases/{id}/apply",
    params(("id" = String, Path, description = "The case's name")),
    responses((status = 202, body = JobView), (status = "default", body = Problem)),
)]
async fn apply(
    State(site): State<Arc<Site>>,
    Caller(caller): Caller,
    Path(text): Path<String>,
) -> Result<(StatusCode, Json<JobView>), Problem> {
    let job = applied(&site, &caller, &id(&text)?).await?;
    Ok((StatusCode::ACCEPTED, Json(job.into())))
}
