use postgres_server::testing::{TestServer, majors_available};
use postgres_wire::{Mode, WireError};

use crate::support::{chain, connect, superuser, tcp_url};

#[test]
fn a_missing_replication_line_is_named_on_every_major() {
    for major in majors_available() {
        // The stock line of container images: it admits every database and not replication.
        let server = TestServer::start(major, |options| {
            options.loopback = true;
            options.access = vec!["local all all trust".into(), "host all all all trust".into()];
        });
        server.sql("create role vault login replication");
        let url = tcp_url(&server, "vault", "sslmode=disable");
        let error = connect(&url, Mode::PhysicalReplication).unwrap_err();
        let WireError::NotAdmitted { line, .. } = &error else { panic!("{}", chain(&error)) };
        assert_eq!(line, "host replication vault 127.0.0.1/32 scram-sha-256");

        // Doing what the hint says, with `trust` as the role has no password, helps.
        let line = line.replace("scram-sha-256", "trust");
        let path = server.sql("show hba_file");
        let content = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{content}\n{line}\n")).unwrap();
        assert!(error.hint().unwrap().contains("SELECT pg_reload_conf()"));
        server.sql("select pg_reload_conf()");
        let mut tries = 0;
        while let Err(error) = connect(&url, Mode::PhysicalReplication) {
            tries += 1;
            assert!(tries < 100, "{}", chain(&error));
            crate::support::clock().sleep(std::time::Duration::from_millis(50));
        }
    }
}

#[test]
fn a_missing_replication_attribute_is_named_on_every_major() {
    for major in majors_available() {
        let server = TestServer::start(major, |_| ());
        server.sql("create role plain login; create table t (a int)");
        let url = server.url().replace("postgres@", "plain@");
        assert_ne!(url, server.url());
        for mode in [Mode::PhysicalReplication, Mode::LogicalReplication { database: "postgres".into() }] {
            let error = connect(&url, mode).unwrap_err();
            let WireError::MissingPrivilege { remedy, .. } = &error else { panic!("{}", chain(&error)) };
            assert_eq!(remedy.as_deref(), Some("ALTER ROLE \"plain\" REPLICATION;"));
        }
        let error = connect(&url, Mode::Sql).unwrap().query_rows("select * from t").unwrap_err();
        assert!(error.hint().unwrap().ends_with("GRANT SELECT ON t TO \"plain\";"), "{}", chain(&error));
        server.sql("grant select on t to plain; alter role plain replication");
        connect(&url, Mode::Sql).unwrap().query_rows("select * from t").unwrap();
        connect(&url, Mode::PhysicalReplication).unwrap().identify_system().unwrap();
    }
}

#[test]
fn exhausted_senders_and_missing_roles_are_told() {
    let server = TestServer::start(15, |options| options.settings.set("max_wal_senders", &1));
    let first = superuser(&server, Mode::PhysicalReplication);
    let error = connect(&server.url(), Mode::PhysicalReplication).unwrap_err();
    assert!(matches!(error, WireError::Exhausted { setting: "max_wal_senders", .. }), "{}", chain(&error));
    assert!(error.is_transient());
    drop(first);
    let error = connect(&server.url().replace("postgres@", "nobody@"), Mode::Sql).unwrap_err();
    assert!(matches!(error, WireError::AuthenticationRefused { .. }), "{}", chain(&error));
}

#[test]
fn a_server_that_is_not_there_is_unreachable() {
    let error = connect("postgresql://a@127.0.0.1:1/", Mode::Sql).unwrap_err();
    assert!(matches!(error, WireError::Unreachable { .. }));
    assert!(error.to_string().contains("127.0.0.1:1"));
    let error = connect("postgresql://a@/?host=/nonexistent", Mode::Sql).unwrap_err();
    assert!(matches!(error, WireError::Unreachable { .. }));
}
