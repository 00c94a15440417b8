//! Administrators' roles, and who has them.

use hyper::Method;
use serde_json::{Value, json};

use super::{check_admin, groups::listed, with_etag};
use crate::{
    audit::Parameter,
    call::{Answer, Call, Reply},
    oauth::scopes::{ROLES, ROLES_READONLY},
    page,
    refusal::Refusal,
    routes::Route,
    tenant::Tenant,
    text,
};

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) id: u64,
    pub(crate) name: &'static str,
    pub(crate) privileges: &'static [&'static str],
    pub(crate) is_super: bool,
}

/// Somebody has a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) id: u64,
    pub(crate) role: u64,
    /// The id of a user or group, or the unique id of a service account.
    pub(crate) assigned_to: String,
    /// `user` or `group`.
    pub(crate) kind: &'static str,
}

const READ: &[&str] = &[ROLES, ROLES_READONLY];
const WRITE: &[&str] = &[ROLES];
const LIST: &str = "admin/directory/v1/customer/{customer}/roles";
const ONE: &str = "admin/directory/v1/customer/{customer}/roles/{roleId}";
const ASSIGNMENTS: &str = "admin/directory/v1/customer/{customer}/roleassignments";
const ASSIGNMENT: &str = "admin/directory/v1/customer/{customer}/roleassignments/{roleAssignmentId}";

/// The routes.
pub(crate) const ROUTES: &[Route] = &[
    super::route("directory.roles.list", Method::GET, LIST, READ, list),
    super::route("directory.roles.get", Method::GET, ONE, READ, get),
    super::route("directory.roleAssignments.list", Method::GET, ASSIGNMENTS, READ, assignments),
    super::route("directory.roleAssignments.get", Method::GET, ASSIGNMENT, READ, assignment),
    super::route("directory.roleAssignments.insert", Method::POST, ASSIGNMENTS, WRITE, assign),
    super::route("directory.roleAssignments.delete", Method::DELETE, ASSIGNMENT, WRITE, unassign),
];

/// The roles of every domain.
pub(crate) const SYSTEM: [Role; 4] = [
    Role {
        id: 13_801_188_331_880_449,
        name: "_SEED_ADMIN_ROLE",
        privileges: &["SUPER_ADMIN"],
        is_super: true,
    },
    Role {
        id: 13_801_188_331_880_450,
        name: "_GROUPS_ADMIN_ROLE",
        privileges: &["GROUPS_ALL"],
        is_super: false,
    },
    Role {
        id: 13_801_188_331_880_451,
        name: "_USER_MANAGEMENT_ADMIN_ROLE",
        privileges: &["USERS_ALL", "ORGANIZATION_UNITS_RETRIEVE"],
        is_super: false,
    },
    Role {
        id: 13_801_188_331_880_452,
        name: "_READ_ONLY_ADMIN_ROLE",
        privileges: &["REPORTS_ACCESS"],
        is_super: false,
    },
];

impl Role {
    fn resource(&self) -> Value {
        let privileges: Vec<Value> = self
            .privileges
            .iter()
            .map(|name| json!({ "privilegeName": name, "serviceId": "00haapch16h1ysv" }))
            .collect();
        with_etag(json!({
            "kind": "admin#directory#role", "roleId": self.id.to_string(), "roleName": self.name,
            "roleDescription": self.name, "isSystemRole": true, "isSuperAdminRole": self.is_super,
            "rolePrivileges": privileges,
        }))
    }
}

impl Assignment {
    fn resource(&self) -> Value {
        with_etag(json!({
            "kind": "admin#directory#roleAssignment", "roleAssignmentId": self.id.to_string(),
            "roleId": self.role.to_string(), "assignedTo": self.assigned_to, "assigneeType": self.kind,
            "scopeType": "CUSTOMER",
        }))
    }
}

fn open(tenant: &Tenant, call: &Call) -> Result<(), Refusal> {
    check_admin(tenant, call)?;
    tenant.directory.check_customer(call.parameter("customer"))
}

fn list(tenant: &mut Tenant, call: &Call) -> Answer {
    open(tenant, call)?;
    let (seed, lifetime) = (tenant.settings.seed, tenant.settings.page_lifetime);
    let place = page::open(seed, call, lifetime)?;
    let size = call.page_size("maxResults", 100, 100)?;
    let (roles, next) = page::slice(&SYSTEM, place.as_deref(), size);
    let next = next.map(|next| page::issue(seed, call, &next));
    Ok(Reply::json(listed(
        "admin#directory#roles",
        "items",
        roles.iter().map(Role::resource).collect(),
        next,
    )))
}

fn get(tenant: &mut Tenant, call: &Call) -> Answer {
    open(tenant, call)?;
    let id = call.parameter("roleId");
    let role = SYSTEM.iter().find(|role| role.id.to_string() == id);
    role.map(|role| Reply::json(role.resource())).ok_or_else(|| Refusal::no_resource("roleId"))
}

fn assignments(tenant: &mut Tenant, call: &Call) -> Answer {
    open(tenant, call)?;
    let (seed, lifetime) = (tenant.settings.seed, tenant.settings.page_lifetime);
    let place = page::open(seed, call, lifetime)?;
    let size = call.page_size("maxResults", 100, 200)?;
    let user = call
        .query("userKey")
        .map(|key| tenant.directory.user(key).map_or_else(|| key.to_owned(), |user| user.id.to_string()));
    let role = call.query("roleId");
    let taken = |own: &&Assignment| {
        user.as_ref().is_none_or(|id| own.assigned_to == *id)
            && role.is_none_or(|id| own.role.to_string() == id)
    };
    let chosen: Vec<&Assignment> = tenant.directory.assignments.iter().filter(taken).collect();
    let (items, next) = page::slice(&chosen, place.as_deref(), size);
    let items = items.iter().map(|own| own.resource()).collect();
    let next = next.map(|next| page::issue(seed, call, &next));
    Ok(Reply::json(listed("admin#directory#roleAssignments", "items", items, next)))
}

fn position(tenant: &Tenant, call: &Call) -> Result<usize, Refusal> {
    let id = call.parameter("roleAssignmentId");
    let found = tenant.directory.assignments.iter().position(|own| own.id.to_string() == id);
    found.ok_or_else(|| Refusal::no_resource("roleAssignmentId"))
}

fn assignment(tenant: &mut Tenant, call: &Call) -> Answer {
    open(tenant, call)?;
    let at = position(tenant, call)?;
    Ok(Reply::json(tenant.directory.assignments[at].resource()))
}

fn assign(tenant: &mut Tenant, call: &Call) -> Answer {
    open(tenant, call)?;
    let fields = call.object()?;
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let role = SYSTEM.iter().find(|role| role.id.to_string() == text("roleId"));
    let role = role.ok_or_else(|| Refusal::invalid_value("Invalid Input: roleId"))?;
    let to = text("assignedTo").to_owned();
    let user = tenant.directory.user(&to).is_some();
    let service = tenant.service_accounts().any(|account| account.client_id == to);
    let group = tenant.directory.group(&to).is_some();
    if !user && !group && !service {
        return Err(Refusal::no_resource("assignedTo"));
    }
    let id = text::drawn(format!("{to} {} {}", role.id, call.now.as_micros()).as_bytes()) >> 8;
    let kind = if group { "group" } else { "user" };
    let made = Assignment { id, role: role.id, assigned_to: to.clone(), kind };
    let body = made.resource();
    tenant.directory.assignments.push(made);
    set_admin(tenant, &to, role);
    let parameters = vec![Parameter::text("ROLE_NAME", role.name), Parameter::text("USER_EMAIL", to)];
    tenant.note(call, "admin", "DELEGATED_ADMIN_SETTINGS", "ASSIGN_ROLE", parameters);
    Ok(Reply::json(body))
}

fn set_admin(tenant: &mut Tenant, id: &str, role: &Role) {
    if let Some(user) = tenant.directory.user_mut(id) {
        user.is_admin |= role.is_super;
        user.is_delegated_admin |= !role.is_super;
    }
}

fn unassign(tenant: &mut Tenant, call: &Call) -> Answer {
    open(tenant, call)?;
    let at = position(tenant, call)?;
    let gone = tenant.directory.assignments.remove(at);
    let left: Vec<u64> = tenant
        .directory
        .assignments
        .iter()
        .filter(|own| own.assigned_to == gone.assigned_to)
        .map(|own| own.role)
        .collect();
    if let Some(user) = tenant.directory.user_mut(&gone.assigned_to) {
        user.is_admin = left.contains(&SYSTEM[0].id);
        user.is_delegated_admin = left.iter().any(|role| *role != SYSTEM[0].id);
    }
    tenant.note(call, "admin", "DELEGATED_ADMIN_SETTINGS", "UNASSIGN_ROLE", Vec::new());
    Ok(Reply::empty())
}
