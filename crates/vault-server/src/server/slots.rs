//! How many things happen at once, so that one account cannot keep the others waiting.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// How many objects are on their way at once; each is in memory as a whole.
const TRANSFERS_MAX: usize = 8;
/// How many of them may be one account's.
const TRANSFERS_OF_ONE: usize = 2;
/// How many connections an account may hold.
const CONNECTIONS_OF_ONE: usize = 32;
/// How many handshakes an address may have open: nobody knows yet who it is.
const HANDSHAKES_OF_ONE: usize = 16;
/// With more addresses than this, those without an open handshake are forgotten.
const ADDRESSES_KEPT: usize = 1024;
/// How long a request waits for its turn before it is told to come back.
const WAIT: Duration = Duration::from_mins(1);

/// The turns of a server.
pub(super) struct Slots {
    transfers: Arc<Semaphore>,
    transfers_of: Mutex<HashMap<String, Arc<Semaphore>>>,
    connections_of: Mutex<HashMap<String, Arc<Semaphore>>>,
    handshakes_of: Mutex<HashMap<IpAddr, Arc<Semaphore>>>,
}

/// A turn; it ends when this is dropped.
pub(super) struct Turn {
    _own: OwnedSemaphorePermit,
    _shared: Option<OwnedSemaphorePermit>,
}

impl Slots {
    pub(super) fn new() -> Self {
        Self {
            transfers: Arc::new(Semaphore::new(TRANSFERS_MAX)),
            transfers_of: Mutex::default(),
            connections_of: Mutex::default(),
            handshakes_of: Mutex::default(),
        }
    }

    /// Takes a place for a connection, if the account has one left.
    pub(super) fn connection(&self, account: &str) -> Option<Turn> {
        let own = of(&self.connections_of, account.to_owned(), CONNECTIONS_OF_ONE);
        Some(Turn { _own: own.try_acquire_owned().ok()?, _shared: None })
    }

    /// Takes a place for a handshake, if the address has one left.
    pub(super) fn handshake(&self, address: IpAddr) -> Option<Turn> {
        {
            let mut all = self.handshakes_of.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() > ADDRESSES_KEPT {
                all.retain(|_, own| own.available_permits() < HANDSHAKES_OF_ONE);
            }
        }
        let own = of(&self.handshakes_of, address, HANDSHAKES_OF_ONE);
        Some(Turn { _own: own.try_acquire_owned().ok()?, _shared: None })
    }

    /// Waits for a turn to move one object: first among the account's own, so that it queues behind itself.
    pub(super) async fn transfer(&self, account: &str) -> Option<Turn> {
        let own = of(&self.transfers_of, account.to_owned(), TRANSFERS_OF_ONE);
        let own = timeout(WAIT, own.acquire_owned()).await.ok()?.ok()?;
        let shared = timeout(WAIT, Arc::clone(&self.transfers).acquire_owned()).await.ok()?.ok()?;
        Some(Turn { _own: own, _shared: Some(shared) })
    }
}

fn of<K: Eq + Hash>(all: &Mutex<HashMap<K, Arc<Semaphore>>>, key: K, size: usize) -> Arc<Semaphore> {
    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(all.entry(key).or_insert_with(|| Arc::new(Semaphore::new(size))))
}
