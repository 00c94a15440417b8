//! Tree heads of an installation's vault: making them, and having them cosigned by the configured witnesses.

use vault::{
    retention,
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

    /// Has the newest tree head cosigned by every configured witness, whatever the others answer.
    pub fn submit_head(&self, environment: Environment<'_>) -> Result<Vec<Answer>, ServiceError> {
        let vault = self.vault(environment)?;
        let mut results = Vec::new();
        for (name, witness) in &self.config().witnesses {
            let client = Client::new(&witness.url, witness.verifier_key(name)?);
            results.push((name.clone(), client.submit(&vault)));
        }
        Ok(results)
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
            let lock = retention::lock_until(head.vault_time, vault.manifest().lock_days);
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
