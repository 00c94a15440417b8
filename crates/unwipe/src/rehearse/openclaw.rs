//! The incident of February 2026: an agent that was told not to act empties an inbox, and does not hear that it should stop.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use google_tenant::{Size, scopes};
use model::{Severity, Verb};
use serde::Serialize;
use serde_json::json;
use source_google::{Part, gmail::mailbox_stream};
use tenants::agent::{
    Step,
    openclaw::{self as script, Cleaning, MailCall, OpenClawOptions},
};

use super::{
    account::Page,
    app::{Access, Refused},
    letters::{self, Letters, differences, expected, letters, path, work_on},
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

const INBOX: &str = "INBOX";

/// The result, as `--json` prints it.
#[derive(Serialize)]
struct Account {
    incident: &'static str,
    simulated: [&'static str; 2],
    mailbox: String,
    messages_before: usize,
    inbox_before: usize,
    agent: Vec<Step>,
    trashed: usize,
    archived: usize,
    deleted_for_good: usize,
    inbox_after_agent: usize,
    found: Option<Found>,
    attributed: Attributed,
    plan: String,
    planned_duration_s: Option<u64>,
    set_back: u64,
    put_in_again: u64,
    left_alone: u64,
    planned_ms: u64,
    applied_ms: u64,
    later_work_kept: usize,
    messages_wrong: usize,
    first_wrong: Vec<String>,
}

pub(crate) fn run(outer: &Context, options: &Rehearse) -> Result<Exit, Failure> {
    let size = Size { users: 5, messages: options.messages, ..Size::default() };
    let parts = [Part::Directory, Part::Gmail, Part::Audit];
    let workspace = Workspace::build(outer, options.keep, size, options.seed, &parts)?;
    let mailbox = workspace.person()?;
    let stream =
        mailbox_stream(&mailbox).map_err(|error| Failure::because(Exit::Failed, "no stream", error))?;
    outer.output.say("capturing everybody's mail, then following it");
    let capturing = workspace.start_capture()?;
    let witness = Access::grant(&workspace, &mailbox, "Witness", &[scopes::MAIL])?;
    let await_captured = |what| letters::await_captured(&workspace, &capturing, &witness, &mailbox, what);
    await_captured("the first capture")?;
    let before = letters(&workspace, &mailbox);
    let calm = workspace.newest()?;

    outer.output.say(format!("an agent is let into {mailbox} to triage mail, and told not to act"));
    let done = Arc::new(AtomicUsize::new(0));
    let watch = Watch::begin(&workspace, Arc::clone(&done), Severity::Destructive)?;
    let agent = Access::grant(&workspace, &mailbox, "OpenClaw", &[scopes::MAIL])?;
    let cleaning = unleash(&workspace, &agent, &mailbox, &done);
    let found = watch.end(&workspace, &capturing)?;
    await_captured("the agent's work to be captured")?;
    let after = workspace.newest()?;
    let after_agent = letters(&workspace, &mailbox);
    // The log has a row for each call.
    let acts = BTreeMap::from([(Verb::Trash, cleaning.trashed as u64), (Verb::Delete, 1)]);
    let attributed = Attributed::wait(&workspace, &capturing, &agent.client_id, &acts)?;

    outer.output.say("its owner goes on working: mail comes, is starred, is deleted");
    let later = work_on(&workspace, &mailbox)?;
    await_captured("the owner's work to be captured")?;
    capturing.end()?;
    let expected = expected(&before, &after_agent, &letters(&workspace, &mailbox));

    outer.output.say("planning the undo of what the agent did, and of nothing else");
    let account = StoredAccount { part: Part::Gmail, account: mailbox.clone(), stream };
    let undone = workspace.undo(account, Span { before: calm, after }, "openclaw")?;
    let Undone { plan, report, .. } = &undone;

    let now = letters(&workspace, &mailbox);
    let wrong = differences(&expected, &now);
    let account = Account {
        incident: "openclaw",
        simulated: ["Google Workspace", "the agent"],
        messages_before: before.len(),
        inbox_before: in_inbox(&before),
        agent: cleaning.steps,
        trashed: cleaning.trashed,
        archived: cleaning.archived,
        deleted_for_good: cleaning.deleted,
        inbox_after_agent: in_inbox(&after_agent),
        found,
        attributed,
        plan: plan.hash()?.to_string(),
        planned_duration_s: plan.duration_s,
        set_back: report.counts.reverted,
        put_in_again: report.counts.inserted,
        left_alone: report.counts.conflicts + plan.counts.conflicts,
        planned_ms: undone.planned_ms,
        applied_ms: undone.applied_ms,
        later_work_kept: later,
        messages_wrong: wrong.len(),
        first_wrong: wrong.into_iter().take(10).collect(),
        mailbox,
    };
    outer.output.result(&account, || text(outer, &account))?;
    let good = account.messages_wrong == 0 && account.found.is_some();
    Ok(if good { Exit::Done } else { Exit::Failed })
}

/// Carries out one call of the agent.
fn carry_out(access: &Access<'_>, call: &MailCall) -> Result<(), Refused> {
    match call {
        MailCall::Trash(id) => access.post(&path(&format!("messages/{id}/trash")), &json!({})),
        MailCall::Archive(ids) => {
            access.post(&path("messages/batchModify"), &json!({ "ids": ids, "removeLabelIds": [INBOX] }))
        }
        MailCall::Delete(ids) => access.post(&path("messages/batchDelete"), &json!({ "ids": ids })),
    }
    .map(drop)
}

/// Lets the agent loose on the inbox.
fn unleash(workspace: &Workspace, agent: &Access<'_>, mailbox: &str, done: &AtomicUsize) -> Cleaning {
    let mut inbox = Vec::new();
    workspace.running.with_tenant(|tenant| {
        tenant.each_letter(mailbox, |letter| {
            if letter.labels.iter().any(|label| &**label == INBOX) {
                inbox.push(letter.id);
            }
        });
    });
    let clock = workspace.context.clock();
    let options = OpenClawOptions {
        archived: inbox.len() / 5,
        deleted: inbox.len() / 10,
        ..OpenClawOptions::default()
    };
    script::play(&*clock, options, &inbox, |call| {
        let result = carry_out(agent, call);
        if result.is_ok() {
            let messages = match call {
                MailCall::Trash(_) => 1,
                MailCall::Archive(ids) | MailCall::Delete(ids) => ids.len(),
            };
            done.fetch_add(messages, Ordering::SeqCst);
        }
        result
    })
}

fn in_inbox(letters: &Letters) -> usize {
    letters.values().filter(|letter| letter.labels.contains(INBOX)).count()
}

fn text(context: &Context, account: &Account) -> String {
    let mut page =
        Page::new(context.output, "rehearsal: openclaw (a scripted agent, a simulated Google Workspace)");
    page.section("What the agent did");
    page.fact(
        "inbox before",
        &format!("{} of {} messages", count_of(account.inbox_before), count_of(account.messages_before)),
    );
    page.steps(&account.agent);
    page.fact("inbox afterwards", &format!("{} messages", count_of(account.inbox_after_agent)));
    page.section("What the mailbox's history says");
    show_found(account.found.as_ref(), &mut page);
    page.section("What the audit log says");
    account.attributed.show(&mut page);
    page.section("What was undone");
    page.fact("plan", "one, approved by the owner's key, applied by an account that cannot delete for good");
    page.fact("set back to where they were", &count(account.set_back));
    page.fact("put in again, once", &count(account.put_in_again));
    page.fact("left alone", &count(account.left_alone));
    page.times(account.planned_ms, account.applied_ms);
    page.section("Compared message by message");
    page.fact("the owner's later work", &format!("{} messages, kept", account.later_work_kept));
    let wrong = account.messages_wrong;
    page.judged("messages not as they must be", &wrong.to_string(), wrong == 0);
    for line in &account.first_wrong {
        page.line(line);
    }
    page.into_text()
}

fn count_of(number: usize) -> String {
    count(number as u64)
}
