//! The tenant into which drills of a domain restore.

use std::collections::BTreeMap;

use drill::SourceDrills;
use model::SourceName;
use serde::Deserialize;

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
        for (from, to) in &sandbox.accounts {
            if domain_of(to) == own || domain_of(to) == domain_of(from) {
                return Err(Failure::new(Exit::Usage, format!("{to} belongs to the protected domain"))
                    .hint("a sandbox is another domain: a drill must not write into the one it proves"));
            }
        }
        Ok(sandbox)
    }

    /// Returns whether the tenant is a simulated one.
    pub(super) fn is_simulated(&self) -> bool {
        self.simulated.unwrap_or(self.settings.address.is_some())
    }
}

fn domain_of(address: &str) -> &str {
    address.rsplit_once('@').map_or(address, |(_, domain)| domain)
}
