use vault::{CaptureKey, Layout, RecoveryKit, RestoreKey, VaultError, VaultReader, keys::KeyError};

use crate::support::{World, cursor, put, rows, shop, upserts};

fn stored() -> World {
    let world = World::in_memory(31);
    let mut commit = world.writer().begin(&shop());
    put(&mut commit, "table", Layout::Pages { page_bytes: 8192 }, &rows(1000, 1));
    commit.finish(&cursor("")).unwrap();
    world
}

fn first_content(world: &World, key: &RestoreKey) -> Vec<u8> {
    let reader = VaultReader::open(world.store.clone(), key).unwrap();
    let commit = reader.vault().commit(&shop(), 1).unwrap();
    let (_, content) = upserts(&reader, &commit).remove(0);
    reader.read_all(&content).unwrap()
}

#[test]
fn the_restore_key_and_the_recovery_kit_both_read_everything() {
    let world = stored();
    let expected = rows(1000, 1);
    assert_eq!(first_content(&world, &world.keys.restore_key), expected);
    let page = world.keys.recovery_kit.render_text().unwrap();
    assert_eq!(first_content(&world, &RecoveryKit::parse(&page).unwrap()), expected);
    // As somebody types it in: lower case, other line breaks, nothing else.
    let secret: String = page.lines().skip_while(|line| !line.starts_with("AGE-SECR")).take(2).collect();
    let typed = secret.to_lowercase().replace("  ", "\n");
    assert_eq!(first_content(&world, &RestoreKey::parse(&typed).unwrap()), expected);
    assert!(page.contains('█') && world.keys.recovery_kit.render_svg().unwrap().contains("<svg"));
}

#[test]
fn what_capture_holds_opens_nothing() {
    let world = stored();
    let text = world.keys.capture_key.to_text().unwrap();
    assert!(!text.contains("AGE-SECRET-KEY"));
    // Every 32 bytes in the file, tried as the data secret: none leads to the vault's public data key.
    let values: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut tried = 0;
    for value in values.as_object().unwrap().values().filter_map(|value| value.as_str()) {
        let bytes: Vec<u8> = (0..value.len() / 2)
            .filter_map(|i| u8::from_str_radix(value.get(i * 2..i * 2 + 2)?, 16).ok())
            .collect();
        if let Ok(secret) = <[u8; 32]>::try_from(bytes) {
            let public = x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(secret));
            assert_ne!(public.to_bytes(), world.keys.manifest.data_recipient);
            tried += 1;
        }
    }
    assert!(tried >= 4);
    assert!(matches!(RestoreKey::parse(&text), Err(KeyError::Parse { .. })));
    // Nothing of the content is in the store in the clear.
    for blob in world.store.list("").unwrap() {
        let bytes = world.store.read(&blob.name).unwrap();
        assert!(!bytes.windows(9).any(|window| window == b"customer-"), "{}", blob.name);
    }
}

#[test]
fn a_wrong_key_is_told_from_a_damaged_one() {
    let (world, other) = (stored(), World::in_memory(32));
    let open = |key: &RestoreKey| VaultReader::open(world.store.clone(), key).err().unwrap();
    assert!(matches!(open(&other.keys.restore_key), VaultError::Key(KeyError::OtherVault { .. })));
    let bare: String = other.keys.restore_key.to_text().lines().last().unwrap().to_owned();
    assert!(matches!(open(&RestoreKey::parse(&bare).unwrap()), VaultError::Key(KeyError::WrongIdentity)));
}

#[test]
fn a_manifest_in_the_place_of_another_is_noticed_by_every_key() {
    let world = stored();
    let store = blobs::MemoryStore::new();
    for blob in world.store.list("").unwrap() {
        let mut bytes = world.store.read(&blob.name).unwrap();
        if blob.name.as_str() == "vault.json" {
            bytes = String::from_utf8(bytes)
                .unwrap()
                .replace("\"lock_days\": 30", "\"lock_days\": 0")
                .into_bytes();
        }
        ports::BlobStore::create(&store, &blob.name, &bytes, blob.locked_until.unwrap()).unwrap();
    }
    let store = std::sync::Arc::new(store);
    let error = VaultReader::open(store.clone(), &world.keys.restore_key).err().unwrap();
    assert!(matches!(error, VaultError::Key(KeyError::Fingerprint)));
    assert!(world.writer_on(store, crate::support::small_options()).is_err());
}

#[test]
fn key_files_are_private_and_read_back() {
    use std::os::unix::fs::PermissionsExt;

    let world = stored();
    let folder = tempfile::tempdir().unwrap();
    let (capture, restore, kit) =
        (folder.path().join("capture"), folder.path().join("restore"), folder.path().join("kit"));
    world.keys.capture_key.save(&capture).unwrap();
    world.keys.restore_key.save(&restore).unwrap();
    world.keys.recovery_kit.save(&kit).unwrap();
    for path in [&capture, &restore, &kit] {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(
        *CaptureKey::load(&capture).unwrap().to_text().unwrap(),
        *world.keys.capture_key.to_text().unwrap()
    );
    assert_eq!(first_content(&world, &RestoreKey::load(&restore).unwrap()), rows(1000, 1));
    assert_eq!(first_content(&world, &RestoreKey::load(&kit).unwrap()), rows(1000, 1));
    std::fs::set_permissions(&capture, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = CaptureKey::load(&capture).unwrap_err();
    assert!(error.hint().unwrap().starts_with("chmod 600"));
}

#[test]
fn a_second_vault_in_the_same_place_is_refused() {
    let world = stored();
    let options = vault::InitOptions { lock_days: 1 };
    let again = vault::init(&*world.store, options, &*world.clock, &*world.random);
    assert!(matches!(again, Err(vault::init::InitError::Exists)));
}
