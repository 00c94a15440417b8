//! Wipes of a database, and work that looks like one, on a real server.

use ports::SystemClock;
use postgres_server::testing::{TestServer, majors_available};
use std::time::Duration;
use tenants::agent::sql::{self, Nightly, Table};

const ROWS: u64 = 400;

fn server() -> TestServer {
    TestServer::start(majors_available().into_iter().max().unwrap(), |_| {})
}

/// Makes a table of so many rows, half of them expired.
fn filled(server: &TestServer, name: &str) -> Table {
    server.sql(&format!(
        "CREATE TABLE public.{name} (id bigint PRIMARY KEY, expires_at timestamptz, note text); \
         INSERT INTO public.{name} SELECT n, now() + interval '1 hour' * (CASE WHEN n % 2 = 0 THEN 1 ELSE -1 END), \
         repeat('x', 20) FROM generate_series(1, {ROWS}) AS n"
    ));
    Table { name: format!("public.{name}"), key: "id".to_owned() }
}

fn count(server: &TestServer, table: &Table) -> String {
    server.sql(&format!("SELECT count(*) FROM {}", table.name))
}

/// Runs a statement; a deletion is asked how many rows it concerned.
fn execute(server: &TestServer) -> impl FnMut(&str) -> Result<u64, String> {
    |sql| {
        if sql.starts_with("DELETE") || sql.starts_with("UPDATE") {
            let counted = format!("WITH gone AS ({sql} RETURNING 1) SELECT count(*) FROM gone");
            return server.try_sql(&counted).map(|rows| rows.trim().parse().unwrap());
        }
        server.try_sql(sql).map(|_| 0)
    }
}

#[test]
fn one_statement_deletes_all_rows() {
    let server = server();
    let table = filled(&server, "orders");
    let deeds = sql::bulk_delete(&SystemClock::new(), &table, execute(&server));
    assert_eq!((deeds.count("DELETE FROM public.orders"), count(&server, &table).as_str()), (ROWS, "0"));
}

#[test]
fn row_by_row_each_row_is_a_transaction() {
    let server = server();
    let (outside, inside) = (filled(&server, "outside"), filled(&server, "inside"));
    let transactions =
        || server.sql("SELECT pg_snapshot_xmax(pg_current_snapshot())").parse::<u64>().unwrap();
    let keys: Vec<i64> = (1..=30).collect();
    let before = transactions();
    let deeds = sql::autocommit_loop(&SystemClock::new(), Duration::ZERO, &outside, &keys, execute(&server));
    assert!(transactions() - before >= 30);
    assert_eq!(deeds.deeds.len(), 30);
    assert_eq!(deeds.items("DELETE FROM public.outside by id")[29], "30");
    assert_eq!(count(&server, &outside), (ROWS - 30).to_string());
    let before = transactions();
    let deeds = sql::autocommit_block(&SystemClock::new(), &inside, execute(&server));
    assert_eq!((deeds.ended_by, count(&server, &inside).as_str()), (None, "0"));
    assert!(transactions() - before >= ROWS);
}

#[test]
fn a_table_is_emptied_and_dropped() {
    let server = server();
    let table = filled(&server, "orders");
    let deeds = sql::truncate_drop(&SystemClock::new(), &table, execute(&server));
    assert_eq!((deeds.deeds.len(), deeds.ended_by), (2, None));
    assert_eq!(server.sql("SELECT to_regclass('public.orders') IS NULL"), "t");
    let again = sql::truncate_drop(&SystemClock::new(), &table, execute(&server));
    assert!(again.deeds.is_empty() && again.ended_by.unwrap().contains("does not exist"));
}

#[test]
fn a_nightly_batch_leaves_what_has_not_expired_and_a_migration_leaves_all() {
    let server = server();
    let table = filled(&server, "sessions");
    let job =
        Nightly { table: table.clone(), expired: "expires_at < now()".to_owned(), rows_per_statement: 90 };
    let deeds = sql::nightly(&SystemClock::new(), &job, execute(&server));
    assert_eq!((deeds.count("DELETE FROM public.sessions, expired"), deeds.deeds.len()), (ROWS / 2, 4));
    assert_eq!(count(&server, &table), (ROWS / 2).to_string());
    let file = || server.sql("SELECT pg_relation_filenode('public.sessions')");
    let before = file();
    let deeds = sql::migration(&SystemClock::new(), &table, execute(&server));
    assert_eq!((deeds.deeds.len(), deeds.ended_by.clone()), (3, None));
    assert_eq!(deeds.count("UPDATE public.sessions SET migrated_from = id"), ROWS / 2);
    assert_ne!(file(), before, "it was written anew");
    assert_eq!(
        server.sql("SELECT count(*) FROM public.sessions WHERE migrated_from = id::text"),
        (ROWS / 2).to_string()
    );
}
