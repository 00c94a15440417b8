//! What looks like a wipe.

use std::sync::Arc;

use access::Permission;
use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use service::{
    incidents::{headline, timeline},
    let_in::LetIn,
    watching::Answer,
};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use watch::Incident;

use crate::{
    pages::{
        AskedIncidents, elsewhere,
        incident::steps::{let_in_again, not_done},
        incidents as listed, told,
    },
    problem::Problem,
    site::Site,
    visitor::Caller,
};

pub(super) fn routes() -> OpenApiRouter<Arc<Site>> {
    OpenApiRouter::new().routes(routes!(incidents)).routes(routes!(incident)).routes(routes!(take_back))
}

/// Which incidents are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct IncidentsAsked {
    /// Only in this state: `open`, `contained`, `undone`, `closed`.
    #[serde(default)]
    state: String,
    /// Only of this source.
    #[serde(default)]
    source: String,
    /// Behind this one: `next` of the page before.
    #[serde(default)]
    after: String,
}

/// A page of incidents, the open ones first.
#[derive(Serialize, ToSchema)]
struct Incidents {
    /// The incidents.
    incidents: Vec<IncidentSummary>,
    /// What the next page comes after; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// An incident in a list.
#[derive(Serialize, ToSchema)]
struct IncidentSummary {
    /// Its number.
    id: u64,
    /// `open`, `contained`, `undone` or `closed`.
    state: String,
    /// `high` or `critical`.
    severity: &'static str,
    /// Whether it still grows.
    growing: bool,
    /// What happened, in a sentence or two. Names in it may be foreign text.
    sentence: String,
    /// When the alarm was raised (RFC 3339).
    opened_at: String,
    /// The sources that were touched.
    sources: Vec<String>,
    /// How many things were destroyed for good or put where they soon will be.
    destroyed: u64,
}

impl IncidentSummary {
    fn of(incident: &Incident) -> Self {
        Self {
            id: incident.id,
            state: incident.state.to_string(),
            severity: listed::severity_word(incident.severity),
            growing: incident.growing,
            sentence: headline(incident),
            opened_at: incident.opened_at.to_string(),
            sources: incident.touched.keys().map(ToString::to_string).collect(),
            destroyed: incident.destroyed(),
        }
    }
}

/// Somebody who took part, or may have.
#[derive(Serialize, ToSchema)]
struct SuspectView {
    /// Who: names that sources and programs gave, so foreign text.
    name: String,
    /// `person`, `machine`, `agent` or `unknown`.
    kind: String,
    /// How that is known: `witnessed`, `recorded`, `sampled`, `a guess`, `unknown`.
    known: &'static str,
    /// Whether a rule fired on them; the others were only there.
    fired: bool,
    /// What they did, in words.
    done: Vec<String>,
}

/// One thing that happened, or was done about it.
#[derive(Serialize, ToSchema)]
struct EntryView {
    /// When (RFC 3339).
    at: String,
    /// How long after the first act.
    after: String,
    /// `happened`, `alarm`, `containment`, `hold`, `captured`, `told`, `plan` or `state`.
    kind: &'static str,
    /// What.
    text: String,
    /// The hash of the plan that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<String>,
}

/// An incident.
#[derive(Serialize, ToSchema)]
struct IncidentView {
    /// What a list says of it.
    #[serde(flatten)]
    summary: IncidentSummary,
    /// Why there was an alarm.
    reasons: Vec<String>,
    /// Who took part, or may have.
    suspects: Vec<SuspectView>,
    /// What happened and what was done about it, in order.
    timeline: Vec<EntryView>,
    /// The hashes of the plans that undo it.
    plans: Vec<String>,
    /// The incident that this one turned out to be a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    merged_into: Option<u64>,
}

impl IncidentView {
    fn of(incident: &Incident) -> Self {
        let suspects = incident.suspects.iter().map(|suspect| {
            let (actor, attribution) = suspect.who();
            let effects = if suspect.effects.is_empty() { &suspect.recorded } else { &suspect.effects };
            SuspectView {
                name: service::words::actor(actor),
                kind: suspect.kind.to_string(),
                known: told::known_word(attribution),
                fired: suspect.fired,
                done: told::deeds(effects.iter(), &suspect.scope, 20),
            }
        });
        let entries = timeline(incident).into_iter().map(|entry| EntryView {
            at: entry.at.to_string(),
            after: entry.after,
            kind: entry.kind.word(),
            text: entry.text,
            plan: entry.plan,
        });
        Self {
            summary: IncidentSummary::of(incident),
            reasons: incident.firings.iter().map(|firing| firing.explanation.clone()).collect(),
            suspects: suspects.collect(),
            timeline: entries.collect(),
            plans: incident.plans.iter().map(|plan| plan.hash.clone()).collect(),
            merged_into: incident.merged_into,
        }
    }
}

/// Lists incidents, the open ones first.
#[utoipa::path(
    get,
    path = "/incidents",
    params(IncidentsAsked),
    responses((status = 200, body = Incidents), (status = "default", body = Problem)),
)]
async fn incidents(
    State(site): State<Arc<Site>>,
    Caller(caller): Caller,
    Query(asked): Query<IncidentsAsked>,
) -> Result<Json<Incidents>, Problem> {
    caller.require(Permission::See)?;
    let IncidentsAsked { state, source, after } = asked;
    let asked = AskedIncidents { state, source, after };
    let (page, next) = elsewhere(&site, move |site| listed::listed(site, &asked)).await?;
    let incidents = page.iter().map(|incident| IncidentSummary::of(incident)).collect();
    Ok(Json(Incidents { incidents, next }))
}

/// Shows one incident: who did what, and what was done about it.
#[utoipa::path(
    get,
    path = "/incidents/{id}",
    params(("id" = u64, Path, description = "The incident's number")),
    responses((status = 200, body = IncidentView), (status = "default", body = Problem)),
)]
async fn incident(
    State(site): State<Arc<Site>>,
    Caller(caller): Caller,
    Path(id): Path<u64>,
) -> Result<Json<IncidentView>, Problem> {
    caller.require(Permission::See)?;
    let incident = elsewhere(&site, move |site| Ok(site.incidents.get(id)?)).await?;
    Ok(Json(IncidentView::of(&incident)))
}

/// Why somebody may come in again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LetInWish {
    /// For those who approve it.
    #[serde(default)]
    reason: String,
}

/// What came of letting somebody in again.
#[derive(Serialize, ToSchema)]
struct LetInView {
    /// What was done, a line each; empty where others have to approve it first.
    done: Vec<String>,
    /// The case that others have to approve.
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_in: Option<String>,
}

/// Lets in again whom an incident stopped, once others approved it; opens the case for them. People only: no token has a
/// scope for it.
#[utoipa::path(
    post,
    path = "/incidents/{id}/take-back",
    params(("id" = u64, Path, description = "The incident's number")),
    request_body = LetInWish,
    responses(
        (status = 200, body = LetInView, description = "They were let in again"),
        (status = 202, body = LetInView, description = "Others have to approve it first"),
        (status = "default", body = Problem),
    ),
)]
async fn take_back(
    State(site): State<Arc<Site>>,
    Caller(caller): Caller,
    Path(id): Path<u64>,
    Json(wish): Json<LetInWish>,
) -> Result<(StatusCode, Json<LetInView>), Problem> {
    match let_in_again(&site, &caller, id, wish.reason).await? {
        LetIn::Waits(case, _) => {
            let waits_in = Some(case.id.to_string());
            Ok((StatusCode::ACCEPTED, Json(LetInView { done: Vec::new(), waits_in })))
        }
        LetIn::Tried(Answer::Done(done), ..) => {
            Ok((StatusCode::OK, Json(LetInView { done, waits_in: None })))
        }
        LetIn::Tried(Answer::Refused(why), ..) => Err(not_done(id, &why)),
    }
}
