use super::*;

fn relation(name: &str, oid: u32, kind: char, rows_estimate: i64) -> Relation {
    Relation {
        database: "shop".into(),
        schema: "public".into(),
        name: name.into(),
        oid,
        kind,
        owner_oid: None,
        rows_estimate,
    }
}

fn snapshot(relations: &[(u32, Relation)]) -> Snapshot {
    let rows = relations.iter().map(|(file, relation)| (5, *file, relation.clone())).collect();
    Snapshot { databases: BTreeMap::from([(5, "shop".into())]), relations: BTreeMap::from([(5, rows)]) }
}

const fn file(relation: u32) -> RelationLocator {
    RelationLocator { tablespace: 1663, database: 5, relation }
}

fn name(map: &NameMap, locator: RelationLocator) -> String {
    match map.target(locator) {
        Target::Table { name, .. } | Target::Unknown { name } => name,
        Target::Internal => "internal".into(),
    }
}

#[test]
fn a_dropped_table_keeps_its_name_and_is_known_to_be_gone() {
    let mut map = NameMap::default();
    map.absorb(snapshot(&[(20_000, relation("bookings", 20_000, 'r', 10))]));
    map.absorb(snapshot(&[]));
    assert_eq!(name(&map, file(20_000)), "shop.public.bookings");
    assert_eq!(map.exists(5, 20_000), Some(false));
    assert_eq!(map.exists(6, 20_000), None);
}

#[test]
fn a_table_that_was_dropped_while_nobody_looked_has_the_name_that_was_stored() {
    let mut before = NameMap::default();
    let stored = before.absorb(snapshot(&[(20_000, relation("bookings", 20_000, 'r', 10))]));
    let mut map = NameMap::default();
    map.recall(&stored);
    map.absorb(snapshot(&[]));
    assert_eq!(name(&map, file(20_000)), name(&before, file(20_000)));
    assert_eq!(map.exists(5, 20_000), Some(false));
    map.recall(&[
        ("no/key".to_owned(), relation("x", 1, 'r', 0)),
        ("nothing".to_owned(), relation("x", 1, 'r', 0)),
    ]);
}

#[test]
fn a_truncated_table_lives_on_under_another_file() {
    let mut map = NameMap::default();
    map.absorb(snapshot(&[(20_000, relation("bookings", 20_000, 'r', 10))]));
    map.absorb(snapshot(&[(20_009, relation("bookings", 20_000, 'r', 0))]));
    assert_eq!(name(&map, file(20_000)), name(&map, file(20_009)));
    assert_eq!(map.exists(5, 20_000), Some(true));
}

#[test]
fn a_dropped_database_keeps_its_name() {
    let mut map = NameMap::default();
    map.absorb(snapshot(&[(20_000, relation("bookings", 20_000, 'r', 10))]));
    map.absorb(Snapshot::default());
    assert_eq!(map.database(5), "shop");
    assert_eq!(map.exists(5, 20_000), Some(false));
}

#[test]
fn indexes_toast_and_catalogs_are_internal_and_strangers_are_numbered() {
    let mut map = NameMap::default();
    let catalog = relation("pg_class", 1259, 'r', 10);
    map.absorb(snapshot(&[
        (20_001, relation("bookings_pkey", 20_001, 'i', 10)),
        (20_002, relation("pg_toast_20000", 20_002, 't', 10)),
        (20_003, catalog),
    ]));
    for internal in [20_001, 20_002, 20_003, 1259] {
        assert_eq!(map.target(file(internal)), Target::Internal);
    }
    assert_eq!(name(&map, file(30_000)), "shop rel/30000");
    let stranger = RelationLocator { database: 9, ..file(30_000) };
    assert_eq!(name(&map, stranger), "db/9 rel/30000");
}

#[test]
fn only_changes_are_stored() {
    let mut map = NameMap::default();
    let first = map.absorb(snapshot(&[(20_000, relation("bookings", 20_000, 'r', 1000))]));
    assert_eq!(first[0].0, "5/20000");
    assert!(map.absorb(snapshot(&[(20_000, relation("bookings", 20_000, 'r', 1100))])).is_empty());
    assert_eq!(map.absorb(snapshot(&[(20_000, relation("bookings", 20_000, 'r', 2000))])).len(), 1);
    assert_eq!(map.absorb(snapshot(&[(20_000, relation("rentals", 20_000, 'r', 2000))])).len(), 1);
}
