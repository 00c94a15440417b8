//! What is stored: looked for, looked at, compared, put aside to be brought back.

mod answer;
mod basket;
mod compare;
mod download;
mod item;
mod lines;
mod moment;
mod search;
mod source;
mod tree;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};
use model::{SourceName, StreamName};

use super::{Page, elsewhere, frame, show};
use crate::{fields::Fields, problem::Problem, site::Site};

pub(super) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/browse", get(search::page))
        .route("/browse/{source}", get(source::page))
        .route("/browse/{source}/{*stream}", get(tree::page))
        .route("/items", get(item::page))
        .route("/items/content", get(download::content))
        .route("/basket", get(basket::page).post(basket::add))
        .route("/basket/remove", post(basket::remove))
        .route("/basket/clear", post(basket::clear))
        .route("/basket/plan", post(basket::plan))
        .route("/questions", post(answer::ask))
        .route("/questions/{id}", get(answer::page))
        .route("/rows", post(answer::bring_back))
        .route("/undo", post(source::undo))
}

/// Reads the query of an address; whatever somebody typed, it is one.
fn query(text: Option<&str>) -> Result<Fields, Problem> {
    Fields::read(text.unwrap_or_default().as_bytes())
}

fn source_name(text: &str) -> Result<SourceName, Problem> {
    SourceName::new(text)
        .map_err(|_| Problem::missing(format_args!("source {:?}", render::visible(text, 80))))
}

fn stream_name(text: &str) -> Result<StreamName, Problem> {
    StreamName::new(text)
        .map_err(|_| Problem::missing(format_args!("stream {:?}", render::visible(text, 80))))
}
