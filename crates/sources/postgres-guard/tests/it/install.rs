//! Installing, looking, removing: what was there before is there afterwards, to the byte.

use std::process::Command;

use postgres_guard::{Policy, install};
use postgres_server::testing::{self, TestServer, psql};
use postgres_wire::password_verifier;

use crate::world::{connect, guarded, policy, server, url};

/// Returns the lines that only one of two texts has.
fn difference(a: &str, b: &str) -> Vec<String> {
    let only = |a: &str, b: &str| {
        let known: std::collections::HashSet<&str> = b.lines().collect();
        a.lines().filter(|line| !known.contains(line)).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut lines = only(a, b);
    lines.extend(only(b, a));
    if lines.is_empty() && a != b { vec!["the order".to_owned()] } else { lines }
}

/// Returns the schema and the roles as PostgreSQL's own programs write them.
fn definitions(server: &TestServer) -> String {
    let dump = |program: &'static str, arguments: &[&str]| {
        let program = testing::installations().newest_tool(program, server.major()).unwrap();
        let output = Command::new(program).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        // Newer programs write a random word against injection.
        text.lines()
            .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"))
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    let url = server.url();
    dump("pg_dump", &["--schema-only", "-d", &url]) + &dump("pg_dumpall", &["--globals-only", "-d", &url])
}

#[test]
fn removing_the_guard_leaves_the_schema_as_it_was() {
    for major in [13, 15, 18] {
        let server = server(major);
        server.sql(
            "create schema shop; create table shop.parts (n int) partition by list (n); \
            create table shop.part partition of shop.parts for values in (1); \
            create function note() returns trigger language plpgsql as 'begin return null; end'; \
            create trigger theirs before truncate on bookings execute function note()",
        );
        let before = definitions(&server);
        let mut admin = connect(&server, "postgres");
        assert_eq!(install::status(&mut admin).unwrap(), install::Status::default());
        let verifier = password_verifier("secret");
        install::install(&mut admin, &policy(), Some(&verifier)).unwrap();
        let guarded = definitions(&server);
        assert!(guarded.contains("unwipe_guard_refuse") && guarded.contains(&verifier));
        let status = install::status(&mut admin).unwrap();
        assert!(status.containment && status.refusal && status.barred.is_empty());
        assert_eq!((status.tables_guarded, status.tables_unguarded.as_slice()), (3, &[][..]));
        assert_eq!(status.policy, policy());

        // Once more changes nothing.
        install::install(&mut admin, &policy(), None).unwrap();
        assert_eq!(difference(&definitions(&server), &guarded), Vec::<String>::new());
        server.sql("alter table shop.part disable trigger all");
        assert_eq!(install::status(&mut admin).unwrap().tables_unguarded, ["shop.part"]);
        install::install(&mut admin, &policy(), None).unwrap();
        assert_eq!(
            difference(&definitions(&server), &guarded),
            Vec::<String>::new(),
            "a trigger that somebody disabled is armed again"
        );

        install::remove(&mut admin).unwrap();
        assert_eq!(difference(&definitions(&server), &before), Vec::<String>::new());
        install::remove(&mut admin).unwrap();
    }
}

#[test]
fn without_roles_to_refuse_only_containment_is_installed() {
    let server = guarded(15);
    let mut admin = connect(&server, "postgres");
    install::install(&mut admin, &Policy { refused: Vec::new(), ..policy() }, None).unwrap();
    let status = install::status(&mut admin).unwrap();
    assert!(status.containment && !status.refusal);
    assert_eq!(server.sql("select count(*) from pg_trigger where tgname like 'unwipe%'"), "0");
    assert_eq!(psql(&url(&server, "agent"), "truncate bookings"), Ok(String::new()));
}

#[test]
fn a_role_that_is_barred_is_not_forgotten() {
    let server = guarded(15);
    server.sql("select unwipe_guard.bar_login('agent')");
    let mut admin = connect(&server, "postgres");
    let error = install::remove(&mut admin).unwrap_err();
    assert!(error.hint().unwrap().contains("restore_login('agent')"), "{error:?}");
    install::install(&mut admin, &policy(), None).unwrap();
    assert_eq!(install::status(&mut admin).unwrap().barred, ["agent"]);
    server.sql("select unwipe_guard.restore_login('agent')");
    install::remove(&mut admin).unwrap();
}

#[test]
fn a_table_that_is_held_is_named_and_no_reason_to_hang() {
    let server = server(15);
    let mut app = connect(&server, "app");
    app.simple_query("begin; insert into bookings values (-1)").unwrap();
    let failed = install::install(&mut connect(&server, "postgres"), &policy(), None).unwrap();
    assert_eq!(failed.iter().map(|(table, _)| table.as_str()).collect::<Vec<_>>(), ["bookings"]);
    app.simple_query("commit").unwrap();
    assert_eq!(install::install(&mut connect(&server, "postgres"), &policy(), None).unwrap(), []);
}
