//! `unwipe rehearse`: an incident replayed on this machine, with a real PostgreSQL or a simulated domain, and undone.

mod account;
mod app;
mod database;
mod domain;
mod incident;
mod letters;
mod list;
mod openclaw;
mod papers;
mod pocketos;
mod replit;
mod restore;
mod stage;
mod traffic;
mod vercel;
mod watch;
mod workspace;

use self::database::Wipe;
use crate::{
    arguments::{Incident, Rehearse},
    context::Context,
    exit::Exit,
    failure::Failure,
};

pub(crate) fn run(context: &Context, options: &Rehearse) -> Result<Exit, Failure> {
    let Some(incident) = options.incident else { return list::run(context) };
    match incident {
        Incident::Pocketos => pocketos::run(context, options),
        Incident::Replit => replit::run(context, options),
        Incident::Openclaw => openclaw::run(context, options),
        Incident::Vercel => vercel::run(context, options),
        Incident::Antigravity | Incident::HardDelete | Incident::Ransomware | Incident::LowAndSlow => {
            domain::run(context, options, incident)
        }
        Incident::CleanUp => domain::clean_up(context, options),
        Incident::BulkDelete => database::run(context, options, Wipe::BulkDelete),
        Incident::RowByRow => database::run(context, options, Wipe::RowByRow),
        Incident::TruncateDrop => database::run(context, options, Wipe::TruncateDrop),
    }
}
