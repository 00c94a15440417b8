//! The simulated domain as judges find it.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use google_tenant::{AuditSettings, Effect, Fault, GoogleTenant, Running, Settings, Size, When};
use ports::{SystemClock, SystemRandom};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::tools::program;

/// A domain that runs, with a file that tells a judge what is in it.
pub(crate) struct Domain {
    pub(crate) running: Running,
    folder: TempDir,
}

impl Domain {
    /// Starts a domain in which one service account may do everything.
    pub(crate) fn start() -> Self {
        let settings = Settings {
            size: Size { users: 8, messages: 60, files: 40, events: 40, contacts: 30 },
            audit: AuditSettings { duplicate_one_in: Some(5), ..AuditSettings::immediate() },
            ..Settings::default()
        };
        let running =
            GoogleTenant::start(settings, Arc::new(SystemClock::new()), Arc::new(SystemRandom)).unwrap();
        running.with_tenant(|tenant| {
            let account = tenant.add_service_account("judge");
            let offered = google_tenant::offered();
            tenant.delegate(&account.client_id, offered.iter().flat_map(|one| one.scopes.iter().copied()));
        });
        Self { running, folder: tempfile::tempdir().unwrap() }
    }

    /// Lays faults for one user, of the kinds that a client is to get over by itself, and one that it is not.
    pub(crate) fn lay_faults(&self) {
        let user = self.users()[1].clone();
        let faults = [
            ("gmail.users.getProfile", When::First(1), Effect::Backend(503)),
            ("gmail.users.labels.list", When::First(2), Effect::TooMany(Some(1))),
            ("gmail.users.drafts.list", When::First(2), Effect::UserRate),
            ("gmail.users.threads.list", When::Always, Effect::UserRate),
        ];
        self.running.with_tenant(|tenant| {
            for (method, when, effect) in faults {
                tenant.fault(Fault { user: Some(user.clone()), ..Fault::new(method, when, effect) });
            }
        });
    }

    /// Returns the addresses of ordinary users, all of whom have mailboxes.
    pub(crate) fn users(&self) -> Vec<String> {
        self.running.with_tenant(|tenant| {
            let ordinary = |user: &&google_tenant::User| {
                user.has_mailbox && !user.suspended && !user.archived && !user.is_admin
            };
            tenant.users().iter().filter(ordinary).map(|user| user.primary_email.clone()).collect()
        })
    }

    /// Writes what a judge is to know, and returns where.
    pub(crate) fn world(&self) -> PathBuf {
        let (key, admin) = self.running.with_tenant(|tenant| {
            let email = tenant.service_accounts().last().unwrap().email.clone();
            (tenant.key_file(&email).unwrap(), tenant.administrator().unwrap().to_owned())
        });
        let routes: Vec<Value> = google_tenant::offered()
            .iter()
            .map(|one| json!({ "id": one.id, "verb": one.verb, "path": one.path, "scopes": one.scopes }))
            .collect();
        let world = json!({
            "url": self.running.url(),
            "key": serde_json::from_str::<Value>(&key).unwrap(),
            "admin": admin,
            "users": self.users(),
            "routes": routes,
        });
        let path = self.folder.path().join("world.json");
        std::fs::write(&path, world.to_string()).unwrap();
        path
    }
}

/// Makes the key file of a service account of a domain that is no longer there.
pub(crate) fn key_of_nobody() -> String {
    let settings = Settings {
        size: Size { users: 1, messages: 1, files: 1, events: 1, contacts: 1 },
        ..Settings::default()
    };
    let running =
        GoogleTenant::start(settings, Arc::new(SystemClock::new()), Arc::new(SystemRandom)).unwrap();
    running.with_tenant(|tenant| {
        let email = tenant.service_accounts().next().unwrap().email.clone();
        tenant.key_file(&email).unwrap()
    })
}

/// The program `google-tenant`, as a person starts it; it ends when this is dropped.
pub(crate) struct Program {
    child: Child,
    pub(crate) url: String,
    pub(crate) admin: String,
    folder: TempDir,
}

impl Program {
    /// Starts it over TLS, with the key files of its service accounts.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut child = Command::new(program("google-tenant", "google-tenant"))
            .arg("--tls")
            .arg("--authority-file")
            .arg(path("authority.pem"))
            .arg("--key-file")
            .arg(path("reading.json"))
            .arg("--restore-key-file")
            .arg(path("writing.json"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("google-tenant runs");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let url = lines.next().expect("it says where it is");
        let admin = lines.next().expect("it says who is the administrator");
        let admin = admin.strip_prefix("administrator: ").unwrap().to_owned();
        Self { child, url, admin, folder }
    }

    /// Returns where a file is that it wrote.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
