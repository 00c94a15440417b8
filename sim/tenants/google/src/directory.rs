//! The Directory API: who is in the domain.

mod aliases;
mod groups;
mod roles;
mod security;
mod units;
mod users;

use std::{collections::HashMap, sync::Arc};

use hyper::Method;
use serde_json::Value;

use crate::{
    Settings,
    call::Call,
    refusal::Refusal,
    routes::{Handler, Route},
    tenant::Tenant,
    text,
};

pub(crate) use groups::{Group, group_id};
pub(crate) use roles::{Assignment, SYSTEM as SYSTEM_ROLES};
pub(crate) use security::AppPassword;
pub(crate) use units::Unit;
pub use users::User;
pub(crate) use users::user_id;

/// Everybody and everything in the domain.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    /// The customer's id: `C0...`.
    pub(crate) customer: String,
    /// Users, the deleted ones included, in the order of their ids.
    users: Vec<User>,
    /// Index in `users` by id; of living ones also by address and alias.
    by_key: HashMap<String, usize>,
    pub(crate) groups: Vec<Group>,
    pub(crate) units: Vec<Unit>,
    pub(crate) assignments: Vec<Assignment>,
    pub(crate) passwords: Vec<AppPassword>,
}

/// The tables of routes.
pub(crate) const ROUTES: [&[Route]; 6] =
    [users::ROUTES, groups::ROUTES, units::ROUTES, roles::ROUTES, security::ROUTES, aliases::ROUTES];

const fn route(
    id: &'static str,
    method: Method,
    path: &'static str,
    scopes: &'static [&'static str],
    handler: Handler,
) -> Route {
    Route { id, method, path, scopes, units: 1, service: "admin", handler }
}

impl Directory {
    /// Makes an empty directory.
    pub(crate) fn new(settings: &Settings) -> Self {
        let drawn = text::mixed(settings.seed ^ text::drawn(settings.domain.as_bytes()));
        Self { customer: format!("C0{:07x}", drawn & 0x0fff_ffff), ..Self::default() }
    }

    /// Refuses what is not about this customer.
    pub(crate) fn check_customer(&self, customer: &str) -> Result<(), Refusal> {
        if customer == "my_customer" || customer == self.customer {
            return Ok(());
        }
        Err(Refusal::invalid_value("Invalid Input: INVALID_OU_ID"))
    }
}

/// Refuses callers that are no administrators.
pub(crate) fn check_admin(tenant: &Tenant, call: &Call) -> Result<(), Refusal> {
    let user = tenant.directory.user(&call.caller.user);
    if user.is_some_and(|user| user.is_admin || user.is_delegated_admin) {
        return Ok(());
    }
    let mut refusal = Refusal::forbidden("Not Authorized to access this resource/api");
    refusal.status = None;
    Err(refusal)
}

/// Makes the etag of a resource.
pub(crate) fn etag(value: &Value) -> String {
    format!("\"{:016x}/{:08x}\"", text::drawn(value.to_string().as_bytes()), 0x1d)
}

/// Adds a resource's etag to it.
pub(crate) fn with_etag(mut value: Value) -> Value {
    value["etag"] = etag(&value).into();
    value
}

impl Tenant {
    /// Returns a user, deleted ones not included, by id, address or alias.
    pub fn user(&self, key: &str) -> Option<&User> {
        self.directory.user(key)
    }

    /// Returns all users, deleted ones included.
    pub fn users(&self) -> &[User] {
        &self.directory.users
    }

    /// Returns the address of the super administrator, for whom the directory is read.
    pub fn administrator(&self) -> Option<&str> {
        let active = |user: &&User| user.is_admin && user.deleted.is_none();
        self.directory.users.iter().find(active).map(|user| user.primary_email.as_str())
    }

    /// Returns the id that a service's `{userId}` means: `me` or an address of the caller's own. Anybody else is refused.
    pub(crate) fn own_user(&self, call: &Call, key: &str) -> Result<Arc<str>, Refusal> {
        let meant =
            if key == "me" { Some(&call.caller.user) } else { self.directory.user(key).map(|user| &user.id) };
        match meant {
            Some(id) if *id == call.caller.user => Ok(Arc::clone(id)),
            _ => Err(Refusal::forbidden(format!("Delegation denied for {}", call.caller.email))),
        }
    }
}
