//! The pages and the API within `unwipe serve`.

use std::sync::Arc;

use access::{Access, RelyingParty};
use server::{Server, ServerError, Site, SiteParts};
use service::{Installation, installation::Ports};

use crate::{
    commands::watching::Urges,
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    workshop::HomeWorkshop,
};

/// Starts answering.
pub(super) fn start(
    context: &Context,
    installation: &Installation,
    urges: &Urges,
    listen: Option<&str>,
) -> Result<Server, Failure> {
    let mut config = installation.config().server.clone();
    if let Some(listen) = listen {
        listen.clone_into(&mut config.listen);
    }
    let refused = |error| Failure::because(Exit::Failed, "the accounts cannot be opened", error);
    let party = RelyingParty::of_origin(&config.origin, "unwipe")
        .map_err(|error| Failure::because(Exit::Usage, "server.origin cannot be used", error))?;
    let Ports { clock, random } = context.ports.clone();
    let access = Access::open(&context.home.join("state/access"), party, clock, random).map_err(refused)?;
    let site = Site::new(SiteParts {
        home: context.home.clone(),
        ports: context.ports.clone(),
        environment: &environment,
        access,
        workshop: Arc::new(HomeWorkshop::new(context, urges.clone())),
        origin: config.origin.clone(),
    })
    .map_err(|error| Failure::because(Exit::Failed, "the pages cannot be answered", error))?;
    Server::start(site, &config).map_err(failed)
}

/// Says why the pages are not answered.
pub(super) fn failed(error: ServerError) -> Failure {
    let hint = error.hint();
    Failure::because(Exit::Failed, "the pages cannot be answered", error).hint_opt(hint)
}
