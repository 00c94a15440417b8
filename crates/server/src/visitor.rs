//! Who asks: a person with a session, or a program with a token.

use std::sync::Arc;

use access::{Permission, Principal, ServiceIdentity, SignedIn, Standing, allows};
use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
};

use crate::{
    fields::Fields,
    guard::too_often,
    limits::Purpose,
    problem::{PageProblem, Problem},
    site::Site,
};

/// The header in which a page's script says that it is a page of this site.
const CSRF_HEADER: &str = "x-csrf-token";
/// The field in which a form says so.
const CSRF_FIELD: &str = "csrf";

/// Whoever asks.
#[derive(Debug, Clone)]
pub(crate) enum Visitor {
    /// A person who has logged in.
    Person(SignedIn),
    /// Whoever holds a token.
    Service(ServiceIdentity),
}

impl Visitor {
    /// Returns whether they may do something.
    pub(crate) fn may(&self, permission: Permission) -> bool {
        let standing = match self {
            Self::Person(person) => Standing::Person(&person.roles),
            Self::Service(service) => Standing::Service(&service.scopes),
        };
        allows(standing, permission)
    }

    /// Refuses whoever may not.
    pub(crate) fn require(&self, permission: Permission) -> Result<(), Problem> {
        if self.may(permission) { Ok(()) } else { Err(Problem::forbidden(permission.as_str())) }
    }

    /// Returns who they are to approvals and to the log.
    pub(crate) fn principal(&self) -> Principal {
        match self {
            Self::Person(person) => Principal::Person(person.person.clone()),
            Self::Service(service) => Principal::Service(service.name.clone()),
        }
    }
}

/// The name of the cookie. A browser takes one that begins so only over TLS, for this very host.
pub(crate) fn cookie_name(origin: &str) -> &'static str {
    if origin.starts_with("https://") { "__Host-session" } else { "session" }
}

/// Returns the session's cookie.
pub(crate) fn session_cookie(headers: &HeaderMap, origin: &str) -> Option<String> {
    cookie(headers, cookie_name(origin))
}

/// Returns a cookie.
pub(crate) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(its, _)| *its == name)
        .map(|(_, value)| value.to_owned())
}

async fn signed_in(headers: &HeaderMap, site: &Arc<Site>) -> Result<Option<SignedIn>, Problem> {
    let Some(token) = session_cookie(headers, &site.origin) else { return Ok(None) };
    let site = Arc::clone(site);
    let found = tokio::task::spawn_blocking(move || site.access.session(&token)).await?;
    Ok(found?)
}

/// A person who has logged in; others are shown the door.
#[derive(Debug, Clone)]
pub(crate) struct Member(pub(crate) Visitor, pub(crate) SignedIn);

impl FromRequestParts<Arc<Site>> for Member {
    type Rejection = PageProblem;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, PageProblem> {
        match signed_in(&parts.headers, site).await? {
            Some(person) => Ok(Self(Visitor::Person(person.clone()), person)),
            None => {
                let asked = parts.uri.path_and_query().map_or("/", |path| path.as_str());
                let next = if parts.method == Method::GET { asked } else { "/" };
                Err(PageProblem::Door { next: next.to_owned() })
            }
        }
    }
}

/// A form that a person sent from a page of this site.
#[derive(Debug, Clone)]
pub(crate) struct Posted(pub(crate) Member, pub(crate) Fields);

impl FromRequest<Arc<Site>> for Posted {
    type Rejection = PageProblem;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, PageProblem> {
        let (mut parts, body) = request.into_parts();
        let member = Member::from_request_parts(&mut parts, site).await?;
        let request = Request::from_parts(parts, body);
        let bytes = axum::body::Bytes::from_request(request, site)
            .await
            .map_err(|error| Problem::new(error.status(), error.body_text()))?;
        let fields = Fields::read(&bytes)?;
        if !same(fields.get(CSRF_FIELD), &member.1.csrf) {
            return Err(stale_form().into());
        }
        Ok(Self(member, fields))
    }
}

fn stale_form() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "This form is not from your session.")
        .hint(Some("Go back, load the page anew, and send it again.".to_owned()))
}

/// Compares without telling by the time it takes where two texts differ.
fn same(given: Option<&str>, expected: &str) -> bool {
    given.is_some_and(|given| blake3::hash(given.as_bytes()) == blake3::hash(expected.as_bytes()))
}

/// Whoever calls the API: a token, or the session of a page of this site.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) Visitor);

impl FromRequestParts<Arc<Site>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Problem> {
        if let Some(token) = bearer(&parts.headers) {
            let asked = Arc::clone(site);
            let found = tokio::task::spawn_blocking(move || asked.access.token(&token)).await??;
            return match found {
                Some(service) => Ok(Self(Visitor::Service(service))),
                None => {
                    site.limits.take(Purpose::Door, "tokens").map_err(too_often)?;
                    Err(Problem::new(StatusCode::UNAUTHORIZED, "This token is not known, or is over."))
                }
            };
        }
        let Some(person) = signed_in(&parts.headers, site).await? else {
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "Log in, or send a token.")
                .hint(Some("unwipe token create NAME --scope see".to_owned())));
        };
        let safe = matches!(parts.method, Method::GET | Method::HEAD);
        let told = parts.headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
        if !safe && !same(told, &person.csrf) {
            return Err(stale_form());
        }
        Ok(Self(Visitor::Person(person)))
    }
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}
