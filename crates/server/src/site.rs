//! What every handler gets.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use access::Access;
use axum::Router;
use ports::Tracing;
use service::{
    Installation, ServiceError,
    cases::{Cases, Step, VaultLog, tell},
    incidents::Incidents,
    installation::Ports,
    jobs::{Job, JobError, Jobs},
    overview::Overview,
    passkeys::Accounts,
    plans::Plans,
    secret::Environment,
    workshop::Workshop,
};
use tokio::sync::broadcast;

use crate::{browsing::Browsing, limits::Limits, metrics::Metrics};

/// So many happenings wait for a reader that is slow; one that is slower looks again as a whole.
const HAPPENINGS: usize = 256;

/// What a site is made of.
pub struct SiteParts {
    /// The home folder.
    pub home: PathBuf,
    /// Time and chance.
    pub ports: Ports,
    /// Where secrets by reference to the environment come from.
    pub environment: Environment<'static>,
    /// The people, their passkeys and sessions, and the tokens of programs.
    pub access: Arc<Access>,
    /// What takes connectors.
    pub workshop: Arc<dyn Workshop>,
    /// What people type to reach the site: `https://unwipe.example.org`.
    pub origin: String,
    /// Who is told of requests.
    pub requests: Tracing,
    /// What answers agents, who are known by their tokens alone; nothing is there without it.
    pub agents: Option<Router>,
}

/// Something that pages which are open want to know.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    /// A job began, got on, or ended.
    Job(Arc<Job>),
    /// The installation was looked at; the overview, or the age of something in it, may be another one.
    Overview,
    /// An incident is new, or has changed.
    Incident(u64),
}

/// The pages and the API of one installation.
pub struct Site {
    pub(crate) home: PathBuf,
    pub(crate) ports: Ports,
    pub(crate) environment: Environment<'static>,
    pub(crate) access: Arc<Access>,
    pub(crate) workshop: Arc<dyn Workshop>,
    pub(crate) origin: String,
    pub(crate) requests: Tracing,
    pub(crate) agents: Option<Router>,
    pub(crate) jobs: Jobs,
    pub(crate) incidents: Incidents,
    pub(crate) plans: Plans,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    pub(crate) happenings: broadcast::Sender<Happening>,
    pub(crate) browsing: Browsing,
    overview: Mutex<Option<Arc<Overview>>>,
}

impl Site {
    /// Makes a site. What jobs a process before was doing is interrupted.
    pub fn new(parts: SiteParts) -> Result<Arc<Self>, JobError> {
        let SiteParts { home, ports, environment, access, workshop, origin, requests, agents } = parts;
        let (happenings, _) = broadcast::channel(HAPPENINGS);
        let sender = happenings.clone();
        let listener = Arc::new(move |job: &Job| {
            // Without a page that is open there is nobody to hear.
            sender.send(Happening::Job(Arc::new(job.clone()))).ok();
        });
        let jobs = Jobs::open(&home, Arc::clone(&ports.clock), ports.tracing.clone(), listener)?;
        Ok(Arc::new(Self {
            limits: Limits::new(Arc::clone(&ports.clock)),
            metrics: Metrics::new(),
            incidents: Incidents::of(&home),
            plans: Plans::of(&home),
            home,
            ports,
            environment,
            access,
            workshop,
            origin,
            requests,
            agents,
            jobs,
            happenings,
            browsing: Browsing::new(),
            overview: Mutex::new(None),
        }))
    }

    /// Opens the installation as its configuration is now.
    pub(crate) fn installation(&self) -> Result<Installation, ServiceError> {
        Installation::open(&self.home, self.ports.clone())
    }

    /// Opens what waits for people.
    pub(crate) fn cases(&self) -> Result<Cases, ServiceError> {
        let installation = self.installation()?;
        let environment = self.environment;
        let log = VaultLog::of(&installation, Arc::new(move |name: &str| environment(name)))?;
        Ok(Cases::of(&installation, Arc::new(Accounts::new(Arc::clone(&self.access))), Arc::new(log)))
    }

    /// Tells people what happened to a case, by the channels of the watch; nobody waits for that.
    pub(crate) fn told(&self, step: &Step) {
        let (environment, step) = (self.environment, step.clone());
        let Ok(installation) = self.installation() else { return };
        let send = move || {
            // Who could not be reached sees it on the pages.
            tell(&installation, environment, &step).ok();
        };
        std::thread::Builder::new().name("notices".to_owned()).spawn(send).ok();
    }

    /// Returns the time.
    pub(crate) fn now(&self) -> model::Moment {
        self.ports.clock.now()
    }

    /// Returns how the installation stood when it was last looked at; nothing before the first look.
    pub(crate) fn overview(&self) -> Option<Arc<Overview>> {
        self.overview.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn renew_overview(&self, overview: Overview) {
        *self.overview.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(overview));
    }

    /// Lets open pages look whether what they show of the overview is still so.
    pub(crate) fn tell_of_overview(&self) {
        // Without a page that is open there is nobody to hear.
        self.happenings.send(Happening::Overview).ok();
    }
}
