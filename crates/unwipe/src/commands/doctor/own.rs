//! The vault's own secrets and the capture's, to be compared with what production has.

use std::collections::BTreeSet;

use isolation::{
    judge::KeyUse,
    own::{Own, Power, pieces},
};
use model::Redacted;
use service::{Installation, Place, Secrets};

use super::places::places;

/// What is secret here, by reference and by value.
#[derive(Default)]
pub(super) struct OwnSecrets {
    pub(super) own: Vec<Own>,
    /// Secrets that could not be had, with the reason: they are not compared.
    pub(super) missing: Vec<String>,
    /// References on the vault's side.
    pub(super) of_vault: Vec<KeyUse>,
    /// References on the sources' side.
    pub(super) of_sources: Vec<KeyUse>,
    /// Variables of the environment that unwipe itself is given secrets in.
    pub(super) variables: BTreeSet<String>,
}

/// Members of JSON documents that are secret; the rest of such a document may be known to everybody.
const MEMBERS: [&str; 6] = ["private_key", "key", "capture_key", "chunk_key", "signing_seed", "journal_key"];

impl OwnSecrets {
    pub(super) fn gather(installation: &Installation, secrets: &Secrets<'_>) -> Self {
        let (config, mut gathered) = (installation.config(), Self::default());
        gathered.vault(secrets, "the capture key", Power::Add, &config.vault.capture_key);
        if let Some(key) = &config.restore.key {
            gathered.vault(secrets, "the restore key", Power::Read, key);
        }
        for place in places(installation) {
            let of = |what: &str| format!("{what} of {}", place.label);
            match place.place {
                Place::Folder { .. } | Place::SealedFolder { .. } => {}
                Place::Server { key, .. } => {
                    gathered.vault(secrets, &of("the key for the server"), Power::Add, key);
                }
                Place::S3(bucket) => {
                    let parts = [
                        ("the writer's access key", Power::Add, Some(&bucket.access_key)),
                        ("the writer's secret key", Power::Add, Some(&bucket.secret_key)),
                        ("the writer's session token", Power::Add, bucket.session_token.as_ref()),
                        ("the attestations' access key", Power::Remove, bucket.attest_access_key.as_ref()),
                        ("the attestations' secret key", Power::Remove, bucket.attest_secret_key.as_ref()),
                        ("the reaper's access key", Power::Remove, bucket.reaper_access_key.as_ref()),
                        ("the reaper's secret key", Power::Remove, bucket.reaper_secret_key.as_ref()),
                    ];
                    for (what, power, reference) in parts {
                        if let Some(reference) = reference {
                            gathered.vault(secrets, &of(what), power, reference);
                        }
                    }
                }
            }
        }
        for (name, source) in &config.sources {
            gathered.source(secrets, name.as_str(), &source.settings);
        }
        gathered
    }

    fn vault(&mut self, secrets: &Secrets<'_>, what: &str, power: Power, reference: &str) {
        self.of_vault.push(KeyUse { what: what.to_owned(), reference: reference.to_owned() });
        self.add(secrets, what, power, reference);
    }

    /// Whatever kind of source it is: its settings hold secrets by reference only.
    fn source(&mut self, secrets: &Secrets<'_>, path: &str, settings: &toml::Table) {
        for (name, value) in settings {
            let path = format!("{path}.{name}");
            match value {
                toml::Value::Table(table) => self.source(secrets, &path, table),
                toml::Value::String(text) if is_reference(text) => {
                    let stops = [".guard.", ".containment."].iter().any(|part| path.contains(part));
                    let power = if stops { Power::Stop } else { Power::Source };
                    let what = format!("the secret of {path}");
                    self.of_sources.push(KeyUse { what: what.clone(), reference: text.clone() });
                    self.add(secrets, &what, power, text);
                }
                _ => {}
            }
        }
    }

    fn add(&mut self, secrets: &Secrets<'_>, what: &str, power: Power, reference: &str) {
        if let Some(variable) = reference.strip_prefix("env:") {
            self.variables.insert(variable.to_owned());
        }
        match secrets.resolve(reference) {
            Ok(text) => {
                self.own.push(Own { what: what.to_owned(), power, values: parts_of(text.expose()) });
            }
            Err(error) => self.missing.push(format!("{what}: {error}")),
        }
    }
}

fn is_reference(text: &str) -> bool {
    ["file:", "env:", "exec:"].iter().any(|kind| text.starts_with(kind))
}

/// Returns the texts of which each alone is the secret.
fn parts_of(text: &str) -> Vec<Redacted<String>> {
    match serde_json::from_str(text) {
        Ok(serde_json::Value::Object(members)) => {
            MEMBERS.iter().filter_map(|member| members.get(*member)?.as_str()).flat_map(pieces).collect()
        }
        _ => pieces(text),
    }
}
