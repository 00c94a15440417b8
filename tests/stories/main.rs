//! Stories: the binary `unwipe` as a person runs it, against real PostgreSQL servers and a simulated domain.
//!
//! Build the binary first: `cargo build -p unwipe`. Each story has its own server, home folder and ports.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a story that goes wrong should stop, and real servers take real time"
)]

mod actors;
mod agents;
mod approvals;
mod comeback;
mod cycle;
mod damage;
mod disk;
mod doctor;
mod drills;
mod folders;
mod heads;
mod incidents;
mod keys;
mod kills;
mod mirrors;
mod object_lock;
mod outages;
mod pages;
mod production;
mod push;
mod refusals;
mod rehearsals;
mod retention;
mod sandboxes;
mod sieges;
mod undo;
mod unwipe;
mod workspaces;
