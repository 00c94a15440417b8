use super::*;

const VAULT: VaultId = VaultId([1; 16]);

fn id(number: u8) -> ChunkId {
    ChunkId([number; 16])
}

fn extent(pack: &PackRef, offset: u64) -> Extent {
    Extent::Data { place: Place { pack: pack.clone(), offset }, length: 8192 }
}

/// Keeps three chunks of two packs, as a finished commit does.
fn filled(path: &Path) -> ChunkCache {
    let cache = ChunkCache::open(path, VAULT);
    let new = NewChunks::default();
    let mut lookup = cache.lookup(&new);
    let packs = [3, 4].map(|n| PackRef::written(PackId([n; 32])));
    lookup.remember(id(9), &extent(&packs[0], 0));
    lookup.remember(id(2), &extent(&packs[0], 8192));
    lookup.remember(id(5), &extent(&packs[1], 0));
    assert_eq!(
        lookup.find(&id(9)),
        Some(extent(&packs[0], 0)),
        "a commit in the making knows what it stores"
    );
    cache.keep(&new);
    cache
}

fn find(cache: &ChunkCache, number: u8) -> Option<Extent> {
    cache.lookup(&NewChunks::default()).find(&id(number))
}

#[test]
fn what_a_finished_commit_stored_is_found_also_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chunks.sqlite");
    drop(filled(&path));
    let cache = ChunkCache::open(&path, VAULT);
    assert_eq!(find(&cache, 2), Some(extent(&PackRef::written(PackId([3; 32])), 8192)));
    assert_eq!(find(&cache, 5), Some(extent(&PackRef::written(PackId([4; 32])), 0)));
    assert_eq!(find(&cache, 7), None);
    cache.clear();
    assert_eq!(find(&cache, 2), None);
}

#[test]
fn chunks_of_another_vault_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chunks.sqlite");
    drop(filled(&path));
    assert_eq!(find(&ChunkCache::open(&path, VaultId([2; 16])), 2), None);
    assert_eq!(find(&ChunkCache::open(&path, VAULT), 2), None);
}

#[test]
fn a_damaged_file_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chunks.sqlite");
    ports::files::create_new(&path, &[7; 9000], 0o600).unwrap();
    assert!(find(&filled(&path), 2).is_some());
}

#[test]
fn without_a_usable_file_nothing_is_known_and_nothing_fails() {
    let folder = tempfile::tempdir().unwrap();
    let cache = filled(&folder.path().join("missing/chunks.sqlite"));
    assert_eq!(find(&cache, 2), None);
}
