//! What can be chosen about the Reports API.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

/// How the Reports API behaves where the vendor's documents leave it open. When activities appear is said in
/// [`AuditSettings`](crate::AuditSettings).
#[derive(Debug, Clone)]
pub struct ReportsSettings {
    /// How far back it shows activities.
    pub window: Duration,
    /// How long the span is at most that can be asked of the mail log.
    pub mail_span_max: Duration,
    /// Numbers of networks by address. Other addresses get one of those that are kept for documents.
    pub networks: BTreeMap<IpAddr, u32>,
    /// The country from which everything comes.
    pub region: String,
}

impl Default for ReportsSettings {
    fn default() -> Self {
        let day = Duration::from_hours(24);
        Self {
            window: 180 * day,
            mail_span_max: 30 * day,
            networks: BTreeMap::new(),
            region: "DE".to_owned(),
        }
    }
}
