use std::time::Duration;

use postgres_server::testing::{TestServer, majors_available};
use postgres_wire::{
    Connection, ConnectionSettings, Limits, Mode, WireError, quote_identifier, quote_literal,
};

use crate::support::{chain, clock, limits, superuser};

#[test]
fn results_come_as_text_with_names_and_types() {
    let server = TestServer::start(15, |_| ());
    let mut connection = superuser(&server, Mode::Sql);
    let results = connection
        .simple_query("select 1 as one, null::text as none, 'ä'::text as word; create table t (a int); ; insert into t values (1), (2)")
        .unwrap();
    assert_eq!(results.len(), 3);
    assert_eq!(results[0].columns[0].name, "one");
    assert_eq!(results[0].columns[0].type_oid, 23);
    assert_eq!(results[0].rows, vec![vec![Some("1".into()), None, Some("ä".into())]]);
    assert_eq!(results[1].command_tag, "CREATE TABLE");
    assert_eq!(results[2].rows_affected(), 2);
    assert_eq!(connection.simple_query("").unwrap()[0].command_tag, "");

    let error = connection.simple_query("select 1; select nonsense").unwrap_err();
    assert_eq!(error.server().unwrap().sqlstate, "42703");
    assert!(matches!(connection.query_one("select 1 where false"), Err(WireError::ResultShape { .. })));
    assert!(matches!(connection.query_rows("select 1; select 2"), Err(WireError::ResultShape { .. })));
    assert!(matches!(connection.execute("select '\0'"), Err(WireError::Argument { .. })));
    assert_eq!(connection.execute("delete from t").unwrap(), 2);
}

#[test]
fn parameters_are_never_part_of_the_statement() {
    let server = TestServer::start(15, |_| ());
    let mut connection = superuser(&server, Mode::Sql);
    let nasty = "it's \\ \"x\" $1; drop table t";
    let result =
        connection.query_params("select $1::text, $2::int + 1, $3::text", &[Some(nasty), Some("41"), None]);
    assert_eq!(result.unwrap().rows, vec![vec![Some(nasty.into()), Some("42".into()), None]]);
    let quoted = format!("select {} as {}", quote_literal(nasty), quote_identifier(nasty));
    let result = connection.simple_query(&quoted).unwrap().remove(0);
    assert_eq!(result.rows[0][0].as_deref(), Some(nasty));
    assert_eq!(result.columns[0].name, nasty);
    let error = connection.query_params("select $1::int", &[Some("x")]).unwrap_err();
    assert_eq!(error.server().unwrap().sqlstate, "22P02");
    assert_eq!(connection.query_params("select 1", &[]).unwrap().rows.len(), 1);
}

#[test]
fn notices_are_kept_and_details_shown() {
    let server = TestServer::start(15, |_| ());
    let mut connection = superuser(&server, Mode::Sql);
    connection.execute("do $$ begin raise notice 'hello' using hint = 'wave'; end $$").unwrap();
    let notices = connection.take_notices();
    assert_eq!(notices.len(), 1);
    assert_eq!((notices[0].severity.as_str(), notices[0].message.as_str()), ("NOTICE", "hello"));
    assert_eq!(notices[0].hint.as_deref(), Some("wave"));
    connection.execute("do $$ begin for i in 1..300 loop raise notice '%', i; end loop; end $$").unwrap();
    let notices = connection.take_notices();
    assert_eq!((notices.len(), notices[255].message.as_str()), (256, "300"));
    let error =
        connection.execute("do $$ begin raise exception 'no' using detail = 'why'; end $$").unwrap_err();
    let text = chain(&error);
    assert!(text.contains("no (why)") && text.contains("RAISE"), "{text}");
}

#[test]
fn a_hundred_thousand_rows_go_in_and_out_on_every_major() {
    for major in majors_available() {
        let server = TestServer::start(major, |_| ());
        let mut connection = superuser(&server, Mode::Sql);
        connection.execute("create table t (a int primary key, b text)").unwrap();
        let mut copy = connection.copy_in("copy t from stdin").unwrap();
        let mut sent = Vec::new();
        for row in 0..100_000 {
            let line = format!("{row}\tvalue {row}\n");
            sent.extend_from_slice(line.as_bytes());
        }
        for piece in sent.chunks(7919) {
            copy.write(piece).unwrap();
        }
        assert_eq!(copy.finish().unwrap(), 100_000);

        let mut received = Vec::new();
        let rows = connection.copy_out("copy (select * from t order by a) to stdout", &mut |data| {
            received.extend_from_slice(data);
            Ok(())
        });
        assert_eq!(rows.unwrap(), 100_000);
        assert!(received == sent);
    }
}

#[test]
fn copies_that_fail_leave_the_session_usable() {
    let server = TestServer::start(15, |_| ());
    let mut connection = superuser(&server, Mode::Sql);
    connection.execute("create table t (a int)").unwrap();

    let mut copy = connection.copy_in("copy t from stdin").unwrap();
    copy.write(b"1\n2\n").unwrap();
    copy.fail("changed my mind").unwrap();
    let mut copy = connection.copy_in("copy t from stdin").unwrap();
    copy.write(b"1\nnot a number\n").unwrap();
    // Far more than the server reads before it refuses: it throws the rest away.
    for _ in 0..2000 {
        copy.write(&[b'\n'; 4096]).unwrap();
    }
    assert_eq!(copy.finish().unwrap_err().server().unwrap().sqlstate, "22P02");
    assert_eq!(connection.query_one("select count(*) from t").unwrap()[0].as_deref(), Some("0"));

    assert!(connection.copy_in("copy missing from stdin").is_err());
    assert!(connection.copy_out("copy missing to stdout", &mut |_| Ok(())).is_err());
    assert_eq!(connection.query_one("select 1").unwrap()[0].as_deref(), Some("1"));

    let mut full = |_: &[u8]| Err(std::io::Error::from(std::io::ErrorKind::StorageFull));
    let error = connection.copy_out("copy (select generate_series(1, 10)) to stdout", &mut full).unwrap_err();
    assert!(matches!(error, WireError::Consumer { .. }));
    assert!(matches!(connection.query_one("select 1"), Err(WireError::Unusable)));
}

fn limited(server: &TestServer, limits: &Limits) -> Connection {
    let settings = ConnectionSettings::from_url(&server.url()).unwrap();
    Connection::connect(&settings, Mode::Sql, limits, clock()).unwrap()
}

#[test]
fn a_slow_server_times_out() {
    let server = TestServer::start(15, |_| ());
    let limits = Limits { read_timeout: Some(Duration::from_millis(300)), ..limits() };
    let mut connection = limited(&server, &limits);
    let start = clock();
    let error = connection.query_one("select pg_sleep(30)").unwrap_err();
    assert!(matches!(error, WireError::TimedOut { .. }), "{}", chain(&error));
    assert!(start.elapsed() < Duration::from_secs(20));
    assert!(!connection.is_usable());
}

#[test]
fn results_and_messages_are_bounded() {
    let server = TestServer::start(15, |_| ());
    let bounded = Limits { result_bytes_max: 100_000, ..limits() };
    let mut connection = limited(&server, &bounded);
    let error = connection.query_rows("select repeat('x', 1000) from generate_series(1, 1000)").unwrap_err();
    assert!(matches!(error, WireError::ResultTooLarge { .. }), "{}", chain(&error));
    let bounded = Limits { message_bytes_max: 10_000, ..limits() };
    let mut connection = limited(&server, &bounded);
    let error = connection.query_rows("select repeat('x', 20000)").unwrap_err();
    assert!(matches!(error, WireError::Violation { .. }), "{}", chain(&error));
}
