//! A simulated Workspace domain with an installation of unwipe that follows it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use connect::{
    Stop,
    plan::{AppliedReport, Plan, PlanFolder},
};
use google_recovery::{Destination, GoogleWriter, Selection};
use google_tenant::{AuditSettings, GoogleTenant, Running, Settings, Size, scopes};
use model::SourceName;
use ports::{Clock, files};
use serde::de::DeserializeOwned;
use service::watching::WatchConfig;
use source_google::Part;

use super::{
    incident::{UndoneIncident, undo},
    restore::approve_and_apply,
    stage::{Capturing, install, make_folder},
};
use crate::{
    arguments::Reading,
    commands::google::{Back, Span, StoredAccount, plan_account},
    connectors::google::{
        self, ContainmentConfig, GoogleConfig, StoredDomain, default_audit_days, default_audit_overlap_h,
        default_threads,
    },
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
};

/// The name of the protected domain.
pub(crate) const SOURCE: &str = "acme";
/// More units than a rehearsal has.
const POSITIONS_MAX: u32 = 1000;
const PATIENCE: Duration = Duration::from_mins(5);
/// How long after it happened something appears in the simulated domain's audit log.
const AUDIT_LAG: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(50);

/// The service account that stops programs, the third of the domain.
const CONTAINER: &str = "unwipe-containment";
/// How long tokens are good where the clock runs fast: renewing them is not what is rehearsed.
const LONG: Duration = Duration::from_hours(24 * 90);

/// What a domain is made of, and how it is watched.
pub(crate) struct Setup<'s> {
    pub(crate) size: Size,
    pub(crate) seed: u64,
    pub(crate) parts: &'s [Part],
    /// How many times as fast as this machine's the clock of the domain, and of all that lives by it, runs.
    pub(crate) speed: u32,
    /// How its capture is watched, and whether there is somebody who stops programs.
    pub(crate) watch: Option<WatchConfig>,
}

/// What was undone, and how long that took.
pub(crate) struct Undone {
    pub(crate) plan: Plan,
    pub(crate) report: AppliedReport,
    pub(crate) planned_ms: u64,
    pub(crate) applied_ms: u64,
}

/// The place of a rehearsal in a domain. Dropping it stops the simulator and removes the folder, unless it is to be kept.
pub(crate) struct Workspace {
    pub(crate) folder: PathBuf,
    /// A context whose home folder is the rehearsal's own installation.
    pub(crate) context: Context,
    pub(crate) source: SourceName,
    pub(crate) running: Running,
    /// This machine's own clock, for whoever waits.
    patience: Arc<dyn Clock>,
    speed: u32,
    keep: bool,
}

impl Workspace {
    /// Starts a domain and sets unwipe up as its owner would: a service account that may only read, and a vault.
    pub(crate) fn build(
        outer: &Context,
        keep: bool,
        size: Size,
        seed: u64,
        parts: &[Part],
    ) -> Result<Self, Failure> {
        Self::set_up(outer, keep, &Setup { size, seed, parts, speed: 1, watch: None })
    }

    /// Does the same; where it is said how to watch, a third service account may take consents from programs.
    pub(crate) fn set_up(outer: &Context, keep: bool, setup: &Setup<'_>) -> Result<Self, Failure> {
        let folder = make_folder(outer)?;
        let &Setup { size, seed, speed, .. } = setup;
        // In truth it takes minutes to hours.
        let audit = AuditSettings {
            lags: std::collections::BTreeMap::new(),
            lag: AUDIT_LAG * speed,
            ..AuditSettings::default()
        };
        let mut settings = Settings { seed, size, audit, clock_speed: speed, ..Settings::default() };
        if speed > 1 {
            settings.token_lifetime = LONG;
        }
        let running = GoogleTenant::start(settings, outer.clock(), Arc::clone(&outer.ports.random))
            .map_err(|error| Failure::because(Exit::Failed, "the simulated domain did not start", error))?;
        outer.output.say(format!(
            "a simulated Workspace domain of {} people is at {}",
            size.users,
            running.url()
        ));
        let mut context = outer.elsewhere(folder.join("unwipe"));
        if speed > 1 {
            context.ports.clock = running.clock();
        }
        let workspace = Self {
            context,
            source: SourceName::new(SOURCE)
                .map_err(|error| Failure::because(Exit::Failed, "bad name", error))?,
            folder,
            running,
            patience: outer.clock(),
            speed,
            keep,
        };
        workspace.protect(setup)?;
        Ok(workspace)
    }

    fn protect(&self, setup: &Setup<'_>) -> Result<(), Failure> {
        install(&self.context)?;
        let admin = self.running.with_tenant(|t| t.administrator().unwrap_or_default().to_owned());
        let containment = setup.watch.as_ref().map(|_| self.containment(&admin)).transpose()?;
        let config = GoogleConfig {
            key: format!("file:{}", self.key_file(0)?.display()),
            admin: admin.clone(),
            parts: setup.parts.to_vec(),
            users: Vec::new(),
            every_s: u64::from(setup.speed),
            audit_days: default_audit_days(),
            audit_overlap_h: default_audit_overlap_h(),
            threads: default_threads(),
            address: Some(self.running.url().to_owned()),
            certificates: None,
            quota: google_api::Service::ALL
                .iter()
                .flat_map(|service| ["user", "project"].map(|pool| (format!("{}/{pool}", service.name()), 0)))
                .collect(),
            units: std::collections::BTreeMap::new(),
            containment,
        };
        let secrets = service::Secrets::new(&self.context.home, &environment);
        let findings = config.reader(&self.context, &secrets, true)?.check();
        if let Some(bad) = findings.iter().find(|finding| finding.standing == connect::Standing::Bad) {
            return Err(Failure::new(Exit::Failed, format!("{}: {}", bad.subject, bad.evidence)));
        }
        let mut installation = self.context.installation()?;
        let source = config.to_source()?;
        installation.reconfigure(|all| {
            if let Some(watch) = &setup.watch {
                all.watch = watch.clone();
            }
            all.add_source(self.source.clone(), source)
        })?;
        Ok(())
    }

    /// Makes a service account that may do what containment does, and nothing else.
    fn containment(&self, admin: &str) -> Result<ContainmentConfig, Failure> {
        self.running.with_tenant(|tenant| {
            let account = tenant.add_service_account(CONTAINER);
            tenant.delegate(&account.client_id, [scopes::USER, scopes::USER_SECURITY]);
        });
        let credential = format!("file:{}", self.key_file(2)?.display());
        Ok(ContainmentConfig { credential, admin: admin.to_owned(), machines: Vec::new() })
    }

    /// Writes the key of a service account of the domain into a file: of the one that reads (0), that
    /// restores (1), or that contains (2).
    pub(crate) fn key_file(&self, account: usize) -> Result<PathBuf, Failure> {
        let key = self.running.with_tenant(|tenant| {
            let email = tenant.service_accounts().nth(account)?.email.clone();
            tenant.key_file(&email)
        });
        let key = key.ok_or_else(|| Failure::new(Exit::Failed, "the simulated domain gives no key"))?;
        let path = self.folder.join(format!("service-account-{account}.json"));
        files::replace(&path, key.as_bytes())?;
        Ok(path)
    }

    /// Returns the clock by which the machine itself lives, however fast the domain does.
    pub(crate) fn patience(&self) -> &dyn Clock {
        &*self.patience
    }

    /// Returns how many times as fast as that clock the domain's runs.
    pub(crate) const fn speed(&self) -> u32 {
        self.speed
    }

    /// Returns an ordinary person of the domain.
    pub(crate) fn person(&self) -> Result<String, Failure> {
        self.running
            .with_tenant(|tenant| {
                let ordinary = |user: &&google_tenant::User| {
                    user.has_mailbox && !user.is_admin && !user.suspended && user.deleted.is_none()
                };
                // Where nobody else's program has been let in, it can be guessed whose deed it was.
                let alone = |user: &&google_tenant::User| {
                    !tenant.grants().iter().any(|grant| *grant.user == *user.id)
                };
                let people = || tenant.users().iter().filter(ordinary);
                people().find(alone).or_else(|| people().next()).map(|user| user.primary_email.clone())
            })
            .ok_or_else(|| Failure::new(Exit::Failed, "nobody lives in the simulated domain"))
    }

    /// Undoes what happened to an account's things in a span: plans it, has the plan approved, and applied.
    pub(crate) fn undo(&self, account: StoredAccount, span: Span, name: &str) -> Result<Undone, Failure> {
        let clock = self.context.clock();
        let begun = clock.elapsed();
        let back = Back { account, span, destination: Destination::InPlace, selection: Selection::default() };
        let (plan, folder) = self.plan(&back, name)?;
        let planned = clock.elapsed();
        let report = self.restore(&plan, &folder)?;
        let applied = clock.elapsed();
        Ok(Undone {
            plan,
            report,
            planned_ms: planned.saturating_sub(begun).as_millis() as u64,
            applied_ms: applied.saturating_sub(planned).as_millis() as u64,
        })
    }

    fn plan(&self, back: &Back, name: &str) -> Result<(Plan, PlanFolder), Failure> {
        let domain = self.stored()?;
        let folder = self.context.home.join("plans").join(name);
        files::create_folder(&folder)?;
        let folder = PlanFolder::new(folder);
        let plan = plan_account(&self.context, &domain, &domain.stored, back, &folder)?;
        folder.write(&plan)?;
        Ok((plan, folder))
    }

    /// Has a plan approved, and applied by the account that may write.
    fn restore(&self, plan: &Plan, folder: &PlanFolder) -> Result<AppliedReport, Failure> {
        let domain = self.stored()?;
        let secrets = service::Secrets::new(&self.context.home, &environment);
        let credential = format!("file:{}", self.key_file(1)?.display());
        let api = domain.config.writer(&self.context, &secrets, &credential, &Stop::default())?;
        let journal = folder.path().join("applied.jsonl");
        let mut writer = GoogleWriter::new(&api, &domain.stored, journal, domain.config.threads);
        approve_and_apply(&self.context, &self.folder, plan, folder, &mut writer)
    }

    fn stored(&self) -> Result<StoredDomain, Failure> {
        let installation = self.context.installation()?;
        google::open(&self.context, &installation, SOURCE, &Reading { key: None })?
            .ok_or_else(|| Failure::new(Exit::Failed, "the rehearsal's source is no domain"))
    }

    /// Undoes an incident as its owner does, with the account that may write.
    pub(super) fn rewind(&self, incident: u64) -> Result<UndoneIncident, Failure> {
        let key = self.key_file(1)?;
        undo(&self.context, &self.folder, incident, &["--credential", &key.to_string_lossy()])
    }

    /// Returns how far units are in the vault whose names begin with a prefix.
    pub(crate) fn positions<P: DeserializeOwned>(&self, prefix: &str) -> Result<Vec<P>, Failure> {
        let stream = connect::units::positions_stream()
            .map_err(|error| Failure::because(Exit::Failed, "no such stream", error))?;
        let catalog = self.context.installation()?.catalog(&self.source)?;
        let listed = catalog.listed_at(&stream, u64::MAX, None, POSITIONS_MAX)?;
        let of_units = listed.iter().filter(|(item, _)| item.key.starts_with(prefix));
        Ok(of_units.filter_map(|(item, _)| serde_json::from_str(&item.attributes).ok()).collect())
    }

    /// Returns the newest commit.
    pub(crate) fn newest(&self) -> Result<u64, Failure> {
        Ok(self.context.installation()?.catalog(&self.source)?.last_sequence()?)
    }

    /// Starts following the domain.
    pub(crate) fn start_capture(&self) -> Result<Capturing, Failure> {
        Capturing::begin(&self.context, &self.source)
    }

    /// Waits until something holds, as long as the capture goes on.
    pub(crate) fn wait(
        &self,
        what: &str,
        capturing: &Capturing,
        mut is_done: impl FnMut() -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let clock = &self.patience;
        let until = clock.elapsed() + PATIENCE;
        while !is_done()? {
            if capturing.has_ended() || clock.elapsed() > until {
                return Err(Failure::new(Exit::Failed, format!("waited in vain for {what}")));
            }
            clock.sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if self.keep {
            self.context.output.say(format!("kept {}", self.folder.display()));
        } else if let Err(error) = files::remove_scratch(&self.folder) {
            self.context.output.say(format!("{error}: {}", error.source));
        }
    }
}
