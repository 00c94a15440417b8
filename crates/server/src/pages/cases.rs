//! What waits for people, and what became of it.

use std::{cmp::Reverse, sync::Arc};

use access::Permission;
use approvals::{Case, Decision, Policy, Principal, State as Standing, Subject, same_person};
use askama::Template;
use axum::{
    Router,
    extract::{Query, State},
    http::HeaderMap,
    routing::get,
};
use model::Moment;
use serde::Deserialize;
use service::{cases::CaseStore, words};

use super::{
    Page, elsewhere,
    frame::{Frame, Section},
    show,
};
use crate::{
    problem::Problem,
    site::Site,
    visitor::{Member, Visitor},
};

/// So many are on a page.
const PAGE: usize = 50;
/// No reason is longer.
pub(crate) const REASON_CHARACTERS_MAX: usize = 1000;

pub(super) fn router() -> Router<Arc<Site>> {
    Router::new().route("/cases", get(cases))
}

/// Returns who somebody is to cases.
pub(crate) fn principal(visitor: &Visitor) -> Principal {
    match visitor.principal() {
        access::Principal::Person(name) => Principal::Person(name.to_string()),
        access::Principal::Service(name) => Principal::Service(name.to_string()),
        access::Principal::Host(note) => Principal::Host(note),
    }
}

/// Says in a word how a case stands.
pub(crate) const fn standing_of(case: &Case) -> &'static str {
    case.state.word()
}

/// Returns the class with which a case is shown.
pub(crate) const fn class_of(case: &Case) -> &'static str {
    match &case.state {
        Standing::Waiting | Standing::Approved { .. } | Standing::Applying { .. } => "warning",
        Standing::Applied { verified: true, .. } => "good",
        Standing::Applied { verified: false, .. } | Standing::Failed { .. } => "bad",
        Standing::Refused { .. } | Standing::Withdrawn { .. } | Standing::Expired { .. } => "",
    }
}

/// Says how many have approved: `1 of 2 approvals`.
pub(crate) fn approvals_of(case: &Case, policy: &Policy) -> String {
    let needed = policy.needed();
    format!("{} of {needed} approval{}", case.approvers().len(), if needed == 1 { "" } else { "s" })
}

/// Says why a person cannot decide a case now; nothing when they can.
pub(crate) fn hindrance(case: &Case, visitor: &Visitor) -> Option<String> {
    let Visitor::Person(person) = visitor else {
        return Some("Only people decide: whoever holds a token never does.".to_owned());
    };
    let name = person.person.as_str();
    if case.requested_by.may_be(name) {
        return Some("You asked for this, so somebody else must decide it. You may withdraw it.".to_owned());
    }
    if !visitor.may(Permission::Approve) {
        return Some("Your roles do not let you approve; an owner can make you an approver.".to_owned());
    }
    let approved = |decided: &approvals::Decided| {
        decided.decision == Decision::Approve && same_person(&decided.person, name)
    };
    if case.decisions.iter().any(approved) && !matches!(case.state, Standing::Approved { .. }) {
        return Some("You have approved this already.".to_owned());
    }
    match &case.state {
        Standing::Waiting | Standing::Approved { .. } => None,
        other => Some(format!("This case is {}.", other.word())),
    }
}

/// A case in a list.
struct Row {
    id: String,
    what: String,
    weakening: bool,
    by: String,
    at: String,
    ago: String,
    state: String,
    class: &'static str,
    mine: bool,
}

/// Where a case comes in the list: what waits for whoever looks, what waits at all, the rest; the newest first.
type Key = (u8, Reverse<Moment>, String);

fn key(case: &Case, visitor: &Visitor) -> Key {
    let waits = matches!(case.state, Standing::Waiting);
    let rank = match (waits && hindrance(case, visitor).is_none(), case.state.is_over()) {
        (true, _) => 0,
        (false, false) => 1,
        (false, true) => 2,
    };
    (rank, Reverse(case.requested_at), case.id.to_string())
}

impl Row {
    fn of(case: &Case, policy: &Policy, visitor: &Visitor, now: Moment) -> Self {
        let lapsed = case.lapses_at(policy).is_some_and(|at| now >= at);
        let (state, class) = match &case.state {
            _ if lapsed => ("expired".to_owned(), ""),
            Standing::Waiting => (format!("waiting, {}", approvals_of(case, policy)), class_of(case)),
            state => (state.word().to_owned(), class_of(case)),
        };
        Self {
            id: case.id.to_string(),
            what: case.subject.to_string(),
            weakening: case.subject.is_weakening(),
            by: case.requested_by.to_string(),
            at: case.requested_at.to_string(),
            ago: words::ago(case.requested_at, now),
            state,
            class,
            mine: !lapsed && key(case, visitor).0 == 0,
        }
    }
}

/// Where a page begins.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    after: String,
}

#[derive(Template)]
#[template(path = "cases.html")]
struct CasesPage {
    frame: Frame,
    rows: Vec<Row>,
    next: Option<String>,
    mine: usize,
}

/// Returns every case, in the order in which a visitor wants to see them.
pub(crate) fn sorted(site: &Site, visitor: &Visitor) -> Result<Vec<Case>, Problem> {
    let mut cases = CaseStore::of(&site.home).all()?;
    cases.sort_by_cached_key(|case| key(case, visitor));
    Ok(cases)
}

async fn cases(
    State(site): State<Arc<Site>>,
    Member(visitor, person): Member,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Page {
    visitor.require(Permission::See)?;
    let now = site.now();
    let looking = visitor.clone();
    let (rows, next) = elsewhere(&site, move |site| {
        let policy = site.installation()?.config().approvals;
        let mut cases = sorted(site, &looking)?;
        if !asked.after.is_empty() {
            let at = cases.iter().position(|case| case.id.as_str() == asked.after);
            cases.drain(..at.map_or(0, |at| at + 1));
        }
        let more = cases.len() > PAGE;
        cases.truncate(PAGE);
        let next = cases.last().filter(|_| more).map(|case| case.id.to_string());
        let rows: Vec<Row> = cases.iter().map(|case| Row::of(case, &policy, &looking, now)).collect();
        Ok((rows, next))
    })
    .await?;
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::Cases, "Approvals");
    let mine = rows.iter().filter(|row| row.mine).count();
    show(&CasesPage { frame, rows, next, mine })
}

/// Returns the plan that a case is about.
pub(crate) const fn plan_of(case: &Case) -> Option<connect::plan::PlanHash> {
    match &case.subject {
        Subject::Restore { plan, .. } => Some(*plan),
        Subject::Weakening(_) => None,
    }
}
