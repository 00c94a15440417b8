//! Further addresses of users.

use hyper::Method;
use serde_json::{Value, json};

use super::{check_admin, groups::listed, users::User, with_etag};
use crate::{
    call::{Answer, Call, Reply},
    oauth::scopes::{USER, USER_ALIAS, USER_ALIAS_READONLY, USER_READONLY},
    refusal::Refusal,
    routes::Route,
    tenant::Tenant,
};

const READ: &[&str] = &[USER, USER_ALIAS, USER_ALIAS_READONLY, USER_READONLY];
const WRITE: &[&str] = &[USER, USER_ALIAS];
const LIST: &str = "admin/directory/v1/users/{userKey}/aliases";
const ONE: &str = "admin/directory/v1/users/{userKey}/aliases/{alias}";

/// The routes.
pub(super) const ROUTES: &[Route] = &[
    super::route("directory.users.aliases.list", Method::GET, LIST, READ, list),
    super::route("directory.users.aliases.insert", Method::POST, LIST, WRITE, insert),
    super::route("directory.users.aliases.delete", Method::DELETE, ONE, WRITE, delete),
];

fn resource(user: &User, alias: &str) -> Value {
    with_etag(json!({
        "kind": "admin#directory#alias", "id": *user.id, "primaryEmail": user.primary_email, "alias": alias,
    }))
}

fn list(tenant: &mut Tenant, call: &Call) -> Answer {
    check_admin(tenant, call)?;
    let user =
        tenant.directory.user(call.parameter("userKey")).ok_or_else(|| Refusal::no_resource("userKey"))?;
    let aliases = user.aliases.iter().map(|alias| resource(user, alias)).collect();
    Ok(Reply::json(listed("admin#directory#aliases", "aliases", aliases, None)))
}

fn insert(tenant: &mut Tenant, call: &Call) -> Answer {
    check_admin(tenant, call)?;
    let fields = call.object()?;
    let alias = fields.get("alias").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    if !alias.ends_with(&format!("@{}", tenant.settings.domain)) {
        return Err(Refusal::invalid_value("Invalid Input: alias_email"));
    }
    if tenant.directory.user(&alias).is_some() || tenant.directory.group(&alias).is_some() {
        return Err(Refusal::duplicate("Entity already exists."));
    }
    let user = tenant
        .directory
        .user_mut(call.parameter("userKey"))
        .ok_or_else(|| Refusal::no_resource("userKey"))?;
    user.aliases.push(alias.clone());
    let body = resource(user, &alias);
    tenant.directory.index_users();
    Ok(Reply::json(body))
}

fn delete(tenant: &mut Tenant, call: &Call) -> Answer {
    check_admin(tenant, call)?;
    let user = tenant
        .directory
        .user_mut(call.parameter("userKey"))
        .ok_or_else(|| Refusal::no_resource("userKey"))?;
    let alias = call.parameter("alias").to_lowercase();
    let at = user.aliases.iter().position(|own| own.to_lowercase() == alias);
    user.aliases.remove(at.ok_or_else(|| Refusal::no_resource("alias"))?);
    tenant.directory.index_users();
    Ok(Reply::empty())
}
