//! A person who tidies up, as announced. Nothing must be stopped, and nobody woken.

use std::{collections::BTreeMap, time::Duration};

use google_tenant::{Size, scopes};
use model::Verb;
use serde::Serialize;
use service::{
    operations::{self, Kind},
    watching::WatchStore,
};
use tenants::agent::cleanup::{self, Announcement, FILES};
use watch::Expectation;

use super::{NOTICES, content::Place, story, watching};
use crate::{
    arguments::Rehearse,
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::count,
    rehearse::{
        account::Page,
        app::Access,
        incident::incidents,
        watch::Attributed,
        workspace::{Setup, Workspace},
    },
};

/// What the person tidies up with.
const PROGRAM: (&str, &str) = ("Drive Organizer", "800900100200-driveorganizer.apps.googleusercontent.com");
/// How fast somebody tidies up who has marked everything.
const FILES_PER_SECOND: f64 = 100.0;
/// How long the watch is given to find something in it after all.
const LOOKS_ON: Duration = Duration::from_secs(5);

/// The result, as `--json` prints it.
#[derive(Serialize)]
struct Account {
    incident: &'static str,
    simulated: [&'static str; 2],
    drive: String,
    files_before: usize,
    announced: Announcement,
    trashed: u64,
    as_announced: bool,
    refused: Option<String>,
    attributed: Attributed,
    incidents: usize,
    notices: usize,
    first_notices: Vec<String>,
    still_let_in: bool,
    files_wrong: usize,
}

pub(in crate::rehearse) fn run(outer: &Context, options: &Rehearse) -> Result<Exit, Failure> {
    let (program, client_id) = PROGRAM;
    let setup = Setup {
        size: Size { users: 2, messages: 1, files: options.files, events: 1, contacts: 1 },
        seed: options.seed,
        parts: &story::ANTIGRAVITY.parts(),
        speed: 1,
        watch: Some(watching(client_id)?),
    };
    let workspace = Workspace::set_up(outer, options.keep, &setup)?;
    let owner = workspace.person()?;
    story::upload_drafts(&workspace, &owner, FILES);
    outer.output.say("capturing everybody's files, then following and watching them");
    let capturing = workspace.start_capture()?;
    let access = Access::grant_as(&workspace, &owner, program, client_id, &[scopes::DRIVE])?;
    let place = Place::Drive;
    let await_captured = |what| place.await_captured(&workspace, &capturing, &access, &owner, what);
    await_captured("the first capture")?;
    let before = place.read(&workspace, &owner);
    let files: Vec<String> = before.ids().into_iter().take(FILES).collect();

    outer.output.say(format!("{owner} announces it, and puts {} files into the trash", files.len()));
    let clock = workspace.context.clock();
    let announced = Announcement::now(&*clock, &owner, Duration::from_hours(2), files.len());
    expect(&workspace, &announced)?;
    // Whoever watches looks every half second what is expected.
    clock.sleep(Duration::from_secs(1));
    let deeds = cleanup::play(&*clock, FILES_PER_SECOND, &files, |call| story::on_drive(&access, call));
    let trashed = deeds.deeds.iter().map(|deed| deed.count).sum();
    await_captured("the tidying to be captured")?;
    let acts = BTreeMap::from([(Verb::Trash, trashed)]);
    let attributed = Attributed::wait(&workspace, &capturing, client_id, &acts)?;
    clock.sleep(LOOKS_ON);
    let still_let_in = access.get(place.look()).is_ok();
    capturing.end()?;

    let after = place.read(&workspace, &owner);
    let left = after.ids().len() + files.len();
    let notices = notices(&workspace)?;
    let account = Account {
        incident: "clean-up",
        simulated: ["Google Workspace", "the person"],
        files_before: before.len(),
        as_announced: announced.covers(&deeds),
        announced,
        trashed,
        refused: deeds.ended_by,
        attributed,
        incidents: incidents(&workspace.context)?.len(),
        notices: notices.len(),
        first_notices: notices.into_iter().take(5).collect(),
        still_let_in,
        files_wrong: before.ids().len().abs_diff(left),
        drive: owner,
    };
    outer.output.result(&account, || text(outer, &account))?;
    Ok(if account.is_good() { Exit::Done } else { Exit::Failed })
}

/// Registers what was announced, as `unwipe expect` does.
fn expect(workspace: &Workspace, announced: &Announcement) -> Result<(), Failure> {
    let expectation = Expectation {
        id: "spring-cleaning".to_owned(),
        source: workspace.source.clone(),
        from: announced.from,
        until: announced.until,
        actor: Some(announced.who.clone()),
        verbs: vec![Verb::Trash],
        scope: None,
        reason: "old projects".to_owned(),
        registered_by: announced.who.clone(),
        registered_at: announced.from,
        items_max: Some(announced.files_max),
    };
    let installation = workspace.context.installation()?;
    let (writer, _) = installation.writer(&environment)?;
    operations::record(&writer, Kind::Expectation, &expectation.id, &expectation)?;
    WatchStore::of(installation.home()).write_expectation(&expectation)?;
    Ok(())
}

/// Returns what people were told.
fn notices(workspace: &Workspace) -> Result<Vec<String>, Failure> {
    let path = workspace.folder.join(NOTICES);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = ports::files::read_text(&path)?;
    let title = |line: &str| {
        let finding: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(finding["finding_info"]["title"].as_str().unwrap_or_default().to_owned())
    };
    Ok(text.lines().filter_map(title).collect())
}

impl Account {
    fn is_good(&self) -> bool {
        let quiet = self.incidents == 0 && self.notices <= 1;
        quiet && self.still_let_in && self.as_announced && self.refused.is_none() && self.files_wrong == 0
    }
}

fn text(context: &Context, account: &Account) -> String {
    let mut page = Page::new(context.output, "rehearsal: clean-up (a script, a simulated Google Workspace)");
    page.section("What happened");
    let Announcement { until, files_max, .. } = &account.announced;
    page.fact("announced", &format!("{} files into the trash, until {until}", count(*files_max)));
    let (trashed, all) = (count(account.trashed), count(account.files_before as u64));
    page.fact("put into the trash", &format!("{trashed} of {all} files and folders"));
    page.judged("as announced", if account.as_announced { "yes" } else { "no" }, account.as_announced);
    page.section("What the audit log says");
    account.attributed.show(&mut page);
    page.section("What the watch did");
    page.judged("incidents", &account.incidents.to_string(), account.incidents == 0);
    page.judged("notices", &account.notices.to_string(), account.notices <= 1);
    for notice in &account.first_notices {
        page.line(notice);
    }
    let let_in = if account.still_let_in { "still let in" } else { "stopped" };
    page.judged("the program", let_in, account.still_let_in);
    let wrong = account.files_wrong;
    page.judged("files not as they must be", &wrong.to_string(), wrong == 0);
    page.into_text()
}
