//! One case: what is asked, what people said, and what came of it.

mod decide;

use std::{path::Path as FilePath, sync::Arc};

use access::Permission;
use approvals::{Case, CaseId, Decision, State as Standing, Subject, Weakening, same_person};
use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, State},
    http::HeaderMap,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use connect::plan::Conflict;
use serde::Deserialize;
use service::{
    approval::People,
    jobs::{Job, JobKind},
    passkeys::Accounts,
    plans::{self, Found, as_planned, sums},
    words,
    workshop::AppliedRestore,
};

use super::{
    JobPart, Page,
    cases::{approvals_of, class_of, hindrance, plan_of, principal},
    elsewhere,
    frame::{Frame, Section},
    plans::{PlanPart, Summary},
    show,
};
use crate::{
    problem::Problem,
    resume,
    site::Site,
    visitor::{Member, Posted, Visitor},
};

/// So many differences and conflicts of each part are listed.
const LISTED: usize = 20;

pub(super) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/cases/{id}", get(case))
        .route("/cases/{id}/decide/begin", post(decide::begin))
        .route("/cases/{id}/decide/finish", post(decide::finish))
        .route("/cases/{id}/withdraw", post(withdraw))
        .route("/cases/{id}/apply", post(apply))
}

/// Reads the name of a case.
pub(crate) fn id(text: &str) -> Result<CaseId, Problem> {
    CaseId::new(text).map_err(|_| Problem::missing("such case"))
}

/// What the page is asked for.
#[derive(Deserialize)]
struct Asked {
    /// How many decisions somebody has seen who decided on a page that was behind.
    heard: Option<usize>,
}

/// What somebody said.
struct Said {
    person: String,
    word: &'static str,
    reason: String,
    at: String,
    moment: String,
}

/// What came of one part.
struct PartView {
    sums: String,
    steps: Vec<(u32, String, String, String)>,
    notes: Vec<String>,
    conflicts: Vec<Conflict>,
    checks: Vec<CheckView>,
    verified: bool,
}

/// One comparison with the source.
struct CheckView {
    target: String,
    good: bool,
    sentence: String,
    differences: Vec<Conflict>,
    more: usize,
}

/// What came of all of it.
struct Outcome {
    verified: bool,
    sentence: String,
    parts: Vec<PartView>,
}

impl Outcome {
    fn of(applied: &AppliedRestore, noun: &str) -> Self {
        let checks =
            || applied.parts.iter().filter_map(|part| part.verification.as_ref()).flat_map(|v| &v.checks);
        let (matched, expected) =
            checks().fold((0, 0), |(matched, all), check| (matched + check.matched, all + check.expected));
        let verified = applied.is_verified();
        let count = words::count;
        let only = if verified { "" } else { "only " };
        let sentence = format!("Read again: {only}{}.", as_planned(matched, expected, noun));
        let parts = applied.parts.iter().map(|part| {
            let verification = part.verification.as_ref();
            PartView {
                sums: sums(&part.applied.counts, noun),
                steps: part
                    .applied
                    .steps
                    .iter()
                    .map(|step| {
                        (step.number, count(step.changed), count(step.unchanged), count(step.conflicts))
                    })
                    .collect(),
                notes: part.applied.notes.iter().take(LISTED).cloned().collect(),
                conflicts: part.applied.conflicts.iter().take(LISTED).cloned().collect(),
                checks: verification.map_or_else(Vec::new, |v| {
                    v.checks.iter().map(|check| CheckView::of(check, noun)).collect()
                }),
                verified: verification.is_some_and(connect::plan::Verification::is_good),
            }
        });
        Self { verified, sentence, parts: parts.collect() }
    }
}

impl CheckView {
    fn of(check: &connect::plan::Check, noun: &str) -> Self {
        Self {
            target: check.target.clone(),
            good: check.matched == check.expected,
            sentence: as_planned(check.matched, check.expected, noun),
            differences: check.differences.iter().take(LISTED).cloned().collect(),
            more: check.differences.len().saturating_sub(LISTED),
        }
    }
}

/// What a case shows beside itself.
struct Facts {
    case: Case,
    approvals: String,
    missing: Vec<String>,
    lapses: Option<String>,
    /// Before when it does not begin, and until when any approver can refuse it.
    begins: Option<String>,
    waits: bool,
    plan: Option<(Summary, PlanPart)>,
    /// Why the plan cannot be shown: it is gone, or another one by now.
    unusable: Option<String>,
    outcome: Option<Outcome>,
    incidents: Vec<u64>,
}

impl Facts {
    fn read(site: &Site, id: &CaseId, content: bool) -> Result<Self, Problem> {
        let now = site.now();
        let case = site.cases()?.get(id)?;
        let installation = site.installation()?;
        let config = installation.config();
        let accounts = Accounts::new(Arc::clone(&site.access));
        let people = People { keys: &config.approvers, passkeys: &accounts };
        let given = case.approvers();
        let mut missing = people.approvers();
        missing.retain(|person| {
            !case.requested_by.may_be(person) && !given.iter().any(|known| same_person(known, person))
        });
        let policy = &config.approvals;
        let begins = case.begins_at(policy).filter(|at| now < *at);
        let (mut plan, mut unusable, mut outcome, mut incidents) = (None, None, None, Vec::new());
        if let (Some(hash), Subject::Restore { folder, .. }) = (plan_of(&case), &case.subject) {
            match site.plans.find(hash) {
                Ok(found) => plan = Some(shown(site, hash, &found, content)),
                Err(error) => unusable = Some(Problem::from(error).sentence()),
            }
            let noun =
                plan.as_ref().map_or("item", |(summary, _): &(Summary, PlanPart)| summary.noun.as_str());
            outcome = plans::outcome(FilePath::new(folder))
                .ok()
                .flatten()
                .filter(|applied| applied.plan == hash)
                .map(|applied| Outcome::of(&applied, noun));
            let hash = hash.to_string();
            let of = |incident: &Arc<watch::Incident>| incident.plans.iter().any(|plan| plan.hash == hash);
            incidents = site.incidents.all()?.iter().filter(|incident| of(incident)).map(|i| i.id).collect();
        }
        Ok(Self {
            approvals: approvals_of(&case, policy),
            missing,
            lapses: case.lapses_at(policy).map(words::moment),
            waits: begins.is_some(),
            begins: begins.map(words::moment),
            plan,
            unusable,
            outcome,
            incidents,
            case,
        })
    }
}

fn shown(site: &Site, hash: connect::plan::PlanHash, found: &Found, content: bool) -> (Summary, PlanPart) {
    (Summary::of(site, hash, found), PlanPart::of(found, content))
}

/// What whoever looks may do.
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that is offered or not")]
struct May {
    decide: bool,
    hindrance: Option<String>,
    withdraw: bool,
    apply: bool,
    go_on: bool,
}

impl May {
    fn of(facts: &Facts, visitor: &Visitor, running: bool) -> Self {
        let case = &facts.case;
        let open = matches!(case.state, Standing::Waiting | Standing::Approved { .. });
        let hindrance = hindrance(case, visitor);
        let restore = plan_of(case).is_some() && facts.unusable.is_none() && visitor.may(Permission::Apply);
        let applying = matches!(case.state, Standing::Applying { .. });
        Self {
            decide: hindrance.is_none(),
            hindrance: hindrance.filter(|_| open),
            withdraw: open && case.requested_by.is(&principal(visitor)),
            apply: restore && matches!(case.state, Standing::Approved { .. }) && !facts.waits && !running,
            go_on: restore && applying && !running,
        }
    }
}

#[derive(Template)]
#[template(path = "case.html")]
struct CasePage<'c> {
    frame: Frame,
    facts: &'c Facts,
    /// What has changed since whoever looks decided on a page that was behind.
    changed: Option<String>,
    id: String,
    what: String,
    state: &'static str,
    class: &'static str,
    ending: Option<String>,
    by: String,
    asked: String,
    asked_text: String,
    said: Vec<Said>,
    /// Whether enough people have approved, so that one more is not asked for.
    approved: bool,
    /// Whether it is a change of an account that may be carried out now.
    account_due: bool,
    /// The incident whose people may be let in again now.
    let_in_due: Option<u64>,
    may: May,
    part: Option<JobPart>,
}

/// Returns whether a case is about an account that may be changed now.
fn is_account_due(case: &Case, now: model::Moment) -> bool {
    let about = matches!(case.subject, Subject::Weakening(Weakening::Account { .. }));
    about && matches!(case.state, Standing::Approved { not_before, .. } if not_before <= now)
}

/// Returns the incident whose people may be let in again now, if the case is about that.
fn let_in_due(facts: &Facts) -> Option<u64> {
    let Subject::Weakening(Weakening::LetIn { incident }) = facts.case.subject else { return None };
    let begun = matches!(facts.case.state, Standing::Applying { .. });
    let approved = matches!(facts.case.state, Standing::Approved { .. }) && !facts.waits;
    (begun || approved).then_some(incident)
}

/// Says what happened since somebody saw a case with so many decisions; nothing where nothing did.
fn changed_since(case: &Case, heard: usize) -> Option<String> {
    let said: Vec<String> = case
        .decisions
        .iter()
        .skip(heard)
        .map(|decided| format!("{} {} it", decided.person, word(decided.decision)))
        .collect();
    let is_open = matches!(case.state, Standing::Waiting | Standing::Approved { .. });
    let news = match said.is_empty() {
        true if is_open => return None,
        true => String::new(),
        false => format!(": {}", said.join(", ")),
    };
    Some(format!("This case has changed since you looked{news}. It is {} now.", case.state.word()))
}

const fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Approve => "approved",
        Decision::Refuse => "refused",
    }
}

/// Says how a case ended, where there is more to say than a word.
fn ending(case: &Case) -> Option<String> {
    match &case.state {
        Standing::Refused { by, reason, .. } if reason.is_empty() => Some(format!("{by} refused it.")),
        Standing::Refused { by, reason, .. } => Some(format!("{by} refused it: {reason}")),
        Standing::Withdrawn { by, .. } => Some(format!("{by} withdrew it.")),
        Standing::Expired { .. } => Some("It waited too long. Ask for it anew.".to_owned()),
        Standing::Failed { why, .. } => Some(format!("It could not be ended: {why}")),
        Standing::Applied { at, .. } => Some(format!("Applied {}.", words::moment(*at))),
        Standing::Applying { since, begun, .. } if *begun > 1 => Some(format!(
            "It is being applied since {}; it was gone on with after a process ended.",
            words::moment(*since)
        )),
        Standing::Applying { since, .. } => {
            Some(format!("It is being applied since {}.", words::moment(*since)))
        }
        Standing::Waiting | Standing::Approved { .. } => None,
    }
}

async fn case(
    State(site): State<Arc<Site>>,
    Member(visitor, person): Member,
    headers: HeaderMap,
    Path(text): Path<String>,
    Query(asked): Query<Asked>,
) -> Page {
    visitor.require(Permission::See)?;
    let id = id(&text)?;
    let content = visitor.may(Permission::Content);
    let (facts, part) = elsewhere(&site, move |site| {
        let job = site.jobs.newest(JobKind::Apply, id.as_str());
        Ok((Facts::read(site, &id, content)?, job.map(|job| JobPart::of(site, job))))
    })
    .await?;
    let case = &facts.case;
    // What goes on by itself takes nobody to go on with it.
    let running = part.as_ref().is_some_and(JobPart::is_open);
    // What a job came to is told by the case itself, unless it was not done.
    let part = part.filter(|part| part.is_open() || !case.state.is_over());
    let said = case.decisions.iter().map(|decided| Said {
        person: decided.person.clone(),
        word: word(decided.decision),
        reason: decided.reason.clone(),
        at: decided.at.to_string(),
        moment: words::moment(decided.at),
    });
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::Cases, format!("Case {}", case.id));
    show(&CasePage {
        frame,
        changed: asked.heard.and_then(|heard| changed_since(case, heard)),
        id: case.id.to_string(),
        what: case.subject.to_string(),
        state: case.state.word(),
        class: class_of(case),
        ending: ending(case),
        by: case.requested_by.to_string(),
        asked: case.requested_at.to_string(),
        asked_text: words::moment(case.requested_at),
        said: said.collect(),
        approved: matches!(case.state, Standing::Approved { .. }),
        account_due: is_account_due(case, site.now()) && visitor.may(Permission::ManagePeople),
        let_in_due: let_in_due(&facts).filter(|_| visitor.may(Permission::Contain)),
        may: May::of(&facts, &visitor, running),
        part,
        facts: &facts,
    })
}

async fn withdraw(
    State(site): State<Arc<Site>>,
    Path(text): Path<String>,
    Posted(Member(visitor, _), _): Posted,
) -> Page {
    let id = id(&text)?;
    withdrawn(&site, &visitor, &id).await?;
    Ok(Redirect::to(&format!("/cases/{id}")).into_response())
}

/// Takes back what somebody asked for.
pub(crate) async fn withdrawn(site: &Arc<Site>, visitor: &Visitor, id: &CaseId) -> Result<(), Problem> {
    visitor.require(Permission::Request)?;
    let (by, id) = (principal(visitor), id.clone());
    elsewhere(site, move |site| {
        let step = site.cases()?.withdraw(&id, by)?;
        site.told(&step);
        Ok(())
    })
    .await
}

async fn apply(
    State(site): State<Arc<Site>>,
    Path(text): Path<String>,
    Posted(Member(visitor, _), _): Posted,
) -> Page {
    let id = id(&text)?;
    let job = applied(&site, &visitor, &id).await?;
    Ok(Redirect::to(&format!("/jobs/{}", job.id)).into_response())
}

/// Begins to apply what was approved.
pub(crate) async fn applied(site: &Arc<Site>, visitor: &Visitor, id: &CaseId) -> Result<Job, Problem> {
    visitor.require(Permission::Apply)?;
    let Visitor::Person(person) = visitor else { return Err(Problem::forbidden("apply")) };
    let (by, id, doing) = (person.person.to_string(), id.clone(), Arc::clone(site));
    elsewhere(site, move |site| {
        let case = site.cases()?.get(&id)?;
        resume::apply(&doing, &case, &by)
    })
    .await
}
