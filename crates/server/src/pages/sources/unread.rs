//! What could not be read of a source, page by page.

use std::sync::Arc;

use access::Permission;
use askama::Template;
use axum::{
    extract::{Path, Query, State},
    http::HeaderMap,
};
use serde::Deserialize;
use service::completeness::{Unread, UnreadPage, unread};

use super::super::{
    Page, elsewhere,
    frame::{Frame, Section},
    show,
};
use crate::{problem::Problem, site::Site, visitor::Member};

/// Where a page begins.
#[derive(Deserialize)]
pub(super) struct Asked {
    /// `next` of the page before.
    after: Option<i64>,
}

#[derive(Template)]
#[template(path = "unread.html")]
struct UnreadTemplate {
    frame: Frame,
    source: String,
    items: Vec<Unread>,
    next: Option<i64>,
    is_first: bool,
}

pub(super) async fn page(
    State(site): State<Arc<Site>>,
    Member(visitor, person): Member,
    headers: HeaderMap,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
) -> Page {
    visitor.require(Permission::See)?;
    let its = name.clone();
    let found = elsewhere(&site, move |site| look(site, &its, asked.after)).await?;
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::Sources, "Could not be read");
    show(&UnreadTemplate {
        frame,
        source: name,
        items: found.items,
        next: found.next,
        is_first: asked.after.is_none(),
    })
}

/// Lists what could not be read; also for the first lines on the source's own page.
pub(super) fn look(site: &Site, name: &str, behind: Option<i64>) -> Result<UnreadPage, Problem> {
    let installation = site.installation()?;
    let (source, _) = installation.config().source(name).map_err(service::ServiceError::from)?;
    Ok(unread(&installation, &source, behind)?)
}
