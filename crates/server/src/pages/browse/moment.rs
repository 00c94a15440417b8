//! The moment that a page shows, how proven it is, and the way to another one. Works without scripts.

use askama::{Template, filters::HtmlSafe};
use model::SourceName;
use service::{browse::Stand, posture::Proof, words};

use super::lines::When;
use crate::{links::link, moments, moments::Chosen, proofs, site::Site};

/// So many incidents are offered.
const INCIDENTS_SHOWN: usize = 5;

/// The moment of a page.
#[derive(Template)]
#[template(path = "part_moment.html")]
pub(super) struct MomentPart {
    /// The page.
    path: String,
    /// What else its address says.
    kept: Vec<(String, String)>,
    /// As a field for times has it.
    value: String,
    is_now: bool,
    /// Whether the moment is named by its commit.
    is_commit: bool,
    /// The commit and its time, where the page is about one source.
    stand: Option<(u64, Option<When>)>,
    proofs: Vec<ProofWord>,
    ways: Vec<(String, String)>,
    asked: String,
}

/// What is known about restoring a source.
pub(super) struct ProofWord {
    pub(super) source: String,
    pub(super) class: &'static str,
    pub(super) word: String,
    pub(super) drilled: String,
}

/// It escapes what it shows by itself.
impl HtmlSafe for MomentPart {}

impl MomentPart {
    /// Makes the part for a page about some sources.
    pub(super) fn of(
        site: &Site,
        (path, kept): (&str, &[(&str, &str)]),
        (chosen, stand): (&Chosen, Option<Stand>),
        sources: &[SourceName],
    ) -> Self {
        let told: Vec<(&str, &str)> = kept.iter().copied().filter(|(_, value)| !value.is_empty()).collect();
        let with = |at: &str| link(path, &[&told[..], &[("at", at)]].concat());
        let mut ways = Vec::new();
        if !chosen.text.is_empty() {
            ways.push(("Now".to_owned(), with("")));
        }
        for (id, at) in moments::before_incidents(site, INCIDENTS_SHOWN) {
            ways.push((format!("Before incident {id}, {}", words::moment(at)), with(&at.to_string())));
        }
        let now = site.now();
        let time = match chosen.at {
            service::browse::At::Moment(at) => Some(at),
            _ => stand.and_then(|stand| stand.at),
        };
        Self {
            path: path.to_owned(),
            kept: told.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            value: time.and_then(|at| at.to_string().get(..19).map(str::to_owned)).unwrap_or_default(),
            is_now: chosen.text.is_empty(),
            is_commit: matches!(chosen.at, service::browse::At::Commit(_)),
            stand: stand.map(|stand| (stand.commit, stand.at.map(|at| When::of(at, now)))),
            proofs: sources.iter().map(|source| proof(site, source)).collect(),
            ways,
            asked: match chosen.at {
                service::browse::At::Moment(at) => words::moment(at),
                service::browse::At::Commit(commit) => format!("commit {commit}"),
                service::browse::At::Latest => String::new(),
            },
        }
    }
}

/// Returns what is known about restoring a source.
pub(super) fn proof(site: &Site, source: &SourceName) -> ProofWord {
    let now = site.now();
    let known = site
        .overview()
        .and_then(|overview| proofs::of(&overview).into_iter().find(|known| known.source == source.as_str()));
    let (proof, drilled_at) =
        known.map_or((Proof::Hypothesis, None), |known| (known.proof, known.drilled_at));
    ProofWord {
        source: source.to_string(),
        class: match proof {
            Proof::Proven => "good",
            Proof::Hypothesis => "warning",
            Proof::Failed => "bad",
        },
        word: proof.to_string(),
        drilled: drilled_at
            .map_or_else(|| "never drilled".to_owned(), |at| format!("drilled {}", words::ago(at, now))),
    }
}
