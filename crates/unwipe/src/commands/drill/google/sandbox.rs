//! The tenant into which drills of a domain restore.

use std::collections::{BTreeMap, BTreeSet};

use drill::SourceDrills;
use google_recovery::sandbox::domain_of;
use model::SourceName;
use serde::Deserialize;
use source_google::Part;

use super::places::domains_of;
use crate::{connectors::google::GoogleConfig, exit::Exit, failure::Failure};

/// What the configuration says about a sandbox: `[drills.sources.NAME.sandbox]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sandbox {
    /// The key file of the service account that writes there, by reference.
    pub(super) credential: String,
    /// How it is read, as a source of its own.
    pub(super) settings: GoogleConfig,
    /// Which account's things go into which account there, by addresses.
    pub(super) accounts: BTreeMap<String, String>,
    /// Whether it is a simulated tenant; one at an address of its own is, unless this says otherwise.
    simulated: Option<bool>,
}

impl Sandbox {
    /// Reads what is configured, and refuses what would write into the protected domain itself.
    pub(super) fn of(
        drills: &SourceDrills,
        name: &SourceName,
        source: &GoogleConfig,
    ) -> Result<Self, Failure> {
        let section = format!("[drills.sources.{name}.sandbox]");
        let table = drills.sandbox.clone().ok_or_else(|| {
            Failure::new(Exit::Usage, format!("a drill of {name} needs a sandbox to restore into"))
                .hint(format!("{section}: docs/guide/drills.md"))
        })?;
        let mut sandbox: Self = table.try_into().map_err(|error: toml::de::Error| {
            Failure::because(Exit::Usage, format!("{section} is not valid"), error)
        })?;
        let lower = |text: &String| text.to_lowercase();
        sandbox.accounts = sandbox.accounts.iter().map(|(from, to)| (lower(from), lower(to))).collect();
        let own = domain_of(&source.admin).to_lowercase();
        let from = sandbox.accounts.keys().map(|from| domain_of(from).to_lowercase());
        sandbox.refuse(&from.chain([own]).collect())?;
        Ok(sandbox)
    }

    /// Refuses accounts in domains of which something is stored: they belong to the protected organization.
    pub(super) fn refuse_domains_of(&self, streams: &[String]) -> Result<(), Failure> {
        self.refuse(&domains_of(streams))
    }

    fn refuse(&self, domains: &BTreeSet<String>) -> Result<(), Failure> {
        let admin = self.admin();
        for account in self.accounts.values().chain([&admin]) {
            if domains.contains(&domain_of(account).to_lowercase()) {
                return Err(Failure::new(Exit::Usage, format!("{account} belongs to the protected domain"))
                    .hint("a sandbox is another domain: a drill must not write into the one it proves"));
            }
        }
        Ok(())
    }

    /// Returns the administrator in whose name groups of users and shared drives are made.
    pub(super) fn admin(&self) -> String {
        self.settings.admin.to_lowercase()
    }

    /// Returns the parts of a service that go into it.
    pub(super) fn parts(&self) -> BTreeSet<Part> {
        let parts = &self.settings.parts;
        let all: BTreeSet<Part> =
            if parts.is_empty() { Part::ALL.into() } else { parts.iter().copied().collect() };
        all.into_iter().filter(|part| *part != Part::Audit).collect()
    }

    /// Returns whether the tenant is a simulated one.
    pub(super) fn is_simulated(&self) -> bool {
        self.simulated.unwrap_or(self.settings.address.is_some())
    }
}
