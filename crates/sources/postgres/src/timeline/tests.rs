use super::*;

const FILE: &str =
    "1\t0/5000000\tno recovery target specified\n\n2\t0/8B2A7EF8\tbefore 2026-04-25\n# a comment\n";

#[test]
fn a_timeline_that_ends_ahead_is_read_to_its_end() {
    let history = History::parse(FILE).unwrap();
    assert_eq!(history.course(1, 0x400_0000, 3), Course::Rest);
    assert_eq!(history.course(1, 0x500_0000, 3), Course::Rest);
    assert_eq!(history.course(2, 0x500_0000, 3), Course::Rest);
}

#[test]
fn ahead_of_the_fork_the_other_branch_is_read_from_the_fork() {
    let history = History::parse(FILE).unwrap();
    assert_eq!(history.course(1, 0x500_0001, 3), Course::Branch { timeline: 2, fork_lsn: 0x500_0000 });
    assert_eq!(history.course(2, 0x9000_0000, 3), Course::Branch { timeline: 3, fork_lsn: 0x8B2A_7EF8 });
}

#[test]
fn a_branch_that_died_is_left_where_it_parted() {
    let history = History::parse("1 0/5000000 x\n3 0/6000000 y\n").unwrap();
    assert_eq!(history.course(2, 0x700_0000, 4), Course::Branch { timeline: 3, fork_lsn: 0x500_0000 });
    assert_eq!(History::default().course(2, 1, 4), Course::Unrelated);
    assert_eq!(history.course(5, 1, 4), Course::Unrelated);
}

#[test]
fn nonsense_is_refused_with_the_line() {
    for bad in ["x 0/1 y", "1", "1 zzz", "2 0/1\n1 0/2"] {
        assert!(History::parse(bad).is_err(), "{bad:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}", timeline: u32, lsn: u64, target: u32) {
        if let Ok(history) = History::parse(&text) {
            history.course(timeline, lsn, target);
        }
    }
}
