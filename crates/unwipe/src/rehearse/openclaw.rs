//! The incident of February 2026: an agent that was told not to act empties an inbox, and does not hear that it should stop.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use catalog::{Catalog, EventFilter};
use connect::{
    Stop,
    plan::{AppliedReport, ApplyMode, Plan, PlanFolder, SourceWriter},
};
use connect_http::{ANSWER_BYTES_MAX, HttpSettings, HttpTransport, Request, Transport as _};
use google_recovery::{Destination, GoogleWriter, Selection};
use google_tenant::{App, Size, scopes};
use model::{Event, Redacted, Severity};
use serde::Serialize;
use serde_json::{Value, json};
use service::{approval::Approval, signature::SigningKey};
use source_google::{
    Part,
    gmail::{MailboxPosition, TRASH, mailbox_stream, mailbox_unit},
};
use tenants::agent::{
    Step,
    openclaw::{self as script, Cleaning, MailCall, OpenClawOptions},
};

use super::{
    account::{Page, duration},
    stage::Capturing,
    workspace::{SOURCE, Workspace},
};
use crate::{
    arguments::{Reading, Rehearse},
    commands::google::{Back, Span, StoredAccount, plan_account},
    connectors::google,
    context::{Context, environment},
    exit::Exit,
    failure::Failure,
    output::count,
};

const INBOX: &str = "INBOX";
/// More than a rehearsal has.
const POSITIONS_MAX: u32 = 1000;
const POLL: Duration = Duration::from_millis(100);

/// A message as it really is: the names of its labels, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Letter {
    labels: BTreeSet<String>,
    text: Vec<u8>,
}

/// Every message of a mailbox, by its id.
type Letters = BTreeMap<String, Letter>;

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

#[derive(Serialize)]
struct Found {
    effects: String,
    after_messages: usize,
    after_ms: u64,
}

pub(crate) fn run(outer: &Context, options: &Rehearse) -> Result<Exit, Failure> {
    let size = Size { users: 5, messages: options.messages, ..Size::default() };
    let workspace =
        Workspace::build(outer, options.keep, size, options.seed, &[Part::Directory, Part::Gmail])?;
    let mailbox = workspace.person()?;
    let stream =
        mailbox_stream(&mailbox).map_err(|error| Failure::because(Exit::Failed, "no stream", error))?;
    outer.output.say("capturing everybody's mail, then following it");
    let capturing = workspace.start_capture()?;
    workspace.wait("the first capture", &capturing, || is_captured(&workspace, &mailbox))?;
    let before = letters(&workspace, &mailbox);
    let calm = newest(&workspace)?;

    outer.output.say(format!("an agent is let into {mailbox} to triage mail, and told not to act"));
    let done = Arc::new(AtomicUsize::new(0));
    let watch = Watch::begin(&workspace, Arc::clone(&done))?;
    let cleaning = unleash(&workspace, &mailbox, &done)?;
    let found = watch.end(&workspace, &capturing)?;
    workspace.wait("the agent's work to be captured", &capturing, || is_captured(&workspace, &mailbox))?;
    let after = newest(&workspace)?;
    let after_agent = letters(&workspace, &mailbox);

    outer.output.say("its owner goes on working: mail comes, is starred, is deleted");
    let later = work_on(&workspace, &mailbox)?;
    workspace.wait("the owner's work to be captured", &capturing, || is_captured(&workspace, &mailbox))?;
    capturing.end()?;
    let expected = expected(&before, &after_agent, &letters(&workspace, &mailbox));

    outer.output.say("planning the undo of what the agent did, and of nothing else");
    let clock = outer.clock();
    let begun = clock.elapsed();
    let (plan, folder) = make_plan(
        &workspace,
        StoredAccount { part: Part::Gmail, account: mailbox.clone(), stream },
        calm,
        after,
    )?;
    let planned = clock.elapsed();
    let report = apply(&workspace, &plan, &folder)?;
    let applied = clock.elapsed();

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
        plan: plan.hash()?.to_string(),
        planned_duration_s: plan.duration_s,
        set_back: report.counts.reverted,
        put_in_again: report.counts.inserted,
        left_alone: report.counts.conflicts + plan.counts.conflicts,
        planned_ms: planned.saturating_sub(begun).as_millis() as u64,
        applied_ms: applied.saturating_sub(planned).as_millis() as u64,
        later_work_kept: later,
        messages_wrong: wrong.len(),
        first_wrong: wrong.into_iter().take(10).collect(),
        mailbox,
    };
    outer.output.result(&account, || text(outer, &account))?;
    let good = account.messages_wrong == 0 && account.found.is_some();
    Ok(if good { Exit::Done } else { Exit::Failed })
}

/// A program's access to one mailbox.
struct Access<'w> {
    workspace: &'w Workspace,
    transport: HttpTransport,
    token: Redacted<String>,
}

impl<'w> Access<'w> {
    /// Lets a program in, as its user does with one click.
    fn grant(workspace: &'w Workspace, mailbox: &str, name: &str) -> Result<Self, Failure> {
        let app = App {
            client_id: format!("881203355011-{}.apps.googleusercontent.com", name.to_lowercase()),
            client_secret: workspace.context.random_text::<12>(),
            display_text: name.to_owned(),
            native: true,
        };
        let token = workspace.running.with_tenant(|tenant| {
            let grant = tenant.authorize(mailbox, &app, &[scopes::MAIL])?;
            tenant.access_token(&grant)
        });
        let token = token.ok_or_else(|| Failure::new(Exit::Failed, "the domain lets no program in"))?;
        let transport = HttpTransport::new(HttpSettings::default()).map_err(|error| {
            Failure::because(Exit::Failed, "the simulated domain cannot be spoken to", error)
        })?;
        Ok(Self { workspace, transport, token: Redacted::new(token) })
    }

    fn send(&self, request: Request) -> Result<Value, Refused> {
        let request = request.bearer(&self.token).map_err(|error| Refused(error.to_string()))?;
        let response = self.transport.send(&request).map_err(|error| Refused(error.to_string()))?;
        let status = response.status;
        let body = response.body.bytes(ANSWER_BYTES_MAX).map_err(|error| Refused(error.to_string()))?;
        if status.is_success() {
            return Ok(serde_json::from_slice(&body).unwrap_or_default());
        }
        Err(Refused(format!("{status}")))
    }

    fn url(&self, path: &str) -> String {
        format!("{}/gmail/v1/users/me/{path}", self.workspace.running.url())
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value, Refused> {
        let request = Request::post(self.url(path)).json(body).map_err(|error| Refused(error.to_string()))?;
        self.send(request)
    }

    fn call(&self, call: &MailCall) -> Result<(), Refused> {
        match call {
            MailCall::Trash(id) => self.post(&format!("messages/{id}/trash"), &json!({})),
            MailCall::Archive(ids) => {
                self.post("messages/batchModify", &json!({ "ids": ids, "removeLabelIds": [INBOX] }))
            }
            MailCall::Delete(ids) => self.post("messages/batchDelete", &json!({ "ids": ids })),
        }
        .map(drop)
    }
}

/// A call that the domain did not carry out.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::because(Exit::Failed, "the simulated domain refused", refused)
    }
}

/// Lets the agent loose on the inbox.
fn unleash(workspace: &Workspace, mailbox: &str, done: &AtomicUsize) -> Result<Cleaning, Failure> {
    let access = Access::grant(workspace, mailbox, "OpenClaw")?;
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
    Ok(script::play(&*clock, options, &inbox, |call| {
        let result = access.call(call);
        if result.is_ok() {
            let messages = match call {
                MailCall::Trash(_) => 1,
                MailCall::Archive(ids) | MailCall::Delete(ids) => ids.len(),
            };
            done.fetch_add(messages, Ordering::SeqCst);
        }
        result
    }))
}

/// Looks at what unwipe knows while the agent works, and notes when it first stands out.
struct Watch {
    stop: Stop,
    thread: std::thread::JoinHandle<Result<Option<Found>, Failure>>,
}

impl Watch {
    fn begin(workspace: &Workspace, done: Arc<AtomicUsize>) -> Result<Self, Failure> {
        let stop = Stop::default();
        let context = workspace.context.elsewhere(workspace.context.home.clone());
        let (source, its_stop) = (workspace.source.clone(), stop.clone());
        let thread = std::thread::Builder::new().name("watch".to_owned()).spawn(move || {
            let clock = context.clock();
            let installation = context.installation()?;
            let mut begun = None;
            loop {
                let messages = done.load(Ordering::SeqCst);
                if messages > 0 && begun.is_none() {
                    begun = Some(clock.elapsed());
                }
                let filter =
                    EventFilter { from: None, until: None, severity: Severity::Destructive, limit: 10 };
                let events = installation.catalog(&source)?.events(filter)?;
                if let (Some(event), Some(begun)) = (events.last(), begun) {
                    let after = clock.elapsed().saturating_sub(begun);
                    return Ok(Some(found(event, messages, after)));
                }
                if its_stop.is_requested() {
                    return Ok(None);
                }
                clock.sleep(POLL);
            }
        })?;
        Ok(Self { stop, thread })
    }

    /// Waits for what it found; a wipe that ended before the next look is found by that.
    fn end(self, workspace: &Workspace, capturing: &Capturing) -> Result<Option<Found>, Failure> {
        let waited = workspace.wait("the wipe to stand out", capturing, || Ok(self.thread.is_finished()));
        self.stop.request();
        let found =
            self.thread.join().map_err(|_| Failure::new(Exit::Failed, "the watching thread died"))??;
        waited.map(|()| found)
    }
}

fn found(event: &Event, messages: usize, after: Duration) -> Found {
    let effects = event.effects.iter().map(|e| format!("{} {} in {}", e.verb, count(e.count), e.target));
    Found {
        effects: effects.collect::<Vec<_>>().join(", "),
        after_messages: messages,
        after_ms: after.as_millis() as u64,
    }
}

/// Tells whether everything that happened in the mailbox is in the vault.
fn is_captured(workspace: &Workspace, mailbox: &str) -> Result<bool, Failure> {
    let access = Access::grant(workspace, mailbox, "Witness")?;
    let profile = access.send(Request::get(access.url("profile")))?;
    let catalog = workspace.context.installation()?.catalog(&workspace.source)?;
    let known = known_history(&catalog, mailbox)?;
    Ok(known.is_some() && known.as_deref() == profile["historyId"].as_str())
}

/// Returns the id in the mailbox's history up to which it is in the vault.
fn known_history(catalog: &Catalog, email: &str) -> Result<Option<String>, Failure> {
    let positions = connect::units::positions_stream()
        .map_err(|error| Failure::because(Exit::Failed, "no such stream", error))?;
    let listed = catalog.listed_at(&positions, u64::MAX, None, POSITIONS_MAX)?;
    let of_mailbox = listed.iter().filter(|(item, _)| item.key.starts_with(&mailbox_unit("")));
    let positions =
        of_mailbox.filter_map(|(item, _)| serde_json::from_str::<MailboxPosition>(&item.attributes).ok());
    let known = positions.filter(|position| position.mailbox == email && position.listed);
    Ok(known.map(|position| position.history).next())
}

fn newest(workspace: &Workspace) -> Result<u64, Failure> {
    Ok(workspace.context.installation()?.catalog(&workspace.source)?.last_sequence()?)
}

/// The owner's own work after the agent; all of it must stay. Returns how many messages it concerns.
fn work_on(workspace: &Workspace, mailbox: &str) -> Result<usize, Failure> {
    let access = Access::grant(workspace, mailbox, "Owner")?;
    let (mut trash, mut others) = (Vec::new(), Vec::new());
    workspace.running.with_tenant(|tenant| {
        for number in 0..5 {
            let text = format!("From: partner@example.org\r\nSubject: Later {number}\r\n\r\nLater work.\r\n");
            tenant.deliver(mailbox, text.as_bytes());
        }
        tenant.each_letter(mailbox, |letter| {
            let in_trash = letter.labels.iter().any(|label| &**label == TRASH);
            if in_trash { trash.push(letter.id) } else { others.push(letter.id) }
        });
    });
    // Some of what the agent trashed is put back by hand, some is starred where it lies; a few others go for good.
    let (by_hand, starred) = (trash.len().min(3), trash.len().min(7));
    for id in &trash[..by_hand] {
        access.post(&format!("messages/{id}/untrash"), &json!({}))?;
    }
    let ids = &trash[by_hand..starred];
    access.post("messages/batchModify", &json!({ "ids": ids, "addLabelIds": ["STARRED"] }))?;
    let purged = &others[others.len().saturating_sub(2)..];
    access.post("messages/batchDelete", &json!({ "ids": purged }))?;
    Ok(5 + starred + purged.len())
}

/// Reads a whole mailbox behind the API's back.
fn letters(workspace: &Workspace, mailbox: &str) -> Letters {
    let mut letters = Letters::new();
    workspace.running.with_tenant(|tenant| {
        tenant.each_letter(mailbox, |letter| {
            let labels = letter.labels.into_iter().collect();
            letters.insert(letter.id, Letter { labels, text: letter.raw.to_vec() });
        });
    });
    letters
}

fn in_inbox(letters: &Letters) -> usize {
    letters.values().filter(|letter| letter.labels.contains(INBOX)).count()
}

/// What the mailbox must hold in the end: what it held before the agent, and what its owner did after it.
fn expected(before: &Letters, after_agent: &Letters, after_owner: &Letters) -> Letters {
    let mut expected = after_owner.clone();
    for (id, was) in before {
        match (after_agent.get(id), after_owner.get(id)) {
            (None, _) => drop(expected.insert(id.clone(), was.clone())),
            (Some(agent), Some(owner)) => {
                let all = was.labels.iter().chain(&agent.labels).chain(&owner.labels);
                let has = |letter: &Letter, label: &String| letter.labels.contains(label);
                let stays = |label: &&String| {
                    let (agents, owners) = (has(agent, label), has(owner, label));
                    if owners == agents { has(was, label) } else { owners }
                };
                let labels = all.filter(stays).cloned().collect();
                expected.insert(id.clone(), Letter { labels, text: was.text.clone() });
            }
            (Some(_), None) => {}
        }
    }
    expected
}

/// Compares two mailboxes: by ids where these are the same, and by texts where messages were put in again.
fn differences(expected: &Letters, found: &Letters) -> Vec<String> {
    let mut anew: BTreeMap<&[u8], Vec<&Letter>> = BTreeMap::new();
    for letter in found.iter().filter(|(id, _)| !expected.contains_key(*id)).map(|(_, letter)| letter) {
        anew.entry(&letter.text).or_default().push(letter);
    }
    let mut wrong = Vec::new();
    for (id, letter) in expected {
        let other = match found.get(id) {
            Some(found) => Some(found),
            None => anew.get_mut(&letter.text[..]).and_then(Vec::pop),
        };
        match other {
            None => wrong.push(format!("{id} is missing")),
            Some(other) if other != letter => {
                wrong.push(format!("{id} has the labels {:?}, not {:?}", other.labels, letter.labels));
            }
            Some(_) => {}
        }
    }
    let more: usize = anew.values().map(Vec::len).sum();
    if more > 0 {
        wrong.push(format!("{more} messages must not be there"));
    }
    wrong
}

fn make_plan(
    workspace: &Workspace,
    account: StoredAccount,
    before: u64,
    after: u64,
) -> Result<(Plan, PlanFolder), Failure> {
    let installation = workspace.context.installation()?;
    let reading = Reading { key: None };
    let domain = google::open(&workspace.context, &installation, SOURCE, &reading)?
        .ok_or_else(|| Failure::new(Exit::Failed, "the rehearsal's source is no domain"))?;
    let folder = workspace.context.home.join("plans/openclaw");
    ports::files::create_folder(&folder)?;
    let folder = PlanFolder::new(folder);
    let back = Back {
        account,
        span: Span { before, after },
        destination: Destination::InPlace,
        selection: Selection::default(),
    };
    let plan = plan_account(&workspace.context, &domain, &domain.stored, back, &folder)?;
    folder.write(&plan)?;
    Ok((plan, folder))
}

/// Approves the plan with the owner's key, applies it with the account that may write, and reads back that it holds.
fn apply(workspace: &Workspace, plan: &Plan, folder: &PlanFolder) -> Result<AppliedReport, Failure> {
    let context = &workspace.context;
    let key = SigningKey::read_or_create(&workspace.folder.join("owner.key"), &*context.ports.random)?;
    let approvers = BTreeMap::from([("owner".to_owned(), key.public())]);
    let hash = plan.hash()?;
    Approval::sign(&key, hash, context.clock().now()).write(folder.path())?;
    service::approval::approvers_of(hash, folder.path(), &approvers)?;
    let installation = context.installation()?;
    let domain = google::open(context, &installation, SOURCE, &Reading { key: None })?
        .ok_or_else(|| Failure::new(Exit::Failed, "the rehearsal's source is no domain"))?;
    let secrets = service::Secrets::new(&context.home, &environment);
    let credential = format!("file:{}", workspace.key_file(1)?.display());
    let api = domain.config.writer(context, &secrets, &credential, &Stop::default())?;
    let journal = folder.path().join("applied.jsonl");
    let mut writer = GoogleWriter::new(&api, &domain.stored, journal, domain.config.threads);
    let refused = crate::commands::apply::refused;
    let report = writer.apply(plan, folder, ApplyMode::Lasting, &connect::Silent).map_err(refused)?;
    let verification = writer.verify(plan, folder, &connect::Silent).map_err(refused)?;
    if verification.is_good() {
        Ok(report)
    } else {
        Err(Failure::new(Exit::Failed, "what was applied does not verify"))
    }
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
    match &account.found {
        Some(found) => {
            let after = duration(Duration::from_millis(found.after_ms));
            page.judged(
                "found",
                &format!(
                    "{after} after its first call, {} messages in: {}",
                    found.after_messages, found.effects
                ),
                true,
            );
        }
        None => page.judged("found", "no", false),
    }
    page.section("What was undone");
    page.fact("plan", "one, approved by the owner's key, applied by an account that cannot delete for good");
    page.fact("set back to where they were", &count(account.set_back));
    page.fact("put in again, once", &count(account.put_in_again));
    page.fact("left alone", &count(account.left_alone));
    let millis = |ms: u64| duration(Duration::from_millis(ms));
    page.fact(
        "time",
        &format!(
            "{} to plan, {} to apply and verify",
            millis(account.planned_ms),
            millis(account.applied_ms)
        ),
    );
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
