//! Accounts from the outside: software authenticators, a clock that obeys, real files.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test stops at the first thing that goes wrong, and damages files as they please"
)]

mod approvals;
mod changes;
mod fuzz;
mod house;
mod passkeys;
mod robust;
mod sessions;
mod tokens;
