//! A person decides with their passkey: what it signs is the case, its subject and the decision.

use std::sync::Arc;

use access::Permission;
use approvals::{Case, CaseId, Decision};
use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use service::{approval::Proof, cases::Cases};

use super::id;
use crate::{
    guard::too_often,
    limits::Purpose,
    pages::{
        cases::REASON_CHARACTERS_MAX,
        door::{Begun, GoOn},
        elsewhere,
    },
    problem::Problem,
    site::Site,
    visitor::{Caller, Visitor},
};

/// What a person wants to say.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Deciding {
    decision: Decision,
    /// The version of the case that they have seen.
    version: String,
    /// How many decisions they have seen on its page.
    #[serde(default)]
    heard: String,
    #[serde(default)]
    reason: String,
}

/// What their passkey answered.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Decided {
    #[serde(flatten)]
    deciding: Deciding,
    ceremony: String,
    response: serde_json::Value,
}

/// Returns the person who asks; a program never decides.
fn person(site: &Site, visitor: &Visitor) -> Result<access::PersonName, Problem> {
    let Visitor::Person(signed_in) = visitor else {
        return Err(Problem::new(StatusCode::FORBIDDEN, "Only people decide: no token does."));
    };
    site.limits.take(Purpose::Work, signed_in.person.as_str()).map_err(too_often)?;
    Ok(signed_in.person.clone())
}

/// Returns the case as it was seen; another one by now is said to be so.
fn seen(cases: &Cases, id: &CaseId, deciding: &Deciding, visitor: &Visitor) -> Result<Case, Problem> {
    let case = cases.get(id)?;
    if case.requested_by.may_be(visitor.principal().to_string().as_str()) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "You asked for this, so somebody else must decide it.",
        )
        .hint(Some("you may withdraw it".to_owned())));
    }
    visitor.require(Permission::Approve)?;
    if case.version.to_string() != deciding.version {
        return Err(Problem::new(StatusCode::CONFLICT, "Somebody was faster: this case has changed since.")
            .hint(Some("load the page again, and look what it says now".to_owned())));
    }
    if deciding.reason.chars().count() > REASON_CHARACTERS_MAX {
        return Err(Problem::unusable("The reason is too long."));
    }
    Ok(case)
}

/// Leads whoever decides on a page that is behind to the page as it is now, which says what has changed.
fn to_the_page_now(mut problem: Problem, id: &CaseId, heard: &str) -> Problem {
    if problem.status == StatusCode::CONFLICT.as_u16() {
        let heard = heard.parse::<usize>().map_or_else(|_| String::new(), |heard| format!("?heard={heard}"));
        problem.next = Some(format!("/cases/{id}{heard}"));
    }
    problem
}

pub(super) async fn begin(
    State(site): State<Arc<Site>>,
    Caller(visitor): Caller,
    Path(text): Path<String>,
    Json(deciding): Json<Deciding>,
) -> Result<Json<Begun>, Problem> {
    let person = person(&site, &visitor)?;
    let id = id(&text)?;
    let (its, heard) = (id.clone(), deciding.heard.clone());
    let ceremony = elsewhere(&site, move |site| {
        let cases = site.cases()?;
        let case = seen(&cases, &id, &deciding, &visitor)?;
        let statement = cases.statement(&case.id, deciding.decision)?;
        Ok(site.access.begin_approval(&person, &statement)?)
    });
    let ceremony = ceremony.await.map_err(|problem| to_the_page_now(problem, &its, &heard))?;
    Ok(Json(ceremony.into()))
}

pub(super) async fn finish(
    State(site): State<Arc<Site>>,
    Caller(visitor): Caller,
    Path(text): Path<String>,
    Json(decided): Json<Decided>,
) -> Result<Json<GoOn>, Problem> {
    let person = person(&site, &visitor)?;
    let id = id(&text)?;
    let next = format!("/cases/{id}");
    let (its, heard) = (id.clone(), decided.deciding.heard.clone());
    let done = elsewhere(&site, move |site| {
        let Decided { deciding, ceremony, response } = decided;
        let cases = site.cases()?;
        let case = seen(&cases, &id, &deciding, &visitor)?;
        let assertion = site.access.finish_approval(&ceremony, &response)?;
        let assertion = serde_json::to_value(&assertion)
            .map_err(|error| Problem::of(StatusCode::INTERNAL_SERVER_ERROR, &error))?;
        // Whose it is, and what it says, is checked again there, by the signature itself.
        let proof = Proof::Passkey { person: person.to_string(), assertion };
        let step = cases.decide(&case.id, deciding.decision, &deciding.reason, &proof)?;
        site.told(&step);
        Ok(())
    });
    done.await.map_err(|problem| to_the_page_now(problem, &its, &heard))?;
    Ok(Json(GoOn { next }))
}
