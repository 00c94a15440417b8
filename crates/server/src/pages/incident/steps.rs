//! What a person does about an incident.

use std::sync::Arc;

use access::Permission;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect},
};
use service::{
    jobs::{JobDraft, JobKind},
    watching::{Answer, Request},
    workshop::RestoreWish,
};

use super::asked;
use crate::{
    guard::too_often,
    limits::Purpose,
    pages::{Page, begin, elsewhere},
    problem::Problem,
    site::Site,
    visitor::{Member, Posted},
};

/// Stops somebody, keeps it so, lets them in again, or says that it is over.
pub(super) async fn step(
    State(site): State<Arc<Site>>,
    Path((id, step)): Path<(u64, String)>,
    Posted(Member(visitor, person), fields): Posted,
) -> Page {
    visitor.require(Permission::Contain)?;
    let by = person.person.to_string();
    let request = match step.as_str() {
        "contain" => Request::Contain { incident: id, by },
        "keep" => Request::Keep { incident: id, by },
        "take-back" => {
            // One word too many is better than somebody let in by a slip of the hand.
            if fields.get("sure").is_none() {
                return Err(Problem::unusable("Say that you know that it lets them in again.").into());
            }
            Request::TakeBack { incident: id, by }
        }
        "close" => Request::Close { incident: id, by, reason: fields.required("reason")?.to_owned() },
        _ => return Err(Problem::missing("such step").into()),
    };
    let answer = elsewhere(&site, move |site| Ok(site.workshop.contain(&request)?)).await?;
    match answer {
        Answer::Done(_) => Ok(Redirect::to(&format!("/incidents/{id}")).into_response()),
        Answer::Refused(why) => Err(Problem::new(StatusCode::CONFLICT, format!("It was not done: {why}."))
            .hint(Some(format!("unwipe incidents {id}")))
            .into()),
    }
}

/// Plans the undo, in a job.
pub(super) async fn plan(
    State(site): State<Arc<Site>>,
    Path(id): Path<u64>,
    Posted(Member(visitor, person), _): Posted,
) -> Page {
    visitor.require(Permission::Plan)?;
    let by = person.person.to_string();
    site.limits.take(Purpose::Work, &by).map_err(too_often)?;
    asked(&site, id).await?;
    let draft = JobDraft {
        kind: JobKind::Plan,
        title: format!("plan the undo of incident {id}"),
        by,
        about: format!("incident {id}"),
    };
    let wish = RestoreWish::Incident { incident: id };
    begin(&site, draft, move |workshop, progress| workshop.plan(&wish, progress)).await
}
