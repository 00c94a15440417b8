//! Files: what goes back to its place, what is made anew, who may see it, and doing so.

mod change;
mod content;
mod decide;
mod finish;
mod make;
mod past;
mod plan;
mod promise;
mod rows;
mod share;
mod sharing;
mod step;
mod subject;
mod verify;
mod whole;
mod wire;

pub(crate) use promise::promises;
pub(crate) use step::DriveStep;
pub(crate) use subject::drive_name;
pub use subject::known_organizer;
