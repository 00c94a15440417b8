//! Restores of mail, held against the rules of `docs/reference/connector-rules.md`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use connect::{
    Progress, Stop, StoredHistory,
    plan::{AppliedReport, ApplyMode, Attachments, Plan, PlanFolder, SourceWriter, Verification, WriteError},
};
use connect_conformance::{Conditions, Furnishing, Never, Place, Restorable, Undo};
use connect_http::TokenCache;
use google_api::{ApiParts, ServiceAccountKey, ServiceAccountTokens, WriteApi};
use google_recovery::{Destination, GoogleWriter, Heading, Planner, Request, Selection, Window};
use model::{Moment, Redacted};
use ports::SeededRandom;
use source_google::gmail::mailbox_stream;

use crate::subjects::mail::MailSubject;

/// A writer with the identity that it acts with.
struct Writer<'a> {
    api: WriteApi,
    past: &'a dyn StoredHistory,
    journal: PathBuf,
    threads: usize,
}

impl Writer<'_> {
    fn writer(&self) -> GoogleWriter<'_> {
        GoogleWriter::new(&self.api, self.past, &self.journal, self.threads)
    }
}

impl SourceWriter for Writer<'_> {
    fn apply(
        &mut self,
        plan: &Plan,
        attachments: &dyn Attachments,
        mode: ApplyMode,
        progress: &dyn Progress,
    ) -> Result<AppliedReport, WriteError> {
        self.writer().apply(plan, attachments, mode, progress)
    }

    fn verify(
        &mut self,
        plan: &Plan,
        attachments: &dyn Attachments,
        progress: &dyn Progress,
    ) -> Result<Verification, WriteError> {
        self.writer().verify(plan, attachments, progress)
    }
}

fn api(subject: &MailSubject, conditions: &Conditions) -> WriteApi {
    let text = subject.shared.domain.running.with_tenant(|tenant| {
        let email = tenant.service_accounts().nth(1).unwrap().email.clone();
        tenant.key_file(&email).unwrap()
    });
    let key = ServiceAccountKey::of_json(&Redacted::new(text)).unwrap();
    let client_id = key.client_id.clone();
    let clock = Arc::clone(&subject.shared.domain.clock) as Arc<dyn ports::Clock>;
    let source = ServiceAccountTokens::new(key, Arc::clone(&conditions.transport), Arc::clone(&clock));
    let parts = ApiParts {
        transport: Arc::clone(&conditions.transport),
        tokens: Arc::new(TokenCache::new(Arc::new(source), Arc::clone(&clock), Duration::from_mins(5))),
        client_id,
        clock,
        random: Arc::new(SeededRandom::new(3)),
        stop: Stop::default(),
    };
    WriteApi::new(parts, subject.shared.api(conditions.paced))
}

impl Restorable for MailSubject {
    fn plan(&self, undo: &Undo<'_>, folder: &PlanFolder, conditions: &Conditions) -> Plan {
        let account = self.first_user().to_owned();
        let request = Request {
            stream: mailbox_stream(&account).unwrap(),
            account,
            window: Window {
                before: (undo.before, Moment::from_micros(0)),
                after: (undo.after, Moment::from_micros(1)),
                now: undo.after,
            },
            destination: Destination::InPlace,
            selection: Selection::default(),
        };
        let heading = Heading {
            id: "conformance".to_owned(),
            source: "acme".to_owned(),
            made_at: Moment::from_micros(2),
        };
        let settings = self.shared.api(conditions.paced);
        let mut planner = Planner::new(undo.past, folder, &settings, conditions.threads as u32);
        planner.mail(&request).unwrap();
        planner.finish(&heading).unwrap()
    }

    fn writer<'a>(
        &'a self,
        past: &'a dyn StoredHistory,
        conditions: &Conditions,
        beside: &Path,
    ) -> Box<dyn SourceWriter + 'a> {
        let (journal, threads) = (beside.join("applied.jsonl"), conditions.threads);
        Box::new(Writer { api: api(self, conditions), past, journal, threads })
    }

    fn grants(&self) -> Result<Vec<String>, Never> {
        Err(Never("a message has no permissions of its own; those of the mailbox are not restored"))
    }

    fn share(&self, _place: &Place) -> Result<(), Never> {
        Err(Never("a message has no permissions of its own"))
    }

    fn unshare(&self, _place: &Place) -> Result<(), Never> {
        Err(Never("a message has no permissions of its own"))
    }
}

fn start(furnishing: &Furnishing) -> Arc<dyn Restorable> {
    Arc::new(MailSubject::start(furnishing))
}

connect_conformance::restoring_tests!(start);
