//! One item to read, with its versions on a line of time.

use std::sync::Arc;

use access::{Permission, SignedIn};
use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::HeaderMap,
};
use model::{Event, Moment, SourceName, StreamName};
use render::{Document, Kind};
use service::{
    browse::{Browse, BrowseError, PageWish, Past, Versions},
    history::{TimelineRequest, timeline},
    words,
    workshop::shell_word,
};

use super::{
    Page, compare, elsewhere,
    frame::{Frame, Section},
    lines::{When, pick_text, stream_title},
    moment::MomentPart,
    query, show,
    source::{actor, attribution},
    source_name, stream_name,
};
use crate::{
    baskets::Pick,
    browsing::browse,
    fields::Fields,
    links::{item_link, link, stream_path},
    moments::Chosen,
    problem::Problem,
    site::Site,
    visitor::Member,
};

/// So many versions are on a page.
const VERSIONS_SHOWN: u32 = 20;
/// Among so many events it is looked for who changed an item.
const EVENTS_READ: u32 = 300;
const HOUR_MICROS: i64 = 3_600_000_000;
/// A key's last part must be so long to be found in what events tell.
const NAME_BYTES_MIN: usize = 4;

/// Which item is asked for.
pub(super) struct Place {
    pub(super) source: SourceName,
    pub(super) stream: StreamName,
    pub(super) key: String,
}

impl Place {
    pub(super) fn read(fields: &Fields) -> Result<Self, Problem> {
        Ok(Self {
            source: source_name(fields.required("source")?)?,
            stream: stream_name(fields.required("stream")?)?,
            key: fields.required("key")?.to_owned(),
        })
    }

    pub(super) fn link(&self, at: &str) -> String {
        item_link(&self.source, self.stream.as_str(), &self.key, at)
    }
}

/// A version as a line.
struct VersionLine {
    commit: u64,
    address: String,
    title: String,
    size: String,
    at: Option<When>,
    until: Option<When>,
    class: &'static str,
    word: &'static str,
    is_shown: bool,
    who: Option<String>,
    is_first: bool,
    is_second: bool,
}

/// A field; a time in it is told in words, with its exact text.
struct FieldLine {
    name: String,
    value: String,
    exact: Option<String>,
}

/// What is shown of the item itself.
struct Shown {
    document: Document,
    fields: Vec<FieldLine>,
    /// Whether its text is for reading as letters are, and not for its columns and signs.
    is_prose: bool,
    kind: &'static str,
    size: String,
    download: Option<String>,
    attachments: Vec<(String, String, String)>,
    pick: Option<String>,
}

#[derive(Template)]
#[template(path = "item.html")]
struct ItemPage {
    frame: Frame,
    moment: MomentPart,
    title: String,
    crumbs: Vec<(String, String)>,
    place: Place,
    at: String,
    here: String,
    shown: Option<Shown>,
    /// Why there is nothing to read at this moment.
    absent: Option<String>,
    versions: Vec<VersionLine>,
    total: String,
    older: Option<String>,
    command: String,
    in_basket: usize,
}

pub(super) async fn page(
    State(site): State<Arc<Site>>,
    Member(visitor, person): Member,
    headers: HeaderMap,
    RawQuery(asked): RawQuery,
) -> Page {
    visitor.require(Permission::Content)?;
    let fields = query(asked.as_deref())?;
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::Browse, "Item");
    if fields.get("from").is_some() && fields.get("to").is_some() {
        return show(&elsewhere(&site, move |site| compare::make(site, frame, &fields)).await?);
    }
    show(&elsewhere(&site, move |site| make(site, frame, &person, &fields)).await?)
}

fn make(site: &Site, mut frame: Frame, person: &SignedIn, fields: &Fields) -> Result<ItemPage, Problem> {
    let browse = browse(site)?;
    let place = Place::read(fields)?;
    let chosen = Chosen::read(site, fields.get("at"))?;
    let kind = browse.kind(&place.source)?;
    let wish = PageWish { cursor: fields.get("versions").map(str::to_owned), limit: VERSIONS_SHOWN };
    let item = (&place.stream, place.key.as_str());
    let versions = browse.versions(&place.source, item, &wish)?;
    if versions.versions.is_empty() && wish.cursor.is_none() {
        return Err(unknown(&place));
    }
    let (view, absent) = match browse.item(&place.source, item, chosen.at) {
        Ok(view) => (Some(view), None),
        Err(BrowseError::NotThere) => (None, Some("It was not there at this moment.".to_owned())),
        Err(error @ (BrowseError::NothingYet { .. } | BrowseError::NoRestoreKey)) => {
            let problem = Problem::from(error);
            let hint = problem.hint.map(|hint| format!(" What helps: {hint}.")).unwrap_or_default();
            (None, Some(format!("It cannot be shown: {}.{hint}", problem.title)))
        }
        Err(error) => return Err(error.into()),
    };
    let newest = versions.versions.first().map(|past| past.entry.title.clone());
    let title = view.as_ref().map(|view| view.document.title.clone()).or(newest).unwrap_or_default();
    frame.title.clone_from(&title);
    let kept = [("source", place.source.as_str()), ("stream", place.stream.as_str()), ("key", &place.key)];
    let shown_commit = view.as_ref().map(|view| view.entry.commit);
    let older = versions.next.clone();
    let stand = view.as_ref().map(|view| view.stand);
    let at = match stand.and_then(|stand| stand.at) {
        _ if chosen.text.is_empty() => "latest".to_owned(),
        // The moments of a cluster are times and positions in its log: commits are unknown there.
        Some(at) if kind == "postgres" => at.to_string(),
        _ => chosen.text.clone(),
    };
    Ok(ItemPage {
        moment: MomentPart::of(
            site,
            ("/items", &kept),
            (&chosen, stand),
            std::slice::from_ref(&place.source),
        ),
        crumbs: crumbs(&place, &chosen),
        at: chosen.text.clone(),
        here: place.link(&chosen.text),
        absent,
        total: words::count(versions.total),
        versions: version_lines(site, &place, &versions, shown_commit)?,
        older: older.map(|older| {
            link("/items", &[&kept[..], &[("at", chosen.text.as_str()), ("versions", &older)]].concat())
        }),
        command: command(&place, kind, &at),
        shown: view.map(|view| shown(&place, kind, view)),
        in_basket: site.browsing.baskets.count(&person.csrf),
        frame,
        title,
        place,
    })
}

/// Says that there never was such an item.
pub(super) fn unknown(place: &Place) -> Problem {
    Problem::missing(format_args!(
        "item {:?} in {}, and never was",
        render::visible(&place.key, 80),
        stream_title(place.stream.as_str())
    ))
}

fn shown(place: &Place, kind: &str, view: service::browse::ItemView) -> Shown {
    let commit = view.stand.commit.to_string();
    let pairs = [
        ("source", place.source.as_str()),
        ("stream", place.stream.as_str()),
        ("key", &place.key),
        ("at", &commit),
    ];
    let has_content = view.entry.is_readable && view.entry.size_bytes > 0;
    let attachments = view.document.attachments.iter().map(|attachment| {
        (attachment.name.clone(), attachment.media_type.clone(), words::bytes(attachment.bytes))
    });
    Shown {
        fields: fields(&view.document),
        is_prose: is_prose(&view.document),
        kind: view.entry.kind.word(),
        size: words::bytes(view.entry.size_bytes),
        download: has_content.then(|| link("/items/content", &pairs)),
        attachments: attachments.collect(),
        pick: (kind != "postgres").then(|| {
            pick_text(&Pick {
                source: place.source.clone(),
                stream: place.stream.as_str().to_owned(),
                commit: view.stand.commit,
                key: place.key.clone(),
            })
        }),
        document: view.document,
    }
}

/// Returns the fields as they are read. What is a record's own data stays as it is stored.
fn fields(document: &Document) -> Vec<FieldLine> {
    let is_data = matches!(document.kind, Kind::Row | Kind::Record | Kind::Table | Kind::Internal);
    let line = |field: &render::Field| {
        let at: Option<Moment> = field.value.parse().ok().filter(|_| !is_data);
        let exact = at.map(|_| field.value.clone());
        let value = at.map_or_else(|| field.value.clone(), words::moment);
        FieldLine { name: field.name.clone(), value, exact }
    };
    document.fields.iter().map(line).collect()
}

/// Endings of names of files that hold letters rather than data or code.
const PROSE: [&str; 4] = [".txt", ".md", ".html", ".htm"];

fn is_prose(document: &Document) -> bool {
    match document.kind {
        Kind::Mail | Kind::Event | Kind::Contact | Kind::Group | Kind::User => true,
        Kind::File => PROSE.iter().any(|end| document.title.to_lowercase().ends_with(end)),
        _ => false,
    }
}

pub(super) fn crumbs(place: &Place, chosen: &Chosen) -> Vec<(String, String)> {
    let at = ("at", chosen.text.as_str());
    vec![
        ("Browse".to_owned(), "/browse".to_owned()),
        (place.source.to_string(), link(&format!("/browse/{}", place.source), &[at])),
        (
            stream_title(place.stream.as_str()),
            link(&stream_path(&place.source, place.stream.as_str()), &[at]),
        ),
    ]
}

fn command(place: &Place, kind: &str, at: &str) -> String {
    let Place { source, stream, key } = place;
    match kind {
        "files" => format!("unwipe show {source}@{at} {}", shell_word(&format!("--item={key}"))),
        "postgres" => format!("unwipe show {source}@{at}"),
        _ => format!(
            "unwipe rewind {} {}",
            shell_word(&format!("--item={key}")),
            shell_word(&format!("{source}/{stream}@{at}"))
        ),
    }
}

fn version_lines(
    site: &Site,
    place: &Place,
    versions: &Versions,
    shown: Option<u64>,
) -> Result<Vec<VersionLine>, Problem> {
    let events = events(site, place, &versions.versions)?;
    let now = site.now();
    let lines = versions.versions.iter().enumerate().map(|(number, past)| {
        let older = versions.versions.get(number + 1).and_then(|older| older.entry.at);
        let (class, word) = match (past.until_commit, past.is_removed) {
            (None, _) => ("good", "live"),
            (Some(_), true) => ("bad", "deleted"),
            (Some(_), false) => ("", "replaced"),
        };
        VersionLine {
            commit: past.entry.commit,
            address: place.link(&past.entry.commit.to_string()),
            title: past.entry.title.clone(),
            size: words::bytes(past.entry.size_bytes),
            at: past.entry.at.map(|at| When::of(at, now)),
            until: past.until.map(|at| When::of(at, now)),
            class,
            word,
            is_shown: shown == Some(past.entry.commit),
            who: who(&events, place, past, older),
            is_first: number == 1 || versions.versions.len() == 1,
            is_second: number == 0,
        }
    });
    Ok(lines.collect())
}

/// Reads the events around the versions that are shown.
fn events(site: &Site, place: &Place, versions: &[Past]) -> Result<Vec<Event>, Problem> {
    let times = || versions.iter().filter_map(|past| past.entry.at);
    let (Some(first), Some(last)) = (times().min(), times().max()) else { return Ok(Vec::new()) };
    let catalog = site.installation()?.catalog(&place.source)?;
    let request = TimelineRequest {
        from: Some(first.plus_micros(-HOUR_MICROS)),
        until: Some(last),
        routine: true,
        by_time: true,
        limit: EVENTS_READ,
    };
    Ok(timeline(&catalog, &place.source, request)?.events)
}

/// Finds the event that brought a version: the last one that names the item, after the version before.
fn who(events: &[Event], place: &Place, past: &Past, older: Option<Moment>) -> Option<String> {
    let at = past.entry.at?;
    let name = place.key.rsplit('/').next().unwrap_or_default();
    if name.len() < NAME_BYTES_MIN {
        return None;
    }
    let names = |event: &&Event| {
        event.at <= at
            && older.is_none_or(|older| event.at > older)
            && event.effects.iter().any(|effect| {
                effect.target.contains(name) || effect.target.contains(&format!("\"{}\"", past.entry.title))
            })
    };
    let event = events.iter().rev().find(names)?;
    Some(format!("{} ({})", actor(event), attribution(event)))
}

/// Returns how an item was called at a moment, for a name of a file.
pub(super) fn title_at(
    browse: &Browse,
    place: &Place,
    at: service::browse::At,
) -> Result<(service::browse::Entry, service::browse::Stand), Problem> {
    let wish = PageWish { cursor: None, limit: 1 };
    let listing = browse.page(&place.source, &place.stream, (&place.key, at), &wish)?;
    let entry = listing.entries.into_iter().next().filter(|entry| entry.key == place.key);
    entry.map(|entry| (entry, listing.stand)).ok_or_else(|| Problem::from(BrowseError::NotThere))
}
