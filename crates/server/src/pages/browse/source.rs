//! One source: its streams; of a database also its tables, what happened, and questions to a moment.

use std::sync::Arc;

use access::{Permission, SignedIn};
use askama::Template;
use axum::{
    extract::{Path, RawQuery, State},
    http::HeaderMap,
};
use model::{Event, Moment, Severity, SourceName};
use service::{
    browse::{At, Browse, Stand, Streams},
    history::{TimelineRequest, timeline},
    jobs::{JobDraft, JobKind},
    words,
    workshop::RestoreWish,
};

use super::{
    Page, elsewhere,
    frame::{Frame, Section},
    lines::{When, stream_title},
    moment::MomentPart,
    query,
    search::StreamLine,
    show, source_name,
};
use crate::{
    browsing::browse,
    fields::Fields,
    guard::too_often,
    limits::Purpose,
    links::{link, stream_path},
    moments::Chosen,
    pages::begin,
    problem::Problem,
    site::Site,
    visitor::{Member, Posted, Visitor},
};

/// So many streams are on a page.
const STREAMS_SHOWN: usize = 100;
/// So many transactions.
const DEEDS_SHOWN: u32 = 50;
/// So many effects of one.
const EFFECTS_SHOWN: usize = 5;
/// So much of a statement.
const STATEMENT_CHARACTERS: usize = 200;

/// A transaction as a line.
struct Deed {
    at: When,
    transaction: String,
    who: String,
    how: &'static str,
    effects: Vec<String>,
    statement: Option<String>,
    class: &'static str,
    word: &'static str,
    can_be_undone: bool,
}

#[derive(Template)]
#[template(path = "browse_source.html")]
struct SourcePage {
    frame: Frame,
    moment: MomentPart,
    source: SourceName,
    kind: String,
    streams: Vec<StreamLine>,
    next: Option<String>,
    deeds: Vec<Deed>,
    is_database: bool,
    may_plan: bool,
    /// The moment as a question takes it.
    asked: String,
    commands: Vec<String>,
}

pub(super) async fn page(
    State(site): State<Arc<Site>>,
    Member(visitor, person): Member,
    headers: HeaderMap,
    Path(source): Path<String>,
    RawQuery(asked): RawQuery,
) -> Page {
    visitor.require(Permission::Content)?;
    let title = render::visible(&source, 63);
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::Browse, title);
    let may_plan = visitor.may(Permission::Plan);
    let page = elsewhere(&site, move |site| {
        make(site, frame, source_name(&source)?, may_plan, &query(asked.as_deref())?)
    });
    show(&page.await?)
}

fn make(
    site: &Site,
    frame: Frame,
    source: SourceName,
    may_plan: bool,
    fields: &Fields,
) -> Result<SourcePage, Problem> {
    let browse = browse(site)?;
    let kind = browse.kind(&source)?.to_owned();
    let chosen = Chosen::read(site, fields.get("at"))?;
    let found = browse.streams(&source, chosen.at)?;
    let after = fields.get("after").unwrap_or_default();
    let path = format!("/browse/{source}");
    let (streams, next) = streams(&source, &found, after, &chosen);
    let deeds = deeds(site, &browse, &source, &chosen, found.stand)?;
    let commands = match kind.as_str() {
        "postgres" => vec![format!("unwipe timeline {source}")],
        _ => vec![
            format!("unwipe find {source}@{}", moment_word(&chosen)),
            format!("unwipe timeline {source}"),
        ],
    };
    Ok(SourcePage {
        frame,
        moment: MomentPart::of(
            site,
            (&path, &[]),
            (&chosen, Some(found.stand)),
            std::slice::from_ref(&source),
        ),
        is_database: kind == "postgres",
        next: next.map(|next| link(&path, &[("after", &next), ("at", &chosen.text)])),
        asked: moment_word(&chosen).to_owned(),
        streams,
        deeds,
        may_plan,
        commands,
        source,
        kind,
    })
}

fn moment_word(chosen: &Chosen) -> &str {
    if chosen.text.is_empty() { "latest" } else { &chosen.text }
}

fn streams(
    source: &SourceName,
    found: &Streams,
    after: &str,
    chosen: &Chosen,
) -> (Vec<StreamLine>, Option<String>) {
    let mut shown = found.streams.iter().filter(|stream| !stream.is_internal && *stream.stream > *after);
    let page: Vec<_> = shown.by_ref().take(STREAMS_SHOWN).collect();
    let next = shown.next().and(page.last()).map(|stream| stream.stream.clone());
    let line = |stream: &service::browse::StreamEntry| StreamLine {
        title: stream_title(&stream.stream),
        address: link(&stream_path(source, &stream.stream), &[("at", &chosen.text)]),
        items: words::counted(stream.items, "item"),
        bytes: words::bytes(stream.bytes),
    };
    (page.into_iter().map(line).collect(), next)
}

fn deeds(
    site: &Site,
    browse: &Browse,
    source: &SourceName,
    chosen: &Chosen,
    stand: Stand,
) -> Result<Vec<Deed>, Problem> {
    let until: Option<Moment> = match chosen.at {
        At::Latest => None,
        At::Commit(_) => stand.at,
        At::Moment(at) => Some(at),
    };
    let catalog = site.installation()?.catalog(source)?;
    let request = TimelineRequest { from: None, until, routine: false, by_time: false, limit: DEEDS_SHOWN };
    let timeline = timeline(&catalog, source, request)?;
    let is_database = browse.kind(source)? == "postgres";
    Ok(timeline.events.into_iter().map(|event| deed(event, is_database, site.now())).collect())
}

fn deed(event: Event, is_database: bool, now: Moment) -> Deed {
    let (class, word) = match event.severity {
        Severity::Destructive => ("bad", "destructive"),
        Severity::Notable => ("warning", "notable"),
        Severity::Routine => ("", "routine"),
    };
    let more = event.effects.len().saturating_sub(EFFECTS_SHOWN);
    let mut effects: Vec<String> = event
        .effects
        .iter()
        .take(EFFECTS_SHOWN)
        .map(|effect| {
            format!(
                "{} {} ({})",
                effect.verb,
                render::visible(&effect.target, 300),
                words::count(effect.count)
            )
        })
        .collect();
    if more > 0 {
        effects.push(format!("and {more} more"));
    }
    Deed {
        at: When::of(event.at, now),
        who: actor(&event),
        how: attribution(&event),
        effects,
        statement: event.statement.map(|text| render::visible_line(&text, STATEMENT_CHARACTERS)),
        class,
        word,
        can_be_undone: is_database && !event.transaction.is_empty(),
        transaction: render::visible(&event.transaction, 80),
    }
}

/// Returns who did something, as far as anybody knows.
pub(super) fn actor(event: &Event) -> String {
    let Some(actor) = &event.actor else { return "nobody told who".to_owned() };
    let mut text = render::visible(&actor.identity, 120);
    if let Some(agent) = actor.agent.as_ref().or(actor.application.as_ref()) {
        text.push_str(&format!(" through {}", render::visible(agent, 120)));
    }
    text
}

/// Returns how somebody knows who did it.
pub(super) const fn attribution(event: &Event) -> &'static str {
    use model::Attribution as A;
    match event.attribution {
        A::Witnessed => "witnessed",
        A::Recorded => "recorded by the source",
        A::Sampled => "sampled",
        A::Inferred => "inferred",
        A::Unknown => "unknown",
    }
}

/// Plans the undo of a transaction.
pub(super) async fn undo(State(site): State<Arc<Site>>, posted: Posted) -> Page {
    let Posted(Member(visitor, person), fields) = posted;
    let wish = RestoreWish::Transactions {
        source: source_name(fields.required("source")?)?,
        transactions: vec![fields.required("transaction")?.to_owned()],
    };
    plan_one(&site, &visitor, &person, wish).await
}

/// Begins to plan a restore, and shows how that gets on.
pub(super) async fn plan_one(
    site: &Arc<Site>,
    visitor: &Visitor,
    person: &SignedIn,
    wish: RestoreWish,
) -> Page {
    visitor.require(Permission::Plan)?;
    site.limits.take(Purpose::Work, person.person.as_str()).map_err(too_often)?;
    let draft = JobDraft {
        kind: JobKind::Plan,
        title: title(&wish),
        by: person.person.to_string(),
        about: about(&wish),
    };
    begin(site, draft, move |workshop, progress| workshop.plan(&wish, progress)).await
}

fn title(wish: &RestoreWish) -> String {
    match wish {
        RestoreWish::Items { source, stream, moment, keys } => {
            let what = words::count(keys.len() as u64);
            format!("Plan to bring back {what} of {source}, {} as of {moment}", stream_title(stream))
        }
        RestoreWish::Rows { source, moment, tables, .. } => {
            let tables = render::visible(&tables.join(", "), 120);
            format!("Plan to bring rows of {tables} in {source} back as of {}", render::visible(moment, 60))
        }
        RestoreWish::Transactions { source, transactions } => {
            let these = render::visible(&transactions.join(", "), 80);
            format!("Plan to undo transaction {these} in {source}")
        }
        other => other.command(),
    }
}

/// The same wish is the same work.
fn about(wish: &RestoreWish) -> String {
    blake3::hash(wish.command().as_bytes()).to_hex().to_string()
}
