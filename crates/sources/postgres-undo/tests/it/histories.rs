//! Random histories against a model: what is undone is the transaction, all of it that nobody built upon, and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use ports::SeededRandom;

use crate::story::Story;

const TABLES: u64 = 60;
const KEYS: u64 = 12;

/// A row's table and key.
type Place = (u64, u64);
type Model = BTreeMap<Place, u64>;

/// The operations of one transaction on one table: SQL, and what they do to the model.
fn operations(
    random: &SeededRandom,
    table: u64,
    count: u64,
    model: &mut Model,
    written: &mut BTreeSet<Place>,
) -> String {
    let mut sql = String::new();
    for _ in 0..count {
        let (key, value) = (1 + random.below(KEYS), random.below(1_000_000));
        let place = (table, key);
        let present = model.contains_key(&place);
        match random.below(4) {
            0 => {
                write!(sql, "INSERT INTO t{table} VALUES ({key}, {value}) ON CONFLICT DO NOTHING; ").unwrap();
                if !present {
                    model.insert(place, value);
                    written.insert(place);
                }
            }
            1 => {
                write!(sql, "UPDATE t{table} SET v = {value} WHERE id = {key}; ").unwrap();
                if present {
                    model.insert(place, value);
                    written.insert(place);
                }
            }
            2 => {
                write!(sql, "DELETE FROM t{table} WHERE id = {key}; ").unwrap();
                if model.remove(&place).is_some() {
                    written.insert(place);
                }
            }
            _ => write!(
                sql,
                "SAVEPOINT s; DELETE FROM t{table} WHERE id <> {key}; UPDATE t{table} SET v = 0; ROLLBACK TO s; "
            )
            .unwrap(),
        }
    }
    sql
}

fn read(story: &Story) -> Model {
    let parts: Vec<String> =
        (0..TABLES).map(|table| format!("SELECT {table} AS t, id, v FROM t{table}")).collect();
    let rows = story.sql(&parts.join(" UNION ALL "));
    rows.lines()
        .map(|row| {
            let fields: Vec<u64> = row.split('|').map(|field| field.parse().unwrap()).collect();
            ((fields[0], fields[1]), fields[2])
        })
        .collect()
}

fn check(seed: u64) {
    let random = SeededRandom::new(seed);
    let tables: Vec<String> = (0..TABLES)
        .map(|table| format!("CREATE TABLE t{table} (id integer PRIMARY KEY, v integer)"))
        .collect();
    let setup = tables.join("; ");
    let mut story = Story::begin(15, &setup);
    let mut model = Model::new();
    let mut ignored = BTreeSet::new();
    let fill: String =
        (0..TABLES).map(|table| operations(&random, table, 14, &mut model, &mut ignored)).collect();
    story.transaction(&fill);
    let before = model.clone();

    let mut ours = BTreeSet::new();
    let statements: String =
        (0..TABLES).map(|table| operations(&random, table, random.below(8), &mut model, &mut ours)).collect();
    let number = story.transaction(&statements);
    let mut theirs = BTreeSet::new();
    for _ in 0..20 {
        let table = random.below(TABLES);
        let statements = operations(&random, table, 1 + random.below(4), &mut model, &mut theirs);
        story.transaction(&statements);
    }
    let after = read(&story);
    assert_eq!(after, model, "the model follows the server (seed {seed})");

    let planned = story.plan(number);
    story.apply_and_verify(&planned);
    let undone = read(&story);
    for place in (0..TABLES).flat_map(|table| (1..=KEYS).map(move |key| (table, key))) {
        let (expected, rule) = match (ours.contains(&place), theirs.contains(&place)) {
            (_, true) => (after.get(&place), "later work stays"),
            (true, false) => (before.get(&place), "the transaction is undone"),
            (false, false) => (after.get(&place), "what it did not touch stays"),
        };
        assert_eq!(
            undone.get(&place),
            expected,
            "{rule}: row {place:?}, seed {seed}: {:#?}",
            planned.plan.conflicts
        );
    }
}

#[test]
fn undoing_a_transaction_is_the_history_without_it() {
    // Each seed makes sixty independent histories, one in each table, that share the transaction.
    for seed in [1, 2] {
        check(seed);
    }
}
