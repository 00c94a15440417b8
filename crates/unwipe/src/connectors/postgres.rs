//! PostgreSQL: settings from the configuration, connections with their secrets.

use std::{path::PathBuf, sync::Arc, time::Duration};

use connect::Progress;
use model::{Redacted, SourceName};
use ports::Clock;
use postgres_guard::{ClusterContainer, Pulse};
use postgres_wire::{ConnectionSettings, Host, RootCertificates, SettingsError, TlsMode};
use serde::{Deserialize, Serialize};
use service::{Secrets, config::SourceConfig};
use source_postgres::{ClusterReader, ClusterSettings};

use crate::{exit::Exit, failure::Failure};

/// The kind of source that this connector protects, as the configuration names it.
pub(crate) const KIND: &str = "postgres";

/// How often it is looked whether the server sits on its log.
const PULSE_INTERVAL: Duration = Duration::from_millis(50);

/// What the configuration says about one cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostgresConfig {
    /// Where it is and as whom it is read, without a password.
    pub(crate) url: String,
    /// That role's password, by reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password: Option<String>,
    /// A role with `pg_monitor`, without a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) monitor_url: Option<String>,
    /// That role's password, by reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) monitor_password: Option<String>,
    /// The folder with the server's own log, csvlog or jsonlog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) log_folder: Option<PathBuf>,
    /// The replication slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) slot: Option<String>,
    /// Whether commits wait for the vault.
    #[serde(default)]
    pub(crate) synchronous: bool,
    /// How fast a base may be copied, in kilobytes per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_rate_kb: Option<u32>,
    /// Whether a standby may be read in place of the primary.
    #[serde(default)]
    pub(crate) standby: bool,
    /// The cluster's superuser, as whom private servers are used; `postgres` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) superuser: Option<String>,
    /// As whom a wipe is stopped, where `unwipe guard install --contain` was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) guard: Option<GuardConfig>,
}

/// What the configuration says about the guard of one cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GuardConfig {
    /// Where it is and as whom a wipe is stopped, without a password: `postgresql://unwipe_guard@HOST/DATABASE`.
    pub(crate) url: String,
    /// That role's password, by reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password: Option<String>,
}

impl PostgresConfig {
    /// Returns the name of the cluster's superuser.
    pub(crate) fn superuser(&self) -> &str {
        self.superuser.as_deref().unwrap_or("postgres")
    }

    /// Reads the connector's part of a source's configuration.
    pub(crate) fn of(name: &SourceName, source: &SourceConfig) -> Result<Self, Failure> {
        if source.kind != KIND {
            return Err(Failure::new(
                Exit::Usage,
                format!("source {name} has the unknown kind {:?}", source.kind),
            ));
        }
        source.settings.clone().try_into().map_err(|error: toml::de::Error| {
            Failure::because(Exit::Usage, format!("the settings of source {name} are not valid"), error)
        })
    }

    /// Returns the source's configuration.
    pub(crate) fn to_source(&self) -> Result<SourceConfig, Failure> {
        let settings = toml::Table::try_from(self)
            .map_err(|error| Failure::because(Exit::Failed, "the settings cannot be written", error))?;
        Ok(SourceConfig { kind: KIND.to_owned(), settings })
    }

    /// Returns the reader's settings, secrets resolved.
    pub(crate) fn settings(
        &self,
        name: &SourceName,
        secrets: &Secrets<'_>,
    ) -> Result<ClusterSettings, Failure> {
        let mut settings = ClusterSettings::new(name, &self.url).map_err(refused)?;
        settings.replication = connection(&self.url, self.password.as_deref(), secrets)?;
        if let Some(url) = &self.monitor_url {
            settings.monitor = Some(connection(url, self.monitor_password.as_deref(), secrets)?);
        }
        settings.log_folder.clone_from(&self.log_folder);
        if let Some(slot) = &self.slot {
            settings = settings
                .with_slot(slot)
                .map_err(|error| Failure::because(Exit::Usage, "the slot cannot be named so", error))?;
        }
        settings.synchronous = self.synchronous;
        settings.standby_allowed = self.standby;
        settings.base_rate_kib_max = self.max_rate_kb;
        Ok(settings)
    }

    /// Returns the roles that read for us.
    pub(crate) fn roles(&self) -> Result<Vec<String>, Failure> {
        let urls = std::iter::once(&self.url).chain(&self.monitor_url);
        urls.map(|url| Ok(ConnectionSettings::from_url(url).map_err(refused)?.user)).collect()
    }

    /// Makes what can stop a wipe, and what keeps an idle server's log moving; nothing where no guard is configured.
    /// Nothing is contacted before it is used.
    pub(crate) fn guard(
        &self,
        secrets: &Secrets<'_>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Option<(ClusterContainer, Pulse)>, Failure> {
        let Some(guard) = &self.guard else { return Ok(None) };
        let settings = connection(&guard.url, guard.password.as_deref(), secrets)?;
        let pulse = Pulse::start(settings.clone(), PULSE_INTERVAL, Arc::clone(clock));
        Ok(Some((ClusterContainer::new(settings, Arc::clone(clock)), pulse)))
    }

    /// Makes the reader.
    pub(crate) fn reader(
        &self,
        name: &SourceName,
        secrets: &Secrets<'_>,
        clock: Arc<dyn Clock>,
        progress: Arc<dyn Progress>,
    ) -> Result<ClusterReader, Failure> {
        Ok(ClusterReader::new(self.settings(name, secrets)?, clock).with_progress(progress))
    }
}

/// Makes connection settings from an address without a password and a reference to the password.
pub(crate) fn connection(
    url: &str,
    password: Option<&str>,
    secrets: &Secrets<'_>,
) -> Result<ConnectionSettings, Failure> {
    let mut settings = ConnectionSettings::from_url(url).map_err(refused)?;
    if settings.password.is_some() {
        return Err(Failure::new(Exit::Usage, "the address holds a password")
            .hint("write the password into a file with mode 600 and give --password file:PATH"));
    }
    if let Some(reference) = password {
        let secret = secrets.resolve(reference).map_err(service::ServiceError::from)?;
        settings.password = Some(Redacted::new(secret.expose().clone()));
    }
    Ok(settings)
}

/// Writes settings without their password as PostgreSQL's own programs take them: `host='db' port='5432' ...`.
pub(crate) fn for_programs(settings: &ConnectionSettings) -> String {
    let (host, tls) = match &settings.host {
        Host::Network(name) => (name.clone(), Some(settings.tls)),
        // The programs refuse to speak TLS over a socket, and need not.
        Host::SocketDirectory(folder) => (folder.display().to_string(), None),
    };
    let mode = tls.map(|tls| match tls {
        TlsMode::Disable => "disable",
        TlsMode::Prefer => "prefer",
        TlsMode::Require => "require",
        TlsMode::VerifyCa => "verify-ca",
        TlsMode::VerifyFull => "verify-full",
    });
    let roots = match (&settings.root_certificates, tls) {
        (RootCertificates::File(path), Some(_)) => Some(path.display().to_string()),
        // Only with `verify-full` do the programs accept the system's authorities, from PostgreSQL 16 on.
        (RootCertificates::System, Some(TlsMode::VerifyFull)) => Some("system".to_owned()),
        _ => None,
    };
    let parts = [
        ("host", Some(host)),
        ("port", Some(settings.port.to_string())),
        ("user", Some(settings.user.clone())),
        ("dbname", settings.database.clone()),
        ("sslmode", mode.map(str::to_owned)),
        ("sslrootcert", roots),
        ("options", settings.options.clone()),
    ];
    let quoted = |value: &str| value.replace('\\', r"\\").replace('\'', r"\'");
    parts
        .iter()
        .filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}='{}'", quoted(value))))
        .collect::<Vec<_>>()
        .join(" ")
}

fn refused(error: SettingsError) -> Failure {
    Failure::because(Exit::Usage, "the address cannot be used", error)
        .hint("postgresql://ROLE@HOST:PORT/DATABASE?sslmode=verify-full")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(url: &str) -> String {
        for_programs(&ConnectionSettings::from_url(url).unwrap())
    }

    #[test]
    fn programs_are_told_where_as_whom_and_how_secured_but_no_password() {
        let text =
            written("postgresql://anna:secret@db.internal:6432/shop?sslmode=verify-ca&sslrootcert=/ca.pem");
        assert_eq!(
            text,
            "host='db.internal' port='6432' user='anna' dbname='shop' sslmode='verify-ca' sslrootcert='/ca.pem'"
        );
        assert!(written("postgresql://anna@db.internal/shop").contains("sslmode='require'"));
    }

    #[test]
    fn a_name_with_a_quote_stays_one_name() {
        assert!(written("postgresql://o%27neil@127.0.0.1/a%5Cb").contains(r"user='o\'neil' dbname='a\\b'"));
    }

    #[test]
    fn a_socket_needs_no_encryption() {
        let text = written("postgresql://anna@/shop?host=/run/postgresql");
        assert_eq!(text, "host='/run/postgresql' port='5432' user='anna' dbname='shop'");
    }
}
