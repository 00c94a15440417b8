//! Users.

use std::sync::Arc;

use hyper::Method;
use model::Moment;
use serde_json::{Map, Value, json};

use super::{Directory, check_admin, etag, with_etag};
use crate::{
    audit::Parameter,
    call::{Answer, Call, Reply},
    oauth::scopes::{USER, USER_READONLY},
    page,
    refusal::Refusal,
    routes::Route,
    stamp,
    tenant::Tenant,
    text,
};

/// An account of a person.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other, as in the API")]
pub struct User {
    /// The immutable id, 21 digits.
    pub id: Arc<str>,
    /// The address that names the account.
    pub primary_email: String,
    /// The first name.
    pub given_name: String,
    /// The last name.
    pub family_name: String,
    /// Further addresses.
    pub aliases: Vec<String>,
    /// The path of its organisational unit: `/Sales`.
    pub org_unit: String,
    /// Whether it is a super administrator.
    pub is_admin: bool,
    /// Whether it has administrator's rights in part.
    pub is_delegated_admin: bool,
    /// Whether it is suspended: it cannot sign in, and nobody can act for it.
    pub suspended: bool,
    /// Whether it is archived.
    pub archived: bool,
    /// Whether it has a mailbox.
    pub has_mailbox: bool,
    /// When it was made.
    pub created: Moment,
    /// When it last signed in.
    pub last_login: Option<Moment>,
    /// When it was deleted.
    pub deleted: Option<Moment>,
    /// What else was written to it: phones, organizations.
    pub(crate) more: Map<String, Value>,
}

/// Page tokens of users are good for three days.
const PAGE_LIFETIME: std::time::Duration = std::time::Duration::from_hours(72);
const READ: &[&str] = &[USER, USER_READONLY];
const WRITE: &[&str] = &[USER];

/// The routes.
pub(crate) const ROUTES: &[Route] = &[
    super::route("directory.users.list", Method::GET, "admin/directory/v1/users", READ, list),
    super::route("directory.users.get", Method::GET, "admin/directory/v1/users/{userKey}", READ, get),
    super::route("directory.users.insert", Method::POST, "admin/directory/v1/users", WRITE, insert),
    super::route("directory.users.patch", Method::PATCH, "admin/directory/v1/users/{userKey}", WRITE, update),
    super::route("directory.users.update", Method::PUT, "admin/directory/v1/users/{userKey}", WRITE, update),
    super::route(
        "directory.users.delete",
        Method::DELETE,
        "admin/directory/v1/users/{userKey}",
        WRITE,
        delete,
    ),
    super::route(
        "directory.users.undelete",
        Method::POST,
        "admin/directory/v1/users/{userKey}/undelete",
        WRITE,
        undelete,
    ),
];

impl Directory {
    /// Adds a user; the list stays in the order of ids.
    pub(crate) fn add_user(&mut self, user: User) {
        self.users.push(user);
        self.users.sort_by(|a, b| a.id.cmp(&b.id));
        self.index_users();
    }

    /// Adds many.
    pub(crate) fn add_users(&mut self, users: Vec<User>) {
        self.users.extend(users);
        self.users.sort_by(|a, b| a.id.cmp(&b.id));
        self.index_users();
    }

    /// Returns all living users.
    pub(crate) fn everybody(&self) -> impl Iterator<Item = &User> {
        self.users.iter().filter(|user| user.deleted.is_none())
    }

    /// Makes the index anew, after addresses or deletions have changed.
    pub(crate) fn index_users(&mut self) {
        self.by_key.clear();
        for (at, user) in self.users.iter().enumerate().filter(|(_, user)| user.deleted.is_none()) {
            self.by_key.insert(user.id.to_string(), at);
            for address in user.aliases.iter().chain([&user.primary_email]) {
                self.by_key.insert(address.to_lowercase(), at);
            }
        }
    }

    /// Returns a living user by id, address or alias.
    pub(crate) fn user(&self, key: &str) -> Option<&User> {
        let at = self.by_key.get(key).or_else(|| self.by_key.get(&key.to_lowercase()))?;
        self.users.get(*at)
    }

    /// Returns a living user by its primary address alone.
    pub(crate) fn user_by_address(&self, address: &str) -> Option<&User> {
        self.user(address).filter(|user| user.primary_email.eq_ignore_ascii_case(address))
    }

    /// Returns a living user to be changed. Whoever changes addresses calls [`Directory::index_users`].
    pub(crate) fn user_mut(&mut self, key: &str) -> Option<&mut User> {
        let at = *self.by_key.get(key).or_else(|| self.by_key.get(&key.to_lowercase()))?;
        self.users.get_mut(at)
    }

    /// Returns a user by id, living or deleted.
    pub(crate) fn any_user(&self, id: &str) -> Option<&User> {
        self.users.iter().find(|user| &*user.id == id)
    }
}

/// Makes the resource of a user.
fn resource(directory: &Directory, user: &User) -> Value {
    let mut emails = vec![json!({ "address": user.primary_email, "primary": true })];
    emails.extend(user.aliases.iter().map(|alias| json!({ "address": alias })));
    let mut value = json!({
        "kind": "admin#directory#user",
        "id": *user.id,
        "primaryEmail": user.primary_email,
        "name": {
            "givenName": user.given_name,
            "familyName": user.family_name,
            "fullName": format!("{} {}", user.given_name, user.family_name),
        },
        "isAdmin": user.is_admin,
        "isDelegatedAdmin": user.is_delegated_admin,
        "lastLoginTime": user.last_login.map_or_else(|| "1970-01-01T00:00:00.000Z".to_owned(), stamp::rfc3339),
        "creationTime": stamp::rfc3339(user.created),
        "agreedToTerms": true,
        "suspended": user.suspended,
        "archived": user.archived,
        "changePasswordAtNextLogin": false,
        "ipWhitelisted": false,
        "emails": emails,
        "languages": [{ "languageCode": "en", "preference": "preferred" }],
        "customerId": directory.customer,
        "orgUnitPath": user.org_unit,
        "isMailboxSetup": user.has_mailbox,
        "isEnrolledIn2Sv": user.is_admin,
        "isEnforcedIn2Sv": user.is_admin,
        "includeInGlobalAddressList": true,
    });
    if !user.aliases.is_empty() {
        value["aliases"] = json!(user.aliases);
    }
    if user.suspended {
        value["suspensionReason"] = "ADMIN".into();
    }
    if let Some(deleted) = user.deleted {
        value["deletionTime"] = stamp::rfc3339(deleted).into();
    }
    for (name, more) in &user.more {
        value[name] = more.clone();
    }
    with_etag(value)
}

fn list(tenant: &mut Tenant, call: &Call) -> Answer {
    check_admin(tenant, call)?;
    match (call.query("customer"), call.query("domain")) {
        (Some(customer), _) => tenant.directory.check_customer(customer)?,
        (None, Some(domain)) if domain == tenant.settings.domain => {}
        (None, Some(_)) => return Err(Refusal::no_resource("domain")),
        (None, None) => return Err(Refusal::invalid_value("Bad Request")),
    }
    let place = page::open(tenant.settings.seed, call, PAGE_LIFETIME)?;
    let size = call.page_size("maxResults", 100, 500)?;
    let deleted = call.flag("showDeleted");
    let query = Query::parse(call.query("query").unwrap_or_default())?;
    let mut chosen: Vec<&User> = tenant
        .directory
        .users
        .iter()
        .filter(|user| user.deleted.is_some() == deleted && query.takes(user))
        .collect();
    match call.query("orderBy") {
        Some("email") => chosen.sort_by(|a, b| a.primary_email.cmp(&b.primary_email)),
        Some("familyName") => chosen.sort_by(|a, b| a.family_name.cmp(&b.family_name)),
        Some("givenName") => chosen.sort_by(|a, b| a.given_name.cmp(&b.given_name)),
        _ => {}
    }
    if call.query("sortOrder").is_some_and(|order| order.eq_ignore_ascii_case("DESCENDING")) {
        chosen.reverse();
    }
    let (items, next) = page::slice(&chosen, place.as_deref(), size);
    let users: Vec<Value> = items.iter().map(|user| resource(&tenant.directory, user)).collect();
    let mut body = json!({ "kind": "admin#directory#users", "etag": etag(&json!(users)) });
    if !users.is_empty() {
        body["users"] = Value::Array(users);
    }
    if let Some(next) = next {
        body["nextPageToken"] = page::issue(tenant.settings.seed, call, &next).into();
    }
    Ok(Reply::json(body))
}

/// As much of the language of searches as administrators' tools use: `isSuspended=true orgUnitPath='/Sales' email:anna*`.
struct Query(Vec<(String, String)>);

impl Query {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let mut terms = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let at = rest.find(['=', ':']).ok_or_else(|| Refusal::invalid_value("Invalid Input: query"))?;
            let (name, value) = (rest[..at].trim(), &rest[at + 1..]);
            let (value, after) = match value.strip_prefix(['\'', '"']) {
                Some(quoted) => quoted.split_once(['\'', '"']).unwrap_or((quoted, "")),
                None => value.split_once(' ').unwrap_or((value, "")),
            };
            terms.push((name.to_owned(), value.to_lowercase()));
            rest = after.trim_start();
        }
        Ok(Self(terms))
    }

    fn takes(&self, user: &User) -> bool {
        self.0.iter().all(|(name, wanted)| {
            let flag = |value: bool| wanted == if value { "true" } else { "false" };
            let like = |value: &str| text::matches(wanted, &value.to_lowercase());
            match name.as_str() {
                "isSuspended" => flag(user.suspended),
                "isArchived" => flag(user.archived),
                "isAdmin" => flag(user.is_admin),
                "isDelegatedAdmin" => flag(user.is_delegated_admin),
                "orgUnitPath" => {
                    let path = user.org_unit.to_lowercase();
                    path == *wanted || path.starts_with(&format!("{}/", wanted.trim_end_matches('/')))
                }
                "email" => like(&user.primary_email) || user.aliases.iter().any(|alias| like(alias)),
                "givenName" => like(&user.given_name),
                "familyName" => like(&user.family_name),
                _ => false,
            }
        })
    }
}

fn get(tenant: &mut Tenant, call: &Call) -> Answer {
    let user = tenant.directory.user(call.parameter("userKey"));
    let own = user.is_some_and(|user| user.id == call.caller.user);
    if !own {
        check_admin(tenant, call)?;
    }
    let user = user.ok_or_else(|| Refusal::no_resource("userKey"))?;
    Ok(Reply::json(resource(&tenant.directory, user)))
}

fn insert(tenant: &mut Tenant, call: &Call) -> Answer {
    check_admin(tenant, call)?;
    let mut fields = call.object()?;
    let address = fields.get("primaryEmail").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    let suffix = format!("@{}", tenant.settings.domain);
    if !address.ends_with(&suffix) || address.len() == suffix.len() {
        return Err(Refusal::invalid_value("Invalid Input: primary_user_email"));
    }
    if tenant.directory.user(&address).is_some() {
        return Err(Refusal::duplicate("Entity already exists."));
    }
    let named = ["givenName", "familyName"]
        .iter()
        .all(|part| fields.get("name").is_some_and(|n| n[part].is_string()));
    if !named || !fields.contains_key("password") {
        return Err(Refusal::invalid_value("Invalid Input: name and password are required"));
    }
    let number = tenant.directory.users.len() as u64;
    let mut user = User {
        id: user_id(tenant.settings.seed, number),
        primary_email: address,
        given_name: String::new(),
        family_name: String::new(),
        aliases: Vec::new(),
        org_unit: "/".to_owned(),
        is_admin: false,
        is_delegated_admin: false,
        suspended: false,
        archived: false,
        has_mailbox: true,
        created: call.now,
        last_login: None,
        deleted: None,
        more: Map::new(),
    };
    write(&mut user, &mut fields);
    let body = resource(&tenant.directory, &user);
    let parameters = vec![Parameter::text("USER_EMAIL", user.primary_email.clone())];
    tenant.directory.add_user(user);
    tenant.note(call, "admin", "USER_SETTINGS", "CREATE_USER", parameters);
    Ok(Reply::json(body))
}

/// Makes the id of the nth user.
pub(crate) fn user_id(seed: u64, number: u64) -> Arc<str> {
    let drawn = text::mixed(seed ^ text::mixed(number ^ 0x7573_6572));
    text::shared(format!("1{:020}", u128::from(drawn) * 5 % 10_u128.pow(20)))
}

/// Writes the fields that may be written.
fn write(user: &mut User, fields: &mut Map<String, Value>) {
    const KNOWN: [&str; 14] = [
        "phones",
        "organizations",
        "addresses",
        "externalIds",
        "relations",
        "ims",
        "websites",
        "locations",
        "gender",
        "notes",
        "keywords",
        "recoveryEmail",
        "recoveryPhone",
        "customSchemas",
    ];
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    if let Some(name) = fields.get("name") {
        user.given_name = text(name.get("givenName")).unwrap_or_else(|| user.given_name.clone());
        user.family_name = text(name.get("familyName")).unwrap_or_else(|| user.family_name.clone());
    }
    user.org_unit = text(fields.get("orgUnitPath")).unwrap_or_else(|| user.org_unit.clone());
    user.suspended = fields.get("suspended").and_then(Value::as_bool).unwrap_or(user.suspended);
    user.archived = fields.get("archived").and_then(Value::as_bool).unwrap_or(user.archived);
    for name in KNOWN {
        if let Some(value) = fields.remove(name) {
            user.more.insert(name.to_owned(), value);
        }
    }
}

fn update(tenant: &mut Tenant, call: &Call) -> Answer {
    check_admin(tenant, call)?;
    let mut fields = call.object()?;
    let key = call.parameter("userKey");
    let user = tenant.directory.user_mut(key).ok_or_else(|| Refusal::no_resource("userKey"))?;
    let suspended = user.suspended;
    write(user, &mut fields);
    let renamed = fields.get("primaryEmail").and_then(Value::as_str).map(str::to_lowercase);
    if let Some(address) = renamed.filter(|address| *address != user.primary_email) {
        // The old address goes on as an alias.
        let old = std::mem::replace(&mut user.primary_email, address);
        user.aliases.push(old);
    }
    let user = user.clone();
    tenant.directory.index_users();
    let parameters = || vec![Parameter::text("USER_EMAIL", user.primary_email.clone())];
    if user.suspended && !suspended {
        tenant.oauth.sign_out(&user.id);
        tenant.note(call, "admin", "USER_SETTINGS", "SUSPEND_USER", parameters());
    } else if suspended && !user.suspended {
        tenant.note(call, "admin", "USER_SETTINGS", "UNSUSPEND_USER", parameters());
    }
    Ok(Reply::json(resource(&tenant.directory, &user)))
}

fn delete(tenant: &mut Tenant, call: &Call) -> Answer {
    check_admin(tenant, call)?;
    let now = call.now;
    let key = call.parameter("userKey");
    let user = tenant.directory.user_mut(key).ok_or_else(|| Refusal::no_resource("userKey"))?;
    user.deleted = Some(now);
    let (id, address) = (Arc::clone(&user.id), user.primary_email.clone());
    tenant.directory.index_users();
    tenant.oauth.sign_out(&id);
    tenant.note(call, "admin", "USER_SETTINGS", "DELETE_USER", vec![Parameter::text("USER_EMAIL", address)]);
    Ok(Reply::empty())
}

fn undelete(tenant: &mut Tenant, call: &Call) -> Answer {
    check_admin(tenant, call)?;
    let fields = call.object()?;
    let window = tenant.settings.undelete_window.as_micros() as i64;
    let (key, now) = (call.parameter("userKey"), call.now);
    // Only the immutable id tells which of the deleted bearers of an address is meant.
    let gone = |user: &User| user.deleted.is_some_and(|at| now.micros_since(at) <= window);
    let found = tenant.directory.any_user(key).filter(|user| gone(user));
    let address = found.ok_or_else(|| Refusal::no_resource("userKey"))?.primary_email.clone();
    if tenant.directory.user(&address).is_some() {
        return Err(Refusal::duplicate("Entity already exists."));
    }
    if let Some(user) = tenant.directory.users.iter_mut().find(|user| &*user.id == key) {
        user.deleted = None;
        if let Some(unit) = fields.get("orgUnitPath").and_then(Value::as_str) {
            unit.clone_into(&mut user.org_unit);
        }
    }
    tenant.directory.index_users();
    tenant.note(
        call,
        "admin",
        "USER_SETTINGS",
        "UNDELETE_USER",
        vec![Parameter::text("USER_EMAIL", address)],
    );
    Ok(Reply::empty())
}
