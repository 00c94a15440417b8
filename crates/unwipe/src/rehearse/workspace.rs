//! A simulated Workspace domain with an installation of unwipe that follows it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use connect::{
    Stop,
    plan::{AppliedReport, Plan, PlanFolder},
};
use google_recovery::{Destination, GoogleWriter, Selection};
use google_tenant::{AuditSettings, GoogleTenant, Running, Settings, Size};
use model::SourceName;
use ports::files;
use serde::de::DeserializeOwned;
use source_google::Part;

use super::{
    restore::approve_and_apply,
    stage::{Capturing, install, make_folder},
};
use crate::{
    arguments::Reading,
    commands::google::{Back, Span, StoredAccount, plan_account},
    connectors::google::{
        self, GoogleConfig, StoredDomain, default_audit_days, default_audit_overlap_h, default_threads,
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
        let folder = make_folder(outer)?;
        // In truth it takes minutes to hours.
        let audit = AuditSettings {
            lags: std::collections::BTreeMap::new(),
            lag: AUDIT_LAG,
            ..AuditSettings::default()
        };
        let settings = Settings { seed, size, audit, ..Settings::default() };
        let running = GoogleTenant::start(settings, outer.clock(), Arc::clone(&outer.ports.random))
            .map_err(|error| Failure::because(Exit::Failed, "the simulated domain did not start", error))?;
        outer.output.say(format!(
            "a simulated Workspace domain of {} people is at {}",
            size.users,
            running.url()
        ));
        let workspace = Self {
            context: outer.elsewhere(folder.join("unwipe")),
            source: SourceName::new(SOURCE)
                .map_err(|error| Failure::because(Exit::Failed, "bad name", error))?,
            folder,
            running,
            keep,
        };
        workspace.protect(parts)?;
        Ok(workspace)
    }

    fn protect(&self, parts: &[Part]) -> Result<(), Failure> {
        install(&self.context)?;
        let config = GoogleConfig {
            key: format!("file:{}", self.key_file(0)?.display()),
            admin: self.running.with_tenant(|t| t.administrator().unwrap_or_default().to_owned()),
            parts: parts.to_vec(),
            users: Vec::new(),
            every_s: 1,
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
            containment: None,
        };
        let secrets = service::Secrets::new(&self.context.home, &environment);
        let findings = config.reader(&self.context, &secrets, true)?.check();
        if let Some(bad) = findings.iter().find(|finding| finding.standing == connect::Standing::Bad) {
            return Err(Failure::new(Exit::Failed, format!("{}: {}", bad.subject, bad.evidence)));
        }
        let mut installation = self.context.installation()?;
        let source = config.to_source()?;
        installation.reconfigure(|all| all.add_source(self.source.clone(), source))?;
        Ok(())
    }

    /// Writes the key of a service account of the domain into a file: of the one that reads (0), or that restores (1).
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

    /// Returns an ordinary person of the domain.
    pub(crate) fn person(&self) -> Result<String, Failure> {
        self.running
            .with_tenant(|tenant| {
                let ordinary = |user: &&google_tenant::User| {
                    user.has_mailbox && !user.is_admin && !user.suspended && user.deleted.is_none()
                };
                tenant.users().iter().find(ordinary).map(|user| user.primary_email.clone())
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
        let clock = self.context.clock();
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
