//! What is known about restoring each source.

use model::Moment;
use service::{
    overview::Overview,
    posture::{Proof, SourceProof},
};

/// Returns what is known about each source of the overview, in its order.
pub(crate) fn of(overview: &Overview) -> Vec<SourceProof> {
    let known = overview.sources.iter().map(|source| {
        let proof = overview.proofs.iter().find(|proof| proof.source == source.name);
        proof.map_or_else(|| unknown(source.name.to_string()), SourceProof::from)
    });
    known.collect()
}

/// What cannot be told proves nothing.
fn unknown(source: String) -> SourceProof {
    SourceProof { source, proof: Proof::Hypothesis, drilled_at: None::<Moment>, note: None }
}
