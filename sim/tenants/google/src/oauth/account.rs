//! Service accounts and their keys.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use ports::{Random, SeededRandom};
use rsa::{
    RsaPrivateKey,
    pkcs1::EncodeRsaPublicKey,
    pkcs8::{EncodePrivateKey, LineEnding},
    rand_core::{CryptoRng, Error, RngCore},
};
use serde_json::json;

use crate::{tenant::Tenant, text};

const KEY_BITS: usize = 2048;

/// An identity of a program in a Cloud project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Its mail address.
    pub email: String,
    /// Its numeric client id, by which delegation names it.
    pub client_id: String,
    /// The project's name.
    pub project_id: String,
    /// The project's number.
    pub project_number: String,
}

/// A key of a service account.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) id: String,
    /// The public half, as PKCS #1.
    pub(super) public: Vec<u8>,
    private: String,
}

/// The accounts of the domain's programs, with the keys that were made so far.
#[derive(Debug, Default)]
pub(crate) struct Accounts {
    list: Vec<(ServiceAccount, Vec<Key>)>,
}

impl Accounts {
    pub(super) fn find(&self, email: &str) -> Option<(&ServiceAccount, &[Key])> {
        let (account, keys) = self.list.iter().find(|(account, _)| account.email == email)?;
        Some((account, keys))
    }
}

impl Tenant {
    /// Makes a service account in a project of its own; it may do nothing until [`Tenant::delegate`].
    pub fn add_service_account(&mut self, name: &str) -> ServiceAccount {
        let drawn = text::mixed(self.settings.seed ^ text::drawn(name.as_bytes()));
        let account = ServiceAccount {
            email: format!("{name}@{name}-project.iam.gserviceaccount.com"),
            client_id: format!("1{:020}", u128::from(drawn) * 5 % 10_u128.pow(20)),
            project_id: format!("{name}-project"),
            project_number: format!("{:012}", text::mixed(drawn) % 900_000_000_000 + 100_000_000_000),
        };
        self.oauth.accounts.list.push((account.clone(), Vec::new()));
        account
    }

    /// Returns the service accounts.
    pub fn service_accounts(&self) -> impl Iterator<Item = &ServiceAccount> {
        self.oauth.accounts.list.iter().map(|(account, _)| account)
    }

    /// Returns the key file of a service account, whose `token_uri` is this simulator; its first key is made now.
    /// `None` when there is no such account, or no key can be made.
    pub fn key_file(&mut self, email: &str) -> Option<String> {
        let random = std::sync::Arc::clone(&self.random);
        let token_uri = self.token_uri();
        let (account, keys) = self.oauth.accounts.list.iter_mut().find(|(a, _)| a.email == email)?;
        if keys.is_empty() {
            keys.push(make(&*random)?);
        }
        let key = keys.last()?;
        let file = json!({
            "type": "service_account",
            "project_id": account.project_id,
            "private_key_id": key.id,
            "private_key": key.private,
            "client_email": account.email,
            "client_id": account.client_id,
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": token_uri,
            "universe_domain": "googleapis.com",
        });
        Some(format!("{file:#}\n"))
    }

    /// Makes all keys of a service account worthless.
    pub fn remove_keys(&mut self, email: &str) {
        for (account, keys) in &mut self.oauth.accounts.list {
            if account.email == email {
                keys.clear();
            }
        }
    }

    /// Returns where tokens are asked for; assertions name it as their audience.
    pub(crate) fn token_uri(&self) -> String {
        format!("{}/token", self.url)
    }
}

/// Keys that this process made, by the seeds that they were made from: making one takes a good part of a second, and a
/// test that starts a hundred domains of one seed wants the same keys each time.
static MADE: Mutex<BTreeMap<u64, Key>> = Mutex::new(BTreeMap::new());

fn make(random: &dyn Random) -> Option<Key> {
    let mut seed = [0; 8];
    random.fill(&mut seed);
    let seed = u64::from_le_bytes(seed);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(key) = made.get(&seed) {
        return Some(key.clone());
    }
    let random = SeededRandom::new(seed);
    let private = RsaPrivateKey::new(&mut Chance(&random), KEY_BITS).ok()?;
    let public = private.to_public_key().to_pkcs1_der().ok()?.into_vec();
    let mut id = [0; 20];
    random.fill(&mut id);
    let key = Key {
        id: id.iter().map(|byte| format!("{byte:02x}")).collect(),
        public,
        private: private.to_pkcs8_pem(LineEnding::LF).ok()?.to_string(),
    };
    made.insert(seed, key.clone());
    Some(key)
}

/// Our source of chance, as the maker of keys wants it.
struct Chance<'a>(&'a dyn Random);

impl RngCore for Chance<'_> {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, buffer: &mut [u8]) {
        self.0.fill(buffer);
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        self.0.fill(buffer);
        Ok(())
    }
}

impl CryptoRng for Chance<'_> {}
