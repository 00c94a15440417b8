//! Brings stored bytes back to a running cluster at any moment.
//!
//! What the vault holds is a [`history::ClusterHistory`]; what a person asks for is a [`target::Target`]; [`resolve()`]
//! finds its exact position and the [`route::RecoveryRoute`] there; [`cluster`] goes it.

pub mod cluster;
pub mod deed;
pub mod drill;
pub mod export;
pub mod fingerprint;
pub mod history;
pub mod manifest;
pub mod resolve;
pub mod rolled;
pub mod route;
pub mod scan;
pub mod scratch;
pub mod shadow;
pub mod target;
pub mod wal;

pub use self::drill::{DrillError, DrillReport, DrillRequest, Truth, compare_with_stored, drill};
pub use cluster::{RestoreError, RestoreOptions, RestoredCluster, Start, Timing, restore_cluster};
pub use export::{ExportError, TableFormat, export_table, export_wal};
pub use fingerprint::{Fingerprint, FingerprintError};
pub use history::{ClusterHistory, HistoryError, KnownBase, Span};
pub use resolve::{Resolution, ResolveError, Window, find_commits, resolve, windows};
pub use rolled::{PageStore, RolledBase, RolledError};
pub use route::{Nearest, RecoveryRoute, RouteError, Stop};
pub use scan::{CommitPoint, ScanError};
pub use scratch::{Origin, Scratch, ScratchError, ScratchOptions, scratch_at};
pub use shadow::{ShadowFeed, ShadowFeedError};
pub use target::{Target, TargetError};
