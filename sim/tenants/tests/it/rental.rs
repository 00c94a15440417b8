use std::{
    fmt::Write as _,
    io,
    process::{Command, Stdio},
};

use ports::SystemClock;
use postgres_server::testing::{TestServer, installations, majors_available};
use tenants::rental::{Rental, RentalTable, RentalWriter, Witness, WitnessLog, WitnessReport};

pub(crate) fn psql_with_input(url: &str, write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) {
    let program = installations().newest_tool("psql", 13).unwrap();
    let mut child = Command::new(program)
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    write(child.stdin.as_mut().unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn load(server: &TestServer, rental: Rental) {
    psql_with_input(&server.url(), |input| {
        input.write_all(Rental::ddl_before_load().as_bytes())?;
        for table in RentalTable::ALL {
            writeln!(input, "{};", Rental::copy_statement(table))?;
            io::copy(&mut rental.copy(table), input)?;
            writeln!(input, "\\.")?;
        }
        input.write_all(Rental::ddl_after_load().as_bytes())
    });
}

fn compare(server: &TestServer, rental: &Rental, log: &WitnessLog) -> WitnessReport {
    let mut rows = Vec::new();
    for query in WitnessLog::queries() {
        // Notes hold line breaks, so the rows come as JSON, one to a line.
        let text = server.sql(&format!("SELECT json_build_array(a, b, c) FROM ({query}) AS q (a, b, c)"));
        rows.extend(text.lines().map(|line| {
            let (table, key, text): (String, String, String) = serde_json::from_str(line).unwrap();
            (table, key.parse().unwrap(), text)
        }));
    }
    log.compare(rental, None, rows)
}

fn server() -> TestServer {
    TestServer::start(majors_available().into_iter().max().unwrap(), |_| {})
}

#[test]
fn a_loaded_and_written_database_is_as_the_witness_remembers() {
    let (server, rental) = (server(), Rental::new(8_000, 11));
    load(&server, rental);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("witness.jsonl");
    let (mut writer, mut witness) = (RentalWriter::new(rental, 4), Witness::open(&path).unwrap());
    let clock = SystemClock::new();
    for _ in 0..120 {
        let execute = |sql: &str| server.try_sql(sql).map(drop).map_err(io::Error::other);
        writer.step(&clock, &mut witness, execute).unwrap();
    }
    let log = WitnessLog::read(&path).unwrap();
    let report = compare(&server, &rental, &log);
    assert!(report.is_identical(), "{:#?}", (&report.missing, &report.different, &report.unexpected));
    assert_eq!((report.acknowledged, report.present), (120, report.expected_rows));

    server
        .sql("DELETE FROM public.payments WHERE payment_id = (SELECT max(payment_id) FROM public.payments)");
    server.sql("ALTER TABLE public.bookings DISABLE TRIGGER USER");
    server.sql("UPDATE public.bookings SET notes = 'tampered' WHERE booking_id = 17");
    server.sql(
        "INSERT INTO public.payments (booking_id, amount, method, reference, paid_at) \
                VALUES (1, 1, 'cash', 'fake', now())",
    );
    let report = compare(&server, &rental, &log);
    assert_eq!((report.missing_rows, report.different_rows, report.unexpected_rows), (1, 1, 1));
    assert_eq!((report.missing[0].table.as_str(), report.different[0].key), ("payments", 17));
    assert!(report.missing[0].operation_id.is_some());
}

#[test]
fn every_major_takes_the_schema_with_its_keys_and_features() {
    for major in majors_available() {
        let (server, rental) = (TestServer::start(major, |_| {}), Rental::new(500, 2));
        load(&server, rental);
        let mut counts = String::new();
        for table in RentalTable::ALL {
            let count = server.sql(&format!("SELECT count(*) FROM public.{}", table.name()));
            writeln!(counts, "{} {count}", table.name()).unwrap();
            assert_eq!(count, rental.count(table).to_string(), "major {major}: {table:?}");
        }
        let invalid = "SELECT count(*) FROM pg_constraint WHERE NOT convalidated";
        assert_eq!(server.sql(invalid), "0", "every foreign key was checked against the loaded rows");
        let keys = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace";
        assert_eq!(server.sql(keys), "6", "major {major}\n{counts}");
        assert_ne!(server.sql("SELECT count(*) FROM public.open_bookings"), "0");
        let next = "INSERT INTO public.bookings (customer_id, vehicle_id, pickup_location_id, return_location_id, \
                    starts_on, ends_on, status, daily_rate) VALUES (1, 1, 1, 1, '2026-05-01', '2026-05-03', \
                    'reserved', 40) RETURNING booking_id, days, total, revision";
        assert_eq!(server.sql(next), "501|2|80.00|0", "the sequence goes on after the load");
    }
}
