use std::collections::BTreeSet;

use super::*;

fn user(uid: u32, gids: &[u32]) -> User {
    User { uid, name: None, gids: gids.iter().copied().collect::<BTreeSet<_>>() }
}

fn facts(path: &str, uid: u32, mode: u32) -> Facts {
    Facts {
        path: path.into(),
        folder: !path.contains(".bin"),
        uid,
        gid: 50,
        mode,
        list: Vec::new(),
        immutable: Some(false),
    }
}

fn survey(above: u32, folder: u32, file: u32) -> Survey {
    Survey {
        above: vec![facts("/srv", 0, above), facts("/", 0, 0o755)],
        inside: vec![facts("/srv/vault", 9, folder), facts("/srv/vault/a.bin", 9, file)],
        ..Survey::default()
    }
}

#[test]
fn who_may_destroy_is_decided_as_a_kernel_does() {
    let cases: [(&str, Survey, User, usize); 11] = [
        ("a stranger", survey(0o755, 0o755, 0o444), user(7, &[7]), 0),
        ("the owner", survey(0o755, 0o700, 0o400), user(9, &[9]), 2),
        ("root", survey(0o755, 0o700, 0o400), user(0, &[]), 3),
        ("the group of the folder", survey(0o755, 0o775, 0o444), user(7, &[50]), 1),
        ("everybody in the folder", survey(0o755, 0o777, 0o444), user(7, &[7]), 1),
        ("everybody in the file", survey(0o755, 0o755, 0o666), user(7, &[7]), 1),
        ("the folder above", survey(0o777, 0o755, 0o444), user(7, &[7]), 1),
        ("a sticky folder above", survey(0o1777, 0o755, 0o444), user(7, &[7]), 0),
        ("a sticky folder above, for the owner", survey(0o1777, 0o755, 0o444), user(9, &[7]), 3),
        ("write without search", survey(0o755, 0o722, 0o444), user(7, &[50]), 0),
        ("a group that may less than others", survey(0o755, 0o757, 0o444), user(7, &[50]), 0),
    ];
    for (what, survey, user, expected) in cases {
        let ways = survey.ways_to_destroy(&user);
        assert_eq!(ways.len(), expected, "{what}: {ways:?}");
    }
}

#[test]
fn flags_hold_everybody_but_root() {
    let mut flagged = survey(0o755, 0o755, 0o444);
    flagged.inside[1].immutable = Some(true);
    assert_eq!(flagged.ways_to_destroy(&user(9, &[9])), Vec::<String>::new());
    assert!(!flagged.ways_to_destroy(&user(0, &[])).is_empty());
    assert_eq!(flagged.flags(), (1, 1));
    // Nobody could look whether there is one: then there is none.
    flagged.inside[1].immutable = None;
    assert_eq!(flagged.ways_to_destroy(&user(9, &[9])).len(), 2);
}

#[test]
fn an_access_list_counts_with_its_mask() {
    let with = |list: Vec<Entry>| {
        let mut survey = survey(0o755, 0o770, 0o440);
        survey.inside[0].list = list;
        survey.ways_to_destroy(&user(7, &[70])).len()
    };
    assert_eq!(with(vec![Entry::User(7, 7), Entry::Mask(7)]), 1);
    assert_eq!(with(vec![Entry::User(7, 7), Entry::Mask(5)]), 0);
    assert_eq!(with(vec![Entry::User(8, 7), Entry::Mask(7)]), 0);
    assert_eq!(with(vec![Entry::Group(70, 7), Entry::Mask(7)]), 1);
    // The mode's middle bits are the mask then: the owning group has its own line.
    let mut survey = survey(0o755, 0o770, 0o440);
    survey.inside[0].list = vec![Entry::OwningGroup(5), Entry::Mask(7)];
    assert_eq!(survey.ways_to_destroy(&user(7, &[50])).len(), 0);
}

#[test]
fn the_binary_form_of_a_list_is_read() {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, bits, id) in
        [(1_u16, 7_u16, u32::MAX), (2, 6, 1000), (4, 5, u32::MAX), (8, 7, 20), (16, 7, u32::MAX)]
    {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(bits.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    assert_eq!(
        access_list(&bytes),
        [Entry::User(1000, 6), Entry::OwningGroup(5), Entry::Group(20, 7), Entry::Mask(7)]
    );
    assert!(access_list(&bytes[..3]).is_empty());
    assert!(access_list(b"\x01\0\0\0aaaaaaaa").is_empty());
}

#[test]
fn a_real_folder_is_surveyed() {
    let folder = tempfile::tempdir().unwrap();
    let vault = folder.path().join("vault");
    std::fs::create_dir(&vault).unwrap();
    File::create(vault.join("a")).unwrap();
    let survey = Survey::of(&vault, 100);
    assert_eq!(survey.inside.len(), 2);
    assert!(survey.above.len() >= 2 && survey.unseen.is_empty());
    let me = user(rustix::process::geteuid().as_raw(), &[]);
    assert!(!survey.ways_to_destroy(&me).is_empty());
    assert!(Survey::of(&vault, 1).more);
}
