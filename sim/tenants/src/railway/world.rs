//! The simulated tenant's state, how it is furnished, and who may touch what.

use std::{collections::BTreeMap, fmt, sync::Arc};

use model::Moment;
use ports::{Clock, SeededRandom};

use super::{
    RailwayOptions,
    estate::{
        AuditEntry, Backup, DestroyHook, Environment, Grace, Plan, Project, Schedule, Service, Token,
        TokenKind, User, Volume, VolumeHooks, VolumeInstance, Workspace,
    },
};

pub(super) const HOUR_MICROS: i64 = 3_600_000_000;

/// A refusal, which becomes a GraphQL error in a 200 answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    NotAuthorized,
    NotFound(&'static str),
    Invalid(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAuthorized => f.write_str("Not Authorized"),
            Self::NotFound(what) => write!(f, "{what} not found"),
            Self::Invalid(why) => f.write_str(why),
        }
    }
}

/// Requests counted for one token.
#[derive(Debug, Clone, Copy)]
pub(super) struct RateWindow {
    pub(super) hour_start: Moment,
    pub(super) hour_count: u32,
    pub(super) second_start: Moment,
    pub(super) second_count: u32,
}

/// The simulated tenant.
pub struct World {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: SeededRandom,
    pub(super) grace: Grace,
    pub(super) users: Vec<User>,
    pub(super) workspaces: Vec<Workspace>,
    pub(super) projects: Vec<Project>,
    pub(super) environments: Vec<Environment>,
    pub(super) services: Vec<Service>,
    pub(super) volumes: Vec<Volume>,
    pub(super) instances: Vec<VolumeInstance>,
    pub(super) backups: Vec<Backup>,
    pub(super) schedules: Vec<Schedule>,
    pub(super) tokens: Vec<Token>,
    pub(super) audit: Vec<AuditEntry>,
    /// Workflow id to its error; an absent error means that it completed.
    pub(super) workflows: BTreeMap<String, Option<String>>,
    pub(super) rates: BTreeMap<String, RateWindow>,
    /// Destruction that was decided and is carried out once the state is no longer locked.
    pub(super) due_hooks: Vec<DestroyHook>,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("volumes", &self.volumes)
            .field("instances", &self.instances)
            .finish_non_exhaustive()
    }
}

/// What a car-rental tenant is furnished with.
#[derive(Debug)]
pub struct CarRentalOptions {
    /// What happens to the real data behind the production volume.
    pub production: VolumeHooks,
    /// What happens to the real data behind the staging volume.
    pub staging: VolumeHooks,
    /// The workspace's price plan.
    pub plan: Plan,
}

/// The ids and secrets of a furnished car-rental tenant.
#[derive(Debug, Clone)]
pub struct CarRental {
    /// The workspace.
    pub workspace_id: String,
    /// The project.
    pub project_id: String,
    /// Its production environment.
    pub production_id: String,
    /// Its staging environment.
    pub staging_id: String,
    /// The volume that holds the production database; its name does not say so.
    pub volume_id: String,
    /// That volume's instance in production.
    pub instance_id: String,
    /// The staging volume.
    pub staging_volume_id: String,
    /// That volume's instance in staging.
    pub staging_instance_id: String,
    /// An account token, made to add and remove custom domains; it reaches everything.
    pub domains_token: Token,
    /// A project token for staging.
    pub staging_token: Token,
}

impl World {
    pub(super) fn new(options: RailwayOptions) -> Self {
        Self {
            clock: options.clock,
            random: SeededRandom::new(options.seed),
            grace: options.grace,
            users: Vec::new(),
            workspaces: Vec::new(),
            projects: Vec::new(),
            environments: Vec::new(),
            services: Vec::new(),
            volumes: Vec::new(),
            instances: Vec::new(),
            backups: Vec::new(),
            schedules: Vec::new(),
            tokens: Vec::new(),
            audit: Vec::new(),
            workflows: BTreeMap::new(),
            rates: BTreeMap::new(),
            due_hooks: Vec::new(),
        }
    }

    pub(super) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Makes an id of the form that Railway uses (a version 4 UUID), decided by the seed.
    pub(super) fn new_id(&self) -> String {
        let (high, low) = (self.random.next_u64(), self.random.next_u64());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | ((low >> 48) & 0x3fff),
            low & 0xffff_ffff_ffff
        )
    }

    /// Adds a user.
    pub fn add_user(&mut self, name: &str, email: &str) -> String {
        let id = self.new_id();
        self.users.push(User { id: id.clone(), name: name.to_owned(), email: email.to_owned() });
        id
    }

    /// Adds a workspace with its members.
    pub fn add_workspace(&mut self, name: &str, plan: Plan, members: &[&str]) -> String {
        let id = self.new_id();
        let members = members.iter().map(|&member| member.to_owned()).collect();
        self.workspaces.push(Workspace { id: id.clone(), name: name.to_owned(), plan, members });
        id
    }

    /// Adds a project.
    pub fn add_project(&mut self, workspace_id: &str, name: &str) -> String {
        let (id, created_at) = (self.new_id(), self.now());
        self.projects.push(Project {
            id: id.clone(),
            workspace_id: workspace_id.to_owned(),
            name: name.to_owned(),
            created_at,
            deleted_at: None,
            delete_due_at: None,
        });
        id
    }

    /// Adds an environment.
    pub fn add_environment(&mut self, project_id: &str, name: &str) -> String {
        let (id, created_at) = (self.new_id(), self.now());
        self.environments.push(Environment {
            id: id.clone(),
            project_id: project_id.to_owned(),
            name: name.to_owned(),
            is_ephemeral: false,
            created_at,
            deleted_at: None,
        });
        id
    }

    /// Adds a service.
    pub fn add_service(&mut self, project_id: &str, name: &str) -> String {
        let (id, created_at) = (self.new_id(), self.now());
        let (project_id, name) = (project_id.to_owned(), name.to_owned());
        self.services.push(Service { id: id.clone(), project_id, name, created_at, deleted_at: None });
        id
    }

    /// Adds a volume.
    pub fn add_volume(&mut self, project_id: &str, name: &str) -> String {
        let (id, created_at) = (self.new_id(), self.now());
        let (project_id, name) = (project_id.to_owned(), name.to_owned());
        self.volumes.push(Volume { id: id.clone(), project_id, name, created_at });
        id
    }

    /// Mounts a volume in an environment and ties it to what it really holds.
    pub fn add_instance(
        &mut self,
        volume_id: &str,
        environment_id: &str,
        service_id: Option<&str>,
        hooks: VolumeHooks,
    ) -> String {
        let (id, external_id, created_at) = (self.new_id(), self.new_id(), self.now());
        self.instances.push(VolumeInstance {
            id: id.clone(),
            volume_id: volume_id.to_owned(),
            service_id: service_id.map(str::to_owned),
            environment_id: environment_id.to_owned(),
            mount_path: "/var/lib/postgresql/data".to_owned(),
            state: "READY".to_owned(),
            size_mb: 10_240,
            current_size_mb: 5_120,
            delete_due_at: None,
            deleted_at: None,
            external_id: format!("vol_{}", &external_id[..8]),
            created_at,
            hooks,
        });
        id
    }

    /// Makes a token.
    pub fn add_token(&mut self, name: &str, user_id: &str, kind: TokenKind) -> Token {
        let token = Token {
            id: self.new_id(),
            name: name.to_owned(),
            secret: self.new_id(),
            user_id: user_id.to_owned(),
            kind,
            expires_at: None,
            created_at: self.now(),
        };
        self.tokens.push(token.clone());
        token
    }

    /// Lets a token lapse at a moment.
    pub fn expire_token(&mut self, token_id: &str, expires_at: Moment) {
        for token in self.tokens.iter_mut().filter(|token| token.id == token_id) {
            token.expires_at = Some(expires_at);
        }
    }

    /// Furnishes the car-rental tenant of the nine-second incident.
    pub fn furnish_car_rental(&mut self, options: CarRentalOptions) -> CarRental {
        let user_id = self.add_user("Dana Whitfield", "dana@pocketcars.example");
        let workspace_id = self.add_workspace("pocketcars", options.plan, &[&user_id]);
        let project_id = self.add_project(&workspace_id, "rental-platform");
        let production_id = self.add_environment(&project_id, "production");
        let staging_id = self.add_environment(&project_id, "staging");
        let database = self.add_service(&project_id, "Postgres");
        self.add_service(&project_id, "web");
        let volume_id = self.add_volume(&project_id, "postgres-volume");
        let staging_volume_id = self.add_volume(&project_id, "postgres-volume-8X2k");
        let instance_id = self.add_instance(&volume_id, &production_id, Some(&database), options.production);
        let staging_instance_id =
            self.add_instance(&staging_volume_id, &staging_id, Some(&database), options.staging);
        let domains_token = self.add_token("custom-domains-cli", &user_id, TokenKind::Account);
        let kind = TokenKind::Project { project_id: project_id.clone(), environment_id: staging_id.clone() };
        let staging_token = self.add_token("staging-deploy", &user_id, kind);
        CarRental {
            workspace_id,
            project_id,
            production_id,
            staging_id,
            volume_id,
            instance_id,
            staging_volume_id,
            staging_instance_id,
            domains_token,
            staging_token,
        }
    }

    /// Finds the token of a secret; a lapsed one is no token.
    pub(super) fn token(&self, secret: &str, in_project_header: bool) -> Option<Token> {
        let now = self.now();
        self.tokens
            .iter()
            .find(|token| token.secret == secret)
            .filter(|token| matches!(token.kind, TokenKind::Project { .. }) == in_project_header)
            .filter(|token| token.expires_at.is_none_or(|at| at > now))
            .cloned()
    }

    /// Returns the workspaces that a token reaches as a whole.
    pub(super) fn reachable_workspaces(&self, token: &Token) -> Vec<&Workspace> {
        let member = |workspace: &Workspace| workspace.members.contains(&token.user_id);
        let reach = |workspace: &&Workspace| match &token.kind {
            TokenKind::Account => member(workspace),
            TokenKind::Workspace { workspace_id } => *workspace_id == workspace.id,
            TokenKind::OAuth { workspace_ids } => member(workspace) && workspace_ids.contains(&workspace.id),
            TokenKind::Project { .. } => false,
        };
        self.workspaces.iter().filter(reach).collect()
    }

    pub(super) fn check_workspace(&self, token: &Token, workspace_id: &str) -> Result<(), Refusal> {
        let reached = self.reachable_workspaces(token).iter().any(|workspace| workspace.id == workspace_id);
        if reached { Ok(()) } else { Err(Refusal::NotAuthorized) }
    }

    /// Checks the reach over a whole project, which a project token never has.
    pub(super) fn check_project(&self, token: &Token, project_id: &str) -> Result<(), Refusal> {
        let project =
            self.projects.iter().find(|p| p.id == project_id).ok_or(Refusal::NotFound("Project"))?;
        self.check_workspace(token, &project.workspace_id)
    }

    pub(super) fn check_environment(&self, token: &Token, environment_id: &str) -> Result<(), Refusal> {
        let environment = self
            .environments
            .iter()
            .find(|e| e.id == environment_id && e.deleted_at.is_none())
            .ok_or(Refusal::NotFound("Environment"))?;
        match &token.kind {
            TokenKind::Project { environment_id: own, .. } if *own == environment_id => Ok(()),
            TokenKind::Project { .. } => Err(Refusal::NotAuthorized),
            _ => self.check_project(token, &environment.project_id),
        }
    }

    /// Finds a living volume instance that the token reaches.
    pub(super) fn instance(&self, token: &Token, id: &str) -> Result<&VolumeInstance, Refusal> {
        let instance = self
            .instances
            .iter()
            .find(|instance| instance.id == id && instance.deleted_at.is_none())
            .ok_or(Refusal::NotFound("VolumeInstance"))?;
        self.check_environment(token, &instance.environment_id)?;
        Ok(instance)
    }

    pub(super) fn instance_mut(&mut self, id: &str) -> Option<&mut VolumeInstance> {
        self.instances.iter_mut().find(|instance| instance.id == id)
    }

    pub(super) fn project_of_environment(&self, environment_id: &str) -> Option<&Project> {
        let environment = self.environments.iter().find(|e| e.id == environment_id)?;
        self.projects.iter().find(|project| project.id == environment.project_id)
    }

    /// Carries out what has become due: queued deletions, lapsed backups, old audit entries.
    pub(super) fn sweep(&mut self) {
        let now = self.now();
        let due = |at: Option<Moment>| at.is_some_and(|at| at <= now);
        let volumes: Vec<String> = self
            .instances
            .iter()
            .filter(|instance| instance.deleted_at.is_none() && due(instance.delete_due_at))
            .map(|instance| instance.id.clone())
            .collect();
        for id in volumes {
            self.destroy_instance(&id);
        }
        let projects: Vec<String> = self
            .projects
            .iter()
            .filter(|project| project.deleted_at.is_none() && due(project.delete_due_at))
            .map(|project| project.id.clone())
            .collect();
        for id in projects {
            self.destroy_project(&id);
        }
        self.destroy_backups(|backup| due(backup.expires_at));
        self.trim_audit();
    }
}
