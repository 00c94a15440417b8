//! The work that takes connectors, for pages, API and agents' tools: the same verbs as on the command line.

mod question;

use std::{path::Path, sync::Arc, time::Duration};

use clap::Parser;
use connect::{
    Progress, Stop,
    plan::{Document, PlanFolder},
};
use model::SourceName;
use service::{
    ServiceError,
    certificate::Certificate,
    plans::Found,
    watching::{self, Answer, Request},
    workshop::{
        AppliedPart, AppliedRestore, DrillWish, Examined, PlannedRestore, Question, RestoreWish, Table,
        WorkError, WorkErrorKind, Workshop,
    },
};

use crate::{
    arguments::{Apply, Arguments, Capture, Doctor, Production, Reading, Rewind, Verb},
    commands::{self, apply::Outcomes, watching::Urges},
    connectors::containment::watched,
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
};

/// How long the watch may take to stop somebody.
const CONTAIN_PATIENCE: Duration = Duration::from_secs(30);
/// How long a capture that goes on may take to come up to now.
const CAPTURE_PATIENCE: Duration = Duration::from_secs(30);
const CAPTURE_POLL: Duration = Duration::from_millis(200);

/// Does what takes connectors, for one home folder.
pub(crate) struct HomeWorkshop {
    context: Context,
    /// How captures of this process are asked to make haste.
    urges: Urges,
}

impl HomeWorkshop {
    /// Makes a workshop of a home folder; `urges` are those of the captures that go on in this process.
    pub(crate) fn new(context: &Context, urges: Urges) -> Self {
        let silent: Arc<dyn Progress> = Arc::new(connect::Silent);
        Self { context: context.metered_by(&silent), urges }
    }
}

impl Workshop for HomeWorkshop {
    fn plan(&self, wish: &RestoreWish, progress: &Arc<dyn Progress>) -> Result<PlannedRestore, WorkError> {
        let context = self.context.metered_by(progress);
        planned(&context, wish).map_err(work_error)
    }

    fn apply(&self, plan_folder: &Path, progress: &Arc<dyn Progress>) -> Result<AppliedRestore, WorkError> {
        let context = self.context.metered_by(progress);
        applied(&context, plan_folder).map_err(work_error)
    }

    fn drill(&self, wish: &DrillWish, progress: &Arc<dyn Progress>) -> Result<Certificate, WorkError> {
        let context = self.context.metered_by(progress);
        commands::drill::hold(&context, wish, &**progress).map_err(work_error)
    }

    fn examine(&self, progress: &Arc<dyn Progress>) -> Result<Vec<Examined>, WorkError> {
        let context = self.context.metered_by(progress);
        // What was found is not tried from here: a page must not log in anywhere with what lies about on this host.
        let options = Doctor { credentials: Vec::new(), no_defaults: false, network: false, sts: None };
        let examine = || commands::doctor::examine(&context, &context.installation()?, &options, &**progress);
        examine().map_err(work_error)
    }

    fn query(&self, question: &Question, progress: &Arc<dyn Progress>) -> Result<Table, WorkError> {
        question::ask(&self.context.metered_by(progress), question).map_err(work_error)
    }

    fn contain(&self, request: &Request) -> Result<Answer, WorkError> {
        let ask = || -> Result<Answer, Failure> {
            let installation = self.context.installation()?;
            let name = self.context.random_text::<8>();
            let watched = watched(&self.context, &installation)?;
            Ok(watching::request(&installation, &environment, watched, &name, request, CONTAIN_PATIENCE)?)
        };
        ask().map_err(work_error)
    }

    fn capture(&self, source: &SourceName, progress: &Arc<dyn Progress>) -> Result<u64, WorkError> {
        let context = self.context.metered_by(progress);
        self.captured(&context, source).map_err(work_error)
    }
}

fn planned(context: &Context, wish: &RestoreWish) -> Result<PlannedRestore, Failure> {
    let rewind = rewind_of(context, wish)?;
    let folder = rewind.plan.clone().unwrap_or_default();
    if commands::rewind::run(context, &rewind)? == Exit::Nothing {
        return Err(Failure::new(Exit::Nothing, "there is nothing to bring back"));
    }
    let place = PlanFolder::new(&folder);
    let document = place.read_document(None)?;
    let plan = document.hash()?;
    let found = Found::of(place, document)?;
    let title = found.title();
    let (counts, made_at) = match &found.document {
        Document::Plan(plan) => (plan.counts, plan.made_at),
        Document::Bundle(bundle) => (bundle.counts, bundle.made_at),
    };
    let mut sources: Vec<SourceName> =
        found.parts.iter().filter_map(|(_, plan)| SourceName::new(&plan.source).ok()).collect();
    sources.dedup();
    Ok(PlannedRestore { folder, plan, title, sources, counts, command: wish.command(), made_at })
}

/// Reads a wish as the command line would read the same command, with a folder of its own for the plan.
fn rewind_of(context: &Context, wish: &RestoreWish) -> Result<Rewind, Failure> {
    let mut words = vec!["unwipe".to_owned()];
    words.extend(wish.words());
    let refused = |error: clap::Error| {
        let sentence = error.to_string();
        let first = sentence.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Failure::new(Exit::Usage, first)
    };
    let Verb::Rewind(mut rewind) = Arguments::try_parse_from(words).map_err(refused)?.verb else {
        return Err(Failure::new(Exit::Usage, "this is no wish for a restore"));
    };
    let stamp = context.clock().now().to_string().replace([':', '.'], "-");
    let folder = format!("plan-{stamp}-{}", context.random_text::<4>());
    rewind.plan = Some(context.home.join("plans").join(folder));
    Ok(rewind)
}

fn applied(context: &Context, plan_folder: &Path) -> Result<AppliedRestore, Failure> {
    let options = Apply {
        plan: plan_folder.to_owned(),
        dry_run: false,
        production: Production { url: Vec::new(), password: Vec::new() },
        credential: Vec::new(),
        reading: Reading { key: None },
    };
    let plan = PlanFolder::new(plan_folder).read_document(None)?.hash()?;
    let (outcomes, _) = commands::apply::carry_out(context, &options)?;
    let (approvers, parts) = match outcomes {
        Outcomes::Plan(outcome) => {
            let part = AppliedPart { applied: outcome.applied, verification: outcome.verification };
            (outcome.approvers, vec![part])
        }
        Outcomes::Bundle(_, outcome) => {
            let parts = outcome.parts.into_iter();
            let parts = parts
                .map(|part| AppliedPart { applied: part.applied, verification: part.verification })
                .collect();
            (outcome.approvers, parts)
        }
    };
    Ok(AppliedRestore { plan, approvers, parts })
}

impl HomeWorkshop {
    /// Captures a source; where this or another process follows it, that is asked to make haste.
    fn captured(&self, context: &Context, source: &SourceName) -> Result<u64, Failure> {
        let installation = context.installation()?;
        let (name, _) = installation.config().source(source.as_str())?;
        let once = Capture { source: name.to_string(), once: true, base: false };
        let vault = installation.vault(&environment)?;
        let asked_at = context.clock().now();
        let mut reader = commands::capture::reader(
            context,
            &installation,
            &name,
            &once,
            Urges::default().remove(&name).unwrap_or_default(),
        )?;
        match installation.capture(&name, &mut *reader, &environment, &Stop::default()) {
            Ok(_) => return Ok(vault.last_sequence(&name)?),
            Err(ServiceError::Busy { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(urge) = self.urges.get(&name) {
            urge.request();
        }
        let clock = context.clock();
        let until = clock.elapsed() + CAPTURE_PATIENCE;
        loop {
            let head = vault.head(&name)?;
            let newest = head.as_ref().map(|commit| commit.envelope.vault_time);
            if newest.is_some_and(|at| at >= asked_at) || clock.elapsed() >= until {
                return Ok(head.map_or(0, |commit| commit.envelope.sequence));
            }
            clock.sleep(CAPTURE_POLL);
        }
    }
}

fn work_error(failure: Failure) -> WorkError {
    let kind = match failure.exit {
        Exit::Usage => WorkErrorKind::Usage,
        Exit::Nothing => WorkErrorKind::Nothing,
        Exit::Authentication => WorkErrorKind::Authentication,
        _ => WorkErrorKind::Failed,
    };
    let mut causes = Vec::new();
    let mut source = failure.error.source();
    while let Some(error) = source {
        causes.push(error.to_string());
        source = error.source();
    }
    WorkError { kind, sentence: failure.error.to_string(), causes, hint: failure.hint }
}
