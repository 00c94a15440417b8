//! The pages and the API within `unwipe serve`.

use std::sync::Arc;

use ports::Tracing;
use server::{Server, ServerError, Site, SiteParts};
use service::Installation;

use crate::{
    agents,
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
) -> Result<Result<Server, ServerError>, Failure> {
    let mut config = installation.config().server.clone();
    if let Some(listen) = listen {
        listen.clone_into(&mut config.listen);
    }
    let access = Arc::new(crate::accounts::open(context, installation)?);
    let agents = if config.agents {
        let counter = agents::counter(context, urges.clone())?;
        Some(mcp::service(counter, agents::recognise(Arc::clone(&access)), &own_name(&config.origin)))
    } else {
        None
    };
    let site = Site::new(SiteParts {
        home: context.home.clone(),
        ports: context.ports.clone(),
        environment: &environment,
        access,
        workshop: Arc::new(HomeWorkshop::new(context, urges.clone())),
        origin: config.origin.clone(),
        requests: if installation.config().telemetry.requests {
            context.ports.tracing.clone()
        } else {
            Tracing::default()
        },
        agents,
    })
    .map_err(|error| Failure::because(Exit::Failed, "the pages cannot be answered", error))?;
    Ok(Server::start(site, &config))
}

/// Returns the name under which an origin is reached.
fn own_name(origin: &str) -> Vec<String> {
    origin.split_once("://").map(|(_, host)| host.trim_end_matches('/').to_owned()).into_iter().collect()
}

/// Says why the pages are not answered.
pub(super) fn failed(error: ServerError) -> Failure {
    let hint = error.hint();
    Failure::because(Exit::Failed, "the pages cannot be answered", error).hint_opt(hint)
}
