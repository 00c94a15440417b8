//! Looking for something, in all sources or in one; and the sources with their streams.

use std::sync::Arc;

use access::{Permission, SignedIn};
use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::HeaderMap,
};
use model::SourceName;
use service::{
    browse::{Browse, Hit, PageWish, SearchWish},
    words,
    workshop::shell_word,
};

use super::{
    Page, elsewhere,
    frame::{Frame, Section},
    lines::{Choosing, Later, Line, Maker, stream_title},
    moment::{MomentPart, ProofWord, proof},
    query, show, source_name, stream_name,
};
use crate::{
    browsing::browse,
    links::{link, stream_path},
    moments::Chosen,
    problem::Problem,
    site::Site,
    visitor::Member,
};

/// So many things are found at a time.
const FOUND_SHOWN: u32 = 50;
/// So many streams of a source are shown beside the others.
const STREAMS_SHOWN: usize = 12;

/// What somebody looks for.
struct Wish {
    text: String,
    source: Option<SourceName>,
    deleted: bool,
    chosen: Chosen,
    cursor: Option<String>,
}

/// A source with its streams.
pub(super) struct SourceCard {
    name: SourceName,
    kind: String,
    address: String,
    proof: ProofWord,
    streams: Vec<StreamLine>,
    more: usize,
    /// Why there is nothing to show.
    nothing: Option<String>,
}

/// A stream as a line.
pub(super) struct StreamLine {
    pub(super) title: String,
    pub(super) address: String,
    pub(super) items: String,
    pub(super) bytes: String,
}

#[derive(Template)]
#[template(path = "browse.html")]
struct BrowsePage {
    frame: Frame,
    moment: MomentPart,
    text: String,
    at: String,
    deleted: bool,
    chosen_source: String,
    all_sources: Vec<SourceName>,
    found: Option<Found>,
    sources: Vec<SourceCard>,
    /// How far the index is.
    index: Vec<IndexLine>,
    command: String,
}

/// What was found.
struct Found {
    list: Choosing,
    next: Option<String>,
    /// The first page, when this is a later one.
    first: Option<String>,
    behind: Vec<SourceName>,
}

/// How far the index of a source is.
struct IndexLine {
    source: SourceName,
    class: &'static str,
    words: String,
}

pub(super) async fn page(
    State(site): State<Arc<Site>>,
    Member(visitor, person): Member,
    headers: HeaderMap,
    RawQuery(asked): RawQuery,
) -> Page {
    visitor.require(Permission::Content)?;
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::Browse, "Browse and restore");
    let page = elsewhere(&site, move |site| make(site, frame, &person, asked.as_deref())).await?;
    show(&page)
}

fn make(site: &Site, frame: Frame, person: &SignedIn, asked: Option<&str>) -> Result<BrowsePage, Problem> {
    let fields = query(asked)?;
    let browse = browse(site)?;
    let wish = Wish {
        text: fields.get("q").unwrap_or_default().chars().take(500).collect(),
        source: fields.get("source").map(source_name).transpose()?,
        deleted: fields.get("deleted").is_some(),
        chosen: Chosen::read(site, fields.get("at"))?,
        cursor: fields.get("cursor").map(str::to_owned),
    };
    if let Some(source) = &wish.source {
        browse.kind(source)?;
    }
    let source = wish.source.as_ref().map_or("", SourceName::as_str);
    let deleted = if wish.deleted { "1" } else { "" };
    let kept = [("q", wish.text.as_str()), ("source", source), ("deleted", deleted)];
    let searched = !wish.text.trim().is_empty();
    let all_sources = browse.sources();
    let about = if searched { wish.source.iter().cloned().collect() } else { Vec::new() };
    Ok(BrowsePage {
        moment: MomentPart::of(site, ("/browse", &kept), (&wish.chosen, None), &about),
        found: searched.then(|| found(site, &browse, person, &wish, &kept)).transpose()?,
        sources: if searched {
            Vec::new()
        } else {
            all_sources.iter().map(|source| card(site, &browse, source, &wish.chosen)).collect()
        },
        index: index(site, &all_sources),
        command: command(&wish),
        frame,
        at: wish.chosen.text.clone(),
        deleted: wish.deleted,
        chosen_source: source.to_owned(),
        all_sources,
        text: wish.text,
    })
}

/// Returns the command line that does the same.
fn command(wish: &Wish) -> String {
    if wish.text.trim().is_empty() {
        return wish
            .source
            .as_ref()
            .map_or_else(|| "unwipe sources".to_owned(), |source| format!("unwipe find {source}@latest"));
    }
    let mut command = "unwipe search".to_owned();
    if let Some(source) = &wish.source {
        command.push_str(&format!(" --in {source}"));
    }
    if wish.deleted {
        command.push_str(" --removed");
    } else if !wish.chosen.text.is_empty() {
        command.push_str(&format!(" --at {}", shell_word(&wish.chosen.text)));
    }
    // What begins like an option is none.
    let end = if wish.text.starts_with('-') { " --" } else { "" };
    format!("{command}{end} {}", shell_word(&wish.text))
}

fn found(
    site: &Site,
    browse: &Browse,
    person: &SignedIn,
    wish: &Wish,
    kept: &[(&str, &str)],
) -> Result<Found, Problem> {
    let searched = browse.search(&SearchWish {
        text: wish.text.clone(),
        sources: wish.source.iter().cloned().collect(),
        streams: Vec::new(),
        at: (!wish.deleted).then_some(wish.chosen.at),
        page: PageWish { cursor: wish.cursor.clone(), limit: FOUND_SHOWN },
    })?;
    let lines = searched.hits.iter().map(|hit| line(site, browse, hit)).collect::<Result<_, Problem>>()?;
    let with = |cursor: &str| {
        link("/browse", &[kept, &[("at", wish.chosen.text.as_str()), ("cursor", cursor)]].concat())
    };
    Ok(Found {
        list: Choosing {
            lines,
            caption: "What was found, the newest first".to_owned(),
            with_place: true,
            csrf: person.csrf.clone(),
            here: with(wish.cursor.as_deref().unwrap_or_default()),
            in_basket: site.browsing.baskets.count(&person.csrf),
        },
        next: searched.next.map(|next| with(&next)),
        first: wish.cursor.as_ref().map(|_| with("")),
        behind: searched.behind,
    })
}

fn line(site: &Site, browse: &Browse, hit: &Hit) -> Result<Line, Problem> {
    let maker = Maker { source: &hit.source, kind: browse.kind(&hit.source)?, now: site.now() };
    if hit.until_commit.is_none() {
        return Ok(maker.hit(hit, None));
    }
    let stream = stream_name(&hit.entry.stream)?;
    let newest = PageWish { cursor: None, limit: 1 };
    let versions = browse.versions(&hit.source, (&stream, &hit.entry.key), &newest)?;
    let later = match versions.versions.first() {
        Some(last) if last.is_removed => Later::Deleted(last.until),
        _ => Later::Replaced,
    };
    Ok(maker.hit(hit, Some(&later)))
}

fn card(site: &Site, browse: &Browse, source: &SourceName, chosen: &Chosen) -> SourceCard {
    let (streams, nothing) = match browse.streams(source, chosen.at) {
        Ok(streams) => (streams.streams, None),
        Err(error) => (Vec::new(), Some(Problem::from(error).title)),
    };
    let shown: Vec<StreamLine> = streams
        .iter()
        .filter(|stream| !stream.is_internal)
        .map(|stream| StreamLine {
            title: stream_title(&stream.stream),
            address: link(&stream_path(source, &stream.stream), &[("at", &chosen.text)]),
            items: words::counted(stream.items, "item"),
            bytes: words::bytes(stream.bytes),
        })
        .collect();
    let more = shown.len().saturating_sub(STREAMS_SHOWN);
    SourceCard {
        name: source.clone(),
        kind: browse.kind(source).unwrap_or_default().to_owned(),
        address: link(&format!("/browse/{source}"), &[("at", &chosen.text)]),
        proof: proof(site, source),
        streams: shown.into_iter().take(STREAMS_SHOWN).collect(),
        more,
        nothing,
    }
}

fn index(site: &Site, sources: &[SourceName]) -> Vec<IndexLine> {
    let known = site.browsing.indexed();
    let now = site.now();
    let line = |source: &SourceName| {
        let (class, words) = match known.get(source) {
            None => ("warning", "not read yet".to_owned()),
            Some(indexed) => match (&indexed.error, &indexed.freshness) {
                (Some(error), _) => ("bad", format!("not up to date: {error}")),
                (None, Some(fresh)) if fresh.is_indexed => {
                    ("good", format!("up to commit {}, {}", fresh.commit, words::ago(indexed.at, now)))
                }
                (None, _) => ("warning", "being read".to_owned()),
            },
        };
        IndexLine { source: source.clone(), class, words }
    };
    sources.iter().map(line).collect()
}
