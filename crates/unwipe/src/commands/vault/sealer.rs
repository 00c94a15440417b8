//! `unwipe vault sealer`

use crate::{arguments::VaultSealer, context::Context, exit::Exit, failure::Failure};

pub(super) fn run(_context: &Context, _options: &VaultSealer) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "being written"))
}
