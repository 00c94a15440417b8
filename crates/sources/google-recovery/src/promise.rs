use connect::fidelity::Fidelity;

use crate::{calendar, contacts, drive, mail, memberships};

/// Returns what comes back how: for each kind of item and each way of bringing it back.
pub fn promises() -> Vec<Fidelity> {
    [mail::promises(), drive::promises(), calendar::promises(), contacts::promises(), memberships::promises()]
        .concat()
}
