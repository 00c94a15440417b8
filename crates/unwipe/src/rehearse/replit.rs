//! tmp
use crate::{arguments::Rehearse, context::Context, exit::Exit, failure::Failure};
pub(crate) fn run(_outer: &Context, _options: &Rehearse) -> Result<Exit, Failure> { Ok(Exit::Done) }
