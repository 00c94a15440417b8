//! Long work with progress, which goes on when whoever asked for it goes away.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use connect::Progress;
use model::{Moment, SourceName};
use ports::{
    Clock, Tracing,
    files::{self, FileError},
    span::{Fact, Outcome},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    telemetry::PhasedWork,
    workshop::{WorkError, WorkErrorKind},
};

/// So many jobs are remembered; the next one takes the place of the oldest.
const REMEMBERED: u64 = 256;
/// So many run at a time.
const RUNNING_MAX: usize = 4;
/// Listeners hear of progress no more often than this.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// Why a job was not begun.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Enough work is going on.
    #[error("{RUNNING_MAX} jobs are running")]
    TooMany,
    /// The same work is going on already.
    #[error("job {id} does the same work already")]
    Same {
        /// The job.
        id: u64,
    },
    /// What is known of jobs cannot be read or written.
    #[error("the jobs cannot be kept")]
    File(#[from] FileError),
    /// No thread can be started.
    #[error("no thread can be started")]
    Thread(#[source] std::io::Error),
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobKind {
    /// A restore is planned.
    Plan,
    /// A plan is applied.
    Apply,
    /// A drill is held.
    Drill,
    /// A source is captured up to now.
    Capture,
    /// The installation is examined.
    Examine,
    /// A moment is asked something.
    Query,
}

impl JobKind {
    /// Returns its word.
    const fn word(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Apply => "apply",
            Self::Drill => "drill",
            Self::Capture => "capture",
            Self::Examine => "examine",
            Self::Query => "query",
        }
    }
}

/// What a job is begun with.
#[derive(Debug, Clone)]
pub struct JobDraft {
    /// What is done.
    pub kind: JobKind,
    /// One line for people.
    pub title: String,
    /// Who asked for it.
    pub by: String,
    /// What it is about: a case, an incident, a source. One job of a kind at a time is about the same thing.
    pub about: String,
}

/// How far a job has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// What is being done.
    pub title: String,
    /// How much is done.
    pub done: u64,
    /// How much there is, when that is known.
    pub total: Option<u64>,
    /// Whether things are counted; bytes otherwise.
    pub counted: bool,
}

/// How a job stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum JobState {
    /// It goes on.
    Running {
        /// How far it has come.
        phase: Phase,
    },
    /// It is done.
    Done {
        /// What came of it.
        result: Value,
    },
    /// It was not done.
    Failed {
        /// Why.
        error: WorkError,
    },
    /// The process that did it ended before.
    Interrupted,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its number.
    pub id: u64,
    /// What is done.
    pub kind: JobKind,
    /// One line for people.
    pub title: String,
    /// Who asked for it.
    pub by: String,
    /// What it is about.
    pub about: String,
    /// When it began.
    pub began_at: Moment,
    /// When it ended.
    pub ended_at: Option<Moment>,
    /// The phases that are behind it.
    pub phases: Vec<Phase>,
    /// How it stands.
    #[serde(flatten)]
    pub state: JobState,
}

impl Job {
    /// Returns whether it goes on.
    pub const fn is_running(&self) -> bool {
        matches!(self.state, JobState::Running { .. })
    }
}

/// Is told how jobs get on; called on their threads, and must not wait.
pub type JobListener = Arc<dyn Fn(&Job) + Send + Sync>;

/// The jobs of an installation.
#[derive(Clone)]
pub struct Jobs {
    shared: Arc<Shared>,
}

struct Shared {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    tracing: Tracing,
    listener: JobListener,
    jobs: Mutex<BTreeMap<u64, Job>>,
}

impl Jobs {
    /// Opens the jobs of a home folder. What was running when the process before ended is interrupted.
    pub fn open(
        home: &Path,
        clock: Arc<dyn Clock>,
        tracing: Tracing,
        listener: JobListener,
    ) -> Result<Self, JobError> {
        let folder = home.join("state/jobs");
        files::create_folder(&folder)?;
        let mut jobs = BTreeMap::new();
        for slot in 0..REMEMBERED {
            let path = slot_path(&folder, slot);
            if !path.exists() {
                continue;
            }
            // A job is a note of what went on; one that cannot be read takes nothing with it.
            let Ok(mut job) = serde_json::from_slice::<Job>(&files::read(&path)?) else { continue };
            if job.is_running() {
                job.state = JobState::Interrupted;
                job.ended_at = Some(clock.now());
            }
            jobs.insert(job.id, job);
        }
        let shared = Shared { folder, clock, tracing, listener, jobs: Mutex::new(jobs) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Returns every job that is remembered, the newest first.
    pub fn all(&self) -> Vec<Job> {
        self.shared.lock().values().rev().cloned().collect()
    }

    /// Returns a job.
    pub fn get(&self, id: u64) -> Option<Job> {
        self.shared.lock().get(&id).cloned()
    }

    /// Returns the newest job of a kind about something.
    pub fn newest(&self, kind: JobKind, about: &str) -> Option<Job> {
        self.shared.lock().values().rev().find(|job| job.kind == kind && job.about == about).cloned()
    }

    /// Begins a job on a thread of its own.
    pub fn start<T, W>(&self, draft: JobDraft, work: W) -> Result<Job, JobError>
    where
        T: Serialize,
        W: FnOnce(&Arc<dyn Progress>) -> Result<T, WorkError> + Send + 'static,
    {
        let job = self.admit(draft)?;
        let shared = Arc::clone(&self.shared);
        let id = job.id;
        let told = Arc::new(begin(&shared.tracing, &job));
        let run = move || {
            let meter: Arc<dyn Progress> = Arc::new(Meter::new(id, Arc::clone(&shared), Arc::clone(&told)));
            let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&meter)));
            let state = match worked {
                Ok(Ok(result)) => match serde_json::to_value(&result) {
                    Ok(result) => JobState::Done { result },
                    Err(error) => failed("what came of it cannot be written", &[error.to_string()]),
                },
                Ok(Err(error)) => JobState::Failed { error },
                Err(_) => failed("the work ended in the middle, because of a fault in unwipe", &[]),
            };
            told.end(outcome(&state), |_| {});
            shared.end(id, state);
        };
        match std::thread::Builder::new().name(format!("job {id}")).spawn(run) {
            Ok(_) => Ok(job),
            Err(error) => {
                self.shared.end(id, failed("no thread can be started", &[error.to_string()]));
                Err(JobError::Thread(error))
            }
        }
    }

    fn admit(&self, draft: JobDraft) -> Result<Job, JobError> {
        let mut jobs = self.shared.lock();
        let running = || jobs.values().filter(|job| job.is_running());
        if let Some(same) = running().find(|job| job.kind == draft.kind && job.about == draft.about) {
            return Err(JobError::Same { id: same.id });
        }
        if running().count() >= RUNNING_MAX {
            return Err(JobError::TooMany);
        }
        let job = Job {
            id: jobs.last_key_value().map_or(1, |(id, _)| id + 1),
            kind: draft.kind,
            title: draft.title,
            by: draft.by,
            about: draft.about,
            began_at: self.shared.clock.now(),
            ended_at: None,
            phases: Vec::new(),
            state: JobState::Running { phase: Phase::default() },
        };
        self.shared.write(&job)?;
        jobs.insert(job.id, job.clone());
        while jobs.len() as u64 > REMEMBERED {
            jobs.pop_first();
        }
        drop(jobs);
        (self.shared.listener)(&job);
        Ok(job)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, job: &Job) -> Result<(), FileError> {
        let path = slot_path(&self.folder, job.id % REMEMBERED);
        let text = serde_json::to_vec(job)
            .map_err(|error| FileError::new("write", &path, std::io::Error::other(error)))?;
        files::replace(&path, &text)
    }

    fn change(&self, id: u64, change: impl FnOnce(&mut Job)) -> Option<Job> {
        let mut jobs = self.lock();
        let job = jobs.get_mut(&id)?;
        change(job);
        Some(job.clone())
    }

    fn end(&self, id: u64, state: JobState) {
        let now = self.clock.now();
        let ended = self.change(id, |job| {
            if let JobState::Running { phase } = &job.state
                && !phase.title.is_empty()
            {
                job.phases.push(phase.clone());
            }
            job.state = state;
            job.ended_at = Some(now);
        });
        if let Some(job) = ended {
            // A full disk costs the note of a job, not what it did: that has its own journal.
            self.write(&job).ok();
            (self.listener)(&job);
        }
    }
}

/// Begins to tell of a job: its kind and number, and the source where it is about one and nothing else.
fn begin(tracing: &Tracing, job: &Job) -> PhasedWork {
    let mut work = tracing.begin("job");
    work.fact("unwipe.job.kind", Fact::Word(job.kind.word()));
    work.number("unwipe.job.number", job.id);
    if let (JobKind::Drill | JobKind::Capture, Ok(source)) = (job.kind, SourceName::new(&job.about)) {
        work.name("unwipe.source", &source);
    }
    PhasedWork::new(work)
}

const fn outcome(state: &JobState) -> Outcome {
    match state {
        JobState::Failed { error } => Outcome::Failed(match error.kind {
            WorkErrorKind::Usage => "it was asked for in a way that cannot be",
            WorkErrorKind::Nothing => "there is nothing of the kind",
            WorkErrorKind::Authentication => "a credential or an approval is missing or wrong",
            WorkErrorKind::Failed => "failed",
        }),
        _ => Outcome::Done,
    }
}

fn slot_path(folder: &Path, slot: u64) -> PathBuf {
    folder.join(format!("{slot}.json"))
}

fn failed(sentence: &str, causes: &[String]) -> JobState {
    let error = WorkError {
        kind: WorkErrorKind::Failed,
        sentence: sentence.to_owned(),
        causes: causes.to_vec(),
        hint: None,
    };
    JobState::Failed { error }
}

/// Takes down how far a job has come.
struct Meter {
    id: u64,
    shared: Arc<Shared>,
    work: Arc<PhasedWork>,
    told: Mutex<Duration>,
}

impl Meter {
    fn new(id: u64, shared: Arc<Shared>, work: Arc<PhasedWork>) -> Self {
        Self { id, shared, work, told: Mutex::new(Duration::ZERO) }
    }

    fn begin(&self, title: &str, total: Option<u64>, counted: bool) {
        self.work.phase(title, total);
        let next = Phase { title: title.to_owned(), done: 0, total, counted };
        let changed = self.shared.change(self.id, |job| {
            if let JobState::Running { phase } = &mut job.state {
                let before = std::mem::replace(phase, next);
                if !before.title.is_empty() {
                    job.phases.push(before);
                }
            }
        });
        if let Some(job) = changed {
            (self.shared.listener)(&job);
        }
    }
}

impl Progress for Meter {
    fn phase(&self, title: &str, total: Option<u64>) {
        self.begin(title, total, false);
    }

    fn counted_phase(&self, title: &str, total: Option<u64>) {
        self.begin(title, total, true);
    }

    fn advance(&self, units: u64) {
        let changed = self.shared.change(self.id, |job| {
            if let JobState::Running { phase } = &mut job.state {
                phase.done += units;
            }
        });
        let now = self.shared.clock.elapsed();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(*told) < TELL_EVERY {
            return;
        }
        *told = now;
        drop(told);
        if let Some(job) = changed {
            (self.shared.listener)(&job);
        }
    }
}
