//! What a siege found, by layer, and what one change would help most.

use std::collections::BTreeMap;

use model::Moment;
use serde::Serialize;
use service::place::Standing;

use crate::{Attempt, Layer, Outcome};

/// What a siege found.
#[derive(Debug, Clone, Serialize)]
pub struct SiegeReport {
    /// When it began.
    pub begun: Moment,
    /// The tier of the vault's place, as measured.
    pub tier: u8,
    /// The same in words.
    pub statement: String,
    /// Every attempt.
    pub attempts: Vec<Attempt>,
    /// The attempts by layer.
    pub layers: Vec<LayerSummary>,
    /// Attempts that should have been held or detected and were not.
    pub broken_promises: u64,
    /// The one change that would make most of the rest hold.
    pub advice: Option<String>,
    /// How many commits the decoy has; they stay for their term.
    pub decoy_commits: u64,
}

/// A layer's attempts.
#[derive(Debug, Clone, Serialize)]
pub struct LayerSummary {
    /// The layer.
    pub layer: Layer,
    /// Held.
    pub held: u64,
    /// Detected.
    pub detected: u64,
    /// Not held.
    pub not_held: u64,
    /// Could not be tried.
    pub not_possible: u64,
}

impl SiegeReport {
    pub(crate) fn new(
        standing: &Standing,
        begun: Moment,
        attempts: Vec<Attempt>,
        decoy_commits: u64,
    ) -> Self {
        let mut layers: BTreeMap<Layer, LayerSummary> = BTreeMap::new();
        for attempt in &attempts {
            let layer = attempt.layer;
            let summary = layers.entry(layer).or_insert(LayerSummary {
                layer,
                held: 0,
                detected: 0,
                not_held: 0,
                not_possible: 0,
            });
            match attempt.outcome {
                Outcome::Held { .. } => summary.held += 1,
                Outcome::Detected { .. } => summary.detected += 1,
                Outcome::NotHeld { .. } => summary.not_held += 1,
                Outcome::NotPossibleHere { .. } => summary.not_possible += 1,
            }
        }
        let broken = attempts.iter().filter(|a| a.promised && a.outcome.is_not_held()).count() as u64;
        Self {
            begun,
            tier: standing.tier,
            statement: standing.statement.clone(),
            advice: advice(standing.tier, &attempts),
            layers: layers.into_values().collect(),
            broken_promises: broken,
            decoy_commits,
            attempts,
        }
    }
}

/// Names the change that would turn most of what was not held.
fn advice(tier: u8, attempts: &[Attempt]) -> Option<String> {
    let open = |layer: Layer| attempts.iter().filter(|a| a.layer == layer && a.outcome.is_not_held()).count();
    let (folder, log, host) = (open(Layer::Folder), open(Layer::Log), open(Layer::Host));
    if folder + log + host == 0 {
        return None;
    }
    if folder >= log.max(host) {
        let how = match tier {
            0 => {
                "put the vault where this user cannot write: on another host, in an object store with locks, or with \
                 immutable flags that this user cannot clear"
            }
            _ => "keep a mirror on another host or in another account: unwipe mirror add",
        };
        return Some(format!("{how} ({folder} of the attempts here would then be held)"));
    }
    if log >= host {
        return Some(format!(
            "keep a mirror, which remembers the log's length: unwipe mirror add ({log} of the attempts here would then be detected)"
        ));
    }
    Some(format!(
        "move keys/restore.key to the host that restores, and remove restore.key from unwipe.toml ({host} of the attempts here would then be held)"
    ))
}
