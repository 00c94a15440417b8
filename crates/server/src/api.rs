//! What programs ask: the same things as the pages, as JSON. `docs/reference/openapi.json` is made from this.

mod asked;
mod cases;
mod incidents;
mod jobs;
mod overview;
mod plans;
mod stored;
mod views;

use std::sync::Arc;

use axum::{Json, Router};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        RefOr,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;

use crate::site::Site;

/// Where the API begins.
const BASE: &str = "/api/v1";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "unwipe",
        description = "What an installation of unwipe tells and does for programs. There is no call that deletes, \
                       weakens, approves or applies without people: a token has no scope for it.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    modifiers(&Doors),
    security(("token" = []), ("session" = [])),
)]
struct Document;

/// How a caller says who it is.
struct Doors;

impl Modify for Doors {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let token = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A token: unwipe token create NAME --scope see"))
            .build();
        components.add_security_scheme("token", SecurityScheme::Http(token));
        let session = ApiKey::Cookie(ApiKeyValue::with_description(
            "session",
            "The session of a person; a call that changes something also needs the header x-csrf-token",
        ));
        components.add_security_scheme("session", SecurityScheme::ApiKey(session));
    }
}

fn routes() -> OpenApiRouter<Arc<Site>> {
    let calls = OpenApiRouter::new()
        .merge(overview::routes())
        .merge(jobs::routes())
        .merge(incidents::routes())
        .merge(plans::routes())
        .merge(cases::routes())
        .merge(stored::routes());
    OpenApiRouter::with_openapi(Document::openapi()).nest(BASE, calls)
}

/// Every call, with the document that describes them.
pub(crate) fn router() -> Router<Arc<Site>> {
    let (router, _) = routes().split_for_parts();
    router.route(&format!("{BASE}/openapi.json"), axum::routing::get(described))
}

async fn described() -> Json<utoipa::openapi::OpenApi> {
    Json(described_calls())
}

/// Describes the calls. What went wrong has a media type of its own (RFC 9457), whichever call it is.
fn described_calls() -> utoipa::openapi::OpenApi {
    let mut document = routes().into_openapi();
    for item in document.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            let Some(RefOr::T(response)) = operation.responses.responses.get_mut("default") else { continue };
            if let Some(content) = response.content.swap_remove("application/json") {
                response.content.insert("application/problem+json".to_owned(), content);
            }
        }
    }
    document
}

/// Returns the document that describes the API, as it is committed.
pub fn document() -> String {
    described_calls().to_pretty_json().unwrap_or_default()
}
