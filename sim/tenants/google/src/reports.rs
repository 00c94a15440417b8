//! The Reports API: the audit log as administrators read it.

mod activity;
mod consents;
mod filters;
mod list;
mod settings;

use std::collections::BTreeMap;

pub(crate) use list::ROUTES;
pub use settings::ReportsSettings;

use crate::{audit::Activity, tenant::Tenant};

/// An agent that the vendor knows as one: what its program does is marked as an agent's doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its kind, as the vendor calls it.
    pub kind: String,
    /// The address of the person who answers for it.
    pub owner: String,
}

/// What the log needs to know besides what happened.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    /// Agents by the client id of their program.
    agents: BTreeMap<String, Agent>,
}

impl Tenant {
    /// Makes a program known as an agent's; from now on the log says so of everything that it did and does.
    pub fn register_agent(&mut self, client_id: &str, agent: Agent) {
        self.reports.agents.insert(client_id.to_owned(), agent);
    }

    /// Adds something to the audit log that no call did; its qualifier is drawn here.
    pub fn add_activity(&mut self, activity: Activity) {
        self.audit.add(&self.settings.audit, self.settings.seed, activity);
    }
}
