use connect::fidelity::Fidelity;

use crate::{calendar, mail};

/// Returns what comes back how: for each kind of item and each way of bringing it back.
pub fn promises() -> Vec<Fidelity> {
    [mail::promises(), calendar::promises()].concat()
}
