//! How the installation stands.

use std::sync::Arc;

use access::Permission;
use axum::{
    Json,
    extract::{Path, Query, State},
};
use model::SourceName;
use serde::{Deserialize, Serialize};
use service::{
    completeness,
    overview::SourceOverview,
    posture::{Answer, Verdict, could_an_agent_delete, how_new, when_proven},
    quota::QuotaReport,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{pages::elsewhere, problem::Problem, proofs, site::Site, visitor::Caller};

pub(super) fn routes() -> OpenApiRouter<Arc<Site>> {
    OpenApiRouter::new().routes(routes!(posture)).routes(routes!(sources)).routes(routes!(unread))
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
    /// What capturing takes of its quota; absent until a capture has said so.
    quota: Option<Quota>,
    /// Whole days that the least lock of what its moments need still runs.
    lock_floor_days: Option<u32>,
    /// What is known about restoring it: `hypothesis`, `proven`, `failed`.
    proof: String,
}

/// What a capture took of its source's quota.
#[derive(Serialize, ToSchema)]
struct Quota {
    /// When the capture said so (RFC 3339).
    at: String,
    /// Since when it counts (RFC 3339): the sums of hours hold nothing from before.
    since: String,
    /// The pools that were used; empty where the source has no quota.
    pools: Vec<Pool>,
}

/// What was used of one pool, or is kept for us in production.
#[derive(Serialize, ToSchema)]
struct Pool {
    /// Its name: `gmail/user`, `retained WAL`.
    name: String,
    /// Whose bucket was used most, where each user has one.
    subject: Option<String>,
    /// What the numbers count: `units` or `bytes`.
    #[schema(value_type = String)]
    unit: connect::QuotaUnit,
    /// How much of the limit is used: within the last `per_s`, or now; of the fullest bucket.
    used: u64,
    /// How much unwipe allows itself.
    limit: u64,
    /// The span of the limit in seconds; absent where it bounds an amount.
    per_s: Option<u64>,
    /// The limit in percent of what the service gives, where that is known.
    share_percent: Option<u64>,
    /// Units of the last hour, of all users.
    last_hour: Option<u64>,
    /// Units of the last 24 hours, of all users.
    last_day: Option<u64>,
    /// Calls of the last 24 hours that the service refused as too many.
    refused: Option<u64>,
    /// For how long calls of the last 24 hours waited, all together, in milliseconds.
    waited_ms: Option<u64>,
}

impl Quota {
    fn of(report: &QuotaReport) -> Self {
        let pools = report.uses.iter().map(|used| Pool {
            name: used.name.clone(),
            subject: used.subject.clone(),
            unit: used.unit,
            used: used.used,
            limit: used.limit,
            per_s: used.per_s,
            share_percent: used.share_percent,
            last_hour: used.of_late.map(|of_late| of_late.hour),
            last_day: used.of_late.map(|of_late| of_late.day),
            refused: used.of_late.map(|of_late| of_late.refused),
            waited_ms: used.of_late.map(|of_late| of_late.waited_ms),
        });
        Self { at: report.at.to_string(), since: report.since.to_string(), pools: pools.collect() }
    }
}

/// A page of what could not be read and still is so.
#[derive(Serialize, ToSchema)]
struct UnreadItems {
    /// The items, newest first; there may be fewer than fit, or none, although more follow.
    items: Vec<UnreadItem>,
    /// Where the next page begins: the next `after`.
    next: Option<i64>,
}

/// An item of which the vault has no content.
#[derive(Serialize, ToSchema)]
struct UnreadItem {
    /// Its stream.
    stream: String,
    /// Its key.
    key: String,
    /// The commit that says so.
    sequence: u64,
    /// Why, with the source's own words.
    reason: String,
}

/// Where a page begins.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct UnreadAsked {
    /// `next` of the page before.
    after: Option<i64>,
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
            quota: source.quota.as_ref().map(Quota::of),
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

/// Lists what could not be read of a source and still is so, with its reasons.
#[utoipa::path(
    get,
    path = "/sources/{name}/unread",
    params(("name" = String, Path, description = "The source."), UnreadAsked),
    responses((status = 200, body = UnreadItems), (status = "default", body = Problem)),
)]
async fn unread(
    State(site): State<Arc<Site>>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    Query(asked): Query<UnreadAsked>,
) -> Result<Json<UnreadItems>, Problem> {
    caller.require(Permission::See)?;
    let found = elsewhere(&site, move |site| {
        let installation = site.installation()?;
        let (source, _) = installation.config().source(&name).map_err(service::ServiceError::from)?;
        Ok(completeness::unread(&installation, &source, asked.after)?)
    })
    .await?;
    let items = found.items.into_iter().map(|item| UnreadItem {
        stream: item.stream,
        key: item.key,
        sequence: item.sequence,
        reason: item.reason,
    });
    Ok(Json(UnreadItems { items: items.collect(), next: found.next }))
}
