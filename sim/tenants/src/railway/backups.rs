//! Volume backups: on the same control plane as the volume, and gone with it.

use serde_json::json;

use super::{
    estate::{Backup, Schedule, ScheduleKind, Token},
    world::{Refusal, World},
};

impl World {
    /// Adds a backup that a schedule made, without a caller.
    pub fn add_scheduled_backup(&mut self, instance_id: &str) -> Option<String> {
        let schedule = self
            .schedules
            .iter()
            .find(|schedule| schedule.instance_id == instance_id)
            .map(|schedule| (schedule.id.clone(), schedule.kind));
        let id = self.push_backup(instance_id, None, None)?;
        if let Some((schedule_id, kind)) = schedule {
            let expires_at = self.now().plus_micros(i64::from(kind.retention_seconds()) * 1_000_000);
            if let Some(backup) = self.backups.iter_mut().find(|backup| backup.id == id) {
                backup.schedule_id = Some(schedule_id);
                backup.expires_at = Some(expires_at);
            }
        }
        Some(id)
    }

    fn push_backup(
        &mut self,
        instance_id: &str,
        name: Option<String>,
        creator_id: Option<String>,
    ) -> Option<String> {
        let (id, external_id, created_at) = (self.new_id(), self.new_id(), self.now());
        let instance = self.instance_mut(instance_id)?;
        let (referenced_mb, size_mb) = (instance.current_size_mb, instance.size_mb);
        let on_destroyed = instance.hooks.on_backup_created.as_mut().and_then(|hook| hook(&id));
        self.backups.push(Backup {
            id: id.clone(),
            instance_id: instance_id.to_owned(),
            name,
            created_at,
            expires_at: None,
            external_id: format!("snap-{}", &external_id[..8]),
            used_mb: referenced_mb / 40,
            referenced_mb,
            size_mb,
            schedule_id: None,
            creator_id,
            on_destroyed,
        });
        Some(id)
    }

    pub(super) fn backup_create(
        &mut self,
        token: &Token,
        instance_id: &str,
        name: Option<String>,
    ) -> Result<String, Refusal> {
        let instance = self.instance(token, instance_id)?;
        if instance.current_size_mb * 2 > instance.size_mb {
            // The documented limit of manual backups: half of the volume's size.
            return Err(Refusal::Invalid("Volume is too large to be backed up manually".to_owned()));
        }
        let target = self.audit_target_of_environment(&instance.environment_id);
        let id = self
            .push_backup(instance_id, name, Some(token.user_id.clone()))
            .ok_or(Refusal::NotFound("VolumeInstance"))?;
        let payload = json!({ "volumeInstanceId": instance_id, "backupId": id });
        self.record(token, "volume.backup.created", target, payload);
        Ok(self.finish_workflow(None))
    }

    pub(super) fn backup_delete(
        &mut self,
        token: &Token,
        instance_id: &str,
        backup_id: &str,
    ) -> Result<String, Refusal> {
        let target = self.audit_target_of_backup(token, instance_id, backup_id)?;
        self.destroy_backups(|backup| backup.id == backup_id);
        let payload = json!({ "volumeInstanceId": instance_id, "backupId": backup_id });
        self.record(token, "volume.backup.deleted", target, payload);
        Ok(self.finish_workflow(None))
    }

    /// Removes a backup's expiry, and no more than that: it can still be deleted.
    pub(super) fn backup_lock(
        &mut self,
        token: &Token,
        instance_id: &str,
        backup_id: &str,
    ) -> Result<(), Refusal> {
        let target = self.audit_target_of_backup(token, instance_id, backup_id)?;
        for backup in self.backups.iter_mut().filter(|backup| backup.id == backup_id) {
            backup.expires_at = None;
        }
        let payload = json!({ "volumeInstanceId": instance_id, "backupId": backup_id });
        self.record(token, "volume.backup.locked", target, payload);
        Ok(())
    }

    /// Restores a backup; every newer backup of the volume is removed by that.
    pub(super) fn backup_restore(
        &mut self,
        token: &Token,
        instance_id: &str,
        backup_id: &str,
    ) -> Result<String, Refusal> {
        let target = self.audit_target_of_backup(token, instance_id, backup_id)?;
        let position = self.backups.iter().position(|backup| backup.id == backup_id);
        let newer: Vec<String> = position
            .map(|position| &self.backups[position + 1..])
            .unwrap_or_default()
            .iter()
            .filter(|backup| backup.instance_id == instance_id)
            .map(|backup| backup.id.clone())
            .collect();
        if let Some(instance) = self.instance_mut(instance_id)
            && let Some(hook) = instance.hooks.on_backup_restored.as_mut()
        {
            hook(backup_id);
        }
        self.destroy_backups(|backup| newer.contains(&backup.id));
        let payload =
            json!({ "volumeInstanceId": instance_id, "backupId": backup_id, "removedBackupIds": newer });
        self.record(token, "volume.backup.restored", target, payload);
        Ok(self.finish_workflow(None))
    }

    /// Answers with a workflow that fails: no simulated service has point-in-time recovery set up.
    pub(super) fn pitr_restore(&mut self, token: &Token, instance_id: &str) -> Result<String, Refusal> {
        self.instance(token, instance_id)?;
        Ok(self.finish_workflow(Some("Point-in-time recovery is not enabled".to_owned())))
    }

    pub(super) fn schedules_update(
        &mut self,
        token: &Token,
        instance_id: &str,
        kinds: &[ScheduleKind],
    ) -> Result<(), Refusal> {
        self.instance(token, instance_id)?;
        self.set_schedules(instance_id, kinds);
        Ok(())
    }

    /// Sets daily backups, as a furnished tenant has them.
    pub fn set_daily_schedule(&mut self, instance_id: &str) {
        self.set_schedules(instance_id, &[ScheduleKind::Daily]);
    }

    fn set_schedules(&mut self, instance_id: &str, kinds: &[ScheduleKind]) {
        self.schedules
            .retain(|schedule| schedule.instance_id != instance_id || kinds.contains(&schedule.kind));
        for &kind in kinds {
            if self.schedules.iter().any(|s| s.instance_id == instance_id && s.kind == kind) {
                continue;
            }
            let (id, created_at) = (self.new_id(), self.now());
            self.schedules.push(Schedule { id, instance_id: instance_id.to_owned(), kind, created_at });
        }
    }

    /// Removes backups and queues what destroys their real copies.
    pub(super) fn destroy_backups(&mut self, doomed: impl Fn(&Backup) -> bool) {
        let (gone, kept) = std::mem::take(&mut self.backups).into_iter().partition(|backup| doomed(backup));
        self.backups = kept;
        let gone: Vec<Backup> = gone;
        self.due_hooks.extend(gone.into_iter().filter_map(|backup| backup.on_destroyed));
    }

    fn finish_workflow(&mut self, error: Option<String>) -> String {
        let id = self.new_id();
        self.workflows.insert(id.clone(), error);
        id
    }

    fn audit_target_of_backup(
        &self,
        token: &Token,
        instance_id: &str,
        backup_id: &str,
    ) -> Result<super::audit::AuditTarget, Refusal> {
        let instance = self.instance(token, instance_id)?;
        let known = |backup: &Backup| backup.id == backup_id && backup.instance_id == instance_id;
        if !self.backups.iter().any(known) {
            return Err(Refusal::NotFound("VolumeInstanceBackup"));
        }
        Ok(self.audit_target_of_environment(&instance.environment_id))
    }
}
