use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
};

use connect::Stop;
use model::{Actor, Effect, Moment, Verb};

use super::{
    csv::{Cut, Cutter, fields},
    files::{Files, Trouble},
    line::{Line, LineReader, Unused},
    message::{self, Said},
    records::Records,
};

mod files;
mod records;

/// As PostgreSQL 15 wrote it, with `log_statement = mod`, `log_min_duration_statement = 0` and `auto_explain`.
const LOG: &str = concat!(
    r#"2026-11-26 19:46:42.380 CET,,,17170,,6b087e92.4312,3,,2026-11-26 19:46:42 CET,,0,LOG,00000,"listening on Unix socket ""/tmp/.s.PGSQL.5432""",,,,,,,,,"","postmaster",,0"#,
    "\n",
    r#"2026-11-26 19:46:42.497 CET,"anna","shop",17190,"127.0.0.1:55694",6b087e92.4326,1,"idle",2026-11-26 19:46:42 CET,3/4,0,LOG,00000,"statement: delete from b
where id = 1 -- ""x"", y",,,,,,,,,"psql","client backend",,0"#,
    "\n",
    r#"2026-11-26 19:46:42.498 CET,"anna","shop",17190,"127.0.0.1:55694",6b087e92.4326,2,"DELETE",2026-11-26 19:46:42 CET,3/4,725,LOG,00000,"duration: 0.023 ms  plan:
Query Text: delete from b
where id = 1 -- ""x"", y
Delete on b  (cost=0.15..8.17 rows=0 width=0)
  ->  Index Scan using b_pkey on b  (cost=0.15..8.17 rows=1 width=6)
        Index Cond: (id = 1)",,,,,,,,,"psql","client backend",,0"#,
    "\n",
    r#"2026-11-26 19:46:42.502 CET,"anna","shop",17190,"127.0.0.1:55694",6b087e92.4326,3,"DELETE",2026-11-26 19:46:42 CET,3/0,0,LOG,00000,"duration: 1.262 ms",,,,,,,,,"psql","client backend",,0"#,
    "\n",
);
const DELETE: &str = "delete from b\nwhere id = 1 -- \"x\", y";

/// Returns the lines of a csvlog that arrives in pieces.
fn lines(log: &str, piece: usize) -> Vec<Result<Line, Unused>> {
    let (mut cutter, mut reader) = (Cutter::default(), LineReader::default());
    let mut found = Vec::new();
    for bytes in log.as_bytes().chunks(piece) {
        cutter.feed(bytes, &mut |cut| {
            found.push(match cut {
                Cut::Record(fields) => reader.csv(&fields),
                Cut::Garbage => Err(Unused::NotALine),
            });
        });
    }
    found
}

fn good(log: &str) -> Vec<Line> {
    lines(log, 1000).into_iter().filter_map(Result::ok).collect()
}

fn said(statement: &str) -> Said {
    Said { statement: Some(statement.to_owned()), ..Said::default() }
}

#[test]
fn a_csvlog_is_read_however_it_arrives() {
    let whole = lines(LOG, LOG.len());
    for piece in [1, 7, 100] {
        assert_eq!(lines(LOG, piece), whole);
    }
    assert_eq!(whole[0], Err(Unused::NoSession));
    let [statement, plan, duration] = [1, 2, 3].map(|n: usize| whole[n].clone().unwrap());
    assert_eq!((statement.said, statement.transaction), (said(DELETE), None));
    assert_eq!((&plan.said, plan.transaction), (&said(DELETE), Some(725)));
    assert_eq!((plan.local_transaction, duration.local_transaction), (Some((3, 4)), None));
    assert_eq!(duration.said.took_micros, Some(1262));
    assert_eq!(plan.at, Some("2026-11-26T18:46:42.498Z".parse().unwrap()), "CET is what the session says");
    let (application, address) = (Some("psql".to_owned()), Some("127.0.0.1".to_owned()));
    assert_eq!(plan.actor, Actor { identity: "anna".into(), application, address, ..Actor::default() });
    assert_eq!((plan.session.process, plan.database.as_str()), (17190, "shop"));
}

#[test]
fn a_jsonlog_says_the_same() {
    let line = br#"{"timestamp":"2026-11-26 19:46:42.498 CET","user":"anna","dbname":"shop","pid":17190,"remote_host":"127.0.0.1","remote_port":55694,"session_id":"6b087e92.4326","line_num":2,"ps":"DELETE","session_start":"2026-11-26 19:46:42 CET","vxid":"3/4","txid":725,"error_severity":"LOG","message":"duration: 0.023 ms  plan:\nQuery Text: delete from b\nwhere id = 1 -- \"x\", y\nDelete on b  (cost=0.15..8.17 rows=0 width=0)","application_name":"psql","backend_type":"client backend","query_id":0}"#;
    let mut reader = LineReader::default();
    assert_eq!(reader.json(line), Ok(good(LOG).remove(1)));
    assert_eq!(reader.json(br#"{"some": ["other", "json"]}"#), Err(Unused::NotALine));
    let listening = br#"{"timestamp":"2026-11-26 19:46:42.380 CET","pid":1,"session_id":"6b087e92.1","session_start":"2026-11-26 19:46:42 CET","txid":0,"error_severity":"LOG","message":"ready"}"#;
    assert_eq!(reader.json(listening), Err(Unused::NoSession));
}

#[test]
fn a_local_client_has_no_address_and_an_ipv6_one_keeps_its_colons() {
    let address = |from: &str| good(&LOG.replace("127.0.0.1:55694", from)).remove(0).actor.address;
    assert_eq!(address("[local]"), None);
    assert_eq!(address("2001:db8::7:55694").as_deref(), Some("2001:db8::7"));
}

#[test]
fn a_time_zone_whose_distance_nobody_told_gives_no_time() {
    let summer = LOG.replace("2026-11-26 19:46:42.497 CET", "2026-11-26 19:46:42.497 CEST");
    let found = good(&summer);
    assert_eq!(found[0].at, None);
    assert!(found[1].at.is_some());
}

#[test]
fn statements_are_found_in_every_kind_of_message() {
    let statement = |message: &str| message::read(message).statement;
    let cases = [
        ("statement: drop table a", Some("drop table a")),
        ("execute <unnamed>: delete from a where id = $1", Some("delete from a where id = $1")),
        ("execute fetch from C_1/C_2: select 1", Some("select 1")),
        ("duration: 3.100 ms  statement: truncate a", Some("truncate a")),
        ("duration: 3.100 ms  execute s1: delete from a", Some("delete from a")),
        ("duration: 3.100 ms  parse s1: delete from a", None),
        ("duration: 3.100 ms  bind s1: delete from a", None),
        (
            "duration: 1 ms  plan:\n{\n  \"Query Text\": \"delete from a\",\n  \"Plan\": {}\n}",
            Some("delete from a"),
        ),
        (
            "AUDIT: SESSION,1,1,WRITE,DELETE,TABLE,public.a,\"delete from a where b = \"\"c,d\"\"\",<none>",
            Some("delete from a where b = \"c,d\""),
        ),
        (
            "AUDIT: SESSION,1,2,DDL,DROP TABLE,TABLE,public.a,<previously logged>,<previously logged>",
            Some("DROP TABLE public.a"),
        ),
        ("AUDIT: SESSION,1,1,WRITE,DELETE", Some("DELETE")),
        ("AUDIT: SESSION,1,1,READ,SELECT,TABLE,public.a,execute q(1),<none>", None),
        ("AUDIT: ", None),
        ("connection authorized: user=anna", None),
    ];
    for (message, expected) in cases {
        assert_eq!(statement(message).as_deref(), expected, "{message}");
    }
    assert_eq!(message::read("duration: 3.100 ms  execute s1: delete from a").took_micros, Some(3100));
    assert_eq!(
        message::read("AUDIT: OBJECT,1,1,WRITE,DELETE,TABLE,public.a,delete from a,1").object.as_deref(),
        Some("public.a")
    );
    assert_eq!(statement(&format!("statement: {}", "ä".repeat(3000))).unwrap().chars().count(), 2000);
}

#[test]
fn a_record_with_a_quote_where_none_may_be_is_garbage_and_the_next_is_read() {
    for bad in [r#"a"b,c"#, r#""a"b,c"#, r#""a"#] {
        assert_eq!(fields(bad.as_bytes()), None, "{bad}");
    }
    assert_eq!(fields(br#"a,"",,"b""c""#).unwrap(), ["a", "", "", "b\"c"]);
    // A quote too many takes the next record along.
    for (garbage, read) in [("no log, \"at\" all", 3), ("a log, \"torn", 2)] {
        let found = lines(&format!("{garbage}\n{LOG}"), 50);
        assert!(found.contains(&Err(Unused::NotALine)));
        assert_eq!(found.iter().flatten().count(), read, "{garbage}");
    }
}

#[test]
fn a_statement_cannot_pose_as_a_line_where_reading_begins_in_its_middle() {
    let forged = LOG.lines().nth(3).unwrap().replace("anna", "mallory").replace('"', "\"\"");
    let log = format!("{}\n{forged}\n x\"\"\",,,,,,,,,\"psql\",\"client backend\",,0\n{LOG}", "select 'text");
    let mut cutter = Cutter::in_the_middle();
    let mut reader = LineReader::default();
    let mut found = Vec::new();
    cutter.feed(log.as_bytes(), &mut |cut| {
        if let Cut::Record(fields) = cut {
            found.extend(reader.csv(&fields));
        }
    });
    assert_eq!(found, good(LOG));
}
