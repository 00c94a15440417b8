//! What was done, by whom: jobs, cases, incidents, in one list.

use std::sync::Arc;

use access::Permission;
use askama::Template;
use axum::{
    Router,
    extract::{Query, State},
    http::HeaderMap,
    routing::get,
};
use model::Moment;
use serde::Deserialize;
use service::{
    activity::{Deed, activity},
    words,
};

use super::{
    Page, elsewhere,
    frame::{Frame, Section},
    show,
};
use crate::{problem::Problem, site::Site, visitor::Member};

pub(super) fn router() -> Router<Arc<Site>> {
    Router::new().route("/activity", get(page))
}

/// So many deeds are on a page.
const SHOWN: usize = 60;

#[derive(Template)]
#[template(path = "activity.html")]
struct ActivityPage {
    frame: Frame,
    deeds: Vec<Deed>,
    /// The time of the last deed of the page, where there are more.
    earlier: Option<String>,
    now: Moment,
}

impl ActivityPage {
    fn ago(&self, deed: &Deed) -> String {
        words::ago(deed.at, self.now)
    }

    fn when(&self, deed: &Deed) -> String {
        words::moment(deed.at)
    }
}

#[derive(Deserialize)]
struct Wish {
    before: Option<String>,
}

async fn page(
    State(site): State<Arc<Site>>,
    Member(visitor, person): Member,
    headers: HeaderMap,
    Query(wish): Query<Wish>,
) -> Page {
    visitor.require(Permission::See)?;
    let before = wish.before.map(|text| text.parse::<Moment>()).transpose();
    let before = before.map_err(|error| Problem::unusable(error.to_string()))?;
    let jobs = site.jobs.all();
    let mut deeds = elsewhere(&site, move |site| Ok(activity(&site.home, &jobs, before, SHOWN + 1)?)).await?;
    let more = deeds.len() > SHOWN;
    deeds.truncate(SHOWN);
    let earlier = deeds.last().filter(|_| more).map(|deed| deed.at.to_string());
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::Activity, "Activity");
    show(&ActivityPage { frame, deeds, earlier, now: site.now() })
}
