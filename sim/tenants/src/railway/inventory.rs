//! What queries answer, as JSON by field name. A connection is a plain array here; paging makes edges of it.

use model::Moment;
use serde_json::{Value, json};

use super::{
    audit::EVENT_TYPES,
    estate::{Backup, Environment, Project, Service, Token, TokenKind, VolumeInstance, Workspace},
    world::{HOUR_MICROS, Refusal, World},
};

/// The filter of `auditLogs`, already parsed.
#[derive(Debug, Default)]
pub(super) struct AuditFilter {
    pub(super) start: Option<Moment>,
    pub(super) end: Option<Moment>,
    pub(super) event_types: Option<Vec<String>>,
    pub(super) project_id: Option<String>,
    pub(super) environment_id: Option<String>,
    pub(super) newest_first: bool,
}

/// Shows the first characters of a secret, as the token lists do.
fn display_token(token: &Token) -> String {
    let start: String = token.secret.chars().take(4).collect();
    format!("{start}*****")
}

impl World {
    /// Answers who the caller is; only a token that acts for a user may ask.
    pub(super) fn me(&self, token: &Token) -> Result<Value, Refusal> {
        if matches!(token.kind, TokenKind::Workspace { .. } | TokenKind::Project { .. }) {
            return Err(Refusal::NotAuthorized);
        }
        let user = self.users.iter().find(|u| u.id == token.user_id).ok_or(Refusal::NotAuthorized)?;
        let workspaces: Vec<Value> =
            self.reachable_workspaces(token).into_iter().map(|w| self.workspace_json(token, w)).collect();
        Ok(json!({ "id": user.id, "name": user.name, "email": user.email, "workspaces": workspaces }))
    }

    pub(super) fn api_token(&self, token: &Token) -> Result<Value, Refusal> {
        if matches!(token.kind, TokenKind::Project { .. }) {
            return Err(Refusal::NotAuthorized);
        }
        let workspaces: Vec<Value> = self
            .reachable_workspaces(token)
            .into_iter()
            .map(|workspace| json!({ "id": workspace.id, "name": workspace.name }))
            .collect();
        Ok(json!({ "workspaces": workspaces }))
    }

    pub(super) fn project_token(token: &Token) -> Result<Value, Refusal> {
        Self::project_token_json(token).ok_or(Refusal::NotAuthorized)
    }

    fn project_token_json(token: &Token) -> Option<Value> {
        let TokenKind::Project { project_id, environment_id } = &token.kind else { return None };
        Some(json!({
            "id": token.id, "name": token.name, "projectId": project_id, "environmentId": environment_id,
            "displayToken": display_token(token), "createdAt": time(token.created_at),
        }))
    }

    /// Lists the caller's own tokens: there is no list of a whole workspace's tokens.
    pub(super) fn api_tokens(&self, token: &Token) -> Result<Value, Refusal> {
        if token.kind != TokenKind::Account {
            return Err(Refusal::NotAuthorized);
        }
        let own = self.tokens.iter().filter(|t| t.user_id == token.user_id);
        let list = own.filter_map(|t| {
            let workspace_id = match &t.kind {
                TokenKind::Account => None,
                TokenKind::Workspace { workspace_id } => Some(workspace_id),
                TokenKind::Project { .. } | TokenKind::OAuth { .. } => return None,
            };
            Some(json!({
                "id": t.id, "name": t.name, "displayToken": display_token(t), "workspaceId": workspace_id,
                "expiresAt": t.expires_at.map(time),
            }))
        });
        Ok(list.collect())
    }

    pub(super) fn project_tokens(&self, token: &Token, project_id: &str) -> Result<Value, Refusal> {
        self.check_project(token, project_id)?;
        let of_project = self.tokens.iter().filter_map(Self::project_token_json);
        Ok(of_project.filter(|token| token["projectId"] == project_id).collect())
    }

    pub(super) fn workspace(&self, token: &Token, id: &str) -> Result<Value, Refusal> {
        self.check_workspace(token, id)?;
        let workspace = self.workspaces.iter().find(|w| w.id == id).ok_or(Refusal::NotFound("Workspace"))?;
        Ok(self.workspace_json(token, workspace))
    }

    fn workspace_json(&self, token: &Token, workspace: &Workspace) -> Value {
        let window = self.rates.get(&token.id);
        let start = window.map_or_else(|| self.now(), |window| window.hour_start);
        let used = window.map_or(0, |window| window.hour_count);
        json!({
            "id": workspace.id, "name": workspace.name, "plan": workspace.plan.name(),
            "apiTokenRateLimit": {
                "remainingPoints": workspace.plan.requests_per_hour().saturating_sub(used),
                "resetsAt": time(start.plus_micros(HOUR_MICROS)),
            },
        })
    }

    pub(super) fn projects(
        &self,
        token: &Token,
        workspace_id: Option<&str>,
        include_deleted: bool,
    ) -> Result<Value, Refusal> {
        if matches!(token.kind, TokenKind::Project { .. }) {
            return Err(Refusal::NotAuthorized);
        }
        if let Some(id) = workspace_id {
            self.check_workspace(token, id)?;
        }
        let reach: Vec<&str> = self.reachable_workspaces(token).iter().map(|w| w.id.as_str()).collect();
        let list = self.projects.iter().filter(|project| {
            reach.contains(&project.workspace_id.as_str())
                && workspace_id.is_none_or(|id| id == project.workspace_id)
                && (include_deleted || project.deleted_at.is_none())
        });
        Ok(list.map(|project| self.project_json(token, project)).collect())
    }

    pub(super) fn project(&self, token: &Token, id: &str) -> Result<Value, Refusal> {
        let project = self.projects.iter().find(|p| p.id == id).ok_or(Refusal::NotFound("Project"))?;
        match &token.kind {
            TokenKind::Project { project_id, .. } if project_id == id => {}
            _ => self.check_project(token, id)?,
        }
        Ok(self.project_json(token, project))
    }

    fn project_json(&self, token: &Token, project: &Project) -> Value {
        let environments: Vec<Value> = self
            .environments
            .iter()
            .filter(|e| e.project_id == project.id)
            .map(|e| self.environment_json(token, e))
            .collect();
        let services: Vec<Value> =
            self.services.iter().filter(|s| s.project_id == project.id).map(service_json).collect();
        let volumes: Vec<Value> = self
            .volumes
            .iter()
            .filter(|v| v.project_id == project.id)
            .filter(|v| self.instances.iter().any(|i| i.volume_id == v.id && i.deleted_at.is_none()))
            .map(|v| self.volume_json(&v.id))
            .collect();
        json!({
            "id": project.id, "name": project.name, "createdAt": time(project.created_at),
            "deletedAt": project.deleted_at.map(time), "workspaceId": project.workspace_id,
            "environments": environments, "services": services, "volumes": volumes,
        })
    }

    pub(super) fn environment(&self, token: &Token, id: &str) -> Result<Value, Refusal> {
        self.check_environment(token, id)?;
        let environment =
            self.environments.iter().find(|e| e.id == id).ok_or(Refusal::NotFound("Environment"))?;
        Ok(self.environment_json(token, environment))
    }

    fn environment_json(&self, token: &Token, environment: &Environment) -> Value {
        let can_access = self.check_environment(token, &environment.id).is_ok();
        let living = |i: &&VolumeInstance| i.environment_id == environment.id && i.deleted_at.is_none();
        let instances: Vec<Value> = if can_access {
            self.instances.iter().filter(living).map(|i| self.instance_json(i)).collect()
        } else {
            Vec::new()
        };
        json!({
            "id": environment.id, "name": environment.name, "projectId": environment.project_id,
            "isEphemeral": environment.is_ephemeral, "canAccess": can_access,
            "createdAt": time(environment.created_at), "deletedAt": environment.deleted_at.map(time),
            "volumeInstances": instances,
        })
    }

    fn volume_json(&self, id: &str) -> Value {
        let volume = self.volumes.iter().find(|v| v.id == id);
        volume.map_or(Value::Null, |v| {
            json!({ "id": v.id, "name": v.name, "projectId": v.project_id, "createdAt": time(v.created_at) })
        })
    }

    pub(super) fn volume_instance(&self, token: &Token, id: &str) -> Result<Value, Refusal> {
        Ok(self.instance_json(self.instance(token, id)?))
    }

    fn instance_json(&self, instance: &VolumeInstance) -> Value {
        let service = self.services.iter().find(|s| Some(&s.id) == instance.service_id.as_ref());
        json!({
            "id": instance.id, "volumeId": instance.volume_id, "serviceId": instance.service_id,
            "environmentId": instance.environment_id, "mountPath": instance.mount_path,
            "region": "us-west2", "state": instance.state, "sizeMB": instance.size_mb,
            "currentSizeMB": f64::from(instance.current_size_mb),
            "isPendingDeletion": instance.delete_due_at.is_some(),
            "deletedAt": instance.deleted_at.map(time), "externalId": instance.external_id,
            "createdAt": time(instance.created_at), "volume": self.volume_json(&instance.volume_id),
            "service": service.map(service_json),
        })
    }

    pub(super) fn backup_list(&self, token: &Token, instance_id: &str) -> Result<Value, Refusal> {
        self.instance(token, instance_id)?;
        Ok(self.backups.iter().filter(|b| b.instance_id == instance_id).map(backup_json).collect())
    }

    pub(super) fn schedule_list(&self, token: &Token, instance_id: &str) -> Result<Value, Refusal> {
        self.instance(token, instance_id)?;
        let list = self.schedules.iter().filter(|s| s.instance_id == instance_id);
        let json = list.map(|schedule| {
            let kind = schedule.kind;
            json!({
                "id": schedule.id, "kind": kind.name(), "cron": kind.cron(), "name": kind.name().to_lowercase(),
                "retentionSeconds": kind.retention_seconds(), "createdAt": time(schedule.created_at),
            })
        });
        Ok(json.collect())
    }

    pub(super) fn workflow_status(&self, id: &str) -> Value {
        match self.workflows.get(id) {
            None => json!({ "status": "NotFound", "error": null }),
            Some(None) => json!({ "status": "Complete", "error": null }),
            Some(Some(error)) => json!({ "status": "Error", "error": error }),
        }
    }

    pub(super) fn audit_logs(
        &self,
        token: &Token,
        workspace_id: &str,
        filter: &AuditFilter,
    ) -> Result<Value, Refusal> {
        self.check_workspace(token, workspace_id)?;
        let mut list: Vec<Value> = self
            .audit
            .iter()
            .filter(|entry| {
                entry.workspace_id == workspace_id
                    && filter.start.is_none_or(|start| entry.created_at >= start)
                    && filter.end.is_none_or(|end| entry.created_at <= end)
                    && filter.event_types.as_ref().is_none_or(|t| t.iter().any(|t| t == entry.event_type))
                    && (filter.project_id.is_none() || filter.project_id == entry.project_id)
                    && (filter.environment_id.is_none() || filter.environment_id == entry.environment_id)
            })
            .map(|entry| {
                json!({
                    "id": entry.id, "eventType": entry.event_type, "createdAt": time(entry.created_at),
                    "projectId": entry.project_id, "environmentId": entry.environment_id,
                    "workspaceId": entry.workspace_id, "payload": entry.payload, "context": entry.context,
                })
            })
            .collect();
        if filter.newest_first {
            list.reverse();
        }
        Ok(Value::Array(list))
    }

    pub(super) fn audit_log(&self, token: &Token, workspace_id: &str, id: &str) -> Result<Value, Refusal> {
        let all = self.audit_logs(token, workspace_id, &AuditFilter::default())?;
        let entry = all.as_array().and_then(|list| list.iter().find(|entry| entry["id"] == id));
        entry.cloned().ok_or(Refusal::NotFound("AuditLog"))
    }

    pub(super) fn audit_event_types() -> Value {
        EVENT_TYPES
            .iter()
            .map(|(event_type, description)| json!({ "eventType": event_type, "description": description }))
            .collect()
    }

    /// The project's activity feed: the audit entries of one project, in its own words.
    pub(super) fn events(
        &self,
        token: &Token,
        project_id: &str,
        environment_id: Option<&str>,
    ) -> Result<Value, Refusal> {
        self.check_project(token, project_id)?;
        let list = self.audit.iter().filter(|entry| {
            entry.project_id.as_deref() == Some(project_id)
                && (environment_id.is_none() || environment_id == entry.environment_id.as_deref())
        });
        let json = list.map(|entry| {
            let (object, action) = entry.event_type.rsplit_once('.').unwrap_or(("", entry.event_type));
            json!({
                "id": entry.id, "action": action, "object": object, "severity": "INFO",
                "payload": entry.payload, "activityPayload": null, "createdAt": time(entry.created_at),
                "projectId": project_id, "environmentId": entry.environment_id,
            })
        });
        Ok(json.collect())
    }
}

fn service_json(service: &Service) -> Value {
    json!({
        "id": service.id, "name": service.name, "projectId": service.project_id,
        "createdAt": time(service.created_at), "deletedAt": service.deleted_at.map(time),
    })
}

fn backup_json(backup: &Backup) -> Value {
    json!({
        "id": backup.id, "name": backup.name, "createdAt": time(backup.created_at),
        "expiresAt": backup.expires_at.map(time), "externalId": backup.external_id, "usedMB": backup.used_mb,
        "referencedMB": backup.referenced_mb, "scheduleId": backup.schedule_id,
        "volumeInstanceSizeMB": backup.size_mb, "creatorId": backup.creator_id,
    })
}

fn time(moment: Moment) -> String {
    moment.to_string()
}
