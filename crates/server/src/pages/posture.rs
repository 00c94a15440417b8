//! The three questions.

use std::sync::Arc;

use access::Permission;
use askama::{Template, filters::HtmlSafe};
use axum::{Router, extract::State, http::HeaderMap, routing::get};
use service::posture::{Answer, TIERS, Tier, could_an_agent_delete, how_new, when_proven};

use super::{
    Page,
    frame::{Frame, Section},
    show,
    sources::{Line, lines},
};
use crate::{site::Site, visitor::Member};

pub(super) fn router() -> Router<Arc<Site>> {
    Router::new().route("/", get(posture))
}

#[derive(Template)]
#[template(path = "posture.html")]
struct PosturePage {
    frame: Frame,
    part: OverviewPart,
}

/// The answers, as they are told anew to pages that are open.
#[derive(Default, Template)]
#[template(path = "part_overview.html")]
pub(crate) struct OverviewPart {
    looked: bool,
    looked_at: String,
    open_incidents: usize,
    answers: Vec<Answer>,
    tiers: &'static [Tier],
    /// The tier of the vault.
    tier: u8,
    sources: Vec<Line>,
}

impl OverviewPart {
    /// Answers from what is known now.
    pub(crate) fn of(site: &Site) -> Self {
        let now = site.now();
        let Some(overview) = site.overview() else {
            return Self::default();
        };
        let proofs = crate::proofs::of(&overview);
        Self {
            looked: true,
            looked_at: service::words::moment(overview.at),
            open_incidents: overview.open_incidents,
            answers: vec![
                could_an_agent_delete(&overview.vault),
                how_new(&overview, now),
                when_proven(&proofs, now),
            ],
            tiers: &TIERS,
            tier: overview.vault.tier,
            sources: lines(site).unwrap_or_default(),
        }
    }
}

/// It escapes what it shows by itself.
impl HtmlSafe for OverviewPart {}

async fn posture(State(site): State<Arc<Site>>, member: Member, headers: HeaderMap) -> Page {
    let Member(visitor, person) = member;
    visitor.require(Permission::See)?;
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::Posture, "Posture");
    show(&PosturePage { frame, part: OverviewPart::of(&site) })
}
