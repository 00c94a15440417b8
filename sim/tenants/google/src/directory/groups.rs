//! Groups and their members.

use std::{collections::BTreeSet, sync::Arc};

use hyper::Method;
use serde_json::{Map, Value, json};

use super::{Directory, check_admin, etag, with_etag};
use crate::{
    audit::Parameter,
    call::{Answer, Call, Reply},
    oauth::scopes::{GROUP, GROUP_READONLY, MEMBER, MEMBER_READONLY},
    page,
    refusal::Refusal,
    routes::Route,
    tenant::Tenant,
    text,
};

/// A group of users and of other groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) members: Vec<Member>,
}

/// Somebody in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// The id of a user or group; of somebody outside of the domain a number of its own.
    pub(crate) id: String,
    pub(crate) email: String,
    /// `OWNER`, `MANAGER` or `MEMBER`.
    pub(crate) role: String,
}

const READ: &[&str] = &[GROUP, GROUP_READONLY];
const WRITE: &[&str] = &[GROUP];
const MEMBERS_READ: &[&str] = &[GROUP, GROUP_READONLY, MEMBER, MEMBER_READONLY];
const MEMBERS_WRITE: &[&str] = &[GROUP, MEMBER];

const LIST: &str = "admin/directory/v1/groups";
const ONE: &str = "admin/directory/v1/groups/{groupKey}";
const MEMBERS: &str = "admin/directory/v1/groups/{groupKey}/members";
const MEMBER_ONE: &str = "admin/directory/v1/groups/{groupKey}/members/{memberKey}";
const HAS_MEMBER: &str = "admin/directory/v1/groups/{groupKey}/hasMember/{memberKey}";

/// The routes.
pub(crate) const ROUTES: &[Route] = &[
    super::route("directory.groups.list", Method::GET, LIST, READ, list),
    super::route("directory.groups.get", Method::GET, ONE, READ, get),
    super::route("directory.groups.insert", Method::POST, LIST, WRITE, insert),
    super::route("directory.groups.patch", Method::PATCH, ONE, WRITE, update),
    super::route("directory.groups.update", Method::PUT, ONE, WRITE, update),
    super::route("directory.groups.delete", Method::DELETE, ONE, WRITE, delete),
    super::route("directory.members.list", Method::GET, MEMBERS, MEMBERS_READ, members),
    super::route("directory.members.get", Method::GET, MEMBER_ONE, MEMBERS_READ, member),
    super::route("directory.members.hasMember", Method::GET, HAS_MEMBER, MEMBERS_READ, has_member),
    super::route("directory.members.insert", Method::POST, MEMBERS, MEMBERS_WRITE, join),
    super::route("directory.members.patch", Method::PATCH, MEMBER_ONE, MEMBERS_WRITE, promote),
    super::route("directory.members.update", Method::PUT, MEMBER_ONE, MEMBERS_WRITE, promote),
    super::route("directory.members.delete", Method::DELETE, MEMBER_ONE, MEMBERS_WRITE, leave),
];

impl Directory {
    /// Returns a group by id, address or alias.
    pub(crate) fn group(&self, key: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.is_named(key))
    }

    fn group_mut(&mut self, key: &str) -> Result<&mut Group, Refusal> {
        self.groups
            .iter_mut()
            .find(|group| group.is_named(key))
            .ok_or_else(|| Refusal::no_resource("groupKey"))
    }

    fn known_group(&self, key: &str) -> Result<&Group, Refusal> {
        self.group(key).ok_or_else(|| Refusal::no_resource("groupKey"))
    }

    /// Makes the member that an address or id means.
    pub(crate) fn member(&self, key: &str, role: &str) -> Member {
        let (id, email) = match (self.user(key), self.group(key)) {
            (Some(user), _) => (user.id.to_string(), user.primary_email.clone()),
            (None, Some(group)) => (group.id.clone(), group.email.clone()),
            (None, None) => (format!("1{:020}", text::drawn(key.as_bytes())), key.to_owned()),
        };
        Member { id, email, role: role.to_owned() }
    }

    /// Tells whether a user is in a group or in one of the groups in it.
    pub(crate) fn is_in_group(&self, group: &str, user: &str) -> bool {
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<&Group> = self.group(group).into_iter().collect();
        while let Some(group) = open.pop() {
            for member in group.members.iter().filter(|member| seen.insert(&member.id)) {
                if member.id == user {
                    return true;
                }
                open.extend(self.group(&member.id));
            }
        }
        false
    }

    /// Returns the ids of all living users in a group and in the groups in it.
    pub(crate) fn users_in_group(&self, group: &str) -> Vec<Arc<str>> {
        let members = self.group(group).map(|group| self.derived(group)).unwrap_or_default();
        let users = members.iter().filter_map(|member| self.user(&member.id));
        users.map(|user| Arc::clone(&user.id)).collect()
    }

    /// Returns the members of a group with those of the groups in it, each once.
    fn derived(&self, group: &Group) -> Vec<Member> {
        let (mut members, mut seen): (Vec<Member>, BTreeSet<&str>) = (Vec::new(), BTreeSet::new());
        let mut open = vec![group];
        while let Some(group) = open.pop() {
            for member in &group.members {
                if seen.insert(&member.id) {
                    members.push(member.clone());
                    open.extend(self.group(&member.id));
                }
            }
        }
        members
    }
}

impl Group {
    fn is_named(&self, key: &str) -> bool {
        let same = |address: &String| address.eq_ignore_ascii_case(key);
        self.id == key || same(&self.email) || self.aliases.iter().any(same)
    }

    fn resource(&self) -> Value {
        let mut value = json!({
            "kind": "admin#directory#group", "id": self.id, "email": self.email, "name": self.name,
            "description": self.description, "adminCreated": true,
            "directMembersCount": self.members.len().to_string(),
        });
        if !self.aliases.is_empty() {
            value["aliases"] = json!(self.aliases);
        }
        with_etag(value)
    }

    fn find(&self, key: &str) -> Option<usize> {
        self.members.iter().position(|member| member.id == key || member.email.eq_ignore_ascii_case(key))
    }

    fn found(&self, key: &str) -> Result<usize, Refusal> {
        self.find(key).ok_or_else(|| Refusal::no_resource("memberKey"))
    }
}

fn member_resource(directory: &Directory, member: &Member) -> Value {
    let kind = if directory.group(&member.id).is_some() { "GROUP" } else { "USER" };
    let suspended = directory.user(&member.id).is_some_and(|user| user.suspended);
    with_etag(json!({
        "kind": "admin#directory#member", "id": member.id, "email": member.email, "role": member.role, "type": kind,
        "status": if suspended { "SUSPENDED" } else { "ACTIVE" },
    }))
}

fn list(tenant: &mut Tenant, call: &Call) -> Answer {
    check_admin(tenant, call)?;
    if let Some(customer) = call.query("customer") {
        tenant.directory.check_customer(customer)?;
    } else if call.query("domain").is_none_or(|domain| domain != tenant.settings.domain)
        && call.query("userKey").is_none()
    {
        return Err(Refusal::invalid_value("Bad Request"));
    }
    let (seed, lifetime) = (tenant.settings.seed, tenant.settings.page_lifetime);
    let place = page::open(seed, call, lifetime)?;
    let size = call.page_size("maxResults", 200, 200)?;
    let of = call.query("userKey");
    let chosen: Vec<&Group> = tenant
        .directory
        .groups
        .iter()
        .filter(|group| of.is_none_or(|key| group.find(key).is_some()))
        .collect();
    let (items, next) = page::slice(&chosen, place.as_deref(), size);
    let groups: Vec<Value> = items.iter().map(|group| group.resource()).collect();
    Ok(Reply::json(listed(
        "admin#directory#groups",
        "groups",
        groups,
        next.map(|next| page::issue(seed, call, &next)),
    )))
}

/// Makes the answer of a list.
pub(super) fn listed(kind: &str, name: &str, items: Vec<Value>, next: Option<String>) -> Value {
    let mut body = json!({ "kind": kind, "etag": etag(&json!(items)) });
    if !items.is_empty() {
        body[name] = Value::Array(items);
    }
    if let Some(next) = next {
        body["nextPageToken"] = next.into();
    }
    body
}

fn get(tenant: &mut Tenant, call: &Call) -> Answer {
    check_admin(tenant, call)?;
    Ok(Reply::json(tenant.directory.known_group(call.parameter("groupKey"))?.resource()))
}

fn write(group: &mut Group, fields: &Map<String, Value>) {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    group.name = text("name").unwrap_or_else(|| group.name.clone());
    group.description = text("description").unwrap_or_else(|| group.description.clone());
    group.email = text("email").map_or_else(|| group.email.clone(), |email| email.to_lowercase());
}

fn insert(tenant: &mut Tenant, call: &Call) -> Answer {
    check_admin(tenant, call)?;
    let fields = call.object()?;
    let email = fields.get("email").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    if !email.ends_with(&format!("@{}", tenant.settings.domain)) {
        return Err(Refusal::invalid_value("Invalid Input: email"));
    }
    if tenant.directory.group(&email).is_some() || tenant.directory.user(&email).is_some() {
        return Err(Refusal::duplicate("Entity already exists."));
    }
    let mut group = Group {
        id: group_id(tenant.settings.seed, &format!("{email} {}", call.now.as_micros())),
        name: email.clone(),
        email,
        description: String::new(),
        aliases: Vec::new(),
        members: Vec::new(),
    };
    write(&mut group, &fields);
    let body = group.resource();
    let parameters = vec![Parameter::text("GROUP_EMAIL", group.email.clone())];
    tenant.directory.groups.push(group);
    tenant.note(call, "admin", "GROUP_SETTINGS", "CREATE_GROUP", parameters);
    Ok(Reply::json(body))
}

/// Makes the id of a group: 15 letters and digits.
pub(crate) fn group_id(seed: u64, name: &str) -> String {
    format!("0{:014x}", text::drawn(format!("{seed} {name}").as_bytes()) >> 8)
}

fn update(tenant: &mut Tenant, call: &Call) -> Answer {
    check_admin(tenant, call)?;
    let fields = call.object()?;
    let group = tenant.directory.group_mut(call.parameter("groupKey"))?;
    write(group, &fields);
    Ok(Reply::json(group.resource()))
}

fn delete(tenant: &mut Tenant, call: &Call) -> Answer {
    check_admin(tenant, call)?;
    let group = tenant.directory.group_mut(call.parameter("groupKey"))?;
    let (id, email) = (group.id.clone(), group.email.clone());
    tenant.drive_regrouped(&id, &id, call.now);
    tenant.directory.groups.retain(|group| group.id != id);
    for group in &mut tenant.directory.groups {
        group.members.retain(|member| member.id != id);
    }
    tenant.note(call, "admin", "GROUP_SETTINGS", "DELETE_GROUP", vec![Parameter::text("GROUP_EMAIL", email)]);
    Ok(Reply::empty())
}

fn members(tenant: &mut Tenant, call: &Call) -> Answer {
    check_admin(tenant, call)?;
    let (seed, lifetime) = (tenant.settings.seed, tenant.settings.page_lifetime);
    let place = page::open(seed, call, lifetime)?;
    let size = call.page_size("maxResults", 200, 200)?;
    let directory = &tenant.directory;
    let group = directory.known_group(call.parameter("groupKey"))?;
    let mut chosen =
        if call.flag("includeDerivedMembership") { directory.derived(group) } else { group.members.clone() };
    if let Some(roles) = call.query("roles") {
        chosen.retain(|member| roles.split(',').any(|role| role.trim().eq_ignore_ascii_case(&member.role)));
    }
    let (items, next) = page::slice(&chosen, place.as_deref(), size);
    let items: Vec<Value> = items.iter().map(|member| member_resource(directory, member)).collect();
    Ok(Reply::json(listed(
        "admin#directory#members",
        "members",
        items,
        next.map(|next| page::issue(seed, call, &next)),
    )))
}

fn member(tenant: &mut Tenant, call: &Call) -> Answer {
    check_admin(tenant, call)?;
    let group = tenant.directory.known_group(call.parameter("groupKey"))?;
    let at = group.found(call.parameter("memberKey"))?;
    Ok(Reply::json(member_resource(&tenant.directory, &group.members[at])))
}

fn has_member(tenant: &mut Tenant, call: &Call) -> Answer {
    check_admin(tenant, call)?;
    let group = tenant.directory.known_group(call.parameter("groupKey"))?;
    let key = call.parameter("memberKey");
    let derived = tenant.directory.derived(group);
    let is_member = derived.iter().any(|member| member.id == key || member.email.eq_ignore_ascii_case(key));
    Ok(Reply::json(json!({ "isMember": is_member })))
}

fn role(fields: &Map<String, Value>) -> Result<String, Refusal> {
    let role = fields.get("role").and_then(Value::as_str).unwrap_or("MEMBER").to_uppercase();
    if ["OWNER", "MANAGER", "MEMBER"].contains(&role.as_str()) {
        return Ok(role);
    }
    Err(Refusal::invalid_value("Invalid Input: role"))
}

fn join(tenant: &mut Tenant, call: &Call) -> Answer {
    check_admin(tenant, call)?;
    let fields = call.object()?;
    let named = fields.get("email").or_else(|| fields.get("id")).and_then(Value::as_str).unwrap_or_default();
    let member = tenant.directory.member(named, &role(&fields)?);
    if !member.email.contains('@') {
        return Err(Refusal::no_resource("memberKey"));
    }
    let group = tenant.directory.group_mut(call.parameter("groupKey"))?;
    if group.find(&member.id).is_some() {
        return Err(Refusal::duplicate("Member already exists."));
    }
    if group.id == member.id {
        return Err(Refusal::invalid_value("Invalid Input: memberKey"));
    }
    let parameters = vec![
        Parameter::text("GROUP_EMAIL", group.email.clone()),
        Parameter::text("USER_EMAIL", member.email.clone()),
    ];
    group.members.push(member.clone());
    tenant.drive_regrouped(call.parameter("groupKey"), &member.id, call.now);
    tenant.note(call, "admin", "GROUP_SETTINGS", "ADD_GROUP_MEMBER", parameters);
    Ok(Reply::json(member_resource(&tenant.directory, &member)))
}

fn promote(tenant: &mut Tenant, call: &Call) -> Answer {
    check_admin(tenant, call)?;
    let role = role(&call.object()?)?;
    let group = tenant.directory.group_mut(call.parameter("groupKey"))?;
    let at = group.found(call.parameter("memberKey"))?;
    group.members[at].role = role;
    let member = group.members[at].clone();
    Ok(Reply::json(member_resource(&tenant.directory, &member)))
}

fn leave(tenant: &mut Tenant, call: &Call) -> Answer {
    check_admin(tenant, call)?;
    let group = tenant.directory.group_mut(call.parameter("groupKey"))?;
    let at = group.found(call.parameter("memberKey"))?;
    let member = group.members.remove(at);
    let parameters = vec![
        Parameter::text("GROUP_EMAIL", group.email.clone()),
        Parameter::text("USER_EMAIL", member.email),
    ];
    tenant.drive_regrouped(call.parameter("groupKey"), &member.id, call.now);
    tenant.note(call, "admin", "GROUP_SETTINGS", "REMOVE_GROUP_MEMBER", parameters);
    Ok(Reply::empty())
}
