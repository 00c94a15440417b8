use super::*;
use crate::connection::Mode;

fn session(mode: Mode) -> Session {
    Session { user: "vault".into(), mode, database: "app".into(), encrypted: false, local: false }
}

fn error(sqlstate: &str, message: &str) -> ServerError {
    ServerError {
        severity: "FATAL".into(),
        sqlstate: sqlstate.into(),
        message: message.into(),
        ..ServerError::default()
    }
}

fn hint(sqlstate: &str, message: &str, mode: Mode) -> Option<String> {
    classify(error(sqlstate, message), &session(mode), Phase::Startup).hint()
}

#[test]
fn a_missing_hba_line_is_spelt_out_in_any_language() {
    let message =
        "kein pg_hba.conf-Eintrag für Replikationsverbindung von Host »127.0.0.1«, Benutzer »vault«";
    let german = hint("28000", message, Mode::PhysicalReplication).unwrap();
    assert!(german.contains("host replication vault samenet scram-sha-256"), "{german}");
    let message = r#"no pg_hba.conf entry for replication connection from host "10.1.2.3", user "vault""#;
    let english = hint("28000", message, Mode::PhysicalReplication).unwrap();
    assert!(english.contains("host replication vault 10.1.2.3/32 scram-sha-256"), "{english}");
    assert!(english.contains("SELECT pg_reload_conf();"));
    let message = r#"no pg_hba.conf entry for host "2001:db8::7", user "vault", database "app""#;
    let sql = hint("28000", message, Mode::Sql).unwrap();
    assert!(sql.contains("host app vault 2001:db8::7/128 scram-sha-256"), "{sql}");
}

#[test]
fn keywords_in_hba_lines_are_quoted() {
    let session = Session { database: "replication".into(), user: "all".into(), ..session(Mode::Sql) };
    let error = error("28000", r#"no pg_hba.conf entry for host "10.0.0.1""#);
    let Some(hint) = classify(error, &session, Phase::Startup).hint() else { panic!("no hint") };
    assert!(hint.contains(r#"host "replication" "all" 10.0.0.1/32"#), "{hint}");
}

#[test]
fn removed_wal_is_told_from_a_missing_library() {
    let replication = session(Mode::PhysicalReplication);
    let removed = error("58P01", "requested WAL segment 00000001000000000000000A has already been removed");
    assert!(matches!(classify(removed, &replication, Phase::Command), WireError::WalRemoved { .. }));
    let library = error("58P01", "could not access file \"nosuch\": No such file or directory");
    assert!(matches!(classify(library, &replication, Phase::Command), WireError::Server { .. }));
}

#[test]
fn slot_errors_are_told_apart_only_in_replication() {
    let replication = session(Mode::PhysicalReplication);
    let missing = error("42704", "replication slot \"a\" does not exist");
    assert!(matches!(classify(missing.clone(), &replication, Phase::Command), WireError::SlotMissing { .. }));
    assert!(matches!(classify(missing, &session(Mode::Sql), Phase::Command), WireError::Server { .. }));
    let lost = error("55000", "can no longer access replication slot \"a\"");
    assert!(matches!(classify(lost, &replication, Phase::Command), WireError::SlotInvalidated { .. }));
    let level = error("55000", "logical decoding requires \"wal_level\" >= \"logical\"");
    assert!(matches!(classify(level, &replication, Phase::Command), WireError::Server { .. }));
}

#[test]
fn privileges_come_with_the_grant() {
    let text = hint("42501", "permission denied for table orders", Mode::Sql).unwrap();
    assert!(text.contains("GRANT SELECT ON orders TO \"vault\";"), "{text}");
    let text =
        hint("42501", "must be superuser or replication role to start walsender", Mode::PhysicalReplication);
    assert!(text.unwrap().contains("ALTER ROLE \"vault\" REPLICATION;"));
}
