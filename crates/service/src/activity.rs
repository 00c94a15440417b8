//! What was done in an installation, by whom, the newest first: gathered from what keeps it.

use std::path::Path;

use approvals::{Case, Decision, State};
use model::Moment;
use serde::Serialize;
use watch::{Incident, IncidentState};

use crate::{
    WatchError,
    cases::{CaseError, CaseStore},
    jobs::{Job, JobState},
    posture::Verdict,
    watching::WatchStore,
};

/// Why what was done cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum ActivityError {
    /// What is known of incidents cannot be read.
    #[error(transparent)]
    Watch(#[from] WatchError),
    /// The cases cannot be read.
    #[error(transparent)]
    Cases(#[from] CaseError),
}

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deed {
    /// When.
    pub at: Moment,
    /// By whom.
    pub by: String,
    /// What, as one line.
    pub what: String,
    /// What came of it, in a word or two.
    pub outcome: String,
    /// How good that is; nothing where it is neither good nor bad.
    pub verdict: Option<Verdict>,
    /// The page on which more is told.
    pub address: Option<String>,
}

impl Deed {
    /// Returns how good it is, as a word: `good`, `warning`, `bad` or nothing.
    pub fn verdict_class(&self) -> String {
        self.verdict.map_or_else(String::new, |verdict| verdict.to_string())
    }
}

/// Lists what was done before a moment, at most so much.
pub fn activity(
    home: &Path,
    jobs: &[Job],
    before: Option<Moment>,
    limit: usize,
) -> Result<Vec<Deed>, ActivityError> {
    let mut deeds: Vec<Deed> = jobs.iter().map(of_job).collect();
    deeds.extend(WatchStore::of(home).incidents()?.iter().flat_map(of_incident));
    deeds.extend(CaseStore::of(home).all()?.iter().flat_map(of_case));
    deeds.retain(|deed| before.is_none_or(|before| deed.at < before));
    deeds.sort_by(|one, other| (other.at, &other.what).cmp(&(one.at, &one.what)));
    deeds.truncate(limit);
    Ok(deeds)
}

fn of_job(job: &Job) -> Deed {
    let (outcome, verdict) = match &job.state {
        JobState::Running { .. } => ("goes on".to_owned(), None),
        JobState::Done { .. } => ("done".to_owned(), Some(Verdict::Good)),
        JobState::Failed { error } => (error.sentence.clone(), Some(Verdict::Bad)),
        JobState::Interrupted => ("interrupted".to_owned(), Some(Verdict::Warning)),
    };
    Deed {
        at: job.ended_at.unwrap_or(job.began_at),
        by: job.by.clone(),
        what: job.title.clone(),
        outcome,
        verdict,
        address: Some(format!("/jobs/{}", job.id)),
    }
}

fn of_incident(incident: &Incident) -> Vec<Deed> {
    let address = Some(format!("/incidents/{}", incident.id));
    let changes = incident.history.iter().map(|change| Deed {
        at: change.at,
        by: "unwipe".to_owned(),
        what: format!("Incident {}: {}", incident.id, change.why),
        outcome: change.state.to_string(),
        verdict: Some(match change.state {
            IncidentState::Open => Verdict::Bad,
            IncidentState::Contained => Verdict::Warning,
            IncidentState::Undone | IncidentState::Closed => Verdict::Good,
        }),
        address: address.clone(),
    });
    changes.collect()
}

fn of_case(case: &Case) -> Vec<Deed> {
    let address = Some(format!("/cases/{}", case.id));
    let deed = |at, by: String, outcome: &str, verdict| Deed {
        at,
        by,
        what: case.subject.to_string(),
        outcome: outcome.to_owned(),
        verdict,
        address: address.clone(),
    };
    let mut deeds = vec![deed(case.requested_at, case.requested_by.name().to_owned(), "asked for", None)];
    deeds.extend(case.decisions.iter().map(|decided| {
        let (outcome, verdict) = match decided.decision {
            Decision::Approve => ("approved", Verdict::Good),
            Decision::Refuse => ("refused", Verdict::Warning),
        };
        deed(decided.at, decided.person.clone(), outcome, Some(verdict))
    }));
    match &case.state {
        State::Applied { at, verified } => {
            let verdict = if *verified { Verdict::Good } else { Verdict::Bad };
            let outcome = if *verified { "applied and verified" } else { "applied, and it differs" };
            deeds.push(deed(*at, "unwipe".to_owned(), outcome, Some(verdict)));
        }
        State::Failed { at, .. } => {
            deeds.push(deed(*at, "unwipe".to_owned(), "not applied", Some(Verdict::Bad)));
        }
        _ => {}
    }
    deeds
}
