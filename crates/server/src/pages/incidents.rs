//! What looks like a wipe: the open ones first.

use std::{cmp::Reverse, sync::Arc};

use access::Permission;
use askama::{Template, filters::HtmlSafe};
use axum::{
    Router,
    extract::{Query, State},
    http::HeaderMap,
    routing::get,
};
use model::Moment;
use serde::{Deserialize, Serialize};
use service::{incidents::headline, words};
use watch::{Incident, IncidentSeverity, IncidentState};

use super::{
    Page, elsewhere,
    frame::{Frame, Section},
    show,
};
use crate::{problem::Problem, site::Site, visitor::Member};

/// So many are on a page.
const PAGE: usize = 50;

pub(super) fn router() -> Router<Arc<Site>> {
    Router::new().route("/incidents", get(incidents))
}

/// Which incidents are asked for.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub(crate) struct Asked {
    /// Only in this state.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) state: String,
    /// Only of this source.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) source: String,
    /// Behind this one: what the page before ended with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) after: String,
}

impl Asked {
    fn query(&self) -> String {
        serde_urlencoded::to_string(self).unwrap_or_default()
    }
}

/// Where an incident comes in the list: the open ones first, then the newest.
type Key = (u8, Reverse<u64>);

fn key(incident: &Incident) -> Key {
    (rank(incident.state), Reverse(incident.id))
}

const fn rank(state: IncidentState) -> u8 {
    match state {
        IncidentState::Open => 0,
        IncidentState::Contained => 1,
        IncidentState::Undone => 2,
        IncidentState::Closed => 3,
    }
}

/// Returns a page of what is asked for, and what the next page comes after.
pub(crate) fn listed(site: &Site, asked: &Asked) -> Result<(Vec<Arc<Incident>>, Option<String>), Problem> {
    let mut all = site.incidents.all()?;
    all.retain(|incident| {
        let state = asked.state.is_empty() || incident.state.to_string() == asked.state;
        let mut sources = incident.touched.keys();
        state && (asked.source.is_empty() || sources.any(|source| source.as_str() == asked.source))
    });
    all.sort_by_key(|incident| key(incident));
    if let Some((rank, id)) = asked.after.split_once('-') {
        let after: Option<Key> = rank.parse().ok().zip(id.parse().ok().map(Reverse));
        let after = after.ok_or_else(|| Problem::unusable("The page cannot be found; begin anew."))?;
        all.retain(|incident| key(incident) > after);
    }
    let more = all.len() > PAGE;
    all.truncate(PAGE);
    let last = all.last().filter(|_| more).map(|incident| {
        let (rank, Reverse(id)) = key(incident);
        format!("{rank}-{id}")
    });
    Ok((all, last))
}

/// An incident in a list.
pub(crate) struct Row {
    id: u64,
    state: &'static str,
    class: &'static str,
    severity: &'static str,
    growing: bool,
    sentence: String,
    sources: String,
    at: String,
    moment: String,
    ago: String,
}

/// Returns the class with which a state is shown.
pub(crate) const fn state_class(state: IncidentState) -> &'static str {
    match state {
        IncidentState::Open => "bad",
        IncidentState::Contained => "warning",
        IncidentState::Undone => "good",
        IncidentState::Closed => "",
    }
}

/// Returns a word for a state.
pub(crate) const fn state_word(state: IncidentState) -> &'static str {
    match state {
        IncidentState::Open => "open",
        IncidentState::Contained => "contained",
        IncidentState::Undone => "undone",
        IncidentState::Closed => "closed",
    }
}

/// Returns a word for how bad it is.
pub(crate) const fn severity_word(severity: IncidentSeverity) -> &'static str {
    match severity {
        IncidentSeverity::High => "high",
        IncidentSeverity::Critical => "critical",
    }
}

impl Row {
    fn of(incident: &Incident, now: Moment) -> Self {
        let sources: Vec<&str> = incident.touched.keys().map(model::SourceName::as_str).collect();
        Self {
            id: incident.id,
            state: state_word(incident.state),
            class: state_class(incident.state),
            severity: severity_word(incident.severity),
            growing: incident.growing && incident.state == IncidentState::Open,
            sentence: headline(incident),
            sources: sources.join(", "),
            at: incident.opened_at.to_string(),
            moment: words::moment(incident.opened_at),
            ago: words::ago(incident.opened_at, now),
        }
    }
}

/// The list, as it is told anew to pages that are open.
#[derive(Template)]
#[template(path = "part_incidents.html")]
pub(crate) struct IncidentsPart {
    rows: Vec<Row>,
    /// Where the next page is.
    next: Option<String>,
    filtered: bool,
}

/// It escapes what it shows by itself.
impl HtmlSafe for IncidentsPart {}

impl IncidentsPart {
    pub(crate) fn of(site: &Site, asked: &Asked) -> Result<Self, Problem> {
        let now = site.now();
        let (page, last) = listed(site, asked)?;
        let next = last.map(|after| Asked { after, ..asked.clone() }.query());
        Ok(Self {
            rows: page.iter().map(|incident| Row::of(incident, now)).collect(),
            next,
            filtered: !(asked.state.is_empty() && asked.source.is_empty() && asked.after.is_empty()),
        })
    }
}

#[derive(Template)]
#[template(path = "incidents.html")]
struct IncidentsPage {
    frame: Frame,
    part: IncidentsPart,
    asked: Asked,
    query: String,
    states: [&'static str; 4],
    sources: Vec<String>,
}

async fn incidents(
    State(site): State<Arc<Site>>,
    Member(visitor, person): Member,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Page {
    visitor.require(Permission::See)?;
    let query = asked.query();
    let (part, sources, asked) = elsewhere(&site, move |site| {
        let sources = site.installation()?.config().sources.keys().map(ToString::to_string).collect();
        Ok((IncidentsPart::of(site, &asked)?, sources, asked))
    })
    .await?;
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::Incidents, "Incidents");
    let states = ["open", "contained", "undone", "closed"];
    show(&IncidentsPage { frame, part, asked, query, states, sources })
}
