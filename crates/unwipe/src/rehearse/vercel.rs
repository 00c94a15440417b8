//! The incident of April 2026: an employee lets an assistant for office work do everything, and whoever stole its tokens
//! walks through a drive.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use connect_http::http::Method as HttpVerb;
use google_tenant::{Size, scopes};
use model::{Severity, Verb};
use serde::Serialize;
use serde_json::json;
use source_google::{Part, drive::drive_stream};
use tenants::agent::{
    Step,
    vercel::{self as script, CLIENT_ID, DriveCall, OUTSIDER, PROGRAM, Walk},
};

use super::{
    account::Page,
    app::{Access, Refused},
    papers::{self, Paper, Papers, differences, expected, papers, path, share, work_on},
    watch::{Attributed, Found, Watch, show_found},
    workspace::{Undone, Workspace},
};
use crate::{
    arguments::Rehearse,
    commands::google::{Span, StoredAccount},
    context::Context,
    exit::Exit,
    failure::Failure,
    output::count,
};

const PAUSE: Duration = Duration::from_millis(15);

/// The result, as `--json` prints it.
#[derive(Serialize)]
struct Account {
    incident: &'static str,
    simulated: [&'static str; 2],
    drive: String,
    files_before: usize,
    agent: Vec<Step>,
    read: usize,
    linked: usize,
    invited: usize,
    trashed: usize,
    deleted_for_good: usize,
    found: Option<Found>,
    attributed: Attributed,
    plan: String,
    planned_duration_s: Option<u64>,
    set_back: u64,
    taken_away: u64,
    made_anew: u64,
    left_alone: u64,
    planned_ms: u64,
    applied_ms: u64,
    later_work_kept: usize,
    links_left: usize,
    outsiders_left: usize,
    files_wrong: usize,
    first_wrong: Vec<String>,
}

pub(crate) fn run(outer: &Context, options: &Rehearse) -> Result<Exit, Failure> {
    let size = Size { users: 4, messages: 5, files: options.files, events: 1, contacts: 1 };
    let parts = [Part::Directory, Part::Drive, Part::Audit];
    let workspace = Workspace::build(outer, options.keep, size, options.seed, &parts)?;
    let owner = workspace.person()?;
    let stream = drive_stream(&owner).map_err(|error| Failure::because(Exit::Failed, "no stream", error))?;
    outer.output.say("capturing everybody's files, then following them");
    let capturing = workspace.start_capture()?;
    let witness = Access::grant(&workspace, &owner, "Witness", &[scopes::DRIVE])?;
    let await_captured = |what| papers::await_captured(&workspace, &capturing, &witness, &owner, what);
    await_captured("the first capture")?;
    // What the witness was granted is not to be taken for the intruder's.
    Attributed::wait(&workspace, &capturing, &witness.client_id, &BTreeMap::from([(Verb::Grant, 1)]))?;
    let before = papers(&workspace, &owner);
    let calm = workspace.newest()?;

    outer.output.say(format!("{owner} lets {PROGRAM} do everything, and its tokens are stolen"));
    let done = Arc::new(AtomicUsize::new(0));
    let watch = Watch::begin(&workspace, Arc::clone(&done), Severity::Notable)?;
    let everything = [scopes::DRIVE, scopes::MAIL, scopes::CALENDAR, scopes::CONTACTS];
    let intruder = Access::grant_as(&workspace, &owner, PROGRAM, CLIENT_ID, &everything)?;
    let walk = walk(&workspace, &intruder, &before, &done);
    let found = watch.end(&workspace, &capturing)?;
    await_captured("the intruder's work to be captured")?;
    let after = workspace.newest()?;
    let after_intruder = papers(&workspace, &owner);
    let attributed = Attributed::wait(&workspace, &capturing, CLIENT_ID, &acts(&walk))?;

    outer.output.say("its owner goes on working: files are renamed, written, shared, put into the trash");
    let later = work_on(&witness, &after_intruder)?;
    await_captured("the owner's work to be captured")?;
    capturing.end()?;
    let expected = expected(&before, &after_intruder, &papers(&workspace, &owner));

    outer.output.say("planning the undo of what the intruder did, and of nothing else");
    let account = StoredAccount { part: Part::Drive, account: owner.clone(), stream };
    let undone = workspace.undo(account, Span { before: calm, after }, "vercel")?;
    let Undone { plan, report, .. } = &undone;

    let now = papers(&workspace, &owner);
    let wrong = differences(&expected, &now);
    let account = Account {
        incident: "vercel",
        simulated: ["Google Workspace", "the intruder"],
        drive: owner,
        files_before: before.len(),
        agent: walk.steps,
        read: walk.read,
        linked: walk.linked,
        invited: walk.invited,
        trashed: walk.trashed,
        deleted_for_good: walk.deleted,
        found,
        attributed,
        plan: plan.hash()?.to_string(),
        planned_duration_s: plan.duration_s,
        set_back: report.counts.reverted,
        taken_away: report.counts.removed,
        made_anew: report.counts.inserted,
        left_alone: report.counts.conflicts + plan.counts.conflicts,
        planned_ms: undone.planned_ms,
        applied_ms: undone.applied_ms,
        later_work_kept: later,
        links_left: more_than(&before, &now, "anyone"),
        outsiders_left: more_than(&before, &now, OUTSIDER),
        files_wrong: wrong.len(),
        first_wrong: wrong.into_iter().take(10).collect(),
    };
    outer.output.result(&account, || text(outer, &account))?;
    let good = account.files_wrong == 0 && account.found.is_some();
    Ok(if good { Exit::Done } else { Exit::Failed })
}

/// Lets the intruder walk through everything that is not in the trash; uploads come first, for they can be compared bit by
/// bit when they were deleted and made anew.
fn walk(workspace: &Workspace, intruder: &Access<'_>, papers: &Papers, done: &AtomicUsize) -> Walk {
    let mut files: Vec<(&String, &Paper)> =
        papers.iter().filter(|(_, paper)| !paper.trashed && paper.content.is_some()).collect();
    files.sort_by_key(|(id, _)| workspace.running.with_tenant(|tenant| tenant.drive_bytes(id).is_none()));
    let files: Vec<String> = files.into_iter().map(|(id, _)| id.clone()).collect();
    script::play(&*workspace.context.clock(), PAUSE, &files, |call| {
        let result = carry_out(workspace, intruder, call);
        if result.is_ok() {
            done.fetch_add(1, Ordering::SeqCst);
        }
        result
    })
}

/// Carries out one call of the intruder.
fn carry_out(workspace: &Workspace, access: &Access<'_>, call: &DriveCall) -> Result<(), Refused> {
    match call {
        DriveCall::Read(id) => {
            let uploaded = workspace.running.with_tenant(|tenant| tenant.drive_bytes(id).is_some());
            let what = if uploaded { "?alt=media" } else { "/export?mimeType=application/pdf" };
            access.bytes(access.request(HttpVerb::GET, &format!("{}{what}", path(id)))).map(drop)
        }
        DriveCall::Link(id) => share(access, id, &json!({ "type": "anyone", "role": "reader" })),
        DriveCall::Invite(id) => {
            share(access, id, &json!({ "type": "user", "role": "writer", "emailAddress": OUTSIDER }))
        }
        DriveCall::Trash(id) => {
            access.change(HttpVerb::PATCH, &path(id), &json!({ "trashed": true })).map(drop)
        }
        DriveCall::Delete(id) => access.bytes(access.request(HttpVerb::DELETE, &path(id))).map(drop),
    }
}

/// What the log must have told.
fn acts(walk: &Walk) -> BTreeMap<Verb, u64> {
    [
        (Verb::Grant, 1),
        (Verb::Read, walk.read),
        (Verb::Share, walk.linked + walk.invited),
        (Verb::Trash, walk.trashed),
        (Verb::Delete, walk.deleted),
    ]
    .map(|(verb, count)| (verb, count as u64))
    .into()
}

/// Counts the files that somebody can see who could not see them before.
fn more_than(before: &Papers, now: &Papers, who: &str) -> usize {
    let sees = |paper: &Paper| paper.shared.iter().any(|shared| shared.starts_with(who));
    now.iter().filter(|(id, paper)| sees(paper) && !before.get(*id).is_some_and(sees)).count()
}

fn text(context: &Context, account: &Account) -> String {
    let mut page =
        Page::new(context.output, "rehearsal: vercel (a scripted intruder, a simulated Google Workspace)");
    page.section("What the intruder did");
    page.line(
        "  On record is that it read; links, an outside address and deletion are what such a grant allows.",
    );
    page.steps(&account.agent);
    let Account { read, linked, invited, trashed, deleted_for_good, files_before, .. } = account;
    page.fact("files read", &format!("{read} of {files_before} files and folders"));
    page.fact("open to everybody with the link", &linked.to_string());
    page.fact("open to an outside address", &invited.to_string());
    page.fact("in the trash, deleted for good", &format!("{trashed}, {deleted_for_good}"));
    page.section("What stood out");
    show_found(account.found.as_ref(), &mut page);
    page.section("What the audit log says");
    account.attributed.show(&mut page);
    page.section("What was undone");
    page.fact("plan", "one, approved by the owner's key");
    page.fact("set back to what they were", &count(account.set_back));
    page.fact("links and accesses taken away", &count(account.taken_away));
    page.fact("made anew, once", &count(account.made_anew));
    page.fact("left alone", &count(account.left_alone));
    page.times(account.planned_ms, account.applied_ms);
    page.section("Compared file by file");
    page.fact("the owner's later work", &format!("{} files, kept", account.later_work_kept));
    for (label, left) in [
        ("links that the intruder left", account.links_left),
        ("outsiders who still see something", account.outsiders_left),
        ("files not as they must be", account.files_wrong),
    ] {
        page.judged(label, &left.to_string(), left == 0);
    }
    for line in &account.first_wrong {
        page.line(line);
    }
    page.into_text()
}
