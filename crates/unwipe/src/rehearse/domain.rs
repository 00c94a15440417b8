//! Incidents in a simulated Workspace domain: seen while they happen, stopped, and undone while the domain lives on.

mod clean_up;
mod content;
mod losses;
mod overseer;
mod report;
mod story;

use std::time::Duration;

use model::Moment;
use service::watching::WatchConfig;
use tenants::agent::ransomware::NOTE;
use watch::ActionStatus;

pub(super) use self::clean_up::run as clean_up;
use self::{
    content::Content,
    losses::Losses,
    overseer::Overseer,
    report::{Account, text},
    story::{ANTIGRAVITY, HARD_DELETE, LOW_AND_SLOW, RANSOMWARE, Story},
};
use super::{
    app::Access,
    incident::{Alarm, incidents},
    stage::Capturing,
    watch::Attributed,
    workspace::{Setup, Workspace},
};
use crate::{
    arguments::{Incident, Rehearse},
    context::Context,
    exit::Exit,
    failure::Failure,
};

/// The file in the rehearsal's folder that takes what people would be told.
const NOTICES: &str = "notices.jsonl";
/// What is done to an item so shortly after the program's last act is taken for the program's.
const SETTLES: Duration = Duration::from_secs(31);

/// Replays one of the incidents of a domain.
pub(super) fn run(outer: &Context, options: &Rehearse, incident: Incident) -> Result<Exit, Failure> {
    let story = match incident {
        Incident::HardDelete => HARD_DELETE,
        Incident::Ransomware => RANSOMWARE,
        Incident::LowAndSlow => LOW_AND_SLOW,
        _ => ANTIGRAVITY,
    };
    let account = replay(outer, options, &story)?;
    outer.output.result(&account, || text(outer, &account))?;
    Ok(if account.is_good() { Exit::Done } else { Exit::Failed })
}

/// How it is watched, as its owner writes it: whoever is named is stopped without a person, and people are told by a file.
/// The file lies beside the home folder.
fn watching(subject: &str) -> Result<WatchConfig, Failure> {
    let text = format!(
        "[containment]\nmode = \"automatic\"\nsubjects = [{subject:?}]\n[[notify]]\nto = {{ kind = \"file\", path = \"../{NOTICES}\" }}\n"
    );
    toml::from_str(&text).map_err(|error| {
        Failure::because(Exit::Failed, "the rehearsal's own policy is not understood", error)
    })
}

fn replay(outer: &Context, options: &Rehearse, story: &Story) -> Result<Account, Failure> {
    let (program, client_id) = story.program;
    let setup = Setup {
        size: (story.size)(options),
        seed: options.seed,
        parts: &story.parts(),
        speed: story.speed,
        watch: Some(watching(client_id)?),
    };
    let place = story.place;
    let workspace = Workspace::set_up(outer, options.keep, &setup)?;
    let known = story.known.then(|| Access::known(&workspace, program)).transpose()?;
    let owner = match &known {
        Some((_, owner)) => owner.clone(),
        None => workspace.person()?,
    };
    story::upload_drafts(&workspace, &owner, story.drafts);
    outer.output.say("capturing everybody's things, then following and watching them");
    let capturing = workspace.start_capture()?;
    let witness = Access::grant(&workspace, &owner, "Witness", &[place.reading()])?;
    let await_captured = |what| place.await_captured(&workspace, &capturing, &witness, &owner, what);
    await_captured("the first capture")?;
    let before = place.read(&workspace, &owner);

    let access = match known {
        Some((access, _)) => access,
        None => Access::grant_as(&workspace, &owner, program, client_id, &[story.scope])?,
    };
    outer.output.say(format!("{owner} has let {program} in: {}", story.who));
    let overseer = Overseer::new(&workspace, story.considers);
    let deeds = (story.play)(&workspace, &access, &before, &|| overseer.glance());
    let losses = Losses::of(&deeds, story.destroying);
    outer.output.say(format!("{} {} are gone", losses.all(), place.things()));
    workspace.wait("the program to be stopped", &capturing, || overseer.look())?;
    let refused = access.get(place.look()).err().map(|refused| refused.to_string());
    let attributed = Attributed::wait(&workspace, &capturing, client_id, &(story.acts)(&deeds))?;
    await_captured("the program's work to be captured")?;
    let after = place.read(&workspace, &owner);

    let (begun, ended) =
        losses.span().ok_or_else(|| Failure::new(Exit::Failed, "the program destroyed nothing"))?;
    settle(&workspace, &capturing, ended)?;
    outer.output.say("its owner goes on working");
    let later_work_kept = place.work_on(&workspace, &owner)?;
    await_captured("the owner's work to be captured")?;
    capturing.end()?;
    let mut expected = Content::expected(&before, &after, &place.read(&workspace, &owner));

    outer.output.say("planning the undo of the incident, and of nothing else");
    let incidents = incidents(&workspace.context)?;
    let first = incidents.first().ok_or_else(|| Failure::new(Exit::Failed, "no alarm was raised"))?;
    let stop = first.actions.iter().find(|note| note.status == ActionStatus::Taken);
    let stopped_at = stop.and_then(|note| Some(note.taken.as_ref()?.at));
    let mut undone = workspace.rewind(first.id)?;
    // That is measured by the clock of the domain.
    undone.planned_ms /= u64::from(story.speed);
    undone.applied_ms /= u64::from(story.speed);
    let mut now = place.read(&workspace, &owner);
    expected.without(NOTE);
    now.without(NOTE);
    let wrong = Content::differences(&expected, &now);
    Ok(Account {
        incident: story.name,
        simulated: ["Google Workspace", story.who],
        things: place.things(),
        owner,
        clock_speed: story.speed,
        things_before: before.len(),
        calls: deeds.deeds.len(),
        destroyed: losses.all(),
        ended_by: deeds.ended_by,
        alarm: Alarm::of(first, begun),
        destroyed_until_alarm: losses.until(first.opened_at),
        incidents: incidents.len(),
        stopped_by: stop.map(|note| if note.automatic { "policy" } else { "the owner, who was asked" }),
        destroyed_until_stopped: stopped_at.map(|at| losses.until(at)),
        refused_afterwards: refused,
        attributed,
        undone,
        later_work_kept,
        things_wrong: wrong.len(),
        first_wrong: wrong.into_iter().take(10).collect(),
    })
}

/// Waits until what the program did is told apart from what comes later: half a minute, and somebody else's work in the
/// vault.
fn settle(workspace: &Workspace, capturing: &Capturing, ended: Moment) -> Result<(), Failure> {
    let clock = workspace.context.clock();
    let passed = u64::try_from(clock.now().micros_since(ended)).unwrap_or(0);
    let looks = Duration::from_secs(2) * workspace.speed();
    clock.sleep((SETTLES + looks).saturating_sub(Duration::from_micros(passed)));
    let known = workspace.newest()?;
    workspace.running.with_tenant(|tenant| {
        let Some(colleague) = tenant.administrator().map(str::to_owned) else { return };
        let text = b"From: partner@example.org\r\nSubject: Minutes\r\n\r\nOf last week.\r\n";
        tenant.deliver(&colleague, text);
        tenant.add_drive_bytes(&colleague, "Minutes.txt", "text/plain", b"Of last week.\n");
    });
    workspace.wait("a colleague's work to be captured", capturing, || Ok(workspace.newest()? > known))
}
