//! The domain's directory: users, groups with members, organizational units, roles.

use std::{collections::BTreeSet, sync::Arc};

use connect::units::{Unit, UnitError, UnitSink};
use google_api::{ApiError, Get, Method, ReadApi, method};
use model::StreamName;
use serde_json::{Map, Value};

use crate::{
    failure::unit_error,
    feed,
    records::{self, Record},
};

/// What of a page makes a list: where it is, how it is called in the answer, the most that one page holds.
struct Listing {
    method: &'static Method,
    path: &'static str,
    member: &'static str,
    page: &'static str,
    query: &'static [(&'static str, &'static str)],
}

const USERS: Listing = Listing {
    method: &method::USERS_LIST,
    path: "admin/directory/v1/users",
    member: "users",
    page: "500",
    query: &[("customer", "my_customer"), ("projection", "full")],
};
const DELETED_USERS: Listing = Listing {
    query: &[("customer", "my_customer"), ("projection", "full"), ("showDeleted", "true")],
    ..USERS
};
const GROUPS: Listing = Listing {
    method: &method::GROUPS_LIST,
    path: "admin/directory/v1/groups",
    member: "groups",
    page: "200",
    query: &[("customer", "my_customer")],
};
const ROLES: Listing = Listing {
    method: &method::ROLES_LIST,
    path: "admin/directory/v1/customer/my_customer/roles",
    member: "items",
    page: "100",
    query: &[],
};
const ROLE_ASSIGNMENTS: Listing = Listing {
    method: &method::ROLE_ASSIGNMENTS_LIST,
    path: "admin/directory/v1/customer/my_customer/roleassignments",
    member: "items",
    page: "200",
    query: &[],
};
const MEMBERS_PAGE: &str = "200";

/// Lists all users of the domain, the suspended ones among them.
pub(crate) fn list_users(api: &ReadApi, admin: &str) -> Result<Vec<Value>, ApiError> {
    list(api, admin, &USERS)
}

fn list(api: &ReadApi, admin: &str, listing: &Listing) -> Result<Vec<Value>, ApiError> {
    let mut get = Get::new(listing.method, listing.path).query("maxResults", listing.page);
    for (name, value) in listing.query {
        get = get.query(name, *value);
    }
    pages(api, admin, &get, listing.member)
}

fn pages(api: &ReadApi, admin: &str, get: &Get, member: &str) -> Result<Vec<Value>, ApiError> {
    let (mut all, mut token) = (Vec::new(), None::<String>);
    loop {
        let page = token.iter().fold(get.clone(), |get, token| get.query("pageToken", token));
        let mut page: Map<String, Value> = api.get(admin, &page)?;
        all.extend(feed::entries(&mut page, member).map_err(|error| error.of_answer(get.method))?);
        token = feed::token(&page, "nextPageToken");
        if token.is_none() {
            return Ok(all);
        }
    }
}

/// The unit of the directory.
pub(crate) struct Directory {
    pub(crate) api: Arc<ReadApi>,
    pub(crate) admin: String,
    pub(crate) stream: StreamName,
    /// The users as they were just listed.
    pub(crate) users: Vec<Value>,
}

impl Unit for Directory {
    fn name(&self) -> &'static str {
        "directory"
    }

    fn read(&self, _position: Option<&str>, sink: &mut UnitSink<'_>) -> Result<(), UnitError> {
        self.take("user/", "id", "primaryEmail", self.users.clone(), sink)?;
        let deleted = self.list(&DELETED_USERS)?;
        self.take("deleted-user/", "id", "primaryEmail", deleted, sink)?;
        let groups = self.list(&GROUPS)?;
        let members = self.members(&groups)?;
        self.take("group/", "id", "email", groups, sink)?;
        self.take("member/", "key", "email", members, sink)?;
        let units = Get::new(&method::ORGUNITS_LIST, "admin/directory/v1/customer/my_customer/orgunits");
        let units = pages(&self.api, &self.admin, &units.query("type", "all"), "organizationUnits")
            .map_err(|error| unit_error(&error))?;
        self.take("orgunit/", "orgUnitId", "orgUnitPath", units, sink)?;
        let roles = self.list(&ROLES)?;
        self.take("role/", "roleId", "roleName", roles, sink)?;
        let assignments = self.list(&ROLE_ASSIGNMENTS)?;
        self.take("role-assignment/", "roleAssignmentId", "assignedTo", assignments, sink)
    }
}

impl Directory {
    fn list(&self, listing: &Listing) -> Result<Vec<Value>, UnitError> {
        list(&self.api, &self.admin, listing).map_err(|error| unit_error(&error))
    }

    /// Lists the members of all groups, each with its group and itself in its key.
    fn members(&self, groups: &[Value]) -> Result<Vec<Value>, UnitError> {
        let ids: Vec<&str> = groups.iter().filter_map(|group| group["id"].as_str()).collect();
        let gets: Vec<Get> = ids.iter().map(|id| members_of(id)).collect();
        let mut all = Vec::new();
        for (ids, gets) in ids.chunks(self.api.batch_calls()).zip(gets.chunks(self.api.batch_calls())) {
            let answers = self.api.get_many(&self.admin, gets).map_err(|error| unit_error(&error))?;
            for (id, answer) in ids.iter().zip(answers) {
                let first: Map<String, Value> = match answer {
                    Ok(body) => serde_json::from_slice(&body).map_err(|error| UnitError::Failed {
                        detail: format!("the members of a group are not understood: {error}"),
                    })?,
                    // Deleted since it was listed.
                    Err(ApiError::NotFound(_)) => continue,
                    Err(error) => return Err(unit_error(&error)),
                };
                self.take_members(id, first, &mut all)?;
            }
        }
        Ok(all)
    }

    fn take_members(
        &self,
        group: &str,
        mut page: Map<String, Value>,
        all: &mut Vec<Value>,
    ) -> Result<(), UnitError> {
        loop {
            for member in feed::entries(&mut page, "members")? {
                let Value::Object(mut member) = member else { continue };
                let text = |name: &str| member.get(name).and_then(Value::as_str);
                let key = format!("{group}/{}", text("id").or_else(|| text("email")).unwrap_or("customer"));
                member.insert("key".to_owned(), key.into());
                member.insert("group".to_owned(), group.into());
                all.push(member.into());
            }
            let Some(token) = feed::token(&page, "nextPageToken") else { return Ok(()) };
            page = self
                .api
                .get(&self.admin, &members_of(group).query("pageToken", token))
                .map_err(|error| unit_error(&error))?;
        }
    }

    /// Stores a complete list, and tells what is held and no longer in it.
    fn take(
        &self,
        prefix: &str,
        id: &str,
        name: &str,
        documents: Vec<Value>,
        sink: &mut UnitSink<'_>,
    ) -> Result<(), UnitError> {
        let mut listed = BTreeSet::new();
        let mut all = Vec::with_capacity(documents.len());
        for document in documents {
            let Some(own) = document[id].as_str() else { continue };
            let key = format!("{prefix}{own}");
            let called = document[name].as_str().map(str::to_owned);
            if listed.insert(key.clone()) {
                all.push(Record::new(key, called.as_deref(), document));
            }
        }
        records::store(&self.stream, &all, sink)?;
        records::remove_others(&self.stream, prefix, &listed, sink)
    }
}

fn members_of(group: &str) -> Get {
    let group = connect_http::escape(group);
    Get::new(&method::MEMBERS_LIST, format!("admin/directory/v1/groups/{group}/members"))
        .query("maxResults", MEMBERS_PAGE)
}
