//! The destructive mutations. None of them asks for a confirmation.

use serde_json::json;

use super::{
    audit::AuditTarget,
    estate::{Grace, Token, TokenKind},
    world::{HOUR_MICROS, Refusal, World},
};

/// The changes of `volumeInstanceUpdate`.
#[derive(Debug, Default)]
pub(super) struct InstanceChange {
    pub(super) service_id: Option<String>,
    pub(super) mount_path: Option<String>,
    pub(super) state: Option<String>,
}

impl World {
    /// Finds a volume's living instances. Assumption: a project token reaches a volume whose instances all
    /// lie in its own environment.
    fn reachable_instances(&self, token: &Token, volume_id: &str) -> Result<Vec<String>, Refusal> {
        let living: Vec<_> =
            self.instances.iter().filter(|i| i.volume_id == volume_id && i.deleted_at.is_none()).collect();
        if living.is_empty() {
            return Err(Refusal::NotFound("Volume"));
        }
        for instance in &living {
            self.check_environment(token, &instance.environment_id)?;
        }
        Ok(living.iter().map(|instance| instance.id.clone()).collect())
    }

    pub(super) fn volume_delete(&mut self, token: &Token, volume_id: &str) -> Result<(), Refusal> {
        let instances = self.reachable_instances(token, volume_id)?;
        let name = self.volumes.iter().find(|v| v.id == volume_id).map(|v| v.name.clone());
        let due_at = match self.grace {
            Grace::Immediate => None,
            Grace::Hours(hours) => Some(self.now().plus_micros(i64::from(hours) * HOUR_MICROS)),
        };
        for id in instances {
            let environment_id = self.instance_mut(&id).map(|i| i.environment_id.clone()).unwrap_or_default();
            let target = self.audit_target_of_environment(&environment_id);
            let payload = json!({ "volumeId": volume_id, "name": name });
            match due_at {
                None => {
                    self.destroy_instance(&id);
                    self.record(token, "volume.deleted", target, payload);
                }
                Some(due_at) => {
                    if let Some(instance) = self.instance_mut(&id) {
                        instance.delete_due_at = Some(due_at);
                        "DELETING".clone_into(&mut instance.state);
                    }
                    self.record(token, "volume.deletion_queued", target, payload);
                }
            }
        }
        Ok(())
    }

    /// Follows the link that is e-mailed for a queued deletion; returns whether there was one to undo.
    pub fn follow_restore_link(&mut self, volume_id: &str) -> bool {
        self.sweep();
        let mut restored = false;
        for instance in &mut self.instances {
            if instance.volume_id == volume_id
                && instance.deleted_at.is_none()
                && instance.delete_due_at.is_some()
            {
                instance.delete_due_at = None;
                "READY".clone_into(&mut instance.state);
                restored = true;
            }
        }
        restored
    }

    /// Destroys an instance for good, and its backups with it.
    pub(super) fn destroy_instance(&mut self, instance_id: &str) {
        let now = self.now();
        let hook = self.instance_mut(instance_id).and_then(|instance| {
            instance.deleted_at = Some(now);
            "DELETED".clone_into(&mut instance.state);
            instance.hooks.on_volume_destroyed.take()
        });
        self.due_hooks.extend(hook);
        self.destroy_backups(|backup| backup.instance_id == instance_id);
        self.schedules.retain(|schedule| schedule.instance_id != instance_id);
    }

    fn destroy_instances_where(&mut self, doomed: impl Fn(&super::estate::VolumeInstance) -> bool) {
        let ids: Vec<String> = self
            .instances
            .iter()
            .filter(|instance| instance.deleted_at.is_none() && doomed(instance))
            .map(|instance| instance.id.clone())
            .collect();
        for id in ids {
            self.destroy_instance(&id);
        }
    }

    /// Changes a volume's instances; without an environment, all of them.
    pub(super) fn volume_instance_update(
        &mut self,
        token: &Token,
        volume_id: &str,
        environment_id: Option<&str>,
        change: &InstanceChange,
    ) -> Result<(), Refusal> {
        let mut touched = 0;
        for id in self.reachable_instances(token, volume_id)? {
            let Some(instance) = self.instance_mut(&id) else { continue };
            if environment_id.is_some_and(|wanted| wanted != instance.environment_id) {
                continue;
            }
            touched += 1;
            if let Some(service_id) = &change.service_id {
                instance.service_id = Some(service_id.clone());
            }
            if let Some(mount_path) = &change.mount_path {
                instance.mount_path.clone_from(mount_path);
            }
            if let Some(state) = &change.state {
                instance.state.clone_from(state);
            }
            let environment_id = instance.environment_id.clone();
            if change.state.as_deref() == Some("DELETED") {
                self.destroy_instance(&id);
            }
            let target = self.audit_target_of_environment(&environment_id);
            self.record(token, "volume.updated", target, json!({ "volumeId": volume_id }));
        }
        if touched == 0 { Err(Refusal::NotFound("VolumeInstance")) } else { Ok(()) }
    }

    /// Deletes a service. Assumption: its volumes are deleted with it.
    pub(super) fn service_delete(
        &mut self,
        token: &Token,
        id: &str,
        environment_id: Option<&str>,
    ) -> Result<(), Refusal> {
        let now = self.now();
        let service = self
            .services
            .iter()
            .find(|service| service.id == id && service.deleted_at.is_none())
            .ok_or(Refusal::NotFound("Service"))?;
        let target = self.audit_target_of_project(&service.project_id);
        match environment_id {
            Some(environment_id) => self.check_environment(token, environment_id)?,
            None => self.check_project(token, &service.project_id)?,
        }
        self.destroy_instances_where(|instance| {
            instance.service_id.as_deref() == Some(id)
                && environment_id.is_none_or(|wanted| wanted == instance.environment_id)
        });
        if environment_id.is_none() {
            for service in self.services.iter_mut().filter(|service| service.id == id) {
                service.deleted_at = Some(now);
            }
        }
        let payload = json!({ "serviceId": id, "environmentId": environment_id });
        self.record(token, "service.deleted", target, payload);
        Ok(())
    }

    pub(super) fn environment_delete(&mut self, token: &Token, id: &str) -> Result<(), Refusal> {
        self.check_environment(token, id)?;
        let target = self.audit_target_of_environment(id);
        let now = self.now();
        self.destroy_instances_where(|instance| instance.environment_id == id);
        for environment in self.environments.iter_mut().filter(|environment| environment.id == id) {
            environment.deleted_at = Some(now);
        }
        self.record(token, "environment.deleted", target, json!({ "environmentId": id }));
        Ok(())
    }

    fn living_project(&self, token: &Token, id: &str) -> Result<AuditTarget, Refusal> {
        if !self.projects.iter().any(|project| project.id == id && project.deleted_at.is_none()) {
            return Err(Refusal::NotFound("Project"));
        }
        self.check_project(token, id)?;
        Ok(self.audit_target_of_project(id))
    }

    /// Deletes a project at once; `projectScheduleDeleteForce` ends here as well.
    pub(super) fn project_delete(&mut self, token: &Token, id: &str) -> Result<(), Refusal> {
        let target = self.living_project(token, id)?;
        self.destroy_project(id);
        self.record(token, "project.deleted", target, json!({ "projectId": id }));
        Ok(())
    }

    /// Schedules a project's deletion in 48 hours, or cancels it.
    pub(super) fn project_schedule(
        &mut self,
        token: &Token,
        id: &str,
        scheduled: bool,
    ) -> Result<(), Refusal> {
        let target = self.living_project(token, id)?;
        let due_at = scheduled.then(|| self.now().plus_micros(48 * HOUR_MICROS));
        for project in self.projects.iter_mut().filter(|project| project.id == id) {
            project.delete_due_at = due_at;
        }
        let payload = json!({ "projectId": id, "scheduled": scheduled });
        self.record(token, "project.deleted", target, payload);
        Ok(())
    }

    pub(super) fn destroy_project(&mut self, id: &str) {
        let now = self.now();
        let environments: Vec<String> =
            self.environments.iter().filter(|e| e.project_id == id).map(|e| e.id.clone()).collect();
        self.destroy_instances_where(|instance| environments.contains(&instance.environment_id));
        for environment in self.environments.iter_mut().filter(|e| e.project_id == id) {
            environment.deleted_at.get_or_insert(now);
        }
        for service in self.services.iter_mut().filter(|s| s.project_id == id) {
            service.deleted_at.get_or_insert(now);
        }
        for project in self.projects.iter_mut().filter(|p| p.id == id) {
            project.deleted_at.get_or_insert(now);
        }
    }

    pub(super) fn workspace_delete(&mut self, token: &Token, id: &str) -> Result<(), Refusal> {
        self.check_workspace(token, id)?;
        let projects: Vec<String> =
            self.projects.iter().filter(|p| p.workspace_id == id).map(|p| p.id.clone()).collect();
        for project in projects {
            self.destroy_project(&project);
        }
        let target = AuditTarget { workspace: id.to_owned(), ..AuditTarget::default() };
        self.record(token, "workspace.deleted", target, json!({ "workspaceId": id }));
        self.workspaces.retain(|workspace| workspace.id != id);
        Ok(())
    }

    /// Deletes one of the caller's own tokens, or a project token of a project that the caller reaches.
    pub(super) fn token_delete(&mut self, token: &Token, id: &str, of_project: bool) -> Result<(), Refusal> {
        let doomed = self.tokens.iter().find(|t| t.id == id).ok_or(Refusal::NotFound("Token"))?;
        let target = match (&doomed.kind, of_project) {
            (TokenKind::Project { project_id, .. }, true) => {
                self.check_project(token, project_id)?;
                self.audit_target_of_project(project_id)
            }
            (TokenKind::Project { .. }, false) | (_, true) => return Err(Refusal::NotFound("Token")),
            (_, false) if doomed.user_id == token.user_id && token.kind == TokenKind::Account => {
                AuditTarget::default()
            }
            (_, false) => return Err(Refusal::NotAuthorized),
        };
        self.tokens.retain(|t| t.id != id);
        self.record(token, "token.deleted", target, json!({ "tokenId": id }));
        Ok(())
    }
}
