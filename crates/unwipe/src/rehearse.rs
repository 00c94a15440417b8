//! `unwipe rehearse`: an incident replayed on this machine, with a real PostgreSQL or a simulated domain, and undone.

mod account;
mod alarm;
mod app;
mod domain;
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
    }
}
