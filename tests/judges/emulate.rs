//! `emulate`, a server that others wrote without knowing us, read with our reader and written with our writer.
//!
//! It has mail, labels, history and some settings; a drive without a feed; calendars without tokens. It has no service
//! accounts, no directory, no profile, no batches and no uploads of parts; what it lacks must be told, and never be taken
//! for an empty mailbox, an empty drive or an empty calendar.

mod calendar;
mod drive;
mod server;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use connect::{
    ReadEnd, ReadError, Silent, SourceReader, Stop,
    plan::{AppliedReport, ApplyMode, Plan, PlanFolder, SourceWriter as _, Verification, WriteError},
    testing::{MemoryHistory, MemorySink},
};
use connect_http::Transport;
use google_api::{ApiParts, ApiSettings, ServiceAccountKey, ServiceAccountTokens, WriteApi};
use google_recovery::{
    Destination, GoogleWriter, Heading, Planner, PlanningError, Request, Selection, Window,
};
use model::{Moment, Redacted, StreamName, UnreadableReason};
use ports::{ManualClock, SeededRandom};
use serde_json::{Value, json};
use source_google::{
    GoogleReader, GoogleSettings, Part,
    audit::AuditSettings,
    gmail::{MessageAttributes, mailbox_stream},
};

use self::server::{Bridge, Emulate, Help, USER};
use crate::domain::key_of_nobody;

const ALL: [Help; 4] = [Help::Tokens, Help::Users, Help::Profiles, Help::Batches];
/// What of a mailbox's settings it does not have.
const NO_SETTINGS: [&str; 6] = ["autoForwarding", "delegates", "imap", "language", "pop", "vacation"];

struct Stage {
    emulate: Emulate,
    part: Part,
    key: String,
    sink: MemorySink,
    history: MemoryHistory,
    /// How many messages were asked for so far.
    asked: Arc<AtomicUsize>,
    folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        Self::of(Emulate::start(&letters()), Part::Gmail)
    }

    fn of(emulate: Emulate, part: Part) -> Self {
        let mut key: Value = serde_json::from_str(&key_of_nobody()).unwrap();
        key["token_uri"] = format!("{}/token", emulate.url).into();
        Self {
            emulate,
            part,
            key: key.to_string(),
            sink: MemorySink::new(),
            history: MemoryHistory::default(),
            asked: Arc::default(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn key(&self) -> ServiceAccountKey {
        ServiceAccountKey::of_json(&Redacted::new(self.key.clone())).unwrap()
    }

    fn settings(&self) -> ApiSettings {
        // A server that runs here needs no quota.
        ApiSettings {
            address: Some(self.emulate.url.clone()),
            pools: connect_http::Pools::default(),
            ..ApiSettings::default()
        }
    }

    fn read(&mut self, help: &[Help]) -> Result<ReadEnd, ReadError> {
        let settings = GoogleSettings {
            admin: USER.to_owned(),
            parts: [self.part].into(),
            users: BTreeSet::new(),
            api: self.settings(),
            audit: AuditSettings::default(),
            threads: 2,
            clock: clock(),
            random: Arc::new(SeededRandom::new(7)),
        };
        let bridge = Arc::new(Bridge::new(&self.emulate, help, &self.asked));
        let mut reader = GoogleReader::new(self.key(), bridge, settings, Arc::new(Silent));
        let cursor = self.sink.cursor();
        reader.changes(cursor.as_ref(), &mut self.sink, &Stop::default())
    }

    fn capture(&mut self) -> u64 {
        self.capture_with(&ALL)
    }

    fn capture_with(&mut self, help: &[Help]) -> u64 {
        assert_eq!(self.read(help).unwrap(), ReadEnd::UpToDate);
        self.history.push(&self.sink.held)
    }

    /// Returns why a unit was not read.
    #[track_caller]
    fn blinded(&self, unit: &str) -> UnreadableReason {
        let blinded = self.sink.stream("blinded");
        let told = blinded.get(unit).unwrap_or_else(|| panic!("{unit} is not told: {:?}", blinded.keys()));
        assert!(self.sink.commits.iter().any(|commit| commit.ledger.unreadable > 0), "no commit tells it");
        told.content.clone().unwrap_err()
    }

    /// Compares what is held with what the server shows: every message byte for byte, with its labels.
    #[track_caller]
    fn assert_held(&self) {
        let stream = self.sink.stream(&format!("gmail/{USER}"));
        let mut held: Vec<(String, Vec<String>, Vec<u8>)> = stream
            .iter()
            .filter_map(|(key, item)| {
                let id = key.strip_prefix("message/")?;
                let attributes = MessageAttributes::of_text(&item.attributes).unwrap();
                Some((id.to_owned(), attributes.labels, item.content.clone().ok()?))
            })
            .collect();
        held.sort_unstable();
        assert!(held == self.emulate.messages(), "what is held is not what is there");
    }

    fn plan(&self, before: u64, now: u64) -> (Plan, PlanFolder) {
        self.plan_with(mailbox_stream(USER).unwrap(), before, now, |planner, request| planner.mail(&request))
    }

    fn plan_with(
        &self,
        stream: StreamName,
        before: u64,
        now: u64,
        decide: impl FnOnce(&mut Planner<'_>, Request) -> Result<(), PlanningError>,
    ) -> (Plan, PlanFolder) {
        let folder = PlanFolder::new(self.folder.path().join("plan"));
        let request = Request {
            account: USER.to_owned(),
            stream,
            window: Window {
                before: (before, Moment::from_micros(0)),
                after: (now, Moment::from_micros(1)),
                now,
            },
            destination: Destination::InPlace,
            selection: Selection::default(),
        };
        let heading =
            Heading { id: "test".to_owned(), source: "acme".to_owned(), made_at: Moment::from_micros(2) };
        let settings = self.settings();
        let mut planner = Planner::new(&self.history, &folder, &settings, 2);
        decide(&mut planner, request).unwrap();
        let plan = planner.finish(&heading).unwrap();
        folder.write(&plan).unwrap();
        (plan, folder)
    }

    /// Applies a plan and reads back what came of it.
    fn apply(&self, plan: &Plan, folder: &PlanFolder) -> (Result<AppliedReport, WriteError>, Verification) {
        let api = self.api();
        let mut writer = GoogleWriter::new(&api, &self.history, folder.path().join("applied.jsonl"), 2);
        let applied = writer.apply(plan, folder, ApplyMode::Lasting, &Silent);
        (applied, writer.verify(plan, folder, &Silent).unwrap())
    }

    fn api(&self) -> WriteApi {
        let key = self.key();
        let client_id = key.client_id.clone();
        let transport: Arc<dyn Transport> = Arc::new(Bridge::new(&self.emulate, &ALL, &self.asked));
        let tokens = ServiceAccountTokens::cached(key, Arc::clone(&transport), clock());
        let parts = ApiParts {
            transport,
            tokens,
            client_id,
            clock: clock(),
            random: Arc::new(SeededRandom::new(3)),
            stop: Stop::default(),
        };
        WriteApi::new(parts, self.settings())
    }
}

fn clock() -> Arc<dyn ports::Clock> {
    Arc::new(ManualClock::new(Moment::from_micros(1_772_409_600_000_000)))
}

/// Messages of all kinds; the last one is too large to be put in within a JSON document.
fn letters() -> Vec<(String, Vec<&'static str>, Vec<u8>)> {
    let head = |number: usize| {
        format!(
            "From: a@b.test\r\nTo: {USER}\r\nSubject: number {number}\r\nMessage-ID: <{number}@b.test>\r\n\
             Date: Mon, 02 Mar 2026 10:00:{number:02} +0000\r\n\r\n"
        )
    };
    let labels =
        [vec!["INBOX", "UNREAD"], vec!["INBOX", "Label_kept"], vec!["SENT"], vec!["SPAM"], vec!["TRASH"]];
    let mut letters: Vec<_> = (0..25)
        .map(|number| {
            let mut text = head(number).into_bytes();
            text.extend((0..=u8::MAX).cycle().take(40 * number));
            (format!("m{number:02}"), labels[number % labels.len()].clone(), text)
        })
        .collect();
    let large = head(25) + &"a line of a very long letter\r\n".repeat(50_000);
    letters.push(("m25".to_owned(), vec!["INBOX"], large.into_bytes()));
    letters
}

fn refused(read: Result<ReadEnd, ReadError>) -> (String, bool) {
    match read.unwrap_err() {
        ReadError::Source { message, transient, .. } => (message, transient),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_without_service_accounts_or_a_directory_is_an_error_and_no_empty_domain() {
    let mut stage = Stage::new();
    for help in [&[][..], &[Help::Tokens]] {
        let (message, transient) = refused(stage.read(help));
        assert!(!transient, "{message}: asking again would help");
        assert!(
            !message.is_empty() && stage.sink.held.is_empty() && stage.sink.commits.is_empty(),
            "{message}"
        );
        assert!(message.contains("users cannot be listed"), "{message}");
    }
}

#[test]
fn a_mailbox_without_profile_or_batches_is_blinded_and_no_empty_mailbox() {
    for help in [&ALL[..2], &ALL[..3]] {
        let mut stage = Stage::new();
        stage.read(help).unwrap();
        let blinded = stage.sink.stream("blinded");
        let told = &blinded.get("gmail/1").expect("the mailbox is told to be blinded").content;
        assert!(
            matches!(told, Err(UnreadableReason::Blinded { detail }) if detail.contains("404")),
            "{told:?}"
        );
        let stream = stage.sink.stream(&format!("gmail/{USER}"));
        assert!(!stream.keys().any(|key| key.starts_with("message/")), "{:?}", stream.keys());
        assert!(stage.sink.commits.iter().any(|commit| commit.ledger.unreadable > 0), "no commit tells it");
    }
}

#[test]
fn everything_that_it_has_is_held_and_what_it_has_not_is_told() {
    let mut stage = Stage::new();
    stage.capture();
    stage.assert_held();
    let held = stage.sink.stream(&format!("gmail/{USER}"));
    let unreadable: Vec<&str> =
        held.iter().filter(|(_, item)| item.content.is_err()).map(|(key, _)| *key).collect();
    let lacking: Vec<String> = NO_SETTINGS.iter().map(|name| format!("settings/{name}")).collect();
    assert_eq!(unreadable, lacking);
    for setting in ["filters", "forwardingAddresses", "sendAs"] {
        assert!(held[format!("settings/{setting}").as_str()].content.is_ok(), "{setting}");
    }
    assert!(held.contains_key("label/Label_kept"));
    let told: u64 = stage.sink.commits.iter().map(|commit| commit.ledger.unreadable).sum();
    assert_eq!(told as usize, lacking.len());

    // What happens is followed by its history, whose ids have more than 64 bits.
    let emulate = &stage.emulate;
    emulate.post("messages/m00/trash", &json!({}));
    emulate.post("messages/m04/untrash", &json!({}));
    emulate.post("messages/batchModify", &json!({ "ids": ["m05", "m06"], "addLabelIds": ["STARRED"] }));
    emulate.post("messages/batchDelete", &json!({ "ids": ["m10", "m11", "m12"] }));
    let new = b"From: x@y.test\r\nTo: anna@acme.test\r\nSubject: new\r\n\r\nnew\r\n";
    emulate.post("messages", &json!({ "raw": server::encode(new), "labelIds": ["INBOX"] }));
    let asked = stage.asked.swap(0, Ordering::SeqCst);
    assert_eq!(asked, letters().len(), "each was asked for once");
    stage.capture();
    stage.assert_held();
    assert_eq!(stage.sink.commits.last().unwrap().removed, 3);
    assert_eq!(stage.asked.load(Ordering::SeqCst), 1, "only what is new was asked for");
}

#[test]
fn what_was_destroyed_in_it_comes_back_and_what_it_spoils_is_found() {
    let mut stage = Stage::new();
    let before = stage.capture();
    let was = stage.emulate.messages();
    let (trashed, deleted) = (["m00", "m01", "m05"], ["m06", "m07", "m10", "m25"]);
    for id in trashed {
        stage.emulate.post(&format!("messages/{id}/trash"), &json!({}));
    }
    stage.emulate.post("messages/batchDelete", &json!({ "ids": deleted }));
    let now = stage.capture();
    let (plan, folder) = stage.plan(before, now);
    assert_eq!((plan.counts.reverted, plan.counts.inserted), (3, 4));
    let (report, verified) = stage.apply(&plan, &folder);
    let report = report.unwrap();
    assert_eq!((report.counts.reverted, report.counts.inserted), (3, 4), "{report:#?}");

    // It takes an upload of description and message for the message itself: verification finds that, and only that.
    assert!(!verified.is_good(), "{verified:#?}");
    let differences: Vec<(&str, &str)> = verified
        .checks
        .iter()
        .flat_map(|check| &check.differences)
        .map(|difference| (difference.key.as_str(), difference.reason.as_str()))
        .collect();
    assert_eq!(differences, [("m25", "its text is not the stored one")]);
    let texts = |messages: &[(String, Vec<String>, Vec<u8>)]| -> BTreeSet<(Vec<String>, Vec<u8>)> {
        messages
            .iter()
            .filter(|(_, _, text)| text.len() < 1 << 20)
            .map(|(_, labels, text)| (labels.clone(), text.clone()))
            .collect()
    };
    assert!(texts(&stage.emulate.messages()) == texts(&was), "all but the spoilt one are as they were");
}
