use model::{Item, Moment, StreamName};
use proptest::prelude::*;
use source_postgres::layout::BaseKind;

use super::*;

pub(crate) fn base(timeline: u32, start_lsn: u64, end_lsn: u64) -> KnownBase {
    let base = Base {
        kind: BaseKind::Production,
        system_identifier: 7,
        major: 15,
        timeline,
        start_lsn,
        end_lsn,
        wal_segment_bytes: 16 << 20,
        tablespaces: BTreeMap::new(),
        started_at: Moment::from_micros(start_lsn.cast_signed()),
        finished_at: Moment::from_micros(end_lsn.cast_signed()),
        files: 0,
        bytes: 0,
    };
    let item = Item {
        stream: StreamName::new("base").unwrap(),
        key: layout::lsn_key(start_lsn),
        attributes: String::new(),
    };
    KnownBase { base, item: StoredItem { item, sequence: 1, size_bytes: 0 } }
}

pub(crate) fn history(
    bases: Vec<KnownBase>,
    branches: &[(&str, &str)],
    runs: &[(u32, Range<u64>)],
) -> ClusterHistory {
    let branches = branches.iter().map(|(name, text)| Branch::parse(name, text.as_bytes()).unwrap());
    let branches = branches.map(|branch| (branch.timeline, branch)).collect();
    ClusterHistory::assemble(bases, branches, Vec::new(), |timeline| {
        let mut coverage = Coverage::default();
        runs.iter().filter(|(of, _)| *of == timeline).for_each(|(_, run)| coverage.add(run.clone()));
        Ok(coverage)
    })
    .unwrap()
}

#[test]
fn a_history_file_gives_the_branch() {
    let text = "1\t0/8B2A7EF8\tno recovery target specified\n\n2\t0/90000000\tbefore 2026-04-25\n";
    let branch = Branch::parse("00000003.history", text.as_bytes()).unwrap();
    assert_eq!(branch.timeline, 3);
    assert_eq!(branch.origin_lsn(), 0x9000_0000);
    assert!(Branch::parse("00000003.history", b"1\t0/9\n2\t0/8\n").is_err());
    let branch = Branch::parse("00000003.history", b"1\t0/800\tx\n2\t0/900\ty\n").unwrap();
    assert_eq!([0x7FF, 0x800, 0x8FF, 0x900].map(|at| branch.timeline_at(at)), [1, 2, 2, 3]);
}

#[test]
fn a_damaged_history_file_is_refused() {
    for (name, text) in [
        ("3.history", "1\t0/1\n"),
        ("00000003.history", "one\t0/1\n"),
        ("00000003.history", "1\n"),
        ("00000003.history", "3\t0/1\n"),
        ("00000003.history", "2\t0/1\n1\t0/2\n"),
    ] {
        assert!(Branch::parse(name, text.as_bytes()).is_err(), "{name}: {text:?}");
    }
}

#[test]
fn a_span_ends_at_the_first_gap() {
    let history = history(vec![base(1, 100, 150)], &[], &[(1, 100..300), (1, 400..500)]);
    assert_eq!(history.restorable(), [Span { timeline: 1, first_lsn: 150, last_lsn: 300 }]);
}

#[test]
fn a_base_without_its_wal_gives_no_span() {
    let history = history(vec![base(1, 100, 150)], &[], &[(1, 100..149)]);
    assert_eq!(history.restorable(), []);
    assert_eq!(history.newest(), None);
}

#[test]
fn both_sides_of_a_fork_are_restorable_once_each() {
    let runs = [(1, 100..300), (2, 250..400)];
    let history = history(vec![base(1, 100, 150)], &[("00000002.history", "1\t0/FA\tx\n")], &runs);
    assert_eq!(
        history.restorable(),
        [
            Span { timeline: 1, first_lsn: 150, last_lsn: 300 },
            Span { timeline: 2, first_lsn: 250, last_lsn: 400 },
        ]
    );
    assert_eq!(history.newest().unwrap().timeline, 2);
}

#[test]
fn the_copied_beginning_of_a_segment_fills_its_parents_gap() {
    // The parent was read up to 200; the child's segment begins at 192 and forks at 250.
    let runs = [(1, 100..200), (2, 192..400)];
    let history = history(vec![base(1, 100, 150)], &[("00000002.history", "1\t0/FA\tx\n")], &runs);
    let branch = &history.branches[&2];
    assert_eq!(history.coverage_along(branch).reach(100), 400);
    assert_eq!(history.holder(branch, 195), Some((1, 200)));
    assert_eq!(history.holder(branch, 220), Some((2, 400)));
}

#[test]
fn the_parents_bytes_after_the_fork_are_not_the_childs() {
    let runs = [(1, 100..300), (2, 270..400)];
    let history = history(vec![base(1, 100, 150)], &[("00000002.history", "1\t0/FA\tx\n")], &runs);
    assert_eq!(history.coverage_along(&history.branches[&2]).reach(100), 250);
}

#[test]
fn another_cluster_behind_the_address_is_left_out() {
    let mut other = base(1, 5000, 6000);
    other.base.system_identifier = 8;
    other.base.finished_at = Moment::from_micros(0);
    let history = history(vec![other, base(1, 100, 150)], &[], &[]);
    assert_eq!(history.bases.len(), 1);
    assert_eq!(history.bases[0].base.system_identifier, 7);
}

proptest! {
    #[test]
    fn coverage_holds_exactly_what_was_added(runs in prop::collection::vec((0_u64..60, 0_u64..12), 0..12)) {
        let mut coverage = Coverage::default();
        for (start, length) in &runs {
            coverage.add(*start..start + length);
        }
        for position in 0..80 {
            let added = runs.iter().any(|(start, length)| (*start..start + length).contains(&position));
            prop_assert_eq!(coverage.run_at(position).is_some(), added, "position {}", position);
        }
        for pair in coverage.runs().windows(2) {
            prop_assert!(pair[0].end < pair[1].start);
        }
    }
}
