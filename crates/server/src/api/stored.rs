//! What is stored: looked for and looked at.

use std::sync::Arc;

use access::Permission;
use axum::{
    Json,
    extract::{Path, State},
};
use model::{SourceName, StreamName};
use serde::Deserialize;
use service::browse::{At, PageWish, SearchWish};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    asked::Asked,
    views::{
        ComparedView, DocumentView, EntryView, HitView, ItemView, ListingView, SearchedView, StreamView,
        StreamsView, VersionView, VersionsView,
    },
};
use crate::{
    browsing::browse, moments::Chosen, pages::elsewhere, problem::Problem, site::Site, visitor::Caller,
};

pub(super) fn routes() -> OpenApiRouter<Arc<Site>> {
    OpenApiRouter::new()
        .routes(routes!(search))
        .routes(routes!(streams))
        .routes(routes!(items))
        .routes(routes!(item))
        .routes(routes!(versions))
        .routes(routes!(difference))
}

/// What is looked for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SearchAsked {
    /// Words, `"phrases"`, beginnings such as `inv*`. Never an error.
    #[serde(default)]
    q: String,
    /// Only in this source.
    source: Option<String>,
    /// Whether what was deleted and replaced is found as well; `at` does not count then.
    #[serde(default)]
    deleted: bool,
    /// The moment: `latest`, a commit, RFC 3339, `incident:7` for just before it.
    at: Option<String>,
    /// Where the page begins: `next` of the one before.
    cursor: Option<String>,
    /// At most so many, up to 100.
    limit: Option<u32>,
}

/// A moment.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct AtAsked {
    /// The moment: `latest`, a commit, RFC 3339, `incident:7` for just before it.
    at: Option<String>,
}

/// A page of a folder.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ItemsAsked {
    /// The source.
    source: String,
    /// The stream.
    stream: String,
    /// The folder, as an entry names it; the top where none is named.
    #[serde(default)]
    folder: String,
    /// The moment.
    at: Option<String>,
    /// Where the page begins: `next` or `previous` of another one.
    cursor: Option<String>,
    /// At most so many, up to 100.
    limit: Option<u32>,
}

/// One item.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct ItemAsked {
    /// The source.
    source: String,
    /// The stream.
    stream: String,
    /// The key.
    key: String,
    /// The moment.
    at: Option<String>,
}

/// The versions of an item.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct VersionsAsked {
    /// The source.
    source: String,
    /// The stream.
    stream: String,
    /// The key.
    key: String,
    /// Where the page begins: `next` of the one before.
    cursor: Option<String>,
    /// At most so many, up to 100.
    limit: Option<u32>,
}

/// Two versions of an item.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DifferenceAsked {
    /// The source.
    source: String,
    /// The stream.
    stream: String,
    /// The key.
    key: String,
    /// The older moment.
    from: String,
    /// The newer moment.
    to: String,
}

const PAGE_MAX: u32 = 100;

fn page(cursor: Option<String>, limit: Option<u32>) -> PageWish {
    PageWish { cursor, limit: limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX) }
}

fn source_of(name: &str) -> Result<SourceName, Problem> {
    SourceName::new(name).map_err(|_| Problem::missing("such source"))
}

fn place(source: &str, stream: &str) -> Result<(SourceName, StreamName), Problem> {
    let stream = StreamName::new(stream).map_err(|_| Problem::missing("such stream"))?;
    Ok((source_of(source)?, stream))
}

/// Searches the names, subjects and senders of everything that is stored, the newest first.
#[utoipa::path(
    get,
    path = "/search",
    params(SearchAsked),
    responses((status = 200, body = SearchedView), (status = "default", body = Problem)),
)]
async fn search(
    State(site): State<Arc<Site>>,
    Caller(caller): Caller,
    Asked(asked): Asked<SearchAsked>,
) -> Result<Json<SearchedView>, Problem> {
    caller.require(Permission::Content)?;
    let found = elsewhere(&site, move |site| {
        let chosen = Chosen::read(site, asked.at.as_deref())?;
        let browse = browse(site)?;
        let source = asked.source.as_deref().filter(|name| !name.is_empty()).map(source_of).transpose()?;
        if let Some(source) = &source {
            browse.kind(source)?;
        }
        Ok(browse.search(&SearchWish {
            text: asked.q,
            sources: source.into_iter().collect(),
            streams: Vec::new(),
            at: (!asked.deleted).then_some(chosen.at),
            page: page(asked.cursor, asked.limit),
        })?)
    })
    .await?;
    Ok(Json(SearchedView {
        hits: found.hits.into_iter().map(HitView::from).collect(),
        next: found.next,
        behind: found.behind.iter().map(ToString::to_string).collect(),
    }))
}

/// Lists the streams of a source at a moment: mailboxes, drives, folder trees.
#[utoipa::path(
    get,
    path = "/sources/{name}/streams",
    params(("name" = String, Path, description = "The source"), AtAsked),
    responses((status = 200, body = StreamsView), (status = "default", body = Problem)),
)]
async fn streams(
    State(site): State<Arc<Site>>,
    Caller(caller): Caller,
    Path(name): Path<String>,
    Asked(asked): Asked<AtAsked>,
) -> Result<Json<StreamsView>, Problem> {
    caller.require(Permission::Content)?;
    let found = elsewhere(&site, move |site| {
        let chosen = Chosen::read(site, asked.at.as_deref())?;
        Ok(browse(site)?.streams(&source_of(&name)?, chosen.at)?)
    })
    .await?;
    let streams = found.streams.into_iter().filter(|stream| !stream.is_internal);
    Ok(Json(StreamsView { moment: found.stand.into(), streams: streams.map(StreamView::from).collect() }))
}

/// Lists what lay in a folder at a moment.
#[utoipa::path(
    get,
    path = "/items",
    params(ItemsAsked),
    responses((status = 200, body = ListingView), (status = "default", body = Problem)),
)]
async fn items(
    State(site): State<Arc<Site>>,
    Caller(caller): Caller,
    Asked(asked): Asked<ItemsAsked>,
) -> Result<Json<ListingView>, Problem> {
    caller.require(Permission::Content)?;
    let listing = elsewhere(&site, move |site| {
        let (source, stream) = place(&asked.source, &asked.stream)?;
        let chosen = Chosen::read(site, asked.at.as_deref())?;
        let wish = page(asked.cursor, asked.limit);
        Ok(browse(site)?.children(&source, &stream, (&asked.folder, chosen.at), &wish)?)
    })
    .await?;
    Ok(Json(listing.into()))
}

/// Shows an item as it was at a moment.
#[utoipa::path(
    get,
    path = "/item",
    params(ItemAsked),
    responses((status = 200, body = ItemView), (status = "default", body = Problem)),
)]
async fn item(
    State(site): State<Arc<Site>>,
    Caller(caller): Caller,
    Asked(asked): Asked<ItemAsked>,
) -> Result<Json<ItemView>, Problem> {
    caller.require(Permission::Content)?;
    let view = elsewhere(&site, move |site| {
        let (source, stream) = place(&asked.source, &asked.stream)?;
        let chosen = Chosen::read(site, asked.at.as_deref())?;
        Ok(browse(site)?.item(&source, (&stream, &asked.key), chosen.at)?)
    })
    .await?;
    Ok(Json(ItemView {
        moment: view.stand.into(),
        entry: EntryView::from(view.entry),
        document: DocumentView::from(view.document),
        versions: view.versions,
    }))
}

/// Lists the versions of an item, the newest first.
#[utoipa::path(
    get,
    path = "/versions",
    params(VersionsAsked),
    responses((status = 200, body = VersionsView), (status = "default", body = Problem)),
)]
async fn versions(
    State(site): State<Arc<Site>>,
    Caller(caller): Caller,
    Asked(asked): Asked<VersionsAsked>,
) -> Result<Json<VersionsView>, Problem> {
    caller.require(Permission::Content)?;
    let found = elsewhere(&site, move |site| {
        let (source, stream) = place(&asked.source, &asked.stream)?;
        let wish = page(asked.cursor, asked.limit);
        let found = browse(site)?.versions(&source, (&stream, &asked.key), &wish)?;
        if found.total == 0 {
            return Err(Problem::from(service::browse::BrowseError::NotThere));
        }
        Ok(found)
    })
    .await?;
    Ok(Json(VersionsView {
        total: found.total,
        versions: found.versions.into_iter().map(VersionView::from).collect(),
        next: found.next,
    }))
}

/// Shows what differs between an item at two moments.
#[utoipa::path(
    get,
    path = "/difference",
    params(DifferenceAsked),
    responses((status = 200, body = ComparedView), (status = "default", body = Problem)),
)]
async fn difference(
    State(site): State<Arc<Site>>,
    Caller(caller): Caller,
    Asked(asked): Asked<DifferenceAsked>,
) -> Result<Json<ComparedView>, Problem> {
    caller.require(Permission::Content)?;
    let compared = elsewhere(&site, move |site| {
        let (source, stream) = place(&asked.source, &asked.stream)?;
        let at = |text: &str| -> Result<At, Problem> { Ok(Chosen::read(site, Some(text))?.at) };
        let moments = (at(&asked.from)?, at(&asked.to)?);
        Ok(browse(site)?.difference(&source, (&stream, &asked.key), moments)?)
    })
    .await?;
    Ok(Json(compared.into()))
}
