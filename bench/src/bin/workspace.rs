//! A simulated Workspace domain in a process of its own, so that what it costs is counted apart from what is measured.
//!
//! `workspace SETTINGS` takes the settings as JSON, writes the key files, and prints one line of JSON when it serves. Then it
//! carries out commands, one line of JSON each, and answers each with one line, until its input ends.

use std::{
    collections::BTreeMap,
    io::{BufRead, Error, Result, Write},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use google_tenant::{
    App, AuditSettings, GoogleTenant, Overrun, Pool, QuotaSettings, Running, Settings, Size, Tenant, scopes,
};
use ports::{SystemClock, SystemRandom, files};
use serde::Deserialize;
use serde_json::{Value, json};

/// Units a minute by service: of the project, of each user. A service that is not named is not limited.
type Quotas = BTreeMap<String, (u64, u64)>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    seed: u64,
    users: u32,
    messages: u32,
    files: u32,
    events: u32,
    contacts: u32,
    quota: Quotas,
    /// Prices that differ from the published ones.
    prices: BTreeMap<String, u32>,
    /// How long each request takes at least.
    latency_ms: u64,
    /// Where the key files are written: of the account that reads, and of the one that brings back.
    keys: [PathBuf; 2],
}

#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
enum Command {
    /// Tells how many requests came, and which calls were in them.
    Traffic,
    /// Forgets what came.
    Clear,
    /// Tells the units that were spent with a service, and how many calls were refused for want of quota.
    Spent { service: String },
    /// Changes how long each request takes at least.
    Latency { ms: u64 },
    /// Limits services from now on; their pools are full.
    Quota { quota: Quotas },
    /// Delivers a message.
    Deliver { user: String, number: u64 },
    /// Puts a file into a user's drive.
    File { user: String, number: u64 },
    /// Tells the ids of a mailbox's messages, and how many bytes they have.
    Messages { user: String },
    /// Lets a program into a mailbox and tells its token.
    Token { user: String },
}

fn main() -> Result<()> {
    let wanted = std::env::args().nth(1).ok_or_else(|| Error::other("workspace SETTINGS"))?;
    let wanted: Wanted = serde_json::from_str(&wanted)?;
    let running =
        GoogleTenant::start(settings(&wanted), Arc::new(SystemClock::new()), Arc::new(SystemRandom))
            .map_err(Error::other)?;
    for (number, path) in wanted.keys.iter().enumerate() {
        let key = running.with_tenant(|tenant| {
            let email = tenant.service_accounts().nth(number).map(|account| account.email.clone())?;
            tenant.key_file(&email)
        });
        let key = key.ok_or_else(|| Error::other("no key can be made"))?;
        files::replace(path, key.as_bytes()).map_err(Error::other)?;
    }
    say(&describe(&running))?;
    for line in std::io::stdin().lock().lines() {
        let command: Command = serde_json::from_str(&line?)?;
        say(&running
            .with_tenant(|tenant| carry_out(tenant, command))
            .ok_or_else(|| Error::other("nobody"))?)?;
    }
    Ok(())
}

fn settings(wanted: &Wanted) -> Settings {
    let &Wanted { users, messages, files, events, contacts, .. } = wanted;
    Settings {
        seed: wanted.seed,
        size: Size { users, messages, files, events, contacts },
        quota: QuotaSettings {
            pools: pools(&wanted.quota),
            prices: wanted.prices.iter().map(|(method, &units)| (method.clone(), units)).collect(),
            overrun: Overrun::TooMany,
            retry_after: false,
        },
        audit: AuditSettings::immediate(),
        latency: Duration::from_millis(wanted.latency_ms),
        ..Settings::default()
    }
}

fn pools(quotas: &Quotas) -> BTreeMap<String, Pool> {
    quotas.iter().map(|(service, &(project, user))| (service.clone(), Pool { project, user })).collect()
}

fn describe(running: &Running) -> Value {
    running.with_tenant(|tenant| {
        let open =
            |user: &&google_tenant::User| user.has_mailbox && !user.suspended && user.deleted.is_none();
        let users: Vec<String> =
            tenant.users().iter().filter(open).map(|user| user.primary_email.clone()).collect();
        json!({ "url": running.url(), "administrator": tenant.administrator(), "users": users })
    })
}

fn carry_out(tenant: &mut Tenant, command: Command) -> Option<Value> {
    Some(match command {
        Command::Traffic => traffic(tenant),
        Command::Clear => {
            tenant.clear_traffic();
            json!({})
        }
        Command::Spent { service } => spent(tenant, &service),
        Command::Latency { ms } => {
            tenant.settings_mut().latency = Duration::from_millis(ms);
            json!({})
        }
        Command::Quota { quota } => {
            tenant.settings_mut().quota.pools = pools(&quota);
            json!({})
        }
        Command::Deliver { user, number } => {
            let text = format!(
                "From: Bench <bench@supplier.example>\r\nTo: {user}\r\nSubject: change {number}\r\n\
                 Message-ID: <change-{number}@supplier.example>\r\nDate: Mon, 2 Mar 2026 09:00:00 +0000\r\n\r\n\
                 This is change {number}.\r\n"
            );
            let id = tenant.deliver(&user, text.as_bytes())?;
            json!({ "key": format!("message/{id}"), "at_us": tenant.now().as_micros() })
        }
        Command::File { user, number } => {
            let (name, text) = (format!("change {number}.txt"), format!("This is change {number}.\n"));
            let id = tenant.add_drive_bytes(&user, &name, "text/plain", text.as_bytes())?;
            json!({ "key": format!("file/{id}"), "at_us": tenant.now().as_micros() })
        }
        Command::Messages { user } => {
            let (mut ids, mut bytes) = (Vec::new(), 0);
            tenant.each_letter(&user, |letter| {
                bytes += letter.raw.len();
                ids.push(letter.id);
            });
            json!({ "ids": ids, "bytes": bytes })
        }
        Command::Token { user } => {
            let app = App {
                client_id: "523456789012-bench.apps.googleusercontent.com".to_owned(),
                client_secret: "secret".to_owned(),
                display_text: "Bench".to_owned(),
                native: true,
            };
            let grant = tenant.authorize(&user, &app, &[scopes::MAIL])?;
            json!({ "token": tenant.access_token(&grant)? })
        }
    })
}

/// Adds requests up by service and calls by method; the largest number of any one user is told beside.
fn traffic(tenant: &Tenant) -> Value {
    #[derive(Default)]
    struct Sum {
        all: u64,
        of_one: u64,
    }
    let (mut requests, mut calls) = (BTreeMap::<&str, Sum>::new(), BTreeMap::<&str, u64>::new());
    let admin = tenant.administrator();
    for (service, user, count) in tenant.traffic().requests() {
        let sum = requests.entry(service).or_default();
        sum.all += count;
        // Lists of the whole domain are read in the administrator's name: they are no mailbox's.
        if admin != Some(user) {
            sum.of_one = sum.of_one.max(count);
        }
    }
    for (method, _, count) in tenant.traffic().all() {
        *calls.entry(method).or_default() += count;
    }
    let requests: BTreeMap<_, _> = requests
        .into_iter()
        .map(|(service, sum)| (service, json!({ "all": sum.all, "of_one_user": sum.of_one })))
        .collect();
    json!({ "requests": requests, "calls": calls, "refusals": tenant.quota_refusals() })
}

fn spent(tenant: &Tenant, service: &str) -> Value {
    let of = |user: &google_tenant::User| tenant.spent(service, &user.primary_email);
    let users: BTreeMap<String, u64> =
        tenant.users().iter().map(|user| (user.primary_email.clone(), of(user))).collect();
    json!({
        "units": users.values().sum::<u64>(), "of_users": users, "refusals": tenant.quota_refusals(),
        "at_us": tenant.now().as_micros(),
    })
}

fn say(value: &Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}")?;
    out.flush()
}
