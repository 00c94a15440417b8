//! How much each account may add, so that a flood from one cannot fill the disk for the others.

use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use blobs::remote::protocol::Usage;
use model::{Moment, SourceName};
use ports::files::{self, FileError};
use serde::{Deserialize, Serialize};
use vault::{Vault, VaultError, retention::DAY_MICROS};

use crate::Policy;

/// The accounts of a server, in one file of its state folder.
///
/// The file is a cache: it is made again from the vault's commits when it is missing or damaged.
pub struct Quotas {
    path: PathBuf,
    policy: Policy,
    accounts: Mutex<BTreeMap<String, Account>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    bytes: u64,
    objects: u64,
    day: i64,
    bytes_today: u64,
    objects_today: u64,
    #[serde(skip)]
    recent: VecDeque<Moment>,
}

/// Why an account may add nothing more today.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// Too many bytes.
    #[error("{account} has added {used} bytes today and may add {limit}: {wanted} more do not fit")]
    Bytes {
        /// The account.
        account: String,
        /// What it has added.
        used: u64,
        /// What it may add.
        limit: u64,
        /// What it wanted to add.
        wanted: u64,
    },
    /// Too many objects.
    #[error("{account} has added {limit} objects today, and may add no more")]
    Objects {
        /// The account.
        account: String,
        /// How many it may add.
        limit: u64,
    },
}

const HOUR_MICROS: i64 = 3_600 * 1_000_000;
/// More moments than this are not kept for the rate of the last hour.
const RECENT_MAX: usize = 100_000;

impl Quotas {
    /// Reads the accounts, or makes them again from the vault.
    pub fn open(path: &Path, policy: Policy, vault: &Vault, now: Moment) -> Result<Self, VaultError> {
        let stored = files::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let accounts = match stored {
            Some(accounts) => accounts,
            None => rebuild(vault, now)?,
        };
        Ok(Self { path: path.to_owned(), policy, accounts: Mutex::new(accounts) })
    }

    /// Charges an account before anything is stored, so that parallel requests cannot add more than all may.
    pub fn charge(self: &Arc<Self>, account: &str, bytes: u64, now: Moment) -> Result<Charge, QuotaError> {
        let mut accounts = self.accounts();
        let state = accounts.entry(account.to_owned()).or_default();
        state.turn(now);
        if state.objects_today >= self.policy.objects_per_day_max {
            let limit = self.policy.objects_per_day_max;
            return Err(QuotaError::Objects { account: account.to_owned(), limit });
        }
        if state.bytes_today.saturating_add(bytes) > self.policy.bytes_per_day_max {
            return Err(QuotaError::Bytes {
                account: account.to_owned(),
                used: state.bytes_today,
                limit: self.policy.bytes_per_day_max,
                wanted: bytes,
            });
        }
        state.add(bytes, now);
        Ok(Charge {
            quotas: Arc::clone(self),
            account: account.to_owned(),
            bytes,
            day: day(now),
            kept: false,
        })
    }

    /// Returns what an account uses; of one that has added nothing too.
    pub fn usage(&self, account: &str, now: Moment) -> Usage {
        let mut state = self.accounts().get(account).cloned().unwrap_or_default();
        state.turn(now);
        Usage {
            source: account.to_owned(),
            bytes: state.bytes,
            objects: state.objects,
            bytes_today: state.bytes_today,
            objects_today: state.objects_today,
            objects_last_hour: state.recent.len() as u64,
            bytes_per_day_max: self.policy.bytes_per_day_max,
            objects_per_day_max: self.policy.objects_per_day_max,
        }
    }

    /// Lists the accounts.
    pub fn known(&self) -> Vec<String> {
        self.accounts().keys().cloned().collect()
    }

    /// Writes the accounts down. What is not written down yet is charged in memory.
    fn save(&self) -> Result<(), FileError> {
        let text = {
            let accounts = self.accounts();
            serde_json::to_vec(&*accounts)
                .map_err(|e| FileError::new("write", &self.path, std::io::Error::other(e)))?
        };
        files::replace(&self.path, &text)
    }

    fn accounts(&self) -> MutexGuard<'_, BTreeMap<String, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an account was charged for an object that is not stored yet; given back unless it is kept.
pub struct Charge {
    quotas: Arc<Quotas>,
    account: String,
    bytes: u64,
    day: i64,
    kept: bool,
}

impl Charge {
    /// Writes the charge down: from here on a crash cannot forget it.
    pub fn record(&self) -> Result<(), FileError> {
        self.quotas.save()
    }

    /// Keeps the charge: the object is stored.
    pub fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if let Some(state) = self.quotas.accounts().get_mut(&self.account) {
            state.bytes = state.bytes.saturating_sub(self.bytes);
            state.objects = state.objects.saturating_sub(1);
            if state.day == self.day {
                state.bytes_today = state.bytes_today.saturating_sub(self.bytes);
                state.objects_today = state.objects_today.saturating_sub(1);
            }
            state.recent.pop_back();
        }
    }
}

impl Account {
    /// Begins a new day. A clock that goes back does not: the day with the larger number stays.
    fn turn(&mut self, now: Moment) {
        if day(now) > self.day {
            self.day = day(now);
            (self.bytes_today, self.objects_today) = (0, 0);
        }
        while self.recent.front().is_some_and(|then| now.micros_since(*then) > HOUR_MICROS) {
            self.recent.pop_front();
        }
    }

    fn add(&mut self, bytes: u64, now: Moment) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.bytes_today = self.bytes_today.saturating_add(bytes);
        self.objects += 1;
        self.objects_today += 1;
        if self.recent.len() < RECENT_MAX {
            self.recent.push_back(now);
        }
    }
}

const fn day(moment: Moment) -> i64 {
    moment.as_micros().div_euclid(DAY_MICROS)
}

/// Adds up what the commits name. Packs that no commit names belong to nobody.
fn rebuild(vault: &Vault, now: Moment) -> Result<BTreeMap<String, Account>, VaultError> {
    let mut accounts = BTreeMap::new();
    for source in vault.sources()? {
        let account = of_source(vault, &source, now)?;
        accounts.insert(format!("capture/{source}"), account);
    }
    Ok(accounts)
}

fn of_source(vault: &Vault, source: &SourceName, now: Moment) -> Result<Account, VaultError> {
    let mut account = Account { day: day(now), ..Account::default() };
    for commit in vault.commits(source)? {
        // A damaged commit is a matter of `unwipe verify`; the room it takes is known to nobody.
        let Ok(commit) = commit else { continue };
        let envelope = commit.envelope;
        let mut sizes: Vec<u64> = envelope.packs.iter().map(|pack| pack.size_bytes).collect();
        sizes.push(envelope.body.length);
        for size in sizes {
            account.bytes = account.bytes.saturating_add(size);
            account.objects += 1;
            if day(envelope.vault_time) == account.day {
                account.bytes_today = account.bytes_today.saturating_add(size);
                account.objects_today += 1;
            }
        }
    }
    Ok(account)
}
