//! Random histories of several actors: what one of them did is undone, and what the others did stays, column by column.

use std::collections::{BTreeMap, BTreeSet};

use connect::{
    Silent,
    plan::{ApplyMode, Plan, SourceWriter},
};
use ports::SeededRandom;
use postgres_undo::{Joint, PlanningError, ProductionWriter, Servers, Stands, plan_transactions};
use postgres_wal::{
    IndexEvent, IndexLimits, Lsn, Strand, StrandChanges, TransactionId, TransactionIndex, TransactionSummary,
};
use postgres_wire::Connection;

use crate::story::{Story, connect, heading};

const HISTORIES: u64 = 50;
const STEPS: u64 = 14;
const KEYS: u64 = 20;
const COLUMNS: [&str; 3] = ["a", "b", "c"];

type Row = [u64; 3];

/// A table as it is, and as it would be had the bad actor never been.
#[derive(Debug, Default, Clone)]
struct Model {
    real: BTreeMap<u64, Row>,
    without: BTreeMap<u64, Row>,
    /// Rows that the bad actor deleted and in whose place somebody made another one: that one may go again.
    replaced: BTreeMap<u64, Row>,
    /// Rows that the bad actor added and others worked on since.
    built_upon: BTreeSet<u64>,
    touched_by_bad: BTreeSet<u64>,
    /// Rows that are there because the bad actor added them.
    added_by_bad: BTreeSet<u64>,
    /// What happened, for whoever has to find out why a test failed.
    told: Vec<String>,
}

impl Model {
    /// Does something in the model and returns the SQL that does it in the database.
    fn act(&mut self, random: &SeededRandom, table: &str, bad: bool) -> String {
        let (key, value) = (1 + random.below(KEYS), 1 + random.below(1000));
        let column = usize::try_from(random.below(3)).unwrap();
        let present = self.real.contains_key(&key);
        if bad {
            self.touched_by_bad.insert(key);
        } else if present && self.added_by_bad.contains(&key) {
            self.built_upon.insert(key);
        }
        let sql = match random.below(8) {
            0 | 1 => {
                let row = [value, value + 1, value + 2];
                if !present {
                    self.real.insert(key, row);
                    if bad {
                        self.added_by_bad.insert(key);
                    } else {
                        let deleted = self.without.insert(key, row);
                        self.replaced.extend(deleted.map(|row| (key, row)));
                    }
                }
                let [a, b, c] = row;
                format!("INSERT INTO {table} VALUES ({key}, {a}, {b}, {c}) ON CONFLICT DO NOTHING")
            }
            2 | 3 => {
                if self.real.remove(&key).is_some() && !bad {
                    self.without.remove(&key);
                    self.without.extend(self.replaced.remove_entry(&key));
                }
                self.added_by_bad.remove(&key);
                format!("DELETE FROM {table} WHERE id = {key}")
            }
            _ => {
                if let Some(row) = self.real.get_mut(&key) {
                    row[column] = value;
                    if let Some(row) = self.without.get_mut(&key).filter(|_| !bad) {
                        row[column] = value;
                    }
                }
                format!("UPDATE {table} SET {} = {value} WHERE id = {key}", COLUMNS[column])
            }
        };
        self.told.push(format!(
            "{} {sql} -- {:?} {:?}",
            if bad { "bad " } else { "good" },
            self.real.get(&key),
            self.without.get(&key)
        ));
        sql
    }
}

/// One table with its history.
struct History {
    seed: u64,
    table: String,
    random: SeededRandom,
    model: Model,
    bad: BTreeSet<u32>,
}

impl History {
    fn step(&mut self, connection: &mut Connection, first: bool) {
        let bad = first || self.random.below(3) == 0;
        let role =
            if bad { "mallory" } else { ["anna", "ben"][usize::try_from(self.random.below(2)).unwrap()] };
        let mut sql = format!("BEGIN; SET LOCAL ROLE {role};");
        for _ in 0..=self.random.below(4) {
            sql.push_str(&self.model.act(&self.random, &self.table, bad));
            sql.push(';');
        }
        connection.execute(&sql).unwrap();
        let number = connection.query_rows("SELECT pg_current_xact_id_if_assigned()::xid::text").unwrap();
        connection.execute("COMMIT").unwrap();
        if let Some(number) = number[0][0].as_ref().filter(|_| bad) {
            self.bad.insert(number.parse().unwrap());
        }
    }

    fn read(&self, connection: &mut Connection) -> BTreeMap<u64, Row> {
        let rows = connection.query_rows(&format!("SELECT id, a, b, c FROM public.{}", self.table)).unwrap();
        let number = |field: &Option<String>| field.as_ref().unwrap().parse::<u64>().unwrap();
        rows.iter()
            .map(|row| (number(&row[0]), [number(&row[1]), number(&row[2]), number(&row[3])]))
            .collect()
    }
}

/// Gives a new server for each moment.
struct Moments<'s> {
    story: &'s Story,
    given: u32,
}

impl Stands for Moments<'_> {
    fn before(
        &mut self,
        lsn: Lsn,
        read: &mut dyn FnMut(&mut Connection) -> Result<(), PlanningError>,
    ) -> Result<(), PlanningError> {
        self.given += 1;
        read(&mut self.story.scratch_before(lsn).connect())
    }
}

struct Read {
    summary: TransactionSummary,
    strands: Vec<Strand>,
    first: Lsn,
    end: Lsn,
}

/// Reads what transactions did, as it is read from a vault.
fn read_joint(story: &Story, bad: &BTreeSet<u32>) -> Read {
    let mut index = TransactionIndex::new(IndexLimits::default());
    let mut summaries: Vec<TransactionSummary> = Vec::new();
    story.read_log(|record| {
        if let Some(IndexEvent::Committed(summary)) = index.apply(record).unwrap()
            && bad.contains(&summary.transaction.0)
        {
            summaries.push(*summary);
        }
    });
    let mut changes = StrandChanges::new(bad.iter().map(|number| TransactionId(*number)), 1_000_000);
    story.read_log(|record| changes.apply(record).unwrap());
    let mut watch = changes.watch().unwrap();
    story.read_log(|record| watch.apply(record).unwrap());
    let (first, end) = (summaries[0].commit_lsn, summaries.iter().map(|one| one.end_lsn).max().unwrap());
    let mut summary = summaries.remove(0);
    summary.subtransactions.extend(summaries.iter().map(|one| one.transaction));
    Read { summary, strands: watch.strands(), first, end }
}

fn check(history: &History, found: &BTreeMap<u64, Row>, plan: &Plan) {
    let seed = history.seed;
    let model = &history.model;
    let target = format!("postgres.public.{}", history.table);
    let conflicts: Vec<_> = plan.conflicts.iter().filter(|conflict| conflict.target == target).collect();
    for key in 1..=KEYS {
        let (is, expected) = (found.get(&key), model.without.get(&key));
        if !model.touched_by_bad.contains(&key) {
            assert_eq!(is, model.real.get(&key), "never touched: row {key}, seed {seed}");
        }
        let listed = conflicts.iter().any(|conflict| conflict.key == format!("id={key}"));
        let excused = listed || (model.built_upon.contains(&key) && !conflicts.is_empty());
        let told: Vec<&String> = model
            .told
            .iter()
            .filter(|line| line.contains(&format!(" {key} --")) || line.contains(&format!("({key},")))
            .collect();
        assert!(
            is == expected || excused,
            "row {key} is {is:?} and should be {expected:?}, seed {seed}: {conflicts:#?} {told:#?}"
        );
    }
}

#[test]
fn undoing_an_actor_is_the_history_without_it() {
    let mut story = Story::begin(15, "CREATE ROLE mallory; CREATE ROLE anna; CREATE ROLE ben");
    let mut production = connect(&story.production.url());
    let mut histories: Vec<History> = Vec::new();
    for seed in 0..HISTORIES {
        let mut history = History {
            seed,
            table: format!("t{seed}"),
            random: SeededRandom::new(seed),
            model: Model::default(),
            bad: BTreeSet::new(),
        };
        let mut sql = format!(
            "CREATE TABLE t{seed} (id integer PRIMARY KEY, a integer, b integer, c integer); \
             GRANT ALL ON t{seed} TO mallory, anna, ben;"
        );
        for _ in 0..8 {
            sql.push_str(&history.model.act(&history.random, &history.table, false));
            sql.push(';');
        }
        production.execute(&sql).unwrap();
        histories.push(history);
    }
    for step in 0..STEPS {
        for history in &mut histories {
            history.step(&mut production, step == 0);
        }
    }
    for history in &histories {
        let found = history.read(&mut production);
        assert_eq!(found, history.model.real, "the model follows the server, seed {}", history.seed);
    }

    let bad: BTreeSet<u32> = histories.iter().flat_map(|history| history.bad.iter().copied()).collect();
    let read = read_joint(&story, &bad);
    let scratch = story.scratch_before(read.first);
    let folder = story.new_folder();
    let mut stands = Moments { story: &story, given: 0 };
    let servers = Servers {
        scratch: &mut scratch.connect(),
        production: &mut production,
        definitions: None,
        folder: &folder,
        progress: &Silent,
    };
    let joint = Joint {
        summary: &read.summary,
        strands: &read.strands,
        first: read.first,
        stand: read.first,
        end: read.end,
        moments_max: 24,
    };
    let plan = plan_transactions(servers, &mut stands, &heading(), "what mallory did", &joint).unwrap();
    let given = stands.given;
    let mut writer = ProductionWriter::new(&mut production);
    writer.apply(&plan, &folder, ApplyMode::Lasting, &Silent).unwrap();
    let verification = writer.verify(&plan, &folder, &Silent).unwrap();
    assert!(verification.is_good(), "{verification:#?}");
    let again = writer.apply(&plan, &folder, ApplyMode::Lasting, &Silent).unwrap().counts;
    assert_eq!((again.inserted, again.reverted, again.removed), (0, 0, 0));
    for history in &histories {
        check(history, &history.read(&mut production), &plan);
    }
    let changed = plan.counts.inserted + plan.counts.reverted + plan.counts.removed;
    let conflicts = plan.counts.conflicts;
    assert!(changed > 2 * conflicts, "{changed} rows came back and {conflicts} were left alone");
    assert!(given > 5, "rows that others wrote in between were read at {given} moments");
}
