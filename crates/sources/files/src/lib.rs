//! Reads a folder tree: files, folders and links, and tells what changed since the last time.
//!
//! What is unchanged is found by size, times and inode against a *listing* beside the journal: a cache whose hash the
//! last commit carries. When it is lost, everything is read again, and nothing is stored twice.

mod attributes;
mod batch;
mod cursor;
mod key;
mod listing;
mod pattern;
mod pool;
mod read;
mod reader;
mod settings;
mod walk;

pub use attributes::{Attributes, Kind};
pub use key::{bytes_of_key, key_of_bytes};
pub use pattern::Pattern;
pub use reader::FilesReader;
pub use settings::{CHECKPOINT_CHANGES, FilesSettings, KnownKeys, stream};
