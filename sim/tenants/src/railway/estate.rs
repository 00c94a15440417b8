//! What the simulated tenant owns: workspaces, projects, environments, services, volumes and tokens.

use std::fmt;

use model::Moment;

/// A step that the caller ties to the destruction of a volume or a backup.
pub type DestroyHook = Box<dyn FnOnce() + Send>;

/// A step that makes the real copy behind a new backup and returns how that copy is destroyed.
pub type BackupHook = Box<dyn FnMut(&str) -> Option<DestroyHook> + Send>;

/// A step that brings the real copy behind a backup back into the volume.
pub type RestoreHook = Box<dyn FnMut(&str) + Send>;

/// What really happens when the simulated control plane touches a volume instance.
#[derive(Default)]
pub struct VolumeHooks {
    /// Runs once, when the volume's bytes are gone for good.
    pub on_volume_destroyed: Option<DestroyHook>,
    /// Runs for every backup made through the API, with the backup's id.
    pub on_backup_created: Option<BackupHook>,
    /// Runs for every restore, with the backup's id.
    pub on_backup_restored: Option<RestoreHook>,
}

impl fmt::Debug for VolumeHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VolumeHooks")
            .field("on_volume_destroyed", &self.on_volume_destroyed.is_some())
            .field("on_backup_created", &self.on_backup_created.is_some())
            .field("on_backup_restored", &self.on_backup_restored.is_some())
            .finish()
    }
}

/// A workspace's price plan; it decides rate limits and how long audit entries are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Free: 100 requests an hour, audit kept 48 hours.
    Free,
    /// Hobby: 1,000 requests an hour, audit kept 48 hours.
    Hobby,
    /// Pro: 10,000 requests an hour, audit kept 30 days.
    Pro,
}

impl Plan {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Free => "FREE",
            Self::Hobby => "HOBBY",
            Self::Pro => "PRO",
        }
    }

    pub(super) const fn audit_retention_hours(self) -> i64 {
        match self {
            Self::Free | Self::Hobby => 48,
            Self::Pro => 30 * 24,
        }
    }

    pub(super) const fn requests_per_hour(self) -> u32 {
        match self {
            Self::Free => 100,
            Self::Hobby => 1_000,
            Self::Pro => 10_000,
        }
    }

    /// The Free plan's figure is not published; it is taken to be Hobby's.
    pub(super) const fn requests_per_second(self) -> u32 {
        match self {
            Self::Free | Self::Hobby => 10,
            Self::Pro => 50,
        }
    }
}

/// How `volumeDelete` behaves; both are on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grace {
    /// The bytes are gone when the call returns, as in April 2026.
    Immediate,
    /// The deletion is queued and can be undone by an e-mailed link until so many hours have passed.
    Hours(u32),
}

/// What a token may reach. No kind knows read-only or per-operation permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenKind {
    /// Everything its user can do, in all workspaces.
    Account,
    /// Everything in one workspace.
    Workspace {
        /// The workspace.
        workspace_id: String,
    },
    /// One environment of one project; sent in `Project-Access-Token`.
    Project {
        /// The project.
        project_id: String,
        /// The environment.
        environment_id: String,
    },
    /// The workspaces that a person granted to an application.
    OAuth {
        /// The granted workspaces.
        workspace_ids: Vec<String>,
    },
}

/// A token with its secret, as the simulator knows it.
#[derive(Debug, Clone)]
pub struct Token {
    /// Its id, as listed.
    pub id: String,
    /// Its name, as its maker chose it.
    pub name: String,
    /// The secret that a client sends.
    pub secret: String,
    /// The user who made it; actions are attributed to that user.
    pub user_id: String,
    /// Its reach.
    pub kind: TokenKind,
    /// When it lapses, if ever.
    pub expires_at: Option<Moment>,
    pub(super) created_at: Moment,
}

#[derive(Debug)]
pub(super) struct User {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) email: String,
}

#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) plan: Plan,
    pub(super) members: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Project {
    pub(super) id: String,
    pub(super) workspace_id: String,
    pub(super) name: String,
    pub(super) created_at: Moment,
    pub(super) deleted_at: Option<Moment>,
    pub(super) delete_due_at: Option<Moment>,
}

#[derive(Debug)]
pub(super) struct Environment {
    pub(super) id: String,
    pub(super) project_id: String,
    pub(super) name: String,
    pub(super) is_ephemeral: bool,
    pub(super) created_at: Moment,
    pub(super) deleted_at: Option<Moment>,
}

#[derive(Debug)]
pub(super) struct Service {
    pub(super) id: String,
    pub(super) project_id: String,
    pub(super) name: String,
    pub(super) created_at: Moment,
    pub(super) deleted_at: Option<Moment>,
}

#[derive(Debug)]
pub(super) struct Volume {
    pub(super) id: String,
    pub(super) project_id: String,
    pub(super) name: String,
    pub(super) created_at: Moment,
}

#[derive(Debug)]
pub(super) struct VolumeInstance {
    pub(super) id: String,
    pub(super) volume_id: String,
    pub(super) service_id: Option<String>,
    pub(super) environment_id: String,
    pub(super) mount_path: String,
    pub(super) state: String,
    pub(super) size_mb: u32,
    pub(super) current_size_mb: u32,
    pub(super) delete_due_at: Option<Moment>,
    pub(super) deleted_at: Option<Moment>,
    pub(super) external_id: String,
    pub(super) created_at: Moment,
    pub(super) hooks: VolumeHooks,
}

pub(super) struct Backup {
    pub(super) id: String,
    pub(super) instance_id: String,
    pub(super) name: Option<String>,
    pub(super) created_at: Moment,
    pub(super) expires_at: Option<Moment>,
    pub(super) external_id: String,
    pub(super) used_mb: u32,
    pub(super) referenced_mb: u32,
    pub(super) size_mb: u32,
    pub(super) schedule_id: Option<String>,
    pub(super) creator_id: Option<String>,
    pub(super) on_destroyed: Option<DestroyHook>,
}

#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) id: String,
    pub(super) instance_id: String,
    pub(super) kind: ScheduleKind,
    pub(super) created_at: Moment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScheduleKind {
    Daily,
    Weekly,
    Monthly,
}

impl ScheduleKind {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "DAILY" => Some(Self::Daily),
            "WEEKLY" => Some(Self::Weekly),
            "MONTHLY" => Some(Self::Monthly),
            _ => None,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Daily => "DAILY",
            Self::Weekly => "WEEKLY",
            Self::Monthly => "MONTHLY",
        }
    }

    pub(super) const fn cron(self) -> &'static str {
        match self {
            Self::Daily => "0 0 * * *",
            Self::Weekly => "0 0 * * 0",
            Self::Monthly => "0 0 1 * *",
        }
    }

    pub(super) const fn retention_seconds(self) -> u32 {
        let days = match self {
            Self::Daily => 6,
            Self::Weekly => 30,
            Self::Monthly => 90,
        };
        days * 86_400
    }
}

#[derive(Debug)]
pub(super) struct AuditEntry {
    pub(super) id: String,
    pub(super) event_type: &'static str,
    pub(super) created_at: Moment,
    pub(super) workspace_id: String,
    pub(super) project_id: Option<String>,
    pub(super) environment_id: Option<String>,
    pub(super) payload: serde_json::Value,
    pub(super) context: serde_json::Value,
}
