//! A plan, as a person reads it before asking for it and before approving it.

use std::sync::Arc;

use access::Permission;
use askama::{Template, filters::HtmlSafe};
use axum::{
    Router,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Redirect},
    routing::{get, post},
};
use connect::{
    fidelity::{Fidelity, Grade, Way},
    plan::{Action, Conflict, Document, Loss, Plan, PlanFolder, PlanHash, Step},
};
use service::{
    plans::{Found, SAMPLE_BYTES_MAX, Sample, name_of, noun, sample, sums},
    words,
    workshop::shell_word,
};

use super::{
    Page,
    cases::standing_of,
    elsewhere,
    frame::{Frame, Section},
    show,
};
use crate::{
    problem::Problem,
    site::Site,
    visitor::{Member, Posted, Visitor},
};

/// So many conflicts, losses and notes of each part are listed.
const LISTED: usize = 20;
/// So many steps of each part are listed, and so many of them with a sample.
const STEPS_LISTED: usize = 100;
const SAMPLED: usize = 12;
/// So many parts of a bundle are shown with their steps.
const PARTS_SHOWN: usize = 10;

pub(super) fn router() -> Router<Arc<Site>> {
    Router::new().route("/plans/{hash}", get(plan)).route("/plans/{hash}/request", post(request))
}

/// Returns what a step does, as a word.
const fn action_word(action: Action) -> &'static str {
    match action {
        Action::Create => "make",
        Action::Insert => "put back",
        Action::Revert => "set back",
        Action::Remove => "remove",
        Action::Redefine => "redefine",
        Action::Advance => "move forward",
    }
}

/// A step for people.
struct StepView {
    number: u32,
    title: String,
    target: String,
    action: &'static str,
    rows: String,
    sample: Option<Sample>,
    /// Why there is no sample where one would be expected.
    unsampled: Option<String>,
}

/// One promise: what comes back how.
struct PromiseView {
    kind: String,
    way: &'static str,
    aspects: Vec<String>,
}

impl PromiseView {
    fn of(promise: &Fidelity) -> Self {
        let way = match promise.way {
            Way::InPlace => "set back in place",
            Way::MadeAnew => "made anew",
            Way::Export => "written to files",
        };
        let aspects = promise.aspects.iter().map(|aspect| {
            let grade = match aspect.grade {
                Grade::Exact => "exactly",
                Grade::Equivalent => "as something equal",
                Grade::Lost => "not at all",
            };
            let reason = aspect.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
            format!("{}, {grade}{reason}", aspect.name)
        });
        Self { kind: promise.kind.clone(), way, aspects: aspects.collect() }
    }
}

/// One plan, or one part of a bundle.
struct PartView {
    title: String,
    source: String,
    destination: String,
    base: String,
    sums: String,
    steps: Vec<StepView>,
    more_steps: usize,
    conflicts: Vec<Conflict>,
    more_conflicts: String,
    losses: Vec<Loss>,
    more_losses: usize,
    fidelity: Vec<PromiseView>,
    notes: Vec<String>,
    duration: Option<String>,
}

impl PartView {
    fn of(folder: &PlanFolder, plan: &Plan, content: bool) -> Self {
        let mut samples = 0;
        let noun = noun(std::slice::from_ref(plan));
        let steps = plan.steps.iter().take(STEPS_LISTED).map(|step| {
            let wanted = content && step.attachment.is_some() && samples < SAMPLED;
            samples += usize::from(wanted);
            StepView::of(folder, plan, (step, noun), wanted)
        });
        let conflicts: Vec<Conflict> = plan.conflicts.iter().take(LISTED).cloned().collect();
        let unlisted = plan.counts.conflicts.saturating_sub(conflicts.len() as u64);
        Self {
            title: words::timed(&plan.subject.title),
            source: plan.source.clone(),
            destination: plan.destination.clone(),
            base: words::timed(&plan.base),
            sums: sums(&plan.counts, noun),
            steps: steps.collect(),
            more_steps: plan.steps.len().saturating_sub(STEPS_LISTED),
            conflicts,
            more_conflicts: if unlisted > 0 { words::count(unlisted) } else { String::new() },
            losses: plan.losses.iter().take(LISTED).cloned().collect(),
            more_losses: plan.losses.len().saturating_sub(LISTED),
            fidelity: plan.fidelity.iter().map(PromiseView::of).collect(),
            notes: plan.notes.iter().take(LISTED).map(|note| words::timed(note)).collect(),
            duration: plan.duration_s.map(words::span),
        }
    }
}

impl StepView {
    fn of(folder: &PlanFolder, plan: &Plan, (step, noun): (&Step, &str), wanted: bool) -> Self {
        let (sample, unsampled) = match wanted.then(|| sample(folder, plan, step)) {
            None => (None, None),
            Some(Ok(Some(sample))) => (Some(sample), None),
            Some(Ok(None)) => {
                let size = step.attachment.as_deref().and_then(|name| plan.attachment(name));
                let size = size.map(|file| file.bytes).filter(|bytes| *bytes > SAMPLE_BYTES_MAX);
                (None, size.map(|bytes| format!("too much to look into here ({})", words::bytes(bytes))))
            }
            Some(Err(error)) => (None, Some(error.to_string())),
        };
        Self {
            number: step.number,
            title: step.title.clone(),
            target: step.target.clone(),
            action: action_word(step.action),
            rows: match step.action {
                Action::Create | Action::Redefine => words::counted(step.rows, "object"),
                Action::Advance => words::counted(step.rows, "counter"),
                Action::Insert | Action::Revert | Action::Remove => words::counted(step.rows, noun),
            },
            sample,
            unsampled,
        }
    }
}

/// What a plan would do, shown on its own page and where it is decided.
#[derive(Template)]
#[template(path = "part_plan.html")]
pub(crate) struct PlanPart {
    parts: Vec<PartView>,
    more_parts: usize,
    notes: Vec<String>,
    content: bool,
}

/// It escapes what it shows by itself.
impl HtmlSafe for PlanPart {}

impl PlanPart {
    pub(crate) fn of(found: &Found, content: bool) -> Self {
        let parts = found.parts.iter().take(PARTS_SHOWN);
        let notes = match &found.document {
            Document::Plan(_) => Vec::new(),
            Document::Bundle(bundle) => {
                bundle.notes.iter().take(LISTED).map(|note| words::timed(note)).collect()
            }
        };
        Self {
            parts: parts.map(|(folder, plan)| PartView::of(folder, plan, content)).collect(),
            more_parts: found.parts.len().saturating_sub(PARTS_SHOWN),
            notes,
            content,
        }
    }
}

/// What is said of a plan in a line or two.
pub(crate) struct Summary {
    pub(crate) hash: String,
    pub(crate) title: String,
    /// What is undone or brought back.
    pub(crate) what: String,
    pub(crate) sums: String,
    /// What it is about, in the singular.
    pub(crate) noun: String,
    pub(crate) made: String,
    pub(crate) sources: String,
    pub(crate) duration: Option<String>,
    /// What a command calls it.
    pub(crate) name: String,
}

impl Summary {
    pub(crate) fn of(site: &Site, hash: PlanHash, found: &Found) -> Self {
        let (what, counts, made_at) = match &found.document {
            Document::Plan(plan) => (plan.subject.title.clone(), plan.counts, plan.made_at),
            Document::Bundle(bundle) => (bundle.title.clone(), bundle.counts, bundle.made_at),
        };
        let plans = found.plans();
        let noun = noun(&plans);
        let mut sources: Vec<&str> = found.parts.iter().map(|(_, plan)| plan.source.as_str()).collect();
        sources.sort_unstable();
        sources.dedup();
        let seconds = found.parts.iter().filter_map(|(_, plan)| plan.duration_s).reduce(|sum, s| sum + s);
        Self {
            hash: hash.to_string(),
            title: found.title(),
            what: words::timed(&what),
            sums: sums(&counts, noun),
            noun: noun.to_owned(),
            made: words::moment(made_at),
            sources: sources.join(", "),
            duration: seconds.map(words::span),
            name: shell_word(&name_of(&site.home, found.folder.path())),
        }
    }
}

#[derive(Template)]
#[template(path = "plan.html")]
struct PlanPage {
    frame: Frame,
    summary: Summary,
    part: PlanPart,
    /// The case in which it waits or waited: its name, and how it stands.
    case: Option<(String, String)>,
    may_request: bool,
}

/// Reads the hash of a plan.
pub(crate) fn hash(text: &str) -> Result<PlanHash, Problem> {
    text.parse().map_err(|_| Problem::missing("such plan"))
}

async fn plan(
    State(site): State<Arc<Site>>,
    Member(visitor, person): Member,
    headers: HeaderMap,
    Path(text): Path<String>,
) -> Page {
    visitor.require(Permission::See)?;
    let hash = hash(&text)?;
    let content = visitor.may(Permission::Content);
    let (summary, part, case) = elsewhere(&site, move |site| {
        let found = site.plans.find(hash)?;
        let case = site.cases()?.of_plan(hash)?;
        Ok((Summary::of(site, hash, &found), PlanPart::of(&found, content), case))
    })
    .await?;
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::Incidents, &summary.title);
    let open = case.as_ref().is_some_and(|case| !case.state.is_over());
    let applied = case.as_ref().is_some_and(|case| matches!(case.state, approvals::State::Applied { .. }));
    let may_request = visitor.may(Permission::Request) && !open && !applied;
    let case = case.map(|case| (case.id.to_string(), standing_of(&case).to_owned()));
    show(&PlanPage { frame, summary, part, case, may_request })
}

/// Asks people for approval of a plan.
async fn request(
    State(site): State<Arc<Site>>,
    Path(text): Path<String>,
    Posted(Member(visitor, _), fields): Posted,
) -> Page {
    let hash = hash(&text)?;
    let reason = fields.get("reason").unwrap_or_default().to_owned();
    let id = requested(&site, &visitor, hash, reason).await?;
    Ok(Redirect::to(&format!("/cases/{id}")).into_response())
}

/// Opens a case for a plan; returns its name.
pub(crate) async fn requested(
    site: &Arc<Site>,
    visitor: &Visitor,
    hash: PlanHash,
    reason: String,
) -> Result<String, Problem> {
    visitor.require(Permission::Request)?;
    if reason.chars().count() > super::cases::REASON_CHARACTERS_MAX {
        return Err(Problem::unusable("The reason is too long."));
    }
    let by = super::cases::principal(visitor);
    elsewhere(site, move |site| {
        let found = site.plans.find(hash)?;
        let step = site.cases()?.request_restore(found.folder.path(), by, &reason)?;
        site.told(&step);
        Ok(step.case.id.to_string())
    })
    .await
}
