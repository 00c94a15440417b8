//! Folders, page by page.

use std::sync::Arc;

use access::{Permission, SignedIn};
use askama::Template;
use axum::{
    extract::{Path, RawQuery, State},
    http::HeaderMap,
};
use model::{SourceName, StreamName};
use service::browse::{At, Browse, Listing, PageWish};

use super::{
    Page, elsewhere,
    frame::{Frame, Section},
    lines::{Choosing, Line, Maker, stream_title},
    moment::MomentPart,
    query, show, source_name, stream_name,
};
use crate::{
    browsing::browse,
    fields::Fields,
    links::{link, stream_path},
    moments::Chosen,
    problem::Problem,
    site::Site,
    visitor::Member,
};

#[derive(Template)]
#[template(path = "tree.html")]
struct TreePage {
    frame: Frame,
    moment: MomentPart,
    title: String,
    source: SourceName,
    source_address: String,
    /// The folders above, with their addresses.
    crumbs: Vec<(String, String)>,
    here: Option<String>,
    list: Choosing,
    next: Option<String>,
    previous: Option<String>,
    deleted: bool,
    /// The same place with, or without, what was deleted.
    other: String,
    /// Whether names of folders come from the index.
    is_by_id: bool,
    command: String,
}

pub(super) async fn page(
    State(site): State<Arc<Site>>,
    Member(visitor, person): Member,
    headers: HeaderMap,
    Path((source, stream)): Path<(String, String)>,
    RawQuery(asked): RawQuery,
) -> Page {
    visitor.require(Permission::Content)?;
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::Browse, stream_title(&stream));
    let page = elsewhere(&site, move |site| {
        let place = (source_name(&source)?, stream_name(&stream)?);
        make(site, frame, &person, place, &query(asked.as_deref())?)
    });
    show(&page.await?)
}

fn make(
    site: &Site,
    frame: Frame,
    person: &SignedIn,
    (source, stream): (SourceName, StreamName),
    fields: &Fields,
) -> Result<TreePage, Problem> {
    let browse = browse(site)?;
    let kind = browse.kind(&source)?;
    let chosen = Chosen::read(site, fields.get("at"))?;
    let folder = fields.get("folder").unwrap_or_default();
    let deleted = fields.get("deleted").is_some();
    let wish = PageWish { cursor: fields.get("cursor").map(str::to_owned), limit: 0 };
    let maker = Maker { source: &source, kind, now: site.now() };

    let path = stream_path(&source, stream.as_str());
    let kept = [("folder", folder), ("deleted", if deleted { "1" } else { "" })];
    let page_at =
        |cursor: &str| link(&path, &[&kept[..], &[("at", &chosen.text), ("cursor", cursor)]].concat());

    let (listing, lines) = if deleted {
        what_was_deleted(&browse, &maker, &stream, &chosen, &wish)?
    } else {
        what_is_in(&browse, &maker, (&stream, folder), &chosen, &wish)?
    };
    if lines.is_empty() && wish.cursor.is_none() {
        must_exist(site, &browse, &source, &stream, folder)?;
    }
    let folder_address = |folder: &str| link(&path, &[("folder", folder), ("at", &chosen.text)]);
    let mut crumbs = vec![(stream_title(stream.as_str()), folder_address(""))];
    crumbs.extend(listing.trail.iter().map(|crumb| (crumb.title.clone(), folder_address(&crumb.folder))));
    let here = if deleted { Some("Deleted".to_owned()) } else { crumbs.pop().map(|(title, _)| title) };
    let title = if deleted {
        format!("Deleted from {}", stream_title(stream.as_str()))
    } else {
        here.clone().unwrap_or_default()
    };
    let other = [("folder", folder), ("deleted", if deleted { "" } else { "1" }), ("at", &chosen.text)];
    Ok(TreePage {
        frame,
        moment: MomentPart::of(
            site,
            (&path, &kept),
            (&chosen, Some(listing.stand)),
            std::slice::from_ref(&source),
        ),
        source_address: link(&format!("/browse/{source}"), &[("at", &chosen.text)]),
        crumbs,
        here,
        list: Choosing {
            lines,
            caption: title.clone(),
            with_place: false,
            csrf: person.csrf.clone(),
            here: page_at(wish.cursor.as_deref().unwrap_or_default()),
            in_basket: site.browsing.baskets.count(&person.csrf),
        },
        next: listing.next.map(|next| page_at(&next)),
        previous: listing.previous.map(|previous| page_at(&previous)),
        deleted,
        other: link(&path, &other),
        is_by_id: matches!(stream.as_str().split('/').next(), Some("drive" | "shared-drive")),
        command: command(&source, &stream, &chosen),
        title,
        source,
    })
}

/// Lists what was removed from a stream up to the chosen moment.
fn what_was_deleted(
    browse: &Browse,
    maker: &Maker<'_>,
    stream: &StreamName,
    chosen: &Chosen,
    wish: &PageWish,
) -> Result<(Listing, Vec<Line>), Problem> {
    let span = (At::Commit(0), chosen.at);
    let found = browse.deleted_between(maker.source, Some(stream), span, wish)?;
    let lines = found.items.iter().map(|item| maker.deleted(item)).collect();
    let listing = Listing {
        stand: found.until,
        trail: Vec::new(),
        entries: Vec::new(),
        next: found.next,
        previous: None,
    };
    Ok((listing, lines))
}

/// Lists what was in a folder at the chosen moment.
fn what_is_in(
    browse: &Browse,
    maker: &Maker<'_>,
    (stream, folder): (&StreamName, &str),
    chosen: &Chosen,
    wish: &PageWish,
) -> Result<(Listing, Vec<Line>), Problem> {
    let listing = browse.children(maker.source, stream, (folder, chosen.at), wish)?;
    let commit = listing.stand.commit;
    let lines = listing.entries.iter().map(|entry| maker.entry(entry, commit, &chosen.text)).collect();
    Ok((listing, lines))
}

fn command(source: &SourceName, stream: &StreamName, chosen: &Chosen) -> String {
    let moment = if chosen.text.is_empty() { "latest" } else { &chosen.text };
    match stream.as_str() {
        "files" | "relations" => format!("unwipe find {source}@{moment}"),
        stream => {
            let what = format!("{source}/{stream}@{moment}");
            format!("unwipe find {}", service::workshop::shell_word(&what))
        }
    }
}

/// An empty page of what never was would look like one of what is gone.
fn must_exist(
    site: &Site,
    browse: &Browse,
    source: &SourceName,
    stream: &StreamName,
    folder: &str,
) -> Result<(), Problem> {
    let catalog = site.installation()?.catalog(source)?;
    let failed = |error: service::CatalogError| Problem::from(service::ServiceError::from(error));
    if !catalog.streams().map_err(failed)?.iter().any(|known| known == stream.as_str()) {
        return Err(Problem::missing(format_args!(
            "stream {:?} in source {source}",
            render::visible(stream.as_str(), 80)
        ))
        .hint(Some(format!("look at what there is: /browse/{source}"))));
    }
    let ids = matches!(stream.as_str().split('/').next(), Some("drive" | "shared-drive"));
    if folder.is_empty() || ids {
        return Ok(());
    }
    // A folder that is empty now may have been full before.
    let key = folder.trim_end_matches('/');
    let wish = PageWish { cursor: None, limit: 1 };
    let was_item = !browse.versions(source, (stream, key), &wish)?.versions.is_empty();
    let was_full = was_item || has_past(browse, source, stream, folder)?;
    if was_full {
        return Ok(());
    }
    Err(Problem::missing(format_args!("folder {:?}", render::visible(key, 80))))
}

fn has_past(
    browse: &Browse,
    source: &SourceName,
    stream: &StreamName,
    folder: &str,
) -> Result<bool, Problem> {
    let now = browse.page(source, stream, (folder, At::Latest), &PageWish { cursor: None, limit: 1 })?;
    if !now.entries.is_empty() {
        return Ok(true);
    }
    let window = (At::Commit(0), At::Latest);
    let removed =
        browse.deleted_between(source, Some(stream), window, &PageWish { cursor: None, limit: 500 })?;
    Ok(removed.next.is_some() || removed.items.iter().any(|item| item.entry.key.starts_with(folder)))
}
