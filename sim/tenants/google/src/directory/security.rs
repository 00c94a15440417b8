//! What acts for a user besides the user: programs with consent, and app passwords.

use std::sync::Arc;

use hyper::Method;
use model::Moment;
use serde_json::{Value, json};

use super::{check_admin, etag, with_etag};
use crate::{
    audit::Parameter,
    call::{Answer, Call, Reply},
    oauth::{Grant, scopes::USER_SECURITY},
    refusal::Refusal,
    routes::Route,
    tenant::Tenant,
};

/// A password for one program that knows nothing of OAuth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AppPassword {
    /// The user's id.
    pub(crate) user: Arc<str>,
    pub(crate) code: i32,
    pub(crate) name: String,
    pub(crate) created: Moment,
    pub(crate) last_used: Option<Moment>,
}

const SCOPE: &[&str] = &[USER_SECURITY];
const TOKENS: &str = "admin/directory/v1/users/{userKey}/tokens";
const TOKEN: &str = "admin/directory/v1/users/{userKey}/tokens/{clientId}";
const ASPS: &str = "admin/directory/v1/users/{userKey}/asps";
const ASP: &str = "admin/directory/v1/users/{userKey}/asps/{codeId}";

/// The routes.
pub(crate) const ROUTES: &[Route] = &[
    super::route("directory.tokens.list", Method::GET, TOKENS, SCOPE, tokens),
    super::route("directory.tokens.get", Method::GET, TOKEN, SCOPE, token),
    super::route("directory.tokens.delete", Method::DELETE, TOKEN, SCOPE, revoke),
    super::route("directory.asps.list", Method::GET, ASPS, SCOPE, passwords),
    super::route("directory.asps.get", Method::GET, ASP, SCOPE, password),
    super::route("directory.asps.delete", Method::DELETE, ASP, SCOPE, remove),
];

fn user(tenant: &Tenant, call: &Call) -> Result<Arc<str>, Refusal> {
    check_admin(tenant, call)?;
    let user = tenant.directory.user(call.parameter("userKey"));
    user.map(|user| Arc::clone(&user.id)).ok_or_else(|| Refusal::no_resource("userKey"))
}

fn token_resource(grant: &Grant) -> Value {
    with_etag(json!({
        "kind": "admin#directory#token", "clientId": grant.app.client_id, "displayText": grant.app.display_text,
        "anonymous": false, "nativeApp": grant.app.native, "scopes": grant.scopes, "userKey": *grant.user,
    }))
}

/// Lists all at once: there are no pages, and no dates.
fn tokens(tenant: &mut Tenant, call: &Call) -> Answer {
    let user = user(tenant, call)?;
    let items: Vec<Value> = tenant.oauth.grants_of(&user).map(token_resource).collect();
    let mut body = json!({ "kind": "admin#directory#tokenList", "etag": etag(&json!(items)) });
    if !items.is_empty() {
        body["items"] = Value::Array(items);
    }
    Ok(Reply::json(body))
}

fn token(tenant: &mut Tenant, call: &Call) -> Answer {
    let user = user(tenant, call)?;
    let client = call.parameter("clientId");
    let grant = tenant.oauth.grants_of(&user).find(|grant| grant.app.client_id == client);
    grant.map(|grant| Reply::json(token_resource(grant))).ok_or_else(|| Refusal::no_resource("clientId"))
}

fn revoke(tenant: &mut Tenant, call: &Call) -> Answer {
    let user = user(tenant, call)?;
    let client = call.parameter("clientId");
    if !tenant.revoke_consent(&user, client) {
        return Err(Refusal::no_resource("clientId"));
    }
    let email = tenant.directory.user(&user).map(|user| user.primary_email.clone()).unwrap_or_default();
    let parameters = vec![Parameter::text("APP_ID", client.to_owned()), Parameter::text("USER_EMAIL", email)];
    tenant.note(call, "admin", "SECURITY_SETTINGS", "REVOKE_3LO_TOKEN", parameters);
    Ok(Reply::empty())
}

fn password_resource(password: &AppPassword) -> Value {
    let millis = |moment: Moment| crate::stamp::millis(moment).to_string();
    with_etag(json!({
        "kind": "admin#directory#asp", "codeId": password.code, "name": password.name, "userKey": *password.user,
        "creationTime": millis(password.created),
        "lastTimeUsed": password.last_used.map_or_else(|| "0".to_owned(), millis),
    }))
}

fn passwords(tenant: &mut Tenant, call: &Call) -> Answer {
    let user = user(tenant, call)?;
    let own = tenant.directory.passwords.iter().filter(|password| password.user == user);
    let items: Vec<Value> = own.map(password_resource).collect();
    let mut body = json!({ "kind": "admin#directory#aspList", "etag": etag(&json!(items)) });
    if !items.is_empty() {
        body["items"] = Value::Array(items);
    }
    Ok(Reply::json(body))
}

fn position(tenant: &Tenant, call: &Call) -> Result<usize, Refusal> {
    let user = user(tenant, call)?;
    let code = call.parameter("codeId");
    let mut all = tenant.directory.passwords.iter();
    let found = all.position(|password| password.user == user && password.code.to_string() == code);
    found.ok_or_else(|| Refusal::no_resource("codeId"))
}

fn password(tenant: &mut Tenant, call: &Call) -> Answer {
    let at = position(tenant, call)?;
    Ok(Reply::json(password_resource(&tenant.directory.passwords[at])))
}

fn remove(tenant: &mut Tenant, call: &Call) -> Answer {
    let at = position(tenant, call)?;
    tenant.directory.passwords.remove(at);
    Ok(Reply::empty())
}
