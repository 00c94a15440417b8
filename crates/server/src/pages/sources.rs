//! The protected systems: how complete, how new, how locked, how proven.

mod quota;
mod unread;

use std::sync::Arc;

use access::Permission;
use askama::Template;
use axum::{
    Router,
    extract::{Path, State},
    http::HeaderMap,
    routing::{get, post},
};
use model::{Ledger, Moment, SourceName};
use service::{
    completeness::{Unread, UnreadPage},
    jobs::{JobDraft, JobKind},
    overview::SourceOverview,
    posture::SourceProof,
    words,
    workshop::DrillWish,
};

use self::quota::Quota;
use super::{
    Page, begin, elsewhere,
    frame::{Frame, Section},
    show,
};
use crate::{
    chart::lags,
    guard::too_often,
    limits::Purpose,
    problem::Problem,
    proofs,
    site::Site,
    visitor::{Member, Posted},
};

pub(super) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/sources", get(sources))
        .route("/sources/{name}", get(source))
        .route("/sources/{name}/unread", get(unread::page))
        .route("/sources/{name}/capture", post(capture))
        .route("/sources/{name}/drill", post(drill))
}

/// So many of the newest commits are shown.
const COMMITS_SHOWN: u32 = 60;

/// A source as a line.
pub(super) struct Line {
    pub(super) source: SourceOverview,
    pub(super) proof: SourceProof,
    now: Moment,
}

impl Line {
    pub(super) fn newest(&self) -> String {
        self.source.newest_moment.map_or_else(|| "none yet".to_owned(), |at| words::ago(at, self.now))
    }

    pub(super) fn newest_at(&self) -> String {
        self.source.newest_moment.map_or_else(String::new, |at| at.to_string())
    }

    fn ledger(&self) -> String {
        self.source.ledger.map_or_else(|| "nothing yet".to_owned(), ledger_text)
    }

    pub(super) fn floor(&self) -> String {
        match &self.source.floor {
            None => "not known".to_owned(),
            Some(floor) => words::span(u64::from(floor.days_left) * 86_400),
        }
    }

    /// Returns how the lock floor stands, as a class.
    pub(super) fn floor_class(&self) -> &'static str {
        match self.source.floor.as_ref().map(|floor| floor.standing) {
            Some("good") => "good",
            Some("late") => "warning",
            Some(_) => "bad",
            None => "",
        }
    }

    /// Returns what is known about restoring it, as a class.
    pub(super) fn proof_class(&self) -> &'static str {
        match self.proof.proof {
            service::posture::Proof::Proven => "good",
            service::posture::Proof::Hypothesis => "warning",
            service::posture::Proof::Failed => "bad",
        }
    }

    fn quota(&self) -> Quota {
        Quota::of(self.source.quota.as_ref(), self.now)
    }

    fn drilled(&self) -> String {
        self.proof.drilled_at.map_or_else(|| "never drilled".to_owned(), |at| words::ago(at, self.now))
    }

    fn commits(&self) -> String {
        words::count(self.source.commits)
    }
}

fn ledger_text(ledger: Ledger) -> String {
    let Ledger { enumerated, stored, unchanged, unreadable } = ledger;
    let mut text = format!(
        "{} looked at: {} stored, {} unchanged",
        words::count(enumerated),
        words::count(stored),
        words::count(unchanged)
    );
    if unreadable > 0 {
        text.push_str(&format!(", {} unreadable", words::count(unreadable)));
    }
    text
}

/// Describes every source; nothing before the first look.
pub(super) fn lines(site: &Site) -> Option<Vec<Line>> {
    let overview = site.overview()?;
    let now = site.now();
    let proofs = proofs::of(&overview);
    let sources = overview.sources.iter().cloned().zip(proofs);
    Some(sources.map(|(source, proof)| Line { source, proof, now }).collect())
}

#[derive(Template)]
#[template(path = "sources.html")]
struct SourcesPage {
    frame: Frame,
    /// Nothing before the first look.
    lines: Option<Vec<Line>>,
}

async fn sources(State(site): State<Arc<Site>>, Member(visitor, person): Member, headers: HeaderMap) -> Page {
    visitor.require(Permission::See)?;
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::Sources, "Sources");
    show(&SourcesPage { frame, lines: lines(&site) })
}

/// A commit as a line.
struct CommitLine {
    sequence: u64,
    at: Moment,
    ledger: Ledger,
}

impl CommitLine {
    fn is_whole(&self) -> bool {
        self.ledger.unreadable == 0
    }

    fn ledger(&self) -> String {
        ledger_text(self.ledger)
    }

    fn when(&self) -> String {
        words::moment(self.at)
    }
}

#[derive(Template)]
#[template(path = "source.html")]
struct SourcePage {
    frame: Frame,
    line: Line,
    commits: Vec<CommitLine>,
    quota: Quota,
    unread: Vec<Unread>,
    /// Whether more could not be read than is named here.
    more_unread: bool,
    lags: lags::LagChart,
    may_capture: bool,
    may_drill: bool,
}

async fn source(
    State(site): State<Arc<Site>>,
    Member(visitor, person): Member,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Page {
    visitor.require(Permission::See)?;
    let missing = || Problem::missing(format!("source {name}"));
    let line = lines(&site)
        .and_then(|lines| lines.into_iter().find(|line| line.source.name.as_str() == name))
        .ok_or_else(missing)?;
    let its = line.source.name.clone();
    let (commits, unread) = elsewhere(&site, move |site| past(site, &its)).await?;
    let frame = Frame::of(&site, &visitor, &person, &headers, Section::Sources, &name);
    let times: Vec<Moment> = commits.iter().map(|commit| commit.at).collect();
    show(&SourcePage {
        frame,
        lags: lags::LagChart::of(&times),
        quota: line.quota(),
        line,
        commits,
        more_unread: unread.next.is_some(),
        unread: unread.items,
        may_capture: visitor.may(Permission::Snapshot),
        may_drill: visitor.may(Permission::Drill),
    })
}

/// So much of what could not be read is named here; the rest has pages of its own.
const UNREAD_SHOWN: usize = 10;

fn past(site: &Site, name: &SourceName) -> Result<(Vec<CommitLine>, UnreadPage), Problem> {
    let catalog = site.installation()?.catalog(name)?;
    let failed = |error: service::CatalogError| Problem::from(service::ServiceError::from(error));
    let rows = catalog.commits(COMMITS_SHOWN).map_err(failed)?;
    let commits = rows
        .into_iter()
        .map(|row| CommitLine { sequence: row.sequence, at: row.vault_time, ledger: row.ledger })
        .collect();
    let mut unread = unread::look(site, name.as_str(), None)?;
    if unread.items.len() > UNREAD_SHOWN {
        unread.items.truncate(UNREAD_SHOWN);
        unread.next = unread.next.or(Some(0));
    }
    Ok((commits, unread))
}

/// Has a source captured up to now.
async fn capture(State(site): State<Arc<Site>>, Path(name): Path<String>, posted: Posted) -> Page {
    let Posted(Member(visitor, person), _) = posted;
    visitor.require(Permission::Snapshot)?;
    site.limits.take(Purpose::Work, person.person.as_str()).map_err(too_often)?;
    let source = elsewhere(&site, move |site| known(site, &name)).await?;
    let draft = JobDraft {
        kind: JobKind::Capture,
        title: format!("Capture {source} up to now"),
        by: person.person.to_string(),
        about: source.to_string(),
    };
    begin(&site, draft, move |workshop, progress| workshop.capture(&source, progress)).await
}

/// Has a drill held.
async fn drill(State(site): State<Arc<Site>>, Path(name): Path<String>, posted: Posted) -> Page {
    let Posted(Member(visitor, person), fields) = posted;
    visitor.require(Permission::Drill)?;
    site.limits.take(Purpose::Work, person.person.as_str()).map_err(too_often)?;
    let source = elsewhere(&site, move |site| known(site, &name)).await?;
    let wish = DrillWish {
        source: source.clone(),
        moment: fields.get("moment").unwrap_or("latest").to_owned(),
        whole: fields.get("whole").is_some(),
    };
    let draft = JobDraft {
        kind: JobKind::Drill,
        title: format!("Drill of {source}"),
        by: person.person.to_string(),
        about: source.to_string(),
    };
    begin(&site, draft, move |workshop, progress| workshop.drill(&wish, progress)).await
}

fn known(site: &Site, name: &str) -> Result<SourceName, Problem> {
    let installation = site.installation()?;
    let (source, _) = installation.config().source(name).map_err(service::ServiceError::from)?;
    Ok(source)
}
