//! Short-lived private servers at some moment.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use connect::{Progress, Stored};
use ports::{
    Clock,
    files::{self, FileError},
};
use postgres_server::{
    Account, Action, Installation, Listen, RunningServer, Settings,
    recovery::{self, WalSource},
    shadow::{self, Generation, Shadow, ShadowError},
};

use crate::{
    cluster::{self, RestoreError, RestoreOptions, Start, restore_cluster},
    history::ClusterHistory,
    route::{RecoveryRoute, Stop},
    scan::Scan,
};

/// Why there is no scratch server.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// The cluster could not be restored.
    #[error("cannot make a scratch server from a base")]
    Restore(#[from] RestoreError),
    /// The shadow could not be used.
    #[error("cannot make a scratch server from the shadow")]
    Shadow(#[from] ShadowError),
    /// A folder cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

impl ScratchError {
    /// Says what a person can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Restore(error) => error.hint(),
            Self::Shadow(error) => error.hint(),
            Self::File(_) => None,
        }
    }
}

/// What scratch servers need.
#[derive(Clone)]
pub struct ScratchOptions {
    /// The programs, of the cluster's own major version.
    pub installation: Installation,
    /// The account that the server runs under.
    pub account: Account,
    /// A new or empty folder; it is removed with the server.
    pub folder: PathBuf,
    /// How long replay may take.
    pub timeout: Duration,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Where a scratch server's data came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A base from the vault.
    Base,
    /// The shadow, by sharing blocks or by copying.
    Shadow {
        /// Whether blocks are shared.
        reflinked: bool,
    },
}

/// A scratch server, open for reads and writes. Dropping it stops the server and removes its folder.
#[derive(Debug)]
pub struct Scratch {
    held: Held,
    /// Where its data came from.
    pub origin: Origin,
    /// How long it took until the server accepted queries.
    pub elapsed: Duration,
}

#[derive(Debug)]
enum Held {
    Base(BaseScratch),
    Shadow(shadow::Scratch),
}

#[derive(Debug)]
struct BaseScratch {
    running: Option<RunningServer>,
    folder: PathBuf,
}

impl Drop for BaseScratch {
    fn drop(&mut self) {
        drop(self.running.take());
        // A folder that stays behind carries its mark and can be removed later; nobody is left to be told.
        drop::<Result<(), FileError>>(files::remove_scratch(&self.folder));
    }
}

impl Scratch {
    /// Returns a connection address of the server, through its private socket.
    pub fn url(&self, user: &str, database: &str) -> String {
        match &self.held {
            Held::Base(base) => {
                base.running.as_ref().map(|server| server.url(user, database)).unwrap_or_default()
            }
            Held::Shadow(scratch) => scratch.url(user, database),
        }
    }

    /// Returns the running server.
    pub fn server(&mut self) -> Option<&mut RunningServer> {
        match &mut self.held {
            Held::Base(base) => base.running.as_mut(),
            Held::Shadow(scratch) => scratch.server(),
        }
    }
}

/// Makes a scratch server at the end of a route: from the shadow when one of its generations lies on the way, else from
/// the base. It is promoted, so that tables can be read that the next transaction would have locked.
pub fn scratch_at(
    stored: &dyn Stored,
    history: &ClusterHistory,
    shadow: Option<&Shadow>,
    route: &RecoveryRoute,
    options: &ScratchOptions,
    progress: &dyn Progress,
) -> Result<Scratch, ScratchError> {
    let scan = Scan { stored, history, branch: &route.branch };
    if let Some(shadow) = shadow {
        let cut = scan.cut(route.stop).map_err(RestoreError::from)?;
        if let Some(generation) = generation_before(shadow, route, cut)
            && let Some((target, wal_end)) = target_of(&scan, route, cut, shadow)?
        {
            return from_shadow(&scan, shadow, generation, route, (target, wal_end), options, progress);
        }
    }
    from_base(stored, history, route, options, progress)
}

/// Finds the newest generation that lies on the route's branch and not after its stop.
fn generation_before<'a>(shadow: &'a Shadow, route: &RecoveryRoute, cut: u64) -> Option<&'a Generation> {
    shadow.generations().iter().rev().find(|generation| {
        let on_branch = |piece: &crate::history::Piece| {
            piece.timeline == generation.timeline && generation.lsn <= piece.end
        };
        generation.system_identifier == route.base.base.system_identifier
            && generation.lsn <= cut
            && route.branch.pieces.iter().any(on_branch)
    })
}

/// Returns the server's target and up to where WAL must be given. The server chooses its generation by the target, so a
/// target that is not an address can only be used when no generation lies after it.
fn target_of(
    scan: &Scan<'_>,
    route: &RecoveryRoute,
    cut: u64,
    shadow: &Shadow,
) -> Result<Option<(recovery::Target, u64)>, ScratchError> {
    if !matches!(route.stop, Stop::End(_))
        && let Some((_, end)) = scan.record_from(cut).map_err(RestoreError::from)?
    {
        return Ok(Some((recovery::Target::Lsn { lsn: cut, inclusive: false }, end)));
    }
    let all_before = shadow.newest().is_some_and(|newest| newest.lsn <= cut);
    Ok(all_before.then_some((recovery::Target::Latest, cut)))
}

fn from_shadow(
    scan: &Scan<'_>,
    shadow: &Shadow,
    generation: &Generation,
    route: &RecoveryRoute,
    (target, wal_end): (recovery::Target, u64),
    options: &ScratchOptions,
    progress: &dyn Progress,
) -> Result<Scratch, ScratchError> {
    let begun = options.clock.elapsed();
    let wal = WalFolder::create(&beside(&options.folder), &options.account)?;
    wal.fill(scan, route, generation.redo..wal_end, &options.account, progress)?;
    let request = shadow::ScratchRequest {
        folder: options.folder.clone(),
        target,
        not_after: generation.lsn,
        wal: wal.source(),
        action: Action::Promote,
        timeout: options.timeout,
    };
    let scratch = shadow.scratch_at(&request, &mut |_| {})?;
    let origin = Origin::Shadow { reflinked: scratch.clone.reflinked };
    Ok(Scratch {
        held: Held::Shadow(scratch),
        origin,
        elapsed: options.clock.elapsed().saturating_sub(begun),
    })
}

fn from_base(
    stored: &dyn Stored,
    history: &ClusterHistory,
    route: &RecoveryRoute,
    options: &ScratchOptions,
    progress: &dyn Progress,
) -> Result<Scratch, ScratchError> {
    let begun = options.clock.elapsed();
    files::create_scratch(&options.folder)?;
    let mut held = BaseScratch { running: None, folder: options.folder.clone() };
    let restore = RestoreOptions {
        installation: options.installation.clone(),
        account: options.account.clone(),
        control_dir: options.folder.join("control"),
        tablespaces: std::collections::BTreeMap::new(),
        start: Start::Private { listen: Listen::Socket, access: vec!["local all all trust".to_owned()] },
        settings: Settings::new().with("autovacuum", "off"),
        durable: false,
        timeout: options.timeout,
        clock: Arc::clone(&options.clock),
    };
    let restored = restore_cluster(stored, history, route, &options.folder.join("data"), &restore, progress)?;
    held.running = restored.running;
    let elapsed = options.clock.elapsed().saturating_sub(begun);
    Ok(Scratch { held: Held::Base(held), origin: Origin::Base, elapsed })
}

/// Returns the path of a folder next to another one.
fn beside(folder: &Path) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push(".wal");
    PathBuf::from(name)
}

/// A folder of WAL files for a server to fetch from; removed when dropped.
pub(crate) struct WalFolder(PathBuf);

impl WalFolder {
    pub(crate) fn create(path: &Path, account: &Account) -> Result<Self, ScratchError> {
        if path.join(files::SCRATCH_MARK).is_file() {
            files::remove_scratch(path)?;
        }
        files::create_scratch(path)?;
        let folder = Self(path.to_owned());
        account.own(path).map_err(RestoreError::from)?;
        Ok(folder)
    }

    pub(crate) fn source(&self) -> WalSource {
        WalSource::Folder(self.0.clone())
    }

    /// Writes the segments of a range and the histories of the branch; others would lead the server elsewhere.
    pub(crate) fn fill(
        &self,
        scan: &Scan<'_>,
        route: &RecoveryRoute,
        range: std::ops::Range<u64>,
        account: &Account,
        progress: &dyn Progress,
    ) -> Result<u64, ScratchError> {
        let open_end = RecoveryRoute { stop: Stop::End(range.end), ..route.clone() };
        let (end, _) = cluster::write_wal(scan, &open_end, range, &self.0, progress)?;
        for piece in &route.branch.pieces {
            if let Some(content) = scan.history.history_files.get(&piece.timeline) {
                files::create_new(&self.0.join(format!("{:08X}.history", piece.timeline)), content, 0o600)?;
            }
        }
        account.own(&self.0).map_err(RestoreError::from)?;
        Ok(end)
    }
}

impl Drop for WalFolder {
    fn drop(&mut self) {
        // A folder that stays behind carries its mark and can be removed later; nobody is left to be told.
        drop::<Result<(), FileError>>(files::remove_scratch(&self.0));
    }
}
