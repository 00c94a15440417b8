//! What a client must not be able to do on a vault server, tried.

use model::Moment;
use ports::{BlobError, BlobName, BlobStore};

use super::{RemoteStore, exchange::Failure, protocol::OBJECTS};

/// Something that was tried against the server with this client's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// What was tried: `overwrite vault.json`.
    pub what: &'static str,
    /// Whether the server held.
    pub held: bool,
    /// What the server answered.
    pub evidence: String,
}

impl RemoteStore {
    /// Tries to overwrite, to delete, to shorten a lock and to read what was stored. None of it does harm if it works:
    /// the overwriting writes the same bytes, and the deletion names an object that does not exist.
    pub fn attempt_forbidden(&self) -> Result<Vec<Attempt>, BlobError> {
        let manifest = BlobName::new("vault.json")?;
        let bytes = BlobStore::read(self, &manifest)?;
        let lock = self.head(&manifest)?.locked_until;
        let mut attempts = Vec::new();

        let path = format!("{OBJECTS}{manifest}");
        let overwrite = self.exchange.put(&path, &bytes, Moment::from_micros(0)).err();
        attempts.push(judge("overwrite vault.json", overwrite)?);

        let absent = format!("{OBJECTS}proofs/{}", "0".repeat(64));
        // A server with such a verb would look for the object: 404, or 204.
        let delete = self.exchange.delete(&absent).err().filter(|failure| failure.status() != Some(404));
        attempts.push(judge("delete an object", delete)?);

        // The refusal and the silent keeping of the longer date are equally good.
        drop(self.exchange.post(&format!("/v1/locks/{manifest}"), Moment::from_micros(0)));
        let held = self.head(&manifest)?.locked_until >= lock;
        let evidence = if held { "the lock is as long as before" } else { "the lock is shorter" };
        attempts.push(Attempt { what: "shorten a lock", held, evidence: evidence.to_owned() });
        Ok(attempts)
    }

    /// Tries to read a stored pack. A capturing host must not be able to; a restoring one must.
    pub fn attempt_reading(&self) -> Result<Option<Attempt>, BlobError> {
        let Some(pack) = self.list("data/")?.into_iter().next() else { return Ok(None) };
        let path = format!("{OBJECTS}{}", pack.name);
        judge("read what is stored", self.exchange.get(&path, Some((0, 0))).err()).map(Some)
    }
}

/// A refusal holds; silence proves nothing.
fn judge(what: &'static str, failure: Option<Failure>) -> Result<Attempt, BlobError> {
    let (held, evidence) = match failure {
        None => (false, "the server did it".to_owned()),
        Some(Failure::Refused { status, message }) => (true, format!("{status}: {message}")),
        Some(failure) => return Err(failure.about_store(what)),
    };
    Ok(Attempt { what, held, evidence })
}
