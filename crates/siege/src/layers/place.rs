//! What the place itself refuses, tried by the place's own measurement: a bucket's attestation, a server's answers.

use connect::Standing as Mark;
use service::place::Standing;

use crate::{Attempt, Layer, Outcome, Scene};

/// The catalogue's number for a store that says yes and enforces nothing.
const ENFORCES_NOTHING: u16 = 21;

/// Turns what was measured into attempts.
pub(crate) fn measured(standing: &Standing) -> Vec<Attempt> {
    let attempt = |finding: &connect::Finding| {
        let evidence = finding.evidence.clone();
        let outcome = match finding.standing {
            Mark::Good => Outcome::held(evidence),
            Mark::Advice => Outcome::not_possible(evidence),
            Mark::Bad => Outcome::not_held("the place allows it", evidence),
        };
        Attempt {
            number: ENFORCES_NOTHING,
            layer: Layer::Place,
            what: finding.subject.clone(),
            credential: "this host's credential for the place".to_owned(),
            on: Scene::Host,
            promised: true,
            outcome,
        }
    };
    standing.findings.iter().map(attempt).collect()
}
