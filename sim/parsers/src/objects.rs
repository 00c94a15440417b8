//! A vault into which somebody with a store's credentials put objects of their own.

use std::{cell::OnceCell, path::Path, sync::Arc};

use blobs::{LocalStore, MemoryStore, Protection};
use model::Moment;
use ports::{BlobName, BlobStore};
use vault::{
    Manifest, RestoreKey, Vault, VaultReader,
    keys::KeyError,
    verify::{Depth, verify},
};

/// The objects of the test vectors and the key that opens them.
pub(crate) struct Vectors {
    pub(crate) objects: Vec<(BlobName, Vec<u8>)>,
    pub(crate) key: RestoreKey,
}

/// Reads the test vectors; the repository holds them.
pub(crate) fn vectors() -> Option<Vectors> {
    let folder = crate::repository().join("docs/format/vectors");
    let key = RestoreKey::parse(&ports::files::read_text(&folder.join("restore.key")).ok()?).ok()?;
    let store = LocalStore::open(&folder.join("vault"), Protection::Plain).ok()?;
    let mut objects = Vec::new();
    for blob in store.list("").ok()? {
        let content = store.read(&blob.name).ok()?;
        objects.push((blob.name, content));
    }
    Some(Vectors { objects, key })
}

/// Opens the vault of the test vectors.
pub(crate) fn reader() -> Option<VaultReader> {
    let vectors = vectors()?;
    VaultReader::open(Arc::new(store(&vectors, None)), &vectors.key).ok()
}

thread_local! {
    static VECTORS: OnceCell<Option<Vectors>> = const { OnceCell::new() };
}

pub(crate) fn unlock(manifest: &Manifest) -> Result<(), KeyError> {
    VECTORS.with(|cell| {
        let Some(vectors) = cell.get_or_init(vectors) else { return Ok(()) };
        let mut keys = vectors.objects.iter().filter(|(name, _)| name.as_str().starts_with("keys/"));
        keys.try_for_each(|(_, wrapped)| vectors.key.unlock(manifest, wrapped).map(drop))
    })
}

/// Puts bytes in the place of one object of a sound vault, and reads and checks it as everybody would.
///
/// The first byte chooses the object. Whatever stands there, no other content comes out than was stored.
pub(crate) fn planted(data: &[u8]) {
    let Some((choice, content)) = data.split_first() else { return };
    VECTORS.with(|cell| {
        let Some(vectors) = cell.get_or_init(vectors) else { return };
        let count = vectors.objects.len();
        let Some((name, original)) = vectors.objects.get(usize::from(*choice) % count) else { return };
        let store: Arc<dyn BlobStore> = Arc::new(store(vectors, Some((name, content))));
        let Ok(vault) = Vault::open(Arc::clone(&store)) else { return };
        let reader = VaultReader::open(Arc::clone(&store), &vectors.key).ok();
        let report = verify(&vault, reader.as_ref(), Depth::ReadData, &mut |_| {});
        let changed = content != original;
        // Keys that nobody opens are noticed by whoever has no reader; a manifest carries the version of its time.
        let noticed = reader.is_none() || report.is_ok_and(|report| !report.is_sound());
        let excused = name.as_str() == "vault.json" || name.as_str().starts_with("keys/");
        assert!(!changed || noticed || excused, "{name} was replaced and nobody noticed");
    });
}

/// The objects of the vectors as [`planted`] reads them.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let objects = vectors().map(|vectors| vectors.objects).unwrap_or_default();
    (0_u8..).zip(objects).map(|(choice, (_, content))| [&[choice][..], &content].concat()).collect()
}

fn store(vectors: &Vectors, planted: Option<(&BlobName, &[u8])>) -> MemoryStore {
    let store = MemoryStore::new();
    for (name, content) in &vectors.objects {
        let content = match planted {
            Some((other, planted)) if other == name => planted,
            _ => content,
        };
        drop(store.create(name, content, Moment::from_micros(i64::MAX)));
    }
    store
}

thread_local! {
    static FOLDER: OnceCell<Option<tempfile::TempDir>> = const { OnceCell::new() };
}

pub(crate) fn journal(data: &[u8]) {
    in_folder(|folder| vault::fuzzing::journal(folder, data));
}

pub(crate) fn memories(data: &[u8]) {
    in_folder(|folder| vault::fuzzing::memories(folder, data));
}

fn in_folder(read: impl FnOnce(&Path)) {
    FOLDER.with(|cell| {
        let folder = cell.get_or_init(|| {
            // In memory where there is such a folder: a fuzzer writes thousands of files each second.
            let memory = Path::new("/dev/shm");
            tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).ok()
        });
        if let Some(folder) = folder {
            read(folder.path());
        }
    });
}
