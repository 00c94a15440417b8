//! Brings stored bytes back to a running cluster at any moment.
//!
//! What the vault holds is a [`history::ClusterHistory`]; what a person asks for is a [`target::Target`]; [`resolve`]
//! finds its exact position and the [`route::RecoveryRoute`] there; [`cluster`] goes it.

pub mod cluster;
pub mod history;
pub mod manifest;
pub mod resolve;
pub mod route;
pub mod scan;
pub mod target;
pub mod wal;

pub use cluster::{RestoreError, RestoreOptions, RestoredCluster, Start, Timing, restore_cluster};
pub use history::{ClusterHistory, HistoryError, KnownBase, Span};
pub use resolve::{Resolution, ResolveError, Window, resolve, windows};
pub use route::{Nearest, RecoveryRoute, RouteError, Stop};
pub use scan::{CommitPoint, ScanError};
pub use target::{Target, TargetError};
