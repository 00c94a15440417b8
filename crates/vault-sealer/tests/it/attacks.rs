use std::{collections::BTreeMap, fs, path::Path, process::Command};

use ports::BlobStore;
use vault::verify::{Depth, verify};

use crate::support::{World, commit, is_root};

/// Runs a command as root with every capability but those to set flags, to mount, and to write to devices.
fn as_weak_root(command: &str) -> bool {
    let drop = "-linux_immutable,-sys_admin,-sys_rawio";
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--bounding-set", drop, "--inh-caps", drop, "sh", "-c", command]);
    setpriv.output().unwrap().status.success()
}

fn as_nobody(command: &str) -> bool {
    let mut setpriv = Command::new("setpriv");
    setpriv.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "sh", "-c", command]);
    setpriv.output().unwrap().status.success()
}

fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(path.display().to_string(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// The list of attacks, each one a command that must fail.
fn attacks(root: &Path, object: &Path) -> Vec<String> {
    let (root, object) = (root.display(), object.display());
    let fan = Path::new(&object.to_string()).parent().unwrap().display().to_string();
    vec![
        format!("rm -f {object}"),
        format!("mv {object} {fan}/moved"),
        format!("mv {object} {root}/../"),
        format!("mv -f {root}/vault.json {object}"),
        format!("mv {fan} {root}/data/zz"),
        format!("mv {root}/data {root}/old"),
        format!("mv {root} {root}-gone"),
        format!("rm -rf {fan}"),
        format!("rm -rf {root}/data"),
        format!("rm -rf {root}/log"),
        format!("rm -rf {root}"),
        format!("chattr -i {object}"),
        format!("chattr -a {fan}"),
        format!("chattr -i {root}"),
        format!("chattr -i {root}/vault.json && rm {root}/vault.json"),
        format!("truncate -s 0 {object}"),
        format!("touch -d 2001-01-01 {object}"),
        format!("chmod 666 {object}"),
        format!("chown 65534 {object}"),
        format!("ln {object} {fan}/link"),
        format!("echo x >> {object}"),
        format!("dd if=/dev/zero of={object} bs=1 count=1 conv=notrunc"),
        format!("exec 3<>{object}"),
        format!("echo x > {root}/planted"),
        format!("mkdir {root}/planted"),
        format!("mkdir {root}/data/planted"),
        format!("mount --bind /tmp {root}"),
        format!("rmdir {root}/heads"),
        format!("mv {root}/log/shop {root}/log/other"),
        format!("mv {root}/log/shop/0000000001 {root}/log/shop/0000000002"),
    ]
}

#[test]
fn root_without_the_capability_harms_nothing_and_neither_does_anybody_else() {
    if !is_root() {
        return;
    }
    let world = World::new();
    let (keys, writer) = world.init();
    commit(&writer, &vec![7; 100_000]);
    let store = world.store();
    let pack = store.list("data/").unwrap().remove(0);
    let object = world.root().join(pack.name.as_str());
    let before = tree(&world.root());
    let mut worked = Vec::new();
    for attack in attacks(&world.root(), &object) {
        for (who, run) in [("root", as_weak_root as fn(&str) -> bool), ("nobody", as_nobody)] {
            if run(&attack) {
                worked.push(format!("{who}: {attack}"));
            }
        }
    }
    assert_eq!(worked, Vec::<String>::new());
    assert!(tree(&world.root()) == before, "something changed although every attack failed");
    let reader = vault::VaultReader::open(store, &keys.restore_key).unwrap();
    assert!(verify(reader.vault(), Some(&reader), Depth::ReadData, &mut |_| {}).unwrap().is_sound());
    // Without the flags the same commands do their harm: they fail above for no other reason. Only mounting needs more.
    let control = tempfile::tempdir().unwrap();
    let harmless: Vec<String> = (0..attacks(&world.root(), &object).len())
        .filter_map(|number| {
            let copy = control.path().join(number.to_string()).join("vault");
            for name in ["vault.json", pack.name.as_str(), "log/shop/0000000001"] {
                fs::create_dir_all(copy.join(name).parent().unwrap()).unwrap();
                fs::copy(world.root().join(name), copy.join(name)).unwrap();
            }
            fs::create_dir(copy.join("heads")).unwrap();
            let attack = attacks(&copy, &copy.join(pack.name.as_str())).remove(number);
            (!as_weak_root(&attack)).then_some(attack)
        })
        .collect();
    assert_eq!(harmless.len(), 1, "{harmless:?}");
    assert!(harmless[0].starts_with("mount"));
    // And the vault goes on.
    assert_eq!(commit(&writer, b"more").sequence, 2);
}

#[test]
fn the_record_of_locks_can_only_grow() {
    if !is_root() {
        return;
    }
    let world = World::new();
    world.init();
    let record = world.state().join("locks");
    let before = fs::read(&record).unwrap();
    for attack in [
        format!("rm -f {}", record.display()),
        format!("truncate -s 0 {}", record.display()),
        format!("echo > {}", record.display()),
        format!("mv {} /tmp/", record.display()),
        format!("chattr -a {}", record.display()),
    ] {
        assert!(!as_weak_root(&attack), "{attack}");
    }
    assert_eq!(fs::read(&record).unwrap(), before);
}

#[test]
fn the_attacks_at_start_are_the_real_thing() {
    if !is_root() {
        return;
    }
    let world = World::new();
    assert_eq!(world.sealer.attacks().len(), 13);
    assert!(world.sealer.attacks().iter().all(|attack| attack.held));
    // Without the flags the same attacks work, and the sealer would say so.
    let bare = tempfile::tempdir().unwrap();
    fs::create_dir_all(bare.path().join(".self-test/ff")).unwrap();
    ports::files::create_new(&bare.path().join(".self-test/ff/object"), b"x", 0o444).unwrap();
    let attacks = vault_sealer::try_attacks(bare.path()).unwrap();
    assert!(attacks.iter().filter(|attack| !attack.held).count() >= 2, "{attacks:?}");
}

#[test]
fn a_file_system_on_which_nothing_holds_is_refused() {
    if !is_root() {
        return;
    }
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let options = vault_sealer::SealerOptions {
        vault: memory.path().join("vault"),
        state: memory.path().join("state"),
        lock_days_max: 10,
    };
    let clock = std::sync::Arc::new(crate::support::TwoClocks::new());
    let refused = vault_sealer::Sealer::open(&options, clock, Box::new(vault_sealer::NoReaping));
    let Err(vault_sealer::SealerError::NotImmutable { reason }) = refused else { panic!("accepted") };
    assert!(reason.contains("tmpfs"), "{reason}");
}
