//! The shadow fed from the vault: created from a base, rolled forward to the newest stored WAL.

use std::time::Duration;

use connect::{Progress, Stored};
use postgres_server::{
    Account,
    shadow::{Generation, Roll, RollReport, Shadow},
};

use crate::{
    cluster::{self, RestoreError},
    history::ClusterHistory,
    route::{RecoveryRoute, RouteError},
    scan::Scan,
    scratch::{ScratchError, WalFolder},
};

/// Why the shadow could not be brought forward.
#[derive(Debug, thiserror::Error)]
pub enum ShadowFeedError {
    /// No restorable position is known.
    #[error("the vault has nothing that the shadow could follow")]
    Route(#[from] RouteError),
    /// The base or the WAL could not be laid out.
    #[error("cannot lay out what the shadow needs")]
    Restore(#[from] RestoreError),
    /// A folder of WAL could not be used.
    #[error("cannot hand WAL to the shadow")]
    Wal(#[from] ScratchError),
    /// The shadow failed.
    #[error("the shadow failed")]
    Shadow(#[from] postgres_server::shadow::ShadowError),
}

impl ShadowFeedError {
    /// Says what a person can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Route(error) => error.hint(),
            Self::Restore(error) => error.hint(),
            Self::Wal(error) => error.hint(),
            Self::Shadow(error) => error.hint(),
        }
    }
}

/// What a shadow is fed with.
pub struct ShadowFeed<'a> {
    /// The vault.
    pub stored: &'a dyn Stored,
    /// What it holds of the cluster.
    pub history: &'a ClusterHistory,
    /// The account that servers run under.
    pub account: &'a Account,
    /// A folder for WAL on its way; made and removed.
    pub wal_folder: &'a std::path::Path,
    /// How long replay may take.
    pub timeout: Duration,
}

impl ShadowFeed<'_> {
    /// Brings the shadow to the newest restorable position: from its newest generation when that lies on the way, else
    /// from the newest base.
    pub fn follow(
        &self,
        shadow: &mut Shadow,
        progress: &dyn Progress,
    ) -> Result<RollReport, ShadowFeedError> {
        let route = self.history.choose_latest(None)?;
        let newest = shadow.newest().filter(|generation| self.can_continue(generation, &route)).cloned();
        let scan = Scan { stored: self.stored, history: self.history, branch: &route.branch };
        let wal = WalFolder::create(self.wal_folder, self.account)?;
        let from = newest.as_ref().map_or(route.wal_start_lsn(), |generation| generation.redo);
        wal.fill(&scan, &route, from..route.stop.lsn(), self.account, progress)?;
        let mut hear = |_: &postgres_server::recovery::Progress| {};
        let mut roll = Roll { wal: wal.source(), until: None, timeout: self.timeout, progress: &mut hear };
        if newest.is_some() {
            return Ok(shadow.roll_forward(&mut roll)?);
        }
        let data_dir = shadow.begin_base()?;
        cluster::lay_private_base(self.stored, &route, &data_dir, progress)?;
        self.account.own(&data_dir).map_err(RestoreError::from)?;
        Ok(shadow.finish_base(&data_dir, &mut roll)?)
    }

    /// Returns whether replay can go on from a generation: it lies on the branch, and its WAL is stored to the end.
    fn can_continue(&self, generation: &Generation, route: &RecoveryRoute) -> bool {
        let on_branch = |piece: &crate::history::Piece| {
            piece.timeline == generation.timeline && generation.lsn <= piece.end
        };
        let coverage = self.history.coverage_along(&route.branch);
        generation.system_identifier == route.base.base.system_identifier
            && route.branch.pieces.iter().any(on_branch)
            && coverage.reach(generation.redo) >= route.stop.lsn()
    }
}
