//! Google Workspace: settings from the configuration, the reader with its key.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use connect::Stop;
use connect_http::{HttpSettings, HttpTransport, TokenError, TokenSource, Transport};
use google_api::{
    ApiParts, ApiSettings, ServiceAccountKey, ServiceAccountTokens, WriteApi, containment_scope,
    method::restore_scope,
};
use google_containment::{ContainmentSettings, DomainContainer};
use isolation::trial::{Answer, Trial};
use model::{SourceName, StreamName};
use serde::{Deserialize, Serialize};
use service::{Installation, Secrets, StoredSource, config::SourceConfig};
use source_google::{GoogleReader, GoogleSettings, Part, audit::AuditSettings};

use crate::{
    arguments::Reading,
    connectors::selector::{Selector, commit_of},
    context::Context,
    exit::Exit,
    failure::Failure,
};

/// The kind of source that this connector protects, as the configuration names it.
pub(crate) const KIND: &str = "google";

/// The scopes that write: those of restores and containment, the one that deletes mail for good, and their neighbours.
const WRITING: [&str; 21] = [
    "https://mail.google.com/",
    "https://www.googleapis.com/auth/gmail.send",
    "https://www.googleapis.com/auth/gmail.compose",
    "https://www.googleapis.com/auth/gmail.settings.basic",
    "https://www.googleapis.com/auth/gmail.settings.sharing",
    "https://www.googleapis.com/auth/calendar",
    "https://www.googleapis.com/auth/admin.directory.orgunit",
    "https://www.googleapis.com/auth/admin.directory.rolemanagement",
    restore_scope::GMAIL_MODIFY,
    restore_scope::GMAIL_INSERT,
    restore_scope::GMAIL_LABELS,
    restore_scope::DRIVE,
    restore_scope::CALENDAR_EVENTS,
    restore_scope::CALENDAR_CALENDARS,
    restore_scope::CALENDAR_LIST,
    restore_scope::CALENDAR_SHARING,
    restore_scope::CONTACTS,
    restore_scope::GROUPS,
    restore_scope::GROUP_MEMBERS,
    containment_scope::CONSENTS,
    containment_scope::ACCOUNTS,
];

/// What the configuration says about one domain.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GoogleConfig {
    /// The service account's key file, by reference.
    pub(crate) key: String,
    /// The administrator in whose name the directory is read.
    pub(crate) admin: String,
    /// What is read; everything if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<Part>,
    /// Addresses of the only users that are read; all if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) users: Vec<String>,
    /// The pause between two looks of a capture that goes on.
    #[serde(default = "default_every_s")]
    pub(crate) every_s: u64,
    /// How many days of the audit log the first look reads.
    #[serde(default = "default_audit_days")]
    pub(crate) audit_days: u64,
    /// How many hours of it are read again for what appeared late; 24 at least is wise.
    #[serde(default = "default_audit_overlap_h")]
    pub(crate) audit_overlap_h: u64,
    /// How many units are read at a time.
    #[serde(default = "default_threads")]
    pub(crate) threads: usize,
    /// Where Google's services are, in place of their own addresses: a simulator or a proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<String>,
    /// PEM file of the certificates that are trusted in place of the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) certificates: Option<PathBuf>,
    /// Quotas that differ from the published ones, in units a minute, by pool: `gmail/user = 15000`; of a day:
    /// `drive/day`; 0 for none.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub(crate) quota: std::collections::BTreeMap<String, u64>,
    /// Prices that differ from the published ones, in units, by the method's name.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub(crate) units: std::collections::BTreeMap<String, u64>,
    /// Who stops programs and accounts; nobody does if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) containment: Option<ContainmentConfig>,
}

/// Who stops programs and accounts of a domain.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ContainmentConfig {
    /// The key file of a service account of its own, by reference.
    pub(crate) credential: String,
    /// The administrator in whose name it acts.
    pub(crate) admin: String,
    /// Addresses of accounts that belong to programs and to no person: these may be suspended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) machines: Vec<String>,
}

pub(crate) const fn default_every_s() -> u64 {
    2
}

pub(crate) const fn default_audit_days() -> u64 {
    7
}

pub(crate) const fn default_audit_overlap_h() -> u64 {
    24
}

pub(crate) const fn default_threads() -> usize {
    16
}

impl GoogleConfig {
    /// Reads the settings of a source; `None` when it is of another kind.
    pub(crate) fn of(name: &SourceName, source: &SourceConfig) -> Result<Option<Self>, Failure> {
        if source.kind != KIND {
            return Ok(None);
        }
        source.settings.clone().try_into().map(Some).map_err(|error: toml::de::Error| {
            Failure::because(Exit::Usage, format!("the settings of source {name} are not valid"), error)
        })
    }

    /// Returns the source's configuration.
    pub(crate) fn to_source(&self) -> Result<SourceConfig, Failure> {
        let settings = toml::Table::try_from(self)
            .map_err(|error| Failure::because(Exit::Failed, "the settings cannot be written", error))?;
        Ok(SourceConfig { kind: KIND.to_owned(), settings })
    }

    /// Makes the reader; one that is not to end after one look goes on until it is stopped.
    pub(crate) fn reader(
        &self,
        context: &Context,
        secrets: &Secrets<'_>,
        once: bool,
    ) -> Result<GoogleReader, Failure> {
        let key = read_key(secrets, &self.key)?;
        let transport = self.transport()?;
        let settings = GoogleSettings {
            admin: self.admin.clone(),
            parts: if self.parts.is_empty() {
                Part::ALL.into()
            } else {
                self.parts.iter().copied().collect()
            },
            users: self.users.iter().map(|user| user.to_lowercase()).collect::<BTreeSet<_>>(),
            api: self.api(),
            audit: AuditSettings {
                first: Duration::from_hours(self.audit_days.saturating_mul(24)),
                overlap: Duration::from_hours(self.audit_overlap_h),
            },
            threads: self.threads,
            clock: context.clock(),
            random: Arc::clone(&context.ports.random),
        };
        let reader = GoogleReader::new(key, Arc::new(transport), settings, context.progress());
        Ok(if once { reader } else { reader.every(Duration::from_secs(self.every_s)) })
    }

    /// Makes what writes into the domain, with a service account of its own.
    pub(crate) fn writer(
        &self,
        context: &Context,
        secrets: &Secrets<'_>,
        credential: &str,
        stop: &Stop,
    ) -> Result<WriteApi, Failure> {
        let hint = "make another one for restores, and delete its key when the restore is done";
        let key = self.other_key(secrets, credential, hint)?;
        self.write_api(context, key, stop)
    }

    /// Makes what stops programs and accounts, with a service account of its own; `None` where nothing is said of it.
    pub(crate) fn container(
        &self,
        context: &Context,
        secrets: &Secrets<'_>,
        stop: &Stop,
    ) -> Result<Option<DomainContainer>, Failure> {
        let Some(containment) = &self.containment else { return Ok(None) };
        let hint =
            "make another one for containment, with the two scopes that docs/guide/protect-google.md names";
        let key = self.other_key(secrets, &containment.credential, hint)?;
        let settings = ContainmentSettings {
            admin: containment.admin.clone(),
            spared: BTreeSet::from([self.admin.clone()]),
            machines: containment.machines.iter().cloned().collect(),
        };
        Ok(Some(DomainContainer::new(self.write_api(context, key, stop)?, settings)))
    }

    /// Asks the domain for tokens that write, with the key that captures: each must be refused. Nothing is done with one
    /// that is not.
    pub(crate) fn ask_for_writing(
        &self,
        context: &Context,
        secrets: &Secrets<'_>,
    ) -> Result<Vec<Trial>, Failure> {
        let key = read_key(secrets, &self.key)?;
        let tokens = ServiceAccountTokens::new(key, Arc::new(self.transport()?), context.clock());
        let ask = |scope: &&str| {
            let answer = match tokens.fetch(&self.admin, &[(*scope).to_owned()]) {
                Ok(_) => Answer::Done("a token".to_owned()),
                // Only this word is about the key and the scope; others are about the user or the clock.
                Err(TokenError::Refused { reason, .. })
                    if matches!(
                        reason.as_str(),
                        "unauthorized_client" | "access_denied" | "invalid_scope"
                    ) =>
                {
                    Answer::Refused(reason)
                }
                Err(error) => Answer::Unknown(error.to_string()),
            };
            Trial::new(scope.rsplit('/').find(|part| !part.is_empty()).unwrap_or(scope), answer)
        };
        Ok(WRITING.iter().map(ask).collect())
    }

    /// Reads the key of a service account that is not the one that captures.
    fn other_key(
        &self,
        secrets: &Secrets<'_>,
        credential: &str,
        hint: &str,
    ) -> Result<ServiceAccountKey, Failure> {
        let key = read_key(secrets, credential)?;
        if key.client_id == read_key(secrets, &self.key)?.client_id {
            let message = "this is the service account that captures, which may only read";
            return Err(Failure::new(Exit::Authentication, message).hint(hint));
        }
        Ok(key)
    }

    fn write_api(&self, context: &Context, key: ServiceAccountKey, stop: &Stop) -> Result<WriteApi, Failure> {
        let transport: Arc<dyn Transport> = Arc::new(self.transport()?);
        let client_id = key.client_id.clone();
        let tokens = ServiceAccountTokens::cached(key, Arc::clone(&transport), context.clock());
        let parts = ApiParts {
            transport,
            tokens,
            client_id,
            clock: context.clock(),
            random: Arc::clone(&context.ports.random),
            stop: stop.clone(),
        };
        Ok(WriteApi::new(parts, self.api()))
    }

    fn transport(&self) -> Result<HttpTransport, Failure> {
        HttpTransport::new(HttpSettings {
            // A capture that goes on has a quarter more of them.
            connections: self.threads + self.threads.div_ceil(4),
            certificates: self.certificates.clone(),
            ..HttpSettings::default()
        })
        .map_err(|error| Failure::because(Exit::Usage, "Google cannot be spoken to", error))
    }

    /// Returns how Google is called.
    pub(crate) fn api(&self) -> ApiSettings {
        let mut settings = ApiSettings {
            address: self.address.clone(),
            units: self.units.clone(),
            ..ApiSettings::default()
        };
        for (pool, &units) in &self.quota {
            settings.limit(pool, units);
        }
        settings
    }
}

fn read_key(secrets: &Secrets<'_>, reference: &str) -> Result<ServiceAccountKey, Failure> {
    let text = secrets.resolve(reference).map_err(|error| {
        let hint = error.hint();
        Failure::because(Exit::Authentication, "the service account's key cannot be read", error)
            .hint_opt(hint)
    })?;
    ServiceAccountKey::of_json(&text).map_err(|error| {
        let hint = error.hint();
        Failure::because(Exit::Authentication, "the service account's key cannot be used", error).hint(hint)
    })
}

/// Takes a path for a reference to the file; a reference stays what it is.
pub(crate) fn key_reference(text: &str) -> Result<String, Failure> {
    if ["file:", "env:", "exec:"].iter().any(|kind| text.starts_with(kind)) {
        return Ok(text.to_owned());
    }
    Ok(format!("file:{}", std::path::absolute(text)?.display()))
}

/// A domain, or a part of it, as it was at a moment.
pub(crate) struct StoredDomain {
    pub(crate) name: SourceName,
    pub(crate) config: GoogleConfig,
    pub(crate) stored: StoredSource,
    /// The stream that was named.
    pub(crate) stream: Option<StreamName>,
    /// The commit that the moment means.
    pub(crate) at: u64,
}

/// Opens what a person named, if it is a domain's.
pub(crate) fn open(
    context: &Context,
    installation: &Installation,
    what: &str,
    reading: &Reading,
) -> Result<Option<StoredDomain>, Failure> {
    let Selector { source, stream, moment } = Selector::of(what);
    let (name, config) = installation.config().source(source)?;
    let Some(config) = GoogleConfig::of(&name, config)? else { return Ok(None) };
    let stream = stream.map(StreamName::new).transpose().map_err(|error| {
        Failure::because(Exit::Usage, "no such stream", error).hint(format!("unwipe find {name}"))
    })?;
    let stored = context.stored(installation, &name, reading)?;
    let at = commit_of(&stored, name.as_str(), moment)?;
    Ok(Some(StoredDomain { name, config, stored, stream, at }))
}
