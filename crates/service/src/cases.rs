//! What waits for people: asked for, decided, begun and ended, in files that every process of the installation shares.
//!
//! What an act makes of a case is decided in `approvals` alone. Here is who holds the cases, who checks signatures, and
//! that each step is in the vault's operation log: a step counts once it is on disk, and one that could not be written to
//! the vault is written with the next.

mod damaged;
mod log;
mod store;
mod tell;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};

use approvals::{
    Act, Case, CaseId, CaseIdError, Decision, Notice, Now, Principal, Refusal, Running, Signed, State,
    Subject, Verifier, notices, same_person, statement, step,
};
use connect::plan::{PlanFolder, PlanFolderError, PlanHash};
use model::SourceName;
use ports::files::FileError;
use serde::{Deserialize, Serialize};
use vault::time::TimeRecord;

pub use self::{
    damaged::look_for_damage,
    log::{CaseLog, LookUp, VaultLog},
    store::CaseStore,
    tell::tell,
};
use crate::{
    Config, ConfigError, Installation,
    approval::{ApprovalError, CaseApproval, Passkeys, People, Proof, ProofError, Request},
    installation::Ports,
    plans::Found,
    retention::time_memory,
};

/// Why something does not happen to a case.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// There is no such case.
    #[error("there is no case {id:?}")]
    NoCase {
        /// The name asked for.
        id: String,
    },
    /// The rules do not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The signature does not hold.
    #[error("the decision does not count")]
    Proof(#[from] ProofError),
    /// A signature that counted when it was given does not hold now.
    #[error("the approval of {person} in case {id} does not hold any more")]
    Unsound {
        /// The case.
        id: CaseId,
        /// Whose approval it was.
        person: String,
    },
    /// Somebody applies it at this moment.
    #[error("case {id} is being applied by another process")]
    Running {
        /// The case.
        id: CaseId,
    },
    /// It was not begun, so there is nothing to give up.
    #[error("case {id} is not being applied")]
    NotBegun {
        /// The case.
        id: CaseId,
    },
    /// The plan waits in another case already.
    #[error("plan {plan} waits for approval already, in case {id}")]
    Asked {
        /// The plan.
        plan: PlanHash,
        /// The case.
        id: CaseId,
    },
    /// Somebody changed it at the same time.
    #[error("case {id} was changed at the same time")]
    Changed {
        /// The case.
        id: CaseId,
    },
    /// A file is no case.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The plan cannot be used.
    #[error("the plan cannot be used")]
    Plan(#[from] PlanFolderError),
    /// The plan's document has no hash.
    #[error("the plan cannot be used")]
    Document(#[from] connect::plan::PlanError),
    /// The approval cannot be laid beside the plan.
    #[error(transparent)]
    Approval(#[from] ApprovalError),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file cannot be read or written.
    #[error("the cases cannot be read or written")]
    File(#[from] FileError),
}

impl From<CaseIdError> for CaseError {
    fn from(error: CaseIdError) -> Self {
        Self::NoCase { id: error.text().to_owned() }
    }
}

impl CaseError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoCase { .. } => Some("unwipe cases list".to_owned()),
            Self::Asked { id, .. } => Some(format!("unwipe approve {id}")),
            Self::Changed { id } | Self::Unsound { id, .. } => Some(format!("unwipe cases show {id}")),
            Self::Damaged { path, .. } => {
                Some(format!("mv {0} {0}.damaged (its steps are in the vault's log)", path.display()))
            }
            Self::NotBegun { id } => Some(format!("unwipe cases withdraw {id}")),
            Self::Refused(Refusal::Requester { .. }) => Some("unwipe cases withdraw CASE".to_owned()),
            Self::Refused(Refusal::Expired { .. } | Refusal::Over { .. }) => {
                Some("unwipe cases request PLAN".to_owned())
            }
            Self::Approval(error) => error.hint(),
            Self::Config(error) => error.hint(),
            _ => None,
        }
    }
}

/// What happened to a case: as it is then, and what people are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The case.
    pub case: Case,
    /// Who is to be told what.
    pub notices: Vec<Notice>,
}

/// The cases of an installation. Cheap to clone; every method may block on files, and on the vault.
#[derive(Clone)]
pub struct Cases {
    home: PathBuf,
    store: CaseStore,
    ports: Ports,
    passkeys: Arc<dyn Passkeys>,
    log: Arc<dyn CaseLog>,
}

impl Cases {
    /// Opens the cases of an installation.
    pub fn of(installation: &Installation, passkeys: Arc<dyn Passkeys>, log: Arc<dyn CaseLog>) -> Self {
        Self::at(installation.home(), installation.ports().clone(), passkeys, log)
    }

    /// Opens the cases of a home folder.
    pub fn at(home: &Path, ports: Ports, passkeys: Arc<dyn Passkeys>, log: Arc<dyn CaseLog>) -> Self {
        Self { home: home.to_owned(), store: CaseStore::of(home), ports, passkeys, log }
    }

    /// Returns every case as it stands now, the oldest first.
    pub fn list(&self) -> Result<Vec<Case>, CaseError> {
        self.store.all()?.into_iter().map(|case| self.looked_at(case)).collect()
    }

    /// Returns a case as it stands now.
    pub fn get(&self, id: &CaseId) -> Result<Case, CaseError> {
        self.looked_at(self.store.get(id)?)
    }

    /// Returns the newest case in which a plan is to be applied, as it stands now.
    pub fn of_plan(&self, plan: PlanHash) -> Result<Option<Case>, CaseError> {
        self.store.of_plan(plan)?.pop().map(|case| self.looked_at(case)).transpose()
    }

    /// Asks for something that people must approve.
    pub fn request(&self, subject: Subject, by: Principal, reason: &str) -> Result<Step, CaseError> {
        let config = Config::read(&self.home)?;
        let mut random = [0; 8];
        self.ports.random.fill(&mut random);
        let id = CaseId::new(&random.iter().map(|byte| format!("{byte:02x}")).collect::<String>())?;
        let case = Case::request(id, subject, by, reason, &config.approvals, self.now());
        let step = Step { notices: notices(None, &case), case };
        {
            let _lock = self.store.lock()?;
            self.store.set(None, &step)?;
        }
        self.record();
        Ok(step)
    }

    /// Asks for approval of a plan in a folder, and writes into the folder who asked.
    pub fn request_restore(
        &self,
        plan_folder: &Path,
        by: Principal,
        reason: &str,
    ) -> Result<Step, CaseError> {
        let place = PlanFolder::new(plan_folder);
        let document = place.read_document(None)?;
        let plan = document.hash()?;
        if let Some(open) = self.of_plan(plan)?.filter(|case| !case.state.is_over()) {
            return Err(CaseError::Asked { plan, id: open.id });
        }
        let folder = plan_folder.to_string_lossy().into_owned();
        let found = Found::of(place, document)?;
        let title = found.title();
        let named = found.parts.into_iter().map(|(_, plan)| plan.source);
        let mut sources: Vec<SourceName> = named.filter_map(|name| SourceName::new(name).ok()).collect();
        sources.sort();
        sources.dedup();
        let subject = Subject::Restore { plan, folder, title, sources };
        let step = self.request(subject, by, reason)?;
        let Case { id, requested_by, requested_at, .. } = &step.case;
        let request =
            Request { case: id.clone(), requested_by: requested_by.clone(), requested_at: *requested_at };
        request.write(plan_folder)?;
        Ok(step)
    }

    /// Returns what a person signs to decide a case.
    pub fn statement(&self, id: &CaseId, decision: Decision) -> Result<Vec<u8>, CaseError> {
        Ok(statement(id, self.store.get(id)?.subject.hash(), decision))
    }

    /// Takes a person's decision. An approval of a plan is laid beside the plan as well.
    pub fn decide(
        &self,
        id: &CaseId,
        decision: Decision,
        reason: &str,
        proof: &Proof,
    ) -> Result<Step, CaseError> {
        let config = Config::read(&self.home)?;
        let people = People { keys: &config.approvers, passkeys: &*self.passkeys };
        let case = self.store.get(id)?;
        let signed = Signed::verify(&people, &case, decision, reason, proof)?;
        let person = signed.signer().who.name().to_owned();
        self.act(id, &Act::Decide(signed), |next| match &next.subject {
            Subject::Restore { plan, folder, .. } if decision == Decision::Approve => {
                let approval = CaseApproval { case: id.clone(), plan: *plan, proof: proof.clone() };
                Ok(approval.write(Path::new(folder), &person)?)
            }
            _ => Ok(()),
        })
    }

    /// Takes back what was asked for.
    pub fn withdraw(&self, id: &CaseId, by: Principal) -> Result<Step, CaseError> {
        self.act(id, &Act::Withdraw { by }, |_| Ok(()))
    }

    /// Begins what was approved, or goes on with it after the process that did it was killed. Nothing that people must
    /// approve is done but by whoever holds the answer; it ends with [`Application::finish`] or [`Application::fail`],
    /// and one that is dropped before can be gone on with.
    pub fn begin(&self, id: &CaseId) -> Result<Application, CaseError> {
        let case = self.get(id)?;
        let running = || CaseError::Running { id: id.clone() };
        let claim = self.store.claim(id)?.ok_or_else(running)?;
        let ended = match &self.store.get(id)?.state {
            State::Applying { run, .. } => Some(run.clone()),
            State::Approved { .. } => {
                self.check_approvals(&case)?;
                None
            }
            _ => None,
        };
        let mut random = [0; 8];
        self.ports.random.fill(&mut random);
        let run: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let act = Act::Begin { by: host(), run: run.clone(), ended };
        let Step { case, notices } = self.act(id, &act, |_| Ok(()))?;
        Ok(Application { cases: self.clone(), case, notices, run, _claim: claim })
    }

    /// Gives up what was begun and whose process is gone: nobody goes on with it.
    pub fn abandon(&self, id: &CaseId, why: &str) -> Result<Step, CaseError> {
        // Whatever can be begun only now is not begun to be given up.
        if !matches!(self.store.get(id)?.state, State::Applying { .. }) {
            return Err(CaseError::NotBegun { id: id.clone() });
        }
        self.begin(id)?.fail(why)
    }

    /// Writes to the vault what could not be written before; returns how many steps still wait.
    pub fn record_pending(&self) -> Result<usize, CaseError> {
        let Some(_claim) = self.store.claim_recording()? else { return Ok(0) };
        let steps = {
            let _lock = self.store.lock()?;
            self.store.unrecorded()?
        };
        for (done, step) in steps.iter().enumerate() {
            let key = format!("{}/{}", step.case.id, step.case.version);
            if self.log.record(&key, step).is_err() {
                return Ok(steps.len() - done);
            }
            self.store.forget_unrecorded(step)?;
        }
        Ok(0)
    }

    /// Checks the signatures again: files may have been changed, and keys may count no more.
    fn check_approvals(&self, case: &Case) -> Result<(), CaseError> {
        let config = Config::read(&self.home)?;
        let people = People { keys: &config.approvers, passkeys: &*self.passkeys };
        let said = statement(&case.id, case.subject.hash(), Decision::Approve);
        for decided in case.decisions.iter().filter(|decided| decided.decision == Decision::Approve) {
            let unsound = || CaseError::Unsound { id: case.id.clone(), person: decided.person.clone() };
            let proof: Proof = serde_json::from_value(decided.proof.clone()).map_err(|_| unsound())?;
            let signer = people.verify(&said, &proof).map_err(|_| unsound())?;
            let holds = signer.approver
                && signer.key == decided.key
                && same_person(signer.who.name(), &decided.person);
            if !holds {
                return Err(unsound());
            }
        }
        Ok(())
    }

    /// Returns the time that comes with an act: the host's clock may be set, so the memory of vault time tells for how
    /// long the machine has been running. One that cannot be read remembers nothing, which shortens no delay.
    fn now(&self) -> Now {
        let clock = &self.ports.clock;
        let memory = time_memory(&self.home).load().ok().flatten();
        let running =
            memory.map(|state| Running { memory: state.anchor, micros: state.running_micros(&clock.boot()) });
        Now { at: clock.now(), running }
    }

    /// Lets a case lapse whose time is over, and a delay start again of which nobody remembers how long it has been going
    /// on.
    fn looked_at(&self, case: Case) -> Result<Case, CaseError> {
        let policy = Config::read(&self.home)?.approvals;
        if step(&case, &policy, &Act::Look, self.now())?.version == case.version {
            return Ok(case);
        }
        Ok(self.act(&case.id, &Act::Look, |_| Ok(()))?.case)
    }

    /// Does one step: nothing else changes a case. `first` is done before the step counts, and can prevent it.
    fn act(
        &self,
        id: &CaseId,
        act: &Act,
        first: impl Fn(&Case) -> Result<(), CaseError>,
    ) -> Result<Step, CaseError> {
        let policy = Config::read(&self.home)?.approvals;
        let stepped = {
            let _lock = self.store.lock()?;
            let before = self.store.get(id)?;
            let now = self.now();
            let take = |after: Case| -> Result<Step, CaseError> {
                let step = Step { notices: notices(Some(&before), &after), case: after };
                if step.case.version != before.version {
                    self.store.set(Some(before.version), &step)?;
                }
                Ok(step)
            };
            // What lapsed is written down before it is told: a clock that goes back does not revive it.
            let looked = step(&before, &policy, &Act::Look, now)?;
            match step(&before, &policy, act, now) {
                Ok(after) => first(&after).and_then(|()| take(after)),
                Err(refusal) if looked.version != before.version => {
                    take(looked)?;
                    Err(refusal.into())
                }
                Err(refusal) => Err(refusal.into()),
            }
        };
        self.record();
        stepped
    }

    fn record(&self) {
        // The step counts; what cannot be written to the vault now waits in its folder.
        self.record_pending().ok();
    }
}

/// The installation, as the one who begins and ends.
fn host() -> Principal {
    Principal::Host("unwipe".to_owned())
}

/// The right to do what was approved, as long as it lives: no other process has it for the same case.
pub struct Application {
    cases: Cases,
    case: Case,
    notices: Vec<Notice>,
    run: String,
    _claim: File,
}

impl Application {
    /// Returns the case, which is being applied.
    pub const fn case(&self) -> &Case {
        &self.case
    }

    /// Returns what people are told of its beginning.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Says that it is done, and whether reading again showed what was planned.
    pub fn finish(self, verified: bool) -> Result<Step, CaseError> {
        let act = Act::Finish { by: host(), run: self.run.clone(), verified };
        self.cases.act(&self.case.id, &act, |_| Ok(()))
    }

    /// Says that it cannot be done and that nobody will go on with it.
    pub fn fail(self, why: &str) -> Result<Step, CaseError> {
        let act = Act::Fail { by: host(), run: self.run.clone(), why: why.to_owned() };
        self.cases.act(&self.case.id, &act, |_| Ok(()))
    }
}
