//! A mailbox is deleted past the trash, a thousand messages with each call: the largest number that is allowed.

use std::time::Duration;

use ports::Clock;

use super::{
    deeds::{Deeds, Pace},
    openclaw::MailCall,
};

/// So many messages go with one call.
pub const MESSAGES_PER_CALL: usize = 1000;

/// Plays it on messages of a mailbox; `call` carries out one call in the owner's name. It ends at the first that is refused.
pub fn play<E: std::fmt::Display>(
    clock: &dyn Clock,
    pause: Duration,
    messages: &[String],
    mut call: impl FnMut(&MailCall) -> Result<(), E>,
) -> Deeds {
    let mut pace = Pace::new(clock, pause);
    for ids in messages.chunks(MESSAGES_PER_CALL) {
        pace.wait();
        let planned = MailCall::Delete(ids.to_vec());
        if pace.call("messages.batchDelete", ids, || call(&planned), |()| ids.len() as u64).is_none() {
            break;
        }
    }
    pace.end()
}
