//! Chunks that the vault is known to hold, so that a further base adds only what changed.
//!
//! A cache beside the journal: it may be deleted at any time, and what it forgets is stored once more. Only chunks of
//! finished commits get into the file; those of commits in the making are known to later ones of the same session,
//! which are never finished when an earlier one failed.

mod filter;

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ports::files;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use vault::{ChunkId, Extent, KnownChunks, PackId, PackRef, Place, VaultId};

use self::filter::Filter;

/// How many chunks are known at most: 64 GiB of pages, in a file of about 400 MB.
const CHUNKS_MAX: u64 = 8_000_000;
/// How many chunks one commit adds at most; they wait in memory, 40 bytes each.
const NEW_CHUNKS_MAX: usize = 2_000_000;
/// How many of them are found again within the same commit.
const PLACES_MAX: usize = 200_000;
/// After so many fruitless questions to the file a filter is worth its making.
const MISSES_MAX: u64 = 2000;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS vault (id BLOB NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS packs (number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE) STRICT;
    CREATE TABLE IF NOT EXISTS chunks (
        id         BLOB    PRIMARY KEY,
        pack       INTEGER NOT NULL,
        offset     INTEGER NOT NULL,
        size_bytes INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;";

/// The known chunks of one source. Clones share the same file; without a usable file nothing is known.
#[derive(Clone)]
pub(crate) struct ChunkCache {
    state: Arc<Mutex<Option<State>>>,
    /// Commits in the making. What an earlier one stores may be referred to by a later one: none is ever finished after
    /// one before it has failed.
    open: Arc<Mutex<Vec<NewChunks>>>,
}

struct State {
    database: Connection,
    count: u64,
    packs: HashMap<i64, PackRef>,
    filter: Option<Filter>,
    misses: u64,
}

/// The chunks that a commit in the making stores.
#[derive(Clone, Default)]
pub(crate) struct NewChunks(Arc<Mutex<Pending>>);

#[derive(Default)]
struct Pending {
    packs: Vec<PackRef>,
    chunks: Vec<PendingChunk>,
    /// The places in `chunks` by the beginning of the id, for the first ones: enough for commits of small items.
    places: HashMap<u64, u32, Unhashed>,
}

/// Takes the beginning of an id, which is a hash already, as its own hash.
#[derive(Default, Clone, Copy)]
pub(crate) struct Unhashed(u64);

impl BuildHasher for Unhashed {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for Unhashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |all, byte| all << 8 | u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

struct PendingChunk {
    id: ChunkId,
    pack: u32,
    offset: u64,
    size_bytes: u32,
}

/// What a commit asks: finds in the file, notes what is new.
pub(crate) struct ChunkLookup {
    cache: ChunkCache,
    new: NewChunks,
}

impl ChunkCache {
    /// Opens the file, or makes it; one that belongs to another vault or is damaged is begun anew.
    pub(crate) fn open(path: &Path, vault: VaultId) -> Self {
        let state = State::open(path, vault).or_else(|_| {
            empty(path);
            State::open(path, vault)
        });
        Self { state: Arc::new(Mutex::new(state.ok())), open: Arc::default() }
    }

    /// Makes a lookup for one commit.
    pub(crate) fn lookup(&self, new: &NewChunks) -> ChunkLookup {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).push(new.clone());
        ChunkLookup { cache: self.clone(), new: new.clone() }
    }

    /// Takes in what a commit stored that is now in the vault.
    pub(crate) fn keep(&self, new: &NewChunks) {
        {
            let mut pending = new.pending();
            if !pending.chunks.is_empty() {
                // In the order of the table, so that its pages are written once each. Nobody looks for places any more.
                pending.places = HashMap::default();
                pending.chunks.sort_unstable_by_key(|chunk| chunk.id.0);
                self.attempt(|state| state.insert(&pending));
            }
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|other| !Arc::ptr_eq(&other.0, &new.0));
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        self.attempt(State::clear);
    }

    /// A cache that fails is used no more: everything is then stored anew.
    fn attempt<T>(&self, work: impl FnOnce(&mut State) -> rusqlite::Result<T>) -> Option<T> {
        let mut guard = self.state();
        let result = work(guard.as_mut()?);
        if result.is_err() {
            *guard = None;
        }
        result.ok()
    }

    fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn open(path: &Path, vault: VaultId) -> rusqlite::Result<Self> {
        let database = Connection::open(path)?;
        database.pragma_update(None, "journal_mode", "WAL")?;
        database.pragma_update(None, "synchronous", "NORMAL")?;
        database.execute_batch(SCHEMA)?;
        let mut state = Self { database, count: 0, packs: HashMap::new(), filter: None, misses: 0 };
        let known: Option<[u8; 16]> =
            state.database.query_row("SELECT id FROM vault", [], |row| row.get(0)).optional()?;
        if known != Some(vault.0) {
            state.clear()?;
            state.database.execute("DELETE FROM vault", [])?;
            state.database.execute("INSERT INTO vault VALUES (?1)", [vault.0])?;
        }
        let count: i64 = state.database.query_row("SELECT count(*) FROM chunks", [], |row| row.get(0))?;
        state.count = count as u64;
        Ok(state)
    }

    fn find(&mut self, id: &ChunkId) -> rusqlite::Result<Option<Extent>> {
        if self.count == 0 || self.filter.as_ref().is_some_and(|filter| !filter.may_hold(id)) {
            return Ok(None);
        }
        let found: Option<(i64, i64, i64)> = self
            .database
            .prepare_cached("SELECT pack, offset, size_bytes FROM chunks WHERE id = ?1")?
            .query_row([id.0], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((number, offset, length)) = found else {
            self.misses += 1;
            if self.misses.is_multiple_of(MISSES_MAX) && self.filter.as_ref().is_none_or(Filter::is_full) {
                self.filter = Some(self.make_filter()?);
            }
            return Ok(None);
        };
        let pack = self.pack(number)?;
        Ok(Some(Extent::Data { place: Place { pack, offset: offset as u64 }, length: length as u64 }))
    }

    fn make_filter(&self) -> rusqlite::Result<Filter> {
        let mut filter = Filter::with_room_for(self.count);
        let mut statement = self.database.prepare_cached("SELECT id FROM chunks")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            filter.insert(&ChunkId(row.get(0)?));
        }
        Ok(filter)
    }

    fn pack(&mut self, number: i64) -> rusqlite::Result<PackRef> {
        if let Some(pack) = self.packs.get(&number) {
            return Ok(pack.clone());
        }
        let id =
            self.database.query_row("SELECT id FROM packs WHERE number = ?1", [number], |row| row.get(0))?;
        let pack = PackRef::written(PackId(id));
        self.packs.insert(number, pack.clone());
        Ok(pack)
    }

    fn insert(&mut self, pending: &Pending) -> rusqlite::Result<()> {
        let transaction = self.database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut numbers = Vec::with_capacity(pending.packs.len());
        for pack in &pending.packs {
            let number = match pack.id() {
                Some(id) => Some(pack_number(&transaction, id)?),
                None => None,
            };
            numbers.push(number);
        }
        let mut added = 0;
        {
            let mut insert = transaction.prepare("INSERT OR IGNORE INTO chunks VALUES (?1, ?2, ?3, ?4)")?;
            for chunk in &pending.chunks {
                if self.count + added >= CHUNKS_MAX {
                    break;
                }
                if let Some(Some(number)) = numbers.get(chunk.pack as usize) {
                    let values = params![chunk.id.0, number, chunk.offset as i64, chunk.size_bytes];
                    added += insert.execute(values)? as u64;
                    if let Some(filter) = &mut self.filter {
                        filter.insert(&chunk.id);
                    }
                }
            }
        }
        transaction.commit()?;
        self.count += added;
        Ok(())
    }

    fn clear(&mut self) -> rusqlite::Result<()> {
        self.database.execute_batch("BEGIN; DELETE FROM chunks; DELETE FROM packs; COMMIT;")?;
        self.count = 0;
        self.packs.clear();
        self.filter = None;
        Ok(())
    }
}

fn pack_number(database: &Connection, id: PackId) -> rusqlite::Result<i64> {
    database.prepare_cached("INSERT OR IGNORE INTO packs (id) VALUES (?1)")?.execute([id.0])?;
    database.prepare_cached("SELECT number FROM packs WHERE id = ?1")?.query_row([id.0], |row| row.get(0))
}

/// Empties a database file and its log; where that fails, the next attempt to open it fails as well.
fn empty(path: &Path) {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    for file in [path.to_owned(), PathBuf::from(log)] {
        if file.is_file() {
            drop(files::replace(&file, b""));
        }
    }
}

fn beginning(id: &ChunkId) -> u64 {
    id.0.iter().take(8).fold(0, |all, byte| all << 8 | u64::from(*byte))
}

impl Pending {
    fn find(&self, id: &ChunkId) -> Option<Extent> {
        let place = *self.places.get(&beginning(id))?;
        let chunk = self.chunks.get(place as usize).filter(|chunk| chunk.id == *id)?;
        let pack = self.packs.get(chunk.pack as usize)?.clone();
        Some(Extent::Data { place: Place { pack, offset: chunk.offset }, length: chunk.size_bytes.into() })
    }
}

impl NewChunks {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KnownChunks for ChunkLookup {
    fn find(&mut self, id: &ChunkId) -> Option<Extent> {
        let in_making = {
            let open = self.cache.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.iter().find_map(|chunks| chunks.pending().find(id))
        };
        in_making.or_else(|| self.cache.attempt(|state| state.find(id)).flatten())
    }

    fn remember(&mut self, id: ChunkId, extent: &Extent) {
        let Extent::Data { place, length } = extent else { return };
        let Ok(size_bytes) = u32::try_from(*length) else { return };
        let mut pending = self.new.pending();
        if pending.chunks.len() >= NEW_CHUNKS_MAX {
            return;
        }
        // Chunks come pack by pack.
        if pending.packs.last() != Some(&place.pack) {
            pending.packs.push(place.pack.clone());
        }
        let pack = pending.packs.len() as u32 - 1;
        if pending.places.len() < PLACES_MAX {
            let place = pending.chunks.len() as u32;
            pending.places.insert(beginning(&id), place);
        }
        pending.chunks.push(PendingChunk { id, pack, offset: place.offset, size_bytes });
    }
}

#[cfg(test)]
mod tests;
