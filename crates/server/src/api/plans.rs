//! Plans: made in a job, then read by their hash.

use std::sync::Arc;

use access::Permission;
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use connect::plan::{Document, Plan};
use serde::{Deserialize, Serialize};
use service::{
    jobs::{JobDraft, JobKind},
    workshop::RestoreWish,
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::jobs::JobView;
use crate::{
    guard::too_often,
    limits::Purpose,
    pages::{
        elsewhere,
        plans::{Summary, hash},
    },
    problem::Problem,
    site::Site,
    visitor::Caller,
};

pub(super) fn routes() -> OpenApiRouter<Arc<Site>> {
    OpenApiRouter::new().routes(routes!(make)).routes(routes!(plan))
}

/// What is to be brought back.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "what", rename_all = "kebab-case", deny_unknown_fields)]
#[allow(dead_code, reason = "it describes the body; what is read is the wish itself")]
enum Wish {
    /// What the suspects of an incident did.
    Incident {
        /// Its number.
        incident: u64,
    },
    /// What an actor did.
    Actor {
        /// A role, an account, a program; `*` and `?` stand for any characters.
        actor: String,
        /// The source; all where none is named.
        source: Option<String>,
        /// Only from this time on: RFC 3339, a commit.
        from: Option<String>,
    },
    /// Transactions of one database.
    Transactions {
        /// The source.
        source: String,
        /// Their numbers.
        transactions: Vec<String>,
    },
    /// Rows of tables as they were at a moment.
    Rows {
        /// The source.
        source: String,
        /// The moment.
        moment: String,
        /// `database.schema.table`, one or more of one database.
        tables: Vec<String>,
        /// Only rows that satisfy this SQL predicate.
        predicate: Option<String>,
        /// Whether rows that are different now are set back as well.
        changed: Option<bool>,
    },
    /// Items of an account as they were at a moment.
    Items {
        /// The source.
        source: String,
        /// The stream.
        stream: String,
        /// The moment.
        moment: String,
        /// Their keys; all where none is named.
        keys: Vec<String>,
    },
}

/// One step of a plan.
#[derive(Serialize, ToSchema)]
struct StepView {
    /// Its place in the order, from 1.
    number: u32,
    /// One line for people.
    title: String,
    /// What it touches.
    target: String,
    /// How many rows, items or objects.
    rows: u64,
}

/// One plan, or one part of a bundle.
#[derive(Serialize, ToSchema)]
struct PartView {
    /// The source.
    source: String,
    /// Where it is applied: a database, an account.
    destination: String,
    /// What is undone or brought back, in a line.
    title: String,
    /// The steps.
    steps: Vec<StepView>,
    /// How many rows or items are left alone because somebody else changed them.
    conflicts: u64,
    /// What does not come back as it was.
    losses: Vec<String>,
    /// What a person should know before approving.
    notes: Vec<String>,
    /// How long applying and verifying it takes, where that is known, in seconds.
    duration_s: Option<u64>,
}

impl From<&Plan> for PartView {
    fn from(plan: &Plan) -> Self {
        let steps = plan.steps.iter().map(|step| StepView {
            number: step.number,
            title: step.title.clone(),
            target: step.target.clone(),
            rows: step.rows,
        });
        Self {
            source: plan.source.clone(),
            destination: plan.destination.clone(),
            title: plan.subject.title.clone(),
            steps: steps.collect(),
            conflicts: plan.counts.conflicts,
            losses: plan.losses.iter().map(|loss| format!("{}: {}", loss.target, loss.reason)).collect(),
            notes: plan.notes.clone(),
            duration_s: plan.duration_s,
        }
    }
}

/// A plan. Nothing of it has been done.
#[derive(Serialize, ToSchema)]
struct PlanView {
    /// The hash that people approve.
    hash: String,
    /// One line for people.
    title: String,
    /// The sums, in words.
    sums: String,
    /// When it was made (RFC 3339).
    made_at: String,
    /// The parts: one for each source and database.
    parts: Vec<PartView>,
}

/// Plans a restore, in a job whose result holds the plan's hash. Nothing is changed anywhere.
#[utoipa::path(
    post,
    path = "/plans",
    request_body = Wish,
    responses((status = 202, body = JobView), (status = "default", body = Problem)),
)]
async fn make(
    State(site): State<Arc<Site>>,
    Caller(caller): Caller,
    Json(wish): Json<RestoreWish>,
) -> Result<(StatusCode, Json<JobView>), Problem> {
    caller.require(Permission::Plan)?;
    let by = caller.principal().to_string();
    site.limits.take(Purpose::Work, &by).map_err(too_often)?;
    let command = wish.command();
    let about = match &wish {
        RestoreWish::Incident { incident } => format!("incident {incident}"),
        _ => command.clone(),
    };
    let draft = JobDraft { kind: JobKind::Plan, title: command, by, about };
    let job = elsewhere(&site, move |site| {
        let workshop = Arc::clone(&site.workshop);
        Ok(site.jobs.start(draft, move |progress| workshop.plan(&wish, progress))?)
    })
    .await?;
    Ok((StatusCode::ACCEPTED, Json(job.into())))
}

/// Shows a plan by its hash.
#[utoipa::path(
    get,
    path = "/plans/{hash}",
    params(("hash" = String, Path, description = "The plan's hash, 64 hexadecimal digits")),
    responses((status = 200, body = PlanView), (status = "default", body = Problem)),
)]
async fn plan(
    State(site): State<Arc<Site>>,
    Caller(caller): Caller,
    Path(text): Path<String>,
) -> Result<Json<PlanView>, Problem> {
    caller.require(Permission::See)?;
    let hash = hash(&text)?;
    let found = elsewhere(&site, move |site| Ok(site.plans.find(hash)?)).await?;
    let made_at = match &found.document {
        Document::Plan(plan) => plan.made_at,
        Document::Bundle(bundle) => bundle.made_at,
    };
    let Summary { hash, title, sums, .. } = Summary::of(&site, hash, &found);
    let parts = found.parts.iter().map(|(_, plan)| PartView::from(plan)).collect();
    Ok(Json(PlanView { hash, title, sums, made_at: made_at.to_string(), parts }))
}
