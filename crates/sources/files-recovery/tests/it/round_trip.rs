use std::{
    ffi::OsStr,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
    },
    path::Path,
};

use proptest::prelude::*;
use source_files::Pattern;

use crate::world::{Killed, World, counts, seen, stream};

#[test]
fn a_tree_comes_back_as_it_was() {
    let world = World::new();
    world.put("empty", b"");
    world.put("a/b/c/deep.txt", b"deep");
    world.put("a.b", b"between the folder and its neighbour");
    world.put("large.bin", &(0..3_000_000_u32).flat_map(|n| (n / 1000).to_le_bytes()).collect::<Vec<_>>());
    world.put("sparse", &[vec![0; 2_000_000], b"end".to_vec()].concat());
    world.put("zeros", &vec![0; 70_000]);
    std::fs::create_dir(world.tree().join("nothing in it")).unwrap();
    world.link("a/link", "../does/not/exist");
    world.link("loop", ".");
    std::fs::hard_link(world.tree().join("a.b"), world.tree().join("a/second name")).unwrap();
    for name in [&b"not utf-8 \xff\xfe"[..], b"new\nline", b"100%25", b"-rf"] {
        let path = world.tree().join(OsStr::from_bytes(name));
        ports::files::create_new(&path, name, 0o600).unwrap();
    }
    std::fs::set_permissions(world.tree().join("a.b"), PermissionsExt::from_mode(0o444)).unwrap();
    std::fs::set_permissions(world.tree().join("a/b"), PermissionsExt::from_mode(0o1771)).unwrap();
    let report = world.capture();
    let total = seen(&world.tree()).len() as u64;
    assert_eq!(counts(&report), (total, 0, 0));
    world.check();

    // Nothing changed: nothing is stored, and the account says so.
    let again = world.capture();
    assert_eq!(counts(&again), (0, total, 0));
    assert!(again.new_bytes < 4096, "{}", again.new_bytes);
}

#[test]
fn only_what_changed_is_stored_and_every_moment_comes_back() {
    let world = World::new();
    for number in 0..200 {
        world.put(&format!("{}/{number}", number % 7), format!("file {number}").as_bytes());
    }
    world.capture();
    let (first, before) = (world.latest(), seen(&world.tree()));
    world.put("3/3", b"changed");
    std::fs::remove_file(world.tree().join("4/4")).unwrap();
    std::fs::remove_dir_all(world.tree().join("5")).unwrap();
    std::fs::rename(world.tree().join("6"), world.tree().join("6 moved")).unwrap();
    let report = world.capture();
    let moved = 200_u64.div_ceil(7) - 1;
    // The changed file, three folders whose times changed with it (the root among them), and the moved folder.
    let (stored, unchanged, _) = counts(&report);
    assert_eq!(stored + unchanged, seen(&world.tree()).len() as u64);
    assert!((moved + 2..moved + 8).contains(&stored), "{stored} stored");
    world.check();
    let (_, to) = world.restore_at(first).unwrap();
    assert_eq!(seen(&to), before);
    assert!(world.stored().item_at(&stream(), "5/5", first).unwrap().is_some());
    assert!(world.stored().item_at(&stream(), "5/5", world.latest()).unwrap().is_none());
}

#[test]
fn what_is_excluded_is_neither_read_nor_kept() {
    let mut world = World::new();
    world.put("keep/a.txt", b"a");
    world.put("keep/b.tmp", b"b");
    world.put("cache/c", b"c");
    world.capture();
    world.excludes = vec![Pattern::new("*.tmp"), Pattern::new("/cache")];
    world.capture();
    let listed = world.catalog().listed_at(&stream(), world.latest(), None, 100).unwrap();
    let keys: Vec<_> = listed.into_iter().map(|(item, _)| item.key).collect();
    assert_eq!(keys, [".", "keep", "keep/a.txt"]);
}

#[test]
fn a_copy_of_a_file_takes_no_room() {
    let world = World::new();
    let mut noise = vec![0; 300_000];
    ports::Random::fill(&ports::SeededRandom::new(3), &mut noise);
    world.put("one", &noise);
    world.capture();
    world.put("two/one", &noise);
    let report = world.capture();
    assert!(report.new_bytes < 10_000, "{}", report.new_bytes);
    world.check();
}

#[test]
fn a_killed_capture_goes_on_where_its_last_commit_was() {
    let mut world = World::new();
    world.checkpoint_changes = 50;
    for number in 0..400 {
        world.put(&format!("{}/{number}", number % 9), format!("file {number}").as_bytes());
    }
    let total = seen(&world.tree()).len() as u64;
    for after in [180, 120] {
        let reader = world.reader_of(world.tree());
        world.run(&mut Killed { reader, after }).unwrap_err();
    }
    let known = world.catalog().listed_at(&stream(), u64::MAX, None, 10_000).unwrap().len() as u64;
    assert!(known >= 200, "{known} items were committed before the kills");
    std::fs::remove_file(world.tree().join("0/0")).unwrap();
    let (stored, unchanged, _) = counts(&world.capture());
    assert_eq!(stored + unchanged, total - 1);
    // The folder of the removed file and the root may have changed.
    assert!(stored <= total - known + 2, "{stored} were read again, {known} of {total} were known");
    world.check();
}

#[test]
fn without_its_listing_everything_is_read_again_and_nothing_stored_twice() {
    let world = World::new();
    let mut noise = vec![0; 500_000];
    ports::Random::fill(&ports::SeededRandom::new(4), &mut noise);
    for (number, part) in noise.chunks(5000).enumerate() {
        world.put(&format!("{}/{number}", number % 3), part);
    }
    world.capture();
    for entry in world.state().join("listings").read_dir().unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    std::fs::remove_file(world.tree().join("1/4")).unwrap();
    let report = world.capture();
    assert_eq!(counts(&report).1, 0);
    assert!(report.new_bytes < 30_000, "{}", report.new_bytes);
    world.check();
}

/// One step of a random history.
#[derive(Debug, Clone)]
enum Step {
    Write(u8, Vec<u8>),
    Remove(u8),
    Move(u8, u8),
    Link(u8, u8),
    Mode(u8, u32),
    Capture,
}

fn step() -> impl Strategy<Value = Step> {
    let content = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..3000),
        (1_usize..40_000).prop_map(|length| {
            b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5\r\n"
                .iter()
                .copied()
                .cycle()
                .take(length)
                .collect()
        }),
        (1_usize..5).prop_map(|size| vec![0x5A; size * 400_000]),
    ];
    prop_oneof![
        4 => (any::<u8>(), content).prop_map(|(path, content)| Step::Write(path, content)),
        1 => any::<u8>().prop_map(Step::Remove),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(from, to)| Step::Move(from, to)),
        1 => (any::<u8>(), any::<u8>()).prop_map(|(path, target)| Step::Link(path, target)),
        1 => (any::<u8>(), 0o400_u32..0o777).prop_map(|(path, mode)| Step::Mode(path, mode)),
        2 => Just(Step::Capture),
    ]
}

/// Few paths, so that files, folders and links take each other's places.
fn path(number: u8) -> Vec<u8> {
    const NAMES: [&[u8]; 4] = [b"a", b"a.b", b"\xff%", b"z\n"];
    let number = usize::from(number);
    let mut path = NAMES[number % 4].to_vec();
    for shift in 1..=number / 64 {
        path.push(b'/');
        path.extend_from_slice(NAMES[number / 4 / shift % 4]);
    }
    path
}

fn apply(root: &Path, step: &Step) {
    let at = |number: u8| root.join(OsStr::from_bytes(&path(number)));
    // Many steps make no sense where they happen; then nothing happens.
    match step {
        Step::Write(number, content) => {
            drop(std::fs::create_dir_all(at(*number).parent().unwrap()));
            drop(std::fs::remove_file(at(*number)));
            drop(ports::files::create_new(&at(*number), content, 0o600));
        }
        Step::Remove(number) => {
            drop(std::fs::remove_file(at(*number)));
            if at(*number).is_dir() && !at(*number).is_symlink() {
                drop(std::fs::remove_dir_all(at(*number)));
            }
        }
        Step::Move(from, to) => drop(std::fs::rename(at(*from), at(*to))),
        Step::Link(number, target) => drop(symlink(at(*target), at(*number))),
        Step::Mode(number, mode) if !at(*number).is_symlink() => {
            drop(std::fs::set_permissions(at(*number), PermissionsExt::from_mode(*mode | 0o700)));
        }
        Step::Mode(..) | Step::Capture => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn any_history_comes_back(steps in proptest::collection::vec(step(), 1..40)) {
        let mut world = World::new();
        world.checkpoint_changes = 3;
        for step in &steps {
            apply(&world.tree(), step);
            if matches!(step, Step::Capture) {
                world.capture();
            }
        }
        world.capture();
        world.check();
    }
}
