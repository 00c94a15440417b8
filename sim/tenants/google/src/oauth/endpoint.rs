//! The endpoints that give out tokens and take them back.

use hyper::Method;
use serde_json::{Value, json};

use super::{Session, assertion::Denial};
use crate::{
    call::{Answer, Call, Reply},
    routes::Route,
    tenant::Tenant,
    text,
};

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// The routes.
pub(crate) const ROUTES: &[Route] = &[
    route("oauth2.token", Method::POST, "token", give),
    route("oauth2.revoke", Method::POST, "revoke", revoke),
    route("oauth2.revoke.get", Method::GET, "revoke", revoke),
    route("oauth2.tokeninfo", Method::GET, "tokeninfo", tokeninfo),
];

const fn route(
    id: &'static str,
    method: Method,
    path: &'static str,
    handler: crate::routes::Handler,
) -> Route {
    Route { id, method, path, scopes: &[], units: 0, service: "oauth2", handler }
}

struct Form(Vec<(String, String)>);

impl Form {
    fn of(call: &Call) -> Self {
        let mut pairs = call.query.clone();
        pairs.extend(text::pairs(&String::from_utf8_lossy(&call.body)));
        Self(pairs)
    }

    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }
}

fn deny(denial: &Denial) -> Reply {
    let body = json!({ "error": denial.error, "error_description": denial.description });
    Reply::with_code(denial.code, body)
}

#[expect(clippy::unnecessary_wraps, reason = "all handlers have one shape")]
fn give(tenant: &mut Tenant, call: &Call) -> Answer {
    let form = Form::of(call);
    let given = match form.get("grant_type") {
        JWT_BEARER => tenant.check_assertion(form.get("assertion")).map(|session| {
            let scope = scope_text(&session);
            (tenant.give_out(session), scope)
        }),
        "refresh_token" => trade(tenant, &form),
        _ => Err(Denial { error: "unsupported_grant_type", ..Denial::grant("Invalid grant_type") }),
    };
    Ok(match given {
        Ok((token, scope)) => {
            let mut body = json!({
                "access_token": token,
                "expires_in": tenant.settings.token_lifetime.as_secs(),
                "token_type": "Bearer",
            });
            // A token for an assertion says nothing of scopes; the caller has just signed them.
            if form.get("grant_type") != JWT_BEARER {
                body["scope"] = scope.into();
            }
            Reply::json(body)
        }
        Err(denial) => deny(&denial),
    })
}

fn scope_text(session: &Session) -> String {
    session.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn trade(tenant: &mut Tenant, form: &Form) -> Result<(String, String), Denial> {
    let token = form.get("refresh_token");
    let found = tenant.oauth.grants.iter().find(|grant| grant.refresh_token == token);
    let grant = found.cloned().ok_or(Denial::grant("Token has been expired or revoked."))?;
    if grant.app.client_id != form.get("client_id") || grant.app.client_secret != form.get("client_secret") {
        return Err(Denial {
            code: 401,
            error: "invalid_client",
            description: "The provided client secret is invalid.",
        });
    }
    let active = tenant.directory.user(&grant.user).is_some_and(|user| !user.suspended);
    let token = if active { tenant.access_token(&grant) } else { None };
    let token = token.ok_or(Denial::grant("Account has been deleted"))?;
    Ok((token, grant.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ")))
}

#[expect(clippy::unnecessary_wraps, reason = "all handlers have one shape")]
fn revoke(tenant: &mut Tenant, call: &Call) -> Answer {
    let form = Form::of(call);
    let token = form.get("token");
    let session = tenant.oauth.session(token, call.now);
    let by_refresh = tenant.oauth.grants.iter().find(|grant| grant.refresh_token == token);
    let consent = by_refresh
        .map(|grant| (grant.user.to_string(), grant.app.client_id.clone()))
        .or_else(|| session.map(|session| (session.user.to_string(), session.client_id.to_string())));
    let known = tenant.oauth.forget(token);
    let withdrawn = consent.is_some_and(|(user, client)| tenant.revoke_consent(&user, &client));
    if known || withdrawn {
        return Ok(Reply::json(json!({})));
    }
    let denial = Denial { error: "invalid_token", ..Denial::grant("Token expired or revoked") };
    Ok(deny(&denial))
}

#[expect(clippy::unnecessary_wraps, reason = "all handlers have one shape")]
fn tokeninfo(tenant: &mut Tenant, call: &Call) -> Answer {
    let token = call.query("access_token").unwrap_or_default();
    let Some(session) = tenant.oauth.session(token, call.now) else {
        let denial = Denial { error: "invalid_token", ..Denial::grant("Invalid Value") };
        return Ok(deny(&denial));
    };
    let left = session.expires.micros_since(call.now) / 1_000_000;
    let mut info = json!({
        "azp": *session.client_id, "aud": *session.client_id, "sub": *session.user, "scope": scope_text(&session),
        "expires_in": left.to_string(), "access_type": "offline",
    });
    if session.email.contains('@') {
        info["email"] = Value::from(&*session.email);
    }
    Ok(Reply::json(info))
}
