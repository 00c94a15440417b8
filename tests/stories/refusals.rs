//! What is wrong is said with what to do about it, and doing that helps.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use postgres_server::testing::TestServer;
use serde_json::Value;

use crate::{
    comeback::Comeback,
    production::{Production, ROLE, newest_major},
    unwipe::{Outcome, Unwipe, exit, wait_until},
};

impl Unwipe {
    fn protect(&self, url: &str, options: &[&str]) -> Outcome {
        let mut arguments = vec!["--json", "protect", "shop", "postgres", "--url", url];
        arguments.extend(options);
        self.run(&arguments)
    }

    /// Protects a server about which something is bad; returns the finding.
    fn bad_finding(&self, url: &str, options: &[&str]) -> Value {
        let outcome = self.protect(url, options).refused(exit::FAILED, "was not added: a check failed");
        let result = outcome.document();
        assert_eq!(result["added"], false);
        let findings = result["findings"].as_array().unwrap();
        let mut bad = findings.iter().filter(|finding| finding["standing"] == "bad").cloned();
        let first = bad.next().expect("something is bad");
        assert_eq!(bad.next(), None, "one cause has one finding");
        let text = self.run(&[&["protect", "shop", "postgres", "--url", url], options].concat());
        let text = text.expect(exit::FAILED).stdout;
        for line in first["fix"].as_str().unwrap().lines() {
            assert!(text.contains(line), "people are not told {line:?}: {text}");
        }
        assert!(!self.home().join("state/shop").exists(), "a refused source left state behind");
        first
    }
}

/// Writes a password where only its owner may read it, and returns the reference.
fn password(unwipe: &Unwipe, secret: &str) -> String {
    let path = unwipe.path(&format!("{secret}.password"));
    fs::write(&path, format!("{secret}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    format!("file:{}", path.display())
}

/// Adds a line in front of `pg_hba.conf`.
fn admit(server: &TestServer, line: &str) {
    let path = server.sql("show hba_file");
    let rest = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{line}\n{rest}")).unwrap();
    // What a new session was told to have been read is what it is let in by.
    let read_at = || server.sql("select pg_conf_load_time()");
    let before = read_at();
    server.sql("select pg_reload_conf()");
    wait_until("the line to be read", || read_at() != before);
}

#[test]
fn each_refusal_of_the_server_names_what_mends_it() {
    let production = Production::start_with(newest_major(), |options| {
        options.loopback = true;
        options.settings.set("max_slot_wal_keep_size", "-1");
        options.settings.set("password_encryption", "scram-sha-256");
        options.access = vec![
            "local all postgres trust".to_owned(),
            "host all unwipe 127.0.0.1/32 scram-sha-256".to_owned(),
        ];
    });
    production.sql(&format!("alter role {ROLE} noreplication password 'right'"));
    let url = production.server.tcp_url().replace("postgres@", &format!("{ROLE}@"));
    let unwipe = Unwipe::initialised();
    let (right, wrong) = (password(&unwipe, "right"), password(&unwipe, "wrong"));

    // No line for replication: the fix is a line for pg_hba.conf.
    let finding = unwipe.bad_finding(&url, &["--password", &right]);
    assert!(finding["evidence"].as_str().unwrap().contains("pg_hba.conf"), "{finding}");
    let fix = finding["fix"].as_str().unwrap();
    let line = fix.lines().find(|line| line.trim_start().starts_with("host ")).map(str::trim);
    admit(&production.server, line.or_else(|| line_inside(fix)).expect("the fix holds a line"));

    let finding = unwipe.bad_finding(&url, &["--password", &wrong]);
    assert!(
        finding["evidence"].as_str().unwrap().contains(&format!("credentials of role {ROLE}")),
        "{finding}"
    );
    unwipe.protect(&url, &[]).expect(exit::FAILED);

    // No REPLICATION: the fix is SQL.
    let finding = unwipe.bad_finding(&url, &["--password", &right]);
    let fix = finding["fix"].as_str().unwrap();
    production.sql(fix.strip_prefix("as a superuser run: ").unwrap_or(fix));

    // An unbounded slot: the fix is SQL too.
    let finding = unwipe.bad_finding(&url, &["--password", &right]);
    assert!(finding["evidence"].as_str().unwrap().contains("max_slot_wal_keep_size = -1"), "{finding}");
    for statement in finding["fix"].as_str().unwrap().split_inclusive(';') {
        production.sql(statement);
    }
    wait_until("the bound", || production.sql("show max_slot_wal_keep_size") != "-1");

    unwipe.protect(&url, &["--password", &right]).expect(exit::DONE);
    unwipe.capture_once();
    let secret_kept = fs::read_to_string(unwipe.home().join("unwipe.toml")).unwrap();
    assert!(!secret_kept.contains("right\""), "the configuration holds the password");
}

/// Finds a line for `pg_hba.conf` inside of a sentence.
fn line_inside(fix: &str) -> Option<&str> {
    let start = fix.find("host ")?;
    let end = fix[start..].find("scram-sha-256")? + "scram-sha-256".len();
    fix.get(start..start + end)
}

#[test]
fn a_standby_is_no_source() {
    let production = Production::start(newest_major());
    let mut standby = Production::start(newest_major());
    standby.become_standby();
    let unwipe = Unwipe::initialised();
    let finding = unwipe.bad_finding(&standby.capture_url(), &[]);
    assert!(finding["evidence"].as_str().unwrap().contains("pg_is_in_recovery"), "{finding}");
    assert!(finding["fix"].as_str().unwrap().contains("address of the primary"), "{finding}");
    unwipe.protect(&production.capture_url(), &[]).expect(exit::DONE);
}

#[test]
fn a_wrong_configuration_is_named() {
    let nowhere = Unwipe::nowhere();
    for verb in [&["sources"][..], &["capture", "shop"], &["verify"], &["doctor"], &["timeline", "shop"]] {
        let outcome = nowhere.run(verb).refused(exit::NO_VAULT, "there is no configuration");
        assert_eq!(outcome.line("hint"), "unwipe init");
    }

    let unwipe = Unwipe::initialised();
    unwipe.protect("postgresql://unwipe:secret@127.0.0.1:1/postgres", &[]).refused(exit::USAGE, "password");
    let gone = unwipe.protect("postgresql://unwipe@127.0.0.1:1/postgres", &[]).expect(exit::FAILED);
    assert!(gone.stdout.contains("cannot reach the PostgreSQL server at 127.0.0.1:1"), "{gone}");
    unwipe.run(&["capture", "shop"]).refused(exit::USAGE, "there is no source shop");
    unwipe.run(&["sources"]).refused(exit::NOTHING, "no source is configured");
    let again = unwipe.run(&["init", "--kit", &unwipe.argument("kit2.txt")]);
    again.refused(exit::FAILED, "there is a vault in this place already");

    let path = unwipe.home().join("unwipe.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("retenion = 3\n{text}")).unwrap();
    unwipe.run(&["sources"]).refused(exit::USAGE, "retenion");
    fs::write(&path, text).unwrap();
    fs::remove_dir_all(unwipe.home().join("vault")).unwrap();
    unwipe.run(&["verify"]).expect(exit::NO_VAULT);
}

#[test]
fn what_is_stored_is_refused_to_strangers_and_named_where_it_ends() {
    let production = Production::start(newest_major());
    production.open_shop(100);
    let unwipe = Unwipe::protecting(&production.capture_url());
    unwipe.capture_once();
    production.sql("insert into customers(name) values ('one more')");

    // Another capture of the same source at the same time.
    let mut first = unwipe.capture();
    production.wait_for_stream();
    let second = unwipe.run(&["capture", "shop"]).refused(exit::FAILED, "captured by another process");
    assert!(second.line("hint").contains("stop the other process"), "{second}");
    first.assert_alive();
    first.end(rustix::process::Signal::TERM).expect(exit::DONE);

    // Moments that are not stored.
    let (early, late) = ("2001-01-01T00:00:00Z", "2101-01-01T00:00:00Z");
    let outcome = Comeback::attempt(&unwipe, early, "early").refused(exit::NOTHING, "lies outside");
    assert!(outcome.line("hint").contains("the oldest is 20"), "{outcome}");
    let outcome = Comeback::attempt(&unwipe, late, "late").refused(exit::NOTHING, "lies outside");
    assert!(outcome.line("hint").contains("latest"), "{outcome}");
    Comeback::attempt(&unwipe, "transaction:4000000", "none")
        .refused(exit::NOTHING, "no commit of transaction 4000000");
    Comeback::attempt(&unwipe, "yesterday", "never").refused(exit::USAGE, "names no moment");
    assert!(
        !unwipe.path("early").exists() && !unwipe.path("late").exists(),
        "a refused rewind left a folder behind"
    );

    // A folder that holds something is never written into.
    let full = unwipe.path("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("mine"), "mine").unwrap();
    Comeback::attempt(&unwipe, "latest", "full").expect(exit::FAILED);
    assert_eq!(fs::read_dir(&full).unwrap().count(), 1, "a foreign folder was changed");

    // Another vault's key.
    let stranger = Unwipe::initialised();
    let key = format!("file:{}", stranger.home().join("keys/restore.key").display());
    let folder = unwipe.argument("stolen");
    unwipe.run(&["rewind", "shop@latest", "--to", &folder, "--key", &key]).expect(exit::WRONG_KEY);
    unwipe.run(&["verify", "--key", &key]).expect(exit::WRONG_KEY);
    assert!(!Path::new(&folder).exists());
}
