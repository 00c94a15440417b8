//! A simulated domain with its past as captures saw it, and plans that are made and applied.

use std::sync::Arc;

use connect::{
    Silent, Stop, StoredHistory as _,
    plan::{AppliedReport, ApplyMode, Plan, PlanFolder, SourceWriter as _, WriteError},
    testing::{MemoryHistory, MemorySink},
};
use connect_http::{HttpSettings, HttpTransport, Transport};
use google_api::{ApiParts, ApiSettings, ServiceAccountKey, ServiceAccountTokens, WriteApi};
use google_recovery::{
    Destination, GoogleWriter, Heading, Planner, PlanningError, Request, Selection, Window,
};
use model::{Moment, Redacted, StreamName};
use ports::SeededRandom;
use source_google::Part;

use crate::domain::Domain;

/// A domain of which one user's things are captured, destroyed and brought back.
pub(crate) struct Stage {
    pub(crate) domain: Domain,
    pub(crate) sink: MemorySink,
    pub(crate) history: MemoryHistory,
    /// Whose things they are.
    pub(crate) user: String,
    /// Somebody else in the domain.
    pub(crate) other: String,
    folder: tempfile::TempDir,
    plans: u32,
}

impl Stage {
    /// Starts a domain and captures it once: commit 1.
    pub(crate) fn new(parts: &[Part]) -> Self {
        Self::of(Domain::start(parts))
    }

    /// Captures a domain once: commit 1.
    pub(crate) fn of(mut domain: Domain) -> Self {
        let users = domain.users();
        let (user, other) = (users[1].clone(), users[2].clone());
        // Reading more would take longer and say no more.
        domain.only = [user.clone()].into();
        let mut stage = Self {
            domain,
            sink: MemorySink::new(),
            history: MemoryHistory::default(),
            user,
            other,
            folder: tempfile::tempdir().unwrap(),
            plans: 0,
        };
        stage.capture();
        stage
    }

    /// Returns the keys that a stream had after a commit.
    pub(crate) fn history_keys(&self, stream: &StreamName, at: u64) -> Vec<String> {
        self.history.live_keys(stream, at, None, u32::MAX).unwrap()
    }

    /// Captures once more, and returns the number of the commit.
    pub(crate) fn capture(&mut self) -> u64 {
        self.domain.capture(&mut self.sink);
        self.history.push(&self.sink.held)
    }

    pub(crate) fn settings(&self) -> ApiSettings {
        ApiSettings { address: Some(self.domain.running.url().to_owned()), ..ApiSettings::default() }
    }

    /// Asks for the undo, in place, of what happened to a stream of the user after one commit and until another.
    pub(crate) fn request(&self, stream: StreamName, before: u64, after: u64, now: u64) -> Request {
        Request {
            account: self.user.clone(),
            stream,
            window: Window {
                before: (before, Moment::from_micros(0)),
                after: (after, Moment::from_micros(1)),
                now,
            },
            destination: Destination::InPlace,
            selection: Selection::default(),
        }
    }

    /// Makes a plan.
    pub(crate) fn plan_with(
        &mut self,
        settings: &ApiSettings,
        decide: impl FnOnce(&mut Planner<'_>) -> Result<(), PlanningError>,
    ) -> (Plan, PlanFolder) {
        self.plans += 1;
        let folder = PlanFolder::new(self.folder.path().join(self.plans.to_string()));
        let heading =
            Heading { id: "test".to_owned(), source: "acme".to_owned(), made_at: Moment::from_micros(2) };
        let mut planner = Planner::new(&self.history, &folder, settings, 4);
        decide(&mut planner).unwrap();
        let plan = planner.finish(&heading).unwrap();
        folder.write(&plan).unwrap();
        (plan, folder)
    }

    pub(crate) fn api(&self) -> WriteApi {
        self.api_with(self.settings())
    }

    pub(crate) fn api_with(&self, settings: ApiSettings) -> WriteApi {
        let text = self.domain.running.with_tenant(|tenant| {
            let email = tenant.service_accounts().nth(1).unwrap().email.clone();
            tenant.key_file(&email).unwrap()
        });
        let key = ServiceAccountKey::of_json(&Redacted::new(text)).unwrap();
        let client_id = key.client_id.clone();
        let transport: Arc<dyn Transport> = Arc::new(HttpTransport::new(HttpSettings::default()).unwrap());
        let clock = Arc::clone(&self.domain.clock) as Arc<dyn ports::Clock>;
        let tokens = ServiceAccountTokens::cached(key, Arc::clone(&transport), Arc::clone(&clock));
        let parts = ApiParts {
            transport,
            tokens,
            client_id,
            clock,
            random: Arc::new(SeededRandom::new(3)),
            stop: Stop::default(),
        };
        WriteApi::new(parts, settings)
    }

    pub(crate) fn try_apply(
        &self,
        plan: &Plan,
        folder: &PlanFolder,
        mode: ApplyMode,
    ) -> Result<AppliedReport, WriteError> {
        let api = self.api();
        let mut writer = GoogleWriter::new(&api, &self.history, folder.path().join("applied.jsonl"), 4);
        writer.apply(plan, folder, mode, &Silent)
    }

    pub(crate) fn apply(&self, plan: &Plan, folder: &PlanFolder) -> AppliedReport {
        self.try_apply(plan, folder, ApplyMode::Lasting).unwrap()
    }

    #[track_caller]
    pub(crate) fn assert_verified(&self, plan: &Plan, folder: &PlanFolder) {
        let api = self.api();
        let mut writer = GoogleWriter::new(&api, &self.history, folder.path().join("applied.jsonl"), 4);
        let verification = writer.verify(plan, folder, &Silent).unwrap();
        assert!(verification.is_good(), "{verification:#?}");
    }
}
