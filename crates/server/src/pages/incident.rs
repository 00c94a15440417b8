//! One incident: what happened, who did it, what was done about it, and what can be done.

mod acts;
mod lanes;
pub(crate) mod steps;

use std::sync::Arc;

use access::Permission;
use askama::{Template, filters::HtmlSafe};
use axum::{
    Router,
    extract::{Path, Query, State},
    http::HeaderMap,
    routing::{get, post},
};
use model::Moment;
use service::{
    cases::CaseStore,
    incidents::{Entry, headline, timeline},
    words,
};
use watch::{ActionStatus, Incident, IncidentState};

use self::lanes::{LanesPart, Window};
use super::{
    Page,
    cases::standing_of,
    elsewhere,
    frame::{Frame, Section},
    incidents::{severity_word, state_class, state_word},
    show, told,
};
use crate::{
    problem::Problem,
    site::Site,
    visitor::{Member, Visitor},
};

/// So many targets of a suspect are named.
const TARGETS_NAMED: usize = 6;

pub(super) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/incidents/{id}", get(incident))
        .route("/incidents/{id}/acts", get(acts::acts))
        .route("/incidents/{id}/plan", post(steps::plan))
        .route("/incidents/{id}/{step}", post(steps::step))
}

/// What is told anew to pages that are open.
#[derive(Template)]
#[template(path = "part_incident.html")]
pub(crate) struct IncidentPart {
    headline: String,
    state: &'static str,
    class: &'static str,
    severity: &'static str,
    growing: bool,
    opened: String,
    opened_text: String,
    ago: String,
    merged_into: Option<u64>,
    entries: Vec<Entry>,
}

/// It escapes what it shows by itself.
impl HtmlSafe for IncidentPart {}

impl IncidentPart {
    /// Writes the time of day of an entry.
    fn clock(&self, entry: &Entry) -> String {
        entry.at.to_string().get(11..19).unwrap_or_default().to_owned()
    }

    pub(crate) fn of(incident: &Incident, now: Moment) -> Self {
        Self {
            headline: headline(incident),
            state: state_word(incident.state),
            class: state_class(incident.state),
            severity: severity_word(incident.severity),
            growing: incident.growing && incident.state == IncidentState::Open,
            opened: incident.opened_at.to_string(),
            opened_text: words::moment(incident.opened_at),
            ago: words::ago(incident.opened_at, now),
            merged_into: incident.merged_into,
            entries: timeline(incident),
        }
    }
}

/// Somebody who took part, or may have.
struct Suspect {
    name: String,
    kind: &'static str,
    known: &'static str,
    /// Whether it is more than a guess.
    sure: bool,
    fired: bool,
    place: String,
    done: Vec<String>,
    underway: Vec<String>,
    assumed: bool,
}

/// Something that was done against somebody, or is proposed.
struct Action {
    title: String,
    why: String,
    status: &'static str,
    class: &'static str,
    note: String,
}

/// What can be done now.
#[expect(clippy::struct_excessive_bools, reason = "each is one thing that is offered or not")]
struct Steps {
    contain: bool,
    keep: bool,
    take_back: bool,
    close: bool,
    plan: bool,
}

impl Steps {
    fn of(incident: &Incident, visitor: &Visitor) -> Self {
        let held = |kept: Option<bool>| {
            incident.actions.iter().any(|note| {
                let returns = note.taken.as_ref().is_some_and(|taken| taken.can_be_taken_back);
                note.status == ActionStatus::Taken && returns && kept.is_none_or(|kept| note.kept == kept)
            })
        };
        let open = incident.state != IncidentState::Closed;
        let may = visitor.may(Permission::Contain);
        let proposed = incident.actions.iter().any(|note| note.status == ActionStatus::Proposed);
        let undone = incident.state == IncidentState::Undone;
        Self {
            contain: may && open && (proposed || incident.state == IncidentState::Open),
            keep: may && open && held(Some(false)),
            take_back: may && held(None),
            close: may && open,
            plan: visitor.may(Permission::Plan) && open && !undone,
        }
    }
}

#[derive(Template)]
#[template(path = "incident.html")]
struct IncidentPage {
    frame: Frame,
    id: u64,
    part: IncidentPart,
    lanes: LanesPart,
    suspects: Vec<Suspect>,
    firings: Vec<String>,
    actions: Vec<Action>,
    steps: Steps,
    /// The case in which somebody is to be let in again, and how it stands.
    let_in: Option<(String, &'static str)>,
    /// Hash, its beginning, and how it stands.
    plans: Vec<(String, String, String)>,
    capped: bool,
}

fn suspects(incident: &Incident) -> Vec<Suspect> {
    let suspects = incident.suspects.iter().map(|suspect| {
        let (actor, attribution) = suspect.who();
        let kind = suspect.identified.as_ref().map_or(suspect.kind, |found| found.kind);
        let effects = if suspect.effects.is_empty() { &suspect.recorded } else { &suspect.effects };
        Suspect {
            name: words::actor(actor),
            kind: told::kind(kind),
            known: told::known(attribution),
            sure: !matches!(attribution, model::Attribution::Inferred | model::Attribution::Unknown),
            fired: suspect.fired,
            place: format!("{} in {}", suspect.scope, suspect.source),
            done: told::deeds(effects.iter(), &suspect.scope, TARGETS_NAMED),
            underway: told::deeds(suspect.underway.iter(), &suspect.scope, TARGETS_NAMED),
            assumed: !suspect.assumed.is_empty(),
        }
    });
    let mut suspects: Vec<Suspect> = suspects.collect();
    suspects.sort_by_key(|suspect| !suspect.fired);
    suspects
}

fn actions(incident: &Incident) -> Vec<Action> {
    let actions = incident.actions.iter().map(|note| {
        let (status, class) = match note.status {
            ActionStatus::Proposed => ("proposed", "warning"),
            ActionStatus::Taken => ("done", "good"),
            ActionStatus::Refused => ("not done", ""),
            ActionStatus::TakenBack => ("taken back", ""),
        };
        let how = if note.automatic { "by policy, without a person" } else { "by a person's word" };
        let kept = if note.kept { "; kept until it is taken back" } else { "" };
        let note_text =
            if note.status == ActionStatus::Taken { format!("{how}{kept}") } else { String::new() };
        Action {
            title: note.action.title.clone(),
            why: note.why.clone(),
            status,
            class,
            note: format!("{} {note_text}", words::moment(note.at)),
        }
    });
    actions.collect()
}

async fn incident(
    State(site): State<Arc<Site>>,
    Member(visitor, person): Member,
    headers: HeaderMap,
    Path(id): Path<u64>,
    Query(window): Query<Window>,
) -> Page {
    visitor.require(Permission::See)?;
    let (incident, lanes, let_in) = elsewhere(&site, move |site| {
        let incident = site.incidents.get(id)?;
        let lanes = LanesPart::of(site, &incident, &window)?;
        let case = service::let_in::newest(&CaseStore::of(&site.home), id)?;
        let open = case.filter(|case| !case.state.is_over());
        Ok((incident, lanes, open.map(|case| (case.id.to_string(), standing_of(&case)))))
    })
    .await?;
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::Incidents, format!("Incident {id}"));
    let plans = incident.plans.iter().map(|plan| {
        let state = plan.applied_at.map_or_else(
            || format!("made {}", words::moment(plan.made_at)),
            |at| format!("applied {}", words::moment(at)),
        );
        (plan.hash.clone(), plan.hash.chars().take(12).collect(), state)
    });
    show(&IncidentPage {
        frame,
        id,
        part: IncidentPart::of(&incident, site.now()),
        lanes,
        suspects: suspects(&incident),
        firings: incident.firings.iter().map(|firing| firing.explanation.clone()).collect(),
        actions: actions(&incident),
        steps: Steps::of(&incident, &visitor),
        let_in,
        plans: plans.collect(),
        capped: incident.deeds_capped,
    })
}

/// Returns the incident that is asked for, away from the threads that answer.
async fn asked(site: &Arc<Site>, id: u64) -> Result<Arc<Incident>, Problem> {
    elsewhere(site, move |site| Ok(site.incidents.get(id)?)).await
}
