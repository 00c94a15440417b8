//! What a person does about an incident.

use std::sync::Arc;

use access::Permission;
use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};
use service::{
    jobs::{JobDraft, JobKind},
    let_in::{LetIn, let_in},
    watching::{Answer, Request},
    workshop::RestoreWish,
};

use super::asked;
use crate::{
    guard::too_often,
    limits::Purpose,
    pages::{
        Page, begin,
        cases::{REASON_CHARACTERS_MAX, principal},
        elsewhere,
    },
    problem::Problem,
    site::Site,
    visitor::{Member, Posted, Visitor},
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
            let reason = fields.get("reason").unwrap_or_default().to_owned();
            return Ok(match let_in_again(&site, &visitor, id, reason).await? {
                LetIn::Waits(case, _) => Redirect::to(&format!("/cases/{}", case.id)).into_response(),
                LetIn::Tried(answer, ..) => done(id, answer)?,
            });
        }
        "close" => Request::Close { incident: id, by, reason: fields.required("reason")?.to_owned() },
        _ => return Err(Problem::missing("such step").into()),
    };
    let answer = elsewhere(&site, move |site| Ok(site.workshop.contain(&request)?)).await?;
    Ok(done(id, answer)?)
}

fn done(id: u64, answer: Answer) -> Result<Response, Problem> {
    match answer {
        Answer::Done(_) => Ok(Redirect::to(&format!("/incidents/{id}")).into_response()),
        Answer::Refused(why) => Err(not_done(id, &why)),
    }
}

/// Says that the watch did not do what was asked.
pub(crate) fn not_done(id: u64, why: &str) -> Problem {
    Problem::new(StatusCode::CONFLICT, format!("It was not done: {why}."))
        .hint(Some(format!("unwipe incidents {id}")))
}

/// Lets in again whom an incident is about, as other people approved; asks them first.
pub(crate) async fn let_in_again(
    site: &Arc<Site>,
    visitor: &Visitor,
    incident: u64,
    reason: String,
) -> Result<LetIn, Problem> {
    visitor.require(Permission::Contain)?;
    if reason.chars().count() > REASON_CHARACTERS_MAX {
        return Err(Problem::unusable("The reason is too long."));
    }
    let by = principal(visitor);
    elsewhere(site, move |site| {
        site.incidents.get(incident)?;
        let (installation, cases) = (site.installation()?, site.cases()?);
        let doing = |request: &Request| -> Result<Answer, Problem> { Ok(site.workshop.contain(request)?) };
        let came = let_in((&installation, site.environment), &cases, (incident, &by), &reason, doing)?;
        if let LetIn::Waits(_, Some(step)) | LetIn::Tried(_, Some(step), _) = &came {
            site.told(step);
        }
        Ok(came)
    })
    .await
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
