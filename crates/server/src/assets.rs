//! The look and the behaviour of the pages: files within the binary, under names that change with their content.

use axum::{
    Router,
    extract::Path,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
}

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

const ASSETS: &[Asset] = &[
    Asset {
        name: "unwipe.css",
        kind: "text/css; charset=utf-8",
        content: include_str!("../assets/unwipe.css"),
    },
    Asset { name: "dark.css", kind: "text/css; charset=utf-8", content: include_str!("../assets/dark.css") },
    Asset { name: "unwipe.js", kind: JAVASCRIPT, content: include_str!("../assets/unwipe.js") },
    Asset { name: "htmx.js", kind: JAVASCRIPT, content: include_str!("../assets/htmx-2.0.11.min.js") },
    Asset { name: "sse.js", kind: JAVASCRIPT, content: include_str!("../assets/htmx-ext-sse-2.2.4.min.js") },
    Asset { name: "icon.svg", kind: "image/svg+xml", content: include_str!("../assets/icon.svg") },
];

/// Returns where an asset is; its address changes with its content, so that it may be kept for ever.
pub(crate) fn address(name: &str) -> String {
    let content = ASSETS.iter().find(|asset| asset.name == name).map_or("", |asset| asset.content);
    let digest = blake3::hash(content.as_bytes()).to_hex();
    format!("/assets/{}/{name}", &digest[..16])
}

pub(crate) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/assets/{digest}/{name}", get(asset))
}

async fn asset(Path((_, name)): Path<(String, String)>) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, asset.content).into_response()
}
