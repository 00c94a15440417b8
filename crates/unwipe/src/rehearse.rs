//! tmp
use crate::{context::Context, exit::Exit, failure::Failure, arguments::Rehearse};
pub(crate) fn run(_c: &Context, _o: &Rehearse) -> Result<Exit, Failure> { Ok(Exit::Done) }
