//! A store on another host, behind `unwipe vault serve`.

mod attempts;
mod exchange;
pub mod protocol;

use std::sync::Arc;

use model::{Moment, Redacted};
use ports::{Blob, BlobError, BlobName, BlobStore, Clock, TimeError, TimeSource};

pub use attempts::Attempt;

use self::{
    exchange::{Exchange, Failure},
    protocol::{LIST, LOCKS, OBJECTS, Page, STATUS, Status, TIME, Time},
};

/// How a vault server is reached.
#[derive(Debug, Clone)]
pub struct RemoteSettings {
    /// Where it is: `https://vault.internal:8750`.
    pub url: String,
    /// The certificate that says what this client may do, as PEM.
    pub certificate: String,
    /// Its key, as PEM.
    pub key: Redacted<String>,
    /// The only authority whose word counts for the server's certificate, as PEM.
    pub authority: String,
}

/// Why a vault server cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The address is none.
    #[error("{url:?} is no address of a vault server: https://HOST:PORT is")]
    Address {
        /// The refused text.
        url: String,
    },
    /// A certificate or key is none.
    #[error("the {what} cannot be used: {reason}")]
    Credential {
        /// Which one.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

/// A store on another host. What this client may do there is decided by its certificate, not here.
pub struct RemoteStore {
    exchange: Exchange,
    clock: Arc<dyn Clock>,
}

/// How often a call that may be repeated is tried.
const ATTEMPTS: u32 = 4;

impl RemoteStore {
    /// Prepares the connection; nothing is sent yet.
    pub fn open(settings: &RemoteSettings, clock: Arc<dyn Clock>) -> Result<Self, RemoteError> {
        Ok(Self { exchange: Exchange::new(settings, Arc::clone(&clock))?, clock })
    }

    /// Returns where the server is.
    pub fn url(&self) -> &str {
        self.exchange.url()
    }

    /// Asks what the server says of itself and of this client's quota.
    pub fn status(&self) -> Result<Status, BlobError> {
        let answer = self.exchange.repeat(ATTEMPTS, || self.exchange.get(STATUS, None));
        let bytes = answer.map_err(|e| e.about_store("status"))?.body;
        parse("status", &bytes)
    }

    /// After an answer that was lost: is the object that is there the one that was sent?
    ///
    /// A server lets a pack have no other name than its hash, so there the size decides; anything else is read back.
    fn is_same(&self, name: &BlobName, content: &[u8]) -> Result<bool, BlobError> {
        if self.head(name)?.size_bytes != content.len() as u64 {
            return Ok(false);
        }
        Ok(name.as_str().starts_with("data/") || BlobStore::read(self, name)? == content)
    }

    fn object(name: &BlobName) -> String {
        format!("{OBJECTS}{name}")
    }
}

impl BlobStore for RemoteStore {
    fn create(&self, name: &BlobName, content: &[u8], locked_until: Moment) -> Result<(), BlobError> {
        let path = Self::object(name);
        let mut attempt = 1;
        loop {
            let failure = match self.exchange.put(&path, content, locked_until) {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            // A refusal is an answer; after anything else nobody knows whether the object is there.
            if !failure.is_ambiguous() {
                let taken = attempt > 1 && failure.status() == Some(409);
                return if taken && self.is_same(name, content)? {
                    Ok(())
                } else {
                    Err(failure.about("create", name))
                };
            }
            match self.is_same(name, content) {
                Ok(true) => return Ok(()),
                Ok(false) => return Err(BlobError::Exists { name: name.clone() }),
                Err(BlobError::Missing { .. }) if attempt < ATTEMPTS => {}
                Err(BlobError::Missing { .. }) => return Err(failure.about("create", name)),
                Err(error) => return Err(error),
            }
            self.clock.sleep(exchange::pause(attempt));
            attempt += 1;
        }
    }

    fn read(&self, name: &BlobName) -> Result<Vec<u8>, BlobError> {
        let path = Self::object(name);
        let answer = self.exchange.repeat(ATTEMPTS, || self.exchange.get(&path, None));
        let answer = answer.map_err(|e| e.about("read", name))?;
        if answer.size_bytes != Some(answer.body.len() as u64) {
            return Err(Failure::nonsense("the object is not as long as the server says").about("read", name));
        }
        Ok(answer.body)
    }

    fn read_range(&self, name: &BlobName, offset: u64, length: u64) -> Result<Vec<u8>, BlobError> {
        if length == 0 {
            return self.head(name).map(|_| Vec::new());
        }
        let path = Self::object(name);
        let range = (offset, offset.saturating_add(length - 1));
        let answer = self.exchange.repeat(ATTEMPTS, || self.exchange.get(&path, Some(range)));
        let answer = answer.map_err(|e| e.about("read", name))?;
        let expected = answer.size_bytes.map(|size| size.saturating_sub(offset).min(length));
        if expected != Some(answer.body.len() as u64) {
            return Err(Failure::nonsense("the range is not as long as the server says").about("read", name));
        }
        Ok(answer.body)
    }

    fn head(&self, name: &BlobName) -> Result<Blob, BlobError> {
        let path = Self::object(name);
        let answer = self.exchange.repeat(ATTEMPTS, || self.exchange.head(&path));
        let answer = answer.map_err(|e| e.about("head", name))?;
        let size_bytes = answer
            .size_bytes
            .ok_or_else(|| Failure::nonsense("the answer has no size").about("head", name))?;
        Ok(Blob { name: name.clone(), size_bytes, locked_until: answer.locked_until })
    }

    fn list(&self, prefix: &str) -> Result<Vec<Blob>, BlobError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_./".contains(&b);
        if !prefix.bytes().all(plain) {
            return Err(BlobError::Name { text: prefix.to_owned() });
        }
        let mut found: Vec<Blob> = Vec::new();
        loop {
            let after = found.last().map(|blob| blob.name.as_str().to_owned()).unwrap_or_default();
            let path = format!("{LIST}?prefix={prefix}&after={after}");
            let answer = self.exchange.repeat(ATTEMPTS, || self.exchange.get(&path, None));
            let page: Page = parse("list", &answer.map_err(|e| e.about_store("list"))?.body)?;
            let before = found.len();
            for listed in page.objects {
                let text = listed.name.clone();
                let blob = listed.into_blob().ok_or(BlobError::Name { text })?;
                // Names must rise, or a lying server could keep a client busy for ever.
                if blob.name.as_str() > after.as_str() && found.last().is_none_or(|l| l.name < blob.name) {
                    found.push(blob);
                }
            }
            if !page.more || found.len() == before {
                return Ok(found);
            }
        }
    }

    fn extend_lock(&self, name: &BlobName, locked_until: Moment) -> Result<(), BlobError> {
        let path = format!("{LOCKS}{name}");
        let answer = self.exchange.repeat(ATTEMPTS, || self.exchange.post(&path, locked_until));
        let answer = answer.map_err(|e| e.about("extend lock", name))?;
        if answer.locked_until.is_some_and(|lock| lock >= locked_until) {
            return Ok(());
        }
        Err(Failure::nonsense("the server did not lengthen the lock").about("extend lock", name))
    }
}

impl TimeSource for RemoteStore {
    fn name(&self) -> String {
        format!("the vault server at {}", self.url())
    }

    fn read(&self) -> Result<Moment, TimeError> {
        let failed = |source: BlobError| TimeError { name: TimeSource::name(self), source: Box::new(source) };
        let answer = self.exchange.get(TIME, None).map_err(|e| failed(e.about_store("time")))?;
        let time: Time = parse("time", &answer.body).map_err(failed)?;
        Ok(Moment::from_micros(time.now))
    }
}

fn parse<T: serde::de::DeserializeOwned>(operation: &'static str, bytes: &[u8]) -> Result<T, BlobError> {
    serde_json::from_slice(bytes)
        .map_err(|e| Failure::nonsense(&format!("the answer cannot be read: {e}")).about_store(operation))
}
