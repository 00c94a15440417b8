use connect::fidelity::Fidelity;

use crate::{drive, mail};

/// Returns what comes back how: for each kind of item and each way of bringing it back.
pub fn promises() -> Vec<Fidelity> {
    let parts = [mail::promises(), drive::promises()];
    parts.into_iter().flatten().collect()
}
