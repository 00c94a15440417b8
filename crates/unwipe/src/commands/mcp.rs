//! `unwipe mcp`

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use access::{Access, RelyingParty, Scope, ServiceName};
use mcp::{Caller, ListenError, Listener, serve_stdio};
use service::Installation;

use crate::{
    agents::{counter, recognise},
    arguments::Mcp,
    commands::watching::Urges,
    context::{Context, environment, stop_on_signals},
    exit::Exit,
    failure::Failure,
};

const STOP_CHECK: Duration = Duration::from_millis(200);
/// Where a token is looked for.
const TOKEN: &str = "UNWIPE_TOKEN";

pub(crate) fn run(context: &Context, options: &Mcp) -> Result<Exit, Failure> {
    let installation = context.installation()?;
    let counter = counter(context, Urges::new())?;
    let Some(address) = options.listen else {
        serve_stdio(counter, caller(context, &installation, options)?).map_err(failed)?;
        return Ok(Exit::Done);
    };
    let recognise = recognise(Arc::new(accounts(context, &installation)?));
    let stop = stop_on_signals()?;
    let listener = Listener::start(address, counter, recognise, &options.hosts).map_err(failed)?;
    context.output.say(format!("agents are answered at http://{}/mcp; end with Ctrl-C", listener.address()));
    while !stop.is_requested() {
        context.clock().sleep(STOP_CHECK);
    }
    listener.stop().map_err(failed)?;
    Ok(Exit::Done)
}

fn failed(error: ListenError) -> Failure {
    let hint = match &error {
        ListenError::InTheClear { .. } => {
            Some("listen on 127.0.0.1, and put a proxy with TLS before it (--host NAME)".to_owned())
        }
        _ => None,
    };
    Failure::because(Exit::Failed, "agents cannot be answered", error).hint_opt(hint)
}

/// Says who talks over standard input: the holder of a token, or whom the person says that starts it.
fn caller(context: &Context, installation: &Installation, options: &Mcp) -> Result<Caller, Failure> {
    if let Some(name) = &options.agent {
        let name = ServiceName::new(name.clone()).map_err(|error| {
            Failure::because(Exit::Usage, format!("{name:?} cannot name an agent"), error)
        })?;
        let scopes = options.scopes.iter().map(|word| scope(word)).collect::<Result<BTreeSet<_>, _>>()?;
        return Ok(Caller { name, scopes });
    }
    let Some(token) = environment(TOKEN).filter(|token| !token.is_empty()) else {
        return Err(Failure::new(Exit::Authentication, "nobody is known to ask").hint(
            "set UNWIPE_TOKEN to a token (unwipe token create NAME --scope see), or say --as NAME --scope see",
        ));
    };
    let refused = |error| Failure::because(Exit::Failed, "the accounts cannot be read", error);
    let identity = accounts(context, installation)?.token(token.trim()).map_err(refused)?;
    identity.map(Caller::from).ok_or_else(|| {
        Failure::new(Exit::Authentication, "the token in UNWIPE_TOKEN is not known, or is over")
            .hint("unwipe token create NAME --scope see")
    })
}

fn scope(word: &str) -> Result<Scope, Failure> {
    Scope::ALL.into_iter().find(|scope| scope.as_str() == word.trim()).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("{word:?} is no scope")).hint("see, content, snapshot, request")
    })
}

fn accounts(context: &Context, installation: &Installation) -> Result<Access, Failure> {
    let origin = &installation.config().server.origin;
    let party = RelyingParty::of_origin(origin, "unwipe")
        .map_err(|error| Failure::because(Exit::Usage, "server.origin cannot be used", error))?;
    let service::installation::Ports { clock, random, .. } = context.ports.clone();
    Access::open(&context.home.join("state/access"), party, clock, random)
        .map_err(|error| Failure::because(Exit::Failed, "the accounts cannot be opened", error))
}
