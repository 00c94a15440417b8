//! Google's APIs, as the reader of a Workspace domain calls them: tokens in the name of users, quota, errors, batches.

mod api;
mod assertion;
mod content;
mod error;
mod key;
pub mod method;
mod tokens;
mod upload;
mod vendor;
mod write_api;

pub use api::{ApiParts, ApiSettings, Get, ReadApi};
pub use content::{Checksum, ContentError, Expected};
pub use error::{ApiError, Obstacle};
pub use key::{KeyError, ServiceAccountKey};
pub use method::{Method, Service, containment_scope, scope};
pub use tokens::ServiceAccountTokens;
pub use upload::UploadFailed;
pub use vendor::Google;
pub use write_api::{Change, WriteApi};
