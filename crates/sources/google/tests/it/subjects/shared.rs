//! What all subjects have in common: a simulated domain of which one part is read, of some of its users.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use connect::{Silent, SourceReader};
use connect_conformance::{Conditions, Furnishing, Spending};
use connect_http::{HttpSettings, HttpTransport, PoolSettings, Transport};
use google_api::ApiSettings;
use google_tenant::{Overrun, Pool, QuotaSettings, Settings, Size, Tenant, scopes};
use ports::SeededRandom;
use serde_json::{Value, json};
use source_google::{GoogleReader, GoogleSettings, Part, audit::AuditSettings};

use crate::domain::{Domain, SECOND};

/// Accounts that are special to the simulated domain: administrators, one that is suspended, one without a mailbox.
const SPECIAL_USERS: u32 = 6;

/// The quota that a subject models: a full pool can be spent at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Modelled {
    /// The service that it is of: `gmail`.
    pub(crate) service: &'static str,
    /// Units that come in each minute.
    pub(crate) units_per_minute: u64,
    /// Methods that cost one unit where it is modelled, whatever the reader takes to be their usual price.
    pub(crate) of_one_unit: &'static [&'static str],
}

/// A simulated domain of which one part is read.
pub(crate) struct Shared {
    pub(crate) domain: Domain,
    /// The users that are read: neither administrators nor accounts that cannot be read.
    pub(crate) users: BTreeSet<String>,
    part: Part,
    quota: Modelled,
    limited: bool,
    made: AtomicU64,
}

impl Shared {
    /// Starts a domain with next to nothing in it; `change` furnishes it with what is read.
    pub(crate) fn start(
        furnishing: &Furnishing,
        part: Part,
        quota: Modelled,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let domain = Domain::with(&[part], |settings| {
            let users = furnishing.users as u32 + SPECIAL_USERS;
            settings.size = Size { users, messages: 1, files: 1, events: 1, contacts: 1 };
            settings.seed = furnishing.seed;
            if furnishing.limited {
                let pool = Pool { project: quota.units_per_minute, user: 1_000_000 };
                settings.quota = QuotaSettings {
                    pools: [(quota.service.to_owned(), pool)].into(),
                    overrun: Overrun::Mixed,
                    ..QuotaSettings::unlimited()
                };
            }
            change(settings);
        });
        let admins: BTreeSet<String> = domain.running.with_tenant(|tenant| {
            let admins = tenant.users().iter().filter(|user| user.is_admin || user.is_delegated_admin);
            admins.map(|user| user.primary_email.clone()).collect()
        });
        let users = domain.users().into_iter().filter(|user| !admins.contains(user));
        let users = users.take(furnishing.users).collect();
        Self { domain, users, part, quota, limited: furnishing.limited, made: AtomicU64::new(0) }
    }

    /// Returns the settings of the reader's calls, with the pools of the modelled quota or none.
    pub(crate) fn api(&self, paced: bool) -> ApiSettings {
        let pool = PoolSettings {
            units: self.quota.units_per_minute,
            per: Duration::from_mins(1),
            burst: self.quota.units_per_minute,
            concurrent: None,
        };
        let address = Some(self.domain.running.url().to_owned());
        let mut settings = ApiSettings { address, ..ApiSettings::default() };
        settings.pools.clear();
        if paced {
            // A batch costs less than comes at once.
            settings.batch_calls = 10;
            settings.units.extend(self.quota.of_one_unit.iter().map(|method| ((*method).to_owned(), 1)));
            settings.pools.insert(format!("{}/project", self.quota.service), pool);
        }
        settings
    }

    pub(crate) fn transport() -> Arc<dyn Transport> {
        Arc::new(HttpTransport::new(HttpSettings::default()).unwrap())
    }

    pub(crate) fn reader(&self, conditions: &Conditions) -> Box<dyn SourceReader> {
        let settings = GoogleSettings {
            admin: self.tenant(|tenant| tenant.administrator().unwrap().to_owned()),
            parts: [self.part].into(),
            users: self.users.clone(),
            api: self.api(conditions.paced),
            audit: AuditSettings::default(),
            threads: conditions.threads,
            clock: Arc::clone(&self.domain.clock) as _,
            random: Arc::new(SeededRandom::new(7)),
        };
        let transport = Arc::clone(&conditions.transport);
        Box::new(GoogleReader::new(self.domain.key(), transport, settings, Arc::new(Silent)))
    }

    /// Lets time pass before somebody else acts on the domain, so that their own quota is there.
    pub(crate) fn rest(&self) {
        if self.limited {
            self.domain.clock.advance_micros(60 * SECOND);
        }
    }

    /// Returns a number that nobody had yet.
    pub(crate) fn next(&self) -> u64 {
        self.made.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn tenant<T>(&self, act: impl FnOnce(&mut Tenant) -> T) -> T {
        self.domain.running.with_tenant(act)
    }

    /// Suspends a user, or ends that, as an administrator does it.
    pub(crate) fn suspend(&self, user: &str, suspended: bool) {
        let admin = self.tenant(|tenant| tenant.administrator().unwrap().to_owned());
        let console = self.domain.program(&admin, &[scopes::USER]);
        console.call(
            "PATCH",
            &format!("admin/directory/v1/users/{user}"),
            &json!({ "suspended": suspended }),
        );
    }

    /// Gives the reader's service account these scopes over the domain, and takes all others away.
    pub(crate) fn delegate(&self, scopes: &[&str]) {
        self.tenant(|tenant| {
            let id = tenant.service_accounts().next().unwrap().client_id.clone();
            tenant.delegate(&id, scopes.iter().copied());
        });
    }

    /// Returns what was spent of the modelled quota.
    pub(crate) fn spending(&self) -> Spending {
        assert!(self.limited, "nothing is limited");
        let (units, refusals) = self.tenant(|tenant| {
            // The directory and the shared drives are read in the name of an administrator.
            let users = tenant.users().iter().map(|user| user.primary_email.clone());
            let units = users.map(|user| tenant.spent(self.quota.service, &user)).sum();
            (units, tenant.quota_refusals())
        });
        let burst_units = self.quota.units_per_minute;
        Spending { units, burst_units, units_per_second: burst_units as f64 / 60.0, refusals }
    }

    /// Returns what gives away the keys of the service accounts.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let files: Vec<String> = self.tenant(|tenant| {
            let emails: Vec<String> =
                tenant.service_accounts().map(|account| account.email.clone()).collect();
            emails.iter().filter_map(|email| tenant.key_file(email)).collect()
        });
        let keys = files.iter().filter_map(|text| {
            let key: Value = serde_json::from_str(text).ok()?;
            // Any line of the key gives it away; the first ones say what kind of key it is.
            key["private_key"].as_str()?.lines().nth(4).map(str::to_owned)
        });
        keys.collect()
    }
}
