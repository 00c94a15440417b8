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
use service::jobs::Job;
use tokio::sync::broadcast;
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
    let missing = || Problem::missing(format!("job {id}"));
    let asked = site.jobs.get(id).ok_or_else(missing)?;
    let from = Arc::clone(&site);
    let look = move || Some(Arc::new(JobPart::of(&from, from.jobs.get(id)?)));
    // Another job about the same may be what goes on with it.
    let concerns = move |job: &Job| job.kind == asked.kind && job.about == asked.about;
    let states = states(&site.happenings, concerns, look, |part| part.is_open()).ok_or_else(missing)?;
    Ok(stream(states.map(|part: Arc<JobPart>| {
        let name = if part.is_open() { "job" } else { "end" };
        Event::default().event(name).data(rendered(&*part))
    })))
}

/// Returns how something stands and what becomes of it with each job that concerns it, for as long as it is open; nothing
/// when it is not there.
fn states<T: Send + 'static>(
    happenings: &broadcast::Sender<Happening>,
    concerns: impl Fn(&Job) -> bool + Send + 'static,
    look: impl Fn() -> Option<T> + Send + 'static,
    is_open: impl Fn(&T) -> bool + Send + 'static,
) -> Option<impl Stream<Item = T> + Send + 'static> {
    // Whoever looks before listening misses what happens in between, and that may be the end.
    let told = listen(happenings);
    let first = look()?;
    let told = told.filter_map(move |happening| match happening {
        Some(Happening::Job(job)) if concerns(&job) => look(),
        // Whoever was too slow looks again.
        None => look(),
        Some(_) => None,
    });
    // The state now comes first: what happened before the page was open is not told again.
    let all = tokio_stream::once(first).chain(told);
    let mut ended = false;
    Some(all.take_while(move |state| {
        let more = !ended;
        ended = !is_open(state);
        more
    }))
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

fn happenings(site: &Site) -> impl Stream<Item = Option<Happening>> + Send + 'static {
    listen(&site.happenings)
}

/// Returns what happens from now on; `None` stands for what a slow reader missed.
fn listen(
    happenings: &broadcast::Sender<Happening>,
) -> impl Stream<Item = Option<Happening>> + Send + 'static {
    BroadcastStream::new(happenings.subscribe()).map(Result::ok)
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use model::Moment;
    use service::jobs::{JobKind, JobState, Phase};

    use super::*;

    fn job(state: JobState) -> Job {
        Job {
            id: 7,
            kind: JobKind::Drill,
            title: "drill".to_owned(),
            by: "anna".to_owned(),
            about: "papers".to_owned(),
            began_at: Moment::from_micros(0),
            ended_at: None,
            phases: Vec::new(),
            state,
        }
    }

    #[test]
    fn a_job_that_ends_while_its_page_begins_to_listen_is_told_to_have_ended() {
        let (sender, _) = broadcast::channel(8);
        let ends = Mutex::new(Some(sender.clone()));
        let look = move || {
            // It ends as soon as it was looked at; with nobody who listens that is lost.
            let Some(ends) = ends.lock().unwrap().take() else { return Some(job(JobState::Interrupted)) };
            ends.send(Happening::Job(Arc::new(job(JobState::Interrupted)))).ok();
            Some(job(JobState::Running { phase: Phase::default() }))
        };
        let told = states(&sender, |job| job.id == 7, look, Job::is_running).unwrap();
        // With nobody left who could tell more, a stream that missed the end is over.
        drop(sender);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let told: Vec<bool> = runtime.block_on(told.take(2).map(|job| job.is_running()).collect());
        assert_eq!(told, [true, false]);
    }
}
