//! `unwipe vault sealer`

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use serde::Serialize;
use vault_sealer::{RetentionGate, Sealer, SealerError, SealerOptions, SealerSocket, keep_only_immutable};

use crate::{arguments::VaultSealer, context::Context, exit::Exit, failure::Failure};

#[derive(Serialize)]
struct Guarded {
    vault: String,
    tier: u8,
    attacks: usize,
}

/// No lock reaches further than ten years, whoever asks.
const LOCK_DAYS_MAX: u32 = 3_653;

pub(super) fn run(context: &Context, options: &VaultSealer) -> Result<Exit, Failure> {
    // Before anything else, and before there are threads: what is dropped here nobody gets back.
    keep_only_immutable().map_err(|error| {
        let hint = error.hint();
        Failure::because(Exit::Authentication, "this process cannot be the sealer", error).hint_opt(hint)
    })?;
    let allowed = options.allow.iter().map(|user| user_id(user)).collect::<Result<_, _>>()?;
    let sealer_options = SealerOptions {
        vault: std::path::absolute(&options.vault)?,
        state: std::path::absolute(&options.state)?,
        lock_days_max: LOCK_DAYS_MAX,
    };
    let gate = RetentionGate::new(sealer_options.vault.clone());
    let sealer =
        Sealer::open(&sealer_options, context.clock(), Box::new(gate)).map_err(|error| match error {
            SealerError::NotImmutable { .. } => {
                Failure::because(Exit::Failed, "tier 0: nothing is sealed here", error)
                    .hint("put the vault on ext4 or XFS, or on another host: unwipe vault serve")
            }
            other => Failure::because(Exit::Failed, "the sealer cannot begin", other),
        })?;
    let socket_failed = |error| Failure::because(Exit::Failed, "the sealer's socket failed", error);
    let socket = SealerSocket::bind(&options.socket, allowed).map_err(socket_failed)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let guarded = Guarded {
        vault: sealer_options.vault.display().to_string(),
        tier: 1,
        attacks: sealer.attacks().len(),
    };
    context.output.say(format!(
        "tier 1: {} attacks were tried on {} without the capability, and none worked",
        guarded.attacks, guarded.vault
    ));
    socket.serve(&sealer, &*context.clock(), &stop).map_err(socket_failed)?;
    sealer.save_floor()?;
    context.output.result(&guarded, || "stopped\n".to_owned())?;
    Ok(Exit::Done)
}

/// Finds a user of this machine by name or number.
fn user_id(user: &str) -> Result<u32, Failure> {
    if let Ok(number) = user.parse() {
        return Ok(number);
    }
    let passwd = ports::files::read_text(Path::new("/etc/passwd"))?;
    let found = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(user)).then(|| fields.nth(1)?.parse().ok())?
    });
    found.ok_or_else(|| Failure::new(Exit::Usage, format!("there is no user {user} on this machine")))
}
