//! What somebody else's credential can do where a vault lies: tried on throw-away objects alone.

use std::sync::Arc;

use model::Moment;
use ports::{Clock, Random};

use super::{
    super::{
        S3Credential, S3Settings, SettingsError,
        client::Client,
        connection::{Connection, S3Error},
        encoding::hex,
    },
    Bench, FOLDER, LOCK_MICROS, SECOND_MICROS, Target,
    attacker::{Attacker, OddPut, checksum},
    text_of,
};

/// One thing that was tried with a foreign credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignAttempt {
    /// What: `list the vault's objects`.
    pub what: &'static str,
    /// What became of it.
    pub answer: ForeignAnswer,
}

/// How a bucket answered a foreign credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForeignAnswer {
    /// It refused.
    Refused(String),
    /// It did it.
    Done(String),
    /// Nobody knows: it did not answer, or there was nothing to try it on.
    Unknown(String),
}

/// Tries what a credential that is not the vault's can do in the vault's bucket.
///
/// `writer` makes the throw-away objects on which deleting and unlocking are tried; they lie below the attestations'
/// folder and are locked for minutes. Of the vault's own objects one is looked at, `vault.json`, and none is written.
pub fn try_foreign(
    settings: &S3Settings,
    writer: S3Credential,
    foreign: S3Credential,
    clock: &Arc<dyn Clock>,
    random: &Arc<dyn Random>,
) -> Result<Vec<ForeignAttempt>, SettingsError> {
    let connect = |credential| Connection::new(settings, credential, Arc::clone(clock), Arc::clone(random));
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    let bench = Bench {
        client: Client::new(connect(writer)?),
        attacker: Attacker::new(connect(foreign.clone())?),
        stranger: Client::new(connect(foreign)?),
        folder: format!("{FOLDER}{}/", hex(&bytes)),
        checks: Vec::new(),
    };
    Ok(bench.foreign())
}

impl Bench {
    /// Here the stranger is the client of the foreign credential, and the attacker is, too.
    fn foreign(&self) -> Vec<ForeignAttempt> {
        let foreign = &self.stranger;
        let mut attempts = vec![
            attempt(
                "list the vault's objects",
                foreign.versions_of("vault.json").map(|versions| {
                    let seen = usize::from(versions.original.is_some()) + versions.others.len();
                    format!("it sees {seen} versions of vault.json")
                }),
            ),
            attempt("read a small object of the vault's", self.read_manifest()),
            attempt("put an object beside the vault's", self.put_aside()),
        ];
        let store_now = self.client.time().unwrap_or_else(|_| self.client.connection().clock().now());
        match self.target("foreign", store_now) {
            Ok(target) => attempts.extend(self.attack(&target)),
            Err(error) => {
                let why = format!("the writer could make no throw-away object: {}", text_of(&error));
                let answer = ForeignAnswer::Unknown(why);
                attempts.push(ForeignAttempt { what: "delete a locked throw-away object", answer });
            }
        }
        attempts.push(self.write_back_rule());
        attempts
    }

    fn read_manifest(&self) -> Result<String, S3Error> {
        // Which version it is only somebody knows who may list; the writer may.
        let original = self.client.versions_of("vault.json")?.original;
        let original = original.ok_or(S3Error::Nonsense { what: "there is no vault.json" })?;
        let bytes = self.stranger.get_version("vault.json", &original.version_id, None)?;
        Ok(format!("it read {} bytes of vault.json", bytes.len()))
    }

    /// Puts an object into the attestations' folder and takes it away again, where that is possible.
    fn put_aside(&self) -> Result<String, S3Error> {
        let (key, content) = (self.key("put"), b"a throw-away object of doctor".as_slice());
        let version_id =
            self.attacker.put(OddPut { key: &key, content, headers: vec![checksum(content)] })?;
        let removed = version_id.is_some_and(|id| self.attacker.delete_version(&key, &id, false).is_ok());
        Ok(format!("it did, {}", if removed { "and removed it again" } else { "and could not remove it" }))
    }

    fn attack(&self, target: &Target) -> Vec<ForeignAttempt> {
        let Target { key, version_id, until, .. } = target;
        let later = |seconds: i64| until.plus_micros(seconds * SECOND_MICROS);
        let earlier: Moment = until.plus_micros(-LOCK_MICROS / 2);
        let attacker = &self.attacker;
        // From the mild to the harsh. That a lock held is no refusal of the credential: both are said.
        vec![
            attempt(
                "hide a throw-away object behind a delete marker",
                attacker.hide(key).map(|()| "it did; the locked version is still there".to_owned()),
            ),
            attempt(
                "extend the lock of a throw-away object",
                attacker
                    .set_lock(key, version_id, "COMPLIANCE", later(60), false)
                    .map(|()| "it did".to_owned()),
            ),
            attempt(
                "shorten the lock of a throw-away object",
                attacker.set_lock(key, version_id, "COMPLIANCE", earlier, true).map(|()| "it did".to_owned()),
            ),
            attempt(
                "delete a locked throw-away object",
                attacker.delete_version(key, version_id, false).map(|()| "it did".to_owned()),
            ),
            attempt(
                "delete a locked throw-away object, with the header that lifts locks",
                attacker.delete_version(key, version_id, true).map(|()| "it did".to_owned()),
            ),
        ]
    }

    /// Writes the bucket's lock rule back as it is: shows who may change it, and changes nothing.
    fn write_back_rule(&self) -> ForeignAttempt {
        let what = "set the bucket's lock rule (written back as it is)";
        match self.client.bucket_document("object-lock") {
            Ok(document) => {
                attempt(what, self.attacker.set_lock_rule(&document).map(|()| "it did".to_owned()))
            }
            Err(error) => {
                let why = format!("the writer cannot read the rule: {}", text_of(&error));
                ForeignAttempt { what, answer: ForeignAnswer::Unknown(why) }
            }
        }
    }
}

fn attempt(what: &'static str, result: Result<String, S3Error>) -> ForeignAttempt {
    let answer = match result {
        Ok(text) => ForeignAnswer::Done(text),
        Err(error) if error.status().is_some_and(|status| matches!(status, 401 | 403)) => {
            ForeignAnswer::Refused(text_of(&error))
        }
        Err(error) => ForeignAnswer::Unknown(text_of(&error)),
    };
    ForeignAttempt { what, answer }
}
