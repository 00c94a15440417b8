//! The audit log: attributed to a token's owner, trimmed after the plan's retention.

use serde_json::{Value, json};

use super::{
    estate::{AuditEntry, Token},
    world::{HOUR_MICROS, World},
};

/// Event types; their spelling is not documented, so these are illustrative.
pub(super) const EVENT_TYPES: [(&str, &str); 12] = [
    ("volume.deleted", "A volume was deleted"),
    ("volume.deletion_queued", "A volume was queued for deletion"),
    ("volume.updated", "A volume instance was changed"),
    ("volume.backup.created", "A volume backup was created"),
    ("volume.backup.restored", "A volume backup was restored"),
    ("volume.backup.locked", "The expiration date of a volume backup was removed"),
    ("volume.backup.deleted", "A volume backup was deleted"),
    ("service.deleted", "A service was deleted"),
    ("environment.deleted", "An environment was deleted"),
    ("project.deleted", "A project was deleted, or its deletion was scheduled or cancelled"),
    ("workspace.deleted", "A workspace was deleted"),
    ("token.deleted", "A token was deleted"),
];

/// What an audit entry is about.
#[derive(Debug, Clone, Default)]
pub(super) struct AuditTarget {
    pub(super) workspace: String,
    pub(super) project: Option<String>,
    pub(super) environment: Option<String>,
}

impl World {
    pub(super) fn audit_target_of_environment(&self, environment_id: &str) -> AuditTarget {
        let project = self.project_of_environment(environment_id);
        AuditTarget {
            workspace: project.map(|p| p.workspace_id.clone()).unwrap_or_default(),
            project: project.map(|p| p.id.clone()),
            environment: Some(environment_id.to_owned()),
        }
    }

    pub(super) fn audit_target_of_project(&self, project_id: &str) -> AuditTarget {
        let project = self.projects.iter().find(|project| project.id == project_id);
        AuditTarget {
            workspace: project.map(|p| p.workspace_id.clone()).unwrap_or_default(),
            project: Some(project_id.to_owned()),
            environment: None,
        }
    }

    /// Records an action under the user who owns the token: the log does not tell an agent from its owner.
    pub(super) fn record(
        &mut self,
        token: &Token,
        event_type: &'static str,
        target: AuditTarget,
        payload: Value,
    ) {
        let email = self.users.iter().find(|u| u.id == token.user_id).map(|u| u.email.clone());
        let context = json!({ "actor": { "type": "user", "id": token.user_id, "email": email } });
        self.audit.push(AuditEntry {
            id: self.new_id(),
            event_type,
            created_at: self.now(),
            workspace_id: target.workspace,
            project_id: target.project,
            environment_id: target.environment,
            payload,
            context,
        });
    }

    pub(super) fn trim_audit(&mut self) {
        let now = self.now();
        let workspaces = &self.workspaces;
        self.audit.retain(|entry| {
            let plan = workspaces.iter().find(|w| w.id == entry.workspace_id).map(|w| w.plan);
            let hours = plan.map_or(48, super::Plan::audit_retention_hours);
            now.micros_since(entry.created_at) <= hours * HOUR_MICROS
        });
    }
}
