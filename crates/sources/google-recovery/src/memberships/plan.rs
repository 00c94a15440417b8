//! Planning what happens to groups of users, out of the stored directory.

use std::collections::{BTreeMap, BTreeSet};

use connect::{fidelity::Way, plan::Action};
use google_api::method;
use serde_json::Value;

use super::{
    decide::{Decision, LaterRoles, decide},
    promise::{GROUP, MEMBER},
    step::{GroupRow, MemberRow, MembershipStep},
};
use crate::{
    Destination, Planner, PlanningError, Request,
    fields::{Fields, plainly_same, undo},
    planner::{Documents, NewStep, TAKEN_AGAIN, live_below},
    step::StepDetails,
};

pub(super) const GROUPS: &str = "group/";
pub(super) const MEMBERS: &str = "member/";
const USERS: &str = "user/";
const DELETED: &str = "deleted-user/";
const WRITABLE: [&str; 2] = ["name", "description"];
/// So many members are on one page of a list.
const PAGE: u64 = 200;

impl Planner<'_> {
    /// Plans what happens to the groups of users of the domain; `admin` is the administrator in whose name it is done.
    ///
    /// Members who were taken out within the window come back with their roles, roles that were changed go back, and groups
    /// that were deleted are made again with their members. Users are neither made nor deleted. A chosen group means its
    /// members as well.
    pub fn memberships(&mut self, request: &Request, admin: &str) -> Result<(), PlanningError> {
        self.begin(request, "the groups of users of the");
        if let Destination::OtherUser { .. } = request.destination {
            self.note("groups of users go back to where they were, and to nowhere else".to_owned());
            return Ok(());
        }
        let mut planning = Planning { request, planner: self, admin, addresses: None, rows: Rows::default() };
        if let Destination::Sandbox(sandbox) = &request.destination {
            planning.admin = &sandbox.email;
            planning.copy_all(sandbox)?;
            return planning.finish();
        }
        let changed = planning.planner.past.changed(
            &request.stream,
            request.window.before.0,
            request.window.after.0,
        )?;
        for key in &changed {
            planning.take(key)?;
        }
        planning.finish()
    }
}

#[derive(Default)]
pub(super) struct Rows {
    pub(super) made: Vec<GroupRow>,
    described: Vec<GroupRow>,
    pub(super) joined: Vec<MemberRow>,
    roles: Vec<MemberRow>,
}

pub(super) struct Planning<'r, 'q, 'p> {
    pub(super) request: &'r Request,
    pub(super) planner: &'q mut Planner<'p>,
    admin: &'r str,
    /// The addresses that groups have now, once they were asked for.
    addresses: Option<BTreeSet<String>>,
    pub(super) rows: Rows,
}

impl Planning<'_, '_, '_> {
    pub(super) fn documents(&self) -> Documents<'_> {
        Documents { past: self.planner.past, stream: &self.request.stream, window: self.request.window }
    }

    fn conflict(&mut self, key: &str, reason: String) {
        self.planner.conflict(&self.request.account, key, reason);
    }

    fn take(&mut self, key: &str) -> Result<(), PlanningError> {
        let selection = &self.request.selection;
        if let Some(id) = key.strip_prefix(GROUPS).filter(|_| selection.has(key)) {
            return self.take_group(key, id);
        }
        if let Some((group, _)) = key.strip_prefix(MEMBERS).and_then(|rest| rest.split_once('/')) {
            if selection.has(key) || selection.has(&format!("{GROUPS}{group}")) {
                return self.take_member(key, group);
            }
        } else if let Some(id) = key.strip_prefix(USERS).filter(|_| selection.has(key)) {
            return self.take_user(key, id);
        }
        Ok(())
    }

    fn take_group(&mut self, key: &str, id: &str) -> Result<(), PlanningError> {
        let window = self.request.window;
        let Some(before) = self.documents().at(key, window.before.0)? else { return Ok(()) };
        let text = |name: &str| before[name].as_str().unwrap_or_default().to_owned();
        let mut row = GroupRow {
            id: id.to_owned(),
            email: text("email"),
            name: text("name"),
            description: text("description"),
            members: Vec::new(),
            changes: BTreeMap::new(),
        };
        match (self.documents().at(key, window.after.0)?, self.documents().at(key, window.now)?) {
            (None, None) if self.documents().later(key)?.is_any => {
                self.conflict(key, TAKEN_AGAIN.to_owned());
            }
            (None, None) if self.is_taken(&row.email)? => {
                self.conflict(key, format!("the address {} is another group's now", row.email));
            }
            (None, None) => {
                row.members = self.members_of(id)?;
                self.rows.made.push(row);
            }
            (None, Some(_)) => self.planner.unchanged(),
            (Some(_), None) => self.conflict(key, "it was deleted after the window".to_owned()),
            (Some(after), Some(now)) => {
                let fields = |group: &Value| -> Fields {
                    WRITABLE.iter().map(|name| ((*name).to_owned(), group[*name].clone())).collect()
                };
                let later: Vec<Fields> = self.documents().later(key)?.documents.iter().map(fields).collect();
                let undo = undo(&fields(&before), &fields(&after), &later, &fields(&now), plainly_same);
                if !undo.kept.is_empty() {
                    let reason = format!("this was changed again after the window: {}", undo.kept.join(", "));
                    self.conflict(key, reason);
                }
                if !undo.set.is_empty() {
                    now["email"].as_str().unwrap_or_default().clone_into(&mut row.email);
                    row.changes = undo.set;
                    self.rows.described.push(row);
                }
                if before["email"] != after["email"] && now["email"] == after["email"] {
                    let email = before["email"].as_str().unwrap_or_default();
                    self.planner.loss(
                        format!("the address {email} of a group"),
                        "addresses are not written by a plan: change it in the Admin console".to_owned(),
                    );
                }
            }
        }
        Ok(())
    }

    /// Tells whether another group has an address now.
    fn is_taken(&mut self, email: &str) -> Result<bool, PlanningError> {
        if let Some(addresses) = &self.addresses {
            return Ok(addresses.contains(email));
        }
        let (past, at) = (self.planner.past, self.request.window.now);
        let (mut keys, mut addresses) = (Vec::new(), BTreeSet::new());
        live_below(past, &self.request.stream, GROUPS, at, &mut |key| {
            keys.push(key.to_owned());
            Ok(true)
        })?;
        for key in keys {
            let group = self.documents().at(&key, at)?.unwrap_or_default();
            addresses.extend(group["email"].as_str().map(str::to_owned));
        }
        Ok(self.addresses.insert(addresses).contains(email))
    }

    fn members_of(&self, group: &str) -> Result<Vec<String>, PlanningError> {
        let (past, at) = (self.planner.past, self.request.window.before.0);
        let (mut keys, mut members) = (Vec::new(), Vec::new());
        live_below(past, &self.request.stream, &format!("{MEMBERS}{group}/"), at, &mut |key| {
            keys.push(key.to_owned());
            Ok(true)
        })?;
        for key in keys {
            let member = self.documents().at(&key, at)?.unwrap_or_default();
            members.extend(member["email"].as_str().or_else(|| member["id"].as_str()).map(str::to_owned));
        }
        Ok(members)
    }

    fn take_member(&mut self, key: &str, group: &str) -> Result<(), PlanningError> {
        let window = self.request.window;
        let Some(before) = self.documents().at(key, window.before.0)? else { return Ok(()) };
        let group_key = format!("{GROUPS}{group}");
        let Some(of) = self.documents().at(&group_key, window.before.0)? else { return Ok(()) };
        let role = |member: &Value| member["role"].as_str().unwrap_or("MEMBER").to_owned();
        let (after, now) = (self.documents().at(key, window.after.0)?, self.documents().at(key, window.now)?);
        let later = self.documents().later(key)?;
        let roles: Vec<String> = later.documents.iter().map(role).collect();
        let later = LaterRoles { roles: &roles, is_any: later.is_any, came_anew: later.came_anew };
        let (after, now) = (after.as_ref().map(role), now.as_ref().map(role));
        let decision = decide(&role(&before), after.as_deref(), later, now.as_deref());
        let gone = self.documents().at(&group_key, window.now)?.is_none();
        let text = |name: &str| before[name].as_str().map(str::to_owned);
        let row = MemberRow {
            group: group.to_owned(),
            group_email: of["email"].as_str().unwrap_or_default().to_owned(),
            email: text("email"),
            id: text("id"),
            kind: text("type"),
            delivery: text("delivery_settings"),
            expected: now,
            wanted: role(&before),
        };
        match decision {
            Decision::Unchanged => self.planner.unchanged(),
            Decision::Conflict(reason) => self.conflict(key, reason),
            Decision::Role => self.rows.roles.push(row),
            Decision::Join => {
                if gone && !self.rows.made.iter().any(|made| made.id == group) {
                    self.conflict(key, "its group is not there".to_owned());
                } else if self.is_deleted(&row)? {
                    let reason = "the user is deleted; undelete it first, within 20 days: in the Admin console, Users, \
                                  Recently deleted"
                        .to_owned();
                    self.conflict(key, reason);
                } else {
                    self.rows.joined.push(row);
                }
            }
        }
        Ok(())
    }

    fn is_deleted(&self, row: &MemberRow) -> Result<bool, PlanningError> {
        let (past, window) = (self.planner.past, self.request.window);
        let Some(id) = &row.id else { return Ok(false) };
        let user = |at| past.version(&self.request.stream, &format!("{USERS}{id}"), at);
        Ok(user(window.before.0)?.is_some() && user(window.now)?.is_none())
    }

    fn take_user(&mut self, key: &str, id: &str) -> Result<(), PlanningError> {
        let window = self.request.window;
        let Some(before) = self.documents().at(key, window.before.0)? else { return Ok(()) };
        if self.documents().at(key, window.now)?.is_some() {
            return Ok(());
        }
        let email = before["primaryEmail"].as_str().unwrap_or_default();
        let reason = if self.documents().at(&format!("{DELETED}{id}"), window.now)?.is_some() {
            "a plan makes no users: within 20 days Google gives it back, in the Admin console, Users, Recently deleted"
        } else {
            "a plan makes no users, and Google no longer keeps it: make it again, then bring its things to it"
        };
        self.planner.loss(format!("the user {email}"), reason.to_owned());
        Ok(())
    }

    fn finish(mut self) -> Result<(), PlanningError> {
        self.count_calls();
        let (rows, target, admin) =
            (std::mem::take(&mut self.rows), &self.request.account, self.admin.to_owned());
        let way = if self.request.is_elsewhere() { Way::MadeAnew } else { Way::InPlace };
        let planner = &mut *self.planner;
        if !rows.made.is_empty() {
            planner.note(
                "groups that are made again get new ids: what was shared with the old ones is not theirs"
                    .to_owned(),
            );
        }
        let steps = [
            (
                "make",
                &rows.made,
                Action::Create,
                Way::MadeAnew,
                MembershipStep::Make { admin: admin.clone() },
            ),
            (
                "describe",
                &rows.described,
                Action::Redefine,
                Way::InPlace,
                MembershipStep::Describe { admin: admin.clone() },
            ),
        ];
        for (verb, rows, action, made, step) in steps {
            let names: Vec<&str> = rows.iter().map(|row| row.email.as_str()).take(5).collect();
            planner.step(NewStep {
                title: format!("{verb} {} groups of users again: {}", rows.len(), names.join(", ")),
                target,
                action,
                name: "groups-of-users",
                rows,
                details: StepDetails::Memberships(step),
                promise: (GROUP, made),
            })?;
        }
        let steps = [
            (
                "bring",
                "back into their groups",
                &rows.joined,
                Action::Insert,
                MembershipStep::Join { admin: admin.clone() },
            ),
            (
                "give",
                "their roles in groups back",
                &rows.roles,
                Action::Revert,
                MembershipStep::Role { admin },
            ),
        ];
        for (verb, where_to, rows, action, step) in steps {
            planner.step(NewStep {
                title: format!("{verb} {} members {where_to}", rows.len()),
                target,
                action,
                name: "members",
                rows,
                details: StepDetails::Memberships(step),
                promise: (MEMBER, way),
            })?;
        }
        Ok(())
    }

    fn count_calls(&mut self) {
        let rows = &self.rows;
        let groups =
            |rows: &[MemberRow]| rows.iter().map(|row| &row.group).collect::<BTreeSet<_>>().len() as u64;
        let (joined, roles) = (rows.joined.len() as u64, rows.roles.len() as u64);
        let lists = 2 * (groups(&rows.joined) + groups(&rows.roles)) + joined / PAGE;
        let (made, described) = (rows.made.len() as u64, rows.described.len() as u64);
        let calls = [
            (&method::RESTORE_GROUPS_GET, 2 * (made + described)),
            (&method::RESTORE_GROUPS_INSERT, made),
            (&method::RESTORE_GROUPS_PATCH, described),
            (&method::RESTORE_MEMBERS_LIST, lists),
            (&method::RESTORE_MEMBERS_INSERT, joined),
            (&method::RESTORE_MEMBERS_PATCH, roles),
        ];
        for (method, count) in calls {
            self.planner.calls(self.admin, method, count);
        }
    }
}
