//! What open pages are told while it happens, as server-sent events.

use std::{convert::Infallible, sync::Arc, time::Duration};

use access::Permission;
use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, State},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::get,
};
use tokio_stream::{Stream, StreamExt, wrappers::BroadcastStream};

use crate::{
    pages::{AskedIncidents, IncidentPart, IncidentsPart, JobPart, OverviewPart, elsewhere},
    problem::{PageProblem, Problem},
    site::{Happening, Site},
    visitor::Member,
};

/// A browser connects again after so long, and is asked again who it is.
const CONNECTION_MAX: Duration = Duration::from_mins(5);

pub(crate) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/events/overview", get(overview))
        .route("/events/jobs/{id}", get(job))
        .route("/events/incidents", get(incidents))
        .route("/events/incidents/{id}", get(incident))
}

async fn overview(State(site): State<Arc<Site>>, member: Member) -> Result<Response, PageProblem> {
    member.0.require(Permission::See)?;
    // A page that was out of sight comes back to how things are now.
    let looks = tokio_stream::once(None).chain(happenings(&site));
    let mut shown = String::new();
    let events = looks.filter_map(move |happening| {
        let html = match happening {
            None | Some(Happening::Overview) => OverviewPart::of(&site).render().ok()?,
            Some(_) => return None,
        };
        // What the page shows already is not sent again.
        (html != shown).then(|| {
            html.clone_into(&mut shown);
            Event::default().event("overview").data(html)
        })
    });
    Ok(stream(events))
}

async fn job(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(id): Path<u64>,
) -> Result<Response, PageProblem> {
    member.0.require(Permission::See)?;
    let asked = site.jobs.get(id).ok_or_else(|| Problem::missing(format!("job {id}")))?;
    let now = move |site: &Site| site.jobs.get(id).map(|job| Arc::new(JobPart::of(site, job)));
    let first = now(&site).ok_or_else(|| Problem::missing(format!("job {id}")))?;
    let from = Arc::clone(&site);
    let told = happenings(&site).filter_map(move |happening| match happening {
        // Another one about the same may be what goes on with it.
        Some(Happening::Job(job)) if job.kind == asked.kind && job.about == asked.about => now(&from),
        // Whoever was too slow looks again.
        None => now(&from),
        Some(_) => None,
    });
    // The state now comes first: what happened before the page was open is not told again.
    let states = tokio_stream::once(first).chain(told);
    let mut ended = false;
    let until_the_end = states.take_while(move |part| {
        let more = !ended;
        ended = !part.is_open();
        more
    });
    Ok(stream(until_the_end.map(|part: Arc<JobPart>| {
        let name = if part.is_open() { "job" } else { "end" };
        Event::default().event(name).data(part.render().unwrap_or_default())
    })))
}

async fn incidents(
    State(site): State<Arc<Site>>,
    member: Member,
    Query(asked): Query<AskedIncidents>,
) -> Result<Response, PageProblem> {
    member.0.require(Permission::See)?;
    let changes = happenings(&site)
        .filter(|happening| matches!(happening, None | Some(Happening::Incident(_))))
        .map(|_| ());
    // What came while the page was on its way is in the first answer.
    let looks = tokio_stream::once(()).chain(changes);
    Ok(stream(looks.then(move |()| {
        let (site, asked) = (Arc::clone(&site), asked.clone());
        async move {
            let part = elsewhere(&site, move |site| IncidentsPart::of(site, &asked)).await;
            Event::default().event("incidents").data(part.map_or_else(unseen, |part| rendered(&part)))
        }
    })))
}

async fn incident(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(id): Path<u64>,
) -> Result<Response, PageProblem> {
    member.0.require(Permission::See)?;
    elsewhere(&site, move |site| Ok(site.incidents.get(id)?)).await?;
    let changes = happenings(&site)
        .filter(move |happening| match happening {
            None => true,
            Some(Happening::Incident(its)) => *its == id,
            Some(_) => false,
        })
        .map(|_| ());
    let looks = tokio_stream::once(()).chain(changes);
    Ok(stream(looks.then(move |()| {
        let site = Arc::clone(&site);
        async move {
            let now = site.now();
            let part = elsewhere(&site, move |site| Ok(IncidentPart::of(&*site.incidents.get(id)?, now)));
            Event::default().event("incident").data(part.await.map_or_else(unseen, |part| rendered(&part)))
        }
    })))
}

fn rendered(part: &impl Template) -> String {
    part.render().unwrap_or_default()
}

/// What stands in place of a part that could not be made; the page itself says why.
fn unseen(_: Problem) -> String {
    "<p class=\"soft\">This could not be shown just now. Load the page again.</p>".to_owned()
}

/// Returns what happens from now on; `None` stands for what a slow reader missed.
fn happenings(site: &Site) -> impl Stream<Item = Option<Happening>> + Send + 'static {
    BroadcastStream::new(site.happenings.subscribe()).map(Result::ok)
}

fn stream(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    let ending = tokio_stream::StreamExt::timeout_repeating(events, tokio::time::interval(CONNECTION_MAX));
    // The first tick comes at once; the second one ends the connection.
    let mut ticks = 0;
    let events = ending
        .take_while(move |event| {
            ticks += usize::from(event.is_err());
            ticks < 2
        })
        .filter_map(Result::ok)
        .map(Ok::<_, Infallible>);
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}
