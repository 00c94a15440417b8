//! A production server with a base and its log, something done to it, and a scratch server just before that.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use connect::{
    Silent,
    plan::{AppliedReport, ApplyMode, Plan, PlanFolder, SourceWriter, Verification, WriteError},
};
use model::Moment;
use ports::{Clock, SystemClock};
use postgres_server::{
    Recovery, RunningServer, Server, StopMode, Target, WalSource,
    recovery::recover,
    testing::{self, PATIENCE, TestServer, account, installation},
};
use postgres_undo::{
    DumpAddress, Heading, PgDump, PlanningError, ProductionWriter, Servers, plan_transaction,
};
use postgres_wal::{
    IndexEvent, IndexLimits, Lsn, Major, Record, RecordStream, RowChange, SegmentSize, TransactionIndex,
    TransactionRows, TransactionSummary,
};
use postgres_wire::{Connection, ConnectionSettings, Limits, Mode};
use tempfile::TempDir;

/// A production server with a copy of its files from before the story.
pub(crate) struct Story {
    pub(crate) production: TestServer,
    folder: TempDir,
    base_lsn: Lsn,
    plans: u32,
}

/// A scratch server that goes away with this value.
pub(crate) struct Scratch {
    running: RunningServer,
    _folder: TempDir,
}

impl Scratch {
    pub(crate) fn connect(&self) -> Connection {
        connect(&self.running.url("postgres", "postgres"))
    }
}

/// A plan with the folder that it lies in.
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    pub(crate) folder: PlanFolder,
}

pub(crate) fn connect(url: &str) -> Connection {
    let settings = ConnectionSettings::from_url(url).expect("an address");
    Connection::connect(&settings, Mode::Sql, &Limits::default(), Arc::new(SystemClock::new()))
        .expect("a connection")
}

impl Story {
    /// Starts production, runs `setup`, and keeps a copy of everything.
    pub(crate) fn begin(major: u32, setup: &str) -> Self {
        let mut production = TestServer::start(major, |options| {
            options.settings.set("wal_keep_size", "8GB");
            options.settings.set("autovacuum", "off");
            options.settings.set("max_prepared_transactions", "5");
        });
        production.sql(setup);
        let folder = testing::reachable_folder();
        production.stop(StopMode::Fast);
        copy(production.data_dir(), &folder.path().join("base"));
        production.restart(StopMode::Fast, |_| {});
        let base_lsn =
            Lsn(production.current_lsn()).segment_start(SegmentSize::new(16 << 20).expect("a size"));
        Self { production, folder, base_lsn, plans: 0 }
    }

    /// Runs statements in one transaction and returns its number.
    pub(crate) fn transaction(&self, statements: &str) -> u32 {
        let sql = format!("BEGIN; {statements}; SELECT 'xid=' || pg_current_xact_id()::xid::text; COMMIT");
        let output = self.production.sql(&sql);
        let number = output.lines().find_map(|line| line.strip_prefix("xid=")).expect("a number");
        number.parse().expect("a number")
    }

    pub(crate) fn sql(&self, sql: &str) -> String {
        self.production.sql(sql)
    }

    fn log_folder(&self) -> PathBuf {
        self.production.data_dir().join("pg_wal")
    }

    /// Reads the log from the base on.
    pub(crate) fn read_log(&self, mut visit: impl FnMut(&Record<'_>)) {
        self.production.sql("SELECT pg_switch_wal()");
        let major = Major::from_number(self.production.major()).expect("a known major");
        let size = SegmentSize::new(16 << 20).expect("a size");
        let mut stream = RecordStream::new(major, size, self.base_lsn);
        let mut position = self.base_lsn;
        let end = Lsn(self.production.current_lsn()).segment_start(size);
        while position < end {
            let name = position.segment_file_name(postgres_wal::Timeline(1), size);
            let bytes = ports::files::read(&self.log_folder().join(name)).expect("a segment");
            stream.push(position, &bytes).expect("no gap");
            while let Some(record) = stream.next_record().expect("a record") {
                visit(&record);
            }
            position = position.advanced(size.bytes());
        }
    }

    /// Finds a transaction in the log.
    pub(crate) fn find(&self, number: u32) -> (TransactionSummary, Vec<RowChange>) {
        let mut index = TransactionIndex::new(IndexLimits::default());
        let mut found = None;
        self.read_log(|record| {
            if let Some(IndexEvent::Committed(summary)) = index.apply(record).expect("a record")
                && summary.transaction.0 == number
            {
                found = Some(*summary);
            }
        });
        let summary: TransactionSummary = found.expect("the transaction is in the log");
        let numbers = std::iter::once(summary.transaction).chain(summary.subtransactions.iter().copied());
        let mut rows = TransactionRows::new(numbers, 10_000_000);
        self.read_log(|record| rows.apply(record).expect("a record"));
        let changes = rows.net_changes().expect("few enough rows");
        (summary, changes)
    }

    /// Recovers a scratch server to just before a position.
    pub(crate) fn scratch_before(&self, lsn: Lsn) -> Scratch {
        self.production.sql("SELECT pg_switch_wal()");
        let folder = testing::reachable_folder();
        let data = folder.path().join("data");
        copy(&self.folder.path().join("base"), &data);
        let server = Server::new(
            installation(self.production.major()),
            account(),
            &data,
            &folder.path().join("control"),
        );
        let target = Target::Lsn { lsn: lsn.0, inclusive: false };
        let recovery = Recovery::scratch(target, WalSource::Folder(self.log_folder()));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let (running, _) = recover(&server, &recovery, &clock, PATIENCE, &mut |_| {})
            .unwrap_or_else(|error| panic!("{error:?}"));
        Scratch { running, _folder: folder }
    }

    /// Plans the undo of a transaction, reading production as the superuser.
    pub(crate) fn plan(&mut self, number: u32) -> Planned {
        self.try_plan(number).unwrap_or_else(|error| panic!("{error:?}"))
    }

    pub(crate) fn try_plan(&mut self, number: u32) -> Result<Planned, PlanningError> {
        let (summary, rows) = self.find(number);
        let scratch = self.scratch_before(summary.commit_lsn);
        self.plan_on(&scratch, &summary, &rows)
    }

    pub(crate) fn plan_on(
        &mut self,
        scratch: &Scratch,
        summary: &TransactionSummary,
        rows: &[RowChange],
    ) -> Result<Planned, PlanningError> {
        let folder = self.new_folder();
        let address = |url: String| DumpAddress { url, password: None };
        let mut definitions = PgDump {
            program: testing::installations().newest_pg_dump_for(self.production.major()).expect("pg_dump"),
            scratch: address(scratch.running.url("postgres", "postgres")),
            production: address(self.production.url()),
        };
        let servers = Servers {
            scratch: &mut scratch.connect(),
            production: &mut connect(&self.production.url()),
            definitions: Some(&mut definitions),
            folder: &folder,
            progress: &Silent,
        };
        let plan = plan_transaction(servers, &heading(), summary, rows)?;
        folder.write(&plan).expect("the plan is written");
        Ok(Planned { plan, folder })
    }

    pub(crate) fn new_folder(&mut self) -> PlanFolder {
        self.plans += 1;
        PlanFolder::new(self.folder.path().join(format!("plan-{}", self.plans)))
    }

    pub(crate) fn apply(&self, planned: &Planned, mode: ApplyMode) -> Result<AppliedReport, WriteError> {
        let mut connection = connect(&self.production.url());
        ProductionWriter::new(&mut connection).apply(&planned.plan, &planned.folder, mode, &Silent)
    }

    pub(crate) fn verify(&self, planned: &Planned) -> Verification {
        let mut connection = connect(&self.production.url());
        ProductionWriter::new(&mut connection)
            .verify(&planned.plan, &planned.folder, &Silent)
            .unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// Applies a plan, expects that it goes well, verifies it, and applies it again, which must change nothing.
    pub(crate) fn apply_and_verify(&self, planned: &Planned) -> AppliedReport {
        let rehearsed = self.apply(planned, ApplyMode::Rehearsal).unwrap_or_else(|error| panic!("{error:?}"));
        let applied = self.apply(planned, ApplyMode::Lasting).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(rehearsed.steps, applied.steps, "a rehearsal tells what will happen");
        let verification = self.verify(planned);
        assert!(verification.is_good(), "{verification:#?}");
        let again = self.apply(planned, ApplyMode::Lasting).unwrap_or_else(|error| panic!("{error:?}"));
        let counts = again.counts;
        assert_eq!((counts.inserted, counts.reverted, counts.removed), (0, 0, 0), "{again:#?}");
        applied
    }
}

pub(crate) fn heading() -> Heading {
    Heading {
        id: "plan".to_owned(),
        source: "shop".to_owned(),
        base: "the test's base".to_owned(),
        made_at: Moment::from_micros(0),
    }
}

fn copy(from: &Path, to: &Path) {
    let status =
        Command::new("cp").args(["-a", "--reflink=auto"]).arg(from).arg(to).status().expect("cp runs");
    assert!(status.success(), "copying {} failed", from.display());
}

/// The digest of a query's rows, whatever their order.
pub(crate) fn digest(sql: impl Fn(&str) -> String, query: &str) -> String {
    sql(&format!("SELECT count(*) || ':' || coalesce(sum(hashtextextended(q::text, 0)), 0) FROM ({query}) q"))
}
