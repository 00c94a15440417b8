//! Coming in and going out: logging in with a passkey, joining by invitation.

use std::{net::SocketAddr, sync::Arc};

use access::Ceremony;
use askama::Template;
use axum::{
    Json, Router,
    extract::{ConnectInfo, Query, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};

use super::{Page, elsewhere, frame::theme, show};
use crate::{
    assets,
    guard::too_often,
    limits::Purpose,
    problem::Problem,
    site::Site,
    visitor::{Posted, cookie_name, session_cookie},
};

pub(super) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/login", get(login))
        .route("/join", get(join))
        .route("/logout", post(logout))
        .route("/passkeys/login/begin", post(begin_login))
        .route("/passkeys/login/finish", post(finish_login))
        .route("/passkeys/join/begin", post(begin_join))
        .route("/passkeys/join/finish", post(finish_join))
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    theme: &'static str,
    next: String,
    /// Whether there is anybody who could log in.
    anybody: bool,
}

#[derive(Template)]
#[template(path = "join.html")]
struct JoinPage {
    theme: &'static str,
}

impl LoginPage {
    fn asset(&self, name: &str) -> String {
        assets::address(name)
    }
}

impl JoinPage {
    fn asset(&self, name: &str) -> String {
        assets::address(name)
    }
}

#[derive(Deserialize)]
struct Next {
    #[serde(default)]
    next: String,
}

/// Returns where somebody wanted to go, when it is a page of this site.
fn own_page(next: &str) -> String {
    // A browser leaves out tabs and line breaks, and reads `/<tab>/evil.example` as another site's address.
    let plain = !next.contains(|c: char| c == '\\' || c.is_control());
    let own = plain && next.starts_with('/') && !next.starts_with("//");
    if own { next.to_owned() } else { "/".to_owned() }
}

async fn login(State(site): State<Arc<Site>>, headers: HeaderMap, Query(asked): Query<Next>) -> Page {
    let anybody = elsewhere(&site, |site| Ok(!site.access.people()?.is_empty())).await?;
    show(&LoginPage { theme: theme(&headers), next: own_page(&asked.next), anybody })
}

async fn join(headers: HeaderMap) -> Page {
    show(&JoinPage { theme: theme(&headers) })
}

async fn logout(State(site): State<Arc<Site>>, headers: HeaderMap, _: Posted) -> Page {
    if let Some(token) = session_cookie(&headers, &site.origin) {
        elsewhere(&site, move |site| Ok(site.access.end_session(&token)?)).await?;
    }
    let mut response = Redirect::to("/login").into_response();
    set_cookie(&site, response.headers_mut(), "", 0);
    Ok(response)
}

/// A cookie that scripts cannot read, and that other sites' pages do not send along with what they ask for.
fn set_cookie(site: &Site, headers: &mut HeaderMap, value: &str, age_s: i64) {
    let secure = if site.origin.starts_with("https://") { "; Secure" } else { "" };
    let name = cookie_name(&site.origin);
    let line = format!("{name}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}");
    if let Ok(line) = HeaderValue::from_str(&line) {
        headers.append(header::SET_COOKIE, line);
    }
}

fn knock(site: &Site, peer: SocketAddr) -> Result<(), Problem> {
    site.limits.take(Purpose::Door, &peer.ip().to_string()).map_err(too_often)
}

/// What a passkey is asked.
#[derive(Serialize)]
pub(super) struct Begun {
    id: String,
    options: serde_json::Value,
}

impl From<Ceremony> for Begun {
    fn from(ceremony: Ceremony) -> Self {
        Self { id: ceremony.id, options: ceremony.options }
    }
}

/// What a passkey answered.
#[derive(Deserialize)]
struct Answered {
    ceremony: String,
    response: serde_json::Value,
    #[serde(default)]
    next: String,
}

/// Where the page goes on.
#[derive(Serialize)]
pub(super) struct GoOn {
    pub(super) next: String,
}

#[derive(Deserialize)]
struct Invited {
    invitation: String,
}

async fn begin_login(
    State(site): State<Arc<Site>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
) -> Result<Json<Begun>, Problem> {
    knock(&site, peer)?;
    let ceremony = elsewhere(&site, |site| Ok(site.access.begin_login()?)).await?;
    Ok(Json(ceremony.into()))
}

async fn finish_login(
    State(site): State<Arc<Site>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Json(answered): Json<Answered>,
) -> Result<Response, Problem> {
    knock(&site, peer)?;
    let next = own_page(&answered.next);
    let session =
        elsewhere(&site, move |site| Ok(site.access.finish_login(&answered.ceremony, &answered.response)?))
            .await?;
    let age_s = session.signed_in.expires_at.micros_since(site.now()) / 1_000_000;
    let mut response = Json(GoOn { next }).into_response();
    set_cookie(&site, response.headers_mut(), &session.token, age_s);
    Ok(response)
}

async fn begin_join(
    State(site): State<Arc<Site>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Json(invited): Json<Invited>,
) -> Result<Json<Begun>, Problem> {
    knock(&site, peer)?;
    let ceremony =
        elsewhere(&site, move |site| Ok(site.access.begin_registration(&invited.invitation)?)).await?;
    Ok(Json(ceremony.into()))
}

async fn finish_join(
    State(site): State<Arc<Site>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Json(answered): Json<Answered>,
) -> Result<Json<GoOn>, Problem> {
    knock(&site, peer)?;
    elsewhere(&site, move |site| {
        Ok(site.access.finish_registration(&answered.ceremony, &answered.response)?)
    })
    .await?;
    Ok(Json(GoOn { next: "/login".to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_logging_in_nobody_is_sent_elsewhere() {
        assert_eq!(own_page("/incidents/7?from=x"), "/incidents/7?from=x");
        let elsewhere = [
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "",
            "/a\r\nb: c",
            "/\t/evil.example",
            "\t//evil.example",
        ];
        for elsewhere in elsewhere {
            assert_eq!(own_page(elsewhere), "/", "{elsewhere:?}");
        }
    }
}
