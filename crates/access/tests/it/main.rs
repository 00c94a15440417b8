//! Accounts from the outside: software authenticators, a clock that obeys, real files.

mod approvals;
mod changes;
mod fuzz;
mod house;
mod passkeys;
mod robust;
mod sessions;
mod tokens;
