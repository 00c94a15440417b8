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
use serde_json::{Map, Value};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
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

async fn described() -> Json<Value> {
    Json(described_calls())
}

/// Describes the calls.
fn described_calls() -> Value {
    let mut document = serde_json::to_value(routes().into_openapi()).unwrap_or_default();
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    let calls = paths.into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut);
    for call in calls.flat_map(Map::values_mut) {
        name_the_problem(call);
    }
    bound_numbers(&mut document);
    document
}

/// What went wrong has a media type of its own (RFC 9457), whichever call it is.
fn name_the_problem(call: &mut Value) {
    let Some(content) = call.pointer_mut("/responses/default/content").and_then(Value::as_object_mut) else {
        return;
    };
    if let Some(problem) = content.remove("application/json") {
        content.insert("application/problem+json".to_owned(), problem);
    }
}

/// Numbers that are never negative reach further than the signed ones as which they would be described.
fn bound_numbers(value: &mut Value) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(bound_numbers),
        Value::Object(schema) => {
            if schema.get("minimum") == Some(&Value::from(0)) {
                let bound = match schema.get("format").and_then(Value::as_str) {
                    Some("int32") => Some(("uint32", u64::from(u32::MAX))),
                    Some("int64") => Some(("uint64", u64::MAX)),
                    _ => None,
                };
                if let Some((format, maximum)) = bound {
                    schema.insert("format".to_owned(), format.into());
                    schema.entry("maximum").or_insert(maximum.into());
                }
            }
            schema.values_mut().for_each(bound_numbers);
        }
        _ => {}
    }
}

/// Returns the document that describes the API, as it is committed.
pub fn document() -> String {
    serde_json::to_string_pretty(&described_calls()).unwrap_or_default()
}
