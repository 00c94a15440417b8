//! The verbs, without a terminal and without HTTP: what the command line, and later the pages, call.

pub mod activity;
pub mod approval;
pub mod browse;
pub mod cases;
pub mod certificate;
pub mod config;
pub mod enrolment;
pub mod heads;
pub mod history;
pub mod installation;
pub mod jobs;
pub mod keys;
pub mod mirrors;
pub mod operations;
pub mod overview;
pub mod place;
pub mod posture;
pub mod retention;
pub mod secret;
pub mod signature;
mod stored;
mod stored_history;
mod stored_items;
pub mod undo;
pub mod watching;
pub mod words;
pub mod workshop;

pub use catalog::CatalogError;
pub use config::{Config, ConfigError};
pub use enrolment::{Enrolment, EnrolmentError};
pub use installation::{Installation, ServiceError};
pub use place::Place;
pub use secret::{SecretError, Secrets};
pub use stored::StoredSource;
pub use watching::WatchError;
