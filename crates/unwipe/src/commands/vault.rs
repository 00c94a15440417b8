//! `unwipe vault`: a vault for other hosts.

mod authority;
mod enrol;
mod sealer;
mod serve;
mod status;

use crate::{
    arguments::{Vault, VaultAction},
    context::Context,
    exit::Exit,
    failure::Failure,
};

/// The authority's folder in the home folder.
const AUTHORITY: &str = "authority";

pub(crate) fn run(context: &Context, options: Vault) -> Result<Exit, Failure> {
    match options.action {
        VaultAction::Serve(options) => serve::run(context, &options),
        VaultAction::Authority(options) => authority::run(context, options),
        VaultAction::Enrol(options) => enrol::run(context, &options),
        VaultAction::Status => status::run(context),
        VaultAction::Sealer(options) => sealer::run(context, &options),
    }
}

fn authority_failed(error: vault_server::AuthorityError) -> Failure {
    let hint = error.hint();
    Failure { exit: Exit::Failed, error: Box::new(error), hint: None }.hint_opt(hint)
}
