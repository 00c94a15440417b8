//! `unwipe vault serve`

use std::{net::TcpListener, path::Path, sync::Arc, time::Duration};

use model::Redacted;
use ports::files;
use serde::Serialize;
use service::Place;
use vault_server::{Authority, Keeper, Policy, Server, ServerSettings, server};

use super::{AUTHORITY, authority_failed};
use crate::{
    arguments::VaultServe,
    context::{Context, environment, stop_on_signals},
    exit::Exit,
    failure::Failure,
};

#[derive(Serialize)]
struct Served {
    address: String,
}

const STOP_CHECK: Duration = Duration::from_millis(200);
/// A disk whose size is not known is taken for one of this size.
const DISK_BYTES: u64 = 1 << 40;

pub(super) fn run(context: &Context, options: &VaultServe) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let (Place::Folder { path, .. } | Place::SealedFolder { path, .. }) = &installation.config().vault.place
    else {
        return Err(Failure::new(Exit::Usage, "this home folder's vault lies on another host itself"));
    };
    let folder = installation.home().join(path);
    let authority_folder = context.home.join(AUTHORITY);
    let authority = Authority::open(&authority_folder).map_err(authority_failed)?;
    let file = |given: Option<&Path>, name: &str| {
        files::read_text(&given.map_or_else(|| authority_folder.join(name), Path::to_owned)).map_err(
            |error| {
                Failure::because(Exit::Failed, "the server has no certificate", error)
                    .hint("unwipe vault authority issue server --name HOST")
            },
        )
    };
    let settings = ServerSettings {
        certificate: file(options.certificate.as_deref(), "server.crt")?,
        key: Redacted::new(file(options.key.as_deref(), "server.key")?),
        authority: authority.certificate().map_err(authority_failed)?,
        revoked: Some(authority.revoked_path()),
        patience: server::PATIENCE,
    };
    let policy = policy(&folder, options);
    let state = context.home.join("state");
    files::create_folder(&state)?;
    let free = Box::new(move || space(&folder).map(|(free, _)| free));
    let store = installation.store(&environment)?;
    let keeper = Keeper::open(store, &state.join("vault-server.json"), policy, context.clock(), free)?;
    let listener = TcpListener::bind(options.listen).map_err(|error| {
        Failure::because(Exit::Failed, format!("cannot listen on {}", options.listen), error)
    })?;
    let stop = stop_on_signals()?;
    let failed = |error| Failure::because(Exit::Failed, "the vault server failed", error);
    let server = Server::start(listener, settings, Arc::new(keeper), context.clock()).map_err(failed)?;
    let served = Served { address: server.address().to_string() };
    context.output.say(format!("serving the vault on https://{}; end with Ctrl-C", served.address));
    while !stop.is_requested() {
        context.clock().sleep(STOP_CHECK);
    }
    server.stop().map_err(failed)?;
    context.output.result(&served, || "stopped\n".to_owned())?;
    Ok(Exit::Done)
}

/// What is not said follows from the size of the disk: one source may not fill it in a day.
fn policy(folder: &Path, options: &VaultServe) -> Policy {
    let disk = space(folder).map_or(DISK_BYTES, |(_, size)| size);
    Policy {
        lock_days_max: options.lock_days_max,
        bytes_per_day_max: options.bytes_per_day_max.unwrap_or(disk / 4),
        objects_per_day_max: options.objects_per_day_max,
        reserve_bytes: options.reserve_bytes.unwrap_or(disk / 20),
    }
}

/// Returns the free bytes and all bytes of a folder's file system.
fn space(folder: &Path) -> Option<(u64, u64)> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some((found.f_bavail.saturating_mul(found.f_frsize), found.f_blocks.saturating_mul(found.f_frsize)))
}
