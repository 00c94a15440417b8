//! What agents are answered from: this home folder. It offers [`mcp::Desk`] and nothing more.

mod asking;
mod reaching;
mod reading;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use access::{Access, ServiceName};
use connect::{Progress, Silent, Stop};
use mcp::{Answer, Caller, Counter, Desk, DeskError, DeskErrorKind, Recognise};
use model::{Moment, SourceName};
use serde::Serialize;
use serde_json::Value;
use service::{
    Installation,
    browse::{At, Browse, BrowseError, Shelf},
    operations::{self, Kind},
    workshop::{WorkError, WorkErrorKind, Workshop},
};

use crate::{
    commands::watching::Urges,
    context::{Context, environment},
    failure::Failure,
    workshop::HomeWorkshop,
};

/// For so long a catalog counts as up to date.
const FRESH: Duration = Duration::from_secs(30);

/// Answers agents from a home folder.
pub(crate) struct HomeDesk {
    context: Context,
    installation: Shelf<Installation>,
    workshop: HomeWorkshop,
    /// Opened by the first question: the restore key may be somewhere that has to be asked for it.
    opened: Shelf,
    refreshed: Mutex<HashMap<SourceName, Duration>>,
    /// Plans are made one after the other, so that the same wish at the same time is one case.
    planning: Mutex<()>,
}

/// Returns the counter of an installation: everything that agents ask goes over it.
pub(crate) fn counter(context: &Context, urges: Urges) -> Result<Arc<Counter>, Failure> {
    let desk = Arc::new(HomeDesk::new(context, urges)?);
    Ok(Arc::new(Counter::new(desk, &context.home.join("state/agents"), context.clock())))
}

/// Returns who knows agents by their tokens.
pub(crate) fn recognise(access: Arc<Access>) -> Arc<Recognise> {
    Arc::new(move |token: &str| access.token(token).ok().flatten().map(Caller::from))
}

/// What is written to the vault's log of what agents asked for.
#[derive(Serialize)]
struct Act<'a> {
    at: Moment,
    who: &'a ServiceName,
    tool: &'a str,
    what: Value,
}

impl HomeDesk {
    /// Makes the desk. What is captured already by this process is urged on, as `urges` allows.
    pub(crate) fn new(context: &Context, urges: Urges) -> Result<Self, Failure> {
        let silent: Arc<dyn Progress> = Arc::new(Silent);
        let context = context.metered_by(&silent);
        // What cannot be opened is said before anybody asks.
        context.installation()?;
        let workshop = HomeWorkshop::new(&context, urges);
        Ok(Self {
            context,
            installation: Shelf::default(),
            workshop,
            opened: Shelf::default(),
            refreshed: Mutex::default(),
            planning: Mutex::default(),
        })
    }

    /// Opens the installation as its configuration is now: sources come and go while the desk answers.
    fn installation(&self) -> Result<Arc<Installation>, DeskError> {
        self.installation.current(&self.context.home, || self.context.installation().map_err(not_open))
    }

    /// Opens what is stored. Without a restore key names can be found, and contents cannot be shown; with one that fails
    /// there is something to be put right, which is said.
    fn browse(&self) -> Result<Arc<Browse>, DeskError> {
        self.opened.current(&self.context.home, || {
            let installation = self.context.installation().map_err(not_open)?;
            Browse::of(installation, None, &environment).map_err(unset)
        })
    }

    /// Writes into the vault what an agent asks for, before it is done.
    fn record(&self, who: &ServiceName, tool: &str, what: Value) -> Result<(), DeskError> {
        let at = self.context.clock().now();
        let key = format!("{at}/{}", self.context.random_text::<4>());
        let (writer, _) = self.installation()?.writer(&environment).map_err(unset)?;
        operations::record(&writer, Kind::Agent, &key, &Act { at, who, tool, what }).map_err(failed)?;
        Ok(())
    }

    /// Returns the kind of a source that is configured.
    fn known(&self, source: &SourceName) -> Result<String, DeskError> {
        let installation = self.installation()?;
        let known = installation.config().sources.get(source);
        known.map(|config| config.kind.clone()).ok_or_else(|| DeskError::no_source(source))
    }

    /// Brings a source's catalog and its words up to date, now and then.
    fn refresh(&self, source: &SourceName) {
        let Ok(browse) = self.browse() else { return };
        let now = self.context.clock().elapsed();
        let mut refreshed = self.refreshed.lock().unwrap_or_else(PoisonError::into_inner);
        if refreshed.get(source).is_some_and(|at| now < *at + FRESH) {
            return;
        }
        // What cannot be brought up to date is shown as it is; the commit says how old that is.
        browse.refresh(source, &Stop::default(), &Silent).ok();
        refreshed.insert(source.clone(), now);
    }

    fn at(text: Option<&String>) -> Result<At, DeskError> {
        At::parse(text.map_or("latest", String::as_str)).map_err(browse_failed)
    }

    fn silent() -> Arc<dyn Progress> {
        Arc::new(Silent)
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut sentence = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        sentence.push_str(&format!(": {error}"));
        source = error.source();
    }
    sentence
}

fn failed(error: impl std::error::Error + 'static) -> DeskError {
    DeskError::new(DeskErrorKind::Failed, chain(&error))
}

fn unset(error: impl std::error::Error + 'static) -> DeskError {
    DeskError::new(DeskErrorKind::NotSetUp, chain(&error))
}

#[expect(clippy::needless_pass_by_value, reason = "it ends errors")]
fn not_open(failure: crate::failure::Failure) -> DeskError {
    DeskError::new(DeskErrorKind::NotSetUp, chain(&*failure.error))
}

#[expect(clippy::needless_pass_by_value, reason = "it ends errors")]
fn browse_failed(error: BrowseError) -> DeskError {
    let kind = match &error {
        BrowseError::NoMoment { .. } | BrowseError::Cursor => DeskErrorKind::Usage,
        BrowseError::UnknownSource { .. }
        | BrowseError::NothingYet { .. }
        | BrowseError::NotThere
        | BrowseError::NoContent => DeskErrorKind::Nothing,
        BrowseError::NoCatalog { .. } | BrowseError::NoRestoreKey => DeskErrorKind::NotSetUp,
        _ => DeskErrorKind::Failed,
    };
    DeskError::new(kind, chain(&error))
}

fn work_failed(error: WorkError) -> DeskError {
    let kind = match error.kind {
        WorkErrorKind::Usage => DeskErrorKind::Usage,
        WorkErrorKind::Nothing => DeskErrorKind::Nothing,
        WorkErrorKind::Authentication => DeskErrorKind::NotSetUp,
        WorkErrorKind::Failed => DeskErrorKind::Failed,
    };
    let mut sentences = vec![error.sentence];
    sentences.extend(error.causes);
    DeskError::new(kind, sentences.join(": "))
}

impl Desk for HomeDesk {
    fn sources(&self) -> Result<Answer, DeskError> {
        self.list_sources()
    }

    fn moments(&self, wish: &mcp::MomentsWish) -> Result<Answer, DeskError> {
        self.list_moments(wish)
    }

    fn capture(&self, by: &ServiceName, wish: &mcp::CaptureWish) -> Result<u64, DeskError> {
        self.known(&wish.source)?;
        self.record(by, "capture_now", serde_json::json!(wish))?;
        self.workshop.capture(&wish.source, &Self::silent()).map_err(work_failed)
    }

    fn declare(&self, by: &ServiceName, wish: &mcp::IntentWish) -> Result<Answer, DeskError> {
        self.announce(by, wish)
    }

    fn query(&self, wish: &mcp::QueryWish) -> Result<Answer, DeskError> {
        self.ask(wish)
    }

    fn find(&self, wish: &mcp::FindWish) -> Result<Answer, DeskError> {
        self.search(wish)
    }

    fn show(&self, wish: &mcp::ItemWish) -> Result<Answer, DeskError> {
        self.item(wish)
    }

    fn reach(&self, wish: &mcp::ReachWish) -> Result<Answer, DeskError> {
        self.estimate(wish)
    }

    fn request(&self, by: &ServiceName, wish: &mcp::RestoreWish) -> Result<Answer, DeskError> {
        self.plan_and_ask(by, wish)
    }

    fn status(&self, case: &str) -> Result<Answer, DeskError> {
        self.stand_of(case)
    }

    fn check(&self, certificate: &str) -> Result<Answer, DeskError> {
        self.verify(certificate)
    }
}
