//! Writers with a flaw, made of the good one by meddling with its plans, its calls and its reports.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use connect::{
    Progress, SourceReader, StoredHistory,
    plan::{
        Action, AppliedReport, ApplyMode, Attachments, Plan, PlanFolder, SourceWriter, Step, Verification,
        WriteError,
    },
    testing::HeldItems,
};
use connect_conformance::{
    Act, Conditions, Furnishing, Never, Outcome, Place, Restorable, Spending, State, Subject, Undo, find,
};
use connect_http::{Request, Response, Transport, TransportError, http::Method};
use model::Moment;
use ports::ManualClock;

use crate::notes::{KEY, NotesSubject};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    LeavesAStepOut,
    ForgetsWhatItMade,
    WritesInARehearsal,
    RemovesWhatIsNew,
    StatesAWrongDuration,
    TellsItsKey,
    CallsAFailureASuccess,
    SendsAgainWhatMayBeDone,
    FailsForGoodAfterAFailure,
    ListsNoConflicts,
    OpensAgain,
    AlwaysHasAStep,
    DependsOnTheTime,
    PromisesNothing,
}

use Flaw::*;

/// Each flaw with the rules that must find it; others may as well.
const FOUND: &[(Flaw, &[&str])] = &[
    (LeavesAStepOut, &["W-01"]),
    (ForgetsWhatItMade, &["W-02", "W-08"]),
    (WritesInARehearsal, &["W-03"]),
    (RemovesWhatIsNew, &["W-04"]),
    (StatesAWrongDuration, &["W-05"]),
    (TellsItsKey, &["W-06"]),
    (CallsAFailureASuccess, &["W-07"]),
    (SendsAgainWhatMayBeDone, &["W-09", "W-10"]),
    (FailsForGoodAfterAFailure, &["W-11"]),
    (ListsNoConflicts, &["W-12"]),
    (OpensAgain, &["W-13"]),
    (AlwaysHasAStep, &["W-14"]),
    (DependsOnTheTime, &["W-15"]),
    (PromisesNothing, &["W-16"]),
];

#[test]
fn every_flaw_of_a_writer_is_found() {
    for (flaw, ids) in FOUND {
        for id in *ids {
            let start = |furnishing: &Furnishing| -> Arc<dyn Restorable> {
                Arc::new(Flawed { inner: NotesSubject::start(furnishing), flaw: *flaw })
            };
            let outcome = find(id).unwrap().of_writer(&start);
            assert!(matches!(outcome, Outcome::Broken(_)), "{flaw:?} is not found by {id}: it {outcome}");
        }
    }
}

#[test]
fn every_rule_for_writers_has_a_flaw_that_it_finds() {
    for rule in connect_conformance::RESTORING {
        assert!(FOUND.iter().any(|(_, ids)| ids.contains(&rule.id)), "{rule:?}");
    }
}

struct Flawed {
    inner: NotesSubject,
    flaw: Flaw,
}

impl Subject for Flawed {
    fn clock(&self) -> Arc<ManualClock> {
        self.inner.clock()
    }

    fn transport(&self) -> Arc<dyn Transport> {
        self.inner.transport()
    }

    fn reader(&self, conditions: &Conditions) -> Box<dyn SourceReader> {
        self.inner.reader(conditions)
    }

    fn real(&self) -> State {
        self.inner.real()
    }

    fn says(&self, held: &HeldItems, place: &Place, attributes: &str) -> String {
        self.inner.says(held, place, attributes)
    }

    fn act(&self, act: Act<'_>) -> Result<(), Never> {
        self.inner.act(act)
    }

    fn contents(&self, request: &Request) -> Vec<String> {
        self.inner.contents(request)
    }

    fn digests(&self) -> Result<(), Never> {
        self.inner.digests()
    }

    fn spending(&self) -> Result<Spending, Never> {
        self.inner.spending()
    }

    fn secrets(&self) -> Vec<String> {
        self.inner.secrets()
    }
}

static TIME: AtomicI64 = AtomicI64::new(0);

impl Restorable for Flawed {
    fn plan(&self, undo: &Undo<'_>, folder: &PlanFolder, conditions: &Conditions) -> Plan {
        let mut plan = self.inner.plan(undo, folder, conditions);
        match self.flaw {
            LeavesAStepOut => drop(plan.steps.pop()),
            StatesAWrongDuration => plan.duration_s = plan.duration_s.map(|seconds| seconds * 2),
            DependsOnTheTime => plan.made_at = Moment::from_micros(TIME.fetch_add(1, Ordering::SeqCst)),
            PromisesNothing => plan.fidelity.clear(),
            AlwaysHasAStep => plan.steps.push(Step {
                number: 9,
                title: "look around".to_owned(),
                target: "anna".to_owned(),
                action: Action::Revert,
                rows: 0,
                attachment: None,
                details: serde_json::Value::Null,
            }),
            _ => {}
        }
        plan
    }

    fn writer<'a>(
        &'a self,
        past: &'a dyn StoredHistory,
        conditions: &Conditions,
        beside: &Path,
    ) -> Box<dyn SourceWriter + 'a> {
        let failed = beside.join("failed");
        let inner = Arc::clone(&conditions.transport);
        let line = Arc::new(Line { inner, flaw: self.flaw, failed: failed.clone() });
        let conditions = Conditions { transport: line, ..conditions.clone() };
        let inner = self.inner.writer(past, &conditions, beside);
        Box::new(FlawedWriter { inner, subject: self, failed })
    }

    fn grants(&self) -> Result<Vec<String>, Never> {
        self.inner.grants()
    }

    fn share(&self, place: &Place) -> Result<(), Never> {
        self.inner.share(place)
    }

    fn unshare(&self, place: &Place) -> Result<(), Never> {
        self.inner.unshare(place)
    }
}

/// What is sent and heard.
struct Line {
    inner: Arc<dyn Transport>,
    flaw: Flaw,
    failed: PathBuf,
}

impl Transport for Line {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let makes = request.method == Method::POST && request.url.ends_with("/notes");
        match self.flaw {
            ForgetsWhatItMade if makes => {
                let mut body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
                body["origin"].take();
                self.inner.send(&Request { body: body.to_string().into_bytes(), ..request.clone() })
            }
            SendsAgainWhatMayBeDone if makes => {
                let answer = self.inner.send(request).and_then(|answer| answer.whole(1 << 20));
                answer.or_else(|_| self.inner.send(request))
            }
            FailsForGoodAfterAFailure => {
                let answer = self.inner.send(request)?;
                if answer.status.is_server_error() {
                    ports::files::replace(&self.failed, b"").unwrap();
                }
                Ok(answer)
            }
            _ => self.inner.send(request),
        }
    }
}

struct FlawedWriter<'a> {
    inner: Box<dyn SourceWriter + 'a>,
    subject: &'a Flawed,
    /// A note that an earlier run failed.
    failed: PathBuf,
}

impl SourceWriter for FlawedWriter<'_> {
    fn apply(
        &mut self,
        plan: &Plan,
        attachments: &dyn Attachments,
        mode: ApplyMode,
        progress: &dyn Progress,
    ) -> Result<AppliedReport, WriteError> {
        let (flaw, subject) = (self.subject.flaw, self.subject);
        if flaw == FailsForGoodAfterAFailure && self.failed.exists() {
            return Err(WriteError::Busy);
        }
        let lasting = if flaw == WritesInARehearsal { ApplyMode::Lasting } else { mode };
        let report = self.inner.apply(plan, attachments, lasting, progress);
        let mut report = match report {
            Err(_) if flaw == CallsAFailureASuccess => AppliedReport {
                plan: plan.hash().unwrap(),
                mode,
                transaction: None,
                steps: Vec::new(),
                counts: connect::plan::Counts::default(),
                conflicts: Vec::new(),
                notes: Vec::new(),
            },
            other => other?,
        };
        match flaw {
            RemovesWhatIsNew => {
                let new = subject.real().into_keys().filter(|place| place.key.contains("-new-"));
                new.for_each(|place| subject.act(Act::RemoveForGood(&place)).unwrap());
            }
            TellsItsKey => report.notes.push(format!("applied with {KEY}")),
            ListsNoConflicts => {
                report.conflicts.clear();
                report.counts.conflicts = 0;
            }
            OpensAgain => {
                if let Some(place) = subject.real().into_keys().nth(1) {
                    subject.share(&place).unwrap();
                }
            }
            _ => {}
        }
        Ok(report)
    }

    fn verify(
        &mut self,
        plan: &Plan,
        attachments: &dyn Attachments,
        progress: &dyn Progress,
    ) -> Result<Verification, WriteError> {
        self.inner.verify(plan, attachments, progress)
    }
}
