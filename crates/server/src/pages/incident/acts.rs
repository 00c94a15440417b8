//! The acts behind a bar: transactions and calls with what they did to what.

use std::sync::Arc;

use access::Permission;
use askama::Template;
use axum::{
    extract::{Path, Query, State},
    http::HeaderMap,
};
use model::{Event, Severity, SourceName};
use serde::{Deserialize, Serialize};
use service::{acts::lane_id, words};

use super::lanes::{self, Window};
use crate::{
    pages::{
        Page, elsewhere,
        frame::{Frame, Section},
        show, told,
    },
    problem::Problem,
    site::Site,
    visitor::Member,
};

/// So many acts are on a page.
const PAGE: usize = 100;
/// So many effects of an act are shown.
const EFFECTS_SHOWN: usize = 12;

/// Which acts are asked for.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub(super) struct Asked {
    /// Whose: a lane's name; everybody's where nothing is said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    actor: String,
    /// From when on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// Until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    /// Behind this one: what the page before ended with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    after: String,
}

/// One act.
struct Act {
    at: String,
    time: String,
    source: String,
    scope: String,
    transaction: String,
    severity: &'static str,
    class: &'static str,
    who: String,
    known: &'static str,
    effects: Vec<String>,
    statement: Option<String>,
}

impl Act {
    fn of(source: &SourceName, event: &Event, statements: bool) -> Self {
        let class = match event.severity {
            Severity::Destructive => "bad",
            Severity::Notable => "warning",
            Severity::Routine => "",
        };
        Self {
            at: event.at.to_string(),
            time: event.at.to_string().get(11..23).unwrap_or_default().trim_end_matches('Z').to_owned(),
            source: source.to_string(),
            scope: event.scope.clone(),
            transaction: event.transaction.clone(),
            severity: told::severity_class(event.severity),
            class,
            who: words::actor(event.actor.as_ref()),
            known: told::known_word(event.attribution),
            effects: told::deeds(event.effects.iter(), &event.scope, EFFECTS_SHOWN),
            statement: event.statement.as_deref().filter(|_| statements).map(told::statement),
        }
    }
}

#[derive(Template)]
#[template(path = "acts.html")]
struct ActsPage {
    frame: Frame,
    id: u64,
    span: String,
    who: Option<String>,
    acts: Vec<Act>,
    next: Option<String>,
    capped: bool,
    /// Whether whoever looks may read statements, which hold content.
    statements: bool,
}

/// What tells an act from all others of its incident, in their order.
fn key((source, event): &(SourceName, Event)) -> String {
    format!("{:020}.{source}.{}.{}", event.at.as_micros(), event.position, event.transaction)
}

pub(super) async fn acts(
    State(site): State<Arc<Site>>,
    Member(visitor, person): Member,
    headers: HeaderMap,
    Path(id): Path<u64>,
    Query(asked): Query<Asked>,
) -> Page {
    visitor.require(Permission::See)?;
    let statements = visitor.may(Permission::Content);
    let page = elsewhere(&site, move |site| {
        let incident = site.incidents.get(id)?;
        let window = Window { from: asked.from.clone(), until: asked.until.clone() };
        let span = window.span(&incident)?;
        let read = lanes::read(site, &incident, span)?;
        let kinds = site.installation()?.config().watch.actors.clone();
        let mut chosen = read.events;
        chosen.retain(|(_, event)| {
            let theirs = asked.actor.is_empty() || lane_id(&kinds, event.actor.as_ref()) == asked.actor;
            event.at < span.1 && theirs
        });
        let who = chosen.first().filter(|_| !asked.actor.is_empty());
        let who = who.map(|(_, event)| words::actor(event.actor.as_ref()));
        chosen.sort_by_cached_key(key);
        if !asked.after.is_empty() {
            chosen.retain(|act| key(act) > asked.after);
        }
        let more = chosen.len() > PAGE;
        chosen.truncate(PAGE);
        let last = chosen.last().filter(|_| more).map(key);
        let next = last
            .map(|after| serde_urlencoded::to_string(Asked { after, ..asked.clone() }).unwrap_or_default());
        let acts = chosen.iter().map(|(source, event)| Act::of(source, event, statements)).collect();
        let span = match (words::moment(span.0), words::moment(span.1)) {
            (from, until) if from == until => from,
            (from, until) => format!("{from} to {until}"),
        };
        Ok::<_, Problem>((span, who, acts, next, read.capped))
    })
    .await?;
    let (span, who, acts, next, capped) = page;
    let title = format!("Acts of incident {id}");
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::Incidents, title);
    show(&ActsPage { frame, id, span, who, acts, next, capped, statements })
}
