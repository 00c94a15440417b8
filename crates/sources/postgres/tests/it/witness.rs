//! Witness messages on every major version, and a schema that is as before when they are gone.

use std::process::Command;

use model::{Attribution, Verb};
use postgres_server::testing::{TestServer, installations, majors_available, psql};
use source_postgres::witness;

use crate::{
    sink::MemorySink,
    world::{Capture, catch_up, finish, production, settings},
};

fn schema(server: &TestServer) -> Option<Vec<u8>> {
    let program = installations().newest_tool("pg_dump", server.major()).ok()?;
    let output =
        Command::new(program).args(["--schema-only", "--restrict-key=test", "-d", &server.url()]).output();
    let output = output.expect("pg_dump runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}

#[test]
fn witnesses_name_the_actor_and_leave_no_trace_on_every_major() {
    for major in majors_available() {
        let server = production(major, |_| {});
        server.sql("create table bookings (id int primary key); create table kept (id int)");
        let before = schema(&server);
        server.sql(witness::INSTALL);
        server.sql(witness::INSTALL_TRUNCATE);
        assert_eq!(server.sql(witness::IS_INSTALLED), "t");
        server.sql("create role agent login");
        server.sql("grant all on schema public to agent; alter table bookings owner to agent");
        let sink = MemorySink::default();
        let capture = Capture::start(settings(&server), &sink);
        sink.wait("the names", |inner| inner.stream("relations").len() >= 2);
        let url = server.url().replacen("postgres@", "agent@", 1) + "&application_name=cursor-agent";
        psql(&url, "truncate bookings").unwrap();
        psql(&url, "drop table bookings").unwrap();
        catch_up(&server, &sink, &capture, 1);
        finish(capture);
        for verb in [Verb::Truncate, Verb::Drop] {
            let inner = sink.lock();
            let event = inner
                .events
                .iter()
                .find(|event| {
                    event.effects.iter().any(|e| e.verb == verb && e.target == "postgres.public.bookings")
                })
                .unwrap_or_else(|| panic!("{major}: no {verb}: {:#?}", inner.events));
            assert_eq!(event.attribution, Attribution::Witnessed, "{major}");
            let actor = event.actor.as_ref().unwrap();
            assert_eq!(
                (actor.identity.as_str(), actor.application.as_deref()),
                ("agent", Some("cursor-agent"))
            );
            assert!(event.statement.as_deref().unwrap().ends_with("bookings"), "{event:?}");
        }
        server.sql(witness::REMOVE);
        server.sql("create table bookings (id int primary key); revoke all on schema public from agent");
        assert_eq!(server.sql(witness::IS_INSTALLED), "f");
        if let (Some(before), Some(after)) = (before, schema(&server)) {
            let (before, after) = (String::from_utf8_lossy(&before), String::from_utf8_lossy(&after));
            assert_eq!(before, after, "{major}");
        }
        // Removing what is not there is no failure.
        server.sql(witness::REMOVE);
    }
}
