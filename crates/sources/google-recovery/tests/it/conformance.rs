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
use google_recovery::mail::{Heading, MailRequest, MailWriter, plan_mail};
use model::{Moment, Redacted};
use ports::SeededRandom;
use source_google::gmail::{MailboxPosition, mailbox_stream};

use crate::subjects::mail::MailSubject;

/// A writer with the identity that it acts with.
struct Writer<'a> {
    api: WriteApi,
    past: &'a dyn StoredHistory,
    journal: PathBuf,
    threads: usize,
}

impl Writer<'_> {
    fn writer(&self) -> MailWriter<'_> {
        MailWriter::new(&self.api, self.past, &self.journal, self.threads)
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
        let mailbox = self.first_user().to_owned();
        let positions = undo.held.iter().filter(|((stream, _), _)| stream.as_str() == "position");
        let history = positions
            .filter_map(|(_, item)| serde_json::from_str::<MailboxPosition>(&item.attributes).ok())
            .find(|position| position.mailbox == mailbox)
            .unwrap()
            .history;
        let request = MailRequest {
            stream: mailbox_stream(&mailbox).unwrap(),
            mailbox,
            before: (undo.before, Moment::from_micros(0)),
            after: (undo.after, Moment::from_micros(1)),
            now: undo.after,
            history,
            threads: conditions.threads as u32,
        };
        let heading = Heading {
            id: "conformance".to_owned(),
            source: "acme".to_owned(),
            made_at: Moment::from_micros(2),
        };
        plan_mail(undo.past, &request, &heading, folder, &self.shared.api(conditions.paced)).unwrap()
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
