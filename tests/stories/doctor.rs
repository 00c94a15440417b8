//! The negative proof: what production holds is found, tried against the vault, and never shown.

use std::{
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use buckets::LockServer;
use google_api::scope;
use google_tenant::{GoogleTenant, Running, Settings, Size};
use ports::{SystemClock, SystemRandom};
use serde_json::Value;

use crate::{
    production::{Production, newest_major},
    push::serve,
    unwipe::{Outcome, Unwipe, exit},
};

/// Every secret that a story plants; none may be said.
const PASSWORD: &str = "swordfish-of-production-4711";
const STRIPE: &str = "sk_live_0123456789abcdefghij";

/// What doctor found, and all that it said.
struct Examined {
    outcome: Outcome,
    document: Value,
}

impl Examined {
    /// Runs doctor as a document and as text, and makes sure that neither says a secret.
    fn of(unwipe: &Unwipe, code: i32, credentials: &[&str], secrets: &[&str]) -> Self {
        let mut arguments = vec!["doctor", "--no-defaults", "--network"];
        for place in credentials {
            arguments.extend(["--credentials", place]);
        }
        let text = unwipe.run(&arguments).expect(code);
        arguments.insert(0, "--json");
        let outcome = unwipe.run(&arguments).expect(code);
        for said in [&text.stdout, &text.stderr, &outcome.stdout, &outcome.stderr] {
            for secret in secrets {
                assert!(!said.contains(secret), "a secret is shown: {secret}: {said}");
            }
        }
        let document = outcome.document();
        Self { outcome, document }
    }

    fn findings(&self) -> impl Iterator<Item = &Value> {
        let parts = self.document.as_array().unwrap().iter();
        parts.flat_map(|part| part["findings"].as_array().unwrap())
    }

    /// Returns the one finding whose subject holds all of these words.
    fn finding(&self, words: &[&str]) -> &Value {
        let matching = |finding: &&Value| {
            let subject = finding["subject"].as_str().unwrap();
            words.iter().all(|word| subject.contains(word))
        };
        let mut found = self.findings().filter(matching);
        let first = found.next().unwrap_or_else(|| panic!("nothing about {words:?}: {}", self.outcome));
        let second = found.next();
        assert!(second.is_none(), "two about {words:?}: {first} {second:?}");
        first
    }

    fn assert(&self, standing: &str, words: &[&str], evidence: &str) {
        let finding = self.finding(words);
        assert_eq!(finding["standing"], standing, "{finding}");
        assert!(finding["evidence"].as_str().unwrap().contains(evidence), "{evidence:?}: {finding}");
        assert_eq!(standing == "good", finding["fix"].is_null(), "{finding}");
    }

    fn bad(&self) -> Vec<&str> {
        let bad = self.findings().filter(|finding| finding["standing"] == "bad");
        bad.map(|finding| finding["subject"].as_str().unwrap()).collect()
    }
}

/// A process with an environment of its own, for as long as it is held.
struct Program(Child);

impl Program {
    fn with(name: &str, value: &str) -> Self {
        let mut command = Command::new("sleep");
        command.arg("600").env_clear().env("PATH", "/usr/bin:/bin").env(name, value).stdin(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn set_mode(path: &std::path::Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn what_production_logs_in_with_is_tried_and_a_vault_of_the_same_user_is_told_honestly() {
    let production = Production::start_with(newest_major(), |options| options.loopback = true);
    production.open_shop(20);
    production.sql(&format!(
        "create role app login password '{PASSWORD}'; grant select, insert, update, delete on all tables in schema public to app"
    ));
    let unwipe = Unwipe::protecting(&production.capture_url());
    unwipe.capture_once();
    std::fs::create_dir(unwipe.path("app")).unwrap();
    let app = production.server.tcp_url().replace("postgres@", &format!("app:{PASSWORD}@"));
    let environment = format!("# the shop\nDATABASE_URL=\"{app}\"\nSTRIPE_SECRET={STRIPE}\n");
    std::fs::write(unwipe.path("app/.env"), environment).unwrap();
    std::os::unix::fs::symlink(unwipe.path("app"), unwipe.path("app/again")).unwrap();
    let (secrets, folder) = ([PASSWORD, STRIPE], format!("folder:{}", unwipe.argument("app")));

    let examined = Examined::of(&unwipe, exit::DONE, &[&folder], &secrets);
    assert_eq!(examined.bad(), Vec::<&str>::new());
    examined.assert(
        "good",
        &["production holds no secret of the vault's"],
        "credentials found: 2, places looked at: 1",
    );
    examined.assert("good", &["PostgreSQL login app at"], "the server let it in as app, with no attributes");
    examined.assert("advice", &["passwords and tokens of other services"], "secret STRIPE_SECRET …ghij");
    examined.assert("advice", &["everything that was named"], "no regular file");
    // The capture's role: asked, and tried.
    examined.assert("good", &["the role that captures shop cannot write"], "attributes REPLICATION");
    examined.assert("good", &["the role that captures shop may change no table"], "none of 3 tables");
    examined.assert("good", &["tries to write is refused"], "delete from postgres.public.customers");
    // One machine, one user: that is said, and what would be better.
    examined.assert("advice", &["the vault and source shop are on different hosts"], "on this machine");
    // The server's folder is beside the vault's: the server does not tell this role, the machine does.
    examined.assert("advice", &["the vault and source shop lie on different volumes"], "both are on device");
    let own = rustix::process::geteuid();
    let mine = format!("({})", own.as_raw());
    examined.assert(
        "advice",
        &["production's user", &mine, "cannot destroy the vault"],
        "no protection from this user",
    );
    let running_apart = own.is_root();
    if running_apart {
        examined.assert(
            "good",
            &["production's user postgres", "cannot destroy the vault"],
            "give it no way",
        );
    }

    // A process of production's under the user who owns the vault is worse than a file of that user's.
    let program = Program::with("DATABASE_URL", &app);
    let process = format!("process:{}", program.0.id());
    let examined = Examined::of(&unwipe, exit::FAILED, &[&process], &secrets);
    examined.assert(
        "bad",
        &["production's user", &mine, "cannot destroy the vault"],
        "no protection from this user",
    );
    drop(program);

    // Its superuser runs programs as the server's user: that reaches a folder that everybody may write in.
    let owner = production.server.tcp_url();
    if running_apart {
        let examined = Examined::of(&unwipe, exit::DONE, &[&owner], &secrets);
        examined.assert("good", &["PostgreSQL login postgres at"], "who may not change the vault's files");
        set_mode(&unwipe.home().join("vault/data"), 0o777);
        let examined = Examined::of(&unwipe, exit::FAILED, &[&owner], &secrets);
        examined.assert(
            "bad",
            &["PostgreSQL login postgres at"],
            "by SUPERUSER it runs programs as the server's user",
        );
        examined.assert("bad", &["production's user postgres", "cannot destroy the vault"], "everybody may");
        set_mode(&unwipe.home().join("vault/data"), 0o755);
    }

    // A role that captures and could write is no role that captures.
    production.sql("grant pg_write_all_data to unwipe");
    let examined = Examined::of(&unwipe, exit::FAILED, &[&folder], &secrets);
    examined.assert("bad", &["the role that captures shop cannot write"], "pg_write_all_data");
    examined.assert("bad", &["the role that captures shop may change no table"], "postgres.public.customers");
    examined.assert("bad", &["tries to write is refused"], "the server did it");
    assert_eq!(production.sql("select count(*) from customers"), "20", "nothing was deleted by trying");
}

#[test]
fn the_vaults_own_secrets_are_found_wherever_they_are_copied() {
    let unwipe = Unwipe::initialised();
    std::fs::create_dir(unwipe.path("app")).unwrap();
    let key = std::fs::read_to_string(unwipe.home().join("keys/restore.key")).unwrap();
    let identity = key.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).unwrap();
    std::fs::write(unwipe.path("app/notes.txt"), format!("the key is {identity}, keep it well")).unwrap();
    let capture = std::fs::read_to_string(unwipe.home().join("keys/capture.key")).unwrap();
    let capture: Value = serde_json::from_str(&capture).unwrap();
    let seed = capture["signing_seed"].as_str().unwrap();
    std::fs::write(unwipe.path("app/deploy.yaml"), format!("env:\n  - name: SEED\n    value: {seed}\n"))
        .unwrap();
    // The recovery kit is no file of the installation's: that it opens the vault is found by trying.
    let kit = format!("file:{}", unwipe.argument("kit.txt"));
    let folder = format!("folder:{}", unwipe.argument("app"));

    let examined = Examined::of(&unwipe, exit::FAILED, &[&folder, &kit], &[identity, seed]);
    let held: Vec<&str> = examined
        .findings()
        .filter(|finding| finding["subject"] == "production holds no secret of the vault's")
        .map(|finding| finding["evidence"].as_str().unwrap())
        .collect();
    assert_eq!(held.len(), 2, "{held:?}");
    assert!(held.iter().any(|text| text.contains("the restore key is in") && text.contains("notes.txt")));
    assert!(held.iter().any(|text| text.contains("the capture key is in") && text.contains("deploy.yaml")));
    examined.assert("bad", &["age identity", "notes.txt", "does not open the vault"], "it does");

    // A folder of production's that holds the installation itself is worse than any copy.
    let all = format!("folder:{}", unwipe.argument("."));
    let examined = Examined::of(&unwipe, exit::FAILED, &[&all], &[identity, seed]);
    let inside = examined.findings().filter(|finding| {
        finding["subject"].as_str().unwrap().contains("lie outside of what production can read")
    });
    assert!(inside.count() >= 1, "{}", examined.outcome);
}

#[test]
fn each_access_key_is_tried_against_the_bucket() {
    let (unwipe, server) = (Unwipe::nowhere(), LockServer::start());
    let url = format!("{}/{}/vaults/shop", server.endpoint(), LockServer::BUCKET);
    let kit = unwipe.argument("kit.txt");
    let mut arguments = vec!["init", "--kit", &kit, "--s3", &url];
    arguments.extend([
        "--s3-access-key",
        "exec:printf writer",
        "--s3-secret-key",
        "exec:printf writer-secret",
    ]);
    unwipe.run(&arguments).expect(exit::DONE);
    let plant = |key: &str, secret: &str| {
        let text = format!("AWS_ACCESS_KEY_ID={key}\nAWS_SECRET_ACCESS_KEY={secret}\n");
        std::fs::write(unwipe.path(".env"), text).unwrap();
    };
    let file = format!("file:{}", unwipe.argument(".env"));

    plant("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI-of-production");
    let examined = Examined::of(&unwipe, exit::DONE, &[&file], &["wJalrXUtnFEMI-of-production"]);
    examined.assert(
        "good",
        &["AWS access key …MPLE", "does not reach the vault"],
        "all refused: list the vault's objects",
    );
    // Whose account it is these keys do not say: not known, and not good.
    examined.assert("advice", &["AWS access key …MPLE", "of different accounts"], "cannot be read");

    plant("reader", "reader-secret");
    let examined = Examined::of(&unwipe, exit::FAILED, &[&file], &["reader-secret"]);
    examined.assert(
        "bad",
        &["AWS access key", "does not reach the vault"],
        "the bucket lets it list the vault's objects",
    );

    plant("root", "root-secret");
    let examined = Examined::of(&unwipe, exit::FAILED, &[&file], &["root-secret"]);
    examined.assert(
        "bad",
        &["AWS access key", "does not reach the vault"],
        "put an object beside the vault's",
    );
    // What was tried harmed nothing, and left nothing that a vault would see.
    unwipe.run(&["verify", "--read-data"]).expect(exit::DONE);

    plant("writer", "writer-secret");
    let examined = Examined::of(&unwipe, exit::FAILED, &[&file], &["writer-secret"]);
    examined.assert("bad", &["AWS access key", "does not reach the vault"], "it is the writer's own key");
    examined.assert("bad", &["AWS access key", "of different accounts"], "it is the same key");
    let held = examined.findings().filter(|finding| {
        let evidence = finding["evidence"].as_str().unwrap();
        finding["standing"] == "bad" && evidence.contains("the writer's secret key of the vault is in")
    });
    assert_eq!(held.count(), 1, "{}", examined.outcome);
}

/// Makes a host with a vault, its server, and an enrolment for the source `shop`.
fn host_with_server() -> (Unwipe, crate::unwipe::Running, String) {
    let host = Unwipe::initialised();
    host.json(&["vault", "authority", "init"]);
    host.json(&["vault", "authority", "issue", "server", "--name", "127.0.0.1"]);
    let (server, url) = serve(&host);
    let enrolment = host.argument("shop.enrolment");
    host.json(&["vault", "enrol", "shop", "--url", &url, "--out", &enrolment]);
    (host, server, enrolment)
}

#[test]
fn what_opens_the_vaults_server_is_found_and_what_is_another_servers_is_refused() {
    let (_host, _server, enrolment) = host_with_server();
    let (_other, _other_server, other_enrolment) = host_with_server();
    let production = Unwipe::nowhere();
    production.json(&["init", "--enrolment", &enrolment]);
    let read = |path: &str| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let pair = |enrolment: &Value| {
        format!("{}{}", enrolment["certificate"].as_str().unwrap(), enrolment["key"].as_str().unwrap())
    };
    let (ours, theirs) = (read(&enrolment), read(&other_enrolment));
    let line = |file: &Value| file["key"].as_str().unwrap().lines().nth(1).unwrap().to_owned();
    let secrets = [line(&ours), line(&theirs)];
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    std::fs::create_dir(production.path("app")).unwrap();
    let plant =
        |name: &str, content: &str| std::fs::write(production.path("app").join(name), content).unwrap();

    // Another server's key and enrolment: shown to the vault's server, and refused there.
    plant("client.pem", &pair(&theirs));
    plant("other.enrolment", &theirs.to_string());
    let folder = format!("folder:{}", production.argument("app"));
    let examined = Examined::of(&production, exit::DONE, &[&folder], &secrets);
    examined.assert("good", &["private key", "client.pem", "does not reach the vault"], "does not let it in");
    examined.assert("good", &["enrolment for", "other.enrolment"], "which is another server");
    // That a source was enrolled is in a log that this host may not see: nothing is missing because of that.
    examined.assert("good", &["the vault is whole"], "other sources are not shown to this host");

    // The enrolment that was carried over and never deleted, and a key pair taken out of it.
    plant("client.pem", &pair(&ours));
    plant("left.enrolment", &ours.to_string());
    let examined = Examined::of(&production, exit::FAILED, &[&folder], &secrets);
    examined.assert(
        "bad",
        &["private key", "client.pem", "does not reach the vault"],
        "lets it in: as capture/shop",
    );
    examined.assert("bad", &["enrolment for", "left.enrolment"], "for this very server");
    let held = examined.findings().filter(|finding| {
        finding["evidence"].as_str().unwrap().starts_with("the key for the server of the vault is in")
    });
    assert_eq!(held.count(), 2, "{}", examined.outcome);
}

struct Domain {
    running: Running,
    unwipe: Unwipe,
}

impl Domain {
    fn protected() -> Self {
        let size = Size { users: 2, messages: 2, files: 2, events: 2, contacts: 2 };
        let settings = Settings { size, ..Settings::default() };
        let running =
            GoogleTenant::start(settings, Arc::new(SystemClock::new()), Arc::new(SystemRandom)).unwrap();
        let unwipe = Unwipe::initialised();
        let (key, admin) = running.with_tenant(|tenant| {
            let email = tenant.service_accounts().next().unwrap().email.clone();
            (tenant.key_file(&email).unwrap(), tenant.administrator().unwrap().to_owned())
        });
        std::fs::write(unwipe.path("capture.json"), key).unwrap();
        let (key, url) = (unwipe.argument("capture.json"), running.url().to_owned());
        unwipe.json(&["protect", "acme", "google", "--key", &key, "--admin", &admin, "--address", &url]);
        Self { running, unwipe }
    }

    /// Grants the key that captures what the guide says, and these scopes more.
    fn delegate(&self, more: &[&str]) {
        let scopes = [
            scope::GMAIL_READ,
            scope::DRIVE_READ,
            scope::CALENDAR_READ,
            scope::CALENDAR_SHARING_READ,
            scope::CONTACTS_READ,
            scope::OTHER_CONTACTS_READ,
            scope::USERS_READ,
            scope::GROUPS_READ,
            scope::ORGUNITS_READ,
            scope::ROLES_READ,
            scope::AUDIT_READ,
        ];
        self.running.with_tenant(|tenant| {
            let client_id = tenant.service_accounts().next().unwrap().client_id.clone();
            tenant.delegate(&client_id, scopes.iter().chain(more).copied());
        });
    }
}

#[test]
fn the_key_that_captures_a_domain_gets_no_token_that_writes() {
    let domain = Domain::protected();
    let key = std::fs::read_to_string(domain.unwipe.path("capture.json")).unwrap();
    let key: Value = serde_json::from_str(&key).unwrap();
    let private = key["private_key"].as_str().unwrap().lines().nth(1).unwrap();
    let file = format!("file:{}", domain.unwipe.argument("capture.json"));

    // Exactly the scopes of the guide. Nothing was captured yet, which is bad of itself.
    domain.delegate(&[]);
    let examined = Examined::of(&domain.unwipe, exit::FAILED, &[], &[private]);
    examined.assert(
        "good",
        &["the key that captures acme gets no token that writes"],
        "21 scopes asked for, each refused: mail.google.com: unauthorized_client",
    );
    let examined = Examined::of(&domain.unwipe, exit::FAILED, &[&file], &[private]);
    examined.assert("advice", &["production does not share the capture's credentials"], "capture.json");

    domain.delegate(&["https://www.googleapis.com/auth/drive"]);
    let examined = Examined::of(&domain.unwipe, exit::FAILED, &[], &[private]);
    examined.assert("bad", &["the key that captures acme gets no token that writes"], "drive: a token");
}

#[test]
fn what_is_not_known_is_not_good_and_what_is_not_understood_is_not_repeated() {
    let unwipe = Unwipe::initialised();
    let wrong = unwipe.run(&["doctor", "--credentials", "hunter2-is-my-password"]);
    let wrong = wrong.refused(exit::USAGE, "number 1 is not understood");
    assert!(!wrong.stderr.contains("hunter2"), "{wrong}");
    unwipe.run(&["doctor", "--credentials", "file:/nowhere"]).refused(exit::USAGE, "is not there");

    let examined = Examined::of(&unwipe, exit::DONE, &[], &[]);
    examined.assert(
        "advice",
        &["production holds no secret of the vault's"],
        "nothing of production's was found",
    );
    examined.assert("advice", &["production's users cannot destroy the vault"], "not known");

    // Without the network nothing is tried, and that is said.
    std::fs::write(unwipe.path(".env"), format!("DATABASE_URL=postgresql://app:{PASSWORD}@127.0.0.1:1/x\n"))
        .unwrap();
    let file = format!("file:{}", unwipe.argument(".env"));
    let said = unwipe.json(&["doctor", "--no-defaults", "--credentials", &file]).to_string();
    assert!(said.contains("it was not logged in with") && !said.contains(PASSWORD), "{said}");
}
