//! The pages and the API of an installation: what an owner opens every morning, and on the worst day.
//!
//! Thin by design. Handlers ask [`service`] for what they show, and [`service::workshop::Workshop`] for what takes
//! connectors. Nothing here can delete from the vault, and nothing here applies a plan that people have not approved.

#![expect(clippy::unused_self, reason = "templates call these as methods of their page")]

mod agents;
mod api;
mod assets;
mod background;
mod baskets;
mod browsing;
mod chart;
mod events;
mod fields;
mod guard;
mod indexer;
mod keeper;
mod limits;
mod links;
mod metrics;
mod moments;
mod pages;
mod problem;
mod proofs;
mod resume;
mod running;
mod site;
mod tls;
mod visitor;
mod watcher;

pub use api::document as openapi;
pub use running::{Server, ServerError};
pub use site::{Site, SiteParts};
