//! Watching an installation's sources: incidents are opened, kept, told, and answered.
//!
//! Two threads. One takes what captures see, decides, and stops whoever policy lets it stop; it waits for nobody. The
//! other does what may take long: the vault's log, holds, the haste of captures, notices.

mod aftermath;
mod intent;
mod reach;
mod responder;
mod settings;
mod store;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use connect::{Observer, Urge};
use model::{Event, SourceName, Stage};
use notify::NotifyError;
use ports::{Clock, files::FileError};
use serde::{Deserialize, Serialize};
use watch::{Observation, SourceKind, containment::Container};

use self::{aftermath::Aftermath, reach::Counted, responder::Responder};
pub use self::{
    intent::Intent,
    settings::{ChannelConfig, WatchConfig, Way},
    store::{Answer, WatchStore},
};
use crate::{Installation, ServiceError, secret::Environment};

/// How long the watching thread waits for something to see before it looks at the time.
const TICK: Duration = Duration::from_millis(100);

/// Why watching is not possible, or why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The installation or its vault cannot be used.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// A file of the watch cannot be read or written.
    #[error("the state of the watch cannot be used")]
    File(#[from] FileError),
    /// A file of the watch is not what it should be.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The rules cannot be used.
    #[error("the rules cannot be used")]
    Rules(#[from] watch::RulesError),
    /// A channel cannot be made.
    #[error("a channel of [watch] cannot be used")]
    Channel(#[from] NotifyError),
    /// There is no such incident.
    #[error("there is no incident {id}")]
    NoIncident {
        /// The number asked for.
        id: u64,
    },
    /// The incident does not allow it.
    #[error("incident {id} cannot be changed so")]
    Amend {
        /// The incident.
        id: u64,
        /// Why.
        #[source]
        source: watch::AmendError,
    },
    /// Another process watches.
    #[error("another process watches this installation")]
    Busy,
    /// The thread cannot be started.
    #[error("the watching thread cannot be started")]
    Thread(#[source] std::io::Error),
}

impl WatchError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Service(error) => error.hint(),
            Self::NoIncident { .. } => Some("unwipe incidents".to_owned()),
            Self::Busy => Some("one is enough: unwipe serve watches all sources".to_owned()),
            Self::Rules(_) => Some("the standard rules are in docs/concepts/watch.md".to_owned()),
            _ => None,
        }
    }
}

/// What a person asks the watch for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "kebab-case")]
pub enum Request {
    /// Take the actions that were proposed for an incident.
    Contain {
        /// The incident.
        incident: u64,
        /// Who asks.
        by: String,
    },
    /// Keep what was done beyond its time limit, until it is taken back.
    Keep {
        /// The incident.
        incident: u64,
        /// Who asks.
        by: String,
    },
    /// Take back what was done: as people approved in a case, or without one where nobody else may approve.
    TakeBack {
        /// The incident.
        incident: u64,
        /// Who asks.
        by: String,
        /// The case, which is being carried out.
        #[serde(default)]
        case: Option<approvals::CaseId>,
    },
    /// A plan was made that undoes the incident.
    Planned {
        /// The incident.
        incident: u64,
        /// The plan's hash.
        plan: String,
    },
    /// The incident was undone by a plan.
    Undone {
        /// The incident.
        incident: u64,
        /// The plan's hash.
        plan: String,
    },
    /// The incident is over.
    Close {
        /// The incident.
        incident: u64,
        /// Who says so.
        by: String,
        /// Why.
        reason: String,
    },
}

impl Request {
    /// Returns the incident that is meant.
    pub const fn incident(&self) -> u64 {
        match self {
            Self::Contain { incident, .. }
            | Self::Keep { incident, .. }
            | Self::TakeBack { incident, .. }
            | Self::Planned { incident, .. }
            | Self::Undone { incident, .. }
            | Self::Close { incident, .. } => *incident,
        }
    }
}

/// What the watch is given of the sources that it watches.
#[derive(Default)]
pub struct Watched {
    /// What kind of things each source has.
    pub kinds: BTreeMap<SourceName, SourceKind>,
    /// Who can stop somebody there.
    pub containers: BTreeMap<SourceName, Box<dyn Container>>,
    /// How its capture is asked to make haste.
    pub urges: BTreeMap<SourceName, Urge>,
    /// What must live as long as the watch does.
    pub company: Vec<Box<dyn Send>>,
}

/// What the watching thread is told.
enum Message {
    Observed(Box<Observation>),
    Amend { incident: u64, amendment: Box<watch::Amendment> },
    Stop,
}

/// A watch that goes on until it is dropped.
pub struct Watch {
    sender: Sender<Message>,
    thread: Option<JoinHandle<()>>,
    eye: Arc<Eye>,
}

/// Hands what captures see to the watching thread.
struct Eye {
    sender: Sender<Message>,
    clock: Arc<dyn Clock>,
}

impl Observer for Eye {
    fn observe(&self, source: &SourceName, stage: Stage, event: &Event) {
        let observation =
            Observation { source: source.clone(), stage, event: event.clone(), seen_at: self.clock.now() };
        // A watch that has ended takes nothing; the capture goes on without it.
        self.sender.send(Message::Observed(Box::new(observation))).ok();
    }
}

impl Watch {
    /// Begins to watch. What fails later is told through `tell`, a line each.
    pub fn start(
        installation: &Installation,
        environment: Environment<'static>,
        mut watched: Watched,
        tell: Arc<dyn Fn(String) + Send + Sync>,
    ) -> Result<Self, WatchError> {
        let clock = Arc::clone(&installation.ports().clock);
        let (sender, receiver) = channel();
        let claim = WatchStore::of(installation.home()).claim()?.ok_or(WatchError::Busy)?;
        let counted = Counted::default();
        let urges = watched.urges.clone();
        let company = std::mem::take(&mut watched.company);
        let aftermath = Aftermath::start(
            installation,
            environment,
            urges,
            sender.clone(),
            Arc::clone(&tell),
            counted.clone(),
        )?;
        let mut responder = Responder::new(installation, watched, counted, Some(aftermath), tell)?;
        let thread = std::thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || {
                let _kept = (claim, company);
                loop {
                    match receiver.recv_timeout(TICK) {
                        Ok(Message::Observed(observation)) => responder.observe(&observation),
                        Ok(Message::Amend { incident, amendment }) => responder.amend(incident, *amendment),
                        Err(RecvTimeoutError::Timeout) => {}
                        Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                    }
                    responder.look_at_the_time();
                }
                responder.end();
            })
            .map_err(WatchError::Thread)?;
        let eye = Arc::new(Eye { sender: sender.clone(), clock });
        Ok(Self { sender, thread: Some(thread), eye })
    }

    /// Returns whom captures tell.
    pub fn observer(&self) -> Arc<dyn Observer> {
        Arc::clone(&self.eye) as Arc<dyn Observer>
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.sender.send(Message::Stop).ok();
        if let Some(thread) = self.thread.take() {
            // A panic in it has been reported by the thread itself.
            drop(thread.join());
        }
    }
}

/// Carries out a request: by the process that watches, or here where none does.
pub fn request(
    installation: &Installation,
    environment: Environment<'static>,
    watched: Watched,
    name: &str,
    request: &Request,
    patience: Duration,
) -> Result<Answer, WatchError> {
    let store = WatchStore::of(installation.home());
    store.incident(request.incident())?;
    if let Some(_claim) = store.claim()? {
        let mut responder =
            Responder::new(installation, watched, Counted::default(), None, Arc::new(|_| {}))?;
        let answer = responder.carry_out(request);
        responder.record(request.incident(), installation, environment)?;
        return Ok(answer);
    }
    store.ask(name, request)?;
    let clock = &installation.ports().clock;
    let until = clock.elapsed() + patience;
    loop {
        if let Some(answer) = store.answer(name)? {
            return Ok(answer);
        }
        if clock.elapsed() >= until {
            return Ok(Answer::Refused("the process that watches does not answer".to_owned()));
        }
        clock.sleep(TICK);
    }
}
