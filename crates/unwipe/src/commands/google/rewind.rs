//! Planning what is brought back, and applying it.

use catalog::Catalog;
use connect::{
    Stop,
    plan::{ApplyMode, Plan, PlanFolder},
};
use google_recovery::{
    Destination, GoogleWriter, Heading, Planner, PlanningError, Request, Selection, Window, known_organizer,
};
use model::Moment;
use service::{Installation, Secrets, StoredSource};
use source_google::Part;

use super::StoredAccount;
use crate::{
    arguments::{Apply, Rewind, for_source},
    connectors::{
        files::failed,
        google::{GoogleConfig, StoredDomain, key_reference},
        selector::commit_of,
    },
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
};

/// Plans to undo what happened to an account's things since a moment, or until another one; or to bring what was there at
/// a moment to somebody else.
pub(crate) fn rewind(
    context: &Context,
    installation: &Installation,
    domain: &StoredDomain,
    options: &Rewind,
) -> Result<Exit, Failure> {
    let account = StoredAccount::of(domain, options.what())?;
    look_again(context, installation, domain, &account)?;
    let folder = crate::commands::rewind::plan_folder(context, options, domain.name.as_str())?;
    // What was just captured is known to a catalog that is opened now.
    let stored = context.stored(installation, &domain.name, &options.reading)?;
    let after = commit_of(&stored, domain.name.as_str(), options.until.as_deref().unwrap_or("latest"))?;
    let back = Back {
        account,
        span: Span { before: domain.at, after },
        destination: match &options.google.to_user {
            Some(email) => Destination::OtherUser { email: email.to_lowercase() },
            None => Destination::InPlace,
        },
        selection: Selection { keys: options.google.item.clone(), ..Selection::default() },
    };
    let plan = plan_account(context, domain, &stored, &back, &folder)?;
    crate::commands::rewind::finish(context, &plan, &folder, "--credential KEY-FILE")
}

/// What happened after one commit and no later than another.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(crate) before: u64,
    pub(crate) after: u64,
}

/// What is brought back.
pub(crate) struct Back {
    pub(crate) account: StoredAccount,
    pub(crate) span: Span,
    pub(crate) destination: Destination,
    pub(crate) selection: Selection,
}

impl Back {
    /// Means the items that one actor touched; all of a mailbox where the log names none.
    pub(crate) fn of_deeds(account: StoredAccount, keys: Vec<String>) -> Self {
        Self {
            account,
            span: Span { before: 0, after: 0 },
            destination: Destination::InPlace,
            selection: Selection { keys, deeds: true },
        }
    }

    /// Asks for it within a window.
    pub(crate) fn request(&self, window: Window) -> Request {
        Request {
            account: self.account.account.clone(),
            stream: self.account.stream.clone(),
            window,
            destination: self.destination.clone(),
            selection: self.selection.clone(),
        }
    }
}

/// Plans to bring an account's things back.
pub(crate) fn plan_account(
    context: &Context,
    domain: &StoredDomain,
    stored: &StoredSource,
    back: &Back,
    folder: &PlanFolder,
) -> Result<Plan, Failure> {
    let part = back.account.part;
    let span = back.span;
    plan_parts(context, domain, stored, span, folder, &mut |planner, window| {
        plan_part(planner, part, &back.request(window), domain)
    })
}

/// Plans whatever `take` takes of what happened within a span.
pub(crate) fn plan_parts(
    context: &Context,
    domain: &StoredDomain,
    stored: &StoredSource,
    span: Span,
    folder: &PlanFolder,
    take: &mut dyn FnMut(&mut Planner<'_>, Window) -> Result<(), PlanningError>,
) -> Result<Plan, Failure> {
    let now = commit_of(stored, domain.name.as_str(), "latest")?;
    // One look at the catalog at a time: it is locked while it is held.
    let begun_at = time_of(&stored.catalog(), span.before)?;
    let ended_at = time_of(&stored.catalog(), span.after)?;
    let window = Window { before: (span.before, begun_at), after: (span.after, ended_at), now };
    let heading = Heading {
        id: folder.path().file_name().unwrap_or_default().to_string_lossy().into_owned(),
        source: domain.name.to_string(),
        made_at: context.clock().now(),
    };
    let settings = domain.config.api();
    let mut planner = Planner::new(stored, folder, &settings, domain.config.threads as u32);
    take(&mut planner, window).and_then(|()| planner.finish(&heading)).map_err(not_planned)
}

/// Plans an account's things of one kind.
pub(crate) fn plan_part(
    planner: &mut Planner<'_>,
    part: Part,
    request: &Request,
    domain: &StoredDomain,
) -> Result<(), PlanningError> {
    match part {
        Part::Gmail => planner.mail(request),
        Part::Drive => planner.drive(request),
        Part::Calendar => planner.calendar(request),
        Part::Contacts => planner.contacts(request),
        Part::Directory => planner.memberships(request, &domain.config.admin),
        // Nothing of a log is brought back; no stream of it is ever asked for.
        Part::Audit => Ok(()),
    }
}

fn not_planned(error: PlanningError) -> Failure {
    let hint = error.hint();
    Failure::because(Exit::Failed, "there is no plan", error).hint_opt(hint)
}

/// Captures the account's things once more, so that the plan knows what is there now. Where another process follows the
/// domain, it is known already.
pub(super) fn look_again(
    context: &Context,
    installation: &Installation,
    domain: &StoredDomain,
    account: &StoredAccount,
) -> Result<(), Failure> {
    let mut config = domain.config.clone();
    config.parts = vec![account.part];
    match account.stream.as_str().strip_prefix("shared-drive/") {
        None if account.part == Part::Directory => {}
        None => config.users = vec![account.account.clone()],
        // A shared drive is captured with one of its organizers; with everybody where none is known.
        Some(drive) => {
            let latest = commit_of(&domain.stored, domain.name.as_str(), "latest")?;
            let organizer = known_organizer(&domain.stored, drive, latest)
                .map_err(|error| failed(error, "who is in the shared drive cannot be found"))?;
            config.users.extend(organizer);
        }
    }
    let secrets = Secrets::new(installation.home(), &environment);
    let mut reader = config.reader(context, &secrets, true)?;
    match installation.capture(&domain.name, &mut reader, &environment, &Stop::default()) {
        Ok(_) | Err(service::ServiceError::Busy { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn time_of(catalog: &Catalog, sequence: u64) -> Result<Moment, Failure> {
    catalog
        .time_of(sequence)?
        .ok_or_else(|| Failure::new(Exit::Failed, format!("commit {sequence} is not known")))
}

/// Applies a plan for a domain, and verifies it.
pub(crate) fn apply(
    context: &Context,
    installation: &Installation,
    config: &GoogleConfig,
    options: &Apply,
    folder: &PlanFolder,
    plan: &Plan,
    mode: ApplyMode,
) -> Result<crate::commands::apply::Done, Failure> {
    let (name, _) = installation.config().source(&plan.source)?;
    let configured = crate::context::destination(installation, name.as_str()).credential;
    let credential = for_source(&options.credential, name.as_str()).or(configured.as_deref());
    let credential = credential.ok_or_else(|| {
        Failure::new(Exit::Usage, "applying needs a service account that may write").hint(
            "give --credential KEY-FILE; its scopes are those of the plan, and never the capturing account's",
        )
    })?;
    let secrets = Secrets::new(installation.home(), &environment);
    let stop = crate::context::stop_on_signals()?;
    let api = config.writer(context, &secrets, &key_reference(credential)?, &stop)?;
    let stored = context.stored(installation, &name, &options.reading)?;
    let journal = folder.path().join("applied.jsonl");
    let mut writer = GoogleWriter::new(&api, &stored, journal, config.threads);
    crate::commands::apply::apply_and_verify(&mut writer, plan, folder, mode, &*context.progress())
}
