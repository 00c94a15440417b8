use model::SourceName;

use super::*;

fn settings() -> ClusterSettings {
    let source = SourceName::new("shop").unwrap();
    ClusterSettings::new(&source, "postgresql://unwipe@db.example/postgres").unwrap()
}

fn healthy() -> Facts {
    Facts {
        major: 15,
        encrypted: true,
        local: false,
        page_bytes: 8192,
        wal_page_bytes: 8192,
        wal_level: "replica".into(),
        slot_keep_mb: 10_240,
        wal_size_max_mb: 1024,
        senders_max: 10,
        senders_used: Some(0),
        sender_is_ours: false,
        slots_max: 10,
        slots_used: Some(0),
        slot_exists: false,
        full_page_writes: true,
        fsync: true,
        data_checksums: true,
        standby: false,
        synchronous_standby_names: String::new(),
        role: Some(RoleFacts { name: "unwipe".into(), replication: true, ..RoleFacts::default() }),
        sql_refusal: None,
    }
}

/// Asserts that exactly one thing is wrong, and returns it.
fn only(facts: &Facts, settings: &ClusterSettings) -> Finding {
    let mut wrong: Vec<_> =
        judge(facts, settings).into_iter().filter(|finding| finding.standing != Standing::Good).collect();
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    wrong.remove(0)
}

#[test]
fn a_healthy_cluster_has_only_good_findings() {
    let findings = judge(&healthy(), &settings());
    assert!(findings.iter().all(|finding| finding.standing == Standing::Good), "{findings:?}");
}

#[test]
fn an_unbounded_slot_is_refused_with_the_statement_that_bounds_it() {
    for slot_keep_mb in [-1, 0] {
        let finding = only(&Facts { slot_keep_mb, ..healthy() }, &settings());
        assert_eq!(finding.standing, Standing::Bad);
        assert_eq!(
            finding.fix.as_deref(),
            Some("ALTER SYSTEM SET max_slot_wal_keep_size = '10GB'; SELECT pg_reload_conf();")
        );
    }
    let large = slot_bound_fix(8 * 1024);
    assert!(large.contains("'32GB'"), "{large}");
}

#[test]
fn what_makes_a_copy_wrong_stands_in_the_way() {
    let cases = [
        Facts { major: 12, ..healthy() },
        Facts { major: 19, ..healthy() },
        Facts { page_bytes: 32_768, ..healthy() },
        Facts { wal_level: "minimal".into(), ..healthy() },
        Facts { standby: true, ..healthy() },
        Facts { full_page_writes: false, ..healthy() },
        Facts { senders_used: Some(10), ..healthy() },
        Facts { slots_used: Some(10), ..healthy() },
        Facts { role: Some(RoleFacts { name: "Unwipe".into(), ..RoleFacts::default() }), ..healthy() },
    ];
    for facts in cases {
        let finding = only(&facts, &settings());
        assert_eq!(finding.standing, Standing::Bad, "{finding:?}");
        assert!(finding.fix.is_some());
    }
    assert!(is_blocked(&judge(&Facts { standby: true, ..healthy() }, &settings())));
}

#[test]
fn a_slot_of_our_own_needs_no_further_room() {
    let facts = Facts { slots_used: Some(10), slot_exists: true, ..healthy() };
    assert!(!is_blocked(&judge(&facts, &settings())));
}

#[test]
fn what_works_and_could_be_safer_is_advice() {
    let strong = RoleFacts {
        name: "unwipe".into(),
        replication: true,
        createdb: true,
        memberships: vec!["pg_write_all_data".into(), "harmless".into()],
        ..RoleFacts::default()
    };
    let cases = [
        Facts { encrypted: false, ..healthy() },
        Facts { fsync: false, ..healthy() },
        Facts { data_checksums: false, ..healthy() },
        Facts {
            sql_refusal: Some(("no line of pg_hba.conf admits this connection".into(), None)),
            ..healthy()
        },
        Facts { role: Some(strong), ..healthy() },
    ];
    for facts in cases {
        let finding = only(&facts, &settings());
        assert_eq!(finding.standing, Standing::Advice, "{finding:?}");
    }
}

#[test]
fn the_fix_for_a_strong_role_takes_away_what_it_has_too_much() {
    let strong = RoleFacts {
        name: "Backup".into(),
        replication: true,
        superuser: true,
        memberships: vec!["pg_write_all_data".into()],
        ..RoleFacts::default()
    };
    let finding = only(&Facts { role: Some(strong), ..healthy() }, &settings());
    assert_eq!(
        finding.fix.as_deref(),
        Some("ALTER ROLE \"Backup\" NOSUPERUSER; REVOKE \"pg_write_all_data\" FROM \"Backup\";")
    );
}

#[test]
fn synchronous_mode_says_how_to_name_the_slot() {
    let settings = ClusterSettings { synchronous: true, ..settings() };
    let finding = only(&healthy(), &settings);
    assert!(finding.fix.unwrap().contains("FIRST 1 (unwipe_shop)"));
    let named = Facts { synchronous_standby_names: "FIRST 1 (unwipe_shop)".into(), ..healthy() };
    assert!(judge(&named, &settings).iter().all(|finding| finding.standing == Standing::Good));
}
