//! Incidents in a simulated Workspace domain: seen while they happen, stopped, and undone while the domain lives on.

mod clean_up;
mod content;
mod report;
mod story;

use std::time::Duration;

use service::watching::{Request, WatchConfig, request};
use tenants::agent::ransomware::NOTE;
use watch::ActionStatus;

pub(super) use self::clean_up::run as clean_up;
use self::{
    content::Content,
    report::{Account, text},
    story::{ANTIGRAVITY, HARD_DELETE, LOW_AND_SLOW, RANSOMWARE, Story},
};
use super::{
    alarm::{Alarm, Losses, Stopped, incidents},
    app::Access,
    stage::Capturing,
    watch::Attributed,
    workspace::{Setup, Workspace},
};
use crate::{
    arguments::{Incident, Rehearse},
    connectors::containment::watched,
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
};

/// The file in the rehearsal's folder that takes what people would be told.
const NOTICES: &str = "notices.jsonl";
/// How long the owner waits, once they were asked, whether the audit log makes the question needless.
const CONSIDERS: Duration = Duration::from_secs(20);
/// How long the process that watches may take to carry out what the owner asks for.
const ANSWER: Duration = Duration::from_secs(30);

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
    let workspace = Workspace::set_up(outer, options.keep, setup)?;
    let owner = workspace.person()?;
    outer.output.say("capturing everybody's things, then following and watching them");
    let capturing = workspace.start_capture()?;
    let witness = Access::grant(&workspace, &owner, "Witness", &[place.reading()])?;
    let await_captured = |what| place.await_captured(&workspace, &capturing, &witness, &owner, what);
    await_captured("the first capture")?;
    let before = place.read(&workspace, &owner);

    outer.output.say(format!("{owner} lets {program} in: {}", story.who));
    let access = Access::grant_as(&workspace, &owner, program, client_id, &[story.scope])?;
    workspace.context.clock().sleep(story.waits);
    let deeds = (story.play)(&workspace, &access, &before);
    let losses = Losses::of(&deeds, story.destroying);
    outer.output.say(format!("{} {} are gone", losses.all(), place.things()));
    let approved = await_stopped(&workspace, &capturing)?;
    let refused = access.get(place.look()).err().map(|refused| refused.to_string());
    let attributed = Attributed::wait(&workspace, &capturing, client_id, &(story.acts)(&deeds))?;
    await_captured("the program's work to be captured")?;
    let after = place.read(&workspace, &owner);

    outer.output.say("its owner goes on working");
    let later_work_kept = place.work_on(&workspace, &owner)?;
    await_captured("the owner's work to be captured")?;
    capturing.end()?;
    let mut expected = Content::expected(&before, &after, &place.read(&workspace, &owner));

    outer.output.say("planning the undo of the incident, and of nothing else");
    let incidents = incidents(&workspace.context)?;
    let first = incidents.iter().find(|incident| incident.merged_into.is_none());
    let first = first.ok_or_else(|| Failure::new(Exit::Failed, "no alarm was raised"))?;
    let rewound = workspace.rewind(first.id)?;
    let mut now = place.read(&workspace, &owner);
    expected.without(NOTE);
    now.without(NOTE);
    let wrong = Content::differences(&expected, &now);
    Ok(Account {
        incident: story.name,
        simulated: ["Google Workspace", story.who],
        things: place.things(),
        account: owner,
        clock_speed: story.speed,
        things_before: before.len(),
        calls: deeds.deeds.len(),
        destroyed: losses.all(),
        ended_by: deeds.ended_by,
        alarm: Alarm::of(first, &losses),
        incidents: incidents.iter().filter(|incident| incident.merged_into.is_none()).count(),
        stopped: Stopped::of(first, &losses),
        approved_by_owner: approved,
        refused_afterwards: refused,
        attributed,
        plan: rewound.hash.to_string(),
        put_in_again: rewound.counts.inserted,
        set_back: rewound.counts.reverted,
        taken_away: rewound.counts.removed,
        left_alone: rewound.counts.conflicts + rewound.listed,
        notes: rewound.notes,
        planned_ms: rewound.planned_ms,
        applied_ms: rewound.applied_ms,
        later_work_kept,
        things_wrong: wrong.len(),
        first_wrong: wrong.into_iter().take(10).collect(),
    })
}

/// Waits until the program is stopped. Where policy does not do it, the owner was asked, and approves what was proposed;
/// returns whether that was so.
fn await_stopped(workspace: &Workspace, capturing: &Capturing) -> Result<bool, Failure> {
    let context = &workspace.context;
    let mut asked_at = None;
    let mut approved = false;
    workspace.wait("the program to be stopped", capturing, || {
        let incidents = incidents(context)?;
        let has = |status| {
            let mut all = incidents
                .iter()
                .flat_map(|incident| incident.actions.iter().map(move |action| (incident.id, action.status)));
            all.find(|(_, its)| *its == status).map(|(id, _)| id)
        };
        if has(ActionStatus::Taken).is_some() {
            return Ok(true);
        }
        let Some(incident) = has(ActionStatus::Proposed) else { return Ok(false) };
        let now = workspace.patience().elapsed();
        if now.saturating_sub(*asked_at.get_or_insert(now)) < CONSIDERS || approved {
            return Ok(false);
        }
        approved = true;
        let installation = context.installation()?;
        let ask = Request::Contain { incident, by: "owner".to_owned() };
        let watched = watched(context, &installation)?;
        request(&installation, &environment, watched, &context.random_text::<8>(), &ask, ANSWER)?;
        Ok(false)
    })?;
    Ok(approved)
}
