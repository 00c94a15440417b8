//! What a person decides about the protection of one cluster.

use std::{path::PathBuf, time::Duration};

use model::SourceName;
use postgres_wire::{ConnectionSettings, SettingsError};

/// Bytes in the longest name of a replication slot.
const SLOT_NAME_BYTES_MAX: usize = 63;

/// A slot name that the server would refuse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} cannot be the name of a replication slot: 1 to 63 lower-case letters, digits and underscores"
)]
pub struct SlotNameError {
    name: String,
}

/// How one cluster is read.
#[derive(Debug, Clone)]
pub struct ClusterSettings {
    /// Where the cluster is, with the role that has `REPLICATION`.
    pub replication: ConnectionSettings,
    /// The role that may see everybody's activity (`pg_monitor`), where one was given.
    pub monitor: Option<ConnectionSettings>,
    /// The folder with the server's own log, where its owner lets us read it.
    pub log_folder: Option<PathBuf>,
    /// The replication slot that keeps WAL for us; also the application name, so that
    /// `synchronous_standby_names` can name it.
    pub slot: String,
    /// Whether the owner lets commits wait for us (`synchronous_standby_names` names the slot).
    pub synchronous: bool,
    /// Whether a standby may be read in place of a primary.
    pub standby_allowed: bool,
    /// How fast a base may be copied, in KiB/s; none for as fast as it goes.
    pub base_rate_kib_max: Option<u32>,
    /// Whether the checkpoint before a base is spread over minutes, which is gentler and slower.
    pub base_checkpoint_spread: bool,
    /// How often activity is sampled.
    pub sampling_interval: Duration,
    /// How long the reader waits for a server that went away before it ends.
    pub patience: Duration,
}

impl ClusterSettings {
    /// Makes settings with defaults from the address of the replication role.
    pub fn new(source: &SourceName, replication_url: &str) -> Result<Self, SettingsError> {
        Ok(Self {
            replication: ConnectionSettings::from_url(replication_url)?,
            monitor: None,
            log_folder: None,
            slot: default_slot(source),
            synchronous: false,
            standby_allowed: false,
            base_rate_kib_max: None,
            base_checkpoint_spread: false,
            sampling_interval: Duration::from_millis(100),
            patience: Duration::from_mins(1),
        })
    }

    /// Adds the role that may see everybody's activity.
    pub fn with_monitor(mut self, url: &str) -> Result<Self, SettingsError> {
        self.monitor = Some(ConnectionSettings::from_url(url)?);
        Ok(self)
    }

    /// Uses another replication slot.
    pub fn with_slot(mut self, name: &str) -> Result<Self, SlotNameError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if name.is_empty() || name.len() > SLOT_NAME_BYTES_MAX || !name.bytes().all(allowed) {
            return Err(SlotNameError { name: name.to_owned() });
        }
        name.clone_into(&mut self.slot);
        Ok(self)
    }

    /// Returns the settings of a replication connection; its application name is the slot's.
    pub(crate) fn replication_connection(&self) -> ConnectionSettings {
        let mut settings = self.replication.clone();
        settings.application_name = Some(self.slot.clone());
        settings
    }

    /// Returns the settings of an SQL connection of the replication role.
    pub(crate) fn sql_connection(&self, database: &str) -> ConnectionSettings {
        let mut settings = self.replication.clone();
        settings.application_name = Some(format!("{} names", self.slot));
        settings.database = Some(database.to_owned());
        settings
    }

    /// Returns the database for questions about the whole cluster.
    pub(crate) fn database(&self) -> String {
        self.replication.database.clone().unwrap_or_else(|| "postgres".to_owned())
    }
}

fn default_slot(source: &SourceName) -> String {
    let mut name = format!("unwipe_{}", source.as_str().replace('-', "_"));
    name.truncate(SLOT_NAME_BYTES_MAX);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_named_after_its_source() {
        let source = SourceName::new("car-rental-2").unwrap();
        let settings = ClusterSettings::new(&source, "postgresql://unwipe@db.example/shop").unwrap();
        assert_eq!(settings.slot, "unwipe_car_rental_2");
        assert_eq!(
            settings.replication_connection().application_name.as_deref(),
            Some("unwipe_car_rental_2")
        );
        assert_eq!(settings.database(), "shop");
        let long = SourceName::new("a".repeat(63)).unwrap();
        assert_eq!(default_slot(&long).len(), SLOT_NAME_BYTES_MAX);
    }

    #[test]
    fn a_slot_name_that_the_server_would_refuse_is_refused_here() {
        let source = SourceName::new("shop").unwrap();
        let settings = ClusterSettings::new(&source, "postgresql://unwipe@db.example/shop").unwrap();
        for bad in ["", "Shop", "a-b", "ü", &"x".repeat(64)] {
            assert!(settings.clone().with_slot(bad).is_err(), "{bad:?} was accepted");
        }
        assert_eq!(settings.with_slot("other_1").unwrap().slot, "other_1");
    }
}
