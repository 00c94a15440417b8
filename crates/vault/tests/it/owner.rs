//! Changes of keys: who may make them, and what they do to what is stored.

use ports::BlobName;
use proptest::prelude::*;
use vault::{
    CaptureKey, CommitReceipt, Layout, RecoveryKit, RestoreKey, Vault, VaultError, VaultReader, VaultWriter,
    WriteError,
    keys::{KeyError, KeyRing, Share, ShareError},
    log::CommitError,
    manifest::Recipient,
    verify::{Depth, Problem, verify},
};

use crate::support::{World, cursor, put, rows, shop, small_options, upserts};

fn ring(world: &World) -> KeyRing {
    KeyRing::open(world.store.clone(), &world.keys.restore_key).unwrap()
}

fn store_rows(writer: &VaultWriter, seed: u64) -> Result<CommitReceipt, WriteError> {
    let mut commit = writer.begin(&shop());
    put(&mut commit, "table", Layout::Pages { page_bytes: 8192 }, &rows(1000, seed));
    commit.finish(&cursor(""))
}

fn writer_of(world: &World, key: &CaptureKey) -> VaultWriter {
    let (clock, random) = (world.clock.clone(), world.random.clone());
    VaultWriter::open(world.store.clone(), key, clock, random, small_options()).unwrap()
}

fn contents(world: &World, key: &RestoreKey, sequence: u64) -> Result<Vec<u8>, VaultError> {
    let reader = VaultReader::open(world.store.clone(), key)?;
    let commit = reader.vault().commit(&shop(), sequence)?;
    reader.body(&commit)?;
    reader.read_all(&upserts(&reader, &commit)[0].1)
}

fn recipient(name: &str, age: &str) -> Recipient {
    Recipient { role: "restore".to_owned(), age: age.to_owned(), name: Some(name.to_owned()), since: None }
}

#[test]
fn every_recipient_alone_opens_everything() {
    let world = World::in_memory(71);
    store_rows(&world.writer(), 1).unwrap();
    let mut ring = ring(&world);
    let kit = ring.add_kit(Some("second safe".to_owned()), &*world.clock).unwrap();
    store_rows(&world.writer(), 2).unwrap();
    for key in [&world.keys.restore_key, world.keys.recovery_kit.key(), kit.key()] {
        assert_eq!(contents(&world, key, 1).unwrap(), rows(1000, 1));
        assert_eq!(contents(&world, key, 2).unwrap(), rows(1000, 2));
    }
    let names: Vec<_> = ring.vault().keys().recipients.iter().filter_map(|r| r.name.clone()).collect();
    assert_eq!(names, ["second safe"]);
    assert!(ring.add(recipient("nonsense", "age1nonsense"), &*world.clock).is_err());
}

#[test]
fn a_rotation_reaches_capture_without_restart_and_moves_nothing() {
    let world = World::in_memory(72);
    let writer = world.writer();
    store_rows(&writer, 1).unwrap();
    let before = world.store.list("data/").unwrap();
    let kit = world.keys.recovery_kit.key().clone();
    let kit_age = world.keys.manifest.recipients[0].age.clone();
    ring(&world).rotate(&[kit_age], &*world.clock, &*world.random).unwrap();
    assert_eq!(world.store.list("data/").unwrap(), before);
    writer.refresh_keys().unwrap();
    store_rows(&writer, 2).unwrap();
    store_rows(&world.writer(), 3).unwrap();
    for sequence in 1..=3 {
        assert_eq!(contents(&world, &world.keys.restore_key, sequence).unwrap(), rows(1000, sequence));
    }
    // The one left out keeps what it could open, opens nothing newer, and owns the vault no more.
    assert_eq!(contents(&world, &kit, 1).unwrap(), rows(1000, 1));
    assert!(contents(&world, &kit, 2).is_err() && contents(&world, &kit, 3).is_err());
    let refused = KeyRing::open(world.store.clone(), &kit).err().unwrap();
    assert!(matches!(refused, VaultError::Key(KeyError::WrongIdentity)));
    let reader = world.reader();
    let report = verify(reader.vault(), Some(&reader), Depth::ReadData, &mut |_| {}).unwrap();
    assert!(report.is_sound(), "{:?}", report.findings);
}

#[test]
fn a_bound_signer_adds_to_its_source_alone_and_a_retired_one_to_none() {
    let world = World::in_memory(73);
    let mut ring = ring(&world);
    let old = world.writer();
    store_rows(&old, 1).unwrap();
    let shop_key = ring.issue_capture_key(Some(shop()), &*world.clock, &*world.random).unwrap();
    let other = Some(model::SourceName::new("other").unwrap());
    let other_key = ring.issue_capture_key(other, &*world.clock, &*world.random).unwrap();
    let shop_key = CaptureKey::parse(&shop_key.to_text().unwrap()).unwrap();
    store_rows(&writer_of(&world, &shop_key), 2).unwrap();
    let refused = store_rows(&writer_of(&world, &other_key), 3).unwrap_err();
    assert!(matches!(refused, WriteError::Key(KeyError::OtherSource { .. })));

    let first = world.keys.manifest.signers[0];
    let state = ring.retire(&first, &*world.clock).unwrap();
    assert_eq!(state.signers[0].retired.as_ref().unwrap()[&shop()], 2);
    // The writer that was open all the time notices as well.
    assert!(matches!(store_rows(&old, 3).unwrap_err(), WriteError::Key(KeyError::Retired)));
    store_rows(&writer_of(&world, &shop_key), 3).unwrap();
    for sequence in 1..=3 {
        assert_eq!(contents(&world, &world.keys.restore_key, sequence).unwrap(), rows(1000, sequence));
    }
}

/// What a thief of a capture key can do is to write objects; the log's readers must not take them.
#[test]
fn a_commit_of_another_sources_key_is_refused_by_readers() {
    let world = World::in_memory(74);
    let mut ring = ring(&world);
    let other = Some(model::SourceName::new("other").unwrap());
    let key = ring.issue_capture_key(other, &*world.clock, &*world.random).unwrap();
    let writer = writer_of(&world, &key);
    let mut commit = writer.begin(&model::SourceName::new("other").unwrap());
    put(&mut commit, "x", Layout::Small, b"x");
    commit.finish(&cursor("")).unwrap();
    let name = |text: &str| BlobName::new(text).unwrap();
    let bytes = world.store.read(&name("log/other/0000000001")).unwrap();
    let state = ring.vault().keys();
    let parsed = vault::Commit::parse(&bytes, world.keys.manifest.vault, &state);
    assert!(parsed.is_ok());
    let mut bound = state;
    for signer in &mut bound.signers {
        signer.source = Some(shop());
    }
    let parsed = vault::Commit::parse(&bytes, world.keys.manifest.vault, &bound);
    assert_eq!(parsed.unwrap_err(), CommitError::SignerSource);
}

#[test]
fn forged_changes_are_passed_over_and_reported() {
    let (world, attacker) = (World::in_memory(75), World::in_memory(76));
    store_rows(&world.writer(), 1).unwrap();
    // The attacker's own vault's owner signs a change that lets the attacker in; and garbage with the right magic.
    let mut theirs = ring(&attacker);
    theirs.add_kit(None, &*attacker.clock).unwrap();
    let forged = attacker.store.read(&BlobName::new("keys/1").unwrap()).unwrap();
    let lock = world.clock_lock();
    for (number, bytes) in [(1, forged.clone()), (2, b"UNWKEYS\0garbage".to_vec()), (3, b"anything".to_vec())]
    {
        world.store.create(&BlobName::new(format!("keys/{number}")).unwrap(), &bytes, lock).unwrap();
    }
    let before = Vault::open(world.store.clone()).unwrap().keys();
    assert_eq!(before.sequence, 0);
    assert_eq!(before.data_recipient, world.keys.manifest.data_recipient);
    store_rows(&world.writer(), 2).unwrap();
    let report =
        verify(&Vault::open(world.store.clone()).unwrap(), None, Depth::Structure, &mut |_| {}).unwrap();
    let foreign: Vec<_> = report
        .findings
        .iter()
        .filter(|finding| finding.problem == Problem::Foreign)
        .map(|finding| finding.object.as_str())
        .collect();
    assert_eq!(foreign, ["keys/1", "keys/2", "keys/3"]);
    // The owner's changes go on behind them, and recipients cannot be swapped in a signed one.
    let mut ring = ring(&world);
    ring.add_kit(None, &*world.clock).unwrap();
    let sound = world.store.read(&BlobName::new("keys/4").unwrap()).unwrap();
    assert!(before.follow(world.keys.manifest.vault, &sound).is_ok());
    let at = sound.windows(4).position(|window| window == b"age1").unwrap();
    for position in [at + 5, 20, sound.len() - 1] {
        let mut swapped = sound.clone();
        swapped[position] ^= 1;
        assert!(before.follow(world.keys.manifest.vault, &swapped).is_err());
    }
    assert_eq!(contents(&world, &world.keys.restore_key, 2).unwrap(), rows(1000, 2));
}

#[test]
fn shares_open_the_vault_and_mistakes_are_named() {
    let world = World::in_memory(77);
    store_rows(&world.writer(), 1).unwrap();
    let key = world.keys.recovery_kit.key();
    let shares = Share::split(key, 3, 5, &*world.random).unwrap();
    let typed: Vec<Share> = shares
        .iter()
        .map(|share| Share::parse(&share.render_text().to_lowercase().replace("  ", " ")).unwrap())
        .collect();
    let pick = |numbers: &[usize]| numbers.iter().map(|n| typed[*n].clone()).collect::<Vec<_>>();
    let combined = Share::combine(&pick(&[4, 0, 2])).unwrap();
    assert_eq!(contents(&world, &combined, 1).unwrap(), rows(1000, 1));
    let refused = |shares: &[Share]| match Share::combine(shares).unwrap_err() {
        KeyError::Share(error) => error,
        other => panic!("{other}"),
    };
    assert_eq!(refused(&pick(&[1, 3])), ShareError::TooFew { given: 2, threshold: 3 });
    assert_eq!(refused(&pick(&[1, 1, 1])), ShareError::TooFew { given: 1, threshold: 3 });
    let others = Share::split(key, 3, 5, &*world.random).unwrap();
    let mixed = [typed[0].clone(), others[1].clone(), typed[2].clone()];
    assert!(matches!(refused(&mixed), ShareError::OtherSet { number: 2, .. }));
    let text = shares[1].render_text();
    let line = text.lines().find(|line| line.starts_with("3: ")).unwrap();
    let wrong = if line.contains('Q') { line.replace('Q', "R") } else { line.replacen(&line[3..4], "Q", 1) };
    let error = Share::parse(&text.replace(line, &wrong)).unwrap_err();
    assert!(matches!(error, KeyError::Share(ShareError::Mistyped { line: 3 })), "{error}");
    let error = Share::parse(&text.replace(line, "")).unwrap_err();
    assert!(matches!(error, KeyError::Share(ShareError::Mistyped { line: 3 })), "{error}");
    assert_eq!(Share::parse(&shares[1].code_text().to_lowercase()).unwrap().lines(), shares[1].lines());
}

#[test]
fn a_mistyped_line_of_the_kit_is_named() {
    let world = World::in_memory(78);
    let page = world.keys.recovery_kit.render_text().unwrap();
    let start = page.find("AGE-SECR").unwrap();
    let mut wrong = page.clone();
    let place = start + 24;
    let other = if page.as_bytes()[place] == b'Q' { "P" } else { "Q" };
    wrong.replace_range(place..=place, other);
    let error = RecoveryKit::parse(&wrong).unwrap_err();
    assert!(matches!(error, KeyError::Mistyped { line: 1 }), "{error}");
}

/// Draws the page's code as a printer does, and reads it as a telephone does.
#[test]
fn the_code_on_the_page_can_be_scanned() {
    let world = World::in_memory(79);
    let shares = Share::split(world.keys.recovery_kit.key(), 2, 3, &*world.random).unwrap();
    let kit = world.keys.recovery_kit.render_page("/srv/vault <copy>").unwrap();
    assert!(kit.contains("/srv/vault &lt;copy&gt;") && !kit.contains("src=") && !kit.contains("href="));
    assert!(RestoreKey::parse(&scan(&kit)).is_ok());
    assert_eq!(Share::parse(&scan(&shares[2].render_page("").unwrap())).unwrap().lines(), shares[2].lines());
}

fn scan(page: &str) -> String {
    let svg = &page[page.find("<svg").unwrap()..page.find("</svg>").unwrap()];
    let number = |text: &str| text.parse::<usize>().unwrap();
    let attribute = |name: &str| svg.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap();
    let width = number(attribute("width"));
    // The modules are a path of squares: `M x y h side v side H x V y`.
    let mut dark = vec![false; width * width];
    let path = svg.split(" d=\"").last().unwrap().split('"').next().unwrap();
    for square in path.split('M').skip(1) {
        let numbers: Vec<usize> =
            square.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty()).map(number).collect();
        let (left, top, side) = (numbers[0], numbers[1], numbers[2]);
        for y in top..top + side {
            dark[y * width + left..y * width + left + side].fill(true);
        }
    }
    let grey = |x: usize, y: usize| if dark[y * width + x] { 0 } else { 255 };
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, width, grey);
    image.detect_grids()[0].decode().unwrap().1
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_k_of_n_and_no_fewer(seed: u64, threshold in 2_u8..8, more in 0_u8..6, order: u64) {
        let world = World::in_memory(seed);
        let key = &world.keys.restore_key;
        let mut shares = Share::split(key, threshold, threshold + more, &*world.random).unwrap();
        let length = shares.len();
        shares.rotate_left(order as usize % length);
        shares.truncate(usize::from(threshold));
        prop_assert_eq!(Share::combine(&shares).unwrap().to_text(), key.to_text());
        shares.pop();
        prop_assert!(Share::combine(&shares).is_err());
    }

    #[test]
    fn parsers_survive_anything(bytes: Vec<u8>, text: String, at: usize, flip: u8) {
        let world = World::in_memory(1);
        let state = Vault::open(world.store.clone()).unwrap().keys();
        prop_assert!(state.follow(world.keys.manifest.vault, &bytes).is_err());
        prop_assert!(state.follow(world.keys.manifest.vault, &[b"UNWKEYS\0\x01\0\0\0", &bytes[..]].concat()).is_err());
        prop_assert!(Share::parse(&text).is_err());
        drop(RecoveryKit::parse(&text));
        // One wrong byte anywhere in a page gives the same share or an error, never another one.
        let share = Share::split(&world.keys.restore_key, 2, 2, &*world.random).unwrap().remove(0);
        let mut page = share.render_text().into_bytes();
        let place = at % page.len();
        page[place] = flip & 0x7f;
        if let Ok(read) = Share::parse(&String::from_utf8(page).unwrap()) {
            prop_assert_eq!(read.lines(), share.lines());
        }
    }
}
