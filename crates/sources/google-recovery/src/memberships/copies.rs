//! Planning copies of groups of users in a sandbox.

use serde_json::Value;

use super::{
    plan::{GROUPS, MEMBERS, Planning},
    step::{GroupRow, MemberRow},
};
use crate::{PlanningError, Sandbox, planner::live_below};

impl Planning<'_, '_, '_> {
    /// Takes every group that is meant, or in which somebody is who is meant. A chosen group means all of its members.
    pub(super) fn copy_all(&mut self, sandbox: &Sandbox) -> Result<(), PlanningError> {
        for key in self.keys_below(GROUPS)? {
            let Some(id) = key.strip_prefix(GROUPS) else { continue };
            let is_meant = self.request.selection.has(&key);
            let members = self.keys_below(&format!("{MEMBERS}{id}/"))?;
            let chosen = |member: &&String| is_meant || self.request.selection.has(member);
            let members: Vec<&String> = members.iter().filter(chosen).collect();
            if !is_meant && members.is_empty() {
                continue;
            }
            let Some(group) = self.documents().at(&key, self.request.window.before.0)? else {
                self.unread(&key);
                continue;
            };
            self.copy(sandbox, id, &group, &members)?;
        }
        Ok(())
    }

    fn copy(
        &mut self,
        sandbox: &Sandbox,
        id: &str,
        group: &Value,
        members: &[&String],
    ) -> Result<(), PlanningError> {
        let text = |name: &str| group[name].as_str().unwrap_or_default().to_owned();
        let email = sandbox.group_address(&text("email"));
        let mut row = GroupRow {
            id: id.to_owned(),
            email: email.clone(),
            name: text("name"),
            description: text("description"),
            members: Vec::new(),
            changes: std::collections::BTreeMap::new(),
        };
        for key in members {
            let Some(member) = self.documents().at(key, self.request.window.before.0)? else {
                self.unread(key);
                continue;
            };
            let Some(address) = member["email"].as_str() else {
                // Everybody of a domain: it would be everybody of the sandbox.
                let reason = "it is everybody of a domain, whom nobody stands for in a sandbox".to_owned();
                self.planner.loss(format!("{}: {key}", self.request.account), reason);
                continue;
            };
            let address = sandbox.member_address(address, member["type"] == "GROUP");
            row.members.push(address.clone());
            self.rows.joined.push(MemberRow {
                group: id.to_owned(),
                group_email: email.clone(),
                email: Some(address),
                id: None,
                kind: None,
                delivery: None,
                expected: None,
                wanted: member["role"].as_str().unwrap_or("MEMBER").to_owned(),
            });
        }
        self.rows.made.push(row);
        Ok(())
    }

    fn keys_below(&self, prefix: &str) -> Result<Vec<String>, PlanningError> {
        let (past, at) = (self.planner.past, self.request.window.before.0);
        let mut keys = Vec::new();
        live_below(past, &self.request.stream, prefix, at, &mut |key| {
            keys.push(key.to_owned());
            Ok(true)
        })?;
        Ok(keys)
    }

    fn unread(&mut self, key: &str) {
        let reason = "it could not be read when it was captured".to_owned();
        self.planner.loss(format!("{}: {key}", self.request.account), reason);
    }
}
