//! Runs a simulated Google Workspace domain until it is ended.

use std::{
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::{Parser, ValueEnum};
use google_tenant::{GoogleTenant, QuotaSettings, Running, Settings, Size};
use ports::{Clock, SystemClock, SystemRandom, files};

/// Starts a simulated Google Workspace domain and prints its address.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many people there are.
    #[arg(long, default_value_t = 8)]
    users: u32,
    /// How many messages each mailbox has.
    #[arg(long, default_value_t = 200)]
    messages: u32,
    /// How many files each drive has.
    #[arg(long, default_value_t = 40)]
    files: u32,
    /// How many events each calendar has.
    #[arg(long, default_value_t = 40)]
    events: u32,
    /// How many contacts each user has.
    #[arg(long, default_value_t = 30)]
    contacts: u32,
    /// Decides what is in the domain.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Speaks TLS, with a certificate of an authority made for this run.
    #[arg(long)]
    tls: bool,
    /// Where the certificate of that authority is written.
    #[arg(long, value_name = "FILE", requires = "tls")]
    authority_file: Option<PathBuf>,
    /// Where the key file of the service account that reads is written.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Where the key file of the service account that brings back is written.
    #[arg(long, value_name = "FILE")]
    restore_key_file: Option<PathBuf>,
    /// What calls cost.
    #[arg(long, value_enum, default_value = "unlimited")]
    quota: Quota,
    /// How many times as fast as the world's the domain's clock runs.
    #[arg(long, default_value_t = 1)]
    clock_speed: u32,
    /// How many milliseconds each call takes at least.
    #[arg(long, default_value_t = 0)]
    latency: u64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Quota {
    Old,
    New,
    Unlimited,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // Without a place to complain there is nothing left but the code.
            writeln!(std::io::stderr(), "error: {message}").ok();
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let settings = Settings {
        seed: arguments.seed,
        size: Size {
            users: arguments.users,
            messages: arguments.messages,
            files: arguments.files,
            events: arguments.events,
            contacts: arguments.contacts,
        },
        listen: arguments.listen,
        tls: arguments.tls,
        quota: match arguments.quota {
            Quota::Old => QuotaSettings::old(),
            Quota::New => QuotaSettings::new(),
            Quota::Unlimited => QuotaSettings::unlimited(),
        },
        latency: Duration::from_millis(arguments.latency),
        clock_speed: arguments.clock_speed,
        ..Settings::default()
    };
    let clock = Arc::new(SystemClock::new());
    let running = GoogleTenant::start(settings, Arc::clone(&clock) as _, Arc::new(SystemRandom))
        .map_err(|error| error.to_string())?;
    write_files(arguments, &running)?;
    let admin = running.with_tenant(|tenant| tenant.administrator().map(str::to_owned));
    let mut out = std::io::stdout();
    writeln!(out, "{}\nadministrator: {}", running.url(), admin.unwrap_or_default())
        .and_then(|()| out.flush())
        .map_err(|error| error.to_string())?;
    loop {
        clock.sleep(Duration::from_hours(1));
    }
}

fn write_files(arguments: &Arguments, running: &Running) -> Result<(), String> {
    let write = |path: &Path, text: &str| {
        // A bare name has no folder that could be synced.
        let path = std::path::absolute(path).map_err(|error| error.to_string())?;
        files::replace(&path, text.as_bytes()).map_err(|error| error.to_string())
    };
    if let (Some(path), Some(authority)) = (&arguments.authority_file, running.authority()) {
        write(path, authority)?;
    }
    let accounts: Vec<String> = running
        .with_tenant(|tenant| tenant.service_accounts().map(|account| account.email.clone()).collect());
    let wanted = [&arguments.key_file, &arguments.restore_key_file];
    for (path, account) in wanted.into_iter().zip(&accounts) {
        let Some(path) = path else { continue };
        let key = running.with_tenant(|tenant| tenant.key_file(account)).ok_or("no key can be made")?;
        write(path, &key)?;
    }
    Ok(())
}
