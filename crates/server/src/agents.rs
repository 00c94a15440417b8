//! Where agents are answered. What answers them is brought by whoever makes the site; here is only where that is, that a
//! person's session counts for nothing there, and how often a token may be guessed.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};

use crate::{guard::too_often, limits::Purpose, site::Site};

/// The path.
pub(crate) const AT: &str = "/mcp";

pub(crate) fn router(site: &Arc<Site>) -> Router<Arc<Site>> {
    let Some(tools) = &site.agents else { return Router::new() };
    Router::new().nest_service(AT, tools.clone()).route_layer(from_fn_with_state(Arc::clone(site), door))
}

async fn door(State(site): State<Arc<Site>>, mut request: Request, next: Next) -> Response {
    request.headers_mut().remove(header::COOKIE);
    let response = next.run(request).await;
    if response.status() != StatusCode::UNAUTHORIZED {
        return response;
    }
    match site.limits.take(Purpose::Door, "tokens") {
        Ok(()) => response,
        Err(wait) => too_often(wait).into_response(),
    }
}
