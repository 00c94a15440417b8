//! Measures the guard of a PostgreSQL cluster: how soon a wipe is seen and stopped, what is lost until then, and what it
//! costs production. Follower, threshold and container are driven directly; the watch adds its own decision to these.
//!
//! `guard [--runs 20] [--rows 1000000] [--rounds 3] [--seconds 15] [--fsync 1]` writes JSON to standard output. Needs a server of
//! `tools/install_servers` or of the system.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a measurement that goes wrong should stop, and it takes real time"
)]

use std::{
    io::Read,
    process::Command,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use connect::{ChangeSink, Cursor, LogTail, SinkError, SourceReader, Stop};
use model::{
    Attribution, Event, Item, Layout, Moment, SourceName, Stage, StreamName, UnreadableReason, Verb,
};
use ports::SystemClock;
use postgres_guard::{ClusterContainer, Policy, Pulse, install};
use postgres_server::testing::{self, TestServer};
use postgres_wire::{Connection, ConnectionSettings, Limits, Mode};
use serde::Serialize;
use source_postgres::{ClusterReader, ClusterSettings};
use watch::containment::{Container, Suspect};

/// Rows that an open transaction has taken when it is acted upon.
const UNDERWAY_ROWS: u64 = 1000;
/// Rows that small transactions have taken together when they are acted upon.
const DONE_ROWS: u64 = 200;
const TABLE: &str = "postgres.public.bookings";

/// Keeps nothing and passes on what is glimpsed.
struct Glimpser(mpsc::Sender<(Instant, Stage, Event)>);

impl ChangeSink for Glimpser {
    fn tail(&mut self, _: &StreamName) -> Result<Option<LogTail>, SinkError> {
        Ok(None)
    }
    fn upsert(&mut self, _: Item, _: Layout, body: &mut dyn Read) -> Result<(), SinkError> {
        std::io::copy(body, &mut std::io::sink()).unwrap();
        Ok(())
    }
    fn unchanged(&mut self, _: u64) -> Result<(), SinkError> {
        Ok(())
    }
    fn enumerated(&mut self, _: u64) -> Result<(), SinkError> {
        Ok(())
    }
    fn removed(&mut self, _: StreamName, _: String) -> Result<(), SinkError> {
        Ok(())
    }
    fn unreadable(&mut self, _: StreamName, _: String, _: UnreadableReason) -> Result<(), SinkError> {
        Ok(())
    }
    fn glimpse(&mut self, stage: Stage, event: Event) -> Result<(), SinkError> {
        // Whoever listened may have heard enough.
        drop(self.0.send((Instant::now(), stage, event)));
        Ok(())
    }
    fn event(&mut self, _: Event) -> Result<(), SinkError> {
        Ok(())
    }
    fn append(&mut self, _: &StreamName, _: u64, _: &[u8]) -> Result<(), SinkError> {
        Ok(())
    }
    fn sync(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
    fn checkpoint(&mut self, _: &Cursor) -> Result<(), SinkError> {
        Ok(())
    }
}

/// A reader in a thread, with what it glimpses.
struct Follower {
    stop: Stop,
    thread: Option<thread::JoinHandle<()>>,
    glimpses: mpsc::Receiver<(Instant, Stage, Event)>,
}

impl Follower {
    fn start(server: &TestServer) -> Self {
        let (sender, glimpses) = mpsc::channel();
        let stop = Stop::default();
        let asked = stop.clone();
        let source = SourceName::new("shop").unwrap();
        let url = url(server, "unwipe");
        let settings = ClusterSettings::new(&source, &url).unwrap().with_monitor(&server.url()).unwrap();
        let thread = thread::spawn(move || {
            let mut reader = ClusterReader::new(settings, Arc::new(SystemClock::new()));
            reader.changes(None, &mut Glimpser(sender), &asked).unwrap();
        });
        let follower = Self { stop, thread: Some(thread), glimpses };
        // The base is copied, and the names are there, when a small deletion has come through under its name.
        loop {
            server.sql("delete from bookings where n = -1; insert into bookings values (-1)");
            let heard = follower.glimpses.recv_timeout(Duration::from_millis(300));
            if heard.is_ok_and(|(_, _, event)| event.effects.iter().any(|effect| effect.target == TABLE)) {
                return follower;
            }
        }
    }

    fn drain(&self) {
        while self.glimpses.recv_timeout(Duration::from_millis(300)).is_ok() {}
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.request();
        drop(self.thread.take().map(thread::JoinHandle::join));
    }
}

/// One attack, in milliseconds from its beginning.
#[derive(Debug, Serialize)]
struct Attack {
    seen_ms: f64,
    found_ms: f64,
    session_ended_ms: f64,
    barred_ms: f64,
    attribution: Attribution,
    rows_lost: u64,
}

#[derive(Serialize)]
struct Results {
    server: String,
    fsync: bool,
    rows: u64,
    underway_rows: u64,
    done_rows: u64,
    delete_of_all_rows: Vec<Attack>,
    delete_of_all_rows_unstopped_ms: f64,
    loop_in_the_server: Vec<Attack>,
    loop_of_a_client: Vec<Attack>,
    truncate_alarm_ms: Vec<f64>,
    drop_alarm_ms: Vec<f64>,
    pgbench: Vec<Throughput>,
}

/// One round, one after the other.
#[derive(Debug, Serialize)]
struct Throughput {
    alone: Rate,
    followed: Rate,
    guarded: Rate,
}

/// What the server did in one run. Processor time tells the cost where other programs share the machine.
#[derive(Debug, Serialize)]
struct Rate {
    per_second: f64,
    server_processor_us_each: f64,
}

fn main() {
    let number = |name: &str, default: u64| {
        let mut arguments = std::env::args().skip_while(|argument| argument != name);
        arguments.nth(1).map_or(default, |value| value.parse().unwrap())
    };
    let (runs, rows) = (number("--runs", 20), number("--rows", 1_000_000));
    let (rounds, seconds) = (number("--rounds", 3), number("--seconds", 15));
    let fsync = number("--fsync", 1) == 1;
    let server = production(fsync);
    server.sql("create role unwipe login replication; create role agent login; create schema unused");
    fill(&server, rows);
    let policy = Policy {
        contained: vec!["agent".to_owned()],
        refused: vec!["agent".to_owned()],
        ..Policy::default()
    };
    install::install(&mut connect(&server, "postgres"), &policy, None).unwrap();

    let mut results = Results {
        server: server.sql("show server_version"),
        fsync,
        rows,
        underway_rows: UNDERWAY_ROWS,
        done_rows: DONE_ROWS,
        delete_of_all_rows: Vec::new(),
        delete_of_all_rows_unstopped_ms: 0.0,
        loop_in_the_server: Vec::new(),
        loop_of_a_client: Vec::new(),
        truncate_alarm_ms: Vec::new(),
        drop_alarm_ms: Vec::new(),
        pgbench: Vec::new(),
    };
    {
        let follower = Follower::start(&server);
        let clock = Arc::new(SystemClock::new());
        let pulse = Pulse::start(settings(&server, postgres_guard::ROLE), Duration::from_millis(50), clock);
        for run in 0..runs {
            let wipe = |server: &TestServer| {
                drop(connect(server, "agent").simple_query("delete from bookings where n > 0"));
            };
            let attack = attack(&server, &follower, wipe);
            eprintln!("delete {run}: {attack:?}");
            results.delete_of_all_rows.push(attack);
        }
        for run in 0..runs.div_ceil(4) {
            let in_server = |server: &TestServer| {
                let wipe = "do $$ begin for i in 1..1000000 loop delete from bookings where n = i; commit; end loop; end $$";
                drop(connect(server, "agent").simple_query(wipe));
            };
            results.loop_in_the_server.push(attack(&server, &follower, in_server));
            eprintln!("server loop {run}: {:?}", results.loop_in_the_server.last());
            fill(&server, rows);
            let of_client = |server: &TestServer| {
                let mut agent = connect(server, "agent");
                let one = |n: u64| {
                    agent.query_params("delete from bookings where n = $1::int", &[Some(&n.to_string())])
                };
                drop((1..=1_000_000).map(one).find(Result::is_err));
            };
            results.loop_of_a_client.push(attack(&server, &follower, of_client));
            eprintln!("client loop {run}: {:?}", results.loop_of_a_client.last());
            fill(&server, rows);
        }
        for _ in 0..runs.div_ceil(4) {
            server.sql("create table other as select generate_series(1, 1000) as n");
            thread::sleep(Duration::from_secs(1));
            results.truncate_alarm_ms.push(alarm(&server, &follower, "truncate other", Verb::Truncate));
            results.drop_alarm_ms.push(alarm(&server, &follower, "drop table other", Verb::Drop));
        }
        drop(pulse);
    }
    let began = Instant::now();
    server.sql("begin; delete from bookings where n > 0; rollback");
    results.delete_of_all_rows_unstopped_ms = milliseconds(began.elapsed());
    results.pgbench = overhead(&server, &policy, rounds, seconds);
    println!("{}", serde_json::to_string_pretty(&results).unwrap());
}

fn production(fsync: bool) -> TestServer {
    TestServer::start(15, |options| {
        for (name, value) in [
            ("fsync", if fsync { "on" } else { "off" }),
            ("autovacuum", "off"),
            ("max_slot_wal_keep_size", "8GB"),
            ("max_wal_size", "4GB"),
            ("shared_buffers", "256MB"),
        ] {
            options.settings.set(name, value);
        }
    })
}

fn fill(server: &TestServer, rows: u64) {
    server.sql("drop table if exists bookings");
    server.sql(&format!(
        "create table bookings (n int primary key, guest text, price int); \
         insert into bookings select n, 'guest ' || n, n % 500 from generate_series(1, {rows}) n; \
         insert into bookings values (-1); grant all on bookings to agent"
    ));
    server.sql("vacuum (freeze, analyze) bookings");
    server.sql("checkpoint");
}

/// Lets somebody wipe, and stops them as the watch would.
fn attack(server: &TestServer, follower: &Follower, wipe: impl FnOnce(&TestServer) + Send) -> Attack {
    // A table made anew has another file; its name must have come.
    server.sql("delete from bookings where n = -1; insert into bookings values (-1)");
    thread::sleep(Duration::from_millis(1500));
    follower.drain();
    let before = rows(server);
    let clock = Arc::new(SystemClock::new());
    let mut container = ClusterContainer::new(settings(server, postgres_guard::ROLE), clock);
    container.warm("postgres").unwrap();
    let began = Instant::now();
    let since = || milliseconds(began.elapsed());
    let (mut attack, taken) = thread::scope(|scope| {
        let wiping = scope.spawn(|| wipe(server));
        let (seen, suspect) = suspect(follower);
        let proposal = container.propose(&suspect).unwrap().expect("somebody is found");
        let found_ms = since();
        let (mut session_ended_ms, mut barred_ms, mut taken) = (0.0, 0.0, Vec::new());
        for action in &proposal.actions {
            taken.push(container.take(action, Moment::from_micros(0)).unwrap());
            match action.kind {
                watch::containment::ActionKind::EndSession if session_ended_ms == 0.0 => {
                    session_ended_ms = since();
                }
                watch::containment::ActionKind::BarLogin => barred_ms = since(),
                _ => {}
            }
        }
        wiping.join().unwrap();
        let seen_ms = milliseconds(seen.duration_since(began));
        let attribution = proposal.attribution;
        (Attack { seen_ms, found_ms, session_ended_ms, barred_ms, attribution, rows_lost: 0 }, taken)
    });
    attack.rows_lost = before - rows(server);
    for taken in taken.iter().rev() {
        container.take_back(taken).unwrap();
    }
    attack
}

/// Waits until enough is lost to act.
fn suspect(follower: &Follower) -> (Instant, Suspect) {
    let mut done = 0;
    loop {
        let (seen, stage, event) = follower.glimpses.recv_timeout(Duration::from_mins(1)).expect("a glimpse");
        let lost: u64 =
            event.effects.iter().filter(|effect| effect.target == TABLE).map(|effect| effect.count).sum();
        done += if stage == Stage::Done { lost } else { 0 };
        if (stage == Stage::Underway && lost >= UNDERWAY_ROWS) || done >= DONE_ROWS {
            let suspect = Suspect {
                source: SourceName::new("shop").unwrap(),
                scope: event.scope,
                transaction: Some(event.transaction),
                targets: event.effects.into_iter().map(|effect| effect.target).collect(),
                actor: event.actor,
                attribution: event.attribution,
                since: event.at,
            };
            return (seen, suspect);
        }
    }
}

/// Returns how long after its commit something is told of.
fn alarm(server: &TestServer, follower: &Follower, sql: &str, verb: Verb) -> f64 {
    follower.drain();
    let mut connection = connect(server, "postgres");
    connection.simple_query(sql).unwrap();
    let committed = Instant::now();
    loop {
        let (seen, _, event) = follower.glimpses.recv_timeout(Duration::from_mins(1)).expect("a glimpse");
        if event.effects.iter().any(|effect| effect.verb == verb) {
            return milliseconds(seen.saturating_duration_since(committed));
        }
    }
}

/// Runs pgbench alone, followed, and followed and guarded, one after the other, again and again.
fn overhead(server: &TestServer, policy: &Policy, rounds: u64, seconds: u64) -> Vec<Throughput> {
    let program = testing::installations().newest_tool("pgbench", 15).unwrap();
    let pgbench = |arguments: &[&str]| {
        let output = Command::new(&program).args(arguments).arg(server.url()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    pgbench(&["-i", "-s", "10", "-q"]);
    let seconds = seconds.to_string();
    let run = || -> Rate {
        server.sql("checkpoint");
        let before = processor_us(server);
        let text = pgbench(&["-n", "-T", &seconds, "-c", "4", "-j", "2"]);
        let line = text.lines().find(|line| line.starts_with("tps = ")).expect("a rate");
        let per_second = line.split_whitespace().nth(2).unwrap().parse().unwrap();
        let line = text.lines().find(|line| line.contains("actually processed: ")).expect("a count");
        let count = line.rsplit(": ").next().unwrap().split('/').next().unwrap();
        let count: f64 = count.trim().parse().unwrap();
        Rate { per_second, server_processor_us_each: (processor_us(server) - before) / count }
    };
    let alone = || {
        install::remove(&mut connect(server, "postgres")).unwrap();
        run()
    };
    let followed = || {
        install::remove(&mut connect(server, "postgres")).unwrap();
        let _follower = Follower::start(server);
        run()
    };
    let guarded = || {
        let _follower = Follower::start(server);
        install::install(&mut connect(server, "postgres"), policy, None).unwrap();
        let clock = Arc::new(SystemClock::new());
        let _pulse = Pulse::start(settings(server, postgres_guard::ROLE), Duration::from_millis(50), clock);
        run()
    };
    let round = |round: u64| {
        // Each is the first, the second and the last in turn: what else the machine does changes slowly.
        let (first, second, third) = match round % 3 {
            0 => (alone(), followed(), guarded()),
            1 => {
                let (second, third, first) = (followed(), guarded(), alone());
                (first, second, third)
            }
            _ => {
                let (third, first, second) = (guarded(), alone(), followed());
                (first, second, third)
            }
        };
        let throughput = Throughput { alone: first, followed: second, guarded: third };
        eprintln!("pgbench {round}: {throughput:?}");
        throughput
    };
    // What is made first warms the server.
    run();
    (0..rounds).map(round).collect()
}

/// Returns the processor time that all processes of the server have had, those that ended included.
fn processor_us(server: &TestServer) -> f64 {
    let file = std::fs::read_to_string(server.data_dir().join("postmaster.pid")).unwrap();
    let postmaster = file.lines().next().unwrap();
    let mut ticks = 0;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(text) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let fields: Vec<&str> = text.rsplit(") ").next().unwrap().split_whitespace().collect();
        // After the name: state, parent, ...; from the twelfth on the own times and those of children that ended.
        let is_postmaster = entry.file_name().to_str() == Some(postmaster);
        if is_postmaster || fields[1] == postmaster {
            ticks += fields[11..15].iter().map(|field| field.parse::<u64>().unwrap()).sum::<u64>();
        }
    }
    ticks as f64 * 10_000.0
}

fn rows(server: &TestServer) -> u64 {
    server.sql("select count(*) from bookings").parse().unwrap()
}

fn url(server: &TestServer, role: &str) -> String {
    server.url().replacen("postgres@", &format!("{role}@"), 1)
}

fn settings(server: &TestServer, role: &str) -> ConnectionSettings {
    ConnectionSettings::from_url(&url(server, role)).unwrap()
}

fn connect(server: &TestServer, role: &str) -> Connection {
    let clock = Arc::new(SystemClock::new());
    Connection::connect(&settings(server, role), Mode::Sql, &Limits::default(), clock).unwrap()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
