//! Who wipes is found, ended, kept out and let in again; nobody else is.

use std::{
    thread,
    time::{Duration, Instant},
};

use model::{Attribution, Moment};
use postgres_guard::ClusterContainer;
use postgres_server::testing::{TestServer, psql};
use watch::containment::{Action, ActionKind, Container, ContainmentError, Proposal, Taken};

use crate::world::{connect, container, guarded, settings, suspect, url};

const NOW: Moment = Moment::from_micros(1_000_000);

fn take_all(container: &mut ClusterContainer, proposal: &Proposal) -> Vec<Taken> {
    proposal.actions.iter().map(|action| container.take(action, NOW).unwrap()).collect()
}

fn role(server: &TestServer, name: &str) -> String {
    server.sql(&format!("select row(r.*)::text from pg_authid r where rolname = '{name}'"))
}

fn rows(server: &TestServer) -> u64 {
    server.sql("select count(*) from bookings").parse().unwrap()
}

fn wait(what: &str, mut is_true: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_mins(1);
    while !is_true() {
        assert!(Instant::now() < until, "{what} did not come");
        thread::sleep(Duration::from_millis(2));
    }
}

fn sessions_of(server: &TestServer, role: &str) -> u64 {
    server.sql(&format!("select count(*) from pg_stat_activity where usename = '{role}'")).parse().unwrap()
}

/// Takes everything that is proposed against the agent, and asserts that it is out and nobody else is.
fn contain(server: &TestServer, proposal: &Proposal) -> Vec<Taken> {
    assert_eq!((proposal.actor.identity.as_str(), proposal.attribution), ("agent", Attribution::Sampled));
    let taken = take_all(&mut container(server), proposal);
    wait("the end of the agent's sessions", || sessions_of(server, "agent") == 0);
    let refusal = psql(&url(server, "agent"), "select 1").unwrap_err();
    assert!(refusal.contains("not permitted to log in"), "{refusal}");
    assert_eq!(psql(&url(server, "app"), "select 1").unwrap(), "1");
    taken
}

#[test]
fn an_open_delete_or_update_is_ended_and_nothing_is_lost() {
    for (major, statement) in [
        (13, "delete from bookings"),
        (15, "update bookings set text = 'gone'"),
        (18, "delete from bookings"),
    ] {
        let server = guarded(major);
        let before = role(&server, "agent");
        let mut app = connect(&server, "app");
        app.simple_query("begin; delete from bookings where n = -1; insert into bookings values (0)")
            .unwrap();
        let mut agent = connect(&server, "agent");
        agent.simple_query(&format!("begin; {statement}")).unwrap();
        let number = agent.query_one("select txid_current()").unwrap()[0].clone().unwrap();
        let mut guard = container(&server);
        let proposal = guard.propose(&suspect(Some(&number))).unwrap().unwrap();
        let kinds: Vec<ActionKind> = proposal.actions.iter().map(|action| action.kind).collect();
        assert_eq!(kinds, [ActionKind::EndSession, ActionKind::BarLogin, ActionKind::EndSession]);
        assert!(proposal.actions.iter().all(|action| action.subject == "agent"));
        let taken = contain(&server, &proposal);
        assert!(agent.query_one("select 1").is_err());
        app.simple_query("commit").unwrap();
        assert_eq!(rows(&server), 50_001);
        assert_eq!(server.sql("select count(*) from bookings where text <> 'x'"), "0");

        // Once more is the same as once, there and back.
        take_all(&mut guard, &proposal);
        assert!(
            taken.iter().all(|taken| taken.can_be_taken_back == (taken.action.kind == ActionKind::BarLogin))
        );
        for taken in taken.iter().rev().chain(&taken) {
            guard.take_back(taken).unwrap();
        }
        assert_eq!(role(&server, "agent"), before);
        assert_eq!(psql(&url(&server, "agent"), "select 1").unwrap(), "1");
    }
}

#[test]
fn a_subtransaction_leads_to_its_session() {
    let server = guarded(15);
    let mut agent = connect(&server, "agent");
    agent.simple_query("begin; savepoint a; delete from bookings").unwrap();
    // The number that the log has of it, first while it runs, then once it is released.
    let top: u64 = agent.query_one("select txid_current()").unwrap()[0].clone().unwrap().parse().unwrap();
    let number = (top + 1).to_string();
    let mut guard = container(&server);
    let running = guard.propose(&suspect(Some(&number))).unwrap().unwrap();
    agent.simple_query("release a").unwrap();
    let released = guard.propose(&suspect(Some(&number))).unwrap().unwrap();
    assert_eq!(running, released);
    contain(&server, &released);
    assert_eq!(rows(&server), 50_000);
}

/// Runs something that deletes row by row, and contains it after some rows are gone; returns how many are left.
fn contain_loop(server: &TestServer, wipe: impl FnOnce() + Send) -> u64 {
    let mut guard = container(server);
    guard.warm("postgres").unwrap();
    thread::scope(|scope| {
        let wiping = scope.spawn(wipe);
        wait("the first rows lost", || rows(server) < 49_900);
        let proposal = guard.propose(&suspect(None)).unwrap().unwrap();
        contain(server, &proposal);
        wiping.join().unwrap();
    });
    let left = rows(server);
    assert!(left > 0, "it was stopped too late");
    left
}

#[test]
fn a_loop_that_commits_row_by_row_in_the_server_is_ended() {
    let server = guarded(15);
    server.sql("alter role agent set synchronous_commit = on");
    contain_loop(&server, || {
        let mut agent = connect(&server, "agent");
        let wipe =
            "do $$ begin for i in 1..50000 loop delete from bookings where n = i; commit; end loop; end $$";
        assert!(agent.simple_query(wipe).is_err());
    });
}

#[test]
fn a_client_that_deletes_row_by_row_is_ended_even_where_an_application_writes_beside_it() {
    let server = guarded(15);
    let mut app = connect(&server, "app");
    app.simple_query("begin; insert into bookings values (-1)").unwrap();
    contain_loop(&server, || {
        let mut agent = connect(&server, "agent");
        let ended = (1..=50_000).any(|n| {
            agent.query_params("delete from bookings where n = $1::int", &[Some(&n.to_string())]).is_err()
        });
        assert!(ended);
    });
    app.simple_query("commit").unwrap();
}

#[test]
fn who_cannot_be_found_is_not_proposed_and_a_statement_alone_is_a_guess() {
    let server = guarded(15);
    let mut guard = container(&server);
    assert_eq!(guard.propose(&suspect(Some("17"))).unwrap(), None);
    assert_eq!(guard.propose(&suspect(Some("1000000"))).unwrap(), None);
    let mut app = connect(&server, "app");
    app.simple_query("delete from bookings where n = 1").unwrap();
    let guess = guard.propose(&suspect(None)).unwrap().unwrap();
    assert_eq!((guess.actor.identity.as_str(), guess.attribution), ("app", Attribution::Inferred));
}

#[test]
fn what_the_log_itself_knows_is_better_than_a_guess() {
    let server = guarded(15);
    let mut known = suspect(Some("17"));
    known.actor = Some(model::Actor { identity: "agent as app".to_owned(), ..model::Actor::default() });
    known.attribution = Attribution::Witnessed;
    let proposal = container(&server).propose(&known).unwrap().unwrap();
    assert_eq!(proposal.attribution, Attribution::Witnessed);
    assert!(proposal.actions.iter().all(|action| action.subject == "agent"));
}

fn bar(role: &str) -> Action {
    Action {
        kind: ActionKind::BarLogin,
        source: suspect(None).source,
        subject: role.to_owned(),
        title: format!("keep role {role} from logging in"),
        details: serde_json::json!({ "database": "postgres" }),
    }
}

#[test]
fn the_database_itself_protects_whom_the_policy_does_not_name() {
    let server = guarded(15);
    let before = server.sql("select string_agg(row(r.*)::text, ' ' order by oid) from pg_authid r");
    let mut guard = container(&server);
    let mut open = [connect(&server, "app"), connect(&server, "backup")];
    // Not named, protected, replicating, superuser, the cluster's own superuser, the guard itself, the server's own.
    for role in ["app", "agent_safe", "backup", "anna", "postgres", "unwipe_guard", "pg_monitor"] {
        for kind in [ActionKind::BarLogin, ActionKind::EndSession] {
            let action = Action { kind, ..bar(role) };
            match guard.take(&action, NOW) {
                Err(ContainmentError::Protected { subject, reason }) => {
                    assert!(subject == role && !reason.is_empty());
                }
                other => panic!("{role}: {other:?}"),
            }
        }
    }
    assert!(matches!(guard.take(&bar("guest_1"), NOW), Err(ContainmentError::Gone { .. })));
    assert!(open.iter_mut().all(|connection| connection.query_one("select 1").is_ok()));
    assert_eq!(server.sql("select string_agg(row(r.*)::text, ' ' order by oid) from pg_authid r"), before);

    // A role that was not barred here is not let in here either.
    server.sql("alter role agent nologin");
    let mut guard_connection = connect(&server, "unwipe_guard");
    guard_connection.query_one("select unwipe_guard.restore_login('agent')").unwrap();
    assert!(psql(&url(&server, "agent"), "select 1").is_err());
    // What could not log in before cannot afterwards.
    let taken = guard.take(&bar("agent"), NOW).unwrap();
    guard.take_back(&taken).unwrap();
    assert!(psql(&url(&server, "agent"), "select 1").is_err());
}

#[test]
fn the_guards_role_can_do_nothing_else() {
    let server = guarded(15);
    let mut guard = connect(&server, "unwipe_guard");
    let agent = connect(&server, "agent");
    let process = server.sql("select pid from pg_stat_activity where usename = 'agent'");
    for statement in [
        "select * from bookings".to_owned(),
        "delete from bookings".to_owned(),
        "select * from unwipe_guard.policy".to_owned(),
        "insert into unwipe_guard.policy (pattern, rule) values ('app', 'contained')".to_owned(),
        "delete from unwipe_guard.barred".to_owned(),
        "alter role agent nologin".to_owned(),
        "alter role unwipe_guard superuser".to_owned(),
        "create role other".to_owned(),
        "set role agent".to_owned(),
        "set session_replication_role = replica".to_owned(),
        "create function unwipe_guard.require_containable(text) returns void language sql as ''".to_owned(),
        "select unwipe_guard.require_containable('agent')".to_owned(),
        "select pg_read_file('PG_VERSION')".to_owned(),
        "copy (select 1) to program 'true'".to_owned(),
        format!("select pg_terminate_backend({process})"),
    ] {
        let error = guard.simple_query(&statement).unwrap_err();
        assert_eq!(error.server().unwrap().sqlstate, "42501", "{statement}: {error:?}");
    }
    assert_eq!(
        server.sql(
            "select rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls \
        from pg_roles where rolname = 'unwipe_guard'"
        ),
        "f"
    );
    // A temporary table of the same name does not get between.
    guard.simple_query("create temp table barred (role name, could_log_in bool)").unwrap();
    guard.query_one("select unwipe_guard.bar_login('agent')").unwrap();
    assert_eq!(server.sql("select count(*) from unwipe_guard.barred"), "1");
    drop(agent);
}

#[test]
fn a_connection_that_broke_is_made_anew() {
    let server = guarded(15);
    let mut guard = container(&server);
    guard.warm("postgres").unwrap();
    server.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'unwipe_guard'");
    wait("the end of the guard's session", || sessions_of(&server, "unwipe_guard") == 0);
    let taken = guard.take(&bar("agent"), NOW).unwrap();
    guard.take_back(&taken).unwrap();
}

#[test]
fn where_nothing_is_installed_that_is_said() {
    let server = crate::world::server(15);
    server.sql("create role unwipe_guard login");
    let mut guard = ClusterContainer::new(
        settings(&server, "unwipe_guard"),
        std::sync::Arc::new(ports::SystemClock::new()),
    );
    let error = guard.take(&bar("agent"), NOW).unwrap_err();
    assert!(error.hint().unwrap().contains("guard install"), "{error:?}");
}
