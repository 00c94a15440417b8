//! What is known about restoring each source.

use model::Moment;
use service::{
    certificate::Certificate,
    overview::Overview,
    posture::{Proof, SourceProof},
};

use crate::site::Site;

/// Gathers what the newest certificates say.
pub(crate) fn of(site: &Site, overview: &Overview, _now: Moment) -> Vec<SourceProof> {
    let known = overview.sources.iter().map(|source| {
        let path = site.home.join("state").join(source.name.as_str()).join("certificate.json");
        let certificate = Certificate::read(&path).ok();
        let proof = match certificate.as_ref().map(|certificate| &certificate.statement) {
            Some(statement) if !statement.findings.is_empty() => Proof::Failed,
            Some(statement) if statement.proven => Proof::Proven,
            _ => Proof::Hypothesis,
        };
        SourceProof {
            source: source.name.to_string(),
            proof,
            drilled_at: certificate.map(|certificate| certificate.statement.at),
            note: None,
        }
    });
    known.collect()
}
