//! The accounts of an installation: opened for commands and for the pages, recorded in the vault, and told to people.

use std::{path::PathBuf, sync::Arc};

use access::{Access, AccessError, Entry, Event, Record, RecordError, RelyingParty};
use notify::{Message, Urgency};
use serde_json::Value;
use service::{
    Installation, Secrets, ServiceError,
    installation::Ports,
    operations::{self, Kind},
};

use crate::{
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
};

/// What devices show when they make a passkey.
const NAME: &str = "unwipe";
const FOLDER: &str = "state/access";

/// Opens the accounts of an installation. What happens to them is written to the vault's operation log, and told.
pub(crate) fn open(context: &Context, installation: &Installation) -> Result<Access, Failure> {
    let ports = context.ports.clone();
    let party =
        RelyingParty::of_origin(&installation.config().server.origin, NAME).map_err(AccessError::from)?;
    let log = OperationLog { home: installation.home().to_owned(), ports: ports.clone() };
    let folder = installation.home().join(FOLDER);
    Ok(Access::open(&folder, party, ports.clock, ports.random)?.recorded_by(Arc::new(log)))
}

/// Writes to the operation log of the vault, and tells the channels that the watch tells.
struct OperationLog {
    home: PathBuf,
    ports: Ports,
}

impl Record for OperationLog {
    fn record(&self, entry: &Entry) -> Result<(), RecordError> {
        // The configuration may have changed since a server was started.
        let installation = Installation::open(&self.home, self.ports.clone()).map_err(not_now)?;
        let (writer, _) = installation.writer(&environment).map_err(not_now)?;
        operations::record(&writer, Kind::Access, &entry.id, entry).map_err(not_now)?;
        // It is in the log; a channel that does not answer keeps nothing from happening.
        self.tell(&installation, entry).ok();
        Ok(())
    }
}

fn not_now(error: ServiceError) -> RecordError {
    RecordError(Box::new(error))
}

impl OperationLog {
    fn tell(&self, installation: &Installation, entry: &Entry) -> Result<(), service::WatchError> {
        let Some(title) = title(entry) else { return Ok(()) };
        let secrets = Secrets::new(installation.home(), &environment);
        let lines = vec![
            format!("by {}, at {}", entry.by, entry.at),
            entry
                .authorised
                .as_ref()
                .map_or_else(|| "nothing allowed it".to_owned(), |what| format!("allowed by {what}")),
            "if nobody of you did this, look at once: unwipe person list".to_owned(),
        ];
        let message = Message {
            id: format!("access-{}", entry.id),
            at: entry.at,
            urgency: Urgency::Notice,
            finding: finding(installation, entry, &title, &lines, self.ports.clock.now()),
            title,
            lines,
        };
        for listener in installation.config().watch.channels(installation, &secrets)? {
            if message.urgency >= listener.from {
                listener.to.send(&message).ok();
            }
        }
        Ok(())
    }
}

fn finding(
    installation: &Installation,
    entry: &Entry,
    title: &str,
    lines: &[String],
    now: model::Moment,
) -> Value {
    let Ok(source) = model::SourceName::new(operations::SOURCE) else { return Value::Null };
    let notice = watch::Notice {
        rule: "access".to_owned(),
        title: title.to_owned(),
        source,
        scope: installation.config().server.origin.clone(),
        actor: None,
        kind: watch::ActorKind::default(),
        at: entry.at,
        explanation: format!("{title}; {}", lines.join("; ")),
    };
    watch::ocsf::notice(&notice, env!("CARGO_PKG_VERSION"), now)
}

/// Says in one line what people should hear of; nothing for what weakens nothing.
fn title(entry: &Entry) -> Option<String> {
    let telling = entry.authorised.is_some();
    Some(match &entry.event {
        Event::CounterRegressed { person, .. } => {
            format!("a passkey of {person} may have been copied: its counter went back, and it was refused")
        }
        Event::Recovered { person, .. } => {
            format!("{person} is invited again; all of their passkeys were removed")
        }
        Event::Invited { person, roles, .. } if telling => {
            let roles: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
            format!("{person} is invited as {}", roles.join(", "))
        }
        Event::PasskeyInvited { person, .. } if telling => format!("{person} may register one more passkey"),
        Event::PasskeyRemoved { person, .. } if telling => format!("a passkey of {person} was removed"),
        Event::RolesChanged { person, after, .. } if telling => {
            let roles: Vec<&str> = after.iter().map(|role| role.as_str()).collect();
            format!("{person} is now {}", roles.join(", "))
        }
        Event::Deactivated { person } if telling => format!("{person} can sign in no more"),
        _ => return None,
    })
}

impl From<AccessError> for Failure {
    fn from(error: AccessError) -> Self {
        let exit = match error {
            AccessError::NoPerson { .. } | AccessError::NoPasskey { .. } | AccessError::NoToken { .. } => {
                Exit::Nothing
            }
            AccessError::NotAllowed { .. } | AccessError::NeedsApproval { .. } | AccessError::NeedsKit => {
                Exit::Authentication
            }
            AccessError::File(_) | AccessError::Damaged { .. } | AccessError::Busy { .. } => Exit::Failed,
            _ => Exit::Usage,
        };
        Self { exit, hint: error.hint(), error: Box::new(error) }
    }
}
