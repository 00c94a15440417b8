//! The first format of certificates, which held drills of databases alone and was bound to no tree.

use std::collections::BTreeMap;

use drill::{Against, Budget, Check, Counts, Difference, Extent, Outcome, Spent};
use model::{Moment, SourceName};
use serde::Deserialize;

use super::TreeBond;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(serde::Serialize, Clone))]
pub(super) struct Statement {
    pub(super) format: u32,
    pub(super) vault: String,
    pub(super) source: SourceName,
    pub(super) commit: u64,
    pub(super) commit_hash: String,
    pub(super) moment: String,
    pub(super) position: String,
    pub(super) at: Moment,
    pub(super) proven: bool,
    pub(super) checks: Vec<String>,
    pub(super) findings: Vec<String>,
    pub(super) serving_ms: u64,
    pub(super) tables: BTreeMap<String, (u64, String)>,
}

impl Statement {
    /// Says the same in the newest format.
    pub(super) fn upgraded(self) -> super::Statement {
        let (total, different) = (self.tables.len() as u64, self.findings.len() as u64);
        let against = if self.checks.iter().any(|check| check.contains("recorded on production")) {
            Against::Production
        } else if self.checks.iter().any(|check| check.contains("from another base")) {
            Against::SecondRestore
        } else {
            Against::Nothing
        };
        let equal = if against == Against::Nothing { 0 } else { total.saturating_sub(different) };
        super::Statement {
            format: self.format,
            vault: self.vault,
            source: self.source,
            kind: "postgres".to_owned(),
            simulated: false,
            commit: self.commit,
            commit_hash: self.commit_hash,
            tree: TreeBond::None { reason: "certificates of format 1 are bound to no tree".to_owned() },
            moment: self.moment,
            restored_commit: self.commit,
            position: self.position,
            began_at: self.at,
            at: self.at,
            extent: Extent::Whole,
            against,
            counts: Counts { compared: equal + different, equal, different, not_comparable: 0 },
            differences: self
                .findings
                .into_iter()
                .map(|what| Difference { subject: "the restored database".to_owned(), what })
                .collect(),
            differences_total: different,
            checks: self.checks.into_iter().map(|check| Check::passed(check, "")).collect(),
            probes: Vec::new(),
            spent: Spent { time_ms: self.serving_ms, serving_ms: Some(self.serving_ms), space_bytes: 0 },
            budget: Budget::default(),
            tables: self.tables,
            tool: "unwipe".to_owned(),
            outcome: match (different, self.proven) {
                (0, true) => Outcome::Proven,
                (0, false) => Outcome::Hypothesis,
                _ => Outcome::Failed,
            },
        }
    }
}
