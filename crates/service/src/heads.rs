//! Tree heads of an installation's vault: making them, and having them cosigned by the configured witnesses.

use std::{sync::Arc, time::Duration};

use ports::Clock;
use vault::{
    Vault, retention,
    tree::{Advance, CosignatureError, NoteSignature, SignedCheckpoint, TreeHead, VerifierKey},
};
use witness::{Client, Submission, SubmitError};

use crate::{Installation, ServiceError, config::WitnessConfig, secret::Environment};

/// What a configured witness answered, by its name.
pub type Answer = (String, Result<Submission, SubmitError>);

/// The newest tree head with all that is kept about it.
#[derive(Debug, Clone)]
pub struct NewestHead {
    /// The head.
    pub head: TreeHead,
    /// Its checkpoint, with the cosignatures that are kept in the vault.
    pub signed: SignedCheckpoint,
    /// The configured witnesses that cosigned it, and when by their clocks: seconds since 1970.
    pub witnesses: Vec<(String, u64)>,
}

/// Shows a vault's newest head to the configured witnesses, again and again.
pub struct Submitter {
    vault: Vault,
    clients: Vec<(String, Client)>,
    clock: Arc<dyn Clock>,
    newest: Option<TreeHead>,
    /// When the same head is shown again, by elapsed time.
    next: Duration,
}

/// An idle vault is still alive: the witnesses hear of it this often.
const AGAIN_AFTER: Duration = Duration::from_hours(1);
/// A witness that refused or did not answer is asked again after this.
const RETRY_AFTER: Duration = Duration::from_mins(5);

impl Submitter {
    /// Shows the newest head to every witness, whatever the others answer.
    pub fn submit(&mut self) -> Result<Vec<Answer>, ServiceError> {
        self.find_newest()?;
        Ok(self.show())
    }

    /// Does the same when there is a new head, or when the last one was shown long ago.
    pub fn submit_if_due(&mut self) -> Result<Vec<Answer>, ServiceError> {
        let new = self.find_newest()?;
        if new || self.clock.elapsed() >= self.next { Ok(self.show()) } else { Ok(Vec::new()) }
    }

    /// Brings the newest head up to date, without listing all of them each time; returns whether it is another one.
    fn find_newest(&mut self) -> Result<bool, ServiceError> {
        let later = match &self.newest {
            None => self.vault.newest_tree_head()?,
            Some(known) => self.vault.later_tree_head(known)?,
        };
        let new = later.is_some();
        self.newest = later.or(self.newest.take());
        Ok(new)
    }

    fn show(&mut self) -> Vec<Answer> {
        let now = self.clock.now();
        let ask = |(name, client): &(String, Client)| {
            let answer = match &self.newest {
                Some(head) => client.submit(&self.vault, head, now),
                None => Err(SubmitError::NoHead),
            };
            (name.clone(), answer)
        };
        let answers: Vec<_> = self.clients.iter().map(ask).collect();
        let failed = answers.iter().any(|(_, answer)| answer.is_err());
        self.next = self.clock.elapsed() + if failed { RETRY_AFTER } else { AGAIN_AFTER };
        answers
    }
}

impl WitnessConfig {
    /// Reads the witness's key.
    pub fn verifier_key(&self, name: &str) -> Result<VerifierKey, ServiceError> {
        self.key.parse().map_err(|source| ServiceError::WitnessKey { name: name.to_owned(), source })
    }
}

impl Installation {
    /// Makes a tree head of all commits that none covers yet.
    pub fn advance_head(&self, environment: Environment<'_>) -> Result<Advance, ServiceError> {
        Ok(self.writer(environment)?.0.advance_head()?)
    }

    /// Returns the newest tree head.
    pub fn newest_head(&self, environment: Environment<'_>) -> Result<Option<NewestHead>, ServiceError> {
        let vault = self.vault(environment)?;
        let Some(head) = vault.newest_tree_head()? else { return Ok(None) };
        let signed = vault.cosigned(&head)?;
        let mut witnesses = Vec::new();
        for (name, witness) in &self.config().witnesses {
            let key = witness.verifier_key(name)?;
            witnesses.extend(signed.note.cosigned_at(&key).map(|time| (name.clone(), time)));
        }
        Ok(Some(NewestHead { head, signed, witnesses }))
    }

    /// Opens what shows this vault's heads to the configured witnesses.
    pub fn submitter(&self, environment: Environment<'_>) -> Result<Submitter, ServiceError> {
        let client = |(name, witness): (&String, &WitnessConfig)| {
            Ok((name.clone(), Client::new(&witness.url, witness.verifier_key(name)?)))
        };
        let clients = self.config().witnesses.iter().map(client).collect::<Result<Vec<_>, ServiceError>>()?;
        Ok(Submitter {
            vault: self.vault(environment)?,
            clients,
            clock: Arc::clone(&self.ports().clock),
            newest: None,
            next: Duration::ZERO,
        })
    }

    /// Keeps what a witness without a network answered, beside the newest head that it belongs to.
    ///
    /// Only signatures of configured witnesses are kept: others prove nothing to anybody here.
    pub fn keep_cosignatures(
        &self,
        answer: &str,
        environment: Environment<'_>,
    ) -> Result<Vec<(String, u64)>, ServiceError> {
        let vault = self.vault(environment)?;
        let lines = NoteSignature::parse_all(answer).map_err(CosignatureError::from)?;
        let mut kept = Vec::new();
        // Heads may have been made since the question was carried away.
        let mut number = vault.last_tree_head()?;
        while let Some(at) = number.filter(|_| kept.is_empty()) {
            let head = vault.tree_head(at)?;
            let now = self.ports().clock.now().max(head.vault_time);
            let lock = retention::lock_until(now, vault.manifest().lock_days);
            for (name, witness) in &self.config().witnesses {
                let key = witness.verifier_key(name)?;
                let mut note = head.signed.note.clone();
                note.extend(lines.iter().cloned());
                if note.cosigned_at(&key).is_some() {
                    let own: String = note.of(&key).map(|line| format!("{line}\n")).collect();
                    vault.keep_cosignatures(&head, &own, lock)?;
                    kept.push((name.clone(), at));
                }
            }
            number = at.checked_sub(1);
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use blobs::MemoryStore;
    use model::{Moment, SourceName, StreamName};
    use ports::{BlobStore, ManualClock, SeededRandom};
    use vault::{Cursor, InitOptions, VaultWriter, WriterOptions};
    use witness::Witness;

    use super::*;

    #[test]
    fn a_head_is_shown_at_once_when_it_is_new_and_every_hour_when_it_is_not() {
        let clock = Arc::new(ManualClock::new(Moment::from_micros(1_777_125_609_000_000)));
        let random = Arc::new(SeededRandom::new(1));
        let store: Arc<dyn BlobStore> = Arc::new(MemoryStore::new());
        let keys = vault::init(&*store, InitOptions { lock_days: 30 }, &*clock, &*random).unwrap();
        let (store_again, options) = (Arc::clone(&store), WriterOptions::default());
        let writer =
            VaultWriter::open(store_again, &keys.capture_key, clock.clone(), random.clone(), options)
                .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut witness =
            Witness::init(folder.path(), "w.example/1", false, clock.clone(), &*random).unwrap();
        witness
            .watch(&vault::keys::KeyState::of(&keys.manifest).verifier_keys(keys.manifest.vault)[0])
            .unwrap();
        let key = witness.key().clone();
        let server = witness::start(witness, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let client = Client::new(&format!("http://{}", server.address()), key);
        let vault = Vault::open(store).unwrap();
        let mut submitter = Submitter {
            vault,
            clients: vec![("one".to_owned(), client)],
            clock: clock.clone(),
            newest: None,
            next: Duration::ZERO,
        };
        let mut shown = || {
            let answers = submitter.submit_if_due().unwrap();
            answers.into_iter().map(|(_, answer)| answer.is_ok()).collect::<Vec<_>>()
        };
        assert_eq!(shown(), [false], "there is no head yet");
        assert!(shown().is_empty());
        let grow = || {
            let mut commit = writer.begin(&SourceName::new("shop").unwrap());
            commit.remove(StreamName::new("base").unwrap(), "x").unwrap();
            commit.finish(&Cursor(Vec::new())).unwrap();
            writer.advance_head().unwrap();
        };
        grow();
        assert_eq!(shown(), [true]);
        assert!(shown().is_empty());
        grow();
        grow();
        assert_eq!(shown(), [true]);
        clock.advance_micros(3_599_000_000);
        assert!(shown().is_empty());
        clock.advance_micros(1_000_000);
        assert_eq!(shown(), [true]);
        drop(server);
        grow();
        assert_eq!(shown(), [false]);
        assert!(shown().is_empty());
        clock.advance_micros(300_000_000);
        assert_eq!(shown(), [false], "who did not answer is asked again soon");
    }
}
