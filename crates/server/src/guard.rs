//! What holds for every request: who may name this site, how often somebody may ask, what a browser may do with an
//! answer.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    extract::{ConnectInfo, DefaultBodyLimit, MatchedPath, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};

use ports::span::{Outcome, Route};

use crate::{
    agents,
    limits::Purpose,
    metrics::known_method,
    problem::{PageProblem, Problem},
    site::Site,
};

/// More than this no form and no call has.
const BODY_BYTES_MAX: usize = 1 << 20;

/// The framework's own words are no longer.
const REFUSAL_BYTES_MAX: usize = 4 << 10;

/// Nothing but our own files is loaded, nothing is run from a page's text, and nobody frames a page.
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                              connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// By which names the site may be asked.
#[derive(Clone)]
struct Names {
    site: Arc<Site>,
    address: SocketAddr,
}

/// Puts the guard around a router.
pub(crate) fn around(router: Router<Arc<Site>>, site: Arc<Site>, address: SocketAddr) -> Router<Arc<Site>> {
    router
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(Names { site, address }, guard))
}

async fn guard(State(names): State<Names>, request: Request, next: Next) -> Response {
    let site = Arc::clone(&names.site);
    let page = !is_for_programs(request.uri().path());
    let begun = site.ports.clock.elapsed();
    let method = request.method().clone();
    let mut work = site.requests.request(|| asked(&request));
    let for_a_part =
        request.headers().contains_key("hx-request") || request.uri().path().starts_with("/events/");
    let mut response = match admit(&names, &request) {
        Ok(()) => next.run(request).await,
        Err(problem) if page => PageProblem::Problem(problem).into_response(),
        Err(problem) => problem.into_response(),
    };
    if is_untold(&response) {
        response = told(response, page).await;
    }
    work.number("http.response.status_code", u64::from(response.status().as_u16()));
    let failed = response.status().is_server_error();
    work.end(if failed { Outcome::Failed("it was not answered as it should be") } else { Outcome::Done });
    site.metrics.request(&method, response.status(), site.ports.clock.elapsed().saturating_sub(begun));
    if for_a_part {
        lead_the_whole_page(&mut response);
    }
    protect(response.headers_mut(), &site.origin);
    response
}

/// Returns what is told of a request: its verb, if it is a known one, and the pattern that its path fits.
fn asked(request: &Request) -> (&'static str, Option<Route>) {
    let route = request.extensions().get::<MatchedPath>();
    (known_method(request.method()).unwrap_or("_OTHER"), route.map(|path| Route::pattern(path.as_str())))
}

/// Tells whether programs ask at a path, and not people.
pub(crate) fn is_for_programs(path: &str) -> bool {
    let is_below =
        |top: &str| path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    ["/api", "/metrics", agents::AT].into_iter().any(is_below)
}

/// Tells whether the framework refused a request in words of its own, before a handler saw it.
fn is_untold(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let failed = response.status().is_client_error() || response.status().is_server_error();
    failed && kind.is_none_or(|kind| kind.starts_with("text/plain"))
}

/// Says it as everything else is said, and keeps the headers that belong to it.
async fn told(response: Response, page: bool) -> Response {
    let (parts, body) = response.into_parts();
    let text = axum::body::to_bytes(body, REFUSAL_BYTES_MAX).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    let reason = parts.status.canonical_reason().unwrap_or("not done");
    let problem = Problem::new(parts.status, if text.is_empty() { reason.to_owned() } else { text });
    let mut response =
        if page { PageProblem::Problem(problem).into_response() } else { problem.into_response() };
    for (name, value) in &parts.headers {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            response.headers_mut().append(name, value.clone());
        }
    }
    response
}

/// A script that wants a part of a page and is shown the door must not put the door where the part was.
fn lead_the_whole_page(response: &mut Response) {
    let door = response.headers().get(header::LOCATION).filter(|to| to.as_bytes().starts_with(b"/login"));
    if let Some(door) = door.cloned() {
        response.headers_mut().remove(header::LOCATION);
        response.headers_mut().insert("hx-redirect", door);
        *response.status_mut() = StatusCode::UNAUTHORIZED;
    }
}

fn admit(names: &Names, request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    // A name of somebody else's that leads here must not make this site answer in that name.
    let host = text(header::HOST).unwrap_or_default();
    if !is_own(host, names) {
        return Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "This site is not known by that name.")
            .hint(Some(format!("It is {}; server.origin says so.", names.site.origin))));
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) && !is_from_here(headers, &names.site.origin)
    {
        return Err(Problem::new(StatusCode::FORBIDDEN, "This was asked for from another site."));
    }
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or_else(|| "unknown".to_owned(), |ConnectInfo(peer)| peer.ip().to_string());
    names.site.limits.take(Purpose::Request, &peer).map_err(too_often)
}

/// Says when somebody may ask again.
pub(crate) fn too_often(wait: std::time::Duration) -> Problem {
    let mut problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "This was asked too often.");
    problem.retry_after_s = Some(wait.as_secs() + 1);
    problem
}

fn is_own(host: &str, names: &Names) -> bool {
    let origin = names.site.origin.split_once("://").map_or("", |(_, host)| host.trim_end_matches('/'));
    if host.eq_ignore_ascii_case(origin) {
        return true;
    }
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => (name, port.parse().unwrap_or(0)),
        _ => (host, 80),
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    let loopback = name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    loopback && port == names.address.port()
}

/// A browser says where a request comes from; whatever does not is no browser, and carries no cookie of a person's.
fn is_from_here(headers: &HeaderMap, origin: &str) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let same_site = text("sec-fetch-site").is_none_or(|from| matches!(from, "same-origin" | "none"));
    let same_origin = text("origin").is_none_or(|from| from == origin || is_loopback_origin(from, origin));
    same_site && same_origin
}

/// While the site is this machine's own, its other name is as good.
fn is_loopback_origin(from: &str, origin: &str) -> bool {
    let parts = |text: &str| {
        let (scheme, host) = text.split_once("://")?;
        let (name, port) = host.trim_end_matches('/').rsplit_once(':')?;
        let loopback = name == "localhost"
            || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        loopback.then(|| (scheme.to_owned(), port.to_owned()))
    };
    matches!((parts(from), parts(origin)), (Some(one), Some(other)) if one == other)
}

fn protect(headers: &mut HeaderMap, origin: &str) {
    if origin.starts_with("https://") {
        // Whoever has come once over TLS is led there by their own browser, whatever the network says.
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers
        .insert("permissions-policy", HeaderValue::from_static("camera=(), microphone=(), geolocation=()"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

#[cfg(test)]
mod tests {
    use axum::response::Redirect;

    use super::*;

    #[test]
    fn a_part_of_a_page_leads_the_whole_page_to_the_door_and_nowhere_else() {
        let mut response = Redirect::to("/login?next=%2F").into_response();
        lead_the_whole_page(&mut response);
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()["hx-redirect"], "/login?next=%2F");
        assert!(!response.headers().contains_key(header::LOCATION));
        let mut response = Redirect::to("/jobs/1").into_response();
        lead_the_whole_page(&mut response);
        assert_eq!((response.status(), response.headers().len()), (StatusCode::SEE_OTHER, 1));
    }

    #[tokio::test]
    async fn what_the_framework_refuses_is_told_as_everything_else() {
        let refused = || (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET")]).into_response();
        assert!(is_untold(&refused()));
        let response = told(refused(), false).await;
        assert_eq!(
            (response.status(), &response.headers()[header::ALLOW]),
            (StatusCode::METHOD_NOT_ALLOWED, &"GET".parse().unwrap())
        );
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let page = told((StatusCode::BAD_REQUEST, "<b>no</b>").into_response(), true).await;
        let text = axum::body::to_bytes(page.into_body(), 1 << 20).await.unwrap();
        assert!(!String::from_utf8_lossy(&text).contains("<b>no"));
        assert!(!is_untold(&Problem::missing("page").into_response()));
        assert!(!is_untold(&"fine".into_response()));
    }

    #[test]
    fn programs_are_told_apart_from_people() {
        assert!(["/api/v1/jobs", "/mcp", "/mcp/x", "/metrics"].into_iter().all(is_for_programs));
        assert!(!["/", "/apiary", "/mcpx", "/browse/api"].into_iter().any(is_for_programs));
    }

    #[test]
    fn a_browser_is_kept_to_tls_where_there_is_tls() {
        let kept = |origin| {
            let mut headers = HeaderMap::new();
            protect(&mut headers, origin);
            headers.contains_key(header::STRICT_TRANSPORT_SECURITY)
        };
        assert!(kept("https://unwipe.example.org"));
        assert!(!kept("http://localhost:8787"));
    }

    #[test]
    fn another_site_s_request_is_told_apart() {
        let from = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            is_from_here(&headers, "http://localhost:8787")
        };
        assert!(from(&[]));
        assert!(from(&[("origin", "http://localhost:8787"), ("sec-fetch-site", "same-origin")]));
        assert!(from(&[("origin", "http://127.0.0.1:8787")]));
        assert!(!from(&[("origin", "http://localhost:9999")]));
        assert!(!from(&[("origin", "https://evil.example")]));
        assert!(!from(&[("origin", "null")]));
        assert!(!from(&[("sec-fetch-site", "cross-site")]));
        assert!(!from(&[("sec-fetch-site", "same-site")]));
    }
}
