//! `DROP` and `TRUNCATE` are refused to the roles that policy names, and to nobody else.

use postgres_server::testing::{TestServer, psql};

use crate::world::{guarded, url};

fn refused(server: &TestServer, role: &str, sql: &str) {
    match psql(&url(server, role), sql) {
        Err(message) => {
            assert!(message.contains("unwipe guard: role") && message.contains("HINT"), "{sql}: {message}");
        }
        Ok(_) => panic!("{role} was let through: {sql}"),
    }
}

fn allowed(server: &TestServer, role: &str, sql: &str) {
    if let Err(message) = psql(&url(server, role), sql) {
        panic!("{role} was refused {sql}: {message}");
    }
}

#[test]
fn drop_and_truncate_are_refused_to_the_roles_of_the_policy() {
    for major in [13, 15, 18] {
        let server = guarded(major);
        server.sql(
            "create role owner login; grant owner to agent; create schema shop authorization agent; \
            grant all on schema public to owner",
        );
        for sql in [
            "truncate bookings",
            "drop table bookings",
            "drop schema shop",
            "alter table bookings drop column text",
            "drop owned by agent",
            "begin; alter table bookings rename to other; drop table other; commit",
        ] {
            refused(&server, "agent", sql);
        }
        // Tables that came after the guard, whoever made them, and partitions.
        allowed(&server, "agent", "create table later (n int); create table shop.copy as select 1 as n");
        allowed(
            &server,
            "agent",
            "create table parts (n int) partition by range (n); \
            create table part partition of parts for values from (1) to (9)",
        );
        for table in ["later", "shop.copy", "parts", "part"] {
            refused(&server, "agent", &format!("truncate {table}"));
            refused(&server, "agent", &format!("drop table {table}"));
        }
        // Under another role, and through a function of another.
        allowed(
            &server,
            "owner",
            "create table theirs (n int); \
            create function wipe() returns void language sql security definer as 'truncate theirs'",
        );
        refused(&server, "agent", "set role owner; truncate theirs");
        refused(&server, "agent", "select wipe()");
        // The teeth stay in.
        for sql in [
            "alter table bookings disable trigger all",
            "alter table bookings disable trigger unwipe_guard_refuse",
            "alter table bookings enable trigger unwipe_guard_refuse",
            "drop trigger unwipe_guard_refuse on bookings",
        ] {
            refused(&server, "agent", sql);
        }
        if major >= 14 {
            refused(
                &server,
                "agent",
                "create function mine() returns trigger language plpgsql as 'begin return null; end'; \
                create or replace trigger unwipe_guard_refuse before truncate on bookings execute function mine()",
            );
        }
        assert!(psql(&url(&server, "agent"), "drop event trigger unwipe_guard_refuse_drop").is_err());
        assert!(psql(&url(&server, "agent"), "drop schema unwipe_guard cascade").is_err());
        // What has nothing to do with it goes on.
        allowed(
            &server,
            "agent",
            "create temp table scratch (n int); insert into scratch values (1); \
            truncate scratch; drop table scratch",
        );
        allowed(
            &server,
            "agent",
            "create index on bookings (text); drop index bookings_text_idx; \
            create view seen as select 1 as n; drop view seen; delete from bookings where n = 1; \
            alter table bookings add column more int",
        );
        assert_eq!(server.sql("select count(*) from bookings"), "49999");
        // Others may.
        allowed(&server, "owner", "truncate theirs; drop table theirs cascade");
        allowed(
            &server,
            "postgres",
            "set session_replication_role = replica; truncate later; drop table later",
        );
        allowed(&server, "app", "truncate bookings");
        // The replica role, which silences ordinary triggers, takes a superuser.
        server.sql("insert into bookings values (1)");
        assert!(
            psql(&server.url(), "set session_replication_role = replica; set role agent; truncate bookings")
                .is_err()
        );
    }
}

#[test]
fn a_guard_that_is_broken_stops_nobody_from_making_tables() {
    let server = guarded(15);
    server.sql("alter function unwipe_guard.refuse_truncate() rename to gone");
    allowed(&server, "agent", "create table later (n int); insert into later values (1)");
    assert_eq!(server.sql("select count(*) from later"), "1");
}
