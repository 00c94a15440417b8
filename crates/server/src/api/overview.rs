//! How the installation stands.

use std::sync::Arc;

use access::Permission;
use axum::{Json, extract::State};
use model::SourceName;
use serde::Serialize;
use service::{
    overview::SourceOverview,
    posture::{Answer, Verdict, could_an_agent_delete, how_new, when_proven},
};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{problem::Problem, proofs, site::Site, visitor::Caller};

pub(super) fn routes() -> OpenApiRouter<Arc<Site>> {
    OpenApiRouter::new().routes(routes!(posture)).routes(routes!(sources))
}

/// The three questions.
#[derive(Serialize, ToSchema)]
struct Posture {
    /// When it was looked at (RFC 3339).
    at: String,
    /// The answers.
    answers: Vec<PostureAnswer>,
    /// How many incidents wait for somebody.
    open_incidents: usize,
}

/// An answer.
#[derive(Serialize, ToSchema)]
struct PostureAnswer {
    /// What was asked.
    question: String,
    /// `good`, `warning` or `bad`.
    #[schema(value_type = String)]
    verdict: Verdict,
    /// The answer, in one sentence.
    sentence: String,
    /// What it rests on.
    reasons: Vec<String>,
    /// What would make it better, as a sentence.
    advice: Option<String>,
    /// A command that would make it better.
    command: Option<String>,
}

impl From<Answer> for PostureAnswer {
    fn from(answer: Answer) -> Self {
        let Answer { question, verdict, sentence, reasons, advice, command } = answer;
        Self { question: question.to_owned(), verdict, sentence, reasons, advice, command }
    }
}

/// A protected system.
#[derive(Serialize, ToSchema)]
struct Source {
    /// Its name.
    #[schema(value_type = String)]
    name: SourceName,
    /// Its kind of connector.
    kind: String,
    /// How many commits there are.
    commits: u64,
    /// The newest moment that can be restored (RFC 3339).
    newest_moment: Option<String>,
    /// Until when the newest commit is locked (RFC 3339).
    locked_until: Option<String>,
    /// Items of the newest commits that could not be read.
    unreadable: u64,
    /// Whole days that the least lock of what its moments need still runs.
    lock_floor_days: Option<u32>,
    /// What is known about restoring it: `hypothesis`, `proven`, `failed`.
    proof: String,
}

impl Source {
    fn of(source: &SourceOverview, proof: String) -> Self {
        Self {
            name: source.name.clone(),
            kind: source.kind.clone(),
            commits: source.commits,
            newest_moment: source.newest_moment.map(|at| at.to_string()),
            locked_until: source.locked_until.map(|at| at.to_string()),
            unreadable: source.unreadable,
            lock_floor_days: source.floor.as_ref().map(|floor| floor.days_left),
            proof,
        }
    }
}

fn not_looked() -> Problem {
    let mut problem = Problem::new(
        axum::http::StatusCode::SERVICE_UNAVAILABLE,
        "The installation has not been looked at yet.",
    );
    problem.retry_after_s = Some(5);
    problem
}

/// Answers the three questions: could an agent delete the backups, how new are they, when was restoring proven.
#[utoipa::path(
    get,
    path = "/posture",
    responses((status = 200, body = Posture), (status = "default", body = Problem)),
)]
async fn posture(State(site): State<Arc<Site>>, Caller(caller): Caller) -> Result<Json<Posture>, Problem> {
    caller.require(Permission::See)?;
    let overview = site.overview().ok_or_else(not_looked)?;
    let now = site.now();
    let answers = [
        could_an_agent_delete(&overview.vault),
        how_new(&overview, now),
        when_proven(&proofs::of(&overview), now),
    ];
    Ok(Json(Posture {
        at: overview.at.to_string(),
        answers: answers.into_iter().map(PostureAnswer::from).collect(),
        open_incidents: overview.open_incidents,
    }))
}

/// Lists the protected systems with their newest restorable moments.
#[utoipa::path(
    get,
    path = "/sources",
    responses((status = 200, body = [Source]), (status = "default", body = Problem)),
)]
async fn sources(
    State(site): State<Arc<Site>>,
    Caller(caller): Caller,
) -> Result<Json<Vec<Source>>, Problem> {
    caller.require(Permission::See)?;
    let overview = site.overview().ok_or_else(not_looked)?;
    let proofs = proofs::of(&overview);
    let sources = overview.sources.iter().zip(proofs);
    Ok(Json(sources.map(|(source, known)| Source::of(source, known.proof.to_string())).collect()))
}
